//! Clocks: by when the other office has to act. A clock names an office, never a person.
//!
//! Working days are counted by the official calendar with its moved weekends ([`crate::calendar`]), and Monday to Friday
//! in years that are not published yet; [`Due::counted`] says which was used, so that nobody is misled.

pub mod table;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::message::Kind;
use crate::time::{Date, UnixMillis};

/// How long an office has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Clock {
    /// Calendar days (自然日).
    Days(u16),
    /// Working days (工作日).
    WorkingDays(u16),
}

/// How the days were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Counted {
    /// Calendar days; exact.
    CalendarDays,
    /// Monday to Friday, because no official calendar is known for the period.
    Weekdays,
    /// By the official calendar.
    Official,
}

/// The last day for an office to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Due {
    /// Last day, in China Standard Time.
    pub on: Date,
    /// How it was counted.
    pub counted: Counted,
}

impl Due {
    /// The first moment at which the office is late.
    pub fn at(self) -> UnixMillis {
        self.on.ends()
    }
}

impl Clock {
    /// The due day when the clock starts at `start`: the day of the start does not count.
    pub fn due(self, start: UnixMillis) -> Due {
        let from = start.date();
        match self {
            Self::Days(days) => {
                Due { on: from.plus_days(i32::from(days)), counted: Counted::CalendarDays }
            }
            Self::WorkingDays(days) => crate::calendar::after_working_days(from, days),
        }
    }

    /// Number of days, of whichever sort.
    pub const fn days(self) -> u16 {
        match self {
            Self::Days(days) | Self::WorkingDays(days) => days,
        }
    }
}

/// How the days were counted from the one on which a message of that kind was accepted to its due day; none where nobody
/// has to answer. A year that was published since counts as known.
#[must_use]
pub fn counted(kind: Kind, from: Date, due: Date) -> Option<Counted> {
    Some(match kind.clock()? {
        Clock::Days(_) => Counted::CalendarDays,
        Clock::WorkingDays(_) => {
            let known =
                (from.year()..=due.year()).all(|year| crate::calendar::source(year).is_some());
            if known { Counted::Official } else { Counted::Weekdays }
        }
    })
}

/// When the sender's office hears that a message is still unanswered (design section 6, Courier).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Notice {
    /// Half of the clock has run.
    Half,
    /// Four fifths.
    Most,
    /// All of it.
    Late,
}

impl Notice {
    /// The three, in order of time.
    pub const ALL: [Self; 3] = [Self::Half, Self::Most, Self::Late];

    /// Part of the clock after which it is given, in percent.
    pub const fn percent(self) -> u8 {
        match self {
            Self::Half => 50,
            Self::Most => 80,
            Self::Late => 100,
        }
    }

    /// When it is given for a clock that runs from `start` to `due`.
    pub fn at(self, start: UnixMillis, due: Due) -> UnixMillis {
        self.between(start, due.at())
    }

    /// When it is given for a clock that runs from `start` to `end`.
    pub fn between(self, start: UnixMillis, end: UnixMillis) -> UnixMillis {
        let whole = end.since(start);
        let part = whole.as_millis().saturating_mul(u128::from(self.percent())) / 100;
        start.saturating_add(Duration::from_millis(u64::try_from(part).unwrap_or(u64::MAX)))
    }

    /// The latest notice that is owed at `now`, if any.
    pub fn reached(start: UnixMillis, due: Due, now: UnixMillis) -> Option<Self> {
        Self::reached_between(start, due.at(), now)
    }

    /// The same for a clock that runs from `start` to `end`.
    pub fn reached_between(start: UnixMillis, end: UnixMillis, now: UnixMillis) -> Option<Self> {
        Self::ALL.into_iter().rfind(|notice| notice.between(start, end) <= now)
    }
}

/// The due day of a message of that kind accepted at `start`; none where nobody has to answer. An urgent
/// inquiry is shorter: see `Content::due`.
pub fn due(kind: Kind, start: UnixMillis) -> Option<Due> {
    kind.clock().map(|clock| clock.due(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noon(date: &str) -> UnixMillis {
        date.parse::<Date>().unwrap().begins().saturating_add(Duration::from_secs(12 * 3600))
    }

    #[test]
    fn clocks_of_the_design() {
        // 2026-11-20 is a Friday.
        let start = noon("2026-11-20");
        for (kind, expected) in [
            (Kind::ArrivalNotice, Some("2026-12-20")),
            (Kind::DepartureNotice, None),
            (Kind::CertificateInquiry, Some("2026-11-27")),
            (Kind::BirthRegistrationInquiry, Some("2026-12-11")),
            (Kind::PregnancyReport, Some("2026-12-05")),
            (Kind::AgreementProposal, Some("2026-12-20")),
        ] {
            let expected: Option<Date> = expected.map(|date| date.parse().unwrap());
            assert_eq!(due(kind, start).map(|due| due.on), expected, "{kind:?}");
        }
        assert_eq!(due(Kind::CertificateInquiry, start).unwrap().counted, Counted::Official);
    }

    #[test]
    fn notices_at_half_most_and_all() {
        let start = noon("2026-11-20");
        let due = Clock::Days(30).due(start);
        assert_eq!(Notice::reached(start, due, start), None);
        assert_eq!(Notice::reached(start, due, noon("2026-12-06")), Some(Notice::Half));
        assert_eq!(Notice::reached(start, due, noon("2026-12-15")), Some(Notice::Most));
        assert_eq!(Notice::reached(start, due, noon("2026-12-20")), Some(Notice::Most));
        assert_eq!(Notice::reached(start, due, noon("2026-12-21")), Some(Notice::Late));
    }

    proptest! {
        #[test]
        fn notices_come_in_order_and_never_before_the_start(start in 0u64..4_000_000_000_000, days: u16) {
            let start = UnixMillis::new(start);
            for clock in [Clock::Days(days), Clock::WorkingDays(days)] {
                let due = clock.due(start);
                let times = Notice::ALL.map(|notice| notice.at(start, due));
                prop_assert!(times.is_sorted() && times[0] >= start && times[2] == due.at());
            }
        }
    }
}
