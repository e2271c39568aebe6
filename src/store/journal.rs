//! Append-only journals, packed into pages: many small entries, few rows.
//!
//! A page is a row. Key: prefix ‖ journal key ‖ position of its first entry (8, big-endian).
//! Value: layout (1: clear, 2: sealed) ‖ count (4) ‖ end of each entry (4 each) ‖ entries. Sealed
//! pages hold nonce ‖ ciphertext ‖ tag after the layout byte.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::ops::Bound;

use crate::error::{Corrupt, StoreError};
use crate::key::{Key, KeyBuf};
use crate::limits::{JOURNAL_PAGE_BYTES, KEY_BYTES_MAX};
use crate::seal::Keys;
use crate::table::{Content, Protection, TableInfo, next_prefix};

const CLEAR: u8 = 1;
const SEALED: u8 = 2;
const POSITION_BYTES: usize = 8;

/// A family of journals, one for every key: entries are bytes, positions have no gaps.
pub struct Journal<K> {
    name: &'static str,
    prefix: u8,
    first: u64,
    sealed: bool,
    removable: bool,
    redactable: bool,
    packed: bool,
    types: PhantomData<fn() -> K>,
}

impl<K> Clone for Journal<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Journal<K> {}

impl<K> std::fmt::Debug for Journal<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Journal({}, {:#04x})", self.name, self.prefix)
    }
}

impl<K: Key> Journal<K> {
    /// Declares journals whose first position is 1. Name and prefix are written on disk and never
    /// change.
    ///
    /// # Panics
    /// At compile time, when the key is too wide or the prefix is 0xFF.
    pub const fn new(name: &'static str, prefix: u8) -> Self {
        assert!(1 + K::WIDTH + POSITION_BYTES <= KEY_BYTES_MAX, "the key is too wide");
        assert!(prefix < 0xFF, "0xFF has no upper neighbour to end a scan at");
        let (first, types) = (1, PhantomData);
        let (sealed, removable, redactable, packed) = (false, false, false, false);
        Self { name, prefix, first, sealed, removable, redactable, packed, types }
    }

    /// The same with another first position.
    #[must_use]
    pub const fn starting_at(self, first: u64) -> Self {
        Self { first, ..self }
    }

    /// The same with pages sealed by the key of the table.
    #[must_use]
    pub const fn sealed(self) -> Self {
        Self { sealed: true, ..self }
    }

    /// The same for journals that end: each can be removed as a whole, see
    /// [`Unit::remove_journal`](crate::Unit::remove_journal).
    #[must_use]
    pub const fn removable(self) -> Self {
        Self { removable: true, ..self }
    }

    /// The same for journals of which an entry can be replaced by a shorter one, see
    /// [`Unit::redact`](crate::Unit::redact).
    #[must_use]
    pub const fn redactable(self) -> Self {
        Self { redactable: true, ..self }
    }

    /// The same for journals that stay: their pages are packed, see [`Table::packed`](crate::Table::packed).
    #[must_use]
    pub const fn packed(self) -> Self {
        Self { packed: true, ..self }
    }

    /// The name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The first byte of every key.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Its line in the catalogue.
    pub const fn info(&self) -> TableInfo {
        let protection = if self.sealed { Protection::Sealed } else { Protection::Plain };
        let content = Content::Journal { key_width: K::WIDTH, first: self.first };
        let packed = self.packed;
        TableInfo { name: self.name, prefix: self.prefix, protection, packed, content }
    }

    /// Prefix and journal key: what all pages of one journal begin with.
    pub(crate) fn head(&self, key: &K) -> KeyBuf {
        let mut head = KeyBuf::new(self.prefix);
        key.write(&mut head);
        head
    }

    /// The journal's key in the row key of a page.
    pub(crate) fn read_head(&self, row_key: &[u8]) -> Result<K, StoreError> {
        let key = row_key.get(1..K::WIDTH.saturating_add(1)).ok_or(Corrupt::Key);
        key.and_then(K::read).map_err(StoreError::corrupt(self.name))
    }

    pub(crate) const fn is_removable(&self) -> bool {
        self.removable
    }

    pub(crate) const fn is_redactable(&self) -> bool {
        self.redactable
    }

    pub(crate) fn kind(&self) -> Kind {
        Kind { name: self.name, prefix: self.prefix, first: self.first, sealed: self.sealed }
    }
}

/// A journal family without its key type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) prefix: u8,
    pub(crate) first: u64,
    pub(crate) sealed: bool,
}

impl Kind {
    /// Opens a page.
    pub(crate) fn page<'a>(
        &self,
        keys: &Keys,
        row_key: &[u8],
        value: &'a [u8],
    ) -> Result<Page<'a>, StoreError> {
        let opened = match value.split_first() {
            Some((&CLEAR, body)) if !self.sealed => Ok(Cow::Borrowed(body)),
            Some((&SEALED, body)) if self.sealed => {
                let key = keys.table(self.name, self.prefix);
                key.and_then(|key| key.open(row_key, body)).map(Cow::Owned)
            }
            Some((&layout, _)) => Err(Corrupt::UnknownLayout(layout)),
            None => Err(Corrupt::Empty),
        };
        let first = position_of(row_key);
        opened
            .and_then(|body| Page::read(first.ok_or(Corrupt::Key)?, body))
            .map_err(StoreError::corrupt(self.name))
    }
}

/// Row key of a page.
pub(crate) fn page_key(head: &[u8], first: u64) -> KeyBuf {
    let mut key = KeyBuf::empty();
    key.push(head);
    key.push(&first.to_be_bytes());
    key
}

/// Position of the first entry of a page, from its row key.
pub(crate) fn position_of(row_key: &[u8]) -> Option<u64> {
    row_key.last_chunk::<POSITION_BYTES>().map(|bytes| u64::from_be_bytes(*bytes))
}

/// Bounds of all pages of a journal that begin at or before `position`.
pub(crate) fn pages_until(head: &[u8], position: u64) -> (Bound<KeyBuf>, Bound<KeyBuf>) {
    (Bound::Included(page_key(head, 0)), Bound::Included(page_key(head, position)))
}

/// Bounds of all pages of a journal.
pub(crate) fn pages_of(head: &KeyBuf) -> (Bound<KeyBuf>, Bound<KeyBuf>) {
    (Bound::Included(page_key(head.as_slice(), 0)), Bound::Excluded(next_prefix(*head)))
}

/// Bounds of all pages of a journal that begin after `position`.
pub(crate) fn pages_after(head: &KeyBuf, position: u64) -> (Bound<KeyBuf>, Bound<KeyBuf>) {
    let lo = Bound::Excluded(page_key(head.as_slice(), position));
    (lo, Bound::Excluded(next_prefix(*head)))
}

/// An opened page.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    first: u64,
    count: usize,
    body: Cow<'a, [u8]>,
}

impl<'a> Page<'a> {
    fn read(first: u64, body: Cow<'a, [u8]>) -> Result<Self, Corrupt> {
        let count = read_u32(&body, 0).ok_or(Corrupt::Page)?;
        let page = Self { first, count, body };
        let header = page.header_len();
        let room = page.body.len().checked_sub(header).ok_or(Corrupt::Page)?;
        let last = count.checked_sub(1).and_then(|last| page.end(last)).ok_or(Corrupt::Page)?;
        let ascending = (1..count).all(|i| page.end(i - 1) <= page.end(i));
        if last == room && ascending { Ok(page) } else { Err(Corrupt::Page) }
    }

    /// Position of the first entry.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Position after the last entry.
    pub(crate) fn next(&self) -> u64 {
        self.first.saturating_add(self.count.try_into().unwrap_or(u64::MAX))
    }

    /// The entry at a position of the journal.
    pub(crate) fn entry(&self, position: u64) -> Option<&[u8]> {
        let index = usize::try_from(position.checked_sub(self.first)?).ok()?;
        if index >= self.count {
            return None;
        }
        let start = match index.checked_sub(1) {
            Some(before) => self.end(before)?,
            None => 0,
        };
        let (header, end) = (self.header_len(), self.end(index)?);
        self.body.get(header.checked_add(start)?..header.checked_add(end)?)
    }

    fn header_len(&self) -> usize {
        self.count.saturating_mul(4).saturating_add(4)
    }

    fn end(&self, index: usize) -> Option<usize> {
        read_u32(&self.body, index.checked_add(1)?.checked_mul(4)?)
    }
}

fn read_u32(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_be_bytes(*four)).ok()
}

/// Entries appended to one journal by the current group.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) kind: Kind,
    /// Position of the first of them.
    pub(crate) first: u64,
    data: Vec<u8>,
    ends: Vec<usize>,
}

impl Tail {
    pub(crate) fn new(kind: Kind, first: u64) -> Self {
        Self { kind, first, data: Vec::new(), ends: Vec::new() }
    }

    /// The same entries behind those of the journal's last page.
    pub(crate) fn behind(&self, page: &Page<'_>) -> Self {
        let mut whole = Self::new(self.kind, page.first());
        let before = (page.first()..page.next()).map(|at| page.entry(at).unwrap_or_default());
        for entry in before.chain(self.entries()) {
            whole.push(entry);
        }
        whole
    }

    /// Position after the last entry.
    pub(crate) fn next(&self) -> u64 {
        self.first.saturating_add(self.ends.len().try_into().unwrap_or(u64::MAX))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds an entry and says at which position.
    pub(crate) fn push(&mut self, entry: &[u8]) -> u64 {
        let position = self.next();
        self.data.extend_from_slice(entry);
        self.ends.push(self.data.len());
        position
    }

    /// Takes back the last entry.
    pub(crate) fn pop(&mut self) {
        self.ends.pop();
        self.data.truncate(self.ends.last().copied().unwrap_or_default());
    }

    pub(crate) fn entry(&self, position: u64) -> Option<&[u8]> {
        self.slice(usize::try_from(position.checked_sub(self.first)?).ok()?)
    }

    /// Puts another entry in the place of one, and gives that one back.
    pub(crate) fn replace(&mut self, position: u64, entry: &[u8]) -> Option<Vec<u8>> {
        let before = self.entry(position)?.to_vec();
        let mut again = Self::new(self.kind, self.first);
        for (at, kept) in (self.first..).zip(self.entries()) {
            again.push(if at == position { entry } else { kept });
        }
        *self = again;
        Some(before)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).filter_map(|index| self.slice(index))
    }

    fn slice(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before).copied());
        self.data.get(start.unwrap_or_default()..end)
    }

    /// Hands every page to `row`: its row key and its value.
    pub(crate) fn pages(
        &self,
        keys: &Keys,
        head: &[u8],
        scratch: &mut Vec<u8>,
        mut row: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), StoreError> {
        let (mut index, mut first) = (0, self.first);
        while index < self.ends.len() {
            let count = self.fit(index);
            let key = page_key(head, first);
            self.write_page(index, count, scratch);
            if self.kind.sealed {
                let table = keys.table(self.kind.name, self.kind.prefix);
                let sealed = table.and_then(|table| table.seal(key.as_slice(), scratch, 1));
                sealed.map_err(StoreError::corrupt(self.kind.name))?;
            }
            row(key.as_slice(), scratch);
            index += count;
            first = first.saturating_add(count.try_into().unwrap_or(u64::MAX));
        }
        Ok(())
    }

    /// How many entries from `index` make a page: as many as fit, at least one.
    fn fit(&self, index: usize) -> usize {
        let mut bytes = 0;
        let rest = (index..self.ends.len()).map_while(|at| self.slice(at));
        let fitting = rest.take_while(|entry| {
            bytes += entry.len() + 4;
            bytes <= JOURNAL_PAGE_BYTES
        });
        fitting.count().max(1)
    }

    fn write_page(&self, index: usize, count: usize, out: &mut Vec<u8>) {
        out.clear();
        out.push(if self.kind.sealed { SEALED } else { CLEAR });
        out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
        let mut end: u32 = 0;
        for entry in (index..index + count).filter_map(|at| self.slice(at)) {
            end = end.saturating_add(entry.len().try_into().unwrap_or(u32::MAX));
            out.extend_from_slice(&end.to_be_bytes());
        }
        for entry in (index..index + count).filter_map(|at| self.slice(at)) {
            out.extend_from_slice(entry);
        }
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
