//! Which messages of a sender are still under way here: asked for by one that has lost its own books of it.

use std::collections::BTreeSet;

use domain::area::AreaCode;
use domain::id::MessageId;
use exchange::parcel::ParcelId;
use exchange::reconcile::calls::HELD_MAX;
use store::Store;
use store::tables::{TRANSIT, TRANSIT_QUEUE};
use wire::decode_header;

use super::{ROWS_AT_ONCE, load};
use crate::app::AppError;

/// Messages of a sender that a relay holds and has not handed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldHere {
    /// Their ids.
    pub messages: BTreeSet<MessageId>,
    /// There may be others: more than are named, or such as are just being written.
    pub more: bool,
}

/// What is held here of a sender's.
///
/// # Errors
/// When rows cannot be read.
pub fn held_of(store: &Store, sender: AreaCode) -> Result<HeldHere, AppError> {
    let mut held = HeldHere::default();
    for page in store.pages(&TRANSIT_QUEUE, .., ROWS_AT_ONCE) {
        for (_, key) in page? {
            let row = store.get(&TRANSIT, &key)?;
            let Some(row) = row.filter(|row| row.from == sender && row.state.is_held()) else {
                continue;
            };
            let Some(waiting) = load(store, ParcelId::from_bytes(key), row)? else {
                held.more = true;
                continue;
            };
            for envelope in waiting.parcel.envelopes {
                match decode_header(&envelope.header_bytes) {
                    Ok(header) if held.messages.len() < HELD_MAX => {
                        held.messages.insert(header.message_id);
                    }
                    Ok(_) | Err(_) => held.more = true,
                }
            }
        }
    }
    Ok(held)
}
