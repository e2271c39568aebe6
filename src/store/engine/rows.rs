//! Rows as everybody above sees them: those that stand by themselves laid over those in blocks.

use std::ops::Bound;

use super::block::{self, Block};
use super::{Bytes, Row, Tree, guarded};
use crate::error::EngineError;

/// Rows of a range in the order of their keys, from either end.
///
/// Packing goes on meanwhile and only ever moves rows into blocks. So the rows that stand by themselves are always
/// looked at first, and the blocks anew for each row: what has left the one is in the other.
pub(super) struct Rows {
    tree: Tree,
    alone: sled::Iter,
    front: Option<Row>,
    back: Option<Row>,
    low: Bound<Bytes>,
    high: Bound<Bytes>,
    /// Whether any row of the range may lie in a block. Asked again while not: packing may have begun since.
    packed: bool,
    failed: bool,
}

impl Rows {
    pub(super) fn new(tree: Tree, (low, high): (Bound<&[u8]>, Bound<&[u8]>)) -> Self {
        let alone = tree.rows.range::<&[u8], _>((low, high));
        let packed = tree.may_be_packed(low, high);
        let (low, high) = (low.map(Bytes::from), high.map(Bytes::from));
        Self { tree, alone, front: None, back: None, low, high, packed, failed: false }
    }

    fn forward(&mut self) -> Result<Option<Row>, EngineError> {
        let alone = self.first_alone()?;
        let packed = match self.is_packed() {
            true => self.first_packed()?,
            false => None,
        };
        let row = match (alone, packed) {
            (Some(alone), Some(packed)) if packed.0 < alone.0 => {
                self.front = Some(alone);
                Some(packed)
            }
            (Some(alone), _) => Some(alone),
            (None, packed) => packed,
        };
        if let Some((key, _)) = &row {
            self.low = Bound::Excluded(key.clone());
        }
        Ok(row)
    }

    fn backward(&mut self) -> Result<Option<Row>, EngineError> {
        let alone = self.last_alone()?;
        let packed = match self.is_packed() {
            true => self.last_packed()?,
            false => None,
        };
        let row = match (alone, packed) {
            (Some(alone), Some(packed)) if packed.0 > alone.0 => {
                self.back = Some(alone);
                Some(packed)
            }
            (Some(alone), _) => Some(alone),
            (None, packed) => packed,
        };
        if let Some((key, _)) = &row {
            self.high = Bound::Excluded(key.clone());
        }
        Ok(row)
    }

    /// To be asked after the look at the rows that stand by themselves.
    fn is_packed(&mut self) -> bool {
        if !self.packed {
            let (low, high) = (self.low.as_ref(), self.high.as_ref());
            self.packed = self.tree.may_be_packed(low.map(AsRef::as_ref), high.map(AsRef::as_ref));
        }
        self.packed
    }

    fn first_alone(&mut self) -> Result<Option<Row>, EngineError> {
        if let Some(row) = self.front.take() {
            return Ok(Some(row));
        }
        let mut row = guarded(|| self.alone.next().transpose())?;
        if row.as_ref().is_some_and(is_block) {
            // Past all blocks in one step.
            let behind = Bound::Included(&[block::PREFIX + 1][..]);
            let high = self.high.as_ref().map(AsRef::as_ref);
            self.alone = self.tree.rows.range::<&[u8], _>((behind, high));
            row = guarded(|| self.alone.next().transpose())?;
        }
        // What the other end has read and not handed out.
        Ok(row.or_else(|| self.back.take()))
    }

    fn last_alone(&mut self) -> Result<Option<Row>, EngineError> {
        if let Some(row) = self.back.take() {
            return Ok(Some(row));
        }
        let mut row = guarded(|| self.alone.next_back().transpose())?;
        if row.as_ref().is_some_and(is_block) {
            let before = Bound::Excluded(&[block::PREFIX][..]);
            let low = self.low.as_ref().map(AsRef::as_ref);
            self.alone = self.tree.rows.range::<&[u8], _>((low, before));
            row = guarded(|| self.alone.next_back().transpose())?;
        }
        Ok(row.or_else(|| self.front.take()))
    }

    fn first_packed(&self) -> Result<Option<Row>, EngineError> {
        let row = match &self.low {
            Bound::Included(key) => self.tree.packed_from(key, |block| block.from(key))?,
            Bound::Excluded(key) => self.tree.packed_from(key, |block| block.after(key))?,
            Bound::Unbounded => self.tree.packed_from(&[], Block::first)?,
        };
        Ok(row.filter(|(key, _)| match &self.high {
            Bound::Included(high) => key <= high,
            Bound::Excluded(high) => key < high,
            Bound::Unbounded => true,
        }))
    }

    fn last_packed(&self) -> Result<Option<Row>, EngineError> {
        let row = match &self.high {
            Bound::Included(key) => self.tree.packed_up_to(key, |block| block.up_to(key))?,
            Bound::Excluded(key) => self.tree.packed_up_to(key, |block| block.before(key))?,
            Bound::Unbounded => self.tree.packed_up_to(&[u8::MAX], Block::last)?,
        };
        Ok(row.filter(|(key, _)| match &self.low {
            Bound::Included(low) => key >= low,
            Bound::Excluded(low) => key > low,
            Bound::Unbounded => true,
        }))
    }

    /// Ends after the first error: what follows could be out of order.
    fn hand_out(
        &mut self,
        row: Result<Option<Row>, EngineError>,
    ) -> Option<Result<Row, EngineError>> {
        self.failed = row.is_err();
        row.transpose()
    }
}

impl Iterator for Rows {
    type Item = Result<Row, EngineError>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let row = self.forward();
        self.hand_out(row)
    }
}

impl DoubleEndedIterator for Rows {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let row = self.backward();
        self.hand_out(row)
    }
}

fn is_block((key, _): &Row) -> bool {
    key.first() == Some(&block::PREFIX)
}
