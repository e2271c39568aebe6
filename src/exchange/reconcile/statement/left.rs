//! Differences that are left: so many are named as a statement may, the others are counted by what they have in common, and
//! what does not fit there by pair alone.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use domain::id::MessageId;
use serde::Deserialize;
use serde::Serialize;

use super::super::Entry;
use super::super::EntryState;
use super::super::difference::Difference;
use super::super::difference::DifferenceName;
use super::super::run::curable;
use super::super::set::Scope;
use super::super::totals::Counts;
use super::super::totals::Pair;
use super::LEFT_MAX;
use super::LEFT_MORE_MAX;
use super::PAIRS_MAX;

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
    pub(super) fn of(difference: &Difference) -> Option<Self> {
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
    pub(super) fn can_be(&self, scope: &Scope) -> bool {
        use DifferenceName as N;
        let fits = match (self.name, self.sender, self.recipient) {
            (N::MissingAtRecipient, Some(_), None) | (N::MissingAtSender, None, Some(_)) => true,
            (N::NotReported, sender, recipient) => sender.is_some() || recipient.is_some(),
            // Of one envelope: the sender waits for what the recipient has decided.
            (N::ReceiptMissing, Some(sender), Some(recipient)) => {
                sender == EntryState::Waiting && recipient != EntryState::Waiting
            }
            // Of other envelopes both may say the same state.
            (N::StateDiffers | N::ContentDiffers, Some(_), Some(_)) => true,
            _ => false,
        };
        fits && is_between(scope, self.pair)
    }

    /// What the asker says, and what the answerer says.
    pub(super) fn words(&self, scope: &Scope) -> (Option<EntryState>, Option<EntryState>) {
        match scope.stands_for(scope.asker, self.pair.0) {
            true => (self.sender, self.recipient),
            false => (self.recipient, self.sender),
        }
    }
}

/// Whether a pair has one county of either side.
fn is_between(scope: &Scope, (from, to): Pair) -> bool {
    let is = |party, area| scope.stands_for(party, area);
    is(scope.asker, from) && is(scope.answerer, to)
        || is(scope.answerer, from) && is(scope.asker, to)
}

/// Differences that are left beyond those that are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeftMore {
    /// What they have in common.
    pub what: LeftKind,
    /// How many, at least one.
    pub count: u32,
}

/// What each side says of messages of a pair that are left, by state; the two need not be of one pair at both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Words {
    /// What the asker says.
    pub asker: Counts,
    /// What the answerer says.
    pub answerer: Counts,
}

/// Differences that are left beyond those that are named and those that are counted by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftRest {
    /// How many.
    pub count: u64,
    /// What is said of them, by pair.
    pub pairs: BTreeMap<Pair, Words>,
}

impl LeftRest {
    fn add(&mut self, scope: &Scope, difference: &Difference) {
        let (asker, answerer) = words(scope, difference);
        self.count = self.count.saturating_add(1);
        if let Some(entry) = asker {
            self.pairs.entry((entry.from, entry.to)).or_default().asker.add(entry.state, 1);
        }
        if let Some(entry) = answerer {
            self.pairs.entry((entry.from, entry.to)).or_default().answerer.add(entry.state, 1);
        }
    }

    /// Whether there can be so many differences, with these words.
    pub(super) fn can_be(&self, scope: &Scope) -> bool {
        let sum = |of: fn(&Words) -> Counts| {
            let each = self.pairs.values().map(|words| of(words).total());
            each.fold(0, u64::saturating_add)
        };
        let (asker, answerer) = (sum(|it| it.asker), sum(|it| it.answerer));
        let says_something = |it: &Words| it.asker.total() > 0 || it.answerer.total() > 0;
        // Of each at least one side says something, and no side twice.
        (asker.max(answerer)..=asker.saturating_add(answerer)).contains(&self.count)
            && self.pairs.len() <= PAIRS_MAX
            && self.pairs.iter().all(|(pair, it)| is_between(scope, *pair) && says_something(it))
    }
}

/// What the asker says of a message, and what the answerer says.
pub(super) fn words<'a>(
    scope: &Scope,
    difference: &'a Difference,
) -> (&'a Option<Entry>, &'a Option<Entry>) {
    let Difference { sender, recipient, .. } = difference;
    let sends = difference.pair().is_some_and(|(from, _)| scope.stands_for(scope.asker, from));
    if sends { (sender, recipient) } else { (recipient, sender) }
}

/// All that is left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Named, at most [`LEFT_MAX`].
    pub named: Vec<Difference>,
    /// The others, counted, ascending; only when there are [`LEFT_MAX`] that are named; at most [`LEFT_MORE_MAX`] kinds.
    pub more: Vec<LeftMore>,
    /// What has no place among these; only when there are [`LEFT_MAX`] that are named.
    pub rest: LeftRest,
}

impl Left {
    /// Names so many of the differences as a statement may, and counts the others: one that may still be cured, if there is
    /// any, then what a person decides and what is lost. In the order of the messages.
    #[must_use]
    pub fn of(mut left: Vec<Difference>, lost: &BTreeSet<MessageId>, scope: &Scope) -> Self {
        let is_lost = |it: &Difference| it.id().is_some_and(|id| lost.contains(&id));
        // From it a reader sees that there is work left.
        let work = curable(&left, lost).filter_map(Difference::id).min();
        left.sort_by_key(|it| {
            // What is not of one pair on both sides has no kind.
            let last = LeftKind::of(it).is_some();
            let is_work = work.is_some() && it.id() == work;
            (!is_work, last, !it.name.is_for_a_person(), !is_lost(it), it.id())
        });
        let others = left.split_off(left.len().min(LEFT_MAX));
        left.sort_by_key(Difference::id);
        let (mut more, mut rest) = (BTreeMap::<LeftKind, u32>::new(), LeftRest::default());
        for difference in &others {
            let is_new = |kind: &LeftKind| !more.contains_key(kind);
            match LeftKind::of(difference) {
                Some(kind) if !is_new(&kind) || more.len() < LEFT_MORE_MAX => {
                    let count = more.entry(kind).or_default();
                    *count = count.saturating_add(1);
                }
                _ => rest.add(scope, difference),
            }
        }
        let more = more.into_iter().map(|(what, count)| LeftMore { what, count }).collect();
        Self { named: left, more, rest }
    }
}
