//! What can be shown about a courier.

use domain::time::UnixMillis;

use super::Courier;
use super::Link;
use crate::route::Route;
use crate::runs::SeqRuns;

/// Where the mail is, whose turn it is, when the next try comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CourierStatus {
    /// The route that mail takes, or else the best that is being tried; `None` when no route is known.
    pub route: Option<Route>,
    /// State of the stream of that route.
    pub link: Link,
    /// Failures of that route in a row since the last answer by it that was kept.
    pub failures: u32,
    /// Whether calls are made at all.
    pub breaker: Breaker,
    /// Messages without a final answer.
    pub unsettled: u64,
    /// Messages of these that are in a parcel on its way.
    pub in_flight: u64,
    /// Messages of these that the peer has put off.
    pub deferred: u64,
    /// Messages of these that relays or files hold.
    pub in_custody: u64,
    /// All mail waits until then because the peer asked for it or has announced it, or because our own
    /// store is in trouble.
    pub held_until: Option<UnixMillis>,
    /// When something happens next without outside help.
    pub next_try: Option<UnixMillis>,
}

/// Whether calls to the peer are made, as of a fuse: it opens when they fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Breaker {
    /// Some route stands, or none has failed.
    Closed,
    /// After failures, a try is being made.
    HalfOpen,
    /// Every route that is tried has failed; no call is made before the time.
    Open {
        /// When the next try may be, if there is mail then.
        until: UnixMillis,
    },
}

impl Courier {
    /// For people.
    #[must_use]
    pub fn status(&self) -> CourierStatus {
        let route = self.route_to_show();
        let line = route.and_then(|route| self.lines.get(&route));
        let deferred = u64::try_from(self.lane.deferred().len()).unwrap_or(u64::MAX);
        CourierStatus {
            route,
            link: line.map_or(Link::Down { retry_at: None }, |line| line.link),
            failures: line.map_or(0, |line| line.failures),
            breaker: self.breaker(),
            unsettled: self.lane.waiting(),
            in_flight: self.flights.iter().map(|flight| flight.sequences.count()).sum(),
            deferred,
            in_custody: self.lane.in_custody().values().map(SeqRuns::count).sum(),
            held_until: self.held_until.max(self.announced_until),
            next_try: self.wake_at,
        }
    }

    fn breaker(&self) -> Breaker {
        let mut next = None;
        for line in self.lines.values() {
            match line.link {
                Link::Up { .. } => return Breaker::Closed,
                Link::Connecting { .. } if line.failures > 0 => return Breaker::HalfOpen,
                Link::Connecting { .. } => return Breaker::Closed,
                Link::Down { retry_at } => {
                    next = [next, retry_at].into_iter().flatten().min();
                }
            }
        }
        next.map_or(Breaker::Closed, |until| Breaker::Open { until })
    }
}
