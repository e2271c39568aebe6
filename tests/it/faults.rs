//! Lines that are cut, slow, silent or deaf one way, a process that is stopped, clocks that are wrong: nothing is lost,
//! nothing comes twice, and what is wrong has a name.

use std::process::Command;
use std::time::Instant;

use domain::access::Role;
use domain::message::{Content, Kind};
use liangdi::cli::connect::Office;
use wire::pb::office::{self, Direction, Stage};

use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::office::{connect, list, message, messages, reaches, send, send_when_known};
use crate::support::proxy::{Line, Proxy};
use crate::support::{eventually_async, seed};

const HERE: &str = "440305";
const THERE: &str = "410522";

/// Two counties with a line between them that can be troubled, one way: from here to there.
struct Pair {
    network: Network,
    here: Node,
    there: Node,
    line: Proxy,
}

impl Pair {
    async fn new() -> Self {
        let network = Network::new();
        let here = network.node(HERE, &[THERE]);
        let there = network.node(THERE, &[HERE]);
        let line = Proxy::to(there.ports.node).await;
        there.advertise(line.port);
        here.call_through(&there, line.port);
        Self { network, here, there, line }
    }

    async fn up() -> (Self, Office, Office) {
        let mut pair = Self::new().await;
        pair.here.start();
        pair.there.start();
        let here = connect(&pair.network.operator("here", HERE, Role::Clerk)).await;
        let there = connect(&pair.network.operator("there", THERE, Role::Clerk)).await;
        (pair, here, there)
    }

    /// Everything that was accepted here is there once, and settled here; then both still stand.
    async fn all_arrived(&self, here: &Office, there: &Office, accepted: &[String]) {
        for id in accepted {
            reaches(here, id, Stage::Stored).await;
        }
        let mut stored: Vec<_> =
            list(there, Direction::Received).await.into_iter().map(|m| m.message_id).collect();
        let mut accepted = accepted.to_vec();
        stored.sort();
        accepted.sort();
        assert_eq!(stored, accepted, "lost or twice");
        self.here.never_panicked();
        self.there.never_panicked();
    }
}

fn notices(seed: u64) -> impl Iterator<Item = Content> {
    let mut messages = messages(seed, HERE, THERE);
    std::iter::from_fn(move || messages.next(Kind::DepartureNotice))
}

async fn accept(here: &Office, content: &Content) -> String {
    send_when_known(here, THERE, content).await.track.unwrap().message_id
}

async fn settled(here: &Office) -> usize {
    let sent = list(here, Direction::Sent).await;
    sent.iter().filter(|track| track.stage() == Stage::Stored).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_cut_again_and_again_loses_nothing() {
    let (pair, here, there) = Pair::up().await;
    let mut accepted = Vec::new();
    for (number, notice) in notices(seed("cut")).take(120).enumerate() {
        accepted.push(accept(&here, &notice).await);
        if number % 10 == 5 {
            pair.line.set(Line::Cut);
            pair.line.set(Line::Good);
        }
        if number % 10 == 9 {
            pair.line.set(Line::Cut);
            accepted.push(accept(&here, &message(1, HERE, THERE, Kind::DepartureNotice)).await);
            pair.line.set(Line::Good);
        }
    }
    pair.all_arrived(&here, &there, &accepted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_goes_silent_is_left_and_called_again() {
    let (pair, here, there) = Pair::up().await;
    let mut accepted = vec![accept(&here, &message(2, HERE, THERE, Kind::DepartureNotice)).await];
    reaches(&here, &accepted[0], Stage::Stored).await;
    pair.line.set(Line::Silent);
    for notice in notices(seed("silent")).take(5) {
        accepted.push(accept(&here, &notice).await);
    }
    let administrator = connect(&pair.network.operator("boss", HERE, Role::Administrator)).await;
    let trouble = eventually_async("the silence is noticed", || async {
        let peer = peer(&administrator).await;
        (!peer.connected && !peer.trouble.is_empty()).then_some(peer)
    })
    .await;
    assert!(trouble.waiting >= 5 && trouble.next_try_ms > 0, "{trouble:?}");
    pair.line.set(Line::Good);
    pair.all_arrived(&here, &there, &accepted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_that_do_not_come_back_make_nothing_arrive_twice() {
    let (pair, here, there) = Pair::up().await;
    let mut accepted = vec![accept(&here, &message(3, HERE, THERE, Kind::DepartureNotice)).await];
    reaches(&here, &accepted[0], Stage::Stored).await;
    pair.line.set(Line::NoAnswers);
    for notice in notices(seed("deaf")).take(20) {
        accepted.push(accept(&here, &notice).await);
    }
    eventually_async("some are stored there", || async {
        (list(&there, Direction::Received).await.len() > 1).then_some(())
    })
    .await;
    assert_eq!(settled(&here).await, 1, "nothing is settled without a receipt");
    pair.line.set(Line::Good);
    pair.all_arrived(&here, &there, &accepted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_line_delays_its_own_mail_only() {
    let (mut pair, here, there) = Pair::up().await;
    let mut third = pair.network.node("440306", &[]);
    third.start();
    pair.here.stop();
    pair.here.configure(|text| {
        format!("{text}[[peer]]\narea = \"440306\"\nendpoint = \"{}\"\n", third.endpoint())
    });
    pair.here.start();
    let clerk = connect(&pair.network.operator("again", HERE, Role::Clerk)).await;
    drop(here);
    let near = message(4, HERE, "440306", Kind::DepartureNotice);
    let first = send_when_known(&clerk, "440306", &near).await.track.unwrap().message_id;
    let mut accepted = vec![accept(&clerk, &message(5, HERE, THERE, Kind::DepartureNotice)).await];
    for id in [&first, &accepted[0]] {
        reaches(&clerk, id, Stage::Stored).await;
    }
    pair.line.set(Line::Slow(20_000));
    for notice in notices(seed("slow")).take(300) {
        accepted.push(accept(&clerk, &notice).await);
    }
    // While these crawl, twenty go next door, one after the other.
    let started = Instant::now();
    let mut next_door = messages(6, HERE, "440306");
    for _ in 0..20 {
        let notice = next_door.next(Kind::DepartureNotice).unwrap();
        let sent = send(&clerk, "440306", &notice, "").await.unwrap().track.unwrap().message_id;
        reaches(&clerk, &sent, Stage::Stored).await;
    }
    let (took, arrived) = (started.elapsed(), settled(&clerk).await);
    assert!(arrived < accepted.len() + 21, "the slow line was not slow: {took:?}");
    pair.line.set(Line::Good);
    pair.all_arrived(&clerk, &there, &accepted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stands_still_is_waited_for() {
    let (pair, here, there) = Pair::up().await;
    let mut accepted = vec![accept(&here, &message(7, HERE, THERE, Kind::DepartureNotice)).await];
    reaches(&here, &accepted[0], Stage::Stored).await;
    pair.there.signal("-STOP");
    for notice in notices(seed("stopped")).take(20) {
        accepted.push(accept(&here, &notice).await);
    }
    let administrator = connect(&pair.network.operator("boss", HERE, Role::Administrator)).await;
    eventually_async("the link is given up", || async {
        (!peer(&administrator).await.connected).then_some(())
    })
    .await;
    pair.there.signal("-CONT");
    pair.all_arrived(&here, &there, &accepted).await;
}

async fn peer(administrator: &Office) -> office::Peer {
    let request = office::ListPeersRequest {};
    let peers = administrator.status().list_peers(request).await.unwrap().into_inner().peers;
    peers.into_iter().find(|peer| peer.area == THERE).unwrap()
}

/// Gives a node a clock that is wrong by so many seconds. Only the time of day: waits are not touched.
fn wrong_clock(node: &mut Node, seconds: i64) {
    let library = Command::new("sh")
        .args(["-c", "ls /usr/lib/*/faketime/libfaketimeMT.so.1 | head -n 1"])
        .output()
        .unwrap();
    let library = String::from_utf8(library.stdout).unwrap().trim().to_owned();
    assert!(!library.is_empty(), "the tests need libfaketime: .ci/test installs it");
    node.environment = vec![
        ("LD_PRELOAD".to_owned(), library),
        ("FAKETIME".to_owned(), format!("{seconds:+}")),
        ("FAKETIME_DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()),
        ("DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()),
    ];
}

const HOUR: i64 = 3_600;

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_hours_fast_is_shown_and_delays_nothing() {
    let mut pair = Pair::new().await;
    wrong_clock(&mut pair.there, 5 * HOUR);
    pair.here.start();
    pair.there.start();
    let here = connect(&pair.network.operator("here", HERE, Role::Clerk)).await;
    let there = connect(&pair.network.operator("there", THERE, Role::Clerk)).await;
    let mut accepted = Vec::new();
    for notice in notices(seed("fast clock")).take(10) {
        accepted.push(accept(&here, &notice).await);
    }
    pair.all_arrived(&here, &there, &accepted).await;
    let administrator = connect(&pair.network.operator("boss", HERE, Role::Administrator)).await;
    let skew = peer(&administrator).await.clock_skew_ms / 1_000;
    assert!((5 * HOUR - 60..=5 * HOUR + 60).contains(&skew), "{skew} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_before_the_certificates_is_named_and_mended_by_setting_it() {
    let mut pair = Pair::new().await;
    // Certificates hold from five minutes before they were made.
    wrong_clock(&mut pair.here, -2 * HOUR);
    pair.here.spawn();
    let status = pair.here.ended();
    assert!(!status.success());
    let log = pair.here.log();
    assert!(log.contains("CERTIFICATE_NOT_YET_VALID") || log.contains("not yet valid"), "{log}");
    pair.here.environment.clear();
    pair.here.start();
    pair.there.start();
    let here = connect(&pair.network.operator("here", HERE, Role::Clerk)).await;
    let there = connect(&pair.network.operator("there", THERE, Role::Clerk)).await;
    let accepted = [accept(&here, &message(9, HERE, THERE, Kind::DepartureNotice)).await];
    pair.all_arrived(&here, &there, &accepted).await;
}
