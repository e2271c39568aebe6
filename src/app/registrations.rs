//! Registrations: who lives here, since when, and when she left.

use domain::access::{AccessAction, Permission};
use domain::area::AreaCode;
use domain::id::RegistrationId;
use domain::message::Kind;
use domain::person::{Person, PersonDetails};
use domain::reason::Reason;
use domain::record::Version;
use domain::registration::{Registration, RegistrationDetails, RegistrationError, Stay};
use domain::rule::Violation;
use domain::text::Note;
use domain::time::Date;
use serde::{Deserialize, Serialize};
use store::access::person_key;
use store::records::ReadRecords;
use store::{Store, Unit};

use super::access::{self, Act, REGISTERING, Why};
use super::idempotency::Once;
use super::persons::{self, Entered};
use super::{AppError, Ctx, Refusal, asked};
use crate::time::random;

/// An arrival as the clerk enters it.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Who.
    pub person: PersonDetails,
    /// Where, since when, and where she comes from.
    pub details: RegistrationDetails,
    /// Why it is entered, if there is something to say.
    pub why: Option<Note>,
    /// Makes a repeated call harmless; empty for none.
    pub idempotency_key: String,
}

/// A person and her registration, as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The person.
    pub person: Person,
    /// The registration.
    pub registration: Registration,
}

/// New details of a registration.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which one.
    pub id: RegistrationId,
    /// Version the clerk saw.
    pub seen: Version,
    /// What it says from now on.
    pub details: RegistrationDetails,
    /// Why it changes.
    pub why: Note,
}

/// The end of a stay.
#[derive(Clone, Debug)]
pub struct End {
    /// Which registration.
    pub id: RegistrationId,
    /// Version the clerk saw.
    pub seen: Version,
    /// Day she left.
    pub on: Date,
    /// Where she moved on to; nothing when she left without saying.
    pub to: Option<AreaCode>,
    /// Why it is entered, if there is something to say.
    pub why: Option<Note>,
}

/// What a repeated arrival finds again.
#[derive(Serialize, Deserialize)]
struct FirstOutcome {
    registration: RegistrationId,
}

/// Registers a person and her arrival in one unit. Whoever is registered as present is not registered a second time.
///
/// # Errors
/// `ROLE_REQUIRED`; findings; `ALREADY_EXISTS`; `CONFLICT` for an idempotency key that was used for something else.
pub async fn arrive(ctx: &Ctx, store: &Store, arrival: Arrival) -> Result<Registered, AppError> {
    ctx.must(Permission::EnterRegistration)?;
    let mut findings = persons::findings(&arrival.person, ctx.today());
    if let Err(error) = arrival.details.check(ctx.county(), ctx.today()) {
        findings.push(error.at(field(&error)));
    }
    if !findings.is_empty() {
        return Err(findings.into());
    }
    let content = (&arrival.person, &arrival.details, &arrival.why);
    let once = Once::new(&arrival.idempotency_key, "register arrival", &content)?;
    let id = RegistrationId::new(ctx.now, random());
    let key = person_key(store.document_hash(&arrival.person.document));
    let echo = (!ctx.caller.may(Permission::ReadPerson)).then(|| arrival.clone());
    let inner = ctx.clone();
    let work = move |unit: &mut Unit<'_>| match once.first::<FirstOutcome>(&inner, unit)? {
        Some(first) => again(unit, first.registration),
        None => {
            let done = arrive_in(&inner, unit, arrival, id)?;
            once.keep(&inner, unit, &FirstOutcome { registration: id })?;
            Ok(done)
        }
    };
    let done = store.commit(work).await.map_err(AppError::from);
    let done = access::told(ctx, store, (REGISTERING, Some(key)), done).await?;
    match echo {
        Some(arrival) => as_entered(ctx, arrival, &done),
        None => Ok(done),
    }
}

/// What a collector gets to see: what she entered and under which ids, and nothing that was known before or since.
fn as_entered(ctx: &Ctx, arrival: Arrival, done: &Registered) -> Result<Registered, AppError> {
    let author = ctx.author(arrival.why, "流入登记")?;
    let (person, id) = (done.person.id(), done.registration.id());
    let registration =
        Registration::arrive(id, person, ctx.county(), arrival.details, author.clone());
    let person = Person::new(person, ctx.county(), arrival.person, author);
    let person = person.map_err(|error| AppError::forbidden(&error, "person"))?;
    Ok(Registered { person, registration: registration.map_err(refused)? })
}

/// Reports that speak of a stay.
const REPORTS: [Kind; 2] = [Kind::ArrivalNotice, Kind::OutflowFeedback];

pub(super) fn arrive_in(
    ctx: &Ctx,
    unit: &mut Unit<'_>,
    arrival: Arrival,
    id: RegistrationId,
) -> Result<Registered, AppError> {
    let Arrival { person, details, why, idempotency_key: _ } = arrival;
    let entered = persons::enter(ctx, unit, person, why.clone(), "流入登记")?;
    let Entered { subject, person, key } = entered;
    let present = |other: &Registration| other.current().stay == Stay::Present;
    if let Some(other) = unit.registrations_of(person.id())?.into_iter().find(present) {
        return Err(persons::naming(ctx, Refusal::new(Reason::AlreadyExists), other.id()).into());
    }
    let author = ctx.author(why, "流入登记")?;
    let registration = Registration::arrive(id, person.id(), ctx.county(), details, author);
    let registration = registration.map_err(refused)?;
    unit.keep_registration(&subject, &registration)?;
    access::note(ctx, unit, Act::on(AccessAction::Create, REGISTERING, key))?;
    Ok(Registered { person, registration })
}

/// The first outcome of a repeated call: the same records, as they are now.
fn again(unit: &Unit<'_>, id: RegistrationId) -> Result<Registered, AppError> {
    let registration = unit.registration(id)?.ok_or(Reason::NotFound)?;
    let person = unit.person(registration.person())?.ok_or(Reason::NotFound)?;
    Ok(Registered { person, registration })
}

/// Changes the details of a registration.
///
/// # Errors
/// `ROLE_REQUIRED`, `NOT_FOUND`, `STALE_VERSION`; findings.
pub async fn change(ctx: &Ctx, store: &Store, change: Change) -> Result<Registration, AppError> {
    edit(ctx, store, change.id, move |ctx, before| {
        before
            .change(ctx.edit(change.seen, Some(change.why), "变更")?, change.details)
            .map_err(refused)
    })
    .await
}

/// Records that she moved on to another area or left.
///
/// # Errors
/// `ROLE_REQUIRED`, `NOT_FOUND`, `STALE_VERSION`, `STATE_FORBIDS`; findings.
pub async fn end(ctx: &Ctx, store: &Store, end: End) -> Result<Registration, AppError> {
    edit(ctx, store, end.id, move |ctx, before| {
        let ended = match end.to {
            Some(to) => before.move_on(ctx.edit(end.seen, end.why, "转往他处")?, end.on, to),
            None => before.depart(ctx.edit(end.seen, end.why, "离开")?, end.on),
        };
        ended.map_err(|error| match error {
            RegistrationError::DateInFuture => AppError::forbidden(&error, "ended_on"),
            error => refused(error),
        })
    })
    .await
}

/// One registration with all its versions.
///
/// # Errors
/// `ROLE_REQUIRED`, `NOT_FOUND`.
pub async fn get(
    ctx: &Ctx,
    store: &Store,
    id: RegistrationId,
    why: Why,
) -> Result<Registration, AppError> {
    access::read(ctx, store, Permission::ReadPerson, || {
        let found = store.registration(id)?;
        let person = found.as_ref().map(Registration::person);
        let hash = |document: &_| store.document_hash(document);
        let person = person.map(|id| persons::key_of(store, hash, id)).transpose()?.flatten();
        Ok((Act { action: AccessAction::View, why, person, message: None }, found))
    })
    .await
}

/// Reads, lets `step` decide, and keeps the next version, all in one unit.
async fn edit(
    caller: &Ctx,
    store: &Store,
    id: RegistrationId,
    step: impl FnOnce(&Ctx, &Registration) -> Result<Registration, AppError> + Send + 'static,
) -> Result<Registration, AppError> {
    caller.must(Permission::WriteRecords)?;
    let ctx = caller.clone();
    let work = move |unit: &mut Unit<'_>| {
        let before = unit.registration(id)?.ok_or(Reason::NotFound)?;
        let subject = unit.subject_of(before.person())?.ok_or(Reason::NotFound)?;
        let after = step(&ctx, &before)?;
        unit.keep_registration(&subject, &after)?;
        let hash = |document: &_| unit.document_hash(document);
        let person = persons::key_of(unit, hash, after.person())?;
        let action = AccessAction::Change;
        access::note(&ctx, unit, Act { action, why: REGISTERING, person, message: None })?;
        asked::outdated(unit, after.person(), &REPORTS)?;
        Ok(after)
    };
    let done = store.commit(work).await.map_err(AppError::from);
    access::told(caller, store, (REGISTERING, None), done).await
}

fn refused(error: RegistrationError) -> AppError {
    AppError::forbidden(&error, field(&error))
}

pub(super) const fn field(error: &RegistrationError) -> &'static str {
    match error {
        RegistrationError::Edit(_) => "seen_version",
        RegistrationError::DateInFuture => "registration.arrived_on",
        RegistrationError::ResidenceOutside => "registration.residence_area",
        RegistrationError::SameCounty => "registration.origin_area",
        RegistrationError::DepartureBeforeArrival => "ended_on",
        RegistrationError::DestinationInside => "destination_area",
        RegistrationError::NotPresent | RegistrationError::StillPresent => "state",
    }
}
