//! What is not to be offered before its time: put off by the recipient, or in custody of a relay or a file.

use std::collections::BTreeMap;

use domain::time::UnixMillis;

use crate::lane::LaneSeq;
use crate::route::Route;
use crate::runs::SeqRuns;

/// Sequences by the time at which their rest ends, and by the relay that holds them.
///
/// Invariant: no set is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Resting(BTreeMap<(UnixMillis, Option<Route>), SeqRuns>);

impl Resting {
    pub(super) fn insert(&mut self, until: UnixMillis, by: Option<Route>, sequence: LaneSeq) {
        self.0.entry((until, by)).or_default().insert(sequence);
    }

    pub(super) fn remove(&mut self, until: UnixMillis, sequence: LaneSeq) {
        for by in Self::holders() {
            let Some(sequences) = self.0.get_mut(&(until, by)) else { continue };
            sequences.remove(sequence);
            if sequences.is_empty() {
                self.0.remove(&(until, by));
            }
        }
    }

    pub(super) fn contains(&self, until: UnixMillis, sequence: LaneSeq) -> bool {
        let mut sets = Self::holders().filter_map(|by| self.0.get(&(until, by)));
        sets.any(|sequences| sequences.contains(sequence))
    }

    /// When the next rest ends.
    pub(super) fn next_end(&self) -> Option<UnixMillis> {
        self.0.keys().next().map(|(until, _)| *until)
    }

    /// Takes out one set whose time has come, with the relay that holds it.
    pub(super) fn take_due(&mut self, now: UnixMillis) -> Option<(Option<Route>, SeqRuns)> {
        let first = self.0.first_entry().filter(|first| first.key().0 <= now)?;
        let ((_, by), sequences) = first.remove_entry();
        Some((by, sequences))
    }

    fn holders() -> impl Iterator<Item = Option<Route>> {
        std::iter::once(None).chain(Route::ALL.into_iter().map(Some))
    }
}
