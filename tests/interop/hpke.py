"""RFC 9180, as far as docs/protocol.md, section 3 needs it: base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM."""

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

INFO = b"liangdi/v1/seal"
KEM = b"KEM" + (0x0020).to_bytes(2, "big")
SUITE = b"HPKE" + (0x0020).to_bytes(2, "big") + (0x0001).to_bytes(2, "big") + (0x0002).to_bytes(2, "big")


def _extract(salt, ikm):
    return hmac.new(salt or bytes(32), ikm, hashlib.sha256).digest()


def _expand(prk, info, length):
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([counter]), hashlib.sha256).digest()
        out, counter = out + block, counter + 1
    return out[:length]


def _labelled_extract(suite, salt, label, ikm):
    return _extract(salt, b"HPKE-v1" + suite + label + ikm)


def _labelled_expand(suite, prk, label, info, length):
    return _expand(prk, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)


def raw(public):
    """The 32 bytes of a public key."""
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def key_id(public_bytes):
    """First 8 bytes of SHA-256 of the raw public key."""
    return hashlib.sha256(public_bytes).digest()[:8]


def _exporter(dh, encapsulated, recipient):
    eae = _labelled_extract(KEM, b"", b"eae_prk", dh)
    shared = _labelled_expand(KEM, eae, b"shared_secret", encapsulated + recipient, 32)
    context = b"\0" + _labelled_extract(SUITE, b"", b"psk_id_hash", b"")
    context += _labelled_extract(SUITE, b"", b"info_hash", INFO)
    secret = _labelled_extract(SUITE, shared, b"secret", b"")
    return _labelled_expand(SUITE, secret, b"exp", context, 32)


class Key:
    """The exported secrets of one encapsulation."""

    def __init__(self, dh, encapsulated, recipient):
        exporter = _exporter(dh, encapsulated, recipient)
        export = lambda label, length: _labelled_expand(SUITE, exporter, b"sec", label, length)
        self._aead = AESGCM(export(b"liangdi/v1/seal key", 32))
        self._base = int.from_bytes(export(b"liangdi/v1/seal nonce", 12), "big")

    def _nonce(self, counter):
        return (self._base ^ counter).to_bytes(12, "big")

    def seal(self, counter, header, padded):
        return self._aead.encrypt(self._nonce(counter), padded, header)

    def open(self, counter, header, sealed):
        return self._aead.decrypt(self._nonce(counter), sealed, header)


class Sealer:
    """Seals for one recipient; lives in memory only, so no counter is ever used twice."""

    def __init__(self, recipient):
        own = X25519PrivateKey.generate()
        self.encapsulated = raw(own.public_key())
        self.recipient_key_id = key_id(recipient)
        dh = own.exchange(X25519PublicKey.from_public_bytes(recipient))
        self._key = Key(dh, self.encapsulated, recipient)
        self._next = 0

    def take_counter(self):
        self._next += 1
        return self._next - 1

    def seal(self, counter, header, padded):
        return self._key.seal(counter, header, padded)


def opener(private, encapsulated):
    """What opens envelopes under this encapsulated key."""
    dh = private.exchange(X25519PublicKey.from_public_bytes(encapsulated))
    return Key(dh, encapsulated, raw(private.public_key()))
