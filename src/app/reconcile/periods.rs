//! Periods of the schedule that are over and not closed yet.

use domain::area::AreaCode;
use domain::time::{Date, Month};
use store::Store;

use super::runs;
use super::statements::{self, Closed};
use crate::app::AppError;
use crate::config::{Every, ReconcileSettings};

/// Periods that are looked back at: two years of months.
const PERIODS_MAX: usize = 24;
/// Closed times that may lie in them: each may be a month.
const CLOSED_MAX: usize = 3 * PERIODS_MAX + 3;

/// First and last day.
pub type Days = (Date, Date);

/// Periods with a side that are due on a day and not closed, the oldest first. The last one is due in any case; one before it
/// if it was tried, or something before it was closed: otherwise the two had nothing to do with each other then.
///
/// A quarter of which some months are closed is what is left of it, month by month.
///
/// # Errors
/// When rows cannot be read.
pub fn due(
    store: &Store,
    settings: &ReconcileSettings,
    with: AreaCode,
    today: Date,
) -> Result<Vec<Days>, AppError> {
    let closed = statements::closed_with(store, with, CLOSED_MAX)?;
    let periods = settings.every.back_from(today).filter(|(_, last)| today >= settings.due(*last));
    let mut open = periods.take(PERIODS_MAX).map(|days| (days, open_parts(&closed, days)));
    let Some((_, mut all)) = open.next() else { return Ok(Vec::new()) };
    let mut earlier: Vec<_> = open.filter(|(_, parts)| !parts.is_empty()).collect();
    let is_later = |(first, _): &Days| closed.iter().any(|closed| closed.last < *first);
    if earlier.iter().any(|(days, _)| !is_later(days)) {
        let tried = runs::days_with(store, with)?;
        let is_tried = |parts: &[Days]| parts.iter().any(|days| tried.contains(days));
        earlier.retain(|(days, parts)| is_later(days) || tried.contains(days) || is_tried(parts));
    }
    all.extend(earlier.into_iter().flat_map(|(_, parts)| parts));
    all.sort_unstable();
    Ok(all)
}

/// What is open of a period.
fn open_parts(closed: &[Closed], (first, last): Days) -> Vec<Days> {
    let is_open =
        |(first, last): &Days| closed.iter().all(|it| it.last < *first || *last < it.first);
    if is_open(&(first, last)) {
        return vec![(first, last)];
    }
    let months = std::iter::successors(Some(first.month()), |month| Some(month.next()));
    let days = |month: Month| (month.first(), month.last());
    months.map(days).take_while(|days| days.1 <= last).filter(is_open).collect()
}

impl Every {
    /// The periods that are over on a day, the last one first.
    pub fn back_from(self, today: Date) -> impl Iterator<Item = Days> {
        std::iter::successors(Some(self.over(today)), move |(first, _)| Some(self.over(*first)))
    }
}
