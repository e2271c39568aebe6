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
use super::ITEM_BYTES;
use super::Item;
use super::item_of;
use super::key::NONCE_BYTES;
use super::key::SessionKey;
use super::message_in;
use super::parts;
use super::sample::Sample;
use super::sample::Sampler;
use super::told::ENTRY_BYTES;
use super::told::PackedEntry;
use super::told::pack_entry;
use super::told::unpack_entry;
use crate::digest::Digest;
use crate::ledger::Direction;

/// Earlier digests that are remembered of one message: a lane is healed seldom.
pub const EARLIER_MAX: usize = 8;

/// Which messages a comparison is about: those between two parties, of a range of days, made before a moment.
///
/// A party is a county, or a province that stands for its counties. Where one lies in the other, as a county in its
/// province, the larger one stands for its own office alone.
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
        let is = |party, area| self.stands_for(party, area);
        let between = (is(self.asker, from) && is(self.answerer, to))
            || (is(self.answerer, from) && is(self.asker, to));
        between && made < self.until && (self.first..=self.last).contains(&made.date())
    }

    /// Whether the days are a whole calendar month, or a whole quarter.
    #[must_use]
    pub fn is_period(&self) -> bool {
        let (first, last) = (self.first.month(), self.last.month());
        let is_whole = (self.first, self.last) == (first.first(), last.last());
        is_whole && (first == last || first.quarter() == (first, last))
    }

    /// Whether everything of its last day counts.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.until >= self.last.ends()
    }

    /// Whether the parties are two.
    #[must_use]
    pub fn is_between_two(&self) -> bool {
        self.asker != self.answerer
    }

    /// Whether a party speaks for an area here.
    #[must_use]
    pub fn stands_for(&self, party: AreaCode, area: AreaCode) -> bool {
        let other = if party == self.asker { self.answerer } else { self.asker };
        if party.contains(&other) { area.county() == party.county() } else { party.contains(&area) }
    }

    /// The side of a message from `from` that speaks for it at a party.
    #[must_use]
    pub fn side_of(&self, party: AreaCode, from: AreaCode) -> Direction {
        if self.stands_for(party, from) { Direction::Sent } else { Direction::Received }
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

/// Entries that came out of their order are put in theirs when they are this share of all, or so many.
const LATE_SHARE: usize = 8;
const LATE_MIN: usize = 4_096;

/// The entries of one side, the last word about each message.
///
/// They lie in one array in their bytes, in the order of their messages, so that a set takes 61 bytes an entry.
#[derive(Clone, Debug, Default)]
pub struct EntrySet {
    entries: Vec<PackedEntry>,
    /// What came out of its order, and is in none of the others.
    late: BTreeMap<MessageId, PackedEntry>,
    earlier: BTreeMap<MessageId, Vec<Digest>>,
}

impl EntrySet {
    /// Nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new(), late: BTreeMap::new(), earlier: BTreeMap::new() }
    }

    /// How many messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len() + self.late.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.late.is_empty()
    }

    /// Takes a word; it replaces what was said of the message before.
    pub fn say(&mut self, entry: Entry) {
        let packed = pack_entry(&entry);
        if self.entries.last().is_none_or(|last| message_in(last) < entry.id.as_bytes()) {
            self.entries.push(packed);
            return;
        }
        let Some(place) = self.place_of(entry.id) else { return self.insert(entry.id, packed) };
        let before = unpack_entry(&std::mem::replace(place, packed));
        let Some(before) = before else { return };
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
        let is_stored = |known: Entry| known.state == EntryState::Stored;
        let is_old = direction == Direction::Received
            && entry.state == EntryState::Refused
            && self.get(entry.id).is_some_and(is_stored);
        if !is_old {
            self.say(entry);
        }
    }

    /// What is said of a message.
    #[must_use]
    pub fn get(&self, id: MessageId) -> Option<Entry> {
        let at = self.search(id).ok().and_then(|at| self.entries.get(at));
        at.or_else(|| self.late.get(&id)).and_then(unpack_entry)
    }

    /// The same, with the digests of before.
    #[must_use]
    pub fn told(&self, id: MessageId) -> Option<Told> {
        let entry = self.get(id)?;
        Some(Told { entry, earlier: self.earlier.get(&id).cloned().unwrap_or_default() })
    }

    /// The entries, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = Entry> {
        self.entries.iter().chain(self.late.values()).filter_map(unpack_entry)
    }

    /// The entries in the order of their messages: those of which the message is wanted, and the others, which are in that
    /// order and about no message that is wanted.
    pub(super) fn in_order<'a>(
        &'a self,
        is_wanted: impl Fn(MessageId) -> bool,
        others: &'a [PackedEntry],
    ) -> impl Iterator<Item = &'a PackedEntry> {
        let own = merged(self.entries.iter(), self.late.values());
        let own = own.filter(move |entry| is_wanted(MessageId::from_bytes(*message_in(entry))));
        merged(own, others.iter())
    }

    /// Everything is in its order from now on.
    pub(super) fn settle(&mut self) {
        let late = std::mem::take(&mut self.late);
        let mut from = self.entries.len();
        self.entries.resize(from + late.len(), [0; ENTRY_BYTES]);
        let mut to = self.entries.len();
        // From the back, so that nothing lies in its own way.
        for (id, packed) in late.into_iter().rev() {
            let below = self.entries.get(..from).unwrap_or_default();
            let at = below.partition_point(|entry| message_in(entry) < id.as_bytes());
            to -= from - at;
            self.entries.copy_within(at..from, to);
            to -= 1;
            if let Some(place) = self.entries.get_mut(to) {
                *place = packed;
            }
            from = at;
        }
    }

    /// What is told of it before it is compared. The set was settled.
    pub(super) fn sample(&self, nonce: &[u8; NONCE_BYTES]) -> Sample {
        let each = self.entries.chunks(parts::size(self.entries.len())).collect();
        let sampled = parts::each(each, |part: &[PackedEntry]| {
            let mut sampler = Sampler::new(nonce);
            part.iter().for_each(|entry| sampler.add(entry));
            sampler
        });
        let all = sampled.iter().fold(Sampler::new(nonce), Sampler::with);
        all.sample()
    }

    /// Their items, in the order of their messages, which is that of the items. The set was settled.
    #[must_use]
    pub(super) fn items(&self, key: &SessionKey) -> Vec<Item> {
        let mut items = vec![[0; ITEM_BYTES]; self.entries.len()];
        let size = parts::size(items.len());
        let each = self.entries.chunks(size).zip(items.chunks_mut(size)).collect();
        parts::each(each, |(entries, items): (&[PackedEntry], &mut [Item])| {
            for (entry, item) in entries.iter().zip(items) {
                *item = item_of(key, entry);
            }
        });
        items
    }

    fn search(&self, id: MessageId) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| message_in(entry).cmp(id.as_bytes()))
    }

    fn place_of(&mut self, id: MessageId) -> Option<&mut PackedEntry> {
        match self.search(id) {
            Ok(at) => self.entries.get_mut(at),
            Err(_) => self.late.get_mut(&id),
        }
    }

    /// Takes a message of which nothing was said yet, and which is not above all others.
    fn insert(&mut self, id: MessageId, packed: PackedEntry) {
        self.late.insert(id, packed);
        if self.late.len() > LATE_MIN.max(self.entries.len() / LATE_SHARE) {
            self.settle();
        }
    }
}

/// Two that are each in the order of their messages, as one.
fn merged<'a>(
    one: impl Iterator<Item = &'a PackedEntry>,
    other: impl Iterator<Item = &'a PackedEntry>,
) -> impl Iterator<Item = &'a PackedEntry> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(first), Some(second)) if message_in(second) < message_in(first) => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    })
}
