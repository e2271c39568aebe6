//! How much a peer may hand in: two token buckets and what happens to one that is over them. Knows no clock.
//!
//! A parcel is admitted whole or not at all, and may take a bucket below zero: so a parcel is never too large for a
//! bucket, and the average is kept all the same. Once a bucket is empty the peer is told one time, and everything it
//! offers before that is put off until then. Putting off costs a signature, so it must not become a way to spend ours:
//! after each parcel that is put off the peer is not read for a while, each time a little longer.

use std::time::Duration;

use domain::time::UnixMillis;

/// How much longer a stream is not read after each parcel that is put off. A fair peer has a window of them on the way
/// when it is told to wait, and loses little more than a second by it.
pub const PAUSE_STEP: Duration = Duration::from_millis(50);
/// Longest time for which a stream is not read. Receipts for our own mail may wait behind it.
pub const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Parts of a bucket in which an amount is counted, so that a millisecond's refill is a whole number.
const PARTS: i64 = 1_000;

/// Bounds of one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateSettings {
    /// Messages a second on average, and at once after a quiet second.
    pub messages_per_second: u32,
    /// Bytes of envelopes a second on average, and at once after a quiet second.
    pub bytes_per_second: u32,
}

/// Tells a peer to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComeBack {
    /// Not before this time; then at least a quarter of a bucket is there.
    pub until: UnixMillis,
    /// The stream is not to be read for so long; zero for the first.
    pub pause: Duration,
}

/// What one peer has used.
#[derive(Clone, Debug)]
pub struct Rate {
    messages: Bucket,
    bytes: Bucket,
    /// Parcels put off since a bucket ran empty; none while the peer is within its bounds.
    put_off: Option<u32>,
}

impl Rate {
    /// A peer that has been quiet.
    #[must_use]
    pub fn new(settings: RateSettings, now: UnixMillis) -> Self {
        Self {
            messages: Bucket::full(settings.messages_per_second, now),
            bytes: Bucket::full(settings.bytes_per_second, now),
            put_off: None,
        }
    }

    /// Asks for a parcel of so many messages and bytes.
    ///
    /// # Errors
    /// [`ComeBack`]; nothing is taken then.
    pub fn take(&mut self, messages: usize, bytes: usize, now: UnixMillis) -> Result<(), ComeBack> {
        self.messages.refill(now);
        self.bytes.refill(now);
        let fill = if self.put_off.is_some() { Fill::Quarter } else { Fill::Some };
        let wait = self.messages.wait(fill).max(self.bytes.wait(fill));
        if wait.is_zero() {
            self.put_off = None;
            self.messages.take(messages);
            self.bytes.take(bytes);
            return Ok(());
        }
        let before = self.put_off.unwrap_or(0);
        self.put_off = Some(before.saturating_add(1));
        let wait = self.messages.wait(Fill::Quarter).max(self.bytes.wait(Fill::Quarter));
        let pause = PAUSE_STEP.saturating_mul(before).min(PAUSE_MAX).min(wait);
        Err(ComeBack { until: now.saturating_add(wait), pause })
    }
}

/// How full a bucket has to be.
#[derive(Clone, Copy, Debug)]
enum Fill {
    /// Not empty.
    Some,
    /// A quarter.
    Quarter,
}

/// Fills at a rate up to a second's worth.
#[derive(Clone, Debug)]
struct Bucket {
    /// Refill, per second; at least one.
    rate: i64,
    /// What is there, in parts; below zero after a parcel that was larger than that.
    level: i64,
    /// When it was last refilled.
    at: UnixMillis,
}

impl Bucket {
    fn full(per_second: u32, now: UnixMillis) -> Self {
        let rate = i64::from(per_second.max(1));
        Self { rate, level: rate * PARTS, at: now }
    }

    fn refill(&mut self, now: UnixMillis) {
        // A clock that went back refills nothing and is followed.
        let millis = now.get().saturating_sub(self.at.get());
        let millis = i64::try_from(millis).unwrap_or(i64::MAX);
        let refill = millis.saturating_mul(self.rate);
        self.level = self.level.saturating_add(refill).min(self.rate * PARTS);
        self.at = now;
    }

    /// How long it takes until it is as full as asked.
    fn wait(&self, fill: Fill) -> Duration {
        let wanted = match fill {
            Fill::Some => 1,
            Fill::Quarter => (self.rate * PARTS / 4).max(1),
        };
        let missing = wanted.saturating_sub(self.level).max(0);
        // The rate in parts a millisecond is the rate a second in wholes.
        let millis = missing / self.rate + i64::from(missing % self.rate != 0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    fn take(&mut self, amount: usize) {
        let amount = i64::try_from(amount).unwrap_or(i64::MAX).saturating_mul(PARTS);
        self.level = self.level.saturating_sub(amount);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: UnixMillis = UnixMillis::new(1_800_000_000_000);

    fn rate(messages_per_second: u32, bytes_per_second: u32) -> Rate {
        Rate::new(RateSettings { messages_per_second, bytes_per_second }, START)
    }

    fn after(millis: u64) -> UnixMillis {
        UnixMillis::new(START.get() + millis)
    }

    #[test]
    fn a_second_s_worth_passes_at_once_and_then_one_time_is_told() {
        let mut rate = rate(100, u32::MAX);
        for _ in 0..10 {
            assert_eq!(rate.take(10, 1, START), Ok(()));
        }
        let told = |pause| {
            let pause = Duration::from_millis(pause);
            Err(ComeBack { until: after(250), pause })
        };
        assert_eq!(rate.take(1, 1, START), told(0));
        let early = "a little is there, but it was told a time";
        assert_eq!(rate.take(1, 1, after(100)), told(50), "{early}");
        assert_eq!(rate.take(1, 1, after(249)), told(1), "{early}");
        for _ in 0..25 {
            assert_eq!(rate.take(1, 1, after(250)), Ok(()));
        }
        assert!(rate.take(1, 1, after(250)).is_err());
    }

    #[test]
    fn bytes_count_as_messages_do() {
        let mut rate = rate(u32::MAX, 1_000);
        assert_eq!(
            rate.take(1, 3_000, START),
            Ok(()),
            "larger than a second's worth, and taken whole"
        );
        let told = ComeBack { until: after(2_250), pause: Duration::ZERO };
        assert_eq!(rate.take(1, 1, START), Err(told));
        assert_eq!(rate.take(1, 1, after(2_250)), Ok(()));
    }

    #[test]
    fn who_does_not_wait_is_read_ever_more_slowly() {
        let mut rate = rate(10, u32::MAX);
        assert_eq!(rate.take(512, 1, START), Ok(()));
        for n in 0..200 {
            let told = rate.take(1, 1, START).unwrap_err();
            assert_eq!(told.pause, (PAUSE_STEP * n).min(PAUSE_MAX), "{n}");
        }
        let told = rate.take(1, 1, START).unwrap_err();
        let soon = UnixMillis::new(told.until.get() - 7);
        assert_eq!(rate.take(1, 1, soon).unwrap_err().pause, Duration::from_millis(7));
        assert_eq!(rate.take(1, 1, told.until), Ok(()));
        assert_eq!(rate.take(512, 1, told.until), Ok(()));
        assert_eq!(rate.take(1, 1, told.until).unwrap_err().pause, Duration::ZERO, "forgiven");
    }

    #[test]
    fn a_clock_that_goes_back_locks_nobody_out() {
        let mut rate = rate(100, u32::MAX);
        assert_eq!(rate.take(150, 1, START), Ok(()));
        let earlier = UnixMillis::new(START.get() - 3_600_000);
        let told = rate.take(1, 1, earlier).unwrap_err();
        assert_eq!(told.until, UnixMillis::new(earlier.get() + 750));
        assert_eq!(rate.take(1, 1, told.until), Ok(()));
    }

    proptest! {
        #[test]
        fn the_average_is_kept_and_who_waits_gets_in(
            per_second in 1..5_000_u32,
            asks in proptest::collection::vec((0..400_u64, 1..=512_usize), 1..200),
        ) {
            let mut rate = rate(per_second, u32::MAX);
            let (mut now, mut taken, mut largest) = (START, 0_u64, 0_u64);
            for (later, messages) in asks {
                now = UnixMillis::new(now.get() + later);
                let amount = u64::try_from(messages).unwrap();
                match rate.take(messages, 1, now) {
                    Ok(()) => {
                        taken += amount;
                        largest = largest.max(amount);
                    }
                    Err(told) => {
                        prop_assert!(told.until > now);
                        prop_assert_eq!(rate.clone().take(messages, 1, told.until), Ok(()));
                        let early = UnixMillis::new(told.until.get() - 1);
                        prop_assert!(rate.clone().take(messages, 1, early).is_err());
                    }
                }
                let elapsed = now.get() - START.get();
                let refilled = u64::from(per_second) * elapsed / 1_000 + 1;
                prop_assert!(taken <= u64::from(per_second) + refilled + largest);
            }
        }
    }
}
