//! Totals of what was exchanged, and what both sides sign about it.

mod left;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::Date;
use domain::time::UnixMillis;
use serde::Deserialize;
use serde::Serialize;

pub use self::left::Left;
pub use self::left::LeftKind;
pub use self::left::LeftMore;
pub use self::left::LeftRest;
pub use self::left::Words;
use self::left::words;
use super::Entry;
use super::EntryState;
use super::difference::Difference;
use super::difference::DifferenceName;
use super::session::Incomplete;
use super::set::EntrySet;
use super::set::Scope;
use super::totals::Counts;
use super::totals::Digests;
use super::totals::Held;
use super::totals::Pair;
use super::totals::Totals;
use crate::digest::Digest;

/// Pairs of counties in one statement at most: more than a province has with another.
pub const PAIRS_MAX: usize = 65_536;
/// Differences that a statement names; the others are counted.
pub const LEFT_MAX: usize = 1_000;
/// Kinds of differences that are counted and not named, in one statement at most.
pub const LEFT_MORE_MAX: usize = 16_384;
/// Corrections of earlier statements in one statement.
pub const CORRECTIONS_MAX: usize = 1_000;

/// What a side holds of a pair at a time: numbers, and a digest of the entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairHeld {
    /// Numbers by state.
    pub counts: Counts,
    /// The digest ([`Held::digests`]); none where nothing is held, or nobody has put one under a signature.
    pub digest: Option<Digest>,
}

/// What has changed in the days of a statement since it was signed, as its asker has it: other numbers, or other entries of
/// the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// Digest of that statement.
    pub statement: Digest,
    /// Sender and recipient.
    pub pair: Pair,
    /// What it says.
    pub before: PairHeld,
    /// How it is now.
    pub now: PairHeld,
}

impl Correction {
    /// Whether only the entries are others, and the numbers are the same.
    #[must_use]
    pub fn keeps_totals(&self) -> bool {
        self.before.counts == self.now.counts
    }
}

/// What both sides sign about a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Its name: 16 random bytes.
    pub id: [u8; 16],
    /// What it is about.
    pub scope: Scope,
    /// When it was made.
    pub made: UnixMillis,
    /// What the asker holds, by pair.
    pub totals: Totals,
    /// Digests of the asker's entries, of every pair of which nothing is counted and not named: these the answerer can work
    /// out as well. None in a statement of the former form, which says numbers alone.
    pub digests: Digests,
    /// Differences that were found, by name in the order of [`DifferenceName::ALL`].
    pub found: [u32; 6],
    /// Of these, cured.
    pub cured: [u32; 6],
    /// Differences that are left, at most [`LEFT_MAX`].
    pub left: Vec<Difference>,
    /// The others that are left, counted, ascending; only when there are [`LEFT_MAX`] that are named.
    pub left_more: Vec<LeftMore>,
    /// What has no place among these, counted by pair alone; only when there are [`LEFT_MAX`] that are named.
    pub left_rest: LeftRest,
    /// Of the messages that are named as left those that nobody can bring back, ascending, by the asker's word.
    pub lost: Vec<MessageId>,
    /// What has changed in days that an earlier statement has closed.
    pub corrections: Vec<Correction>,
    /// Counties of either side of which not everything was reported, in the order of their codes, each once: what they have
    /// sent and received may not all be in it.
    pub incomplete: Vec<Incomplete>,
}

impl Statement {
    /// Whether it closes its days: they are a whole month or quarter, which is over, every county has reported all of it, and
    /// nothing is left that may still be cured.
    #[must_use]
    pub fn closes(&self) -> bool {
        let is_over = self.scope.is_period() && self.scope.is_over();
        is_over && self.incomplete.is_empty() && !self.leaves_work()
    }

    /// Whether something is left that may still be cured: neither for a person to decide nor lost. Such a one is always
    /// among those that are named.
    #[must_use]
    pub fn leaves_work(&self) -> bool {
        let is_lost =
            |it: &Difference| it.id().is_some_and(|id| self.lost.binary_search(&id).is_ok());
        self.left.iter().any(|it| !it.name.is_for_a_person() && !is_lost(it))
    }

    /// Days, first and last.
    #[must_use]
    pub const fn days(&self) -> (Date, Date) {
        (self.scope.first, self.scope.last)
    }

    /// With the asker's digests, but for the pairs of which something is counted and not named.
    #[must_use]
    pub fn attesting(mut self, mut digests: Digests) -> Self {
        let counted = self.counted();
        digests.0.retain(|pair, _| !counted.contains(pair));
        self.digests = digests;
        self
    }

    /// The pairs of which something is counted and not named: of these nobody can tell from his own entries which the other
    /// side holds.
    fn counted(&self) -> BTreeSet<Pair> {
        let kinds = self.left_more.iter().map(|it| it.what.pair);
        kinds.chain(self.left_rest.pairs.keys().copied()).collect()
    }

    /// The answerer's totals, when the differences that are left are all there are; `None` when the asker has not so many.
    #[must_use]
    pub fn answerers_totals(&self) -> Option<Totals> {
        let named = self.left.iter().map(|it| words(&self.scope, it));
        let totals = turned(self.totals.clone(), named)?;
        self.counted_turned(totals, false)
    }

    /// Totals with what is counted and not named as the other side says it: of the asker's those of the answerer, or `back`.
    fn counted_turned(&self, mut totals: Totals, back: bool) -> Option<Totals> {
        let (mut fewer, mut more) = (Vec::new(), Vec::new());
        for LeftMore { what, count } in &self.left_more {
            let (asker, answerer) = what.words(&self.scope);
            let count = u64::from(*count);
            fewer.extend(asker.map(|state| (what.pair, state, count)));
            more.extend(answerer.map(|state| (what.pair, state, count)));
        }
        for (pair, Words { asker, answerer }) in &self.left_rest.pairs {
            fewer.extend(asker.each().map(|(state, count)| (*pair, state, count)));
            more.extend(answerer.each().map(|(state, count)| (*pair, state, count)));
        }
        if back {
            std::mem::swap(&mut fewer, &mut more);
        }
        // All of it first, so that nothing is taken away that was only added.
        for (pair, state, count) in fewer {
            totals.take(pair, state, count)?;
        }
        more.into_iter().for_each(|(pair, state, count)| totals.add(pair, state, count));
        Some(totals.settled())
    }

    /// Whether all that is left is named.
    #[must_use]
    pub fn names_all(&self) -> bool {
        self.left_more.is_empty() && self.left_rest.count == 0
    }

    /// How many differences are left.
    #[must_use]
    pub fn left_count(&self) -> u64 {
        let more = self.left_more.iter().map(|it| u64::from(it.count));
        let named = u64::try_from(self.left.len()).unwrap_or(u64::MAX);
        more.fold(named, u64::saturating_add).saturating_add(self.left_rest.count)
    }

    /// Whether what is counted and not named, and what is lost, can be so.
    fn is_whole(&self, named: &BTreeSet<MessageId>) -> bool {
        let is_counted = !self.left_more.is_empty() || self.left_rest != LeftRest::default();
        (!is_counted || self.left.len() == LEFT_MAX)
            && self.left_more.is_sorted_by(|one, next| one.what < next.what)
            && self.left_more.iter().all(|it| it.count > 0 && it.what.can_be(&self.scope))
            && self.left_rest.can_be(&self.scope)
            && self.lost.is_sorted_by(|one, next| one < next)
            && self.lost.iter().all(|id| named.contains(id))
    }

    /// Whether this is what a party finds in its own books as well: the totals of the other one and the digests of its
    /// entries, every word of its own in what is left, each message once, and the counties of its own that are incomplete.
    #[must_use]
    pub fn is_true_for(&self, party: AreaCode, own: &EntrySet, incomplete: &[Incomplete]) -> bool {
        let mut ids = BTreeSet::new();
        let is_mine = |(county, _): &&Incomplete| self.scope.stands_for(party, *county);
        self.left.iter().all(|it| it.id().is_some_and(|id| ids.insert(id)))
            && self.left.iter().all(|it| self.is_left(party, own, it))
            && self.is_whole(&ids)
            && self.incomplete.iter().filter(is_mine).eq(incomplete)
            && self.attests_to(party, own)
    }

    /// Whether the asker's totals and digests follow from the entries of a party and from what is left. What is counted and
    /// not named of a pair is held against the totals alone, and nothing may be said of its entries.
    fn attests_to(&self, party: AreaCode, own: &EntrySet) -> bool {
        let is_asker = party == self.scope.asker;
        let held = match is_asker {
            true => Held::of(own),
            false => Held::with(own, &self.askers_words()),
        };
        let counted = self.counted();
        let mut digests = held.digests;
        digests.0.retain(|pair, _| !counted.contains(pair));
        if digests != self.digests {
            return false;
        }
        if is_asker {
            return held.totals == self.totals;
        }
        let named = || self.left.iter().map(|it| words(&self.scope, it));
        let ours = turned(held.totals, named());
        ours.is_some() && ours == self.answerers_totals()
    }

    /// What the asker says of the messages that are named as left.
    fn askers_words(&self) -> BTreeMap<MessageId, Option<Entry>> {
        let words = self.left.iter().map(|it| (it.id(), *words(&self.scope, it).0));
        words.filter_map(|(id, word)| Some((id?, word))).collect()
    }

    /// What its asker holds of its days, by the entries of a party of now: of what is left the asker says the same as when it
    /// was signed, as long as the party says the same.
    #[must_use]
    pub fn held_now(&self, party: AreaCode, own: &EntrySet) -> Held {
        let counted = self.counted();
        if party == self.scope.asker {
            let mut held = Held::of(own);
            held.digests.0.retain(|pair, _| !counted.contains(pair));
            return held;
        }
        let is_same = |it: &&Difference| {
            let ours = it.id().and_then(|id| own.get(id));
            *words(&self.scope, it).1 == ours
        };
        let instead = self.left.iter().filter(is_same);
        let instead = instead.filter_map(|it| Some((it.id()?, *words(&self.scope, it).0)));
        let mut held = Held::with(own, &instead.collect());
        held.digests.0.retain(|pair, _| !counted.contains(pair));
        if let Some(totals) = self.counted_turned(held.totals.clone(), true) {
            held.totals = totals;
        }
        held
    }

    /// Whether a difference that is left can be one, and says of a party what that says itself.
    fn is_left(&self, party: AreaCode, own: &EntrySet, difference: &Difference) -> bool {
        let Difference { name, sender, recipient } = difference;
        let Some((id, (from, to))) = difference.id().zip(difference.pair()) else { return false };
        let sends = self.scope.stands_for(party, from);
        let (ours, theirs) = if sends { (sender, recipient) } else { (recipient, sender) };
        let told = own.told(id);
        let earlier = told.as_ref().filter(|_| sends).map(|told| told.earlier.as_slice());
        // Other content is said of a message only where neither side can have had the other's.
        let is_other = match (ours, theirs) {
            (Some(ours), Some(theirs)) => {
                (ours.from, ours.to) != (theirs.from, theirs.to)
                    || ours.digest != theirs.digest
                        && !earlier.is_some_and(|earlier| earlier.contains(&theirs.digest))
            }
            _ => false,
        };
        let same_envelope = |one: &Entry, other: &Entry| {
            (one.digest, one.from, one.to) == (other.digest, other.from, other.to)
        };
        let fits = match (name, sender, recipient) {
            (DifferenceName::ContentDiffers, ..) => is_other,
            (DifferenceName::MissingAtRecipient, Some(_), None)
            | (DifferenceName::MissingAtSender, None, Some(_)) => true,
            (DifferenceName::ReceiptMissing, Some(sent), Some(got)) => {
                same_envelope(sent, got)
                    && sent.state == EntryState::Waiting
                    && got.state != EntryState::Waiting
            }
            // The sender knows which envelopes of it there were before.
            (DifferenceName::StateDiffers, Some(sent), Some(got)) => match same_envelope(sent, got)
            {
                true => sent.state != got.state && sent.state != EntryState::Waiting,
                false => (sent.from, sent.to) == (got.from, got.to) && !(sends && is_other),
            },
            (DifferenceName::NotReported, ..) => ours != theirs,
            _ => false,
        };
        let is_same = [sender, recipient].into_iter().flatten().all(|it| it.id == id);
        let is_ours = *ours == told.map(|told| told.entry);
        fits && is_same && is_ours && self.scope.holds(id, from, to)
    }
}

/// Adds up differences by name, in the order of [`DifferenceName::ALL`].
#[must_use]
pub fn count_names(names: impl IntoIterator<Item = DifferenceName>) -> [u32; 6] {
    let mut counts = [0_u32; 6];
    for name in names {
        let at = usize::from(name.number().saturating_sub(1));
        if let Some(count) = counts.get_mut(at) {
            *count = count.saturating_add(1);
        }
    }
    counts
}

/// Totals with what the other side says of these messages: of each our own word, and the other's. `None` when we have not
/// so many.
fn turned<'a>(
    mut totals: Totals,
    words: impl Iterator<Item = (&'a Option<Entry>, &'a Option<Entry>)>,
) -> Option<Totals> {
    let words: Vec<_> = words.collect();
    for entry in words.iter().filter_map(|(ours, _)| ours.as_ref()) {
        totals.take((entry.from, entry.to), entry.state, 1)?;
    }
    for entry in words.iter().filter_map(|(_, theirs)| theirs.as_ref()) {
        totals.add((entry.from, entry.to), entry.state, 1);
    }
    Some(totals.settled())
}

#[cfg(test)]
pub(super) mod tests;
