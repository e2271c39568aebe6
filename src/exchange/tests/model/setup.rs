//! What a model may do: how many messages, which routes, which faults and how many of each.

use std::time::Duration;

use domain::time::UnixMillis;
use exchange::backoff::Backoff;
use exchange::courier::CourierSettings;
use exchange::relay::ForwarderSettings;
use exchange::route::Route;
use exchange::route::Routes;

use super::letters::BEGINNING;

/// The constants of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Setup {
    pub(crate) routes: Routes,
    pub(crate) courier: CourierSettings,
    pub(crate) forwarder: ForwarderSettings,
    /// Every so many-th letter is refused by the recipient; 0 for none.
    pub(crate) refused_every: u32,
    /// Every so many-th letter loses its purpose a minute after the beginning; 0 for none.
    pub(crate) expires_every: u32,
    /// For how long a recipient or a relay that is busy puts off.
    pub(crate) deferral: Duration,
    /// A restore is not noticed (somebody has put back an old copy of the disk): the sender goes on in the
    /// old epoch until it meets a conflict.
    pub(crate) unnoticed: bool,
    /// Something that is wrong on purpose.
    pub(crate) bug: Option<Bug>,
    pub(crate) left: Left,
}

/// Mistakes that the checker has to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bug {
    /// The recipient answers before it writes.
    AnswersBeforeWriting,
    /// The sender takes the word of a relay for the recipient's.
    TrustsTheRelay,
    /// The sender goes on with the old epoch after a restore, and takes a conflict for a refusal.
    KeepsTheEpoch,
    /// A relay lets go of a parcel when it has sent it.
    RelayLetsGoTooEarly,
}

/// How much of everything is still to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Left {
    pub(crate) letters: u16,
    pub(crate) withdrawals: u16,
    /// Frames and streams that get lost, connections that fail.
    pub(crate) losses: u16,
    /// Frames that arrive twice.
    pub(crate) repeats: u16,
    pub(crate) sender_crashes: u16,
    pub(crate) recipient_crashes: u16,
    pub(crate) relay_crashes: u16,
    pub(crate) backups: u16,
    pub(crate) restores: u16,
    /// Times that the recipient or the relay is busy.
    pub(crate) deferrals: u16,
    /// Parcels that the relay does not take.
    pub(crate) refusals: u16,
    /// Parcels that the relay holds and forgets.
    pub(crate) drops: u16,
    /// Writes of the sender that fail.
    pub(crate) troubles: u16,
    /// Events that a shell may give at any time: the peer calls or pauses, routes come and go.
    pub(crate) disturbances: u16,
    /// Times that the clock goes on to the next time somebody waits for.
    pub(crate) ticks: u16,
}

impl Setup {
    /// By these routes, and nothing happens.
    pub(crate) fn new(routes: &[Route]) -> Self {
        let first = Duration::from_millis(1);
        let backoff = Backoff::new(first, first).unwrap();
        Self {
            routes: routes.iter().copied().collect(),
            courier: CourierSettings {
                window_parcels: 2,
                envelopes_max: 2,
                fill: 1,
                backoff,
                failures_before_next_route: 1,
                ..CourierSettings::default()
            },
            forwarder: ForwarderSettings { backoff, ..ForwarderSettings::default() },
            refused_every: 0,
            expires_every: 0,
            deferral: Duration::from_secs(5),
            unnoticed: false,
            bug: None,
            left: Left::default(),
        }
    }

    pub(crate) fn has_relay(&self) -> bool {
        self.routes.contains(Route::OwnRelay)
    }

    pub(crate) fn refuses(&self, number: u32) -> bool {
        self.refused_every > 0 && number.is_multiple_of(self.refused_every)
    }

    pub(crate) fn expires(&self, number: u32) -> UnixMillis {
        let soon = self.expires_every > 0 && number % self.expires_every == 1;
        BEGINNING.saturating_add(Duration::from_secs(if soon { 60 } else { 90 * 86_400 }))
    }
}
