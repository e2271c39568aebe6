//! Hand-overs of many cases: one supervisor proposes a list, another approves it, and only that list is carried out.
//!
//! A proposal never changes: who approves names its digest, and so does whoever carries it out. Each case is then offered
//! by itself, with all that a single hand-over asks for; what cannot be offered any more is left out and said so. Whoever
//! goes around it one case at a time meets [`OFFERS_PER_DAY`].

use std::collections::BTreeSet;
use std::time::Duration;

use domain::access::{AccessAction, Permission};
use domain::area::AreaCode;
use domain::case::{OfferState, TransferCause};
use domain::id::{CaseId, MessageId};
use domain::purpose::{LawfulBasis, Purpose};
use domain::reason::Reason;
use domain::text::WrittenReason;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use store::bulk::{BulkOutcome, BulkRow, OffersRow, VerdictRow};
use store::oversight::operator_key;
use store::tables::{BULK, CASE, OFFERS};
use store::{Store, Unit};

use super::steps::{self, Action, Order};
use crate::app::access::{self, Act, Why};
use crate::app::messages::send::Outlet;
use crate::app::{AppError, Ctx, Refusal};
use crate::time::random;

/// Most cases of one list.
pub const CASES_MAX: usize = 500;
/// Days for which a proposal may stand.
pub const DAYS_MAX: u16 = 14;
/// Cases that one operator may offer one by one in a day; more are many.
pub const OFFERS_PER_DAY: u32 = 20;
/// Lists that are shown.
const LISTS_MAX: usize = 200;
/// How long the other office has to accept each case.
const OFFER_STANDS: Duration = Duration::from_secs(7 * 86_400);
/// Says what is hashed.
const CONTEXT: &[u8] = b"liangdi/v1/bulk-hand-over\0";
/// Offices hand work over among themselves; each case rests on its own ground.
const HANDING_OVER: Why =
    Why { basis: LawfulBasis::OfficeAgreement, purpose: Purpose::OfficeAgreement };

/// A list and its id.
#[derive(Clone, Debug)]
pub struct Bulk {
    /// Its id.
    pub id: [u8; 16],
    /// What it says, and what became of it.
    pub row: BulkRow,
}

/// What a supervisor proposes.
#[derive(Debug)]
pub struct Proposal {
    /// The office that is to take the cases over.
    pub to: AreaCode,
    /// Why, from the list.
    pub cause: TransferCause,
    /// Why, in words.
    pub reason: WrittenReason,
    /// The cases.
    pub cases: Vec<CaseId>,
    /// Days for which it may be carried out.
    pub days: u16,
}

/// What is approved and carried out: the office, the cause and the cases.
#[must_use]
pub fn digest(to: AreaCode, cause: TransferCause, cases: &BTreeSet<[u8; 16]>) -> Digest {
    let to = to.to_string();
    let head: [&[u8]; 4] = [CONTEXT, to.as_bytes(), &[0], &[cause.number()]];
    Digest::of_all(head.into_iter().chain(cases.iter().map(|id| id.as_slice())))
}

fn invalid(field: &'static str) -> AppError {
    Refusal::new(Reason::InvalidField).field(field).into()
}

fn missing(detail: &'static str) -> AppError {
    Refusal::new(Reason::ApprovalMissing).detail(detail).into()
}

/// Logs what is done with a list under its id.
fn note(
    ctx: &Ctx,
    unit: &mut Unit<'_>,
    action: AccessAction,
    id: [u8; 16],
) -> Result<(), AppError> {
    let message = Some(MessageId::from_bytes(id));
    access::note(ctx, unit, Act { action, why: HANDING_OVER, person: None, message })
}

/// Proposes a list. It is the first of two approvals.
///
/// # Errors
/// `ROLE_REQUIRED` for anybody but a supervisor; `INVALID_FIELD` for no or too many cases, days or the own county;
/// `UNKNOWN_CASE` for one that is not here.
pub async fn propose(ctx: &Ctx, store: &Store, proposal: Proposal) -> Result<Bulk, AppError> {
    ctx.must(Permission::ApproveBulk)?;
    let Proposal { to, cause, reason, cases, days } = proposal;
    let to = to.county();
    let cases: BTreeSet<[u8; 16]> = cases.iter().map(|id| *id.as_bytes()).collect();
    if cases.is_empty() || cases.len() > CASES_MAX {
        return Err(invalid("cases"));
    }
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(invalid("days"));
    }
    if to == ctx.county() {
        return Err(invalid("to"));
    }
    let stands = Duration::from_secs(u64::from(days).saturating_mul(86_400));
    let row = BulkRow {
        to,
        cause: cause.number(),
        reason,
        digest: digest(to, cause, &cases).into_bytes(),
        outcomes: vec![BulkOutcome::Waiting; cases.len()],
        cases: cases.into_iter().collect(),
        proposed_by: ctx.caller.operator.clone(),
        proposed: ctx.now,
        until: ctx.now.saturating_add(stands),
        verdict: None,
        carried_out: None,
    };
    let bulk = Bulk { id: *MessageId::new(ctx.now, random()).as_bytes(), row };
    let (caller, kept) = (ctx.clone(), bulk.clone());
    let written = store.commit(move |unit| {
        for case in &kept.row.cases {
            if !unit.contains(&CASE, case)? {
                return Err(Refusal::new(Reason::UnknownCase).field("cases").into());
            }
        }
        unit.put(&BULK, &kept.id, &kept.row)?;
        note(&caller, unit, AccessAction::Propose, kept.id)
    });
    written.await.map_err(AppError::from)?;
    Ok(bulk)
}

/// Approves a list, or refuses it: another supervisor than the one who proposed it, naming what she saw.
///
/// # Errors
/// `ROLE_REQUIRED`; `NOT_FOUND`; `APPROVAL_MISSING` for whoever proposed it herself and after its time; `STALE_EDIT` when
/// she saw another list; `STATE_FORBIDS` when it was decided before.
pub async fn decide(
    ctx: &Ctx,
    store: &Store,
    id: [u8; 16],
    (seen, approved): (Digest, bool),
) -> Result<Bulk, AppError> {
    ctx.must(Permission::ApproveBulk)?;
    let caller = ctx.clone();
    let decided = store.commit(move |unit| {
        let mut row = unit.get(&BULK, &id)?.ok_or(AppError::from(Reason::NotFound))?;
        if seen.into_bytes() != row.digest {
            return Err(Refusal::new(Reason::StaleEdit).field("digest").into());
        }
        if row.verdict.is_some() {
            return Err(Reason::StateForbids.into());
        }
        // Taking back one's own proposal needs nobody else.
        if approved && row.proposed_by == caller.caller.operator {
            return Err(missing("the same person has proposed it"));
        }
        if caller.now >= row.until {
            return Err(missing("its time is over"));
        }
        let by = caller.caller.operator.clone();
        row.verdict = Some(VerdictRow { by, at: caller.now, approved });
        unit.put(&BULK, &id, &row)?;
        note(&caller, unit, AccessAction::Approve, id)?;
        Ok(Bulk { id, row })
    });
    decided.await.map_err(AppError::from)
}

/// What is carried out.
#[derive(Debug)]
pub struct Errand {
    /// The list.
    pub id: [u8; 16],
    /// The office that is to take the cases over.
    pub to: AreaCode,
    /// The cases.
    pub cases: Vec<CaseId>,
}

/// Offers every case of an approved list to the other office. Going on after an interruption offers what is left.
///
/// # Errors
/// `ROLE_REQUIRED` for anybody but a clerk; `NOT_FOUND`; `APPROVAL_MISSING` without the approval of two persons, after its
/// time, and for another office or other cases than those that were approved.
pub async fn carry_out(
    ctx: &Ctx,
    store: &Store,
    outlet: &dyn Outlet,
    errand: Errand,
) -> Result<Bulk, AppError> {
    ctx.must(Permission::ExchangeMessages)?;
    let Errand { id, to, cases } = errand;
    let cases: BTreeSet<[u8; 16]> = cases.iter().map(|id| *id.as_bytes()).collect();
    let caller = ctx.clone();
    let begun = store.commit(move |unit| {
        let mut row = unit.get(&BULK, &id)?.ok_or(AppError::from(Reason::NotFound))?;
        let cause = TransferCause::from_number(row.cause).ok_or_else(|| invalid("cause"))?;
        approved(&caller, &row, digest(to.county(), cause, &cases))?;
        if row.carried_out.is_none() {
            row.carried_out = Some((caller.caller.operator.clone(), caller.now));
            unit.put(&BULK, &id, &row)?;
            note(&caller, unit, AccessAction::HandOver, id)?;
        }
        Ok(row)
    });
    let mut row: BulkRow = begun.await.map_err(AppError::from)?;
    let cause = TransferCause::from_number(row.cause).ok_or_else(|| invalid("cause"))?;
    for place in 0..row.cases.len() {
        let open = row.outcomes.get(place) == Some(&BulkOutcome::Waiting);
        let Some(case) = row.cases.get(place).copied().filter(|_| open) else { continue };
        let what = (CaseId::from_bytes(case), row.to, cause);
        let outcome = match offer(ctx, store, outlet, what).await {
            Ok(()) => BulkOutcome::Offered,
            Err(error) if error.refusal().is_some() => {
                BulkOutcome::Refused(error.reason().code().to_owned())
            }
            Err(error) => return Err(error),
        };
        row = became(store, id, (place, outcome)).await?;
    }
    Ok(Bulk { id, row })
}

/// Whether two persons have approved this very list, and its time is not over.
fn approved(ctx: &Ctx, row: &BulkRow, digest: Digest) -> Result<(), AppError> {
    match &row.verdict {
        Some(verdict) if verdict.approved && verdict.by != row.proposed_by => {}
        Some(_) | None => return Err(missing("nobody else has approved it")),
    }
    if ctx.now >= row.until {
        return Err(missing("its time is over"));
    }
    if digest.into_bytes() != row.digest {
        return Err(missing("these are not the cases, or not the office, that were approved"));
    }
    Ok(())
}

async fn offer(
    ctx: &Ctx,
    store: &Store,
    outlet: &dyn Outlet,
    (case, to, cause): (CaseId, AreaCode, TransferCause),
) -> Result<(), AppError> {
    let row = super::case(store, case)?;
    if let Some((offer, OfferState::Open | OfferState::Accepted | OfferState::Done)) =
        row.case.offer(ctx.now)
        && offer.to.county() == to
        && offer.from == ctx.county()
    {
        // An interrupted run had come so far.
        return Ok(());
    }
    let action = Action::Offer(to, cause, ctx.now.saturating_add(OFFER_STANDS));
    let order =
        Order { case, expected: row.version, action, idempotency_key: String::new(), listed: true };
    steps::take(ctx, store, outlet, order).await
}

async fn became(
    store: &Store,
    id: [u8; 16],
    (place, outcome): (usize, BulkOutcome),
) -> Result<BulkRow, AppError> {
    let written = store.commit(move |unit| {
        let mut row = unit.get(&BULK, &id)?.ok_or(AppError::from(Reason::NotFound))?;
        if let Some(cell) = row.outcomes.get_mut(place) {
            *cell = outcome;
        }
        unit.put(&BULK, &id, &row)?;
        Ok::<_, AppError>(row)
    });
    written.await.map_err(AppError::from)
}

/// Lists, newest first: for everybody who works here, since a hand-over of many is no secret.
///
/// # Errors
/// `ROLE_REQUIRED`; rows that cannot be read.
pub fn list(ctx: &Ctx, store: &Store) -> Result<Vec<Bulk>, AppError> {
    ctx.must(Permission::FollowDelivery)?;
    let rows = store.scan_back(&BULK, .., LISTS_MAX)?;
    Ok(rows.into_iter().map(|(id, row)| Bulk { id, row }).collect())
}

/// One list.
///
/// # Errors
/// `ROLE_REQUIRED`, `NOT_FOUND`.
pub fn get(ctx: &Ctx, store: &Store, id: [u8; 16]) -> Result<Bulk, AppError> {
    ctx.must(Permission::FollowDelivery)?;
    let row = store.get(&BULK, &id)?.ok_or(AppError::from(Reason::NotFound))?;
    Ok(Bulk { id, row })
}

/// Counts a case that is offered by itself, in the unit that offers it.
///
/// # Errors
/// `APPROVAL_MISSING` beyond [`OFFERS_PER_DAY`].
pub(super) fn count_offer(unit: &mut Unit<'_>, ctx: &Ctx, now: UnixMillis) -> Result<(), AppError> {
    let key = operator_key(&ctx.caller.operator);
    let day = now.date().epoch_days();
    let today = unit.get(&OFFERS, &key)?.filter(|row| row.day == day).map_or(0, |row| row.count);
    if today >= OFFERS_PER_DAY {
        return Err(missing("more cases than one hands over in a day; propose them as a list"));
    }
    unit.put(&OFFERS, &key, &OffersRow { day, count: today.saturating_add(1) })?;
    Ok(())
}
