"""docs/protocol.md, section 11: an evidence file, checked with nothing but the root certificate."""

from generated import evidence_pb2, pb
from protocol import check_signature, envelope_digest, included, need, sha256

OUTCOMES = {1: "STORED", 2: "REFUSED", 3: "DEFERRED"}
CLOCKS_MAY_DIFFER_MS = 10 * 60 * 1000


def verify(data, trust):
    """What the file proves, or a Fault."""
    file = evidence_pb2.EvidenceFile.FromString(data)
    need(file.format == "liangdi-evidence-1", "not an evidence file")
    if file.sealed:
        need(sha256(file.sealed) == file.sealed_sha256, "the body is another")
    digest = envelope_digest(file.header, file.sealed_sha256)
    header = pb.EnvelopeHeader.FromString(file.header)
    parcel = pb.ParcelManifest.FromString(file.parcel.manifest)
    hops = [custody(word, parcel, trust) for word in file.custody]
    sender = getattr(parcel, "from")
    way = [sender, *(hop.relay for hop in hops)]
    need([hop.handed_by for hop in hops] == way[: len(hops)], "the way has a gap")
    at = hops[0].signed_ms if hops else None
    proof = {"message_id": header.message_id.hex(), "relays": [hop.relay for hop in hops], "outcome": None}
    if file.HasField("receipt"):
        answer, disposition = receipt(file, header, parcel, digest, trust)
        at = at or answer.signed_ms
        proof |= {"outcome": OUTCOMES[disposition.outcome], "reason": disposition.reason, "decided_ms": disposition.decided_ms}
        latest = answer.signed_ms + CLOCKS_MAY_DIFFER_MS
        need(max(parcel.signed_ms, disposition.decided_ms) <= latest, "the receipt is older than what it answers")
    signer, area = trust.chain(file.parcel.certificate_chain, at or parcel.signed_ms)
    check_signature(signer, b"parcel", file.parcel.signature, file.parcel.manifest)
    need(area == getattr(header, "from") == sender, "sent by another area")
    found = included(digest, file.parcel.index, parcel.count, file.parcel.path)
    need(found == parcel.root, "the envelope is not in the parcel")
    return proof


def receipt(file, header, parcel, digest, trust):
    proof = file.receipt
    manifest = pb.ReceiptManifest.FromString(proof.manifest)
    disposition = pb.Disposition.FromString(proof.disposition)
    need(disposition.message_id == header.message_id and disposition.digest == digest, "about another envelope")
    need((manifest.parcel_id, manifest.parcel_root) == (parcel.parcel_id, parcel.root), "answers another parcel")
    need(proof.index == file.parcel.index, "another place in the parcel")
    found = included(proof.disposition, proof.index, manifest.count, proof.path)
    need(found == manifest.root, "the disposition is not in the receipt")
    signer, area = trust.chain(proof.certificate_chain, manifest.signed_ms)
    check_signature(signer, b"receipt", proof.signature, proof.manifest)
    need(area == header.to, "answered by another area")
    return manifest, disposition


def custody(word, parcel, trust):
    manifest = pb.CustodyManifest.FromString(word.manifest)
    signer, area = trust.chain(word.certificate_chain, manifest.signed_ms)
    check_signature(signer, b"custody", word.signature, word.manifest)
    need(area == manifest.relay, "the word of another relay")
    need((manifest.parcel_id, manifest.parcel_root) == (parcel.parcel_id, parcel.root), "about another parcel")
    need(manifest.outcome == pb.CUSTODY_OUTCOME_HELD, "the relay did not take it")
    return manifest
