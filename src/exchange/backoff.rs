//! How long to wait before the next try: exponential, with full jitter, checked once when it is made.

use std::time::Duration;

use domain::time::UnixMillis;

/// Longest bound that can be configured: a day. Beyond it a peer that is back would wait too long.
pub const BOUND_MAX: Duration = Duration::from_secs(86_400);

/// Waits that are random between zero and a bound; the bound doubles from `first` to `most`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backoff {
    /// Bound of the first wait, in milliseconds.
    first_ms: u64,
    /// Largest bound, in milliseconds.
    most_ms: u64,
}

/// Why waits cannot be configured like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBackoff {
    /// The first bound is shorter than a millisecond: it would spin.
    #[error("the first wait must be at least a millisecond")]
    TooShort,
    /// The largest bound is smaller than the first.
    #[error("the longest wait must not be shorter than the first")]
    Reversed,
    /// The largest bound is longer than [`BOUND_MAX`].
    #[error("the longest wait must not be longer than a day")]
    TooLong,
}

impl Backoff {
    /// Bounds of the protocol: 0.2 to 60 seconds.
    pub const PROTOCOL: Self = Self { first_ms: 200, most_ms: 60_000 };

    /// Waits bounded by `first`, then twice that, up to `most`.
    ///
    /// # Errors
    /// [`InvalidBackoff`] when the bounds make no sense.
    pub fn new(first: Duration, most: Duration) -> Result<Self, InvalidBackoff> {
        if most > BOUND_MAX {
            return Err(InvalidBackoff::TooLong);
        }
        let millis = |bound: Duration| u64::try_from(bound.as_millis());
        let (Ok(first_ms), Ok(most_ms)) = (millis(first), millis(most)) else {
            return Err(InvalidBackoff::Reversed);
        };
        if first_ms == 0 {
            return Err(InvalidBackoff::TooShort);
        }
        if most_ms < first_ms {
            return Err(InvalidBackoff::Reversed);
        }
        Ok(Self { first_ms, most_ms })
    }

    /// Longest wait after that many failures in a row.
    #[must_use]
    pub fn bound(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(63);
        let bound = self.first_ms.saturating_mul(1 << doublings);
        Duration::from_millis(bound.min(self.most_ms))
    }

    /// Wait after that many failures in a row; `random` is any uniform 64-bit number.
    #[must_use]
    pub fn delay(&self, failures: u32, random: u64) -> Duration {
        let values = self.bound(failures).as_millis() + 1;
        // The high half of the product is uniform in 0..values; `values` is below 2^27, so it fits.
        let millis = (u128::from(random) * values) >> 64;
        Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    /// When to try again after that many failures in a row.
    #[must_use]
    pub fn retry_at(&self, now: UnixMillis, failures: u32, random: u64) -> UnixMillis {
        now.saturating_add(self.delay(failures, random))
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::PROTOCOL
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn bounds_double_up_to_the_largest() {
        let bounds = [0, 1, 2, 3, 9, 10, u32::MAX].map(|n| Backoff::PROTOCOL.bound(n).as_millis());
        assert_eq!(bounds, [200, 200, 400, 800, 51_200, 60_000, 60_000]);
        assert_eq!(Backoff::new(millis(200), millis(60_000)), Ok(Backoff::default()));
    }

    #[test]
    fn nonsense_is_refused() {
        let new = |first, most| Backoff::new(first, most).unwrap_err();
        assert_eq!(new(millis(0), millis(5)), InvalidBackoff::TooShort);
        assert_eq!(new(millis(6), millis(5)), InvalidBackoff::Reversed);
        assert_eq!(new(millis(6), BOUND_MAX + millis(1)), InvalidBackoff::TooLong);
        assert_eq!(new(Duration::MAX, millis(1)), InvalidBackoff::Reversed);
    }

    proptest! {
        #[test]
        fn a_wait_is_within_its_bound(first in 1_u64..10_000, more in 0_u64..10_000_000, failures in any::<u32>(), random in any::<u64>()) {
            let backoff = Backoff::new(millis(first), millis(first + more)).unwrap();
            let bound = backoff.bound(failures);
            prop_assert!(bound >= millis(first) && bound <= millis(first + more));
            prop_assert!(backoff.bound(failures.saturating_add(1)) >= bound);
            prop_assert!(backoff.delay(failures, random) <= bound);
            prop_assert_eq!(backoff.delay(failures, 0), Duration::ZERO);
            prop_assert_eq!(backoff.delay(failures, u64::MAX), bound);
        }
    }
}
