//! Compacting and rebuilding: what was there is there afterwards, or is named.

use std::fs::{self, OpenOptions};
use std::path::Path;

use store::{MaintenanceError, OpenStoreError, Raw, Store, StoreError, Table, compact, rebuild};

use crate::support::{INDEX, LANE, LAST, ROWS, SECRET, open, options};

/// 3,000 units; of the rows only the last 500 stay.
fn fill(dir: &Path) {
    let store = open(dir);
    for round in 0..30_u64 {
        store
            .commit_blocking(move |unit| {
                for number in round * 100..(round + 1) * 100 {
                    unit.put(&ROWS, &(1, number), &Raw(vec![7; 900]))?;
                    if let Some(old) = number.checked_sub(500) {
                        unit.delete(&ROWS, &(1, old));
                    }
                    unit.append(&LANE, &1, &number.to_be_bytes())?;
                    unit.append(&SECRET, &1, &number.to_be_bytes())?;
                    unit.append_ledger(&number.to_be_bytes())?;
                }
                unit.put(&LAST, &1, &round)
            })
            .unwrap();
    }
    store.close().unwrap();
}

#[test]
fn a_compacted_store_holds_the_same_rows_in_less_space() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("store");
    for _ in 0..6 {
        let store = open(&dir);
        for round in 0..20_u64 {
            let bulk = vec![u8::try_from(round).unwrap(); 90_000];
            store
                .commit_blocking(move |unit| {
                    (0..10).try_for_each(|number| unit.put(&ROWS, &(9, number), &Raw(bulk.clone())))
                })
                .unwrap();
        }
        store
            .commit_blocking(|unit| {
                (0..10).for_each(|number| unit.delete(&ROWS, &(9, number)));
                Ok::<_, StoreError>(())
            })
            .unwrap();
    }
    let store = open(&dir);
    let busy = compact(&dir, options()).unwrap_err();
    assert!(matches!(busy, MaintenanceError::Open(OpenStoreError::InUse { .. })), "{busy}");
    store.close().unwrap();
    drop(store);
    // What an interrupted run left is in nobody's way.
    fs::create_dir(temp.path().join("store.compacting")).unwrap();
    fs::create_dir(temp.path().join("store.before-compact")).unwrap();
    fs::create_dir(temp.path().join("store.ready")).unwrap();
    fill(&dir);
    let report = compact(&dir, options()).unwrap();
    println!("{report:?}");
    assert!(report.bytes_after < report.bytes_before / 2, "{report:?}");
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1, "nothing is left beside it");
    let (store, opened) = Store::open(&dir, options()).unwrap();
    assert!(!opened.unclean && !opened.created && opened.incarnation == 1);
    verify_filled(&store, 3000);
}

fn verify_filled(store: &Store, entries: u64) {
    assert_eq!(store.last(&LANE, &1).unwrap(), Some(entries));
    assert_eq!(store.last(&SECRET, &1).unwrap(), Some(entries));
    assert_eq!(store.ledger_head().size, entries);
    assert_eq!(store.scan(&ROWS, .., 9999).unwrap().len(), 500);
    let report = store.check();
    assert!(report.complete && report.is_sound(), "{:?}", report.findings);
}

#[test]
fn what_can_be_read_of_a_damaged_store_is_saved_and_the_rest_counted() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("store");
    fill(&dir);
    let db = dir.join("db");
    let length = fs::metadata(&db).unwrap().len();
    OpenOptions::new().write(true).open(&db).unwrap().set_len(length * 2 / 3).unwrap();
    let Err(OpenStoreError::SetAside { aside, .. }) = Store::open(&dir, options()) else {
        panic!("the damage was not seen");
    };
    let report = rebuild(&aside, &dir, &options()).unwrap();
    println!("{report:?}");
    assert!(report.groups_lost > 0);
    assert_eq!(report.incarnation, 2);
    assert!(aside.join("db").exists(), "the damaged files stay");
    let again = rebuild(&aside, &dir, &options()).unwrap_err();
    assert!(matches!(again, MaintenanceError::Exists(_)), "{again}");
    let (store, opened) = Store::open(&dir, options()).unwrap();
    assert_eq!(opened.incarnation, 2);
    let rounds = store.get(&LAST, &1).unwrap().unwrap() + 1;
    assert!(rounds < 30);
    verify_filled(&store, rounds * 100);
    store.commit_blocking(|unit| unit.append_ledger(b"goes on")).unwrap();
    assert!(store.check().is_sound());
}

#[test]
fn rows_that_make_no_sense_are_left_out_and_listed() {
    let temp = tempfile::tempdir().unwrap();
    let (old, new) = (temp.path().join("old"), temp.path().join("new"));
    fill(&old);
    // The same prefix with another value type: what a bug or a foreign hand would leave.
    let wrong: Table<u16, Raw> = Table::new("last-1", LAST.prefix());
    let stray: Table<u16, Raw> = Table::new("stray-1", 0xEE);
    let store = open(&old);
    store
        .commit_blocking(move |unit| {
            unit.put(&wrong, &7, &Raw(vec![1, 2, 3]))?;
            unit.put(&stray, &7, &Raw(vec![1]))?;
            unit.put(&INDEX, &(1, 1, 1), &())
        })
        .unwrap();
    let report = store.check();
    assert_eq!(report.findings.len(), 2, "{:?}", report.findings);
    drop(store);
    let report = rebuild(&old, &new, &options()).unwrap();
    assert_eq!(report.left_out.len(), 1, "{:?}", report.left_out);
    assert_eq!((report.left_out[0].table, report.missing.len()), ("last-1", 0));
    assert_eq!((report.groups_lost, report.ledger_entries), (0, 3000));
    let store = open(&new);
    assert!(store.check().is_sound());
    assert_eq!(store.scan(&LAST, .., 9).unwrap(), [(1, 29)]);
    assert_eq!(store.get(&INDEX, &(1, 1, 1)).unwrap(), Some(()));
}

#[test]
fn a_damaged_snapshot_costs_nothing_but_time() {
    let temp = tempfile::tempdir().unwrap();
    let (old, new) = (temp.path().join("old"), temp.path().join("new"));
    fill(&old);
    drop(open(&old));
    for entry in fs::read_dir(&old).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            fs::write(entry.path(), b"not a snapshot at all").unwrap();
        }
    }
    let Err(OpenStoreError::SetAside { aside, .. }) = Store::open(&old, options()) else {
        panic!("the damage was not seen");
    };
    let report = rebuild(&aside, &new, &options()).unwrap();
    println!("{report:?}");
    assert!(report.without_snapshot);
    assert_eq!((report.groups_lost, report.missing.len(), report.left_out.len()), (0, 0, 0));
    verify_filled(&open(&new), 3000);
}

#[test]
fn an_older_database_under_a_newer_mark_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("store");
    fill(&dir);
    let old = fs::read(dir.join("db")).unwrap();
    let store = open(&dir);
    for number in 0..50 {
        store.commit_blocking(move |unit| unit.put(&LAST, &1, &number)).unwrap();
    }
    drop(store);
    fs::write(dir.join("db"), old).unwrap();
    for entry in fs::read_dir(&dir).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    let error = Store::open(&dir, options()).unwrap_err();
    let OpenStoreError::SetAside { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("groups of writes are gone"), "{source}");
}

#[test]
fn closing_after_much_was_written_spares_the_next_start_the_replay() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let snapshot = || {
        let names = fs::read_dir(temp.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let names = names.filter_map(|name| name.into_string().ok());
        let numbers = names.filter_map(|name| {
            name.strip_prefix("snap.").map(|lsn| u64::from_str_radix(lsn, 16).unwrap())
        });
        numbers.max().unwrap_or_default()
    };
    for number in 0..400 {
        store
            .commit_blocking(move |unit| unit.put(&ROWS, &(1, number), &Raw(vec![7; 90_000])))
            .unwrap();
    }
    assert_eq!(snapshot(), 0, "sled writes none while it is open");
    let reader = store.clone();
    store.close().unwrap();
    drop(store);
    assert_eq!(reader.scan(&ROWS, .., 9).unwrap().len(), 9, "readers go on");
    drop(reader);
    assert!(snapshot() > 30_000_000, "{} is covered", snapshot());
    let (store, report) = Store::open(temp.path(), options()).unwrap();
    assert!(!report.unclean);
    assert_eq!(store.scan(&ROWS, .., 999).unwrap().len(), 400);
}
