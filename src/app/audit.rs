//! Reading the access log, taking it out as a file that proves itself, and how much each operator reads.
//!
//! Looking at the log is in the log as well; it shows no record, so it is not counted against the limit on reads.

use domain::access::{AccessAction, AccessEntry, Permission, PersonKey, ReadLimits};
use domain::area::AreaCode;
use domain::id::OperatorName;
use domain::purpose::{LawfulBasis, Purpose};
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::keys::Signer;
use store::Store;
use store::access::{ACCESS_PAGE_MAX, AccessHead, access_hash};
use store::tables::{READ_LIMITS, READS};
use trust::crl::RevocationLists;

use super::access::{self, Act, Why};
use super::{AppError, Ctx, Refusal, page_size, reading};
use crate::access_file::{End, entry_line, first_line, last_line};

/// Entries that are looked at for one page before it is handed out short.
const SCAN_AT_MOST: u64 = 20_000;
/// Operators that are listed.
const OPERATORS_MAX: usize = 10_000;
/// Auditing is a duty of the office, toward the persons whose records these are.
const AUDITING: Why = Why { basis: LawfulBasis::StatutoryDuty, purpose: Purpose::PersonRights };

/// Which entries a list is to hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only about this person.
    pub person: Option<PersonKey>,
    /// Only of this operator.
    pub operator: Option<OperatorName>,
    /// Only this action.
    pub action: Option<AccessAction>,
    /// Only from then on.
    pub from: Option<UnixMillis>,
    /// Only before then.
    pub until: Option<UnixMillis>,
}

impl Filter {
    fn matches(&self, entry: &AccessEntry) -> bool {
        self.person.is_none_or(|person| entry.person == Some(person))
            && self.operator.as_ref().is_none_or(|operator| entry.operator == *operator)
            && self.action.is_none_or(|action| entry.action == action)
            && self.until.is_none_or(|until| entry.at < until)
    }
}

/// A page of the log, and where the next one begins.
#[derive(Debug)]
pub struct Page {
    /// The entries, newest first.
    pub entries: Vec<AccessEntry>,
    /// Number of the last entry looked at; none at the end.
    pub next: Option<u64>,
}

/// A page of the log, newest first.
///
/// # Errors
/// `ROLE_REQUIRED` for anybody but an auditor; entries that cannot be read.
pub async fn list(
    ctx: &Ctx,
    store: &Store,
    filter: Filter,
    size: usize,
    before: Option<u64>,
) -> Result<Page, AppError> {
    ctx.must(Permission::ReadAccessLog)?;
    let act =
        Act { action: AccessAction::Search, why: AUDITING, person: filter.person, message: None };
    let own = noted(ctx, store, act).await?;
    reading(store, move |store| page(store, &filter, page_size(size), before.unwrap_or(own))).await
}

/// Entries before number `until` that match, newest first.
fn page(store: &Store, filter: &Filter, size: usize, mut until: u64) -> Result<Page, AppError> {
    let last = until.saturating_sub(SCAN_AT_MOST);
    let mut page = Page { entries: Vec::new(), next: None };
    let step = u64::try_from(ACCESS_PAGE_MAX).unwrap_or(1);
    while until > last.max(1) {
        let after = until.saturating_sub(1).saturating_sub(step);
        let limit = usize::try_from(until.saturating_sub(1).saturating_sub(after)).unwrap_or(0);
        for entry in store.access_after(after, limit)?.into_iter().rev() {
            if page.entries.len() == size {
                page.next = Some(until);
                return Ok(page);
            }
            // The log is in the order of time: what is before it is older.
            if filter.from.is_some_and(|from| entry.at < from) {
                return Ok(page);
            }
            until = entry.number;
            if filter.matches(&entry) {
                page.entries.push(entry);
            }
        }
    }
    page.next = (until > 1).then_some(until);
    Ok(page)
}

/// Writes that the log is looked at, on disk before anything is shown; the number of that entry.
async fn noted(ctx: &Ctx, store: &Store, act: Act) -> Result<u64, AppError> {
    let entry = access::entry(ctx, act);
    let logged = store.commit(move |unit| unit.append_access(entry).map_err(AppError::from));
    logged.await.map_err(AppError::from)
}

/// The log as a file, from the entry after number `after` to the entry that says so itself.
#[derive(Debug)]
pub struct Export {
    area: AreaCode,
    signed: UnixMillis,
    after: AccessHead,
    head: AccessHead,
    until: u64,
}

/// Begins to take the log out.
///
/// # Errors
/// `ROLE_REQUIRED` for anybody but an auditor; `NOT_FOUND` when there is no entry `after`.
pub async fn export(ctx: &Ctx, store: &Store, after: u64) -> Result<Export, AppError> {
    ctx.must(Permission::ReadAccessLog)?;
    let act = Act { action: AccessAction::Export, why: AUDITING, person: None, message: None };
    let until = noted(ctx, store, act).await?;
    let after = match after.checked_sub(1) {
        None => AccessHead { number: 0, hash: [0; 32] },
        Some(before) => {
            let entry = store.access_after(before, 1)?.pop().filter(|_| after < until);
            let entry = entry.ok_or_else(|| Refusal::new(Reason::NotFound).field("after"))?;
            AccessHead { number: entry.number, hash: access_hash(&entry) }
        }
    };
    Ok(Export { area: ctx.county(), signed: ctx.now, after, head: after, until })
}

impl Export {
    /// The first line.
    #[must_use]
    pub fn first(&self) -> String {
        first_line(self.area, self.after)
    }

    /// Some more lines; none at the end. Reads the disk: not for a thread that must not block.
    ///
    /// # Errors
    /// Entries that cannot be read.
    pub fn more(&mut self, store: &Store) -> Result<Option<String>, AppError> {
        let left = self.until.saturating_sub(self.head.number);
        let limit = usize::try_from(left).unwrap_or(usize::MAX).min(ACCESS_PAGE_MAX);
        if limit == 0 {
            return Ok(None);
        }
        let entries = store.access_after(self.head.number, limit)?;
        let last = entries.last().ok_or(AppError::Internal("the access log has a gap"))?;
        self.head = AccessHead { number: last.number, hash: access_hash(last) };
        Ok(Some(entries.iter().map(entry_line).collect()))
    }

    /// The last line, signed.
    ///
    /// # Errors
    /// `SIGNING_UNAVAILABLE`.
    pub fn last(&self, signer: &dyn Signer, lists: &RevocationLists) -> Result<String, AppError> {
        let Self { area, after, head, signed, .. } = *self;
        let lists = lists.iter().map(|list| list.der().to_vec());
        last_line(&End { area, after, head, signed }, signer, lists)
            .map_err(|error| AppError::Signing(error.reason))
    }
}

/// How much one operator reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorReads {
    /// Who.
    pub operator: OperatorName,
    /// Records in the present hour.
    pub in_hour: u32,
    /// Records today.
    pub in_day: u32,
    /// Records on a usual day.
    pub usual: u32,
}

/// How much each operator reads, by name, and the limits in force.
///
/// # Errors
/// `ROLE_REQUIRED` for anybody but supervisors and auditors; rows that cannot be read.
pub fn reads(ctx: &Ctx, store: &Store) -> Result<(Vec<OperatorReads>, ReadLimits), AppError> {
    if !ctx.caller.may(Permission::ApproveBulk) {
        ctx.must(Permission::ReadAccessLog)?;
    }
    let limits = store.get(&READ_LIMITS, &())?.map(|row| row.limits).unwrap_or_default();
    let rows = store.scan(&READS, .., OPERATORS_MAX)?;
    let of = |row: store::oversight::ReadsRow| {
        let (in_hour, in_day) = row.reads.at(ctx.now);
        OperatorReads { operator: row.operator, in_hour, in_day, usual: row.reads.usual(&limits) }
    };
    let mut operators: Vec<_> = rows.into_iter().map(|(_, row)| of(row)).collect();
    operators.sort_by(|a, b| a.operator.as_str().cmp(b.operator.as_str()));
    Ok((operators, limits))
}
