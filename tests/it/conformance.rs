//! The rules of the protocol, tried against our own node, against the peer in another language, and against one that
//! breaks its word.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::interop::Peer;
use crate::support::area;
use crate::support::network::Network;

/// Who tries.
const CALLER: &str = "440307";

/// Runs the command against a peer; its report and what it said.
fn run(network: &Network, code: &str, json: bool) -> Output {
    let certified = network.node_certificate(area(CALLER));
    let (cert, key) = (network.path("caller.pem"), network.path("caller.key"));
    std::fs::write(&cert, &certified.chain_pem).unwrap();
    if !key.exists() {
        certified.key.save(&key).unwrap();
    }
    let endpoint = format!("127.0.0.1:{}", network.ports(area(code)).node);
    let mut command = Command::new(env!("CARGO_BIN_EXE_liangdi"));
    command.args(["conformance", "--peer", &endpoint, "--area", code, "--peer-is-for-trials"]);
    command.args([Path::new("--cert"), &cert]).args([Path::new("--key"), &key]);
    command.args([Path::new("--root"), &network.path("root.pem")]);
    command.args([Path::new("--crl"), &network.path("lists.pem")]);
    if json {
        command.arg("--json");
    }
    command.output().unwrap()
}

/// The report of a peer that keeps every rule it offers.
fn holds(network: &Network, code: &str) -> Value {
    let output = run(network, code, true);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{code} does not conform:\n{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["broken"], 0);
    let held = report["held"].as_u64().unwrap();
    assert!(held >= 30, "only {held} rules were tried");
    report
}

#[test]
fn our_node_keeps_every_rule() {
    let network = Network::new();
    let mut node = network.node("410522", &[]);
    node.start();
    let report = holds(&network, "410522");
    // A county carries nothing for others.
    assert_eq!(report["not_offered"], 1, "{report}");
    node.never_panicked();
}

#[test]
fn our_province_keeps_every_rule_of_a_relay() {
    let network = Network::new();
    let mut node = network.node("410000", &[]);
    node.start();
    let report = holds(&network, "410000");
    assert_eq!(report["not_offered"], 0, "{report}");
    node.never_panicked();
}

#[test]
fn the_peer_in_another_language_keeps_every_rule_it_offers() {
    let network = Network::new();
    let mut node = network.node(crate::interop::OURS, &[]);
    node.start();
    let mut peer = Peer::start(&network, &node, &[]);
    peer.says("serves");
    let output = run(&network, crate::interop::THEIRS, true);
    // It does not judge contents: the rules about basis, purpose and cases are those of an office, and it is none.
    let findings = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    let broken: Vec<_> = findings.split('✗').skip(1).collect();
    let office = ["basis-required", "out-of-reach", "unknown-case"];
    assert_eq!(broken.len(), office.len(), "{findings}");
    let named = office.iter().zip(&broken).all(|(rule, found)| found.contains(rule));
    assert!(named, "{findings}");
}

#[test]
fn a_peer_that_forgets_what_it_has_seen_is_found_out() {
    let network = Network::new();
    let mut node = network.node(crate::interop::OURS, &[]);
    node.start();
    let mut peer = Peer::start(&network, &node, &["--fault", "forgets"]);
    peer.says("serves");
    let output = run(&network, crate::interop::THEIRS, false);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    for rule in ["refusal-stays", "same-place"] {
        assert!(said.lines().any(|l| l.contains('✗') && l.contains(rule)), "{rule}:\n{said}");
    }
}
