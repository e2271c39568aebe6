//! Rows about hand-overs of many cases: what was proposed, who approved it, and what became of each case.

use std::fmt;

use domain::area::AreaCode;
use domain::id::OperatorName;
use domain::text::WrittenReason;
use domain::time::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::value::first_layouts;

/// What a second supervisor said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictRow {
    /// Who.
    pub by: OperatorName,
    /// When.
    pub at: UnixMillis,
    /// Whether it is approved.
    pub approved: bool,
}

/// What became of one case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BulkOutcome {
    /// It was not tried yet.
    Waiting,
    /// It was offered to the other office.
    Offered,
    /// It was not offered, for a reason of the catalogue.
    Refused(String),
}

/// A hand-over of many cases.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkRow {
    /// The office that is to take them over.
    pub to: AreaCode,
    /// Number of the cause.
    pub cause: u8,
    /// Why, in words.
    pub reason: WrittenReason,
    /// The cases, in ascending order.
    pub cases: Vec<[u8; 16]>,
    /// Digest of what was proposed, which every approval and the hand-over itself name.
    pub digest: [u8; 32],
    /// Who proposed it, which is the first approval.
    pub proposed_by: OperatorName,
    /// When.
    pub proposed: UnixMillis,
    /// Until when it may be carried out.
    pub until: UnixMillis,
    /// What another supervisor said.
    pub verdict: Option<VerdictRow>,
    /// Who began to carry it out, and when.
    pub carried_out: Option<(OperatorName, UnixMillis)>,
    /// What became of each case, in the order of `cases`.
    pub outcomes: Vec<BulkOutcome>,
}

impl fmt::Debug for BulkRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BulkRow({} cases)", self.cases.len())
    }
}

/// How many cases an operator has offered one by one on her last day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffersRow {
    /// The day, days since 1970.
    pub day: i32,
    /// How many.
    pub count: u32,
}

first_layouts!(BulkRow, OffersRow);
