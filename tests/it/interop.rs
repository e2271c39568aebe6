//! A peer in another language, written from docs/protocol.md alone, and a node: mail both ways, and evidence.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use domain::access::Role;
use domain::message::Kind;
use serde_json::Value;
use wire::pb::office;

use crate::support::area;
use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::office::{connect, list, message, reaches, send_when_known};

pub const OURS: &str = "440305";
pub const THEIRS: &str = "440306";

/// The peer as a process: commands go in a line each, what happens comes out as JSON.
pub struct Peer {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Peer {
    pub fn start(network: &Network, node: &Node, more: &[&str]) -> Self {
        let certified = network.node_certificate(area(THEIRS));
        let dir = network.path("peer");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("node.pem"), &certified.chain_pem).unwrap();
        certified.key.save(&dir.join("node.key")).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let listen = format!("127.0.0.1:{}", network.ports(area(THEIRS)).node);
        let mut child = Command::new(root.join(".ci/tool"))
            .arg("python")
            .arg(root.join("tests/interop/peer.py"))
            .args(["--area", THEIRS, "--listen", &listen])
            .args(["--to", OURS, "--endpoint", &node.endpoint()])
            .args(more)
            .args([Path::new("--cert"), &dir.join("node.pem")])
            .args([Path::new("--key"), &dir.join("node.key")])
            .args([Path::new("--root"), &network.path("root.pem")])
            .args([Path::new("--lists"), &network.path("lists.pem")])
            .args([Path::new("--dir"), &dir])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    pub fn tell(&mut self, command: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{command}").unwrap();
    }

    /// The next thing that happens, which has to be this.
    pub fn says(&mut self, event: &str) -> Value {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).unwrap();
        assert!(read > 0, "the peer has ended and not said {event}");
        let said: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(said["event"], event, "{said}");
        said
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ended_already = self.child.kill().is_err();
        let _status = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_in_another_language_sends_receives_and_verifies() {
    let network = Network::new();
    let mut node = network.node(OURS, &[THEIRS]);
    node.start();
    let clerk = connect(&network.operator("clerk", OURS, Role::Clerk)).await;

    // Theirs to ours.
    let mut peer = Peer::start(&network, &node, &["--send", "3"]);
    peer.says("serves");
    for _ in 0..3 {
        let answered = peer.says("answered");
        assert_eq!(answered["outcome"], "STORED", "{answered}");
        assert_eq!(answered["duplicate"], false, "{answered}");
    }
    assert_eq!(list(&clerk, office::Direction::Received).await.len(), 3);

    // Ours to theirs, and their answer.
    let arrival = message(7, OURS, THEIRS, Kind::ArrivalNotice);
    let sent = send_when_known(&clerk, THEIRS, &arrival).await;
    let id = sent.track.unwrap().message_id;
    reaches(&clerk, &id, office::Stage::Stored).await;
    let stored = peer.says("stored");
    assert_eq!(stored["id"], id.replace('-', ""));
    assert_eq!(stored["kind"], "arrival_notice");
    peer.tell("answer");
    assert_eq!(peer.says("answered")["outcome"], "STORED");
    let answered = reaches(&clerk, &id, office::Stage::Answered).await;
    assert_eq!(answered.turn, "");

    // What they signed holds for us, and what we export holds for them.
    let request = office::ExportEvidenceRequest { message_id: id.clone() };
    let evidence = clerk.messages().export_evidence(request).await.unwrap().into_inner().evidence;
    let file = network.path("evidence.bin");
    std::fs::write(&file, &evidence).unwrap();
    peer.tell(&format!("verify {}", file.display()));
    let verified = peer.says("verified");
    assert_eq!(verified["outcome"], "STORED");
    assert_eq!(verified["message_id"], id.replace('-', ""));
    peer.tell("head");
    assert_eq!(peer.says("head")["size"], 5, "three sent, one received, one answer sent");
    node.never_panicked();
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_that_was_altered_does_not_hold_for_the_other_language() {
    let network = Network::new();
    let mut node = network.node(OURS, &[THEIRS]);
    node.start();
    let clerk = connect(&network.operator("clerk", OURS, Role::Clerk)).await;
    let mut peer = Peer::start(&network, &node, &[]);
    peer.says("serves");
    let notice = message(8, OURS, THEIRS, Kind::DepartureNotice);
    let sent = send_when_known(&clerk, THEIRS, &notice).await;
    let id = sent.track.unwrap().message_id;
    reaches(&clerk, &id, office::Stage::Stored).await;
    peer.says("stored");
    let request = office::ExportEvidenceRequest { message_id: id };
    let evidence = clerk.messages().export_evidence(request).await.unwrap().into_inner().evidence;
    let file = network.path("evidence.bin");
    // A bit in the header, in the middle (a signature, a certificate or a path), and near the end.
    for at in [20, evidence.len() / 3, evidence.len() / 2] {
        let mut altered = evidence.clone();
        altered[at] ^= 1;
        std::fs::write(&file, &altered).unwrap();
        peer.tell(&format!("verify {}", file.display()));
        peer.says("broken");
    }
}
