//! The own book, and what changes it beside the ledger: `app::reconcile::books`.

use domain::reason::Reason;
use exchange::ledger::Direction;
use exchange::receipt::{Disposition, Outcome};
use exchange::reconcile::{Entry, book};

use super::Around;
use crate::disk::rows::{Change, Key, Row, Side};
use crate::disk::unit::Unit;
use crate::plan::NodeNo;

/// Notes what changes an entry, in the unit in which it changes.
pub(super) fn note(change: Change, unit: &mut Unit<'_>) {
    let last = unit.last(Key::Change(0)..=Key::Change(u64::MAX));
    let next = if let Some(Key::Change(last)) = last { last + 1 } else { 0 };
    unit.put(Key::Change(next), change);
}

/// Notes where the receipt is that refuses messages between us and a peer; the first refusal of each counts.
pub(super) fn note_refusals(peer: NodeNo, parcel: Key, said: &[Disposition], unit: &mut Unit<'_>) {
    for said in said.iter().filter(|said| is_refusal(said)) {
        let key = Key::Refused(peer, said.message_id);
        if !said.duplicate || !unit.contains(&key) {
            unit.put(key, Change::Parcel(parcel));
        }
    }
}

/// Whether a disposition refuses its message for ever; a conflict is about a place.
pub(super) fn is_refusal(said: &Disposition) -> bool {
    match said.outcome {
        Outcome::Refused { reason, .. } => reason != Reason::Conflict,
        Outcome::Stored | Outcome::Deferred { .. } => false,
    }
}

/// Brings the book up to what is on disk: entries of the ledger first, since changes are about them.
pub(super) fn advance(unit: &mut Unit<'_>, around: &Around<'_>) {
    let from = |key, unit: &Unit<'_>| unit.get(&key).and_then(Row::number).unwrap_or(0);
    let (ledger, change) = (from(Key::BookLedger, unit), from(Key::BookChange, unit));
    let (mut next_entry, mut next_change) = (ledger, change);
    let mut records = Vec::new();
    for (_, row) in unit.scan(Key::Ledger(ledger)..=Key::Ledger(u64::MAX)) {
        if let Row::Ledger(entry) = row {
            records.push(book::of_ledger(&entry));
            next_entry += 1;
        }
    }
    for (_, row) in unit.scan(Key::Change(change)..=Key::Change(u64::MAX)) {
        let Some(change) = row.change() else { continue };
        next_change += 1;
        match **change {
            Change::Parcel(key) => of_parcel(key, unit, around, &mut records),
            Change::Word(direction, entry) => records.push((direction, entry)),
        }
    }
    let last = unit.last(Key::Book(0)..=Key::Book(u64::MAX));
    let next = if let Some(Key::Book(last)) = last { last + 1 } else { 0 };
    for (position, record) in (next..).zip(records) {
        unit.put(Key::Book(position), record);
    }
    unit.put(Key::BookLedger, Row::Number(next_entry));
    unit.put(Key::BookChange, Row::Number(next_change));
}

fn of_parcel(
    key: Key,
    unit: &Unit<'_>,
    around: &Around<'_>,
    records: &mut Vec<(Direction, Entry)>,
) {
    let Key::Parcel(side, peer, ..) = key else { return };
    let Some(row) = unit.get(&key).and_then(Row::parcel) else { return };
    let (own, peer) = (around.area, around.plan.area(peer));
    let (direction, pair) = match side {
        Side::Sent => (Direction::Sent, (own, peer)),
        Side::Received => (Direction::Received, (peer, own)),
    };
    let said = row.dispositions.iter();
    records.extend(said.filter_map(|said| book::of_disposition(direction, pair, said)));
}
