//! Which periods of a schedule are due.

use domain::time::{Date, UnixMillis};

use super::reconciling::{keep, scope, statement};
use super::{NOW, ORIGIN, Office};
use crate::app::reconcile::periods::{self, Days};
use crate::app::reconcile::runs::{self, Plan};
use crate::config::{Every, ReconcileSettings};

fn date(day: &str) -> Date {
    day.parse().unwrap()
}

fn days(first: &str, last: &str) -> Days {
    (date(first), date(last))
}

async fn close(office: &Office, days: Days) {
    assert!(keep(office, &statement(scope(days))).await.unwrap().row.closes);
}

fn settings(every: Every) -> ReconcileSettings {
    ReconcileSettings {
        report_every: std::time::Duration::from_secs(300),
        with: vec![ORIGIN.parse().unwrap()],
        every,
        on_day: 5,
        retry_after: std::time::Duration::from_secs(3_600),
        unmatched_max: 1_000_000,
        patience: std::time::Duration::from_secs(900),
    }
}

fn due_on(office: &Office, every: Every, today: &str) -> Vec<String> {
    let due = periods::due(&office.store, &settings(every), ORIGIN.parse().unwrap(), date(today))
        .unwrap();
    due.iter().map(|(first, last)| format!("{first} {last}")).collect()
}

const OCTOBER: &str = "2025-10-01 2025-10-31";
const NOVEMBER: &str = "2025-11-01 2025-11-30";
const DECEMBER: &str = "2025-12-01 2025-12-31";

#[tokio::test]
async fn a_month_that_was_missed_is_due_until_it_is_closed() {
    let office = Office::here();
    // Two that never had to do with each other owe the last month alone, from the day on which it is due.
    assert_eq!(due_on(&office, Every::Month, "2026-01-05"), [DECEMBER]);
    assert_eq!(due_on(&office, Every::Month, "2026-01-04"), [NOVEMBER]);
    // One that was tried is not forgotten.
    let (first, last) = days("2025-10-01", "2025-10-31");
    let plan = Plan {
        with: ORIGIN.parse().unwrap(),
        first,
        last,
        until: UnixMillis::new(NOW.get()),
        after_restore: false,
    };
    runs::begin(&office.store, plan, NOW).await.unwrap();
    assert_eq!(due_on(&office, Every::Month, "2026-01-05"), [OCTOBER, DECEMBER]);
    // Nor one after the first that was closed, also when a later one is closed as well.
    close(&office, days("2025-09-01", "2025-09-30")).await;
    close(&office, days("2025-12-01", "2025-12-31")).await;
    assert_eq!(due_on(&office, Every::Month, "2026-01-05"), [OCTOBER, NOVEMBER]);
    close(&office, days("2025-10-01", "2025-10-31")).await;
    assert_eq!(due_on(&office, Every::Month, "2026-01-05"), [NOVEMBER]);
    // It is not looked back for ever.
    assert_eq!(due_on(&office, Every::Month, "2029-01-05").len(), 24);
}

#[tokio::test]
async fn a_quarter_of_which_months_are_closed_is_what_is_left_of_it() {
    let office = Office::here();
    assert_eq!(due_on(&office, Every::Quarter, "2026-01-05"), ["2025-10-01 2025-12-31"]);
    close(&office, days("2025-11-01", "2025-11-30")).await;
    assert_eq!(due_on(&office, Every::Quarter, "2026-01-05"), [OCTOBER, DECEMBER]);
    close(&office, days("2025-10-01", "2025-10-31")).await;
    close(&office, days("2025-12-01", "2025-12-31")).await;
    assert!(due_on(&office, Every::Quarter, "2026-01-05").is_empty());
    // A month of a quarter that is closed is closed.
    close(&office, days("2026-01-01", "2026-03-31")).await;
    assert!(due_on(&office, Every::Month, "2026-04-05").is_empty());
}
