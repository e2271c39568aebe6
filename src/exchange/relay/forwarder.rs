//! What a relay does for one next hop: hands on what waits, most urgent first, and keeps each parcel until
//! the word of somebody further on is on its disk.
//!
//! ```text
//!        Mail      LoadNext → Loaded       Send          Answered        Keep → Kept
//! queue ─────► waiting ────────────► in flight ─────────────────► keeping ──────────► handed on
//!                 ▲                    │   │ LinkLost, timeout                        or given up
//!                 └── its time has ◄───│───┘
//!                     come             └── Deferred ─► put off
//! ```
//!
//! The queue itself is in the store, in the order of [`effective_deadline`](super::effective_deadline); the
//! forwarder knows how many wait and which are in its hands. A parcel leaves the queue only with
//! [`Event::Kept`]; all else may be lost at any moment: [`Forwarder::new`] with what is in the queue starts
//! again from there, and handing a parcel over twice is harmless because the next hop repeats its word.

mod event;
mod settings;
#[cfg(test)]
mod simulation;
mod status;
#[cfg(test)]
mod tests;

use domain::time::UnixMillis;

use crate::courier::Link;

pub use event::Answer;
pub use event::Effect;
pub use event::Ending;
pub use event::Event;
pub use event::FlightNo;
pub use settings::ForwarderSettings;
pub use status::ForwarderStatus;

/// One parcel in the forwarder's hands. The shell knows which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Flight {
    number: FlightNo,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// The store is asked for the most urgent parcel.
    Loading,
    Sent {
        since: UnixMillis,
    },
    /// The answer is being written; a lost link no longer matters.
    Keeping,
    /// The next hop did not want it yet.
    PutOff {
        until: UnixMillis,
    },
}

/// The forwarder of one next hop: a value that changes only through [`Forwarder::step`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Forwarder {
    settings: ForwarderSettings,
    link: Link,
    /// Parcels in the queue that are in no flight.
    waiting: u64,
    /// How many of them have come since the store was last asked.
    new_since_load: u64,
    flights: Vec<Flight>,
    next_flight: FlightNo,
    /// Failures of the link in a row since the last answer that was kept.
    failures: u32,
    /// Troubles of our own store in a row since then.
    own_faults: u32,
    /// The next hop, or our own trouble, asked for a pause.
    held_until: Option<UnixMillis>,
    /// The next hop has announced a pause.
    announced_until: Option<UnixMillis>,
    /// The last wish for waking that was uttered and has not come true.
    wake_at: Option<UnixMillis>,
}

impl Forwarder {
    /// A forwarder at the start of the program: nothing in its hands, no link, so many parcels in the queue.
    #[must_use]
    pub const fn new(settings: ForwarderSettings, waiting: u64) -> Self {
        Self {
            settings,
            link: Link::Down { retry_at: None },
            waiting,
            new_since_load: 0,
            flights: Vec::new(),
            next_flight: FlightNo::FIRST,
            failures: 0,
            own_faults: 0,
            held_until: None,
            announced_until: None,
            wake_at: None,
        }
    }

    /// What an event changes, and what is to be done. `random` is any uniform number, used for jitter only.
    ///
    /// Late and repeated events change nothing.
    #[must_use]
    pub fn step(mut self, event: Event, now: UnixMillis, random: u64) -> (Self, Vec<Effect>) {
        let mut effects = Vec::new();
        self.happen(event, now, random, &mut effects);
        self.work(now, random, &mut effects);
        (self, effects)
    }

    fn happen(&mut self, event: Event, now: UnixMillis, random: u64, effects: &mut Vec<Effect>) {
        match event {
            Event::Mail => self.add_waiting(1),
            Event::LinkUp { window_parcels } => self.link = Link::Up { window_parcels },
            Event::LinkLost => self.link_lost(now, random),
            Event::PeerSeen => self.peer_seen(now, random),
            Event::HoldUntil { until } => {
                let longest = now.saturating_add(self.settings.defer_max);
                self.announced_until = until.map(|until| until.min(longest));
            }
            Event::Loaded { flight, found } => self.loaded(flight, found, now, effects),
            Event::Answered { flight, answer } => self.answered(flight, answer, now, effects),
            Event::PeerMisbehaved => self.hang_up(now, random, effects),
            Event::Kept { flight } => self.kept(flight),
            Event::NotKept { flight } => self.not_kept(flight, now, random),
            Event::Woken => self.wake_at = None,
        }
    }

    fn add_waiting(&mut self, parcels: u64) {
        self.waiting = self.waiting.saturating_add(parcels);
        self.new_since_load = self.new_since_load.saturating_add(parcels);
    }

    /// Everything that is not answered goes back to the queue.
    fn link_lost(&mut self, now: UnixMillis, random: u64) {
        if matches!(self.link, Link::Down { .. }) {
            return;
        }
        self.put_back_unless(|stage| matches!(stage, Stage::Keeping | Stage::PutOff { .. }));
        self.failures = self.failures.saturating_add(1);
        let retry_at = self.settings.backoff.retry_at(now, self.failures, random);
        self.link = Link::Down { retry_at: Some(retry_at) };
    }

    fn hang_up(&mut self, now: UnixMillis, random: u64, effects: &mut Vec<Effect>) {
        if !matches!(self.link, Link::Down { .. }) {
            effects.push(Effect::Disconnect);
        }
        self.link_lost(now, random);
    }

    /// Not quite at once: two nodes that only fail each other would call back and forth.
    fn peer_seen(&mut self, now: UnixMillis, random: u64) {
        if let Link::Down { retry_at: Some(at) } = self.link {
            let soon = self.settings.backoff.retry_at(now, 1, random);
            self.link = Link::Down { retry_at: Some(at.min(soon)) };
        }
    }

    /// Lets go of the flights in other stages. Their parcels wait in the queue again, where they have always
    /// been; one that is still being looked for was never taken from it.
    fn put_back_unless(&mut self, stays: impl Fn(Stage) -> bool) {
        let goes = |flight: &&Flight| !stays(flight.stage) && flight.stage != Stage::Loading;
        let back = u64::try_from(self.flights.iter().filter(goes).count()).unwrap_or(u64::MAX);
        self.flights.retain(|flight| stays(flight.stage));
        self.add_waiting(back);
    }

    fn take_flight(&mut self, number: FlightNo, stage: impl Fn(Stage) -> bool) -> Option<Flight> {
        let is_it = |flight: &Flight| flight.number == number && stage(flight.stage);
        let at = self.flights.iter().position(is_it)?;
        Some(self.flights.swap_remove(at))
    }

    fn loaded(
        &mut self,
        number: FlightNo,
        found: bool,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        if self.take_flight(number, |stage| stage == Stage::Loading).is_none() {
            return;
        }
        if found && self.held().is_some_and(|until| until > now) {
            // It waits like the others, and has never left the queue.
            return;
        }
        if found {
            self.waiting = self.waiting.saturating_sub(1);
            self.flights.push(Flight { number, stage: Stage::Sent { since: now } });
            effects.push(Effect::Send { flight: number });
        } else {
            // The count was wrong, but for what has come while the store was looking.
            self.waiting = self.new_since_load;
        }
    }

    fn answered(
        &mut self,
        number: FlightNo,
        answer: Answer,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        if self.take_flight(number, |stage| matches!(stage, Stage::Sent { .. })).is_none() {
            return;
        }
        let ending = match answer {
            Answer::Final => Ending::Final,
            Answer::Held => Ending::Held,
            Answer::Refused => Ending::Refused,
            Answer::Deferred { until } => return self.put_off(number, until, now),
        };
        self.flights.push(Flight { number, stage: Stage::Keeping });
        effects.push(Effect::Keep { flight: number, ending });
    }

    /// A relay cannot look into a parcel, so a deferral is about the state of the next hop, and everything
    /// waits. The parcel that met it waits as long again: should it have been its fault after all, the
    /// others come first.
    fn put_off(&mut self, number: FlightNo, until: UnixMillis, now: UnixMillis) {
        let pause = self.settings.pause(now, until);
        let held = now.saturating_add(pause);
        self.held_until = self.held_until.max(Some(held));
        let stage = Stage::PutOff { until: held.saturating_add(pause) };
        self.flights.push(Flight { number, stage });
    }

    fn kept(&mut self, number: FlightNo) {
        if self.take_flight(number, |stage| stage == Stage::Keeping).is_some() {
            self.failures = 0;
            self.own_faults = 0;
        }
    }

    /// Our own store is in trouble: do not ask again at once.
    fn not_kept(&mut self, number: FlightNo, now: UnixMillis, random: u64) {
        let ours = |stage| matches!(stage, Stage::Loading | Stage::Keeping);
        let Some(flight) = self.take_flight(number, ours) else { return };
        if flight.stage == Stage::Keeping {
            self.add_waiting(1);
        }
        self.own_faults = self.own_faults.saturating_add(1);
        let retry_at = self.settings.backoff.retry_at(now, self.own_faults, random);
        self.held_until = self.held_until.max(Some(retry_at));
    }

    fn work(&mut self, now: UnixMillis, random: u64, effects: &mut Vec<Effect>) {
        self.forgive(now);
        if self.timeout().is_some_and(|timeout| timeout <= now) {
            self.hang_up(now, random, effects);
        }
        if self.held().is_none() && self.waiting > 0 {
            self.connect(now, effects);
            self.load(effects);
        }
        self.wish_to_wake(effects);
    }

    /// Until when everything waits.
    fn held(&self) -> Option<UnixMillis> {
        self.held_until.max(self.announced_until)
    }

    /// Ends the pauses whose time has come, and takes back what was put off.
    fn forgive(&mut self, now: UnixMillis) {
        let over = |time: &mut Option<UnixMillis>| *time = time.filter(|until| *until > now);
        over(&mut self.held_until);
        over(&mut self.announced_until);
        self.put_back_unless(|stage| match stage {
            Stage::PutOff { until } => until > now,
            Stage::Loading | Stage::Sent { .. } | Stage::Keeping => true,
        });
    }

    fn connect(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        let Link::Down { retry_at } = self.link else { return };
        if retry_at.is_none_or(|at| at <= now) {
            self.link = Link::Connecting { since: now };
            effects.push(Effect::Connect);
        }
    }

    /// Asks for one parcel at a time, so that each time the most urgent of that moment is taken.
    fn load(&mut self, effects: &mut Vec<Effect>) {
        let Link::Up { window_parcels } = self.link else { return };
        let is_loading = self.flights.iter().any(|flight| flight.stage == Stage::Loading);
        let sent = |flight: &&Flight| !matches!(flight.stage, Stage::PutOff { .. });
        let in_hand = self.flights.iter().filter(sent).count();
        if is_loading || in_hand >= self.settings.window(window_parcels) {
            return;
        }
        let flight = self.next_flight;
        self.next_flight = flight.next();
        let not = self.flights.iter().map(|flight| flight.number).collect();
        self.flights.push(Flight { number: flight, stage: Stage::Loading });
        self.new_since_load = 0;
        effects.push(Effect::LoadNext { flight, not });
    }

    /// When patience ends with a link that does not open or an answer that does not come.
    fn timeout(&self) -> Option<UnixMillis> {
        let sent = self.flights.iter().filter_map(|flight| match flight.stage {
            Stage::Sent { since } => Some(since),
            Stage::Loading | Stage::Keeping | Stage::PutOff { .. } => None,
        });
        let connecting = match self.link {
            Link::Connecting { since } => Some(since),
            Link::Down { .. } | Link::Up { .. } => None,
        };
        let since = sent.chain(connecting).min();
        since.map(|since| since.saturating_add(self.settings.answer_timeout))
    }

    fn wish_to_wake(&mut self, effects: &mut Vec<Effect>) {
        let mail = (self.waiting > 0).then(|| match (self.held(), self.link) {
            (Some(held), _) => Some(held),
            (None, Link::Down { retry_at }) => retry_at,
            (None, Link::Connecting { .. } | Link::Up { .. }) => None,
        });
        let put_off = self.flights.iter().filter_map(|flight| match flight.stage {
            Stage::PutOff { until } => Some(until),
            Stage::Loading | Stage::Sent { .. } | Stage::Keeping => None,
        });
        let earliest = put_off.chain(mail.flatten()).chain(self.timeout()).min();
        if let Some(at) = earliest.filter(|at| self.wake_at != Some(*at)) {
            effects.push(Effect::WakeAt(at));
        }
        self.wake_at = earliest;
    }
}
