//! One row of an import: what it says, what is wrong with it, and how it becomes a record.

use domain::access::AccessAction;
use domain::certificate::{Certificate, CertificateFacts};
use domain::id::{CertificateNumber, RegistrationId};
use domain::numbered::Numbered;
use domain::old_case::OldCase;
use domain::person::PersonDetails;
use domain::reason::Reason;
use domain::record::Author;
use domain::registration::{Registration, RegistrationDetails, Stay};
use domain::rule::{Finding, Rule, Violation as _};
use domain::text::Note;
use domain::time::Date;
use serde::{Deserialize, Serialize};
use store::records::ReadRecords as _;
use store::tables::CERTIFICATE_SERIAL;
use store::{PersonHash, Store, Unit};

use super::claim::Claim;
use crate::app::access::{self, Act, CERTIFYING};
use crate::app::persons::{self, Entered};
use crate::app::registrations::{Arrival, arrive_in};
use crate::app::{AppError, Ctx, old_cases};
use crate::time::random;

/// Why a record that was imported is there.
const WHY: &str = "历史数据导入";

/// Which records are imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Persons who live here.
    Registration,
    /// Certificates that this county issued before.
    Certificate,
    /// Cases from before there was a node.
    OldCase,
}

impl Numbered for Kind {
    const ALL: &'static [Self] = &[Self::Registration, Self::Certificate, Self::OldCase];
    const LIST: &'static str = "import kind";

    fn number(self) -> u8 {
        match self {
            Self::Registration => 1,
            Self::Certificate => 2,
            Self::OldCase => 3,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Registration => "REGISTRATION",
            Self::Certificate => "CERTIFICATE",
            Self::OldCase => "OLD_CASE",
        }
    }
}

/// A row that became values.
#[derive(Clone, Debug)]
pub struct Row {
    /// Line in the file.
    pub line: u32,
    /// Who.
    pub person: PersonDetails,
    /// What about her.
    pub record: Record,
}

/// What a row says about a person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Record {
    /// She lives here.
    Registration(RegistrationDetails),
    /// She holds this certificate, issued on that day.
    Certificate(CertificateNumber, Date),
    /// This was asked about her.
    OldCase(OldCase),
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A rule is broken.
    Rule(Finding),
    /// What is on record is in the way.
    Reason(Reason, &'static str),
    /// An earlier line of the same file is in the way: the reason, the field, and that line.
    Line(Reason, &'static str, u32),
}

/// What is wrong, and in which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Line in the file.
    pub line: u32,
    /// What.
    pub trouble: Trouble,
}

/// What came of a check.
#[derive(Debug)]
pub(super) struct Checked {
    /// What is wrong with the row.
    pub(super) troubles: Vec<Trouble>,
    /// Whether somebody on record stands in its way.
    pub(super) met: bool,
    /// The row as it lies aside.
    pub(super) bytes: Vec<u8>,
}

/// A row as it lies aside.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    line: u32,
    person: PersonDetails,
    record: Record,
}

/// A row, with what can be said about it without the records.
#[derive(Debug)]
pub(super) struct Prepared {
    kept: Kept,
    bytes: Vec<u8>,
    document: PersonHash,
    claims: Vec<Claim>,
    /// Rules that it breaks.
    troubles: Vec<Trouble>,
}

/// A row that has lain aside, about to become a record.
#[derive(Debug)]
pub(super) struct Staged {
    kept: Kept,
    document: PersonHash,
    claims: Vec<Claim>,
}

impl Row {
    /// Checks a row against the rules: on the caller's thread, so that the one that writes has less to do.
    ///
    /// # Errors
    /// Rows that cannot be encoded.
    pub(super) fn prepare(
        self,
        ctx: &Ctx,
        store: &Store,
        kind: Kind,
    ) -> Result<Prepared, AppError> {
        let Self { line, person, record } = self;
        let mut troubles: Vec<Trouble> =
            persons::findings(&person, ctx.today()).into_iter().map(Trouble::Rule).collect();
        troubles.extend(record.findings(ctx, kind).into_iter().map(Trouble::Rule));
        let document = store.document_hash(&person.document);
        let claims = Claim::of(store, &person, &record, document);
        let kept = Kept { line, person, record };
        let bytes = postcard::to_stdvec(&kept);
        let bytes = bytes.map_err(|_| AppError::Internal("a row cannot be encoded"))?;
        Ok(Prepared { kept, bytes, document, claims, troubles })
    }
}

impl Prepared {
    /// The document of the person whom the row is about.
    pub(super) const fn document(&self) -> PersonHash {
        self.document
    }

    /// Its line in the file.
    pub(super) const fn line(&self) -> u32 {
        self.kept.line
    }

    /// Looks whether an earlier row of the import is in the way, and whether what is on record is. The second only where
    /// no rule is broken: such a row is not a question about anybody.
    ///
    /// # Errors
    /// Rows that cannot be read or written.
    pub(super) fn check(self, unit: &mut Unit<'_>, import: [u8; 16]) -> Result<Checked, AppError> {
        let Self { kept, bytes, document, claims, mut troubles } = self;
        let on_record = match troubles.is_empty() {
            true => in_the_way(unit, &kept.person, &kept.record, document)?,
            false => None,
        };
        let met = on_record.is_some();
        troubles.extend(on_record);
        for claim in claims {
            troubles.extend(claim.make(unit, import, kept.line)?);
        }
        Ok(Checked { troubles, met, bytes })
    }
}

impl Record {
    fn findings(&self, ctx: &Ctx, kind: Kind) -> Vec<Finding> {
        let at = |rule, field: &'static str| vec![Finding { rule, field: field.into() }];
        match (self, kind) {
            (Self::Registration(details), Kind::Registration) => {
                let checked = details.check(ctx.county(), ctx.today());
                let field = crate::app::registrations::field;
                checked.err().map(|error| error.at(field(&error))).into_iter().collect()
            }
            (Self::Certificate(number, issued), Kind::Certificate) => {
                if number.county() != Some(ctx.county()) {
                    return at(Rule::NoSuchChoice, "certificate_number");
                }
                if *issued > ctx.today() {
                    return at(Rule::DateNotInFuture, "issued_on");
                }
                Vec::new()
            }
            (Self::OldCase(case), Kind::OldCase) => case.findings(ctx.county(), ctx.today()),
            // A row of another kind than its import.
            (_, Kind::Registration) => at(Rule::FieldRequired, "registration"),
            (_, Kind::Certificate) => at(Rule::FieldRequired, "certificate_number"),
            (_, Kind::OldCase) => at(Rule::FieldRequired, "old_case.number"),
        }
    }
}

/// What is on record and keeps a row from becoming one.
fn in_the_way(
    unit: &Unit<'_>,
    details: &PersonDetails,
    record: &Record,
    document: PersonHash,
) -> Result<Option<Trouble>, AppError> {
    let exists = |field| Some(Trouble::Reason(Reason::AlreadyExists, field));
    if let Record::Certificate(number, _) = record
        && unit.certificate(number)?.is_some()
    {
        return Ok(exists("certificate_number"));
    }
    if let Record::OldCase(case) = record
        && old_cases::is_known(unit, case)?
    {
        return Ok(Some(Trouble::Reason(old_cases::KNOWN.0, old_cases::KNOWN.1)));
    }
    let Some(subject) = unit.find_subject(document)? else { return Ok(None) };
    let Some(known) = unit.person(subject.person())? else { return Ok(None) };
    // Nothing merges by itself: a clerk looks at both.
    if known.details().name != details.name {
        return Ok(exists("person.name"));
    }
    if let Record::Registration(_) = record {
        let present = |other: &Registration| other.current().stay == Stay::Present;
        if unit.registrations_of(known.id())?.iter().any(present) {
            return Ok(exists("person.document.number"));
        }
    }
    Ok(None)
}

impl Staged {
    /// A row that lies aside, read on the caller's thread.
    ///
    /// # Errors
    /// Bytes that are no row.
    pub(super) fn decode(store: &Store, bytes: &[u8]) -> Result<Self, AppError> {
        let kept: Kept = postcard::from_bytes(bytes)
            .map_err(|_| AppError::Internal("a kept row cannot be read"))?;
        let document = store.document_hash(&kept.person.document);
        let claims = Claim::of(store, &kept.person, &kept.record, document);
        Ok(Self { kept, document, claims })
    }

    /// Takes what it says off the table of its import: from now on the record says it.
    pub(super) fn forget_claims(&self, unit: &mut Unit<'_>, import: [u8; 16]) {
        self.claims.iter().for_each(|claim| claim.forget(unit, import));
    }
}

/// Makes a row a record, with its entry in the access log. Says which line it was when something is in the way by now.
///
/// # Errors
/// Rows that cannot be read or written.
pub(super) fn write(
    ctx: &Ctx,
    unit: &mut Unit<'_>,
    Staged { kept, document, .. }: Staged,
) -> Result<Option<u32>, AppError> {
    let Kept { line, person, record } = kept;
    if in_the_way(unit, &person, &record, document)?.is_some() {
        return Ok(Some(line));
    }
    let why = Note::new(WHY).map_err(|_| AppError::Internal("a usual reason is no text"))?;
    let done = match record {
        Record::Registration(details) => {
            let id = RegistrationId::new(ctx.now, random());
            let arrival =
                Arrival { person, details, why: Some(why), idempotency_key: String::new() };
            arrive_in(ctx, unit, arrival, id).map(drop)
        }
        Record::Certificate(number, issued) => certificate(ctx, unit, person, number, issued, why),
        Record::OldCase(case) => old_cases::enter(ctx, unit, (person, case), (why, WHY)),
    };
    match done {
        Ok(()) => Ok(None),
        // What a rule forbids by now, and did not when it was checked, is left out and named.
        Err(AppError::Refused(_)) => Ok(Some(line)),
        Err(error) => Err(error),
    }
}

fn certificate(
    ctx: &Ctx,
    unit: &mut Unit<'_>,
    details: PersonDetails,
    number: CertificateNumber,
    issued: Date,
    why: Note,
) -> Result<(), AppError> {
    let entered = persons::enter(ctx, unit, details, Some(why.clone()), WHY)?;
    let Entered { subject, person, key } = entered;
    let facts = CertificateFacts::of(person.details());
    // It holds from the day it was issued; who took it in, and that it was, stands beside it.
    let author = Author { operator: ctx.caller.operator.clone(), at: issued.begins(), why };
    let certificate = Certificate::issue(number, person.id(), ctx.county(), facts, author);
    let certificate =
        certificate.map_err(|error| AppError::forbidden(&error, "certificate_number"))?;
    unit.keep_certificate(&subject, &certificate)?;
    // Numbers that are given from now on come after those that were taken in.
    let (year, serial) = (number.year(), u64::from(number.serial()));
    let last = unit.get(&CERTIFICATE_SERIAL, &year)?.unwrap_or_default();
    unit.put(&CERTIFICATE_SERIAL, &year, &last.max(serial))?;
    access::note(ctx, unit, Act::on(AccessAction::Create, CERTIFYING, key))
}
