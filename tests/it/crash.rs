//! Kill -9 at random moments while messages flow in all directions: nothing acknowledged is lost, nothing is there
//! twice, every receipt is true, every ledger has one entry a message.
//!
//! `LIANGDI_KILLS` sets the number of kills, `LIANGDI_SEED` repeats the moments.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::access::Role;
use domain::message::Kind;
use domain::synthetic::Seeded;
use exchange::receipt::Outcome;
use liangdi::cli::connect::{ConnectArgs, Office};
use tonic::Status;
use wire::pb::office::{Direction, ExportEvidenceRequest, Stage, Track};

use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::{eventually_async, in_time, office, seed, setting};

const COUNTIES: [&str; 3] = ["410522", "440305", "411528"];
/// Messages whose evidence is looked at, for each node.
const SAMPLE: usize = 100;

/// What the submitters were told.
#[derive(Default)]
struct Told {
    /// Ids that were acknowledged, by sender and recipient.
    acknowledged: BTreeMap<(String, String), Vec<String>>,
    /// Calls that ended without an answer; whether they were accepted is open.
    unanswered: u64,
}

/// One clerk who sends to one county until told to stop. With `insist`, a call without an answer is made
/// again under its key until it is answered.
struct Submitter {
    from: String,
    to: String,
    operator: ConnectArgs,
    seed: u64,
    insist: bool,
    told: Arc<Mutex<Told>>,
    stop: Arc<AtomicBool>,
}

impl Submitter {
    async fn run(self) {
        let mut messages = office::messages(self.seed, &self.from, &self.to);
        let mut office = office::connect(&self.operator).await;
        let mut number = 0_u64;
        while !self.stop.load(Ordering::Relaxed) {
            let content = messages.next(Kind::DepartureNotice).unwrap();
            number += 1;
            let key = match self.insist {
                true => format!("{}-{number}", self.seed),
                false => String::new(),
            };
            loop {
                let sent = in_time("a call ends", office::send(&office, &self.to, &content, &key));
                match sent.await {
                    Ok(accepted) => {
                        let mut told = self.told.lock().unwrap();
                        let lane = (self.from.clone(), self.to.clone());
                        told.acknowledged.entry(lane).or_default().push(accepted.message_id);
                        break;
                    }
                    Err(status) => {
                        self.excused(&status);
                        office = office::connect(&self.operator).await;
                        if !self.insist {
                            break;
                        }
                    }
                }
            }
        }
    }

    /// A call may fail because the node has just been killed, or has not met its peer yet; for no other reason.
    fn excused(&self, status: &Status) {
        match office::code(status).as_str() {
            "" => self.told.lock().unwrap().unanswered += 1,
            "PEER_CARD_MISSING" => {}
            other => panic!("{other}: {status:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_minus_nine_loses_nothing_and_doubles_nothing() {
    let seed = seed("crash");
    let kills = setting("LIANGDI_KILLS", 12_u32);
    let network = Network::new();
    let mut nodes: Vec<Node> = COUNTIES
        .iter()
        .map(|own| {
            let others: Vec<_> = COUNTIES.iter().copied().filter(|other| other != own).collect();
            let node = network.node(own, &others);
            // One person takes out the evidence of everything at the end.
            node.limit("reads_per_hour = 100000\nreads_per_day = 1000000");
            node
        })
        .collect();
    nodes.iter_mut().for_each(Node::start);
    let operators: BTreeMap<_, _> = COUNTIES
        .iter()
        .map(|county| ((*county).to_owned(), network.operator("clerk", county, Role::Clerk)))
        .collect();
    let (told, stop) = (Arc::new(Mutex::new(Told::default())), Arc::new(AtomicBool::new(false)));
    let mut submitters = tokio::task::JoinSet::new();
    for (from, to) in lanes() {
        for insist in [false, true] {
            let submitter = Submitter {
                from: from.to_owned(),
                to: to.to_owned(),
                operator: operators[from].clone(),
                seed: seed.wrapping_add(submitters.len() as u64),
                insist,
                told: told.clone(),
                stop: stop.clone(),
            };
            submitters.spawn(submitter.run());
        }
    }

    let began = Instant::now();
    let mut dice = Seeded::new(seed);
    for _ in 0..kills {
        let victim = dice.below(3) as usize;
        // From in the middle of its start to in the middle of its work.
        pause(&mut dice, 400).await;
        nodes[victim].kill();
        pause(&mut dice, 50).await;
        match dice.chance(70) {
            true => tokio::task::block_in_place(|| nodes[victim].start()),
            false => nodes[victim].spawn(),
        }
    }
    let killed = began.elapsed();
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = submitters.join_next().await {
        ended.unwrap();
    }

    let mut offices = BTreeMap::new();
    for county in COUNTIES {
        offices.insert(county, office::connect(&operators[county]).await);
    }
    let told = std::mem::take(&mut *told.lock().unwrap());
    let acknowledged = told.acknowledged.values().map(Vec::len).sum::<usize>();
    let messages = all_agree(&offices, &told).await;
    evidence_holds(&network, &offices).await;
    println!(
        "crash: {kills} kills in {killed:?}; {acknowledged} messages acknowledged, {messages} stored, \
         {} calls unanswered; lost 0, twice 0",
        told.unanswered
    );
    drop(offices);
    for node in &mut nodes {
        tokio::task::block_in_place(|| assert!(node.stop().success()));
        node.never_panicked();
    }
}

async fn pause(dice: &mut Seeded, most_ms: u32) {
    tokio::time::sleep(Duration::from_millis(dice.below(most_ms).into())).await;
}

/// Every pair of counties, both ways.
fn lanes() -> impl Iterator<Item = (&'static str, &'static str)> {
    let all = COUNTIES.iter().flat_map(|from| COUNTIES.iter().map(move |to| (*from, *to)));
    all.filter(|(from, to)| from != to)
}

/// Waits until every message has its receipt, then compares both ends. Says how many messages there are.
async fn all_agree(offices: &BTreeMap<&str, Office>, told: &Told) -> usize {
    let (mut sent, mut received) = (BTreeMap::new(), BTreeMap::new());
    for (county, office) in offices {
        let stored = eventually_async("every message has its receipt", || async {
            let tracks = office::list(office, Direction::Sent).await;
            tracks.iter().all(|track| track.stage() == Stage::Stored).then_some(tracks)
        });
        sent.insert(*county, stored.await);
    }
    for (county, office) in offices {
        received.insert(*county, office::list(office, Direction::Received).await);
    }
    for (from, to) in lanes() {
        let here: Vec<_> = sent[from].iter().filter(|track| track.to == to).collect();
        let there: Vec<_> = received[to].iter().filter(|track| track.from == from).collect();
        assert_eq!(by_id(&here), by_id(&there), "{from} and {to} hold the same messages");
        let known = by_id(&here);
        assert_eq!(known.len(), here.len(), "{from} holds each message once");
        assert_eq!(known.len(), there.len(), "{to} holds each message once");
        let mut unique = BTreeSet::new();
        for id in told.acknowledged.get(&(from.to_owned(), to.to_owned())).into_iter().flatten() {
            assert!(known.contains_key(id.as_str()), "lost between {from} and {to}: {id}");
            assert!(unique.insert(id), "one id for two messages: {id}");
        }
        // Places without gaps: what was accepted is what there is.
        let places: BTreeSet<_> = here.iter().map(|track| track.lane_sequence).collect();
        assert_eq!(places.last().copied().unwrap_or(0), places.len() as u64);
    }
    for (county, office) in offices {
        let entries = office::status(office).await.ledger_size;
        let messages = sent[county].len() + received[county].len();
        assert_eq!(entries, messages as u64, "one entry a message in the ledger of {county}");
    }
    // Whoever insisted has got every message through once, although some calls were made several times.
    let stored = sent.values().map(Vec::len).sum::<usize>();
    let acknowledged = told.acknowledged.values().map(Vec::len).sum::<usize>();
    let open = usize::try_from(told.unanswered).unwrap();
    assert!(stored - acknowledged <= open, "more messages than calls");
    stored
}

/// Digest and place by id.
fn by_id<'a>(tracks: &[&'a Track]) -> BTreeMap<&'a str, (&'a str, u64)> {
    let entry = |track: &&'a Track| {
        (track.message_id.as_str(), (track.digest.as_str(), track.lane_sequence))
    };
    tracks.iter().map(entry).collect()
}

/// The evidence of a sample, from both ends, holds with nothing but the root.
async fn evidence_holds(network: &Network, offices: &BTreeMap<&str, Office>) {
    let chains = network.chains();
    for office in offices.values() {
        for direction in [Direction::Sent, Direction::Received] {
            let tracks = office::list(office, direction).await;
            let step = (tracks.len() / SAMPLE).max(1);
            for track in tracks.iter().step_by(step) {
                let request = ExportEvidenceRequest { message_id: track.message_id.clone() };
                let answer = office.messages().export_evidence(request).await.unwrap();
                let evidence = wire::decode_evidence(answer.into_inner().evidence.into()).unwrap();
                let proven = evidence.verify(&chains).unwrap();
                assert_eq!(proven.message_id.to_string(), track.message_id);
                let answered = proven.answered.expect("a receipt is in it");
                assert_eq!(answered.outcome, Outcome::Stored);
                assert_eq!(answered.by.area.as_str(), track.to);
            }
        }
    }
}
