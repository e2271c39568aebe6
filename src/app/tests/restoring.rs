//! Lanes: ids that grow along them, and new ones after a restore.

use std::ops::ControlFlow;
use std::time::Duration;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::message::Kind;
use exchange::lane::{LaneEpoch, LaneSeq};
use store::letters::NoticeKind;
use store::messages::{EnvelopeKey, Side, peer_key};
use store::tables::{ENVELOPE, LANE_EPOCH, NOTICE};
use store::{DataKey, Options, Restoring, Store};
use wire::decode_header;

use super::mail::{Post, content, receipt, row, send};
use super::{HERE, NOW, ORIGIN, Office, later};
use crate::app::messages::{envelope_of, settle};
use crate::app::restore;

/// The epoch in which an office sends to a peer.
fn epoch(office: &Office, peer: AreaCode) -> Option<LaneEpoch> {
    office.store.get(&LANE_EPOCH, &peer_key(peer)).unwrap().map(LaneEpoch::new)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_grow_along_a_lane_whoever_hands_them_in() {
    let office = std::sync::Arc::new(Office::here());
    let post = std::sync::Arc::new(Post::new());
    let mut submitters = tokio::task::JoinSet::new();
    for submitter in 0..64_u64 {
        let (office, post) = (office.clone(), post.clone());
        submitters.spawn(async move {
            // Calls began at other times than they are carried out.
            let ctx = later(&office.clerk(), Duration::from_millis(submitter * 37 % 64));
            for number in 0..4 {
                let content = content(submitter * 100 + number, Kind::DepartureNotice);
                send(&office, &ctx, &post, content).await;
            }
        });
    }
    while let Some(done) = submitters.join_next().await {
        done.unwrap();
    }
    let peer = ORIGIN.parse().unwrap();
    let epoch = epoch(&office, peer).unwrap();
    let key = EnvelopeKey::of(Side::Sent, peer, epoch).key();
    let entries = office.store.read_from(&ENVELOPE, &key, 1, usize::MAX, usize::MAX).unwrap();
    let ids: Vec<MessageId> = entries
        .into_iter()
        .map(|(_, entry)| decode_header(&envelope_of(entry).unwrap().header_bytes).unwrap())
        .map(|header| header.message_id)
        .collect();
    assert_eq!(ids.len(), 256);
    assert!(ids.is_sorted_by(|a, b| a < b), "in the order of the lane");
    assert!(ids.iter().all(|id| id.names(HERE.parse().unwrap())));
}

/// The office as it was when the backup was made.
fn restored(office: &Office) -> (Office, u32) {
    let dir = tempfile::tempdir().unwrap();
    let mut go_on = |_: &store::Progress| ControlFlow::Continue(());
    let made = office.store.backup(&dir.path().join("backups"), 1, NOW, &mut go_on).unwrap();
    let to = dir.path().join("store");
    let restoring = Restoring { from: &made.data, keys: &made.keys, to: &to, set_aside: false };
    let options = || Options::new(HERE, DataKey::from_bytes([7; 32]), NOW);
    store::restore(&restoring, &options(), &mut go_on).unwrap();
    let (store, report) = Store::open(&to, options()).unwrap();
    (Office { area: office.area, store, _dir: dir }, report.incarnation)
}

#[tokio::test]
async fn after_a_restore_new_messages_go_in_new_lanes_and_old_ones_go_on() {
    let (office, post) = (Office::here(), Post::new());
    assert!(restore::begin(&office.store, 1, NOW).unwrap().is_none(), "a new store");
    let clerk = office.clerk();
    let old = send(&office, &clerk, &post, content(1, Kind::DepartureNotice)).await;
    let waiting = send(&office, &clerk, &post, content(2, Kind::DepartureNotice)).await;
    receipt(&office, &[(old, None)], NOW).await;
    assert!(restore::begin(&office.store, 1, NOW).unwrap().is_none(), "a restart is no restore");

    let (copy, incarnation) = restored(&office);
    // What the office goes on to send has numbers that the copy knows nothing of.
    send(&office, &clerk, &post, content(3, Kind::DepartureNotice)).await;
    let peer = ORIGIN.parse().unwrap();
    assert_eq!(epoch(&copy, peer), Some(old.epoch));
    let origin = restore::begin(&copy.store, incarnation, NOW).unwrap().unwrap();
    assert_eq!(origin.backup, Some(NOW));
    assert_eq!(restore::origin(&copy.store).unwrap(), Some(origin));
    assert_eq!(epoch(&copy, peer), None);
    let notices = copy.store.scan(&NOTICE, .., 9).unwrap();
    let restored = NoticeKind::Restored { backup: Some(NOW) };
    assert!(notices.iter().any(|(_, notice)| notice.what == restored), "{notices:?}");

    let new = send(&copy, &clerk, &post, content(4, Kind::DepartureNotice)).await;
    assert_ne!(new.epoch, waiting.epoch);
    assert_eq!(new.sequence, LaneSeq::FIRST);
    assert_eq!(row(&copy.store, waiting.id, Side::Sent).epoch, waiting.epoch);
    let older = settle::older_lanes(&copy.store).unwrap();
    assert_eq!(older, [(peer, waiting.epoch)], "what waited goes on under its own number");
    assert!(restore::begin(&copy.store, incarnation, NOW).unwrap().is_none(), "once");
    assert_eq!(epoch(&copy, peer), Some(new.epoch));
}
