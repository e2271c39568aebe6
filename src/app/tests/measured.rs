//! Indicators of a case that was handed over: the office that answers now is measured, at each node that knows.

use domain::case::{Seat, TransferCause};
use domain::id::CaseId;
use domain::indicator::Indicator;
use domain::message::{Content, Forward, Kind};
use store::cases::OURS;

use super::cases::{THIRD, between, kept};
use super::mail::{Post, Stranger, content, content_between, send};
use super::rogues::{accept, asked, hand_over, offer};
use super::*;
use crate::app::cases::steps;
use crate::app::indicators;

/// Answered in time, of those that were due in the month: of that office, as this node sees it.
fn feedback(office: &Office, of: &str) -> Option<(u64, u64)> {
    let ctx = later(&office.clerk(), Duration::from_secs(30 * 86_400));
    let period = "2026-03".parse().unwrap();
    let numbers = indicators::show(&ctx, &office.store, period, false).unwrap();
    let of: AreaCode = of.parse().unwrap();
    let mut numbers = numbers.into_iter().filter(|number| {
        let question = number.kind == Some(Kind::CertificateInquiry);
        number.indicator == Indicator::Feedback && number.area == of && question
    });
    numbers.next().and_then(|number| number.count).map(|it| (it.numerator, it.denominator))
}

#[tokio::test]
async fn whoever_took_a_case_over_is_measured_by_it_where_it_was_asked_and_where_it_is_answered() {
    let (office, post) = (Office::here(), Post::new());
    let question = asked(&office, &post).await;
    assert_eq!(feedback(&office, ORIGIN), Some((0, 1)));
    let (seat, term, cause) = (Seat::Answering, 2, TransferCause::WrongCounty);
    let forward = Forward { seat, term, area: THIRD.parse().unwrap(), cause };
    let forward = Content { step: 1, ..between(Some(question.case), forward.into()) };
    Stranger::of(ORIGIN).says(&office, forward, NOW).await;
    assert_eq!(feedback(&office, ORIGIN), None, "it was given away");
    assert_eq!(feedback(&office, THIRD), Some((0, 1)));
    let answer = Content {
        case: Some(question.case),
        in_reply_to: Some(question.id),
        step: 2,
        ..content_between(3, Kind::CertificateStatement, THIRD, HERE)
    };
    Stranger::of(THIRD).says(&office, answer, NOW).await;
    assert_eq!(feedback(&office, THIRD), Some((1, 1)));
}

#[tokio::test]
async fn whoever_took_a_case_over_counts_it_as_its_own() {
    let (office, post) = (Office::of(THIRD), Post::new());
    let case = CaseId::from_bytes([5; 16]);
    let mut holder = Stranger::of(ORIGIN);
    holder.says(&office, offer(case), NOW).await;
    assert_eq!(feedback(&office, THIRD), None);
    let order = accept(&office, case);
    steps::take(&office.clerk(), &office.store, &post, order).await.unwrap();
    holder.says(&office, hand_over(case, 2, Vec::new()), NOW).await;
    assert_eq!(feedback(&office, THIRD), Some((0, 1)));
    // What is passed on later is the same case.
    holder.says(&office, hand_over(case, 2, Vec::new()), NOW).await;
    assert_eq!(feedback(&office, THIRD), Some((0, 1)));
}

#[tokio::test]
async fn what_became_of_a_birth_registration_is_due_fifteen_working_days_after_the_answer() {
    let (office, post) = (Office::here(), Post::new());
    let question = content(3, Kind::BirthRegistrationInquiry);
    let asked = send(&office, &office.clerk(), &post, question).await;
    let answer = Content {
        case: Some(asked.case),
        in_reply_to: Some(asked.id),
        step: 1,
        ..content_between(3, Kind::BirthRegistrationStatement, ORIGIN, HERE)
    };
    Stranger::of(ORIGIN).says(&office, answer, NOW).await;
    // Sunday 2026-03-01, and three whole weeks of five working days.
    let (whose, due) = kept(&office, asked.case).turn.unwrap();
    let last = UnixMillis::new(due - 1).date();
    assert_eq!((whose, last), (OURS, "2026-03-20".parse().unwrap()));
}
