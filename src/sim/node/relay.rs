//! Carrying parcels for others: `delivery::relay`. And what a relay does that cannot be trusted.

mod forward;
mod rogue;

use std::collections::BTreeMap;
use std::rc::Rc;

use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::custody::{CustodyManifest, CustodyOutcome};
use exchange::parcel::{ParcelId, ParcelManifest};
use exchange::relay::{Event, FlightNo, Forwarder, ForwarderSettings, parcel_deadline};

use super::session::Via;
use super::units::{Handed, Said, Taken, Work};
use super::{Inner, Node, World};
use crate::disk::rows::{Key, TransitState};
use crate::history::{Fact, ParcelName};
use crate::mail::{Frame, Parcel, Word};
use crate::plan::NodeNo;
use crate::timeline::Moment;

/// A forwarder with what its shell knows.
#[derive(Debug)]
pub(crate) struct Forwarding {
    forwarder: Forwarder,
    flights: BTreeMap<FlightNo, Flight>,
    /// What is in the forwarder's hands while a parcel is looked for.
    looking: Option<(FlightNo, Vec<FlightNo>)>,
    wake: Option<UnixMillis>,
    timer: (u64, Option<Moment>),
}

#[derive(Debug)]
struct Flight {
    name: ParcelId,
    said: Option<Said>,
}

fn settings() -> ForwarderSettings {
    ForwarderSettings::default()
}

impl Node {
    /// The forwarders of everything that waits, and the words that do.
    pub(super) fn find_transit(&mut self, world: &mut World) {
        let mut nexts = Vec::new();
        for (key, _) in self.disk.durable_range(queue(NodeNo::new(0), NodeNo::new(u32::MAX))) {
            if let Key::Queue(next, ..) = *key
                && nexts.last() != Some(&next)
            {
                nexts.push(next);
            }
        }
        for next in nexts {
            self.forward(next);
        }
        let all = Key::Return(NodeNo::new(0), 0)..=Key::Return(NodeNo::new(u32::MAX), u64::MAX);
        let mut toward = Vec::new();
        for (key, _) in self.disk.durable_range(all) {
            if let Key::Return(to, _) = *key
                && toward.last() != Some(&to)
            {
                toward.push(to);
            }
        }
        for to in toward {
            self.tell(Inner::Returns(to));
        }
        let _ = world;
    }

    /// One more parcel waits for a next hop; its forwarder is started when there is none.
    fn forward(&mut self, next: NodeNo) {
        let waiting = self.disk.durable_range(queue(next, next)).count();
        let waiting = u64::try_from(waiting).unwrap_or(u64::MAX);
        let Some(memory) = &mut self.memory else { return };
        if memory.forwarders.contains_key(&next) {
            return self.tell(Inner::Forwarder(next, Event::Mail));
        }
        let forwarding = Forwarding {
            forwarder: Forwarder::new(settings(), waiting),
            flights: BTreeMap::new(),
            looking: None,
            wake: None,
            timer: (0, None),
        };
        memory.forwarders.insert(next, forwarding);
        self.tell(Inner::Forwarder(next, Event::Woken));
    }

    // Taking a parcel.

    /// A parcel for others came that this node carries.
    pub(super) fn hold(
        &mut self,
        via: Via,
        handed_by: NodeNo,
        parcel: Parcel,
        next: AreaCode,
        world: &mut World,
    ) {
        let now = self.now(world);
        let headers = parcel.envelopes.iter().map(|carried| &carried.envelope.header);
        let deadline = parcel_deadline(headers, now);
        let Some(next) = world.plan.at(next) else {
            let hand = world.plan.area(handed_by);
            self.refuse_hand(via, parcel.manifest(), hand, Reason::UnknownArea, world);
            return self.turn_ends(via, world);
        };
        let handed = Box::new(Handed { parcel: Rc::new(parcel), handed_by, next, deadline });
        self.enqueue(Work::Hold { handed, via }, world);
    }

    /// It is on disk: our word is signed, kept and given.
    pub(super) fn holds(
        &mut self,
        taken: Taken,
        manifest: &ParcelManifest,
        handed_by: NodeNo,
        via: Via,
        world: &mut World,
    ) {
        let hand = world.plan.area(handed_by);
        let word = match taken {
            Taken::New { next } => {
                let word = self.sign_held(manifest, hand, next, world);
                self.keep_own_word(manifest.parcel_id, &word, Some(next), world);
                word
            }
            Taken::Known(row) => match (row.state, &row.own_word) {
                (TransitState::GivenUp { reason }, _) => {
                    self.sign_word(manifest, hand, CustodyOutcome::Refused { reason }, world)
                }
                (_, Some(word)) if row.handed_by == handed_by => Rc::clone(word),
                _ => {
                    let word = self.sign_held(manifest, hand, row.next, world);
                    self.keep_own_word(manifest.parcel_id, &word, None, world);
                    word
                }
            },
        };
        self.turn_ends(via, world);
        self.reply(via, Frame::Custody(word), world);
    }

    fn keep_own_word(
        &mut self,
        parcel: ParcelId,
        word: &Rc<Word>,
        next: Option<NodeNo>,
        world: &mut World,
    ) {
        self.enqueue(Work::KeepOwnWord { parcel, word: Rc::clone(word), next }, world);
    }

    /// Our word is on disk: the parcel may go on, since the word travels with it.
    pub(super) fn kept_own_word(&mut self, parcel: ParcelId, next: NodeNo, world: &mut World) {
        if self.rogue(world) && world.dice.rogue.chance(500) {
            return self.enqueue(Work::Vanish(parcel), world);
        }
        self.forward(next);
    }

    fn sign_held(
        &self,
        parcel: &ParcelManifest,
        handed_by: AreaCode,
        next: NodeNo,
        world: &mut World,
    ) -> Rc<Word> {
        let name = ParcelName::from(parcel.parcel_id);
        world.note(self.no, Fact::Held { parcel: name, next });
        let outcome = CustodyOutcome::Held { next: world.plan.area(next) };
        self.sign_word(parcel, handed_by, outcome, world)
    }

    fn sign_word(
        &self,
        parcel: &ParcelManifest,
        handed_by: AreaCode,
        outcome: CustodyOutcome,
        world: &World,
    ) -> Rc<Word> {
        self.key.sign(CustodyManifest {
            parcel_id: parcel.parcel_id,
            parcel_root: parcel.root,
            relay: self.area,
            handed_by,
            from: parcel.from,
            to: parcel.to,
            outcome,
            signed: self.now(world),
            signer: self.key.signer_id(),
        })
    }

    pub(super) fn refuse_hand(
        &mut self,
        via: Via,
        parcel: &ParcelManifest,
        handed_by: AreaCode,
        reason: Reason,
        world: &mut World,
    ) {
        let word = self.sign_word(parcel, handed_by, CustodyOutcome::Refused { reason }, world);
        self.reply(via, Frame::Custody(word), world);
    }

    pub(super) fn put_off_hand(
        &mut self,
        via: Via,
        parcel: &ParcelManifest,
        handed_by: AreaCode,
        (reason, until): (Reason, UnixMillis),
        world: &mut World,
    ) {
        let outcome = CustodyOutcome::Deferred { reason, until };
        let word = self.sign_word(parcel, handed_by, outcome, world);
        self.reply(via, Frame::Custody(word), world);
    }
}

fn queue(from: NodeNo, to: NodeNo) -> std::ops::RangeInclusive<Key> {
    Key::Queue(from, UnixMillis::new(0), 0)..=Key::Queue(to, UnixMillis::new(u64::MAX), u64::MAX)
}
