//! Indicators of offices: what counts, in which period, and what is too small to be told outside.
//!
//! Every indicator measures an office. None has persons, or a condition of their bodies, in its denominator, and none
//! sets offices in an order (design section 2 and 7).

use std::fmt;
use std::str::FromStr;

use crate::clock::table::{Duty, of_duty};
use crate::numbered::numbered;
use crate::time::{Date, Month, UnixMillis};

/// The month's work closes on this day.
const CUT_OFF: i32 = 20;
/// Counts below this are not told outside the node.
pub const SMALL: u64 = 5;

numbered! {
    /// What is measured of an office.
    pub enum Indicator {
        /// Arrivals that were told to the origin area in time, of all that were registered.
        Submission = 1, "SUBMISSION", "提交率";
        /// Messages that the recipient's node stored in time, of all that were sent to it.
        Reception = 2, "RECEPTION", "接收率";
        /// Messages that the office opened in time, of all that it received.
        Opening = 3, "OPENING", "开启率";
        /// Questions that were answered by the end of the period, of all whose clock ended in it.
        Feedback = 4, "FEEDBACK", "反馈率";
        /// Answers within the clock, of all answers.
        Timeliness = 5, "TIMELINESS", "及时率";
        /// Certificates that were checked in time, of all that were shown at a registration.
        Endorsement = 6, "ENDORSEMENT", "查验率";
        /// Messages that one side only holds, or both in different states, of all that the two exchanged: no receipt of the
        /// recipient has come, or a reconciliation found a difference that is not cured.
        Gap = 7, "GAP", "对账差异率";
        /// Questions about a person for which exactly one person was found here, of all that were received.
        Pairing = 8, "PAIRING", "配对率";
        /// Certificates that were issued in time, of all that persons applied for.
        Issue = 9, "ISSUE", "办证率";
        /// What a random re-check found right, of all that it looked at.
        Accuracy = 10, "ACCURACY", "准确率";
        /// Origins that were asked about a birth registration in time, of all whose clock ended in the period.
        Asking = 11, "ASKING", "核实及时率";
    }
}

/// A period of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// From the 21st of the month before to the 20th.
    Month(u16, u8),
    /// Three such months.
    Quarter(u16, u8),
    /// From 1 October of the year before to 30 September.
    Year(u16),
}

/// Not a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a period; write 2026-03, 2026-Q1 or 2026")]
pub struct PeriodError;

impl Period {
    /// Its first and its last day.
    ///
    /// # Errors
    /// [`PeriodError`] outside the calendar.
    pub fn days(self) -> Result<(Date, Date), PeriodError> {
        match self {
            Self::Month(year, number) => {
                let month = month(year, number)?;
                Ok(between_cut_offs(month, month))
            }
            Self::Quarter(year, quarter) => {
                let (first, last) = month(year, quarter.saturating_mul(3))?.quarter();
                Ok(between_cut_offs(first, last))
            }
            Self::Year(year) => Ok((date(year.saturating_sub(1), 10, 1)?, date(year, 9, 30)?)),
        }
    }

    /// The months that it is made of; none for a month, and for a year, whose ends are not those of months.
    #[must_use]
    pub fn months(self) -> Vec<Self> {
        match self {
            Self::Quarter(year, quarter) => {
                let last = quarter.saturating_mul(3);
                (last.saturating_sub(2)..=last).map(|month| Self::Month(year, month)).collect()
            }
            Self::Month(..) | Self::Year(_) => Vec::new(),
        }
    }

    /// The first moment in it and the first after it.
    ///
    /// # Errors
    /// As for [`Period::days`].
    pub fn bounds(self) -> Result<(UnixMillis, UnixMillis), PeriodError> {
        let (first, last) = self.days()?;
        Ok((first.begins(), last.ends()))
    }
}

/// From the day after the cut-off before month `first` to the cut-off of month `last`.
fn between_cut_offs(first: Month, last: Month) -> (Date, Date) {
    let cut_off = |month: Month| month.first().plus_days(CUT_OFF - 1);
    (cut_off(first.prev()).plus_days(1), cut_off(last))
}

fn month(year: u16, number: u8) -> Result<Month, PeriodError> {
    Month::new(year, number).map_err(|_| PeriodError)
}

fn date(year: u16, month: u8, day: u8) -> Result<Date, PeriodError> {
    Date::new(i32::from(year), month, day).map_err(|_| PeriodError)
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            text.parse::<u16>().ok().filter(|_| digits).ok_or(PeriodError)
        };
        let small = |text: &str| u8::try_from(number(text)?).map_err(|_| PeriodError);
        let (year, part) = text.split_once('-').map_or((text, None), |(y, p)| (y, Some(p)));
        let year =
            number(year).ok().filter(|year| (1970..=9998).contains(year)).ok_or(PeriodError)?;
        let period = match part.map(|part| part.strip_prefix('Q').ok_or(part)) {
            None => Self::Year(year),
            Some(Ok(quarter)) => Self::Quarter(year, small(quarter)?),
            Some(Err(month)) => Self::Month(year, small(month)?),
        };
        match period {
            Self::Quarter(_, quarter) if !(1..=4).contains(&quarter) => Err(PeriodError),
            period => period.days().map(|_| period),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Month(year, month) => write!(f, "{year}-{month:02}"),
            Self::Quarter(year, quarter) => write!(f, "{year}-Q{quarter}"),
            Self::Year(year) => write!(f, "{year}"),
        }
    }
}

/// What is known here of a message, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageFact {
    /// Whether this office sent it; then its recipient is measured, otherwise this office.
    pub sent: bool,
    /// When its sender accepted it.
    pub created: UnixMillis,
    /// When the recipient's node stored it, as far as a receipt says so.
    pub stored: Option<UnixMillis>,
    /// When the recipient's office opened it.
    pub opened: Option<UnixMillis>,
    /// When it was answered.
    pub answered: Option<UnixMillis>,
    /// By when it has to be answered.
    pub due: Option<UnixMillis>,
    /// Whether exactly one person was found here; nothing where nobody had to be looked for.
    pub paired: Option<bool>,
    /// Whether a reconciliation found that the two sides differ, and that has not been cured.
    pub differs: bool,
}

/// What is known here of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistrationFact {
    /// When it was entered.
    pub entered: UnixMillis,
    /// When the origin area was told.
    pub told: Option<UnixMillis>,
    /// Whether a certificate was shown.
    pub shown: bool,
    /// When it was checked.
    pub checked: Option<UnixMillis>,
}

/// What is known here of a person's application for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplicationFact {
    /// When it was made.
    pub applied: UnixMillis,
    /// When the certificate was issued, renewed or replaced.
    pub issued: Option<UnixMillis>,
}

fn within(from: UnixMillis, at: Option<UnixMillis>, duty: Duty) -> bool {
    at.is_some_and(|at| at < of_duty(duty).due(from).at())
}

impl Indicator {
    /// Whether a message is counted in the period from `from` to before `until`: not at all, in the denominator
    /// (`false`), or in the numerator as well (`true`).
    #[must_use]
    pub fn of_message(
        self,
        fact: &MessageFact,
        (from, until): (UnixMillis, UnixMillis),
    ) -> Option<bool> {
        let inside = |at: UnixMillis| from <= at && at < until;
        match self {
            Self::Reception => (fact.sent && inside(fact.created))
                .then(|| within(fact.created, fact.stored, Duty::StoreMessage)),
            Self::Gap => inside(fact.created).then_some(fact.stored.is_none() || fact.differs),
            Self::Opening => {
                let stored = fact.stored.filter(|at| inside(*at))?;
                Some(within(stored, fact.opened, Duty::OpenMessage))
            }
            Self::Pairing => {
                fact.stored.filter(|at| !fact.sent && inside(*at))?;
                fact.paired
            }
            Self::Feedback => {
                fact.due.filter(|due| inside(*due))?;
                Some(fact.answered.is_some_and(|at| at < until))
            }
            Self::Timeliness => {
                let answered = fact.answered.filter(|at| inside(*at))?;
                Some(answered < fact.due?)
            }
            Self::Submission | Self::Endorsement | Self::Issue | Self::Accuracy | Self::Asking => {
                None
            }
        }
    }

    /// The same of a registration.
    #[must_use]
    pub fn of_registration(
        self,
        fact: &RegistrationFact,
        (from, until): (UnixMillis, UnixMillis),
    ) -> Option<bool> {
        if !(from <= fact.entered && fact.entered < until) {
            return None;
        }
        match self {
            Self::Submission => Some(within(fact.entered, fact.told, Duty::TellArrival)),
            Self::Endorsement => {
                fact.shown.then(|| within(fact.entered, fact.checked, Duty::CheckCertificate))
            }
            Self::Reception
            | Self::Opening
            | Self::Feedback
            | Self::Timeliness
            | Self::Gap
            | Self::Pairing
            | Self::Issue
            | Self::Accuracy
            | Self::Asking => None,
        }
    }

    /// The same of an origin that has to be asked about a birth registration whose papers came on that day.
    #[must_use]
    pub fn of_asking(
        self,
        (papers_on, asked): (Date, Option<UnixMillis>),
        (from, until): (UnixMillis, UnixMillis),
    ) -> Option<bool> {
        let due = of_duty(Duty::AskOrigins).due(papers_on.begins()).at();
        let counted = self == Self::Asking && from <= due && due < until;
        counted.then_some(asked.is_some_and(|at| at < due))
    }

    /// The same of an application for a certificate.
    #[must_use]
    pub fn of_application(
        self,
        fact: &ApplicationFact,
        (from, until): (UnixMillis, UnixMillis),
    ) -> Option<bool> {
        let inside = from <= fact.applied && fact.applied < until;
        (self == Self::Issue && inside)
            .then(|| within(fact.applied, fact.issued, Duty::IssueCertificate))
    }
}

/// A numerator and a denominator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many were done as they should be.
    pub numerator: u64,
    /// How many there were.
    pub denominator: u64,
}

impl Count {
    /// Counts one more.
    pub fn add(&mut self, counted: bool) {
        self.denominator = self.denominator.saturating_add(1);
        self.numerator = self.numerator.saturating_add(u64::from(counted));
    }

    /// What may be told outside: nothing while any of the counts, or what they leave over, is small and not zero.
    #[must_use]
    pub fn outside(self) -> Option<Self> {
        let rest = self.denominator.saturating_sub(self.numerator);
        let small = |count: u64| (1..SMALL).contains(&count);
        let told = ![self.numerator, self.denominator, rest].into_iter().any(small);
        told.then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(day: &str) -> UnixMillis {
        day.parse::<Date>().unwrap().begins()
    }

    fn days(period: &str) -> (String, String) {
        let (first, last) = period.parse::<Period>().unwrap().days().unwrap();
        (first.to_string(), last.to_string())
    }

    #[test]
    fn months_close_on_the_20th_and_the_year_begins_in_october() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(days("2026-03"), pair("2026-02-21", "2026-03-20"));
        assert_eq!(days("2026-01"), pair("2025-12-21", "2026-01-20"));
        assert_eq!(days("2026-Q1"), pair("2025-12-21", "2026-03-20"));
        assert_eq!(days("2026-Q4"), pair("2026-09-21", "2026-12-20"));
        let months = "2026-Q1".parse::<Period>().unwrap().months();
        assert_eq!(months, [1, 2, 3].map(|month| Period::Month(2026, month)));
        assert_eq!(days("2026"), pair("2025-10-01", "2026-09-30"));
        for wrong in ["", "2026-13", "2026-00", "2026-Q5", "2026-Q0", "26", "2026-+1", "x"] {
            assert_eq!(wrong.parse::<Period>(), Err(PeriodError), "{wrong}");
        }
    }

    #[test]
    fn a_question_counts_where_its_clock_ends_and_its_answer_where_it_came() {
        let period = "2026-03".parse::<Period>().unwrap().bounds().unwrap();
        let asked = MessageFact {
            sent: false,
            created: at("2026-02-10"),
            stored: Some(at("2026-02-10")),
            opened: Some(at("2026-02-12")),
            answered: Some(at("2026-03-15")),
            due: Some(at("2026-03-13")),
            paired: None,
            differs: false,
        };
        assert_eq!(Indicator::Feedback.of_message(&asked, period), Some(true));
        assert_eq!(Indicator::Timeliness.of_message(&asked, period), Some(false), "two days late");
        assert_eq!(Indicator::Opening.of_message(&asked, period), None, "it came before");
        assert_eq!(Indicator::Reception.of_message(&asked, period), None, "we did not send it");
        let open = MessageFact { answered: Some(at("2026-03-21")), ..asked };
        assert_eq!(Indicator::Feedback.of_message(&open, period), Some(false));
        let lost = MessageFact {
            sent: true,
            created: at("2026-03-01"),
            stored: None,
            opened: None,
            answered: None,
            due: None,
            paired: None,
            differs: false,
        };
        assert_eq!(Indicator::Gap.of_message(&lost, period), Some(true));
        assert_eq!(Indicator::Reception.of_message(&lost, period), Some(false));
        let differs = MessageFact { created: at("2026-03-02"), differs: true, ..asked };
        assert_eq!(Indicator::Gap.of_message(&differs, period), Some(true), "nobody cured it");
        assert_eq!(Indicator::Gap.of_message(&asked, period), None, "made before the period");
    }

    #[test]
    fn pairing_counts_questions_that_came_and_issue_applications_that_were_made() {
        let period = "2026-03".parse::<Period>().unwrap().bounds().unwrap();
        let came = MessageFact {
            sent: false,
            created: at("2026-03-01"),
            stored: Some(at("2026-03-02")),
            opened: None,
            answered: None,
            due: None,
            paired: Some(true),
            differs: false,
        };
        let pairing = |fact| Indicator::Pairing.of_message(&fact, period);
        assert_eq!(pairing(came), Some(true));
        assert_eq!(pairing(MessageFact { paired: Some(false), ..came }), Some(false));
        assert_eq!(pairing(MessageFact { paired: None, ..came }), None, "nobody to look for");
        assert_eq!(pairing(MessageFact { sent: true, ..came }), None, "the others look for her");
        assert_eq!(pairing(MessageFact { stored: Some(at("2026-03-21")), ..came }), None);

        // Friday 13 February 2026; the next working day is the Saturday after it.
        let period = "2026-02".parse::<Period>().unwrap().bounds().unwrap();
        let issue = |issued: Option<&str>| {
            let fact = ApplicationFact { applied: at("2026-02-13"), issued: issued.map(at) };
            Indicator::Issue.of_application(&fact, period)
        };
        assert_eq!(issue(Some("2026-02-13")), Some(true));
        assert_eq!(issue(Some("2026-02-14")), Some(true), "that Saturday is worked");
        assert_eq!((issue(Some("2026-02-15")), issue(None)), (Some(false), Some(false)));
    }

    #[test]
    fn a_certificate_is_checked_within_five_working_days() {
        let period = "2026-02".parse::<Period>().unwrap().bounds().unwrap();
        let checked = |day: &str| {
            let (entered, checked) = (at("2026-02-12"), Some(at(day)));
            let fact = RegistrationFact { entered, told: None, shown: true, checked };
            Indicator::Endorsement.of_registration(&fact, period)
        };
        // 13, 14 (worked), 24, 25 and 26 February.
        assert_eq!((checked("2026-02-26"), checked("2026-02-27")), (Some(true), Some(false)));
    }

    #[test]
    fn small_counts_stay_inside() {
        let outside = |numerator, denominator| Count { numerator, denominator }.outside();
        assert!(outside(0, 0).is_some() && outside(10, 10).is_some() && outside(7, 12).is_some());
        assert!(outside(4, 100).is_none(), "the numerator is small");
        assert!(outside(97, 100).is_none(), "what is left over is small");
        assert!(outside(3, 3).is_none() && outside(0, 4).is_none());
    }

    proptest! {
        #[test]
        fn periods_of_a_sort_follow_each_other_without_a_gap(year in 1971..2200_u16, month in 1..12_u8) {
            let days = |period: Period| period.days().unwrap();
            let (_, last) = days(Period::Month(year, month));
            prop_assert_eq!(last.plus_days(1), days(Period::Month(year, month + 1)).0);
            let quarter = month.div_ceil(3).min(3);
            prop_assert_eq!(days(Period::Quarter(year, quarter)).1.plus_days(1), days(Period::Quarter(year, quarter + 1)).0);
            prop_assert_eq!(days(Period::Year(year)).1.plus_days(1), days(Period::Year(year + 1)).0);
            let text = Period::Month(year, month).to_string();
            prop_assert_eq!(text.parse::<Period>(), Ok(Period::Month(year, month)));
        }

        #[test]
        fn nothing_small_is_ever_told(numerator in 0..30_u64, more in 0..30_u64) {
            let count = Count { numerator, denominator: numerator + more };
            if let Some(told) = count.outside() {
                for n in [told.numerator, told.denominator, told.denominator - told.numerator] {
                    prop_assert!(n == 0 || n >= SMALL);
                }
            }
        }
    }
}
