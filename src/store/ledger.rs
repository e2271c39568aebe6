//! The ledger: a journal with the right edge of its RFC 9162 hash tree beside it.

use exchange::digest::Digest;
use exchange::tree::{Frontier, leaf_hash};
use serde::{Deserialize, Serialize};

use crate::journal::Tail;
use crate::value::{NoOlder, Versioned};

/// Size and root of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerHead {
    /// Number of entries.
    pub size: u64,
    /// Root of the hash tree over them.
    pub root: Digest,
}

/// Row of the frontier. With the state before the last group, a start after a crash can prove the
/// newest pages against the tree without reading the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFrontier {
    /// Before the last group that wrote to the ledger.
    pub before: Frontier,
    /// After it.
    pub after: Frontier,
}

impl Versioned for StoredFrontier {
    const VERSION: u8 = 1;
    type Older = NoOlder;
    fn upgrade(older: NoOlder) -> Self {
        match older {}
    }
}

impl StoredFrontier {
    /// The state after the entries of one more group.
    pub(crate) fn extended(&self, tail: &Tail) -> Self {
        let mut after = self.after.clone();
        after.extend(tail.entries().map(leaf_hash));
        Self { before: self.after.clone(), after }
    }

    /// Size and root after the last group.
    pub fn head(&self) -> LedgerHead {
        LedgerHead { size: self.after.size(), root: self.after.root() }
    }
}
