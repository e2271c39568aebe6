//! The clock of asking: from the day on which the papers for a birth registration came, on the list of what is to be done until
//! the origins are asked, with an alarm that names nobody, and counted for the office that asks on both sides.

use domain::clock::Counted;
use domain::consent::Given;
use domain::id::CaseId;
use domain::indicator::Indicator;
use domain::message::Kind;
use domain::service::Service;
use store::letters::NoticeKind;
use store::messages::{MessageRow, Side};
use store::records::KeptServiceRequest;
use store::tables::NOTICE;

use super::couples::application;
use super::mail::{Post, deliver};
use super::measured::measured;
use super::*;
use crate::app::applications::{self, ToAsk};
use crate::app::cases::couple::{self, Application};
use crate::app::cases::read;
use crate::app::consents::{self, Request};
use crate::app::messages::track;

fn date(day: &str) -> Date {
    day.parse().unwrap()
}

/// She applies for a service; the papers came on that day.
async fn applied(
    office: &Office,
    service: Service,
    day: Date,
) -> Result<KeptServiceRequest, AppError> {
    let (recipient, given) = (ORIGIN.parse().unwrap(), Given::InPerson);
    let asked = Request { service, requested_on: day, given, recipient };
    consents::request(&office.clerk(), &office.store, person(0).document, asked).await
}

async fn ask(
    office: &Office,
    post: &Post,
    papers_on: Option<Date>,
) -> Result<Vec<CaseId>, AppError> {
    let asked = Application { papers_on, ..application(0, "") };
    couple::ask(&office.clerk(), &office.store, post, asked).await
}

fn listed(office: &Office) -> Vec<ToAsk> {
    applications::list(&office.clerk(), &office.store).unwrap()
}

fn asking(office: &Office) -> Option<(u64, u64)> {
    measured(office, HERE, Indicator::Asking, Kind::BirthRegistrationInquiry)
}

#[tokio::test]
async fn an_application_is_to_be_asked_about_within_seven_working_days_of_its_papers() {
    let (office, origin, post) = (Office::here(), Office::of(ORIGIN), Post::new());
    office.arrive(person(0)).await;
    let papers_on = date("2026-02-24");
    let kept = applied(&office, Service::BirthRegistration, papers_on).await.unwrap();
    applied(&office, Service::Counselling, papers_on).await.unwrap();
    // Tuesday 24 February; 25, 26, 27, the Saturday that is worked, and 2, 3, 4 March.
    let due = date("2026-03-04").ends();
    assert_eq!(listed(&office), [ToAsk { request: kept.request.id, papers_on, due }]);
    let look = |now| applications::look(&office.store, now);
    assert_eq!(look(date("2026-03-04").begins()).await.unwrap(), 0, "the last day is in time");
    // From Tuesday's beginning to the end of Wednesday week it is nine days: half of it is over at noon on Saturday.
    let ahead = |now| applications::look_ahead(&office.store, now);
    let noon = |day| date(day).begins().saturating_add(Duration::from_secs(12 * 3_600));
    let early = UnixMillis::new(noon("2026-02-28").get() - 1);
    for (at, wanted) in
        [(early, 0), (noon("2026-02-28"), 1), (noon("2026-03-01"), 0), (noon("2026-03-03"), 1)]
    {
        assert_eq!(ahead(at).await.unwrap(), wanted, "{}", at.date());
        assert_eq!(ahead(at).await.unwrap(), 0, "told once");
    }
    assert_eq!(ahead(due).await.unwrap(), 0, "that it is over is told otherwise");
    assert_eq!(asking(&office), Some((0, 1)), "a month later nobody has asked");
    assert_eq!((look(due).await.unwrap(), look(due).await.unwrap()), (1, 0), "told once");
    let notices = office.store.scan(&NOTICE, .., 10).unwrap();
    let told = notices.iter().find(|(_, row)| row.what == NoticeKind::OriginsToAsk);
    assert!(told.is_some_and(|(_, row)| row.messages.is_empty()), "{notices:?}");
    for percent in [50, 80] {
        let soon = NoticeKind::OriginsSoon { percent };
        assert!(notices.iter().any(|(_, row)| row.what == soon && row.messages.is_empty()));
    }

    let cases = ask(&office, &post, None).await.unwrap();
    assert!(listed(&office).is_empty(), "asked");
    deliver(&office, &post, &origin, &[cases[0].opening_message()], NOW).await;
    for office in [&office, &origin] {
        let shown = read::show(&office.clerk(), &office.store, cases[0]).unwrap();
        assert_eq!(shown.papers_on, Some(papers_on), "the day of the application on record");
        assert_eq!(shown.asked, Some((due, false)), "the same day on both sides");
        assert_eq!(shown.result, None, "nobody has answered");
    }
    assert_eq!((asking(&office), asking(&origin)), (Some((2, 2)), Some((1, 1))));
}

#[tokio::test]
async fn who_asks_late_is_counted_so_on_both_sides_and_only_that_office() {
    let (office, origin, post) = (Office::here(), Office::of(ORIGIN), Post::new());
    // 11, 12, 13, the Saturday that is worked, and 24, 25, 26 February: Sunday 1 March is late.
    let cases = ask(&office, &post, Some(date("2026-02-10"))).await.unwrap();
    deliver(&office, &post, &origin, &[cases[0].opening_message()], NOW).await;
    let shown = read::show(&origin.clerk(), &origin.store, cases[0]).unwrap();
    assert_eq!(shown.asked, Some((date("2026-02-26").ends(), true)));
    assert_eq!((asking(&office), asking(&origin)), (Some((0, 2)), Some((0, 1))));
    let kind = Kind::BirthRegistrationInquiry;
    assert_eq!(measured(&origin, ORIGIN, Indicator::Asking, kind), None);
}

#[tokio::test]
async fn papers_come_neither_tomorrow_nor_years_ago_and_by_default_today() {
    let (office, post) = (Office::here(), Post::new());
    office.arrive(person(0)).await;
    for (day, reason) in [
        (today().plus_days(1), Reason::DateInFuture),
        (today().plus_days(-367), Reason::InvalidField),
    ] {
        let told = refused(ask(&office, &post, Some(day)).await);
        assert_eq!(told, (reason, "papers_on".to_owned()));
        let told = applied(&office, Service::BirthRegistration, day).await;
        assert!(told.is_err(), "{day}");
    }
    let oldest = today().plus_days(-366);
    let kept = applied(&office, Service::BirthRegistration, oldest).await.unwrap();
    let (clerk, id) = (office.clerk(), kept.request.id);
    consents::withdraw_request(&clerk, &office.store, id, Given::Online).await.unwrap();
    assert!(listed(&office).is_empty(), "she has taken it back");
    let cases = ask(&office, &post, None).await.unwrap();
    let shown = read::show(&clerk, &office.store, cases[0]).unwrap();
    assert_eq!(shown.papers_on, Some(today()));
}

#[tokio::test]
async fn a_due_day_beyond_the_calendar_says_so() {
    let (office, post) = (Office::here(), Post::new());
    let asked = ask(&office, &post, None).await.unwrap();
    let shown = read::show(&office.clerk(), &office.store, asked[0]).unwrap();
    assert_eq!(shown.counted, Some(Counted::Official));
    let id = asked[0].opening_message();
    let kept = super::mail::row(&office.store, id, Side::Sent);
    // As if it had been asked in the middle of December; the calendar of the next year is not published.
    let by = Duration::from_secs(290 * 86_400);
    let due = kept.due.map(|due| due.saturating_add(by));
    let winter = MessageRow { created: NOW.saturating_add(by), due, ..kept.clone() };
    for (row, counted) in [(kept, Counted::Official), (winter, Counted::Weekdays)] {
        let track = track::of(&office.clerk(), &office.store, id, Side::Sent, &row).unwrap();
        assert_eq!(track.counted, Some(counted));
    }
}
