//! Tests of what an earlier report answers: the newest that says it plainly, and nothing that is stale.

use super::*;
use crate::area::AreaCode;
use crate::id::MessageId;
use crate::message::{ArrivalNotice, CheckContext};
use crate::synthetic::{Messages, People};

/// 2026-11-20T10:00:00+08:00.
const NOW: UnixMillis = UnixMillis::new(1_795_140_000_000);
const DAY: u64 = 86_400_000;

fn make(kind: Kind) -> Content {
    let area = |code: &str| -> AreaCode { code.parse().unwrap() };
    let people = People::new(1, vec![area("410522")], NOW.date());
    let context = CheckContext { from: area("440305"), to: area("410522"), now: NOW };
    Messages::new(people, context).next(kind).unwrap()
}

fn about(body: impl Into<Body>) -> Content {
    let mut content = make(Kind::ArrivalNotice);
    content.body = body.into();
    content
}

fn report(number: u8, days_ago: u64, body: impl Into<Body>) -> Report {
    let at = UnixMillis::new(NOW.get() - days_ago * DAY);
    let id = MessageId::from_bytes([number; 16]);
    Report { id, at, content: about(body), question: None }
}

fn asks(question: &Content, reports: &[Report]) -> Option<(u8, Body)> {
    let (id, body) = answer(question, reports, 30, NOW.date())?;
    Some((id.as_bytes()[0], body))
}

fn day(ago: i32) -> Date {
    NOW.date().plus_days(-ago)
}

fn arrived(ago: i32) -> ArrivalNotice {
    let Body::ArrivalNotice(notice) = make(Kind::ArrivalNotice).body else { unreachable!() };
    ArrivalNotice { arrived_on: day(ago), ..notice }
}

fn moved(left: i32) -> Content {
    about(OutflowNotice {
        left_on: day(left),
        certificate_number: None,
        services_wanted: Default::default(),
    })
}

#[test]
fn an_arrival_answers_whether_she_has_come_until_she_leaves_again() {
    let reports = [report(1, 3, arrived(5))];
    let (id, said) = asks(&moved(6), &reports).unwrap();
    assert_eq!(id, 1);
    let Body::OutflowFeedback(said) = said else { panic!("another body") };
    assert_eq!((said.outcome, said.arrived_on), (OutflowOutcome::Arrived, Some(day(5))));
    assert_eq!(asks(&moved(4), &reports), None, "that was an earlier stay");
    assert_eq!(asks(&moved(6), &[report(1, 31, arrived(5))]), None, "too old");
    assert!(asks(&moved(6), &[report(1, 30, arrived(5))]).is_some());
    let Body::DepartureNotice(left) = make(Kind::DepartureNotice).body else { unreachable!() };
    let both = [report(1, 3, arrived(5)), report(2, 1, left)];
    assert_eq!(asks(&moved(6), &both), None);
    let again =
        Content { asked_again: Some(crate::text::Note::new("请核实").unwrap()), ..moved(6) };
    assert_eq!(asks(&again, &reports), None, "a person answers");
    let people = People::new(9, vec!["410522".parse().unwrap()], NOW.date());
    let context =
        CheckContext { from: "440305".parse().unwrap(), to: "410522".parse().unwrap(), now: NOW };
    let stranger = Messages::new(people, context).next(Kind::OutflowNotice).unwrap().person;
    let other = Content { person: stranger, ..moved(6) };
    assert_eq!(asks(&other, &reports), None, "about somebody else");
}

#[test]
fn the_newest_word_about_a_certificate_answers_what_it_covers() {
    let number = "41052226000000015".parse();
    let Body::CertificateStatement(sample) = make(Kind::CertificateStatement).body else {
        unreachable!()
    };
    let number = number.unwrap_or(sample.certificate_number);
    let inquiry = |claims: &[CertificateClaim]| {
        about(CertificateInquiry {
            certificate_number: number,
            claims: claims.iter().copied().collect(),
        })
    };
    let notice = |event, until: Option<i32>| CertificateNotice {
        event,
        certificate_number: number,
        valid_until: until.map(|days| day(-days)),
        replaces: None,
    };
    let validity = inquiry(&[CertificateClaim::Validity]);
    let issued = report(1, 20, notice(CertificateEvent::Issued, Some(400)));
    let state = |question: &Content, reports: &[Report]| {
        asks(question, reports).map(|(id, said)| {
            let Body::CertificateStatement(said) = said else { panic!("another body") };
            (id, said.state)
        })
    };
    let one = std::slice::from_ref(&issued);
    assert_eq!(state(&validity, one), Some((1, CertificateState::Valid)));
    let revoked = report(2, 10, notice(CertificateEvent::Revoked, None));
    let both = [issued.clone(), revoked];
    assert_eq!(state(&validity, &both), Some((2, CertificateState::Revoked)));
    let run_out = report(3, 20, notice(CertificateEvent::Issued, Some(-1)));
    assert_eq!(state(&validity, &[run_out]), None, "what has run out since is stale");
    let married = inquiry(&[CertificateClaim::Validity, CertificateClaim::MaritalStatus]);
    assert_eq!(state(&married, one), None, "a notice says nothing of that");
    let stated = |state, marital_status| CertificateStatement {
        certificate_number: number,
        state,
        valid_until: (state == CertificateState::Valid).then(|| day(-100)),
        replaced_by: None,
        marital_status,
        children: None,
        reason: None,
    };
    let known = stated(CertificateState::Valid, Some(crate::person::MaritalStatus::Married));
    assert!(state(&married, &[report(4, 2, known)]).is_some());
    let unknown = stated(CertificateState::CannotVerify, None);
    let doubtful = [issued, report(5, 2, unknown)];
    assert_eq!(state(&validity, &doubtful), None, "the newest word is that it is not known");
}

#[test]
fn only_the_very_same_question_is_answered_by_an_old_answer() {
    let Body::Inquiry(asked) = make(Kind::Inquiry).body else { unreachable!() };
    let said = |outcome| InquiryAnswer { outcome, answer: None, reason: None };
    let answered =
        |outcome, question: Option<Content>| Report { question, ..report(1, 3, said(outcome)) };
    let question = about(asked.clone());
    let confirmed = answered(StatementOutcome::Confirmed, Some(question.clone()));
    assert!(asks(&question, std::slice::from_ref(&confirmed)).is_some());
    let other =
        Inquiry { question: crate::text::Passage::new("另一个问题").unwrap(), ..asked };
    assert_eq!(asks(&about(other), &[confirmed]), None);
    for outcome in [StatementOutcome::CannotVerify, StatementOutcome::PersonDeclined] {
        assert_eq!(asks(&question, &[answered(outcome, Some(question.clone()))]), None);
    }
    assert_eq!(asks(&question, &[answered(StatementOutcome::Confirmed, None)]), None);
}
