//! One sync for each group, no answer before it, and no second life after a failure.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use store::{CommitError, DatabaseFile, Disk, Raw, Store, StoreError};

use crate::support::{LANE, LAST, ROWS, open, options};

/// Counts syncs, holds them back or fails them, as the test says.
#[derive(Default)]
struct Gate {
    syncs: AtomicU64,
    failing: AtomicBool,
    held: Mutex<bool>,
    changed: Condvar,
    /// Told of each sync.
    told: Mutex<Option<Sender<()>>>,
}

struct Gated(DatabaseFile, Arc<Gate>);

impl Disk for Gated {
    fn sync_data(&self) -> io::Result<()> {
        let mut held = self.1.held.lock().unwrap();
        while *held {
            held = self.1.changed.wait(held).unwrap();
        }
        drop(held);
        self.1.syncs.fetch_add(1, Ordering::SeqCst);
        if let Some(told) = &*self.1.told.lock().unwrap() {
            told.send(()).unwrap();
        }
        if self.1.failing.load(Ordering::SeqCst) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.0.sync_data()
    }
}

impl Gate {
    fn hold(&self, held: bool) {
        *self.held.lock().unwrap() = held;
        self.changed.notify_all();
    }
    fn count(&self) -> u64 {
        self.syncs.load(Ordering::SeqCst)
    }
}

/// A store that writes only what it is asked to, so that its syncs can be counted.
fn gated(dir: &std::path::Path) -> (Store, Arc<Gate>, Arc<AtomicBool>) {
    keeping_house_after(dir, usize::MAX)
}

fn keeping_house_after(dir: &std::path::Path, rows: usize) -> (Store, Arc<Gate>, Arc<AtomicBool>) {
    let gate = Arc::new(Gate::default());
    let told = Arc::new(AtomicBool::new(false));
    let mut options = options();
    options.pack_after_rows = rows;
    let (inside, tell) = (Arc::clone(&gate), Arc::clone(&told));
    options.wrap_disk = Some(Box::new(move |file| Box::new(Gated(file, inside))));
    options.on_failure = Some(Box::new(move |_| tell.store(true, Ordering::SeqCst)));
    (Store::open(dir, options).unwrap().0, gate, told)
}

fn put(client: u16, number: u64) -> impl FnOnce(&mut store::Unit<'_>) -> Result<(), StoreError> {
    move |unit| {
        unit.append(&LANE, &client, &number.to_be_bytes())?;
        unit.append_ledger(&number.to_be_bytes())?;
        unit.put(&LAST, &client, &number)
    }
}

#[test]
fn all_who_wait_share_one_sync() {
    let temp = tempfile::tempdir().unwrap();
    let (store, gate, _) = gated(temp.path());
    let before = (gate.count(), store.statistics().groups);
    assert_eq!(before.0, before.1, "opening syncs each of its groups");
    // While the first unit waits for the disk, the others queue up behind it.
    gate.hold(true);
    let first = store.try_commit(put(0, 1)).unwrap();
    while store.statistics().groups == before.1 {
        std::thread::yield_now();
    }
    let rest: Vec<_> = (1..=99).map(|c| store.try_commit(put(c, 1)).unwrap()).collect();
    gate.hold(false);
    let answers = std::iter::once(first).chain(rest).map(block_on);
    answers.for_each(|answer| answer.unwrap());
    assert_eq!(gate.count() - before.0, 2, "one sync for the first, one for the 99");
    let after = store.statistics();
    assert_eq!(after.groups - before.1, 2);
    assert_eq!(after.syncs, gate.count());
    store.close().unwrap();
    assert_eq!(gate.count(), store.statistics().groups, "the mark of a clean end is synced too");
}

#[test]
fn nobody_is_answered_and_nothing_is_shown_before_the_sync() {
    let temp = tempfile::tempdir().unwrap();
    let (store, gate, _) = gated(temp.path());
    store.commit_blocking(put(0, 1)).unwrap();
    let head = store.ledger_head();
    gate.hold(true);
    let groups = store.statistics().groups;
    let pending = store.try_commit(put(0, 2)).unwrap();
    while store.statistics().groups == groups {
        std::thread::yield_now();
    }
    // The rows are with sled now, and the sync is under way.
    let deadline = Instant::now() + Duration::from_secs(10);
    while store.busy_for() < Duration::from_millis(2) {
        assert!(Instant::now() < deadline, "the watchdog sees nothing");
    }
    assert_eq!(store.last(&LANE, &0).unwrap(), Some(1));
    assert_eq!(store.read(&LANE, &0, 2).unwrap(), None);
    assert_eq!(store.ledger_head(), head);
    let mut pending = Box::pin(pending);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(pending.as_mut().poll(&mut context).is_pending());
    gate.hold(false);
    block_on(pending).unwrap();
    assert_eq!(store.last(&LANE, &0).unwrap(), Some(2));
    assert_eq!(store.ledger_head().size, 2);
}

#[test]
fn a_failed_sync_is_final() {
    let temp = tempfile::tempdir().unwrap();
    let (store, gate, told) = gated(temp.path());
    store.commit_blocking(put(0, 1)).unwrap();
    gate.failing.store(true, Ordering::SeqCst);
    let error = store.commit_blocking(put(0, 2)).unwrap_err();
    assert!(matches!(error, CommitError::StoreFailed(_)), "{error:?}");
    assert!(told.load(Ordering::SeqCst), "the node hears of it");
    // The disk recovers; the store must not believe it.
    gate.failing.store(false, Ordering::SeqCst);
    let syncs = gate.count();
    for _ in 0..3 {
        let error = store.commit_blocking(put(0, 3)).unwrap_err();
        assert!(matches!(error, CommitError::StoreFailed(_)), "{error:?}");
        assert!(matches!(store.try_commit(put(0, 3)), Err(CommitError::StoreFailed(_))));
    }
    assert_eq!(store.last(&LANE, &0).unwrap(), Some(1), "what was not synced is not shown");
    store.close().unwrap_err();
    assert_eq!(gate.count(), syncs, "a failed sync is never tried again");
    drop(store);
    let (store, report) = Store::open(temp.path(), options()).unwrap();
    assert!(report.unclean);
    assert!(report.check.unwrap().is_sound());
    assert!(store.last(&LANE, &0).unwrap() >= Some(1));
}

#[test]
fn a_unit_that_only_reads_costs_no_sync() {
    let temp = tempfile::tempdir().unwrap();
    let (store, gate, _) = gated(temp.path());
    store.commit_blocking(put(3, 9)).unwrap();
    let before = gate.count();
    let read = store.commit_blocking(|unit| unit.get(&LAST, &3)).unwrap();
    assert_eq!(read, Some(9));
    let refused = store.commit_blocking(|unit| {
        unit.put(&LAST, &3, &10).unwrap();
        Err::<(), _>("no")
    });
    assert_eq!(refused.unwrap_err().refusal(), Some("no"));
    assert_eq!(gate.count(), before);
}

#[test]
fn a_full_queue_says_so_and_waiting_for_room_works() {
    let temp = tempfile::tempdir().unwrap();
    let gate = Arc::new(Gate::default());
    let inside = Arc::clone(&gate);
    let mut options = options();
    options.queue_depth = 4;
    options.group_units = 1;
    options.wrap_disk = Some(Box::new(move |file| Box::new(Gated(file, inside))));
    let store = Store::open(temp.path(), options).unwrap().0;
    gate.hold(true);
    let first = store.try_commit(put(0, 1)).unwrap();
    while store.waiting() > 0 {
        std::thread::yield_now();
    }
    let queued: Vec<_> = (2..=5).map(|n| store.try_commit(put(0, n)).unwrap()).collect();
    assert!(matches!(store.try_commit(put(0, 6)), Err(CommitError::Full)));
    let waiting = std::thread::spawn({
        let store = store.clone();
        move || block_on(store.commit(put(0, 6)))
    });
    gate.hold(false);
    for pending in std::iter::once(first).chain(queued) {
        block_on(pending).unwrap();
    }
    waiting.join().unwrap().unwrap();
    assert_eq!(store.get(&LAST, &0).unwrap(), Some(6));
}

#[test]
fn what_was_queued_before_closing_is_done_and_what_comes_after_is_not() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let pending: Vec<_> = (1..=50).map(|n| store.try_commit(put(0, n)).unwrap()).collect();
    store.close().unwrap();
    pending.into_iter().for_each(|pending| block_on(pending).unwrap());
    assert!(matches!(store.commit_blocking(put(0, 51)), Err(CommitError::Closed)));
    drop(store);
    let (store, report) = Store::open(temp.path(), options()).unwrap();
    assert!(!report.unclean);
    assert_eq!(store.last(&LANE, &0).unwrap(), Some(50));
}

/// Waits for a future on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::park();
    }
}

#[test]
fn what_is_packed_while_nobody_writes_reaches_the_disk() {
    let temp = tempfile::tempdir().unwrap();
    let (store, gate, _) = keeping_house_after(temp.path(), 100);
    let groups = store.statistics().groups;
    let (tell, told) = std::sync::mpsc::channel();
    *gate.told.lock().unwrap() = Some(tell);
    // Four megabytes in one group; not another one follows, and the rows at rest are packed.
    let wrote = store.commit_blocking(|unit| {
        (0..4_000).try_for_each(|n| unit.put(&ROWS, &(0, n), &Raw(vec![7; 1_000])))
    });
    wrote.unwrap();
    for sync in 0..6 {
        let more = told.recv_timeout(Duration::from_secs(60));
        assert!(more.is_ok(), "sync {sync} of what is moved and packed");
    }
    assert_eq!(store.statistics().groups, groups + 1);
    *gate.told.lock().unwrap() = None;
    store.close().unwrap();
}
