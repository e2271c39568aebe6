//! The only place that grants reading: who, on which basis, for which purpose, and in the log before the answer.

mod follow;

pub use follow::{Followed, OFFICE_WORK, follow, forget, taken_out};

use domain::access::{
    AccessAction, AccessEntry, Permission, PersonKey, ReadLimits, TooManyReads, Unusual,
};
use domain::id::MessageId;
use domain::message::Content;
use domain::purpose::{LawfulBasis, Purpose};
use domain::reason::Reason;
use store::access::{ACCESS_PAGE_MAX, AccessHead, AccessLogError, person_key};
use store::letters::NoticeKind;
use store::oversight::{ReadLimitsRow, ReadsRow, operator_key};
use store::tables::{READ_LIMITS, READS};
use store::{Store, Unit};

use super::cases::opening;
use super::{AppError, Ctx, Refusal, notices};

/// Why a record about a person is read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Why {
    /// Lawful basis.
    pub basis: LawfulBasis,
    /// Purpose.
    pub purpose: Purpose,
}

/// Registering that a person lives here is a duty of the office.
pub const REGISTERING: Why =
    Why { basis: LawfulBasis::StatutoryDuty, purpose: Purpose::ResidenceRegistration };
/// Certificates are issued, renewed, replaced and checked at the person's application.
pub const CERTIFYING: Why =
    Why { basis: LawfulBasis::OwnApplication, purpose: Purpose::Certificate };
/// Revoking a certificate is a duty of the office, never the person's application.
pub const REVOKING: Why = Why { basis: LawfulBasis::StatutoryDuty, purpose: Purpose::Certificate };
/// Consents and requests are noted because the person says so.
pub const NOTING: Why = Why { basis: LawfulBasis::OwnApplication, purpose: Purpose::PersonRights };

/// What is done with a record, for the log.
#[derive(Clone, Copy, Debug)]
pub struct Act {
    /// What.
    pub action: AccessAction,
    /// Why.
    pub why: Why,
    /// Whose record.
    pub person: Option<PersonKey>,
    /// Which message, if it is about one.
    pub message: Option<MessageId>,
}

impl Act {
    /// Something done with the records of one person.
    #[must_use]
    pub fn on(action: AccessAction, why: Why, person: PersonKey) -> Self {
        Self { action, why, person: Some(person), message: None }
    }
}

impl Act {
    /// Something done with a message, on the ground that it rests on itself, and with the person whom it, or its case, is
    /// about.
    ///
    /// # Errors
    /// When rows cannot be read.
    pub fn with(action: AccessAction, store: &Store, content: &Content) -> Result<Self, AppError> {
        let about = opening::about(store, content)?;
        let person = about.map(|about| person_key(store.document_hash(&about.document)));
        let why = Why { basis: content.basis, purpose: content.purpose };
        Ok(Self { action, why, person, message: None })
    }
}

impl Why {
    /// What a caller stated, or why it is no reason to look at a person.
    ///
    /// # Errors
    /// `BASIS_REQUIRED` or `PURPOSE_REQUIRED` when none was stated, or one between offices that is about no person.
    pub fn stated(basis: Option<LawfulBasis>, purpose: Option<Purpose>) -> Result<Self, AppError> {
        let basis = basis.filter(|basis| *basis != LawfulBasis::OfficeAgreement);
        let purpose = purpose.filter(|purpose| *purpose != Purpose::OfficeAgreement);
        let refuse = |reason, field| AppError::from(Refusal::new(reason).field(field));
        Ok(Self {
            basis: basis.ok_or_else(|| refuse(Reason::BasisRequired, "access.basis"))?,
            purpose: purpose.ok_or_else(|| refuse(Reason::PurposeRequired, "access.purpose"))?,
        })
    }
}

/// An entry for [`Unit::append_access`], which gives it its place in the chain.
#[must_use]
pub fn entry(ctx: &Ctx, act: Act) -> AccessEntry {
    AccessEntry {
        number: 0,
        previous: [0; 32],
        at: ctx.now,
        operator: ctx.caller.operator.clone(),
        area: ctx.caller.area,
        role: ctx.caller.role,
        action: act.action,
        purpose: act.why.purpose,
        basis: act.why.basis,
        person: act.person,
        message: act.message,
    }
}

/// Logs what a unit writes or reads, in the same unit. A read is counted as well: against the limit of the operator,
/// and for the alarm when it is unusual.
///
/// # Errors
/// `READS_TOO_MANY` with the time from which she may read again; when the log cannot be read or written.
pub fn note(ctx: &Ctx, unit: &mut Unit<'_>, act: Act) -> Result<(), AppError> {
    if act.action.is_read() {
        count(ctx, unit)?;
    }
    unit.append_access(entry(ctx, act))?;
    Ok(())
}

fn count(ctx: &Ctx, unit: &mut Unit<'_>) -> Result<(), AppError> {
    let operator = ctx.caller.operator.clone();
    let key = operator_key(&operator);
    let limits = limits(unit.get(&READ_LIMITS, &())?);
    let mut reads = unit.get(&READS, &key)?.map(|row| row.reads).unwrap_or_default();
    let unusual = reads.count(ctx.now, &limits).map_err(too_many)?;
    unit.put(&READS, &key, &ReadsRow { operator, reads })?;
    if let Some(Unusual { today, usual }) = unusual {
        notices::raise(unit, ctx.now, NoticeKind::UnusualReads { today, usual }, &[])?;
    }
    Ok(())
}

fn limits(row: Option<ReadLimitsRow>) -> ReadLimits {
    row.map(|row| row.limits).unwrap_or_default()
}

/// The refusal names the time, in China, from which it can go on.
fn too_many(refused: TooManyReads) -> AppError {
    let at = refused.until;
    let minutes = at.since(at.date().begins()).as_secs() / 60;
    let (day, hour, minute) = (at.date(), minutes / 60, minutes % 60);
    let detail = format!("from {day} {hour:02}:{minute:02} +08:00");
    Refusal::new(Reason::ReadsTooMany).detail(detail).into()
}

/// Puts the limits of the configuration in force.
///
/// # Errors
/// When the row cannot be written.
pub async fn set_limits(store: &Store, limits: ReadLimits) -> Result<(), AppError> {
    let row = ReadLimitsRow { limits };
    let written =
        store.commit(move |unit| unit.put(&READ_LIMITS, &(), &row).map_err(AppError::from));
    written.await.map_err(AppError::from)
}

/// Reads about a person: checks the role, reads, logs, waits until the log entry is on disk, and only then
/// hands out what was read. A look-up that finds nothing is logged as well.
///
/// `read` runs outside the writer and says, besides what it found, what stands in the log.
///
/// # Errors
/// `ROLE_REQUIRED`; whatever `read` says; a store that cannot log shows nothing.
pub async fn read<T>(
    ctx: &Ctx,
    store: &Store,
    permission: Permission,
    read: impl FnOnce() -> Result<(Act, Option<T>), AppError>,
) -> Result<T, AppError> {
    ctx.must(permission)?;
    let (act, found) = read()?;
    let caller = ctx.clone();
    let logged = store.commit(move |unit| note(&caller, unit, act));
    logged.await?;
    found.ok_or_else(|| Reason::NotFound.into())
}

/// Hands on what a call came to. A refusal that tells who is on record, or in which state, is in the log first, and counted,
/// as the search that it amounts to: what the refusing unit had written is gone.
///
/// # Errors
/// What the call came to; `READS_TOO_MANY` in place of a refusal that would tell something to whoever has asked too much.
pub async fn told<T>(
    ctx: &Ctx,
    store: &Store,
    (why, person): (Why, Option<PersonKey>),
    done: Result<T, AppError>,
) -> Result<T, AppError> {
    let tells = matches!(&done, Err(AppError::Refused(refusal)) if tells(refusal.reason));
    if tells {
        let (caller, action) = (ctx.clone(), AccessAction::Search);
        let act = Act { action, why, person, message: None };
        store.commit(move |unit| note(&caller, unit, act)).await.map_err(AppError::from)?;
    }
    done
}

/// Whether a refusal says something of what is on record, and not only of what was asked.
const fn tells(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::AlreadyExists
            | Reason::NotFound
            | Reason::StateForbids
            | Reason::ErasureHeld
            | Reason::NamesPerson
            | Reason::StaleVersion
            | Reason::ResidenceHidden
            | Reason::AlreadyAnswered
            | Reason::ConsentWithdrawn
    )
}

/// A page of the access log after entry `after`, oldest first, at most `limit` entries; 0 for as many as a page has.
///
/// # Errors
/// `ROLE_REQUIRED` for anybody but an auditor.
pub fn log(
    ctx: &Ctx,
    store: &Store,
    after: u64,
    limit: usize,
) -> Result<Vec<AccessEntry>, AppError> {
    ctx.must(Permission::ReadAccessLog)?;
    let limit = if limit == 0 { ACCESS_PAGE_MAX } else { limit };
    Ok(store.access_after(after, limit)?)
}

/// Follows the chain of the whole log and says where it ends. Reads all of it: not for a thread that must not block.
///
/// # Errors
/// `ROLE_REQUIRED` for anybody but an auditor; `INTERNAL` with the place where the chain breaks.
pub fn check_log(ctx: &Ctx, store: &Store) -> Result<AccessHead, AppError> {
    ctx.must(Permission::ReadAccessLog)?;
    store.check_access().map_err(|error| match error {
        AccessLogError::Store(error) => error.into(),
        AccessLogError::Broken(place) => Refusal::new(Reason::Internal).detail(place).into(),
    })
}
