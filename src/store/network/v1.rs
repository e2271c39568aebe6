//! Rows of the directory as the first version of the program wrote them.

use serde::{Deserialize, Serialize};

use crate::messages::{Blob, Signed};
use crate::value::first_layouts;

/// A peer's signed card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardRow {
    /// Serialised card and its signature.
    pub card: Signed,
    /// The signer's chain, leaf first, DER.
    pub chain: Vec<Blob>,
}

first_layouts!(CardRow);
