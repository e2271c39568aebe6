//! What is said about the parcels of a courier: checked, kept, and healed where the other side holds something else.
//! `delivery::outbound::answers`.

use std::rc::Rc;
use std::time::Duration;

use exchange::courier::{Answer, CustodyAnswer, Event, ParcelNo};
use exchange::custody::CustodyOutcome;
use exchange::lane::{LaneEpoch, Mark};
use exchange::parcel::ParcelId;

use super::{Of, Said, Sent, neighbour};
use crate::disk::rows::Carrier;
use crate::mail::{Receipt, Word};
use crate::node::units::{Answered, Consigned, Healed, Healing, Work, check};
use crate::node::{Inner, Node, World};
use crate::plan::NodeNo;

/// Another epoch is opened for a peer at most this often, whatever it says.
const HEAL_EVERY: Duration = Duration::from_secs(3_600);

impl Node {
    /// Which parcel of a courier has this name.
    pub(super) fn parcel_of(&mut self, of: Of, id: ParcelId) -> Option<(ParcelNo, &mut Sent)> {
        let mut offered = self.run(of)?.offered.iter_mut();
        let found = offered.find(|(_, sent)| sent.parcel.manifest().parcel_id == id);
        found.map(|(no, sent)| (*no, sent))
    }

    /// A receipt came on a session, for a parcel of this courier.
    pub(in crate::node) fn receipt(&mut self, of: Of, receipt: &Rc<Receipt>, world: &mut World) {
        let peer = of.0;
        let Some((no, sent)) = self.parcel_of(of, receipt.manifest().parcel_id) else { return };
        let fits = (receipt.signed.by() == peer)
            .then(|| check(receipt, sent.parcel.manifest(), &sent.offered))
            .flatten();
        let Some(dispositions) = fits else { return self.misbehaves(of, world) };
        let answers = dispositions.iter().map(|d| Answer::from(&d.outcome)).collect();
        let answered = Answered {
            peer,
            epoch: of.1,
            sequences: sent.sequences.clone(),
            parcel: Rc::clone(&sent.parcel),
            receipt: Rc::clone(receipt),
            dispositions,
        };
        sent.answered = Some(Said::Receipt(Box::new(answered)));
        self.tell(Inner::Courier(of, Event::ReceiptArrived { parcel: no, answers }));
    }

    /// The same for the word of a relay.
    pub(in crate::node) fn custody(&mut self, of: Of, word: &Rc<Word>, world: &mut World) {
        let (plan, own, area) = (Rc::clone(&world.plan), self.no, self.area);
        let now = self.now(world);
        let manifest = word.manifest();
        let Some((no, sent)) = self.parcel_of(of, manifest.parcel_id) else { return };
        let relay = neighbour(&plan, own, of.0, sent.route).filter(|relay| *relay == word.by());
        let fits = relay.filter(|relay| {
            let parcel = sent.parcel.manifest();
            manifest.check_answers(parcel, plan.area(*relay), area).is_ok()
        });
        let Some(relay) = fits else { return self.misbehaves(of, world) };
        let answer = match manifest.outcome {
            CustodyOutcome::Held { .. } => {
                let consigned = Consigned {
                    peer: of.0,
                    epoch: of.1,
                    sequences: sent.sequences.clone(),
                    parcel: Rc::clone(&sent.parcel),
                    carrier: Carrier::Relay(relay),
                    word: Some(Rc::clone(word)),
                    handed: now,
                };
                sent.answered = Some(Said::Held(Box::new(consigned)));
                CustodyAnswer::Held
            }
            CustodyOutcome::Refused { .. } => CustodyAnswer::Refused,
            CustodyOutcome::Deferred { until, .. } => CustodyAnswer::Deferred { until },
        };
        if answer != CustodyAnswer::Held {
            self.forget_parcel(of, no, world);
        }
        self.tell(Inner::Courier(of, Event::CustodyArrived { parcel: no, answer }));
    }

    fn misbehaves(&mut self, of: Of, world: &mut World) {
        world.peaks.misbehaved += 1;
        self.tell(Inner::Courier(of, Event::PeerMisbehaved));
    }

    pub(super) fn keep(&mut self, of: Of, no: ParcelNo, marks: Vec<Mark>, world: &mut World) {
        let answered = self.run(of).and_then(|run| run.offered.get(&no)?.answered.clone());
        if let Some(Said::Receipt(answered)) = answered {
            let healing = self.healing(of.0, world);
            self.enqueue(Work::Settle { courier: of, no, answered, marks, healing }, world);
        }
    }

    pub(super) fn keep_custody(
        &mut self,
        of: Of,
        no: ParcelNo,
        marks: Vec<Mark>,
        world: &mut World,
    ) {
        let answered = self.run(of).and_then(|run| run.offered.get(&no)?.answered.clone());
        if let Some(Said::Held(consigned)) = answered {
            self.enqueue(Work::Consign { courier: of, no, consigned, marks }, world);
        }
    }
}

impl Node {
    /// What it takes to send messages again that met a conflict.
    pub(in crate::node) fn healing(&self, peer: NodeNo, world: &mut World) -> Healing {
        let now = self.now(world);
        let new_epoch = LaneEpoch::new(world.dice.node.any());
        let last = self.memory.as_ref().and_then(|memory| memory.opened.get(&peer));
        let may_open = last.is_none_or(|last| now.since(*last) >= HEAL_EVERY);
        Healing { new_epoch, may_open, now }
    }

    /// What met a conflict is on its way again, or is not.
    pub(in crate::node) fn healed(&mut self, of: Of, healed: Option<Healed>, world: &mut World) {
        let Some(Healed { epoch, through, opened, settled }) = healed else { return };
        let peer = of.0;
        self.tell(Inner::Courier(of, Event::Marked { marks: settled }));
        let now = self.now(world);
        if let Some(memory) = self.memory.as_mut().filter(|_| opened) {
            memory.opened.insert(peer, now);
        }
        self.nudge(peer, epoch, through, world);
    }
}
