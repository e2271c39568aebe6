//! A disk that is full, read-only or damaged: the node says so in both languages and with a code, acknowledges
//! nothing it cannot keep, and loses nothing it has acknowledged.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use domain::access::Role;
use domain::message::Kind;
use domain::synthetic::Seeded;
use wire::pb::office::{Direction, Stage};

use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::{eventually_async, office, seed, setting, skipped};

const HOME: &str = "410522";
const AWAY: &str = "440305";
/// Room of the small disk, in megabytes; a new store takes a good part of it.
const ROOM_MB: u32 = 40;

/// A small file system of its own on a directory; gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None, and loudly so, where this process may not mount.
    fn on(dir: &Path) -> Option<Self> {
        let size = format!("size={ROOM_MB}m");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir).output();
        match mount {
            Ok(done) if done.status.success() => Some(Self(dir.to_owned())),
            why => {
                skipped(&format!("this test needs the right to mount: {why:?}"));
                None
            }
        }
    }

    fn read_only(&self, yes: bool) {
        let how = if yes { "remount,ro" } else { "remount,rw" };
        assert!(Command::new("mount").args(["-o", how]).arg(&self.0).status().unwrap().success());
    }

    /// Takes all the room but so much, and at no time more: a node may be writing.
    fn fill(&self, but_kb: u64) -> PathBuf {
        let ballast = self.0.join("ballast");
        let file = std::fs::File::create(&ballast).unwrap();
        let block = vec![7; 64 * 1024];
        let is_room = || self.free() >= but_kb * 1024 + block.len() as u64;
        let mut at = 0;
        while (but_kb == 0 || is_room())
            && file.write_at(&block, at).is_ok_and(|written| written == block.len())
        {
            at += block.len() as u64;
        }
        ballast
    }

    fn free(&self) -> u64 {
        let disk = rustix::fs::statvfs(&self.0).unwrap();
        disk.f_bavail * disk.f_frsize
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A test that fails has killed its nodes by now; lazily, in case one is still ending.
        let _gone = Command::new("umount").arg("-l").arg(&self.0).status().is_ok();
    }
}

/// What a start that does not work says to people, and to programs.
fn refused_start(node: &Node) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_liangdi"))
        .args(["serve", "--config"])
        .arg(node.dir.join("liangdi.toml"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert!(said.contains("[STORE_UNAVAILABLE]"), "no code:\n{said}");
    assert!(said.chars().any(|c| c > '\u{4e00}'), "no Chinese:\n{said}");
    assert!(said.contains("What to do:"), "nothing to do:\n{said}");
    assert!(said.contains(node.dir.to_str().unwrap()), "no place:\n{said}");
    assert!(!said.contains("panicked"), "{said}");
    output
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_the_node_and_loses_nothing() {
    let network = Network::new();
    let (mut home, mut away) = (network.node(HOME, &[AWAY]), network.node(AWAY, &[HOME]));
    let Some(disk) = SmallDisk::on(&home.dir.join("data")) else { return };
    // This is about what comes when the room that has to stay free is used up all the same.
    home.limit("disk_free_min_mb = 0");
    home.start();
    away.start();
    let operator = network.operator("hua", HOME, Role::Clerk);
    let at_home = office::connect(&operator).await;
    let at_away = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let first = office::message(1, HOME, AWAY, Kind::DepartureNotice);
    let mut acknowledged = vec![office::send_when_known(&at_home, AWAY, &first).await.message_id];
    let incoming = office::message(2, AWAY, HOME, Kind::ArrivalNotice);
    let incoming = office::send_when_known(&at_away, HOME, &incoming).await.message_id;
    office::reaches(&at_away, &incoming, Stage::Stored).await;

    let ballast = disk.fill(300);
    let mut messages = office::messages(3, HOME, AWAY);
    let refused = loop {
        let content = messages.next(Kind::DepartureNotice).unwrap();
        match office::send(&at_home, AWAY, &content, "").await {
            Ok(accepted) => acknowledged.push(accepted.message_id),
            Err(status) => break status,
        }
        assert!(acknowledged.len() < 50_000, "the disk is never full");
    };
    println!("full after {} messages: {:?}", acknowledged.len(), refused.code());
    // It may have been a receipt that met the full disk first; then nobody is there any more to say so.
    // Its process may end before, or in the middle of, the call that finds out.
    let broken = [tonic::Code::Unavailable, tonic::Code::Unknown, tonic::Code::Cancelled];
    let gone = office::code(&refused).is_empty() && broken.contains(&refused.code());
    assert!(gone || office::code(&refused) == "STORE_UNAVAILABLE", "{refused:?}");
    home.logged("STORE_UNAVAILABLE", None);
    assert_eq!(home.ended().code(), Some(1));
    home.never_panicked();

    // The other side keeps what is for us, and says so.
    let waiting = office::message(4, AWAY, HOME, Kind::ArrivalNotice);
    let waiting = office::send(&at_away, HOME, &waiting, "").await.unwrap().message_id;
    assert_eq!(office::track(&at_away, &waiting).await.stage(), Stage::Queued);

    std::fs::remove_file(ballast).unwrap();
    home.start();
    let at_home = office::connect(&operator).await;
    let kept: std::collections::BTreeSet<_> =
        office::list(&at_home, Direction::Sent).await.into_iter().map(|t| t.message_id).collect();
    for id in &acknowledged {
        assert!(kept.contains(id), "lost: {id}");
    }
    for id in &kept {
        office::reaches(&at_home, id, Stage::Stored).await;
    }
    office::reaches(&at_away, &waiting, Stage::Stored).await;
    let received = office::list(&at_away, Direction::Received).await;
    assert_eq!(received.len(), kept.len());
    assert!(home.stop().success());
    drop(disk);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fills_takes_nothing_new_in_time_and_needs_no_restart() {
    let network = Network::new();
    let mut home = network.node(HOME, &[AWAY]);
    let mut away = network.node(AWAY, &[HOME]);
    let Some(disk) = SmallDisk::on(&home.dir.join("data")) else { return };
    home.limit(&format!("disk_free_min_mb = {}", ROOM_MB / 4));
    home.start();
    away.start();
    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let messages = &mut office::messages(1, HOME, AWAY);
    let mut next = || messages.next(Kind::DepartureNotice).unwrap();
    let first = office::send_when_known(&at_home, AWAY, &next()).await.message_id;
    let nearly_full = async |wanted| {
        eventually_async("the node has looked at its disk", || async {
            (office::status(&at_home).await.disk_nearly_full == wanted).then_some(())
        })
        .await;
    };
    nearly_full(false).await;
    let ballast = disk.fill(u64::from(ROOM_MB / 8) * 1024);
    nearly_full(true).await;
    let refused = office::send(&at_home, AWAY, &next(), "").await.unwrap_err();
    assert_eq!(office::code(&refused), "DISK_NEARLY_FULL");
    office::reaches(&at_home, &first, Stage::Stored).await;
    std::fs::remove_file(ballast).unwrap();
    nearly_full(false).await;
    let second = office::send(&at_home, AWAY, &next(), "").await.unwrap().message_id;
    office::reaches(&at_home, &second, Stage::Stored).await;
    assert!(home.stop().success());
    home.never_panicked();
    drop(disk);
}

#[test]
fn a_read_only_or_full_disk_at_the_start_is_named() {
    let network = Network::new();
    let mut node = network.node(HOME, &[]);
    let Some(disk) = SmallDisk::on(&node.dir.join("data")) else { return };
    disk.read_only(true);
    refused_start(&node);
    disk.read_only(false);
    let ballast = disk.fill(0);
    refused_start(&node);
    std::fs::remove_file(ballast).unwrap();
    node.start();
    assert!(node.stop().success());
    disk.read_only(true);
    refused_start(&node);
    disk.read_only(false);
    node.start();
    node.never_panicked();
    node.kill();
    drop(disk);
}

/// Whatever is broken in the store's files: the node starts with everything, or says what is broken and moves
/// nothing but the damaged directory. It never serves with less than it has acknowledged and keeps quiet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_store_is_named_and_set_aside() {
    let mut dice = Seeded::new(seed("damage"));
    let network = Network::new();
    let (mut home, mut away) = (network.node(HOME, &[AWAY]), network.node(AWAY, &[HOME]));
    home.start();
    away.start();
    let operator = network.operator("hua", HOME, Role::Clerk);
    let mut messages = office::messages(1, HOME, AWAY);
    let mut acknowledged = 0;
    {
        let at_home = office::connect(&operator).await;
        for _ in 0..60 {
            let content = messages.next(Kind::DepartureNotice).unwrap();
            office::send_when_known(&at_home, AWAY, &content).await;
            acknowledged += 1;
        }
    }
    assert!(home.stop().success());
    let data = home.dir.join("data");
    let good = home.dir.join("good");
    copy(&data, &good);
    let (mut named, mut served) = (0, 0);
    for round in 0..setting("LIANGDI_DAMAGES", 8) {
        damage(&data, &mut dice);
        home.spawn();
        let ended = eventually_async("it serves or ends", || async {
            match office::status_of(&operator).await {
                Some(status) => Some(Some(status)),
                None => home_ended(&home).then_some(None),
            }
        })
        .await;
        match ended {
            Some(status) => {
                served += 1;
                assert_eq!(status.ledger_size, acknowledged, "round {round}: serves with less");
                let at_home = office::connect(&operator).await;
                let kept = office::list(&at_home, Direction::Sent).await.len() as u64;
                assert_eq!(kept, acknowledged, "round {round}: serves with less");
                home.kill();
            }
            None => {
                named += 1;
                assert_eq!(home.ended().code(), Some(1), "{}", home.log());
                // It stays stopped until somebody has decided, and says why each time.
                refused_start(&home);
            }
        }
        std::fs::remove_dir_all(&data).unwrap();
        copy(&good, &data);
    }
    println!("damage: {named} named, {served} without effect");
    home.start();
    home.kill();
}

/// Whether the process is gone, without waiting for it.
fn home_ended(node: &Node) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", node.pid())).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

/// Spoils one of the store's files in one of several ways.
fn damage(data: &Path, dice: &mut Seeded) {
    let mut files = Vec::new();
    find(data, &mut files);
    files.sort();
    let large: Vec<_> = files.into_iter().filter(|f| f.metadata().unwrap().len() > 16).collect();
    let database = large.iter().find(|path| path.ends_with("db")).filter(|_| dice.chance(75));
    let path = database.or_else(|| dice.pick(&large)).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    let at = dice.next_u64() % length;
    let how = match dice.below(3) {
        0 => {
            let bytes: Vec<u8> = (0..64).map(|_| dice.below(256) as u8).collect();
            file.write_all_at(&bytes, at.min(length - 16)).unwrap();
            "64 bytes overwritten"
        }
        1 => {
            file.set_len(at).unwrap();
            "cut short"
        }
        _ => {
            file.write_all_at(&vec![0; 4096], at & !4095).unwrap();
            "a block of zeros"
        }
    };
    println!("damage: {} at {at} of {length}: {how}", path.display());
}

fn find(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { find(&path, files) } else { files.push(path) }
    }
}
