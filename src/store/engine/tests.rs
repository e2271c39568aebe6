//! Packing against a map: whatever is written, deleted and packed in between, reads say the same.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::key::Key as _;
use crate::limits::{PACK_RUN_ROWS_MIN, PACK_STEP_ROWS};
use crate::table::Table;
use crate::tables::LEDGER;

const PACKED: Table<u16, ()> = Table::new("packed-1", 0xE0).packed();
const ALSO: Table<u16, ()> = Table::new("also-1", 0xE2).packed();
const NOT: Table<u16, ()> = Table::new("not-1", 0xE1);

fn open(dir: &Path) -> Engine {
    let lock = File::options().create(true).append(true).open(dir.join("lock")).unwrap();
    Engine::open(dir, 8 * 1024 * 1024, None, lock).unwrap()
}

fn packer() -> Packer {
    Packer::new(&[PACKED.info(), NOT.info(), ALSO.info()], 1)
}

fn pack_all(engine: &Engine) {
    let mut packer = packer();
    packer.wrote(std::iter::once(&[0xE0][..]));
    while packer.is_due() {
        packer.step(engine).unwrap();
    }
}

fn key(prefix: u8, number: u16) -> Bytes {
    let [high, low] = number.to_be_bytes();
    Bytes::from(&[prefix, high, low])
}

fn apply(engine: &Engine, model: &mut BTreeMap<Bytes, Bytes>, rows: Vec<(Bytes, Option<Bytes>)>) {
    // As a group has it: each key once, in order.
    let rows: BTreeMap<_, _> = rows.into_iter().collect();
    for (key, value) in &rows {
        match value {
            Some(value) => drop(model.insert(key.clone(), value.clone())),
            None => drop(model.remove(key)),
        }
    }
    engine.apply(rows.into_iter(), &HashSet::new()).unwrap();
}

/// Rows that stand by themselves, and blocks.
fn counts(engine: &Engine) -> (usize, usize) {
    let rows: Vec<_> = engine.tree.rows.iter().map(|row| row.unwrap().0).collect();
    let blocks = rows.iter().filter(|key| key[0] == block::PREFIX).count();
    (rows.len() - blocks, blocks)
}

fn same(engine: &Engine, model: &BTreeMap<Bytes, Bytes>, low: u16, high: u16) {
    let whole: Vec<Row> = model.clone().into_iter().collect();
    let all = (Bound::Unbounded, Bound::Unbounded);
    assert_eq!(engine.range(all).map(Result::unwrap).collect::<Vec<_>>(), whole);
    let mut backwards: Vec<_> = engine.range(all).rev().map(Result::unwrap).collect();
    backwards.reverse();
    assert_eq!(backwards, whole);
    for prefix in [0xE0, 0xE1] {
        let (low, high) = (key(prefix, low), key(prefix, high));
        assert_eq!(engine.get(&low).unwrap(), model.get(&low).cloned());
        if low >= high {
            continue;
        }
        let expected: Vec<Row> = model
            .range((Bound::Excluded(low.clone()), Bound::Included(high.clone())))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let range = (Bound::Excluded(low.as_ref()), Bound::Included(high.as_ref()));
        assert_eq!(engine.range(range).map(Result::unwrap).collect::<Vec<_>>(), expected);
        // From both ends in turn.
        let mut rows = engine.range(range);
        let (mut front, mut back) = (Vec::new(), Vec::new());
        while let Some(row) = rows.next() {
            front.push(row.unwrap());
            back.extend(rows.next_back().map(Result::unwrap));
        }
        front.extend(back.into_iter().rev());
        assert_eq!(front, expected);
        let range = (Bound::Included(low.as_ref()), Bound::Excluded(high.as_ref()));
        let last = model.range(low.clone()..high.clone()).next_back();
        let found = engine.range(range).next_back().map(Result::unwrap);
        assert_eq!(found, last.map(|(key, value)| (key.clone(), value.clone())));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<(u16, Option<u16>)>),
    Pack,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let row = (0..600_u16, prop_oneof![4 => (0..3_000_u16).prop_map(Some), 1 => Just(None)]);
    let step = prop_oneof![
        6 => vec(row, 1..80).prop_map(Step::Write),
        3 => Just(Step::Pack),
        1 => Just(Step::Reopen),
    ];
    vec(step, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn packed_rows_read_like_any_others(steps in steps(), low in 0..600_u16, high in 0..600_u16) {
        let dir = tempfile::tempdir().unwrap();
        let mut engine = open(dir.path());
        let mut model = BTreeMap::new();
        for step in steps {
            match step {
                Step::Write(rows) => {
                    let rows = rows.into_iter().flat_map(|(number, value)| {
                        let value = value.map(|bytes| Bytes::from(vec![number.to_be_bytes()[1]; bytes.into()]));
                        [0xE0, 0xE1].map(|prefix| (key(prefix, number), value.clone()))
                    });
                    apply(&engine, &mut model, rows.collect());
                }
                Step::Pack => pack_all(&engine),
                Step::Reopen => {
                    engine.flush().unwrap();
                    drop(engine);
                    engine = open(dir.path());
                }
            }
            same(&engine, &model, low, high);
        }
    }
}

#[test]
fn rows_at_rest_become_few() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let mut model = BTreeMap::new();
    let value = Bytes::from(vec![7; 700]);
    for first in (0..10_000_u16).step_by(500) {
        let rows = (first..first + 500).flat_map(|n| [key(0xE0, n), key(0xE1, n)]);
        apply(&engine, &mut model, rows.map(|key| (key, Some(value.clone()))).collect());
    }
    pack_all(&engine);
    let (alone, blocks) = counts(&engine);
    assert!(alone < 10_000 + PACK_RUN_ROWS_MIN, "{alone} rows are left by themselves");
    assert!((200..300).contains(&blocks), "{blocks} blocks of 10,000 rows");
    same(&engine, &model, 17, 9_000);
    // A few changes wait; many are packed; what is deleted is gone.
    let touched = (0..10_000).step_by(1_000).map(|n| (key(0xE0, n), Some(Bytes::from(b"new"))));
    apply(&engine, &mut model, touched.collect());
    pack_all(&engine);
    assert_eq!(counts(&engine).0, alone + 10);
    let gone = (2_000..9_000).map(|n| (key(0xE0, n), None));
    apply(&engine, &mut model, gone.collect());
    same(&engine, &model, 1_999, 9_001);
    let (_, left) = counts(&engine);
    assert!(left < blocks / 2, "{left} blocks of {blocks}");
    pack_all(&engine);
    same(&engine, &model, 0, 10_000);
}

#[test]
fn readers_miss_nothing_while_rows_are_packed() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let (written, done) = (AtomicU32::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for backwards in [false, true] {
            let (engine, written, done) = (&engine, &written, &done);
            scope.spawn(move || {
                while !done.load(Ordering::SeqCst) {
                    let before = written.load(Ordering::SeqCst);
                    let range = (Bound::Included(&[0xE0][..]), Bound::Excluded(&[0xE1][..]));
                    let rows = engine.range(range);
                    let rows: Box<dyn Iterator<Item = _>> =
                        if backwards { Box::new(rows.rev()) } else { Box::new(rows) };
                    let mut seen: Vec<_> = rows.map(|row| row.unwrap().0).collect();
                    if backwards {
                        seen.reverse();
                    }
                    assert!(seen.is_sorted_by(|a, b| a < b), "in order, each once");
                    let first = (0..before).map(|n| key(0xE0, u16::try_from(n).unwrap()));
                    let all = first.clone().all(|key| seen.binary_search(&key).is_ok());
                    assert!(all, "a row that was there is missing");
                    for key in first.rev().take(64) {
                        assert!(engine.get(&key).unwrap().is_some());
                    }
                }
            });
        }
        let value = Bytes::from(vec![7; 300]);
        let mut packer = packer();
        for first in (0..20_000_u16).step_by(40) {
            let rows = (first..first + 40).map(|n| (key(0xE0, n), Some(value.clone())));
            let rows: Vec<_> = rows.collect();
            packer.wrote(rows.iter().map(|(key, _)| key.as_ref()));
            engine.apply(rows.into_iter(), &HashSet::new()).unwrap();
            written.store(u32::from(first) + 40, Ordering::SeqCst);
            packer.step(&engine).unwrap();
        }
        done.store(true, Ordering::SeqCst);
    });
    assert!(counts(&engine).1 > 0);
}

#[test]
fn a_pass_begins_when_enough_was_written_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let mut packer = Packer::new(&[PACKED.info(), NOT.info(), ALSO.info()], 3);
    packer.wrote([&[0xE0, 1][..], &[0xE1, 1], &[0xE1, 2], &[0xE2, 9]].into_iter());
    assert!(!packer.is_due(), "two of the tables that are packed");
    packer.wrote(std::iter::once(&[0xE2, 7][..]));
    assert!(packer.is_due() && !packer.is_late());
    (0..3).for_each(|_| assert_eq!(packer.step(&engine).unwrap(), 0, "there is nothing"));
    assert!(!packer.is_due());
    assert!(PACK_STEP_ROWS > PACK_RUN_ROWS_MIN && u16::WIDTH == 2 && LEDGER.info().packed);
}

#[test]
fn a_reader_that_began_before_anything_was_packed_misses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let rows = (0..2_000).map(|n| (key(0xE0, n), Some(Bytes::from(b"row"))));
    apply(&engine, &mut BTreeMap::new(), rows.collect());
    let range = (Bound::Included(&[0xE0][..]), Bound::Excluded(&[0xE1][..]));
    let (mut forwards, mut backwards) = (engine.range(range), engine.range(range));
    assert_eq!(forwards.next().unwrap().unwrap().0, key(0xE0, 0));
    assert_eq!(backwards.next_back().unwrap().unwrap().0, key(0xE0, 1_999));
    pack_all(&engine);
    let rest: Vec<_> = forwards.map(|row| row.unwrap().0).collect();
    assert_eq!(rest, (1..2_000).map(|n| key(0xE0, n)).collect::<Vec<_>>());
    assert_eq!(backwards.rev().map(Result::unwrap).count(), 1_999);
}

#[test]
fn what_is_scrubbed_is_in_no_row_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let mut model = BTreeMap::new();
    let body = |n: u16| Bytes::from(format!("body of row {n:03}").as_bytes());
    apply(&engine, &mut model, (0..100).map(|n| (key(0xE0, n), Some(body(n)))).collect());
    pack_all(&engine);
    assert_eq!(counts(&engine).0, 0, "all of them lie in blocks");
    let holds = |n: u16| {
        let secret = body(n);
        let held = |value: &[u8]| value.windows(secret.len()).any(|part| part == secret.as_ref());
        engine.tree.rows.iter().any(|row| held(&row.unwrap().1))
    };
    let scrub = |model: &mut BTreeMap<Bytes, Bytes>, rows: Vec<(Bytes, Option<Bytes>)>| {
        for (key, value) in &rows {
            match value {
                Some(value) => drop(model.insert(key.clone(), value.clone())),
                None => drop(model.remove(key)),
            }
        }
        let scrubbed = rows.iter().map(|(key, _)| key.clone()).collect();
        engine.apply(rows.into_iter(), &scrubbed).unwrap();
    };
    assert!(holds(40) && holds(41) && holds(42));
    // Two written over and one deleted, all in one block, and one that never was.
    let taken_back = Some(Bytes::from(b"taken back"));
    let rows = [(40, taken_back.clone()), (41, None), (42, taken_back.clone()), (300, taken_back)];
    scrub(&mut model, rows.map(|(n, value)| (key(0xE0, n), value)).into());
    assert!(!holds(40) && !holds(41) && !holds(42));
    assert!(holds(39) && holds(43));
    same(&engine, &model, 38, 44);
    pack_all(&engine);
    same(&engine, &model, 38, 44);
}
