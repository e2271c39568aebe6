//! Values of the tables that watch over operators: what they look at.
//!
//! The tables themselves are in the catalogue, [`crate::tables`].

use std::fmt;

use domain::access::{ReadLimits, Reads};
use domain::id::OperatorName;
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

first_layouts!(ReadsRow, ReadLimitsRow);
