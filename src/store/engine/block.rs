//! A block: rows at rest, many in one value of the engine, in the order of their keys.
//!
//! sled keeps a few hundred bytes in memory for each leaf, and a leaf holds sixteen rows, so that memory would grow with
//! everything a node ever stored. A block is one row to sled.
//!
//! Key: [`PREFIX`] ‖ a row key no smaller than any in the block and smaller than any in the next one.
//! Value: layout (1) ‖ count (4) ‖ for each row end of its key and end of its value (4 each) ‖ keys ‖ values.

use super::{Bytes, Row};
use crate::error::EngineError;

/// First byte of the keys of blocks; no table has it.
pub(crate) const PREFIX: u8 = 0xDF;

const LAYOUT: u8 = 1;
const HEADER_BYTES: usize = 5;
const SPAN_BYTES: usize = 8;

/// The engine's key of the block whose rows go up to `last`.
pub(super) fn key(last: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(last.len().saturating_add(1));
    key.push(PREFIX);
    key.extend_from_slice(last);
    key
}

/// Bytes that a row takes in a block.
pub(super) fn bytes_of((key, value): &Row) -> usize {
    SPAN_BYTES.saturating_add(key.len()).saturating_add(value.len())
}

/// Writes rows, which come in the order of their keys.
pub(super) fn encode(rows: &[Row]) -> Vec<u8> {
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    let mut out = vec![LAYOUT];
    out.extend_from_slice(&length(rows.len()));
    let (mut keys, mut values) = (0, 0);
    for (key, value) in rows {
        keys += key.len();
        values += value.len();
        out.extend_from_slice(&length(keys));
        out.extend_from_slice(&length(values));
    }
    rows.iter().for_each(|(key, _)| out.extend_from_slice(key));
    rows.iter().for_each(|(_, value)| out.extend_from_slice(value));
    out
}

/// A block that was read.
#[derive(Clone)]
pub(super) struct Block {
    /// Its rows are up to this row key.
    pub(super) until: Bytes,
    body: Bytes,
    count: usize,
    /// Bytes of all keys.
    keys: usize,
}

impl Block {
    /// Reads a row of the engine.
    pub(super) fn read((key, body): Row) -> Result<Self, EngineError> {
        let damaged = || EngineError::Damaged("a block contradicts itself".to_owned());
        let until = key.get(1..).map(Bytes::from).ok_or_else(damaged)?;
        let count = body.first().filter(|layout| **layout == LAYOUT).and_then(|_| u32_at(&body, 1));
        let count = count.ok_or_else(damaged)?;
        let mut block = Self { until, body, count, keys: 0 };
        let (mut keys, mut values) = (0, 0);
        for index in 0..count {
            let (key, value) = block.ends(index).ok_or_else(damaged)?;
            if key < keys || value < values {
                return Err(damaged());
            }
            (keys, values) = (key, value);
        }
        block.keys = keys;
        let whole = block.keys_at() + keys + values == block.body.len();
        if whole { Ok(block) } else { Err(damaged()) }
    }

    /// The value under a key.
    pub(super) fn get(&self, key: &[u8]) -> Option<Bytes> {
        let index = self.first_from(key);
        if self.key(index)? == key { self.value(index) } else { None }
    }

    /// The first row behind a key.
    pub(super) fn after(&self, key: &[u8]) -> Option<Row> {
        let index = self.first_from(key);
        let same = self.key(index).is_some_and(|found| found == key);
        self.row(index + usize::from(same))
    }

    /// The first row at or behind a key.
    pub(super) fn from(&self, key: &[u8]) -> Option<Row> {
        self.row(self.first_from(key))
    }

    /// The last row before a key.
    pub(super) fn before(&self, key: &[u8]) -> Option<Row> {
        self.row(self.first_from(key).checked_sub(1)?)
    }

    /// The last row at or before a key.
    pub(super) fn up_to(&self, key: &[u8]) -> Option<Row> {
        let index = self.first_from(key);
        if self.key(index).is_some_and(|found| found == key) {
            return self.row(index);
        }
        self.row(index.checked_sub(1)?)
    }

    /// The first and the last row.
    pub(super) fn first(&self) -> Option<Row> {
        self.row(0)
    }

    /// The last row.
    pub(super) fn last(&self) -> Option<Row> {
        self.row(self.count.checked_sub(1)?)
    }

    /// All rows.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row> {
        (0..self.count).filter_map(|index| self.row(index))
    }

    /// Index of the first key that is not smaller.
    fn first_from(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            if self.key(middle).is_some_and(|found| found < key) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn row(&self, index: usize) -> Option<Row> {
        Some((Bytes::from(self.key(index)?), self.value(index)?))
    }

    fn key(&self, index: usize) -> Option<&[u8]> {
        let (end, _) = self.ends(index)?;
        let start = index.checked_sub(1).and_then(|before| self.ends(before)).unwrap_or_default().0;
        let at = self.keys_at();
        self.body.get(at + start..at + end)
    }

    fn value(&self, index: usize) -> Option<Bytes> {
        let (_, end) = self.ends(index)?;
        let start = index.checked_sub(1).and_then(|before| self.ends(before)).unwrap_or_default().1;
        let at = self.keys_at() + self.keys;
        self.body.get(at + start..at + end).map(Bytes::from)
    }

    fn keys_at(&self) -> usize {
        HEADER_BYTES + self.count * SPAN_BYTES
    }

    /// Where the key and the value of a row end.
    fn ends(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.count {
            return None;
        }
        let at = index.checked_mul(SPAN_BYTES)?.checked_add(HEADER_BYTES)?;
        Some((u32_at(&self.body, at)?, u32_at(&self.body, at + 4)?))
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_be_bytes(*four)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &[u8], value: &[u8]) -> Row {
        (Bytes::from(key), Bytes::from(value))
    }

    #[test]
    fn rows_are_found_by_key_from_both_sides() {
        let rows = [row(b"b", b"1"), row(b"bb", b""), row(b"d", b"three")];
        let block = Block::read((key(b"d").into(), encode(&rows).into())).unwrap();
        assert_eq!(block.rows().collect::<Vec<_>>(), rows);
        assert_eq!(block.get(b"bb"), Some(Bytes::from(b"")));
        assert_eq!(block.get(b"c"), None);
        assert_eq!(block.get(b"e"), None);
        assert_eq!(block.after(b"b"), Some(rows[1].clone()));
        assert_eq!(block.after(b"d"), None);
        assert_eq!(block.from(b"bc"), Some(rows[2].clone()));
        assert_eq!(block.before(b"d"), Some(rows[1].clone()));
        assert_eq!(block.before(b"b"), None);
        assert_eq!(block.up_to(b"c"), Some(rows[1].clone()));
        assert_eq!(block.up_to(b"d"), block.last());
        assert_eq!(block.first(), Some(rows[0].clone()));
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let whole = encode(&[row(b"key", b"value"), row(b"other", b"more")]);
        for end in 0..whole.len() {
            assert!(Block::read((key(b"x").into(), whole[..end].into())).is_err(), "{end} bytes");
        }
        let mut swapped = whole.clone();
        swapped[8] = 200;
        assert!(Block::read((key(b"x").into(), swapped.into())).is_err());
        let mut many = whole;
        many[1..5].fill(0xFF);
        assert!(Block::read((key(b"x").into(), many.into())).is_err());
    }
}
