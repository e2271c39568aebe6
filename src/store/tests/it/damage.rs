//! Damaged files: named, set aside, never deleted, never taken for an empty store.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use store::{OpenStoreError, Raw, Store, StoreError};

use crate::support::{LANE, ROWS, open, options};

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
