//! The whole way of certificates on real files, typed as an administrator types it.

use std::path::Path;

use clap::Parser;
use serde_json::Value;

use super::super::exit::Failure;
use super::super::output::Output;
use super::super::{Cli, execute};

/// A directory in which commands run; paths are written `@name`.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, line: &str) -> Result<Value, Failure> {
        let word = |word: &str| match word.strip_prefix('@') {
            Some(name) => self.path(name).display().to_string(),
            None => word.to_owned(),
        };
        let words = std::iter::once("liangdi".to_owned()).chain(line.split_whitespace().map(word));
        let cli = Cli::try_parse_from(words).unwrap();
        execute(cli.command, &mut Output::standard(true)).map(|answer| answer.json)
    }

    fn done(&self, line: &str) -> Value {
        self.run(line).unwrap_or_else(|failure| panic!("{line}\n{}", failure.for_people()))
    }

    fn refused(&self, line: &str) -> Failure {
        self.run(line).expect_err(line)
    }
}

/// A root, the CA of 41, the node of 410522 and alice, a clerk there.
fn network() -> Desk {
    let desk = Desk::new();
    for line in [
        "pki root create --ca @root",
        "pki province create --ca @41 --root @root --area 41",
        "pki node request --area 410522 --key @node.key --csr @node.csr",
        "pki node issue --ca @41 --csr @node.csr --area 410522 --out @node.pem",
        "pki operator request --name alice --area 410522 --key @alice.key --csr @alice.csr",
        "pki operator issue --ca @41 --csr @alice.csr --name alice --area 410522 --role clerk --out @alice.pem",
        "pki crl issue --ca @root --out @root.crl",
        "pki crl issue --ca @41 --out @41.crl",
    ] {
        desk.done(line);
    }
    desk
}

const CHECK_ALICE: &str = "pki verify @alice.pem --root @root/ca.pem --crl @root.crl --crl @41.crl";

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn from_the_root_to_an_operator_and_back() {
    let desk = network();
    let alice = desk.done(CHECK_ALICE);
    assert_eq!(alice["area"], "410522");
    assert_eq!(alice["role"], "CLERK");
    assert_eq!(alice["revocation_checked"], true);
    let node = desk.done("pki verify @node.pem --root @root/ca.pem");
    assert_eq!(
        (&node["speaks_for"], &node["revocation_checked"]),
        (&"the node of 410522".into(), &false.into())
    );
    for key in ["root/ca.key", "41/ca.key", "node.key", "alice.key"] {
        assert_eq!(mode(&desk.path(key)), 0o600, "{key}");
    }
}

#[test]
fn a_revoked_operator_is_refused_from_the_next_list_on() {
    let desk = network();
    let name = "alice.operators.410522.41.liangdi.internal";
    let revoked = desk.done(&format!("pki revoke --ca @41 --name {name} --reason key-compromise"));
    assert_eq!(revoked.as_array().map(Vec::len), Some(1));
    desk.done(CHECK_ALICE);
    let list = desk.done("pki crl issue --ca @41 --out @41.crl");
    assert_eq!(list["revoked"], 1);
    let refused = desk.refused(CHECK_ALICE);
    assert_eq!((refused.exit.number(), refused.code.as_str()), (3, "CERTIFICATE_REVOKED"));
    let shown = desk.done("pki show @41.crl");
    assert_eq!(shown[0]["revoked"][0]["serial"], revoked[0]["serial"]);
    let issued = desk.done("pki list --ca @41");
    assert!(issued[0]["revoked"].is_null() && issued[1]["revoked"].is_string(), "{issued}");
}

#[test]
fn a_whole_province_is_revoked_by_the_root() {
    let desk = network();
    desk.done("pki revoke --ca @root --name 41.liangdi.internal --reason ca-compromise");
    desk.done("pki crl issue --ca @root --out @root.crl");
    assert_eq!(desk.refused(CHECK_ALICE).code, "CERTIFICATE_REVOKED");
    assert_eq!(desk.done("pki root show --ca @root")["revoked"], 1);
}

#[test]
fn a_province_on_another_machine_asks_with_a_request() {
    let desk = network();
    desk.done("pki province request --ca @44 --area 44 --csr @44.csr");
    assert_eq!(desk.done("pki show @44.csr")[0]["name"], "44.liangdi.internal");
    desk.done("pki province issue --ca @root --csr @44.csr --area 44 --out @44.pem");
    desk.done("pki province install --ca @44 --certificate @44.pem");
    let shown = desk.done("pki show @44/ca.pem");
    assert_eq!(shown[0]["may_name"], "44.liangdi.internal");
    // The CA of one province issues nothing for another.
    let line = "pki node issue --ca @44 --csr @node.csr --area 410522 --out @wrong.pem";
    assert_eq!(desk.refused(line).exit.number(), 3);
    assert!(!desk.path("wrong.pem").exists());
}

#[test]
fn nothing_is_overwritten_and_nothing_is_guessed() {
    let desk = network();
    for (line, exit) in [
        ("pki root create --ca @root", 2),
        ("pki node request --area 410522 --key @node.key --csr @other.csr", 2),
        ("pki node issue --ca @41 --csr @node.csr --area 410522 --out @node.pem", 2),
        ("pki node issue --ca @41 --csr @node.csr --area 411528 --out @other.pem", 3),
        ("pki node issue --ca @nowhere --csr @node.csr --area 410522 --out @other.pem", 2),
        ("pki revoke --ca @41 --serial 00ff", 5),
        ("pki revoke --ca @41 --name bob.operators.410522.41.liangdi.internal", 5),
        ("pki show @nothing.pem", 2),
        ("pki verify @root/ca.pem --root @root/ca.pem", 3),
        ("pki verify @alice.pem --root @41/ca.pem", 3),
    ] {
        let refused = desk.refused(line);
        assert_eq!(refused.exit.number(), exit, "{line}\n{}", refused.for_people());
    }
}

#[test]
fn everything_can_be_looked_at() {
    let desk = network();
    let node = desk.done("pki show @node.pem");
    assert_eq!(node[0]["names"][0], "410522.41.liangdi.internal");
    assert_eq!((&node[0]["server"], &node[0]["client"]), (&true.into(), &true.into()));
    assert_eq!(node[1]["may_name"], "41.liangdi.internal");
    let alice = desk.done("pki show @alice.pem");
    assert_eq!((&alice[0]["role"], &alice[0]["server"]), (&"clerk".into(), &false.into()));
    assert_eq!(desk.done("pki show @alice.key")[0]["type"], "private-key");
}
