//! What one side holds of the messages that a comparison is about.

use std::collections::BTreeMap;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::Date;
use domain::time::UnixMillis;
use serde::Deserialize;
use serde::Serialize;

use super::Entry;
use super::EntryState;
use super::Item;
use super::parts;
use crate::digest::Digest;
use crate::ledger::Direction;

/// Earlier digests that are remembered of one message: a lane is healed seldom.
pub const EARLIER_MAX: usize = 8;

/// Which messages a comparison is about: those between two parties, of a range of days, made before a moment.
///
/// A party is a county, or a province that stands for its counties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// Who asks.
    pub asker: AreaCode,
    /// Who answers.
    pub answerer: AreaCode,
    /// First day.
    pub first: Date,
    /// Last day.
    pub last: Date,
    /// Messages whose id was made at this time or later are left out, so that traffic may go on.
    pub until: UnixMillis,
}

impl Scope {
    /// Whether a message counts.
    #[must_use]
    pub fn holds(&self, id: MessageId, from: AreaCode, to: AreaCode) -> bool {
        let made = id.timestamp();
        let between = (self.asker.contains(&from) && self.answerer.contains(&to))
            || (self.answerer.contains(&from) && self.asker.contains(&to));
        between && made < self.until && (self.first..=self.last).contains(&made.date())
    }

    /// Whether the parties are two, and none is part of the other.
    #[must_use]
    pub fn is_between_two(&self) -> bool {
        !self.asker.contains(&self.answerer) && !self.answerer.contains(&self.asker)
    }
}

/// An entry with the digests that the same side named for the message before: a lane that was healed seals anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What the side says now.
    pub entry: Entry,
    /// Digests of before, at most [`EARLIER_MAX`].
    pub earlier: Vec<Digest>,
}

/// The entries of one side, the last word about each message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntrySet {
    entries: BTreeMap<MessageId, Entry>,
    earlier: BTreeMap<MessageId, Vec<Digest>>,
}

impl EntrySet {
    /// Nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: BTreeMap::new(), earlier: BTreeMap::new() }
    }

    /// How many messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes a word; it replaces what was said of the message before.
    pub fn say(&mut self, entry: Entry) {
        let Some(before) = self.entries.insert(entry.id, entry) else { return };
        let earlier = self.earlier.entry(entry.id).or_default();
        if before.digest != entry.digest && !earlier.contains(&before.digest) {
            earlier.push(before.digest);
            let over = earlier.len().saturating_sub(EARLIER_MAX);
            earlier.drain(..over);
        }
        earlier.retain(|digest| *digest != entry.digest);
        if earlier.is_empty() {
            self.earlier.remove(&entry.id);
        }
    }

    /// Takes a word out of a book. What its recipient has stored stays stored: a refusal of the same message, which stands
    /// elsewhere than the ledger and may be read after it, is older or about another envelope.
    pub fn hear(&mut self, direction: Direction, entry: Entry) {
        let is_stored = |known: &Entry| known.state == EntryState::Stored;
        let is_old = direction == Direction::Received
            && entry.state == EntryState::Refused
            && self.entries.get(&entry.id).is_some_and(is_stored);
        if !is_old {
            self.say(entry);
        }
    }

    /// What is said of a message.
    #[must_use]
    pub fn get(&self, id: MessageId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    /// The same, with the digests of before.
    #[must_use]
    pub fn told(&self, id: MessageId) -> Option<Told> {
        let entry = *self.entries.get(&id)?;
        Some(Told { entry, earlier: self.earlier.get(&id).cloned().unwrap_or_default() })
    }

    /// The entries, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Their items, in the same order, which is that of the items.
    #[must_use]
    pub fn items(&self) -> Vec<Item> {
        let entries: Vec<_> = self.entries.values().collect();
        let each = entries.chunks(parts::size(entries.len())).collect();
        let items = |part: &[&Entry]| part.iter().map(|entry| entry.item()).collect::<Vec<_>>();
        parts::each(each, items).concat()
    }
}

/// The side of a message that speaks for it at the party `party`.
#[must_use]
pub fn side_of(party: AreaCode, from: AreaCode) -> Direction {
    if party.contains(&from) { Direction::Sent } else { Direction::Received }
}
