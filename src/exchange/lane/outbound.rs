//! What the sender remembers of a lane: the next number, what is settled, what was put off.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use domain::time::UnixMillis;
use serde::Deserialize;
use serde::Serialize;

use super::LANE_WINDOW;
use super::LaneEpoch;
use super::LaneSeq;
use crate::runs::Run;
use crate::runs::SeqRuns;

/// What the sender remembers of one lane. Stored; changed in the unit that gives a number to a message,
/// and in the unit that keeps a receipt.
///
/// Invariant: what is settled is not put off, and both are below `next`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LaneOut {
    epoch: LaneEpoch,
    next: LaneSeq,
    settled: SeqRuns,
    deferred: BTreeMap<LaneSeq, UnixMillis>,
}

/// What a kept receipt, or a person, changes about one sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mark {
    /// It has its final answer: stored, refused, or withdrawn by a person.
    Settled(LaneSeq),
    /// It is to be offered again, not before the time.
    Deferred(LaneSeq, UnixMillis),
}

impl LaneOut {
    /// A lane in which nothing has been sent.
    #[must_use]
    pub const fn new(epoch: LaneEpoch) -> Self {
        Self { epoch, next: LaneSeq::FIRST, settled: SeqRuns::new(), deferred: BTreeMap::new() }
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

    /// What has a number but no final answer and was not put off.
    #[must_use]
    pub fn unsettled(&self) -> SeqRuns {
        let mut unsettled = SeqRuns::new();
        let mut from = LaneSeq::FIRST;
        for run in self.settled.runs() {
            unsettled.insert_run(Run { first: from, last: run.first.prev() });
            from = run.last.next();
        }
        unsettled.insert_run(Run { first: from, last: self.last_assigned() });
        for sequence in self.deferred.keys() {
            unsettled.remove(*sequence);
        }
        unsettled
    }

    /// How many messages wait for their final answer.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.last_assigned().get().saturating_sub(self.settled.count())
    }

    /// Applies what a kept receipt says. Marks that are known already, or about numbers that were never
    /// given, change nothing; a settled sequence is never put off again.
    pub fn apply(&mut self, marks: impl IntoIterator<Item = Mark>) {
        for mark in marks {
            match mark {
                Mark::Settled(sequence) if self.was_assigned(sequence) => {
                    self.settled.insert(sequence);
                    self.deferred.remove(&sequence);
                }
                Mark::Deferred(sequence, until) if self.was_assigned(sequence) => {
                    self.defer(sequence, until);
                }
                Mark::Settled(_) | Mark::Deferred(..) => {}
            }
        }
    }

    /// The later time holds: a receipt that is repeated late must not bring a try forward.
    fn defer(&mut self, sequence: LaneSeq, until: UnixMillis) {
        if self.is_settled(sequence) {
            return;
        }
        match self.deferred.entry(sequence) {
            Entry::Occupied(mut known) => *known.get_mut() = until.max(*known.get()),
            Entry::Vacant(place) => drop(place.insert(until)),
        }
    }

    fn was_assigned(&self, sequence: LaneSeq) -> bool {
        (LaneSeq::FIRST..self.next).contains(&sequence)
    }
}
