//! A clock that is far ahead deletes nothing, until another node agrees or it has gone on for long enough.

use std::time::Duration;

use domain::message::Kind;
use domain::time::UnixMillis;
use store::letters::NoticeKind;
use store::messages::Side;

use super::mail::{Stranger, content_between, row};
use super::{HERE, NOW, ORIGIN, Office, notices};
use crate::app::{retention, time_known};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const YEAR: Duration = Duration::from_secs(366 * 86_400);

/// Deletes what is over, as a node does when it believes its clock. Says of how many messages.
async fn forget(office: &Office, now: UnixMillis, agreed: bool) -> usize {
    match time_known::is_believed(&office.store, now, agreed).await.unwrap() {
        true => retention::forget(office.area, &office.store, now).await.unwrap(),
        false => 0,
    }
}

fn doubted(office: &Office) -> usize {
    let is_doubt = |what| matches!(what, NoticeKind::ClockDoubted { since } if since == NOW);
    notices::all(office).iter().filter(|notice| is_doubt(notice.row.what)).count()
}

/// An office that has received something, and has run at [`NOW`].
async fn office() -> (Office, domain::id::MessageId) {
    let office = Office::of(ORIGIN);
    let content = content_between(1, Kind::ArrivalNotice, HERE, ORIGIN);
    let id = Stranger::of(HERE).says(&office, content, NOW).await;
    assert_eq!(forget(&office, NOW, false).await, 0);
    (office, id)
}

#[tokio::test]
async fn a_start_far_ahead_deletes_nothing_and_tells_the_administrator() {
    let (office, id) = office().await;
    let ahead = NOW.saturating_add(YEAR * 20);
    assert_eq!(forget(&office, ahead, false).await, 0);
    assert!(!row(&office.store, id, Side::Received).is_deleted());
    assert_eq!(doubted(&office), 1);
    // The clock is set right, goes on, and may be ahead again: each time it begins anew.
    assert_eq!(forget(&office, NOW.saturating_add(HOUR), false).await, 0);
    assert_eq!(forget(&office, ahead.saturating_add(DAY * 8), false).await, 0);
    assert!(!row(&office.store, id, Side::Received).is_deleted());
}

#[tokio::test]
async fn a_node_that_agrees_is_believed_at_once() {
    let (office, id) = office().await;
    let later = NOW.saturating_add(YEAR * 4);
    assert_eq!(forget(&office, later, false).await, 0);
    assert_eq!(forget(&office, later.saturating_add(HOUR), true).await, 1);
    assert!(row(&office.store, id, Side::Received).is_deleted());
}

#[tokio::test]
async fn a_clock_that_goes_on_without_a_break_is_believed_after_a_week() {
    let (office, id) = office().await;
    let start = NOW.saturating_add(YEAR * 4);
    for days in 0..7 {
        assert_eq!(forget(&office, start.saturating_add(DAY * days), false).await, 0, "{days}");
    }
    // A longer break: it may have been set again meanwhile.
    for days in 11..18 {
        assert_eq!(forget(&office, start.saturating_add(DAY * days), false).await, 0, "{days}");
    }
    assert_eq!(forget(&office, start.saturating_add(DAY * 18), false).await, 1);
    assert!(row(&office.store, id, Side::Received).is_deleted());
}

#[tokio::test]
async fn a_node_that_is_off_for_some_days_or_whose_clock_was_behind_goes_on() {
    let (office, id) = office().await;
    let mut now = NOW;
    while now < NOW.saturating_add(YEAR * 2) {
        now = now.saturating_add(DAY * 6);
        assert_eq!(forget(&office, now, false).await, 0);
    }
    assert_eq!(forget(&office, UnixMillis::new(0), false).await, 0, "its battery was empty");
    assert_eq!(forget(&office, now.saturating_add(HOUR), false).await, 0);
    assert_eq!(doubted(&office), 0);
    assert!(!row(&office.store, id, Side::Received).is_deleted());
}
