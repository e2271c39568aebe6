//! Which of a long queue goes first: the one that is due first.
//!
//! As long as everything that may be offered fits in one parcel, order is of no use and nothing is asked.
//! Beyond that the journal says by when each envelope is due, once for each. Nothing starves: what may be
//! offered ends a window above the lowest that is not settled, so the lowest is the most urgent in the end.

use std::collections::BTreeSet;

use domain::time::UnixMillis;

use crate::lane::LaneSeq;
use crate::runs::SeqRuns;

/// By when queued envelopes are due, as far as the journal has said it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Urgency {
    /// Asked for and not answered.
    asked: Option<SeqRuns>,
    known: SeqRuns,
    /// The same, the most urgent first.
    order: BTreeSet<(UnixMillis, LaneSeq)>,
}

impl Urgency {
    /// What has to be asked before the most urgent of `queue` can be named; empty if nothing. `None` while
    /// a question waits for its answer.
    pub(super) fn to_ask(&self, queue: &SeqRuns) -> Option<SeqRuns> {
        match self.asked {
            Some(_) => None,
            None => Some(queue.without(&self.known)),
        }
    }

    pub(super) fn ask(&mut self, sequences: SeqRuns) {
        self.asked = Some(sequences);
    }

    /// The answer; one that nothing asked for changes nothing.
    pub(super) fn learn(&mut self, deadlines: &[(LaneSeq, UnixMillis)]) {
        let Some(mut asked) = self.asked.take() else { return };
        for &(sequence, deadline) in deadlines {
            if asked.remove(sequence) {
                self.order.insert((deadline, sequence));
                self.known.insert(sequence);
            }
        }
        self.order.extend(asked.iter().map(|sequence| (UnixMillis::new(0), sequence)));
        self.known.merge(asked);
    }

    /// Takes the most urgent out of `queue`, all of which is known: so many at most.
    pub(super) fn take_first(&mut self, queue: &mut SeqRuns, most: u64) -> SeqRuns {
        let mut taken = SeqRuns::new();
        let mut left = most;
        while let Some((_, sequence)) = self.order.first().copied().filter(|_| left > 0) {
            self.order.pop_first();
            self.known.remove(sequence);
            // What has left the queue by another way is forgotten.
            if queue.remove(sequence) {
                taken.insert(sequence);
                left -= 1;
            }
        }
        taken
    }

    /// The queue is short again.
    pub(super) fn forget(&mut self) {
        self.known = SeqRuns::new();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(numbers: impl IntoIterator<Item = u64>) -> SeqRuns {
        numbers.into_iter().map(LaneSeq::new).collect()
    }

    fn due(at: u64, sequence: u64) -> (LaneSeq, UnixMillis) {
        (LaneSeq::new(sequence), UnixMillis::new(at))
    }

    #[test]
    fn the_most_urgent_go_first_and_each_is_asked_for_once() {
        let (mut urgency, mut queue) = (Urgency::default(), runs(1..=6));
        assert_eq!(urgency.to_ask(&queue), Some(runs(1..=6)));
        urgency.ask(runs(1..=6));
        assert_eq!(urgency.to_ask(&queue), None);
        urgency.learn(&[due(50, 1), due(40, 2), due(30, 3), due(30, 4), due(60, 5), due(1, 99)]);
        // Nothing was said about 6.
        assert_eq!(urgency.take_first(&mut queue, 2), runs([3, 6]));
        queue.insert(LaneSeq::new(7));
        assert_eq!(urgency.to_ask(&queue), Some(runs([7])));
        urgency.ask(runs([7]));
        queue.remove(LaneSeq::new(4));
        urgency.learn(&[due(45, 7)]);
        assert_eq!(urgency.take_first(&mut queue, 2), runs([2, 7]));
        urgency.learn(&[due(1, 5)]);
        assert_eq!(urgency.take_first(&mut queue, 9), runs([1, 5]));
        assert!(queue.is_empty());
        urgency.forget();
        assert_eq!(urgency, Urgency::default());
    }
}
