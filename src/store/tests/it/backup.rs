//! Backups: restored, or refused by name; and what they forget.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use domain::id::PersonId;
use domain::time::UnixMillis;
use store::{
    BackupError, BackupReport, DataKey, GateError, Kept, Options, Personal, Progress, Raw,
    Restoring, Store, StoreError, Table, Unit, newest_keys, restore, verify,
};

use crate::support::{LANE, LAST, ROWS, catalogue, key, options};

/// Values of persons.
const PERSONAL: Table<u64, Raw, Personal> = Table::new("personal-1", 0xE5);

pub(crate) fn own_options() -> Options {
    let mut options = options();
    options.catalogue = own_catalogue();
    options
}

fn own_catalogue() -> &'static [store::TableInfo] {
    static ALL: std::sync::LazyLock<Vec<store::TableInfo>> = std::sync::LazyLock::new(|| {
        let mut all = catalogue().to_vec();
        all.push(PERSONAL.info());
        all
    });
    &ALL
}

pub(crate) fn on(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

pub(crate) fn back_up(store: &Store, dir: &Path) -> BackupReport {
    store.backup(dir, 9, UnixMillis::new(1_700_000_000_000), &mut on).unwrap()
}

pub(crate) fn restored(report: &BackupReport, to: &Path) -> Store {
    let restoring = Restoring { from: &report.data, keys: &report.keys, to, set_aside: false };
    restore(&restoring, &own_options(), &mut on).unwrap();
    Store::open(to, own_options()).unwrap().0
}

#[test]
fn whoever_was_erased_after_the_backup_stays_erased() {
    let temp = tempfile::tempdir().unwrap();
    let (store, backups) = persons(temp.path());
    let first = back_up(&store, &backups);
    let [wang, _, _] = PERSONS;
    store.commit_blocking(move |unit| unit.erase_subject(PersonId::from_bytes(wang))).unwrap();
    let later = store.backup(&backups, 9, UnixMillis::new(1_700_000_900_000), &mut on).unwrap();
    assert!(!first.keys.exists() && first.data.exists(), "only the newest keys are kept");
    assert_eq!(newest_keys(&backups, "410522").unwrap().as_ref(), Some(&later.keys));
    let newest = store::newest_backup(&backups, "410522").unwrap().unwrap();
    assert_eq!((newest.created, newest.area.as_str()), (later.created, "410522"));
    let to = temp.path().join("restored");
    let restoring = Restoring { from: &first.data, keys: &later.keys, to: &to, set_aside: false };
    let report = restore(&restoring, &own_options(), &mut on).unwrap();
    assert_eq!((report.erased, report.incarnation), (2, 2));
    let copy = Store::open(&to, own_options()).unwrap().0;
    let kept = |number| copy.get_personal(&PERSONAL, &number).unwrap().unwrap();
    assert_eq!((kept(0), kept(3)), (Kept::Erased, Kept::Erased));
    assert!(matches!(kept(1), Kept::Value { value: Raw(text), .. } if text == b"1 of a person"));
    assert!(copy.find_subject(copy.person_hash(&PERSONS[0])).unwrap().is_none());
    assert!(copy.find_subject(copy.person_hash(&PERSONS[1])).unwrap().is_some());
    let whole = verify(&first.data, Some(&later.keys), &own_options(), &mut on).unwrap();
    assert_eq!((whole.unopened, whole.findings.len()), (2, 0), "{whole:?}");
    let without = verify(&first.data, None, &own_options(), &mut on).unwrap();
    assert_eq!((without.unopened, without.findings.len()), (6, 0), "{without:?}");
    assert_eq!((without.group, without.rows + without.changes > 6), (first.group, true));
}

const PERSONS: [[u8; 16]; 3] = [[1; 16], [2; 16], [3; 16]];

/// Three persons with two values each.
fn persons(dir: &Path) -> (Store, PathBuf) {
    let store = Store::open(&dir.join("store"), own_options()).unwrap().0;
    let work = |unit: &mut Unit<'_>| {
        for number in 0..6_u64 {
            let document = PERSONS[usize::try_from(number % 3).unwrap()];
            let subject =
                unit.subject(unit.person_hash(&document), PersonId::from_bytes(document))?;
            let text = format!("{number} of a person").into_bytes();
            unit.put_personal(&PERSONAL, &subject, &number, &Raw(text))?;
        }
        Ok::<_, StoreError>(())
    };
    store.commit_blocking(work).unwrap();
    (store, dir.join("backups"))
}

#[test]
fn a_backup_tells_nothing_without_its_key() {
    let temp = tempfile::tempdir().unwrap();
    let (store, backups) = persons(temp.path());
    store.commit_blocking(|unit| unit.append(&LANE, &1, b"an envelope in the clear")).unwrap();
    let report = back_up(&store, &backups);
    let secret = [b"of a person".as_slice(), b"an envelope in the clear", b"lane-1"];
    for path in [&report.data, &report.keys] {
        let bytes = fs::read(path).unwrap();
        for text in secret {
            assert!(!bytes.windows(text.len()).any(|window| window == text));
        }
    }
    let mut other = own_options();
    other.data_key = DataKey::from_bytes([1; 32]);
    let to = temp.path().join("restored");
    let restoring = Restoring { from: &report.data, keys: &report.keys, to: &to, set_aside: false };
    let refused = restore(&restoring, &other, &mut on).unwrap_err();
    assert!(matches!(refused, BackupError::Gate { source: GateError::WrongKey, .. }), "{refused}");
    let other = Options::new("440305", key(), UnixMillis::new(1));
    let refused = restore(&restoring, &other, &mut on).unwrap_err();
    assert!(matches!(refused, BackupError::Gate { source: GateError::OtherArea { .. }, .. }));
    let mut older = own_options();
    older.schema = 0;
    let refused = restore(&restoring, &older, &mut on).unwrap_err();
    assert!(matches!(refused, BackupError::Gate { source: GateError::FromTheFuture { .. }, .. }));
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 2, "nothing was begun");
}

#[test]
fn no_store_is_written_over_and_no_half_store_is_left() {
    let temp = tempfile::tempdir().unwrap();
    let (store, backups) = persons(temp.path());
    let report = back_up(&store, &backups);
    let to = temp.path().join("store");
    let mut restoring =
        Restoring { from: &report.data, keys: &report.keys, to: &to, set_aside: false };
    let refused = restore(&restoring, &own_options(), &mut on).unwrap_err();
    assert!(matches!(refused, BackupError::StoreExists(_)), "{refused}");
    restoring.set_aside = true;
    let refused = restore(&restoring, &own_options(), &mut on).unwrap_err();
    assert!(refused.to_string().contains("cannot be written"), "in use: {refused}");
    store.commit_blocking(|unit| unit.put(&LAST, &1, &77)).unwrap();
    drop(store);
    // Altered in the middle: what was begun is gone, what was there is there.
    let whole = fs::read(&report.data).unwrap();
    let mut bad = whole.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    fs::write(&report.data, &bad).unwrap();
    let refused = restore(&restoring, &own_options(), &mut on).unwrap_err();
    assert!(matches!(refused, BackupError::Altered { .. }), "{refused}");
    fs::write(&report.data, &whole[..middle]).unwrap();
    let refused = restore(&restoring, &own_options(), &mut on).unwrap_err();
    assert!(matches!(refused, BackupError::Truncated { .. }), "{refused}");
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 2, "the store and the backups");
    fs::write(&report.data, &whole).unwrap();
    // What an interrupted run left is in nobody's way.
    fs::create_dir(temp.path().join("store.restoring")).unwrap();
    fs::write(temp.path().join("store.restoring/db"), b"half").unwrap();
    let done = restore(&restoring, &own_options(), &mut on).unwrap();
    let aside = Store::open(&done.set_aside.unwrap(), own_options()).unwrap().0;
    assert_eq!(aside.get(&LAST, &1).unwrap(), Some(77));
    let (copy, opened) = Store::open(&to, own_options()).unwrap();
    assert_eq!(copy.get(&LAST, &1).unwrap(), None);
    assert!(!opened.unclean && opened.incarnation == 2);
    let origin = copy.get(&store::tables::ORIGIN, &()).unwrap().unwrap();
    assert_eq!(origin.backup, Some(UnixMillis::new(1_700_000_000_000)));
}

#[test]
fn a_restore_that_was_cut_off_between_two_names_is_finished_by_the_next_start() {
    let temp = tempfile::tempdir().unwrap();
    let (store, backups) = persons(temp.path());
    let report = back_up(&store, &backups);
    store.commit_blocking(|unit| unit.put(&LAST, &1, &77)).unwrap();
    drop(store);
    let (to, ready) = (temp.path().join("store"), temp.path().join("store.ready"));
    let restoring =
        Restoring { from: &report.data, keys: &report.keys, to: &ready, set_aside: false };
    restore(&restoring, &own_options(), &mut on).unwrap();
    // Cut off before the first of the two: nothing has happened, and it takes nobody's place later.
    let copy = temp.path().join("copy");
    fs::rename(&ready, &copy).unwrap();
    fs::create_dir(&ready).unwrap();
    let store = Store::open(&to, own_options()).unwrap().0;
    assert_eq!(store.get(&LAST, &1).unwrap(), Some(77));
    assert!(!ready.exists());
    drop(store);
    // Cut off between them.
    fs::rename(&copy, &ready).unwrap();
    fs::rename(&to, temp.path().join("store.replaced-5")).unwrap();
    let (store, opened) = Store::open(&to, own_options()).unwrap();
    assert_eq!(store.get(&LAST, &1).unwrap(), None);
    assert_eq!(opened.incarnation, 2);
}

#[test]
fn keys_that_do_not_fit_are_refused() {
    let temp = tempfile::tempdir().unwrap();
    let (store, backups) = persons(temp.path());
    let first = back_up(&store, &backups);
    let kept = temp.path().join("old-keys");
    fs::copy(&first.keys, &kept).unwrap();
    store.commit_blocking(|unit| unit.put(&LAST, &1, &1)).unwrap();
    let second = store.backup(&backups, 9, UnixMillis::new(1_700_000_900_000), &mut on).unwrap();
    let to = temp.path().join("restored");
    let with = |keys: &Path| {
        let restoring = Restoring { from: &second.data, keys, to: &to, set_aside: false };
        restore(&restoring, &own_options(), &mut on).unwrap_err()
    };
    let old = with(&kept);
    assert!(matches!(old, BackupError::OldKeys { .. }), "{old}");
    assert!(old.to_string().contains("newest"), "{old}");
    let none = with(&second.data);
    assert!(matches!(none, BackupError::OtherFormat { .. }), "{none}");
    let mut elsewhere = own_options();
    elsewhere.now = UnixMillis::new(4_000);
    let other = Store::open(&temp.path().join("other"), elsewhere).unwrap().0;
    for round in 0..9 {
        other.commit_blocking(move |unit| unit.put(&LAST, &1, &round)).unwrap();
    }
    let other = back_up(&other, &temp.path().join("other-backups"));
    let other = with(&other.keys);
    assert!(matches!(other, BackupError::OtherKeys { .. }), "{other}");
    assert!(!to.exists());
}

#[test]
fn one_backup_at_a_time_and_none_that_was_ended() {
    let temp = tempfile::tempdir().unwrap();
    let (store, backups) = persons(temp.path());
    let mut inner = None;
    let mut watch = |_: &Progress| {
        inner = Some(store.backup(&backups, 9, UnixMillis::new(1), &mut on));
        ControlFlow::Break(())
    };
    let ended = store.backup(&backups, 9, UnixMillis::new(1), &mut watch);
    assert!(matches!(ended, Err(BackupError::Ended)), "{ended:?}");
    assert!(matches!(inner, Some(Err(BackupError::Running))), "{inner:?}");
    assert_eq!(newest_keys(&backups, "410522").unwrap(), None);
    let report = back_up(&store, &backups);
    assert_eq!(fs::read_dir(&backups).unwrap().count(), 2, "what was ended was cleared away");
    store.close().unwrap();
    let closed = store.backup(&backups, 9, UnixMillis::new(1), &mut on).unwrap_err();
    assert!(matches!(closed, BackupError::Stopped(None)), "{closed}");
    assert!(report.data.exists());
}

#[test]
fn a_backup_that_falls_behind_is_given_up_and_the_work_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    let (store, backups) = persons(temp.path());
    let mut watch = |_: &Progress| {
        for round in 0..5_u64 {
            let bulk = vec![7; 90_000];
            let work = move |unit: &mut Unit<'_>| {
                (0..100)
                    .try_for_each(|n| unit.put(&ROWS, &(1, round * 100 + n), &Raw(bulk.clone())))
            };
            store.commit_blocking(work).unwrap();
        }
        ControlFlow::Continue(())
    };
    let behind = store.backup(&backups, 9, UnixMillis::new(1), &mut watch);
    assert!(matches!(behind, Err(BackupError::Overrun)), "{behind:?}");
    assert_eq!(store.scan(&ROWS, .., 999).unwrap().len(), 500);
    back_up(&store, &backups);
}
