//! Sets of lane sequences, kept as runs: a million settled in a row cost sixteen bytes.

#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde::Serialize;

use crate::lane::LaneSeq;

/// A set of sequences as sorted, disjoint, non-touching runs. Equal sets are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Run>", into = "Vec<Run>")]
pub struct SeqRuns(Vec<Run>);

/// Sequences from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Run {
    /// First sequence of the run.
    pub first: LaneSeq,
    /// Last sequence of the run; never before `first`.
    pub last: LaneSeq,
}

impl Run {
    /// One sequence alone.
    #[must_use]
    pub const fn one(sequence: LaneSeq) -> Self {
        Self { first: sequence, last: sequence }
    }

    /// How many sequences.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.last.get().saturating_sub(self.first.get()).saturating_add(1)
    }

    /// The sequences, ascending.
    pub fn iter(self) -> impl Iterator<Item = LaneSeq> {
        (self.first.get()..=self.last.get()).map(LaneSeq::new)
    }
}

/// Runs that are not sorted, that touch, or that end before they begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the runs are not sorted and apart")]
pub struct InvalidRuns;

impl SeqRuns {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many sequences.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0_u64, |sum, run| sum.saturating_add(run.count()))
    }

    /// The runs, ascending.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.0
    }

    /// The sequences, ascending.
    pub fn iter(&self) -> impl Iterator<Item = LaneSeq> + '_ {
        self.0.iter().flat_map(|run| run.iter())
    }

    /// The smallest sequence.
    #[must_use]
    pub fn first(&self) -> Option<LaneSeq> {
        self.0.first().map(|run| run.first)
    }

    /// Whether the sequence is in it.
    #[must_use]
    pub fn contains(&self, sequence: LaneSeq) -> bool {
        let at = self.0.partition_point(|run| run.last < sequence);
        self.0.get(at).is_some_and(|run| run.first <= sequence)
    }

    /// Adds one sequence.
    pub fn insert(&mut self, sequence: LaneSeq) {
        self.insert_run(Run::one(sequence));
    }

    /// Adds a run; what is there already stays. A run that ends before it begins is nothing.
    pub fn insert_run(&mut self, run: Run) {
        if run.last < run.first {
            return;
        }
        let touches_from = self.0.partition_point(|old| old.last.next() < run.first);
        let touches_to = self.0.partition_point(|old| old.first <= run.last.next());
        let touched = self.0.get(touches_from..touches_to).unwrap_or_default();
        let merged = Run {
            first: touched.first().map_or(run.first, |old| old.first.min(run.first)),
            last: touched.last().map_or(run.last, |old| old.last.max(run.last)),
        };
        self.0.splice(touches_from..touches_to, [merged]);
    }

    /// Takes one sequence out; says whether it was there.
    pub fn remove(&mut self, sequence: LaneSeq) -> bool {
        let at = self.0.partition_point(|run| run.last < sequence);
        let Some(&run) = self.0.get(at).filter(|run| run.first <= sequence) else { return false };
        let before =
            (run.first < sequence).then(|| Run { first: run.first, last: sequence.prev() });
        let after = (sequence < run.last).then(|| Run { first: sequence.next(), last: run.last });
        self.0.splice(at..=at, before.into_iter().chain(after));
        true
    }

    /// Takes out the smallest sequences: at most `most`, and none above `limit`.
    pub fn take_first(&mut self, most: u64, limit: LaneSeq) -> Self {
        let mut taken = Self::new();
        let mut left = most;
        let mut emptied = 0;
        for run in &mut self.0 {
            if left == 0 || run.first > limit {
                break;
            }
            let last_by_count = LaneSeq::new(run.first.get().saturating_add(left - 1));
            let last = run.last.min(limit).min(last_by_count);
            let piece = Run { first: run.first, last };
            left -= piece.count();
            taken.0.push(piece);
            if last < run.last {
                run.first = last.next();
                break;
            }
            emptied += 1;
        }
        self.0.drain(..emptied);
        taken
    }

    /// Those that are not above `limit`.
    #[must_use]
    pub fn up_to(&self, limit: LaneSeq) -> Self {
        let below = self.0.iter().take_while(|run| run.first <= limit);
        Self(below.map(|run| Run { first: run.first, last: run.last.min(limit) }).collect())
    }

    /// Those that are not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = Vec::new();
        let mut others = other.0.iter().peekable();
        for &Run { first, last } in &self.0 {
            let mut from = Some(first);
            while let (Some(start), Some(taken)) = (from, others.peek().copied()) {
                if taken.first > last {
                    break;
                }
                if taken.last >= start && start < taken.first {
                    rest.push(Run { first: start, last: taken.first.prev() });
                }
                // One that reaches to the end of this run may reach into the next as well.
                if taken.last >= last {
                    from = None;
                } else {
                    from = Some(start.max(taken.last.next()));
                    others.next();
                }
            }
            if let Some(start) = from {
                rest.push(Run { first: start, last });
            }
        }
        Self(rest)
    }

    /// How many sequences are in it, counting no further than `most` and none above `limit`.
    #[must_use]
    pub fn count_up_to(&self, most: u64, limit: LaneSeq) -> u64 {
        let mut count = 0_u64;
        for run in &self.0 {
            if count >= most || run.first > limit {
                break;
            }
            let last = run.last.min(limit);
            count = count.saturating_add(Run { first: run.first, last }.count());
        }
        count.min(most)
    }

    /// Adds all of another set.
    pub fn merge(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        other.0.into_iter().for_each(|run| self.insert_run(run));
    }
}

impl FromIterator<LaneSeq> for SeqRuns {
    fn from_iter<I: IntoIterator<Item = LaneSeq>>(sequences: I) -> Self {
        let mut runs = Self::new();
        sequences.into_iter().for_each(|sequence| runs.insert(sequence));
        runs
    }
}

impl TryFrom<Vec<Run>> for SeqRuns {
    type Error = InvalidRuns;

    fn try_from(runs: Vec<Run>) -> Result<Self, InvalidRuns> {
        let apart = runs.iter().zip(runs.iter().skip(1)).all(|(a, b)| a.last.next() < b.first);
        let forward = runs.iter().all(|run| run.first <= run.last);
        if apart && forward { Ok(Self(runs)) } else { Err(InvalidRuns) }
    }
}

impl From<SeqRuns> for Vec<Run> {
    fn from(runs: SeqRuns) -> Self {
        runs.0
    }
}
