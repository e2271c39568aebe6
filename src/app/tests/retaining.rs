//! What was agreed on how long content is kept, with a clock that is turned by hand over years.

use domain::access::{AccessAction, Role};
use domain::message::Kind;
use domain::reason::Reason;
use domain::time::UnixMillis;
use store::messages::Side;

use super::mail::{self, Post, Stranger, agree, content_between, deliver, receipt, row};
use super::{HERE, LOOKING, NOW, ORIGIN, Office, refused};
use crate::app::messages::{kept_envelope, read, send};
use crate::app::retention;

/// Months and days after the beginning of these tests.
fn at(months: u16, days: i32) -> UnixMillis {
    NOW.date().plus_months(months).plus_days(days).begins()
}

async fn forget(office: &Office, now: UnixMillis) -> usize {
    retention::forget(office.area, &office.store, now).await.unwrap()
}

#[tokio::test]
async fn content_is_kept_for_as_long_as_was_agreed_and_the_proof_of_it_stays() {
    let office = Office::of(ORIGIN);
    let mut sender = Stranger::of(HERE);
    agree(&office, HERE, &[Kind::ServiceReferral, Kind::ReferralFeedback], 6).await;
    let agreed = content_between(2, Kind::ServiceReferral, HERE, ORIGIN);
    let agreed = sender.says(&office, agreed, NOW).await;
    let by_law = content_between(3, Kind::ArrivalNotice, HERE, ORIGIN);
    let by_law = sender.says(&office, by_law, NOW).await;
    let (clerk, store) = (office.clerk(), &office.store);
    let digest = row(store, agreed, Side::Received).digest;

    assert_eq!(forget(&office, at(6, -1)).await, 0);
    read::get(&clerk, store, agreed, LOOKING).await.unwrap();
    let logged = office.logged();
    assert_eq!(forget(&office, at(6, 0)).await, 1);
    let gone = read::get(&clerk, store, agreed, LOOKING).await;
    assert_eq!(refused(gone).0, Reason::RetentionOver);
    // What the law lets pass is kept as long as the record of its transfer.
    read::get(&clerk, store, by_law, LOOKING).await.unwrap();

    let kept = row(store, agreed, Side::Received);
    let envelope = kept_envelope(store, &kept, Side::Received).unwrap();
    assert!(envelope.sealed().is_none(), "the body is gone");
    assert_eq!((kept.digest, envelope.digest()), (digest, digest));
    assert_eq!(read::track(&clerk, store, agreed).unwrap().kind, None);
    let noted = store.access_after(logged, 1).unwrap().remove(0);
    assert_eq!((noted.action, noted.message), (AccessAction::Erase, Some(agreed)));
    assert_eq!((noted.operator.as_str(), noted.role), ("node", Role::Administrator));
    assert!(noted.person.is_some());

    // Once is enough, and everything ends.
    let logged = office.logged();
    assert_eq!(forget(&office, at(35, 0)).await, 0);
    assert_eq!(office.logged(), logged);
    assert_eq!(forget(&office, at(36, 0)).await, 1);
    let gone = read::get(&clerk, store, by_law, LOOKING).await;
    assert_eq!(refused(gone).0, Reason::RetentionOver);
}

#[tokio::test]
async fn a_deletion_that_was_cut_off_goes_on_and_the_sender_keeps_its_own_record() {
    let (here, there, post) = (Office::here(), Office::of(ORIGIN), Post::new());
    let mut sent: Vec<send::Accepted> = Vec::new();
    for seed in 1..=200 {
        let content = content_between(seed, Kind::DepartureNotice, HERE, ORIGIN);
        sent.push(mail::send(&here, &here.clerk(), &post, content).await);
    }
    let ids: Vec<_> = sent.iter().map(|sent| sent.id).collect();
    deliver(&here, &post, &there, &ids, NOW).await;
    let said: Vec<_> = sent.iter().map(|sent| (*sent, None)).collect();
    receipt(&here, &said, NOW).await;
    // Some were deleted before the power went.
    for id in &ids[..3] {
        let (key, own) = (store::messages::message_key(*id, Side::Received), there.area);
        let deleted = there
            .store
            .commit(move |unit| crate::app::messages::delete::content(unit, key, own, at(36, 0)));
        assert!(deleted.await.map_err(crate::app::AppError::from).unwrap());
    }
    assert_eq!(forget(&there, at(36, 0)).await, 197);
    assert_eq!(forget(&there, at(37, 0)).await, 0);
    assert!(ids.iter().all(|id| row(&there.store, *id, Side::Received).is_deleted()));
    assert_eq!(forget(&here, at(40, 0)).await, 0);
    assert!(ids.iter().all(|id| !row(&here.store, *id, Side::Sent).is_deleted()));
    // What comes once more does not come back.
    assert_eq!(mail::offer(&here, &post, &there, &ids[..1], at(38, 0)).await, 0);
    assert!(row(&there.store, ids[0], Side::Received).is_deleted());
}
