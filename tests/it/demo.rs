//! The demonstration, as a program reads it: every node, every step, nothing left behind.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::support::eventually;

const PROGRAM: &str = env!("CARGO_BIN_EXE_liangdi");

/// What the story has to show, in this order.
const STEPS: [&str; 33] = [
    "start-network",
    "register-people",
    "import-registrations",
    "issue-certificate",
    "register-arrival",
    "verify-credential",
    "endorse-certificate",
    "conclude-agreement",
    "arrival-notice",
    "arrival-feedback",
    "ask-once",
    "record-consent",
    "pregnancy-report",
    "contraception-report",
    "no-consent-refused",
    "withdraw-consent",
    "residence-hidden",
    "ask-both-origins",
    "clarify-and-answer",
    "register-and-tell",
    "hand-over",
    "bulk-hand-over",
    "kill-node",
    "send-meanwhile",
    "arrive-once",
    "verify-evidence",
    "forged-evidence-refused",
    "restore-older-backup",
    "reconcile-provinces",
    "verify-statement",
    "draw-sample",
    "verify-access-log",
    "to-do-and-indicators",
];

fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field].as_str().unwrap_or_else(|| panic!("no {field} in {line}"))
}

/// The processes that were started with a word in their arguments.
fn processes_with(word: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let commands = entries.filter_map(|e| std::fs::read(e.path().join("cmdline")).ok());
    commands.filter(|c| String::from_utf8_lossy(c).contains(word)).count()
}

#[test]
fn every_step_holds_and_every_line_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("demo");
    let ran = Command::new(PROGRAM)
        .args(["demo", "--exit", "--json", "--people", "40", "--seed", "7", "--dir"])
        .arg(&place)
        .output()
        .unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    let trouble = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{:?}\n{said}\n{trouble}", ran.status);
    assert!(trouble.is_empty(), "{trouble}");
    let lines: Vec<Value> = said.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let (nodes, steps) = lines.split_at(6);
    check_nodes(nodes, &place);
    assert_eq!(steps.iter().map(|s| text(s, "step")).collect::<Vec<_>>(), STEPS);
    for step in steps {
        assert_eq!(step["ok"], true, "{step}");
        assert!(!text(step, "detail").is_empty() && !text(step, "detail_zh").is_empty());
        assert!(step["milliseconds"].as_u64().unwrap() < 60_000);
    }
    assert_eq!(processes_with(place.to_str().unwrap()), 0, "a child was left behind");
    nobody_is_named(&place, &said);
}

fn check_nodes(nodes: &[Value], place: &Path) {
    let roles: BTreeMap<&str, &str> =
        nodes.iter().map(|n| (text(n, "area"), text(n, "role"))).collect();
    let expected = [
        ("410000", "province"),
        ("410522", "county"),
        ("411528", "county"),
        ("440000", "province"),
        ("440305", "county"),
        ("440306", "county"),
    ];
    assert_eq!(roles, BTreeMap::from(expected));
    let mut ports = Vec::new();
    for node in nodes {
        assert!(text(node, "node").starts_with(text(node, "area")));
        ports.extend(["node_port", "office_port"].map(|port| node[port].as_u64().unwrap()));
        for file in ["certificate", "key", "root", "config", "log", "data_dir"] {
            let path = Path::new(text(node, file));
            assert!(path.starts_with(place) && path.exists(), "{file} of {node}");
        }
        for operator in node["operators"].as_array().unwrap() {
            for file in ["certificate", "key", "profile"] {
                assert!(Path::new(text(operator, file)).is_file(), "{file} of {operator}");
            }
        }
    }
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 12);
}

/// Every made-up name ends in a character that stands nowhere else; no log and no line carries it.
fn nobody_is_named(place: &Path, said: &str) {
    assert!(!said.contains(domain::synthetic::MARK));
    for node in std::fs::read_dir(place).unwrap().flatten() {
        let log = std::fs::read_to_string(node.path().join("node.log")).unwrap_or_default();
        assert!(!log.contains(domain::synthetic::MARK), "{}", node.path().display());
    }
}

/// A demonstration that stays up; it ends with the test, however that ends, and takes its nodes with it.
struct Staying(std::process::Child);

impl Drop for Staying {
    fn drop(&mut self) {
        // Over already, in most cases.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts the demonstration and reads until its last step; then it stays up.
fn staying(place: &Path) -> Staying {
    let mut demo = Staying(
        Command::new(PROGRAM)
            .args(["demo", "--json", "--people", "0", "--dir"])
            .arg(place)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let lines = BufReader::new(demo.0.stdout.take().unwrap()).lines();
    let last = lines.map(Result::unwrap).find(|line| line.contains(STEPS[STEPS.len() - 1]));
    assert!(last.is_some_and(|line| line.contains("\"ok\":true")));
    demo
}

#[test]
fn it_stays_up_until_told_and_takes_its_children_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("demo");
    let mut demo = staying(&place);
    let word = place.to_str().unwrap();
    assert_eq!(processes_with(word), 7, "six nodes and their starter");
    let listed = Command::new(PROGRAM)
        .args(["message", "list", "--json", "--profile"])
        .arg(place.join("440305-clerk.toml"))
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["messages"].as_array().unwrap().len(), 26, "what the story sent and got");
    let told = Command::new("kill").args(["-TERM", &demo.0.id().to_string()]).status().unwrap();
    assert!(told.success());
    assert!(demo.0.wait().unwrap().success());
    assert_eq!(processes_with(word), 0);
}

#[test]
fn nodes_notice_that_their_starter_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("demo");
    let mut demo = staying(&place);
    demo.0.kill().unwrap();
    demo.0.wait().unwrap();
    let word = place.to_str().unwrap();
    eventually("the nodes have stopped", || (processes_with(word) == 0).then_some(()));
    let log = std::fs::read_to_string(place.join("440305/node.log")).unwrap();
    assert!(log.contains("the node has stopped"), "not in order:\n{log}");
}

#[test]
fn a_directory_in_use_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine"), "mine").unwrap();
    let ran = Command::new(PROGRAM).args(["demo", "--exit", "--dir"]).arg(dir.path()).output();
    let ran = ran.unwrap();
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("not empty"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
