//! Roots of parts of the ledger, worked out once: what is in it never changes.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use exchange::digest::Digest;
use exchange::tree::{self, Frontier};
use store::Store;

use super::read;
use crate::app::AppError;

/// Levels of the tree over a block.
const LEVELS: u32 = 12;
/// Entries of a block.
const ENTRIES: u64 = 1 << LEVELS;

/// The roots of the first blocks of a ledger, as far as anybody has asked: 32 bytes for 4,096 entries. With them a proof
/// reads some thousand entries, however long the ledger is.
#[derive(Debug, Default)]
pub struct Blocks(Mutex<Vec<Digest>>);

impl Blocks {
    /// Root of the tree over some of the entries.
    pub(super) fn root(&self, store: &Store, range: Range<u64>) -> Result<Digest, AppError> {
        let mut frontier = Frontier::new();
        let mut at = range.start;
        // A part that a proof names begins with a block, or is smaller than one.
        while at.is_multiple_of(ENTRIES) && range.end.saturating_sub(at) >= ENTRIES {
            let block = self.block(store, at / ENTRIES)?;
            frontier.push_subtree(LEVELS, block).map_err(|_| super::UNREADABLE)?;
            at += ENTRIES;
        }
        read(store, at, range.end, |_, entry| frontier.push(tree::leaf_hash(entry)))?;
        Ok(frontier.root())
    }

    fn block(&self, store: &Store, number: u64) -> Result<Digest, AppError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = usize::try_from(number).unwrap_or(usize::MAX);
        loop {
            if let Some(root) = known.get(wanted) {
                return Ok(*root);
            }
            let from = ENTRIES * u64::try_from(known.len()).unwrap_or(u64::MAX / ENTRIES);
            let mut frontier = Frontier::new();
            read(store, from, from + ENTRIES, |_, entry| frontier.push(tree::leaf_hash(entry)))?;
            known.push(frontier.root());
        }
    }
}

#[cfg(test)]
mod tests {
    use store::{DataKey, Options};

    use super::*;

    #[test]
    fn a_root_over_blocks_is_that_over_their_entries() {
        let dir = tempfile::tempdir().unwrap();
        let key = DataKey::create(&dir.path().join("key")).unwrap();
        let now = domain::time::UnixMillis::new(1);
        let (store, _) =
            Store::open(&dir.path().join("store"), Options::new("410522", key, now)).unwrap();
        let size = 3 * ENTRIES + 77;
        let entries: Vec<Vec<u8>> = (0..size).map(|n| n.to_be_bytes().to_vec()).collect();
        for some in entries.chunks(1_000) {
            let some = some.to_vec();
            let written = store.commit_blocking(move |unit| {
                some.iter().try_for_each(|entry| unit.append_ledger(entry).map(drop))
            });
            written.unwrap();
        }
        let leaves: Vec<_> = entries.iter().map(|entry| tree::leaf_hash(entry)).collect();
        let blocks = Blocks::default();
        for range in [
            0..size,
            0..2 * ENTRIES,
            2 * ENTRIES..size,
            ENTRIES..2 * ENTRIES,
            3 * ENTRIES..size,
            512..1_024,
            0..ENTRIES - 1,
        ] {
            let at = |n: u64| usize::try_from(n).unwrap();
            let expected = tree::root(&leaves[at(range.start)..at(range.end)]);
            assert_eq!(blocks.root(&store, range.clone()).unwrap(), expected, "{range:?}");
        }
        assert_eq!(blocks.0.lock().unwrap().len(), 3);
    }
}
