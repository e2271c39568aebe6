//! Runs: reconciliations that were begun here, step by step, so that one that is cut off goes on where it was.

mod found;

pub use self::found::{Portion, compared, for_a_person, lost, lost_ones, missed, recount};

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::{Date, UnixMillis};
use exchange::reconcile::session::INCOMPLETE_MAX;
use store::reconcile::{DecidedRow, DifferenceRow, DifferenceState, RunLacksRow, RunRow, RunState};
use store::tables::{DIFFERENCE, RUN_LACKS, RUN_ROW};
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
    /// Whether it is to find what was lost, since a backup or from days that are closed, and to sign nothing.
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

/// A run after a restore, with what its other side had not been told.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The run.
    pub run: RunRow,
    /// Counties of the other side that had not reported everything, and since when; none while the run has not come to an
    /// end.
    pub lacks: Option<BTreeMap<AreaCode, Date>>,
}

/// Runs that were begun to find what was lost, since the restore at `since`.
///
/// # Errors
/// When rows cannot be read.
pub fn since_restore(store: &Store, since: UnixMillis) -> Result<Vec<Asked>, AppError> {
    let mut runs = Vec::new();
    for page in store.pages_back(&RUN_ROW, .., RUNS_AT_ONCE) {
        let rows = page?.into_iter();
        for (number, run) in rows.filter(|(_, row)| row.after_restore && row.started >= since) {
            let lacks = store.get(&RUN_LACKS, &number)?;
            let lacks = lacks.map(|row| row.counties.into_iter().collect());
            runs.push(Asked { run, lacks });
        }
    }
    Ok(runs)
}

/// Notes which counties of the other side had not reported everything when a run after a restore ended.
///
/// # Errors
/// When the row cannot be written.
pub async fn lacks(
    store: &Store,
    number: u64,
    incomplete: &[(AreaCode, Date)],
) -> Result<(), AppError> {
    let row = RunLacksRow { counties: incomplete.iter().take(INCOMPLETE_MAX).copied().collect() };
    let write = move |unit: &mut Unit<'_>| {
        unit.put(&RUN_LACKS, &number, &row)?;
        Ok::<_, AppError>(())
    };
    store.commit(write).await.map_err(AppError::from)
}

/// What was called lost is looked at anew: somebody who has it may be there again.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn reopen(store: &Store, number: u64, now: UnixMillis) -> Result<RunRow, AppError> {
    let lost = found::all(store, number, |row| row.state == DifferenceState::Lost)?.into_iter();
    let open = lost.map(|(id, row)| {
        let (state, ended) = (DifferenceState::Open, None);
        (id, DifferenceRow { state, ended, ..row })
    });
    found::write_rows(store, number, open.collect()).await?;
    change(store, number, now, |row| (row.state, row.lost) = (RunState::Running, 0)).await
}

/// The newest run with a side over these very days goes on, if there is one that a comparison of the whole time can be
/// added to: the schedule tries often, and every try of its own would write all differences anew. Gives its number.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn again(
    store: &Store,
    with: AreaCode,
    days: (Date, Date),
    now: UnixMillis,
) -> Result<Option<u64>, AppError> {
    // One that somebody began before the days were over is about other messages.
    let fits = |row: &RunRow| {
        row.is_about(with, days) && !row.after_restore && row.until >= row.last.ends()
    };
    let Some((number, row)) = newest_of(store, fits)? else { return Ok(None) };
    if row.state != RunState::Running {
        reopen(store, number, now).await?;
        // What was signed before is kept with its statement; from now on this try is what counts.
        change(store, number, now, |row| row.statement = None).await?;
    }
    Ok(Some(number))
}
