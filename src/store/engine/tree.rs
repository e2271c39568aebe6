//! The one tree: rows that stand by themselves, and blocks of rows at rest.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::block::{self, Block};
use super::rows::Rows;
use super::{Bytes, Row, guarded};
use crate::error::EngineError;

/// Blocks that a batch changes, by their keys; none for one that is empty now.
type Changed = BTreeMap<Vec<u8>, Option<Vec<Row>>>;

#[derive(Clone)]
pub(super) struct Tree {
    pub(super) rows: sled::Tree,
    /// First bytes of row keys of which some lie, or have lain, in a block.
    packed: Arc<[AtomicBool; 256]>,
}

impl Tree {
    /// Finds out which tables have blocks.
    pub(super) fn new(rows: sled::Tree) -> Self {
        let tree = Self { rows, packed: Arc::new([const { AtomicBool::new(false) }; 256]) };
        for (prefix, flag) in (0..=u8::MAX).zip(tree.packed.iter()) {
            let packed = match tree.block_from(&[prefix]) {
                Ok(block) => block.is_some_and(|block| block.until.first() == Some(&prefix)),
                // Whoever reads what is damaged there is to hear of it.
                Err(_) => true,
            };
            flag.store(packed, Ordering::SeqCst);
        }
        tree
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let alone = guarded(|| self.rows.get(key))?;
        match key.first() {
            // In this order: a row only ever moves into a block.
            Some(prefix) if alone.is_none() && self.is_packed(*prefix) => {
                Ok(self.block_from(key)?.and_then(|block| block.get(key)))
            }
            _ => Ok(alone),
        }
    }

    pub(super) fn range(&self, range: (Bound<&[u8]>, Bound<&[u8]>)) -> Rows {
        Rows::new(self.clone(), range)
    }

    /// Writes all rows or none; `None` deletes. What the rows in `scrubbed` held before is in no block afterwards; another
    /// row that is written over may lie in its block until that is packed again.
    pub(super) fn apply(
        &self,
        rows: impl Iterator<Item = (Bytes, Option<Bytes>)>,
        scrubbed: &HashSet<Bytes>,
    ) -> Result<(), EngineError> {
        let mut batch = sled::Batch::default();
        let mut changed = Changed::new();
        for (key, value) in rows {
            if value.is_none() || scrubbed.contains(&key) {
                self.change_in_block(&key, value.as_ref(), &mut changed)?;
            }
            match value {
                // Also a row that its block holds: a reader has looked here before it looks there.
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        for (key, rows) in changed {
            match rows {
                Some(rows) => batch.insert(key, block::encode(&rows)),
                None => batch.remove(key),
            }
        }
        guarded(|| self.rows.apply_batch(batch))
    }

    /// Takes a row that is deleted out of its block, or puts its new value there. Only one thread writes.
    fn change_in_block(
        &self,
        key: &[u8],
        value: Option<&Bytes>,
        changed: &mut Changed,
    ) -> Result<(), EngineError> {
        if !key.first().is_some_and(|prefix| self.is_packed(*prefix)) {
            return Ok(());
        }
        let Some(block) = self.block_from(key)? else { return Ok(()) };
        let at = block::key(&block.until);
        let mut rows = match changed.remove(&at) {
            Some(rows) => rows.unwrap_or_default(),
            None if block.get(key).is_none() => return Ok(()),
            None => block.rows().collect(),
        };
        match value {
            Some(value) => rows
                .iter_mut()
                .filter(|(found, _)| found == key)
                .for_each(|(_, former)| former.clone_from(value)),
            None => rows.retain(|(found, _)| found != key),
        }
        changed.insert(at, Some(rows).filter(|rows| !rows.is_empty()));
        Ok(())
    }

    /// Puts blocks in the place of rows: `blocks` by the keys they go up to, `gone` the rows that are in them now.
    pub(super) fn pack(
        &self,
        prefix: u8,
        blocks: impl Iterator<Item = (Bytes, Vec<u8>)>,
        gone: impl Iterator<Item = Bytes>,
    ) -> Result<(), EngineError> {
        let mut batch = sled::Batch::default();
        blocks.for_each(|(until, body)| batch.insert(block::key(&until), body));
        gone.for_each(|key| batch.remove(key));
        // Before the rows move: whoever misses them then knows where else to look.
        if let Some(flag) = self.packed.get(usize::from(prefix)) {
            flag.store(true, Ordering::SeqCst);
        }
        guarded(|| self.rows.apply_batch(batch))
    }

    /// Whether rows of a range may lie in blocks.
    pub(super) fn may_be_packed(&self, low: Bound<&[u8]>, high: Bound<&[u8]>) -> bool {
        let first = |bound: Bound<&[u8]>| match bound {
            Bound::Included(key) | Bound::Excluded(key) => key.first().copied(),
            Bound::Unbounded => None,
        };
        let (low, high) = (first(low).unwrap_or(0), first(high).unwrap_or(u8::MAX));
        // A table's range ends at the next prefix, which costs nothing to look at too.
        (low..=high).any(|prefix| self.is_packed(prefix))
    }

    /// The first row of a block that `find` names, in the blocks that reach to `key` and beyond.
    pub(super) fn packed_from(
        &self,
        key: &[u8],
        find: impl Fn(&Block) -> Option<Row>,
    ) -> Result<Option<Row>, EngineError> {
        let mut from = self.block_from(key)?;
        while let Some(block) = from {
            if let Some(row) = find(&block) {
                return Ok(Some(row));
            }
            // Its last rows were deleted; it goes up to a key that is no longer there.
            from = self.block_behind(&block.until)?;
        }
        Ok(None)
    }

    /// The same from the end.
    pub(super) fn packed_up_to(
        &self,
        key: &[u8],
        find: impl Fn(&Block) -> Option<Row>,
    ) -> Result<Option<Row>, EngineError> {
        let mut up_to = match self.block_from(key)? {
            Some(block) => Some(block),
            None => self.block_before(&[u8::MAX])?,
        };
        while let Some(block) = up_to {
            if let Some(row) = find(&block) {
                return Ok(Some(row));
            }
            up_to = self.block_before(&block.until)?;
        }
        Ok(None)
    }

    /// The first block that goes up to a key or beyond.
    pub(super) fn block_from(&self, key: &[u8]) -> Result<Option<Block>, EngineError> {
        self.first_block(Bound::Included(&block::key(key)))
    }

    fn block_behind(&self, until: &[u8]) -> Result<Option<Block>, EngineError> {
        self.first_block(Bound::Excluded(&block::key(until)))
    }

    fn block_before(&self, until: &[u8]) -> Result<Option<Block>, EngineError> {
        let (low, high) = ([block::PREFIX], block::key(until));
        let range = (Bound::Included(&low[..]), Bound::Excluded(&high[..]));
        let row = guarded(|| self.rows.range::<&[u8], _>(range).next_back().transpose())?;
        row.map(Block::read).transpose()
    }

    fn first_block(&self, low: Bound<&[u8]>) -> Result<Option<Block>, EngineError> {
        let high = [block::PREFIX + 1];
        let range = (low, Bound::Excluded(&high[..]));
        let row = guarded(|| self.rows.range::<&[u8], _>(range).next().transpose())?;
        row.map(Block::read).transpose()
    }

    fn is_packed(&self, prefix: u8) -> bool {
        self.packed.get(usize::from(prefix)).is_some_and(|flag| flag.load(Ordering::SeqCst))
    }
}
