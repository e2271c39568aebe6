//! Indicators of a case that was handed over: the office that answers now is measured, at each node that knows.

use domain::case::{Seat, TransferCause};
use domain::id::CaseId;
use domain::indicator::Indicator;
use domain::message::{Clarify, Content, Forward, HandOverAcceptance, Kind};
use domain::text::Passage;
use store::cases::OURS;
use store::letters::NoticeKind;
use store::tables::NOTICE;

use super::cases::{THIRD, between, kept};
use super::clocks::{clocks, day};
use super::mail::{Post, Stranger, content, content_between, send};
use super::rogues::{accept, asked, hand_over, offer};
use super::*;
use crate::app::cases::{alarms, duties, parts, steps};
use crate::app::indicators;

/// Answered, of those that were due in the month: of that office, as this node sees it.
fn feedback(office: &Office, of: &str) -> Option<(u64, u64)> {
    measured(office, of, Indicator::Feedback, Kind::CertificateInquiry)
}

/// Answered in time, of those that were answered in the month.
fn timeliness(office: &Office, of: &str) -> Option<(u64, u64)> {
    measured(office, of, Indicator::Timeliness, Kind::CertificateInquiry)
}

/// An indicator of an office for a kind in the month, as this node sees it.
pub(super) fn measured(
    office: &Office,
    of: &str,
    indicator: Indicator,
    kind: Kind,
) -> Option<(u64, u64)> {
    let ctx = later(&office.clerk(), Duration::from_secs(30 * 86_400));
    let period = "2026-03".parse().unwrap();
    let numbers = indicators::show(&ctx, &office.store, period, false).unwrap();
    let of: AreaCode = of.parse().unwrap();
    let mut numbers = numbers.into_iter().filter(|number| {
        number.indicator == indicator && number.area == of && number.kind == Some(kind)
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

/// The origin tells that it has given the question away; the third county answers.
async fn handed_on(given: &str, answered: &str) -> Office {
    let (office, post) = (Office::here(), Post::new());
    let at = |day: &str| day.parse::<Date>().unwrap().begins();
    let question = asked(&office, &post).await;
    let (seat, term, cause) = (Seat::Answering, 2, TransferCause::WrongCounty);
    let forward = Forward { seat, term, area: THIRD.parse().unwrap(), cause };
    let forward = Content { step: 1, ..between(Some(question.case), forward.into()) };
    Stranger::of(ORIGIN).says(&office, forward, at(given)).await;
    let answer = Content {
        case: Some(question.case),
        in_reply_to: Some(question.id),
        step: 2,
        ..content_between(3, Kind::CertificateStatement, THIRD, HERE)
    };
    Stranger::of(THIRD).says(&office, answer, at(answered)).await;
    office
}

#[tokio::test]
async fn whoever_gives_a_case_away_in_time_is_not_counted_and_whoever_takes_it_has_the_whole_clock()
{
    // Asked on Sunday 1 March; five working days end on Friday 6 March, and five more from that day on Friday 13 March.
    let office = handed_on("2026-03-06", "2026-03-13").await;
    assert_eq!(feedback(&office, ORIGIN), None);
    assert_eq!(
        (feedback(&office, THIRD), timeliness(&office, THIRD)),
        (Some((1, 1)), Some((1, 1)))
    );
    let office = handed_on("2026-03-06", "2026-03-14").await;
    assert_eq!(timeliness(&office, THIRD), Some((0, 1)));
    // Late when it gave the case away: that stays its own.
    let office = handed_on("2026-03-09", "2026-03-16").await;
    assert_eq!(feedback(&office, ORIGIN), Some((0, 1)));
    assert_eq!(
        (feedback(&office, THIRD), timeliness(&office, THIRD)),
        (Some((1, 1)), Some((1, 1)))
    );
}

#[tokio::test]
async fn an_office_that_has_left_counts_what_it_left_late_and_nothing_that_others_do() {
    for (given, counted) in [(0, None), (8, Some((0, 1)))] {
        let (office, post) = (Office::of(ORIGIN), Post::new());
        let question = content(3, Kind::CertificateInquiry);
        let case = CaseId::from(Stranger::of(HERE).says(&office, question, NOW).await);
        give_away(&office, &post, case, Seat::Answering, given).await;
        assert_eq!(feedback(&office, ORIGIN), counted, "given away on day {given}");
        assert_eq!(feedback(&office, THIRD), None);
    }
    // The asking side: whoever has left does not count what the origin then says to another.
    let (office, post) = (Office::here(), Post::new());
    let question = asked(&office, &post).await;
    assert_eq!(feedback(&office, ORIGIN), Some((0, 1)));
    give_away(&office, &post, question.case, Seat::Asking, 0).await;
    assert_eq!(feedback(&office, ORIGIN), None);
    for days in 1..12 {
        clocks(&office).scan(day(days)).await.unwrap();
        alarms::look(office.area, &office.store, day(days)).await.unwrap();
        parts::look(office.area, &office.store, day(days)).await.unwrap();
    }
    let notices = office.store.scan(&NOTICE, .., 100).unwrap();
    let blamed = |what: &NoticeKind| {
        matches!(what, NoticeKind::NotDelivered { .. } | NoticeKind::NotAnswered { .. })
    };
    assert!(!notices.iter().any(|(_, row)| blamed(&row.what)), "{notices:?}");
}

#[tokio::test]
async fn parts_of_the_clock_of_a_side_that_was_handed_over_name_who_holds_it() {
    let (office, post) = (Office::here(), Post::new());
    let at = |day: &str| day.parse::<Date>().unwrap().begins();
    let question = asked(&office, &post).await;
    let forward = Forward {
        seat: Seat::Answering,
        term: 2,
        area: THIRD.parse().unwrap(),
        cause: TransferCause::WrongCounty,
    };
    let forward = Content { step: 1, ..between(Some(question.case), forward.into()) };
    // Given away on Monday: what is left goes to the end of Friday, five days. Half of them is over on Wednesday noon.
    Stranger::of(ORIGIN).says(&office, forward, at("2026-03-02")).await;
    let mut told = Vec::new();
    for hour in 0..8 * 24 {
        let now = at("2026-03-02").saturating_add(Duration::from_secs(hour * 3_600));
        told.extend(
            (parts::look(office.area, &office.store, now).await.unwrap() > 0).then_some(now),
        );
    }
    let noon = at("2026-03-04").saturating_add(Duration::from_secs(12 * 3_600));
    assert_eq!(told, [noon, at("2026-03-06")]);
    let notices = office.store.scan(&NOTICE, .., 100).unwrap();
    for percent in [50, 80] {
        let what = NoticeKind::NotAnswered { to: THIRD.parse().unwrap(), percent };
        let notice = notices.iter().find(|(_, row)| row.what == what);
        assert_eq!(notice.unwrap().1.messages, [question.id], "{notices:?}");
    }
    assert!(!notices.iter().any(|(_, row)| matches!(row.what, NoticeKind::ToAnswer { .. })));
}

/// Our side goes to the third county, so many days from now.
async fn give_away(office: &Office, post: &Post, case: CaseId, seat: Seat, days: u32) {
    let action = steps::Action::Offer(THIRD.parse().unwrap(), TransferCause::PersonMoved, day(20));
    let expected = kept(office, case).version;
    let (idempotency_key, listed) = (String::new(), false);
    let order = steps::Order { case, expected, action, idempotency_key, listed };
    steps::take(&office.clerk(), &office.store, post, order).await.unwrap();
    let accepted = HandOverAcceptance { seat, term: 2 };
    Stranger::of(THIRD).says(office, between(Some(case), accepted.into()), NOW).await;
    let done = duties::run(office.area, &office.store, post, day(days)).await;
    assert_eq!(done.unwrap(), 1);
}

#[tokio::test]
async fn an_answer_while_the_clock_stands_still_is_counted() {
    let at = |day: &str| day.parse::<Date>().unwrap().begins();
    // Five working days from Sunday 1 March end on the 6th. From the 5th on the clock stood still for five of them, from
    // the 9th on, when it had run out, for three.
    for (clarified, timely) in [("2026-03-05", 1), ("2026-03-09", 0)] {
        let (office, post) = (Office::here(), Post::new());
        let question = asked(&office, &post).await;
        let mut origin = Stranger::of(ORIGIN);
        let clarify = Clarify { question: Passage::new("请补充证明编号。").unwrap() };
        let clarify = Content { step: 1, ..between(Some(question.case), clarify.into()) };
        origin.says(&office, clarify, at(clarified)).await;
        assert_eq!(feedback(&office, ORIGIN), None, "nobody has to answer while it stands still");
        let answer = Content {
            case: Some(question.case),
            in_reply_to: Some(question.id),
            step: 2,
            ..content_between(3, Kind::CertificateStatement, ORIGIN, HERE)
        };
        origin.says(&office, answer, at("2026-03-12")).await;
        assert_eq!(feedback(&office, ORIGIN), Some((1, 1)), "{clarified}");
        assert_eq!(timeliness(&office, ORIGIN), Some((timely, 1)), "{clarified}");
    }
}

#[tokio::test]
async fn an_office_counts_its_own_answer_while_its_clock_stands_still() {
    // As above, seen from the other side: asked on Sunday 1 March, the clock stood still from the 5th to the 12th.
    let (office, post) = (Office::of(ORIGIN), Post::new());
    let question = content(3, Kind::CertificateInquiry);
    let case = CaseId::from(Stranger::of(HERE).says(&office, question, NOW).await);
    let clarify = steps::Action::Clarify(Passage::new("请补充证明编号。").unwrap());
    let answer = content_between(3, Kind::CertificateStatement, ORIGIN, HERE).body;
    let answer = steps::Action::Answer(Box::new(answer));
    for (action, days) in [(clarify, 4), (answer, 11)] {
        let expected = kept(&office, case).version;
        let (idempotency_key, listed) = (String::new(), false);
        let order = steps::Order { case, expected, action, idempotency_key, listed };
        let ctx = later(&office.clerk(), Duration::from_secs(days * 86_400));
        steps::take(&ctx, &office.store, &post, order).await.unwrap();
    }
    assert_eq!(feedback(&office, ORIGIN), Some((1, 1)));
    assert_eq!(timeliness(&office, ORIGIN), Some((1, 1)));
}
