//! Rows about cases from before there was a node.

use domain::old_case::OldCase;
use domain::record::Author;
use serde::{Deserialize, Serialize};

use crate::value::first_layouts;

/// An old case, and who took it in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldCaseRow {
    /// The case.
    pub case: OldCase,
    /// Who took it in, when and why.
    pub author: Author,
}

first_layouts!(OldCaseRow);
