//! The queue of signed words on their way back, toward each neighbour.

use std::ops::Bound;

use bytes::Bytes;
use domain::area::AreaCode;
use domain::time::UnixMillis;
use exchange::custody::{CustodyReceipt, Returned};
use exchange::digest::Digest;
use exchange::parcel::ParcelId;
use exchange::receipt::Receipt;
use store::messages::{Signed, peer_area, peer_key};
use store::tables::{RETURN, RETURN_BODY};
use store::transit::{ReturnKey, ReturnKind, ReturnRow};
use store::{Store, Unit};

use super::{SignedWord, chain_of, next_arrival};
use crate::app::AppError;

/// A word that is to be handed back.
#[derive(Debug)]
pub struct ToReturn<'a> {
    /// The neighbour it is handed to.
    pub toward: AreaCode,
    /// The node it is for.
    pub addressee: AreaCode,
    /// The parcel it is about.
    pub parcel: ParcelId,
    /// Whose word it is.
    pub kind: ReturnKind,
    /// The word.
    pub word: &'a SignedWord,
    /// Dispositions of a receipt, serialised.
    pub dispositions: &'a [Bytes],
}

/// Puts a word into the queue toward a neighbour. A receipt that is on its way already is not queued again.
///
/// # Errors
/// When rows cannot be read or written.
pub fn put_return(
    unit: &mut Unit<'_>,
    to_return: &ToReturn<'_>,
    now: UnixMillis,
) -> Result<(), AppError> {
    let ToReturn { toward, addressee, parcel, kind, word, dispositions } = to_return;
    let row = ReturnRow {
        addressee: *addressee,
        kind: *kind,
        word: word.word.clone(),
        parcel_id: *parcel,
        received: now,
    };
    let body = body_key(&row);
    if unit.next_position(&RETURN_BODY, &body)? > 1 {
        return Ok(());
    }
    for disposition in *dispositions {
        unit.append(&RETURN_BODY, &body, disposition)?;
    }
    let arrival = next_arrival(unit)?;
    unit.put(&RETURN, &(peer_key(*toward), arrival), &row)?;
    word.keep_chain(unit)
}

/// Words that were taken by the neighbour they were handed to.
///
/// # Errors
/// When rows cannot be read.
pub fn returned(unit: &mut Unit<'_>, taken: &[ReturnKey]) -> Result<(), AppError> {
    for key in taken {
        if let Some(row) = unit.get(&RETURN, key)? {
            unit.remove_journal(&RETURN_BODY, &body_key(&row))?;
            unit.delete(&RETURN, key);
        }
    }
    Ok(())
}

/// The next words for a neighbour, as they travel, after those that were read before; without those that are just being
/// written: rows can be seen before the journals that belong to them.
///
/// # Errors
/// When rows cannot be read.
pub fn words_for(
    store: &Store,
    toward: AreaCode,
    after: Option<&ReturnKey>,
    most: usize,
) -> Result<Vec<(ReturnKey, Returned)>, AppError> {
    let rows = store.scan_under(&RETURN, &(peer_key(toward),), after, most)?;
    let words = rows.into_iter().map(|(key, row)| Ok(word_of(store, row)?.map(|word| (key, word))));
    words.filter_map(Result::transpose).collect()
}

/// `None` when it is just being written.
fn word_of(store: &Store, row: ReturnRow) -> Result<Option<Returned>, AppError> {
    let chain = chain_of(store, row.word.signer)?;
    let body = body_key(&row);
    let kind = row.kind;
    let Signed { manifest, signature } = row.word.signed;
    let (manifest_bytes, signature) = (Bytes::from(manifest.0), Bytes::from(signature.0));
    if kind == ReturnKind::Custody {
        let word = CustodyReceipt { manifest_bytes, signature, chain };
        return Ok(Some(Returned::Custody(word)));
    }
    let manifest = wire::decode_receipt_manifest(&manifest_bytes)
        .map_err(|_| AppError::Internal("a receipt on its way back is unreadable"))?;
    let entries = store.read_from(&RETURN_BODY, &body, 1, usize::MAX, usize::MAX)?;
    if u32::try_from(entries.len()) != Ok(manifest.count) {
        return Ok(None);
    }
    let dispositions = entries.into_iter().map(|(_, entry)| Bytes::from(entry)).collect();
    let receipt = Receipt { manifest_bytes, signature, dispositions, chain };
    Ok(Some(Returned::Receipt(receipt)))
}

/// Neighbours for which there are words.
///
/// # Errors
/// When rows cannot be read.
pub fn neighbours_with_words(store: &Store) -> Result<Vec<AreaCode>, AppError> {
    let (mut found, mut after) = (Vec::new(), Bound::Unbounded);
    while let Some((key, _)) = store.scan(&RETURN, (after, Bound::Unbounded), 1)?.into_iter().next()
    {
        found.extend(peer_area(&key.0));
        after = Bound::Excluded((key.0, u64::MAX));
    }
    Ok(found)
}

fn body_key(row: &ReturnRow) -> [u8; 32] {
    Digest::of(&row.word.signed.manifest.0).into_bytes()
}
