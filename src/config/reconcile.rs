//! The section `[reconcile]`: when a county reports, and which reconciliations begin by themselves.

use std::time::Duration;

use domain::area::AreaCode;
use domain::time::{Date, UnixMillis};
use exchange::digest::Digest;

use super::Check;
use super::raw::RawReconcile;

/// How long the periods are that are reconciled by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// Calendar months.
    Month,
    /// Calendar quarters.
    Quarter,
}

impl Every {
    /// The last period that is over on a day: its first and its last day.
    #[must_use]
    pub fn over(self, today: Date) -> (Date, Date) {
        let (first, last) = match self {
            Self::Month => (today.month().prev(), today.month().prev()),
            Self::Quarter => today.month().quarter().0.prev().quarter(),
        };
        (first.first(), last.last())
    }
}

/// The runs of one day begin within this time after its midnight, or within so many tries where these come often.
const SPREAD: Duration = Duration::from_secs(8 * 3_600);
const SPREAD_RETRIES: u32 = 8;
/// A period whose statement is missing so many days after it was due is an alarm.
const OVERDUE_DAYS: i32 = 3;

/// When a county reports, and which reconciliations begin by themselves.
#[derive(Clone, Debug)]
pub struct ReconcileSettings {
    /// How often the node above is told what is new.
    pub report_every: Duration,
    /// With whom a reconciliation begins by itself when a period is over.
    pub with: Vec<AreaCode>,
    /// How long periods are.
    pub every: Every,
    /// How many days after the end of a period it begins.
    pub on_day: u8,
    /// How long it rests before it is tried again.
    pub retry_after: Duration,
    /// Entries that another side may have beyond four times ours where they are compared at once. Where it has more, fewer
    /// days are compared at once; a single day with more is not compared.
    pub unmatched_max: u64,
    /// How long a run waits for counties that have not reported, or have to collect, before it ends without them.
    pub patience: Duration,
}

impl ReconcileSettings {
    /// The day on which the reconciliation of a period is due that ends on `last`.
    #[must_use]
    pub fn due(&self, last: Date) -> Date {
        last.plus_days(i32::from(self.on_day))
    }

    /// When the reconciliation with a side begins of a period that ends on `last`: on the day it is due, and each pair at
    /// another time of it, the same every month. The nodes of a nation do not call each other at once.
    #[must_use]
    pub fn begins(&self, own: AreaCode, with: AreaCode, last: Date) -> UnixMillis {
        let spread = SPREAD.min(self.retry_after.saturating_mul(SPREAD_RETRIES));
        let spread = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX).max(1);
        let hash = Digest::of(format!("{own} {with}").as_bytes()).into_bytes();
        let hash = hash.first_chunk().copied().map_or(0, u64::from_be_bytes);
        self.due(last).begins().saturating_add(Duration::from_millis(hash % spread))
    }

    /// Whether somebody has to look why it has not come about yet.
    #[must_use]
    pub fn is_overdue(&self, last: Date, today: Date) -> bool {
        today >= self.due(last).plus_days(OVERDUE_DAYS)
    }
}

impl Check<'_> {
    pub(super) fn reconcile(&mut self, raw: &RawReconcile) -> Option<ReconcileSettings> {
        let before = self.problems.len();
        self.range("reconcile.report_every_s", &raw.report_every_s, 1..86_401);
        self.range("reconcile.on_day", &raw.on_day, 1..28);
        self.range("reconcile.retry_s", &raw.retry_s, 1..604_801);
        self.range("reconcile.unmatched_max", &raw.unmatched_max, 1..20_000_001);
        self.range("reconcile.patience_s", &raw.patience_s, 1..86_401);
        let every = match raw.every.get_ref().as_str() {
            "month" => Some(Every::Month),
            "quarter" => Some(Every::Quarter),
            other => {
                let problem = format!("\"{other}\" is no period");
                let fix = "Write \"month\" or \"quarter\".";
                self.problem("reconcile.every", raw.every.span(), problem, fix);
                None
            }
        };
        let with = raw.with.iter().map(|area| self.area("reconcile.with", area));
        let with = with.collect::<Option<Vec<_>>>();
        let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
        let settings = ReconcileSettings {
            report_every: seconds(*raw.report_every_s.get_ref()),
            with: with?,
            every: every?,
            on_day: u8::try_from(*raw.on_day.get_ref()).unwrap_or(u8::MAX),
            retry_after: seconds(*raw.retry_s.get_ref()),
            unmatched_max: u64::from(*raw.unmatched_max.get_ref()),
            patience: seconds(*raw.patience_s.get_ref()),
        };
        (self.problems.len() == before).then_some(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_month_and_quarter_that_are_over() {
        let days = |every: Every, today: &str| {
            let (first, last) = every.over(today.parse().unwrap());
            format!("{first} {last}")
        };
        assert_eq!(days(Every::Month, "2026-03-01"), "2026-02-01 2026-02-28");
        assert_eq!(days(Every::Month, "2026-01-31"), "2025-12-01 2025-12-31");
        assert_eq!(days(Every::Quarter, "2026-05-20"), "2026-01-01 2026-03-31");
        assert_eq!(days(Every::Quarter, "2026-01-01"), "2025-10-01 2025-12-31");
    }

    #[test]
    fn the_pairs_of_a_nation_begin_at_different_times_of_the_day_each_at_the_same_one() {
        let seconds = |seconds| Duration::from_secs(seconds);
        let settings = |retry_after| ReconcileSettings {
            report_every: seconds(300),
            with: Vec::new(),
            every: Every::Month,
            on_day: 5,
            retry_after,
            unmatched_max: 1_000_000,
            patience: seconds(900),
        };
        let provinces: Vec<AreaCode> =
            (11..42).map(|number| format!("{number}0000").parse().unwrap()).collect();
        let last: Date = "2026-10-31".parse().unwrap();
        let due = settings(seconds(3_600)).due(last);
        let mut hours = [0_usize; 8];
        for own in &provinces {
            for with in provinces.iter().filter(|with| *with != own) {
                let begins = settings(seconds(3_600)).begins(*own, *with, last);
                assert_eq!(begins, settings(seconds(3_600)).begins(*own, *with, last));
                let hour = begins.since(due.begins()).as_secs() / 3_600;
                hours[usize::try_from(hour).unwrap()] += 1;
                // Where it is tried often, nobody waits for hours.
                let soon = settings(seconds(1)).begins(*own, *with, last);
                assert!(soon.since(due.begins()) < seconds(8), "{own} {with}");
            }
        }
        let all = provinces.len() * (provinces.len() - 1);
        assert!(hours.iter().all(|count| *count > all / 16 && *count < all / 5), "{hours:?}");
    }
}
