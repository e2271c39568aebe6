//! What every kept record has: a version, who wrote it, when and why.

use serde::{Deserialize, Serialize};

use crate::id::OperatorName;
use crate::text::Note;
use crate::time::UnixMillis;

/// Number of a version of a record, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(u32);

impl Version {
    /// The first version.
    pub const FIRST: Self = Self(1);

    /// From a number a caller sent back; 0 matches no record.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The version of a record that has been written `count` times.
    pub(crate) fn of_count(count: usize) -> Self {
        Self(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// The editor must have seen this very version; otherwise newer work would be overwritten.
    pub fn must_be(self, seen: Self) -> Result<(), Stale> {
        if self == seen { Ok(()) } else { Err(Stale { seen, current: self }) }
    }
}

/// The record has been written by somebody else since the editor opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("version {} was opened, version {} is current", .seen.0, .current.0)]
pub struct Stale {
    /// Version the editor had open.
    pub seen: Version,
    /// Version that is kept.
    pub current: Version,
}

/// Who wrote a version, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// Operator of the node that keeps the record.
    pub operator: OperatorName,
    /// When.
    pub at: UnixMillis,
    /// Why, in the operator's words.
    pub why: Note,
}
