//! The node of the province: its disk, and around the real forwarder a shell that performs its effects.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use domain::time::UnixMillis;
use exchange::relay::Answer;
use exchange::relay::Effect;
use exchange::relay::Ending;
use exchange::relay::Event;
use exchange::relay::FlightNo;
use exchange::relay::Forwarder;

use super::letters::Parcel;
use super::letters::ParcelName;
use super::letters::Word;
use super::network::Stream;
use super::setup::Bug;
use super::world::Around;

/// The relay.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Relay {
    /// On disk: parcels that are to be handed on.
    pub(crate) queue: BTreeMap<ParcelName, Parcel>,
    /// On disk: parcels that were here and are not any more.
    done: BTreeSet<ParcelName>,
    /// On disk: words on their way back to the sender.
    pub(crate) returns: BTreeMap<ParcelName, Word>,
    forwarder: Forwarder,
    pub(crate) timer: Option<UnixMillis>,
    pub(crate) connecting: bool,
    pub(crate) connected: bool,
    flights: BTreeMap<FlightNo, ParcelName>,
    /// Answers that are to be written, in any order.
    pub(crate) keeping: Vec<(FlightNo, Ending)>,
    words: BTreeMap<FlightNo, Word>,
}

impl Relay {
    pub(crate) fn new(around: &Around) -> Self {
        Self {
            queue: BTreeMap::new(),
            done: BTreeSet::new(),
            returns: BTreeMap::new(),
            forwarder: Forwarder::new(around.setup.forwarder, 0),
            timer: None,
            connecting: false,
            connected: false,
            flights: BTreeMap::new(),
            keeping: Vec::new(),
            words: BTreeMap::new(),
        }
    }

    /// The program ends and starts again from the disk.
    pub(crate) fn crash(&mut self, around: &mut Around) {
        around.network.cut(Stream::Onward);
        let waiting = u64::try_from(self.queue.len()).unwrap();
        *self = Self {
            queue: std::mem::take(&mut self.queue),
            done: std::mem::take(&mut self.done),
            returns: std::mem::take(&mut self.returns),
            forwarder: Forwarder::new(around.setup.forwarder, waiting),
            ..Self::new(around)
        };
        self.happen(Event::Woken, around);
    }

    /// One unit: the parcel is here from now on, unless it has been.
    pub(crate) fn take_in(&mut self, parcel: Parcel, around: &mut Around) {
        let name = parcel.name;
        if !self.queue.contains_key(&name) && !self.done.contains(&name) {
            self.queue.insert(name, parcel);
            self.happen(Event::Mail, around);
        }
    }

    /// The disk of the relay loses a parcel: a relay is trusted for nothing.
    pub(crate) fn forget(&mut self, name: ParcelName) {
        self.queue.remove(&name);
        self.done.insert(name);
    }

    pub(crate) fn connect(&mut self, works: bool, around: &mut Around) {
        self.connecting = false;
        self.connected = works;
        let up = Event::LinkUp { window_parcels: 2 };
        self.happen(if works { up } else { Event::LinkLost }, around);
    }

    pub(crate) fn lose_link(&mut self, around: &mut Around) {
        self.close(around);
        self.happen(Event::LinkLost, around);
    }

    fn close(&mut self, around: &mut Around) {
        around.network.cut(Stream::Onward);
        self.connecting = false;
        self.connected = false;
    }

    /// The recipient has answered, or does not take the parcel.
    pub(crate) fn replied(&mut self, name: ParcelName, word: Word, around: &mut Around) {
        let flight = self.flights.iter().filter(|(_, known)| **known == name).map(|(no, _)| *no);
        let Some(flight) = flight.max() else { return };
        let answer = match word {
            Word::Receipt(_) => Answer::Final,
            Word::Held => Answer::Held,
            Word::Refused => Answer::Refused,
            Word::Deferred { until } => Answer::Deferred { until },
        };
        self.words.insert(flight, word);
        self.happen(Event::Answered { flight, answer }, around);
    }

    /// One unit: the word is on its way back, and the parcel is out of the queue with its content.
    pub(crate) fn keep(&mut self, at: usize, around: &mut Around) {
        let (flight, _) = self.keeping.remove(at);
        let (name, word) = (self.flights.remove(&flight), self.words.remove(&flight));
        let (Some(name), Some(word)) = (name, word) else { return };
        if self.queue.remove(&name).is_some() {
            self.done.insert(name);
            self.returns.insert(name, word);
        }
        self.happen(Event::Kept { flight }, around);
    }

    pub(crate) fn wake(&mut self, around: &mut Around) {
        if self.timer.is_some_and(|timer| timer <= around.now) {
            self.timer = None;
            self.happen(Event::Woken, around);
        }
    }

    fn happen(&mut self, event: Event, around: &mut Around) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let (forwarder, effects) =
                self.forwarder.clone().step(event, around.now, around.dice());
            self.forwarder = forwarder;
            for effect in effects {
                events.extend(self.perform(effect, around));
            }
        }
    }

    fn perform(&mut self, effect: Effect, around: &mut Around) -> Option<Event> {
        match effect {
            Effect::Connect => self.connecting = true,
            Effect::Disconnect => self.close(around),
            Effect::LoadNext { flight, not } => {
                // What was another flight and is not named is in the queue again.
                self.flights.retain(|known, _| not.contains(known));
                let waits = |name: &&ParcelName| !self.flights.values().any(|held| held == *name);
                let next = self.queue.keys().find(waits).copied();
                self.flights.extend(next.map(|name| (flight, name)));
                return Some(Event::Loaded { flight, found: next.is_some() });
            }
            Effect::Send { flight } => {
                let name = self.flights.get(&flight)?;
                let parcel = self.queue.get(name)?.clone();
                if around.setup.bug == Some(Bug::RelayLetsGoTooEarly) {
                    self.queue.remove(&parcel.name);
                    self.done.insert(parcel.name);
                }
                around.network.send(Stream::Onward, parcel);
            }
            Effect::Keep { flight, ending } => self.keeping.push((flight, ending)),
            Effect::WakeAt(at) => {
                around.must(at > around.now);
                self.timer = Some(at);
            }
        }
        None
    }
}
