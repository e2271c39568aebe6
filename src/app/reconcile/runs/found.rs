//! The differences of a run: what its comparisons find, what is gone since, and what is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{RangeBounds, RangeInclusive};

use domain::id::MessageId;
use domain::time::{Date, UnixMillis};
use exchange::reconcile::difference::Difference;
use exchange::reconcile::session::Measured;
use store::reconcile::{DifferenceRow, DifferenceState, RunRow};
use store::tables::DIFFERENCE;
use store::{Store, Unit};

use super::{DIFFERENCES_AT_ONCE, change};
use crate::app::AppError;

/// Run, and message.
type DifferenceKey = (u64, [u8; 16]);

/// Differences of a run over some of its days, those of one kind.
fn of_days(
    store: &Store,
    number: u64,
    (first, last): (Date, Date),
    wanted: impl Fn(&DifferenceRow) -> bool,
) -> Result<BTreeMap<MessageId, DifferenceRow>, AppError> {
    // An id begins with the time of its day.
    let id = |time: UnixMillis| {
        let mut id = [0; 16];
        let [_, _, millis @ ..] = time.get().to_be_bytes();
        id.iter_mut().zip(millis).for_each(|(to, from)| *to = from);
        (number, id)
    };
    let mut rows = BTreeMap::new();
    let take = |id, row: DifferenceRow| {
        if wanted(&row) {
            rows.insert(id, row);
        }
    };
    each(store, id(first.begins())..id(last.ends()), take)?;
    Ok(rows)
}

/// All differences of a run, those of one kind.
pub(super) fn all(
    store: &Store,
    number: u64,
    wanted: impl Fn(&DifferenceRow) -> bool,
) -> Result<BTreeMap<MessageId, DifferenceRow>, AppError> {
    let mut rows = BTreeMap::new();
    let take = |id, row: DifferenceRow| {
        if wanted(&row) {
            rows.insert(id, row);
        }
    };
    each(store, of_run(number), take)?;
    Ok(rows)
}

const fn of_run(number: u64) -> RangeInclusive<DifferenceKey> {
    (number, [0; 16])..=(number, [0xFF; 16])
}

/// Looks at differences, in pages.
fn each(
    store: &Store,
    range: impl RangeBounds<DifferenceKey>,
    mut take: impl FnMut(MessageId, DifferenceRow),
) -> Result<(), AppError> {
    for page in store.pages(&DIFFERENCE, range, DIFFERENCES_AT_ONCE) {
        page?.into_iter().for_each(|((_, id), row)| take(MessageId::from_bytes(id), row));
    }
    Ok(())
}

/// What was compared.
#[derive(Clone, Copy, Debug)]
pub struct Portion {
    /// First and last day.
    pub days: (Date, Date),
    /// What it took.
    pub measured: Measured,
    /// Entries of both sides, ours first, on all days that were compared since the days of the run were begun with.
    pub entries: (u64, u64),
}

/// How many differences there are by name, how many of these are cured, and how many lost.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    found: [u32; 6],
    cured: [u32; 6],
    lost: u32,
}

impl Tally {
    fn of<'a>(rows: impl IntoIterator<Item = &'a DifferenceRow>) -> Self {
        let mut tally = Self::default();
        rows.into_iter().for_each(|row| tally.add(row));
        tally
    }

    fn add(&mut self, row: &DifferenceRow) {
        let at = usize::from(row.difference.name.number().saturating_sub(1));
        let count = |count: &mut u32| *count = count.saturating_add(1);
        self.found.get_mut(at).into_iter().for_each(count);
        match row.state {
            DifferenceState::Cured => self.cured.get_mut(at).into_iter().for_each(count),
            DifferenceState::Lost => count(&mut self.lost),
            DifferenceState::Open | DifferenceState::Decided => {}
        }
    }

    /// Notes in a run that there are as many as `after` where there were as many as `before`.
    fn note(row: &mut RunRow, before: &Self, after: &Self) {
        let one = |count: &mut u32, before: u32, after: u32| {
            *count = count.saturating_sub(before).saturating_add(after);
        };
        for (counts, before, after) in [
            (&mut row.found, before.found, after.found),
            (&mut row.cured, before.cured, after.cured),
        ] {
            let each = counts.iter_mut().zip(before.into_iter().zip(after));
            each.for_each(|(count, (before, after))| one(count, before, after));
        }
        one(&mut row.lost, before.lost, after.lost);
    }
}

/// Takes up what a comparison of some of its days has found: what is new is written, what is gone was cured. Gives the run
/// as it is then.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn compared(
    store: &Store,
    number: u64,
    found: &[Difference],
    portion: Portion,
    now: UnixMillis,
) -> Result<RunRow, AppError> {
    let mut rows = of_days(store, number, portion.days, |_| true)?;
    let before = Tally::of(rows.values());
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
    let after = Tally::of(rows.values());
    write_rows(store, number, changed).await?;
    change(store, number, now, move |row| {
        Tally::note(row, &before, &after);
        row.comparisons = row.comparisons.saturating_add(1);
        row.bytes = row.bytes.saturating_add(portion.measured.bytes);
        row.entries = portion.entries;
        row.trouble = String::new();
    })
    .await
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
    let mut rows = all(store, number, |_| true)?;
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
    let Tally { found, cured, lost } = Tally::of(rows.values());
    change(store, number, now, move |row| {
        (row.found, row.cured, row.lost) = (found, cured, lost);
        row.entries.1 = looked;
    })
    .await
}

/// Writes differences of a run.
pub(super) async fn write_rows(
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

/// Messages of some days about which a person has to decide, as a run has last found.
///
/// # Errors
/// When rows cannot be read.
pub fn for_a_person(
    store: &Store,
    number: u64,
    days: (Date, Date),
) -> Result<BTreeSet<MessageId>, AppError> {
    let theirs = of_days(store, number, days, |row| row.difference.name.is_for_a_person())?;
    Ok(theirs.into_keys().collect())
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
    let more = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    write_rows(store, number, rows).await?;
    change(store, number, now, move |row| row.lost = row.lost.saturating_add(more)).await.map(drop)
}

/// Messages of some days that a run has found to be lost.
///
/// # Errors
/// When rows cannot be read.
pub fn lost_ones(
    store: &Store,
    number: u64,
    days: (Date, Date),
) -> Result<BTreeSet<MessageId>, AppError> {
    let lost = of_days(store, number, days, |row| row.state == DifferenceState::Lost)?;
    Ok(lost.into_keys().collect())
}

/// Counts the differences of a run anew. A comparison counts only what it was about, and a node may have ended before it had.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn recount(store: &Store, number: u64, now: UnixMillis) -> Result<RunRow, AppError> {
    let mut tally = Tally::default();
    each(store, of_run(number), |_, row| tally.add(&row))?;
    let Tally { found, cured, lost } = tally;
    let change_row = move |row: &mut RunRow| {
        (row.found, row.cured, row.lost) = (found, cured, lost);
    };
    change(store, number, now, change_row).await
}
