//! How far each county below this node has reported: every one of them, also those that never did, and for a month day by day.

use std::collections::BTreeMap;

use domain::area::AreaCode;
use domain::time::{Date, Month, UnixMillis};
use store::Store;
use store::reconcile::ReportedRow;

use super::reports;
use crate::app::AppError;

/// What is known of the reports of one county.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The county.
    pub county: AreaCode,
    /// Its last report; none when it never made one.
    pub reported: Option<ReportedRow>,
    /// When its service ends or has ended: there is nothing to report from then on.
    pub ended: Option<UnixMillis>,
}

impl Standing {
    /// The last day of which everything is here; none when there is no such day.
    #[must_use]
    pub fn complete_through(&self) -> Option<Date> {
        let through = self.reported.as_ref()?.through;
        // The day in which it lies is not over.
        (through > UnixMillis::new(0)).then(|| through.date().plus_days(-1))
    }

    /// The first day that is over, at `now`, and of which not everything is here; none when nothing lacks, and for a county
    /// that has never reported, of which nobody knows since when.
    #[must_use]
    pub fn lacks_since(&self, now: UnixMillis) -> Option<Date> {
        let through = self.reported.as_ref()?.through;
        let lacks = through.date() < now.date() && self.ended.is_none_or(|ended| through < ended);
        lacks.then(|| through.date())
    }

    /// Whether everything of a day is here.
    #[must_use]
    pub fn has(&self, day: Date) -> bool {
        let wanted = self.ended.map_or(day.ends(), |ended| day.ends().min(ended));
        self.reported.as_ref().is_some_and(|row| row.through >= wanted)
    }
}

/// These counties, each with the end of its service, and all others that have ever reported, by their codes.
///
/// # Errors
/// When rows cannot be read.
pub fn standing(
    store: &Store,
    counties: impl IntoIterator<Item = (AreaCode, Option<UnixMillis>)>,
) -> Result<Vec<Standing>, AppError> {
    let fresh = |(county, ended)| (county, Standing { county, reported: None, ended });
    let mut all: BTreeMap<_, _> = counties.into_iter().map(fresh).collect();
    for (county, row) in reports::counties(store)? {
        all.entry(county).or_insert_with(|| fresh((county, None)).1).reported = Some(row);
    }
    Ok(all.into_values().collect())
}

/// The days of a month that are over at `now`.
#[must_use]
pub fn days_over(month: Month, now: UnixMillis) -> Vec<Date> {
    let days = (0..31).map(|day| month.first().plus_days(day));
    days.take_while(|day| *day <= month.last() && *day < now.date()).collect()
}
