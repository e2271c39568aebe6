//! Birth registration of a couple: each spouse's origin is asked, the answers come together, and each origin is told what
//! became of it.

use domain::access::{AccessAction, Permission};
use domain::area::AreaCode;
use domain::case::{Deed, Seat, Step};
use domain::id::CaseId;
use domain::message::{
    BirthRegistrationInquiry, BirthRegistrationResult, Body, Children, Content, Kind,
    PrintedNumber, RegistrationResult,
};
use domain::person::PersonReference;
use domain::purpose::{LawfulBasis, Purpose};
use domain::reason::Reason;
use domain::text::WrittenReason;
use domain::time::{Date, UnixMillis};
use serde::Serialize;
use store::cases::CaseRow;
use store::tables::{CASE, CASE_TOGETHER};
use store::{Store, Unit};

use super::opening::{Rows as _, SPOUSES_MAX, opening};
use super::steps::{current, inside};
use super::{case, ground, keep};
use crate::app::access::{self, Act};
use crate::app::idempotency::Once;
use crate::app::messages::send::{Accepted, Outgoing, Outlet};
use crate::app::{AppError, Ctx, Refusal};
use crate::app::{applications, at_risk};

/// What a couple applies for.
#[derive(Debug, Serialize)]
pub struct Application {
    /// Number of the application here.
    pub number: PrintedNumber,
    /// Day of marriage.
    pub married_on: Option<Date>,
    /// How many children they stated.
    pub children_stated: Children,
    /// Day on which both papers were here; none for the day of an application on record, and without one for today.
    pub papers_on: Option<Date>,
    /// Each spouse with the county of household registration; one whose origin is here is not asked about.
    pub spouses: Vec<(PersonReference, AreaCode)>,
    /// Why it may be asked.
    pub basis: LawfulBasis,
    /// Makes a repeated call harmless; empty for none.
    pub idempotency_key: String,
}

/// Asks each spouse's origin, in one unit: both or neither. The cases belong together.
///
/// # Errors
/// `INVALID_FIELD` when there is nobody to ask about elsewhere, `DATE_IN_FUTURE` for papers that are still to come, and what the messages themselves are refused for.
pub async fn ask(
    ctx: &Ctx,
    store: &Store,
    outlet: &dyn Outlet,
    application: Application,
) -> Result<Vec<CaseId>, AppError> {
    ctx.must(Permission::ExchangeMessages)?;
    let own = ctx.county();
    let Application { spouses, idempotency_key, .. } = &application;
    let once = Once::new(idempotency_key, "AskForBirthRegistration", &application)?;
    let papers_on = match application.papers_on {
        Some(day) => day,
        None => {
            let documents = spouses.iter().map(|(person, _)| &person.document);
            applications::papers_of(store, documents)?.unwrap_or_else(|| ctx.today())
        }
    };
    applications::check(papers_on, ctx.today(), "papers_on")?;
    let documents: Vec<_> = spouses.iter().map(|(person, _)| person.document.clone()).collect();
    let asked = questions(store, outlet, own, spouses, ctx.now).await?;
    let mut outgoing = Vec::new();
    for Asked { person, spouse, to } in asked {
        let named = spouse.as_ref().map(|spouse| store.document_hash(&spouse.document));
        let spouse = spouse.map(|spouse| spouse.name);
        let content = question(&application, papers_on, person, spouse);
        let act = Act::with(AccessAction::Send, store, &content)?;
        let out = Outgoing::new(own, store, outlet, (to, content), None, ctx.now)?;
        // Marked a moment ago: the next call leaves the name out.
        outgoing.push((act, out.naming(named)));
    }
    if outgoing.is_empty() || spouses.len() > SPOUSES_MAX {
        return Err(Refusal::new(Reason::InvalidField).field("spouses").into());
    }
    let caller = ctx.clone();
    let about: Vec<_> = outgoing.iter().map(|(act, _)| (act.why, act.person)).collect();
    let asked = store.commit(move |unit| {
        if let Some(first) = once.first::<Vec<[u8; 16]>>(&caller, unit)? {
            return Ok((first.into_iter().map(CaseId::from_bytes).collect(), Vec::new()));
        }
        let mut sent: Vec<Accepted> = Vec::new();
        for (act, outgoing) in &mut outgoing {
            let accepted = outgoing.accept(unit)?;
            access::note(&caller, unit, Act { message: Some(accepted.id), ..*act })?;
            sent.push(accepted);
        }
        for document in &documents {
            // One whose origin is here is not asked about.
            applications::asked_for(unit, document)?;
        }
        let cases: Vec<CaseId> = sent.iter().map(|accepted| accepted.case).collect();
        let together = cases.first().copied();
        for id in &cases {
            let row = unit.get(&CASE, id.as_bytes())?;
            let row = row.ok_or(AppError::Internal("a case was just opened"))?;
            if let Some(first) = together {
                bind(unit, first, *id)?;
            }
            keep(unit, CaseRow { together, ..row }, own, caller.now)?;
        }
        let keys: Vec<[u8; 16]> = cases.iter().map(|id| *id.as_bytes()).collect();
        once.keep(&caller, unit, &keys)?;
        Ok::<_, AppError>((cases, sent))
    });
    let mut asked: Result<(Vec<CaseId>, Vec<Accepted>), _> = asked.await.map_err(AppError::from);
    for about in about {
        asked = access::told(ctx, store, about, asked).await;
    }
    let (cases, sent) = asked?;
    sent.iter().for_each(|accepted| accepted.nudge(outlet));
    Ok(cases)
}

/// A question that is to be put.
struct Asked {
    /// About whom.
    person: PersonReference,
    /// Whom it names as the spouse.
    spouse: Option<PersonReference>,
    to: AreaCode,
}

/// The questions for an application. A spouse at risk is not named where it must not be known that she is here.
async fn questions(
    store: &Store,
    outlet: &dyn Outlet,
    own: AreaCode,
    spouses: &[(PersonReference, AreaCode)],
    now: UnixMillis,
) -> Result<Vec<Asked>, AppError> {
    let mut asked = Vec::new();
    for (at, (person, origin)) in spouses.iter().enumerate().take(SPOUSES_MAX) {
        if origin.county() == own {
            continue;
        }
        let other = spouses.iter().enumerate().find(|(other, _)| *other != at);
        let spouse = other.map(|(_, (other, _))| other.clone());
        asked.push(Asked { person: person.clone(), spouse, to: outlet.destination(*origin)? });
    }
    let named = store.commit(move |unit| {
        for Asked { spouse, to, .. } in &mut asked {
            if let Some(named) = spouse
                && at_risk::is_hidden_from(unit, unit.document_hash(&named.document), *to, now)?
            {
                *spouse = None;
            }
        }
        Ok::<_, AppError>(asked)
    });
    named.await.map_err(AppError::from)
}

fn question(
    application: &Application,
    papers_on: Date,
    person: PersonReference,
    spouse_name: Option<domain::person::PersonName>,
) -> Content {
    let body = BirthRegistrationInquiry {
        application_number: application.number.clone(),
        spouse_name,
        married_on: application.married_on,
        children_stated: application.children_stated,
        papers_on: Some(papers_on),
    };
    Content {
        case: None,
        in_reply_to: None,
        basis: application.basis,
        purpose: Purpose::BirthRegistration,
        consent: None,
        service_request: None,
        person: Some(person),
        replaces: None,
        step: 0,
        answered_from: None,
        asked_again: None,
        body: body.into(),
    }
}

/// What became of a couple's application.
#[derive(Debug, Serialize)]
pub struct Decision {
    /// One of the cases.
    pub case: CaseId,
    /// What became of it.
    pub result: RegistrationResult,
    /// Day of the decision.
    pub decided_on: Date,
    /// Written reason; a refusal cannot be sent without.
    pub reason: Option<WrittenReason>,
    /// Makes a repeated call harmless; empty for none.
    pub idempotency_key: String,
}

/// Tells each origin what became of the application, in one unit, once. Nothing is registered or refused before every
/// origin has answered.
///
/// # Errors
/// `STATE_FORBIDS` while an answer is missing or when it was told before, `STALE_EDIT` when a case goes on meanwhile, and what the messages themselves are refused for.
pub async fn decide(
    ctx: &Ctx,
    store: &Store,
    outlet: &dyn Outlet,
    decision: Decision,
) -> Result<Vec<CaseId>, AppError> {
    ctx.must(Permission::ExchangeMessages)?;
    let own = ctx.county();
    let once = Once::new(&decision.idempotency_key, "DecideBirthRegistration", &decision)?;
    if !decision.idempotency_key.is_empty() && was_done(ctx, store, once.clone()).await? {
        return Ok(store.together(&case(store, decision.case)?)?);
    }
    let Decision { case: id, result, decided_on, reason, .. } = decision;
    let (mut outgoing, mut seen) = (Vec::new(), Vec::new());
    for row in to_decide(store, own, id, result)? {
        let first = ground::must_stand(store, &row)?;
        let Body::BirthRegistrationInquiry(asked) = &first.body else {
            return Err(Refusal::new(Reason::StateForbids).field("case_id").into());
        };
        let application_number = asked.application_number.clone();
        let body = BirthRegistrationResult {
            application_number,
            result,
            decided_on,
            reason: reason.clone(),
        };
        let content = Content { person: first.person.clone(), ..inside(&first, &row, body.into()) };
        let act = Act::with(AccessAction::Send, store, &content)?;
        let opposite = super::opposite(&row.case, Seat::Asking)?;
        let addressed = (outlet.destination(opposite)?, content);
        let out = Outgoing::new(own, store, outlet, addressed, None, ctx.now)?;
        outgoing.push((act, out.addressed(opposite)));
        seen.push((row.case.id(), row.version));
    }
    let cases = seen.iter().map(|(id, _)| *id).collect();
    let caller = ctx.clone();
    let told = store.commit(move |unit| {
        if once.first::<bool>(&caller, unit)?.is_some() {
            return Ok(Vec::new());
        }
        for (id, version) in &seen {
            // Somebody else may have decided, or an answer have come, a moment ago.
            current(unit, *id, *version)?;
        }
        let mut sent: Vec<Accepted> = Vec::new();
        for (act, outgoing) in &mut outgoing {
            let accepted = outgoing.accept(unit)?;
            access::note(&caller, unit, Act { message: Some(accepted.id), ..*act })?;
            sent.push(accepted);
        }
        once.keep(&caller, unit, &true)?;
        Ok::<_, AppError>(sent)
    });
    let sent = told.await.map_err(AppError::from)?;
    sent.iter().for_each(|accepted| accepted.nudge(outlet));
    Ok(cases)
}

/// The cases that are told of a decision: of each, that it may be decided so now. A question that was refused, or taken
/// back, is not answered; only that the couple has withdrawn can be told all the same.
fn to_decide(
    store: &Store,
    own: AreaCode,
    id: CaseId,
    result: RegistrationResult,
) -> Result<Vec<CaseRow>, AppError> {
    let forbidden = || AppError::from(Refusal::new(Reason::StateForbids).field("result"));
    let mut rows = Vec::new();
    for id in store.together(&case(store, id)?)? {
        let row = store.get(&CASE, id.as_bytes())?;
        let answered = row.as_ref().is_some_and(|row| row.case.view().answer.is_some());
        if !answered && result != RegistrationResult::Withdrawn {
            return Err(forbidden());
        }
        let Some(row) = row else { continue };
        if !row.case.view().sits(own, Seat::Asking) {
            return Err(Reason::NotHolder.into());
        }
        let told = Deed::Document { kind: Kind::BirthRegistrationResult };
        let ours = |step: &&Step| step.from.county() == own.county();
        if row.case.steps().into_iter().filter(ours).any(|step| step.deed == told) {
            return Err(forbidden());
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Whether the very same decision was told before.
async fn was_done(ctx: &Ctx, store: &Store, once: Once) -> Result<bool, AppError> {
    let caller = ctx.clone();
    let first = store.commit(move |unit| once.first::<bool>(&caller, unit));
    Ok(first.await.map_err(AppError::from)?.is_some())
}

/// Two cases belong together from now on; either leads to the other.
fn bind(unit: &mut Unit<'_>, first: CaseId, id: CaseId) -> Result<(), AppError> {
    let (first, id) = (*first.as_bytes(), *id.as_bytes());
    unit.put(&CASE_TOGETHER, &(first, id), &())?;
    Ok(unit.put(&CASE_TOGETHER, &(id, first), &())?)
}

/// Questions that lie in one millisecond and are looked at.
const AT_ONCE_MAX: usize = 64;

/// A question that was lost and was handed back belongs together with those that were asked in the same moment under the
/// same number of an application: what tied them together was lost as well. In the unit that takes it back.
///
/// # Errors
/// When rows cannot be read or written.
pub fn found_again(
    unit: &mut Unit<'_>,
    id: CaseId,
    asked: &BirthRegistrationInquiry,
    (own, now): (AreaCode, UnixMillis),
) -> Result<(), AppError> {
    let [a, b, c, d, e, f, ..] = *id.as_bytes();
    let at = |z: u8| [a, b, c, d, e, f, z, z, z, z, z, z, z, z, z, z];
    for (key, row) in unit.scan(&CASE, at(0)..=at(0xFF), AT_ONCE_MAX)? {
        let other = CaseId::from_bytes(key);
        let is_hers = match opening(unit, other)?.map(|first| first.body) {
            Some(Body::BirthRegistrationInquiry(first)) => {
                first.application_number == asked.application_number
            }
            _ => false,
        };
        if other == id || !is_hers || !row.case.view().sits(own, Seat::Asking) {
            continue;
        }
        let first = row.together.unwrap_or(other);
        for tied in [other, id] {
            let Some(row) = unit.get(&CASE, tied.as_bytes())? else { continue };
            bind(unit, first, tied)?;
            keep(unit, CaseRow { together: Some(first), ..row }, own, now)?;
        }
        return Ok(());
    }
    Ok(())
}

/// A question that is asked again takes the place of the one that was refused: in the unit that sends it.
///
/// # Errors
/// When rows cannot be read or written.
pub fn replace(
    unit: &mut Unit<'_>,
    (old, new): (CaseId, CaseId),
    own: AreaCode,
    now: UnixMillis,
) -> Result<(), AppError> {
    let before = *old.as_bytes();
    let first = match unit.contains(&CASE_TOGETHER, &(before, before))? {
        true => before,
        false => match unit.scan_under(&CASE_TOGETHER, &(before,), None, 1)?.first() {
            Some(((_, first), ())) => *first,
            None => return Ok(()),
        },
    };
    let row = unit.get(&CASE, new.as_bytes())?;
    let row = row.ok_or(AppError::Internal("a case was just opened"))?;
    unit.delete(&CASE_TOGETHER, &(first, before));
    if first != before {
        unit.delete(&CASE_TOGETHER, &(before, first));
    }
    let first = CaseId::from_bytes(first);
    bind(unit, first, new)?;
    keep(unit, CaseRow { together: Some(first), ..row }, own, now)
}
