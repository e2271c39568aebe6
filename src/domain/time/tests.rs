//! Tests of points in time, days and months.

use super::*;
use proptest::prelude::*;

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

#[test]
fn prints_rfc_3339() {
    assert_eq!(UnixMillis::new(0).to_string(), "1970-01-01T00:00:00.000Z");
    assert_eq!(UnixMillis::new(1_772_352_000_123).to_string(), "2026-03-01T08:00:00.123Z");
    assert_eq!(UnixMillis::new(u64::MAX).to_string(), format!("{} ms", u64::MAX));
}

#[test]
fn the_day_is_the_day_in_china() {
    assert_eq!(day("2026-03-01").begins().to_string(), "2026-02-28T16:00:00.000Z");
    let last = UnixMillis::new(day("2026-03-01").ends().get() - 1);
    assert_eq!(last.date(), day("2026-03-01"));
    assert_eq!(day("2026-03-01").ends().date(), day("2026-03-02"));
}

#[test]
fn years_and_ages() {
    assert_eq!(day("2024-02-29").plus_years(3), day("2027-02-28"));
    assert_eq!(day("2024-02-29").plus_years(4), day("2028-02-29"));
    assert_eq!(day("2000-05-02").age_at(day("2018-05-01")), Some(17));
    assert_eq!(day("2000-05-02").age_at(day("2018-05-02")), Some(18));
    assert_eq!(day("2000-05-02").age_at(day("1999-05-02")), None);
}

#[test]
fn months_and_quarters() {
    let month = |text: &str| text.parse::<Month>().unwrap();
    assert_eq!(day("2026-08-31").plus_months(6), day("2027-02-28"));
    assert_eq!(day("2026-02-28").plus_months(0), day("2026-02-28"));
    assert_eq!(month("2024-02").last(), day("2024-02-29"));
    assert_eq!(month("2026-12").next(), month("2027-01"));
    assert_eq!(month("2026-01").prev(), month("2025-12"));
    assert_eq!(month("2026-05").quarter(), (month("2026-04"), month("2026-06")));
    assert_eq!(month("2026-12").quarter(), (month("2026-10"), month("2026-12")));
    // The calendar ends, and nothing goes beyond.
    assert_eq!(
        (month("9999-12").last(), month("9999-12").next()),
        (Date::last(), month("9999-12"))
    );
    assert_eq!(month("1800-01").prev(), month("1800-01"));
}

#[test]
fn refuses_what_is_not_a_date() {
    for text in [
        "",
        "2026",
        "2026-2-01",
        "2026-02-30",
        "+026-02-01",
        "2026-02-01 ",
        "1799-12-31",
        "２０２６-02-01",
        "2026-02-01-01",
    ] {
        assert!(text.parse::<Date>().is_err(), "{text}");
    }
    for text in ["", "2026-13", "2026-0", "2026-00", "26-01"] {
        assert!(text.parse::<Month>().is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn dates_survive_text_and_numbers(days in -62_000i32..2_900_000) {
        let date = Date::from_epoch_days(days).unwrap();
        prop_assert_eq!(date.to_string().parse::<Date>().unwrap(), date);
        prop_assert_eq!(Date::from_epoch_days(date.epoch_days()), Some(date));
        prop_assert_eq!(date.month().to_string().parse::<Month>().unwrap(), date.month());
    }

    #[test]
    fn text_sorts_as_dates_do(a in -62_000i32..2_900_000, b in -62_000i32..2_900_000) {
        let (a, b) = (Date::from_epoch_days(a).unwrap(), Date::from_epoch_days(b).unwrap());
        prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
    }

    #[test]
    fn nothing_panics(text: String, days: i32, years: u16, millis: u64) {
        text.parse::<Date>().ok();
        text.parse::<Month>().ok();
        let date = UnixMillis::new(millis).date();
        let _ = (date.plus_days(days), date.plus_years(years), date.ends());
        let month = date.plus_months(years).month();
        prop_assert_eq!((month.first().month(), month.last().month()), (month, month));
        prop_assert!((month.quarter().0..=month.quarter().1).contains(&month));
        let _ = UnixMillis::new(millis).to_string();
    }
}
