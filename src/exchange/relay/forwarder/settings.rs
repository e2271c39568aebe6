//! Limits of a forwarder.

use std::time::Duration;

use domain::time::UnixMillis;

use crate::backoff::Backoff;

/// Limits of a forwarder. Values that make no sense (0 parcels) count as the nearest that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ForwarderSettings {
    /// Most parcels between the first read and the kept answer.
    pub window_parcels: u32,
    /// An answer that takes longer, or a stream that takes longer to open, counts as a lost link.
    pub answer_timeout: Duration,
    /// Waits between tries.
    pub backoff: Backoff,
    /// A pause is at least this long, whatever the next hop says: no spinning.
    pub defer_min: Duration,
    /// An announced pause is at most this long: nothing waits for ever.
    pub defer_max: Duration,
    /// A pause that is asked for with a parcel is at most this long; then another parcel asks again.
    pub hold_max: Duration,
}

impl Default for ForwarderSettings {
    fn default() -> Self {
        Self {
            window_parcels: 4,
            answer_timeout: Duration::from_secs(30),
            backoff: Backoff::PROTOCOL,
            defer_min: Duration::from_secs(1),
            defer_max: Duration::from_secs(86_400),
            hold_max: Duration::from_secs(3600),
        }
    }
}

impl ForwarderSettings {
    pub(super) fn window(&self, of_the_peer: u32) -> usize {
        usize::try_from(self.window_parcels.min(of_the_peer).max(1)).unwrap_or(usize::MAX)
    }

    /// How long to wait when the next hop asks for a pause until `wish`.
    pub(super) fn pause(&self, now: UnixMillis, wish: UnixMillis) -> Duration {
        let shortest = self.defer_min.max(Duration::from_millis(1));
        wish.since(now).min(self.hold_max).max(shortest)
    }
}
