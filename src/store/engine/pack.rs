//! Packing: moves rows at rest into blocks, a few at a time, when the committer has nothing else to do.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::block::{self, Block};
use super::tree::Tree;
use super::{Bytes, Engine, Row, guarded};
use crate::error::EngineError;
use crate::limits::{
    BLOCK_BYTES, PACK_LATE_ROWS, PACK_RUN_ROWS_MIN, PACK_STEP_BYTES, PACK_STEP_ROWS,
};
use crate::table::TableInfo;

/// Where packing stands. Nothing of it is kept: a start begins anew, and finds what is not packed yet.
#[derive(Debug)]
pub(crate) struct Packer {
    /// First bytes of the keys of tables whose rows stay.
    prefixes: Vec<u8>,
    /// Rows written to them before a pass over all of them begins.
    after: usize,
    written: usize,
    /// The table of the pass under way, and the key behind which it goes on.
    at: Option<(usize, Bytes)>,
}

impl Packer {
    pub(crate) fn new(catalogue: &[TableInfo], after: usize) -> Self {
        let packed = catalogue.iter().filter(|table| table.packed);
        Self { prefixes: packed.map(|table| table.prefix).collect(), after, written: 0, at: None }
    }

    /// Takes note of the keys of a group that was written.
    pub(crate) fn wrote<'a>(&mut self, keys: impl Iterator<Item = &'a [u8]>) {
        let ours = |key: &&[u8]| key.first().is_some_and(|first| self.prefixes.contains(first));
        self.written = self.written.saturating_add(keys.filter(ours).count());
        if self.at.is_none() && self.written >= self.after {
            self.written = 0;
            self.at = Some((0, Bytes::default()));
        }
    }

    /// Whether anything is to be done in quiet moments at all.
    pub(crate) fn is_wanted(&self) -> bool {
        self.after < usize::MAX
    }

    /// Whether there is something to do when nothing else is.
    pub(crate) fn is_due(&self) -> bool {
        self.at.is_some()
    }

    /// Whether so much is waiting that it cannot be left for a quiet moment.
    pub(crate) fn is_late(&self) -> bool {
        self.at.is_some() && self.written >= PACK_LATE_ROWS
    }

    /// Does a bounded piece of the pass, and says how many bytes it wrote.
    pub(crate) fn step(&mut self, engine: &Engine) -> Result<usize, EngineError> {
        let Some((table, behind)) = self.at.take() else { return Ok(0) };
        let Some(prefix) = self.prefixes.get(table).copied() else { return Ok(0) };
        let done = pack_some(&engine.tree, prefix, &behind)?;
        let (next, bytes) = match done {
            Some((last, bytes)) => ((table, last), bytes),
            None => ((table.saturating_add(1), Bytes::default()), 0),
        };
        self.at = Some(next);
        Ok(bytes)
    }
}

/// Packs the next rows of a table; says behind which key to go on, if there may be more, and how many bytes were written.
fn pack_some(
    tree: &Tree,
    prefix: u8,
    behind: &Bytes,
) -> Result<Option<(Bytes, usize)>, EngineError> {
    let mut run = alone(tree, prefix, behind)?;
    let Some((first, _)) = run.first() else { return Ok(None) };
    let next = tree.block_from(first)?.filter(|block| block.until.first() == Some(&prefix));
    if let Some(block) = &next {
        run.retain(|(key, _)| *key <= block.until);
    }
    let Some((last, _)) = run.last().cloned() else { return Ok(None) };
    // A few rows between two blocks, or changed in one, wait until there are more: a block is written as a whole.
    if run.len() < PACK_RUN_ROWS_MIN {
        return Ok(Some((last, 0)));
    }
    // Large ones would not be fewer for it.
    run.retain(|row| block::bytes_of(row) <= BLOCK_BYTES / 4);
    if run.is_empty() {
        return Ok(Some((last, 0)));
    }
    let blocks = match next.filter(|block| belongs(&run, block)) {
        Some(block) => split(&merge(block.rows(), &run), Some(&block.until)),
        None => split(&run, None),
    };
    let bytes = blocks.iter().map(|(_, body)| body.len()).sum();
    let gone = run.into_iter().map(|(key, _)| key);
    tree.pack(prefix, blocks.into_iter(), gone)?;
    Ok(Some((last, bytes)))
}

/// Rows of a table that stand by themselves.
fn alone(tree: &Tree, prefix: u8, behind: &Bytes) -> Result<Vec<Row>, EngineError> {
    let low = match behind.is_empty() {
        true => Bound::Included(std::slice::from_ref(&prefix)),
        false => Bound::Excluded(behind.as_ref()),
    };
    let high = [prefix.saturating_add(1)];
    let mut rows = tree.rows.range::<&[u8], _>((low, Bound::Excluded(&high[..])));
    let (mut run, mut bytes) = (Vec::new(), 0);
    while run.len() < PACK_STEP_ROWS && bytes < PACK_STEP_BYTES {
        let Some(row) = guarded(|| rows.next().transpose())? else { break };
        bytes += block::bytes_of(&row);
        run.push(row);
    }
    Ok(run)
}

/// Whether rows go into the block that begins behind the first of them. Many that all lie before it have blocks of their own.
fn belongs(run: &[Row], block: &Block) -> bool {
    let apart = match (run.last(), block.first()) {
        (Some((last, _)), Some((first, _))) => *last < first,
        (_, _) => false,
    };
    !apart || run.iter().map(block::bytes_of).sum::<usize>() < BLOCK_BYTES / 2
}

/// Rows of a block with newer ones laid over them.
fn merge(block: impl Iterator<Item = Row>, run: &[Row]) -> Vec<Row> {
    let mut merged: BTreeMap<Bytes, Bytes> = block.collect();
    merged.extend(run.iter().cloned());
    merged.into_iter().collect()
}

/// Shares rows out to blocks of about the same size. The last one goes up to `until`, where it stands in another's place.
fn split(rows: &[Row], until: Option<&Bytes>) -> Vec<(Bytes, Vec<u8>)> {
    let total: usize = rows.iter().map(block::bytes_of).sum();
    let share = total / total.div_ceil(BLOCK_BYTES).max(1);
    let mut blocks = Vec::new();
    let mut rest = rows;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest.iter().take_while(|row| {
            let before = bytes;
            bytes += block::bytes_of(row);
            before < share
        });
        let (these, others) = rest.split_at(fitting.count().max(1));
        let last = these.last().map(|(key, _)| key);
        let until = if others.is_empty() { until.or(last) } else { last };
        blocks.extend(until.map(|until| (until.clone(), block::encode(these))));
        rest = others;
    }
    blocks
}
