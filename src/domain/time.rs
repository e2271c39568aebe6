//! Points in time and days: the only time types of `domain` and `exchange`; neither reads a clock.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

#[cfg(test)]
mod tests;

const MILLIS_PER_DAY: u64 = 86_400_000;
/// China Standard Time is UTC+8 everywhere and all year.
const CHINA_OFFSET_MILLIS: u64 = 8 * 3_600_000;
/// Years a [`Date`] can have; the upper end is what identity cards print for "no end".
const YEARS: std::ops::RangeInclusive<i32> = 1800..=9999;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixMillis(u64);

impl UnixMillis {
    /// From milliseconds since 1970-01-01T00:00:00Z.
    pub const fn new(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// That much later, or `None` beyond the end of the scale. Parts of a millisecond are cut off.
    pub fn checked_add(self, by: Duration) -> Option<Self> {
        u64::try_from(by.as_millis()).ok().and_then(|by| self.0.checked_add(by)).map(Self)
    }

    /// That much later, at most the end of the scale.
    pub fn saturating_add(self, by: Duration) -> Self {
        self.checked_add(by).unwrap_or(Self(u64::MAX))
    }

    /// That much earlier, at least 1970.
    pub fn saturating_sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Time since `earlier`; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The day in China Standard Time.
    pub fn date(self) -> Date {
        Date::from_millis(self)
    }
}

impl fmt::Display for UnixMillis {
    /// RFC 3339 in UTC, for example `2026-03-01T08:00:00.000Z`; plain milliseconds after the year 9999.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = i32::try_from(self.0 / MILLIS_PER_DAY).ok().and_then(Date::from_epoch_days);
        let Some(day) = day else { return write!(f, "{} ms", self.0) };
        let rest = self.0 % MILLIS_PER_DAY;
        let (seconds, millis) = (rest / 1000, rest % 1000);
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        write!(f, "{day}T{hours:02}:{minutes:02}:{:02}.{millis:03}Z", seconds % 60)
    }
}

/// Why a text is not a date or a month. The text itself is never repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DateError {
    /// Not four, two and two digits with hyphens between.
    #[error("a date is written YYYY-MM-DD and a month YYYY-MM")]
    Format,
    /// For example 30 February, or a year before 1800.
    #[error("there is no such day")]
    NoSuchDay,
}

/// A calendar day from 1800-01-01 to 9999-12-31, without a time zone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(time::Date);

impl Date {
    /// The day with that year, month (1–12) and day (1–31).
    pub fn new(year: i32, month: u8, day: u8) -> Result<Self, DateError> {
        let month = time::Month::try_from(month).map_err(|_| DateError::NoSuchDay)?;
        if !YEARS.contains(&year) {
            return Err(DateError::NoSuchDay);
        }
        time::Date::from_calendar_date(year, month, day).map(Self).map_err(|_| DateError::NoSuchDay)
    }

    /// Days since 1970-01-01; negative before.
    pub fn epoch_days(self) -> i32 {
        self.0.to_julian_day() - time::UtcDateTime::UNIX_EPOCH.date().to_julian_day()
    }

    /// From days since 1970-01-01; `None` outside the years 1800–9999.
    pub fn from_epoch_days(days: i32) -> Option<Self> {
        let day = time::UtcDateTime::UNIX_EPOCH.date().to_julian_day().checked_add(days)?;
        let date = time::Date::from_julian_day(day).ok()?;
        YEARS.contains(&date.year()).then_some(Self(date))
    }

    /// The day in China Standard Time (UTC+8); 9999-12-31 for anything later.
    pub fn from_millis(at: UnixMillis) -> Self {
        let days = at.0.saturating_add(CHINA_OFFSET_MILLIS) / MILLIS_PER_DAY;
        i32::try_from(days).ok().and_then(Self::from_epoch_days).unwrap_or_else(Self::last)
    }

    /// The moment the day begins in China Standard Time; 1970 for days before.
    pub fn begins(self) -> UnixMillis {
        let days = u64::try_from(self.epoch_days()).unwrap_or(0);
        UnixMillis((days * MILLIS_PER_DAY).saturating_sub(CHINA_OFFSET_MILLIS))
    }

    /// The first moment after the day in China Standard Time.
    pub fn ends(self) -> UnixMillis {
        self.begins().saturating_add(Duration::from_millis(MILLIS_PER_DAY))
    }

    /// That many days later (earlier when negative), held inside 1800–9999.
    pub fn plus_days(self, days: i32) -> Self {
        let edge = if days < 0 { Self::first() } else { Self::last() };
        self.epoch_days().checked_add(days).and_then(Self::from_epoch_days).unwrap_or(edge)
    }

    /// The same day that many years later; 28 February where there is no 29th; at most 9999-12-31.
    pub fn plus_years(self, years: u16) -> Self {
        let year = self.0.year().saturating_add(i32::from(years));
        let month = u8::from(self.0.month());
        Self::new(year, month, self.0.day())
            .or_else(|_| Self::new(year, month, 28))
            .unwrap_or_else(|_| Self::last())
    }

    /// The same day that many months later; the last of the month where there is no such day; at most 9999-12-31.
    pub fn plus_months(self, months: u16) -> Self {
        let month = self.month().plus(months);
        Self::new(i32::from(month.year), month.month, self.0.day()).unwrap_or(month.last())
    }

    /// Whole years from this day (a birthday) to `on`; `None` when `on` is earlier.
    pub fn age_at(self, on: Self) -> Option<u16> {
        if on < self {
            return None;
        }
        let had_birthday =
            (u8::from(on.0.month()), on.0.day()) >= (u8::from(self.0.month()), self.0.day());
        u16::try_from(on.0.year() - self.0.year() - i32::from(!had_birthday)).ok()
    }

    /// Year, 1800–9999.
    pub fn year(self) -> u16 {
        u16::try_from(self.0.year()).unwrap_or_default()
    }

    /// Month of the year, 1–12.
    pub fn month_of_year(self) -> u8 {
        u8::from(self.0.month())
    }

    /// Day of the month, 1–31.
    pub fn day(self) -> u8 {
        self.0.day()
    }

    /// The month this day is in.
    pub fn month(self) -> Month {
        Month { year: self.year(), month: self.month_of_year() }
    }

    /// Whether it is a Monday to Friday.
    pub fn is_weekday(self) -> bool {
        !matches!(self.0.weekday(), time::Weekday::Saturday | time::Weekday::Sunday)
    }

    fn first() -> Self {
        Self(time::macros::date!(1800 - 01 - 01))
    }

    pub(crate) fn last() -> Self {
        Self(time::macros::date!(9999 - 12 - 31))
    }
}

impl FromStr for Date {
    type Err = DateError;

    /// Exactly `YYYY-MM-DD`, no blanks.
    fn from_str(text: &str) -> Result<Self, DateError> {
        let (month, day) = text.rsplit_once('-').ok_or(DateError::Format)?;
        let Month { year, month } = month.parse()?;
        Self::new(i32::from(year), month, two_digits(day)?)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year(), self.month_of_year(), self.day())
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Date {
    /// Days since 1970-01-01 in compact formats, text in readable ones.
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if out.is_human_readable() {
            out.collect_str(self)
        } else {
            out.serialize_i32(self.epoch_days())
        }
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            std::borrow::Cow::<str>::deserialize(from)?.parse().map_err(de::Error::custom)
        } else {
            Self::from_epoch_days(i32::deserialize(from)?)
                .ok_or_else(|| de::Error::custom(DateError::NoSuchDay))
        }
    }
}

/// A calendar month, from 1800-01 to 9999-12.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(u16, u8)", into = "(u16, u8)")]
pub struct Month {
    year: u16,
    month: u8,
}

impl Month {
    /// The month with that year and number (1–12).
    pub fn new(year: u16, month: u8) -> Result<Self, DateError> {
        Date::new(i32::from(year), month, 1).map(Date::month)
    }

    /// Year, 1800–9999.
    pub fn year(self) -> u16 {
        self.year
    }

    /// Number of the month, 1–12.
    pub fn number(self) -> u8 {
        self.month
    }

    /// Its first day.
    pub fn first(self) -> Date {
        Date::new(i32::from(self.year), self.month, 1).unwrap_or_else(|_| Date::last())
    }

    /// Its last day.
    pub fn last(self) -> Date {
        let next = self.next();
        if next == self { Date::last() } else { next.first().plus_days(-1) }
    }

    /// The month after it; 9999-12 after itself.
    pub fn next(self) -> Self {
        self.plus(1)
    }

    /// The month before it; 1800-01 before itself.
    pub fn prev(self) -> Self {
        self.first().plus_days(-1).month()
    }

    /// That many months later, at most 9999-12.
    pub fn plus(self, months: u16) -> Self {
        let count = u32::from(self.year) * 12 + u32::from(self.month) - 1 + u32::from(months);
        let (year, month) = (u16::try_from(count / 12), u8::try_from(count % 12 + 1));
        let later = year.ok().zip(month.ok()).and_then(|(year, month)| Self::new(year, month).ok());
        later.unwrap_or_else(|| Date::last().month())
    }

    /// The first and the last month of its quarter.
    pub fn quarter(self) -> (Self, Self) {
        let first = Self { month: (self.month - 1) / 3 * 3 + 1, ..self };
        (first, first.plus(2))
    }
}

impl TryFrom<(u16, u8)> for Month {
    type Error = DateError;
    fn try_from((year, month): (u16, u8)) -> Result<Self, DateError> {
        Self::new(year, month)
    }
}

impl From<Month> for (u16, u8) {
    fn from(month: Month) -> Self {
        (month.year, month.month)
    }
}

impl FromStr for Month {
    type Err = DateError;

    /// Exactly `YYYY-MM`.
    fn from_str(text: &str) -> Result<Self, DateError> {
        let (year, month) = text.split_once('-').ok_or(DateError::Format)?;
        if year.len() != 4 || !year.bytes().all(|b| b.is_ascii_digit()) {
            return Err(DateError::Format);
        }
        Self::new(year.parse().map_err(|_| DateError::Format)?, two_digits(month)?)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl fmt::Debug for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn two_digits(text: &str) -> Result<u8, DateError> {
    if text.len() != 2 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(DateError::Format);
    }
    text.parse().map_err(|_| DateError::Format)
}
