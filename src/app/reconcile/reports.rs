//! Reports: a county's book on its way to the node above, which keeps it and knows which days are complete.

use std::collections::BTreeMap;

use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::ledger::{Direction, LedgerHead, SeenHead};
use exchange::reconcile::Entry;
use exchange::reconcile::calls::{RECORDS_AT_ONCE, ReportPart};
use exchange::reconcile::session::{INCOMPLETE_MAX, Incomplete};
use exchange::reconcile::set::Scope;
use exchange::reconcile::told::read_record;
use store::messages::{peer_area, peer_key};
use store::reconcile::{BookKey, ReportedRow, month_key};
use store::tables::{BOOK, FORMER, REPORTED, RESTORED};
use store::{Store, Unit};

use super::books;
use crate::app::ledger::growth;
use crate::app::{AppError, Refusal};

/// Counties below one node that are looked at.
const COUNTIES_MAX: usize = 10_000;
/// Incarnations of one county whose books are kept: of the present data, of those that are being told, and of eight before.
const INCARNATIONS_MAX: usize = 10;
/// Records of one county that are kept, of all its incarnations: some 2.5 GB.
const RECORDS_MAX: u64 = 40_000_000;

/// Takes a part of a county's book; gives how far each of its books reaches now. What is there already is passed over, what
/// does not follow is not taken.
///
/// # Errors
/// `MALFORMED` when a record is none of that county and month, `TOO_LARGE` for more than is kept of one county; when rows
/// cannot be read or written.
pub async fn take(
    store: &Store,
    county: AreaCode,
    part: ReportPart,
    now: UnixMillis,
) -> Result<Vec<(u32, u64)>, AppError> {
    let incarnation = part.incarnation;
    for bytes in &part.records {
        check(county, part.month, bytes)?;
    }
    if !part.records.is_empty() {
        make_room(store, county, (incarnation, part.records.len()), RECORDS_MAX).await?;
    }
    let write = move |unit: &mut Unit<'_>| {
        let key: BookKey = (peer_key(county), part.month, part.incarnation);
        let next = if part.records.is_empty() { 0 } else { unit.next_position(&BOOK, &key)? };
        for (at, record) in (part.position..).zip(&part.records) {
            if at == unit.next_position(&BOOK, &key)? && at >= next {
                unit.append(&BOOK, &key, record)?;
            }
        }
        if let Some(through) = part.through {
            let ReportPart { incarnation, head, .. } = part;
            // What is to come nobody has reported: its clock is ahead.
            let through = through.min(now);
            let row = ReportedRow { incarnation, head, through, received: now };
            let before = unit.get(&REPORTED, &peer_key(county))?;
            // What the lost data had told stays: by it the county learns what is lost.
            if let Some(before) = before.filter(|before| before.incarnation != incarnation) {
                unit.put(&FORMER, &(peer_key(county), before.incarnation), &before)?;
            }
            unit.put(&REPORTED, &peer_key(county), &row)?;
            growth::reported(unit, county, SeenHead { head, signed: now })?;
        }
        Ok::<_, AppError>(())
    };
    store.commit(write).await.map_err(AppError::from)?;
    Ok(books::positions(store, county, incarnation)?.into_iter().collect())
}

/// Sees to it that there is room for so many more records of an incarnation of a county's data: where there is none, the
/// books of the oldest data go that newer ones follow which were told to the end. By then the county could ask for them.
pub(in crate::app) async fn make_room(
    store: &Store,
    county: AreaCode,
    (incarnation, more): (u32, usize),
    most: u64,
) -> Result<(), AppError> {
    let present = store.get(&REPORTED, &peer_key(county))?.map(|row| row.incarnation);
    let mut kept = kept_of(store, county)?;
    let more = u64::try_from(more).unwrap_or(u64::MAX);
    kept.entry(incarnation).or_default();
    loop {
        let all = kept.values().copied().fold(more, u64::saturating_add);
        if kept.len() <= INCARNATIONS_MAX && all <= most {
            return Ok(());
        }
        let oldest = kept
            .keys()
            .copied()
            .find(|of| *of != incarnation && present.is_some_and(|present| *of < present));
        let Some(oldest) = oldest else {
            return Err(Refusal::new(Reason::TooLarge).field("report.records").into());
        };
        tracing::warn!(%county, incarnation = oldest, "what the oldest lost data of a county had told is let go");
        forget(store, county, oldest).await?;
        kept.remove(&oldest);
    }
}

/// How many records are kept of each incarnation of a county's data.
pub(in crate::app) fn kept_of(
    store: &Store,
    county: AreaCode,
) -> Result<BTreeMap<u32, u64>, AppError> {
    let mut kept: BTreeMap<u32, u64> = BTreeMap::new();
    for key in store.journals_under(&BOOK, &(peer_key(county),), usize::MAX)? {
        let count = kept.entry(key.2).or_default();
        *count = count.saturating_add(store.last(&BOOK, &key)?.unwrap_or_default());
    }
    Ok(kept)
}

/// Removes the books of an incarnation, a month at a time.
async fn forget(store: &Store, county: AreaCode, incarnation: u32) -> Result<(), AppError> {
    let keys = store.journals_under(&BOOK, &(peer_key(county),), usize::MAX)?;
    for key in keys.into_iter().filter(|key| key.2 == incarnation) {
        let write = move |unit: &mut Unit<'_>| {
            unit.remove_journal(&BOOK, &key)?;
            Ok::<_, AppError>(())
        };
        store.commit(write).await.map_err(AppError::from)?;
    }
    let write = move |unit: &mut Unit<'_>| {
        unit.delete(&FORMER, &(peer_key(county), incarnation));
        Ok::<_, AppError>(())
    };
    store.commit(write).await.map_err(AppError::from)
}

/// A county speaks for its own side of its own messages only.
fn check(county: AreaCode, month: u32, bytes: &[u8]) -> Result<(), AppError> {
    let wrong = || AppError::from(Refusal::new(Reason::Malformed).field("report.records"));
    let (direction, entry) = read_record(bytes).ok_or_else(wrong)?;
    let fits = is_of(county, direction, &entry) && month_key(entry.day().month()) == month;
    fits.then_some(()).ok_or_else(wrong)
}

/// Whether a record is of that county's own side.
pub(super) fn is_of(county: AreaCode, direction: Direction, entry: &Entry) -> bool {
    let its = match direction {
        Direction::Sent => entry.from,
        Direction::Received => entry.to,
    };
    its == county
}

/// The next part of our own book for a callee that stands at `theirs` of each month.
///
/// # Errors
/// When rows cannot be read.
pub fn next_part(
    store: &Store,
    own: AreaCode,
    theirs: &[(u32, u64)],
) -> Result<Option<ReportPart>, AppError> {
    for (month, last) in books::positions(store, own, 0)? {
        let known = theirs.iter().find(|(of, _)| *of == month).map_or(0, |(_, at)| *at);
        if known >= last {
            continue;
        }
        let position = known.saturating_add(1);
        let key: BookKey = (peer_key(own), month, 0);
        let records = store.read_from(&BOOK, &key, position, RECORDS_AT_ONCE, usize::MAX)?;
        let records = records.into_iter().map(|(_, record)| record).collect();
        let mut part = mark(store, None)?;
        (part.month, part.position, part.records) = (month, position, records);
        return Ok(Some(part));
    }
    Ok(None)
}

/// A part without records: a question, or, with a time, the word that everything before it was told.
///
/// # Errors
/// When rows cannot be read.
pub fn mark(store: &Store, through: Option<UnixMillis>) -> Result<ReportPart, AppError> {
    let incarnation = incarnation(store)?;
    let head = store.ledger_head();
    let head = LedgerHead { size: head.size, root: head.root };
    Ok(ReportPart { incarnation, month: 0, position: 0, records: Vec::new(), through, head })
}

/// When a county has last reported to the end.
///
/// # Errors
/// When the row cannot be read.
pub fn told_at(store: &Store, county: AreaCode) -> Result<Option<UnixMillis>, AppError> {
    Ok(store.get(&REPORTED, &peer_key(county))?.map(|row| row.received))
}

/// Which incarnation of our data it is, for the node above: another one after every restore, also when the same backup is
/// restored twice.
///
/// # Errors
/// When the row cannot be read.
pub fn incarnation(store: &Store) -> Result<u32, AppError> {
    let Some(row) = store.get(&RESTORED, &())? else { return Ok(1) };
    let restored = row.origin.map_or(0, |origin| origin.restored.get() / 1_000);
    Ok(u32::try_from(restored).unwrap_or(u32::MAX).saturating_add(row.incarnation))
}

/// Counties below a node of which not everything of the scope was reported, by their codes, each with the first day of which
/// that is so. With each county comes when its service has ended, if it has: there is nothing to report from then on. A node
/// has its own book whole.
///
/// # Errors
/// When rows cannot be read.
pub fn incomplete(
    store: &Store,
    own: AreaCode,
    counties: impl IntoIterator<Item = (AreaCode, Option<UnixMillis>)>,
    scope: &Scope,
) -> Result<Vec<Incomplete>, AppError> {
    let mut lacking = BTreeMap::new();
    for (county, ended) in counties {
        if ended.is_some_and(|ended| ended <= scope.first.begins()) {
            continue;
        }
        let wanted = scope.last.ends().min(scope.until);
        let wanted = ended.map_or(wanted, |ended| wanted.min(ended));
        // In a comparison with its own province a county speaks for itself.
        let is_ours = own.contains(&county) && scope.stands_for(own, county);
        if county == own || !is_ours {
            continue;
        }
        let through = store.get(&REPORTED, &peer_key(county))?.map(|row| row.through);
        if through.is_none_or(|through| through < wanted) {
            let since = through.map_or(scope.first, UnixMillis::date).max(scope.first);
            lacking.insert(county, since);
        }
    }
    Ok(lacking.into_iter().take(INCOMPLETE_MAX).collect())
}

/// Counties that have ever reported.
///
/// # Errors
/// When rows cannot be read.
pub fn counties(store: &Store) -> Result<Vec<(AreaCode, ReportedRow)>, AppError> {
    let rows = store.scan(&REPORTED, .., COUNTIES_MAX)?;
    Ok(rows.into_iter().filter_map(|(key, row)| Some((peer_area(&key)?, row))).collect())
}
