//! Consents and requests: what a person allows to be told and to whom, and what she asks for.

pub mod refused;
pub mod returned;
pub mod spread;

use domain::access::{AccessAction, Permission, PersonKey};
use domain::area::AreaCode;
use domain::consent::{
    Consent, ConsentError, ConsentTerms, Given, Ground, ServiceRequest, Withdrawal,
};
use domain::id::{ConsentId, PersonId, RequestId};
use domain::person::{IdentityDocument, PersonDetails};
use domain::reason::Reason;
use domain::rule::Violation;
use domain::service::Service;
use domain::time::Date;
use store::access::person_key;
use store::records::{KeptServiceRequest, ReadRecords};
use store::{Store, Subject, Unit};

use super::access::{self, Act, NOTING, Why};
use super::persons::Entered;
use super::{AppError, Ctx, Refusal, applications, persons};
use crate::time::random;

/// Why a request is on record.
const ASKS: &str = "本人申请服务";

/// A request for a service as the clerk enters it.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The service asked for.
    pub service: Service,
    /// Day of the request.
    pub requested_on: Date,
    /// How it was made.
    pub given: Given,
    /// County that is asked to give it or to be told.
    pub recipient: AreaCode,
}

/// What a person has allowed and asked for, newest first.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// Consents, withdrawn ones too.
    pub consents: Vec<Consent>,
    /// Requests, those taken back too.
    pub requests: Vec<KeptServiceRequest>,
}

/// Records a consent of a person who is on record here.
///
/// # Errors
/// `ROLE_REQUIRED`; `NOT_FOUND` when she is not on record; findings.
pub async fn record(
    caller: &Ctx,
    store: &Store,
    document: IdentityDocument,
    terms: ConsentTerms,
) -> Result<Consent, AppError> {
    caller.must(Permission::WriteRecords)?;
    let id = ConsentId::new(caller.now, random());
    let key = person_key(store.document_hash(&document));
    let ctx = caller.clone();
    let work = move |unit: &mut Unit<'_>| {
        let (subject, key) = on_record(unit, &document)?;
        let author = ctx.author(None, "本人同意")?;
        let consent = Consent::record(id, subject.person(), terms, author);
        let consent = consent.map_err(|error| AppError::forbidden(&error, field(&error)))?;
        unit.keep_consent(&subject, &consent)?;
        access::note(&ctx, unit, Act::on(AccessAction::Create, NOTING, key))?;
        Ok(consent)
    };
    let done = store.commit(work).await.map_err(AppError::from);
    access::told(caller, store, (NOTING, Some(key)), done).await
}

/// Withdraws a consent: from the moment this returns nothing is sent on its strength, what still waits is stopped, and
/// every county that got something under it is going to be told.
///
/// # Errors
/// `ROLE_REQUIRED`, `NOT_FOUND`; the first withdrawal counts, a second is refused.
pub async fn withdraw(
    ctx: &Ctx,
    store: &Store,
    id: ConsentId,
    given: Given,
) -> Result<Consent, AppError> {
    let author = ctx.author(None, "本人撤回同意")?;
    take_back(ctx, store, Ground::Consent(id), Withdrawal { given, author }).await?;
    store.consent(id)?.ok_or(AppError::Internal("a consent was just there"))
}

/// Takes back her request for a service, with the same effect as withdrawing a consent.
///
/// # Errors
/// As for [`withdraw`].
pub async fn withdraw_request(
    ctx: &Ctx,
    store: &Store,
    id: RequestId,
    given: Given,
) -> Result<KeptServiceRequest, AppError> {
    let author = ctx.author(None, "本人撤回服务申请")?;
    take_back(ctx, store, Ground::Request(id), Withdrawal { given, author }).await?;
    store.service_request(id)?.ok_or(AppError::Internal("a request was just there"))
}

async fn take_back(
    caller: &Ctx,
    store: &Store,
    ground: Ground,
    withdrawal: Withdrawal,
) -> Result<(), AppError> {
    caller.must(Permission::WriteRecords)?;
    let ctx = caller.clone();
    let work = move |unit: &mut Unit<'_>| {
        let (person, recipient) = of_record(unit, ground)?.ok_or(Reason::NotFound)?;
        let subject = unit.subject_of(person)?.ok_or(Reason::NotFound)?;
        let ended = end(unit, &subject, ground, withdrawal)?;
        ended.map_err(|error| AppError::forbidden(&error, id_field(ground)))?;
        spread::begin(unit, &ctx, ground, recipient)?;
        note_change(unit, &ctx, person)
    };
    let done = store.commit(work).await.map_err(AppError::from);
    access::told(caller, store, (NOTING, None), done).await
}

/// Whose a consent or request on record is, and the county that it names.
fn of_record(unit: &Unit<'_>, ground: Ground) -> Result<Option<(PersonId, AreaCode)>, AppError> {
    Ok(match ground {
        Ground::Consent(id) => {
            unit.consent(id)?.map(|consent| (consent.person(), consent.terms().recipient))
        }
        Ground::Request(id) => {
            unit.service_request(id)?.map(|kept| (kept.request.person, kept.recipient))
        }
    })
}

/// Ends a consent or request on record; not one that was ended before, or is not there.
fn end(
    unit: &mut Unit<'_>,
    subject: &Subject,
    ground: Ground,
    withdrawal: Withdrawal,
) -> Result<Result<(), ConsentError>, AppError> {
    match ground {
        Ground::Consent(id) => {
            let before = unit.consent(id)?.ok_or(Reason::NotFound)?;
            match before.withdraw(withdrawal) {
                Ok(after) => unit.keep_consent(subject, &after)?,
                Err(error) => return Ok(Err(error)),
            }
        }
        Ground::Request(id) => {
            let kept = unit.service_request(id)?.ok_or(Reason::NotFound)?;
            match kept.request.withdraw(withdrawal) {
                Ok(request) => {
                    applications::settled(unit, &request);
                    unit.keep_service_request(subject, &KeptServiceRequest { request, ..kept })?;
                }
                Err(error) => return Ok(Err(error)),
            }
        }
    }
    Ok(Ok(()))
}

fn note_change(unit: &mut Unit<'_>, ctx: &Ctx, person: PersonId) -> Result<(), AppError> {
    let hash = |document: &_| unit.document_hash(document);
    let person = persons::key_of(unit, hash, person)?;
    let action = AccessAction::Change;
    access::note(ctx, unit, Act { action, why: NOTING, person, message: None })
}

/// Records a request for a service of a person who is on record here.
///
/// # Errors
/// `ROLE_REQUIRED`; `NOT_FOUND` when she is not on record; a day that is still to come.
pub async fn request(
    ctx: &Ctx,
    store: &Store,
    document: IdentityDocument,
    request: Request,
) -> Result<KeptServiceRequest, AppError> {
    let key = person_key(store.document_hash(&document));
    keep_request(ctx, store, (request, key), move |_, unit| on_record(unit, &document)).await
}

/// The same for a person who may not be on record yet: she is entered with what she states.
///
/// # Errors
/// `ROLE_REQUIRED`; findings; a day that is still to come.
pub async fn first_request(
    ctx: &Ctx,
    store: &Store,
    person: PersonDetails,
    request: Request,
) -> Result<KeptServiceRequest, AppError> {
    let findings = persons::findings(&person, ctx.today());
    if !findings.is_empty() {
        return Err(findings.into());
    }
    let key = person_key(store.document_hash(&person.document));
    let enter = move |ctx: &Ctx, unit: &mut Unit<'_>| {
        let Entered { subject, key, .. } = persons::enter(ctx, unit, person, None, ASKS)?;
        Ok((subject, key))
    };
    keep_request(ctx, store, (request, key), enter).await
}

async fn keep_request(
    caller: &Ctx,
    store: &Store,
    (request, key): (Request, PersonKey),
    whose: impl FnOnce(&Ctx, &mut Unit<'_>) -> Result<(Subject, PersonKey), AppError> + Send + 'static,
) -> Result<KeptServiceRequest, AppError> {
    caller.must(Permission::WriteRecords)?;
    if request.requested_on > caller.today() {
        let finding = ConsentError::GivenInFuture.at("service_request.requested_on");
        return Err(finding.into());
    }
    if request.service == Service::BirthRegistration {
        let field = "service_request.requested_on";
        applications::check(request.requested_on, caller.today(), field)?;
    }
    let id = RequestId::new(caller.now, random());
    let ctx = caller.clone();
    let work = move |unit: &mut Unit<'_>| {
        let (subject, key) = whose(&ctx, unit)?;
        let Request { service, requested_on, given, recipient } = request;
        let (person, author) = (subject.person(), ctx.author(None, ASKS)?);
        let withdrawal = None;
        let request =
            ServiceRequest { id, person, service, requested_on, given, author, withdrawal };
        let kept = KeptServiceRequest { recipient: recipient.county(), request };
        unit.keep_service_request(&subject, &kept)?;
        applications::recorded(unit, &kept.request)?;
        access::note(&ctx, unit, Act::on(AccessAction::Create, NOTING, key))?;
        Ok(kept)
    };
    let done = store.commit(work).await.map_err(AppError::from);
    access::told(caller, store, (NOTING, Some(key)), done).await
}

/// A person's consents and requests.
///
/// # Errors
/// `ROLE_REQUIRED`; `NOT_FOUND` when she is not on record.
pub async fn list(
    ctx: &Ctx,
    store: &Store,
    document: &IdentityDocument,
    why: Why,
) -> Result<Allowed, AppError> {
    access::read(ctx, store, Permission::ReadPerson, || {
        let hash = store.document_hash(document);
        let act = Act::on(AccessAction::Search, why, person_key(hash));
        let Some(subject) = store.find_subject(hash)? else { return Ok((act, None)) };
        let id = subject.person();
        let consents = store.consents_of(id)?;
        Ok((act, Some(Allowed { consents, requests: store.service_requests_of(id)? })))
    })
    .await
}

/// The person whom a document leads to, if she has a record here.
fn on_record(
    unit: &Unit<'_>,
    document: &IdentityDocument,
) -> Result<(Subject, PersonKey), AppError> {
    let hash = unit.document_hash(document);
    let refusal = || AppError::from(Refusal::new(Reason::NotFound).field("document.number"));
    let subject = unit.find_subject(hash)?.ok_or_else(refusal)?;
    unit.person(subject.person())?.ok_or_else(refusal)?;
    Ok((subject, person_key(hash)))
}

const fn field(error: &ConsentError) -> &'static str {
    match error {
        ConsentError::NoScope => "consent.scopes",
        ConsentError::GivenInFuture => "consent.given_on",
        ConsentError::Period => "consent.valid_until",
        ConsentError::AlreadyWithdrawn => "consent_id",
    }
}

/// The field of a call that names what is taken back.
const fn id_field(ground: Ground) -> &'static str {
    match ground {
        Ground::Consent(_) => "consent_id",
        Ground::Request(_) => "request_id",
    }
}
