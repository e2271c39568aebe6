//! Signing a receipt: over dispositions that are on disk, and the ledger's head at that time.

use domain::area::AreaCode;
use domain::time::UnixMillis;
use exchange::keys::{SignContext, Signer};
use exchange::parcel::ParcelManifest;
use exchange::receipt::{LedgerHead, ReceiptManifest};
use exchange::tree;
use store::Store;
use store::messages::{Blob, Signed};
use wire::encode_receipt_manifest;

use crate::app::AppError;

/// Signs what became of a parcel. To be called after the dispositions are on disk, never before.
///
/// # Errors
/// When the node's key does not sign.
pub fn issue<'a>(
    store: &Store,
    signer: &dyn Signer,
    own: AreaCode,
    parcel: &ParcelManifest,
    dispositions: impl Iterator<Item = &'a [u8]>,
    now: UnixMillis,
) -> Result<Signed, AppError> {
    let leaves: Vec<_> = dispositions.map(tree::leaf_hash).collect();
    let (head, signed) = store.head_to_sign(now);
    let manifest = ReceiptManifest {
        parcel_id: parcel.parcel_id,
        parcel_root: parcel.root,
        from: own,
        to: parcel.from,
        count: parcel.count,
        root: tree::root(&leaves),
        ledger_head: LedgerHead { size: head.size, root: head.root },
        signed,
        signer: signer.signer_id(),
    };
    let bytes = encode_receipt_manifest(&manifest);
    let signature = signer
        .sign(SignContext::Receipt, &bytes)
        .map_err(|error| AppError::Signing(error.to_string()))?;
    Ok(Signed { manifest: Blob(bytes), signature: Blob(signature) })
}
