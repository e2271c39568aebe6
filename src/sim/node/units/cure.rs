//! Cures of what two ledgers disagree on: `app::reconcile::cures`.

use std::rc::Rc;

use domain::id::MessageId;
use exchange::lane::{LaneEpoch, LaneSeq, Mark};
use exchange::ledger::{Direction, LedgerEntry};
use exchange::parcel::ParcelManifest;
use exchange::receipt::Disposition;
use exchange::reconcile::cure::{self, Again};
use exchange::reconcile::{Entry, EntryState};

use super::heal::{Healed, Healing, again};
use super::settle::{self, Answered};
use super::{Around, append_to_ledger, books, last_of_lane, mark};
use crate::disk::rows::{Change, Key, MessageRow, ParcelRow, Row, Side};
use crate::disk::unit::Unit;
use crate::mail::{Envelope, Receipt, Signed};
use crate::plan::NodeNo;

/// The epoch under which envelopes lie that a recipient has handed back.
const RETURNED_EPOCH: LaneEpoch = LaneEpoch::new(0);

/// A parcel with the receipt that answers it, checked by whoever took it.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    pub(crate) epoch: LaneEpoch,
    pub(crate) sequences: Vec<LaneSeq>,
    pub(crate) parcel: Rc<Signed<ParcelManifest>>,
    pub(crate) receipt: Rc<Receipt>,
    pub(crate) said: Vec<Disposition>,
}

/// A sender's own message, as its recipient hands it back.
#[derive(Clone, Debug)]
pub(crate) struct HandedBack {
    pub(crate) envelope: Rc<Envelope>,
    pub(crate) proof: Proof,
    /// The question that it answers is on its way again: it is not taken before that has come.
    pub(crate) question_follows: bool,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Cure {
    /// A message of ours is delivered again.
    Deliver { id: MessageId, is_there: bool, new_epoch: LaneEpoch },
    /// A receipt that was issued again is kept.
    Keep { peer: NodeNo, proof: Proof, healing: Healing },
    /// A message of ours that was handed back is kept.
    TakeBack { peer: NodeNo, back: HandedBack },
    /// A signed refusal that was shown is noted.
    Note { direction: Direction, peer: NodeNo, entry: Entry, said: Disposition },
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Cured {
    /// It is on its way.
    OnItsWay { peer: NodeNo, epoch: LaneEpoch, sequence: LaneSeq, mark: Option<Mark> },
    /// Nobody can bring it back.
    Lost(MessageId),
    /// Its recipient has refused it, and a refusal stays one; or has it.
    Answered,
    /// The receipt is kept.
    Kept { of: (NodeNo, LaneEpoch), marks: Vec<Mark>, healed: Option<Healed> },
    /// It is here, or has to wait for the question that it answers: the next comparison tells.
    Taken,
    /// It is in the book.
    Noted,
}

/// Runs a cure as one unit.
pub(super) fn run(cure: Cure, unit: &mut Unit<'_>, around: &mut Around<'_>) -> Cured {
    match cure {
        Cure::Deliver { id, is_there, new_epoch } => {
            deliver((id, is_there), new_epoch, unit, around)
        }
        Cure::Keep { peer, proof, healing } => {
            let Proof { epoch, sequences, parcel, receipt, said } = proof;
            let lies_there = |place: LaneSeq, said: &Disposition| {
                let envelope = unit.get(&Key::Envelope(peer, epoch, place));
                envelope.and_then(Row::envelope).is_some_and(|it| it.digest() == said.digest)
            };
            let mut places = sequences.iter().zip(&said);
            if !places.all(|(place, said)| lies_there(*place, said)) {
                return Cured::Answered;
            }
            let places = sequences.iter().zip(&said);
            let settled = places.filter(|(_, said)| said.outcome.is_final());
            let marks: Vec<_> = settled.map(|(sequence, _)| Mark::Settled(*sequence)).collect();
            let answered = Answered { peer, epoch, sequences, parcel, receipt, dispositions: said };
            let healed = settle::keep(&answered, &marks, &healing, unit, around);
            Cured::Kept { of: (peer, epoch), marks, healed }
        }
        Cure::TakeBack { peer, back } => {
            take_back(peer, &back, unit, around);
            Cured::Taken
        }
        Cure::Note { direction, peer, entry, said } => {
            note(direction, peer, (entry, said), unit);
            Cured::Noted
        }
    }
}

fn deliver(
    (id, is_there): (MessageId, bool),
    new_epoch: LaneEpoch,
    unit: &mut Unit<'_>,
    around: &mut Around<'_>,
) -> Cured {
    let key = Key::Message(Side::Sent, id);
    let Some(row) = unit.get(&key).and_then(Row::message).cloned() else { return Cured::Lost(id) };
    let (peer, epoch, sequence) = (row.peer, row.epoch, row.sequence);
    let lane = unit.get(&Key::LaneOut(peer, epoch)).and_then(Row::lane_out).map(Rc::as_ref);
    let was_refused = unit.contains(&Key::Refused(peer, id));
    match cure::again(lane, sequence, (was_refused, is_there), around.now) {
        Again::Waits(mark) => return Cured::OnItsWay { peer, epoch, sequence, mark },
        Again::Refused | Again::Answered => return Cured::Answered,
        Again::Anew => {}
    }
    let old = unit.get(&Key::Envelope(peer, epoch, sequence)).and_then(Row::envelope).cloned();
    let Some(old) = old else { return Cured::Lost(id) };
    let present = unit.get(&Key::Epoch(peer)).and_then(Row::number).map(LaneEpoch::new);
    let now_in = present.unwrap_or(new_epoch);
    unit.put(Key::Epoch(peer), Row::Number(now_in.get()));
    let place = last_of_lane(peer, now_in, unit).next();
    if unit.contains(&Key::Withdrawn(peer, epoch, sequence)) {
        unit.put(Key::Withdrawn(peer, now_in, place), Row::Number(1));
    }
    let expires = cure::expires_again(old.header.expires, around.now);
    let envelope = again(&old, (id, expires), now_in, place, around);
    let digest = envelope.digest();
    append_to_ledger(LedgerEntry::of(&envelope.header, digest, Direction::Sent), unit);
    unit.put(Key::Envelope(peer, now_in, place), envelope);
    let row = MessageRow { epoch: now_in, sequence: place, digest, ..MessageRow::clone(&row) };
    unit.put(key, row);
    Cured::OnItsWay { peer, epoch: now_in, sequence: place, mark: None }
}

fn take_back(peer: NodeNo, back: &HandedBack, unit: &mut Unit<'_>, around: &Around<'_>) {
    let HandedBack { envelope, proof, question_follows } = back;
    let (header, digest) = (&envelope.header, envelope.digest());
    let id = header.message_id;
    if unit.contains(&Key::Message(Side::Sent, id)) {
        return;
    }
    let Some(index) = cure::stored_in(&proof.said, id, digest) else { return };
    if let Some(asked) = envelope.open().in_reply_to {
        let key = Key::Message(Side::Received, asked);
        match unit.get(&key).and_then(Row::message).cloned() {
            Some(question) if question.answered.is_none() => {
                unit.put(key, MessageRow { answered: Some(id), ..MessageRow::clone(&question) });
            }
            None if *question_follows => return,
            Some(_) | None => {}
        }
    }
    let sequence = last_of_lane(peer, RETURNED_EPOCH, unit).next();
    unit.put(Key::Envelope(peer, RETURNED_EPOCH, sequence), Row::Envelope(Rc::clone(envelope)));
    mark(peer, RETURNED_EPOCH, &[Mark::Settled(sequence)], unit);
    append_to_ledger(LedgerEntry::of(header, digest, Direction::Sent), unit);
    let (from, to, state) = (header.from, header.to, EntryState::Stored);
    let entry = Entry { id, digest, from, to, state };
    books::note(Change::Word(Direction::Sent, entry), unit);
    let (epoch, content, stored) = (RETURNED_EPOCH, *envelope.open(), around.now);
    let row = MessageRow { peer, epoch, sequence, digest, content, stored, answered: None };
    unit.put(Key::Message(Side::Sent, id), row);
    let place = |at: usize| if at == index { sequence.get() } else { 0 };
    let row = ParcelRow {
        sequences: (0..proof.said.len()).map(place).collect(),
        dispositions: proof.said.clone(),
        parcel: Rc::clone(&proof.parcel),
        receipt: Some(Rc::clone(&proof.receipt)),
    };
    let name = proof.parcel.manifest().parcel_id;
    unit.put(Key::Parcel(Side::Sent, peer, RETURNED_EPOCH, sequence, name), row);
}

/// A refusal that the other side has shown; what is here speaks for itself.
fn note(
    direction: Direction,
    peer: NodeNo,
    (entry, said): (Entry, Disposition),
    unit: &mut Unit<'_>,
) {
    let side = match direction {
        Direction::Sent => Side::Sent,
        Direction::Received => Side::Received,
    };
    if unit.contains(&Key::Message(side, entry.id)) {
        return;
    }
    if side == Side::Received {
        unit.put(Key::Refusal(entry.id), (peer, said));
    }
    books::note(Change::Word(direction, entry), unit);
}

/// The refusal of a message in a proof; none of a conflict, which is about a place.
pub(crate) fn refusal_in(said: &[Disposition], id: MessageId) -> Option<&Disposition> {
    said.iter().find(|said| said.message_id == id && books::is_refusal(said))
}
