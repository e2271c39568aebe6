"""The rules of docs/protocol.md that need no connection: digests, trees, padding, signatures, names, ledger entries."""

import datetime
import hashlib
import re
import secrets
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

SIZES = [512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152, 65536]
SUFFIX = "liangdi.internal"


class Fault(Exception):
    """Something is not as the protocol says."""


def need(condition, what):
    if not condition:
        raise Fault(what)


def sha256(data):
    return hashlib.sha256(data).digest()


def now_ms():
    return time.time_ns() // 1_000_000


def uuid7(at_ms):
    """A new message id."""
    rest = bytearray(secrets.token_bytes(10))
    rest[0] = 0x70 | (rest[0] & 0x0F)
    rest[2] = 0x80 | (rest[2] & 0x3F)
    return at_ms.to_bytes(6, "big") + bytes(rest)


# Section 3: padding.


def pad(content):
    framed = len(content).to_bytes(4, "big") + content
    size = next((size for size in SIZES if size >= len(framed)), None)
    need(size is not None, "TOO_LARGE")
    return framed + bytes(size - len(framed))


def unpad(padded):
    need(len(padded) in SIZES, "padded to no known size")
    length = int.from_bytes(padded[:4], "big")
    need(length <= len(padded) - 4, "the length is longer than the body")
    need(not any(padded[4 + length :]), "the padding is not zero")
    return padded[4 : 4 + length]


# Section 4: envelopes.


def envelope_digest(header, sealed_hash):
    return sha256(b"liangdi/v1/envelope\0" + len(header).to_bytes(4, "big") + header + sealed_hash)


# Section 5: the tree of RFC 9162.


def leaf(entry):
    return sha256(b"\0" + entry)


def node(left, right):
    return sha256(b"\1" + left + right)


def root(entries):
    if not entries:
        return sha256(b"")
    if len(entries) == 1:
        return leaf(entries[0])
    split = 1 << ((len(entries) - 1).bit_length() - 1)
    return node(root(entries[:split]), root(entries[split:]))


def included(entry, index, size, path):
    """The root that an inclusion proof leads to (RFC 9162, 2.1.3.2)."""
    need(index < size, "the index is outside of the tree")
    fn, sn, at = index, size - 1, leaf(entry)
    for sibling in path:
        need(sn > 0, "the path is too long")
        if fn & 1 or fn == sn:
            at = node(sibling, at)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            at = node(at, sibling)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0, "the path is too short")
    return at


# Sections 2, 5, 6: signatures.


def sign(key, context, data):
    return key.sign(b"liangdi/v1/" + context + b"\0" + data, ec.ECDSA(hashes.SHA256()))


def check_signature(certificate, context, signature, data):
    message = b"liangdi/v1/" + context + b"\0" + data
    certificate.public_key().verify(signature, message, ec.ECDSA(hashes.SHA256()))


# Section 1: names and chains.


def area_of(certificate):
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    need(len(names) == 1, "the leaf has not exactly one name")
    name = names.get_values_for_type(x509.DNSName)
    match = re.fullmatch(r"(\d{6})\.(\d{2})\." + re.escape(SUFFIX), name[0] if name else "")
    need(match and match[1][:2] == match[2], "the name is not AREA.PROVINCE.SUFFIX")
    return match[1]


class Trust:
    """The root certificate and the revocation lists at hand."""

    def __init__(self, root_pem, lists_pem=b""):
        self.root = x509.load_pem_x509_certificate(root_pem)
        pieces = lists_pem.split(b"-----END X509 CRL-----")[:-1]
        self.lists = [x509.load_pem_x509_crl(piece + b"-----END X509 CRL-----\n") for piece in pieces]

    def chain(self, ders, at_ms):
        """Checks a chain at a time, and says whose it is: (leaf, area)."""
        certificates = [x509.load_der_x509_certificate(der) for der in ders]
        need(2 <= len(certificates) <= 3, "the chain is not leaf, province")
        leaf_certificate, province = certificates[:2]
        at = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.timezone.utc)
        for certificate, issuer in ((leaf_certificate, province), (province, self.root)):
            certificate.verify_directly_issued_by(issuer)
            within = certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc
            need(within, "a certificate of the chain does not hold at that time")
            need(isinstance(certificate.public_key().curve, ec.SECP256R1), "not P-256")
            self._not_revoked(certificate, issuer)
        constraint = province.extensions.get_extension_for_class(x509.NameConstraints)
        permitted = [name.value for name in constraint.value.permitted_subtrees or []]
        area = area_of(leaf_certificate)
        need(constraint.critical and permitted == [f"{area[:2]}.{SUFFIX}"], "the name constraint")
        usage = leaf_certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        need(ExtendedKeyUsageOID.SERVER_AUTH in usage, "the leaf is not that of a node")
        return leaf_certificate, area

    def _not_revoked(self, certificate, issuer):
        for revoked in self.lists:
            if revoked.issuer == issuer.subject and revoked.is_signature_valid(issuer.public_key()):
                entry = revoked.get_revoked_certificate_by_serial_number(certificate.serial_number)
                need(entry is None, "SENDER_REVOKED")


def load_identity(chain_pem, key_pem):
    certificates = x509.load_pem_x509_certificates(chain_pem)
    ders = [c.public_bytes(serialization.Encoding.DER) for c in certificates]
    return ders, serialization.load_pem_private_key(key_pem, None)


# Section 10: the ledger.


def ledger_entry(direction, message_id, digest, sender, recipient, created_ms):
    china = datetime.datetime.fromtimestamp(created_ms / 1000, datetime.timezone(datetime.timedelta(hours=8)))
    month = (china.year * 100 + china.month).to_bytes(4, "big")
    parts = [b"liangdi/v1/ledger\0", bytes([direction]), message_id, digest, sender.encode(), recipient.encode(), month]
    return b"".join(parts)
