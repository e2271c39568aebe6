//! Runs: reconciliations that were begun here, step by step, so that one that is cut off goes on where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::{Date, UnixMillis};
use exchange::reconcile::difference::Difference;
use exchange::reconcile::session::Measured;
use exchange::reconcile::statement::count_names;
use store::reconcile::{DecidedRow, DifferenceRow, DifferenceState, RunRow, RunState};
use store::tables::{DIFFERENCE, RUN_ROW};
use store::{Store, Unit};

use super::decisions;
use crate::app::{AppError, page_size};

/// Rows of differences that are written in one unit, and read in one go.
const DIFFERENCES_AT_ONCE: usize = 1_000;
/// Runs that are read in one go.
const RUNS_AT_ONCE: usize = 500;

/// What a run is to be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The other side.
    pub with: AreaCode,
    /// First day.
    pub first: Date,
    /// Last day.
    pub last: Date,
    /// Messages made before this count.
    pub until: UnixMillis,
    /// Whether it is to find what was lost since a backup.
    pub after_restore: bool,
}

/// Writes that a run begins; gives its number. One with the same side over the same days that goes on is that one.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn begin(store: &Store, plan: Plan, now: UnixMillis) -> Result<u64, AppError> {
    let newest = store.scan_back(&RUN_ROW, .., 1)?.first().map_or(0, |(number, _)| *number);
    let goes_on = move |row: &RunRow| {
        row.state == RunState::Running && row.is_about(plan.with, (plan.first, plan.last))
    };
    let known = newest_of(store, goes_on)?.map(|(number, _)| number);
    let write = move |unit: &mut Unit<'_>| {
        let since = (Bound::Excluded(newest), Bound::Unbounded);
        // Begun while the store was looked through.
        let mut rows = unit.scan(&RUN_ROW, since, RUNS_AT_ONCE)?;
        let number = rows.last().map_or(newest, |(number, _)| *number).saturating_add(1);
        if let Some(number) = known {
            rows.extend(unit.get(&RUN_ROW, &number)?.map(|row| (number, row)));
        }
        if let Some((number, _)) = rows.iter().find(|(_, row)| goes_on(row)) {
            return Ok(*number);
        }
        unit.put(&RUN_ROW, &number, &fresh(plan, now))?;
        Ok::<_, AppError>(number)
    };
    store.commit(write).await.map_err(AppError::from)
}

fn fresh(plan: Plan, now: UnixMillis) -> RunRow {
    let Plan { with, first, last, until, after_restore } = plan;
    RunRow {
        with,
        first,
        last,
        until,
        after_restore,
        state: RunState::Running,
        started: now,
        touched: now,
        comparisons: 0,
        bytes: 0,
        entries: (0, 0),
        found: [0; 6],
        cured: [0; 6],
        trouble: String::new(),
        statement: None,
        lost: 0,
        window: None,
    }
}

/// A run.
///
/// # Errors
/// `NOT_FOUND`, or when the row cannot be read.
pub fn get(store: &Store, number: u64) -> Result<RunRow, AppError> {
    store.get(&RUN_ROW, &number)?.ok_or(Reason::NotFound.into())
}

/// Changes a run.
///
/// # Errors
/// `NOT_FOUND`, or when rows cannot be written.
pub async fn change(
    store: &Store,
    number: u64,
    now: UnixMillis,
    change: impl FnOnce(&mut RunRow) + Send + 'static,
) -> Result<RunRow, AppError> {
    let write = move |unit: &mut Unit<'_>| {
        let mut row = unit.get(&RUN_ROW, &number)?.ok_or(AppError::from(Reason::NotFound))?;
        change(&mut row);
        row.touched = now;
        unit.put(&RUN_ROW, &number, &row)?;
        Ok::<_, AppError>(row)
    };
    store.commit(write).await.map_err(AppError::from)
}

/// Runs, newest first, before a number.
///
/// # Errors
/// When rows cannot be read.
pub fn list(
    store: &Store,
    before: Option<u64>,
    size: usize,
) -> Result<Vec<(u64, RunRow)>, AppError> {
    let until = before.map_or(Bound::Unbounded, Bound::Excluded);
    Ok(store.scan_back(&RUN_ROW, (Bound::Unbounded, until), page_size(size))?)
}

/// The newest run with a side over these very days, however many others there were since.
///
/// # Errors
/// When rows cannot be read.
pub fn latest(
    store: &Store,
    with: AreaCode,
    days: (Date, Date),
) -> Result<Option<(u64, RunRow)>, AppError> {
    newest_of(store, |row| row.is_about(with, days))
}

fn newest_of(
    store: &Store,
    wanted: impl Fn(&RunRow) -> bool,
) -> Result<Option<(u64, RunRow)>, AppError> {
    for page in store.pages_back(&RUN_ROW, .., RUNS_AT_ONCE) {
        let found = page?.into_iter().find(|(_, row)| wanted(row));
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Days over which there ever was a run with a side.
///
/// # Errors
/// When rows cannot be read.
pub fn days_with(store: &Store, with: AreaCode) -> Result<BTreeSet<(Date, Date)>, AppError> {
    let mut days = BTreeSet::new();
    for page in store.pages_back(&RUN_ROW, .., RUNS_AT_ONCE) {
        let rows = page?.into_iter().filter(|(_, row)| row.with == with);
        days.extend(rows.map(|(_, row)| (row.first, row.last)));
    }
    Ok(days)
}

/// Numbers of the runs that go on.
///
/// # Errors
/// When rows cannot be read.
pub fn unfinished(store: &Store) -> Result<Vec<u64>, AppError> {
    let mut running = Vec::new();
    for page in store.pages_back(&RUN_ROW, .., RUNS_AT_ONCE) {
        let rows = page?.into_iter().filter(|(_, row)| row.state == RunState::Running);
        running.extend(rows.map(|(number, _)| number));
    }
    Ok(running)
}

/// The number under which it is kept what people have to decide, whoever's run has found it. No run has it.
pub const DECISIONS: u64 = 0;

/// A difference with what was decided about it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The difference.
    pub row: DifferenceRow,
    /// Who has decided about it, and why.
    pub decided: Option<DecidedRow>,
}

/// Differences of a run, by message, after one; only those that are open, if so asked.
///
/// # Errors
/// When rows cannot be read.
pub fn differences(
    store: &Store,
    number: u64,
    after: Option<MessageId>,
    (size, open_only): (usize, bool),
) -> Result<Vec<Found>, AppError> {
    let mut after = after.map(|id| (number, *id.as_bytes()));
    let mut found = Vec::new();
    while found.len() < size {
        let rows =
            store.scan_under(&DIFFERENCE, &(number,), after.as_ref(), DIFFERENCES_AT_ONCE)?;
        let Some((last, _)) = rows.last() else { break };
        after = Some(*last);
        for ((_, id), row) in rows {
            let shown = decisions::as_decided(store, id, row)?;
            if found.len() < size && (!open_only || shown.row.state == DifferenceState::Open) {
                found.push(shown);
            }
        }
    }
    Ok(found)
}

/// All differences of a run.
fn all(store: &Store, number: u64) -> Result<BTreeMap<MessageId, DifferenceRow>, AppError> {
    let mut all = BTreeMap::new();
    let of_run = (number, [0; 16])..=(number, [0xFF; 16]);
    for page in store.pages(&DIFFERENCE, of_run, DIFFERENCES_AT_ONCE) {
        all.extend(page?.into_iter().map(|((_, id), row)| (MessageId::from_bytes(id), row)));
    }
    Ok(all)
}

/// Takes up what a comparison has found: what is new is written, what is gone was cured. Gives the run as it is then.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn compared(
    store: &Store,
    number: u64,
    found: &[Difference],
    measured: Measured,
    now: UnixMillis,
) -> Result<RunRow, AppError> {
    let mut rows = all(store, number)?;
    let mut present = BTreeSet::new();
    let mut changed = Vec::new();
    for difference in found {
        let Some(id) = difference.id() else { continue };
        present.insert(id);
        let again = rows.get(&id).filter(|row| row.state != DifferenceState::Cured);
        // It keeps the name under which it was first seen, but for what a person has to see, or has not any more.
        let is_for_a_person = difference.name.is_for_a_person();
        let difference = difference.clone();
        match again {
            None => {
                let (state, found, ended) = (DifferenceState::Open, now, None);
                changed.push((id, DifferenceRow { difference, state, found, ended }));
            }
            Some(row) if row.difference.name.is_for_a_person() != is_for_a_person => {
                changed.push((id, DifferenceRow { difference, ..row.clone() }));
            }
            Some(_) => {}
        }
    }
    for (id, row) in &rows {
        if row.state == DifferenceState::Open && !present.contains(id) {
            let (state, ended) = (DifferenceState::Cured, Some(now));
            changed.push((*id, DifferenceRow { state, ended, ..row.clone() }));
        }
    }
    rows.extend(changed.iter().cloned());
    write_rows(store, number, changed).await?;
    let names = |cured: bool| {
        let rows = rows.values().filter(|row| !cured || row.state == DifferenceState::Cured);
        count_names(rows.map(|row| row.difference.name))
    };
    let (found, cured, lost) = (names(false), names(true), count_lost(&rows));
    change(store, number, now, move |row| {
        row.lost = lost;
        row.comparisons = row.comparisons.saturating_add(1);
        row.bytes = row.bytes.saturating_add(measured.bytes);
        row.entries = (measured.ours, measured.theirs);
        (row.found, row.cured) = (found, cured);
        row.trouble = String::new();
    })
    .await
}

fn count_lost(rows: &BTreeMap<MessageId, DifferenceRow>) -> u32 {
    let lost = rows.values().filter(|row| row.state == DifferenceState::Lost).count();
    u32::try_from(lost).unwrap_or(u32::MAX)
}

/// Takes up what a run after a restore misses, by what was told of it before: what it does not miss any more was cured. Gives
/// the run as it is then.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn missed(
    store: &Store,
    number: u64,
    missed: Vec<(Difference, DifferenceState)>,
    looked: u64,
    now: UnixMillis,
) -> Result<RunRow, AppError> {
    let mut rows = all(store, number)?;
    let mut changed = BTreeMap::new();
    for (difference, state) in missed {
        let Some(id) = difference.id() else { continue };
        let found = rows.get(&id).map_or(now, |row| row.found);
        let ended = (state == DifferenceState::Lost).then_some(now);
        changed.insert(id, DifferenceRow { difference, state, found, ended });
    }
    for (id, row) in &rows {
        if row.state != DifferenceState::Cured && !changed.contains_key(id) {
            let (state, ended) = (DifferenceState::Cured, Some(now));
            changed.insert(*id, DifferenceRow { state, ended, ..row.clone() });
        }
    }
    rows.extend(changed.clone());
    write_rows(store, number, changed.into_iter().collect()).await?;
    let names = |cured: bool| {
        let rows = rows.values().filter(|row| !cured || row.state == DifferenceState::Cured);
        count_names(rows.map(|row| row.difference.name))
    };
    let (found, cured, lost) = (names(false), names(true), count_lost(&rows));
    change(store, number, now, move |row| {
        (row.found, row.cured, row.lost) = (found, cured, lost);
        row.entries.1 = looked;
    })
    .await
}

/// Runs that were begun to find what was lost, since the restore at `since`.
///
/// # Errors
/// When rows cannot be read.
pub fn since_restore(store: &Store, since: UnixMillis) -> Result<Vec<RunRow>, AppError> {
    let mut runs = Vec::new();
    for page in store.pages_back(&RUN_ROW, .., RUNS_AT_ONCE) {
        let rows = page?.into_iter().map(|(_, row)| row);
        runs.extend(rows.filter(|row| row.after_restore && row.started >= since));
    }
    Ok(runs)
}

async fn write_rows(
    store: &Store,
    number: u64,
    rows: Vec<(MessageId, DifferenceRow)>,
) -> Result<(), AppError> {
    for part in rows.chunks(DIFFERENCES_AT_ONCE) {
        let part = part.to_vec();
        let write = move |unit: &mut Unit<'_>| {
            for (id, row) in &part {
                unit.put(&DIFFERENCE, &(number, *id.as_bytes()), row)?;
            }
            Ok::<_, AppError>(())
        };
        store.commit(write).await.map_err(AppError::from)?;
    }
    Ok(())
}

/// Messages about which a person has to decide, as a run has last found.
///
/// # Errors
/// When rows cannot be read.
pub fn for_a_person(store: &Store, number: u64) -> Result<BTreeSet<MessageId>, AppError> {
    let rows = all(store, number)?.into_iter();
    let theirs = rows.filter(|(_, row)| row.difference.name.is_for_a_person());
    Ok(theirs.map(|(id, _)| id).collect())
}

/// Notes messages that nobody can bring back.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn lost(
    store: &Store,
    number: u64,
    messages: &[MessageId],
    now: UnixMillis,
) -> Result<(), AppError> {
    let mut rows = Vec::new();
    for id in messages {
        let row = store.get(&DIFFERENCE, &(number, *id.as_bytes()))?;
        if let Some(row) = row.filter(|row| row.state == DifferenceState::Open) {
            let (state, ended) = (DifferenceState::Lost, Some(now));
            rows.push((*id, DifferenceRow { state, ended, ..row }));
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    write_rows(store, number, rows).await?;
    let lost = count_lost(&all(store, number)?);
    change(store, number, now, move |row| row.lost = lost).await.map(drop)
}

/// What was called lost is looked at anew: somebody who has it may be there again.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn reopen(store: &Store, number: u64, now: UnixMillis) -> Result<RunRow, AppError> {
    let rows = all(store, number)?.into_iter();
    let lost = rows.filter(|(_, row)| row.state == DifferenceState::Lost);
    let open = lost.map(|(id, row)| {
        let (state, ended) = (DifferenceState::Open, None);
        (id, DifferenceRow { state, ended, ..row })
    });
    write_rows(store, number, open.collect()).await?;
    change(store, number, now, |row| (row.state, row.lost) = (RunState::Running, 0)).await
}

/// Messages that a run has found to be lost.
///
/// # Errors
/// When rows cannot be read.
pub fn lost_ones(store: &Store, number: u64) -> Result<BTreeSet<MessageId>, AppError> {
    let rows = all(store, number)?.into_iter();
    let lost = rows.filter(|(_, row)| row.state == DifferenceState::Lost);
    Ok(lost.map(|(id, _)| id).collect())
}
