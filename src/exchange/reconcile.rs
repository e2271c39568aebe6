//! Reconciliation: two sides find out in what their ledgers differ, for about what the differences weigh.
//!
//! Each side has a set of [`Entry`]s. An entry becomes an [`Item`] of 32 bytes, so that equal entries are equal items.
//! Two sets of items are compared with a rateless sketch ([`symbol`], [`decoder`]) after Yang, Gilad, Alizadeh,
//! "Practical Rateless Set Reconciliation", SIGCOMM 2024: one side streams coded symbols, the other subtracts its own
//! and peels, and stops the stream after about 1.35 symbols a difference. [`session`] is the conversation around it,
//! [`difference`] gives each difference its name.

pub mod book;
pub mod calls;
pub mod cure;
pub mod decoder;
pub mod difference;
pub mod key;
pub mod packed;
mod parts;
pub mod session;
pub mod set;
pub mod statement;
pub mod symbol;
pub mod told;

#[cfg(test)]
mod tests;

use bytes::BufMut as _;
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::Date;
use serde::Deserialize;
use serde::Serialize;

use crate::digest::Digest;

/// Bytes of an item.
pub const ITEM_BYTES: usize = 32;
/// What a set may hold at most; a larger one is split by the caller, month by month.
pub const ENTRIES_MAX: u64 = 20_000_000;

const CONTEXT: &[u8] = b"liangdi/v1";

/// What a side says became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EntryState {
    /// The sender has no receipt for it.
    Waiting,
    /// The recipient has it.
    Stored,
    /// The recipient has refused it.
    Refused,
}

impl EntryState {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Stored, Self::Refused];

    /// The byte that stands for it in an item.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Waiting => 1,
            Self::Stored => 2,
            Self::Refused => 3,
        }
    }

    /// From that byte.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Waiting),
            2 => Some(Self::Stored),
            3 => Some(Self::Refused),
            _ => None,
        }
    }

    /// Its name in statements and commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "WAITING",
            Self::Stored => "STORED",
            Self::Refused => "REFUSED",
        }
    }
}

/// What one side says about one message. Its day is that of the id, so both sides count it to the same day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The message.
    pub id: MessageId,
    /// Digest of its envelope.
    pub digest: Digest,
    /// County that sent it.
    pub from: AreaCode,
    /// County it is for.
    pub to: AreaCode,
    /// What became of it.
    pub state: EntryState,
}

/// An entry in 32 bytes: the message id, and 16 bytes of a hash over all of the entry.
pub type Item = [u8; ITEM_BYTES];

impl Entry {
    /// The day it counts to, in China Standard Time.
    #[must_use]
    pub fn day(&self) -> Date {
        self.id.timestamp().date()
    }

    /// `id || first 16 bytes of SHA-256("liangdi/v1" || digest || from (6 ASCII) || to (6 ASCII) || state (0x01 waiting,
    /// 0x02 stored, 0x03 refused))`: 55 bytes, which are one block of the hash.
    #[must_use]
    pub fn item(&self) -> Item {
        let mut block = [0; CONTEXT.len() + 32 + 6 + 6 + 1];
        let mut room = block.as_mut_slice();
        room.put_slice(CONTEXT);
        room.put_slice(self.digest.as_bytes());
        room.put_slice(&self.from.county_digits());
        room.put_slice(&self.to.county_digits());
        room.put_u8(self.state.byte());
        let hash = Digest::of(&block);
        let mut item = [0; ITEM_BYTES];
        let mut room = item.as_mut_slice();
        room.put_slice(self.id.as_bytes());
        room.put_slice(hash.as_bytes().first_chunk::<16>().unwrap_or(&[0; 16]));
        item
    }
}

/// The message that an item is about.
#[must_use]
pub fn message_of(item: &Item) -> MessageId {
    let mut id = [0; 16];
    id.iter_mut().zip(item).for_each(|(to, from)| *to = *from);
    MessageId::from_bytes(id)
}
