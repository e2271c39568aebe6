//! Values of the tables that watch over operators: what they look at, and what they take in many at a time.
//!
//! The tables themselves are in the catalogue, [`crate::tables`].

use std::fmt;

use domain::access::{Caller, ReadLimits, Reads};
use domain::id::OperatorName;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::value::first_layouts;

/// Says what is hashed, so that the result cannot pass for something else.
const OPERATOR_CONTEXT: &[u8] = b"liangdi/v1/operator\0";

/// What one operator has looked at lately.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadsRow {
    /// Who.
    pub operator: OperatorName,
    /// How much.
    pub reads: Reads,
}

impl fmt::Debug for ReadsRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadsRow({})", self.operator)
    }
}

/// Where an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ImportState {
    /// Rows are handed over; none is to be seen.
    Staging,
    /// It is decided; the records are being written.
    Committed,
    /// Every record is written.
    Done,
    /// It was not decided; its rows are being removed.
    GivenUp,
}

/// An import: whose it is and how far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRow {
    /// Number of the kind of records.
    pub kind: u8,
    /// SHA-256 of the file.
    pub file: [u8; 32],
    /// Who imports.
    pub by: Caller,
    /// When it began.
    pub begun: UnixMillis,
    /// Whether it only checks.
    pub dry_run: bool,
    /// Where it stands.
    pub state: ImportState,
    /// Batches that were handed over.
    pub batches: u64,
    /// Rows that were handed over.
    pub rows: u64,
    /// Rows with findings.
    pub wrong: u64,
    /// Batches whose records are written.
    pub applied: u64,
    /// Records that are written.
    pub written: u64,
    /// Rows that were not written, because the same person was entered meanwhile.
    pub skipped: u64,
    /// Lines of the first of them.
    pub skipped_lines: Vec<u32>,
}

/// How many records an operator may look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadLimitsRow {
    /// The limits in force.
    pub limits: ReadLimits,
}

/// The key of an operator's row.
#[must_use]
pub fn operator_key(operator: &OperatorName) -> [u8; 32] {
    *Digest::of_parts(&[OPERATOR_CONTEXT, operator.as_str().as_bytes()]).as_bytes()
}

/// What a row of an import says about something, so that a later one does not say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportSaidRow {
    /// Keyed hash of what it says; zeros where one row alone may name the thing.
    pub says: [u8; 16],
    /// Its line in the file.
    pub line: u32,
}

first_layouts!(ReadsRow, ReadLimitsRow, ImportRow, ImportSaidRow);
