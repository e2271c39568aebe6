//! The drill: a node is backed up while it works, lost with all its files, and restored. What it had promised before the
//! backup is kept, new work goes both ways, nothing is there twice, and what is missing is said.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::access::Role;
use domain::message::{Content, Kind};
use liangdi::cli::connect::{ConnectArgs, Office};
use serde_json::Value;
use wire::content::content_to_pb;
use wire::pb::office::{Direction, Stage};

use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::secrets::{Secrets, found_in};
use crate::support::{in_time, office};

const OURS: &str = "410522";
const THEIRS: &str = "440305";
/// A county that is down from before the backup until after the restore.
const DOWN: &str = "411528";

/// A command of the program; its answer, and how it ended.
fn command(words: &[&str]) -> (i32, Value, String) {
    let ended = Command::new(env!("CARGO_BIN_EXE_liangdi")).arg("--json").args(words).output();
    let ended = ended.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let out = text(&ended.stdout);
    let answer = serde_json::from_str(&out).unwrap_or(Value::Null);
    (ended.status.code().unwrap(), answer, format!("{out}{}", text(&ended.stderr)))
}

fn done(words: &[&str]) -> Value {
    let (exit, answer, all) = command(words);
    assert_eq!(exit, 0, "{words:?}\n{all}");
    answer
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// `liangdi backup create` by an operator of a node that runs.
fn back_up(operator: &ConnectArgs) -> (i32, Value, String) {
    let path = |path: &Option<PathBuf>| path.clone().unwrap().to_str().unwrap().to_owned();
    let (cert, key, root) = (path(&operator.cert), path(&operator.key), path(&operator.root));
    let office = operator.office.clone().unwrap();
    let connect = ["--office", &office, "--cert", &cert, "--key", &key, "--root", &root];
    command(&[&["backup", "create"], connect.as_slice()].concat())
}

/// A node of the drill with what it was told.
struct Place {
    node: Node,
    clerk: ConnectArgs,
}

impl Place {
    fn new(network: &Network, code: &str, peers: &[&str]) -> Self {
        let clerk = network.operator("clerk", code, Role::Clerk);
        Self { node: network.node(code, peers), clerk }
    }

    fn config(&self) -> PathBuf {
        self.node.dir.join("liangdi.toml")
    }

    async fn office(&self) -> Office {
        office::connect(&self.clerk).await
    }
}

/// Sends so many messages; their ids.
async fn send(office: &Office, to: &str, contents: &[Content]) -> Vec<String> {
    let mut ids = Vec::new();
    for content in contents {
        ids.push(office::send_when_known(office, to, content).await.message_id);
    }
    ids
}

async fn all_stored(office: &Office, ids: &[String]) {
    for id in ids {
        office::reaches(office, id, Stage::Stored).await;
    }
}

fn contents(seed: u64, from: &str, to: &str, count: usize) -> Vec<Content> {
    let mut messages = office::messages(seed, from, to);
    (0..count).map(|_| messages.next(Kind::DepartureNotice).unwrap()).collect()
}

/// Ids of the messages that a node has received from another, each once.
async fn received(office: &Office, from: &str) -> BTreeSet<String> {
    let tracks = office::list(office, Direction::Received).await;
    let ids: Vec<String> =
        tracks.into_iter().filter(|t| t.from == from).map(|t| t.message_id).collect();
    let unique: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(unique.len(), ids.len(), "something from {from} is there twice");
    unique
}

/// Messages in both directions until told to stop; what was accepted, by sender.
async fn traffic(places: [&Place; 2], stop: Arc<AtomicBool>) -> BTreeMap<String, Vec<String>> {
    let mut clerks = tokio::task::JoinSet::new();
    for (number, [from, to]) in [[0, 1], [1, 0]].into_iter().enumerate() {
        let (own, to) = (places[from].node.area.to_string(), places[to].node.area.to_string());
        let (office, stop) = (places[from].office().await, stop.clone());
        clerks.spawn(async move {
            let mut messages = office::messages(1_000 + number as u64, &own, &to);
            let mut ids = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let content = messages.next(Kind::DepartureNotice).unwrap();
                ids.push(office::send_when_known(&office, &to, &content).await.message_id);
            }
            (own, ids)
        });
    }
    clerks.join_all().await.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_lost_and_restored_from_a_backup_made_while_it_worked() {
    let network = Network::new();
    let mut ours = Place::new(&network, OURS, &[THEIRS, DOWN]);
    let mut theirs = Place::new(&network, THEIRS, &[OURS]);
    let mut down = Place::new(&network, DOWN, &[OURS]);
    for place in [&mut ours, &mut theirs, &mut down] {
        place.node.start();
    }
    let administrator = network.operator("root", OURS, Role::Administrator);
    let (here, there) = (ours.office().await, theirs.office().await);

    // The third county is met once, and then goes down with mail waiting for it.
    let met = contents(1, OURS, DOWN, 1);
    all_stored(&here, &send(&here, DOWN, &met).await).await;
    down.node.kill();
    let waiting = contents(2, OURS, DOWN, 5);
    let for_down = send(&here, DOWN, &waiting).await;

    // Backups while messages flow both ways.
    let stop = Arc::new(AtomicBool::new(false));
    let flow = traffic([&ours, &theirs], stop.clone());
    let backups = tokio::task::spawn_blocking({
        let (stop, administrator) = (stop.clone(), administrator.clone());
        move || {
            let made = [back_up(&administrator), back_up(&administrator)];
            stop.store(true, Ordering::Relaxed);
            made
        }
    });
    let (before, backups) =
        in_time("the backups are made", async { tokio::join!(flow, backups) }).await;
    let [(exit, _, all), (again, backup, _)] = backups.unwrap();
    assert_eq!((exit, again), (0, 0), "{all}");
    assert!(before.values().all(|ids| !ids.is_empty()), "messages flowed both ways");
    all_stored(&here, &before[OURS]).await;
    all_stored(&there, &before[THEIRS]).await;
    let (file, keys) = (backup["file"].as_str().unwrap(), backup["keys_file"].as_str().unwrap());
    let config = ours.config();
    let verified = done(&["backup", "verify", file, "--keys", keys, "--config", text(&config)]);
    assert_eq!((&verified["group"], &verified["unopened"]), (&backup["group"], &0.into()));
    let (exit, ..) = back_up(&ours.clerk);
    assert_eq!(exit, 3, "a clerk makes no backups");

    // What the backup does not know: sent and received after it.
    let lost = send(&here, THEIRS, &contents(3, OURS, THEIRS, 5)).await;
    let missed = send(&there, OURS, &contents(4, THEIRS, OURS, 3)).await;
    all_stored(&here, &lost).await;
    all_stored(&there, &missed).await;
    let newest = office::status(&here).await;
    assert_eq!(
        (newest.last_backup_ms, newest.restored_ms),
        (backup["created_ms"].as_u64().unwrap(), 0)
    );
    drop(here);

    // The node dies with its disk.
    ours.node.kill();
    let store = ours.node.dir.join("data/store");
    let (exit, _, refused) =
        command(&["backup", "restore", "--from", file, "--keys", keys, "--config", text(&config)]);
    assert_eq!(exit, 3, "a store that is there is not written over: {refused}");
    std::fs::remove_dir_all(&store).unwrap();
    let plain = Command::new(env!("CARGO_BIN_EXE_liangdi"))
        .args(["backup", "restore", "--from", file, "--config", text(&config)])
        .output()
        .unwrap();
    let told = String::from_utf8(plain.stdout).unwrap();
    assert!(plain.status.success(), "{told}{}", String::from_utf8_lossy(&plain.stderr));
    assert!(
        told.contains("reconcile") && told.contains("对账"),
        "says what may be missing: {told}"
    );
    ours.node.start();
    let here = ours.office().await;
    let status = office::status(&here).await;
    assert_eq!(status.restored_backup_ms, backup["created_ms"].as_u64().unwrap());
    assert!(status.restored_ms > status.restored_backup_ms);

    // What waited at the time of the backup is delivered once its county is back.
    down.node.start();
    all_stored(&here, &for_down).await;
    let with_down = received(&down.office().await, OURS).await;
    assert!(for_down.iter().all(|id| with_down.contains(id)));
    // New work goes both ways, ours in a new lane.
    let new = send(&here, THEIRS, &contents(5, OURS, THEIRS, 5)).await;
    let new_theirs = send(&there, OURS, &contents(6, THEIRS, OURS, 5)).await;
    all_stored(&here, &new).await;
    all_stored(&there, &new_theirs).await;
    assert_eq!(office::track(&here, &new[0]).await.lane_sequence, 1, "a new epoch");

    // Nothing is lost at the peer, and nothing is there twice.
    let at_theirs = received(&there, OURS).await;
    let everything: BTreeSet<String> =
        [&before[OURS], &lost, &new].into_iter().flatten().cloned().collect();
    assert_eq!(at_theirs, everything);
    let at_ours = received(&here, THEIRS).await;
    assert!(new_theirs.iter().all(|id| at_ours.contains(id)));
    assert!(missed.iter().all(|id| !at_ours.contains(id)), "what came after the backup is missing");
    let sent: BTreeSet<String> =
        office::list(&here, Direction::Sent).await.into_iter().map(|t| t.message_id).collect();
    assert!(lost.iter().all(|id| !sent.contains(id)));

    nothing_readable(&[file, keys], &[met, waiting].concat());
    drop((here, there));
    for place in [&mut ours, &mut theirs, &mut down] {
        tokio::task::block_in_place(|| assert!(place.node.stop().success()));
        place.node.never_panicked();
    }
}

/// No name and no number of a person's document is in the files.
fn nothing_readable(files: &[&str], contents: &[Content]) {
    let mut secrets = Secrets::default();
    for content in contents {
        let person = content_to_pb(content).person.unwrap();
        secrets.add(&person.name);
        secrets.add(&person.document.unwrap().number);
    }
    let finder = secrets.finder();
    for file in files {
        assert_eq!(found_in(&finder, Path::new(file)), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_node_that_does_not_run_and_files_that_are_none() {
    let network = Network::new();
    let mut ours = Place::new(&network, OURS, &[]);
    let config = ours.config();
    let config = text(&config);
    let (exit, ..) = command(&["backup", "create", "--config", config]);
    assert_eq!(exit, 5, "there is no store yet");
    ours.node.start();
    let (exit, _, told) = command(&["backup", "create", "--config", config]);
    assert!(exit == 1 && told.contains("in use"), "a node that runs is asked: {told}");
    tokio::task::block_in_place(|| assert!(ours.node.stop().success()));
    let out = network.path("elsewhere");
    let made = done(&["backup", "create", "--config", config, "--out", text(&out)]);
    let (file, keys) = (made["file"].as_str().unwrap(), made["keys_file"].as_str().unwrap());
    assert!(Path::new(file).starts_with(&out));
    done(&["backup", "verify", file, "--config", config]);

    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let altered = network.path("altered");
    std::fs::write(&altered, &bytes).unwrap();
    let (exit, _, told) = command(&["backup", "verify", text(&altered), "--config", config]);
    assert!(exit == 3 && told.contains("changed, moved"), "{told}");
    let swapped = ["backup", "restore", "--from", keys, "--keys", file, "--config", config];
    let (exit, _, told) = command(&swapped);
    assert_eq!(exit, 3, "{told}");
    let missing = network.path("missing");
    let (exit, ..) = command(&["backup", "verify", text(&missing), "--config", config]);
    assert_eq!(exit, 5);

    // Set aside, the store that was there can be looked at.
    let restored = done(&["backup", "restore", "--from", file, "--config", config, "--set-aside"]);
    assert!(Path::new(restored["set_aside"].as_str().unwrap()).join("db").exists());
    assert_eq!(restored["incarnation"], 2);
    ours.node.start();
}
