//! A unit of work: reads and writes that become visible together or not at all.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::{Bound, RangeBounds};

use domain::id::PersonId;

use crate::core::{Core, slices};
use crate::engine::{Bytes, Row};
use crate::error::StoreError;
use crate::journal::{Journal, Kind, Tail, pages_of};
use crate::key::{Key, KeyBuf, StartsWith};
use crate::limits::{JOURNAL_ENTRY_BYTES_MAX, LEDGER_ENTRY_BYTES_MAX, SCAN_ROWS_MAX};
use crate::subject::{Kept, Subject};
use crate::table::{Direct, Personal, Table, split_personal};
use crate::tables::LEDGER;
use crate::value::Value;

/// Everything the units of one group have written so far.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) rows: BTreeMap<Bytes, Option<Bytes>>,
    pub(crate) tails: HashMap<Bytes, Tail>,
    /// Journals that were removed; what they had before this group is gone.
    pub(crate) removed: HashSet<Bytes>,
    /// Rows whose former values must be gone, also from the blocks they were packed into.
    pub(crate) scrubbed: HashSet<Bytes>,
    /// Persons whose keys were destroyed.
    pub(crate) erased: Vec<PersonId>,
    pub(crate) bytes: usize,
    pub(crate) scratch: Vec<u8>,
}

impl Group {
    /// Nothing was written.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.tails.is_empty()
    }
}

/// Next positions of journals that were written lately.
pub(crate) type Tails = HashMap<Bytes, u64>;

/// How to take back one write.
enum Undo {
    Row(Bytes, Option<Option<Bytes>>),
    Append(Bytes),
    /// A journal that was removed: what this group had appended to it, and whether it had been removed
    /// before.
    Remove {
        head: Bytes,
        tail: Option<Tail>,
        again: bool,
    },
    Erase,
    /// An entry of this group's own that was replaced.
    Replace(Bytes, u64, Vec<u8>),
}

/// A unit of work under way, on the committer's thread. It sees what the units before it wrote, and
/// its own writes; nobody else sees them before they are on disk.
///
/// It must not block: everybody waits for it.
pub struct Unit<'a> {
    core: &'a Core,
    group: &'a mut Group,
    known: &'a Tails,
    undo: Vec<Undo>,
}

impl<'a> Unit<'a> {
    pub(crate) fn new(core: &'a Core, group: &'a mut Group, known: &'a Tails) -> Self {
        Self { core, group, known, undo: Vec::new() }
    }

    /// Takes back every write of this unit, last one first.
    pub(crate) fn roll_back(&mut self) {
        while let Some(step) = self.undo.pop() {
            match step {
                Undo::Row(key, Some(before)) => drop(self.group.rows.insert(key, before)),
                Undo::Row(key, None) => drop(self.group.rows.remove(&key)),
                Undo::Append(head) => {
                    if let Some(tail) = self.group.tails.get_mut(&head) {
                        tail.pop();
                    }
                }
                Undo::Remove { head, tail, again } => self.take_back_removal(head, tail, again),
                Undo::Erase => drop(self.group.erased.pop()),
                Undo::Replace(head, position, entry) => {
                    if let Some(tail) = self.group.tails.get_mut(&head) {
                        tail.replace(position, &entry);
                    }
                }
            }
        }
    }

    fn take_back_removal(&mut self, head: Bytes, tail: Option<Tail>, again: bool) {
        if !again {
            self.group.removed.remove(&head);
        }
        match tail {
            Some(tail) => drop(self.group.tails.insert(head, tail)),
            None => drop(self.group.tails.remove(&head)),
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
        let Some(bytes) = self.bytes(key.as_slice())? else { return Ok(None) };
        table.read(&self.core.keys, key.as_slice(), &bytes).map(Some)
    }

    /// Whether there is a row under a key.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn contains<K: Key, V: Value, P: crate::table::Protected>(
        &self,
        table: &Table<K, V, P>,
        key: &K,
    ) -> Result<bool, StoreError> {
        Ok(self.bytes(table.key(key).as_slice())?.is_some())
    }

    /// Writes a row, over the one that was there.
    ///
    /// # Errors
    /// When the value is too large or cannot be encoded.
    pub fn put<K: Key, V: Value, P: Direct>(
        &mut self,
        table: &Table<K, V, P>,
        key: &K,
        value: &V,
    ) -> Result<(), StoreError> {
        let key = table.key(key);
        let mut buf = std::mem::take(&mut self.group.scratch);
        buf.clear();
        let encoded = table
            .encode(value, &mut buf)
            .and_then(|()| table.wrap(&self.core.keys, key.as_slice(), &mut buf));
        if encoded.is_ok() {
            self.write(Bytes::from(key.as_slice()), Some(Bytes::from(buf.as_slice())));
        }
        self.group.scratch = buf;
        encoded
    }

    /// Has the former value of a row that is written over taken out of wherever the store has packed it. Without it a
    /// former value may stay until its neighbours are packed again.
    pub fn scrub<K: Key, V: Value, P: crate::table::Protected>(
        &mut self,
        table: &Table<K, V, P>,
        key: &K,
    ) {
        // Stays when the unit is taken back: it says nothing about what is written.
        self.group.scrubbed.insert(Bytes::from(table.key(key).as_slice()));
    }

    /// The same for a row of any table.
    pub(crate) fn scrub_row(&mut self, key: Bytes) {
        self.group.scrubbed.insert(key);
    }

    /// Deletes a row, if there is one.
    pub fn delete<K: Key, V: Value, P: crate::table::Protected>(
        &mut self,
        table: &Table<K, V, P>,
        key: &K,
    ) {
        self.write(Bytes::from(table.key(key).as_slice()), None);
    }

    /// Rows of a range, in the order of their keys, at most `limit` and [`SCAN_ROWS_MAX`].
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn scan<K: Key, V: Value, P: Direct>(
        &self,
        table: &Table<K, V, P>,
        range: impl RangeBounds<K>,
        limit: usize,
    ) -> Result<Vec<(K, V)>, StoreError> {
        let rows = self.rows(&table.bounds(&range), limit)?;
        rows.iter().map(|row| self.decode(table, row)).collect()
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
        let rows = self.rows(&table.bounds_under(head, after), limit)?;
        rows.iter().map(|row| self.decode(table, row)).collect()
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
        let Some(bytes) = self.bytes(key.as_slice())? else { return Ok(None) };
        let (person, sealed) = split_personal(&bytes).map_err(StoreError::corrupt(table.name()))?;
        let Some(subject) = self.subject_of(person)? else { return Ok(Some(Kept::Erased)) };
        subject.open(&self.core.keys, table, key.as_slice(), sealed).map(Some)
    }

    /// Writes a person's row.
    ///
    /// # Errors
    /// When the value is too large or cannot be encoded.
    pub fn put_personal<K: Key, V: Value>(
        &mut self,
        table: &Table<K, V, Personal>,
        subject: &Subject,
        key: &K,
        value: &V,
    ) -> Result<(), StoreError> {
        let key = table.key(key);
        let mut buf = Vec::new();
        table.encode(value, &mut buf)?;
        let sealed = subject.seal(&self.core.keys, table.name(), key.as_slice(), &mut buf);
        sealed.map_err(StoreError::corrupt(table.name()))?;
        self.write(Bytes::from(key.as_slice()), Some(Bytes::from(buf)));
        Ok(())
    }

    /// Appends an entry to a journal and says at which position.
    ///
    /// # Errors
    /// When the entry is too large.
    pub fn append<K: Key>(
        &mut self,
        journal: &Journal<K>,
        key: &K,
        entry: &[u8],
    ) -> Result<u64, StoreError> {
        if entry.len() > JOURNAL_ENTRY_BYTES_MAX {
            let (bytes, limit) = (entry.len(), JOURNAL_ENTRY_BYTES_MAX);
            return Err(StoreError::TooLarge { table: journal.name(), bytes, limit });
        }
        let head = journal.head(key);
        let position = self.tail(journal.kind(), &head)?.push(entry);
        self.group.bytes += entry.len();
        self.undo.push(Undo::Append(Bytes::from(head.as_slice())));
        Ok(position)
    }

    /// Appends an entry where the caller expects it to go.
    ///
    /// # Errors
    /// [`StoreError::OutOfOrder`] when the journal continues elsewhere, or as for
    /// [`append`](Self::append).
    pub fn append_at<K: Key>(
        &mut self,
        journal: &Journal<K>,
        key: &K,
        asked: u64,
        entry: &[u8],
    ) -> Result<(), StoreError> {
        let expected = self.next_position(journal, key)?;
        if expected != asked {
            return Err(StoreError::OutOfOrder { journal: journal.name(), expected, asked });
        }
        self.append(journal, key, entry).map(drop)
    }

    /// Position that the next entry of a journal gets.
    ///
    /// # Errors
    /// When the last page cannot be read.
    pub fn next_position<K: Key>(&self, journal: &Journal<K>, key: &K) -> Result<u64, StoreError> {
        let head = journal.head(key);
        match self.group.tails.get(head.as_slice()) {
            Some(tail) => Ok(tail.next()),
            None => self.next_before_group(journal.kind(), &head),
        }
    }

    /// An entry of a journal, also one that this group has appended.
    ///
    /// # Errors
    /// When its page cannot be read.
    pub fn read<K: Key>(
        &self,
        journal: &Journal<K>,
        key: &K,
        position: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let head = journal.head(key);
        if let Some(entry) = self.group.tails.get(head.as_slice()).and_then(|t| t.entry(position)) {
            return Ok(Some(entry.to_vec()));
        }
        let mut found = None;
        if self.group.removed.contains(head.as_slice()) {
            return Ok(found);
        }
        let span = (position, position.saturating_add(1));
        self.core.journal_entries(journal.kind(), &head, span, |_, entry| {
            found = Some(entry.to_vec());
            false
        })?;
        Ok(found)
    }

    /// Removes a journal with all its entries; what is appended afterwards begins at the first position
    /// again.
    ///
    /// # Errors
    /// [`StoreError::Permanent`] for a journal that is not [`Journal::removable`]; else when its pages
    /// cannot be read.
    pub fn remove_journal<K: Key>(
        &mut self,
        journal: &Journal<K>,
        key: &K,
    ) -> Result<(), StoreError> {
        if !journal.is_removable() {
            return Err(StoreError::Permanent(journal.name()));
        }
        let head = journal.head(key);
        let pages = self.core.engine.range(slices(&pages_of(&head)));
        let pages = pages.map(|row| Ok(row?.0)).collect::<Result<Vec<Bytes>, StoreError>>()?;
        pages.into_iter().for_each(|page| self.write(page, None));
        let head = Bytes::from(head.as_slice());
        let tail = self.group.tails.remove(&head);
        let again = !self.group.removed.insert(head.clone());
        self.undo.push(Undo::Remove { head, tail, again });
        Ok(())
    }

    /// Appends an entry to the ledger and says at which index (from 0).
    ///
    /// # Errors
    /// When the entry is too large.
    pub fn append_ledger(&mut self, entry: &[u8]) -> Result<u64, StoreError> {
        if entry.len() > LEDGER_ENTRY_BYTES_MAX {
            let (bytes, limit) = (entry.len(), LEDGER_ENTRY_BYTES_MAX);
            return Err(StoreError::TooLarge { table: LEDGER.name(), bytes, limit });
        }
        self.append(&LEDGER, &(), entry)
    }

    pub(crate) fn group_bytes(&self) -> usize {
        self.group.bytes
    }

    pub(crate) fn core(&self) -> &'a Core {
        self.core
    }

    pub(crate) fn bytes(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.group.rows.get(key) {
            Some(pending) => Ok(pending.clone()),
            None => Ok(self.core.engine.get(key)?),
        }
    }

    /// What this group has done to a row: nothing, deleted it, or written it.
    pub(crate) fn pending(&self, key: &[u8]) -> Option<Option<&Bytes>> {
        self.group.rows.get(key).map(Option::as_ref)
    }

    pub(crate) fn erase_key_of(&mut self, person: PersonId) {
        self.group.erased.push(person);
        self.undo.push(Undo::Erase);
    }

    /// Replaces an entry that this group has appended, if it has.
    pub(crate) fn redact_tail(&mut self, head: &KeyBuf, position: u64, entry: &[u8]) -> bool {
        let tail = self.group.tails.get_mut(head.as_slice());
        let Some(before) = tail.and_then(|tail| tail.replace(position, entry)) else {
            return false;
        };
        self.undo.push(Undo::Replace(Bytes::from(head.as_slice()), position, before));
        true
    }

    pub(crate) fn write(&mut self, key: Bytes, value: Option<Bytes>) {
        self.group.bytes += key.len() + value.as_ref().map_or(0, |value| value.len());
        let before = self.group.rows.insert(key.clone(), value);
        self.undo.push(Undo::Row(key, before));
    }

    fn tail(&mut self, kind: Kind, head: &KeyBuf) -> Result<&mut Tail, StoreError> {
        if !self.group.tails.contains_key(head.as_slice()) {
            let next = self.next_before_group(kind, head)?;
            let tail = Tail::new(kind, next);
            return Ok(self.group.tails.entry(Bytes::from(head.as_slice())).or_insert(tail));
        }
        let slot = self.group.tails.entry(Bytes::from(head.as_slice()));
        Ok(slot.or_insert_with(|| Tail::new(kind, kind.first)))
    }

    fn next_before_group(&self, kind: Kind, head: &KeyBuf) -> Result<u64, StoreError> {
        if self.group.removed.contains(head.as_slice()) {
            return Ok(kind.first);
        }
        match self.known.get(head.as_slice()) {
            Some(next) => Ok(*next),
            None => self.core.journal_next_on_disk(kind, head),
        }
    }

    fn decode<K: Key, V: Value, P: Direct>(
        &self,
        table: &Table<K, V, P>,
        (key, value): &Row,
    ) -> Result<(K, V), StoreError> {
        Ok((table.read_key(key)?, table.read(&self.core.keys, key, value)?))
    }

    /// Rows of the disk with those of the group laid over them.
    fn rows(
        &self,
        bounds: &(Bound<KeyBuf>, Bound<KeyBuf>),
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let limit = limit.min(SCAN_ROWS_MAX);
        let range = slices(bounds);
        if empty(range) {
            return Ok(Vec::new());
        }
        let mut disk = self.core.engine.range(range).peekable();
        let mut pending = self.group.rows.range::<[u8], _>(range).peekable();
        let mut rows = Vec::new();
        while rows.len() < limit {
            let take_pending = match (disk.peek(), pending.peek()) {
                (Some(Ok((on_disk, _))), Some((in_group, _))) => *in_group <= on_disk,
                (None, Some(_)) => true,
                (Some(_), _) => false,
                (None, None) => break,
            };
            if !take_pending {
                if let Some(row) = disk.next() {
                    rows.push(row?);
                }
                continue;
            }
            let Some((key, value)) = pending.next() else { break };
            // The row of the group replaces the one on disk under the same key.
            disk.next_if(|row| row.as_ref().is_ok_and(|(on_disk, _)| on_disk == key));
            if let Some(value) = value {
                rows.push((key.clone(), value.clone()));
            }
        }
        Ok(rows)
    }
}

/// Ranges that end before they begin; the standard map panics on them.
pub(crate) fn empty((lo, hi): (Bound<&[u8]>, Bound<&[u8]>)) -> bool {
    match (lo, hi) {
        (Bound::Included(lo), Bound::Included(hi)) => lo > hi,
        (Bound::Included(lo) | Bound::Excluded(lo), Bound::Included(hi) | Bound::Excluded(hi)) => {
            lo >= hi
        }
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    }
}

impl std::fmt::Debug for Unit<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Unit({} writes)", self.undo.len())
    }
}
