//! The clock of a node: wrong by some time, running a little fast or slow, and set by somebody now and then.

use std::time::Duration;

use domain::time::UnixMillis;

use crate::timeline::Moment;

/// What a right clock shows when the world begins: 2026-05-28, some weeks before a monthly cut-off.
pub(crate) const BEGINNING: UnixMillis = UnixMillis::new(1_780_000_000_000);

/// A clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// How far it is ahead of a right clock at the beginning, milliseconds.
    pub(crate) ahead_ms: i64,
    /// How much it gains, millionths.
    pub(crate) drift_ppm: i64,
}

impl Clock {
    /// What it shows.
    pub(crate) fn read(&self, at: Moment) -> UnixMillis {
        let passed = i64::try_from(at.get()).unwrap_or(i64::MAX);
        let gained = passed.saturating_mul(self.drift_ppm) / 1_000_000;
        let shown = BEGINNING.get().saturating_add(at.get());
        UnixMillis::new(shown.saturating_add_signed(self.ahead_ms.saturating_add(gained)))
    }

    /// Somebody sets it.
    pub(crate) const fn jump(&mut self, by_ms: i64) {
        self.ahead_ms = self.ahead_ms.saturating_add(by_ms);
    }
}

/// What a right clock shows.
pub(crate) fn right(at: Moment) -> UnixMillis {
    BEGINNING.saturating_add(Duration::from_millis(at.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_drifts_and_jumps() {
        let mut clock = Clock { ahead_ms: -500, drift_ppm: 100 };
        assert_eq!(clock.read(Moment::BEGINNING).get(), BEGINNING.get() - 500);
        assert_eq!(clock.read(Moment::new(1_000_000)).get(), BEGINNING.get() + 1_000_000 - 400);
        clock.jump(-60_000);
        assert_eq!(clock.read(Moment::BEGINNING).get(), BEGINNING.get() - 60_500);
        assert_eq!(right(Moment::new(7)).get(), BEGINNING.get() + 7);
    }
}
