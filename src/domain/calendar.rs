//! The official calendar: which days offices work, with the weekends that the State Council moves.
//!
//! Data, not code: `data/calendar.toml`, one entry a year, each with its source. A year that is not there is not known;
//! its days are counted Monday to Friday, and [`Counted::Weekdays`] says so.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::catalogue::built_in;
use crate::clock::{Counted, Due};
use crate::time::Date;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u16,
    year: Vec<Year>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Year {
    year: u16,
    source: String,
    off: Vec<(Date, Date)>,
    work: Vec<Date>,
}

struct Calendar {
    version: u16,
    sources: HashMap<u16, String>,
    /// Days that are not what their weekday says: whether they are worked.
    moved: HashMap<Date, bool>,
}

static CALENDAR: LazyLock<Calendar> = LazyLock::new(|| {
    let File { version, year } = built_in(include_str!("data/calendar.toml"));
    let mut calendar = Calendar { version, sources: HashMap::new(), moved: HashMap::new() };
    for Year { year, source, off, work } in year {
        calendar.sources.insert(year, source);
        for (from, to) in off {
            let days = to.epoch_days().saturating_sub(from.epoch_days());
            calendar.moved.extend((0..=days).map(|day| (from.plus_days(day), false)));
        }
        calendar.moved.extend(work.into_iter().map(|day| (day, true)));
    }
    calendar
});

/// Version of the built-in calendar. Two nodes of different versions may count the working days of a year that one of them
/// does not know differently; due dates that are signed in envelopes do not change by that.
#[must_use]
pub fn version() -> u16 {
    CALENDAR.version
}

/// Where the calendar of a year was announced; none for a year that is not known.
#[must_use]
pub fn source(year: u16) -> Option<&'static str> {
    CALENDAR.sources.get(&year).map(String::as_str)
}

/// Whether offices work on that day; by its weekday in a year that is not known.
#[must_use]
pub fn is_working_day(day: Date) -> bool {
    CALENDAR.moved.get(&day).copied().unwrap_or_else(|| day.is_weekday())
}

/// The day that many working days after `from`, which itself does not count. Zero working days after a day off is that
/// day.
#[must_use]
pub fn after_working_days(from: Date, days: u16) -> Due {
    let (mut on, mut left) = (from, days);
    while left > 0 && on < Date::last() {
        on = on.plus_days(1);
        left -= u16::from(is_working_day(on));
    }
    let known = (from.year()..=on.year()).all(|year| source(year).is_some());
    let counted = if known { Counted::Official } else { Counted::Weekdays };
    Due { on, counted }
}

/// How many working days there are after `from` and up to `to`; none when `to` is not later.
#[must_use]
pub fn working_days_between(from: Date, to: Date) -> u16 {
    let days = to.epoch_days().saturating_sub(from.epoch_days());
    let worked = (1..=days).filter(|day| is_working_day(from.plus_days(*day))).count();
    u16::try_from(worked).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn every_year_names_its_source_and_keeps_to_itself() {
        let file: File = built_in(include_str!("data/calendar.toml"));
        assert!(version() > 0);
        for Year { year, source, off, work } in file.year {
            assert!(source.contains('年') || source.contains('号'), "{year}");
            for (from, to) in off {
                assert!(from <= to && (from.year(), to.year()) == (year, year), "{year}: {from}");
            }
            for day in work {
                assert!(day.year() == year && !day.is_weekday(), "{day} is worked anyway");
                assert!(is_working_day(day), "{day} is off and worked");
            }
        }
    }

    #[test]
    fn moved_weekends_count_as_announced() {
        for (from, days, expected) in [
            // Spring Festival 2026: off 15 to 23 February, worked on Saturdays 14 and 28.
            ("2026-02-13", 1, "2026-02-14"),
            ("2026-02-13", 2, "2026-02-24"),
            ("2026-02-27", 1, "2026-02-28"),
            // National Day 2025: off 1 to 8 October, worked on Saturday 11.
            ("2025-09-30", 3, "2025-10-11"),
            ("2025-09-27", 1, "2025-09-28"),
            ("2026-11-20", 15, "2026-12-11"),
        ] {
            let due = after_working_days(day(from), days);
            assert_eq!(
                due,
                Due { on: day(expected), counted: Counted::Official },
                "{from} + {days}"
            );
        }
        assert_eq!(working_days_between(day("2026-02-13"), day("2026-02-24")), 2);
        assert_eq!(working_days_between(day("2026-02-24"), day("2026-02-13")), 0);
    }

    #[test]
    fn a_year_that_is_not_known_is_counted_by_weekdays_and_says_so() {
        let due = after_working_days(day("2026-12-29"), 5);
        assert_eq!(due, Due { on: day("2027-01-05"), counted: Counted::Weekdays });
        assert_eq!(source(2027), None);
    }

    proptest! {
        #[test]
        fn what_is_counted_forth_is_counted_back(from in 19_700i32..20_800, days in 0u16..400) {
            let from = Date::from_epoch_days(from).unwrap();
            let due = after_working_days(from, days);
            prop_assert_eq!(working_days_between(from, due.on), days);
            prop_assert!(days == 0 || is_working_day(due.on));
        }
    }
}
