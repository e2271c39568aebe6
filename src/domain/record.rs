//! What every kept record has: a version, who wrote it, when and why.

use serde::{Deserialize, Serialize};

use crate::area::AreaCode;
use crate::id::OperatorName;
use crate::text::Note;
use crate::time::UnixMillis;

/// Most versions one record can have: keeps the longest history well under the store's 128 KiB a value.
pub const VERSIONS_MAX: usize = 150;

/// Number of a version of a record, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(u32);

impl Version {
    /// The first version.
    pub const FIRST: Self = Self(1);

    /// From a number a caller sent back; 0 matches no record.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The record has been written by somebody else since the editor opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("version {} was opened, version {} is current", .seen.0, .current.0)]
pub struct Stale {
    /// Version the editor had open.
    pub seen: Version,
    /// Version that is kept.
    pub current: Version,
}

/// Who wrote a version, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// Operator of the node that keeps the record.
    pub operator: OperatorName,
    /// When.
    pub at: UnixMillis,
    /// Why, in the operator's words.
    pub why: Note,
}

/// A change somebody wants to make to an existing record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Version the editor had open.
    pub seen: Version,
    /// Area the editor works for; only the owner side may change a record.
    pub area: AreaCode,
    /// Who, when and why.
    pub author: Author,
}

/// Why a record may not be edited at all, whatever the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Somebody else has changed it meanwhile.
    #[error("the record was changed meanwhile")]
    Stale(#[source] Stale),
    /// It belongs to another area, which can be asked for a correction.
    #[error("the record belongs to area {owner}")]
    NotOwner {
        /// County that owns it.
        owner: AreaCode,
    },
    /// The history is full ([`VERSIONS_MAX`]).
    #[error("the record has {VERSIONS_MAX} versions already")]
    TooManyVersions,
    /// The editor's clock is behind the last version.
    #[error("the change is dated before the version it changes")]
    BeforeLastVersion,
}

/// The versions of a record, at least one, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History<T> {
    first: Written<T>,
    later: Vec<Written<T>>,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written<T> {
    /// What the record said.
    pub value: T,
    /// Who wrote it, when and why.
    pub author: Author,
}

impl<T> History<T> {
    /// A history of one version.
    pub fn new(value: T, author: Author) -> Self {
        Self { first: Written { value, author }, later: Vec::new() }
    }

    /// The version in force.
    pub fn current(&self) -> &Written<T> {
        self.later.last().unwrap_or(&self.first)
    }

    /// Number of the version in force.
    pub fn version(&self) -> Version {
        Version(u32::try_from(self.later.len() + 1).unwrap_or(u32::MAX))
    }

    /// All versions, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Written<T>> {
        std::iter::once(&self.first).chain(&self.later)
    }

    /// Whether `edit` may be made to a record that `owner` keeps.
    pub fn admits(&self, edit: &Edit, owner: AreaCode) -> Result<(), EditError> {
        let (seen, current) = (edit.seen, self.version());
        if seen != current {
            return Err(EditError::Stale(Stale { seen, current }));
        }
        if edit.area.county() != owner.county() {
            return Err(EditError::NotOwner { owner });
        }
        if self.later.len() + 1 >= VERSIONS_MAX {
            return Err(EditError::TooManyVersions);
        }
        if edit.author.at < self.current().author.at {
            return Err(EditError::BeforeLastVersion);
        }
        Ok(())
    }
}

impl<T: Clone> History<T> {
    /// The history with one more version. Call [`History::admits`] first.
    pub fn with(&self, value: T, author: Author) -> Self {
        let mut later = self.later.clone();
        later.push(Written { value, author });
        Self { first: self.first.clone(), later }
    }
}
