//! The only reader of the system clock and of the system's randomness.

use domain::time::UnixMillis;
use rand::RngCore;

/// The system clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The time now. A clock before 1970 reads as 1970.
    #[must_use]
    pub fn now(self) -> UnixMillis {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let millis = since.map_or(0, |d| d.as_millis());
        UnixMillis::new(u64::try_from(millis).unwrap_or(u64::MAX))
    }
}

/// `N` random bytes from the operating system's seeded generator of this thread.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}
