//! How many records of persons an operator may look at, and what is unusual for her: the limit and the alarm.
//!
//! Pure: whoever keeps the counters says what time it is. Hours and days are those of China.

use serde::{Deserialize, Serialize};

use crate::time::UnixMillis;

/// Milliseconds of an hour and of a day.
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
/// China Standard Time is so much ahead of UTC.
const AHEAD: u64 = 8 * HOUR;
/// Days with reads from which the usual day of an operator is taken.
const DAYS_KEPT: usize = 20;
/// With fewer days than this nobody knows what is usual for her.
const DAYS_LEAST: usize = 3;

/// What one operator may look at, and when others are told (design section 10, point 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadLimits {
    /// Records in one hour of the clock.
    pub per_hour: u32,
    /// Records in one day.
    pub per_day: u32,
    /// So many times her usual day is unusual.
    pub unusual_times: u32,
    /// A usual day is taken to have at least so many, so that a quiet office is not alarmed by a busy morning.
    pub usual_least: u32,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self { per_hour: 200, per_day: 1_000, unusual_times: 3, usual_least: 20 }
    }
}

/// What one operator has looked at lately.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reads {
    hour: u64,
    in_hour: u32,
    day: u64,
    in_day: u32,
    before: Vec<u32>,
    told: bool,
}

/// Somebody looks at more than she usually does; told once a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusual {
    /// Records she has looked at today.
    pub today: u32,
    /// Her usual day.
    pub usual: u32,
}

/// She has looked at as many records as an operator may; nothing is shown before that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("as many records were looked at as one operator may; more from {until} on")]
pub struct TooManyReads {
    /// When the next read is allowed.
    pub until: UnixMillis,
}

impl Reads {
    /// Counts one more read at `now`, and says whether it is the one to tell others about.
    ///
    /// # Errors
    /// [`TooManyReads`]: it must not happen, and was not counted.
    pub fn count(
        &mut self,
        now: UnixMillis,
        limits: &ReadLimits,
    ) -> Result<Option<Unusual>, TooManyReads> {
        self.advance(now);
        if self.in_day >= limits.per_day {
            return Err(TooManyReads { until: begins(self.day.saturating_add(1), DAY) });
        }
        if self.in_hour >= limits.per_hour {
            return Err(TooManyReads { until: begins(self.hour.saturating_add(1), HOUR) });
        }
        self.in_hour = self.in_hour.saturating_add(1);
        self.in_day = self.in_day.saturating_add(1);
        let usual = self.usual(limits);
        let much = self.in_day > usual.saturating_mul(limits.unusual_times);
        let last = self.in_hour == limits.per_hour || self.in_day == limits.per_day;
        if self.told || !(much || last) {
            return Ok(None);
        }
        self.told = true;
        Ok(Some(Unusual { today: self.in_day, usual }))
    }

    /// Records looked at in the hour and on the day of `now`.
    #[must_use]
    pub fn at(&self, now: UnixMillis) -> (u32, u32) {
        let mut then = self.clone();
        then.advance(now);
        (then.in_hour, then.in_day)
    }

    /// Her usual day: the median of the last days on which she looked at anything, and at least
    /// [`ReadLimits::usual_least`].
    #[must_use]
    pub fn usual(&self, limits: &ReadLimits) -> u32 {
        let mut days = self.before.clone();
        days.sort_unstable();
        let median = days.get(days.len() / 2).filter(|_| days.len() >= DAYS_LEAST);
        median.copied().unwrap_or_default().max(limits.usual_least)
    }

    /// A clock that was set back gives nobody a fresh hour.
    fn advance(&mut self, now: UnixMillis) {
        let local = now.get().saturating_add(AHEAD);
        if local / HOUR > self.hour {
            (self.hour, self.in_hour) = (local / HOUR, 0);
        }
        if local / DAY > self.day {
            if self.in_day > 0 {
                self.before.push(self.in_day);
                let old = self.before.len().saturating_sub(DAYS_KEPT);
                self.before.drain(..old);
            }
            (self.day, self.in_day, self.told) = (local / DAY, 0, false);
        }
    }
}

fn begins(number: u64, length: u64) -> UnixMillis {
    UnixMillis::new(number.saturating_mul(length).saturating_sub(AHEAD))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: ReadLimits =
        ReadLimits { per_hour: 5, per_day: 12, unusual_times: 3, usual_least: 2 };
    /// Midnight in China.
    const MIDNIGHT: u64 = 1_772_294_400_000;

    fn at(hours: u64) -> UnixMillis {
        UnixMillis::new(MIDNIGHT + hours * HOUR)
    }

    #[test]
    fn an_hour_and_a_day_have_an_end_and_the_refusal_says_when() {
        let mut reads = Reads::default();
        for _ in 0..5 {
            reads.count(at(9), &LIMITS).unwrap();
        }
        assert_eq!(reads.count(at(9), &LIMITS).unwrap_err().until, at(10));
        for hour in [10, 10, 10, 10, 10, 11, 11] {
            reads.count(at(hour), &LIMITS).unwrap();
        }
        assert_eq!(reads.count(at(11), &LIMITS).unwrap_err().until, at(24));
        assert_eq!(reads.at(at(11)), (2, 12));
        assert!(reads.count(at(24), &LIMITS).is_ok());
    }

    #[test]
    fn three_times_the_usual_day_is_told_once_and_again_the_next_day() {
        let mut reads = Reads::default();
        let limits = ReadLimits { per_hour: 100, per_day: 100, ..LIMITS };
        for day in 0..5 {
            for _ in 0..4 {
                assert_eq!(reads.count(at(day * 24 + 9), &limits), Ok(None));
            }
        }
        for day in [6, 7] {
            let told: Vec<_> =
                (0..20).filter_map(|_| reads.count(at(day * 24), &limits).unwrap()).collect();
            assert_eq!(told, [Unusual { today: 13, usual: 4 }], "day {day}");
        }
    }

    #[test]
    fn the_last_read_that_is_allowed_is_told_as_well() {
        let mut reads = Reads::default();
        let limits = ReadLimits { usual_least: 50, ..LIMITS };
        let told: Vec<_> = (0..5).filter_map(|_| reads.count(at(9), &limits).unwrap()).collect();
        assert_eq!(told, [Unusual { today: 5, usual: 50 }]);
    }

    proptest! {
        #[test]
        fn no_hour_and_no_day_ever_has_more(steps in prop::collection::vec(0..7_200_000_u64, 1..300)) {
            let (mut reads, mut now) = (Reads::default(), MIDNIGHT);
            let mut seen: Vec<u64> = Vec::new();
            for step in steps {
                now += step / 10;
                match reads.count(UnixMillis::new(now), &LIMITS) {
                    Ok(_) => seen.push(now),
                    Err(refused) => prop_assert!(refused.until.get() > now),
                }
            }
            let in_one = |length: u64| {
                let number = |at: &u64| (at + AHEAD) / length;
                seen.iter().map(|at| seen.iter().filter(|x| number(x) == number(at)).count()).max()
            };
            prop_assert!(in_one(HOUR) <= Some(5) && in_one(DAY) <= Some(12));
        }

        #[test]
        fn a_clock_that_is_set_back_gives_no_fresh_hour(back in 0..100_000_000_u64) {
            let mut reads = Reads::default();
            for _ in 0..5 {
                reads.count(at(9), &LIMITS).unwrap();
            }
            prop_assert!(reads.count(UnixMillis::new(at(9).get() - back), &LIMITS).is_err());
        }
    }
}
