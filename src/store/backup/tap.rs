//! Where the committer leaves a copy of every group while a backup is being made.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::BackupError;
use crate::core::lock;
use crate::engine::Bytes;
use crate::limits::BACKUP_LOG_BYTES_MAX;

/// One group of writes; rows without a value were deleted.
pub(crate) struct Batch {
    pub(crate) number: u64,
    pub(crate) rows: Vec<(Bytes, Option<Bytes>)>,
}

/// Groups on their way from the committer to the backup.
#[derive(Default)]
pub(crate) struct Tap {
    /// Says without a lock whether there is a backup; nearly always there is none.
    on: AtomicBool,
    recorded: Mutex<Option<Recorded>>,
}

#[derive(Default)]
struct Recorded {
    batches: Vec<Batch>,
    bytes: usize,
    overrun: bool,
}

impl Tap {
    /// Begins to record, with the next group. To be called on the committer's thread, between two groups, so that none is
    /// seen by half.
    pub(crate) fn begin(&self) -> Result<(), BackupError> {
        let mut recorded = lock(&self.recorded);
        if recorded.is_some() {
            return Err(BackupError::Running);
        }
        *recorded = Some(Recorded::default());
        self.on.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Keeps a group before it is written. Never waits: a backup that is too far behind is given up.
    pub(crate) fn record<'a>(
        &self,
        number: u64,
        rows: impl Iterator<Item = (&'a Bytes, &'a Option<Bytes>)>,
    ) {
        if !self.on.load(Ordering::Relaxed) {
            return;
        }
        let rows: Vec<_> = rows.map(|(key, value)| (key.clone(), value.clone())).collect();
        let size = |(key, value): &(Bytes, Option<Bytes>)| {
            key.len() + value.as_ref().map_or(0, |value| value.len()) + size_of::<Batch>()
        };
        let bytes = rows.iter().map(size).sum::<usize>();
        let mut recorded = lock(&self.recorded);
        let Some(recorded) = recorded.as_mut().filter(|recorded| !recorded.overrun) else { return };
        recorded.bytes = recorded.bytes.saturating_add(bytes);
        if recorded.bytes > BACKUP_LOG_BYTES_MAX {
            *recorded = Recorded { overrun: true, ..Recorded::default() };
            return;
        }
        recorded.batches.push(Batch { number, rows });
    }

    /// What was recorded since the last call, oldest first.
    pub(crate) fn drain(&self) -> Result<Vec<Batch>, BackupError> {
        match lock(&self.recorded).as_mut() {
            Some(recorded) if recorded.overrun => Err(BackupError::Overrun),
            Some(recorded) => {
                recorded.bytes = 0;
                Ok(std::mem::take(&mut recorded.batches))
            }
            None => Ok(Vec::new()),
        }
    }

    /// Stops recording and hands out what is left. A group of which the tree may already show something is in it.
    pub(crate) fn end(&self) -> Result<Vec<Batch>, BackupError> {
        self.on.store(false, Ordering::Relaxed);
        match lock(&self.recorded).take() {
            Some(Recorded { overrun: true, .. }) => Err(BackupError::Overrun),
            Some(recorded) => Ok(recorded.batches),
            None => Ok(Vec::new()),
        }
    }
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tap({})", self.on.load(Ordering::Relaxed))
    }
}
