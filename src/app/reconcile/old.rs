//! Runs that are over for a year: they are removed, with the differences that they found.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::area::AreaCode;
use domain::time::{Date, UnixMillis};
use store::reconcile::{RunRow, RunState};
use store::tables::{DIFFERENCE, RUN_LACKS, RUN_ROW};
use store::{Store, Unit};

use crate::app::AppError;

/// A run is kept so long after it last came further.
const KEPT: Duration = Duration::from_secs(366 * 86_400);
/// Runs that are read in one go.
const RUNS_AT_ONCE: usize = 500;
/// Differences that are removed in one unit.
const DIFFERENCES_AT_ONCE: usize = 1_000;

/// With whom, and over which days.
type About = (AreaCode, Date, Date);

fn about(row: &RunRow) -> About {
    (row.with, row.first, row.last)
}

/// Removes the runs that are over for a year; says how many. What only they know stays: a run that found what is neither
/// cured nor found by a later one over the same days, and all after it that it has days in common with, which may tell of
/// the cure. So does the newest run, from whose number the next one counts.
///
/// # Errors
/// When rows cannot be read or written; what was not removed is at the next call.
pub async fn forget(store: &Store, now: UnixMillis) -> Result<usize, AppError> {
    let is_old = |row: &RunRow| row.state != RunState::Running && now.since(row.touched) > KEPT;
    let (mut old, mut newest, mut last) = (BTreeSet::new(), BTreeMap::new(), None);
    for page in store.pages(&RUN_ROW, .., RUNS_AT_ONCE) {
        for (number, row) in page? {
            last = Some(number);
            if is_old(&row) {
                old.insert(number);
            }
            if row.comparisons > 0 {
                newest.insert(about(&row), number);
            }
        }
    }
    old.retain(|number| Some(*number) != last);
    let (mut count, mut kept) = (0, BTreeSet::<About>::new());
    for number in old {
        let Some(row) = store.get(&RUN_ROW, &number)? else { continue };
        let (with, first, last) = about(&row);
        let is_followed = newest.get(&about(&row)).is_some_and(|newest| *newest > number);
        let touches = |it: &About| it.0 == with && it.1 <= last && first <= it.2;
        if (!has_ended(&row) && !is_followed) || kept.iter().any(touches) {
            kept.insert(about(&row));
            continue;
        }
        remove(store, number).await?;
        count += 1;
    }
    Ok(count)
}

/// Whether everything that it found was cured.
fn has_ended(row: &RunRow) -> bool {
    row.lost == 0 && row.found == row.cured
}

async fn remove(store: &Store, number: u64) -> Result<(), AppError> {
    loop {
        let rows = store.scan_under(&DIFFERENCE, &(number,), None, DIFFERENCES_AT_ONCE)?;
        let is_last = rows.len() < DIFFERENCES_AT_ONCE;
        let write = move |unit: &mut Unit<'_>| {
            rows.iter().for_each(|(key, _)| unit.delete(&DIFFERENCE, key));
            if is_last {
                unit.delete(&RUN_ROW, &number);
                unit.delete(&RUN_LACKS, &number);
            }
            Ok::<_, AppError>(())
        };
        store.commit(write).await.map_err(AppError::from)?;
        if is_last {
            return Ok(());
        }
    }
}
