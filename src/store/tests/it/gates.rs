//! Whose data it is: another process, node, key, program or format is refused in clear words.

use std::path::Path;

use domain::time::UnixMillis;
use store::{DataKey, GateError, Migration, OpenStoreError, Options, Store, StoreError, Unit};

use crate::support::{LAST, key, open, options};

fn refusal(dir: &Path, options: Options) -> GateError {
    match Store::open(dir, options) {
        Err(OpenStoreError::Gate { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_directory_in_use_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let error = Store::open(temp.path(), options()).unwrap_err();
    assert!(matches!(error, OpenStoreError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("another process"), "{error}");
    drop(store);
    drop(open(temp.path()));
}

#[test]
fn another_node_another_key_and_a_newer_schema_are_refused() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    store.commit_blocking(|unit| unit.put(&LAST, &1, &1)).unwrap();
    store.close().unwrap();
    drop(store);
    let other = Options::new("440305", key(), UnixMillis::new(1));
    assert!(matches!(refusal(temp.path(), other), GateError::OtherArea { .. }));
    let mut other = options();
    other.data_key = DataKey::from_bytes([1; 32]);
    assert_eq!(refusal(temp.path(), other), GateError::WrongKey);
    let mut older = options();
    older.schema = 0;
    assert!(matches!(refusal(temp.path(), older), GateError::FromTheFuture { found: 2, known: 0 }));
    let store = open(temp.path());
    assert_eq!(store.get(&LAST, &1).unwrap(), Some(1), "refusals change nothing");
}

fn double(unit: &mut Unit<'_>) -> Result<u64, StoreError> {
    let rows = unit.scan(&LAST, .., 1000)?;
    for (key, value) in &rows {
        unit.put(&LAST, key, &(value * 2))?;
    }
    Ok(rows.len().try_into().unwrap())
}

fn fail(unit: &mut Unit<'_>) -> Result<u64, StoreError> {
    unit.put(&LAST, &1, &999)?;
    Err(StoreError::NoSuchPerson)
}

static STEPS: &[Migration] = &[
    Migration { to: 3, name: "double-the-numbers", run: double },
    Migration { to: 4, name: "double-them-again", run: double },
];
static FAILING: &[Migration] = &[STEPS[0], Migration { to: 4, name: "does-not-work", run: fail }];

#[test]
fn migrations_run_once_in_order_and_say_what_they_touched() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    store
        .commit_blocking(|unit| {
            unit.put(&LAST, &1, &10)?;
            unit.put(&LAST, &2, &20)
        })
        .unwrap();
    drop(store);
    let newer = |steps| {
        let mut options = options();
        (options.schema, options.migrations) = (4, steps);
        Store::open(temp.path(), options)
    };
    // The second step fails: the first stays done, the second leaves no trace.
    let error = newer(FAILING).unwrap_err();
    assert!(matches!(error, OpenStoreError::Migration { name: "does-not-work", .. }), "{error}");
    let (store, report) = newer(STEPS).unwrap();
    let done: Vec<_> = report.migrations.iter().map(|m| (m.name, m.rows)).collect();
    assert_eq!(done, [("double-them-again", 2)]);
    assert_eq!(store.scan(&LAST, .., 9).unwrap(), [(1, 40), (2, 80)]);
    drop(store);
    let (store, report) = newer(STEPS).unwrap();
    assert_eq!(report.migrations, []);
    assert_eq!(store.scan(&LAST, .., 9).unwrap(), [(1, 40), (2, 80)]);
    drop(store);
    assert!(matches!(refusal(temp.path(), options()), GateError::FromTheFuture { found: 4, .. }));
}
