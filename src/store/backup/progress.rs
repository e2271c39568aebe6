//! How far a long piece of work is, and whether it should go on.

use std::ops::ControlFlow;

use super::error::BackupError;
use super::sealed::Reader;
use crate::limits::BACKUP_CHUNK_BYTES_MAX;

/// How far a backup, a verification or a restore is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows read or written so far, with those of groups committed meanwhile.
    pub rows: u64,
    /// Bytes done so far.
    pub bytes: u64,
    /// Bytes there are to do. For a backup this is the size of the database on disk, which is more than what has to be
    /// read.
    pub of_bytes: u64,
}

/// Is told of the progress about once a megabyte, and may end the work.
pub type Watch<'a> = &'a mut dyn FnMut(&Progress) -> ControlFlow<()>;

/// Tells of reading files, one after the other.
pub(super) struct Teller<'a> {
    watch: Watch<'a>,
    progress: Progress,
    /// Bytes of the files that were read before.
    before: u64,
    told: u64,
}

impl<'a> Teller<'a> {
    pub(super) fn new(watch: Watch<'a>, of_bytes: u64) -> Self {
        let progress = Progress { of_bytes, ..Progress::default() };
        Self { watch, progress, before: 0, told: 0 }
    }

    /// One more row of the file that is being read.
    pub(super) fn row(&mut self, reader: &Reader) -> Result<(), BackupError> {
        self.progress.rows += 1;
        self.progress.bytes = self.before.saturating_add(reader.bytes);
        let due = self.progress.bytes.saturating_sub(self.told);
        if due < u64::try_from(BACKUP_CHUNK_BYTES_MAX).unwrap_or(u64::MAX) {
            return Ok(());
        }
        self.tell()
    }

    /// A file was read to its end.
    pub(super) fn file_done(&mut self, reader: &Reader) -> Result<(), BackupError> {
        self.before = self.before.saturating_add(reader.bytes);
        self.progress.bytes = self.before;
        self.tell()
    }

    fn tell(&mut self) -> Result<(), BackupError> {
        self.told = self.progress.bytes;
        match (self.watch)(&self.progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(BackupError::Ended),
        }
    }
}
