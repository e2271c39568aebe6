"""Makes seals.json: envelopes sealed by the text of RFC 9180 and of docs/protocol.md, with none of this program's code.

Needs the package `cryptography`. Run in this directory: python3 seals.py > seals.json
"""

import hashlib
import hmac
import json

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEM = b"KEM" + (0x0020).to_bytes(2, "big")
SUITE = b"HPKE" + (0x0020).to_bytes(2, "big") + (0x0001).to_bytes(2, "big") + (0x0002).to_bytes(2, "big")
INFO = b"liangdi/v1/seal"


def extract(salt, key):
    return hmac.new(salt or bytes(32), key, hashlib.sha256).digest()


def expand(key, info, length):
    out, block, count = b"", b"", 1
    while len(out) < length:
        block = hmac.new(key, block + info + bytes([count]), hashlib.sha256).digest()
        out, count = out + block, count + 1
    return out[:length]


def labeled_extract(suite, salt, label, key):
    return extract(salt, b"HPKE-v1" + suite + label + key)


def labeled_expand(suite, key, label, info, length):
    return expand(key, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)


def raw(private):
    return private.public_key().public_bytes_raw()


def shared_secret(ephemeral, recipient_public):
    """Section 4.1, Encap, with the ephemeral key given."""
    dh = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient_public))
    context = raw(ephemeral) + recipient_public
    prk = labeled_extract(KEM, b"", b"eae_prk", dh)
    return labeled_expand(KEM, prk, b"shared_secret", context, 32)


def exporter_secret(shared, info):
    """Section 5.1, KeySchedule, mode base."""
    psk_id_hash = labeled_extract(SUITE, b"", b"psk_id_hash", b"")
    info_hash = labeled_extract(SUITE, b"", b"info_hash", info)
    context = b"\x00" + psk_id_hash + info_hash
    secret = labeled_extract(SUITE, shared, b"secret", b"")
    return labeled_expand(SUITE, secret, b"exp", context, 32)


def export(exporter, context, length):
    return labeled_expand(SUITE, exporter, b"sec", context, length)


def main():
    # The published vector first: what follows is only as good as this.
    with open("rfc9180.json", encoding="utf-8") as file:
        published = json.load(file)
    ephemeral = X25519PrivateKey.from_private_bytes(bytes.fromhex(published["skEm"]))
    recipient = X25519PrivateKey.from_private_bytes(bytes.fromhex(published["skRm"]))
    shared = shared_secret(ephemeral, raw(recipient))
    assert shared.hex() == published["shared_secret"]
    exporter = exporter_secret(shared, bytes.fromhex(published["info"]))
    assert exporter.hex() == published["exporter_secret"]
    for item in published["exports"]:
        context = bytes.fromhex(item["exporter_context"])
        assert export(exporter, context, item["L"]).hex() == item["exported_value"]

    exporter = exporter_secret(shared, INFO)
    key = export(exporter, b"liangdi/v1/seal key", 32)
    base = int.from_bytes(export(exporter, b"liangdi/v1/seal nonce", 12), "big")
    envelopes = []
    for number, counter in enumerate([0, 1, 2, 255, 256, 65535, 2**24, 2**32 - 1, 2**32, 2**40 - 1]):
        header = bytes(range(number * 17))
        body = bytes((counter + n) % 251 for n in range(number * 97))
        nonce = (base ^ counter).to_bytes(12, "big")
        sealed = AESGCM(key).encrypt(nonce, body, header)
        envelopes.append({"counter": counter, "header": header.hex(), "body": body.hex(), "sealed": sealed.hex()})
    print(json.dumps({
        "recipient": published["skRm"],
        "recipient_key_id": hashlib.sha256(raw(recipient)).digest()[:8].hex(),
        "encapsulated_key": raw(ephemeral).hex(),
        "envelopes": envelopes,
    }, indent=1))


main()
