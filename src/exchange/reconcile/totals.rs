//! What one side holds of each pair of counties: numbers by state, and a digest of the entries.

use std::collections::BTreeMap;

use domain::area::AreaCode;
use domain::id::MessageId;
use serde::Deserialize;
use serde::Serialize;

use super::Entry;
use super::EntryState;
use super::set::EntrySet;
use super::told::PackedEntry;
use super::told::pack_entry;
use super::told::pair_bytes_in;
use super::told::pair_from;
use super::told::state_in;
use crate::digest::Digest;
use crate::digest::Hashing;

/// What a digest of entries begins with, before the pair.
const ENTRIES_CONTEXT: &[u8] = b"liangdi/v1/statement entries\0";

/// Messages by state.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Counts {
    /// Without a receipt.
    pub waiting: u64,
    /// Stored at the recipient.
    pub stored: u64,
    /// Refused by the recipient.
    pub refused: u64,
}

impl Counts {
    const fn of(&mut self, state: EntryState) -> &mut u64 {
        match state {
            EntryState::Waiting => &mut self.waiting,
            EntryState::Stored => &mut self.stored,
            EntryState::Refused => &mut self.refused,
        }
    }

    /// So many more in a state.
    pub(super) fn add(&mut self, state: EntryState, more: u64) {
        let count = self.of(state);
        *count = count.saturating_add(more);
    }

    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.waiting.saturating_add(self.stored).saturating_add(self.refused)
    }

    /// By state.
    pub(super) fn each(mut self) -> [(EntryState, u64); 3] {
        EntryState::ALL.map(|state| (state, *self.of(state)))
    }
}

/// Sender and recipient.
pub type Pair = (AreaCode, AreaCode);

/// Counts by pair of counties; a pair without a message is not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals(pub BTreeMap<Pair, Counts>);

impl Totals {
    /// So many more of a pair in a state.
    pub(super) fn add(&mut self, pair: Pair, state: EntryState, more: u64) {
        if more > 0 {
            self.0.entry(pair).or_default().add(state, more);
        }
    }

    /// So many fewer; `None` when there are not so many.
    pub(super) fn take(&mut self, pair: Pair, state: EntryState, fewer: u64) -> Option<()> {
        if fewer > 0 {
            let count = self.0.get_mut(&pair)?.of(state);
            *count = count.checked_sub(fewer)?;
        }
        Some(())
    }

    /// Without the pairs of which nothing is left.
    pub(super) fn settled(mut self) -> Self {
        self.0.retain(|_, counts| counts.total() > 0);
        self
    }
}

/// Digests of entries, by pair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests(pub BTreeMap<Pair, Digest>);

/// What one side holds of each pair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Numbers.
    pub totals: Totals,
    /// Of each pair the SHA-256 of `"liangdi/v1/statement entries" || 0x00 || from (6) || to (6)` and its entries as they
    /// travel, 61 bytes each, in the order of their messages.
    pub digests: Digests,
}

/// The same in the making: entries are taken in the order of their messages, days after days.
#[derive(Clone, Debug, Default)]
pub struct Holding(BTreeMap<[u8; 12], (Counts, Hashing)>);

impl Holding {
    /// Takes the entries of the days after those that were taken before: one pass over them, and no copy.
    pub fn take(&mut self, set: &EntrySet) {
        self.take_with(set, &BTreeMap::new());
    }

    fn take_with(&mut self, set: &EntrySet, instead: &BTreeMap<MessageId, Option<Entry>>) {
        let others: Vec<PackedEntry> = instead.values().flatten().map(pack_entry).collect();
        for entry in set.in_order(|id| !instead.contains_key(&id), &others) {
            // By its bytes: an area is read once a pair, and not once an entry.
            let pair = pair_bytes_in(entry);
            let (counts, hashing) = self.0.entry(pair).or_insert_with(|| {
                let mut hashing = Hashing::of(ENTRIES_CONTEXT);
                hashing.take(&pair);
                (Counts::default(), hashing)
            });
            if let Some(state) = state_in(entry) {
                counts.add(state, 1);
            }
            hashing.take(entry);
        }
    }

    /// What is held.
    #[must_use]
    pub fn end(self) -> Held {
        let mut held = Held::default();
        for (pair, (counts, hashing)) in self.0 {
            if let Some(pair) = pair_from(&pair) {
                held.totals.0.insert(pair, counts);
                held.digests.0.insert(pair, hashing.end());
            }
        }
        held
    }
}

impl Held {
    /// What a set holds.
    #[must_use]
    pub fn of(set: &EntrySet) -> Self {
        Self::with(set, &BTreeMap::new())
    }

    /// The same, with these words about some messages instead of what the set says of them.
    #[must_use]
    pub(super) fn with(set: &EntrySet, instead: &BTreeMap<MessageId, Option<Entry>>) -> Self {
        let mut holding = Holding::default();
        holding.take_with(set, instead);
        holding.end()
    }
}

#[cfg(test)]
mod tests;
