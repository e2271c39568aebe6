//! Limits of a courier.

use std::time::Duration;

use domain::time::UnixMillis;

use crate::backoff::Backoff;
use crate::parcel::PARCEL_BYTES_MAX;
use crate::parcel::PARCEL_ENVELOPES_MAX;

/// Limits of a courier. Values that make no sense (0 parcels) count as the nearest that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CourierSettings {
    /// Most parcels between the first read and the kept receipt.
    pub window_parcels: u32,
    /// Most envelopes in a parcel; at most [`PARCEL_ENVELOPES_MAX`].
    pub envelopes_max: u32,
    /// Most bytes of envelopes in a parcel; at most [`PARCEL_BYTES_MAX`].
    pub bytes_max: usize,
    /// While a parcel is on its way, the next waits for so many messages: signatures are paid by the parcel.
    /// 1 sends everything at once.
    pub fill: u32,
    /// An answer that takes longer, or a stream that takes longer to open, counts as a lost link.
    pub receipt_timeout: Duration,
    /// Waits between tries.
    pub backoff: Backoff,
    /// A deferral is at least this long, whatever the peer says: no spinning.
    pub defer_min: Duration,
    /// A deferral is at most this long, whatever the peer says: nothing is put off for ever.
    pub defer_max: Duration,
    /// A pause of all mail, or of a relay, is at most this long; then one parcel asks again.
    pub hold_max: Duration,
    /// After so long without a link on one route the next one is tried as well.
    pub route_patience: Duration,
    /// After so many failures in a row on one route the next one is tried as well.
    pub failures_before_next_route: u32,
    /// While there are other routes, one that fails is tried again at least this often.
    pub direct_probe_max: Duration,
    /// What a relay or a file holds is offered again, by another route if there is one, when no receipt of
    /// the recipient has come for so long. For as long, the relay is doubted.
    pub custody_patience: Duration,
}

impl Default for CourierSettings {
    fn default() -> Self {
        Self {
            window_parcels: 8,
            envelopes_max: 512,
            bytes_max: PARCEL_BYTES_MAX,
            fill: 64,
            receipt_timeout: Duration::from_secs(30),
            backoff: Backoff::PROTOCOL,
            defer_min: Duration::from_secs(1),
            defer_max: Duration::from_secs(86_400),
            hold_max: Duration::from_secs(3600),
            route_patience: Duration::from_secs(10),
            failures_before_next_route: 3,
            direct_probe_max: Duration::from_secs(60),
            custody_patience: Duration::from_secs(3600),
        }
    }
}

impl CourierSettings {
    /// How long mail rests that a carrier has turned back, when it has been handed to carriers `times` before: as
    /// long as one waits for a link, twice as long each time, and no longer than for a carrier.
    #[must_use]
    pub fn turned_back_pause(&self, times: u32) -> Duration {
        let doubled = 1_u32.checked_shl(times).and_then(|by| self.route_patience.checked_mul(by));
        doubled.map_or(self.custody_patience, |pause| pause.min(self.custody_patience))
    }

    pub(super) fn envelopes(&self) -> u64 {
        let most = u64::try_from(PARCEL_ENVELOPES_MAX).unwrap_or(u64::MAX);
        u64::from(self.envelopes_max).clamp(1, most)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes_max.clamp(1, PARCEL_BYTES_MAX)
    }

    pub(super) fn window(&self, of_the_peer: u32) -> usize {
        usize::try_from(self.window_parcels.min(of_the_peer).max(1)).unwrap_or(usize::MAX)
    }

    /// Until when something rests that is to be put off until `wish`: neither too short nor for ever.
    #[must_use]
    pub fn defer_until(&self, now: UnixMillis, wish: UnixMillis) -> UnixMillis {
        let earliest = now.saturating_add(self.defer_min);
        wish.min(now.saturating_add(self.defer_max)).max(earliest)
    }

    pub(super) fn hold_until(&self, now: UnixMillis, wish: UnixMillis) -> UnixMillis {
        self.defer_until(now, wish).min(now.saturating_add(self.hold_max))
    }
}
