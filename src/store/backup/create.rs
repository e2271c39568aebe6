//! Making a backup while units of work go on.

use std::ops::Bound;
use std::path::{Path, PathBuf};

use domain::time::UnixMillis;
use rand::RngCore;

use super::change::Chunks;
use super::error::BackupError;
use super::header::BackupHeader;
use super::is_secret;
use super::progress::{Progress, Watch};
use super::sealed::{Part, Writer};
use super::shelf::Shelf;
use super::tap::{Batch, Tap};
use crate::engine::{Bytes, Engine};
use crate::error::{CommitError, Corrupt, StoreError};
use crate::gate::Gate;
use crate::limits::{BACKUP_CHUNK_BYTES_MAX, COPY_ROWS};
use crate::store::Store;
use crate::tables::{GATE, GROUP};

/// A backup that is complete and on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupReport {
    /// The data file.
    pub data: PathBuf,
    /// The keys file.
    pub keys: PathBuf,
    /// When it was begun.
    pub created: UnixMillis,
    /// Restoring brings back the state after this group of writes.
    pub group: u64,
    /// Rows that were read.
    pub rows: u64,
    /// Rows that were written or deleted meanwhile, and are in it as well.
    pub changes: u64,
    /// Bytes of both files.
    pub bytes: u64,
    /// Older backups that were deleted, because there are enough newer ones.
    pub deleted: Vec<PathBuf>,
}

impl Store {
    /// Makes a backup in `dir` while units of work go on, and keeps the `keep` newest there, at least this one. It takes
    /// its time and blocks; the files have their names only when they are complete and on disk.
    ///
    /// # Errors
    /// [`BackupError`]; what was in `dir` is as it was.
    pub fn backup(
        &self,
        dir: &Path,
        keep: usize,
        now: UnixMillis,
        watch: Watch<'_>,
    ) -> Result<BackupReport, BackupError> {
        let (gate, begun_at) = self.begin_recording()?;
        let recording = Recording { tap: &self.core().tap };
        let shelf = Shelf::open(dir, &gate.area, now)?;
        let mut work = Work::begin(self, &shelf, &gate, (now, begun_at))?;
        work.scan(self, &recording, watch)?;
        let last = recording.end()?;
        self.barrier()?;
        work.batches(last)?;
        work.finish(shelf, keep, now)
    }

    /// Has the committer leave copies of its groups from the next one on. Between two groups: everything up to the one
    /// whose number is returned is in the tree, nothing of the next.
    fn begin_recording(&self) -> Result<(Gate, u64), BackupError> {
        let begun = self.commit_blocking(|unit| {
            let gate = unit.get(&GATE, &()).map_err(BackupError::Read)?;
            let gate = gate.ok_or(Corrupt::Empty).map_err(StoreError::corrupt(GATE.name()));
            let gate = gate.map_err(BackupError::Read)?;
            let group = unit.get(&GROUP, &()).map_err(BackupError::Read)?;
            unit.core().tap.begin()?;
            Ok((gate, group.unwrap_or_default()))
        });
        begun.map_err(|error| match error {
            CommitError::Refused(refused) => refused,
            other => BackupError::stopped(other),
        })
    }

    /// Returns once every group that was recorded is on disk: what a backup holds was promised to somebody, or could
    /// have been.
    fn barrier(&self) -> Result<(), BackupError> {
        self.commit_blocking(|_| Ok::<(), StoreError>(())).map_err(BackupError::stopped)
    }
}

/// Ends the recording however the work ends.
struct Recording<'a> {
    tap: &'a Tap,
}

impl Recording<'_> {
    fn end(self) -> Result<Vec<Batch>, BackupError> {
        self.tap.end()
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        // After an orderly end there is nothing left to stop.
        drop(self.tap.end());
    }
}

/// The two files under way.
struct Work {
    data: Chunks,
    keys: Chunks,
    /// The last group that was put down, or after which the work began.
    group: u64,
    of_bytes: u64,
}

impl Work {
    fn begin(
        store: &Store,
        shelf: &Shelf,
        gate: &Gate,
        (now, begun_at): (UnixMillis, u64),
    ) -> Result<Self, BackupError> {
        let mut random = [0; 48];
        rand::rng().fill_bytes(&mut random);
        let header = BackupHeader::new(gate, now, begun_at, random);
        let mut salt = [0; 32];
        rand::rng().fill_bytes(&mut salt);
        let of_keys = BackupHeader { salt, ..header.clone() };
        let keys = &store.core().keys;
        let data = Writer::create(&shelf.data, Part::Data, keys, &header)?;
        let keys = Writer::create(&shelf.keys, Part::Keys, keys, &of_keys)?;
        let of_bytes = store.size_on_disk().map_err(BackupError::Read)?;
        let (data, keys) = (Chunks::new(data), Chunks::new(keys));
        Ok(Self { data, keys, group: begun_at, of_bytes })
    }

    /// Reads the tree from one end to the other, a few rows at a time, and between them puts down what was committed
    /// meanwhile.
    fn scan(
        &mut self,
        store: &Store,
        recording: &Recording<'_>,
        watch: Watch<'_>,
    ) -> Result<(), BackupError> {
        let mut after = None;
        loop {
            self.batches(recording.tap.drain()?)?;
            let Some(last) = self.piece(&store.core().engine, after.as_ref())? else {
                return Ok(());
            };
            after = Some(last);
            // Reading drives pages into sled's cache and others out of it.
            Engine::collect_garbage();
            if watch(&self.progress()).is_break() {
                return Err(BackupError::Ended);
            }
        }
    }

    /// Reads the next rows, at most a chunk of them; says which was the last, unless there was none. Each piece has an
    /// iterator of its own, so that nothing in the engine is held while a file is written.
    fn piece(
        &mut self,
        engine: &Engine,
        after: Option<&Bytes>,
    ) -> Result<Option<Bytes>, BackupError> {
        let from = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.as_ref()));
        let (mut last, mut bytes) = (None, 0);
        for row in engine.range((from, Bound::Unbounded)).take(COPY_ROWS) {
            let (key, value) = row?;
            bytes += key.len() + value.len();
            self.file_of(&key).row(&key, &value)?;
            last = Some(key);
            if bytes >= BACKUP_CHUNK_BYTES_MAX {
                break;
            }
        }
        Ok(last)
    }

    fn batches(&mut self, batches: Vec<Batch>) -> Result<(), BackupError> {
        for Batch { number, rows } in batches {
            self.data.group(number)?;
            self.keys.group(number)?;
            for (key, value) in rows {
                self.file_of(&key).change(&key, value.as_deref())?;
            }
            self.group = number;
        }
        Ok(())
    }

    fn file_of(&mut self, key: &[u8]) -> &mut Chunks {
        if is_secret(key) { &mut self.keys } else { &mut self.data }
    }

    fn progress(&self) -> Progress {
        let (data, keys) = (self.data.totals(), self.keys.totals());
        Progress {
            rows: data.rows + data.changes + keys.rows + keys.changes,
            bytes: self.data.bytes() + self.keys.bytes(),
            of_bytes: self.of_bytes,
        }
    }

    fn finish(
        self,
        shelf: Shelf,
        keep: usize,
        created: UnixMillis,
    ) -> Result<BackupReport, BackupError> {
        let group = self.group;
        let (data_bytes, data) = self.data.finish(group)?;
        let (keys_bytes, keys) = self.keys.finish(group)?;
        let shelved = shelf.complete(group, keep)?;
        Ok(BackupReport {
            data: shelved.data,
            keys: shelved.keys,
            created,
            group,
            rows: data.rows + keys.rows,
            changes: data.changes + keys.changes,
            bytes: data_bytes + keys_bytes,
            deleted: shelved.deleted,
        })
    }
}
