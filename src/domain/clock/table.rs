//! The table of clocks: data, not code (`data/clocks.toml`), each line with the rule in which its number stands.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::Clock;
use crate::catalogue::{built_in, coded};
use crate::message::{Kind, Urgency};

coded! {
    /// What an office has to do within a time without being asked by a message.
    pub enum Duty {
        /// Tell the origin area that a person has registered here.
        TellArrival = "TELL_ARRIVAL";
        /// Have a message on disk.
        StoreMessage = "STORE_MESSAGE";
        /// Open a message that came.
        OpenMessage = "OPEN_MESSAGE";
        /// Check a certificate that was shown.
        CheckCertificate = "CHECK_CERTIFICATE";
        /// Issue a certificate that was applied for.
        IssueCertificate = "ISSUE_CERTIFICATE";
        /// Ask the origin areas what a birth registration needs, once both papers are here.
        AskOrigins = "ASK_ORIGINS";
        /// Tell the origin areas what became of a birth registration that they were asked about.
        TellResult = "TELL_RESULT";
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Count {
    Calendar,
    Working,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u16,
    #[cfg_attr(not(test), expect(dead_code, reason = "a test holds the list to the kinds"))]
    nobody_answers: Vec<String>,
    clock: Vec<KindLine>,
    duty: Vec<DutyLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KindLine {
    kind: String,
    urgency: Option<String>,
    days: u16,
    count: Count,
    id: String,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DutyLine {
    duty: Duty,
    days: u16,
    count: Count,
    id: String,
    source: String,
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// How long.
    pub clock: Clock,
    /// Line of the clock table of the field that it comes from; `-` for none.
    pub id: String,
    /// The rule in which the number stands.
    pub source: String,
}

struct Table {
    version: u16,
    kinds: HashMap<(Kind, Urgency), Entry>,
    duties: HashMap<Duty, Entry>,
}

const fn entry(days: u16, count: Count, id: String, source: String) -> Entry {
    let clock = match count {
        Count::Calendar => Clock::Days(days),
        Count::Working => Clock::WorkingDays(days),
    };
    Entry { clock, id, source }
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let File { version, clock, duty, .. } = built_in(include_str!("../data/clocks.toml"));
    let kinds = clock.into_iter().filter_map(|line| {
        let kind = Kind::from_name(&line.kind)?;
        let urgency = line.urgency.as_deref().map_or(Some(Urgency::Normal), Urgency::from_code)?;
        Some(((kind, urgency), entry(line.days, line.count, line.id, line.source)))
    });
    let duties = duty
        .into_iter()
        .map(|line| (line.duty, entry(line.days, line.count, line.id, line.source)));
    Table { version, kinds: kinds.collect(), duties: duties.collect() }
});

/// Version of the table.
#[must_use]
pub fn version() -> u16 {
    TABLE.version
}

/// The line of a kind; of an inquiry that is urgent, its own. None where nobody has to answer.
#[must_use]
pub fn of_kind(kind: Kind, urgency: Urgency) -> Option<&'static Entry> {
    let own = TABLE.kinds.get(&(kind, urgency));
    own.or_else(|| TABLE.kinds.get(&(kind, Urgency::Normal)))
}

/// How long an office has for a duty. A test shows that every duty has a line.
#[must_use]
pub fn of_duty(duty: Duty) -> Clock {
    TABLE.duties.get(&duty).map_or(Clock::Days(0), |entry| entry.clock)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::time::Date;

    const PAGE: &str = include_str!("../../../docs/clocks.md");

    fn file() -> File {
        built_in(include_str!("../data/clocks.toml"))
    }

    #[test]
    fn every_kind_is_in_the_table_once_and_every_duty_has_a_line() {
        let File { version, nobody_answers, clock, duty } = file();
        assert!(version > 0);
        let names: Vec<String> = Kind::ALL.iter().map(|kind| kind.name().to_owned()).collect();
        let normal = clock.iter().filter(|line| line.urgency.is_none()).map(|line| &line.kind);
        let mut all: Vec<&String> = normal.chain(&nobody_answers).collect();
        all.sort();
        let mut expected: Vec<&String> = names.iter().collect();
        expected.sort();
        assert_eq!(all, expected, "each kind once, and nothing that is none");
        let lines: BTreeSet<_> =
            clock.iter().map(|line| (line.kind.clone(), line.urgency.clone())).collect();
        assert_eq!(lines.len(), clock.len(), "a line is there twice");
        for line in clock.iter().filter_map(|line| line.urgency.as_deref()) {
            assert!(Urgency::from_code(line).is_some(), "{line}");
        }
        let duties: BTreeSet<_> = duty.iter().map(|line| line.duty).collect();
        assert_eq!(duties.len(), duty.len(), "a duty is there twice");
        assert_eq!(duties, Duty::ALL.iter().copied().collect());
    }

    #[test]
    fn whatever_asks_has_a_clock_and_nothing_else_has() {
        for kind in Kind::ALL {
            assert_eq!(kind.clock().is_some(), kind.answered_by().is_some(), "{kind:?}");
        }
        for line in file().clock {
            assert!((1..=60).contains(&line.days) && !line.source.is_empty(), "{}", line.kind);
        }
    }

    #[test]
    fn due_dates_are_what_the_rules_say() {
        use Kind as K;
        let day = |text: &str| text.parse::<Date>().unwrap();
        // Accepted on Friday 2026-02-13; the Spring Festival is from 15 to 23 February, and the Saturdays 14 and 28 are
        // worked. Counted by hand.
        let start = day("2026-02-13").begins();
        for (kind, clock, due) in [
            (K::ArrivalNotice, Clock::Days(30), "2026-03-15"),
            (K::OutflowNotice, Clock::Days(30), "2026-03-15"),
            (K::CertificateInquiry, Clock::WorkingDays(5), "2026-02-27"),
            (K::BirthRegistrationInquiry, Clock::WorkingDays(15), "2026-03-12"),
            (K::PregnancyReport, Clock::Days(15), "2026-02-28"),
            (K::ContraceptionReport, Clock::Days(30), "2026-03-15"),
            (K::BirthReport, Clock::Days(30), "2026-03-15"),
            (K::ServiceReferral, Clock::WorkingDays(5), "2026-02-27"),
            (K::Inquiry, Clock::Days(30), "2026-03-15"),
            (K::AgreementProposal, Clock::Days(30), "2026-03-15"),
        ] {
            assert_eq!(kind.clock(), Some(clock), "{kind:?}");
            assert_eq!(clock.due(start).on, day(due), "{kind:?}");
        }
        let urgent = of_kind(K::Inquiry, Urgency::Urgent).unwrap();
        assert_eq!(urgent.clock, Clock::Days(15));
        assert_eq!(Kind::ALL.iter().filter(|kind| kind.clock().is_some()).count(), 10);
        for (duty, clock) in [
            (Duty::TellArrival, Clock::Days(30)),
            (Duty::StoreMessage, Clock::Days(3)),
            (Duty::OpenMessage, Clock::Days(5)),
            (Duty::CheckCertificate, Clock::WorkingDays(5)),
            (Duty::IssueCertificate, Clock::WorkingDays(1)),
            (Duty::AskOrigins, Clock::WorkingDays(7)),
            (Duty::TellResult, Clock::WorkingDays(15)),
        ] {
            assert_eq!(of_duty(duty), clock, "{duty}");
        }
    }

    #[test]
    fn it_is_told_how_the_days_were_counted() {
        use crate::clock::{Counted, counted};
        let day = |text: &str| text.parse::<Date>().unwrap();
        let of = |kind, from, due| counted(kind, day(from), day(due));
        let asked = Kind::BirthRegistrationInquiry;
        assert_eq!(of(asked, "2026-02-10", "2026-03-09"), Some(Counted::Official));
        // The calendar of 2027 is not published yet.
        assert_eq!(of(asked, "2026-12-15", "2027-01-05"), Some(Counted::Weekdays));
        assert_eq!(
            of(Kind::ArrivalNotice, "2026-12-15", "2027-01-14"),
            Some(Counted::CalendarDays)
        );
        assert_eq!(of(Kind::ServiceReport, "2026-12-15", "2027-01-14"), None);
    }

    #[test]
    fn the_page_for_people_is_the_table() {
        let File { clock, duty, .. } = file();
        let days = |days: u16, count: Count| match count {
            Count::Calendar => format!("{days} days"),
            Count::Working => format!("{days} working days"),
        };
        let kinds = clock.iter().map(|line| {
            let urgent = line.urgency.as_ref().map_or(String::new(), |code| format!(" `{code}`"));
            let within = days(line.days, line.count);
            format!("| `{}`{urgent} | {within} | {} | {} |", line.kind, line.id, line.source)
        });
        let duties = duty.iter().map(|line| {
            let within = days(line.days, line.count);
            format!("| `{}` | {within} | {} | {} |", line.duty, line.id, line.source)
        });
        let expected: Vec<String> = kinds.chain(duties).collect();
        let found: Vec<&str> = PAGE.lines().filter(|line| line.starts_with("| `")).collect();
        let wanted = expected.join("\n");
        assert_eq!(found, expected, "docs/clocks.md should say:\n{wanted}");
    }
}
