//! Dead letters: messages of ours that did not arrive, until somebody has done something about them.
//!
//! A letter is made in the unit that learns of it: by the receipt that refuses the message, by the clock when
//! it expires, or when its recipient has retired. From then on it belongs to a person, who sends it again,
//! corrected or as it was, or gives it up with a written reason. A late receipt takes it off the list.

mod again;
mod list;
mod lost;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::message::Kind;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::lane::{LaneEpoch, LaneSeq};
use store::letters::{
    DeadLetterRow, DeadReason, DeadState, NoticeKind, WithdrawnRow, WithdrawnWhy,
};
use store::messages::{EnvelopeKey, MessageRow, Side, message_key};
use store::tables::{DEAD_LETTER, DELIVERED_AGAIN, ENVELOPE, LANE_OUT, MESSAGE, TODO, WITHDRAWN};
use store::{Kept, Unit};

pub use again::{Again, Discard, discard, lapse, resend, stop};
pub use list::{Filter, Letter, Page, list, open, show, token};
pub use lost::retired;

use super::consents::refused;
use super::messages::{envelope_of, send};
use super::{AppError, cases, notices};

/// Most withdrawn envelopes that one parcel can hold.
const WITHDRAWN_IN_PARCEL_MAX: usize = exchange::parcel::PARCEL_ENVELOPES_MAX;

/// What a recipient's receipt says about one message of ours, for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The message.
    pub id: MessageId,
    /// Place of its envelope in the lane.
    pub sequence: LaneSeq,
    /// Why it was refused, and the field that is about; none when it was stored.
    pub refused: Option<(Reason, Option<String>)>,
}

/// Takes up what a receipt says, in the unit that keeps it: what was refused goes on the list, and what arrived
/// after all goes off it. Costs one look for a whole parcel when nothing of the kind is in it.
///
/// # Errors
/// When rows cannot be read or written.
pub fn heard(
    unit: &mut Unit<'_>,
    peer: AreaCode,
    epoch: LaneEpoch,
    said: &[Said],
    now: UnixMillis,
) -> Result<(), AppError> {
    for said in said {
        if let Some((reason, field)) = &said.refused {
            let field = field.clone().unwrap_or_default();
            let Some(row) = sent(unit, said.id)? else { continue };
            // It may have been sent again under another number since, because of a conflict.
            if (row.epoch, row.sequence) == (epoch, said.sequence) {
                die(unit, said.id, &row, DeadReason::Refused { reason: *reason, field }, now)?;
            }
        }
    }
    let sequences = || said.iter().map(|said| said.sequence.get());
    let (Some(first), Some(last)) = (sequences().min(), sequences().max()) else { return Ok(()) };
    let (side, epoch) = EnvelopeKey::of(Side::Sent, peer, epoch).key();
    let range = (side, epoch, first)..=(side, epoch, last);
    for ((_, _, place), row) in unit.scan(&WITHDRAWN, range, WITHDRAWN_IN_PARCEL_MAX)? {
        let stored = |said: &&Said| said.sequence.get() == place && said.refused.is_none();
        if said.iter().find(stored).is_some() {
            arrived(unit, row.message, now)?;
        }
    }
    Ok(())
}

/// Puts a message on the list, unless it is there: nobody has it, and nobody will.
///
/// What nodes send by themselves, and what is about an erased person or was deleted, is nobody's to correct: it has come
/// to its end, but for words about withdrawals, which are said again.
fn die(
    unit: &mut Unit<'_>,
    id: MessageId,
    row: &MessageRow,
    why: DeadReason,
    now: UnixMillis,
) -> Result<(), AppError> {
    let by_node = row.kind().is_some_and(Kind::is_sent_by_nodes);
    if by_node {
        return refused::not_taken(unit, (id, row), &why, now);
    }
    if row.is_deleted() || unit.contains(&DEAD_LETTER, id.as_bytes())? {
        return Ok(());
    }
    let letter =
        DeadLetterRow { to: row.peer, kind: row.kind, why, since: now, state: DeadState::Open };
    unit.put(&DEAD_LETTER, id.as_bytes(), &letter)?;
    // What was there once, and is refused only now that it is delivered again, has had its effect in its case.
    if !unit.contains(&DELIVERED_AGAIN, id.as_bytes())? {
        cases::undo(unit, row.case, id, now)?;
    }
    notices::raise(unit, now, NoticeKind::DeadLetter { to: row.peer }, &[id])
}

/// A message that has lost its purpose, or whose recipient has retired, before it arrived: its envelope travels
/// without its body from now on, and a person looks at it. Says whether that came to pass: a message whose
/// receipt is here is left alone.
///
/// # Errors
/// When rows cannot be read or written.
pub fn lose(
    unit: &mut Unit<'_>,
    id: MessageId,
    why: DeadReason,
    now: UnixMillis,
) -> Result<bool, AppError> {
    let Some(row) = sent(unit, id)? else { return Ok(false) };
    if is_settled(unit, &row)? {
        return Ok(false);
    }
    withdraw(unit, id, &row, WithdrawnWhy::Expired, now)?;
    die(unit, id, &row, why, now)?;
    Ok(true)
}

/// Takes the body off an envelope of ours that has not arrived, and tells nobody: its content is about to be deleted.
///
/// # Errors
/// When rows cannot be read or written.
pub fn silence(unit: &mut Unit<'_>, id: MessageId, now: UnixMillis) -> Result<(), AppError> {
    let Some(row) = sent(unit, id)? else { return Ok(()) };
    if is_settled(unit, &row)? {
        return Ok(());
    }
    withdraw(unit, id, &row, WithdrawnWhy::Discarded, now)
}

/// Takes the body off an envelope of ours that has not arrived; it travels as header and hash from now on.
pub(crate) fn withdraw(
    unit: &mut Unit<'_>,
    id: MessageId,
    row: &MessageRow,
    why: WithdrawnWhy,
    now: UnixMillis,
) -> Result<(), AppError> {
    let (side, epoch) = EnvelopeKey::of(Side::Sent, row.peer, row.epoch).key();
    let key = (side, epoch, row.sequence.get());
    if unit.contains(&WITHDRAWN, &key)? {
        return Ok(());
    }
    let entry = unit.read(&ENVELOPE, &(side, epoch), row.position)?;
    let envelope = entry.and_then(envelope_of);
    let envelope = envelope.ok_or(AppError::Internal("a message has no envelope"))?;
    let sealed_sha256 = envelope.sealed_sha256();
    unit.put(&WITHDRAWN, &key, &WithdrawnRow { message: id, why, at: now, sealed_sha256 })?;
    Ok(())
}

/// A late receipt says that the recipient has a message that had been given up here.
fn arrived(unit: &mut Unit<'_>, id: MessageId, now: UnixMillis) -> Result<(), AppError> {
    let Some(mut letter) = unit.get(&DEAD_LETTER, id.as_bytes())? else { return Ok(()) };
    match letter.state {
        // The new message names this one; whoever has both sees that.
        DeadState::SentAgain { .. } | DeadState::Arrived { .. } => return Ok(()),
        DeadState::Open | DeadState::Discarded { .. } => {}
    }
    letter.state = DeadState::Arrived { at: now };
    unit.put(&DEAD_LETTER, id.as_bytes(), &letter)?;
    let Some(row) = sent(unit, id)? else { return Ok(()) };
    match row.in_reply_to {
        Some(asked) => answers(unit, asked, id, now),
        None => Ok(()),
    }
}

/// An answer of ours that had been given up has arrived: the question is off the desk again.
fn answers(
    unit: &mut Unit<'_>,
    asked: MessageId,
    answer: MessageId,
    now: UnixMillis,
) -> Result<(), AppError> {
    let question = unit.get_personal(&MESSAGE, &message_key(asked, Side::Received))?;
    let Some(question) = question.and_then(Kept::value) else { return Ok(()) };
    if question.answered.is_some() {
        return Ok(());
    }
    if let Some(due) = question.due {
        unit.delete(&TODO, &(due.get(), *asked.as_bytes()));
    }
    send::update(unit, asked, Side::Received, |row| row.answered = Some((answer, now))).map(drop)
}

/// A message of ours, unless its person was erased.
fn sent(unit: &Unit<'_>, id: MessageId) -> Result<Option<MessageRow>, AppError> {
    Ok(unit.get_personal(&MESSAGE, &message_key(id, Side::Sent))?.and_then(Kept::value))
}

/// Whether a message of ours has not arrived yet, or needs somebody.
///
/// # Errors
/// When rows cannot be read.
pub(crate) fn is_waiting(unit: &Unit<'_>, id: MessageId) -> Result<bool, AppError> {
    if let Some(letter) = unit.get(&DEAD_LETTER, id.as_bytes())? {
        return Ok(letter.state == DeadState::Open);
    }
    Ok(match sent(unit, id)? {
        Some(row) => !is_settled(unit, &row)?,
        None => false,
    })
}

/// Whether the recipient's final word about a message of ours is on disk.
fn is_settled(unit: &Unit<'_>, row: &MessageRow) -> Result<bool, AppError> {
    let lane = EnvelopeKey::of(Side::Sent, row.peer, row.epoch).key();
    let lane = unit.get(&LANE_OUT, &lane)?;
    Ok(lane.is_some_and(|kept| kept.lane.is_settled(row.sequence)))
}
