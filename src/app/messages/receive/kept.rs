//! A parcel that came, with what was said about each of its envelopes: what later duplicates are answered by.

use bytes::Bytes;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::lane::LaneEpoch;
use exchange::receipt::{Disposition, Outcome};
use store::Unit;
use store::messages::{Blob, ChainRow, EnvelopeKey, ParcelKey, ParcelRow, Side};
use store::reconcile::Change;
use store::tables::{CHAIN, PARCEL};
use wire::{decode_disposition, encode_disposition};

use super::{Arrived, Item};
use crate::app::AppError;
use crate::app::reconcile::books;
use crate::app::relay::keep_custody;

/// Keeps a parcel with what was said about its envelopes, as far as it is said. Gives its place and the dispositions.
pub(super) fn keep(
    unit: &mut Unit<'_>,
    arrived: &Arrived,
    sequences: Vec<u64>,
    said: Vec<Disposition>,
    now: UnixMillis,
) -> Result<(ParcelKey, Vec<Bytes>), AppError> {
    let (key, said, dispositions) = write(unit, arrived, sequences, said)?;
    if said.iter().any(|said| matches!(said.outcome, Outcome::Refused { .. })) {
        // What is stored has its entry in the ledger; a refusal has none.
        books::note(unit, &Change::Parcel(key))?;
        books::note_refusals(unit, arrived.peer, key, &said)?;
    }
    for word in &arrived.words {
        keep_custody(unit, arrived.parcel_id, word, now)?;
    }
    Ok((key, dispositions))
}

/// Writes a parcel and what was said about its envelopes, and nothing that follows from it.
pub(super) fn write(
    unit: &mut Unit<'_>,
    arrived: &Arrived,
    sequences: Vec<u64>,
    mut said: Vec<Disposition>,
) -> Result<(ParcelKey, Vec<Disposition>, Vec<Bytes>), AppError> {
    let key = parcel_key(arrived, &sequences);
    if let Some(first) = unit.get(&PARCEL, &key)? {
        said_before(&first, &mut said);
    }
    let dispositions: Vec<_> = said.iter().map(|d| Bytes::from(encode_disposition(d))).collect();
    keep_parcel(unit, arrived, &key, sequences, &dispositions)?;
    Ok((key, said, dispositions))
}

/// Where a parcel is kept.
fn parcel_key(arrived: &Arrived, sequences: &[u64]) -> ParcelKey {
    let epochs = arrived.items.iter().filter_map(|item| match item {
        Item::Ours(opened) => Some(opened.header.epoch),
        Item::Astray(_) => None,
    });
    let epoch = epochs.min().unwrap_or(LaneEpoch::new(0));
    // What has no place in the lane must not draw the parcel away from where the others are looked for.
    let first = sequences.iter().copied().filter(|place| *place > 0).min().unwrap_or_default();
    let (side, epoch) = EnvelopeKey::of(Side::Received, arrived.peer, epoch).key();
    (side, epoch, first, *arrived.parcel_id.as_bytes())
}

/// A relay hands the very same parcel over again when it has missed the answer. What was said finally then is said
/// again: it is the original that later duplicates are answered by, and must not be lost under them.
fn said_before(first: &ParcelRow, said: &mut [Disposition]) {
    for (said, bytes) in said.iter_mut().zip(&first.dispositions) {
        match decode_disposition(&bytes.0) {
            Ok(before) if before.outcome.is_final() && before.digest == said.digest => {
                *said = before
            }
            Ok(_) | Err(_) => {}
        }
    }
}

fn keep_parcel(
    unit: &mut Unit<'_>,
    arrived: &Arrived,
    key: &ParcelKey,
    sequences: Vec<u64>,
    dispositions: &[Bytes],
) -> Result<(), AppError> {
    let row = ParcelRow {
        parcel_id: arrived.parcel_id,
        parcel: arrived.signed.clone(),
        sequences,
        dispositions: dispositions.iter().map(|d| Blob(d.to_vec())).collect(),
    };
    unit.put(&PARCEL, key, &row)?;
    keep_chain(unit, arrived.signer, &arrived.chain)
}

/// Keeps a chain that signed something, once.
pub(crate) fn keep_chain(
    unit: &mut Unit<'_>,
    signer: Digest,
    chain: &[Vec<u8>],
) -> Result<(), AppError> {
    let key = signer.into_bytes();
    if !unit.contains(&CHAIN, &key)? {
        let certificates = chain.iter().map(|c| Blob(c.clone())).collect();
        unit.put(&CHAIN, &key, &ChainRow { certificates })?;
    }
    Ok(())
}

/// Of two answers about one place, that about the envelope with `digest`; otherwise the earlier one. What
/// was answered as a duplicate when it first came to this place (its message had come in another epoch) has
/// no other answer here.
pub(super) fn original(
    first: Option<Disposition>,
    said: Disposition,
    digest: Digest,
) -> Option<Disposition> {
    if !said.outcome.is_final() || (said.duplicate && first.is_some()) {
        return first;
    }
    match first {
        Some(first) if first.digest == digest => Some(first),
        Some(first) if said.digest != digest && first.decided <= said.decided => Some(first),
        _ => Some(said),
    }
}
