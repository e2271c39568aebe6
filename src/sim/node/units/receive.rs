//! Taking in mail that is for us: `app::messages::receive`, envelope by envelope against the lanes.

use std::collections::BTreeMap;
use std::rc::Rc;

use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::lane::{Admission, LANE_WINDOW, LaneEpoch, LaneIn, LaneSeq};
use exchange::ledger::{Direction, LedgerEntry};
use exchange::receipt::{Disposition, Outcome};
use exchange::receiver::{self, Decision, Effect, Original, Verdict};

use super::{Around, Done, append_to_ledger, books, parcels_between};
use crate::disk::rows::{Change, Key, MessageRow, ParcelRow, Row, Side};
use crate::disk::unit::Unit;
use crate::mail::{Carried, Envelope, Fitness, Parcel};
use crate::node::session::Via;
use crate::plan::NodeNo;

/// A parcel for us whose signature, root and addresses are right.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// Its sender.
    pub(crate) peer: NodeNo,
    pub(crate) parcel: Parcel,
    /// The node's clock when it came.
    pub(crate) at: UnixMillis,
    pub(crate) via: Via,
}

/// Judges and stores a parcel.
pub(super) fn take_in(arrived: Arrived, unit: &mut Unit<'_>, around: &Around<'_>) -> Done {
    let Arrived { peer, parcel, at, via } = arrived;
    let (lanes, places, said, stored) = (BTreeMap::new(), Vec::new(), Vec::new(), Vec::new());
    let mut taking = Taking { unit, around, peer, now: at, lanes, places, said, stored };
    for carried in parcel.envelopes.iter() {
        let header = &carried.envelope.header;
        let (place, disposition) = match taking.astray(&carried.envelope) {
            Some(reason) => {
                let digest = carried.envelope.digest();
                (0, receiver::refuse_misdirected(header, digest, reason, at))
            }
            None => (header.sequence.get(), taking.one(carried).disposition),
        };
        taking.places.push(place);
        taking.said.push(disposition);
    }
    let Taking { lanes, places, mut said, stored, .. } = taking;
    let epoch = lanes.keys().next().copied().unwrap_or(LaneEpoch::new(0));
    let first = places.iter().copied().filter(|place| *place > 0).min().unwrap_or_default();
    let name = parcel.manifest().parcel_id;
    let key = Key::Parcel(Side::Received, peer, epoch, LaneSeq::new(first), name);
    if let Some(before) = unit.get(&key).and_then(Row::parcel) {
        said_before(before, &mut said);
    }
    for (epoch, lane) in lanes {
        unit.put(Key::LaneIn(peer, epoch), lane);
    }
    let signed = Rc::clone(&parcel.signed);
    let (dispositions, receipt) = (said.clone(), None);
    let row = ParcelRow { sequences: places, dispositions, parcel: signed, receipt };
    unit.put(key, row);
    if said.iter().any(|said| matches!(said.outcome, Outcome::Refused { .. })) {
        books::note(Change::Parcel(key), unit);
        books::note_refusals(peer, key, &said, unit);
    }
    let hops = (0..).zip(&parcel.custody);
    hops.for_each(|(hop, word)| unit.put(Key::Custody(name, hop), Rc::clone(word)));
    let manifest = Box::new(parcel.manifest().clone());
    Done::TookIn { via, manifest, dispositions: said, stored }
}

/// A relay hands the very same parcel over again when it has missed the answer. What was said finally then is said
/// again.
fn said_before(before: &ParcelRow, said: &mut [Disposition]) {
    for (said, before) in said.iter_mut().zip(&before.dispositions) {
        if before.outcome.is_final() && before.digest == said.digest {
            *said = before.clone();
        }
    }
}

/// The lanes of one peer while a parcel is taken in.
struct Taking<'a, 'u, 'd> {
    unit: &'a mut Unit<'u>,
    around: &'a Around<'d>,
    peer: NodeNo,
    now: UnixMillis,
    lanes: BTreeMap<LaneEpoch, LaneIn>,
    places: Vec<u64>,
    said: Vec<Disposition>,
    stored: Vec<MessageId>,
}

impl Taking<'_, '_, '_> {
    /// Why an envelope has no place in a lane of ours.
    fn astray(&self, envelope: &Envelope) -> Option<Reason> {
        if envelope.header.from != self.around.plan.area(self.peer) {
            return Some(Reason::SenderMismatch);
        }
        (envelope.header.to != self.around.area).then_some(Reason::NotForUs)
    }

    fn one(&mut self, carried: &Carried) -> Decision {
        let envelope = &carried.envelope;
        let (header, digest) = (&envelope.header, envelope.digest());
        let admission = self.lane(header.epoch).admit(header);
        let original = match admission {
            // The lane vouches for it: no lookup.
            Admission::Fresh | Admission::TooFarAhead { .. } | Admission::OtherEpoch => None,
            Admission::CheckId => self.known_message(carried),
            Admission::Seen => match self.known_message(carried) {
                Some(original) if original.digest == digest => Some(original),
                _ => self.known_place(envelope),
            },
        };
        let withdrawn = !carried.with_body;
        let original = original.as_ref();
        let early = receiver::decide_without_opening(
            admission, original, header, digest, withdrawn, self.now,
        );
        let decision = early.unwrap_or_else(|| {
            let verdict = self.verdict(envelope);
            receiver::judge(header, digest, verdict, self.now)
        });
        if decision.effect == Effect::Store {
            self.store(envelope);
        }
        if decision.effect == Effect::RecordRefusal && !decision.is_conflict() {
            let row = (self.peer, decision.disposition.clone());
            self.unit.put(Key::Refusal(header.message_id), row);
        }
        if decision.effect.uses_sequence() {
            let (sequence, id) = (header.sequence, header.message_id);
            self.lane(header.epoch).mark(sequence, id);
        }
        decision
    }

    fn lane(&mut self, epoch: LaneEpoch) -> &mut LaneIn {
        if !self.lanes.contains_key(&epoch) {
            let lane = self.open_lane(epoch);
            self.lanes.insert(epoch, lane);
        }
        self.lanes.entry(epoch).or_insert_with(|| LaneIn::open(epoch, None))
    }

    /// The lane as it is kept. A new one is noted in the peer's other lanes: one message may travel in both.
    fn open_lane(&mut self, epoch: LaneEpoch) -> LaneIn {
        if let Some(lane) = self.unit.get(&Key::LaneIn(self.peer, epoch)).and_then(Row::lane_in) {
            return LaneIn::clone(lane);
        }
        let of = |epoch| Key::LaneIn(self.peer, LaneEpoch::new(epoch));
        let others = self.unit.scan(of(0)..=of(u64::MAX));
        let opened = (!others.is_empty()).then_some(self.now);
        for (key, row) in others {
            let Some(lane) = row.lane_in() else { continue };
            let mut lane = LaneIn::clone(lane);
            lane.another_opened(self.now);
            if let Some(open) = self.lanes.get_mut(&lane.epoch()) {
                open.another_opened(self.now);
            }
            self.unit.put(key, lane);
        }
        LaneIn::open(epoch, opened)
    }

    /// What became of a message with this id from this peer.
    fn known_message(&self, carried: &Carried) -> Option<Original> {
        let id = carried.envelope.header.message_id;
        let row = self.unit.get(&Key::Message(Side::Received, id)).and_then(Row::message);
        let Some(row) = row else { return self.known_refusal(id) };
        let same_body =
            carried.with_body && row.peer == self.peer && row.content == *carried.envelope.open();
        let (digest, decided) = (row.digest, row.stored);
        Some(Original { message_id: id, digest, outcome: Outcome::Stored, decided, same_body })
    }

    /// A refusal stays a refusal, whatever comes under the same id in another epoch.
    fn known_refusal(&self, id: MessageId) -> Option<Original> {
        let (peer, said) = &**self.unit.get(&Key::Refusal(id)).and_then(Row::refusal)?;
        let Disposition { digest, outcome, decided, .. } = said.clone();
        let is_theirs = *peer == self.peer;
        is_theirs.then_some(Original { message_id: id, digest, outcome, decided, same_body: true })
    }

    /// What became of the envelope that had this place in the lane, from the parcels kept and from this one.
    fn known_place(&self, envelope: &Envelope) -> Option<Original> {
        let (header, digest) = (&envelope.header, envelope.digest());
        let place = header.sequence.get();
        let lane = (self.peer, header.epoch);
        let from = place.saturating_sub(LANE_WINDOW);
        let kept = self.unit.scan(parcels_between(Side::Received, lane, from, place));
        let kept = kept.iter().filter_map(|(_, row)| row.parcel());
        let kept = kept.flat_map(|row| row.sequences.iter().zip(&row.dispositions));
        let now = self.places.iter().zip(&self.said);
        let here = kept.chain(now).filter(|(at, _)| **at == place).map(|(_, said)| said);
        let mut first: Option<&Disposition> = None;
        for said in here.filter(|said| said.outcome.is_final() && !said.duplicate) {
            first = match first {
                Some(first) if first.digest == digest => Some(first),
                Some(first) if said.digest != digest && first.decided <= said.decided => {
                    Some(first)
                }
                _ => Some(said),
            };
        }
        first.map(|said| Original {
            message_id: said.message_id,
            digest: said.digest,
            outcome: said.outcome.clone(),
            decided: said.decided,
            same_body: false,
        })
    }

    /// What opening and checking came to, and what the case says: an answer has to answer something of ours.
    fn verdict(&mut self, envelope: &Envelope) -> Verdict {
        let refuse = |reason| Verdict::Refuse { reason, field: None };
        let content = envelope.open();
        if content.fitness == Fitness::NotAgreed {
            return refuse(Reason::NotAgreed);
        }
        let Some(asked) = content.in_reply_to else { return Verdict::Accept };
        let key = Key::Message(Side::Sent, asked);
        let Some(question) = self.unit.get(&key).and_then(Row::message) else {
            return refuse(Reason::UnknownCase);
        };
        match (question.peer == self.peer && question.content.asks, question.answered) {
            (false, _) => refuse(Reason::UnknownCase),
            (true, Some(_)) => refuse(Reason::AlreadyAnswered),
            (true, None) => Verdict::Accept,
        }
    }

    fn store(&mut self, envelope: &Rc<Envelope>) {
        let header = &envelope.header;
        let delivered = Key::Delivered(header.message_id);
        self.unit.put(delivered, Row::Envelope(Rc::clone(envelope)));
        let content = *envelope.open();
        let entry = LedgerEntry::of(header, envelope.digest(), Direction::Received);
        append_to_ledger(entry, self.unit);
        if let Some(asked) = content.in_reply_to {
            let key = Key::Message(Side::Sent, asked);
            if let Some(question) = self.unit.get(&key).and_then(Row::message).cloned() {
                let answered = Some(header.message_id);
                self.unit.put(key, MessageRow { answered, ..MessageRow::clone(&question) });
            }
        }
        let row = MessageRow {
            peer: self.peer,
            epoch: header.epoch,
            sequence: header.sequence,
            digest: envelope.digest(),
            content,
            stored: self.now,
            answered: None,
        };
        self.unit.put(Key::Message(Side::Received, header.message_id), row);
        self.stored.push(header.message_id);
    }
}
