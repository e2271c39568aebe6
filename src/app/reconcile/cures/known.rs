//! What a sender can say by itself: its message is stored, in an envelope that it has sealed before its last one.

use std::collections::{BTreeMap, BTreeSet};

use domain::area::AreaCode;
use domain::id::MessageId;
use exchange::ledger::Direction;
use exchange::reconcile::cure::is_known;
use exchange::reconcile::difference::{Difference, DifferenceName};
use exchange::reconcile::set::EntrySet;
use exchange::reconcile::{Entry, EntryState};
use store::reconcile::Change;
use store::{Store, Unit};

use crate::app::reconcile::books;
use crate::app::{AppError, blocking};

/// Takes into our book what recipients say of messages of ours that we have sealed anew since, where their signed receipts
/// say that they have them. Says which those are: nothing more is owed for them.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn settle_known(
    store: &Store,
    own: AreaCode,
    differences: &[Difference],
) -> Result<BTreeSet<MessageId>, AppError> {
    let differ = differences.iter().filter(|it| it.name == DifferenceName::StateDiffers);
    let theirs = differ.filter_map(|it| it.recipient.zip(it.sender)).filter(|(theirs, ours)| {
        let is_stored = |entry: &Entry| entry.state == EntryState::Stored;
        theirs.from == own && is_stored(theirs) && is_stored(ours) && theirs.digest != ours.digest
    });
    let theirs = theirs.map(|(theirs, _)| theirs);
    let theirs: BTreeMap<MessageId, Entry> = theirs.map(|entry| (entry.id, entry)).collect();
    if theirs.is_empty() {
        return Ok(BTreeSet::new());
    }
    let reading = store.clone();
    let known = blocking(move || known(&reading, own, theirs)).await?;
    let ids = known.iter().map(|entry| entry.id).collect();
    let write = move |unit: &mut Unit<'_>| {
        known.into_iter().try_for_each(|it| books::note(unit, &Change::Word(Direction::Sent, it)))
    };
    store.commit(write).await.map_err(AppError::from)?;
    Ok(ids)
}

/// What recipients say that our book bears out.
fn known(
    store: &Store,
    own: AreaCode,
    theirs: BTreeMap<MessageId, Entry>,
) -> Result<Vec<Entry>, AppError> {
    let books: BTreeSet<_> = theirs.values().map(|entry| books::own_key(own, entry)).collect();
    let mut ours = EntrySet::new();
    for book in &books {
        books::read_book(store, book, |direction, entry| {
            if direction == Direction::Sent && theirs.contains_key(&entry.id) {
                ours.hear(direction, entry);
            }
        })?;
    }
    let is_borne_out = |entry: &Entry| ours.told(entry.id).is_some_and(|own| is_known(&own, entry));
    Ok(theirs.into_values().filter(is_borne_out).collect())
}
