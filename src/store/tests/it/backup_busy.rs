//! Backups made while much goes on: the state of one group, whole units, no waiting, and kill -9 at any moment.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::time::UnixMillis;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use store::tables::GROUP;
use store::{Progress, Raw, Restoring, Store, StoreError, Unit, newest_keys, restore};

use crate::backup::{back_up, on, own_options, restored};
use crate::support::{
    Dice, INDEX, LANE, LAST, PASSING, ROWS, SECRET, env_number, mix, open, options,
};
use crate::workload;

/// A value, told from others by its length and its first byte.
type Told = (usize, u8);

fn told(bytes: &[u8]) -> Told {
    assert!(bytes.iter().all(|byte| *byte == bytes[0]));
    (bytes.len(), bytes.first().copied().unwrap_or_default())
}

/// Everything the tests write, row by row and entry by entry.
#[derive(Debug, PartialEq, Eq, Default, Clone)]
struct State {
    rows: BTreeMap<(u16, u64), Told>,
    last: BTreeMap<u16, u64>,
    lanes: BTreeMap<u16, Vec<Told>>,
    secrets: BTreeMap<u16, Vec<Told>>,
    passing: BTreeMap<(u8, u8), Vec<Told>>,
    ledger: u64,
}

fn entries<K: store::Key>(store: &Store, journal: &store::Journal<K>, key: &K) -> Vec<Told> {
    let read = store.read_from(journal, key, 1, usize::MAX, usize::MAX).unwrap();
    read.into_iter().map(|(_, entry)| told(&entry)).collect()
}

fn state_of(store: &Store) -> State {
    let lanes = store.journals_under(&LANE, &(), 99).unwrap();
    let secrets = store.journals_under(&SECRET, &(), 99).unwrap();
    let passing = store.journals_under(&PASSING, &(), 99).unwrap();
    State {
        rows: store
            .scan(&ROWS, .., 9999)
            .unwrap()
            .into_iter()
            .map(|(k, v)| (k, told(&v.0)))
            .collect(),
        last: store.scan(&LAST, .., 99).unwrap().into_iter().collect(),
        lanes: lanes.iter().map(|key| (*key, entries(store, &LANE, key))).collect(),
        secrets: secrets.iter().map(|key| (*key, entries(store, &SECRET, key))).collect(),
        passing: passing.iter().map(|key| (*key, entries(store, &PASSING, key))).collect(),
        ledger: store.ledger_head().size,
    }
}

#[derive(Debug, Clone)]
enum Step {
    Put(u16, u64, usize),
    Delete(u16, u64),
    Append(u16, usize),
    Pass(u8, usize),
    Remove(u8),
    Ledger,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4_u16, 0..60_u64, 0..20_000_usize).prop_map(|(a, b, n)| Step::Put(a, b, n)),
        4 => (0..4_u16, 0..60_u64).prop_map(|(a, b)| Step::Delete(a, b)),
        3 => (0..4_u16, 0..9_000_usize).prop_map(|(a, n)| Step::Append(a, n)),
        3 => (0..4_u8, 0..30_000_usize).prop_map(|(a, n)| Step::Pass(a, n)),
        2 => (0..4_u8).prop_map(Step::Remove),
        1 => Just(Step::Ledger),
    ]
}

/// Does the steps on the unit and on the model.
fn take(
    unit: &mut Unit<'_>,
    steps: &[Step],
    mark: u64,
    state: &mut State,
) -> Result<(), StoreError> {
    for (number, step) in steps.iter().enumerate() {
        let bytes = |length: &usize| {
            vec![u8::try_from(mix(mark + u64::try_from(number).unwrap()) % 251).unwrap(); *length]
        };
        match step {
            Step::Put(a, b, length) => {
                unit.put(&ROWS, &(*a, *b), &Raw(bytes(length)))?;
                state.rows.insert((*a, *b), told(&bytes(length)));
            }
            Step::Delete(a, b) => {
                unit.delete(&ROWS, &(*a, *b));
                state.rows.remove(&(*a, *b));
            }
            Step::Append(a, length) => {
                unit.append(&LANE, a, &bytes(length))?;
                unit.append(&SECRET, a, &bytes(length))?;
                state.lanes.entry(*a).or_default().push(told(&bytes(length)));
                state.secrets.entry(*a).or_default().push(told(&bytes(length)));
            }
            Step::Pass(a, length) => {
                unit.append(&PASSING, &(1, *a), &bytes(length))?;
                state.passing.entry((1, *a)).or_default().push(told(&bytes(length)));
            }
            Step::Remove(a) => {
                unit.remove_journal(&PASSING, &(1, *a))?;
                state.passing.remove(&(1, *a));
            }
            Step::Ledger => {
                unit.append_ledger(&bytes(&40))?;
                state.ledger += 1;
            }
        }
    }
    unit.put(&LAST, &1, &mark)?;
    state.last.insert(1, mark);
    Ok(())
}

/// One unit a group: the model keeps the state after each, and every restored store equals the one of its group.
#[test]
fn a_restored_store_is_the_state_after_one_group() {
    let mut runner = TestRunner::new(Config { cases: 6, ..Config::default() });
    let units = prop::collection::vec(prop::collection::vec(step(), 1..12), 60..140);
    let during = AtomicU64::new(0);
    let done = runner.run(&(units, 1..40_usize), |(units, before)| {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(&temp.path().join("store"), own_options()).unwrap().0;
        let mut state = State::default();
        let mut history = BTreeMap::new();
        let mut units = units.into_iter();
        let mut next = |state: &mut State| {
            let steps = units.next()?;
            let mark = store.get(&LAST, &1).unwrap().unwrap_or_default() + 1;
            let mut after = state.clone();
            let unit =
                move |unit: &mut Unit<'_>| take(unit, &steps, mark, &mut after).map(|()| after);
            *state = store.commit_blocking(unit).unwrap();
            history.insert(store.get(&GROUP, &()).unwrap().unwrap(), state.clone());
            Some(())
        };
        for _ in 0..before {
            next(&mut state);
        }
        // Between any two pieces of the scan a few more units are committed.
        let mut watch = |_: &Progress| {
            for _ in 0..3 {
                next(&mut state);
            }
            ControlFlow::Continue(())
        };
        let report =
            store.backup(&temp.path().join("backups"), 1, UnixMillis::new(1), &mut watch).unwrap();
        during.fetch_add(report.changes, Ordering::Relaxed);
        while next(&mut state).is_some() {}
        let copy = restored(&report, &temp.path().join("restored"));
        prop_assert_eq!(
            copy.get(&GROUP, &()).unwrap().unwrap() - 1,
            report.group,
            "one group to open it"
        );
        let (back, then) = (state_of(&copy), &history[&report.group]);
        prop_assert_eq!(&back.rows, &then.rows);
        prop_assert_eq!(&back.lanes, &then.lanes);
        prop_assert_eq!(&back.passing, &then.passing);
        prop_assert_eq!(&back, then);
        prop_assert_eq!(&state_of(&store), &state, "the store itself went on");
        let checked = copy.check();
        prop_assert!(checked.is_sound() && checked.complete, "{:?}", checked.findings);
        Ok(())
    });
    done.unwrap();
    assert!(during.into_inner() > 0, "something was committed while a backup was made");
}

/// Many writers without a pause: what their units tie together is together in every backup.
#[test]
fn backups_made_under_load_are_whole() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(&temp.path().join("store"));
    let stop = AtomicBool::new(false);
    let reports = std::thread::scope(|scope| {
        for client in 0..4 {
            scope.spawn({
                let (store, stop) = (&store, &stop);
                move || {
                    let mut number = 0;
                    while !stop.load(Ordering::Relaxed) {
                        number += 1;
                        store
                            .commit_blocking(move |unit| workload::write(unit, client, number))
                            .unwrap();
                    }
                }
            });
        }
        while store.statistics().units < 800 {
            std::thread::yield_now();
        }
        let dirs = [1, 2, 3].map(|round| temp.path().join(format!("backups-{round}")));
        let reports = dirs.map(|dir| {
            // Each scan sees hundreds of groups go by.
            let seen = store.statistics().groups + 100;
            let mut watch = |_: &Progress| {
                while store.statistics().groups < seen {
                    std::thread::yield_now();
                }
                ControlFlow::Continue(())
            };
            store.backup(&dir, 1, UnixMillis::new(1), &mut watch).unwrap()
        });
        stop.store(true, Ordering::Relaxed);
        reports
    });
    for (round, report) in reports.iter().enumerate() {
        assert!(report.changes > 100, "{report:?}");
        let copy = restored(report, &temp.path().join(format!("restored-{round}")));
        // Every group holds whole units, and nothing else.
        assert!(workload::verify(&copy, &HashMap::new()) > 0);
    }
    workload::verify(&store, &HashMap::new());
}

/// kill -9 while backups are made, one after the other: the store is whole, complete files restore, and what was not
/// complete carries a name that says so.
#[test]
fn kills_during_a_backup_leave_store_and_backups_whole() {
    let kills = env_number("LIANGDI_BACKUP_KILLS").unwrap_or(6);
    let mut dice = Dice::new("kills during a backup");
    let temp = tempfile::tempdir().unwrap();
    let (dir, acks) = (temp.path().join("store"), temp.path().join("acks"));
    let backups = temp.path().join("backups");
    let mut restores = 0;
    // On a slow machine the first complete backup may be late.
    for round in 0..kills * 10 {
        if round >= kills && restores > 0 {
            break;
        }
        let mut child = workload::spawn_child_with_backups(&dir, &acks, &backups);
        workload::wait_for_acks(&acks, &mut child);
        std::thread::sleep(Duration::from_millis(dice.below(400)));
        child.kill();
        let store = open(&dir);
        workload::verify(&store, &workload::acknowledged(&acks, u128::MAX));
        drop(store);
        let Some(keys) =
            backups.exists().then(|| newest_keys(&backups, "410522").unwrap()).flatten()
        else {
            continue;
        };
        let ends = |end| move |path: &PathBuf| path.to_string_lossy().ends_with(end);
        let all: Vec<PathBuf> =
            fs::read_dir(&backups).unwrap().map(|entry| entry.unwrap().path()).collect();
        for from in all.iter().filter(|path| ends(store::SUFFIX)(path)) {
            let to = temp.path().join(format!("restored-{round}-{restores}"));
            let restoring = Restoring { from, keys: &keys, to: &to, set_aside: false };
            restore(&restoring, &options(), &mut on).unwrap();
            workload::verify(&open(&to), &HashMap::new());
            fs::remove_dir_all(&to).unwrap();
            restores += 1;
        }
    }
    println!("{kills} kills, {restores} complete backups restored");
    assert!(restores > 0);
}

/// The slow commits while a backup is made (one in a hundred is slower), beside those without: the committer waits for no
/// backup. Both stand in one run; only a wait of another order of magnitude fails it. `LIANGDI_BACKUP_ROWS` makes it longer.
#[test]
fn commits_do_not_wait_for_a_backup() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(&temp.path().join("store"));
    let rows = env_number("LIANGDI_BACKUP_ROWS").unwrap_or(20_000);
    for round in 0..rows / 500 {
        let fill = move |unit: &mut Unit<'_>| {
            (0..500).try_for_each(|n| unit.put(&ROWS, &(1, round * 500 + n), &Raw(vec![7; 2_000])))
        };
        store.commit_blocking(fill).unwrap();
    }
    let number = AtomicU64::new(0);
    let slow_while = |busy: &dyn Fn() -> bool| {
        let mut waits = Vec::new();
        while busy() || waits.len() < 200 {
            let n = number.fetch_add(1, Ordering::Relaxed);
            let began = Instant::now();
            store.commit_blocking(move |unit| workload::write(unit, 1, n + 1)).unwrap();
            waits.push(began.elapsed());
        }
        waits.sort_unstable();
        (waits[waits.len() * 99 / 100], waits.len())
    };
    let (alone, commits) = slow_while(&|| false);
    let done = AtomicBool::new(false);
    let (beside, during, took) = std::thread::scope(|scope| {
        let backup = scope.spawn(|| {
            let began = Instant::now();
            let report = back_up(&store, &temp.path().join("backups"));
            done.store(true, Ordering::Relaxed);
            assert!(report.bytes > rows * 2_000, "{report:?}");
            began.elapsed()
        });
        let (beside, during) = slow_while(&|| !done.load(Ordering::Relaxed));
        (beside, during, backup.join().unwrap())
    });
    println!(
        "99th of a hundred: {alone:?} of {commits} alone, {beside:?} of {during} beside a backup of {took:?}"
    );
    assert!(beside < alone * 20 + Duration::from_millis(500), "{beside:?} beside, {alone:?} alone");
    assert!(INDEX.holds(&store, &(mix(1), 1, 1)).is_ok());
}
