//! Persons: found one at a time, entered with a registration or a certificate, corrected with a reason.

use domain::access::{AccessAction, Permission, PersonKey};
use domain::certificate::Certificate;
use domain::id::PersonId;
use domain::person::{IdentityDocument, MaritalStatus, Person, PersonDetails, PersonError};
use domain::reason::Reason;
use domain::record::Version;
use domain::registration::Registration;
use domain::rule::{Finding, Violation};
use domain::text::Note;
use domain::time::Date;
use store::access::person_key;
use store::records::{KeptEndorsement, ReadRecords};
use store::{Store, Subject, Unit};

use super::access::{self, Act, REGISTERING, Why};
use super::{AppError, Ctx, Refusal, at_risk};
use crate::time::random;

/// A person and what is on record about her here, newest first.
#[derive(Clone, Debug)]
pub struct Found {
    /// The person.
    pub person: Person,
    /// Her registrations here.
    pub registrations: Vec<Registration>,
    /// Her certificates from here.
    pub certificates: Vec<Certificate>,
    /// Checks made here of certificates she showed.
    pub endorsements: Vec<KeptEndorsement>,
}

/// A correction of a person's record.
#[derive(Clone, Debug)]
pub struct Correction {
    /// Whose.
    pub id: PersonId,
    /// Version the clerk saw.
    pub seen: Version,
    /// What is right.
    pub details: PersonDetails,
    /// Why it changes.
    pub why: Note,
}

/// Finds a person by her document. The look is in the access log before this returns, also when nobody is found.
///
/// # Errors
/// `ROLE_REQUIRED`; `NOT_FOUND` when she is not on record here.
pub async fn find(
    ctx: &Ctx,
    store: &Store,
    document: &IdentityDocument,
    why: Why,
) -> Result<Found, AppError> {
    access::read(ctx, store, Permission::ReadPerson, || {
        let hash = store.document_hash(document);
        let act = Act::on(AccessAction::Search, why, person_key(hash));
        let Some(subject) = store.find_subject(hash)? else { return Ok((act, None)) };
        let id = subject.person();
        let Some(person) = store.person(id)? else { return Ok((act, None)) };
        let found = Found {
            person,
            registrations: store.registrations_of(id)?,
            certificates: store.certificates_of(id)?,
            endorsements: store.endorsements_of(id)?,
        };
        Ok((act, Some(found)))
    })
    .await
}

/// Corrects a person's record; a new document leads to her as well as the old one.
///
/// # Errors
/// `ROLE_REQUIRED`, `NOT_FOUND`, `STALE_VERSION`; `ALREADY_EXISTS` when the new document is another person's; findings.
pub async fn correct(
    caller: &Ctx,
    store: &Store,
    correction: Correction,
) -> Result<Person, AppError> {
    caller.must(Permission::WriteRecords)?;
    let findings = findings(&correction.details, caller.today());
    if !findings.is_empty() {
        return Err(findings.into());
    }
    let key = person_key(store.document_hash(&correction.details.document));
    let ctx = caller.clone();
    let work = move |unit: &mut Unit<'_>| {
        let Correction { id, seen, mut details, why } = correction;
        let before = unit.person(id)?.ok_or(Reason::NotFound)?;
        let subject = unit.subject_of(id)?.ok_or(Reason::NotFound)?;
        let document = unit.document_hash(&details.document);
        match unit.find_subject(document)? {
            Some(other) if other.person() != id => {
                let refusal = Refusal::new(Reason::AlreadyExists).field("person.document.number");
                return Err(refusal.existing(other.person()).into());
            }
            Some(_) => {}
            None => unit.add_document(id, document)?,
        }
        details.at_risk |= before.details().at_risk;
        let person = before.revise(ctx.edit(seen, Some(why), "更正")?, details);
        let person = person.map_err(|error| AppError::forbidden(&error, field(&error)))?;
        unit.keep_person(&subject, &person)?;
        if person.details().at_risk && !before.details().at_risk {
            at_risk::hide_waiting(unit, &ctx, id)?;
        }
        let key = person_key(document);
        access::note(&ctx, unit, Act::on(AccessAction::Change, REGISTERING, key))?;
        Ok(person)
    };
    let done = store.commit(work).await.map_err(AppError::from);
    access::told(caller, store, (REGISTERING, Some(key)), done).await
}

/// A person inside a unit of work, with what opens and names her records.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) subject: Subject,
    pub(super) person: Person,
    pub(super) key: PersonKey,
}

/// Finds the person of a document or enters her. What is newly stated becomes her next version; what is not stated
/// stays as it was.
pub(super) fn enter(
    ctx: &Ctx,
    unit: &mut Unit<'_>,
    details: PersonDetails,
    why: Option<Note>,
    usual: &'static str,
) -> Result<Entered, AppError> {
    let document = unit.document_hash(&details.document);
    let key = person_key(document);
    let subject = unit.subject(document, PersonId::new(ctx.now, random()))?;
    let before = unit.person(subject.person())?;
    let was_at_risk = before.as_ref().is_some_and(|before| before.details().at_risk);
    let person = match before {
        None => {
            let author = ctx.author(why, usual)?;
            let person = Person::new(subject.person(), ctx.county(), details, author);
            person.map_err(|error| AppError::forbidden(&error, field(&error)))?
        }
        Some(before) => {
            let details = merged(details, before.details());
            if details.name != before.details().name {
                return Err(other_name(ctx, &before));
            }
            if details == *before.details() {
                return Ok(Entered { subject, person: before, key });
            }
            let edit = ctx.edit(before.version(), why, usual)?;
            let person = before.revise(edit, details);
            person.map_err(|error| AppError::forbidden(&error, field(&error)))?
        }
    };
    unit.keep_person(&subject, &person)?;
    if person.details().at_risk && !was_at_risk {
        at_risk::hide_waiting(unit, ctx, subject.person())?;
    }
    Ok(Entered { subject, person, key })
}

/// A document that is on record with another name: a slip in one of the two, or a changed name. Nothing merges by
/// itself; a clerk looks at both and corrects the record.
fn other_name(ctx: &Ctx, before: &Person) -> AppError {
    let refusal = Refusal::new(Reason::AlreadyExists).field("person.name");
    let refusal = refusal.detail("the document is on record with another name; compare both");
    naming(ctx, refusal, before.id()).into()
}

/// Names the record that is in the way to those who may open it; a collector cannot read back.
pub(super) fn naming(ctx: &Ctx, refusal: Refusal, id: impl std::fmt::Display) -> Refusal {
    if ctx.caller.may(Permission::ReadPerson) { refusal.existing(id) } else { refusal }
}

/// What is stated now, laid over what was known. A husband or wife goes when a status is stated that has none.
fn merged(stated: PersonDetails, known: &PersonDetails) -> PersonDetails {
    let still_married = matches!(stated.marital_status, None | Some(MaritalStatus::Married));
    let spouse = stated.spouse.or_else(|| known.spouse.clone().filter(|_| still_married));
    let births = if stated.births.is_empty() { known.births.clone() } else { stated.births };
    PersonDetails {
        marital_status: stated.marital_status.or(known.marital_status),
        spouse,
        births,
        // Only an audited release takes this protection away.
        at_risk: stated.at_risk || known.at_risk,
        ..stated
    }
}

/// What is wrong between the fields of a person, with her field of the request.
pub(super) fn findings(details: &PersonDetails, today: Date) -> Vec<Finding> {
    let Err(error) = details.check(today) else { return Vec::new() };
    let married_on = details.spouse.as_ref().and_then(|spouse| spouse.married_on);
    let field = match error {
        PersonError::DateInFuture if married_on.is_some_and(|day| day > today) => {
            "person.married_on"
        }
        PersonError::DateInFuture if details.birth_date <= today => "person.children_born_on",
        PersonError::BeforeOwnBirth if married_on.is_some_and(|day| day <= details.birth_date) => {
            "person.married_on"
        }
        error => field(&error),
    };
    vec![error.at(field)]
}

fn field(error: &PersonError) -> &'static str {
    match error {
        PersonError::DateInFuture | PersonError::BirthDateDiffers => "person.born_on",
        PersonError::BeforeOwnBirth | PersonError::TooManyBirths => "person.children_born_on",
        PersonError::SpouseNotMarried => "person.spouse_name",
        PersonError::Edit(_) => "seen_version",
    }
}

/// How the log names the person of a record; nothing when she was erased.
pub(super) fn key_of(
    records: &impl ReadRecords,
    hash: impl Fn(&IdentityDocument) -> store::PersonHash,
    id: PersonId,
) -> Result<Option<PersonKey>, AppError> {
    let person = records.person(id)?;
    Ok(person.map(|person| person_key(hash(&person.details().document))))
}
