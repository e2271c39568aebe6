//! What a person does about a dead letter: sends it again, or gives it up with a reason.

use domain::access::{AccessAction, Permission};
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::message::{Body, Content};
use domain::reason::Reason;
use domain::text::Note;
use domain::time::UnixMillis;
use store::letters::{DeadLetterRow, DeadReason, DeadState, DiscardReasonRow, WithdrawnWhy};
use store::messages::{MessageRow, Side, message_key};
use store::tables::{DEAD_LETTER, DISCARD_REASON, MESSAGE, TODO};
use store::{Kept, Store, Unit};

use super::list::{letter, message};
use super::{Letter, is_settled, sent, withdraw};
use crate::app::access::{self, Act};
use crate::app::cases::couple;
use crate::app::idempotency::Once;
use crate::app::messages::content_of;
use crate::app::messages::grounds::Grounds;
use crate::app::messages::send::{self, Accepted, Draft, Outlet, Prepared, permission};
use crate::app::messages::track;
use crate::app::{AppError, Ctx, Refusal, at_risk, clocks};

/// A dead letter that is to be sent again.
#[derive(Debug)]
pub struct Again {
    /// The message.
    pub id: MessageId,
    /// What it says now; none to send it as it was.
    pub content: Option<Content>,
    /// The records it rests on now, where `content` is given.
    pub grounds: Grounds,
    /// County it is for now; none for the same one.
    pub to: Option<AreaCode>,
    /// When the new message loses its purpose.
    pub expires: Option<UnixMillis>,
    /// Makes a repeated call harmless; empty for none.
    pub idempotency_key: String,
}

/// Sends a dead letter again, as a new message that names the old one. Both are on disk when it returns.
///
/// # Errors
/// As for a new message; `NOT_FOUND` for what is not on the list, `STATE_FORBIDS` when something was done
/// about it already.
pub async fn resend(
    ctx: &Ctx,
    store: &Store,
    outlet: &dyn Outlet,
    again: Again,
) -> Result<Accepted, AppError> {
    let Again { id, content, grounds, to, expires, idempotency_key } = again;
    let (row, message) = letter(store, id)?;
    ctx.must(message.kind().map_or(Permission::ExchangeMessages, permission))?;
    let original = content_of(store, id, &message)?;
    let (content, grounds) = match content {
        Some(edited) => (same_letter(edited, &original)?, grounds),
        None => {
            let grounds = Grounds::of(&original);
            (original, grounds)
        }
    };
    let content = Content { replaces: Some(id), ..content };
    let draft = Draft { to: to.unwrap_or(row.to), content, grounds, expires, idempotency_key };
    let name = "ResendDeadLetter";
    let mut prepared = send::prepare(ctx, store, outlet, draft, name)?;
    let (caller, about) = (ctx.clone(), prepared.about());
    let accepted = store
        .commit(move |unit| {
            if let Some(first) = prepared.first(&caller, unit)? {
                return Ok(first);
            }
            accept(unit, &caller, &mut prepared, id)
        })
        .await
        .map_err(AppError::from);
    let accepted = access::told(ctx, store, about, accepted).await?;
    accepted.nudge(outlet);
    Ok(accepted)
}

fn accept(
    unit: &mut Unit<'_>,
    ctx: &Ctx,
    prepared: &mut Prepared,
    old: MessageId,
) -> Result<Accepted, AppError> {
    let row = unit.get(&DEAD_LETTER, old.as_bytes())?.ok_or(AppError::from(Reason::NotFound))?;
    must_be_open(&row)?;
    prepared.naming(at_risk::named_in(unit, old)?);
    let accepted = prepared.accept(ctx, unit)?;
    let by = ctx.caller.operator.clone();
    let state = DeadState::SentAgain { id: accepted.id, by, at: ctx.now };
    unit.put(&DEAD_LETTER, old.as_bytes(), &DeadLetterRow { state, ..row })?;
    if accepted.case == accepted.id.into() {
        couple::replace(unit, (old.into(), accepted.case), ctx.county(), ctx.now)?;
    }
    Ok(accepted)
}

/// What was edited must still be the same letter: the same kind, about the same person, in answer to the same question. It
/// names no other spouse, and what was decided stays decided.
fn same_letter(edited: Content, original: &Content) -> Result<Content, AppError> {
    let refuse = |field: &str| Err(Refusal::new(Reason::InvalidField).field(field).into());
    if edited.kind() != original.kind() {
        return refuse("content.body");
    }
    if edited.in_reply_to.is_some() && edited.in_reply_to != original.in_reply_to {
        return refuse("content.in_reply_to");
    }
    let (now, before) = (edited.person.as_ref(), original.person.as_ref());
    if now.map(|person| &person.document) != before.map(|person| &person.document) {
        return refuse("content.person.document");
    }
    match (&edited.body, &original.body) {
        (Body::BirthRegistrationInquiry(now), Body::BirthRegistrationInquiry(before))
            if now.spouse_name.is_some() && now.spouse_name != before.spouse_name =>
        {
            return refuse("content.spouse_name");
        }
        (Body::BirthRegistrationResult(now), Body::BirthRegistrationResult(before))
            if now != before =>
        {
            return refuse("content.body");
        }
        _ => {}
    }
    Ok(Content { in_reply_to: original.in_reply_to, case: original.case, ..edited })
}

fn must_be_open(row: &DeadLetterRow) -> Result<(), AppError> {
    let by = match &row.state {
        DeadState::Open => return Ok(()),
        DeadState::SentAgain { id, .. } => Some(*id),
        DeadState::Discarded { .. } | DeadState::Arrived { .. } => None,
    };
    let refusal = Refusal::new(Reason::StateForbids).field("message_id");
    Err(match by {
        Some(id) => refusal.existing(id).into(),
        None => refusal.into(),
    })
}

/// A message that is to be given up.
#[derive(Debug)]
pub struct Discard {
    /// The message: a dead letter, or one that has not arrived yet.
    pub id: MessageId,
    /// Why, in writing.
    pub reason: Note,
    /// Makes a repeated call harmless; empty for none.
    pub idempotency_key: String,
}

/// Gives a message up: a dead letter, or one that has not arrived yet, whose envelope then travels without its
/// body. An answer that is given up puts its question back on the desk.
///
/// # Errors
/// `ROLE_REQUIRED`, `NOT_FOUND`; `STATE_FORBIDS` when the recipient has it or something was done about it.
pub async fn discard(ctx: &Ctx, store: &Store, given: Discard) -> Result<Letter, AppError> {
    let Discard { id, reason, idempotency_key } = given;
    let found = message(store, id)?.ok_or(AppError::from(Reason::NotFound))?;
    ctx.must(found.kind().map_or(Permission::ExchangeMessages, permission))?;
    let act = Act::with(AccessAction::Discard, store, &content_of(store, id, &found)?)?;
    let once = Once::new(&idempotency_key, "DiscardDeadLetter", &(id, &reason))?;
    let caller = ctx.clone();
    store
        .commit(move |unit| {
            if once.first::<()>(&caller, unit)?.is_some() {
                return Ok(());
            }
            give_up(unit, &caller, id, reason)?;
            access::note(&caller, unit, Act { message: Some(id), ..act })?;
            once.keep(&caller, unit, &())
        })
        .await
        .map_err(AppError::from)?;
    let (row, message) = letter(store, id)?;
    let track = track::of(ctx, store, id, Side::Sent, &message)?;
    Ok(Letter { track, row, discard_reason: None })
}

/// Gives up a message that has not arrived, in the unit of whoever decides that; says whether there was anything to
/// give up.
///
/// # Errors
/// When rows cannot be read or written.
pub fn stop(unit: &mut Unit<'_>, ctx: &Ctx, id: MessageId, reason: Note) -> Result<bool, AppError> {
    let Some(message) = sent(unit, id)? else { return Ok(false) };
    let done = unit.get(&DEAD_LETTER, id.as_bytes())?;
    let is_open = done.is_none_or(|letter| matches!(letter.state, DeadState::Open));
    if !is_open || is_settled(unit, &message)? {
        return Ok(false);
    }
    give_up(unit, ctx, id, reason).map(|()| true)
}

/// Ends what is still to be done about a message of ours whose content goes: it is given up where it has not arrived, and
/// a letter that waits for somebody is discarded. Changes nothing for one that its recipient has answered for.
///
/// # Errors
/// When rows cannot be read or written.
pub fn lapse(unit: &mut Unit<'_>, ctx: &Ctx, id: MessageId, reason: Note) -> Result<(), AppError> {
    let Some(message) = sent(unit, id)? else { return Ok(()) };
    let waits = match unit.get(&DEAD_LETTER, id.as_bytes())? {
        Some(letter) => matches!(letter.state, DeadState::Open),
        None => !is_settled(unit, &message)?,
    };
    if waits { give_up(unit, ctx, id, reason) } else { Ok(()) }
}

fn give_up(unit: &mut Unit<'_>, ctx: &Ctx, id: MessageId, reason: Note) -> Result<(), AppError> {
    let message = sent(unit, id)?.ok_or(AppError::from(Reason::NotFound))?;
    let letter = match unit.get(&DEAD_LETTER, id.as_bytes())? {
        Some(letter) => letter,
        None => undelivered(unit, ctx, &message)?,
    };
    must_be_open(&letter)?;
    if !is_settled(unit, &message)? {
        withdraw(unit, id, &message, WithdrawnWhy::Discarded, ctx.now)?;
    }
    if let Some(asked) = message.in_reply_to {
        back_on_the_desk(unit, ctx, asked, id, &letter)?;
    }
    let state = DeadState::Discarded { by: ctx.caller.operator.clone(), at: ctx.now };
    unit.put(&DEAD_LETTER, id.as_bytes(), &DeadLetterRow { state, ..letter })?;
    let key = message_key(id, Side::Sent);
    let Some(Kept::Value { person, .. }) = unit.get_personal(&MESSAGE, &key)? else {
        return Err(Reason::NotFound.into());
    };
    let subject = unit.subject_of(person)?.ok_or(AppError::from(Reason::NotFound))?;
    let row = DiscardReasonRow { text: reason };
    unit.put_personal(&DISCARD_REASON, &subject, id.as_bytes(), &row)?;
    Ok(())
}

/// A letter for a message that nobody has yet; refused when the recipient has it.
fn undelivered(
    unit: &Unit<'_>,
    ctx: &Ctx,
    message: &MessageRow,
) -> Result<DeadLetterRow, AppError> {
    if is_settled(unit, message)? {
        return Err(Refusal::new(Reason::StateForbids).field("message_id").into());
    }
    Ok(DeadLetterRow {
        to: message.peer,
        kind: message.kind,
        why: DeadReason::Withdrawn,
        since: ctx.now,
        state: DeadState::Open,
    })
}

/// The question of an answer that is given up waits for another one, unless the other side says that it has one.
fn back_on_the_desk(
    unit: &mut Unit<'_>,
    ctx: &Ctx,
    asked: MessageId,
    answer: MessageId,
    letter: &DeadLetterRow,
) -> Result<(), AppError> {
    let refused =
        |wanted| matches!(letter.why, DeadReason::Refused { reason, .. } if reason == wanted);
    if refused(Reason::AlreadyAnswered) {
        return Ok(());
    }
    let key = message_key(asked, Side::Received);
    let Some(question) = unit.get_personal(&MESSAGE, &key)?.and_then(Kept::value) else {
        return Ok(());
    };
    if question.is_deleted() || question.answered.map(|(by, _)| by) != Some(answer) {
        return Ok(());
    }
    send::update(unit, asked, Side::Received, |row| row.answered = None)?;
    if let Some(due) = question.due {
        unit.put(&TODO, &(due.get(), *asked.as_bytes()), &())?;
    }
    clocks::watch(unit, asked, Side::Received, &question, ctx.now)
}
