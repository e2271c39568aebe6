//! The only place that grants reading: who, on which basis, for which purpose, and in the log before the answer.

use domain::access::{AccessAction, AccessEntry, Permission, PersonKey};
use domain::id::MessageId;
use domain::purpose::{LawfulBasis, Purpose};
use domain::reason::Reason;
use store::access::{ACCESS_PAGE_MAX, AccessHead, AccessLogError};
use store::{Store, Unit};

use super::{AppError, Ctx, Refusal};

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

/// Logs what a unit writes or reads, in the same unit.
///
/// # Errors
/// When the log cannot be read or written.
pub fn note(ctx: &Ctx, unit: &mut Unit<'_>, act: Act) -> Result<(), AppError> {
    unit.append_access(entry(ctx, act))?;
    Ok(())
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
    let entry = entry(ctx, act);
    let logged = store.commit(move |unit| unit.append_access(entry).map_err(AppError::from));
    logged.await?;
    found.ok_or_else(|| Reason::NotFound.into())
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
