//! Books: for every message the last word of one side, by county and month.
//!
//! A node's own book is written after the fact from what is on disk anyway, the ledger and the receipts, so that nothing is
//! added to the way of a message but a note a parcel.

use std::collections::BTreeMap;

use domain::area::AreaCode;
use domain::reason::Reason;
use exchange::digest::Digest;
use exchange::ledger::{Direction, LedgerEntry};
use exchange::receipt::{Disposition, Outcome};
use exchange::reconcile::set::{EntrySet, Scope};
use exchange::reconcile::told::{read_record, record};
use exchange::reconcile::{Entry, book};
use store::messages::{ParcelKey, Side, peer_area, peer_key};
use store::reconcile::{BookCursorRow, BookKey, Change, RefusedRow, month_key};
use store::tables::{BOOK, BOOK_CHANGE, BOOK_CURSOR, PARCEL, REFUSED, REPORTED};
use store::{Store, Unit};
use wire::decode_disposition;

use crate::app::AppError;

/// Entries of the ledger, and changes, that are taken in one unit.
const ENTRIES_AT_ONCE: usize = 4_096;
const CHANGES_AT_ONCE: usize = 64;
/// Bytes of a journal that are read in one go.
const BYTES_AT_ONCE: usize = 1024 * 1024;

/// Notes what changes an entry beside the ledger, in the unit in which it changes.
///
/// # Errors
/// When it cannot be written.
pub fn note(unit: &mut Unit<'_>, change: &Change) -> Result<(), AppError> {
    let bytes = postcard::to_allocvec(change)
        .map_err(|_| AppError::Internal("a change has no stored form"))?;
    unit.append(&BOOK_CHANGE, &(), &bytes)?;
    Ok(())
}

/// Brings the own book up to what is on disk.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn advance(store: &Store, own: AreaCode) -> Result<(), AppError> {
    // What was handed in before this is on disk after it.
    store.commit(|_| Ok::<_, AppError>(())).await.map_err(AppError::from)?;
    loop {
        let cursor = store.get(&BOOK_CURSOR, &())?.unwrap_or_default();
        let (next, records) = read(store, own, cursor)?;
        if next == cursor {
            return Ok(());
        }
        let write = move |unit: &mut Unit<'_>| {
            // Somebody else may have been quicker.
            if unit.get(&BOOK_CURSOR, &())?.unwrap_or_default() == cursor {
                for (key, record) in &records {
                    unit.append(&BOOK, key, record)?;
                }
                unit.put(&BOOK_CURSOR, &(), &next)?;
            }
            Ok::<_, AppError>(())
        };
        store.commit(write).await.map_err(AppError::from)?;
    }
}

type Records = Vec<(BookKey, Vec<u8>)>;

/// What comes after the cursor: entries of the ledger first, since changes are about them.
fn read(
    store: &Store,
    own: AreaCode,
    cursor: BookCursorRow,
) -> Result<(BookCursorRow, Records), AppError> {
    // Read before the ledger, so that whatever these changes are about is in it.
    let last_change = store.last(&BOOK_CHANGE, &())?.unwrap_or_default();
    let entries = store.ledger_entries(cursor.ledger, ENTRIES_AT_ONCE, BYTES_AT_ONCE)?;
    let mut records = Vec::new();
    if let Some((last, _)) = entries.last() {
        let next = BookCursorRow { ledger: last.saturating_add(1), ..cursor };
        for (_, bytes) in &entries {
            match LedgerEntry::from_canonical(bytes) {
                Some(entry) => records.push(kept(own, book::of_ledger(&entry))),
                // A comparison finds what it was about; the others are told all the same.
                None => {
                    tracing::error!(after = cursor.ledger, "an entry of the ledger cannot be read")
                }
            }
        }
        return Ok((next, records));
    }
    let (from, room) = (cursor.change.saturating_add(1), BYTES_AT_ONCE);
    let changes = store.read_from(&BOOK_CHANGE, &(), from, CHANGES_AT_ONCE, room)?;
    let mut next = cursor;
    for (at, bytes) in changes.into_iter().filter(|(at, _)| *at <= last_change) {
        match postcard::from_bytes(&bytes) {
            Ok(Change::Parcel(key)) => of_parcel(store, own, &key, &mut records)?,
            Ok(Change::Word(side, entry)) => records.push(kept(own, (side, entry))),
            Err(_) => tracing::error!(at, "a change of the book cannot be read"),
        }
        next.change = at;
    }
    Ok((next, records))
}

/// Notes where the receipt is that refuses messages between us and `peer`; the first refusal of each counts.
///
/// # Errors
/// When it cannot be written.
pub fn note_refusals<'a>(
    unit: &mut Unit<'_>,
    peer: AreaCode,
    parcel: ParcelKey,
    said: impl IntoIterator<Item = &'a Disposition>,
) -> Result<(), AppError> {
    for said in said.into_iter().filter(|said| is_refusal(said)) {
        let message = (*said.message_id.as_bytes(), peer_key(peer));
        if !said.duplicate || !unit.contains(&REFUSED, &message)? {
            unit.put(&REFUSED, &message, &RefusedRow { parcel })?;
        }
    }
    Ok(())
}

/// Whether a disposition refuses its message for ever; a conflict is about a place, and says nothing of a message.
#[must_use]
pub fn is_refusal(said: &Disposition) -> bool {
    match said.outcome {
        Outcome::Refused { reason, .. } => reason != Reason::Conflict,
        Outcome::Stored | Outcome::Deferred { .. } => false,
    }
}

/// What goes into the own book.
fn kept(own: AreaCode, (direction, entry): (Direction, Entry)) -> (BookKey, Vec<u8>) {
    let key = (peer_key(own), month_key(entry.day().month()), 0);
    (key, record(direction, &entry))
}

/// What the dispositions of a parcel say of our entries.
fn of_parcel(
    store: &Store,
    own: AreaCode,
    key: &ParcelKey,
    records: &mut Records,
) -> Result<(), AppError> {
    let Some(row) = store.get(&PARCEL, key)? else { return Ok(()) };
    let [side, peer @ ..] = key.0;
    let (Some(side), Some(peer)) = (Side::from_byte(side), peer_area(&peer)) else { return Ok(()) };
    let (direction, pair) = match side {
        Side::Sent => (Direction::Sent, (own, peer)),
        Side::Received => (Direction::Received, (peer, own)),
    };
    for bytes in &row.dispositions {
        let Ok(said) = decode_disposition(&bytes.0) else { continue };
        let word = book::of_disposition(direction, pair, &said);
        records.extend(word.map(|word| kept(own, word)));
    }
    Ok(())
}

/// The entries of a scope that the node of `own` holds: its own, and those of the counties below it.
///
/// # Errors
/// When rows cannot be read.
pub fn load(store: &Store, own: AreaCode, scope: &Scope) -> Result<EntrySet, AppError> {
    let mut set = EntrySet::new();
    for (key, county) in of_days(store, own, scope)? {
        read_book(store, &key, |direction, entry| {
            let by_its_side = match direction {
                Direction::Sent => entry.from == county,
                Direction::Received => entry.to == county,
            };
            let speaks = direction == scope.side_of(own, entry.from);
            if by_its_side && speaks && scope.holds(entry.id, entry.from, entry.to) {
                set.hear(direction, entry);
            }
        })?;
    }
    Ok(set)
}

/// How far the books are in which the days of a scope stand: another value after anything was written into one of them, or
/// one counts that did not.
///
/// # Errors
/// When rows cannot be read.
pub fn mark(store: &Store, own: AreaCode, scope: &Scope) -> Result<Digest, AppError> {
    let mut parts = Vec::new();
    for (key, _) in of_days(store, own, scope)? {
        let (county, month, incarnation) = key;
        let last = store.last(&BOOK, &key)?.unwrap_or_default();
        parts.extend_from_slice(&county);
        parts.extend_from_slice(&month.to_be_bytes());
        parts.extend_from_slice(&incarnation.to_be_bytes());
        parts.extend_from_slice(&last.to_be_bytes());
    }
    Ok(Digest::of(&parts))
}

/// The books in which the days of a scope stand, with their counties.
fn of_days(
    store: &Store,
    own: AreaCode,
    scope: &Scope,
) -> Result<Vec<(BookKey, AreaCode)>, AppError> {
    let months = month_key(scope.first.month())..=month_key(scope.last.month());
    let mut books = Vec::new();
    for key in store.journals_under(&BOOK, &(), usize::MAX)? {
        if months.contains(&key.1) {
            books.extend(in_force(store, own, &key)?.map(|county| (key, county)));
        }
    }
    Ok(books)
}

/// The county of a book, if it is what the county says now.
fn in_force(
    store: &Store,
    own: AreaCode,
    (key, _, incarnation): &BookKey,
) -> Result<Option<AreaCode>, AppError> {
    let Some(county) = peer_area(key).filter(|county| own.contains(county)) else {
        return Ok(None);
    };
    let present = match county == own {
        true => 0,
        false => match store.get(&REPORTED, key)? {
            Some(row) => row.incarnation,
            None => return Ok(None),
        },
    };
    Ok((present == *incarnation).then_some(county))
}

/// Reads a whole book, in the order in which it was written.
///
/// # Errors
/// When it cannot be read.
pub fn read_book(
    store: &Store,
    key: &BookKey,
    mut take: impl FnMut(Direction, Entry),
) -> Result<(), AppError> {
    let mut from = 1;
    loop {
        let records = store.read_from(&BOOK, key, from, ENTRIES_AT_ONCE, BYTES_AT_ONCE)?;
        let Some((last, _)) = records.last() else { return Ok(()) };
        from = last.saturating_add(1);
        for (_, bytes) in &records {
            match read_record(bytes) {
                Some((direction, entry)) => take(direction, entry),
                None => tracing::error!(month = key.1, "a record of a book cannot be read"),
            }
        }
    }
}

/// How far each book of a county reaches, by month: of an incarnation of its data.
///
/// # Errors
/// When rows cannot be read.
pub fn positions(
    store: &Store,
    county: AreaCode,
    incarnation: u32,
) -> Result<BTreeMap<u32, u64>, AppError> {
    let keys = store.journals_under(&BOOK, &(peer_key(county),), usize::MAX)?;
    let mut positions = BTreeMap::new();
    for key in keys.into_iter().filter(|key| key.2 == incarnation) {
        positions.insert(key.1, store.last(&BOOK, &key)?.unwrap_or_default());
    }
    Ok(positions)
}
