//! How soon a large store is open again after a kill: load, abort, open.
//!
//! `cargo run --release -p store --example reopen load DIRECTORY ROWS`, which ends by aborting, then
//! `cargo run --release -p store --example reopen open DIRECTORY`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for people who measure, not for those who run a node"
)]

use std::path::Path;
use std::time::Instant;

use domain::time::UnixMillis;
use store::{DataKey, Options, Raw, Store, StoreError, Table, TableInfo};

/// Key: a number like a hash (8) ‖ number (8).
const ROWS: Table<(u64, u64), Raw> = Table::new("rows-1", 0xE0);
/// Key: group (8) ‖ a number like a hash (8).
const INDEX: Table<(u64, u64), ()> = Table::new("index-1", 0xE1);

const ROWS_A_UNIT: u64 = 500;
const ROW_BYTES: usize = 600;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (what, dir) = (arguments.next().unwrap(), arguments.next().unwrap());
    let store = open(Path::new(&dir));
    if what == "load" {
        load(&store, arguments.next().unwrap().parse().unwrap());
        // Not closed in order: what the next start finds is a crash.
        std::process::abort();
    }
    store.close().unwrap();
}

fn open(dir: &Path) -> Store {
    let mut options = Options::new("410522", DataKey::from_bytes([1; 32]), UnixMillis::new(0));
    options.cache_bytes = 256 << 20;
    let all = [store::CATALOGUE, &[ROWS.info(), INDEX.info()]].concat();
    let all: &'static [TableInfo] = Vec::leak(all);
    options.catalogue = all;
    let started = Instant::now();
    let (store, report) = Store::open(dir, options).unwrap();
    println!("open after {:.2} s, unclean: {}", started.elapsed().as_secs_f64(), report.unclean);
    if let Some(check) = report.check {
        let (rows, took) = (check.rows, check.took.as_secs_f64());
        let findings = check.findings.len();
        println!("checked {rows} rows in {took:.2} s, {findings} findings");
    }
    store
}

fn load(store: &Store, rows: u64) {
    let started = Instant::now();
    for unit_number in 0..rows / ROWS_A_UNIT {
        let done = store.commit_blocking(move |unit| {
            for number in unit_number * ROWS_A_UNIT..(unit_number + 1) * ROWS_A_UNIT {
                let hash = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17);
                let value = hash.to_be_bytes().repeat(ROW_BYTES / 8);
                unit.put(&ROWS, &(hash, number), &Raw(value))?;
                unit.put(&INDEX, &(number % 1_000, hash), &())?;
            }
            Ok::<_, StoreError>(())
        });
        done.unwrap();
    }
    let megabytes = store.size_on_disk().unwrap() >> 20;
    println!("{rows} rows in {:.0} s, {megabytes} MB", started.elapsed().as_secs_f64());
}
