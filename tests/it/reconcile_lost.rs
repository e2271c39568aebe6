//! What a lost disk takes with it for good: named one by one where the province had been told of it, and nothing is called
//! lost that another county still has; and what others have deleted since, or cannot hand back.

use std::collections::BTreeSet;

use domain::message::Kind;
use liangdi::cli::connect::Office;
use serde_json::Value;
use store::tables::PARCEL;
use store::{DataKey, DataKeySource, Options, Store};
use wire::pb::office::{Direction, Stage};

use crate::reconcile::{COUNTIES, PROVINCES, World, days, exchange, found, ids, one, restore};
use crate::support::desk::Desk;
use crate::support::node::Node;
use crate::support::{area, eventually, now, office};

const REPLY: [&str; 2] = [COUNTIES[1], COUNTIES[0]];

/// The run that holds what was told before against what is here.
pub fn recall(answer: &Value) -> Value {
    let runs = answer["reconciliations"].as_array().unwrap();
    let run = runs.iter().find(|run| run["with"] == COUNTIES[0]);
    run.unwrap_or_else(|| panic!("no such run in {answer}")).clone()
}

/// Runs it after a restore, however it ends.
pub fn after_restore(desk: &Desk) -> (i32, Value) {
    let ended = desk.run("reconcile run --after-restore --json");
    let answer = serde_json::from_str(&ended.out);
    (ended.exit, answer.unwrap_or_else(|_| panic!("{}{}", ended.out, ended.err)))
}

/// Messages of a run in a state.
pub fn in_state(desk: &Desk, run: &Value, state: &str) -> BTreeSet<String> {
    let shown = desk.json(&format!("reconcile show {} --limit 500", run["number"]));
    let rows = shown["differences"].as_array().unwrap().iter().filter(|it| it["state"] == state);
    rows.map(|it| it["message_id"].as_str().unwrap().to_owned()).collect()
}

/// Accepts messages for a county that cannot be reached.
async fn queue(from: &Office, codes: [&str; 2], seed: u64, count: usize) -> BTreeSet<String> {
    let mut messages = office::messages(seed, codes[0], codes[1]);
    let mut ids = BTreeSet::new();
    for _ in 0..count {
        let content = messages.next(Kind::DepartureNotice).unwrap();
        ids.insert(office::send_when_known(from, codes[1], &content).await.message_id);
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_the_lost_disk_had_is_named_and_nothing_that_another_county_has() {
    let mut world = World::new();
    world.counties[0].stop();
    world.counties[0].configure(|text| {
        // What cannot go straight at the first try goes by no relay for a while either.
        let text = text.replace("backoff_min_ms = 50\n", "route_patience_ms = 600000\n");
        let text = text
            .replace("backoff_max_ms = 500\n", "backoff_min_ms = 60000\nbackoff_max_ms = 90000\n");
        format!("{text}\n[reconcile]\nreport_every_s = 1\n")
    });
    world.counties[0].start();
    let (here, there) = (world.clerk(0).await, world.clerk(1).await);
    exchange(&here, COUNTIES, 1, 3).await;
    let desk = world.desk(COUNTIES[0]);
    let backup = desk.json("backup create");
    let delivered = exchange(&here, COUNTIES, 2, 2).await;
    let received = exchange(&there, REPLY, 3, 2).await;
    // These never leave the node: the other county is down. But the province is told that they exist.
    world.counties[1].kill();
    let lost = queue(&here, COUNTIES, 4, 3).await;
    let queued = now().get();
    let province = world.desk(PROVINCES[0]);
    eventually("the province is told", || {
        let reports = province.json("reconcile reports");
        let through = reports["reports"][0]["through_ms"].as_u64();
        through.filter(|through| *through > queued)
    });
    world.counties[0].kill();
    restore(&world.counties[0], &backup);
    world.counties[0].start();

    // The other county cannot be asked yet: nobody knows what it has, so nothing is called lost.
    let (exit, answer) = after_restore(&desk);
    assert_eq!(exit, 1, "{answer}");
    let run = recall(&answer);
    assert_eq!((&run["state"], &run["lost"]), (&"LEFT".into(), &0.into()), "{run}");
    let all = [delivered.as_slice(), &received].concat().into_iter();
    let missed: BTreeSet<String> = all.chain(lost.iter().cloned()).collect();
    assert_eq!(in_state(&desk, &run, "OPEN"), missed);

    world.counties[1].start();
    let (exit, answer) = after_restore(&desk);
    assert_eq!(exit, 1, "{answer}");
    let run = recall(&answer);
    assert_eq!((&run["state"], &run["lost"]), (&"DECISIONS".into(), &3.into()), "{run}");
    assert_eq!(in_state(&desk, &run, "LOST"), lost);
    assert_eq!(in_state(&desk, &run, "OPEN"), BTreeSet::new());
    let shown = desk.json(&format!("reconcile show {}", run["number"]));
    let row = shown["differences"].as_array().unwrap().iter().find(|it| it["state"] == "LOST");
    let row = row.unwrap();
    assert_eq!(row["name"], "MISSING_AT_SENDER");
    assert_eq!((&row["from"], &row["to"]), (&COUNTIES[0].into(), &COUNTIES[1].into()));
    // Between the backup and the last report everything is named; between that and the restore nobody can.
    let at = |name: &str| run[name].as_u64().unwrap();
    assert!(at("lost_from_ms") < at("named_until_ms"), "{run}");
    assert!(at("named_until_ms") < at("lost_until_ms"), "{run}");
    let made = row["made_ms"].as_u64().unwrap();
    assert!((at("lost_from_ms")..at("named_until_ms")).contains(&made), "{row}");
    let text = desk.text(&format!("reconcile show {}", run["number"]));
    assert!(text.contains("LOST") && text.contains("发出于 made"), "{text}");
    let notices = desk.json("notice list").to_string();
    assert!(notices.contains("\"LOST\""), "{notices}");

    // What others had is back, and the ledgers are equal for their provinces as well.
    let here = world.clerk(0).await;
    let sent = ids(&here, Direction::Sent).await;
    assert!(delivered.iter().all(|id| sent.contains(id)), "{sent:?}");
    let got = ids(&here, Direction::Received).await;
    assert!(received.iter().all(|id| got.contains(id)), "{got:?}");
    let run = province.json(&format!("reconcile run --with 44 --days {}", days()));
    assert_eq!((&one(&run)["state"], found(one(&run))), (&"EQUAL".into(), BTreeSet::new()));
    world.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_no_disk_any_more_is_named_lost_by_both_sides() {
    let mut world = World::new();
    let here = world.clerk(0).await;
    let backup = world.desk(COUNTIES[1]).json("backup create");
    let sent = exchange(&here, COUNTIES, 1, 2).await;
    // The sender has erased the person of one of them, and the recipient has lost its disk.
    let content = office::messages(1, COUNTIES[0], COUNTIES[1]).next(Kind::DepartureNotice);
    let person = wire::content::content_to_pb(&content.unwrap()).person.unwrap();
    let document = person.document.unwrap().number;
    let clerk = Desk::at(&world.network, COUNTIES[0]);
    clerk.text(&format!(
        "person erase --document {document} --ground purpose-over --reason 目的已实现 --confirm"
    ));
    world.counties[1].kill();
    restore(&world.counties[1], &backup);
    world.counties[1].start();

    // The province that asks hears from the other one that its county cannot bring it back.
    let province = world.desk(PROVINCES[1]);
    let ended = province.run(&format!("reconcile run --with 41 --days {} --json", days()));
    assert_eq!(ended.exit, 1, "{}{}", ended.out, ended.err);
    let run: Value = serde_json::from_str(&ended.out).unwrap();
    let run = one(&run);
    assert_eq!((&run["state"], &run["lost"]), (&"DECISIONS".into(), &1.into()), "{run}");
    assert_eq!(in_state(&province, run, "LOST"), BTreeSet::from([sent[0].clone()]));
    let digest = run["statement"].as_str().unwrap();
    for office in PROVINCES {
        let shown = world.desk(office).json(&format!("statement show {digest}"));
        let left = shown["left"].as_array().unwrap();
        assert_eq!(left.len(), 1, "{office}: {shown}");
        assert_eq!(left[0]["message_id"], sent[0].as_str(), "{office}: {shown}");
        assert!(shown["lost"].to_string().contains(&sent[0]) || left[0]["lost"] == true, "{shown}");
    }
    let there = world.clerk(1).await;
    let got = ids(&there, Direction::Received).await;
    assert_eq!(got, BTreeSet::from([sent[1].clone()]), "the other one is back");

    // At the county: what its office sees, with the time it is about.
    let desk = world.desk(COUNTIES[1]);
    let (exit, answer) = after_restore(&desk);
    assert_eq!(exit, 1, "{answer}");
    let runs = answer["reconciliations"].as_array().unwrap();
    let with = runs.iter().find(|run| run["with"] == COUNTIES[0]).unwrap();
    assert_eq!((&with["state"], &with["lost"]), (&"DECISIONS".into(), &1.into()), "{answer}");
    assert_eq!(in_state(&desk, with, "LOST"), BTreeSet::from([sent[0].clone()]));
    assert!(answer["lost_from_ms"].as_u64() < answer["lost_until_ms"].as_u64(), "{answer}");
    world.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipient_that_only_dials_out_brings_the_receipt_that_its_sender_lacks() {
    let network = crate::support::network::Network::new();
    let nodes = [
        (PROVINCES[0], vec![PROVINCES[1]]),
        (PROVINCES[1], vec![PROVINCES[0]]),
        (COUNTIES[0], vec![PROVINCES[0]]),
        (COUNTIES[1], vec![PROVINCES[1]]),
    ];
    let mut nodes = nodes.map(|(own, peers)| network.node(own, &peers));
    for node in &nodes[2..] {
        // What cannot go straight goes by no relay for a while either.
        let delivery = "[delivery]\nroute_patience_ms = 600000\n";
        node.configure(|text| {
            let text = text.replace("[delivery]\n", delivery);
            format!("{text}\n[reconcile]\nreport_every_s = 1\n")
        });
    }
    nodes[3].configure(|text| text.replace("[delivery]\n", "[delivery]\ncollects = true\n"));
    nodes.iter_mut().for_each(Node::start);
    let clerk = |own| network.operator("clerk", own, domain::access::Role::Clerk);
    let desk = |own: &str| Desk::of(&network, own, domain::access::Role::Administrator);
    let here = office::connect(&clerk(COUNTIES[0])).await;
    exchange(&here, COUNTIES, 1, 1).await;
    // Its disk is as old as that: two messages wait, and have arrived since.
    nodes[3].kill();
    let sent = queue(&here, COUNTIES, 2, 2).await;
    let backup = desk(COUNTIES[0]).json("backup create");
    nodes[3].start();
    for id in &sent {
        office::reaches(&here, id, Stage::Stored).await;
    }
    nodes[2].kill();
    restore(&nodes[2], &backup);
    // And where it could be called is nobody any more: neither of the two reaches the other.
    let (old, new) = (nodes[2].endpoint(), network.ports(area("410523")).node);
    nodes[2].configure(|text| {
        let moved = format!("[listen]\nadvertise = \"{old}\"\nnode = \"127.0.0.1:{new}\"");
        text.replace(&format!("[listen]\nnode = \"{old}\""), &moved)
    });
    nodes[2].start();
    let restarted = now().get();
    eventually("the sender has told what it has now", || {
        let reports = desk(PROVINCES[0]).json("reconcile reports");
        reports["reports"][0]["through_ms"].as_u64().filter(|through| *through > restarted)
    });

    let run = desk(PROVINCES[1]).json(&format!("reconcile run --with 41 --days {}", days()));
    let run = one(&run);
    assert_eq!(run["state"], "EQUAL", "{run}");
    assert_eq!(found(run), BTreeSet::from(["RECEIPT_MISSING 2/2".to_owned()]), "{run}");
    let here = office::connect(&clerk(COUNTIES[0])).await;
    for id in &sent {
        assert_eq!(office::track(&here, id).await.stage(), Stage::Stored);
    }
    // Nothing was delivered once more.
    let there = office::connect(&clerk(COUNTIES[1])).await;
    assert_eq!(office::status(&there).await.ledger_size, 3);
    nodes.iter().for_each(Node::never_panicked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_be_handed_back_holds_up_no_other() {
    let mut world = World::new();
    let here = world.clerk(0).await;
    exchange(&here, COUNTIES, 1, 1).await;
    let backup = world.desk(COUNTIES[0]).json("backup create");
    // A parcel each.
    let mut lost = Vec::new();
    for seed in 2..6 {
        lost.extend(exchange(&here, COUNTIES, seed, 1).await);
    }
    world.counties[0].kill();
    world.counties[1].stop();
    let broken = break_proof(&world, &lost[0]).await;
    restore(&world.counties[0], &backup);
    world.counties[1].start();
    world.counties[0].start();
    let line = format!("reconcile run --with 44 --days {} --json", days());
    let ended = world.desk(PROVINCES[0]).run(&line);
    let run: Value = serde_json::from_str(&ended.out).unwrap();
    let run = one(&run);
    assert_eq!((&run["state"], &run["lost"]), (&"DECISIONS".into(), &1.into()), "{run}");
    let here = world.clerk(0).await;
    let sent = ids(&here, Direction::Sent).await;
    assert!(lost[1..].iter().all(|id| sent.contains(id)), "{sent:?}");
    assert!(!sent.contains(&broken));
    world.never_panicked();
}

/// Damages what a county has signed for a message, on its disk.
async fn break_proof(world: &World, id: &str) -> String {
    let node = &world.counties[1];
    let key = DataKey::load(&DataKeySource::File(node.dir.join("data.key"))).unwrap();
    let options = Options::new(COUNTIES[1], key, now());
    let (store, _) = Store::open(&node.dir.join("data/store"), options).unwrap();
    let message: domain::id::MessageId = id.parse().unwrap();
    let rows = store.scan(&PARCEL, .., 500).unwrap();
    let says =
        |bytes: &[u8]| wire::decode_disposition(bytes).is_ok_and(|said| said.message_id == message);
    let of_it = rows.into_iter().find(|(_, row)| row.dispositions.iter().any(|it| says(&it.0)));
    let (key, mut row) = of_it.unwrap();
    assert_eq!(row.dispositions.len(), 1, "it came alone");
    row.parcel.manifest.0.clear();
    let write = move |unit: &mut store::Unit<'_>| unit.put(&PARCEL, &key, &row);
    store.commit(write).await.unwrap();
    drop(store);
    id.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_county_that_nobody_can_ask_is_named_after_a_restore() {
    const NEIGHBOUR: &str = "410523";
    let network = crate::support::network::Network::new();
    let nodes = [
        (PROVINCES[0], vec![]),
        (COUNTIES[0], vec![PROVINCES[0]]),
        (NEIGHBOUR, vec![PROVINCES[0]]),
    ];
    let mut nodes = nodes.map(|(own, peers)| network.node(own, &peers));
    nodes[2].configure(|text| text.replace("[delivery]\n", "[delivery]\ncollects = true\n"));
    nodes.iter_mut().for_each(crate::support::node::Node::start);
    let operator = network.operator("clerk", COUNTIES[0], domain::access::Role::Clerk);
    let here = office::connect(&operator).await;
    exchange(&here, [COUNTIES[0], NEIGHBOUR], 1, 1).await;
    let desk = Desk::of(&network, COUNTIES[0], domain::access::Role::Administrator);
    let backup = desk.json("backup create");
    nodes[1].kill();
    restore(&nodes[1], &backup);
    nodes[1].start();
    // Its own province has its books, and stands for its own office alone toward a county of its own.
    let (exit, answer) = after_restore(&desk);
    assert_eq!((exit, &answer["left_out"]), (1, &serde_json::json!([NEIGHBOUR])), "{answer}");
    nodes.iter().for_each(crate::support::node::Node::never_panicked);
}
