//! Damaged files: named, set aside, never deleted, never taken for an empty store.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use store::{OpenStoreError, Raw, Store, StoreError, rebuild};

use crate::support::{LANE, LAST, ROWS, open, options};

fn fill(dir: &Path) {
    let store = open(dir);
    for round in 0..40_u64 {
        store
            .commit_blocking(move |unit| {
                for i in 0..50 {
                    unit.put(&ROWS, &(1, round * 50 + i), &Raw(vec![7; 900]))?;
                    unit.append(&LANE, &1, &[8; 900])?;
                }
                Ok::<_, StoreError>(())
            })
            .unwrap();
    }
    store.close().unwrap();
}

fn flip(file: &Path, at: u64, bytes: usize) {
    let mut file = OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut part = vec![0; bytes];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut part).unwrap();
    part.iter_mut().for_each(|byte| *byte ^= 0x5A);
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&part).unwrap();
}

#[test]
fn a_truncated_file_is_set_aside_whole() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("store");
    fill(&dir);
    let db = dir.join("db");
    let length = fs::metadata(&db).unwrap().len();
    OpenOptions::new().write(true).open(&db).unwrap().set_len(length / 3).unwrap();
    let error = Store::open(&dir, options()).unwrap_err();
    let OpenStoreError::SetAside { aside, .. } = &error else { panic!("{error:?}") };
    assert!(error.to_string().contains(aside.to_str().unwrap()), "{error}");
    assert!(error.to_string().contains("rebuild"), "says what to do: {error}");
    assert!(!dir.exists());
    assert!(fs::metadata(aside.join("db")).unwrap().len() >= length / 3, "nothing is deleted");
    // A supervisor that starts the node again must not get an empty store.
    let error = Store::open(&dir, options()).unwrap_err();
    assert!(matches!(&error, OpenStoreError::DamagedBefore { aside: a, .. } if a == aside));
    let mut wanted = options();
    wanted.start_empty = true;
    let (store, report) = Store::open(&dir, wanted).unwrap();
    assert!(report.created);
    store.close().unwrap();
    drop(store);
    drop(open(&dir));
}

#[test]
fn flipped_bytes_are_never_served() {
    let temp = tempfile::tempdir().unwrap();
    let whole = temp.path().join("whole");
    fill(&whole);
    let length = fs::metadata(whole.join("db")).unwrap().len();
    let (mut refused, mut found, mut harmless) = (0, 0, 0);
    for part in 0..12 {
        let dir = temp.path().join(format!("flipped-{part}"));
        fs::create_dir(&dir).unwrap();
        for entry in fs::read_dir(&whole).unwrap().map(Result::unwrap) {
            if entry.path().is_file() {
                fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
            }
        }
        flip(&dir.join("db"), length / 13 * (part + 1), 64);
        match Store::open(&dir, options()) {
            Err(OpenStoreError::SetAside { aside, .. }) => {
                assert!(aside.join("db").exists());
                refused += 1;
            }
            Err(error) => panic!("part {part}: {error:?}"),
            Ok((store, _)) => {
                let report = store.check();
                let rows = store.scan(&ROWS, .., 5000);
                if report.is_sound() && report.complete {
                    // The flip hit space that nothing refers to.
                    let rows = rows.unwrap();
                    assert_eq!(rows.len(), 2000);
                    assert!(rows.iter().all(|(_, Raw(value))| *value == [7; 900]));
                    harmless += 1;
                } else {
                    found += 1;
                }
            }
        }
    }
    println!("flipped: {refused} refused at open, {found} found by the check, {harmless} harmless");
    assert!(refused > 0);
}

/// What a crash, a bad disk or a hand did to the end of the files.
#[derive(Debug, Clone, Copy)]
enum Tail {
    Zeroed(u64),
    Cut(u64),
    Garbage(usize),
    NoMark,
    CutWithoutMark(u64),
}

impl Tail {
    const ALL: [Self; 11] = [
        Self::Zeroed(4 * 1024),
        Self::Zeroed(64 * 1024),
        Self::Zeroed(1024 * 1024),
        Self::Cut(1),
        Self::Cut(4 * 1024),
        Self::Cut(1024 * 1024),
        Self::Garbage(1),
        Self::Garbage(64 * 1024),
        Self::NoMark,
        Self::CutWithoutMark(4 * 1024),
        Self::CutWithoutMark(1024 * 1024),
    ];

    fn strike(self, dir: &Path) {
        let db = dir.join("db");
        let length = fs::metadata(&db).unwrap().len();
        let mut file = OpenOptions::new().write(true).open(&db).unwrap();
        match self {
            Self::Zeroed(bytes) => {
                let bytes = bytes.min(length);
                file.seek(SeekFrom::Start(length - bytes)).unwrap();
                file.write_all(&vec![0; usize::try_from(bytes).unwrap()]).unwrap();
            }
            Self::Garbage(bytes) => {
                file.seek(SeekFrom::End(0)).unwrap();
                file.write_all(&vec![0xA5; bytes]).unwrap();
            }
            Self::Cut(bytes) | Self::CutWithoutMark(bytes) => {
                file.set_len(length.saturating_sub(bytes)).unwrap();
            }
            Self::NoMark => {}
        }
        if matches!(self, Self::NoMark | Self::CutWithoutMark(_)) {
            fs::remove_file(dir.join("mark")).unwrap();
        }
    }
}

/// Groups that write one number each, so that the store says by itself how many are there.
const GROUPS: u64 = 300;

/// Fills a store; what is on the disk afterwards is what a power cut leaves, or an orderly end.
fn tail_filled(dir: &Path, orderly: bool) {
    let live = dir.with_extension("live");
    let store = open(&live);
    for number in 1..=GROUPS {
        let work = move |unit: &mut store::Unit<'_>| {
            unit.put(&ROWS, &(1, number), &Raw(vec![7; 9_000]))?;
            unit.append(&LANE, &1, &number.to_be_bytes())?;
            unit.append_ledger(&number.to_be_bytes())?;
            unit.put(&LAST, &1, &number)
        };
        store.commit_blocking(work).unwrap();
    }
    if orderly {
        drop(store);
        fs::rename(&live, dir).unwrap();
        return;
    }
    // The disk as it is while the store is open: everything acknowledged is on it.
    fs::create_dir(dir).unwrap();
    for entry in fs::read_dir(&live).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
        }
    }
}

/// How many of the groups a store has, all parts of each.
fn groups_in(store: &Store) -> u64 {
    let last = store.get(&LAST, &1).unwrap().unwrap_or_default();
    assert_eq!(store.scan(&ROWS, .., 9_999).unwrap().len(), usize::try_from(last).unwrap());
    assert_eq!(store.last(&LANE, &1).unwrap().unwrap_or_default(), last);
    assert_eq!(store.ledger_head().size, last);
    last
}

#[test]
fn a_damaged_tail_is_complete_or_named() {
    let temp = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for orderly in [true, false] {
        let whole = temp.path().join(format!("whole-{orderly}"));
        tail_filled(&whole, orderly);
        for (number, tail) in Tail::ALL.into_iter().enumerate() {
            let dir = temp.path().join(format!("{orderly}-{number}"));
            fs::create_dir(&dir).unwrap();
            for entry in fs::read_dir(&whole).unwrap().map(Result::unwrap) {
                if entry.path().is_file() {
                    fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
                }
            }
            tail.strike(&dir);
            let end = match Store::open(&dir, options()) {
                Ok((store, report)) => {
                    let groups = groups_in(&store);
                    let checked = store.check();
                    assert!(checked.is_sound() && checked.complete, "{tail:?}: {checked:?}");
                    // Short is allowed only to a store that says so, and goes on in new lanes.
                    assert!(groups == GROUPS || report.unmarked, "{tail:?}: silently {groups}");
                    assert_eq!(report.incarnation, if report.unmarked { 2 } else { 1 }, "{tail:?}");
                    let without = matches!(tail, Tail::NoMark | Tail::CutWithoutMark(_));
                    assert_eq!(report.unmarked, without, "{tail:?}");
                    format!("{groups} groups, unmarked {}", report.unmarked)
                }
                Err(OpenStoreError::SetAside { aside, .. }) => {
                    let report = rebuild(&aside, &dir, &options());
                    match report {
                        Ok(report) => {
                            let (store, opened) = Store::open(&dir, options()).unwrap();
                            let groups = store.get(&LAST, &1).unwrap().unwrap_or_default();
                            let named = report.groups_lost > 0 || !report.missing.is_empty();
                            assert!(groups == GROUPS || named, "{tail:?}: {groups}, {report:?}");
                            assert_eq!((opened.incarnation, opened.unmarked), (2, false));
                            format!("set aside, {groups} groups saved, {} lost", report.groups_lost)
                        }
                        Err(error) => format!("set aside, {error}"),
                    }
                }
                Err(error) => panic!("{tail:?}: {error:?}"),
            };
            seen.push(format!("orderly {orderly}, {tail:?}: {end}"));
        }
    }
    seen.iter().for_each(|line| println!("{line}"));
}

#[test]
fn a_store_that_was_moved_in_order_keeps_its_mark() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("store");
    fill(&dir);
    store::compact(&dir, options()).unwrap();
    let (store, report) = Store::open(&dir, options()).unwrap();
    assert!(!report.unmarked && report.incarnation == 1);
    drop(store);
    // Whoever takes the mark away has the node begin new lanes, once.
    fs::write(dir.join("mark"), b"torn").unwrap();
    for expected in [true, false] {
        let (store, report) = Store::open(&dir, options()).unwrap();
        assert_eq!((report.unmarked, report.incarnation), (expected, 2));
        let origin = store.get(&store::tables::ORIGIN, &()).unwrap().unwrap();
        assert_eq!(origin.backup, None);
    }
}
