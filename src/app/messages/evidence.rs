//! Everything that proves the way of one message, in one file.

use bytes::Bytes;
use domain::access::{AccessAction, Permission};
use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::custody::{CUSTODY_WORDS_MAX, in_order_of_way};
use exchange::digest::Digest;
use exchange::evidence::{CustodyProof, Evidence, ParcelProof, ReceiptProof, words_in_time};
use exchange::keys::Signer;
use exchange::parcel::ParcelManifest;
use exchange::tree;
use store::Store;
use store::messages::{Side, Signed};
use store::tables::{CHAIN, CUSTODY, RECEIPT};
use trust::crl::RevocationLists;
use wire::content::decode_content;
use wire::{
    decode_custody_manifest, decode_disposition, decode_header, decode_manifest,
    decode_receipt_manifest, encode_evidence,
};

use super::receipt;
use super::track::{Word, last_word};
use crate::app::access::{self, Act, NOTING};
use crate::app::{AppError, Ctx, Refusal};

/// Words about one parcel that are looked at: those of a way, and some of ways that were given up.
const WORDS_MAX: usize = 4 * CUSTODY_WORDS_MAX;
const UNREADABLE: AppError = AppError::Internal("a kept proof cannot be read");

/// The evidence of a message that was sent from here or stored here, as a serialised `EvidenceFile`.
///
/// It holds the sealed body, which only the recipient's node can open, and no other personal data.
///
/// # Errors
/// A refusal; `NOT_FOUND` when the message is not kept here, and `STATE_FORBIDS` while no receipt is.
pub async fn export(
    ctx: &Ctx,
    store: &Store,
    lists: &RevocationLists,
    signer: &dyn Signer,
    id: MessageId,
) -> Result<Vec<u8>, AppError> {
    let may = [Permission::ExchangeMessages, Permission::ReadAccessLog, Permission::OperateNode];
    if !may.into_iter().any(|permission| ctx.caller.may(permission)) {
        return Err(Reason::RoleRequired.into());
    }
    let (side, row) = super::find(store, id)?;
    let Some(word) = last_word(store, &row, side)? else {
        let detail = "no receipt has come yet; there is nothing to prove";
        return Err(Refusal::new(Reason::StateForbids).detail(detail).into());
    };
    // Rows can be read while the disk still has to take them. A unit is answered after all that came before it.
    let caller = ctx.clone();
    let act = match row.content.0.as_slice() {
        // Deleted, because a consent was withdrawn: what is left is about the way and not about a person.
        [] => Act { action: AccessAction::Export, why: NOTING, person: None, message: None },
        bytes => {
            let content = decode_content(bytes).map_err(|_| UNREADABLE)?;
            Act::with(AccessAction::Export, store, &content)?
        }
    };
    let act = Act { message: Some(id), ..act };
    store.commit(move |unit| access::note(&caller, unit, act)).await.map_err(AppError::from)?;
    let envelope = super::kept_envelope(store, &row, side)?;
    let header = decode_header(&envelope.header_bytes).map_err(|_| UNREADABLE)?;
    let parcel = parcel_proof(store, &word)?;
    let receipt = receipt_proof(ctx, store, signer, side, &word)?;
    let answered = receipt.as_ref().map(|receipt| receipt.manifest.signed);
    let custody = custody_proofs(store, &parcel.manifest, answered)?;
    let evidence = Evidence {
        header,
        sealed_sha256: envelope.sealed_sha256(),
        sealed: envelope.sealed().cloned(),
        header_bytes: envelope.header_bytes,
        parcel,
        receipt,
        custody,
        revocation_lists: lists.iter().map(|list| list.der().to_vec()).collect(),
        exported: ctx.now,
    };
    Ok(encode_evidence(evidence))
}

fn parcel_proof(store: &Store, word: &Word) -> Result<ParcelProof, AppError> {
    let signed = &word.row.parcel;
    let manifest = decode_manifest(&signed.manifest.0).map_err(|_| UNREADABLE)?;
    let dispositions = word.row.dispositions.iter().map(|d| decode_disposition(&d.0));
    let digests: Vec<Digest> = dispositions
        .map(|d| d.map(|d| d.digest))
        .collect::<Result<_, _>>()
        .map_err(|_| UNREADABLE)?;
    let leaves: Vec<_> = digests.iter().map(|d| tree::leaf_hash(d.as_bytes())).collect();
    Ok(ParcelProof {
        index: index(word)?,
        path: tree::inclusion_path(&leaves, u64::from(index(word)?)).ok_or(UNREADABLE)?,
        chain: chain(store, manifest.signer)?,
        manifest_bytes: Bytes::from(signed.manifest.0.clone()),
        signature: Bytes::from(signed.signature.0.clone()),
        manifest,
    })
}

/// The words of the relays that carried the parcel, as far as they came to us and no clock was wrong.
fn custody_proofs(
    store: &Store,
    parcel: &ParcelManifest,
    answered: Option<UnixMillis>,
) -> Result<Vec<CustodyProof>, AppError> {
    let rows = store.scan_under(&CUSTODY, &(*parcel.parcel_id.as_bytes(),), None, WORDS_MAX)?;
    let words = rows.into_iter().map(|(_, row)| {
        let Signed { manifest, signature } = row.word.signed;
        Ok(CustodyProof {
            manifest: decode_custody_manifest(&manifest.0).map_err(|_| UNREADABLE)?,
            manifest_bytes: Bytes::from(manifest.0),
            signature: Bytes::from(signature.0),
            chain: chain(store, row.word.signer)?,
        })
    });
    let words = words.collect::<Result<Vec<_>, AppError>>()?;
    let words = in_order_of_way(words, |word| &word.manifest, parcel);
    Ok(words_in_time(words, |word| word.manifest.signed, parcel.signed, answered))
}

fn receipt_proof(
    ctx: &Ctx,
    store: &Store,
    signer: &dyn Signer,
    side: Side,
    word: &Word,
) -> Result<Option<ReceiptProof>, AppError> {
    let (signed, chain) = match (store.get(&RECEIPT, &word.key)?, side) {
        (Some(signed), _) => {
            let manifest = decode_receipt_manifest(&signed.manifest.0).map_err(|_| UNREADABLE)?;
            (signed, chain(store, manifest.signer)?)
        }
        (None, Side::Received) => {
            (issue_again(ctx, store, signer, word)?, signer.chain_der().to_vec())
        }
        (None, Side::Sent) => return Ok(None),
    };
    let leaves: Vec<_> = word.row.dispositions.iter().map(|d| tree::leaf_hash(&d.0)).collect();
    let disposition = word.row.dispositions.get(word.index).ok_or(UNREADABLE)?;
    Ok(Some(ReceiptProof {
        index: index(word)?,
        path: tree::inclusion_path(&leaves, u64::from(index(word)?)).ok_or(UNREADABLE)?,
        chain,
        disposition_bytes: Bytes::from(disposition.0.clone()),
        disposition: word.disposition.clone(),
        manifest: decode_receipt_manifest(&signed.manifest.0).map_err(|_| UNREADABLE)?,
        manifest_bytes: Bytes::from(signed.manifest.0),
        signature: Bytes::from(signed.signature.0),
    }))
}

/// Our own receipt, signed again: it goes to disk one group after what it says, and a crash between the
/// two loses it. What it says was on disk before, so it is true today as well.
fn issue_again(
    ctx: &Ctx,
    store: &Store,
    signer: &dyn Signer,
    word: &Word,
) -> Result<Signed, AppError> {
    let parcel = decode_manifest(&word.row.parcel.manifest.0).map_err(|_| UNREADABLE)?;
    let dispositions = word.row.dispositions.iter().map(|d| d.0.as_slice());
    receipt::issue(store, signer, ctx.county(), &parcel, dispositions, ctx.now)
}

fn index(word: &Word) -> Result<u32, AppError> {
    u32::try_from(word.index).map_err(|_| UNREADABLE)
}

fn chain(store: &Store, signer: Digest) -> Result<Vec<Vec<u8>>, AppError> {
    let row = store.get(&CHAIN, &signer.into_bytes())?.ok_or(UNREADABLE)?;
    Ok(row.certificates.into_iter().map(|certificate| certificate.0).collect())
}
