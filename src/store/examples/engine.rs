//! How fast the engine commits durably: clients that each wait for their unit, then hand in the next.
//!
//! `cargo run --release -p store --example engine [directory] [seconds]`

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for people who measure, not for those who run a node"
)]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use domain::time::UnixMillis;
use futures_util::stream::{FuturesUnordered, StreamExt};
use store::{DataKey, Journal, Options, Raw, Statistics, Store, StoreError, Table};

/// Key: client (8) ‖ number (8).
const FIRST: Table<(u64, u64), Raw> = Table::new("first-1", 0xE0);
/// Key: number (8) ‖ client (8).
const SECOND: Table<(u64, u64), ()> = Table::new("second-1", 0xE1);
/// One journal for all.
const LANE: Journal<u64> = Journal::new("lane-1", 0xE2);

const ENTRY_BYTES: usize = 900;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().unwrap_or_else(|| "target/engine".to_owned());
    let seconds = arguments.next().map_or(5, |seconds| seconds.parse().unwrap());
    let (dir, time) = (Path::new(&dir), Duration::from_secs(seconds));
    println!(
        "clients  units/s  % of raw  units/sync  p50 ms  p99 ms  run%  apply%  sync%  CPU-s/10k"
    );
    for clients in [1, 16, 256] {
        let floor = raw(dir, clients, time / 2);
        measure(&dir.join(clients.to_string()), clients, floor, time);
    }
}

/// The floor: the same bytes appended to a file, one fdatasync for as many units as there are
/// clients. Units a second.
#[expect(clippy::as_conversions, reason = "figures for people")]
fn raw(dir: &Path, clients: u64, time: Duration) -> f64 {
    std::fs::create_dir_all(dir).unwrap();
    let path = dir.join("raw");
    let mut file = File::create(&path).unwrap();
    let started = Instant::now();
    let mut units = 0;
    while started.elapsed() < time {
        let group: Vec<u8> = (0..clients).flat_map(|client| body(client, units)).collect();
        file.write_all(&group).unwrap();
        file.sync_data().unwrap();
        units += clients;
    }
    std::fs::remove_file(path).unwrap();
    units as f64 / started.elapsed().as_secs_f64()
}

fn measure(dir: &Path, clients: u64, floor: f64, time: Duration) {
    if dir.exists() {
        std::fs::remove_dir_all(dir).unwrap();
    }
    let options = Options::new("410522", DataKey::from_bytes([1; 32]), UnixMillis::new(0));
    let store = Store::open(dir, options).unwrap().0;
    let before = store.statistics();
    let (started, busy) = (Instant::now(), cpu_seconds());
    let mut waits = block_on(run(&store, clients, started + time));
    let took = started.elapsed().as_secs_f64();
    waits.sort_unstable();
    let now = store.statistics();
    print(clients, (took, cpu_seconds() - busy, floor), &waits, (&before, &now));
    println!(
        "   {:>6} MB on disk, {} MB resident",
        store.size_on_disk().unwrap() >> 20,
        resident()
    );
    store.close().unwrap();
}

async fn run(store: &Store, clients: u64, until: Instant) -> Vec<Duration> {
    let mut waiting = FuturesUnordered::new();
    let mut number = 0;
    for client in 0..clients {
        waiting.push(one(store, client, number));
    }
    let mut waits = Vec::new();
    while let Some((client, waited)) = waiting.next().await {
        waits.push(waited);
        if Instant::now() < until {
            number += 1;
            waiting.push(one(store, client, number));
        }
    }
    waits
}

async fn one(store: &Store, client: u64, number: u64) -> (u64, Duration) {
    let started = Instant::now();
    let entry = body(client, number);
    let done = store.commit(move |unit| {
        unit.append(&LANE, &0, &entry)?;
        unit.put(&FIRST, &(client, number), &Raw(vec![0; 40]))?;
        unit.put(&SECOND, &(number, client), &())?;
        Ok::<_, StoreError>(())
    });
    done.await.unwrap();
    (client, started.elapsed())
}

/// Bytes that do not compress and do not repeat.
fn body(client: u64, number: u64) -> Vec<u8> {
    let mut state = client.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number;
    let mut bytes = Vec::with_capacity(ENTRY_BYTES + 8);
    while bytes.len() < ENTRY_BYTES {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&state.to_be_bytes());
    }
    bytes.truncate(ENTRY_BYTES);
    bytes
}

#[expect(clippy::as_conversions, reason = "figures for people")]
fn print(
    clients: u64,
    (took, busy, floor): (f64, f64, f64),
    waits: &[Duration],
    (before, now): (&Statistics, &Statistics),
) {
    let units = now.units - before.units;
    let syncs = now.syncs - before.syncs;
    let waited = |part: usize| waits.get(waits.len() * part / 100).copied().unwrap_or_default();
    let at = |part: usize| waited(part).as_secs_f64() * 1e3;
    let share = |time: Duration| time.as_secs_f64() / took * 100.0;
    println!(
        "{clients:>7} {:>8.0} {:>9.0} {:>11.1} {:>7.2} {:>7.2} {:>5.0} {:>7.0} {:>6.0} {:>10.3}",
        units as f64 / took,
        units as f64 / took / floor * 100.0,
        units as f64 / syncs as f64,
        at(50),
        at(99),
        share(now.running),
        share(now.applying),
        share(now.syncing),
        busy / units as f64 * 1e4,
    );
}

/// CPU seconds this process has used, in all its threads, where the system tells (in hundredths).
#[expect(clippy::as_conversions, reason = "figures for people")]
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

/// Resident memory of this process in MB, where the system tells.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() / 1024
}

fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::park();
    }
}
