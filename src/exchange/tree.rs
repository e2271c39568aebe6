//! Append-only hash trees of RFC 9162 section 2.1: roots, inclusion and consistency proofs.
//!
//! Leaves come in as leaf hashes ([`leaf_hash`]), so that a tree can be kept without its data. Proofs are
//! computed from ranges of leaves: a ledger with millions of entries answers a proof by scanning the
//! few ranges that [`inclusion_ranges`] and [`consistency_ranges`] name, one after the other.

mod frontier;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub use frontier::Frontier;
pub use frontier::InvalidFrontier;

use crate::digest::Digest;

/// Longest proof of a tree with 2^64 leaves; a longer one is refused before it is read.
pub const PROOF_HASHES_MAX: usize = 64;

/// Hash of a leaf: `SHA-256(0x00 || data)`.
#[must_use]
pub fn leaf_hash(data: &[u8]) -> Digest {
    Digest::of_parts(&[&[0], data])
}

/// Hash of an inner node: `SHA-256(0x01 || left || right)`.
#[must_use]
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut data = [1; 65];
    let (_, pair) = data.split_at_mut(1);
    let (first, second) = pair.split_at_mut(32);
    first.copy_from_slice(left.as_bytes());
    second.copy_from_slice(right.as_bytes());
    Digest::of(&data)
}

/// Root of the empty tree: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Digest {
    Digest::of(&[])
}

/// Root of the tree over these leaf hashes.
#[must_use]
pub fn root(leaves: &[Digest]) -> Digest {
    leaves.iter().copied().collect::<Frontier>().root()
}

/// Root of the tree whose leaves are these pieces of data.
pub fn root_of<T: AsRef<[u8]>>(data: impl IntoIterator<Item = T>) -> Digest {
    data.into_iter().map(|leaf| leaf_hash(leaf.as_ref())).collect::<Frontier>().root()
}

/// The ranges of leaves whose roots are the inclusion proof of leaf `index` in a tree of `size`
/// leaves, from the leaf up. `None` when there is no such leaf.
#[must_use]
pub fn inclusion_ranges(size: u64, index: u64) -> Option<Vec<Range<u64>>> {
    if index >= size {
        return None;
    }
    let mut siblings = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split_point(end - start);
        if index < middle {
            siblings.push(middle..end);
            end = middle;
        } else {
            siblings.push(start..middle);
            start = middle;
        }
    }
    siblings.reverse();
    Some(siblings)
}

/// Inclusion proof (RFC 9162, 2.1.3.1) of leaf `index`, from the leaf up. `None` when there is no such leaf.
#[must_use]
pub fn inclusion_path(leaves: &[Digest], index: u64) -> Option<Vec<Digest>> {
    roots_of(leaves, inclusion_ranges(size_of(leaves), index)?)
}

/// Checks an inclusion proof (RFC 9162, 2.1.3.2): `leaf` is number `index` of the `size` leaves under `root`.
#[must_use]
pub fn verify_inclusion(
    leaf: &Digest,
    index: u64,
    size: u64,
    path: &[Digest],
    root: &Digest,
) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// The ranges of leaves whose roots prove that the first `old` of `new` leaves have not changed.
/// `None` unless `old <= new`; empty for `old == new` and for `old == 0`.
#[must_use]
pub fn consistency_ranges(old: u64, new: u64) -> Option<Vec<Range<u64>>> {
    if old > new {
        return None;
    }
    if old == 0 || old == new {
        return Some(Vec::new());
    }
    let mut ranges = Vec::new();
    let (mut start, mut end) = (0, new);
    // The verifier knows the old root: a left edge that is the whole old tree is not sent.
    while old < end {
        let middle = start + split_point(end - start);
        if old <= middle {
            ranges.push(middle..end);
            end = middle;
        } else {
            ranges.push(start..middle);
            start = middle;
        }
    }
    if start > 0 {
        ranges.push(start..end);
    }
    ranges.reverse();
    Some(ranges)
}

/// Consistency proof (RFC 9162, 2.1.4.1) from the first `old` leaves to all of them.
#[must_use]
pub fn consistency_proof(leaves: &[Digest], old: u64) -> Option<Vec<Digest>> {
    roots_of(leaves, consistency_ranges(old, size_of(leaves))?)
}

/// Checks a consistency proof (RFC 9162, 2.1.4.2): the tree with `old_root` is the beginning of that with `new_root`.
#[must_use]
pub fn verify_consistency(
    (old, old_root): (u64, &Digest),
    (new, new_root): (u64, &Digest),
    proof: &[Digest],
) -> bool {
    if old > new || (old == 0 && *old_root != empty_root()) {
        return false;
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return proof.is_empty();
    }
    let (mut node, mut last) = (old - 1, new - 1);
    let shared = node.trailing_ones();
    // `old` is at most `u64::MAX - 1` here, so `node` is never all ones and the shift is in range.
    node >>= shared;
    last >>= shared;
    let (first, rest) = match proof.split_first() {
        _ if old.is_power_of_two() && !proof.is_empty() => (old_root, proof),
        Some((first, rest)) => (first, rest),
        None => return false,
    };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}

/// The largest power of two below `size`, which is at least 2.
fn split_point(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

fn size_of(leaves: &[Digest]) -> u64 {
    u64::try_from(leaves.len()).unwrap_or(u64::MAX)
}

fn roots_of(leaves: &[Digest], ranges: Vec<Range<u64>>) -> Option<Vec<Digest>> {
    let root_of_range = |range: Range<u64>| {
        let start = usize::try_from(range.start).ok()?;
        let end = usize::try_from(range.end).ok()?;
        leaves.get(start..end).map(root)
    };
    ranges.into_iter().map(root_of_range).collect()
}
