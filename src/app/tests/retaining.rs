//! What was agreed on how long content is kept, with a clock that is turned by hand over years.

use domain::access::{AccessAction, Role};
use domain::message::Kind;
use domain::reason::Reason;
use domain::time::UnixMillis;
use store::letters::DeadState;
use store::messages::Side;
use store::tables::DEAD_LETTER;

use super::mail::{self, Post, Stranger, agree, content_between, deliver, receipt, row};
use super::withdrawals::{self, Sort};
use super::{HERE, LOOKING, NOW, ORIGIN, Office, refused};
use crate::app::consents::spread;
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
async fn a_deletion_that_was_cut_off_goes_on_and_the_sender_keeps_no_longer() {
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
    // What comes once more does not come back.
    assert_eq!(mail::offer(&here, &post, &there, &ids[..1], at(38, 0)).await, 0);
    assert!(row(&there.store, ids[0], Side::Received).is_deleted());
    assert_eq!(forget(&here, at(36, -1)).await, 0);
    assert_eq!(forget(&here, at(36, 0)).await, 200);
    assert!(ids.iter().all(|id| row(&here.store, *id, Side::Sent).is_deleted()));
    let own = read::get(&here.clerk(), &here.store, ids[0], LOOKING).await;
    assert_eq!(refused(own).0, Reason::RetentionOver);
    let bare = kept_envelope(&here.store, &row(&here.store, ids[0], Side::Sent), Side::Sent);
    assert!(bare.unwrap().sealed().is_none(), "header and hash stay");
}

#[tokio::test]
async fn what_rests_on_a_consent_goes_at_both_ends_when_the_consent_is_over() {
    let (here, there, post) = (Office::here(), Office::of(ORIGIN), Post::new());
    for (office, with) in [(&here, ORIGIN), (&there, HERE)] {
        agree(office, with, &[Kind::PregnancyReport], 36).await;
    }
    let consent = withdrawals::ground(&here, Sort::Consent).await;
    // One has arrived, one is still here, and one was refused.
    let mut sent = Vec::new();
    for _ in 0..3 {
        sent.push(withdrawals::report(&here, &post, consent).await);
    }
    let [arrived, waits, turned_down] = sent.as_slice() else { unreachable!() };
    deliver(&here, &post, &there, &[arrived.id], NOW).await;
    receipt(&here, &[(*arrived, None)], NOW).await;
    receipt(&here, &[(*turned_down, Some(Reason::NotAgreed))], NOW).await;
    // The consent is good for a year, its last day included.
    let last = NOW.date().plus_years(1);
    for office in [&here, &there] {
        assert_eq!(forget(office, last.begins()).await, 0);
    }
    read::get(&there.clerk(), &there.store, arrived.id, LOOKING).await.unwrap();
    let over = last.plus_days(1).begins();
    assert_eq!(forget(&there, over).await, 1);
    assert_eq!(forget(&here, over).await, 3);
    for (office, side) in [(&here, Side::Sent), (&there, Side::Received)] {
        assert!(row(&office.store, arrived.id, side).is_deleted());
        let gone = read::get(&office.clerk(), &office.store, arrived.id, LOOKING).await;
        assert_eq!(refused(gone).0, Reason::RetentionOver);
    }
    // What was still to be done about the others is not to be done any more.
    for id in [waits.id, turned_down.id] {
        let letter = here.store.get(&DEAD_LETTER, id.as_bytes()).unwrap().unwrap();
        assert!(matches!(letter.state, DeadState::Discarded { .. }), "{letter:?}");
    }
    assert!(here.store.get(&DEAD_LETTER, arrived.id.as_bytes()).unwrap().is_none());
    // Another county was told: it is told of a withdrawal as well, also now.
    withdrawals::withdraw(&here, consent).await.unwrap();
    let spread = spread::of(&here.clerk(), &here.store, consent).unwrap();
    assert_eq!(spread[0].area, there.area);
    assert_eq!(forget(&here, over).await, 0, "once is enough");
}
