//! Nodes whose disk is lost, as their administrators meet it: restored from a backup, more than once from the same one, a
//! province, and a county whose peers are all down for a while.

use std::collections::BTreeSet;

use serde_json::Value;
use wire::pb::office::Direction;

use crate::reconcile::{COUNTIES, PROVINCES, World, days, exchange, found, ids, one, restore};
use crate::support::desk::Desk;
use crate::support::eventually;
use crate::support::node::Node;

const REPLY: [&str; 2] = [COUNTIES[1], COUNTIES[0]];

fn lose(node: &mut Node, backup: &Value) {
    node.kill();
    restore(node, backup);
    node.start();
}

async fn everything(world: &World, n: usize) -> [BTreeSet<String>; 2] {
    let clerk = world.clerk(n).await;
    [ids(&clerk, Direction::Sent).await, ids(&clerk, Direction::Received).await]
}

fn states(answer: &Value) -> BTreeSet<(String, String)> {
    let runs = answer["reconciliations"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    runs.map(|run| (text(&run["with"]), text(&run["state"]))).collect()
}

fn equal(world: &World) {
    let run = world.desk(PROVINCES[0]).json(&format!("reconcile run --with 44 --days {}", days()));
    assert_eq!(
        (&one(&run)["state"], found(one(&run))),
        (&"EQUAL".into(), BTreeSet::new()),
        "{run}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_county_restored_twice_from_one_backup_has_what_it_did_in_both_lives() {
    let mut world = World::new();
    let (here, there) = (world.clerk(0).await, world.clerk(1).await);
    exchange(&here, COUNTIES, 1, 2).await;
    let backup = world.desk(COUNTIES[0]).json("backup create");
    for life in [2, 4] {
        exchange(&here, COUNTIES, life, 3).await;
        exchange(&there, REPLY, life + 1, 2).await;
        let before = everything(&world, 0).await;
        lose(&mut world.counties[0], &backup);
        assert_ne!(everything(&world, 0).await, before, "something was lost");
        let desk = world.desk(COUNTIES[0]);
        let answer = desk.json("reconcile run --after-restore");
        assert!(states(&answer).iter().all(|(_, state)| state == "EQUAL"), "{answer}");
        assert_eq!(everything(&world, 0).await, before, "life {life}");
    }
    equal(&world);
    world.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_province_hears_again_what_its_counties_had_told() {
    let mut world = World::new();
    let (here, there) = (world.clerk(0).await, world.clerk(1).await);
    exchange(&here, COUNTIES, 1, 2).await;
    let backup = world.desk(PROVINCES[0]).json("backup create");
    exchange(&there, REPLY, 2, 3).await;
    // Its own office has mail as well.
    let mail = exchange(&there, [COUNTIES[1], PROVINCES[0]], 3, 2).await;
    equal(&world);
    let desk = world.desk(PROVINCES[0]);
    lose(&mut world.provinces[0], &backup);
    let answer = desk.json("reconcile run --after-restore");
    assert!(states(&answer).iter().all(|(_, state)| state == "EQUAL"), "{answer}");
    let clerk = Desk::at(&world.network, PROVINCES[0]).json("message list --received");
    assert!(mail.iter().all(|id| clerk.to_string().contains(id)), "{clerk}");
    equal(&world);
    // The statements of before are with the other side; what was signed here is not made up again.
    let theirs = world.desk(PROVINCES[1]).json("statement list");
    assert!(theirs["statements"].as_array().unwrap().len() >= 2, "{theirs}");
    world.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_county_whose_peers_are_all_down_is_told_so_and_goes_on_later() {
    let mut world = World::new();
    let here = world.clerk(0).await;
    exchange(&here, COUNTIES, 1, 1).await;
    let backup = world.desk(COUNTIES[0]).json("backup create");
    exchange(&here, COUNTIES, 2, 3).await;
    let before = everything(&world, 0).await;
    let province = world.desk(PROVINCES[0]);
    // Everything is told to the province before the disk is lost.
    assert_eq!(
        one(&province.json(&format!("reconcile run --with 44 --days {}", days())))["state"],
        "EQUAL"
    );
    world.provinces[0].kill();
    world.counties[1].kill();
    lose(&mut world.counties[0], &backup);

    let desk = world.desk(COUNTIES[0]);
    let ended = desk.run("reconcile run --after-restore --json");
    assert_eq!(ended.exit, 4, "{}{}", ended.out, ended.err);
    let answer: Value = serde_json::from_str(&ended.out).unwrap();
    let failed = [COUNTIES[0], COUNTIES[1], PROVINCES[0]];
    let failed = failed.map(|with| (with.to_owned(), "FAILED".to_owned()));
    assert_eq!(states(&answer), BTreeSet::from(failed), "{answer}");
    for run in answer["reconciliations"].as_array().unwrap() {
        assert!(run["trouble"].as_str().unwrap().contains("cannot be reached"), "{run}");
        assert_eq!(run["lost"], 0, "nobody was asked: nothing is called lost");
    }
    let page = desk.run("reconcile run --after-restore");
    assert!(
        page.exit == 4 && page.out.contains("is not known, and not that none is"),
        "{}",
        page.out
    );
    assert!(!page.out.contains("Nothing of this time was reported"), "{}", page.out);
    assert!(desk.json("notice list").to_string().contains("NOT_RECONCILED"));

    world.provinces[0].start();
    world.counties[1].start();
    let numbers: BTreeSet<u64> = {
        let list = desk.json("reconcile list");
        let runs = list["reconciliations"].as_array().unwrap().clone();
        let failed = runs.iter().filter(|run| run["state"] == "FAILED");
        failed.map(|run| run["number"].as_u64().unwrap()).collect()
    };
    for number in &numbers {
        desk.run(&format!("reconcile resume {number} --no-wait"));
    }
    eventually("all have come to their end", || {
        let list = desk.json("reconcile list");
        let runs = list["reconciliations"].as_array().unwrap().clone();
        let mut ours = runs.iter().filter(|run| numbers.contains(&run["number"].as_u64().unwrap()));
        ours.all(|run| run["state"] == "EQUAL").then_some(())
    });
    assert_eq!(everything(&world, 0).await, before);
    equal(&world);
    world.never_panicked();
}
