//! Lanes: per sender and recipient an epoch and a gap-free sequence, and what each end remembers of them.
//!
//! The sender remembers what is settled and what was put off ([`LaneOut`]); the receiver remembers what
//! it has seen ([`LaneIn`]). Both are small however long the lane is, so duplicates are recognised for
//! ever and without a lookup.

mod inbound;
mod outbound;
#[cfg(test)]
mod tests;
pub mod v1;

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

pub use inbound::Admission;
pub use inbound::LaneIn;
pub use outbound::LaneOut;
pub use outbound::Mark;

/// How far above the lowest sequence not yet seen a receiver looks; also the most a sender has open.
pub const LANE_WINDOW: u64 = 4096;

/// Random number of a lane's life; a new one is drawn after a restore of the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LaneEpoch(u64);

impl LaneEpoch {
    /// From a random number.
    #[must_use]
    pub const fn new(random: u64) -> Self {
        Self(random)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Place of an envelope in its lane: 1, 2, 3 … without gaps. 0 is the place before the first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct LaneSeq(u64);

impl LaneSeq {
    /// The place before the first: nothing sent, nothing seen.
    pub const BEFORE_FIRST: Self = Self(0);
    /// The first place.
    pub const FIRST: Self = Self(1);

    /// That place.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The place after this one. Stays at the end of the numbers, which no lane reaches.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The place before this one; [`LaneSeq::BEFORE_FIRST`] at the beginning.
    #[must_use]
    pub const fn prev(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The place `by` further on.
    #[must_use]
    pub const fn plus(self, by: u64) -> Self {
        Self(self.0.saturating_add(by))
    }
}

impl fmt::Display for LaneSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
