//! A machine was stolen with its disk: its certificate is revoked, it gets another one, and its backup is restored. What was
//! signed under the revoked certificate comes back all the same.

use std::collections::BTreeSet;
use std::time::Duration;

use wire::pb::office::Direction;

use crate::reconcile::{COUNTIES, PROVINCES, World, days, exchange, found, ids, one, restore};
use crate::support::desk::Desk;
use crate::support::network::replace;
use crate::support::{area, eventually, now};

const REPLY: [&str; 2] = [COUNTIES[1], COUNTIES[0]];
const READ_AGAIN: &str = "certificates and revocation lists were read again";

/// Revokes the certificate of a county, gives its node another one with another key, and waits until all others know.
fn replace_certificate(world: &World, stolen: usize) {
    let network = &world.network;
    let node = &world.counties[stolen];
    let certified = network.node_certificate(area(COUNTIES[stolen]));
    let beside = node.dir.join("next.key");
    certified.key.save(&beside).unwrap();
    std::fs::rename(&beside, node.dir.join("node.key")).unwrap();
    replace(&node.dir.join("node.pem"), certified.chain_pem.as_bytes());
    let times = |node: &crate::support::node::Node| node.log().matches(READ_AGAIN).count();
    let others: Vec<_> = world.provinces.iter().chain(&world.counties[1..]).collect();
    if stolen > 0 {
        eventually("the certificate is in force", || (times(node) > 0).then_some(()));
    }
    let before: Vec<_> = others.iter().map(|node| times(node)).collect();
    // A list tells whole seconds, and what was signed in that second is of after the revocation.
    network.set(now().saturating_add(Duration::from_secs(1)));
    network.revoke(area(COUNTIES[stolen]), &node.serial);
    network.publish_lists();
    for (node, before) in others.into_iter().zip(before) {
        eventually("the list is in force", || (times(node) > before).then_some(()));
    }
}

fn open_notices(desk: &Desk) -> String {
    desk.json("notice list").to_string()
}

/// Restores the first county, with that county's certificate revoked and replaced since the backup.
async fn restored_after_a_theft(stolen: usize) -> (World, Desk, Vec<String>) {
    let mut world = World::new();
    let (here, there) = (world.clerk(0).await, world.clerk(1).await);
    exchange(&here, COUNTIES, 1, 2).await;
    exchange(&there, REPLY, 2, 1).await;
    let desk = world.desk(COUNTIES[0]);
    let backup = desk.json("backup create");
    let sent = exchange(&here, COUNTIES, 3, 3).await;
    let received = exchange(&there, REPLY, 4, 2).await;
    world.counties[0].kill();
    replace_certificate(&world, stolen);
    restore(&world.counties[0], &backup);
    world.counties[0].start();

    let ended = desk.run("reconcile run --after-restore --json");
    assert_eq!(ended.exit, 0, "{}{}\n{}", ended.out, ended.err, world.counties[0].log());
    let here = world.clerk(0).await;
    let is_back = ids(&here, Direction::Sent).await;
    assert!(sent.iter().all(|id| is_back.contains(id)), "{sent:?} of {is_back:?}");
    let is_back = ids(&here, Direction::Received).await;
    assert!(received.iter().all(|id| is_back.contains(id)), "{received:?} of {is_back:?}");
    let province = world.desk(PROVINCES[0]);
    let run = province.json(&format!("reconcile run --with 44 --days {}", days()));
    assert_eq!((&one(&run)["state"], found(one(&run))), (&"EQUAL".into(), BTreeSet::new()));
    world.never_panicked();
    (world, desk, sent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_county_had_signed_with_a_certificate_that_is_revoked_comes_back_and_it_is_told() {
    let (_world, desk, sent) = restored_after_a_theft(0).await;
    let notices = open_notices(&desk);
    assert!(notices.contains("\"BACK_ON_WORD\""), "{notices}");
    assert!(sent.iter().all(|id| notices.contains(id)), "{sent:?} in {notices}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipient_whose_certificate_was_revoked_signs_its_receipts_anew() {
    let (_world, desk, _) = restored_after_a_theft(1).await;
    let notices = open_notices(&desk);
    assert!(!notices.contains("\"BACK_ON_WORD\""), "{notices}");
}
