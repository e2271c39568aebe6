//! Rows about persons who were erased: that it was done, by whom and why, and nothing of the person.

use std::fmt;

use domain::id::OperatorName;
use domain::text::WrittenReason;
use domain::time::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::value::first_layouts;

/// That a person was erased.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureRow {
    /// Who did it.
    pub by: OperatorName,
    /// When.
    pub at: UnixMillis,
    /// Number of the ground.
    pub ground: u8,
    /// Why, in words.
    pub reason: WrittenReason,
    /// Records that were hers.
    pub records: u32,
    /// Messages about her whose content was deleted.
    pub messages: u32,
}

impl fmt::Debug for ErasureRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ErasureRow({} messages)", self.messages)
    }
}

first_layouts!(ErasureRow);
