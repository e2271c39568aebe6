//! The sending end: one courier a peer, which brings each message of a lane to its final answer.
//!
//! ```text
//!          Mail            Load → Loaded        Send          ReceiptArrived      Keep → Kept
//! journal ─────► fresh ─┬───────────────► in flight ─────────────► keeping ──────────────► settled
//!                again ─┘                   │   │ LinkLost, timeout  │                ▲
//!                  ▲ ◄──────────────────────│───┘                    │ deferred       │ Marked
//!                  │                        │ CustodyArrived         ▼                │
//!                  └── its time has come ───└─────► keeping ──────► resting ──────────┘
//! ```
//!
//! A message is settled only by [`Event::Kept`] and [`Event::Marked`], that is when its recipient's receipt is
//! on disk. What a relay or a file holds rests until our patience with it ends. Everything else may be lost
//! at any moment: [`Courier::new`] with the stored [`LaneOut`] starts again from there, and offering a message
//! twice is harmless because the receiver repeats its first answer.

mod event;
mod flight;
mod line;
mod resting;
mod settings;
mod status;
#[cfg(test)]
mod tests;
mod urgency;
mod work;

use std::collections::BTreeMap;

use domain::time::UnixMillis;

use crate::lane::LaneOut;
use crate::lane::LaneSeq;
use crate::route::Route;
use crate::route::Routes;
use crate::runs::Run;
use crate::runs::SeqRuns;

use flight::Flight;
use flight::NotAnAnswer;
use line::Line;
use resting::Resting;
use urgency::Urgency;

pub use event::Answer;
pub use event::CustodyAnswer;
pub use event::Effect;
pub use event::Event;
pub use event::ParcelNo;
pub use settings::CourierSettings;
pub use status::Breaker;
pub use status::CourierStatus;

/// State of the stream to the neighbour of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// There is none.
    Down {
        /// Not to be tried again before this time.
        retry_at: Option<UnixMillis>,
    },
    /// It is being opened.
    Connecting {
        /// When that began.
        since: UnixMillis,
    },
    /// It stands.
    Up {
        /// Largest number of parcels in flight on it.
        window_parcels: u32,
    },
}

/// Which of the two queues the next parcel is taken from, when both have mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Turn {
    Fresh,
    Again,
}

/// The courier of one peer and epoch: a value that changes only through [`Courier::step`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Courier {
    settings: CourierSettings,
    lane: LaneOut,
    /// The routes there are.
    lines: BTreeMap<Route, Line>,
    /// To be offered and never put off.
    fresh: SeqRuns,
    /// Put off or held by a relay, and their time has come.
    again: SeqRuns,
    /// Put off or held by a relay until their time comes.
    resting: Resting,
    urgency: Urgency,
    flights: Vec<Flight>,
    next_parcel: ParcelNo,
    /// Troubles of our own store in a row since the last kept answer.
    own_faults: u32,
    /// The peer, or our own trouble, asked for a pause of everything.
    held_until: Option<UnixMillis>,
    /// The peer has announced a pause of everything.
    announced_until: Option<UnixMillis>,
    turn: Turn,
    /// The last wish for waking that was uttered and has not come true.
    wake_at: Option<UnixMillis>,
}

impl Courier {
    /// A courier at the start of the program: nothing in flight, no link, the lane as it was stored.
    #[must_use]
    pub fn new(settings: CourierSettings, lane: LaneOut, routes: Routes) -> Self {
        let mut resting = Resting::default();
        for (sequence, until) in lane.deferred() {
            resting.insert(*until, None, *sequence);
        }
        for (until, sequences) in lane.in_custody() {
            sequences.iter().for_each(|sequence| resting.insert(*until, None, sequence));
        }
        Self {
            settings,
            lines: routes.iter().map(|route| (route, Line::new())).collect(),
            fresh: lane.unsettled(),
            again: SeqRuns::new(),
            resting,
            urgency: Urgency::default(),
            lane,
            flights: Vec::new(),
            next_parcel: ParcelNo(0),
            own_faults: 0,
            held_until: None,
            announced_until: None,
            turn: Turn::Again,
            wake_at: None,
        }
    }

    /// What is known about the lane; equals the stored one after each [`Event::Kept`] and [`Event::Marked`],
    /// but for new numbers.
    #[must_use]
    pub const fn lane(&self) -> &LaneOut {
        &self.lane
    }

    /// What an event changes, and what is to be done. `random` is any uniform number, used for jitter only.
    ///
    /// Late and repeated events change nothing.
    #[must_use]
    pub fn step(mut self, event: Event, now: UnixMillis, random: u64) -> (Self, Vec<Effect>) {
        let mut effects = Vec::new();
        if let Err(NotAnAnswer { route }) = self.happen(event, now, random, &mut effects) {
            self.hang_up(route, now, random, &mut effects);
        }
        self.work(now, random, &mut effects);
        (self, effects)
    }

    fn happen(
        &mut self,
        event: Event,
        now: UnixMillis,
        random: u64,
        effects: &mut Vec<Effect>,
    ) -> Result<(), NotAnAnswer> {
        match event {
            Event::Mail { through } => self.mail(through),
            Event::LinkUp { route, window_parcels } => self.link_up(route, window_parcels),
            Event::LinkLost { route } => self.link_lost(route, now, random),
            Event::PeerSeen => self.peer_seen(now, random),
            Event::RoutesChanged { routes } => self.routes_changed(routes, effects),
            Event::HoldUntil { until } => {
                let longest = now.saturating_add(self.settings.defer_max);
                self.announced_until = until.map(|until| until.min(longest));
            }
            Event::Loaded { parcel, sequences, unreadable } => {
                let rests = now.saturating_add(self.settings.defer_max);
                self.put_aside(parcel, unreadable, rests);
                self.loaded(parcel, sequences, now, random, effects);
            }
            Event::Looked { deadlines } => self.urgency.learn(&deadlines),
            Event::ReceiptArrived { parcel, answers } => {
                self.receipt_arrived(parcel, &answers, now, effects)?;
            }
            Event::CustodyArrived { parcel, answer } => {
                self.custody_arrived(parcel, answer, now, random, effects)?;
            }
            Event::PeerMisbehaved => self.hang_up_everywhere(now, random, effects),
            Event::Kept { parcel } => self.kept(parcel),
            Event::NotKept { parcel } => self.not_kept(parcel, now, random),
            Event::Marked { marks } => self.marked(&marks, None),
            Event::TurnedBack { by, marks } => {
                self.marked(&marks, None);
                if let Some(route) = by {
                    self.doubt(route, now);
                }
            }
            Event::Woken => self.wake_at = None,
        }
        Ok(())
    }

    fn mail(&mut self, through: LaneSeq) {
        self.fresh.insert_run(Run { first: self.lane.next_sequence(), last: through });
        self.lane.assigned_through(through);
    }
}
