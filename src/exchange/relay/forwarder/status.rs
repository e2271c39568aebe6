//! What can be shown about a forwarder.

use domain::time::UnixMillis;

use super::Flight;
use super::Forwarder;
use super::Stage;
use crate::courier::Link;

/// Where the parcels are, and when the next try comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ForwarderStatus {
    /// State of the stream to the next hop.
    pub link: Link,
    /// Failures of the link in a row since the last answer that was kept.
    pub failures: u32,
    /// Parcels that are neither handed on nor given up.
    pub parcels: u64,
    /// Parcels of these that are on their way.
    pub in_flight: u64,
    /// Parcels of these that the next hop did not want yet.
    pub put_off: u64,
    /// Everything waits until then: the next hop asked for it or has announced it, or our own store is in
    /// trouble.
    pub held_until: Option<UnixMillis>,
    /// When something happens next without outside help.
    pub next_try: Option<UnixMillis>,
}

impl Forwarder {
    /// For people.
    #[must_use]
    pub fn status(&self) -> ForwarderStatus {
        let count = |stage: fn(Stage) -> bool| {
            let flights = self.flights.iter().filter(|Flight { stage: of, .. }| stage(*of));
            u64::try_from(flights.count()).unwrap_or(u64::MAX)
        };
        let in_flight = count(|stage| matches!(stage, Stage::Sent { .. } | Stage::Keeping));
        let put_off = count(|stage| matches!(stage, Stage::PutOff { .. }));
        ForwarderStatus {
            link: self.link,
            failures: self.failures,
            parcels: self.waiting.saturating_add(in_flight).saturating_add(put_off),
            in_flight,
            put_off,
            held_until: self.held(),
            next_try: self.wake_at,
        }
    }

    /// Whether there is nothing left to do, so that the forwarder can be let go.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.waiting == 0 && self.flights.is_empty()
    }
}
