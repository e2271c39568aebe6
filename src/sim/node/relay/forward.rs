//! Handing parcels on: the shell of a forwarder. `delivery::relay::forward`.

use std::rc::Rc;

use domain::time::UnixMillis;
use exchange::courier;
use exchange::custody::CustodyOutcome;
use exchange::parcel::ParcelId;
use exchange::relay::{Answer, Effect, Ending, Event, FlightNo, Forwarder};
use exchange::tree;

use super::{Flight, Forwarding, queue, settings};
use crate::disk::rows::{Key, Row, TransitRow};
use crate::mail::{Parcel, Receipt, Word};
use crate::node::session::Room;
use crate::node::units::{Change, OnBehalf, Said, Work};
use crate::node::{Inner, Node, SLEEP_MAX, Timer, Waiter, World};
use crate::plan::NodeNo;

impl Node {
    fn forwarding(&mut self, next: NodeNo) -> Option<&mut Forwarding> {
        self.memory.as_mut().and_then(|memory| memory.forwarders.get_mut(&next))
    }

    pub(in crate::node) fn step_forwarder(
        &mut self,
        next: NodeNo,
        event: Event,
        world: &mut World,
    ) {
        let now = self.now(world);
        let random = world.dice.node.any();
        let Some(known) = self.forwarding(next) else { return };
        let forwarder = std::mem::replace(&mut known.forwarder, Forwarder::new(settings(), 0));
        let (forwarder, effects) = forwarder.step(event, now, random);
        let in_flight = forwarder.status().in_flight;
        known.forwarder = forwarder;
        world.peaks.forwarder_parcels = world.peaks.forwarder_parcels.max(in_flight);
        for effect in effects {
            self.perform_forward(next, effect, world);
        }
        self.sleep_forward(next, world);
    }

    fn perform_forward(&mut self, next: NodeNo, effect: Effect, world: &mut World) {
        match effect {
            Effect::Connect => self.wish(next, Waiter::Forwarder(next), world),
            Effect::Disconnect => self.unwish(next, Waiter::Forwarder(next), true, world),
            Effect::LoadNext { flight, not } => {
                if let Some(known) = self.forwarding(next) {
                    known.looking = Some((flight, not));
                }
                self.ask_for_room(next, Room::Forwarder(next, flight), world);
            }
            Effect::Send { flight } => self.send_flight(next, flight, world),
            Effect::Keep { flight, ending } => self.keep_flight(next, flight, ending, world),
            Effect::WakeAt(at) => {
                if let Some(known) = self.forwarding(next) {
                    known.wake = Some(at);
                }
            }
        }
    }

    fn sleep_forward(&mut self, next: NodeNo, world: &mut World) {
        let now = self.now(world);
        let Some(known) = self.forwarding(next) else { return };
        let Some(wake) = known.wake else {
            known.timer.1 = None;
            return;
        };
        let at = world.now.later(wake.since(now).min(SLEEP_MAX));
        if known.timer.1.is_none_or(|set| set > at || set <= world.now) {
            known.timer = (known.timer.0 + 1, Some(at));
            let wish = known.timer.0;
            self.set_timer(Timer::Forwarder(next), wish, at, world);
        }
    }

    pub(in crate::node) fn forwarder_woken(&mut self, next: NodeNo, wish: u64, _world: &mut World) {
        let Some(known) = self.forwarding(next).filter(|known| known.timer.0 == wish) else {
            return;
        };
        (known.timer.1, known.wake) = (None, None);
        self.tell(Inner::Forwarder(next, Event::Woken));
    }

    /// There is room for a parcel: the most urgent that is not in hand is read. Says whether the room is used.
    pub(in crate::node) fn room_for_forwarder(
        &mut self,
        next: NodeNo,
        flight: FlightNo,
        _world: &World,
    ) -> bool {
        let Some(known) = self.forwarding(next) else { return false };
        let Some((_, not)) = known.looking.take_if(|(looking, _)| *looking == flight) else {
            return false;
        };
        // What was another flight and is not named is in the queue again.
        known.flights.retain(|number, _| not.contains(number));
        let in_hand: Vec<_> = known.flights.values().map(|flight| flight.name).collect();
        let found = self.most_urgent(next, &in_hand);
        if let (Some(name), Some(known)) = (found, self.forwarding(next)) {
            known.flights.insert(flight, Flight { name, said: None });
        }
        let found = found.is_some();
        self.tell(Inner::Forwarder(next, Event::Loaded { flight, found }));
        found
    }

    fn most_urgent(&self, next: NodeNo, not: &[ParcelId]) -> Option<ParcelId> {
        let names = self.disk.durable_range(queue(next, next)).filter_map(|(_, row)| row.name());
        let held = |name: &ParcelId| {
            let row = self.disk.get(&Key::Transit(*name)).and_then(Row::transit);
            row.is_some_and(|row| row.state.is_held())
        };
        names.into_iter().find(|name| !not.contains(name) && held(name))
    }

    fn send_flight(&mut self, next: NodeNo, flight: FlightNo, world: &mut World) {
        let name = self.forwarding(next).and_then(|known| Some(known.flights.get(&flight)?.name));
        let row = name.and_then(|name| self.disk.get(&Key::Transit(name)));
        let Some(row) = row.and_then(Row::transit).cloned() else { return };
        let Some(content) = &row.content else { return };
        let word = match &row.own_word {
            Some(word) => Rc::clone(word),
            None => {
                let hand = world.plan.area(row.handed_by);
                let word = self.sign_held(content.manifest(), hand, row.next, world);
                self.keep_own_word(content.manifest().parcel_id, &word, None, world);
                word
            }
        };
        let mut parcel = Parcel::clone(content);
        parcel.custody.push(word);
        if self.drops(world) {
            return self.enqueue(Work::Vanish(parcel.manifest().parcel_id), world);
        }
        if self.rogue(world) {
            return self.mistreat(next, parcel, world);
        }
        self.send_parcel(next, Waiter::Forwarder(next), parcel, world);
    }

    // What is said about it.

    fn flight_of(&mut self, next: NodeNo, name: ParcelId) -> Option<FlightNo> {
        let mut flights = self.forwarding(next)?.flights.iter();
        flights.find(|(_, flight)| flight.name == name).map(|(number, _)| *number)
    }

    /// The recipient has answered on the session.
    pub(in crate::node) fn forwarded_receipt(
        &mut self,
        next: NodeNo,
        receipt: &Rc<Receipt>,
        world: &mut World,
    ) {
        let name = receipt.manifest().parcel_id;
        let Some(flight) = self.flight_of(next, name) else { return };
        if !self.answers(name, receipt, world) {
            world.peaks.misbehaved += 1;
            return self.tell(Inner::Forwarder(next, Event::PeerMisbehaved));
        }
        if let Some(until) = put_off(receipt) {
            let answer = Answer::Deferred { until };
            return self.tell(Inner::Forwarder(next, Event::Answered { flight, answer }));
        }
        self.said(next, flight, Said::Receipt(Rc::clone(receipt)));
        self.tell(Inner::Forwarder(next, Event::Answered { flight, answer: Answer::Final }));
    }

    /// The next hop has said what it does.
    pub(in crate::node) fn forwarded_custody(
        &mut self,
        next: NodeNo,
        word: &Rc<Word>,
        world: &mut World,
    ) {
        let manifest = word.manifest();
        let name = manifest.parcel_id;
        let Some(flight) = self.flight_of(next, name) else { return };
        let Some(row) = self.transit(name) else { return };
        let next_area = world.plan.area(next);
        let fits = word.by() == next
            && manifest.check_answers(row.parcel.manifest(), next_area, self.area).is_ok();
        if !fits {
            world.peaks.misbehaved += 1;
            return self.tell(Inner::Forwarder(next, Event::PeerMisbehaved));
        }
        let (said, answer) = match manifest.outcome {
            CustodyOutcome::Held { .. } => (Some(Said::Held(Rc::clone(word))), Answer::Held),
            CustodyOutcome::Refused { reason } => {
                (Some(Said::Refused(reason, Rc::clone(word))), Answer::Refused)
            }
            CustodyOutcome::Deferred { until, .. } => (None, Answer::Deferred { until }),
        };
        if let Some(said) = said {
            self.said(next, flight, said);
        }
        self.tell(Inner::Forwarder(next, Event::Answered { flight, answer }));
    }

    fn said(&mut self, next: NodeNo, flight: FlightNo, said: Said) {
        if let Some(flight) = self.forwarding(next).and_then(|k| k.flights.get_mut(&flight)) {
            flight.said = Some(said);
        }
    }

    fn keep_flight(&mut self, next: NodeNo, flight: FlightNo, ending: Ending, world: &mut World) {
        let known = self.forwarding(next).and_then(|known| known.flights.get(&flight));
        let found = known.and_then(|known| Some((known.name, known.said.clone()?)));
        let Some((parcel, said)) = found else { return };
        debug_assert!(
            match &said {
                Said::Receipt(_) => ending == Ending::Final,
                Said::Held(_) => ending == Ending::Held,
                Said::Refused(..) => ending == Ending::Refused,
                Said::Further(_) => false,
            },
            "the forwarder keeps what was said"
        );
        let on_behalf = OnBehalf::Forwarder(next, flight);
        self.enqueue(Work::Note { parcel, said, on_behalf }, world);
    }

    /// Something that was said about a parcel in transit is on disk.
    pub(in crate::node) fn noted(
        &mut self,
        change: Change,
        on_behalf: OnBehalf,
        world: &mut World,
    ) {
        match on_behalf {
            OnBehalf::Forwarder(next, flight) => {
                if let Some(known) = self.forwarding(next) {
                    known.flights.remove(&flight);
                }
                self.tell(Inner::Forwarder(next, Event::Kept { flight }));
            }
            OnBehalf::Neighbour(id, via) => self.word_was_taken(id, via, world),
        }
        if let Some(toward) = change.hand_back_to {
            self.tell(Inner::Returns(toward));
        }
    }

    pub(in crate::node) fn transit(&self, name: ParcelId) -> Option<&Rc<TransitRow>> {
        self.disk.get(&Key::Transit(name)).and_then(Row::transit)
    }

    /// Whether a receipt is the recipient's answer to this parcel, as far as one can tell who cannot see what is in it.
    pub(in crate::node) fn answers(
        &self,
        name: ParcelId,
        receipt: &Receipt,
        world: &World,
    ) -> bool {
        let Some(row) = self.transit(name) else { return false };
        let (parcel, said) = (row.parcel.manifest(), receipt.manifest());
        let leaves: Vec<_> = receipt.serialised.iter().map(|b| tree::leaf_hash(b)).collect();
        world.plan.at(said.from) == Some(receipt.signed.by())
            && said.parcel_id == parcel.parcel_id
            && said.parcel_root == parcel.root
            && said.from == parcel.to
            && said.to == parcel.from
            && said.count == parcel.count
            && u32::try_from(leaves.len()) == Ok(parcel.count)
            && said.root == tree::root(&leaves)
    }
}

/// Until when a recipient that takes nothing at all just now wants to be left alone. What it says of single envelopes is
/// for their sender.
fn put_off(receipt: &Receipt) -> Option<UnixMillis> {
    let mut earliest: Option<UnixMillis> = None;
    for said in receipt.dispositions()? {
        match courier::Answer::from(&said.outcome) {
            courier::Answer::Deferred { until, whole_peer: true } => {
                earliest = Some(earliest.map_or(until, |known| known.min(until)));
            }
            courier::Answer::Deferred { .. } | courier::Answer::Final => return None,
        }
    }
    earliest
}
