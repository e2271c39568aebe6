//! What any engine behind the seam must do. The suite takes a function that opens a store.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use store::limits::{JOURNAL_ENTRY_BYTES_MAX, UNIT_BYTES_MAX, VALUE_BYTES_MAX};
use store::{CommitError, Raw, Store, StoreError, Unit};

use crate::support::{INDEX, LANE, LAST, PASSING, ROWS, SECRET, open};

type Open = fn(&Path) -> Store;

/// Everything below, for one engine.
fn suite(open: Open) {
    let cases: &[fn(Open)] = &[
        rows_are_written_read_and_deleted,
        a_refused_unit_leaves_no_trace,
        a_panicking_unit_takes_only_itself_down,
        units_of_a_group_see_each_other,
        scans_are_ordered_and_bounded,
        a_unit_sees_its_own_writes_like_a_map,
        limits_are_refused_in_the_unit,
        journals_have_no_gaps,
        journals_are_removed_as_a_whole,
        only_journals_that_end_can_be_removed,
        the_ledger_head_is_that_of_its_entries,
        everything_is_there_after_closing,
    ];
    cases.iter().for_each(|case| case(open));
}

#[test]
fn sled_conforms() {
    suite(open);
}

fn fresh(open: Open) -> (tempfile::TempDir, Store) {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    (temp, store)
}

fn commit<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&mut Unit<'_>) -> Result<T, StoreError> + Send + 'static,
) -> T {
    store.commit_blocking(work).unwrap()
}

fn rows_are_written_read_and_deleted(open: Open) {
    let (_temp, store) = fresh(open);
    assert_eq!(store.get(&LAST, &1).unwrap(), None);
    commit(&store, |unit| unit.put(&LAST, &1, &5));
    assert_eq!(store.get(&LAST, &1).unwrap(), Some(5));
    commit(&store, |unit| unit.put(&LAST, &1, &6));
    assert_eq!(store.get(&LAST, &1).unwrap(), Some(6));
    commit(&store, |unit| {
        unit.delete(&LAST, &1);
        unit.delete(&LAST, &2);
        assert!(!unit.contains(&LAST, &1)?);
        Ok(())
    });
    assert_eq!(store.get(&LAST, &1).unwrap(), None);
    // A row may be empty, and differs from no row.
    commit(&store, |unit| unit.put(&INDEX, &(1, 2, 3), &()));
    assert_eq!(store.get(&INDEX, &(1, 2, 3)).unwrap(), Some(()));
}

fn a_refused_unit_leaves_no_trace(open: Open) {
    let (_temp, store) = fresh(open);
    commit(&store, |unit| {
        unit.put(&LAST, &1, &1)?;
        unit.append(&LANE, &1, b"one")
    });
    let refused = store.commit_blocking(|unit| {
        unit.put(&LAST, &1, &2).unwrap();
        unit.put(&LAST, &1, &3).unwrap();
        unit.put(&LAST, &2, &3).unwrap();
        unit.delete(&LAST, &1);
        assert_eq!(unit.append(&LANE, &1, b"two").unwrap(), 2);
        assert_eq!(unit.append_ledger(b"entry").unwrap(), 0);
        Err::<(), _>("no")
    });
    assert_eq!(refused.unwrap_err().refusal(), Some("no"));
    assert_eq!(store.scan(&LAST, .., 9).unwrap(), [(1, 1)]);
    assert_eq!(store.last(&LANE, &1).unwrap(), Some(1));
    assert_eq!(store.ledger_head().size, 0);
    assert_eq!(commit(&store, |unit| unit.append(&LANE, &1, b"two")), 2);
}

fn a_panicking_unit_takes_only_itself_down(open: Open) {
    let (_temp, store) = fresh(open);
    let panicked = store.commit_blocking(|unit| {
        unit.put(&LAST, &1, &1)?;
        if unit.contains(&LAST, &1)? {
            std::panic::panic_any("on purpose");
        }
        Ok::<(), StoreError>(())
    });
    assert!(matches!(panicked, Err(CommitError::Panicked)));
    assert_eq!(store.get(&LAST, &1).unwrap(), None);
    commit(&store, |unit| unit.put(&LAST, &1, &1));
}

fn units_of_a_group_see_each_other(open: Open) {
    let (_temp, store) = fresh(open);
    let pending: Vec<_> = (0..200_u64)
        .map(|i| {
            store.try_commit(move |unit| {
                let last = unit.get(&LAST, &7)?.unwrap_or_default();
                assert_eq!(last, i, "units run in the order in which they were queued");
                assert_eq!(unit.next_position(&LANE, &7)?, i + 1);
                unit.append_at(&LANE, &7, i + 1, &i.to_be_bytes())?;
                assert_eq!(unit.read(&LANE, &7, i + 1)?, Some(i.to_be_bytes().to_vec()));
                unit.put(&LAST, &7, &(last + 1))
            })
        })
        .collect();
    assert!(pending.iter().all(Result::is_ok));
    assert_eq!(commit(&store, |unit| unit.get(&LAST, &7)), Some(200));
    assert_eq!(store.last(&LANE, &7).unwrap(), Some(200));
}

fn scans_are_ordered_and_bounded(open: Open) {
    let (_temp, store) = fresh(open);
    commit(&store, |unit| {
        for client in [3, 1, 2, 0xFFFF] {
            for number in [9, u64::MAX, 0, 5] {
                unit.put(&ROWS, &(client, number), &Raw(vec![]))?;
            }
        }
        // Neighbouring tables must not be seen.
        unit.put(&INDEX, &(0, 0, 0), &())
    });
    let keys = |rows: Vec<((u16, u64), Raw)>| -> Vec<(u16, u64)> {
        rows.into_iter().map(|(key, _)| key).collect()
    };
    let all = keys(store.scan(&ROWS, .., 100).unwrap());
    assert_eq!(all.len(), 16);
    assert!(all.is_sorted());
    let mut back = keys(store.scan_back(&ROWS, .., 100).unwrap());
    back.reverse();
    assert_eq!(back, all);
    assert_eq!(keys(store.scan_back(&ROWS, ..(2, 5), 1).unwrap()), [(2, 0)]);
    let some = keys(store.scan(&ROWS, (1, 5)..(2, 0), 100).unwrap());
    assert_eq!(some, [(1, 5), (1, 9), (1, u64::MAX)]);
    assert_eq!(keys(store.scan(&ROWS, (2, 0)..=(2, 5), 100).unwrap()), [(2, 0), (2, 5)]);
    let under = |client, after| keys(store.scan_under(&ROWS, &(client,), after, 2).unwrap());
    assert_eq!(under(2, None), [(2, 0), (2, 5)]);
    assert_eq!(under(2, Some(&(2, 5))), [(2, 9), (2, u64::MAX)]);
    assert_eq!(under(0xFFFF, Some(&(0xFFFF, 9))), [(0xFFFF, u64::MAX)]);
    assert_eq!(under(4, None), []);
    let none = (Bound::Excluded((3, 0)), Bound::Excluded((1, 0)));
    assert_eq!(keys(store.scan(&ROWS, none, 100).unwrap()), []);
    assert_eq!(commit(&store, move |unit| unit.scan(&ROWS, none, 100)), []);
}

#[derive(Debug, Clone)]
enum Step {
    Put(u8, u64),
    Delete(u8),
    Commit,
    Refuse,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..12_u8, any::<u64>()).prop_map(|(key, value)| Step::Put(key, value)),
        2 => (0..12_u8).prop_map(Step::Delete),
        1 => Just(Step::Commit),
        1 => Just(Step::Refuse),
    ];
    prop::collection::vec(step, 1..60)
}

fn a_unit_sees_its_own_writes_like_a_map(open: Open) {
    let (_temp, store) = fresh(open);
    let mut runner = TestRunner::new(Config { cases: 40, ..Config::default() });
    let done = runner.run(&steps(), |steps| {
        let mut model: BTreeMap<u16, u64> =
            store.scan(&LAST, .., 99).unwrap().into_iter().collect();
        for unit_steps in steps.split_inclusive(|s| matches!(s, Step::Commit | Step::Refuse)) {
            let (own, before) = (unit_steps.to_vec(), model.clone());
            let ran = store.commit_blocking(move |unit| apply(unit, &own, before));
            if let Ok(after) = ran {
                model = after;
            }
            let stored: BTreeMap<_, _> = store.scan(&LAST, .., 99).unwrap().into_iter().collect();
            prop_assert_eq!(&stored, &model);
        }
        Ok(())
    });
    done.unwrap();
}

fn apply(
    unit: &mut Unit<'_>,
    steps: &[Step],
    mut model: BTreeMap<u16, u64>,
) -> Result<BTreeMap<u16, u64>, &'static str> {
    for step in steps {
        match step {
            Step::Put(key, value) => {
                unit.put(&LAST, &u16::from(*key), value).unwrap();
                model.insert(u16::from(*key), *value);
            }
            Step::Delete(key) => {
                unit.delete(&LAST, &u16::from(*key));
                model.remove(&u16::from(*key));
            }
            Step::Commit => {}
            Step::Refuse => return Err("refused"),
        }
        let seen: BTreeMap<_, _> = unit.scan(&LAST, .., 99).unwrap().into_iter().collect();
        assert_eq!(seen, model);
        let part = unit.scan(&LAST, 3..=7, 2).unwrap();
        let expected: Vec<_> = model.range(3..=7).take(2).map(|(k, v)| (*k, *v)).collect();
        assert_eq!(part, expected);
        assert_eq!(unit.get(&LAST, &5).unwrap(), model.get(&5).copied());
    }
    Ok(model)
}

fn limits_are_refused_in_the_unit(open: Open) {
    let (_temp, store) = fresh(open);
    let big = |bytes: usize| {
        store.commit_blocking(move |unit| unit.put(&ROWS, &(1, 1), &Raw(vec![1; bytes])))
    };
    big(VALUE_BYTES_MAX - 64).unwrap();
    let error = big(VALUE_BYTES_MAX - 63).unwrap_err().refusal().unwrap();
    assert!(matches!(error, StoreError::TooLarge { table: "rows-1", .. }), "{error}");
    let append =
        |bytes: usize| store.commit_blocking(move |unit| unit.append(&LANE, &1, &vec![1; bytes]));
    append(JOURNAL_ENTRY_BYTES_MAX).unwrap();
    append(0).unwrap();
    append(JOURNAL_ENTRY_BYTES_MAX + 1).unwrap_err();
    let flood = store.commit_blocking(|unit| {
        for number in 0..u64::try_from(UNIT_BYTES_MAX / 90_000 + 1).unwrap() {
            unit.put(&ROWS, &(2, number), &Raw(vec![1; 90_000]))?;
        }
        Ok::<_, StoreError>(())
    });
    assert!(matches!(flood, Err(CommitError::TooLarge { .. })), "{flood:?}");
    assert_eq!(store.scan_under(&ROWS, &(2,), None, 9).unwrap(), []);
}

fn journals_have_no_gaps(open: Open) {
    let (_temp, store) = fresh(open);
    assert_eq!(store.last(&LANE, &1).unwrap(), None);
    assert_eq!(store.read_from(&LANE, &1, 0, 9, 9).unwrap(), []);
    for (first, count) in [(1_u64, 1), (2, 300), (302, 2)] {
        let positions = commit(&store, move |unit| {
            (0..count)
                .map(|i| {
                    unit.append(&SECRET, &1, &[1; 100])?;
                    // Another journal of the family in between.
                    unit.append(&LANE, &2, b"other")?;
                    unit.append(&LANE, &1, &(first + i).to_be_bytes().repeat(20))
                })
                .collect::<Result<Vec<u64>, _>>()
        });
        assert_eq!(positions, (first..first + count).collect::<Vec<_>>());
    }
    let all = store.read_from(&LANE, &1, 1, usize::MAX, usize::MAX).unwrap();
    assert_eq!(all.len(), 303);
    for (position, entry) in all {
        assert_eq!(entry, position.to_be_bytes().repeat(20));
        assert_eq!(store.read(&LANE, &1, position).unwrap(), Some(entry));
    }
    let ten = store.read_from(&LANE, &1, 298, 10, usize::MAX).unwrap();
    assert_eq!(
        ten.iter().map(|(position, _)| *position).collect::<Vec<_>>(),
        [298, 299, 300, 301, 302, 303]
    );
    let bytes = store.read_from(&LANE, &1, 5, 100, 500).unwrap();
    assert_eq!(bytes.len(), 3, "160 bytes each, no further one over 500");
    assert_eq!(store.read_from(&LANE, &1, 5, 100, 1).unwrap().len(), 1, "at least one");
    assert_eq!(store.read(&LANE, &1, 304).unwrap(), None);
    assert_eq!(store.read(&LANE, &1, 0).unwrap(), None);
    let wrong = store.commit_blocking(|unit| unit.append_at(&LANE, &1, 9, b"x"));
    let wrong = wrong.unwrap_err().refusal().unwrap();
    assert!(matches!(wrong, StoreError::OutOfOrder { expected: 304, asked: 9, .. }), "{wrong}");
    assert!(store.check().is_sound());
}

#[derive(Debug, Clone)]
enum Write {
    Append(u8, usize),
    Remove(u8),
    Commit,
    Refuse,
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let write = prop_oneof![
        6 => (0..3_u8, 0..30_000_usize).prop_map(|(key, bytes)| Write::Append(key, bytes)),
        2 => (0..3_u8).prop_map(Write::Remove),
        2 => Just(Write::Commit),
        1 => Just(Write::Refuse),
    ];
    prop::collection::vec(write, 1..40)
}

/// The journals of this test: by key, the entries.
type Journals = BTreeMap<u8, Vec<Vec<u8>>>;

fn journals_are_removed_as_a_whole(open: Open) {
    let (temp, mut store) = fresh(open);
    let mut model = Journals::new();
    let mut runner = TestRunner::new(Config { cases: 30, ..Config::default() });
    let units: std::cell::RefCell<Vec<Vec<Write>>> = std::cell::RefCell::default();
    let gathered = runner.run(&writes(), |writes| {
        let parts = writes.split_inclusive(|w| matches!(w, Write::Commit | Write::Refuse));
        units.borrow_mut().extend(parts.map(<[Write]>::to_vec));
        Ok(())
    });
    gathered.unwrap();
    for (number, unit) in units.into_inner().into_iter().enumerate() {
        let before = model.clone();
        if let Ok(after) = store.commit_blocking(move |u| append_and_remove(u, &unit, before)) {
            model = after;
        }
        for (key, entries) in &model {
            let read = store.read_from(&PASSING, &(7, *key), 1, usize::MAX, usize::MAX).unwrap();
            assert_eq!(read.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>(), *entries);
            assert_eq!(store.last(&PASSING, &(7, *key)).unwrap(), last(entries));
        }
        let keys: Vec<_> = model.keys().map(|key| (7, *key)).collect();
        assert_eq!(store.journals_under(&PASSING, &(7_u8,), 9).unwrap(), keys);
        assert_eq!(store.journals_under(&PASSING, &(8_u8,), 9).unwrap(), []);
        if number % 40 == 0 {
            assert!(store.check().is_sound());
            drop(store);
            store = open(temp.path());
        }
    }
}

fn last(entries: &[Vec<u8>]) -> Option<u64> {
    u64::try_from(entries.len()).ok().filter(|last| *last > 0)
}

fn append_and_remove(
    unit: &mut Unit<'_>,
    writes: &[Write],
    mut model: Journals,
) -> Result<Journals, &'static str> {
    for write in writes {
        match write {
            Write::Append(key, bytes) => {
                let entries = model.entry(*key).or_default();
                let entry = vec![u8::try_from(entries.len() % 251).unwrap(); *bytes];
                entries.push(entry.clone());
                let position = unit.append(&PASSING, &(7, *key), &entry).unwrap();
                assert_eq!(Some(position), last(entries));
            }
            Write::Remove(key) => {
                unit.remove_journal(&PASSING, &(7, *key)).unwrap();
                model.remove(key);
                assert_eq!(unit.read(&PASSING, &(7, *key), 1).unwrap(), None);
            }
            Write::Commit => {}
            Write::Refuse => return Err("refused"),
        }
        for (key, entries) in &model {
            let at = last(entries).unwrap();
            assert_eq!(unit.next_position(&PASSING, &(7, *key)).unwrap(), at + 1);
            assert_eq!(unit.read(&PASSING, &(7, *key), at).unwrap().as_ref(), entries.last());
        }
    }
    Ok(model)
}

fn only_journals_that_end_can_be_removed(open: Open) {
    let (_temp, store) = fresh(open);
    commit(&store, |unit| unit.append(&LANE, &1, b"kept"));
    let refused = store.commit_blocking(|unit| unit.remove_journal(&LANE, &1));
    let error = refused.unwrap_err().refusal().unwrap();
    assert!(matches!(error, StoreError::Permanent("lane-1")), "{error}");
    assert_eq!(store.last(&LANE, &1).unwrap(), Some(1));
}

fn the_ledger_head_is_that_of_its_entries(open: Open) {
    let (_temp, store) = fresh(open);
    let mut leaves = vec![];
    assert_eq!(store.ledger_head().root, exchange::tree::root(&leaves));
    // What is signed bears times that do not go back, but for a clock that was far ahead.
    let at = |minutes: u64| domain::time::UnixMillis::new(1_000_000_000 + minutes * 60_000);
    let steps = [(20, 20), (19, 20), (10, 20), (21, 21), (22, 22), (11, 11), (12, 12)];
    for (clock, borne) in steps {
        assert_eq!(store.head_to_sign(at(clock)), (store.ledger_head(), at(borne)), "{clock}");
    }
    for round in 0..20_u64 {
        let entries: Vec<Vec<u8>> =
            (0..=round % 5).map(|i| format!("{round}/{i}").into()).collect();
        leaves.extend(entries.iter().map(|entry| exchange::tree::leaf_hash(entry)));
        commit(&store, move |unit| {
            entries.iter().try_for_each(|entry| unit.append_ledger(entry).map(drop))
        });
        let head = store.ledger_head();
        assert_eq!(head.size, u64::try_from(leaves.len()).unwrap());
        assert_eq!(head.root, exchange::tree::root(&leaves));
    }
    let read = store.ledger_entries(0, 1000, usize::MAX).unwrap();
    let read: Vec<_> = read.iter().map(|(_, entry)| exchange::tree::leaf_hash(entry)).collect();
    assert_eq!(read, leaves);
}

fn everything_is_there_after_closing(open: Open) {
    let (temp, store) = fresh(open);
    for round in 0..30_u64 {
        commit(&store, move |unit| {
            for i in 0..50 {
                unit.put(&ROWS, &(1, round * 50 + i), &Raw(vec![3; 700]))?;
                unit.append(&SECRET, &1, &i.to_be_bytes())?;
                unit.append_ledger(&i.to_be_bytes())?;
            }
            Ok(())
        });
    }
    let head = store.ledger_head();
    store.close().unwrap();
    drop(store);
    let store = open(temp.path());
    assert_eq!(store.ledger_head(), head);
    assert_eq!(store.last(&SECRET, &1).unwrap(), Some(1500));
    assert_eq!(store.scan(&ROWS, .., 2000).unwrap().len(), 1500);
    let position = commit(&store, |unit| unit.append(&SECRET, &1, b"next"));
    assert_eq!(position, 1501);
    let report = store.check();
    assert!(report.complete && report.is_sound(), "{:?}", report.findings);
}
