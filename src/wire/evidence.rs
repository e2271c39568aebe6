//! Evidence files as protobuf: one file with all proofs, and reading it with limits.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use exchange::custody::CUSTODY_WORDS_MAX;
use exchange::custody::CustodyReceipt;
use exchange::digest::Digest;
use exchange::envelope::SEALED_BYTES_MAX;
use exchange::evidence::CustodyProof;
use exchange::evidence::EVIDENCE_BYTES_MAX;
use exchange::evidence::EVIDENCE_FORMAT;
use exchange::evidence::Evidence;
use exchange::evidence::ParcelProof;
use exchange::evidence::REVOCATION_LISTS_MAX;
use exchange::evidence::ReceiptProof;
use exchange::parcel::SIGNATURE_BYTES_MAX;
use exchange::tree::PROOF_HASHES_MAX;
use prost::Message;

use crate::custody::custody_from_pb;
use crate::custody::custody_to_pb;
use crate::custody::decode_custody_manifest;
use crate::disposition::decode_disposition;
use crate::envelope::decode_header;
use crate::fields::array;
use crate::fields::at_most;
use crate::fields::check_chain;
use crate::fields::check_ders;
use crate::fields::some;
use crate::fields::time;
use crate::malformed::Malformed;
use crate::parcel::decode_manifest;
use crate::pb;
use crate::receipt::decode_receipt_manifest;

/// Serialises an evidence file. The parsed forms beside the bytes are not looked at.
#[must_use]
pub fn encode_evidence(evidence: Evidence) -> Vec<u8> {
    let Evidence {
        header_bytes,
        header: _,
        sealed_sha256,
        sealed,
        parcel,
        receipt,
        custody,
        revocation_lists,
        exported,
    } = evidence;
    let file = pb::exchange::EvidenceFile {
        format: EVIDENCE_FORMAT.to_owned(),
        header: header_bytes,
        sealed_sha256: sealed_sha256.as_bytes().to_vec(),
        sealed: sealed.unwrap_or_default(),
        parcel: Some(parcel_proof_to_pb(parcel)),
        receipt: receipt.map(receipt_proof_to_pb),
        revocation_lists,
        exported_ms: exported.get(),
        custody: custody.into_iter().map(custody_proof_to_pb).collect(),
    };
    file.encode_to_vec()
}

/// Reads an evidence file; its parts share the given bytes. Proves nothing: see [`Evidence::verify`].
///
/// # Errors
/// [`Malformed`] names the first field that is not as the protocol says.
pub fn decode_evidence(bytes: Bytes) -> Result<Evidence, Malformed> {
    some("evidence", bytes.len(), EVIDENCE_BYTES_MAX)?;
    let pb::exchange::EvidenceFile {
        format,
        header,
        sealed_sha256,
        sealed,
        parcel,
        receipt,
        revocation_lists,
        exported_ms,
        custody,
    } = pb::exchange::EvidenceFile::decode(bytes)?;
    if format != EVIDENCE_FORMAT {
        return Err(Malformed::Range { field: "evidence.format" });
    }
    at_most("evidence.sealed", sealed.len(), SEALED_BYTES_MAX)?;
    at_most("evidence.custody", custody.len(), CUSTODY_WORDS_MAX)?;
    let lists = "evidence.revocation_lists";
    check_ders(lists, &revocation_lists, REVOCATION_LISTS_MAX, EVIDENCE_BYTES_MAX)?;
    let parcel = parcel.ok_or(Malformed::Missing { field: "evidence.parcel" })?;
    Ok(Evidence {
        header: decode_header(&header)?,
        header_bytes: header,
        sealed_sha256: Digest::new(array("evidence.sealed_sha256", &sealed_sha256)?),
        sealed: (!sealed.is_empty()).then_some(sealed),
        parcel: parcel_proof_from_pb(parcel)?,
        receipt: receipt.map(receipt_proof_from_pb).transpose()?,
        custody: custody.into_iter().map(custody_proof_from_pb).collect::<Result<_, _>>()?,
        revocation_lists,
        exported: time("evidence.exported_ms", exported_ms)?,
    })
}

fn parcel_proof_to_pb(proof: ParcelProof) -> pb::exchange::ParcelProof {
    let ParcelProof { manifest_bytes, manifest: _, signature, index, path, chain } = proof;
    pb::exchange::ParcelProof {
        manifest: manifest_bytes,
        signature,
        index,
        path: path_to_pb(&path),
        certificate_chain: chain,
    }
}

fn parcel_proof_from_pb(proof: pb::exchange::ParcelProof) -> Result<ParcelProof, Malformed> {
    let pb::exchange::ParcelProof { manifest, signature, index, path, certificate_chain } = proof;
    some("parcel_proof.signature", signature.len(), SIGNATURE_BYTES_MAX)?;
    check_chain("parcel_proof.certificate_chain", &certificate_chain)?;
    Ok(ParcelProof {
        manifest: decode_manifest(&manifest)?,
        manifest_bytes: manifest,
        signature,
        index,
        path: path_from_pb("parcel_proof.path", &path)?,
        chain: certificate_chain,
    })
}

fn receipt_proof_to_pb(proof: ReceiptProof) -> pb::exchange::ReceiptProof {
    let ReceiptProof {
        manifest_bytes,
        manifest: _,
        signature,
        index,
        disposition_bytes,
        disposition: _,
        path,
        chain,
    } = proof;
    pb::exchange::ReceiptProof {
        manifest: manifest_bytes,
        signature,
        index,
        disposition: disposition_bytes,
        path: path_to_pb(&path),
        certificate_chain: chain,
    }
}

fn receipt_proof_from_pb(proof: pb::exchange::ReceiptProof) -> Result<ReceiptProof, Malformed> {
    let pb::exchange::ReceiptProof {
        manifest,
        signature,
        index,
        disposition,
        path,
        certificate_chain,
    } = proof;
    some("receipt_proof.signature", signature.len(), SIGNATURE_BYTES_MAX)?;
    check_chain("receipt_proof.certificate_chain", &certificate_chain)?;
    Ok(ReceiptProof {
        manifest: decode_receipt_manifest(&manifest)?,
        manifest_bytes: manifest,
        signature,
        index,
        disposition: decode_disposition(&disposition)?,
        disposition_bytes: disposition,
        path: path_from_pb("receipt_proof.path", &path)?,
        chain: certificate_chain,
    })
}

fn custody_proof_to_pb(proof: CustodyProof) -> pb::exchange::CustodyReceipt {
    let CustodyProof { manifest_bytes, manifest: _, signature, chain } = proof;
    custody_to_pb(CustodyReceipt { manifest_bytes, signature, chain })
}

fn custody_proof_from_pb(word: pb::exchange::CustodyReceipt) -> Result<CustodyProof, Malformed> {
    let CustodyReceipt { manifest_bytes, signature, chain } = custody_from_pb(word)?;
    let manifest = decode_custody_manifest(&manifest_bytes)?;
    Ok(CustodyProof { manifest_bytes, manifest, signature, chain })
}

fn path_to_pb(path: &[Digest]) -> Vec<Vec<u8>> {
    path.iter().map(|hash| hash.as_bytes().to_vec()).collect()
}

fn path_from_pb(field: &'static str, path: &[Vec<u8>]) -> Result<Vec<Digest>, Malformed> {
    at_most(field, path.len(), PROOF_HASHES_MAX)?;
    path.iter().map(|hash| array(field, hash).map(Digest::new)).collect()
}
