//! A county behind a real link of the kernel, in a network namespace of its own, whose cable is pulled: nothing is lost
//! and nothing comes twice. Where namespaces cannot be made, the lines of `faults` stand for this.

use std::process::{self, Command};

use domain::access::Role;
use domain::message::Kind;
use wire::pb::office::{Direction, Stage};

use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::office::{connect, list, messages, reaches, send, send_when_known};
use crate::support::{eventually_async, seed, skipped};

const HERE: &str = "440305";
const THERE: &str = "410522";

/// A namespace with one link to this one.
struct Namespace {
    name: String,
    /// Third part of the addresses of the link: 10.231.net.1 here, 10.231.net.2 there.
    net: u32,
}

fn ip(words: &str) -> bool {
    let said = Command::new("ip").args(words.split(' ')).output();
    said.is_ok_and(|said| said.status.success())
}

impl Namespace {
    /// `None` where this process may not make one.
    fn new() -> Option<Self> {
        let pid = process::id();
        let made = Self { name: format!("liangdi-{pid}"), net: pid % 250 };
        let Self { name, net } = &made;
        let (outer, inner) = (format!("ldo{pid}"), format!("ldi{pid}"));
        let steps = [
            format!("netns add {name}"),
            format!("link add {outer} type veth peer name {inner} netns {name}"),
            format!("addr add 10.231.{net}.1/30 dev {outer}"),
            format!("link set {outer} up"),
            format!("-n {name} addr add 10.231.{net}.2/30 dev {inner}"),
            format!("-n {name} link set lo up"),
            format!("-n {name} link set {inner} up"),
        ];
        steps.iter().all(|step| ip(step)).then_some(made)
    }

    /// Plugs the cable in, or pulls it.
    fn plug(&self, state: &str) {
        let pid = process::id();
        assert!(ip(&format!("-n {} link set ldi{pid} {state}", self.name)), "cable {state}");
    }

    fn here(&self) -> String {
        format!("10.231.{}.1", self.net)
    }

    fn there(&self) -> String {
        format!("10.231.{}.2", self.net)
    }

    /// Lets a node run inside.
    fn hold(&self, node: &mut Node) {
        node.launcher = ["ip", "netns", "exec", &self.name].map(str::to_owned).to_vec();
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The link goes with it.
        let _gone = ip(&format!("netns del {}", self.name));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_county_whose_cable_is_pulled_gets_everything_once_when_it_is_back() {
    let Some(namespace) = Namespace::new() else {
        skipped("no network namespaces here; the lines of faults.rs stand in for them");
        return;
    };
    let network = Network::new();
    let (mut here, mut there) = (network.node(HERE, &[THERE]), network.node(THERE, &[HERE]));
    let (here_node, there_node) = (here.endpoint(), there.endpoint());
    let at = |address: &str, endpoint: &str| endpoint.replace("127.0.0.1", address);
    let there_office = format!("127.0.0.1:{}", there.ports.office);
    for node in [&here, &there] {
        node.configure(|text| {
            text.replace(&here_node, &at(&namespace.here(), &here_node))
                .replace(&there_node, &at(&namespace.there(), &there_node))
                .replace(&there_office, &at(&namespace.there(), &there_office))
        });
    }
    namespace.hold(&mut there);
    there.start();
    here.start();
    let at_here = connect(&network.operator("here", HERE, Role::Clerk)).await;

    let mut notices = messages(seed("cable"), HERE, THERE);
    let mut next = || notices.next(Kind::DepartureNotice).unwrap();
    let first = send_when_known(&at_here, THERE, &next()).await.message_id;
    reaches(&at_here, &first, Stage::Stored).await;
    let mut accepted = vec![first];
    for _ in 0..3 {
        // In the middle of mail, and for longer than a receipt may take.
        for _ in 0..10 {
            accepted.push(send(&at_here, THERE, &next(), "").await.unwrap().message_id);
        }
        namespace.plug("down");
        for _ in 0..10 {
            accepted.push(send(&at_here, THERE, &next(), "").await.unwrap().message_id);
        }
        let administrator = connect(&network.operator("boss", HERE, Role::Administrator)).await;
        eventually_async("the trouble has a name and a next try", || async {
            let request = wire::pb::office::ListPeersRequest {};
            let peers = administrator.status().list_peers(request).await.unwrap().into_inner();
            let peer = &peers.peers[0];
            (!peer.connected && !peer.trouble.is_empty() && peer.next_try_ms > 0).then_some(())
        })
        .await;
        namespace.plug("up");
        for id in &accepted {
            reaches(&at_here, id, Stage::Stored).await;
        }
    }
    let mut clerk = network.operator("there", THERE, Role::Clerk);
    clerk.office = Some(at(&namespace.there(), &there_office));
    let at_there = connect(&clerk).await;
    let mut stored: Vec<_> =
        list(&at_there, Direction::Received).await.into_iter().map(|m| m.message_id).collect();
    stored.sort();
    accepted.sort();
    assert_eq!(stored, accepted, "lost or twice");
    here.never_panicked();
    there.never_panicked();
}
