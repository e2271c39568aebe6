//! What can go wrong with a row, with the engine and with a unit of work.

use std::io;
use std::sync::Arc;

use crate::limits::UNIT_BYTES_MAX;

/// Why stored bytes cannot be read as the value they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// There is nothing where a layout version should stand.
    #[error("the value is empty")]
    Empty,
    /// The layout is newer than this program.
    #[error("layout {0} is from a newer program")]
    FromTheFuture(u8),
    /// No type of the chain reads this layout.
    #[error("layout {0} was never written by any version")]
    UnknownLayout(u8),
    /// The bytes after the layout version do not decode.
    #[error("the value does not decode as layout {0}")]
    Body(u8),
    /// The value has another length than its type.
    #[error("{found} bytes where {expected} were expected")]
    Length {
        /// Bytes the type has.
        expected: usize,
        /// Bytes that were there.
        found: usize,
    },
    /// The key does not decode.
    #[error("the key does not decode")]
    Key,
    /// Authenticated decryption failed: other key, other row or changed bytes.
    #[error("the sealed value does not open with the key of this node")]
    Sealed,
    /// A journal page contradicts itself.
    #[error("the journal page is malformed")]
    Page,
}

/// What the engine below reports; sled's own types stay behind it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The operating system refused a read or a write.
    #[error("the disk refused the operation")]
    Io(#[source] Arc<io::Error>),
    /// The files contradict themselves.
    #[error("the database file is damaged: {0}")]
    Damaged(String),
    /// The engine stopped with a panic, which is how it reports most damage.
    #[error("the engine stopped: {0}")]
    Stopped(String),
}

impl From<sled::Error> for EngineError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(source) => Self::Io(Arc::new(source)),
            sled::Error::Corruption { at, .. } => Self::Damaged(match at {
                Some(at) => format!("wrong checksum at {at}"),
                None => "wrong checksum".to_owned(),
            }),
            sled::Error::Unsupported(text) => Self::Damaged(text),
            sled::Error::ReportableBug(text) => Self::Stopped(text),
            sled::Error::CollectionNotFound(_) => Self::Damaged("the tree is missing".to_owned()),
        }
    }
}

impl From<io::Error> for EngineError {
    fn from(source: io::Error) -> Self {
        Self::Io(Arc::new(source))
    }
}

/// Why a read or a write of rows failed. Nothing of it is personal.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The engine below failed.
    #[error("the store cannot be read")]
    Engine(#[from] EngineError),
    /// A row is there and cannot be understood.
    #[error("a row of table {table} cannot be read")]
    Corrupt {
        /// Name of the table.
        table: &'static str,
        /// What is wrong with it.
        source: Corrupt,
    },
    /// The value cannot be encoded.
    #[error("a value for table {0} cannot be encoded")]
    Encode(&'static str),
    /// The value is larger than a row may be.
    #[error("a value of {bytes} bytes for table {table} is over the limit of {limit}")]
    TooLarge {
        /// Name of the table.
        table: &'static str,
        /// Bytes it would take.
        bytes: usize,
        /// Bytes it may take.
        limit: usize,
    },
    /// The person whose data this is has been erased, or never existed.
    #[error("the key of this person is not in the store")]
    NoSuchPerson,
    /// A journal that is kept for ever was asked to go.
    #[error("journal {0} is kept for ever")]
    Permanent(&'static str),
    /// A journal that must be gap-free was asked to take an entry elsewhere.
    #[error("journal {journal} continues at {expected}, not at {asked}")]
    OutOfOrder {
        /// Name of the journal.
        journal: &'static str,
        /// Position that comes next.
        expected: u64,
        /// Position that was asked for.
        asked: u64,
    },
}

impl StoreError {
    pub(crate) fn corrupt(table: &'static str) -> impl FnOnce(Corrupt) -> Self {
        move |source| Self::Corrupt { table, source }
    }
}

/// Why the store stopped for good. It starts again only with the process, from disk: after a
/// failed sync nobody knows what the kernel still holds, so it is never tried a second time.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store stopped while it {during}")]
pub struct StoreFailure {
    /// The step that failed.
    pub during: &'static str,
    /// What was reported.
    #[source]
    pub source: EngineError,
}

/// How a unit of work ended when it did not end well.
#[derive(Debug, thiserror::Error)]
pub enum CommitError<E> {
    /// The unit itself said no; none of its writes remain.
    #[error("the unit of work was refused")]
    Refused(#[source] E),
    /// The store no longer takes work; whether the writes reached the disk is unknown.
    #[error("the store has failed")]
    StoreFailed(#[source] StoreFailure),
    /// The queue is full; nothing was written.
    #[error("the store's queue is full")]
    Full,
    /// The unit wrote more than one unit may; none of its writes remain.
    #[error("the unit of work wrote {bytes} bytes, over the limit of {UNIT_BYTES_MAX}")]
    TooLarge {
        /// Bytes it wrote.
        bytes: usize,
    },
    /// The unit panicked; none of its writes remain.
    #[error("the unit of work panicked")]
    Panicked,
    /// The store was closed first; nothing was written.
    #[error("the store is closed")]
    Closed,
}

impl<E> CommitError<E> {
    /// The unit's own refusal, when that is what happened.
    pub fn refusal(self) -> Option<E> {
        match self {
            Self::Refused(error) => Some(error),
            Self::StoreFailed(_)
            | Self::Full
            | Self::TooLarge { .. }
            | Self::Panicked
            | Self::Closed => None,
        }
    }
}
