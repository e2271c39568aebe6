//! The open store: hand in units of work, read what is there.

use std::ops::{Bound, RangeBounds};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use domain::id::PersonId;
use domain::time::UnixMillis;

use crate::committer::Message;
use crate::core::{Core, lock, slices};
use crate::counters::Statistics;
use crate::engine::{Row, SnapshotAtEnd};
use crate::error::{CommitError, StoreError, StoreFailure};
use crate::journal::Journal;
use crate::key::{Key, KeyBuf, StartsWith};
use crate::ledger::LedgerHead;
use crate::limits::{SCAN_ROWS_MAX, SNAPSHOT_AFTER_BYTES};
use crate::pending::{Pending, Task, task};
use crate::subject::{Kept, PersonHash, Subject};
use crate::table::{Direct, Personal, Protected, Table, TableInfo, next_prefix, split_personal};
use crate::tables::{LEDGER, SUBJECT};
use crate::unit::{Unit, empty};
use crate::value::Value;

/// The store of one node. Clones share it; the last one to go closes it, better is
/// [`close`](Store::close).
///
/// Writes go through units of work ([`commit`](Store::commit)). Reads may come from any thread; they
/// see whole units, but those of the group that is just being written perhaps a millisecond before
/// they are safe from a power cut. So what is promised to others is the result of a unit, or comes
/// from a journal or the ledger head: these never run ahead of the disk.
#[derive(Debug, Clone)]
pub struct Store(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) core: Arc<Core>,
    pub(crate) queue: flume::Sender<Message>,
    /// Taken by whoever closes; locked only for that.
    pub(crate) thread: Mutex<Option<JoinHandle<()>>>,
    pub(crate) dir: PathBuf,
    pub(crate) catalogue: &'static [TableInfo],
    /// After `core`, because fields are dropped in this order and it needs the database closed.
    pub(crate) snapshot: SnapshotAtEnd,
}

/// One entry of a journal.
pub type Entry = (u64, Vec<u8>);

impl Store {
    pub(crate) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// Runs a unit of work, together with all others that wait, and returns when it is on disk.
    /// Waits for room while the queue is full.
    ///
    /// # Errors
    /// [`CommitError::Refused`] with the unit's own error; its writes are gone, those of others
    /// stay. The other variants say what became of the store.
    pub async fn commit<T, E, F>(&self, work: F) -> Result<T, CommitError<E>>
    where
        F: FnOnce(&mut Unit<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        self.enqueue(work).await?.await
    }

    /// Queues a unit of work and returns before it is done: units of one caller run in the order in
    /// which they were queued. Waits for room while the queue is full.
    ///
    /// # Errors
    /// [`CommitError::StoreFailed`] or [`CommitError::Closed`].
    pub async fn enqueue<T, E, F>(&self, work: F) -> Result<Pending<T, E>, CommitError<E>>
    where
        F: FnOnce(&mut Unit<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        self.standing()?;
        let (job, pending) = task(work);
        let sent = self.0.queue.send_async(Message::Work(job)).await;
        sent.map_err(|_| CommitError::Closed)?;
        Ok(pending)
    }

    /// Queues a unit of work if there is room now.
    ///
    /// # Errors
    /// [`CommitError::Full`] when there is none, else as for [`enqueue`](Store::enqueue).
    pub fn try_commit<T, E, F>(&self, work: F) -> Result<Pending<T, E>, CommitError<E>>
    where
        F: FnOnce(&mut Unit<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        self.standing()?;
        let (job, pending) = task(work);
        match self.0.queue.try_send(Message::Work(job)) {
            Ok(()) => Ok(pending),
            Err(flume::TrySendError::Full(_)) => Err(CommitError::Full),
            Err(flume::TrySendError::Disconnected(_)) => Err(CommitError::Closed),
        }
    }

    /// [`commit`](Store::commit) for threads that may block.
    ///
    /// # Errors
    /// As for [`commit`](Store::commit).
    pub fn commit_blocking<T, E, F>(&self, work: F) -> Result<T, CommitError<E>>
    where
        F: FnOnce(&mut Unit<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        self.standing()?;
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let job = Task::boxed(work, move |answer| drop(sender.send(answer)));
        self.0.queue.send(Message::Work(job)).map_err(|_| CommitError::Closed)?;
        receiver.recv().unwrap_or(Err(CommitError::Closed))
    }

    fn standing<E>(&self) -> Result<(), CommitError<E>> {
        match self.failure() {
            Some(failure) => Err(CommitError::StoreFailed(failure.clone())),
            None => Ok(()),
        }
    }

    /// The value under a key.
    ///
    /// # Errors
    /// When the row cannot be read.
    pub fn get<K: Key, V: Value, P: Direct>(
        &self,
        table: &Table<K, V, P>,
        key: &K,
    ) -> Result<Option<V>, StoreError> {
        let key = table.key(key);
        let Some(bytes) = self.core().engine.get(key.as_slice())? else { return Ok(None) };
        table.read(&self.core().keys, key.as_slice(), &bytes).map(Some)
    }

    /// The value of a person's row.
    ///
    /// # Errors
    /// When the row cannot be read.
    pub fn get_personal<K: Key, V: Value>(
        &self,
        table: &Table<K, V, Personal>,
        key: &K,
    ) -> Result<Option<Kept<V>>, StoreError> {
        let key = table.key(key);
        let Some(bytes) = self.core().engine.get(key.as_slice())? else { return Ok(None) };
        self.open_personal(table, key.as_slice(), &bytes).map(Some)
    }

    /// Rows of a range in the order of their keys, at most `limit` and [`SCAN_ROWS_MAX`].
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn scan<K: Key, V: Value, P: Direct>(
        &self,
        table: &Table<K, V, P>,
        range: impl RangeBounds<K>,
        limit: usize,
    ) -> Result<Vec<(K, V)>, StoreError> {
        self.collect(&table.bounds(&range), limit, false, |row| self.decode(table, row))
    }

    /// The same from the end of the range: the last row first.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn scan_back<K: Key, V: Value, P: Direct>(
        &self,
        table: &Table<K, V, P>,
        range: impl RangeBounds<K>,
        limit: usize,
    ) -> Result<Vec<(K, V)>, StoreError> {
        self.collect(&table.bounds(&range), limit, true, |row| self.decode(table, row))
    }

    /// Rows under the first fields of a key, after `after`, at most `limit` and [`SCAN_ROWS_MAX`].
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn scan_under<H: Key, K: StartsWith<H>, V: Value, P: Direct>(
        &self,
        table: &Table<K, V, P>,
        head: &H,
        after: Option<&K>,
        limit: usize,
    ) -> Result<Vec<(K, V)>, StoreError> {
        let bounds = table.bounds_under(head, after);
        self.collect(&bounds, limit, false, |row| self.decode(table, row))
    }

    /// Persons' rows of a range; of the erased ones only the keys are left.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn scan_personal<K: Key, V: Value>(
        &self,
        table: &Table<K, V, Personal>,
        range: impl RangeBounds<K>,
        limit: usize,
    ) -> Result<Vec<(K, Kept<V>)>, StoreError> {
        self.collect(&table.bounds(&range), limit, false, |(key, value)| {
            Ok((table.read_key(key)?, self.open_personal(table, key, value)?))
        })
    }

    /// The same from the end of the range backwards.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn scan_personal_back<K: Key, V: Value>(
        &self,
        table: &Table<K, V, Personal>,
        range: impl RangeBounds<K>,
        limit: usize,
    ) -> Result<Vec<(K, Kept<V>)>, StoreError> {
        self.collect(&table.bounds(&range), limit, true, |(key, value)| {
            Ok((table.read_key(key)?, self.open_personal(table, key, value)?))
        })
    }

    /// The entry of a journal at a position, once it is on disk.
    ///
    /// # Errors
    /// When its page cannot be read.
    pub fn read<K: Key>(
        &self,
        journal: &Journal<K>,
        key: &K,
        position: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let entries = self.read_from(journal, key, position, 1, usize::MAX)?;
        Ok(entries.into_iter().next().map(|(_, entry)| entry))
    }

    /// Entries of a journal from a position on, as far as they are on disk: at most `count`, and
    /// no further one once `bytes` are reached.
    ///
    /// # Errors
    /// When a page cannot be read.
    pub fn read_from<K: Key>(
        &self,
        journal: &Journal<K>,
        key: &K,
        position: u64,
        count: usize,
        bytes: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let (kind, head) = (journal.kind(), journal.head(key));
        let until = self.core().journal_next(kind, &head)?;
        let mut entries: Vec<Entry> = Vec::new();
        if position >= until || count == 0 {
            return Ok(entries);
        }
        let mut taken = 0_usize;
        self.core().journal_entries(kind, &head, (position, until), |at, entry| {
            taken = taken.saturating_add(entry.len());
            if !entries.is_empty() && taken > bytes {
                return false;
            }
            entries.push((at, entry.to_vec()));
            entries.len() < count
        })?;
        Ok(entries)
    }

    /// Position of the last entry of a journal that is on disk.
    ///
    /// # Errors
    /// When the last page cannot be read.
    pub fn last<K: Key>(&self, journal: &Journal<K>, key: &K) -> Result<Option<u64>, StoreError> {
        let next = self.core().journal_next(journal.kind(), &journal.head(key))?;
        Ok(if next > journal.kind().first { next.checked_sub(1) } else { None })
    }

    /// Keys of the journals under the first fields of a key that have entries, at most `limit`. Entries
    /// that are just being written may count. Costs one look-up a journal.
    ///
    /// # Errors
    /// When a key cannot be read.
    pub fn journals_under<H: Key, K: StartsWith<H>>(
        &self,
        journal: &Journal<K>,
        head: &H,
        limit: usize,
    ) -> Result<Vec<K>, StoreError> {
        let mut low = KeyBuf::new(journal.prefix());
        head.write(&mut low);
        let high = Bound::Excluded(next_prefix(low));
        let mut keys = Vec::new();
        while keys.len() < limit {
            let bounds = (Bound::Included(low), high);
            let Some(row) = self.core().engine.range(slices(&bounds)).next() else { break };
            let key = journal.read_head(&row?.0)?;
            low = next_prefix(journal.head(&key));
            keys.push(key);
        }
        Ok(keys)
    }

    /// Size and root of the ledger as they are on disk.
    pub fn ledger_head(&self) -> LedgerHead {
        self.core().head()
    }

    /// The head of the ledger to be signed, and the time that it is to bear. Of two that are signed one after the other neither
    /// goes back; but after a clock that was more than ten minutes ahead the time is the right one.
    pub fn head_to_sign(&self, now: UnixMillis) -> (LedgerHead, UnixMillis) {
        self.core().head_to_sign(now)
    }

    /// Entries of the ledger from an index on; see [`read_from`](Store::read_from).
    ///
    /// # Errors
    /// When a page cannot be read.
    pub fn ledger_entries(
        &self,
        index: u64,
        count: usize,
        bytes: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.read_from(&LEDGER, &(), index, count, bytes)
    }

    /// The keyed hash under which a person with this document is found.
    pub fn person_hash(&self, document: &[u8]) -> PersonHash {
        PersonHash::new(&self.core().keys, document)
    }

    /// The person whom a document leads to, unless there is none or they were erased.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn find_subject(&self, document: PersonHash) -> Result<Option<Subject>, StoreError> {
        match self.get(&SUBJECT, &document)? {
            Some(person) => self.core().subject(PersonId::from_bytes(person)),
            None => Ok(None),
        }
    }

    /// Why the store no longer takes work, if so.
    pub fn failure(&self) -> Option<&StoreFailure> {
        self.core().failure.get()
    }

    /// Units of work that wait.
    pub fn waiting(&self) -> usize {
        self.0.queue.len()
    }

    /// How long the committer has been at its present group; zero while it waits for work. Seconds
    /// mean a disk that hangs or a lock inside the engine, and that nothing can be promised.
    pub fn busy_for(&self) -> Duration {
        self.core().busy_for()
    }

    /// Figures since the store was opened.
    pub fn statistics(&self) -> Statistics {
        self.core().counters.read()
    }

    /// Bytes of the database on disk.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn size_on_disk(&self) -> Result<u64, StoreError> {
        Ok(self.core().engine.size_on_disk()?)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Finishes what is queued, marks the store as closed in order, and waits for the disk: it
    /// blocks, as does dropping the last clone of a store that was not closed. Units
    /// handed in from now on are answered with [`CommitError::Closed`]; reads go on until the last
    /// clone is gone, and so does the lock on the directory. When the last clone goes after much was
    /// written, the database is tidied for a quick next start, which takes a moment more.
    ///
    /// # Errors
    /// The failure that stopped the store earlier or now.
    pub fn close(&self) -> Result<(), StoreFailure> {
        self.0.finish();
        self.failure().map_or(Ok(()), |failure| Err(failure.clone()))
    }

    pub(crate) fn core(&self) -> &Core {
        &self.0.core
    }

    pub(crate) fn catalogue(&self) -> &'static [TableInfo] {
        self.0.catalogue
    }

    fn open_personal<K: Key, V: Value>(
        &self,
        table: &Table<K, V, Personal>,
        row_key: &[u8],
        bytes: &[u8],
    ) -> Result<Kept<V>, StoreError> {
        let (person, sealed) = split_personal(bytes).map_err(StoreError::corrupt(table.name()))?;
        let Some(subject) = self.core().subject(person)? else { return Ok(Kept::Erased) };
        subject.open(&self.core().keys, table, row_key, sealed)
    }

    fn decode<K: Key, V: Value, P: Direct>(
        &self,
        table: &Table<K, V, P>,
        (key, value): &Row,
    ) -> Result<(K, V), StoreError> {
        Ok((table.read_key(key)?, table.read(&self.core().keys, key, value)?))
    }

    fn collect<T>(
        &self,
        bounds: &(Bound<KeyBuf>, Bound<KeyBuf>),
        limit: usize,
        back: bool,
        mut read: impl FnMut(&Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let range = slices(bounds);
        if empty(range) {
            return Ok(Vec::new());
        }
        let mut rows = self.core().engine.range(range);
        let mut next = || if back { rows.next_back() } else { rows.next() };
        let rows = std::iter::from_fn(&mut next).take(limit.min(SCAN_ROWS_MAX));
        rows.map(|row| read(&row?)).collect()
    }
}

impl<K: Key, V: Value, P: Protected> Table<K, V, P> {
    /// Whether there is a row under a key.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn holds(&self, store: &Store, key: &K) -> Result<bool, StoreError> {
        Ok(store.core().engine.get(self.key(key).as_slice())?.is_some())
    }
}

impl Shared {
    /// Ends the committer and waits for it. A second call finds nothing to do.
    fn finish(&self) {
        let Some(thread) = lock(&self.thread).take() else { return };
        // The committer has gone already when this cannot be sent.
        drop(self.queue.send(Message::Close));
        if thread.join().is_err() {
            tracing::error!("the committer ended with a panic");
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.finish();
        let written = self.core.counters.read().bytes >= SNAPSHOT_AFTER_BYTES;
        if written && self.core.failure.get().is_none() {
            self.snapshot.is_due();
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.dir.display())
    }
}
