//! What the sender remembers of a lane: the next number, what is settled, what was put off, what a relay holds.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use domain::time::UnixMillis;
use serde::Deserialize;
use serde::Serialize;

use super::LANE_WINDOW;
use super::LaneEpoch;
use super::LaneSeq;
use super::v1;
use crate::runs::Run;
use crate::runs::SeqRuns;

/// What the sender remembers of one lane. Stored; changed in the unit that gives a number to a message,
/// and in the unit that keeps a receipt or a relay's word.
///
/// Invariant: no sequence is more than one of settled, deferred and in custody, and all are below `next`;
/// no set in `in_custody` is empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LaneOut {
    epoch: LaneEpoch,
    next: LaneSeq,
    settled: SeqRuns,
    deferred: BTreeMap<LaneSeq, UnixMillis>,
    /// By the time at which patience with the relay ends: a parcel has one time for all that is in it.
    in_custody: BTreeMap<UnixMillis, SeqRuns>,
}

/// What a kept receipt, a relay's word, a file or a person changes about one sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mark {
    /// It has its final answer: stored, refused, or withdrawn by a person.
    Settled(LaneSeq),
    /// It is to be offered again, not before the time.
    Deferred(LaneSeq, UnixMillis),
    /// A relay holds it, or a file; it is to be offered again when there is no final answer by that time.
    InCustody(LaneSeq, UnixMillis),
}

impl Mark {
    /// The sequence it is about.
    #[must_use]
    pub const fn sequence(self) -> LaneSeq {
        match self {
            Self::Settled(sequence)
            | Self::Deferred(sequence, _)
            | Self::InCustody(sequence, _) => sequence,
        }
    }
}

impl LaneOut {
    /// A lane in which nothing has been sent.
    #[must_use]
    pub const fn new(epoch: LaneEpoch) -> Self {
        Self {
            epoch,
            next: LaneSeq::FIRST,
            settled: SeqRuns::new(),
            deferred: BTreeMap::new(),
            in_custody: BTreeMap::new(),
        }
    }

    /// The epoch.
    #[must_use]
    pub const fn epoch(&self) -> LaneEpoch {
        self.epoch
    }

    /// The number that the next message gets.
    #[must_use]
    pub const fn next_sequence(&self) -> LaneSeq {
        self.next
    }

    /// The last number given; [`LaneSeq::BEFORE_FIRST`] when none was.
    #[must_use]
    pub const fn last_assigned(&self) -> LaneSeq {
        self.next.prev()
    }

    /// Gives the next message its number.
    pub fn assign(&mut self) -> LaneSeq {
        let given = self.next;
        self.next = given.next();
        given
    }

    /// Notes that numbers up to `last` have been given (elsewhere, for example by the store's writer).
    pub fn assigned_through(&mut self, last: LaneSeq) {
        self.next = self.next.max(last.next());
    }

    /// Everything up to here is settled.
    #[must_use]
    pub fn settled_through(&self) -> LaneSeq {
        let first = self.settled.runs().first().filter(|run| run.first == LaneSeq::FIRST);
        first.map_or(LaneSeq::BEFORE_FIRST, |run| run.last)
    }

    /// The highest sequence that may be offered now: beyond it the recipient's window might end.
    #[must_use]
    pub fn highest_to_offer(&self) -> LaneSeq {
        self.settled_through().plus(LANE_WINDOW)
    }

    /// Whether the sequence has its final answer.
    #[must_use]
    pub fn is_settled(&self, sequence: LaneSeq) -> bool {
        self.settled.contains(sequence)
    }

    /// What is settled.
    #[must_use]
    pub const fn settled(&self) -> &SeqRuns {
        &self.settled
    }

    /// What was put off, and until when.
    #[must_use]
    pub const fn deferred(&self) -> &BTreeMap<LaneSeq, UnixMillis> {
        &self.deferred
    }

    /// What relays and files hold, by the time at which patience with them ends.
    #[must_use]
    pub const fn in_custody(&self) -> &BTreeMap<UnixMillis, SeqRuns> {
        &self.in_custody
    }

    /// Until when the sequence is not to be offered, whether it was put off or is in custody.
    #[must_use]
    pub fn rests_until(&self, sequence: LaneSeq) -> Option<UnixMillis> {
        self.deferred.get(&sequence).copied().or_else(|| self.custody_until(sequence))
    }

    /// The marks by which these sequences are offered again at `again`, because the carrier that was to have them
    /// until `until` has turned them back. What is settled by now, or with somebody else, is left alone.
    #[must_use]
    pub fn turned_back(
        &self,
        sequences: impl IntoIterator<Item = LaneSeq>,
        until: UnixMillis,
        again: UnixMillis,
    ) -> Vec<Mark> {
        let with_it = self.in_custody.get(&until);
        let is_with_it = |sequence: &LaneSeq| with_it.is_some_and(|held| held.contains(*sequence));
        let of_its = sequences.into_iter().filter(is_with_it);
        of_its.map(|sequence| Mark::Deferred(sequence, again)).collect()
    }

    /// What has a number but no final answer, was not put off and is in nobody's custody.
    #[must_use]
    pub fn unsettled(&self) -> SeqRuns {
        let mut unsettled = SeqRuns::new();
        let mut from = LaneSeq::FIRST;
        for run in self.settled.runs() {
            unsettled.insert_run(Run { first: from, last: run.first.prev() });
            from = run.last.next();
        }
        unsettled.insert_run(Run { first: from, last: self.last_assigned() });
        let held = self.in_custody.values().flat_map(SeqRuns::iter);
        for sequence in self.deferred.keys().copied().chain(held) {
            unsettled.remove(sequence);
        }
        unsettled
    }

    /// How many messages wait for their final answer.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.last_assigned().get().saturating_sub(self.settled.count())
    }

    /// Applies what a kept receipt or a relay's word says. Marks that are known already, or about numbers
    /// that were never given, change nothing; a settled sequence is never put off again.
    ///
    /// Of two marks of one kind the later time holds: what is repeated late must not bring a try forward. Of
    /// two kinds the last word holds: a recipient's deferral says that it has seen the envelope, which
    /// is more than a relay can say; a relay's word that comes after it says that it has been handed over again.
    pub fn apply(&mut self, marks: impl IntoIterator<Item = Mark>) {
        for mark in marks {
            let sequence = mark.sequence();
            if !self.was_assigned(sequence) || self.is_settled(sequence) {
                continue;
            }
            match mark {
                Mark::Settled(_) => {
                    self.settled.insert(sequence);
                    self.deferred.remove(&sequence);
                    self.leave_custody(sequence);
                }
                Mark::Deferred(_, until) => {
                    self.leave_custody(sequence);
                    let known = self.deferred.entry(sequence).or_insert(until);
                    *known = until.max(*known);
                }
                Mark::InCustody(_, until) => {
                    self.deferred.remove(&sequence);
                    let until = self.leave_custody(sequence).max(Some(until)).unwrap_or(until);
                    self.in_custody.entry(until).or_default().insert(sequence);
                }
            }
        }
    }

    fn custody_until(&self, sequence: LaneSeq) -> Option<UnixMillis> {
        let mut held = self.in_custody.iter();
        held.find(|(_, sequences)| sequences.contains(sequence)).map(|(until, _)| *until)
    }

    /// Nobody holds it any more; says until when somebody was to.
    fn leave_custody(&mut self, sequence: LaneSeq) -> Option<UnixMillis> {
        let until = self.custody_until(sequence)?;
        if let Entry::Occupied(mut held) = self.in_custody.entry(until) {
            held.get_mut().remove(sequence);
            if held.get().is_empty() {
                held.remove();
            }
        }
        Some(until)
    }

    fn was_assigned(&self, sequence: LaneSeq) -> bool {
        (LaneSeq::FIRST..self.next).contains(&sequence)
    }
}

impl From<v1::LaneOut> for LaneOut {
    fn from(older: v1::LaneOut) -> Self {
        let v1::LaneOut { epoch, next, settled, deferred } = older;
        Self { epoch, next, settled, deferred, in_custody: BTreeMap::new() }
    }
}
