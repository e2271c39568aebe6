//! Nothing is lost and nothing comes twice, whichever relay is killed and when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::access::Role;
use domain::message::Kind;
use liangdi::cli::connect::ConnectArgs;
use wire::pb::office::{Direction, Stage, Track};

use super::{AWAY, Country, HOME};
use crate::support::{eventually_async, office, seed, setting};

/// Provinces and counties are killed at any moment while mail flows both ways through them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relays_that_are_killed_lose_nothing_and_double_nothing() {
    let seed = seed("relays");
    let kills = setting("LIANGDI_KILLS", 12_u32);
    let mut country = Country::new("route_patience_ms = 300\ncustody_patience_ms = 600000").await;
    country.start();
    let stop = Arc::new(AtomicBool::new(false));
    let mut clerks = tokio::task::JoinSet::new();
    for (from, to) in [(HOME, AWAY), (AWAY, HOME)] {
        let operator = country.network.operator("clerk", from, Role::Clerk);
        clerks.spawn(insist(operator, from, to, seed, stop.clone()));
    }
    let mut dice = domain::synthetic::Seeded::new(seed);
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(dice.below(500).into())).await;
        // Most of them relays.
        let Country { home, away, home_province, away_province, .. } = &mut country;
        let mut all = [home_province, away_province, home, away];
        let candidates = if dice.chance(75) { 2 } else { 4 };
        let victim = &mut all[dice.below(candidates) as usize];
        victim.kill();
        tokio::time::sleep(Duration::from_millis(dice.below(100).into())).await;
        tokio::task::block_in_place(|| victim.start());
    }
    stop.store(true, Ordering::Relaxed);
    let mut accepted = BTreeMap::new();
    while let Some(ended) = clerks.join_next().await {
        let (from, ids) = ended.unwrap();
        accepted.insert(from, ids);
    }
    let (at_home, at_away) = country.clerks().await;
    for (from, there, here) in [(HOME, &at_away, &at_home), (AWAY, &at_home, &at_away)] {
        let stored = eventually_async("every message has its receipt", || async {
            let sent = office::list(here, Direction::Sent).await;
            let late: Vec<_> = sent.iter().filter(|track| track.stage() != Stage::Stored).collect();
            println!(
                "{from}: {} of {} late: {:?}",
                late.len(),
                sent.len(),
                late.first().map(|t| (
                    t.message_id.clone(),
                    t.stage(),
                    t.carrier.clone(),
                    t.carried_until_ms,
                    t.next_try_ms,
                    t.lane_sequence
                ))
            );
            late.is_empty().then_some(sent)
        })
        .await;
        let received = office::list(there, Direction::Received).await;
        let ids = |tracks: &[Track]| -> BTreeSet<String> {
            tracks.iter().map(|track| track.message_id.clone()).collect()
        };
        assert_eq!(ids(&stored), ids(&received), "{from}: both ends hold the same");
        assert_eq!(ids(&received).len(), received.len(), "{from}: each once");
        assert_eq!(ids(&stored), accepted[from], "{from}: what was accepted is there");
        for track in stored.iter().step_by((stored.len() / 20).max(1)) {
            country.proven(here, &track.message_id).await;
        }
        println!("relays: {} messages from {from}, {kills} kills", stored.len());
    }
    let entries = accepted.values().map(BTreeSet::len).sum::<usize>() as u64;
    for office in [&at_home, &at_away] {
        assert_eq!(office::status(office).await.ledger_size, entries);
    }
    drop((at_home, at_away));
    tokio::task::block_in_place(|| country.stop());
}

/// A clerk who sends until told to stop, each message under a key until she has an answer.
async fn insist(
    operator: ConnectArgs,
    from: &'static str,
    to: &'static str,
    seed: u64,
    stop: Arc<AtomicBool>,
) -> (&'static str, BTreeSet<String>) {
    let mut messages = office::messages(seed, from, to);
    let mut office = office::connect(&operator).await;
    let mut accepted = BTreeSet::new();
    let mut number = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        let content = messages.next(Kind::DepartureNotice).unwrap();
        number += 1;
        let key = format!("{from}-{number}");
        loop {
            match office::send(&office, to, &content, &key).await {
                Ok(sent) => {
                    accepted.insert(sent.message_id);
                    break;
                }
                Err(_) => office = office::connect(&operator).await,
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    (from, accepted)
}
