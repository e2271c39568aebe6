//! Cases: fed from every message that is sent or received, in the unit that writes it.
//!
//! What a case allows is decided in `domain::case`; here its steps are kept, with the indexes that follow from them: whose
//! turn it is, what this node has to do by itself, what waits. The clock of the question's message is kept in step
//! with the case, so that it stands still on both sides while a clarification is open.

pub mod alarms;
pub mod bulk;
pub mod couple;
pub mod duties;
pub(crate) mod ground;
pub mod opening;
pub mod parts;
pub mod read;
pub(crate) mod result;
pub mod steps;

use domain::area::AreaCode;
use domain::case::{Case, Deed, Seat, Stage, Step, View};
use domain::id::{CaseId, MessageId};
use domain::message::{Body, Content, HandOver, Kind};
use domain::reason::Reason;
use domain::time::UnixMillis;
use store::cases::{CaseRow, OURS, THEIRS};
use store::messages::{Side, message_key};
use store::tables::{CASE, CASE_DUTY, CASE_TURN, CASE_WAITING, MESSAGE, TODO};
use store::{Kept, Store, Unit};

use super::messages::{adopt, from_and_to, kept_content, send};
use super::{AppError, Refusal, clocks};
use opening::Rows;

/// A message as its case sees it.
#[derive(Clone, Copy, Debug)]
pub struct Came {
    /// Its id.
    pub id: MessageId,
    /// Area that sent it.
    pub from: AreaCode,
    /// Area it is for.
    pub to: AreaCode,
    /// When its sender accepted it.
    pub created: UnixMillis,
    /// When it has to be answered by.
    pub due: Option<UnixMillis>,
    /// Which side of it this node is on.
    pub side: Side,
    /// Now.
    pub now: UnixMillis,
}

impl Came {
    /// The area of this node.
    const fn own(&self) -> AreaCode {
        match self.side {
            Side::Sent => self.from,
            Side::Received => self.to,
        }
    }
}

/// Adds a message to its case, in the unit that stores it. Says whether the node has something to do there by itself.
///
/// # Errors
/// `TOO_LARGE` when a case of ours would have more steps than a case may have; what others send beyond that is kept as a
/// message and has no effect. Otherwise when rows cannot be read or written.
pub fn take(unit: &mut Unit<'_>, came: Came, content: &Content) -> Result<bool, AppError> {
    let (areas, times) = ((came.from, came.to), (came.created, came.due));
    let Some(step) = Step::of(came.id, areas, times, content) else { return Ok(false) };
    let id = content.case_of(came.id);
    let mut row = match content.case {
        Some(_) => row_of(unit, id, came.own(), came.now)?,
        // What belongs to it may have come before it.
        None => unit.get(&CASE, id.as_bytes())?.unwrap_or_else(|| CaseRow::new(id, came.now)),
    };
    let brings = match &content.body {
        Body::HandOver(body) if came.side == Side::Received => Some(body),
        _ => None,
    };
    let counts = brings.is_none_or(|body| was_asked_for(&row, &came, body));
    let deed = step.deed;
    let step = if counts { step } else { unasked(step) };
    match row.case.add(step) {
        Ok(true) => {}
        Ok(false) => return Ok(false),
        Err(reason) if came.side == Side::Sent => return Err(reason.into()),
        Err(_) => return Ok(false),
    }
    if let Some(body) = brings.filter(|_| counts) {
        bring(&mut row, came.id, body, came.own());
    }
    let opens = matches!(deed, Deed::Open { .. }) || row.brought.contains(&came.id);
    if opens && row.case.steps().len() > 1 {
        // It is known now whom the case is about.
        adopt(unit, &row)?;
    }
    if came.side == Side::Sent && matches!(deed, Deed::Accept { .. }) {
        take_what_waited(unit, &mut row, &came)?;
    }
    pass_on(&mut row, &came);
    let answered = matches!(deed, Deed::Answer { .. }).then(|| row.clone());
    keep(unit, row, came.own(), came.now)?;
    if let Some(row) = answered {
        result::wake_together(unit, &row, came.own(), came.now)?;
    }
    Ok(unit.contains(&CASE_DUTY, id.as_bytes())?)
}

/// Whether a side that is brought is one that this office has accepted from whoever brings it, or that it was brought by
/// it before. Whoever knows the id of a case could otherwise rewrite it, or force it on somebody.
fn was_asked_for(row: &CaseRow, came: &Came, body: &HandOver) -> bool {
    let (own, seat, term) = (came.own(), body.seat, body.term);
    if row.case.has_accepted(own, came.from, (seat, term)) {
        return true;
    }
    row.case.steps().into_iter().any(|step| {
        let brought = row.brought.contains(&step.id) && step.from.county() == came.from.county();
        brought && step.deed == Deed::Transfer { seat, term, area: came.to }
    })
}

/// A hand-over that nobody here has accepted: it is kept, and gives nothing to anybody.
fn unasked(step: Step) -> Step {
    Step { deed: Deed::Document { kind: Kind::HandOver }, ..step }
}

/// Adds the steps that a hand-over brings. What this office wrote itself, or what was written to it, nobody else tells it.
fn bring(row: &mut CaseRow, id: MessageId, body: &HandOver, own: AreaCode) {
    row.brought.push(id);
    let ours = |step: &Step| [step.from, step.to].iter().any(|area| area.county() == own.county());
    for step in body.steps.iter().filter(|step| !ours(step)) {
        // More than a case may have is of no effect.
        let _added = row.case.add(step.clone());
    }
}

/// What was brought before it was known here that it had been accepted: the node was restored since.
fn take_what_waited(unit: &Unit<'_>, row: &mut CaseRow, came: &Came) -> Result<(), AppError> {
    let waits = unasked_from(&row.case, came.to);
    for id in waits {
        let Some(message) = Rows::message(unit, id, Side::Received)? else { continue };
        let Some(content) = kept_content(&message)? else { continue };
        let own = came.own();
        let (areas, times) = ((message.peer, own), (message.created, message.due));
        let was = Came { id, from: message.peer, to: own, side: Side::Received, ..*came };
        if let Body::HandOver(body) = &content.body
            && was_asked_for(row, &was, body)
            && let Some(step) = Step::of(id, areas, times, &content)
        {
            row.case.take_back(id);
            // It takes the place of the one that was there.
            let _added = row.case.add(step);
            bring(row, id, body, own);
        }
    }
    Ok(())
}

fn unasked_from(case: &Case, from: AreaCode) -> Vec<MessageId> {
    let unasked = Deed::Document { kind: Kind::HandOver };
    let steps = case.steps().into_iter().filter(|step| step.deed == unasked && step.from == from);
    steps.map(|step| step.id).collect()
}

/// Whether a message claims a place in its case that nobody who knows the case can have come to: everything that is sent
/// afterwards would lie before it, and have no effect.
///
/// # Errors
/// When the row cannot be read.
pub fn is_out_of_reach(unit: &Unit<'_>, content: &Content) -> Result<bool, AppError> {
    let Some(id) = content.case else { return Ok(false) };
    let case = unit.get(&CASE, id.as_bytes())?.map_or_else(|| Case::new(id), |row| row.case);
    Ok(!case.reaches(content.step))
}

/// What comes for a side that this office gave away goes on to whoever holds it now.
fn pass_on(row: &mut CaseRow, came: &Came) {
    let Some((seat, _, successor)) = row.case.successor(came.own()) else { return };
    let view = row.case.view();
    let gone = !view.sits(came.own(), seat);
    let from_successor = successor.county() == came.from.county();
    let step = row.case.steps().into_iter().find(|step| step.id == came.id).map(|step| step.deed);
    let between = step.is_none_or(|deed| deed.is_between_two() || is_hand_over(&deed, seat));
    if came.side == Side::Received && gone && !from_successor && !between {
        row.to_pass.push(came.id);
    }
}

/// Whether a step says, or would say, who sits at this seat. Who sits opposite is news for whoever took this one over: both
/// may change hands at once, and each of the old holders hears of it alone.
fn is_hand_over(deed: &Deed, own: Seat) -> bool {
    match deed {
        Deed::Transfer { seat, .. } => *seat == own,
        deed => matches!(deed, Deed::Document { kind: Kind::HandOver }),
    }
}

/// Takes a message of ours out of its case again, which its recipient refused or never got. What was given away stays so;
/// a case that nobody else has ever seen goes.
///
/// # Errors
/// When rows cannot be read or written.
pub fn undo(
    unit: &mut Unit<'_>,
    case: MessageId,
    id: MessageId,
    now: UnixMillis,
) -> Result<(), AppError> {
    let key = *case.as_bytes();
    let Some(mut row) = unit.get(&CASE, &key)? else { return Ok(()) };
    let steps = row.case.steps();
    let alone = steps.len() == 1;
    let Some(step) = steps.into_iter().find(|step| step.id == id).cloned() else { return Ok(()) };
    match step.deed {
        Deed::Open { .. } if alone => {
            if let Some((whose, at)) = row.turn {
                unit.delete(&CASE_TURN, &(whose, at, key));
            }
            unit.delete(&CASE, &key);
            Ok(())
        }
        Deed::Open { .. } | Deed::Transfer { .. } => Ok(()),
        _ => {
            row.case.take_back(id);
            keep(unit, row, step.from, now)
        }
    }
}

/// The content of a message of a case was deleted: what follows from it goes. In the unit that deletes it.
///
/// # Errors
/// When rows cannot be read or written.
pub fn forgotten(
    unit: &mut Unit<'_>,
    case: MessageId,
    own: AreaCode,
    now: UnixMillis,
) -> Result<(), AppError> {
    match unit.get(&CASE, case.as_bytes())? {
        Some(row) => keep(unit, row, own, now),
        None => Ok(()),
    }
}

/// A case as it is kept, or a new one. What opened it may be here from before cases were kept.
fn row_of(
    unit: &Unit<'_>,
    id: CaseId,
    own: AreaCode,
    now: UnixMillis,
) -> Result<CaseRow, AppError> {
    if let Some(row) = unit.get(&CASE, id.as_bytes())? {
        return Ok(row);
    }
    let mut row = CaseRow::new(id, now);
    let opening = id.opening_message();
    for side in [Side::Sent, Side::Received] {
        let Some(message) = Rows::message(unit, opening, side)? else { continue };
        let areas = from_and_to(own, message.peer, side);
        let times = (message.created, message.due);
        let Some(content) = kept_content(&message)? else { continue };
        if let Some(step) = Step::of(opening, areas, times, &content) {
            // An empty case has room.
            let _added = row.case.add(step);
        }
    }
    Ok(row)
}

/// Writes a case that has changed, with all that follows from it.
fn keep(
    unit: &mut Unit<'_>,
    mut row: CaseRow,
    own: AreaCode,
    now: UnixMillis,
) -> Result<(), AppError> {
    let key = *row.case.id().as_bytes();
    let view = row.case.view();
    row.version = row.version.saturating_add(1);
    row.changed = now;
    let waits = view.stage == Stage::Waiting;
    match waits {
        true => unit.put(&CASE_WAITING, &(row.since.get(), key), &())?,
        false => unit.delete(&CASE_WAITING, &(row.since.get(), key)),
    }
    let before = row.turn.take();
    if let Some((whose, at)) = before {
        unit.delete(&CASE_TURN, &(whose, at, key));
    }
    let telling = result::clock(unit, &row, own)?.filter(|telling| telling.told.is_none());
    row.turn = turn(&view, telling.map(|telling| telling.due), own, now);
    let gone = ground::is_gone(unit, &row)?;
    if gone || opening::is_deleted(unit, row.case.id().opening_message())? {
        // Nobody can act on what nobody can read, or on what the person has taken back.
        row.turn = None;
    }
    // What was told of one turn says nothing of the next.
    row.told = row.told && row.turn == before;
    if let Some((whose, at)) = row.turn {
        unit.put(&CASE_TURN, &(whose, at, key), &())?;
    }
    match row.case.duty(own, now).is_some() || !row.to_pass.is_empty() {
        true => unit.put(&CASE_DUTY, &key, &())?,
        false => unit.delete(&CASE_DUTY, &key),
    }
    unit.put(&CASE, &key, &row)?;
    follow(unit, row.case.id().opening_message(), (&view, gone), own, now)?;
    parts::note(unit, &row, &view, own, now)
}

/// Where a case stands in the index of turns: by when a result is to be told, by its due time, or by when it came to this
/// turn.
fn turn(
    view: &View,
    telling: Option<UnixMillis>,
    own: AreaCode,
    now: UnixMillis,
) -> Option<(u8, u64)> {
    let seat = view.turn()?;
    let whose = if view.sits(own, seat) { OURS } else { THEIRS };
    let involved = Seat::ALL.iter().any(|seat| view.sits(own, *seat));
    let due = telling.or(view.due).map_or(now.get(), UnixMillis::get);
    involved.then_some((whose, due))
}

/// Brings the message of the question to what its case says: answered, due later, or not due while the clock stands still,
/// another office answers, or the case rests on nothing any more.
fn follow(
    unit: &mut Unit<'_>,
    question: MessageId,
    (view, gone): (&View, bool),
    own: AreaCode,
    now: UnixMillis,
) -> Result<(), AppError> {
    for side in [Side::Sent, Side::Received] {
        let kept = unit.get_personal(&MESSAGE, &message_key(question, side))?;
        let Some(row) = kept.and_then(Kept::value) else { continue };
        let asks = row.kind().and_then(Kind::answered_by).is_some() && !row.is_deleted();
        if !asks {
            continue;
        }
        // Whoever has left a side is not told of what the others do.
        let asks = view.sits(own, Seat::Asking) && side == Side::Sent;
        let between = view.sits(own, Seat::Answering)
            || asks && view.answering.is_some_and(|held| held.area.county() == row.peer.county());
        if let Some(answer) = view.answer {
            // The clock may have stood still until the answer, also our own; whose answer it was is counted by it.
            let due = view.due.filter(|_| between);
            if row.answered.is_none() || (row.due.is_none() && due.is_some()) {
                off_the_desk(unit, question, row.due);
                let answered = row.answered.or(Some((answer, now)));
                send::update(unit, question, side, |row| {
                    (row.answered, row.due) = (answered, due);
                })?;
            }
            continue;
        }
        if row.answered.is_some() {
            continue;
        }
        let runs = view.stage == Stage::Asked && between && !gone;
        let due = view.due.filter(|_| runs);
        if due == row.due {
            continue;
        }
        off_the_desk(unit, question, row.due);
        send::update(unit, question, side, |row| row.due = due)?;
        if let Some(due) = due {
            if side == Side::Received {
                unit.put(&TODO, &(due.get(), *question.as_bytes()), &())?;
            }
            let row = store::messages::MessageRow { due: Some(due), ..row };
            clocks::watch(unit, question, side, &row, now)?;
        }
    }
    Ok(())
}

fn off_the_desk(unit: &mut Unit<'_>, question: MessageId, due: Option<UnixMillis>) {
    if let Some(due) = due {
        unit.delete(&TODO, &(due.get(), *question.as_bytes()));
    }
}

/// Gives a message its place in its case, before it is sealed.
///
/// # Errors
/// When the row cannot be read.
pub fn number(store: &Store, content: &mut Content) -> Result<(), AppError> {
    content.step = match content.case {
        Some(case) => store.get(&CASE, case.as_bytes())?.map_or(1, |row| row.case.next_step()),
        None => 0,
    };
    Ok(())
}

/// Whether `own` may send this answer to `to`: it has to sit where it answers from, and `to` where it asked. `None` for a
/// case that is not known here.
///
/// # Errors
/// `NOT_HOLDER`, `CASE_CLOSED` and the other reasons of [`Case::may`].
pub fn may_answer(
    unit: &Unit<'_>,
    case: CaseId,
    own: AreaCode,
    to: &[AreaCode],
    kind: Kind,
) -> Result<Option<bool>, AppError> {
    let Some(row) = unit.get(&CASE, case.as_bytes())? else { return Ok(None) };
    match row.case.may(own, Deed::Answer { kind }) {
        // An answer that did not arrive may be replaced; whoever asks that looks at the message.
        Ok(()) | Err(Reason::AlreadyAnswered) => {}
        Err(reason) => return Err(reason.into()),
    }
    let view = row.case.view();
    Ok(Some(to.iter().any(|to| view.sits(*to, Seat::Asking))))
}

/// Refuses a document in a case that is not between the office that sends it and the one that is to have it; and a second
/// result of one birth registration.
///
/// # Errors
/// `UNKNOWN_CASE`, `NOT_HOLDER` or `STATE_FORBIDS`, at the case.
pub fn may_document(
    unit: &Unit<'_>,
    (id, kind): (CaseId, Kind),
    own: AreaCode,
    to: [AreaCode; 2],
    now: UnixMillis,
) -> Result<(), AppError> {
    let refuse = |reason| Err(Refusal::new(reason).field("case_id").into());
    let case = row_of(unit, id, own, now)?.case;
    let deed = Deed::Document { kind };
    if let Err(reason) = case.may(own, deed) {
        return refuse(reason);
    }
    let view = case.view();
    let opposite = |seat: &Seat| to.iter().any(|to| view.sits(*to, seat.other()));
    if !Seat::ALL.iter().any(|seat| view.sits(own, *seat) && opposite(seat)) {
        return refuse(Reason::NotHolder);
    }
    let ours = |step: &Step| step.deed == deed && step.from.county() == own.county();
    if kind == Kind::BirthRegistrationResult && case.steps().into_iter().any(ours) {
        return refuse(Reason::StateForbids);
    }
    Ok(())
}

/// Whether an answer belongs to a case of this office whose question it did not send itself, or did not send to this
/// peer: the case was handed over, or will turn out to have been.
///
/// # Errors
/// When the row cannot be read.
pub fn expects(unit: &Unit<'_>, case: Option<MessageId>) -> Result<bool, AppError> {
    let Some(case) = case else { return Ok(false) };
    Ok(unit.contains(&CASE, case.as_bytes())?)
}

/// The case of a key.
fn case(store: &Store, id: CaseId) -> Result<CaseRow, AppError> {
    store.get(&CASE, id.as_bytes())?.ok_or_else(|| Reason::UnknownCase.into())
}

/// The holder of the side opposite to a seat.
fn opposite(case: &Case, seat: Seat) -> Result<AreaCode, AppError> {
    let held = case.view().held(seat.other());
    held.map(|held| held.area).ok_or_else(|| Reason::UnknownCase.into())
}
