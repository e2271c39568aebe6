//! Certificates: issued, renewed, replaced and revoked by the origin area; free, and no condition for anything.

pub mod check;
pub mod print;

use domain::access::{AccessAction, Permission};
use domain::certificate::{
    Certificate, CertificateError, CertificateFacts, ReplacementCause, RevocationCause,
};
use domain::id::CertificateNumber;
use domain::message::{CertificateState, Kind};
use domain::person::PersonDetails;
use domain::reason::Reason;
use domain::record::Version;
use domain::text::{Note, WrittenReason};
use serde::{Deserialize, Serialize};
use store::access::person_key;
use store::records::ReadRecords;
use store::{Store, Subject, Unit};

use super::access::{self, Act, CERTIFYING, REVOKING, Why};
use super::idempotency::Once;
use super::persons::{self, Entered};
use super::{AppError, Ctx, Refusal, asked};

/// An application for a certificate.
#[derive(Clone, Debug)]
pub struct Application {
    /// Who applies.
    pub person: PersonDetails,
    /// Makes a repeated call harmless; empty for none.
    pub idempotency_key: String,
}

/// A replacement of a certificate.
#[derive(Clone, Debug)]
pub struct Replace {
    /// Number of the old one.
    pub number: CertificateNumber,
    /// Version the clerk saw.
    pub seen: Version,
    /// Why, from the list.
    pub cause: ReplacementCause,
    /// Why, in words.
    pub why: Note,
    /// What the new one states, when that has changed.
    pub person: Option<PersonDetails>,
}

/// A revocation of a certificate.
#[derive(Clone, Debug)]
pub struct Revoke {
    /// Number.
    pub number: CertificateNumber,
    /// Version the clerk saw.
    pub seen: Version,
    /// Why, from the list.
    pub cause: RevocationCause,
    /// Why, in words the holder can read.
    pub reason: WrittenReason,
}

/// Reports that speak of a certificate.
const REPORTS: [Kind; 2] = [Kind::CertificateStatement, Kind::CertificateNotice];

/// What a repeated application finds again.
#[derive(Serialize, Deserialize)]
struct FirstOutcome {
    number: CertificateNumber,
}

/// Issues a certificate of this county, valid for three years. Somebody who holds a valid one renews or replaces it.
///
/// # Errors
/// `ROLE_REQUIRED`; findings; `ALREADY_EXISTS`; `CONFLICT` for an idempotency key that was used for something else.
pub async fn issue(
    caller: &Ctx,
    store: &Store,
    application: Application,
) -> Result<Certificate, AppError> {
    caller.must(Permission::WriteRecords)?;
    let findings = persons::findings(&application.person, caller.today());
    if !findings.is_empty() {
        return Err(findings.into());
    }
    let once = Once::new(&application.idempotency_key, "issue certificate", &application.person)?;
    let key = person_key(store.document_hash(&application.person.document));
    let ctx = caller.clone();
    let work = move |unit: &mut Unit<'_>| match once.first::<FirstOutcome>(&ctx, unit)? {
        Some(first) => unit.certificate(&first.number)?.ok_or_else(|| Reason::NotFound.into()),
        None => {
            let certificate = issue_in(&ctx, unit, application.person)?;
            once.keep(&ctx, unit, &FirstOutcome { number: certificate.number() })?;
            Ok(certificate)
        }
    };
    let done = store.commit(work).await.map_err(AppError::from);
    access::told(caller, store, (CERTIFYING, Some(key)), done).await
}

fn issue_in(
    ctx: &Ctx,
    unit: &mut Unit<'_>,
    details: PersonDetails,
) -> Result<Certificate, AppError> {
    let Entered { subject, person, key } =
        persons::enter(ctx, unit, details, None, "本人申请证明")?;
    let valid = |held: &Certificate| held.state_on(ctx.today()) == CertificateState::Valid;
    if let Some(held) = unit.certificates_of(person.id())?.into_iter().find(valid) {
        return Err(Refusal::new(Reason::AlreadyExists).existing(held.number()).into());
    }
    let facts = CertificateFacts::of(person.details());
    let (number, author) = (next_number(ctx, unit)?, ctx.author(None, "本人申请")?);
    let certificate = Certificate::issue(number, person.id(), ctx.county(), facts, author);
    let certificate = certificate.map_err(refused)?;
    unit.keep_certificate(&subject, &certificate)?;
    access::note(ctx, unit, Act::on(AccessAction::Create, CERTIFYING, key))?;
    access::note(ctx, unit, Act::on(AccessAction::Print, CERTIFYING, key))?;
    Ok(certificate)
}

/// The next number of this county and year.
fn next_number(ctx: &Ctx, unit: &mut Unit<'_>) -> Result<CertificateNumber, AppError> {
    let year = ctx.today().year();
    let serial = unit.next_certificate_serial(year)?;
    let serial = u32::try_from(serial).unwrap_or(u32::MAX);
    CertificateNumber::new(ctx.county(), year, serial).map_err(|_| {
        let refusal = Refusal::new(Reason::StateForbids);
        refusal.detail("the numbers of this county and year are used up").into()
    })
}

/// Renews a certificate: three more years from today.
///
/// # Errors
/// `ROLE_REQUIRED`, `NOT_FOUND`, `STALE_VERSION`; a certificate that is not valid cannot be renewed.
pub async fn renew(
    ctx: &Ctx,
    store: &Store,
    number: CertificateNumber,
    seen: Version,
) -> Result<Certificate, AppError> {
    edit(ctx, store, number, CERTIFYING, move |ctx, _, _, before| {
        before.renew(ctx.edit(seen, None, "本人申请续期")?).map_err(refused)
    })
    .await
}

/// Puts a new certificate in the place of one that is lost, damaged or out of date; both are kept in one unit.
///
/// # Errors
/// `ROLE_REQUIRED`, `NOT_FOUND`, `STALE_VERSION`; `FIELD_REQUIRED` when facts have changed and are not given; findings.
pub async fn replace(ctx: &Ctx, store: &Store, replace: Replace) -> Result<Certificate, AppError> {
    let changed = replace.cause == ReplacementCause::Changed;
    if changed != replace.person.is_some() {
        let reason = if changed { Reason::FieldRequired } else { Reason::FieldNotAllowed };
        return Err(Refusal::new(reason).field("person").into());
    }
    let found = replace.person.iter().flat_map(|p| persons::findings(p, ctx.today()));
    let found: Vec<_> = found.collect();
    if !found.is_empty() {
        return Err(found.into());
    }
    edit(ctx, store, replace.number, CERTIFYING, move |ctx, unit, subject, before| {
        let facts = match replace.person {
            Some(details) => changed_facts(ctx, unit, &before, details)?,
            None => before.facts().clone(),
        };
        let number = next_number(ctx, unit)?;
        let edit = ctx.edit(replace.seen, Some(replace.why), "换证")?;
        let replaced = before.replace(edit, number, replace.cause, facts).map_err(refused)?;
        unit.keep_certificate(subject, &replaced.old)?;
        Ok(replaced.new)
    })
    .await
}

/// The person's record with what has changed; it has to be the holder's own.
fn changed_facts(
    ctx: &Ctx,
    unit: &mut Unit<'_>,
    before: &Certificate,
    details: PersonDetails,
) -> Result<CertificateFacts, AppError> {
    let entered = persons::enter(ctx, unit, details, None, "换证变更")?;
    if entered.person.id() != before.person() {
        let refusal = Refusal::new(Reason::InvalidField).field("person.document.number");
        return Err(refusal.detail("the document is not that of the certificate's holder").into());
    }
    Ok(CertificateFacts::of(entered.person.details()))
}

/// Revokes a certificate, with a reason that the holder can read.
///
/// # Errors
/// `ROLE_REQUIRED`, `NOT_FOUND`, `STALE_VERSION`; one that is not in force cannot be revoked.
pub async fn revoke(ctx: &Ctx, store: &Store, revoke: Revoke) -> Result<Certificate, AppError> {
    edit(ctx, store, revoke.number, REVOKING, move |ctx, _, _, before| {
        let edit = ctx.edit(revoke.seen, None, "注销")?;
        before.revoke(edit, revoke.cause, revoke.reason).map_err(refused)
    })
    .await
}

/// One certificate with all its versions.
///
/// # Errors
/// `ROLE_REQUIRED`, `NOT_FOUND`.
pub async fn get(
    ctx: &Ctx,
    store: &Store,
    number: CertificateNumber,
    why: Why,
) -> Result<Certificate, AppError> {
    access::read(ctx, store, Permission::ReadPerson, || {
        let found = store.certificate(&number)?;
        let person = found.as_ref().map(Certificate::person);
        let hash = |document: &_| store.document_hash(document);
        let person = person.map(|id| persons::key_of(store, hash, id)).transpose()?.flatten();
        let valid = |held: &Certificate| held.state_on(ctx.today()) == CertificateState::Valid;
        // One that holds comes with the code that is printed on it.
        let prints = found.as_ref().is_some_and(valid);
        let action = if prints { AccessAction::Print } else { AccessAction::View };
        Ok((Act { action, why, person, message: None }, found))
    })
    .await
}

/// Reads, lets `step` decide, and keeps what it gives, all in one unit.
async fn edit<F>(
    caller: &Ctx,
    store: &Store,
    number: CertificateNumber,
    why: Why,
    step: F,
) -> Result<Certificate, AppError>
where
    F: FnOnce(&Ctx, &mut Unit<'_>, &Subject, Certificate) -> Result<Certificate, AppError>
        + Send
        + 'static,
{
    caller.must(Permission::WriteRecords)?;
    let ctx = caller.clone();
    let work = move |unit: &mut Unit<'_>| {
        let before = unit.certificate(&number)?.ok_or(Reason::NotFound)?;
        let subject = unit.subject_of(before.person())?.ok_or(Reason::NotFound)?;
        let after = step(&ctx, unit, &subject, before)?;
        unit.keep_certificate(&subject, &after)?;
        let hash = |document: &_| unit.document_hash(document);
        let person = persons::key_of(unit, hash, after.person())?;
        // Whoever changes it gets to see it as well, and to print it where it holds.
        let is_valid = after.state_on(ctx.today()) == CertificateState::Valid;
        let shown = if is_valid { AccessAction::Print } else { AccessAction::View };
        for action in [AccessAction::Change, shown] {
            access::note(&ctx, unit, Act { action, why, person, message: None })?;
        }
        asked::outdated(unit, after.person(), &REPORTS)?;
        Ok(after)
    };
    let done = store.commit(work).await.map_err(AppError::from);
    access::told(caller, store, (why, None), done).await
}

fn refused(error: CertificateError) -> AppError {
    let field = match &error {
        CertificateError::Edit(_) => "seen_version",
        CertificateError::ForeignNumber
        | CertificateError::Expired
        | CertificateError::Replaced
        | CertificateError::Revoked
        | CertificateError::SameNumber => "certificate_number",
    };
    AppError::forbidden(&error, field)
}
