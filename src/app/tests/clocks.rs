//! Tests of clocks and alarms, with a clock that is turned by hand over weeks.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::area::AreaCode;
use domain::message::{Body, Content, Kind};
use domain::reason::Reason;
use domain::time::UnixMillis;
use store::letters::NoticeKind;
use store::messages::Side;
use store::tables::{CLOCK, CLOCK_DONE};

use super::mail::{self, Post, content, content_between, deliver, draft, receipt};
use super::{HERE, LOOKING, NOW, ORIGIN, Office, later, notices};
use crate::app::clocks::Clocks;
use crate::app::heard::{self, Sense};
use crate::app::letters::{self, Filter};
use crate::app::messages::read;
use crate::app::messages::send::{self, Accepted, Draft};
use crate::app::messages::track::Stage;
use crate::app::{AppError, notices as told};

const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn clocks(office: &Office) -> Clocks {
    Clocks {
        own: office.area,
        store: office.store.clone(),
        unopened_after: DAY * 5,
        silent_after: DAY * 3,
    }
}

fn origin() -> AreaCode {
    ORIGIN.parse().unwrap()
}

pub(super) fn day(days: u32) -> UnixMillis {
    NOW.saturating_add(DAY * days)
}

/// Turns the clock from one day to another in steps of six hours, as a node does that runs. Says on which day,
/// counted from the beginning, which notices came.
async fn turn(office: &Office, days: std::ops::Range<u32>) -> Vec<(u32, NoticeKind)> {
    let (clocks, mut came) = (clocks(office), Vec::new());
    let mut known = notices::all(office).first().map_or(0, |notice| notice.number);
    for quarter in days.start * 4..days.end * 4 {
        let now = NOW.saturating_add(DAY / 4 * quarter);
        while clocks.scan(now).await.unwrap().more {}
        clocks.alarms(now).await.unwrap();
        let mut news: Vec<_> = notices::all(office);
        news.retain(|notice| notice.number > known);
        known = news.first().map_or(known, |notice| notice.number);
        came.extend(news.iter().rev().map(|notice| (quarter / 4, notice.row.what)));
    }
    came
}

/// Entries of the index.
fn watched(office: &Office) -> usize {
    let keys = office.store.journals_under(&CLOCK, &(), 1_000).unwrap();
    let entries = |key: &u64| office.store.read_from(&CLOCK, key, 1, 1_000, 1 << 20).unwrap().len();
    keys.iter().map(entries).sum()
}

async fn question(office: &Office, post: &Post) -> Accepted {
    mail::send(office, &office.clerk(), post, content(1, Kind::ArrivalNotice)).await
}

#[tokio::test]
async fn a_county_that_is_away_is_told_of_at_each_part_of_the_clock_and_then_the_message_is_a_letter()
 {
    let (office, post) = (Office::here(), Post::new());
    let sent = question(&office, &post).await;
    let came = turn(&office, 0..95).await;
    let to = origin();
    let not_delivered = |percent| NoticeKind::NotDelivered { to, percent };
    // The answer is due at the end of the 30th day.
    let expected = [
        (15, not_delivered(50)),
        (24, not_delivered(80)),
        (30, not_delivered(100)),
        (90, NoticeKind::DeadLetter { to }),
    ];
    assert_eq!(came, expected);
    let listed = letters::list(&office.clerk(), &office.store, Filter::default(), 0, None).unwrap();
    assert_eq!(listed.letters.len(), 1);
    assert_eq!(listed.letters[0].track.stage, Stage::Expired);
    assert_eq!(listed.letters[0].track.id, sent.id);
    assert_eq!(watched(&office), 0, "nobody looks at it any more");
}

#[tokio::test]
async fn both_offices_are_told_of_what_lies_unopened_and_unanswered() {
    let (here, there, post) = (Office::here(), Office::of(ORIGIN), Post::new());
    let sent = question(&here, &post).await;
    turn(&here, 0..2).await;
    deliver(&here, &post, &there, &[sent.id], day(2)).await;
    receipt(&here, &[(sent, None)], day(2)).await;
    let mut at_sender = turn(&here, 2..20).await;
    let mut at_recipient = turn(&there, 2..20).await;

    // Somebody opens it at last, and nobody answers.
    let reader = later(&there.clerk(), DAY * 20);
    read::get(&reader, &there.store, sent.id, LOOKING).await.unwrap();
    let opened = here.store.commit(move |unit| {
        let openings = [(sent.id, day(20))].into();
        crate::app::progress::take(unit, origin(), &openings, day(20))
    });
    opened.await.map_err(AppError::from).unwrap();
    at_sender.extend(turn(&here, 20..60).await);
    at_recipient.extend(turn(&there, 20..60).await);

    let (to, from) = (origin(), HERE.parse().unwrap());
    let sender: Vec<_> = at_sender.iter().map(|(_, what)| *what).collect();
    assert_eq!(
        sender,
        [
            NoticeKind::Unopened { at: to, days: 5 },
            NoticeKind::NotOpened { to, percent: 50 },
            NoticeKind::NotAnswered { to, percent: 80 },
            NoticeKind::NotAnswered { to, percent: 100 },
        ]
    );
    let to_answer = |percent| NoticeKind::ToAnswer { from, percent };
    let expected = [
        (7, NoticeKind::Unopened { at: to, days: 5 }),
        (15, to_answer(50)),
        (24, to_answer(80)),
        (30, to_answer(100)),
    ];
    assert_eq!(at_recipient, expected, "its own office is reminded as well");
    assert_eq!((watched(&here), watched(&there)), (0, 0));
}

#[tokio::test]
async fn what_is_answered_or_refused_or_not_to_be_answered_is_not_told_of() {
    let (office, post) = (Office::here(), Post::new());
    let ctx = office.clerk();
    let refused = question(&office, &post).await;
    let answered = mail::send(&office, &ctx, &post, content(2, Kind::ArrivalNotice)).await;
    let opened = mail::send(&office, &ctx, &post, content(3, Kind::DepartureNotice)).await;
    let said = [(refused, Some(Reason::DateInFuture)), (answered, None), (opened, None)];
    receipt(&office, &said, NOW).await;
    let done = office.store.commit(move |unit| {
        let by = domain::id::MessageId::from_bytes([7; 16]);
        send::update(unit, answered.id, Side::Sent, |row| row.answered = Some((by, NOW)))?;
        send::update(unit, opened.id, Side::Sent, |row| row.opened = Some(NOW))?;
        Ok::<_, AppError>(())
    });
    done.await.map_err(AppError::from).unwrap();
    assert_eq!(watched(&office), 3);
    let came = turn(&office, 0..5).await;
    assert_eq!(came, [], "the refusal was told when it came");
    assert_eq!(watched(&office), 0, "one look was enough");
    // A letter that nobody does anything about is told of again when its notice was taken off the list.
    told::done(&ctx, &office.store, 1).await.unwrap();
    let came = turn(&office, 5..14).await;
    let to = origin();
    assert_eq!(came, [(7, NoticeKind::DeadLetter { to })], "a week after");
}

#[tokio::test]
async fn a_node_that_was_off_for_weeks_tells_the_latest_and_nothing_twice() {
    let (office, post) = (Office::here(), Post::new());
    let sent = question(&office, &post).await;
    let clocks = clocks(&office);
    assert_eq!(clocks.scan(NOW).await.unwrap().looked, 0);
    let first = clocks.scan(day(26)).await.unwrap();
    assert_eq!((first.looked, first.told), (1, 1));
    assert_eq!(clocks.scan(day(26)).await.unwrap().looked, 0);
    // The clock is set back, and forward again.
    assert_eq!(clocks.scan(day(3)).await.unwrap().looked, 0);
    assert_eq!(clocks.scan(day(26)).await.unwrap().told, 0);
    let what = notices::all(&office).iter().map(|n| n.row.what).collect::<Vec<_>>();
    assert_eq!(what, [NoticeKind::NotDelivered { to: origin(), percent: 80 }]);
    assert_eq!(notices::all(&office)[0].row.messages, [sent.id]);
}

#[tokio::test]
async fn short_lives_end_in_time() {
    let (office, post) = (Office::here(), Post::new());
    let soon = NOW.saturating_add(Duration::from_secs(10));
    let short = Draft { expires: Some(soon), ..draft(content(1, Kind::DepartureNotice)) };
    let sent = send::send(&office.clerk(), &office.store, &post, short).await.unwrap();
    let clocks = clocks(&office);
    let at = |seconds| NOW.saturating_add(Duration::from_secs(seconds));
    assert_eq!(clocks.scan(at(0)).await.unwrap().next, Some(at(5)));
    for seconds in 0..=10 {
        clocks.scan(at(seconds)).await.unwrap();
    }
    let track = read::track(&office.clerk(), &office.store, sent.id).unwrap();
    assert_eq!(track.stage, Stage::Expired);
    let counts: BTreeMap<_, _> =
        notices::all(&office).iter().map(|n| (n.row.what.topic().0, n.row.count)).collect();
    // Half and most of the time, and then the letter: at the end itself nothing else is worth telling.
    assert_eq!(counts, BTreeMap::from([(1, 1), (11, 1)]));
}

#[tokio::test]
async fn a_look_is_bounded_and_says_that_there_is_more() {
    let (office, post) = (Office::here(), Post::new());
    let clocks = clocks(&office);
    for minute in 0..100_u64 {
        let ctx = later(&office.clerk(), Duration::from_secs(minute * 60));
        mail::send(&office, &ctx, &post, content(minute, Kind::DepartureNotice)).await;
    }
    let mut looks = Vec::new();
    loop {
        let scanned = clocks.scan(day(2)).await.unwrap();
        looks.push(scanned.looked);
        if !scanned.more {
            break;
        }
    }
    assert_eq!(looks.iter().sum::<usize>(), 100);
    assert!(looks.len() > 1 && looks.iter().all(|looked| *looked <= 64), "{looks:?}");
    assert_eq!(watched(&office), 100, "each is looked at again later");
}

#[tokio::test]
async fn silence_is_told_once_and_again_after_the_next_word() {
    let office = Office::here();
    let hear = |sense, at| {
        let noted = office.store.commit(move |unit| heard::note(unit, origin(), sense, at));
        async { noted.await.map_err(AppError::from).unwrap() }
    };
    hear(Sense::Receipt, NOW).await;
    hear(Sense::Contact, day(1)).await;
    let came = turn(&office, 0..10).await;
    let silent = |days| NoticeKind::Silent { area: origin(), days };
    assert_eq!(came, [(4, silent(3))], "three days after the last word");
    // It goes on: the notice is brought up to date.
    assert_eq!(notices::all(&office)[0].row.what, silent(8));
    told::done(&office.clerk(), &office.store, 1).await.unwrap();
    hear(Sense::Mail, day(10)).await;
    assert_eq!(turn(&office, 10..13).await, []);
    let came = turn(&office, 13..20).await;
    assert_eq!(came.first().map(|(_, what)| what.topic()), Some(silent(0).topic()));
    assert_eq!(came.len(), 1);
    // A county with which there was no mail for a season is not missed.
    told::done(&office.clerk(), &office.store, 2).await.unwrap();
    assert_eq!(turn(&office, 110..112).await, []);
}

#[tokio::test]
async fn reports_of_nodes_are_watched_by_nobody() {
    let (there, post) = (Office::of(ORIGIN), Post::new());
    let opened = there.store.commit(|unit| {
        let id = domain::id::MessageId::from_bytes([1; 16]);
        crate::app::progress::opened(unit, HERE.parse().unwrap(), id, NOW)
    });
    opened.await.map_err(AppError::from).unwrap();
    let sent = crate::app::progress::report(origin(), &there.store, &post, NOW).await.unwrap();
    assert_eq!((sent, watched(&there)), (1, 0));
    let content: Content = content_between(1, Kind::ProgressReport, ORIGIN, HERE);
    assert!(matches!(content.body, Body::ProgressReport(_)));
}

/// Due times are midnights: tens of thousands of messages may be due in one second.
#[tokio::test]
async fn messages_of_one_second_are_looked_at_some_at_a_time_and_each_is_told_of_once() {
    const MANY: usize = 5_000;
    let (office, post) = (Office::here(), Post::new());
    let sent = question(&office, &post).await;
    let second = day(16).get() / 1_000;
    let entered = office.store.commit(move |unit| {
        let entry = [&sent.id.as_bytes()[..], &[Side::Sent.byte(), 0]].concat();
        (0..MANY).try_for_each(|_| unit.append(&CLOCK, &second, &entry).map(drop))
    });
    entered.await.unwrap();
    let (mut looked, mut told, mut looks) = (0, 0, 0);
    while looked < MANY {
        // A node that was stopped in between goes on where it was.
        let scanned = clocks(&office).scan(day(16)).await.unwrap();
        assert!(scanned.looked <= 2_048, "{scanned:?}");
        (looked, told, looks) = (looked + scanned.looked, told + scanned.told, looks + 1);
        assert!(looks < 10);
    }
    while clocks(&office).scan(day(16)).await.unwrap().more {}
    assert!(told >= MANY, "{told}");
    let notices = notices::all(&office);
    let counted: u32 = notices.iter().map(|notice| notice.row.count).sum();
    assert_eq!(usize::try_from(counted).unwrap(), MANY + 1, "with the message's own entry");
    assert!(office.store.scan(&CLOCK_DONE, .., 1).unwrap().is_empty());
    let left = office.store.journals_under(&CLOCK, &(), 10).unwrap();
    assert!(left.iter().all(|left| *left > second), "{left:?}");
}
