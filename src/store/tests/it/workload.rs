//! Writers that acknowledge what the store has promised, and the check of what is left of it.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::time::UnixMillis;
use store::{CommitError, Progress, Raw, Store, StoreError, Unit};

use crate::support::{INDEX, LANE, LAST, PASSING, ROWS, SECRET, mix, open};

const CLIENTS: u16 = 8;
/// Rows a client keeps; older ones are deleted by the unit that adds the newest.
const KEPT: u64 = 200;

/// Journals that a client has at a time; older ones are removed by the unit that begins the newest.
const PASSING_KEPT: u64 = 3;

/// Units of each client between two moments in which nobody writes, and how long these are.
const PAUSE_UNITS: u64 = 64;
const PAUSE: Duration = Duration::from_millis(60);

/// What a client writes in one unit: a row, an index, two journal entries, a ledger entry, a journal of
/// its own, its own last number, and the deletion of an old row and an old journal.
pub(crate) fn write(unit: &mut Unit<'_>, client: u16, number: u64) -> Result<(), StoreError> {
    unit.put(&ROWS, &(client, number), &Raw(body(client, number)))?;
    unit.put(&INDEX, &(mix(number), client, number), &())?;
    if let Some(old) = number.checked_sub(KEPT) {
        unit.delete(&ROWS, &(client, old));
        unit.delete(&INDEX, &(mix(old), client, old));
    }
    if let Some(old) = number.checked_sub(PASSING_KEPT) {
        unit.remove_journal(&PASSING, &passing(client, old))?;
    }
    for part in [1, 2] {
        unit.append_at(&PASSING, &passing(client, number), part, &body(client, number))?;
    }
    unit.append_at(&LANE, &client, number, &body(client, number))?;
    unit.append_at(&SECRET, &client, number, &number.to_be_bytes())?;
    unit.append_ledger(&body(client, number)[..40])?;
    unit.put(&LAST, &client, &number)
}

/// Names of journals come again after a while, as no parcel's does: harder than life.
fn passing(client: u16, number: u64) -> (u8, u8) {
    (client.to_be_bytes()[1], u8::try_from(number % 5).unwrap())
}

/// Incompressible bytes of varying length that nobody else writes.
fn body(client: u16, number: u64) -> Vec<u8> {
    let start = mix(number.wrapping_mul(31) + u64::from(client));
    (0..75 + start % 75).flat_map(|i| mix(start.wrapping_add(i)).to_be_bytes()).collect()
}

/// Runs in the child process: writes until it is killed or the store fails.
pub(crate) fn run_child() {
    let Some(dir) = std::env::var_os("LIANGDI_CHILD_DIR") else { return };
    let acks = PathBuf::from(std::env::var_os("LIANGDI_CHILD_ACKS").unwrap());
    let store = open(Path::new(&dir));
    let pauses = std::env::var_os("LIANGDI_CHILD_PAUSES").map(|_| Barrier::new(CLIENTS.into()));
    std::thread::scope(|scope| {
        if let Some(backups) = std::env::var_os("LIANGDI_CHILD_BACKUPS") {
            scope.spawn({
                let store = &store;
                move || backup_loop(store, Path::new(&backups))
            });
        }
        for client in 0..CLIENTS {
            let (store, acks, pauses) = (&store, &acks, pauses.as_ref());
            scope.spawn(move || client_loop(store, client, acks, pauses));
        }
    });
}

/// Makes one backup after the other, each with a name of its own.
fn backup_loop(store: &Store, dir: &Path) {
    let mut go_on = |_: &Progress| ControlFlow::Continue(());
    loop {
        let now = u64::try_from(unix_nanos() / 1_000_000).unwrap();
        store.backup(dir, 2, UnixMillis::new(now), &mut go_on).unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "compared with the time of a simulated power cut")]
pub(crate) fn unix_nanos() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

fn client_loop(store: &Store, client: u16, acks: &Path, pauses: Option<&Barrier>) {
    let mut acks = OpenOptions::new().create(true).append(true).open(acks).unwrap();
    let mut number = store.get(&LAST, &client).unwrap().unwrap_or_default();
    for turn in 1_u64.. {
        if let Some(pauses) = pauses.filter(|_| turn.is_multiple_of(PAUSE_UNITS)) {
            pauses.wait();
            std::thread::sleep(PAUSE);
        }
        number += 1;
        match store.commit_blocking(move |unit| write(unit, client, number)) {
            Ok(()) => {
                let line = format!("{client} {number} {}\n", unix_nanos());
                acks.write_all(line.as_bytes()).unwrap();
            }
            Err(CommitError::StoreFailed(_)) => return,
            Err(error) => panic!("client {client}: {error:?}"),
        }
    }
}

/// A writer in a process of its own; it ends with the test, however that ends.
pub(crate) struct Writer(Child);

impl Writer {
    fn spawn(mut command: Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Over already, in most cases.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The same test binary again, as a writer.
pub(crate) fn spawn_child(dir: &Path, acks: &Path) -> Writer {
    Writer::spawn(child(dir, acks))
}

/// The same, with moments in which nobody writes: rows are packed in them.
pub(crate) fn spawn_child_with_pauses(dir: &Path, acks: &Path) -> Writer {
    let mut command = child(dir, acks);
    command.env("LIANGDI_CHILD_PAUSES", "1");
    Writer::spawn(command)
}

/// The same, with a backup always under way.
pub(crate) fn spawn_child_with_backups(dir: &Path, acks: &Path, backups: &Path) -> Writer {
    let mut command = child(dir, acks);
    command.env("LIANGDI_CHILD_BACKUPS", backups);
    Writer::spawn(command)
}

fn child(dir: &Path, acks: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "crash::child", "--ignored", "--nocapture", "--test-threads", "1"])
        .env("LIANGDI_CHILD_DIR", dir)
        .env("LIANGDI_CHILD_ACKS", acks)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// The last number each client was told to be stored, before a moment.
pub(crate) fn acknowledged(acks: &Path, before: u128) -> HashMap<u16, u64> {
    let text = std::fs::read_to_string(acks).unwrap_or_default();
    let mut last = HashMap::new();
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let mut fields = line.split_whitespace();
        let (client, number) = (fields.next().unwrap(), fields.next().unwrap());
        if fields.next().unwrap().parse::<u128>().unwrap() < before {
            last.insert(client.parse().unwrap(), number.parse().unwrap());
        }
    }
    last
}

/// Everything acknowledged is there, everything there is whole, nothing else is there.
pub(crate) fn verify(store: &Store, acked: &HashMap<u16, u64>) -> u64 {
    let mut total = 0;
    for client in 0..CLIENTS {
        let last = store.get(&LAST, &client).unwrap().unwrap_or_default();
        let told = acked.get(&client).copied().unwrap_or_default();
        assert!(last >= told, "client {client}: {told} was acknowledged, {last} is there");
        total += last;
        let rows = store.scan_under(&ROWS, &(client,), None, usize::MAX).unwrap();
        let first = (last + 1).saturating_sub(KEPT).max(1);
        let numbers: Vec<u64> = rows.iter().map(|((_, number), _)| *number).collect();
        assert_eq!(numbers, (first..=last).collect::<Vec<_>>(), "client {client}: rows are torn");
        for ((_, number), Raw(value)) in &rows {
            assert_eq!(*value, body(client, *number));
            assert!(INDEX.holds(store, &(mix(*number), client, *number)).unwrap());
        }
        verify_journals(store, client, last);
    }
    let index = store.scan(&INDEX, .., usize::MAX).unwrap();
    assert!(index.len() <= usize::from(CLIENTS) * usize::try_from(KEPT).unwrap());
    assert_eq!(store.ledger_head().size, total, "ledger and units differ");
    let report = store.check();
    assert!(report.complete && report.is_sound(), "{:?}", report.findings);
    total
}

fn verify_journals(store: &Store, client: u16, last: u64) {
    assert_eq!(store.last(&LANE, &client).unwrap().unwrap_or_default(), last);
    assert_eq!(store.last(&SECRET, &client).unwrap().unwrap_or_default(), last);
    let kept: Vec<u64> = ((last + 1).saturating_sub(PASSING_KEPT).max(1)..=last).collect();
    let mut keys: Vec<(u8, u8)> = kept.iter().map(|number| passing(client, *number)).collect();
    keys.sort_unstable();
    let head = (keys.first().map_or(0, |key| key.0),);
    if last > 0 {
        assert_eq!(store.journals_under(&PASSING, &head, 99).unwrap(), keys);
    }
    for number in kept {
        let entries = store.read_from(&PASSING, &passing(client, number), 1, 9, 1 << 20).unwrap();
        assert_eq!(entries, [1, 2].map(|at| (at, body(client, number))));
    }
    let mut next = 1;
    while next <= last {
        let entries = store.read_from(&LANE, &client, next, 1000, 1 << 20).unwrap();
        assert!(!entries.is_empty());
        for (position, entry) in entries {
            assert_eq!(position, next);
            assert_eq!(entry, body(client, position));
            next += 1;
        }
    }
    if last > 0 {
        let entry = store.read(&SECRET, &client, last).unwrap();
        assert_eq!(entry, Some(last.to_be_bytes().to_vec()));
    }
}

/// Waits until the child has acknowledged something, so that a round is not about an empty store.
pub(crate) fn wait_for_acks(acks: &Path, child: &mut Writer) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    let before = std::fs::metadata(acks).map_or(0, |file| file.len());
    while std::fs::metadata(acks).map_or(0, |file| file.len()) <= before {
        assert!(std::time::Instant::now() < deadline, "the child acknowledges nothing");
        assert_eq!(child.0.try_wait().unwrap(), None, "the child ended");
        std::thread::sleep(Duration::from_millis(1));
    }
}
