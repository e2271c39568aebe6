//! Reconciliation at one node: its entries, its reports, and the cures that it owes. `delivery::reconcile`.
//!
//! Calls between nodes are not frames here: whoever asks reaches into the other node, or is told by the world that it
//! cannot. What is written goes through the committer, and is gone with a crash before it is on disk.

use std::collections::BTreeMap;
use std::rc::Rc;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::UnixMillis;
use exchange::lane::{LaneEpoch, LaneSeq};
use exchange::ledger::Direction;
use exchange::parcel::envelopes_root;
use exchange::receipt::{Disposition, Offered};
use exchange::reconcile::difference::Difference;
use exchange::reconcile::leaving::Lot;
use exchange::reconcile::set::{EntrySet, Scope};
use exchange::reconcile::{Entry, EntryState};

use super::units::{Cure, Cured, HandedBack, Healing, Proof, Work, check, refusal_in};
use super::{Inner, Node, World};
use crate::disk::rows::{Change, Key, ParcelRow, Row, Side};
use crate::plan::NodeNo;

/// What a county has told the node above it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reported {
    /// Which data it is about: zero, or when they were restored.
    pub(crate) incarnation: u64,
    pub(crate) records: Vec<(Direction, Entry)>,
    /// Everything before this time is there.
    pub(crate) through: Option<UnixMillis>,
}

/// A cure that another county has left at the node above, for a county that collects it.
#[derive(Clone, Debug)]
pub(crate) enum Brought {
    /// It takes its own message back.
    TakeBack(NodeNo, HandedBack),
    /// It takes the recipient's word about this message.
    TakeWord(NodeNo, MessageId, Proof),
}

impl Node {
    /// The own book is brought up to what is on disk, once that is.
    pub(crate) fn advance_book(&mut self, world: &mut World) {
        if self.runs() {
            self.enqueue(Work::AdvanceBook, world);
        }
    }

    fn book(&self) -> impl Iterator<Item = (Direction, Entry)> {
        let rows = self.disk.durable_range(Key::Book(0)..=Key::Book(u64::MAX));
        rows.filter_map(|(_, row)| row.said().map(|said| **said))
    }

    /// What is told to the node above: at most `parts` parts of the book, and the word that this was all. Says whether it was.
    pub(crate) fn report(&self, known: &mut Reported, parts: usize, world: &World) -> bool {
        const RECORDS_AT_ONCE: usize = 64;
        let incarnation = self.disk.durable(&Key::Restored).and_then(Row::number).unwrap_or(0);
        if known.incarnation != incarnation {
            *known = Reported { incarnation, ..Reported::default() };
        }
        let there = known.records.len();
        known.records.extend(self.book().skip(there).take(parts.saturating_mul(RECORDS_AT_ONCE)));
        let is_all = known.records.len() == self.book().count();
        if is_all {
            known.through = Some(self.now(world));
        }
        is_all
    }

    /// The entries of a scope: of this node, or of the counties that have reported to it.
    pub(crate) fn entries(&self, reported: &BTreeMap<NodeNo, Reported>, scope: &Scope) -> EntrySet {
        let mut set = EntrySet::new();
        let told = reported.values().flat_map(|told| told.records.iter().copied());
        for (direction, entry) in self.book().chain(told) {
            let speaks = direction == scope.side_of(self.area, entry.from);
            if speaks && scope.holds(entry.id, entry.from, entry.to) {
                set.hear(direction, entry);
            }
        }
        set
    }

    // What a county hands over.

    /// The parcel of a message with its answer, signed anew by its recipient: stored, or else refused.
    fn proof_of(&self, peer: NodeNo, id: MessageId, world: &World) -> Option<Proof> {
        let key = Key::Message(Side::Received, id);
        let Some(row) = self.disk.get(&key).and_then(Row::message) else {
            return self.refusal(peer, id, world);
        };
        let tells = |said: &Disposition| {
            said.message_id == id && said.digest == row.digest && said.outcome.is_final()
        };
        let mut parcels = self.disk.all().iter().filter_map(|(key, row)| match (key, row) {
            (Key::Parcel(Side::Received, with, epoch, ..), Row::Parcel(row)) if *with == peer => {
                Some((*epoch, row))
            }
            _ => None,
        });
        let (epoch, row) = parcels.find(|(_, row)| row.dispositions.iter().any(tells))?;
        Some(self.proof(epoch, row, world))
    }

    /// The signed refusal of a message, as either side of it holds it.
    pub(crate) fn refusal(&self, peer: NodeNo, id: MessageId, world: &World) -> Option<Proof> {
        let refused = self.disk.get(&Key::Refused(peer, id)).and_then(Row::change)?;
        let Change::Parcel(key) = **refused else { return None };
        let Key::Parcel(_, _, epoch, ..) = key else { return None };
        let row = self.disk.get(&key).and_then(Row::parcel)?;
        Some(self.proof(epoch, row, world))
    }

    fn proof(&self, epoch: LaneEpoch, row: &ParcelRow, world: &World) -> Proof {
        let receipt = match &row.receipt {
            Some(receipt) => Rc::clone(receipt),
            None => self.sign_receipt(row.parcel.manifest(), &row.dispositions, world),
        };
        Proof {
            epoch,
            sequences: row.sequences.iter().map(|at| LaneSeq::new(*at)).collect(),
            parcel: Rc::clone(&row.parcel),
            receipt,
            said: row.dispositions.clone(),
        }
    }

    /// A sender's own message, for it to take back.
    pub(crate) fn hand_over(
        &self,
        sender: NodeNo,
        (id, question_follows): (MessageId, bool),
        world: &World,
    ) -> Option<HandedBack> {
        let envelope = self.disk.get(&Key::Delivered(id)).and_then(Row::envelope).cloned()?;
        let proof = self.proof_of(sender, id, world)?;
        Some(HandedBack { envelope, proof, question_follows })
    }

    /// The message that one answers which was received here, or sent.
    pub(crate) fn asked_by(&self, id: MessageId, direction: Direction) -> Option<MessageId> {
        let side = match direction {
            Direction::Sent => Side::Sent,
            Direction::Received => Side::Received,
        };
        let row = self.disk.get(&Key::Message(side, id)).and_then(Row::message);
        row.and_then(|row| row.content.in_reply_to)
    }

    /// Whether a message of ours is on our disk.
    pub(crate) fn has_sent(&self, id: MessageId) -> bool {
        self.disk.durable(&Key::Message(Side::Sent, id)).is_some()
    }

    /// The receipt of a message that was received or refused here.
    pub(crate) fn issue_again(
        &self,
        sender: NodeNo,
        id: MessageId,
        world: &World,
    ) -> Option<Proof> {
        self.proof_of(sender, id, world)
    }

    // What lies at the node above for a county that cannot be called: in memory, gone with a crash.

    /// Notes what a county below is to cure, or only that it is to report.
    pub(crate) fn lay_down(&mut self, county: AreaCode, differences: &[Difference]) {
        if let Some(memory) = &mut self.memory {
            memory.lying.lay_down(county, differences);
        }
    }

    /// Takes a cure for a county below. Says whether it lies here now.
    pub(crate) fn leave(
        &mut self,
        county: AreaCode,
        about: (AreaCode, MessageId),
        brought: Brought,
        world: &World,
    ) -> bool {
        const BYTES: usize = 4_096;
        let now = self.now(world);
        let Some(memory) = &mut self.memory else { return false };
        memory.lying.leave(county, about, (brought, BYTES), now).is_ok()
    }

    /// Gives a county below what lies for it.
    pub(crate) fn collected_by(&mut self, county: AreaCode) -> Lot<Brought> {
        let memory = self.memory.as_mut();
        memory.map(|memory| memory.lying.collect(county)).unwrap_or_default()
    }

    // What a county takes, once it has checked it.

    fn check_proof(proof: &Proof, sender: NodeNo, recipient: NodeNo) -> bool {
        let offered = proof.said.iter();
        let offered: Vec<_> = offered
            .map(|said| Offered { message_id: said.message_id, digest: said.digest })
            .collect();
        let digests: Vec<_> = offered.iter().map(|offered| offered.digest).collect();
        let manifest = proof.parcel.manifest();
        (proof.parcel.by(), proof.receipt.signed.by()) == (sender, recipient)
            && envelopes_root(&digests) == manifest.root
            && check(&proof.receipt, manifest, &offered).as_ref() == Some(&proof.said)
    }

    pub(crate) fn take_back(&mut self, peer: NodeNo, back: HandedBack, world: &mut World) {
        if self.runs() && Self::check_proof(&back.proof, self.no, peer) {
            self.enqueue(Work::Cure(Box::new(Cure::TakeBack { peer, back })), world);
        }
    }

    pub(crate) fn keep_receipt(&mut self, peer: NodeNo, proof: Proof, world: &mut World) {
        if self.runs() && Self::check_proof(&proof, self.no, peer) {
            let healing: Healing = self.healing(peer, world);
            self.enqueue(Work::Cure(Box::new(Cure::Keep { peer, proof, healing })), world);
        }
    }

    /// Takes what the other side has brought: the refusal of a message that is not known here, or the receipt of one of ours.
    pub(crate) fn take_word_about(
        &mut self,
        peer: NodeNo,
        id: MessageId,
        proof: Proof,
        world: &mut World,
    ) {
        match self.disk.get(&Key::Message(Side::Sent, id)) {
            Some(_) => self.keep_receipt(peer, proof, world),
            None => self.take_refusal(peer, id, &proof, world),
        }
    }

    /// Takes a refusal that the other side has shown.
    fn take_refusal(&mut self, peer: NodeNo, id: MessageId, proof: &Proof, world: &mut World) {
        let manifest = proof.parcel.manifest();
        let direction =
            if manifest.from == self.area { Direction::Sent } else { Direction::Received };
        let (sender, recipient) = match direction {
            Direction::Sent => (self.no, peer),
            Direction::Received => (peer, self.no),
        };
        let Some(said) = refusal_in(&proof.said, id) else { return };
        if self.runs() && Self::check_proof(proof, sender, recipient) {
            let (from, to, state) = (manifest.from, manifest.to, EntryState::Refused);
            let (entry, said) = (Entry { id, digest: said.digest, from, to, state }, said.clone());
            self.enqueue(Work::Cure(Box::new(Cure::Note { direction, peer, entry, said })), world);
        }
    }

    pub(crate) fn deliver_again(&mut self, (id, is_there): (MessageId, bool), world: &mut World) {
        if self.runs() {
            let new_epoch = LaneEpoch::new(world.dice.node.any());
            self.enqueue(Work::Cure(Box::new(Cure::Deliver { id, is_there, new_epoch })), world);
        }
    }

    /// A cure is on disk.
    pub(super) fn cured(&mut self, cured: Cured, world: &mut World) {
        match cured {
            Cured::OnItsWay { peer, epoch, sequence, mark, .. } => {
                let marks = mark.into_iter().collect();
                self.tell(Inner::Courier(
                    (peer, epoch),
                    exchange::courier::Event::Marked { marks },
                ));
                self.nudge(peer, epoch, sequence, world);
            }
            Cured::Kept { of, marks, healed } => {
                self.tell(Inner::Courier(of, exchange::courier::Event::Marked { marks }));
                self.healed(of, healed, world);
            }
            Cured::Lost(id) => world.lost.push(id),
            Cured::Taken | Cured::Answered | Cured::Noted => {}
        }
    }
}
