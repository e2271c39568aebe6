//! Rows about cases: the steps that are known, and the work of this office on them. They name no person.

use std::fmt;

use domain::case::{Case, Pairing};
use domain::id::{CaseId, MessageId};
use domain::time::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::value::first_layouts;

/// Key of a case: the message that opened it.
pub type CaseKey = [u8; 16];
/// Whose turn it is (see [`OURS`] and [`THEIRS`]), due or latest time ms, case.
pub type CaseTurnKey = (u8, u64, CaseKey);

/// In [`CaseTurnKey`]: this office.
pub const OURS: u8 = 1;
/// In [`CaseTurnKey`]: another office.
pub const THEIRS: u8 = 2;

/// A case as this node keeps it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseRow {
    /// Its steps.
    pub case: Case,
    /// How often anything about it has changed here, from 1.
    pub version: u64,
    /// When this node first heard of it.
    pub since: UnixMillis,
    /// When anything last changed.
    pub changed: UnixMillis,
    /// What came of looking for the person here.
    pub pairing: Option<Pairing>,
    /// Whether the facts were checked here.
    pub verified: bool,
    /// Hand-overs that brought it here, in the order they came.
    pub brought: Vec<MessageId>,
    /// Messages that came for a side that was given away, and are still to be passed on.
    pub to_pass: Vec<MessageId>,
    /// The case that this one belongs together with: the first of a couple's two.
    pub together: Option<CaseId>,
    /// Where it stands in the index of turns.
    pub turn: Option<(u8, u64)>,
    /// Whether the office was told that it is late, or that it waits for too long.
    pub told: bool,
}

impl CaseRow {
    /// A case of which this node hears for the first time.
    #[must_use]
    pub const fn new(id: CaseId, now: UnixMillis) -> Self {
        Self {
            case: Case::new(id),
            version: 0,
            since: now,
            changed: now,
            pairing: None,
            verified: false,
            brought: Vec::new(),
            to_pass: Vec::new(),
            together: None,
            turn: None,
            told: false,
        }
    }
}

impl fmt::Debug for CaseRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaseRow")
            .field("case", &self.case.id())
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

first_layouts!(CaseRow);
