//! Totals of what was exchanged, and what both sides sign about it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::Date;
use domain::time::UnixMillis;
use serde::Deserialize;
use serde::Serialize;

use super::Entry;
use super::EntryState;
use super::difference::Difference;
use super::difference::DifferenceName;
use super::session::Incomplete;
use super::set::EntrySet;
use super::set::Scope;
use crate::digest::Digest;

/// Pairs of counties in one statement at most: more than a province has with another.
pub const PAIRS_MAX: usize = 65_536;
/// Differences that a statement names; the others are counted.
pub const LEFT_MAX: usize = 1_000;
/// Kinds of differences that are counted and not named, in one statement at most.
pub const LEFT_MORE_MAX: usize = 16_384;
/// Corrections of earlier statements in one statement.
pub const CORRECTIONS_MAX: usize = 1_000;

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

    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.waiting.saturating_add(self.stored).saturating_add(self.refused)
    }
}

/// Sender and recipient.
pub type Pair = (AreaCode, AreaCode);

/// Counts by pair of counties.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals(pub BTreeMap<Pair, Counts>);

impl Totals {
    /// Of a set.
    #[must_use]
    pub fn of(set: &EntrySet) -> Self {
        let mut totals = Self::default();
        set.iter().for_each(|entry| totals.add(&entry));
        totals
    }

    /// With those of other messages.
    pub fn with(&mut self, others: Self) {
        for (pair, Counts { waiting, stored, refused }) in others.0 {
            let states = [EntryState::Waiting, EntryState::Stored, EntryState::Refused];
            for (state, more) in states.into_iter().zip([waiting, stored, refused]) {
                self.add_many(pair, state, more);
            }
        }
    }

    fn add(&mut self, entry: &Entry) {
        self.add_many((entry.from, entry.to), entry.state, 1);
    }

    fn add_many(&mut self, pair: Pair, state: EntryState, more: u64) {
        let count = self.0.entry(pair).or_default().of(state);
        *count = count.saturating_add(more);
    }

    fn remove(&mut self, pair: Pair, state: EntryState, fewer: u64) {
        if let Some(counts) = self.0.get_mut(&pair) {
            let count = counts.of(state);
            *count = count.saturating_sub(fewer);
            if counts.total() == 0 {
                self.0.remove(&pair);
            }
        }
    }

    /// What the other side's totals are, when these differences are all there are: some named, the others counted.
    fn seen_from_the_other_side(
        &self,
        scope: &Scope,
        left: &[Difference],
        more: &[LeftMore],
    ) -> Self {
        let mut totals = self.clone();
        for difference in left {
            let Some((from, _)) = difference.pair() else { continue };
            let (ours, theirs) = match scope.stands_for(scope.asker, from) {
                true => (&difference.sender, &difference.recipient),
                false => (&difference.recipient, &difference.sender),
            };
            ours.iter().for_each(|it| totals.remove((it.from, it.to), it.state, 1));
            theirs.iter().for_each(|entry| totals.add(entry));
        }
        for LeftMore { what, count } in more {
            let LeftKind { pair, sender, recipient, .. } = what;
            let (ours, theirs) = match scope.stands_for(scope.asker, pair.0) {
                true => (sender, recipient),
                false => (recipient, sender),
            };
            ours.iter().for_each(|state| totals.remove(*pair, *state, u64::from(*count)));
            theirs.iter().for_each(|state| totals.add_many(*pair, *state, u64::from(*count)));
        }
        totals
    }
}

/// What differences have in common that are counted and not named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeftKind {
    /// Sender and recipient; both sides say the same of that.
    pub pair: Pair,
    /// The name.
    pub name: DifferenceName,
    /// What the sender's side says.
    pub sender: Option<EntryState>,
    /// What the recipient's side says.
    pub recipient: Option<EntryState>,
}

impl LeftKind {
    fn of(difference: &Difference) -> Option<Self> {
        let Difference { name, sender, recipient } = difference;
        let pair = difference.pair()?;
        let is_one = |it: &Entry| (it.from, it.to) == pair;
        if !recipient.as_ref().is_none_or(is_one) {
            return None;
        }
        let state = |entry: &Option<Entry>| entry.as_ref().map(|entry| entry.state);
        Some(Self { pair, name: *name, sender: state(sender), recipient: state(recipient) })
    }

    /// Whether there can be such differences in a scope.
    fn can_be(&self, scope: &Scope) -> bool {
        let (from, to) = self.pair;
        let is = |party, area| scope.stands_for(party, area);
        let between = is(scope.asker, from) && is(scope.answerer, to)
            || is(scope.answerer, from) && is(scope.asker, to);
        let fits = match self.name {
            DifferenceName::MissingAtRecipient => self.sender.is_some() && self.recipient.is_none(),
            DifferenceName::MissingAtSender => self.sender.is_none() && self.recipient.is_some(),
            DifferenceName::NotReported => self.sender.is_some() || self.recipient.is_some(),
            DifferenceName::ReceiptMissing
            | DifferenceName::StateDiffers
            | DifferenceName::ContentDiffers => self.sender.is_some() && self.recipient.is_some(),
        };
        between && fits
    }
}

/// Differences that are left beyond those that are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeftMore {
    /// What they have in common.
    pub what: LeftKind,
    /// How many, at least one.
    pub count: u32,
}

/// Names so many of the differences that are left as a statement may, and counts the others: what a person decides and what is
/// lost is named first. In the order of the messages.
#[must_use]
pub fn name_left(
    mut left: Vec<Difference>,
    lost: &BTreeSet<MessageId>,
) -> (Vec<Difference>, Vec<LeftMore>) {
    let is_lost = |it: &Difference| it.id().is_some_and(|id| lost.contains(&id));
    left.sort_by_key(|it| {
        // What is not of one pair on both sides cannot be counted.
        let last = LeftKind::of(it).is_some();
        (last, !it.name.is_for_a_person(), !is_lost(it), it.id())
    });
    let others = left.split_off(left.len().min(LEFT_MAX));
    left.sort_by_key(Difference::id);
    let mut more: BTreeMap<LeftKind, u32> = BTreeMap::new();
    for kind in others.iter().filter_map(LeftKind::of) {
        let count = more.entry(kind).or_default();
        *count = count.saturating_add(1);
    }
    (left, more.into_iter().map(|(what, count)| LeftMore { what, count }).collect())
}

/// What has changed in the days of a statement since it was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// Digest of that statement.
    pub statement: Digest,
    /// Sender and recipient.
    pub pair: Pair,
    /// What it says.
    pub before: Counts,
    /// How it is now.
    pub now: Counts,
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
    /// Differences that were found, by name in the order of [`DifferenceName::ALL`].
    pub found: [u32; 6],
    /// Of these, cured.
    pub cured: [u32; 6],
    /// Differences that are left, at most [`LEFT_MAX`].
    pub left: Vec<Difference>,
    /// The others that are left, counted, ascending; only when there are [`LEFT_MAX`] that are named.
    pub left_more: Vec<LeftMore>,
    /// Of the messages that are named as left those that nobody can bring back, ascending, by the asker's word.
    pub lost: Vec<MessageId>,
    /// What has changed in days that an earlier statement has closed.
    pub corrections: Vec<Correction>,
    /// Counties of either side of which not everything was reported, in the order of their codes, each once: what they have
    /// sent and received may not all be in it.
    pub incomplete: Vec<Incomplete>,
}

impl Statement {
    /// Whether it closes its days: they are a whole month or quarter, which is over, and every county has reported all of it.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.scope.is_period() && self.scope.is_over() && self.incomplete.is_empty()
    }

    /// Days, first and last.
    #[must_use]
    pub const fn days(&self) -> (Date, Date) {
        (self.scope.first, self.scope.last)
    }

    /// The answerer's totals, when the differences that are left are all there are.
    #[must_use]
    pub fn answerers_totals(&self) -> Totals {
        self.totals.seen_from_the_other_side(&self.scope, &self.left, &self.left_more)
    }

    /// Whether the answerer's totals are these, when the differences that are left are all there are.
    #[must_use]
    pub fn agrees_with(&self, own: &Totals) -> bool {
        self.answerers_totals() == *own
    }

    /// How many differences are left.
    #[must_use]
    pub fn left_count(&self) -> u64 {
        let more = self.left_more.iter().map(|it| u64::from(it.count));
        let named = u64::try_from(self.left.len()).unwrap_or(u64::MAX);
        more.fold(named, u64::saturating_add)
    }

    /// Whether what is counted and not named, and what is lost, can be so.
    fn is_whole(&self, named: &BTreeSet<MessageId>) -> bool {
        let is_full = self.left_more.is_empty() || self.left.len() == LEFT_MAX;
        is_full
            && self.left_more.is_sorted_by(|one, next| one.what < next.what)
            && self.left_more.iter().all(|it| it.count > 0 && it.what.can_be(&self.scope))
            && self.lost.is_sorted_by(|one, next| one < next)
            && self.lost.iter().all(|id| named.contains(id))
    }

    /// Whether this is what a party finds in its own books as well: the totals of the other one, every word of its own in
    /// what is left, each message once, and the counties of its own that are incomplete.
    #[must_use]
    pub fn is_true_for(&self, party: AreaCode, own: &EntrySet, incomplete: &[Incomplete]) -> bool {
        let mut ids = BTreeSet::new();
        let is_mine = |(county, _): &&Incomplete| self.scope.stands_for(party, *county);
        self.left.iter().all(|it| it.id().is_some_and(|id| ids.insert(id)))
            && self.left.iter().all(|it| self.is_left(party, own, it))
            && self.is_whole(&ids)
            && self.incomplete.iter().filter(is_mine).eq(incomplete)
            && self.agrees_with(&Totals::of(own))
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
        let fits = match name {
            DifferenceName::ContentDiffers => is_other,
            DifferenceName::MissingAtRecipient => sender.is_some() && recipient.is_none(),
            DifferenceName::MissingAtSender => sender.is_none() && recipient.is_some(),
            DifferenceName::ReceiptMissing | DifferenceName::StateDiffers => {
                ours.is_some() && theirs.is_some() && ours != theirs
            }
            DifferenceName::NotReported => ours != theirs,
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

/// What differs between the totals of a closed statement and those of now.
#[must_use]
pub fn corrections(statement: Digest, before: &Totals, now: &Totals) -> Vec<Correction> {
    let pairs = before.0.keys().chain(now.0.keys());
    let pairs: BTreeSet<Pair> = pairs.copied().collect();
    let of = |totals: &Totals, pair| totals.0.get(&pair).copied().unwrap_or_default();
    let corrections = pairs.into_iter().map(|pair| {
        let (before, now) = (of(before, pair), of(now, pair));
        Correction { statement, pair, before, now }
    });
    corrections.filter(|it| it.before != it.now).take(CORRECTIONS_MAX).collect()
}

#[cfg(test)]
pub(super) mod tests;
