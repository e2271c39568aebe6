//! Overload: who asks for too much is put off with a time, and nobody else waits for it; nothing that was accepted is
//! lost, and a disk that is nearly full takes nothing new on while what was accepted goes on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use domain::access::Role;
use domain::message::Kind;
use domain::reason::Reason;
use exchange::custody::{CustodyManifest, CustodyOutcome};
use exchange::envelope::SealedEnvelope;
use exchange::receipt::{Disposition, Outcome};
use liangdi::api::door::UNKNOWN_MAX;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use wire::pb::office::{Direction, Stage};

use crate::support::network::Network;
use crate::support::office::{self, message};
use crate::support::rogue::{Answer, Rogue, words};
use crate::support::{in_time, now};

const HOME: &str = "410522";
const AWAY: &str = "440305";
const FLOOD: &str = "440306";
const QUIET: &str = "440307";
const PROVINCE: &str = "410000";
const COUNTY: &str = "410523";

/// Messages a second that the node takes from one peer.
const RATE: u32 = 400;
/// Connections of the flood, each with mail on the way all the time.
const FLOODERS: usize = 4;
/// The quiet peer writes a letter this often: half of what it may.
const PACE: Duration = Duration::from_millis(2 * 1_000 / RATE as u64);
/// Letters in a parcel of the flood.
const LETTERS: usize = 256;
/// Letters of the quiet peer, one after the other, before the flood and while it lasts: at least so many, and for at
/// least so long.
const SAMPLES: usize = 300;
const WHILE: Duration = Duration::from_secs(4);
/// How much longer than alone one letter in a hundred may take under the flood. Both peers and the node share two
/// processors with other tests here. It is one to two in a quiet hour; without the bounds it is ten and more.
const FACTOR: u32 = 8;
/// What the 99th of a hundred letters may take in any case; below it is noise of the machine.
const SHORT: Duration = Duration::from_millis(150);

/// The 99th of a hundred.
fn p99(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

/// One letter after the other, for a while; how long each took until its receipt.
async fn letters(peer: &mut Rogue) -> Vec<Duration> {
    let mut took = Vec::new();
    let begun = Instant::now();
    while took.len() < SAMPLES || begun.elapsed() < WHILE {
        let (_, letter) = peer.letter();
        let started = Instant::now();
        let said = peer.deliver(vec![letter]).await;
        took.push(started.elapsed());
        assert_eq!(words(&said), ["STORED"]);
        tokio::time::sleep(PACE.saturating_sub(started.elapsed())).await;
    }
    took
}

/// What became of a flood.
#[derive(Default)]
struct Flooded {
    /// Parcels that were stored, or known already.
    taken: usize,
    /// Parcels that were put off, with the last thing said.
    put_off: usize,
    last: Option<Vec<Disposition>>,
}

/// Offers the same letters without a break, whatever time is told.
async fn flood(peer: &mut Rogue, letters: &[SealedEnvelope], stop: &AtomicBool) -> Flooded {
    let mut flooded = Flooded::default();
    while !stop.load(Ordering::Relaxed) {
        let said = peer.deliver(letters.to_vec()).await;
        match &said[0].outcome {
            Outcome::Stored => flooded.taken += 1,
            Outcome::Deferred { .. } => {
                flooded.put_off += 1;
                flooded.last = Some(said);
            }
            Outcome::Refused { reason, .. } => panic!("refused: {reason:?}"),
        }
    }
    flooded
}

/// Offers letters again whenever the time has come that was told, until all are stored.
async fn later(peer: &mut Rogue, letters: Vec<SealedEnvelope>) -> Vec<Disposition> {
    loop {
        let said = peer.deliver(letters.clone()).await;
        match said[0].outcome {
            Outcome::Stored => return said,
            Outcome::Deferred { until, .. } => tokio::time::sleep(until.since(now())).await,
            Outcome::Refused { .. } => panic!("{said:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_leaves_the_others_alone_and_loses_nothing_that_was_accepted() {
    let network = Network::new();
    let mut home = network.node(HOME, &[]);
    home.limit(&format!("messages_per_second = {RATE}"));
    home.start();
    let mut quiet = Rogue::connect(&network, QUIET, &home).await;
    let alone = letters(&mut quiet).await;
    let mut sent = alone.len();
    let alone = p99(alone);

    let identity = network.node_certificate(FLOOD.parse().unwrap()).identity;
    let stop = Arc::new(AtomicBool::new(false));
    let mut flooders = JoinSet::new();
    for _ in 0..FLOODERS {
        let mut peer = Rogue::connect_as(&network, identity.clone(), &home).await;
        let letters: Vec<_> = (0..LETTERS).map(|_| peer.letter().1).collect();
        let stop = stop.clone();
        flooders.spawn(async move {
            let flooded = flood(&mut peer, &letters, &stop).await;
            (peer, letters, flooded)
        });
    }
    let under_flood = letters(&mut quiet).await;
    sent += under_flood.len();
    let under_flood = p99(under_flood);
    stop.store(true, Ordering::Relaxed);
    println!("p99 of a letter: alone {alone:?}, under the flood {under_flood:?}");

    let (mut stored, mut taken, mut put_off) = (BTreeSet::new(), 0, 0);
    while let Some(flooder) = in_time("the flood ends", flooders.join_next()).await {
        let (mut peer, letters, flooded) = flooder.unwrap();
        taken += flooded.taken;
        put_off += flooded.put_off;
        if let Some(last) = flooded.last {
            let Outcome::Deferred { reason, until } = last[0].outcome else { panic!("{last:?}") };
            assert_eq!(reason, Reason::RateLimited);
            assert!(until.since(now()) < Duration::from_secs(30), "{until} is far off");
        }
        // Told a time, and taken then.
        let said = later(&mut peer, letters).await;
        stored.extend(said.iter().map(|said| said.message_id.to_string()));
    }
    println!("flood: {taken} parcels taken, {put_off} put off");
    assert!(put_off > 0, "it was a flood");
    assert!(under_flood <= SHORT.max(alone * FACTOR), "{under_flood:?} against {alone:?}");

    // All that was accepted is there, of the flood and of the quiet peer.
    assert_eq!(stored.len(), FLOODERS * LETTERS);
    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let there = office::list(&at_home, Direction::Received).await;
    let of = |peer: &str| -> BTreeSet<String> {
        there.iter().filter(|t| t.from == peer).map(|t| t.message_id.clone()).collect()
    };
    assert_eq!(of(QUIET).len(), sent);
    assert_eq!(of(FLOOD), stored);
    home.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_too_many_connections_of_one_peer_the_oldest_is_cut_off() {
    let network = Network::new();
    let mut home = network.node(HOME, &[]);
    home.limit("connections_per_peer = 3");
    home.start();
    let mut quiet = Rogue::connect(&network, QUIET, &home).await;
    let identity = network.node_certificate(FLOOD.parse().unwrap()).identity;
    let mut flood = Vec::new();
    for _ in 0..5 {
        flood.push(Rogue::connect_as(&network, identity.clone(), &home).await);
    }
    for oldest in &mut flood[..2] {
        in_time("the oldest connections end", oldest.ended()).await;
    }
    for peer in flood[2..].iter_mut().chain([&mut quiet]) {
        let (_, letter) = peer.letter();
        assert_eq!(words(&peer.deliver(vec![letter]).await), ["STORED"]);
    }
    home.logged("RATE_LIMITED", None);
    home.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing_take_no_place_from_others() {
    let network = Network::new();
    let mut home = network.node(HOME, &[]);
    home.start();
    let door = home.endpoint().parse().unwrap();
    let mut knocking = Vec::new();
    for _ in 0..UNKNOWN_MAX + 6 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        knocking.push(socket.connect(door).await.unwrap());
    }
    let line = home.logged("RATE_LIMITED", None);
    assert!(line["address"].as_str().unwrap().starts_with("127.0.0.2:"), "{line}");
    // Whoever was one too many finds the connection closed; in the order of the accepts, these are the last.
    for one in &mut knocking[UNKNOWN_MAX..] {
        let said = in_time("one too many is turned away", one.read(&mut [0])).await;
        assert!(matches!(said, Ok(0) | Err(_)), "{said:?}");
    }
    let mut quiet = Rogue::connect(&network, QUIET, &home).await;
    let (_, letter) = quiet.letter();
    assert_eq!(words(&quiet.deliver(vec![letter]).await), ["STORED"]);
    let told = |event: &serde_json::Value| event["code"] == "RATE_LIMITED";
    assert_eq!(home.events().into_iter().filter(told).count(), 1, "one line for all of them");
    home.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_nearly_full_takes_nothing_new_and_finishes_what_it_has() {
    let network = Network::new();
    let (mut home, mut away) = (network.node(HOME, &[AWAY]), network.node(AWAY, &[HOME]));
    home.start();
    away.start();
    let clerk = network.operator("hua", HOME, Role::Clerk);
    let at_home = office::connect(&clerk).await;
    let to_away = |seed| message(seed, HOME, AWAY, Kind::ArrivalNotice);
    let first = office::send_when_known(&at_home, AWAY, &to_away(1)).await;
    office::reaches(&at_home, &first.message_id, Stage::Stored).await;
    let status = office::status(&at_home).await;
    assert!(!status.disk_nearly_full && status.disk_free_bytes > 0, "{status:?}");
    away.stop();
    let accepted = office::send(&at_home, AWAY, &to_away(2), "").await.unwrap().message_id;
    home.stop();

    // No disk has so much room.
    home.limit("disk_free_min_mb = 1073741824");
    home.start();
    let at_home = office::connect(&clerk).await;
    let status = office::status(&at_home).await;
    assert!(status.disk_nearly_full && status.serving, "{status:?}");
    home.logged("DISK_NEARLY_FULL", None);

    // Nothing new, neither from a clerk nor from a peer.
    let refused = office::send(&at_home, AWAY, &to_away(3), "").await.unwrap_err();
    assert_eq!(office::code(&refused), "DISK_NEARLY_FULL");
    let mut rogue = Rogue::connect(&network, QUIET, &home).await;
    let pair: Vec<_> = (0..2).map(|_| rogue.letter().1).collect();
    let said = rogue.deliver(pair.clone()).await;
    assert_eq!(words(&said), ["DEFERRED DISK_NEARLY_FULL"; 2]);
    let Outcome::Deferred { until, .. } = said[0].outcome else { panic!("{said:?}") };
    let wait = until.since(now());
    assert!(wait > Duration::from_secs(30) && wait <= Duration::from_secs(60), "{wait:?}");

    // What was accepted goes on: delivered, receipted, settled; and the other side is told what is wrong.
    away.start();
    office::reaches(&at_home, &accepted, Stage::Stored).await;
    let at_away = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let back = message(4, AWAY, HOME, Kind::ArrivalNotice);
    let back = office::send_when_known(&at_away, HOME, &back).await;
    let put_off = office::reaches(&at_away, &back.message_id, Stage::Deferred).await;
    assert_eq!(put_off.reason, "DISK_NEARLY_FULL", "{put_off:?}");
    assert!(put_off.next_try_ms > now().get(), "{put_off:?}");
    assert!(office::list(&at_home, Direction::Received).await.is_empty());

    // With room again, mail flows.
    home.stop();
    home.limit("disk_free_min_mb = 0");
    home.start();
    let at_home = office::connect(&clerk).await;
    assert!(!office::status(&at_home).await.disk_nearly_full);
    let sent = office::send(&at_home, AWAY, &to_away(3), "").await.unwrap().message_id;
    office::reaches(&at_home, &sent, Stage::Stored).await;
    rogue.reconnect(&home).await;
    assert_eq!(words(&rogue.deliver(pair).await), ["STORED"; 2]);
    for node in [&home, &away] {
        node.never_panicked();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_without_room_says_when_to_come_back() {
    let network = Network::new();
    let mut province = network.node(PROVINCE, &[]);
    province.limit("disk_free_min_mb = 1073741824");
    province.start();
    let mut county = Rogue::connect(&network, COUNTY, &province).await;
    county.to = AWAY.parse().unwrap();
    let (_, letter) = county.letter();
    match county.offer(vec![letter.clone()]).await {
        Answer::Custody(CustodyManifest {
            outcome: CustodyOutcome::Deferred { reason, until },
            ..
        }) => {
            assert_eq!(reason, Reason::DiskNearlyFull);
            assert!(until > now(), "{until}");
        }
        other => panic!("{other:?}"),
    }
    province.stop();
    province.limit("disk_free_min_mb = 0");
    province.start();
    county.reconnect(&province).await;
    match county.offer(vec![letter]).await {
        Answer::Custody(CustodyManifest { outcome: CustodyOutcome::Held { next }, .. }) => {
            assert_eq!(next.as_str(), "440000");
        }
        other => panic!("{other:?}"),
    }
    province.never_panicked();
}
