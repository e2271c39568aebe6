//! How far a county has reported, as the office API tells it.

use domain::area::AreaTable;
use domain::time::{Date, Month, UnixMillis};
use wire::pb::office as pb;

use crate::app::reconcile::standing::{self, Standing};

/// One county of it.
pub(super) fn county(
    standing: &Standing,
    month: Option<Month>,
    now: UnixMillis,
) -> pb::CountyReport {
    let Standing { county, reported, .. } = standing;
    let day = |day: Option<Date>| day.map(|day| day.to_string()).unwrap_or_default();
    let days = month.map(|month| standing::days_over(month, now)).unwrap_or_default().into_iter();
    let days =
        days.map(|day| pb::ReportedDay { day: day.to_string(), complete: standing.has(day) });
    let report = pb::CountyReport {
        county: county.to_string(),
        county_name: AreaTable::builtin().full_name(county),
        reported: reported.is_some(),
        complete_through_day: day(standing.complete_through()),
        lacks_since_day: day(standing.lacks_since(now)),
        reported_days: days.collect(),
        ..Default::default()
    };
    let Some(row) = reported else { return report };
    pb::CountyReport {
        through_ms: row.through.get(),
        received_ms: row.received.get(),
        ledger_size: row.head.size,
        ledger_root: row.head.root.to_string(),
        ..report
    }
}
