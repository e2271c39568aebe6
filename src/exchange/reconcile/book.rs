//! What a book says of a message, by what its owner holds: entries of its ledger, and dispositions of parcels.

use domain::area::AreaCode;
use domain::reason::Reason;

use super::Entry;
use super::EntryState;
use crate::ledger::Direction;
use crate::ledger::LedgerEntry;
use crate::receipt::Disposition;
use crate::receipt::Outcome;
use crate::receipt::nil_message_id;

/// What an entry of the owner's ledger says.
#[must_use]
pub const fn of_ledger(entry: &LedgerEntry) -> (Direction, Entry) {
    let state = match entry.direction {
        Direction::Sent => EntryState::Waiting,
        Direction::Received => EntryState::Stored,
    };
    let LedgerEntry { message_id: id, digest, from, to, direction, .. } = *entry;
    (direction, Entry { id, digest, from, to, state })
}

/// What a disposition says, of a parcel between two counties, that the owner of the book has sent or received. `None` for
/// what is not final, for a conflict, which is about a place whose message has its own entry, and for what the ledger of
/// the recipient says already, and for an envelope whose message could not be read or had impossible times.
#[must_use]
pub fn of_disposition(
    direction: Direction,
    (from, to): (AreaCode, AreaCode),
    said: &Disposition,
) -> Option<(Direction, Entry)> {
    let state = match &said.outcome {
        Outcome::Deferred { .. } | Outcome::Refused { reason: Reason::Conflict, .. } => {
            return None;
        }
        Outcome::Refused { .. } => EntryState::Refused,
        Outcome::Stored => EntryState::Stored,
    };
    if said.message_id == nil_message_id() {
        return None;
    }
    if direction == Direction::Received && (state == EntryState::Stored || said.duplicate) {
        return None;
    }
    let entry = Entry { id: said.message_id, digest: said.digest, from, to, state };
    Some((direction, entry))
}
