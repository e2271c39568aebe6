//! Reconciliation between real nodes: planted differences are found by name, cured through the counties, signed by both
//! provinces; a county restored from an older backup is whole again after one command.

use std::collections::BTreeSet;

use domain::access::Role;
use domain::message::Kind;
use liangdi::cli::connect::Office;
use liangdi::time::SystemClock;
use serde_json::Value;
use wire::pb::office::{Direction, Stage};

use crate::support::desk::{Desk, run, words};
use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::{eventually, office};

pub const PROVINCES: [&str; 2] = ["410000", "440000"];
pub const COUNTIES: [&str; 2] = ["410522", "440305"];

/// Two provinces with a county each; the counties know each other and their province, the provinces each other.
pub struct World {
    pub network: Network,
    pub provinces: [Node; 2],
    pub counties: [Node; 2],
}

impl World {
    pub fn new() -> Self {
        let network = Network::new();
        let provinces = [0, 1].map(|n| {
            let mut node = network.node(PROVINCES[n], &[PROVINCES[1 - n], COUNTIES[n]]);
            node.start();
            node
        });
        let counties = [0, 1].map(|n| {
            let mut node = network.node(COUNTIES[n], &[COUNTIES[1 - n], PROVINCES[n]]);
            node.start();
            node
        });
        Self { network, provinces, counties }
    }

    pub async fn clerk(&self, n: usize) -> Office {
        office::connect(&self.network.operator("clerk", COUNTIES[n], Role::Clerk)).await
    }

    pub fn desk(&self, area: &str) -> Desk {
        Desk::of(&self.network, area, Role::Administrator)
    }

    pub fn never_panicked(&self) {
        self.provinces.iter().chain(&self.counties).for_each(Node::never_panicked);
    }
}

/// Sends so many messages and waits until they are stored.
pub async fn exchange(from: &Office, codes: [&str; 2], seed: u64, count: usize) -> Vec<String> {
    let mut messages = office::messages(seed, codes[0], codes[1]);
    let mut ids = Vec::new();
    for _ in 0..count {
        let content = messages.next(Kind::DepartureNotice).unwrap();
        ids.push(office::send_when_known(from, codes[1], &content).await.message_id);
    }
    for id in &ids {
        office::reaches(from, id, Stage::Stored).await;
    }
    ids
}

pub async fn ids(office: &Office, direction: Direction) -> BTreeSet<String> {
    let tracks = office::list(office, direction).await;
    let ids: Vec<String> = tracks.into_iter().map(|track| track.message_id).collect();
    let unique: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(unique.len(), ids.len(), "something is there twice");
    unique
}

/// Days around now, so that midnight does not matter.
pub fn days() -> String {
    let today = SystemClock.now().date();
    format!("{}..{}", today.plus_days(-2), today.plus_days(1))
}

pub fn one(answer: &Value) -> &Value {
    &answer["reconciliations"][0]
}

/// Differences of a run as `NAME found/cured`.
pub fn found(run: &Value) -> BTreeSet<String> {
    let differences = run["differences"].as_array().cloned().unwrap_or_default();
    let say =
        |it: &Value| format!("{} {}/{}", it["name"].as_str().unwrap(), it["found"], it["cured"]);
    differences.iter().map(say).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_county_restored_from_an_older_backup_is_whole_after_its_province_has_reconciled() {
    let mut world = World::new();
    let (here, there) = (world.clerk(0).await, world.clerk(1).await);
    exchange(&here, COUNTIES, 1, 4).await;
    let reply = [COUNTIES[1], COUNTIES[0]];
    exchange(&there, reply, 2, 3).await;

    // Equal before anything is lost, from both ends of the ladder.
    let province = world.desk(PROVINCES[0]);
    let run = province.json(&format!("reconcile run --with 44 --days {}", days()));
    assert_eq!(one(&run)["state"], "EQUAL", "{run}");
    assert_eq!(found(one(&run)), BTreeSet::new());
    assert_eq!(one(&run)["our_entries"], 7);

    let backup = world.desk(COUNTIES[0]).json("backup create");
    let lost_sent = exchange(&here, COUNTIES, 3, 5).await;
    let lost_received = exchange(&there, reply, 4, 6).await;
    let before = (ids(&here, Direction::Sent).await, ids(&here, Direction::Received).await);

    // The disk is lost, and with it everything since the backup.
    world.counties[0].kill();
    restore(&world.counties[0], &backup);
    world.counties[0].start();
    let here = world.clerk(0).await;
    assert!(!ids(&here, Direction::Sent).await.contains(&lost_sent[0]));

    let run = province.json(&format!("reconcile run --with 44 --days {}", days()));
    let run = one(&run);
    assert_eq!(run["state"], "EQUAL", "{run}");
    let expected = ["MISSING_AT_RECIPIENT 6/6", "MISSING_AT_SENDER 5/5"].map(str::to_owned);
    assert_eq!(found(run), BTreeSet::from(expected), "{run}");
    let after = (ids(&here, Direction::Sent).await, ids(&here, Direction::Received).await);
    assert_eq!(after, before, "the county is whole again");
    assert!(lost_received.iter().all(|id| after.1.contains(id)));
    // Nothing is there twice on the other side, and what was handed back can be proven.
    assert_eq!(ids(&there, Direction::Received).await, after.0);
    let file = world.network.path("evidence");
    let clerk = Desk::at(&world.network, COUNTIES[0]);
    clerk.text(&format!("message evidence {} --out {}", lost_sent[0], file.display()));
    let root = world.network.path("root.pem");
    let verified = run_ok(&format!("evidence verify {} --root {}", file.display(), root.display()));
    assert!(verified.contains("440305"), "{verified}");

    // Once more finds nothing, and both provinces hold the statement.
    let again = province.json(&format!("reconcile run --with 44 --days {}", days()));
    assert_eq!(found(one(&again)), BTreeSet::new());
    let digest = one(&again)["statement"].as_str().unwrap().to_owned();
    let theirs = world.desk(PROVINCES[1]).json("statement list");
    let theirs = theirs["statements"].as_array().unwrap().clone();
    assert!(theirs.iter().any(|it| it["digest"] == digest.as_str()), "{theirs:?}");

    // Taken along and checked without a node: what was altered does not hold.
    let signed = world.network.path("statement");
    for (format, what) in [("json", "totals"), ("csv", "410522"), ("html", "<svg")] {
        let file = world.network.path(&format!("statement.{format}"));
        province
            .text(&format!("statement export {digest} --format {format} --out {}", file.display()));
        assert!(std::fs::read_to_string(&file).unwrap().contains(what), "{format}");
    }
    province.text(&format!("statement export {digest} --out {}", signed.display()));
    let line = |file: &std::path::Path| {
        format!("statement verify {} --root {}", file.display(), root.display())
    };
    assert!(run_ok(&line(&signed)).contains("410000 + 440000"));
    let mut bytes = std::fs::read(&signed).unwrap();
    for at in [40, bytes.len() / 2] {
        bytes[at] ^= 1;
        let altered = world.network.path(&format!("altered-{at}"));
        std::fs::write(&altered, &bytes).unwrap();
        assert_ne!(crate::support::desk::run(&words(&line(&altered))).exit, 0, "byte {at}");
        bytes[at] ^= 1;
    }
    world.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_after_a_restore_brings_a_county_back_and_names_the_window() {
    let mut world = World::new();
    let (here, there) = (world.clerk(0).await, world.clerk(1).await);
    exchange(&here, COUNTIES, 1, 3).await;
    // Days that both have closed are looked at as well after a restore.
    let month = SystemClock.now().date().month().prev();
    let period = format!("{}-{:02}", month.year(), month.number());
    let line = format!("reconcile run --with {} --period {period}", COUNTIES[1]);
    assert_eq!(one(&world.desk(COUNTIES[0]).json(&line))["state"], "EQUAL");
    let backup = world.desk(COUNTIES[0]).json("backup create");
    let reply = [COUNTIES[1], COUNTIES[0]];
    exchange(&here, COUNTIES, 2, 4).await;
    exchange(&there, reply, 3, 4).await;
    let before = (ids(&here, Direction::Sent).await, ids(&here, Direction::Received).await);
    world.counties[0].kill();
    restore(&world.counties[0], &backup);
    world.counties[0].start();
    let here = world.clerk(0).await;

    let desk = world.desk(COUNTIES[0]);
    let run = desk.json("reconcile run --after-restore");
    let runs = run["reconciliations"].as_array().unwrap();
    assert!(runs.iter().all(|run| run["state"] == "EQUAL"), "{run}");
    let with: BTreeSet<_> = runs.iter().map(|run| run["with"].as_str().unwrap()).collect();
    assert_eq!(with, BTreeSet::from([COUNTIES[0], COUNTIES[1], PROVINCES[0]]), "{run}");
    assert_eq!(run["left_out"], Value::Array(Vec::new()));
    assert!(run["lost_from_ms"].as_u64().unwrap() < run["lost_until_ms"].as_u64().unwrap());
    let after = (ids(&here, Direction::Sent).await, ids(&here, Direction::Received).await);
    assert_eq!(after, before);
    // New work goes both ways, and a node that never was restored has nothing to look for.
    exchange(&here, COUNTIES, 5, 2).await;
    exchange(&there, reply, 6, 2).await;
    world.desk(COUNTIES[1]).refused("reconcile run --after-restore", 3);
    world.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_killed_goes_on_after_the_start_and_both_may_ask_at_once() {
    let mut world = World::new();
    let (here, there) = (world.clerk(0).await, world.clerk(1).await);
    exchange(&here, COUNTIES, 1, 5).await;
    let backup = world.desk(COUNTIES[0]).json("backup create");
    exchange(&here, COUNTIES, 2, 20).await;
    exchange(&there, [COUNTIES[1], COUNTIES[0]], 3, 20).await;
    let before = (ids(&here, Direction::Sent).await, ids(&here, Direction::Received).await);
    world.counties[0].kill();
    restore(&world.counties[0], &backup);
    world.counties[0].start();

    let line = format!("reconcile run --with 44 --days {} --no-wait", days());
    world.desk(PROVINCES[0]).json(&line);
    world.provinces[0].kill();
    // The other side is down: it may have failed already, and is resumed below.
    let line = format!("reconcile run --with 41 --days {} --no-wait --json", days());
    world.desk(PROVINCES[1]).run(&line);
    world.provinces[0].start();
    for province in PROVINCES {
        let desk = world.desk(province);
        eventually("the run ends", || {
            let list = desk.json("reconcile list");
            let state = list["reconciliations"][0]["state"].as_str().unwrap().to_owned();
            match state.as_str() {
                "EQUAL" => Some(()),
                "FAILED" | "LEFT" => {
                    let number = list["reconciliations"][0]["number"].clone();
                    desk.run(&format!("reconcile resume {number} --no-wait"));
                    None
                }
                _ => None,
            }
        });
    }
    let here = world.clerk(0).await;
    let after = (ids(&here, Direction::Sent).await, ids(&here, Direction::Received).await);
    assert_eq!(after, before);
    world.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_due_is_tried_until_the_other_side_is_there_and_not_again_after_that() {
    let mut world = World::new();
    world.provinces.iter_mut().for_each(Node::kill);
    world.provinces[0].configure(|text| {
        format!("{text}\n[reconcile]\nwith = [\"{}\"]\non_day = 1\nretry_s = 1\n", PROVINCES[1])
    });
    world.provinces[0].start();
    let desk = world.desk(PROVINCES[0]);
    let runs = || desk.json("reconcile list")["reconciliations"].as_array().unwrap().clone();
    // Each try is of one run: nothing piles up while the other side is away.
    let failed = |after: u64| {
        let mut runs = runs();
        assert!(runs.len() <= 1, "{runs:?}");
        let run = runs.pop().filter(|run| run["state"] == "FAILED")?;
        run["touched_ms"].as_u64().filter(|touched| *touched > after)
    };
    let tried = eventually("it was tried", || failed(0));
    eventually("it was tried again", || failed(tried));
    assert!(desk.json("notice list").to_string().contains("NOT_RECONCILED"));
    world.provinces[1].start();
    let done =
        eventually("both have signed", || runs().into_iter().find(|run| run["state"] == "EQUAL"));
    let month = SystemClock.now().date().month().prev();
    assert_eq!(done["first_day"], month.first().to_string());
    assert_eq!(done["last_day"], month.last().to_string());
    eventually("the alarm is taken back", || {
        (!desk.json("notice list").to_string().contains("NOT_RECONCILED")).then_some(())
    });
    for province in PROVINCES {
        let statements = world.desk(province).json("statement list");
        assert_eq!(statements["statements"][0]["closes"], true, "{statements}");
    }
    // Another look, of which the log of the next start tells, begins nothing.
    let count = runs().len();
    world.provinces[0].kill();
    world.provinces[0].start();
    let signed = world.desk(PROVINCES[0]).json("statement list");
    assert_eq!(signed["statements"].as_array().unwrap().len(), 1, "{signed}");
    assert_eq!(runs().len(), count);
    world.never_panicked();
}

/// Puts a backup in the place of a node's data.
pub fn restore(node: &Node, backup: &Value) {
    std::fs::remove_dir_all(node.dir.join("data/store")).unwrap();
    let [file, keys] = ["file", "keys_file"].map(|name| backup[name].as_str().unwrap());
    let config = node.dir.join("liangdi.toml");
    run_ok(&format!("backup restore --from {file} --keys {keys} --config {}", config.display()));
}

fn run_ok(line: &str) -> String {
    let ended = run(&words(line));
    assert_eq!(ended.exit, 0, "{line}\n{}{}", ended.out, ended.err);
    ended.out
}
