//! Rows about random re-checks: what was drawn, and what was found. They name no person.

use std::fmt;

use domain::id::OperatorName;
use domain::time::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::value::first_layouts;

/// What a re-check found of one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundRow {
    /// Whether it was right.
    pub right: bool,
    /// Who said so.
    pub by: OperatorName,
    /// When.
    pub at: UnixMillis,
}

/// A random re-check.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawRow {
    /// Period: month, quarter or statistical year.
    pub period: String,
    /// Number of what was drawn from.
    pub frame: u8,
    /// Number of the kind of message; 0 for registrations.
    pub kind: u8,
    /// Who drew.
    pub by: OperatorName,
    /// When.
    pub at: UnixMillis,
    /// How many were asked for.
    pub size: u32,
    /// How many were drawn from.
    pub population: u64,
    /// SHA-256 over their ids, in ascending order.
    pub population_sha256: [u8; 32],
    /// The seed; nobody is told before it is published.
    pub seed: [u8; 32],
    /// The ids that were drawn, in the order of the draw.
    pub sample: Vec<[u8; 16]>,
    /// What was found of each, once it was re-checked.
    pub found: Vec<Option<FoundRow>>,
    /// When seed and sample were published.
    pub published: Option<UnixMillis>,
}

impl fmt::Debug for DrawRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DrawRow({} of {})", self.sample.len(), self.population)
    }
}

first_layouts!(DrawRow);
