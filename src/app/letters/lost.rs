//! Mail that waits for a recipient who will never take it.

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::UnixMillis;
use exchange::lane::{LaneEpoch, LaneSeq};
use store::Store;
use store::letters::{DeadReason, NoticeKind};
use store::messages::{LaneKey, Side, side_key};
use store::tables::{ENVELOPE, WITHDRAWN};
use wire::decode_header;

use super::lose;
use crate::app::each::each;
use crate::app::messages::{envelope_of, settle};
use crate::app::{AppError, notices};

/// Epochs of one peer that are looked at.
const EPOCHS_MAX: usize = 1_000;

/// Puts what waits for a peer that has ended its service on the list of dead letters, at most `most` messages at
/// a time. Says how many.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn retired(
    store: &Store,
    peer: AreaCode,
    most: usize,
    now: UnixMillis,
) -> Result<usize, AppError> {
    let mut waiting = Vec::new();
    for lane in store.journals_under(&ENVELOPE, &(side_key(Side::Sent, peer),), EPOCHS_MAX)? {
        let room = most.saturating_sub(waiting.len());
        waiting.extend(waiting_in(store, peer, lane, room)?);
    }
    if waiting.is_empty() {
        return Ok(0);
    }
    let lost = each(store, waiting, move |unit, id| {
        lose(unit, *id, DeadReason::RecipientRetired, now).map(usize::from)
    });
    let lost = lost.await?;
    for (message, error) in &lost.failed {
        tracing::error!(%message, %error, "mail for a retired peer could not be given up");
    }
    let told = store
        .commit(move |unit| notices::raise(unit, now, NoticeKind::Retired { area: peer }, &[]));
    told.await.map_err(AppError::from)?;
    Ok(lost.done)
}

/// Messages of a lane that have no final answer and still travel with their bodies, at most `most`.
fn waiting_in(
    store: &Store,
    peer: AreaCode,
    key: LaneKey,
    most: usize,
) -> Result<Vec<MessageId>, AppError> {
    let lane = settle::lane_in_epoch(store, peer, LaneEpoch::new(key.1))?;
    let mut waiting = Vec::new();
    let mut sequence = lane.settled_through().next();
    while sequence <= lane.last_assigned() && waiting.len() < most {
        if !lane.is_settled(sequence) && !is_withdrawn(store, key, sequence)? {
            waiting.extend(message_at(store, key, sequence)?);
        }
        sequence = sequence.next();
    }
    Ok(waiting)
}

fn is_withdrawn(store: &Store, key: LaneKey, sequence: LaneSeq) -> Result<bool, AppError> {
    Ok(store.get(&WITHDRAWN, &(key.0, key.1, sequence.get()))?.is_some())
}

fn message_at(
    store: &Store,
    key: LaneKey,
    sequence: LaneSeq,
) -> Result<Option<MessageId>, AppError> {
    let entry = store.read(&ENVELOPE, &key, sequence.get())?;
    let header = entry.and_then(envelope_of);
    let header = header.and_then(|envelope| decode_header(&envelope.header_bytes).ok());
    Ok(header.map(|header| header.message_id))
}
