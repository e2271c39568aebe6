//! The steps of operators: looked up, allowed by the case, written in one unit. A page that is older than the case does
//! nothing.

use domain::access::{AccessAction, Permission};
use domain::area::AreaCode;
use domain::case::{Deed, OfferState, Pairing, Seat, Stage, TransferCause};
use domain::id::{CaseId, MessageId};
use domain::message::{
    Body, CheckContext, Clarification, Clarify, Close, Content, Correct, Document, HandOver,
    HandOverAcceptance, HandOverOffer, HandOverWithdrawal, Refusal as Refused, Reject, Remind,
    Void,
};
use domain::purpose::{LawfulBasis, Purpose};
use domain::reason::Reason;
use domain::text::{Note, Passage, WrittenReason};
use domain::time::UnixMillis;
use serde::Serialize;
use store::cases::CaseRow;
use store::messages::peer_key;
use store::tables::{CASE, CONSENT_ENDED};
use store::{Store, Unit};

use super::opening::opening;
use super::{bulk, case, ground, keep, opposite};
use crate::app::access::{self, Act};
use crate::app::idempotency::Once;
use crate::app::messages::send::{Accepted, Outgoing, Outlet};
use crate::app::{AppError, Ctx, Refusal};

/// What an operator does in a case.
#[derive(Debug, Serialize)]
pub enum Action {
    /// 配对: what came of looking for the person here.
    Pair(Pairing),
    /// 核实: the facts were checked here.
    Verify,
    /// Answers, with the document that the case asks for.
    Answer(Box<Body>),
    /// 催办.
    Remind(Option<Note>),
    /// 补正.
    Clarify(Passage),
    /// 补正答复, to the clarification that is open.
    Clarification(Passage),
    /// 退回.
    Reject(WrittenReason),
    /// 更正 of a message of ours.
    Correct(MessageId, Passage),
    /// 作废.
    Void(WrittenReason),
    /// 办结.
    Close(Option<Note>),
    /// Offers our side to another office, until then.
    Offer(AreaCode, TransferCause, UnixMillis),
    /// Accepts what was offered to us.
    Accept,
    /// Withdraws our offer.
    Withdraw,
}

/// A step to be taken.
#[derive(Debug)]
pub struct Order {
    /// The case.
    pub case: CaseId,
    /// Version of the page that the operator saw.
    pub expected: u64,
    /// What to do.
    pub action: Action,
    /// Makes a repeated call harmless; empty for none.
    pub idempotency_key: String,
    /// Whether it comes of a list that two supervisors have approved.
    pub listed: bool,
}

/// Takes a step. On disk when it returns.
///
/// # Errors
/// `UNKNOWN_CASE`, `STALE_EDIT` when the case has gone on since the operator's page, `APPROVAL_MISSING` for more offers than
/// one makes in a day, and what the case or the content says against it.
pub async fn take(
    ctx: &Ctx,
    store: &Store,
    outlet: &dyn Outlet,
    order: Order,
) -> Result<(), AppError> {
    ctx.must(Permission::ExchangeMessages)?;
    let Order { case: id, expected, action, idempotency_key, listed } = order;
    let once = Once::new(&idempotency_key, "TakeCaseStep", &(id, expected, &action))?;
    if !idempotency_key.is_empty() && was_done(ctx, store, once.clone()).await? {
        return Ok(());
    }
    let row = case(store, id)?;
    if row.version != expected {
        return Err(stale());
    }
    let own = ctx.county();
    let opening = opening(store, id)?;
    let act = opening.map(|content| Act::with(AccessAction::Send, store, &content)).transpose()?;
    let (deed, mut outgoing) = match plan(ctx, store, &row, action)? {
        Plan::Work(work) => return do_work(ctx, store, (id, expected), work, once).await,
        Plan::Send { to, deed, content } => {
            let to = outlet.destination(to)?;
            (deed, Outgoing::new(own, store, outlet, (to, *content), None, ctx.now)?)
        }
    };
    let caller = ctx.clone();
    let accepted = store.commit(move |unit| {
        if once.first::<[u8; 16]>(&caller, unit)?.is_some() {
            return Ok(None);
        }
        let row = current(unit, id, expected)?;
        allowed(&row, own, deed, caller.now)?;
        if matches!(deed, Deed::Offer { .. }) && !listed {
            bulk::count_offer(unit, &caller, caller.now)?;
        }
        let accepted = outgoing.accept(unit)?;
        if let Some(act) = act {
            access::note(&caller, unit, Act { message: Some(accepted.id), ..act })?;
        }
        once.keep(&caller, unit, accepted.id.as_bytes())?;
        Ok::<Option<Accepted>, AppError>(Some(accepted))
    });
    if let Some(accepted) = accepted.await.map_err(AppError::from)? {
        accepted.nudge(outlet);
    }
    Ok(())
}

enum Work {
    Pair(Pairing),
    Verify,
}

enum Plan {
    Work(Work),
    Send { to: AreaCode, deed: Deed, content: Box<Content> },
}

/// The case as it is, when the operator's page shows the same.
pub(super) fn current(unit: &Unit<'_>, id: CaseId, expected: u64) -> Result<CaseRow, AppError> {
    let row = unit.get(&CASE, id.as_bytes())?.ok_or(AppError::from(Reason::UnknownCase))?;
    if row.version == expected {
        return Ok(row);
    }
    Err(stale())
}

fn stale() -> AppError {
    Refusal::new(Reason::StaleEdit).field("expected_version").into()
}

/// Whether the very same call was made before.
async fn was_done(ctx: &Ctx, store: &Store, once: Once) -> Result<bool, AppError> {
    let caller = ctx.clone();
    let first = store.commit(move |unit| once.first::<[u8; 16]>(&caller, unit));
    Ok(first.await.map_err(AppError::from)?.is_some())
}

/// Pairing and checking are work of the office that answers; nobody else is told.
async fn do_work(
    ctx: &Ctx,
    store: &Store,
    (id, expected): (CaseId, u64),
    work: Work,
    once: Once,
) -> Result<(), AppError> {
    let (own, now, caller) = (ctx.county(), ctx.now, ctx.clone());
    let done = store.commit(move |unit| {
        if once.first::<[u8; 16]>(&caller, unit)?.is_some() {
            return Ok(());
        }
        let mut row = current(unit, id, expected)?;
        let view = row.case.view();
        if view.kind.is_none() {
            return Err(Reason::UnknownCase.into());
        }
        if !view.sits(own, Seat::Answering) {
            return Err(Reason::NotHolder.into());
        }
        if !matches!(view.stage, Stage::Asked | Stage::Clarifying) {
            return Err(Reason::StateForbids.into());
        }
        match work {
            Work::Pair(pairing) => {
                (row.pairing, row.verified) = (Some(pairing), false);
            }
            Work::Verify if row.pairing == Some(Pairing::One) => row.verified = true,
            // Nobody's facts are checked before it is known whose they are.
            Work::Verify => return Err(Reason::StateForbids.into()),
        }
        once.keep(&caller, unit, id.as_bytes())?;
        keep(unit, row, own, now)
    });
    done.await.map_err(AppError::from)
}

/// Whether the case allows a step of ours at this moment.
fn allowed(row: &CaseRow, own: AreaCode, deed: Deed, now: UnixMillis) -> Result<(), AppError> {
    let offer = row.case.offer(now);
    match deed {
        Deed::Offer { .. } => {
            row.case.may(own, deed)?;
            let stands = matches!(offer, Some((_, OfferState::Open | OfferState::Accepted)));
            if stands { Err(Reason::StateForbids.into()) } else { Ok(()) }
        }
        Deed::Accept { .. } => match offer {
            // Whoever sits in a case knows who may offer what, and that it is not this.
            Some((_, OfferState::Open)) if sits(row, own) => Err(Reason::StateForbids.into()),
            Some((_, OfferState::Open)) => Ok(()),
            Some((_, OfferState::Lapsed | OfferState::Withdrawn)) => {
                Err(Reason::HandOverLapsed.into())
            }
            Some(_) | None => Err(Reason::StateForbids.into()),
        },
        Deed::Withdraw { .. } => match offer {
            Some((offer, OfferState::Open | OfferState::Accepted)) if offer.from == own => Ok(()),
            Some(_) | None => Err(Reason::StateForbids.into()),
        },
        _ => Ok(row.case.may(own, deed)?),
    }
}

fn sits(row: &CaseRow, own: AreaCode) -> bool {
    let view = row.case.view();
    Seat::ALL.iter().any(|seat| view.sits(own, *seat))
}

/// What an action comes to: to whom, what it does, what it says.
fn plan(ctx: &Ctx, store: &Store, row: &CaseRow, action: Action) -> Result<Plan, AppError> {
    let own = ctx.county();
    let view = row.case.view();
    let ours = Seat::ALL.iter().copied().find(|seat| view.sits(own, *seat));
    let (to, deed, body): (AreaCode, Deed, Body) = match action {
        Action::Pair(pairing) => return Ok(Plan::Work(Work::Pair(pairing))),
        Action::Verify => return Ok(Plan::Work(Work::Verify)),
        Action::Offer(to, cause, until) => {
            return offer(store, row, (own, ctx.now), (to, cause, until));
        }
        Action::Accept | Action::Withdraw => return respond(ctx, row, &action),
        Action::Answer(body) => {
            let deed = Deed::Answer { kind: body.kind() };
            row.case.may(own, deed)?;
            (opposite(&row.case, Seat::Answering)?, deed, *body)
        }
        Action::Remind(note) => {
            row.case.may(own, Deed::Remind)?;
            let turn = view.turn().ok_or(AppError::from(Reason::StateForbids))?;
            (opposite(&row.case, turn.other())?, Deed::Remind, Remind { note }.into())
        }
        Action::Clarify(question) => {
            row.case.may(own, Deed::Clarify)?;
            let to = opposite(&row.case, Seat::Answering)?;
            (to, Deed::Clarify, Clarify { question }.into())
        }
        Action::Clarification(answer) => {
            let clarify_id = view.clarify.ok_or_else(|| not_now(row, own))?;
            let deed = Deed::Clarification { clarify: clarify_id };
            row.case.may(own, deed)?;
            let to = opposite(&row.case, Seat::Asking)?;
            (to, deed, Clarification { clarify_id, answer }.into())
        }
        Action::Reject(reason) => {
            row.case.may(own, Deed::Reject)?;
            (opposite(&row.case, Seat::Answering)?, Deed::Reject, Reject { reason }.into())
        }
        Action::Correct(corrects_id, correction) => {
            let deed = Deed::Correct { corrects: corrects_id };
            row.case.may(own, deed)?;
            let known = row.case.steps().into_iter().any(|s| s.id == corrects_id && s.from == own);
            if !known {
                return Err(Refusal::new(Reason::NotFound).field("correct.message_id").into());
            }
            let seat = ours.ok_or(AppError::from(Reason::NotHolder))?;
            (opposite(&row.case, seat)?, deed, Correct { corrects_id, correction }.into())
        }
        Action::Void(reason) => {
            row.case.may(own, Deed::Void)?;
            (opposite(&row.case, Seat::Asking)?, Deed::Void, Void { reason }.into())
        }
        Action::Close(note) => {
            row.case.may(own, Deed::Close)?;
            (opposite(&row.case, Seat::Asking)?, Deed::Close, Close { note }.into())
        }
    };
    let content = match deed {
        Deed::Void | Deed::Close => ending(store, own, row, body)?,
        _ => inside(&ground::must_stand(store, row)?, row, body),
    };
    Ok(Plan::Send { to, deed, content: Box::new(content) })
}

/// A case can be called off or closed also when the person has taken back what it rested on: the word names nobody.
fn ending(store: &Store, own: AreaCode, row: &CaseRow, body: Body) -> Result<Content, AppError> {
    let Some(first) = opening(store, row.case.id())? else { return Ok(between(row, body)) };
    let ended = match first.ground() {
        Some(ground) => store.get(&CONSENT_ENDED, &(ground.bytes(), peer_key(own)))?.is_some(),
        None => false,
    };
    let (opening, ended) = match ground::is_gone(store, row)? {
        true => (first, true),
        false => (ground::must_stand(store, row)?, ended),
    };
    let content = inside(&opening, row, body);
    let purpose = content.purpose;
    Ok(if ended { Content { purpose, ..bare(content) } } else { content })
}

/// Why nothing can be answered: the reason of the case, where it has one.
fn not_now(row: &CaseRow, own: AreaCode) -> AppError {
    let deed = Deed::Clarification { clarify: row.case.id().opening_message() };
    row.case.may(own, deed).err().unwrap_or(Reason::StateForbids).into()
}

/// A message inside a case: it rests on the ground of the case, and names no person unless its kind has to.
pub(super) fn inside(opening: &Content, row: &CaseRow, body: Body) -> Content {
    let kind = body.kind();
    let answer = kind.answers().is_some();
    Content {
        case: Some(row.case.id()),
        in_reply_to: answer.then(|| row.case.id().opening_message()),
        basis: opening.basis,
        purpose: opening.purpose,
        consent: opening.consent.clone(),
        service_request: opening.service_request,
        person: opening.person.clone().filter(|_| kind.needs_person()),
        replaces: None,
        step: row.case.next_step(),
        answered_from: None,
        asked_again: None,
        body,
    }
}

fn offer(
    store: &Store,
    row: &CaseRow,
    (own, now): (AreaCode, UnixMillis),
    (to, cause, until): (AreaCode, TransferCause, UnixMillis),
) -> Result<Plan, AppError> {
    let view = row.case.view();
    let kind = view.kind.ok_or(AppError::from(Reason::UnknownCase))?;
    let seat = Seat::ALL.iter().copied().find(|seat| view.sits(own, *seat));
    let seat = seat.ok_or(AppError::from(Reason::NotHolder))?;
    let term = view.held(seat).map_or(2, |held| held.term.saturating_add(1));
    let deed = Deed::Offer { seat, term, until };
    row.case.may(own, deed)?;
    if view.sits(to, seat.other()) || to.county() == own.county() {
        return Err(Refusal::new(Reason::InvalidField).field("hand_over.to").into());
    }
    let opening = ground::for_county(store, row, to, now)?;
    if opening.person.is_none() {
        // What offices say to each other about no person is nobody else's.
        return Err(Reason::StateForbids.into());
    }
    reaches(row, &opening, (own, to.county()), now)?;
    let body = HandOverOffer { seat, term, until, cause, kind, due: view.due };
    // Whoever is offered a case holds nothing of it; the ground of the case travels with the hand-over.
    let content = Content { person: None, ..inside(&opening, row, body.into()) };
    Ok(Plan::Send { to: to.county(), deed, content: Box::new(bare(content)) })
}

/// Whether the ground of a case lets another office take it over; it is asked again when that has accepted.
fn reaches(
    row: &CaseRow,
    opening: &Content,
    (from, to): (AreaCode, AreaCode),
    now: UnixMillis,
) -> Result<(), AppError> {
    let id = row.case.id().opening_message();
    let whole = || Document { id, content: opening.clone().into() };
    let document = ground::enclosed(opening.consent.as_ref(), (id, opening.clone()));
    let document = document.unwrap_or_else(whole);
    let (seat, term, cause) = (Seat::Answering, 2, TransferCause::OfficeChanged);
    let steps = row.case.steps().into_iter().cloned().collect();
    let body = HandOver { seat, term, cause, steps, documents: vec![document] };
    let refusals = inside(opening, row, body.into()).refusals(&CheckContext { from, to, now });
    let ground = |refusal: &&Refused| refusal.reason == Reason::BasisRequired;
    match refusals.iter().find(ground) {
        Some(refused) => Err(Refusal::new(refused.reason).field(refused.field).into()),
        None => Ok(()),
    }
}

/// Accepting and withdrawing name a side and a term, and nothing else.
fn respond(ctx: &Ctx, row: &CaseRow, action: &Action) -> Result<Plan, AppError> {
    let own = ctx.county();
    let (offer, _) = row.case.offer(ctx.now).ok_or(AppError::from(Reason::StateForbids))?;
    let (seat, term) = (offer.seat, offer.term);
    let (to, deed, body): (_, _, Body) = if matches!(action, Action::Accept) {
        if offer.to.county() != own {
            return Err(Reason::NotHolder.into());
        }
        (offer.from, Deed::Accept { seat, term }, HandOverAcceptance { seat, term }.into())
    } else {
        if offer.from.county() != own {
            return Err(Reason::NotHolder.into());
        }
        let body = HandOverWithdrawal { seat, term, lapsed: false };
        (offer.to, Deed::Withdraw { seat, term, lapsed: false }, body.into())
    };
    allowed(row, own, deed, ctx.now)?;
    Ok(Plan::Send { to, deed, content: Box::new(between(row, body)) })
}

/// A message between whoever offers and whoever may take over. It says nothing about a person and rests on the
/// agreement of offices to work together.
pub(super) fn between(row: &CaseRow, body: Body) -> Content {
    Content {
        case: Some(row.case.id()),
        in_reply_to: None,
        basis: LawfulBasis::OfficeAgreement,
        purpose: Purpose::OfficeAgreement,
        consent: None,
        service_request: None,
        person: None,
        replaces: None,
        step: row.case.next_step(),
        answered_from: None,
        asked_again: None,
        body,
    }
}

/// The same without the ground, for an office that is not in the case yet, or when the ground was taken back.
fn bare(content: Content) -> Content {
    Content {
        basis: LawfulBasis::OfficeAgreement,
        purpose: Purpose::OfficeAgreement,
        consent: None,
        service_request: None,
        ..content
    }
}
