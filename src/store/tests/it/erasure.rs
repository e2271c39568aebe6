//! Personal values: sealed on disk, found by a keyed hash, gone with the person's key.

use domain::id::PersonId;
use store::{Kept, Personal, Raw, Store, StoreError, Table, TableInfo};

use crate::support::{SECRET, open, options};

const PERSONAL: Table<u64, Raw, Personal> = Table::new("personal-1", 0xE5);
const OTHER: Table<u64, Raw, Personal> = Table::new("other-1", 0xE6);

/// Incompressible and long enough not to turn up by chance.
const MARK: &[u8] = b"410522198001011234-very-private-text";

fn catalogue() -> &'static [TableInfo] {
    static ALL: std::sync::LazyLock<Vec<TableInfo>> = std::sync::LazyLock::new(|| {
        crate::support::catalogue().iter().copied().chain([PERSONAL.info(), OTHER.info()]).collect()
    });
    &ALL
}

fn open_personal(dir: &std::path::Path) -> Store {
    let mut options = options();
    options.catalogue = catalogue();
    Store::open(dir, options).unwrap().0
}

fn person(number: u8) -> PersonId {
    PersonId::from_bytes([number; 16])
}

fn register(store: &Store, document: &'static [u8], new: PersonId, row: u64) -> PersonId {
    let done = store.commit_blocking(move |unit| {
        let hash = unit.person_hash(document);
        let subject = unit.subject(hash, new)?;
        unit.put_personal(&PERSONAL, &subject, &row, &Raw(MARK.to_vec()))?;
        unit.put_personal(&OTHER, &subject, &row, &Raw(MARK.to_vec()))?;
        Ok::<_, StoreError>(subject.person())
    });
    done.unwrap()
}

#[test]
fn a_person_is_found_again_and_read_from_every_thread() {
    let temp = tempfile::tempdir().unwrap();
    let store = open_personal(temp.path());
    assert_eq!(register(&store, b"id-a", person(1), 1), person(1));
    assert_eq!(register(&store, b"id-a", person(2), 2), person(1), "the same document");
    assert_eq!(register(&store, b"id-b", person(3), 3), person(3));
    let found = store.find_subject(store.person_hash(b"id-a")).unwrap().unwrap();
    assert_eq!(found.person(), person(1));
    let kept = Kept::Value { person: person(1), value: Raw(MARK.to_vec()) };
    assert_eq!(store.get_personal(&PERSONAL, &2).unwrap(), Some(kept));
    assert_eq!(store.scan_personal(&PERSONAL, .., 9).unwrap().len(), 3);
    assert_eq!(store.get_personal(&PERSONAL, &9).unwrap(), None);
}

#[test]
fn erasing_a_person_makes_all_their_values_noise() {
    let temp = tempfile::tempdir().unwrap();
    let store = open_personal(temp.path());
    for row in 0..5 {
        register(&store, b"id-a", person(1), row);
    }
    register(&store, b"id-b", person(2), 5);
    store
        .commit_blocking(|unit| {
            let passport = unit.person_hash(b"passport-a");
            unit.add_document(person(1), passport)
        })
        .unwrap();
    assert!(store.find_subject(store.person_hash(b"passport-a")).unwrap().is_some());
    // Refused at first: then nothing is forgotten.
    let refused = store.commit_blocking(|unit| {
        assert!(unit.erase_subject(person(1)).unwrap());
        assert!(unit.subject_of(person(1)).unwrap().is_none(), "gone within the unit");
        assert_eq!(unit.get_personal(&PERSONAL, &1).unwrap(), Some(Kept::Erased));
        Err::<(), _>(())
    });
    refused.unwrap_err();
    assert!(store.get_personal(&PERSONAL, &1).unwrap().unwrap().value().is_some());
    assert!(store.commit_blocking(|unit| unit.erase_subject(person(1))).unwrap());
    assert!(!store.commit_blocking(|unit| unit.erase_subject(person(1))).unwrap());
    for table in [&PERSONAL, &OTHER] {
        for (row, kept) in store.scan_personal(table, .., 9).unwrap() {
            assert_eq!(kept.value().is_some(), row == 5, "row {row}");
        }
    }
    for document in [b"id-a".as_slice(), b"passport-a"] {
        assert!(store.find_subject(store.person_hash(document)).unwrap().is_none());
    }
    let report = store.check();
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!(report.erased, 10);
    drop(store);
    let store = open_personal(temp.path());
    assert_eq!(store.get_personal(&PERSONAL, &1).unwrap(), Some(Kept::Erased));
    // The same document is a new person now.
    assert_eq!(register(&store, b"id-a", person(7), 7), person(7));
    assert_eq!(store.get_personal(&PERSONAL, &1).unwrap(), Some(Kept::Erased));
}

#[test]
fn nothing_personal_or_secret_is_in_the_files() {
    let temp = tempfile::tempdir().unwrap();
    let store = open_personal(temp.path());
    register(&store, MARK, person(1), 1);
    store.commit_blocking(|unit| unit.append(&SECRET, &1, MARK)).unwrap();
    store.close().unwrap();
    drop(store);
    for entry in std::fs::read_dir(temp.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(MARK.len()).any(|window| window == MARK);
            assert!(!found, "{} tells", path.display());
        }
    }
    drop(open(temp.path()));
}
