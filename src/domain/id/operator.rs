//! Name of an operator: the first label of the operator certificate's DNS name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// In the access log for what a node does by itself; no operator may have this name.
pub const NODE_ITSELF: &str = "node";
/// Longest name, in characters: a DNS label.
const CHARS_MAX: usize = 63;

/// Why a text is not an operator's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an operator's name has 1 to 63 small letters, digits or inner hyphens and begins with a letter"
)]
pub struct OperatorNameError;

/// Name of an operator inside one area, for example `alice`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OperatorName(String);

impl OperatorName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands for the node itself, and for no operator.
    #[must_use]
    pub fn node() -> Self {
        Self(NODE_ITSELF.to_owned())
    }

    /// Whether it stands for the node itself.
    #[must_use]
    pub fn is_node(&self) -> bool {
        self.0 == NODE_ITSELF
    }
}

impl FromStr for OperatorName {
    type Err = OperatorNameError;

    fn from_str(text: &str) -> Result<Self, OperatorNameError> {
        let letters = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
        if !letters || !begins || text.ends_with('-') || text.len() > CHARS_MAX {
            return Err(OperatorNameError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for OperatorName {
    type Error = OperatorNameError;
    fn try_from(text: String) -> Result<Self, OperatorNameError> {
        text.parse()
    }
}

impl From<OperatorName> for String {
    fn from(name: OperatorName) -> Self {
        name.0
    }
}

impl fmt::Display for OperatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for OperatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_dns_label() {
        for name in ["a", "alice", "li-na2", &"a".repeat(63)] {
            assert_eq!(name.parse::<OperatorName>().unwrap().as_str(), name);
        }
        for name in ["", "Alice", "-a", "a-", "2a", "a.b", "李娜", "a b", &"a".repeat(64)] {
            assert!(name.parse::<OperatorName>().is_err(), "{name}");
        }
    }
}
