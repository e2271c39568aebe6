//! The sending end: one courier a peer, which brings each message of a lane to its final answer.
//!
//! ```text
//!          Mail            Load → Loaded        Send          ReceiptArrived      Keep → Kept
//! journal ─────► fresh ─┬───────────────► in flight ─────────────► keeping ──────────────► settled
//!                again ─┘                     │ LinkLost, timeout                   │ deferred
//!                  ▲ ◄────────────────────────┘                                     ▼
//!                  └───────────────── its time has come ──────────────────────── waiting
//! ```
//!
//! A message is settled only by [`Event::Kept`], that is when its receipt is on disk. Everything else may be
//! lost at any moment: [`Courier::new`] with the stored [`LaneOut`] starts again from there, and offering a
//! message twice is harmless because the receiver repeats its first answer.

mod event;
mod settings;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod work;

use std::collections::BTreeSet;

use domain::time::UnixMillis;

use crate::lane::LaneOut;
use crate::lane::LaneSeq;
use crate::lane::Mark;
use crate::runs::Run;
use crate::runs::SeqRuns;

pub use event::Answer;
pub use event::Effect;
pub use event::Event;
pub use event::ParcelNo;
pub use settings::CourierSettings;

/// State of the stream to the peer.
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

/// One parcel on its way, from the first read to the kept receipt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Flight {
    parcel: ParcelNo,
    sequences: SeqRuns,
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Loading,
    Sent {
        since: UnixMillis,
    },
    /// The receipt is being written; a lost link no longer matters.
    Keeping {
        marks: Vec<Mark>,
        hold_until: Option<UnixMillis>,
    },
}

/// Which of the two queues the next parcel is taken from, when both have mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Turn {
    Fresh,
    Again,
}

/// The courier of one peer: a value that changes only through [`Courier::step`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Courier {
    settings: CourierSettings,
    lane: LaneOut,
    /// To be offered and never put off.
    fresh: SeqRuns,
    /// Put off, and their time has come.
    again: SeqRuns,
    /// Put off until their time comes.
    waiting: BTreeSet<(UnixMillis, LaneSeq)>,
    flights: Vec<Flight>,
    next_parcel: ParcelNo,
    link: Link,
    /// Failures in a row since the last kept receipt.
    failures: u32,
    /// The peer, or our journal, asked for a pause of everything.
    held_until: Option<UnixMillis>,
    turn: Turn,
    /// The last wish for waking that was uttered and has not come true.
    wake_at: Option<UnixMillis>,
}

/// What can be shown about a courier: where the mail is, whose turn it is, when the next try comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CourierStatus {
    /// State of the stream.
    pub link: Link,
    /// Failures in a row since the last kept receipt.
    pub failures: u32,
    /// Messages without a final answer.
    pub unsettled: u64,
    /// Messages of these that are in a parcel on its way.
    pub in_flight: u64,
    /// Messages of these that the peer has put off.
    pub deferred: u64,
    /// All mail waits until then because the peer asked for it.
    pub held_until: Option<UnixMillis>,
    /// When something happens next without outside help.
    pub next_try: Option<UnixMillis>,
}

impl Courier {
    /// A courier at the start of the program: nothing in flight, no link, the lane as it was stored.
    #[must_use]
    pub fn new(settings: CourierSettings, lane: LaneOut) -> Self {
        Self {
            settings,
            fresh: lane.unsettled(),
            again: SeqRuns::new(),
            waiting: lane.deferred().iter().map(|(sequence, until)| (*until, *sequence)).collect(),
            lane,
            flights: Vec::new(),
            next_parcel: ParcelNo(0),
            link: Link::Down { retry_at: None },
            failures: 0,
            held_until: None,
            turn: Turn::Again,
            wake_at: None,
        }
    }

    /// What is known about the lane; equals the stored one after each [`Event::Kept`], but for new numbers.
    #[must_use]
    pub const fn lane(&self) -> &LaneOut {
        &self.lane
    }

    /// For people.
    #[must_use]
    pub fn status(&self) -> CourierStatus {
        let deferred = u64::try_from(self.lane.deferred().len()).unwrap_or(u64::MAX);
        CourierStatus {
            link: self.link,
            failures: self.failures,
            unsettled: self.lane.waiting(),
            in_flight: self.flights.iter().map(|flight| flight.sequences.count()).sum(),
            deferred,
            held_until: self.held_until,
            next_try: self.wake_at,
        }
    }

    /// What an event changes, and what is to be done. `random` is any uniform number, used for jitter only.
    ///
    /// Late and repeated events change nothing.
    #[must_use]
    pub fn step(mut self, event: Event, now: UnixMillis, random: u64) -> (Self, Vec<Effect>) {
        let mut effects = Vec::new();
        match event {
            Event::Mail { through } => self.mail(through),
            Event::LinkUp { window_parcels } => {
                self.link = Link::Up { window_parcels: window_parcels.max(1) };
            }
            Event::LinkLost => self.link_lost(now, random),
            Event::PeerSeen => {
                // Not quite at once: two nodes that only fail each other would call back and forth.
                if let Link::Down { retry_at: Some(at) } = self.link {
                    let soon = self.settings.backoff.retry_at(now, 1, random);
                    self.link = Link::Down { retry_at: Some(at.min(soon)) };
                }
            }
            Event::Loaded { parcel, sequences } => {
                self.loaded(parcel, sequences, now, random, &mut effects);
            }
            Event::ReceiptArrived { parcel, answers } => {
                if self.receipt_arrived(parcel, &answers, now, &mut effects).is_err() {
                    self.hang_up(now, random, &mut effects);
                }
            }
            Event::PeerMisbehaved => self.hang_up(now, random, &mut effects),
            Event::Kept { parcel } => self.kept(parcel),
            Event::NotKept { parcel } => self.not_kept(parcel, now, random),
            Event::Settled { sequences } => self.settled(&sequences),
            Event::Woken => self.wake_at = None,
        }
        self.work(now, random, &mut effects);
        (self, effects)
    }

    fn mail(&mut self, through: LaneSeq) {
        self.fresh.insert_run(Run { first: self.lane.next_sequence(), last: through });
        self.lane.assigned_through(through);
    }

    /// Everything that is not yet answered goes back to where it came from.
    fn link_lost(&mut self, now: UnixMillis, random: u64) {
        if matches!(self.link, Link::Down { .. }) {
            return;
        }
        for flight in std::mem::take(&mut self.flights) {
            match flight.stage {
                Stage::Loading | Stage::Sent { .. } => self.put_back(flight.sequences),
                Stage::Keeping { .. } => self.flights.push(flight),
            }
        }
        let retry_at = self.failed(now, random);
        self.link = Link::Down { retry_at: Some(retry_at) };
    }

    fn hang_up(&mut self, now: UnixMillis, random: u64, effects: &mut Vec<Effect>) {
        if !matches!(self.link, Link::Down { .. }) {
            effects.push(Effect::Disconnect);
        }
        self.link_lost(now, random);
    }

    fn loaded(
        &mut self,
        parcel: ParcelNo,
        loaded: SeqRuns,
        now: UnixMillis,
        random: u64,
        effects: &mut Vec<Effect>,
    ) {
        let is_it = |flight: &Flight| flight.parcel == parcel && flight.stage == Stage::Loading;
        let Some(at) = self.flights.iter().position(is_it) else { return };
        let asked = self.flights.swap_remove(at).sequences;
        if loaded.is_empty() {
            // The journal is in trouble, or the mail was withdrawn meanwhile: do not ask again at once.
            self.put_back(asked);
            self.held_until = Some(self.failed(now, random));
            return;
        }
        if loaded != asked {
            self.put_back(asked.iter().filter(|sequence| !loaded.contains(*sequence)).collect());
        }
        self.flights.push(Flight { parcel, sequences: loaded, stage: Stage::Sent { since: now } });
        effects.push(Effect::Send { parcel });
    }

    /// `Err` when the receipt has not one answer for each envelope.
    fn receipt_arrived(
        &mut self,
        parcel: ParcelNo,
        answers: &[Answer],
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) -> Result<(), NotAnAnswer> {
        let is_it = |flight: &&mut Flight| {
            flight.parcel == parcel && matches!(flight.stage, Stage::Sent { .. })
        };
        let Some(flight) = self.flights.iter_mut().find(is_it) else { return Ok(()) };
        if u64::try_from(answers.len()) != Ok(flight.sequences.count()) {
            return Err(NotAnAnswer);
        }
        let mut hold_until = None;
        let mut mark = |(sequence, answer): (LaneSeq, &Answer)| match *answer {
            Answer::Final => Mark::Settled(sequence),
            Answer::Deferred { until, whole_peer } => {
                if whole_peer {
                    let hold = self.settings.hold_until(now, until);
                    hold_until = Some(hold_until.map_or(hold, |known: UnixMillis| known.min(hold)));
                }
                Mark::Deferred(sequence, self.settings.defer_until(now, until))
            }
        };
        let marks: Vec<_> = flight.sequences.iter().zip(answers).map(&mut mark).collect();
        flight.stage = Stage::Keeping { marks: marks.clone(), hold_until };
        effects.push(Effect::Keep { parcel, marks });
        Ok(())
    }

    fn kept(&mut self, parcel: ParcelNo) {
        let Some(at) = self.flights.iter().position(|flight| flight.parcel == parcel) else {
            return;
        };
        let flight = self.flights.swap_remove(at);
        let Stage::Keeping { marks, hold_until } = flight.stage else {
            // Nothing was to be kept yet: the shell is confused, and the mail must not be forgotten.
            self.flights.push(flight);
            return;
        };
        self.failures = 0;
        self.held_until = self.held_until.max(hold_until);
        for mark in &marks {
            self.lane.apply([*mark]);
            let Mark::Deferred(sequence, _) = *mark else { continue };
            // Unless it was settled by another way meanwhile.
            if let Some(until) = self.lane.deferred().get(&sequence) {
                self.waiting.insert((*until, sequence));
            }
        }
    }

    /// Offered again after a pause; what is wrong here is wrong for the next receipt as well.
    fn not_kept(&mut self, parcel: ParcelNo, now: UnixMillis, random: u64) {
        let is_it = |flight: &Flight| {
            flight.parcel == parcel && matches!(flight.stage, Stage::Keeping { .. })
        };
        let Some(at) = self.flights.iter().position(is_it) else { return };
        let flight = self.flights.swap_remove(at);
        self.put_back(flight.sequences);
        self.held_until = self.held_until.max(Some(self.failed(now, random)));
    }

    fn settled(&mut self, sequences: &[LaneSeq]) {
        for &sequence in sequences {
            if let Some(&until) = self.lane.deferred().get(&sequence) {
                self.waiting.remove(&(until, sequence));
            }
            self.lane.apply([Mark::Settled(sequence)]);
            self.fresh.remove(sequence);
            self.again.remove(sequence);
        }
    }

    /// Back to the queue they came from, except what was settled meanwhile.
    fn put_back(&mut self, sequences: SeqRuns) {
        if self.lane.deferred().is_empty() && !sequences.iter().any(|s| self.lane.is_settled(s)) {
            self.fresh.merge(sequences);
            return;
        }
        for sequence in sequences.iter().filter(|sequence| !self.lane.is_settled(*sequence)) {
            if self.lane.deferred().contains_key(&sequence) {
                self.again.insert(sequence);
            } else {
                self.fresh.insert(sequence);
            }
        }
    }

    /// Counts a failure and says when the next try may be.
    fn failed(&mut self, now: UnixMillis, random: u64) -> UnixMillis {
        self.failures = self.failures.saturating_add(1);
        self.settings.backoff.retry_at(now, self.failures, random)
    }
}

/// A receipt without one answer for each envelope.
struct NotAnAnswer;
