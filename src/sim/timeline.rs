//! What happens when: the true time of a world, and everything that is still to come, in one order.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fmt;
use std::time::Duration;

/// True time: milliseconds since the world began. No node knows it; a node has its own clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// When the world began.
    pub const BEGINNING: Self = Self(0);

    /// So many milliseconds after the beginning.
    #[must_use]
    pub const fn new(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the beginning.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// That many milliseconds later.
    #[must_use]
    pub const fn after(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// That much later.
    pub(crate) fn later(self, by: Duration) -> Self {
        self.after(u64::try_from(by.as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Moment {
    /// Days, hours, minutes, seconds and milliseconds: `2d03:04:05.006`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0 / 1000, self.0 % 1000);
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        write!(f, "{days}d{hours:02}:{minutes:02}:{:02}.{millis:03}", seconds % 60)
    }
}

/// Everything that is still to come. What is due at the same moment happens in the order in which it was planned.
#[derive(Debug)]
pub(crate) struct Timeline<T> {
    coming: BinaryHeap<Reverse<Coming<T>>>,
    planned: u64,
}

#[derive(Debug)]
struct Coming<T> {
    at: Moment,
    order: u64,
    what: T,
}

impl<T> Timeline<T> {
    /// Nothing is to come.
    pub(crate) const fn new() -> Self {
        Self { coming: BinaryHeap::new(), planned: 0 }
    }

    /// Plans something.
    pub(crate) fn plan(&mut self, at: Moment, what: T) {
        self.planned += 1;
        self.coming.push(Reverse(Coming { at, order: self.planned, what }));
    }

    /// The next thing that happens.
    pub(crate) fn next(&mut self) -> Option<(Moment, T)> {
        self.coming.pop().map(|Reverse(coming)| (coming.at, coming.what))
    }

    /// How many things are to come.
    pub(crate) fn len(&self) -> usize {
        self.coming.len()
    }
}

impl<T> PartialEq for Coming<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Coming<T> {}

impl<T> PartialOrd for Coming<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Coming<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_comes_first_and_at_one_moment_the_first_planned() {
        let mut timeline = Timeline::new();
        for (at, what) in [(5, "c"), (3, "a"), (5, "d"), (3, "b"), (9, "e")] {
            timeline.plan(Moment::new(at), what);
        }
        assert_eq!(timeline.len(), 5);
        let order: Vec<_> = std::iter::from_fn(|| timeline.next()).map(|(_, what)| what).collect();
        assert_eq!(order, ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn a_moment_is_written_as_people_read_it() {
        assert_eq!(Moment::new(183_845_006).to_string(), "2d03:04:05.006");
    }
}
