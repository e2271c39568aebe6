//! Why a backup could not be made, read or put in place.

use std::io;
use std::path::{Path, PathBuf};

use crate::check::CheckReport;
use crate::compact::MaintenanceError;
use crate::error::{CommitError, EngineError, StoreError, StoreFailure};
use crate::gate::GateError;
use crate::limits::BACKUP_LOG_BYTES_MAX;

/// Why a backup could not be made, read or put in place. A store that is there is as it was; files and directories that
/// were begun carry a name that says so and are cleared away by the next try.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Another backup of this store is being made.
    #[error("another backup of this store is being made: wait for it")]
    Running,
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Read(#[source] StoreError),
    /// The store stopped or was closed meanwhile.
    #[error("the store stopped before the backup was complete")]
    Stopped(#[source] Option<StoreFailure>),
    /// More was committed than could be written to the backup.
    #[error(
        "the node wrote faster than the backup could be written ({BACKUP_LOG_BYTES_MAX} bytes behind): try again when less \
         is going on, or on a faster disk"
    )]
    Overrun,
    /// Whoever was told of the progress ended it.
    #[error("the work was ended before it was complete")]
    Ended,
    /// A file cannot be read or written.
    #[error("the file {} cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was reported.
        #[source]
        source: io::Error,
    },
    /// The file is something else.
    #[error("{} is not a {expected} file of this software", path.display())]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// The file ends too early.
    #[error("{} was cut off: it ends in the middle", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
    },
    /// A chunk does not open.
    #[error(
        "chunk {chunk} of {} is not what was written there: it was changed, moved, or belongs to another file",
        path.display()
    )]
    Altered {
        /// The file.
        path: PathBuf,
        /// Number of the chunk, from 0.
        chunk: u64,
    },
    /// The chunks are whole, but what is around them is not.
    #[error("{} has been changed after its last chunk", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
    },
    /// A chunk opens, and nothing of this version wrote it.
    #[error("chunk {chunk} of {} holds something this version never writes", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Number of the chunk, from 0.
        chunk: u64,
    },
    /// The file is for another node, key or version.
    #[error("{} is not for this node or program", path.display())]
    Gate {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: GateError,
    },
    /// The keys file belongs to another store.
    #[error("the keys in {} belong to another store than the backup", path.display())]
    OtherKeys {
        /// The keys file.
        path: PathBuf,
    },
    /// The keys file is older than the data.
    #[error(
        "the keys in {} are of group {keys}, older than the backup, of group {backup}: take the newest keys file",
        path.display()
    )]
    OldKeys {
        /// The keys file.
        path: PathBuf,
        /// Group it was made at.
        keys: u64,
        /// Group the backup was made at.
        backup: u64,
    },
    /// There is a store already.
    #[error(
        "there is a store in {} already; nothing was changed. To keep it beside the restored one, ask for it to be set aside",
        .0.display()
    )]
    StoreExists(PathBuf),
    /// The restored store cannot be written or put in place.
    #[error("the restored store cannot be written")]
    Write(#[source] MaintenanceError),
    /// What was restored does not pass the check.
    #[error("what was read from {} does not pass the check: {} rows are wrong, first {}", path.display(), wrong(.report), first(.report))]
    Unsound {
        /// The backup.
        path: PathBuf,
        /// What was found.
        report: Box<CheckReport>,
    },
}

fn wrong(report: &CheckReport) -> u64 {
    let listed = u64::try_from(report.findings.len()).unwrap_or(u64::MAX);
    report.more_findings.saturating_add(listed)
}

fn first(report: &CheckReport) -> String {
    report.findings.first().map(ToString::to_string).unwrap_or_default()
}

impl BackupError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { path, source }
    }
}

impl BackupError {
    pub(super) fn stopped<E>(error: CommitError<E>) -> Self {
        Self::Stopped(match error {
            CommitError::StoreFailed(failure) => Some(failure),
            _ => None,
        })
    }
}

impl From<EngineError> for BackupError {
    fn from(error: EngineError) -> Self {
        Self::Read(error.into())
    }
}
