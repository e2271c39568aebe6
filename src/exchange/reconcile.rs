//! Reconciliation: two sides find out in what their ledgers differ, for about what the differences weigh.
//!
//! Each side has a set of [`Entry`]s. An entry becomes an [`Item`] of 24 bytes, so that equal entries are equal items.
//! Two sets of items are compared with a rateless sketch ([`symbol`], [`decoder`]) after Yang, Gilad, Alizadeh,
//! "Practical Rateless Set Reconciliation", SIGCOMM 2024: one side streams coded symbols, the other subtracts its own
//! and peels, and stops the stream after about 1.35 symbols a difference. [`session`] is the conversation around it,
//! [`difference`] gives each difference its name. What follows is decided here as well, by rules that the program and the
//! simulation share: [`cure`] what is done about a difference, [`leaving`] where that lies for who cannot be called,
//! [`portions`] how many days at once, [`run`] when it is enough, [`signing`] which statement counts.

pub mod book;
pub mod calls;
pub mod cure;
pub mod decoder;
pub mod difference;
pub mod key;
pub mod leaving;
pub mod packed;
mod parts;
pub mod portions;
pub mod run;
pub mod sample;
pub mod session;
pub mod set;
pub mod signing;
pub mod statement;
pub mod symbol;
pub mod told;
pub mod totals;

#[cfg(test)]
mod tests;

use bytes::BufMut as _;
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::Date;
use serde::Deserialize;
use serde::Serialize;

use self::key::SessionKey;
use self::told::PackedEntry;
use self::told::pack_entry;
use crate::digest::Digest;

/// Bytes of an item.
pub const ITEM_BYTES: usize = 24;
/// What a set may hold at most; a larger one is compared in [`portions`].
pub const ENTRIES_MAX: u64 = 20_000_000;

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

/// An entry under the key of a session: the message id, and 8 bytes of a keyed hash over all of the entry.
pub type Item = [u8; ITEM_BYTES];

impl Entry {
    /// The day it counts to, in China Standard Time.
    #[must_use]
    pub fn day(&self) -> Date {
        self.id.timestamp().date()
    }

    /// Its item under a key.
    #[must_use]
    pub fn item(&self, key: &SessionKey) -> Item {
        item_of(key, &pack_entry(self))
    }
}

/// `id || SipHash-2-4 of the entry as it travels, 8 bytes little-endian`. The key is new in each session, so nobody can
/// prepare two entries that make one item.
fn item_of(key: &SessionKey, entry: &PackedEntry) -> Item {
    let mut item = [0; ITEM_BYTES];
    let mut room = item.as_mut_slice();
    room.put_slice(message_in(entry));
    room.put_u64_le(key.hash(entry));
    item
}

/// The message id in an entry as it travels.
fn message_in(entry: &PackedEntry) -> &[u8; 16] {
    entry.split_at(1).1.first_chunk().unwrap_or(&[0; 16])
}

/// The message that an item is about.
#[must_use]
pub fn message_of(item: &Item) -> MessageId {
    let mut id = [0; 16];
    id.iter_mut().zip(item).for_each(|(to, from)| *to = *from);
    MessageId::from_bytes(id)
}
