//! Packing as the store's users meet it: rows move while everything else goes on, and nobody can tell.

use store::{Raw, Store, StoreError, compact};

use crate::support::{INDEX, LANE, PASSING, ROWS, SECRET, key, open, options};

const CLIENT: u16 = 3;

fn write(store: &Store, number: u64) {
    let wrote = store.commit_blocking(move |unit| {
        unit.put(&ROWS, &(CLIENT, number), &Raw(vec![7; 300]))?;
        unit.put(&INDEX, &(number.rotate_right(3), CLIENT, number), &())?;
        unit.append(&LANE, &CLIENT, &number.to_be_bytes())?;
        unit.append(&SECRET, &CLIENT, &number.to_be_bytes())?;
        unit.append(&PASSING, &(1, 1), &number.to_be_bytes())?;
        unit.append_ledger(&number.to_be_bytes()).map(drop)
    });
    wrote.unwrap();
}

fn verify(store: &Store, count: u64) {
    let rows = store.scan(&ROWS, .., 10_000).unwrap();
    assert_eq!(rows.iter().map(|row| row.0.1).collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
    let entries = |found: Vec<(u64, Vec<u8>)>| {
        let numbers: Vec<_> = found.into_iter().map(|(_, entry)| entry).collect();
        assert!(
            numbers
                .iter()
                .map(|entry| u64::from_be_bytes(entry[..].try_into().unwrap()))
                .eq(0..count)
        );
    };
    entries(store.read_from(&LANE, &CLIENT, 1, 10_000, usize::MAX).unwrap());
    entries(store.read_from(&SECRET, &CLIENT, 1, 10_000, usize::MAX).unwrap());
    entries(store.read_from(&PASSING, &(1, 1), 1, 10_000, usize::MAX).unwrap());
    assert_eq!(store.ledger_head().size, count);
    let report = store.check();
    assert!(report.complete && report.is_sound(), "{:?}", report.findings);
}

#[test]
fn a_store_that_is_packed_while_it_is_written_reads_the_same() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("store");
    let store = open(&dir);
    for number in 0..1_500 {
        write(&store, number);
        if number % 97 == 0 {
            let long_ago = number / 2;
            let row = store.get(&ROWS, &(CLIENT, long_ago)).unwrap();
            assert_eq!(row, Some(Raw(vec![7; 300])), "row {long_ago} of {number}");
        }
    }
    verify(&store, 1_500);
    // What is deleted from among packed rows is gone for good, and what is written over them counts.
    let changed = store.commit_blocking(|unit| {
        (0..1_500).step_by(3).for_each(|number| unit.delete(&ROWS, &(CLIENT, number)));
        (1..1_500)
            .step_by(3)
            .try_for_each(|number| unit.put(&ROWS, &(CLIENT, number), &Raw(vec![9; 3])))?;
        let left = unit.scan(&ROWS, .., 10_000)?;
        assert_eq!(left.len(), 1_000, "also in the unit itself");
        Ok::<_, StoreError>(())
    });
    changed.unwrap();
    let check = |store: &Store| {
        let left = store.scan(&ROWS, .., 10_000).unwrap();
        assert_eq!(left.len(), 1_000);
        let wanted = |number: u64| if number % 3 == 1 { vec![9; 3] } else { vec![7; 300] };
        assert!(left.iter().all(|((_, number), row)| row.0 == wanted(*number)));
        assert!(store.check().is_sound());
    };
    check(&store);
    store.close().unwrap();
    drop(store);
    let store = open(&dir);
    check(&store);
    store.close().unwrap();
    drop(store);
    compact(&dir, options()).unwrap();
    check(&open(&dir));
}

#[test]
fn small_entries_that_come_one_by_one_share_their_pages() {
    let temp = tempfile::tempdir().unwrap();
    let mut never = options();
    never.pack_after_rows = usize::MAX;
    let (store, _) = Store::open(temp.path(), never).unwrap();
    (0..600).for_each(|number| write(&store, number));
    verify(&store, 600);
    let report = store.check();
    for name in [LANE.name(), SECRET.name(), PASSING.name(), "ledger-1"] {
        let table = report.tables.iter().find(|table| table.table == name).unwrap();
        assert!(table.rows < 30, "{name}: {} pages of 600 entries", table.rows);
    }
    // A journal that ended begins at its first position again, in a page of its own.
    let again = store.commit_blocking(|unit| {
        unit.remove_journal(&PASSING, &(1, 1))?;
        unit.append(&PASSING, &(1, 1), b"anew")
    });
    assert_eq!(again.unwrap(), 1);
    let left = store.read_from(&PASSING, &(1, 1), 1, 9, usize::MAX).unwrap();
    assert_eq!(left, [(1, b"anew".to_vec())]);
}

#[test]
fn a_program_that_does_not_know_blocks_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    drop(open(temp.path()));
    let mut older = store::Options::new("410522", key(), domain::time::UnixMillis::new(1));
    (older.schema, older.migrations) = (1, &[]);
    let refused = Store::open(temp.path(), older).unwrap_err();
    assert!(format!("{refused:?}").contains("FromTheFuture"), "{refused:?}");
}
