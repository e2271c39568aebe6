//! The sender's side of a cure: what a recipient gives back, once every signature was checked.

use domain::area::AreaCode;
use domain::id::{CaseId, MessageId, PersonId};
use domain::message::{Body, Content};
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::envelope::{Header, SealedEnvelope};
use exchange::lane::{LaneSeq, Mark};
use exchange::ledger::{Direction, LedgerEntry, SeenHead};
use exchange::parcel::{ParcelManifest, envelopes_root};
use exchange::receipt::{Disposition, Offered, ReceiptManifest};
use exchange::reconcile::calls::ReceiptAgain;
use exchange::reconcile::cure::stored_in;
use exchange::reconcile::{Entry, EntryState};
use store::letters::NoticeKind;
use store::messages::{
    Blob, EnvelopeKey, MessageRow, ParcelRow, RefusalRow, Side, Signed, message_key,
};
use store::reconcile::Change;
use store::tables::{ENVELOPE, MESSAGE, PARCEL, RECEIPT, REFUSAL, TODO};
use store::{Kept, Store, Unit};
use wire::content::encode_content;
use wire::{decode_manifest, decode_receipt_manifest, encode_disposition};

use super::RETURNED_EPOCH;
use crate::app::cases::{self, couple};
use crate::app::consents::spread;
use crate::app::messages::after::{self, Sent};
use crate::app::messages::heal::Healing;
use crate::app::messages::receive::keep_chain;
use crate::app::messages::settle::{self, Answered};
use crate::app::messages::{NewSubject, envelope_of, journal_entry, send};
use crate::app::reconcile::books;
use crate::app::{AppError, Refusal, notices};

/// A receipt issued again, read and checked against its parcel; signatures are the caller's to check.
#[derive(Debug)]
pub struct Checked {
    /// Manifest of the parcel, which we have signed.
    pub parcel: ParcelManifest,
    /// Manifest of the receipt, which the recipient has signed.
    pub receipt: ReceiptManifest,
    /// What it says, in the order of the parcel.
    pub said: Vec<Disposition>,
    again: ReceiptAgain,
}

impl Checked {
    /// Reads one, of a parcel from `sender` to `recipient`.
    ///
    /// # Errors
    /// `MALFORMED`, `NOT_FOR_US`.
    pub fn read(
        sender: AreaCode,
        recipient: AreaCode,
        again: ReceiptAgain,
    ) -> Result<Self, AppError> {
        let malformed = |_| AppError::from(Reason::Malformed);
        let parcel = decode_manifest(&again.parcel_manifest).map_err(malformed)?;
        let receipt = decode_receipt_manifest(&again.receipt.manifest_bytes).map_err(malformed)?;
        let said = super::dispositions(&again.receipt).map_err(malformed)?;
        let offered: Vec<_> = said
            .iter()
            .map(|said| Offered { message_id: said.message_id, digest: said.digest })
            .collect();
        let digests: Vec<_> = said.iter().map(|said| said.digest).collect();
        let fits = parcel.from == sender
            && parcel.to == recipient
            && envelopes_root(&digests) == parcel.root
            && again.sequences.len() == said.len();
        if !fits {
            return Err(Refusal::new(Reason::NotForUs).into());
        }
        let answers = receipt.check_answers(&parcel, &offered, &again.receipt.dispositions, &said);
        answers.map_err(|_| AppError::from(Reason::Malformed))?;
        Ok(Self { parcel, receipt, said, again })
    }

    /// The parcel's bytes with our signature, and the chain it was signed with.
    #[must_use]
    pub fn proof(&self) -> &ReceiptAgain {
        &self.again
    }

    fn signed_parcel(&self) -> Signed {
        Signed {
            manifest: Blob(self.again.parcel_manifest.to_vec()),
            signature: Blob(self.again.parcel_signature.to_vec()),
        }
    }
}

/// Keeps a receipt for the message `asked` that was issued again, as if it had just come. Says which marks that makes in
/// the lane.
///
/// # Errors
/// `NOT_FOR_US` when it is not about that message where it lies here; when rows cannot be read or written.
pub fn keep_receipt(
    unit: &mut Unit<'_>,
    asked: MessageId,
    checked: Checked,
    healing: &Healing,
    now: UnixMillis,
) -> Result<Vec<Mark>, AppError> {
    let parcel = checked.signed_parcel();
    let sequences = our_places(unit, &checked)?;
    let Checked { parcel: manifest, receipt, said, again } = checked;
    let places =
        || sequences.iter().zip(&said).filter(|(place, _)| **place != LaneSeq::BEFORE_FIRST);
    if !places().any(|(_, said)| said.message_id == asked) {
        return Err(Refusal::new(Reason::NotForUs).into());
    }
    let settled = places().filter(|(_, said)| said.outcome.is_final());
    let mut marks: Vec<_> = settled.map(|(sequence, _)| Mark::Settled(*sequence)).collect();
    let answered = Answered {
        peer: receipt.from,
        epoch: again.epoch,
        parcel_id: manifest.parcel_id,
        parcel,
        parcel_signer: manifest.signer,
        parcel_chain: again.parcel_chain,
        sequences,
        said,
        receipt_signer: receipt.signer,
        // The head of then; what is known of the peer since is newer.
        head: SeenHead { head: receipt.ledger_head, signed: receipt.signed },
        receipt: again.receipt,
    };
    let healed = settle::keep(unit, &answered, &marks, healing, now)?;
    marks.extend(healed.into_iter().flat_map(|healed| healed.settled));
    Ok(marks)
}

/// The places that a receipt issued again names, where the very envelope lies there; [`LaneSeq::BEFORE_FIRST`] for the others. Which
/// place a message had is not signed: a wrong one would settle what nobody has.
fn our_places(unit: &Unit<'_>, checked: &Checked) -> Result<Vec<LaneSeq>, AppError> {
    let again = &checked.again;
    let lane = EnvelopeKey::of(Side::Sent, checked.receipt.from, again.epoch).key();
    let each = again.sequences.iter().zip(&checked.said).map(|(place, said)| {
        let entry = unit.read(&ENVELOPE, &lane, place.get())?;
        let lies_there = entry.and_then(envelope_of).is_some_and(|it| it.digest() == said.digest);
        Ok(if lies_there { *place } else { LaneSeq::BEFORE_FIRST })
    });
    each.collect()
}

/// Notes a refusal that the other side of a message has shown, in the book of `own`: one of us has lost what it knew.
///
/// # Errors
/// `MALFORMED` when it does not refuse that message; when rows cannot be read or written.
pub fn take_word(
    unit: &mut Unit<'_>,
    own: AreaCode,
    id: MessageId,
    checked: &Checked,
) -> Result<(), AppError> {
    let refuses = |said: &&Disposition| said.message_id == id && books::is_refusal(said);
    let said = checked.said.iter().find(refuses).ok_or(AppError::from(Reason::Malformed))?;
    let (from, to) = (checked.parcel.from, checked.parcel.to);
    let (direction, side) = match from == own {
        true => (Direction::Sent, Side::Sent),
        false => (Direction::Received, Side::Received),
    };
    // What is here speaks for itself.
    if unit.contains(&MESSAGE, &message_key(id, side))? {
        return Ok(());
    }
    if side == Side::Received {
        // It stays refused, in whatever epoch it comes again.
        let disposition = Blob(encode_disposition(said));
        unit.put(&REFUSAL, id.as_bytes(), &RefusalRow { peer: from, disposition })?;
    }
    let entry = Entry { id, digest: said.digest, from, to, state: EntryState::Refused };
    books::note(unit, &Change::Word(direction, entry))
}

/// A message of ours that its recipient has handed back, opened.
#[derive(Debug)]
pub struct Back {
    /// Its header.
    pub header: Header,
    /// The envelope as it was delivered.
    pub envelope: SealedEnvelope,
    /// Its content, opened with what the recipient gave for it: the envelope's own tag proves that it is what we sealed.
    /// None where the recipient has deleted it.
    pub content: Option<Content>,
    /// The proof, whose signatures were checked.
    pub checked: Checked,
    /// The question that it answers is being delivered again.
    pub question_follows: bool,
    /// Our signature under its parcel is of a certificate that has gone since: its recipient answers for it. The office is
    /// told.
    pub on_word: bool,
}

/// Takes a message of ours back that we have lost: envelope, record, ledger entry, parcel and receipt. `false` when it
/// answers a question that is not here yet; `true` when it is here, now or already.
///
/// # Errors
/// `MALFORMED` when the envelope is none of the parcel, `NOT_FOUND` when the person was erased; when rows cannot be read or
/// written.
pub fn take_back(
    unit: &mut Unit<'_>,
    store: &Store,
    back: &Back,
    now: UnixMillis,
) -> Result<bool, AppError> {
    let (header, digest) = (&back.header, back.envelope.digest());
    let id = header.message_id;
    match unit.get_personal(&MESSAGE, &message_key(id, Side::Sent))? {
        Some(Kept::Value { .. }) => return Ok(true),
        Some(Kept::Erased) => return Err(Reason::NotFound.into()),
        None => {}
    }
    let index = stored_in(&back.checked.said, id, digest);
    let index = index.ok_or(AppError::from(Reason::Malformed))?;
    let ended = |content: &Content| spread::ended(unit, content, header.to, header.to);
    let content = match &back.content {
        // Its recipient has withdrawn the consent since, and we have deleted everything under it.
        Some(content) if ended(content)?.is_some() => None,
        Some(content) => {
            let opens = content.case.map_or(id, |case| case.opening_message());
            let subject = NewSubject::of(store, Some(content), now);
            (!subject.was_erased(unit, id, opens)?).then_some(content)
        }
        None => None,
    };
    let Some(content) = content else {
        let (sequence, _, _) = put(unit, store, back, (None, id), now)?;
        return keep_proof(unit, back, index, sequence).map(|()| true);
    };
    let question = match content.in_reply_to {
        Some(asked) => match unit.get_personal(&MESSAGE, &message_key(asked, Side::Received))? {
            Some(Kept::Value { value, .. }) => Some((asked, value)),
            // The case was handed over to us, and the question came with it.
            None if cases::expects(unit, content.case.as_ref().map(CaseId::opening_message))? => {
                None
            }
            None if back.question_follows => return Ok(false),
            // It was refused, erased, or nobody has it any more.
            Some(Kept::Erased) | None => None,
        },
        None => None,
    };
    let case = match (&question, content.case) {
        (Some((_, question)), _) => question.case,
        (None, Some(case)) => case.opening_message(),
        (None, None) => content.in_reply_to.unwrap_or(id),
    };
    let (sequence, row, person) = put(unit, store, back, (Some(content), case), now)?;
    keep_proof(unit, back, index, sequence)?;
    if let Some((asked, question)) = question.filter(|(_, row)| row.answered.is_none()) {
        answered(unit, asked, &question, id, header.created)?;
    }
    let sent = Sent { id, own: header.from, person, row: &row, content };
    after::sent_before(unit, sent, now)?;
    if let Body::BirthRegistrationInquiry(asked) = &content.body {
        couple::found_again(unit, case.into(), asked, (header.from, now))?;
    }
    Ok(true)
}

/// A question that this message answers is off the desk.
fn answered(
    unit: &mut Unit<'_>,
    asked: MessageId,
    question: &MessageRow,
    answer: MessageId,
    at: UnixMillis,
) -> Result<(), AppError> {
    if let Some(due) = question.due {
        unit.delete(&TODO, &(due.get(), *asked.as_bytes()));
    }
    send::update(unit, asked, Side::Received, |row| row.answered = Some((answer, at))).map(drop)
}

/// Writes envelope, ledger entry and record. Says in which place, and under whom.
fn put(
    unit: &mut Unit<'_>,
    store: &Store,
    back: &Back,
    (content, case): (Option<&Content>, MessageId),
    now: UnixMillis,
) -> Result<(LaneSeq, MessageRow, PersonId), AppError> {
    let (header, digest) = (&back.header, back.envelope.digest());
    let lane = EnvelopeKey::of(Side::Sent, header.to, RETURNED_EPOCH).key();
    let position = unit.next_position(&ENVELOPE, &lane)?;
    let sequence = LaneSeq::new(position);
    let envelope = match content {
        Some(_) => back.envelope.clone(),
        None => back.envelope.clone().without_body(),
    };
    unit.append_at(&ENVELOPE, &lane, position, &journal_entry(&envelope))?;
    settle::mark(unit, header.to, RETURNED_EPOCH, &[Mark::Settled(sequence)])?;
    let entry = LedgerEntry::of(header, digest, Direction::Sent);
    unit.append_ledger(&entry.canonical_bytes())?;
    let (id, from, to) = (header.message_id, header.from, header.to);
    let entry = Entry { id, digest, from, to, state: EntryState::Stored };
    books::note(unit, &Change::Word(Direction::Sent, entry))?;
    let row = MessageRow {
        peer: to,
        epoch: RETURNED_EPOCH,
        sequence,
        position,
        kind: content.map_or(0, |content| super::kind_number(content.kind())),
        case,
        in_reply_to: content.and_then(|content| content.in_reply_to),
        created: header.created,
        expires: header.expires,
        due: header.due,
        digest,
        stored: header.created,
        opened: None,
        answered: None,
        content: Blob(content.map(encode_content).unwrap_or_default()),
    };
    let subject = NewSubject::of(store, content, now).get(unit)?;
    unit.put_personal(&MESSAGE, &subject, &message_key(id, Side::Sent), &row)?;
    if back.on_word {
        notices::raise(unit, now, NoticeKind::BackOnWord { from: to }, &[id])?;
    }
    Ok((sequence, row, subject.person()))
}

/// Keeps parcel and receipt under the place that the message has here, so that there is evidence of it.
fn keep_proof(
    unit: &mut Unit<'_>,
    back: &Back,
    index: usize,
    sequence: LaneSeq,
) -> Result<(), AppError> {
    let Checked { parcel, receipt, said, again } = &back.checked;
    let place = |at: usize| if at == index { sequence.get() } else { 0 };
    let row = ParcelRow {
        parcel_id: parcel.parcel_id,
        parcel: back.checked.signed_parcel(),
        sequences: (0..said.len()).map(place).collect(),
        dispositions: again.receipt.dispositions.iter().map(|it| Blob(it.to_vec())).collect(),
    };
    let (side, epoch) = EnvelopeKey::of(Side::Sent, back.header.to, RETURNED_EPOCH).key();
    let key = (side, epoch, sequence.get(), *parcel.parcel_id.as_bytes());
    unit.put(&PARCEL, &key, &row)?;
    let signed = Signed {
        manifest: Blob(again.receipt.manifest_bytes.to_vec()),
        signature: Blob(again.receipt.signature.to_vec()),
    };
    unit.put(&RECEIPT, &key, &signed)?;
    keep_chain(unit, parcel.signer, &again.parcel_chain)?;
    keep_chain(unit, receipt.signer, &again.receipt.chain)
}
