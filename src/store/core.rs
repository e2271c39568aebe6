//! What readers and the committer share.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use domain::id::PersonId;
use domain::time::UnixMillis;
use zeroize::Zeroizing;

use crate::backup::tap::Tap;
use crate::counters::Counters;
use crate::engine::{Bytes, Engine};
use crate::error::{StoreError, StoreFailure};
use crate::journal::{Kind, pages_after, pages_until, position_of};
use crate::key::KeyBuf;
use crate::ledger::LedgerHead;
use crate::seal::Keys;
use crate::subject::{Subject, SubjectCache};
use crate::tables::SUBJECT_KEY;

/// How far the clock may go back while signed heads keep their time: calls cross, and clocks are set right by a little.
const BACK_MAX_MS: u64 = 600_000;

/// The open store without its queue.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) engine: Engine,
    pub(crate) keys: Keys,
    pub(crate) subjects: SubjectCache,
    pub(crate) counters: Counters,
    /// Where groups are copied while a backup is being made.
    pub(crate) tap: Tap,
    /// Set once, by the committer, when a write, flush or sync has failed.
    pub(crate) failure: OnceLock<StoreFailure>,
    /// When the committer began the group it is at, in milliseconds since `since`, plus one; 0 while
    /// it waits for work.
    busy: AtomicU64,
    since: Instant,
    /// The last head that is on disk. Written by the committer once a group; read by anybody, both
    /// for the length of a copy.
    head: Mutex<LedgerHead>,
    /// The time that the last signed head bears; held while a head is taken to be signed.
    signed: Mutex<UnixMillis>,
    /// Journals of the group that is being written, with the last position that is on disk: readers
    /// see no entry that a power cut could still take back, because a courier would send it.
    unsettled: Mutex<HashMap<Bytes, u64>>,
}

impl Core {
    pub(crate) fn new(engine: Engine, keys: Keys, head: LedgerHead) -> Self {
        Self {
            engine,
            keys,
            subjects: SubjectCache::default(),
            counters: Counters::default(),
            tap: Tap::default(),
            failure: OnceLock::new(),
            busy: AtomicU64::new(0),
            since: Instant::now(),
            head: Mutex::new(head),
            signed: Mutex::new(UnixMillis::new(0)),
            unsettled: Mutex::default(),
        }
    }

    pub(crate) fn begin(&self) {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.busy.store(now.saturating_add(1), Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.busy.store(0, Ordering::Relaxed);
    }

    pub(crate) fn busy_for(&self) -> Duration {
        match self.busy.load(Ordering::Relaxed).checked_sub(1) {
            Some(began) => self.since.elapsed().saturating_sub(Duration::from_millis(began)),
            None => Duration::ZERO,
        }
    }

    pub(crate) fn head(&self) -> LedgerHead {
        *lock(&self.head)
    }

    pub(crate) fn head_to_sign(&self, now: UnixMillis) -> (LedgerHead, UnixMillis) {
        let mut last = lock(&self.signed);
        let went_back = last.get().saturating_sub(now.get());
        if !(1..=BACK_MAX_MS).contains(&went_back) {
            *last = now;
        }
        (self.head(), *last)
    }

    pub(crate) fn set_head(&self, head: LedgerHead) {
        *lock(&self.head) = head;
    }

    /// Hides what is about to be written to journals from readers.
    pub(crate) fn hide(&self, journals: impl Iterator<Item = (Bytes, u64)>) {
        lock(&self.unsettled).extend(journals);
    }

    /// Shows it, now that it is on disk.
    pub(crate) fn show(&self) {
        lock(&self.unsettled).clear();
    }

    /// The key of a person, unless it was erased.
    pub(crate) fn subject(&self, person: PersonId) -> Result<Option<Subject>, StoreError> {
        let looked_at = match self.subjects.find(person) {
            Ok(subject) => return Ok(Some(subject)),
            Err(looked_at) => looked_at,
        };
        let key = SUBJECT_KEY.key(&person);
        let Some(bytes) = self.engine.get(key.as_slice())? else { return Ok(None) };
        let row = SUBJECT_KEY.read(&self.keys, key.as_slice(), &bytes)?;
        let subject = Subject::new(person, Zeroizing::new(row.salt));
        self.subjects.keep(subject.clone(), looked_at);
        Ok(Some(subject))
    }

    /// Position of the last entry of a journal that is on disk, or before the first one.
    pub(crate) fn journal_next(&self, kind: Kind, head: &KeyBuf) -> Result<u64, StoreError> {
        if let Some(next) = lock(&self.unsettled).get(head.as_slice()) {
            return Ok(*next);
        }
        let next = self.journal_next_on_disk(kind, head)?;
        // A group may have begun between the two looks; then its own note is the truth.
        Ok(lock(&self.unsettled).get(head.as_slice()).map_or(next, |settled| next.min(*settled)))
    }

    /// The same from the rows alone.
    pub(crate) fn journal_next_on_disk(
        &self,
        kind: Kind,
        head: &KeyBuf,
    ) -> Result<u64, StoreError> {
        let bounds = pages_until(head.as_slice(), u64::MAX);
        match self.engine.range(slices(&bounds)).next_back() {
            Some(row) => {
                let (key, value) = row?;
                Ok(kind.page(&self.keys, &key, &value)?.next())
            }
            None => Ok(kind.first),
        }
    }

    /// Hands entries from `from` on, up to but without `until`, to `take`, until it says no.
    pub(crate) fn journal_entries(
        &self,
        kind: Kind,
        head: &KeyBuf,
        (from, until): (u64, u64),
        mut take: impl FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let start = pages_until(head.as_slice(), from);
        let first = self.engine.range(slices(&start)).next_back().transpose()?;
        let Some((key, value)) = first else { return Ok(()) };
        let after = pages_after(head, position_of(&key).unwrap_or_default());
        let rest = self.engine.range(slices(&after));
        let mut at = from;
        for row in std::iter::once(Ok((key, value))).chain(rest) {
            let (key, value) = row?;
            let page = kind.page(&self.keys, &key, &value)?;
            while let Some(entry) = page.entry(at) {
                if at >= until || !take(at, entry) {
                    return Ok(());
                }
                at += 1;
            }
            if at >= until {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Bounds as the engine takes them.
pub(crate) fn slices(bounds: &(Bound<KeyBuf>, Bound<KeyBuf>)) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (bounds.0.as_ref().map(KeyBuf::as_slice), bounds.1.as_ref().map(KeyBuf::as_slice))
}

/// Sections under these locks only move values; a panic in one leaves nothing half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::page_key;

    #[test]
    fn a_position_is_the_end_of_a_page_key() {
        let head = KeyBuf::new(4);
        assert_eq!(position_of(page_key(head.as_slice(), 77).as_slice()), Some(77));
    }
}
