//! The right edge of a growing tree: all that is needed to append and to know the root.

use serde::Deserialize;
use serde::Serialize;

use super::empty_root;
use super::node_hash;
use crate::digest::Digest;

/// A tree that only grows, kept as the roots of its perfect subtrees: at most 64 hashes.
///
/// Appending costs one hash on average, the root at most 63. Serialised, it can only be read back in a
/// consistent form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Frontier {
    size: u64,
    /// Roots of the perfect subtrees, largest (leftmost) first; one for each bit set in `size`.
    peaks: Vec<Digest>,
}

/// What a frontier is made of, when it is stored.
#[derive(Serialize, Deserialize)]
struct Parts(u64, Vec<Digest>);

/// The number of peaks does not belong to the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tree of {size} leaves cannot have {peaks} peaks")]
pub struct InvalidFrontier {
    /// Number of leaves.
    pub size: u64,
    /// Number of peaks found.
    pub peaks: usize,
}

impl Frontier {
    /// The empty tree.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// Puts a frontier together again from its size and its peaks, largest first.
    ///
    /// # Errors
    /// [`InvalidFrontier`] when their numbers do not belong together.
    pub fn from_parts(size: u64, peaks: Vec<Digest>) -> Result<Self, InvalidFrontier> {
        if u32::try_from(peaks.len()) != Ok(size.count_ones()) {
            return Err(InvalidFrontier { size, peaks: peaks.len() });
        }
        Ok(Self { size, peaks })
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Roots of the perfect subtrees, largest first.
    #[must_use]
    pub fn peaks(&self) -> &[Digest] {
        &self.peaks
    }

    /// Appends the hash of a leaf.
    pub fn push(&mut self, leaf_hash: Digest) {
        let mut hash = leaf_hash;
        // Each trailing one of the size is a perfect subtree that the new leaf completes.
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(&left, &hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// Appends a perfect subtree of `2^levels` leaves by its root.
    ///
    /// # Errors
    /// [`InvalidFrontier`] when the leaves before it are not a multiple of so many.
    pub fn push_subtree(&mut self, levels: u32, root: Digest) -> Result<(), InvalidFrontier> {
        let invalid = InvalidFrontier { size: self.size, peaks: self.peaks.len() };
        let leaves = 1_u64.checked_shl(levels).ok_or(invalid)?;
        if !self.size.is_multiple_of(leaves) {
            return Err(invalid);
        }
        let mut hash = root;
        for _ in 0..(self.size / leaves).trailing_ones() {
            let left = self.peaks.pop().ok_or(invalid)?;
            hash = node_hash(&left, &hash);
        }
        self.peaks.push(hash);
        self.size = self.size.checked_add(leaves).ok_or(invalid)?;
        Ok(())
    }

    /// Root of the tree as it is now.
    #[must_use]
    pub fn root(&self) -> Digest {
        let from_the_right = self.peaks.iter().rev().copied();
        from_the_right.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
    }
}

impl Extend<Digest> for Frontier {
    fn extend<I: IntoIterator<Item = Digest>>(&mut self, leaf_hashes: I) {
        leaf_hashes.into_iter().for_each(|hash| self.push(hash));
    }
}

impl FromIterator<Digest> for Frontier {
    fn from_iter<I: IntoIterator<Item = Digest>>(leaf_hashes: I) -> Self {
        let mut frontier = Self::new();
        frontier.extend(leaf_hashes);
        frontier
    }
}

impl TryFrom<Parts> for Frontier {
    type Error = InvalidFrontier;

    fn try_from(Parts(size, peaks): Parts) -> Result<Self, InvalidFrontier> {
        Self::from_parts(size, peaks)
    }
}

impl From<Frontier> for Parts {
    fn from(frontier: Frontier) -> Self {
        Self(frontier.size, frontier.peaks)
    }
}
