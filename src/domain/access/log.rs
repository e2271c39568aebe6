//! Entries of the access log: append-only and chained by hash.
//!
//! Hashing is done by the caller (this crate has no cryptography): the hash of an entry is SHA-256 over
//! [`AccessEntry::chain_bytes`], and the next entry carries it as `previous`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Role;
use crate::area::AreaCode;
use crate::id::{MessageId, OperatorName};
use crate::numbered::numbered;
use crate::purpose::{LawfulBasis, Purpose};
use crate::time::UnixMillis;

/// Says what the bytes are, so that they cannot pass for something else.
const CONTEXT: &[u8] = b"liangdi/v1/access\0";

numbered! {
    /// What somebody did with a record.
    pub enum AccessAction {
        /// Looked at it.
        View = 1, "VIEW", "查看";
        /// Looked for it.
        Search = 2, "SEARCH", "查询";
        /// Wrote a first version.
        Create = 3, "CREATE", "登记";
        /// Wrote a later version.
        Change = 4, "CHANGE", "修改";
        /// Sent a message about the person.
        Send = 5, "SEND", "发送";
        /// Opened a message about the person.
        Open = 6, "OPEN", "打开";
        /// Printed it.
        Print = 7, "PRINT", "打印";
        /// Took it out of the node.
        Export = 8, "EXPORT", "导出";
        /// Erased it.
        Erase = 9, "ERASE", "删除";
        /// Lifted the protection of a person at risk.
        Release = 10, "RELEASE", "解除保护";
        /// Gave up a message about the person that did not arrive.
        Discard = 11, "DISCARD", "放弃发送";
        /// Proposed a hand-over of many cases.
        Propose = 12, "PROPOSE", "提议批量移交";
        /// Approved or refused one that somebody else had proposed.
        Approve = 13, "APPROVE", "审批";
        /// Carried one out.
        HandOver = 14, "HAND_OVER", "批量移交";
        /// Followed where a message or a case is, without looking into it.
        Follow = 15, "FOLLOW", "跟踪";
        /// Decided what holds of a message of which two sides hold something else.
        Decide = 16, "DECIDE", "裁定";
    }
}

impl AccessAction {
    /// Whether somebody gets to see a record by it; such acts are counted against the limit on reads.
    pub const fn is_read(self) -> bool {
        matches!(self, Self::View | Self::Search | Self::Open | Self::Print | Self::Export)
    }
}

/// Keyed hash of a person's document: the same person has the same key at one node, and nobody without
/// the node's key can tell whose it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonKey(pub [u8; 32]);

impl fmt::Debug for PersonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x}…")
    }
}

/// One entry of the access log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessEntry {
    /// Number of the entry, from 1 without gaps.
    pub number: u64,
    /// Hash of the entry before; zeros for the first.
    pub previous: [u8; 32],
    /// When.
    pub at: UnixMillis,
    /// Who.
    pub operator: OperatorName,
    /// For which area.
    pub area: AreaCode,
    /// In which role.
    pub role: Role,
    /// What.
    pub action: AccessAction,
    /// What for.
    pub purpose: Purpose,
    /// On which basis.
    pub basis: LawfulBasis,
    /// Whose record; none for work lists and numbers.
    pub person: Option<PersonKey>,
    /// Which message, if it was about one.
    pub message: Option<MessageId>,
}

/// Why an entry does not follow the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainBreak {
    /// An entry is missing or there twice.
    #[error("entry {found} stands where entry {expected} should")]
    Number {
        /// Number that should follow.
        expected: u64,
        /// Number that does.
        found: u64,
    },
    /// The entry before was changed after this one was written.
    #[error("entry {number} does not carry the hash of the entry before")]
    Hash {
        /// Number of the entry that notices.
        number: u64,
    },
    /// Time runs backwards.
    #[error("entry {number} is older than the entry before")]
    Time {
        /// Number of the entry that notices.
        number: u64,
    },
}

impl AccessEntry {
    /// The bytes that are hashed: fixed-width big-endian numbers and length-prefixed texts, independent
    /// of how the entry is stored, so that a third party can recompute them.
    pub fn chain_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(192);
        bytes.extend_from_slice(CONTEXT);
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&self.previous);
        bytes.extend_from_slice(&self.at.get().to_be_bytes());
        for text in [self.operator.as_str(), self.area.as_str()] {
            // Names have at most 63 and areas at most 15 characters.
            bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(&[
            self.role.number(),
            self.action.number(),
            self.purpose.number(),
            self.basis.number(),
        ]);
        bytes.push(u8::from(self.person.is_some()));
        bytes.extend(self.person.iter().flat_map(|key| key.0));
        bytes.push(u8::from(self.message.is_some()));
        bytes.extend(self.message.iter().flat_map(MessageId::as_bytes));
        bytes
    }

    /// Whether this entry follows `before`, whose hash is `hash`.
    pub fn follows(&self, before: &Self, hash: &[u8; 32]) -> Result<(), ChainBreak> {
        let expected = before.number.saturating_add(1);
        if self.number != expected {
            return Err(ChainBreak::Number { expected, found: self.number });
        }
        if &self.previous != hash {
            return Err(ChainBreak::Hash { number: self.number });
        }
        if self.at < before.at {
            return Err(ChainBreak::Time { number: self.number });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64, previous: [u8; 32]) -> AccessEntry {
        AccessEntry {
            number,
            previous,
            at: UnixMillis::new(1_772_352_000_000 + number),
            operator: "alice".parse().unwrap(),
            area: "410522".parse().unwrap(),
            role: Role::Clerk,
            action: AccessAction::View,
            purpose: Purpose::Certificate,
            basis: LawfulBasis::OwnApplication,
            person: Some(PersonKey([7; 32])),
            message: None,
        }
    }

    #[test]
    fn the_hashed_bytes_are_fixed() {
        let bytes = entry(1, [0; 32]).chain_bytes();
        assert_eq!(bytes.len(), CONTEXT.len() + 8 + 32 + 8 + 6 + 7 + 4 + 33 + 1);
        assert!(bytes.starts_with(b"liangdi/v1/access\0\0\0\0\0\0\0\0\x01"));
    }

    #[test]
    fn every_field_changes_the_bytes() {
        let base = entry(1, [0; 32]);
        let mut other = base.clone();
        other.person = None;
        assert_ne!(base.chain_bytes(), other.chain_bytes());
        let mut other = base.clone();
        other.operator = "bob".parse().unwrap();
        assert_ne!(base.chain_bytes(), other.chain_bytes());
        let mut other = base.clone();
        other.message = Some(MessageId::from_bytes([1; 16]));
        assert_ne!(base.chain_bytes(), other.chain_bytes());
    }

    #[test]
    fn a_gap_a_change_and_a_turned_clock_are_noticed() {
        let first = entry(1, [0; 32]);
        assert_eq!(entry(2, [9; 32]).follows(&first, &[9; 32]), Ok(()));
        assert!(matches!(
            entry(3, [9; 32]).follows(&first, &[9; 32]),
            Err(ChainBreak::Number { .. })
        ));
        assert!(matches!(
            entry(2, [8; 32]).follows(&first, &[9; 32]),
            Err(ChainBreak::Hash { .. })
        ));
        let mut early = entry(2, [9; 32]);
        early.at = UnixMillis::new(0);
        assert!(matches!(early.follows(&first, &[9; 32]), Err(ChainBreak::Time { .. })));
    }
}
