//! The only reader of the system clock and of the system's randomness.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use domain::area::AreaCode;
use domain::id::{MessageId, MessageIds};
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

/// Ids of the messages of this process, by the county that gives them: a process is one node, except in tests.
static MESSAGE_IDS: Mutex<BTreeMap<AreaCode, MessageIds>> = Mutex::new(BTreeMap::new());

/// The next message id of a county: greater than all before it in this process, whatever the clock does. Called on the
/// committer thread, ids grow in the order of the lanes.
#[must_use]
pub fn next_message_id(county: AreaCode, now: UnixMillis) -> MessageId {
    let mut all = MESSAGE_IDS.lock().unwrap_or_else(PoisonError::into_inner);
    let ids = all.entry(county).or_insert_with(|| MessageIds::of(county));
    ids.next(now, u64::from_be_bytes(random()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_and_name_their_county_when_the_clock_goes_back() {
        let counties: [AreaCode; 2] = ["410522", "440305"].map(|code| code.parse().unwrap());
        for county in counties {
            let times = [1_700_000_000_000, 1_700_000_000_000, 5, 1_700_000_000_001];
            let ids = times.map(|at| next_message_id(county, UnixMillis::new(at)));
            assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
            assert!(ids.iter().all(|id| id.names(county)));
        }
    }
}
