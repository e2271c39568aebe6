//! Receipts and their manifests.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use exchange::digest::Digest;
use exchange::parcel::CERTIFICATE_BYTES_MAX;
use exchange::parcel::CHAIN_CERTIFICATES_MAX;
use exchange::parcel::FRAME_BYTES_MAX;
use exchange::parcel::MANIFEST_BYTES_MAX;
use exchange::parcel::PARCEL_ENVELOPES_MAX;
use exchange::parcel::ParcelId;
use exchange::parcel::SIGNATURE_BYTES_MAX;
use exchange::receipt::DISPOSITION_BYTES_MAX;
use exchange::receipt::Disposition;
use exchange::receipt::LedgerHead;
use exchange::receipt::Receipt;
use exchange::receipt::ReceiptManifest;
use prost::Message;

use crate::disposition::decode_disposition;
use crate::fields::array;
use crate::fields::check_ders;
use crate::fields::node_area;
use crate::fields::some;
use crate::fields::time;
use crate::malformed::Malformed;
use crate::pb;

/// Serialises a manifest: the bytes that are signed.
#[must_use]
pub fn encode_receipt_manifest(manifest: &ReceiptManifest) -> Vec<u8> {
    let ReceiptManifest {
        parcel_id,
        parcel_root,
        from,
        to,
        count,
        root,
        ledger_head,
        signed,
        signer,
    } = manifest;
    let manifest = pb::exchange::ReceiptManifest {
        parcel_id: parcel_id.as_bytes().to_vec(),
        parcel_root: parcel_root.as_bytes().to_vec(),
        from: from.to_string(),
        to: to.to_string(),
        count: *count,
        root: root.as_bytes().to_vec(),
        ledger_head: Some(ledger_head_to_pb(ledger_head)),
        signed_ms: signed.get(),
        signer: signer.as_bytes().to_vec(),
    };
    manifest.encode_to_vec()
}

/// Reads a manifest.
///
/// # Errors
/// [`Malformed`] names the first field that is not as the protocol says.
pub fn decode_receipt_manifest(bytes: &[u8]) -> Result<ReceiptManifest, Malformed> {
    some("receipt", bytes.len(), MANIFEST_BYTES_MAX)?;
    let pb::exchange::ReceiptManifest {
        parcel_id,
        parcel_root,
        from,
        to,
        count,
        root,
        ledger_head,
        signed_ms,
        signer,
    } = pb::exchange::ReceiptManifest::decode(bytes)?;
    let ledger_head = ledger_head.ok_or(Malformed::Missing { field: "receipt.ledger_head" })?;
    Ok(ReceiptManifest {
        parcel_id: ParcelId::from_bytes(array("receipt.parcel_id", &parcel_id)?),
        parcel_root: Digest::new(array("receipt.parcel_root", &parcel_root)?),
        from: node_area("receipt.from", from.as_bytes())?,
        to: node_area("receipt.to", to.as_bytes())?,
        count,
        root: Digest::new(array("receipt.root", &root)?),
        ledger_head: ledger_head_from_pb(&ledger_head)?,
        signed: time("receipt.signed_ms", signed_ms)?,
        signer: Digest::new(array("receipt.signer", &signer)?),
    })
}

/// A ledger head as a generated type.
#[must_use]
pub fn ledger_head_to_pb(head: &LedgerHead) -> pb::exchange::LedgerHead {
    let LedgerHead { size, root } = head;
    pb::exchange::LedgerHead { size: *size, root: root.as_bytes().to_vec() }
}

/// A ledger head from its generated type.
///
/// # Errors
/// [`Malformed`] when the root is not a hash.
pub fn ledger_head_from_pb(head: &pb::exchange::LedgerHead) -> Result<LedgerHead, Malformed> {
    let pb::exchange::LedgerHead { size, root } = head;
    Ok(LedgerHead { size: *size, root: Digest::new(array("ledger_head.root", root)?) })
}

/// A receipt as a generated type; moves the bytes.
#[must_use]
pub fn receipt_to_pb(receipt: Receipt) -> pb::exchange::Receipt {
    let Receipt { manifest_bytes, signature, dispositions, chain } = receipt;
    pb::exchange::Receipt {
        manifest: manifest_bytes,
        signature,
        dispositions,
        certificate_chain: chain,
    }
}

/// A receipt from its generated type; moves the bytes. Manifest and dispositions are decoded by the caller.
///
/// # Errors
/// [`Malformed`] when a limit of the protocol is exceeded or a part is missing.
pub fn receipt_from_pb(receipt: pb::exchange::Receipt) -> Result<Receipt, Malformed> {
    let pb::exchange::Receipt { manifest, signature, dispositions, certificate_chain } = receipt;
    some("receipt.manifest", manifest.len(), MANIFEST_BYTES_MAX)?;
    some("receipt.signature", signature.len(), SIGNATURE_BYTES_MAX)?;
    some("receipt.dispositions", dispositions.len(), PARCEL_ENVELOPES_MAX)?;
    let fits = |bytes: &Bytes| some("receipt.dispositions", bytes.len(), DISPOSITION_BYTES_MAX);
    dispositions.iter().try_for_each(fits)?;
    check_ders(
        "receipt.certificate_chain",
        &certificate_chain,
        CHAIN_CERTIFICATES_MAX,
        CERTIFICATE_BYTES_MAX,
    )?;
    Ok(Receipt { manifest_bytes: manifest, signature, dispositions, chain: certificate_chain })
}

/// Reads all dispositions of a receipt, in their order.
///
/// # Errors
/// [`Malformed`] of the first that cannot be read.
pub fn decode_dispositions(receipt: &Receipt) -> Result<Vec<Disposition>, Malformed> {
    receipt.dispositions.iter().map(|bytes| decode_disposition(bytes)).collect()
}

/// Serialises a whole receipt, as bundles and the store hold it.
#[must_use]
pub fn encode_receipt(receipt: Receipt) -> Vec<u8> {
    receipt_to_pb(receipt).encode_to_vec()
}

/// Reads a whole receipt; its parts share the given bytes.
///
/// # Errors
/// As [`receipt_from_pb`].
pub fn decode_receipt(bytes: Bytes) -> Result<Receipt, Malformed> {
    some("receipt", bytes.len(), FRAME_BYTES_MAX)?;
    receipt_from_pb(pb::exchange::Receipt::decode(bytes)?)
}
