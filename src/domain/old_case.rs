//! Old cases: what an office dealt with before it had a node, taken in so that it can be looked up.
//!
//! An old case is nobody's turn and has no clock: it names what was asked, with whom, and how it ended. What goes on is asked
//! again as a message. There is no free text in it, and kinds that need a person's consent cannot be taken in: nobody can
//! show hers.

use serde::{Deserialize, Serialize};

use crate::area::AreaCode;
use crate::case::Seat;
use crate::message::{Kind, PrintedNumber};
use crate::numbered::numbered;
use crate::rule::{Finding, Rule};
use crate::time::Date;

numbered! {
    /// How an old case stood.
    pub enum OldState {
        /// Not answered.
        Open = 1, "OPEN", "未办结";
        /// Answered.
        Answered = 2, "ANSWERED", "已答复";
        /// Closed.
        Closed = 3, "CLOSED", "已办结";
    }
}

/// An old case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldCase {
    /// Its number in the other software or the paper register.
    pub number: PrintedNumber,
    /// What it was about, as the message that would open it today.
    pub kind: Kind,
    /// Side of this office.
    pub ours: Seat,
    /// The other county.
    pub other: AreaCode,
    /// Day it was opened.
    pub opened_on: Date,
    /// How it stood.
    pub state: OldState,
    /// Day it was answered or closed.
    pub ended_on: Option<Date>,
}

impl OldCase {
    /// Everything that is wrong with it for an office of `own`, at its fields below `old_case`.
    #[must_use]
    pub fn findings(&self, own: AreaCode, today: Date) -> Vec<Finding> {
        let opens = self.kind.needs_person()
            && !self.kind.is_step()
            && self.kind.answers().is_none()
            && !self.kind.is_sent_by_nodes();
        let ended = self.ended_on.is_some();
        let later = [Some(self.opened_on), self.ended_on].into_iter().flatten().max();
        let broken = [
            (!opens || self.kind.needs_consent().is_some(), Rule::NoSuchChoice, "old_case.kind"),
            (self.other.county() == own.county(), Rule::SameCounty, "old_case.other"),
            (later.is_some_and(|day| day > today), Rule::DateNotInFuture, "old_case.opened_on"),
            (self.state == OldState::Open && ended, Rule::FieldNotAllowed, "old_case.ended_on"),
            (self.state != OldState::Open && !ended, Rule::FieldRequired, "old_case.ended_on"),
            (
                self.ended_on.is_some_and(|day| day < self.opened_on),
                Rule::EndBeforeStart,
                "old_case.ended_on",
            ),
        ];
        let found = broken.into_iter().filter(|(is, ..)| *is);
        found.map(|(_, rule, field)| Finding { rule, field: field.into() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn old() -> OldCase {
        OldCase {
            number: PrintedNumber::parse("XC-2019-0042").unwrap(),
            kind: Kind::Inquiry,
            ours: Seat::Answering,
            other: "440305".parse().unwrap(),
            opened_on: "2019-05-06".parse().unwrap(),
            state: OldState::Answered,
            ended_on: Some("2019-05-30".parse().unwrap()),
        }
    }

    fn rules(case: &OldCase) -> Vec<Rule> {
        let found = case.findings("410522".parse().unwrap(), "2026-03-02".parse().unwrap());
        found.into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn a_case_ends_after_it_began_and_not_at_home() {
        assert_eq!(rules(&old()), []);
        let day = |text: &str| text.parse::<Date>().unwrap();
        let open = OldCase { state: OldState::Open, ended_on: None, ..old() };
        assert_eq!(rules(&open), []);
        assert_eq!(rules(&OldCase { state: OldState::Open, ..old() }), [Rule::FieldNotAllowed]);
        assert_eq!(rules(&OldCase { ended_on: None, ..old() }), [Rule::FieldRequired]);
        let back = OldCase { ended_on: Some(day("2019-05-05")), ..old() };
        assert_eq!(rules(&back), [Rule::EndBeforeStart]);
        let coming = OldCase { ended_on: Some(day("2026-03-03")), ..old() };
        assert_eq!(rules(&coming), [Rule::DateNotInFuture]);
        let own = OldCase { other: "410522001".parse().unwrap(), ..old() };
        assert_eq!(rules(&own), [Rule::SameCounty]);
    }

    #[test]
    fn only_what_opens_a_case_and_needs_no_consent_is_taken_in() {
        use Kind as K;
        let taken: Vec<Kind> = Kind::ALL
            .iter()
            .copied()
            .filter(|kind| rules(&OldCase { kind: *kind, ..old() }).is_empty())
            .collect();
        let expected = [
            K::ArrivalNotice,
            K::DepartureNotice,
            K::OutflowNotice,
            K::CertificateInquiry,
            K::CertificateNotice,
            K::BirthRegistrationInquiry,
            K::BirthRegistrationResult,
            K::BirthReport,
            K::ServiceReport,
            K::ServiceReferral,
            K::Inquiry,
        ];
        assert_eq!(taken, expected);
    }
}
