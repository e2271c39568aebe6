//! kill -9 at random moments: nothing acknowledged is lost, no unit is torn.
//!
//! `LIANGDI_KILLS` sets the number of kills, `LIANGDI_SEED` their moments.

use std::time::Duration;

use store::Store;

use crate::support::{Dice, env_number, open, options};
use crate::workload::{
    acknowledged, run_child, spawn_child, spawn_child_with_pauses, verify, wait_for_acks,
};

/// Not a test: what the child process runs.
#[test]
#[ignore = "started by the crash tests"]
fn child() {
    run_child();
}

#[test]
fn kills_lose_nothing_and_tear_nothing() {
    let kills = env_number("LIANGDI_KILLS").unwrap_or(12);
    let mut dice = Dice::new("kills");
    let temp = tempfile::tempdir().unwrap();
    let (dir, acks) = (temp.path().join("store"), temp.path().join("acks"));
    let (mut units, mut unclean, mut writing) = (0, 0, 0);
    for round in 0..kills {
        let mut child = match round % 2 {
            0 => spawn_child(&dir, &acks),
            _ => spawn_child_with_pauses(&dir, &acks),
        };
        // One kill in four may hit the child while it opens the store.
        let wrote = dice.below(4) > 0;
        if wrote {
            wait_for_acks(&acks, &mut child);
        }
        std::thread::sleep(Duration::from_millis(dice.below(300)));
        child.kill();
        let (store, report) = Store::open(&dir, options()).unwrap();
        let acked = acknowledged(&acks, u128::MAX);
        assert!(report.unclean || !wrote, "round {round}: it was killed while it wrote");
        unclean += u64::from(report.unclean);
        writing += u64::from(wrote);
        if let Some(check) = report.check {
            assert!(check.is_sound(), "round {round}: {:?}", check.findings);
        }
        units = verify(&store, &acked);
        store.close().unwrap();
    }
    println!(
        "{kills} kills, {writing} of writers and {unclean} of open stores, {units} units, none acknowledged lost, none torn"
    );
}

#[test]
fn a_half_written_snapshot_does_not_stop_the_next_start() {
    let temp = tempfile::tempdir().unwrap();
    open(temp.path()).close().unwrap();
    let left = temp.path().join("snap.FFFFFFFFFFFFFFFF.generating");
    std::fs::write(&left, b"cut off").unwrap();
    let (store, report) = Store::open(temp.path(), options()).unwrap();
    assert_eq!(report.snapshots_removed, 1);
    assert!(!report.unclean);
    store.close().unwrap();
}
