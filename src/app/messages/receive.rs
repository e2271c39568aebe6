//! Taking in a parcel: every envelope is judged against its lane on the committer thread, and what
//! follows from it is written in the same unit.

mod apart;
mod kept;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use domain::agreement::Agreement;
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::message::{CLOCK_SKEW, Kind};
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::envelope::{Header, SealedEnvelope};
use exchange::lane::{Admission, LANE_WINDOW, LaneEpoch, LaneIn, LaneSeq};
use exchange::ledger::{Direction, LedgerEntry};
use exchange::parcel::ParcelId;
use exchange::receipt::{Disposition, Outcome};
use exchange::receiver::{self, Decision, Effect, Original, Verdict};
use store::messages::{
    Blob, EnvelopeKey, LaneInRow, MessageRow, ParcelKey, RefusalRow, Side, Signed, message_key,
};
use store::tables::{ENVELOPE, LANE_IN, MESSAGE, PARCEL, REFUSAL};
use store::{Kept, Unit};
use wire::content::encode_content;
use wire::{decode_disposition, encode_disposition};

pub use super::fit::Fit;
use super::{NewSubject, after, journal_entry};
use crate::app::agreements::rule;
use crate::app::asked::{self, Asked};
use crate::app::cases::{self, Came, opening};
use crate::app::progress;
use crate::app::relay::SignedWord;
use crate::app::{AppError, clocks};
pub use apart::apart;
pub(crate) use kept::keep_chain;
use kept::original;

/// Epochs of one sender that are kept; a new one comes with each restore of the sender.
const EPOCHS_MAX: usize = 1_000;

/// An envelope that was opened and checked, before its lane has been looked at.
#[derive(Debug)]
pub struct Opened {
    /// Its header.
    pub header: Header,
    /// The envelope as it came.
    pub envelope: SealedEnvelope,
    /// Its digest.
    pub digest: Digest,
    /// What opening and checking came to.
    pub judged: Judged,
}

/// What opening and checking an envelope came to.
#[derive(Debug)]
pub enum Judged {
    /// It may be stored, unless its lane or its case says otherwise.
    Fit(Box<Fit>),
    /// It cannot be stored, for ever.
    Unfit {
        /// Why.
        reason: Reason,
        /// Field that the reason is about.
        field: Option<String>,
    },
}

/// One envelope of a parcel.
#[derive(Debug)]
pub enum Item {
    /// Its header names our lane with the sender.
    Ours(Box<Opened>),
    /// It has no place in a lane; the answer is ready and nothing is remembered but the answer.
    Astray(Disposition),
}

/// A parcel whose signature, root and addresses are right, with its envelopes opened.
#[derive(Debug)]
pub struct Arrived {
    /// Its name.
    pub parcel_id: ParcelId,
    /// The peer that signed it.
    pub peer: AreaCode,
    /// Its manifest with the signature.
    pub signed: Signed,
    /// SHA-256 of the signer's certificate.
    pub signer: Digest,
    /// The signer's chain, leaf first, DER.
    pub chain: Vec<Vec<u8>>,
    /// Words of the relays that carried it, in order.
    pub words: Vec<SignedWord>,
    /// Its envelopes, in order.
    pub items: Vec<Item>,
}

/// What a receipt is made of, once the unit is on disk.
#[derive(Debug)]
pub struct Answer {
    /// Serialised dispositions, in the order of the parcel.
    pub dispositions: Vec<Bytes>,
    /// Where the receipt is to be kept.
    pub key: ParcelKey,
    /// Messages that were stored, of those how many conflicted.
    pub stored: usize,
    /// Envelopes that named a message or a place that has other content; to be alarmed.
    pub conflicts: usize,
    /// What the node has to send because of it.
    pub duties: usize,
}

/// Judges and stores a parcel. To be run as one unit of the store.
///
/// # Errors
/// When rows cannot be read or written; nothing of the parcel is stored then.
pub fn take_in(
    unit: &mut Unit<'_>,
    arrived: &Arrived,
    now: UnixMillis,
) -> Result<Answer, AppError> {
    let count = arrived.items.len();
    let mut taking = Taking::new(unit, arrived.peer, now);
    (taking.sequences, taking.said) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut stored, mut conflicts) = (0, 0);
    for item in &arrived.items {
        let (sequence, disposition) = match item {
            Item::Astray(disposition) => (0, disposition.clone()),
            Item::Ours(opened) => {
                let decision = taking.one(opened)?;
                stored += usize::from(decision.effect == Effect::Store);
                conflicts += usize::from(decision.is_conflict());
                (opened.header.sequence.get(), decision.disposition)
            }
        };
        taking.sequences.push(sequence);
        taking.said.push(disposition);
    }
    let Taken { sequences, said, duties } = taking.end()?;
    let (key, dispositions) = kept::keep(unit, arrived, sequences, said, now)?;
    Ok(Answer { dispositions, key, stored, conflicts, duties })
}

/// The lanes of one peer while a parcel is taken in.
struct Taking<'a, 'u> {
    unit: &'a mut Unit<'u>,
    peer: AreaCode,
    now: UnixMillis,
    lanes: BTreeMap<LaneEpoch, LaneIn>,
    /// Places of the envelopes so far, 0 for what has none.
    sequences: Vec<u64>,
    /// What was said about them.
    said: Vec<Disposition>,
    /// What is agreed with the peer, once it was looked up.
    agreed: Option<Arc<[Agreement]>>,
    /// What the node has to send because of what was stored.
    duties: usize,
}

/// What taking in envelopes came to, once their lanes are written.
struct Taken {
    sequences: Vec<u64>,
    said: Vec<Disposition>,
    duties: usize,
}

impl<'a, 'u> Taking<'a, 'u> {
    fn new(unit: &'a mut Unit<'u>, peer: AreaCode, now: UnixMillis) -> Self {
        let (lanes, sequences, said) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { unit, peer, now, lanes, sequences, said, agreed: None, duties: 0 }
    }

    /// Writes how far the lanes are now.
    fn end(self) -> Result<Taken, AppError> {
        for (epoch, lane) in self.lanes {
            let key = EnvelopeKey::of(Side::Received, self.peer, epoch).key();
            self.unit.put(&LANE_IN, &key, &LaneInRow { lane })?;
        }
        let (sequences, said, duties) = (self.sequences, self.said, self.duties);
        Ok(Taken { sequences, said, duties })
    }

    fn one(&mut self, opened: &Opened) -> Result<Decision, AppError> {
        let (header, digest) = (&opened.header, opened.digest);
        let admission = self.lane(header.epoch)?.admit(header);
        let original = match admission {
            Admission::Fresh => None,
            Admission::CheckId => self.known_message(opened)?,
            Admission::Seen => match self.known_message(opened)? {
                Some(original) if original.digest == digest => Some(original),
                _ => self.known_place(header, digest)?,
            },
            Admission::TooFarAhead { .. } | Admission::OtherEpoch => None,
        };
        let early = receiver::decide_without_opening(
            admission,
            original.as_ref(),
            header,
            digest,
            opened.envelope.is_withdrawn(),
            self.now,
        );
        let decision = match early {
            Some(decision) => decision,
            None => {
                let verdict = self.verdict(opened)?;
                receiver::judge(header, digest, verdict, self.now)
            }
        };
        if decision.effect == Effect::Store
            && let Judged::Fit(fit) = &opened.judged
        {
            self.store(opened, fit)?;
        }
        if decision.effect == Effect::RecordRefusal && !decision.is_conflict() {
            let disposition = Blob(encode_disposition(&decision.disposition));
            let row = RefusalRow { peer: self.peer, disposition };
            self.unit.put(&REFUSAL, header.message_id.as_bytes(), &row)?;
        }
        if decision.effect.uses_sequence() {
            self.lane(header.epoch)?.mark(header.sequence, header.message_id);
        }
        Ok(decision)
    }

    /// What is agreed with the peer, as the units before this and what this one has stored left it.
    fn agreed(&mut self, own: AreaCode) -> Result<Arc<[Agreement]>, AppError> {
        if let Some(agreed) = &self.agreed {
            return Ok(Arc::clone(agreed));
        }
        let agreed = rule::with_peer(self.unit, (own, self.peer), self.now.date())?;
        let agreed: Arc<[Agreement]> = agreed.into();
        self.agreed = Some(Arc::clone(&agreed));
        Ok(agreed)
    }

    fn lane(&mut self, epoch: LaneEpoch) -> Result<&mut LaneIn, AppError> {
        if !self.lanes.contains_key(&epoch) {
            let lane = self.open_lane(epoch)?;
            self.lanes.insert(epoch, lane);
        }
        self.lanes.get_mut(&epoch).ok_or(AppError::Internal("a lane was just opened"))
    }

    /// The lane as it is kept. A new one is noted in the peer's other lanes: one message may travel in both.
    fn open_lane(&mut self, epoch: LaneEpoch) -> Result<LaneIn, AppError> {
        let key = EnvelopeKey::of(Side::Received, self.peer, epoch).key();
        if let Some(row) = self.unit.get(&LANE_IN, &key)? {
            return Ok(row.lane);
        }
        let others = self.unit.scan_under(&LANE_IN, &(key.0,), None, EPOCHS_MAX)?;
        let opened = (!others.is_empty()).then_some(self.now);
        for (key, LaneInRow { mut lane }) in others {
            lane.another_opened(self.now);
            if let Some(open) = self.lanes.get_mut(&lane.epoch()) {
                open.another_opened(self.now);
            }
            self.unit.put(&LANE_IN, &key, &LaneInRow { lane })?;
        }
        Ok(LaneIn::open(epoch, opened))
    }

    /// What became of a message with this id from this peer.
    fn known_message(&self, opened: &Opened) -> Result<Option<Original>, AppError> {
        let id = opened.header.message_id;
        let row = match self.unit.get_personal(&MESSAGE, &message_key(id, Side::Received))? {
            Some(Kept::Value { value, .. }) => value,
            // What was stored and erased since does not come back under its old id. Its digest has gone with it.
            Some(Kept::Erased) => {
                let (digest, decided) = (Digest::new([0; 32]), self.now);
                let outcome = Outcome::Stored;
                return Ok(Some(Original {
                    message_id: id,
                    digest,
                    outcome,
                    decided,
                    same_body: true,
                }));
            }
            None => return self.known_refusal(id),
        };
        let same_body = match &opened.judged {
            Judged::Fit(fit) => row.peer == self.peer && fit.is_of(&row.content.0),
            Judged::Unfit { .. } => false,
        };
        let (digest, decided) = (row.digest, row.stored);
        Ok(Some(Original { message_id: id, digest, outcome: Outcome::Stored, decided, same_body }))
    }

    /// A refusal stays a refusal, whatever comes under the same id in another epoch.
    fn known_refusal(&self, id: MessageId) -> Result<Option<Original>, AppError> {
        let row = self.unit.get(&REFUSAL, id.as_bytes())?.filter(|row| row.peer == self.peer);
        let said = row.and_then(|row| decode_disposition(&row.disposition.0).ok());
        Ok(said.map(|said| {
            let Disposition { digest, outcome, decided, .. } = said;
            Original { message_id: id, digest, outcome, decided, same_body: true }
        }))
    }

    /// What became of the envelope that had this place in the lane, from the parcels kept and from this one.
    /// Only for places that have been seen, so it costs nothing on the normal path.
    ///
    /// Where several envelopes were offered for one place, each has its own answer; one that was never
    /// seen meets the first.
    fn known_place(&self, header: &Header, digest: Digest) -> Result<Option<Original>, AppError> {
        let (side, epoch) = EnvelopeKey::of(Side::Received, self.peer, header.epoch).key();
        let sequence = header.sequence.get();
        let from = (side, epoch, sequence.saturating_sub(LANE_WINDOW), [0; 16]);
        let until = (side, epoch, sequence, [0xFF; 16]);
        let mut first: Option<Disposition> = None;
        for (_, row) in self.unit.scan(&PARCEL, from..=until, store::limits::SCAN_ROWS_MAX)? {
            let places = row.sequences.iter().zip(&row.dispositions);
            let here = places.filter(|(place, _)| **place == sequence);
            let here = here.filter_map(|(_, bytes)| decode_disposition(&bytes.0).ok());
            first = here.fold(first, |first, said| original(first, said, digest));
        }
        let now = self.sequences.iter().zip(&self.said).filter(|(place, _)| **place == sequence);
        let first = now.fold(first, |first, (_, said)| original(first, said.clone(), digest));
        Ok(first.map(|said| {
            let Disposition { message_id, digest, outcome, decided, .. } = said;
            Original { message_id, digest, outcome, decided, same_body: false }
        }))
    }

    /// What the case says about a content that is fit by itself: an answer has to answer something
    /// of ours.
    fn verdict(&mut self, opened: &Opened) -> Result<Verdict, AppError> {
        let fit = match &opened.judged {
            Judged::Fit(fit) => fit,
            Judged::Unfit { reason, field } => {
                return Ok(Verdict::Refuse { reason: *reason, field: field.clone() });
            }
        };
        let (header, now) = (&opened.header, self.now);
        if let Some((reason, field)) = after::refused(self.unit, header, &fit.parsed, now)? {
            return Ok(Verdict::Refuse { reason, field: Some(field.to_owned()) });
        }
        if cases::is_out_of_reach(self.unit, &fit.parsed)? {
            let field = Some("step".to_owned());
            return Ok(Verdict::Refuse { reason: Reason::InvalidField, field });
        }
        let agreed = self.agreed(header.to)?;
        if let Err(refusal) = rule::narrowed(self.unit, &agreed, &fit.parsed, self.now)? {
            let field = Some(refusal.field.to_owned());
            return Ok(Verdict::Refuse { reason: refusal.reason, field });
        }
        let Some(asked) = fit.in_reply_to else { return Ok(Verdict::Accept) };
        let refuse = |reason| Verdict::Refuse { reason, field: Some("in_reply_to".to_owned()) };
        let question = match self.unit.get_personal(&MESSAGE, &message_key(asked, Side::Sent))? {
            Some(Kept::Value { value, .. }) => value,
            None if cases::expects(self.unit, fit.case)? => return Ok(Verdict::Accept),
            Some(Kept::Erased) | None => return Ok(refuse(Reason::UnknownCase)),
        };
        if question.peer != self.peer && cases::expects(self.unit, fit.case)? {
            // Whoever took the case over answers, and its word may come before the old holder's.
            return Ok(Verdict::Accept);
        }
        let fits = question.peer == self.peer
            && question.kind().and_then(Kind::answered_by) == Some(fit.kind)
            && fit.case.is_none_or(|case| case == question.case);
        Ok(match (fits, question.answered) {
            (false, _) => refuse(Reason::UnknownCase),
            (true, Some(_)) => refuse(Reason::AlreadyAnswered),
            (true, None) if opening::is_about_another(self.unit, &fit.parsed)? => Verdict::Refuse {
                reason: Reason::InvalidField,
                field: Some("person.document".to_owned()),
            },
            (true, None) => Verdict::Accept,
        })
    }

    /// Keeps of a message about a person who was erased what is kept of one that was deleted: that there was one.
    fn store_header(&mut self, opened: &Opened) -> Result<(), AppError> {
        let header = &opened.header;
        let lane = EnvelopeKey::of(Side::Received, self.peer, header.epoch).key();
        let envelope = opened.envelope.clone().without_body();
        let position = self.unit.append(&ENVELOPE, &lane, &journal_entry(&envelope))?;
        let entry = LedgerEntry::of(header, opened.digest, Direction::Received);
        self.unit.append_ledger(&entry.canonical_bytes())?;
        let row = MessageRow {
            peer: self.peer,
            epoch: header.epoch,
            sequence: LaneSeq::new(header.sequence.get()),
            position,
            kind: 0,
            case: header.message_id,
            in_reply_to: None,
            created: header.created,
            expires: header.expires,
            due: None,
            digest: opened.digest,
            stored: self.now,
            opened: None,
            answered: None,
            content: Blob::default(),
        };
        let subject = NewSubject::of_nobody(self.unit, self.now).get(self.unit)?;
        let key = message_key(header.message_id, Side::Received);
        Ok(self.unit.put_personal(&MESSAGE, &subject, &key, &row)?)
    }

    fn store(&mut self, opened: &Opened, fit: &Fit) -> Result<(), AppError> {
        let header = &opened.header;
        let opens = fit.parsed.case_of(header.message_id).opening_message();
        if fit.subject.was_erased(self.unit, header.message_id, opens)? {
            return self.store_header(opened);
        }
        let lane = EnvelopeKey::of(Side::Received, self.peer, header.epoch).key();
        let position = self.unit.append(&ENVELOPE, &lane, &journal_entry(&opened.envelope))?;
        let entry = LedgerEntry::of(header, opened.digest, Direction::Received);
        self.unit.append_ledger(&entry.canonical_bytes())?;
        let case = fit.parsed.case_of(header.message_id).opening_message();
        let agreed = self.agreed(header.to)?;
        let narrowed = rule::narrowed(self.unit, &agreed, &fit.parsed, self.now)?.ok().flatten();
        let (content, bytes) = match &narrowed {
            Some(content) => (content, encode_content(content)),
            None => (&fit.parsed, fit.content.clone()),
        };
        // By law and by our own copy of what is agreed: a sender must not decide by when this office is late.
        let accepted = self.accepted_at(header);
        let clock = rule::clock(&agreed, content, accepted).filter(|_| fit.is_answered());
        let due = clock.map(|clock| clock.due(accepted).at());
        let row = MessageRow {
            peer: self.peer,
            epoch: header.epoch,
            sequence: LaneSeq::new(header.sequence.get()),
            position,
            kind: fit.kind.number(),
            case,
            in_reply_to: fit.in_reply_to,
            created: header.created,
            expires: header.expires,
            due,
            digest: opened.digest,
            stored: self.now,
            opened: None,
            answered: None,
            content: Blob(bytes),
        };
        let subject = fit.subject.get(self.unit)?;
        let key = message_key(header.message_id, Side::Received);
        self.unit.put_personal(&MESSAGE, &subject, &key, &row)?;
        let asked = Asked { id: header.message_id, content, person: subject.person(), due };
        let known = asked::received(self.unit, &agreed, &asked, self.peer, self.now)?;
        let withdrawn = matches!(fit.kind, Kind::ConsentWithdrawal | Kind::ConsentWithdrawalDone);
        self.duties += usize::from(known || withdrawn);
        after::received(self.unit, header, content, subject.person(), &agreed, self.now)?;
        if fit.kind.is_of_agreements() {
            self.agreed = None;
        }
        progress::take(self.unit, self.peer, &fit.openings, self.now)?;
        clocks::watch(self.unit, header.message_id, Side::Received, &row, self.now)?;
        let Header { message_id: id, from, to, .. } = *header;
        let (created, side) = (accepted, Side::Received);
        let came = Came { id, from, to, created, due, side, now: self.now };
        self.duties += usize::from(cases::take(self.unit, came, content)?);
        Ok(())
    }

    /// When the sender accepted a message, by its own clock; one that is ahead says nothing of the time to come.
    fn accepted_at(&self, header: &Header) -> UnixMillis {
        let ahead = header.created > self.now.saturating_add(CLOCK_SKEW);
        if ahead { self.now } else { header.created }
    }
}
