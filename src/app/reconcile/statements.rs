//! Statements: what two sides have signed about a time, and which days that has closed.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeInclusive};

use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::{Date, UnixMillis};
use exchange::digest::Digest;
use exchange::reconcile::calls::{Signature, SignedStatement};
use exchange::reconcile::session::Incomplete;
use exchange::reconcile::set::Scope;
use exchange::reconcile::signing::{Keeping, keeping};
use exchange::reconcile::statement::Statement;
use store::messages::{Blob, PeerKey, peer_area, peer_key};
use store::reconcile::{ClosedRow, SignatureRow, StatementKey, StatementPartRow, StatementRow};
use store::tables::{CLOSED, STATEMENT, STATEMENT_PART};
use store::{Store, Unit};
use wire::reconcile::decode_statement;

use crate::app::{AppError, Refusal};

/// Statements that are read in one go.
const STATEMENTS_AT_ONCE: usize = 500;
/// Counties that are named where it is told who has not reported.
const COUNTIES_TOLD: usize = 8;
/// Statements that are named where the first digits of a digest are those of several.
const CANDIDATES_TOLD: usize = 8;
/// Bytes of a statement in one part.
const PART_BYTES: usize = 64 * 1024;

/// A statement that is kept here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What it says.
    pub statement: Statement,
    /// The signed bytes.
    pub bytes: Vec<u8>,
    /// Its row, with both signatures.
    pub row: StatementRow,
}

impl Kept {
    fn of(signed: SignedStatement, now: UnixMillis) -> Result<Self, AppError> {
        let signature = |signature: Signature| SignatureRow {
            signature: Blob(signature.signature),
            chain: signature.chain.into_iter().map(Blob).collect(),
        };
        let SignedStatement { statement: bytes, asker, answerer } = signed;
        let statement = read(&bytes)?;
        let counts = statement.totals.0.values();
        let row = StatementRow {
            digest: Digest::of(&bytes),
            scope: statement.scope,
            made: statement.made,
            messages: counts.fold(0, |all, counts| all.saturating_add(counts.total())),
            left: u32::try_from(statement.left_count()).unwrap_or(u32::MAX),
            closes: statement.closes(),
            asker: signature(asker),
            answerer: signature(answerer),
            kept: now,
        };
        Ok(Self { statement, bytes, row })
    }

    fn load(store: &Store, row: StatementRow) -> Result<Self, AppError> {
        let key = row.digest.into_bytes();
        let parts = store.scan(&STATEMENT_PART, (key, 0)..=(key, u32::MAX), usize::MAX)?;
        let bytes: Vec<u8> = parts.into_iter().flat_map(|(_, part)| part.bytes.0).collect();
        Ok(Self { statement: read(&bytes)?, bytes, row })
    }

    /// With both signatures.
    #[must_use]
    pub fn signed(&self) -> SignedStatement {
        let signature = |row: &SignatureRow| Signature {
            signature: row.signature.0.clone(),
            chain: row.chain.iter().map(|certificate| certificate.0.clone()).collect(),
        };
        SignedStatement {
            statement: self.bytes.clone(),
            asker: signature(&self.row.asker),
            answerer: signature(&self.row.answerer),
        }
    }
}

fn read(bytes: &[u8]) -> Result<Statement, AppError> {
    decode_statement(bytes).map_err(|_| AppError::Internal("a kept statement cannot be read"))
}

/// The other side of a statement, at the node of `own`.
pub(super) fn other(own: AreaCode, scope: &Scope) -> AreaCode {
    if scope.asker == own { scope.answerer } else { scope.asker }
}

fn day(date: Date) -> u32 {
    u32::try_from(date.epoch_days()).unwrap_or_default()
}

/// Keeps a statement that both have signed. Days are closed once: whatever is signed about the very days that a statement
/// has closed, that statement is what is given back, and nothing is written.
///
/// One that closes nothing takes the place of the one before it by the same sides about the same days, if that said nothing
/// else; one that said something else stays, as what both have signed.
///
/// # Errors
/// `STATE_FORBIDS` for one that would close some of the days that another has closed; when rows cannot be written.
pub async fn keep(
    store: &Store,
    own: AreaCode,
    signed: SignedStatement,
    now: UnixMillis,
) -> Result<Kept, AppError> {
    let fresh = Kept::of(signed, now)?;
    let with = peer_key(other(own, &fresh.row.scope));
    let (row, bytes) = (fresh.row.clone(), fresh.bytes.clone());
    let replaced = replaced(store, with, &fresh)?;
    let write = move |unit: &mut Unit<'_>| {
        let known = write(unit, with, &row, &bytes)?;
        if known.is_none() {
            replaced.map_or(Ok(()), |replaced| remove(unit, &replaced))?;
        }
        Ok::<_, AppError>(known)
    };
    let known = store.commit(write).await;
    match known.map_err(AppError::from)? {
        None => Ok(fresh),
        Some(row) => Kept::load(store, row),
    }
}

/// The statement before one that closes nothing, if it says nothing else.
fn replaced(store: &Store, with: PeerKey, fresh: &Kept) -> Result<Option<StatementKey>, AppError> {
    let Scope { asker, first, last, .. } = fresh.row.scope;
    let of_days = |made| (with, day(first), day(last), made);
    // What closes days is referred to for ever.
    if fresh.row.closes {
        return Ok(None);
    }
    let before = of_days(0)..of_days(fresh.row.made.get());
    for page in store.pages_back(&STATEMENT, before, STATEMENTS_AT_ONCE) {
        for (key, row) in page? {
            if row.scope.asker == asker && !row.closes {
                let is_same = says_no_more(&Kept::load(store, row)?.statement, &fresh.statement);
                return Ok(is_same.then_some(key));
            }
        }
    }
    Ok(None)
}

/// Whether a statement says nothing that a later one does not say as well.
fn says_no_more(earlier: &Statement, later: &Statement) -> bool {
    let has_all =
        |later: &[u32; 6], earlier: &[u32; 6]| later.iter().zip(earlier).all(|(l, e)| l >= e);
    let Statement { id, made, found, cured, .. } = *later;
    let scope = Scope { until: later.scope.until, ..earlier.scope };
    let at_that_time = Statement { id, scope, made, found, cured, ..earlier.clone() };
    at_that_time == *later && has_all(&found, &earlier.found) && has_all(&cured, &earlier.cured)
}

/// Removes one that closes nothing.
fn remove(unit: &mut Unit<'_>, key: &StatementKey) -> Result<(), AppError> {
    let Some(row) = unit.get(&STATEMENT, key)?.filter(|row| !row.closes) else { return Ok(()) };
    let digest = row.digest.into_bytes();
    let mut part = 0;
    while unit.get(&STATEMENT_PART, &(digest, part))?.is_some() {
        unit.delete(&STATEMENT_PART, &(digest, part));
        part += 1;
    }
    unit.delete(&STATEMENT, key);
    Ok(())
}

/// Writes it; or gives the statement that counts instead.
fn write(
    unit: &mut Unit<'_>,
    with: PeerKey,
    row: &StatementRow,
    bytes: &[u8],
) -> Result<Option<StatementRow>, AppError> {
    let Scope { first, last, .. } = row.scope;
    let rows = unit.scan(&CLOSED, may_have(with, &row.scope), 1)?;
    if let Some(closed) = has_day_of(rows, &row.scope) {
        match keeping(Some(closed.days()), &row.scope, row.closes) {
            Keeping::Closed => return Ok(unit.get(&STATEMENT, &closed.key)?),
            Keeping::Overlaps => return Err(closed.refusal()),
            Keeping::Fresh => {}
        }
    }
    let mut key = (with, day(first), day(last), row.made.get());
    while let Some(known) = unit.get(&STATEMENT, &key)? {
        if known.digest == row.digest {
            return Ok(Some(known));
        }
        key.3 = key.3.saturating_add(1);
    }
    let digest = row.digest.into_bytes();
    for (number, part) in (0..).zip(bytes.chunks(PART_BYTES)) {
        let part = StatementPartRow { bytes: Blob(part.to_vec()) };
        unit.put(&STATEMENT_PART, &(digest, number), &part)?;
    }
    unit.put(&STATEMENT, &key, row)?;
    if row.closes {
        let closed = ClosedRow { first, made: key.3, digest: row.digest };
        unit.put(&CLOSED, &(with, day(last)), &closed)?;
    }
    Ok(None)
}

/// Days that a statement has closed with another side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// First day.
    pub first: Date,
    /// Last day.
    pub last: Date,
    /// Digest of the statement.
    pub digest: Digest,
    key: StatementKey,
}

impl Closed {
    fn of(((with, end), row): ((PeerKey, u32), ClosedRow)) -> Option<Self> {
        let ClosedRow { first, made, digest } = row;
        let last = Date::from_epoch_days(i32::try_from(end).ok()?)?;
        Some(Self { first, last, digest, key: (with, day(first), end, made) })
    }

    /// First and last day.
    #[must_use]
    pub const fn days(&self) -> (Date, Date) {
        (self.first, self.last)
    }

    /// When the statement was made.
    #[must_use]
    pub const fn made(&self) -> UnixMillis {
        UnixMillis::new(self.key.3)
    }

    fn refusal(&self) -> AppError {
        let Self { first, last, digest, .. } = self;
        let detail = format!("{first} to {last} is closed by statement {digest}");
        Refusal::new(Reason::StateForbids).field("period").detail(detail).into()
    }
}

/// The rows of which the first is the only one that can have a day of a scope, since no two have one in common.
fn may_have(with: PeerKey, scope: &Scope) -> RangeInclusive<(PeerKey, u32)> {
    (with, day(scope.first))..=(with, u32::MAX)
}

fn has_day_of(rows: Vec<((PeerKey, u32), ClosedRow)>, scope: &Scope) -> Option<Closed> {
    let closed = rows.into_iter().next().and_then(Closed::of);
    closed.filter(|closed| closed.first <= scope.last)
}

/// What was closed last with each side.
///
/// # Errors
/// When rows cannot be read.
pub fn last_closed(store: &Store) -> Result<BTreeMap<AreaCode, Closed>, AppError> {
    let (mut all, mut below) = (BTreeMap::new(), Bound::Unbounded);
    while let Some(row) = store.scan_back(&CLOSED, (Bound::Unbounded, below), 1)?.pop() {
        let with = row.0.0;
        below = Bound::Excluded((with, 0));
        all.extend(peer_area(&with).zip(Closed::of(row)));
    }
    Ok(all)
}

/// What was closed with a side, the last days first.
///
/// # Errors
/// When rows cannot be read.
pub fn closed_with(store: &Store, with: AreaCode, most: usize) -> Result<Vec<Closed>, AppError> {
    let with = peer_key(with);
    let rows = store.scan_back(&CLOSED, (with, 0)..=(with, u32::MAX), most)?;
    Ok(rows.into_iter().filter_map(Closed::of).collect())
}

/// The statement that has closed the very days of a scope.
///
/// # Errors
/// When rows cannot be read.
pub fn closing(store: &Store, own: AreaCode, scope: &Scope) -> Result<Option<Kept>, AppError> {
    let rows = store.scan(&CLOSED, may_have(peer_key(other(own, scope)), scope), 1)?;
    let closed = has_day_of(rows, scope);
    let same = closed.filter(|closed| closed.days() == (scope.first, scope.last));
    let row = same.map(|closed| store.get(&STATEMENT, &closed.key)).transpose()?.flatten();
    row.map(|row| Kept::load(store, row)).transpose()
}

/// Whether a day of a scope was closed by a statement: then what has changed since goes into the next one.
///
/// # Errors
/// `STATE_FORBIDS` names the statement; or when rows cannot be read.
pub fn must_be_open(store: &Store, own: AreaCode, scope: &Scope) -> Result<(), AppError> {
    let rows = store.scan(&CLOSED, may_have(peer_key(other(own, scope)), scope), 1)?;
    has_day_of(rows, scope).map_or(Ok(()), |closed| Err(closed.refusal()))
}

/// Who has not reported everything, in words for people; empty for nobody.
#[must_use]
pub fn not_reported(incomplete: &[Incomplete]) -> String {
    let mut counties: Vec<_> = incomplete.iter().map(|(county, _)| county.to_string()).collect();
    let more = counties.len().saturating_sub(COUNTIES_TOLD);
    counties.truncate(COUNTIES_TOLD);
    match (counties.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => format!("not everything is reported by {}", counties.join(", ")),
        (false, _) => {
            format!("not everything is reported by {} and {more} more", counties.join(", "))
        }
    }
}

/// Statements, with one other side or with all, by side and days, after the one with this key; with their keys.
///
/// # Errors
/// When rows cannot be read.
pub fn list(
    store: &Store,
    with: Option<AreaCode>,
    after: Option<StatementKey>,
    size: usize,
) -> Result<Vec<(StatementKey, StatementRow)>, AppError> {
    let (first, last) = range(with);
    let first = after.map_or(Bound::Included(first), |after| Bound::Excluded(after.max(first)));
    Ok(store.scan(&STATEMENT, (first, Bound::Included(last)), size)?)
}

fn range(with: Option<AreaCode>) -> (StatementKey, StatementKey) {
    let (low, high) = with.map_or(([0; 6], [u8::MAX; 6]), |with| (peer_key(with), peer_key(with)));
    ((low, 0, 0, 0), (high, u32::MAX, u32::MAX, u64::MAX))
}

/// The newest statement with a side, or the one whose digest begins with these hexadecimal digits.
///
/// # Errors
/// `NOT_FOUND`, `INVALID_FIELD` when several begin so, which it names; or when rows cannot be read.
pub fn find(store: &Store, with: Option<AreaCode>, digest: &str) -> Result<Kept, AppError> {
    let (first, last) = range(with);
    let mut newest: Option<StatementRow> = None;
    let mut several = Vec::new();
    for page in store.pages(&STATEMENT, first..=last, STATEMENTS_AT_ONCE) {
        let fits = |row: &StatementRow| row.digest.to_string().starts_with(digest);
        for row in page?.into_iter().map(|(_, row)| row).filter(fits) {
            if !digest.is_empty() && several.len() < CANDIDATES_TOLD {
                several.push(format!("{} ({} – {})", row.digest, row.scope.first, row.scope.last));
            }
            // When it was kept is by our own clock.
            newest = newest.into_iter().chain([row]).max_by_key(|row| (row.kept, row.made));
        }
    }
    if several.len() > 1 {
        let detail = format!("several begin so: {}", several.join(", "));
        return Err(Refusal::new(Reason::InvalidField).field("digest").detail(detail).into());
    }
    Kept::load(store, newest.ok_or(Reason::NotFound)?)
}

/// Statements that have closed days with a side, the last days first; at most so many.
///
/// # Errors
/// When rows cannot be read.
pub fn that_closed(store: &Store, with: AreaCode, most: usize) -> Result<Vec<Kept>, AppError> {
    let mut all = Vec::new();
    for known in closed_with(store, with, most)? {
        let row = store.get(&STATEMENT, &known.key)?;
        let gone = AppError::Internal("a statement that has closed days is not there");
        all.push(Kept::load(store, row.ok_or(gone)?)?);
    }
    Ok(all)
}
