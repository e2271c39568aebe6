//! Tests of progress: what is opened there is known here, once, and says nothing about anybody.

use std::time::Duration;

use domain::area::AreaCode;
use domain::message::{Body, Kind};
use domain::time::UnixMillis;
use store::messages::Side;
use store::tables::OPENED;
use wire::content::decode_content;

use super::mail::{self, Post, content, deliver};
use super::{HERE, LOOKING, NOW, ORIGIN, Office, later};
use crate::app::messages::read::{self, Filter};
use crate::app::messages::track::Stage;
use crate::app::{AppError, progress};

const HOUR: Duration = Duration::from_secs(3_600);

fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

#[tokio::test]
async fn the_sender_learns_when_its_messages_were_opened() {
    let (here, there, post) = (Office::here(), Office::of(ORIGIN), Post::new());
    let clerk = here.clerk();
    let opened = mail::send(&here, &clerk, &post, content(1, Kind::ArrivalNotice)).await;
    let other = mail::send(&here, &clerk, &post, content(2, Kind::DepartureNotice)).await;
    deliver(&here, &post, &there, &[opened.id, other.id], NOW).await;
    mail::receipt(&here, &[(opened, None), (other, None)], NOW).await;

    // Looked at twice; told once, with the first time.
    let reader = later(&there.clerk(), HOUR);
    read::get(&reader, &there.store, opened.id, LOOKING).await.unwrap();
    read::get(&later(&reader, HOUR), &there.store, opened.id, LOOKING).await.unwrap();
    let now = NOW.saturating_add(HOUR * 3);
    assert_eq!(progress::report(area(ORIGIN), &there.store, &post, now).await.unwrap(), 1);
    assert_eq!(progress::report(area(ORIGIN), &there.store, &post, now).await.unwrap(), 0);
    assert!(there.store.scan(&OPENED, .., 10).unwrap().is_empty());

    let reports = Filter { by_nodes: true, side: Some(Side::Sent), ..Filter::default() };
    let sent = read::list(&there.clerk(), &there.store, reports, 10, &[]).unwrap().tracks;
    assert_eq!(sent.len(), 1);
    let report = mail::row(&there.store, sent[0].id, Side::Sent);
    let said = decode_content(&report.content.0).unwrap();
    assert!(said.person.is_none() && report.due.is_none());
    let Body::ProgressReport(said) = said.body else { panic!("another kind") };
    assert_eq!(said.openings.keys().copied().collect::<Vec<_>>(), [opened.id]);

    deliver(&there, &post, &here, &[sent[0].id], now).await;
    let track = read::track(&clerk, &here.store, opened.id).unwrap();
    assert_eq!((track.stage, track.opened), (Stage::Opened, Some(NOW.saturating_add(HOUR))));
    assert_eq!(read::track(&clerk, &here.store, other.id).unwrap().stage, Stage::Stored);

    // A report is on no list of work, and nobody reports that it was opened.
    assert!(read::todo(&clerk, &here.store, 10, &[]).unwrap().tracks.is_empty());
    let listed = read::list(&clerk, &here.store, Filter::default(), 10, &[]).unwrap().tracks;
    assert!(listed.iter().all(|track| track.kind != Some(Kind::ProgressReport)));
    read::get(&clerk, &here.store, sent[0].id, LOOKING).await.unwrap();
    assert_eq!(progress::report(area(HERE), &here.store, &post, now).await.unwrap(), 0);
}

#[tokio::test]
async fn a_report_changes_only_messages_to_whoever_reports() {
    let (here, post) = (Office::here(), Post::new());
    let sent = mail::send(&here, &here.clerk(), &post, content(1, Kind::ArrivalNotice)).await;
    let stranger = domain::id::MessageId::from_bytes([9; 16]);
    let say = |peer: &str, at: UnixMillis| {
        let (peer, openings) = (area(peer), [(sent.id, at), (stranger, at)].into());
        let taken = here.store.commit(move |unit| progress::take(unit, peer, &openings, NOW));
        async { taken.await.map_err(AppError::from).unwrap() }
    };
    say("440306", NOW).await;
    assert_eq!(mail::row(&here.store, sent.id, Side::Sent).opened, None);
    // A clock that is ahead makes no opening in the future; and the first word stays.
    say(ORIGIN, NOW.saturating_add(HOUR)).await;
    assert_eq!(mail::row(&here.store, sent.id, Side::Sent).opened, Some(NOW));
    say(ORIGIN, NOW.saturating_sub(HOUR)).await;
    assert_eq!(mail::row(&here.store, sent.id, Side::Sent).opened, Some(NOW));
}

#[tokio::test]
async fn reports_are_no_larger_than_a_message_may_be() {
    let (there, post) = (Office::of(ORIGIN), Post::new());
    let many = u16::try_from(domain::message::OPENINGS_MAX).unwrap() + 30;
    let noted = there.store.commit(move |unit| {
        for number in 0..many {
            let mut id = [0; 16];
            id[..2].copy_from_slice(&number.to_be_bytes());
            progress::opened(unit, area(HERE), domain::id::MessageId::from_bytes(id), NOW)?;
        }
        progress::opened(unit, area("440306"), domain::id::MessageId::from_bytes([1; 16]), NOW)
    });
    noted.await.map_err(AppError::from).unwrap();
    // One a peer at a time; what does not fit goes with the next.
    for expected in [2, 1, 0] {
        let reports = progress::report(area(ORIGIN), &there.store, &post, NOW).await.unwrap();
        assert_eq!(reports, expected);
    }
}
