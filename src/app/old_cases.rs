//! Old cases: taken in by an import, and looked up with a purpose, one person at a time.

use domain::access::{AccessAction, Permission};
use domain::id::MessageId;
use domain::old_case::OldCase;
use domain::person::{IdentityDocument, PersonDetails};
use domain::purpose::{LawfulBasis, Purpose};
use domain::reason::Reason;
use domain::text::Note;
use store::access::person_key;
use store::old_cases::OldCaseRow;
use store::tables::{OLD_CASE, OLD_CASE_NUMBER};
use store::{Kept, Store, Unit};

use super::access::{self, Act, Why};
use super::persons::{self, Entered};
use super::{AppError, Ctx};
use crate::time::random;

/// Old cases of one person that are shown.
const CASES_MAX: usize = 500;
/// Says what is hashed.
const CONTEXT: &[u8] = b"old case\0";
/// What was answered before is taken over as a duty of the office.
const TAKING_OVER: Why = Why { basis: LawfulBasis::StatutoryDuty, purpose: Purpose::Verification };

/// What makes an old case that one: the other county and its number. To be hashed; it may tell whose case it is.
pub(super) fn name(case: &OldCase) -> Vec<u8> {
    let other = case.other.county().to_string();
    let number = case.number.expose(&TAKING_OVER.purpose);
    [CONTEXT, other.as_bytes(), b"\0", number.as_bytes()].concat()
}

/// The key of an old case's number.
fn number(unit: &Unit<'_>, case: &OldCase) -> [u8; 16] {
    unit.content_hash(&name(case))
}

/// Whether a case of that number with that county is here already.
pub(super) fn is_known(unit: &Unit<'_>, case: &OldCase) -> Result<bool, AppError> {
    Ok(unit.contains(&OLD_CASE_NUMBER, &number(unit, case))?)
}

/// Takes a case in, in the unit of an import.
pub(super) fn enter(
    ctx: &Ctx,
    unit: &mut Unit<'_>,
    (person, case): (PersonDetails, OldCase),
    (why, usual): (Note, &'static str),
) -> Result<(), AppError> {
    let entered = persons::enter(ctx, unit, person, Some(why.clone()), usual)?;
    let Entered { subject, person, key } = entered;
    let number = number(unit, &case);
    unit.put(&OLD_CASE_NUMBER, &number, &())?;
    let id = *MessageId::new(ctx.now, random()).as_bytes();
    let row = OldCaseRow { case, author: ctx.author(Some(why), usual)? };
    unit.put_personal(&OLD_CASE, &subject, &(person.id(), id), &row)?;
    access::note(ctx, unit, Act::on(AccessAction::Create, TAKING_OVER, key))
}

/// The old cases of a person, oldest first.
///
/// # Errors
/// `ROLE_REQUIRED`; `NOT_FOUND` when she is not on record.
pub async fn list(
    ctx: &Ctx,
    store: &Store,
    document: &IdentityDocument,
    why: Why,
) -> Result<Vec<OldCaseRow>, AppError> {
    access::read(ctx, store, Permission::ReadPerson, || {
        let hash = store.document_hash(document);
        let act = Act::on(AccessAction::Search, why, person_key(hash));
        let Some(subject) = store.find_subject(hash)? else { return Ok((act, None)) };
        let person = subject.person();
        let range = (person, [0; 16])..=(person, [0xFF; 16]);
        let rows = store.scan_personal(&OLD_CASE, range, CASES_MAX)?;
        let mut rows: Vec<OldCaseRow> =
            rows.into_iter().filter_map(|(_, kept)| Kept::value(kept)).collect();
        rows.sort_by_key(|row| row.case.opened_on);
        Ok((act, Some(rows)))
    })
    .await
}

/// Why a number cannot be taken in once more.
pub(super) const KNOWN: (Reason, &str) = (Reason::AlreadyExists, "old_case.number");
