//! Compacting: every row into a fresh database, compared, then put in the place of the old one.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::directory::{self, LockError, READY, REPLACED, sibling};
use crate::engine::{Bytes, Engine, Row};
use crate::error::{EngineError, StoreError};
use crate::limits::{COPY_BYTES, COPY_ROWS};
use crate::mark::Mark;
use crate::open::{OpenStoreError, admit, open_engine, read_row};
use crate::options::Options;
use crate::seal::Keys;
use crate::table::Table;
use crate::tables::{GATE, GROUP};
use crate::value::Value;

/// Why a store could not be compacted or rebuilt. The data is where it was.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// It cannot be opened.
    #[error("the store cannot be opened")]
    Open(#[source] OpenStoreError),
    /// It cannot be read.
    #[error(
        "the store cannot be read: if this stays, `liangdi store rebuild` goes around what is damaged"
    )]
    Read(#[source] StoreError),
    /// The copy cannot be written.
    #[error("the copy in {} cannot be written", dir.display())]
    Write {
        /// The copy.
        dir: PathBuf,
        /// Why.
        #[source]
        source: EngineError,
    },
    /// A directory cannot be created, renamed or deleted.
    #[error("the directory {} cannot be changed", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The copy is not what it should be.
    #[error("the copy in {} differs from the original after {rows} rows", dir.display())]
    Differs {
        /// The copy.
        dir: PathBuf,
        /// Rows that agree.
        rows: u64,
    },
    /// Something is where the result should go.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// Not even the log can be replayed.
    #[error(
        "nothing can be read from {}: restore a backup and let the peers hand back what is newer",
        dir.display()
    )]
    Hopeless {
        /// The directory.
        dir: PathBuf,
        /// What the last attempt ended with.
        #[source]
        source: EngineError,
    },
}

/// What compacting did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactReport {
    /// Rows that were copied and compared.
    pub rows: u64,
    /// Bytes on disk before.
    pub bytes_before: u64,
    /// Bytes on disk now.
    pub bytes_after: u64,
    /// Time it took.
    pub took: Duration,
}

/// Copies every row of the closed store in `dir` into a fresh database, compares the two, and puts
/// the copy in the place of the original. It needs room for both. A crash at any moment leaves the
/// one or the other.
///
/// # Errors
/// [`MaintenanceError`]; the store is as it was.
pub fn compact(dir: &Path, mut options: Options) -> Result<CompactReport, MaintenanceError> {
    let started = Instant::now();
    let (old, _) = open_engine(dir, &mut options).map_err(MaintenanceError::Open)?;
    let keys = Keys::new(options.data_key.clone());
    let gate = read_row(&old, &keys, &GATE).map_err(MaintenanceError::Read)?;
    admit(dir, &old, &keys, gate, &options).map_err(MaintenanceError::Open)?;
    let group = read_row(&old, &keys, &GROUP).map_err(MaintenanceError::Read)?.unwrap_or_default();
    let new_dir = sibling(dir, ".compacting");
    // What an interrupted run left is worth nothing: the original was never touched.
    clear(&new_dir)?;
    clear(&sibling(dir, READY))?;
    clear(&sibling(dir, REPLACED))?;
    let mut copy = Copy::begin(&new_dir, options.cache_bytes)?;
    for row in all(&old) {
        let (key, value) = row.map_err(unreadable)?;
        copy.change(key, Some(value))?;
    }
    let new = copy.finish()?;
    let rows = compare(&old, &new, &new_dir)?;
    let bytes_before = old.size_on_disk().map_err(unreadable)?;
    let bytes_after = new.size_on_disk().map_err(unreadable)?;
    let lock = old.lock().map_err(directory_error(dir))?;
    drop((old, new));
    Mark::leave(&new_dir, group).map_err(directory_error(&new_dir))?;
    directory::sync(&new_dir).map_err(directory_error(&new_dir))?;
    fs::rename(&new_dir, sibling(dir, READY)).map_err(directory_error(&new_dir))?;
    directory::swap(dir, &sibling(dir, REPLACED)).map_err(directory_error(dir))?;
    drop(lock);
    clear(&sibling(dir, REPLACED))?;
    Ok(CompactReport { rows, bytes_before, bytes_after, took: started.elapsed() })
}

/// Rows on their way into a fresh database.
pub(crate) struct Copy {
    engine: Engine,
    dir: PathBuf,
    rows: Vec<(Bytes, Option<Bytes>)>,
    bytes: usize,
}

impl Copy {
    pub(crate) fn begin(dir: &Path, cache_bytes: u64) -> Result<Self, MaintenanceError> {
        let lock = directory::lock(dir).map_err(|error| match error {
            LockError::Taken => MaintenanceError::Exists(dir.to_path_buf()),
            LockError::Io(source) => directory_error(dir)(source),
        })?;
        let engine = Engine::open(dir, cache_bytes, None, lock);
        let engine = engine.map_err(|source| write_error(dir, source))?;
        Ok(Self::of(engine, dir))
    }

    /// Goes on with a copy that is open.
    pub(crate) fn of(engine: Engine, dir: &Path) -> Self {
        Self { engine, dir: dir.to_path_buf(), rows: Vec::new(), bytes: 0 }
    }

    /// Writes a row, or deletes it.
    pub(crate) fn change(
        &mut self,
        key: Bytes,
        value: Option<Bytes>,
    ) -> Result<(), MaintenanceError> {
        self.bytes += key.len() + value.as_ref().map_or(0, |value| value.len());
        self.rows.push((key, value));
        if self.rows.len() >= COPY_ROWS || self.bytes >= COPY_BYTES {
            self.write()?;
        }
        Ok(())
    }

    /// Writes the one row of a table.
    pub(crate) fn write_row<V: Value>(
        &mut self,
        table: &Table<(), V>,
        value: &V,
    ) -> Result<(), MaintenanceError> {
        let mut bytes = Vec::new();
        table.encode(value, &mut bytes).map_err(MaintenanceError::Read)?;
        self.change(Bytes::from(table.key(&()).as_slice()), Some(Bytes::from(bytes)))
    }

    /// Writes what is left and waits for the disk, once: a copy counts only when it is complete.
    pub(crate) fn finish(mut self) -> Result<Engine, MaintenanceError> {
        self.write()?;
        let synced = self.engine.sync();
        synced.map_err(|source| write_error(&self.dir, source))?;
        Ok(self.engine)
    }

    fn write(&mut self) -> Result<(), MaintenanceError> {
        self.bytes = 0;
        let applied =
            self.engine.apply(std::mem::take(&mut self.rows).into_iter(), &HashSet::new());
        let flushed = applied.and_then(|()| self.engine.flush());
        flushed.map_err(|source| write_error(&self.dir, source))?;
        Engine::collect_garbage();
        Ok(())
    }
}

fn all(engine: &Engine) -> impl Iterator<Item = Result<Row, EngineError>> + use<> {
    engine.range((Bound::Unbounded, Bound::Unbounded))
}

fn compare(old: &Engine, new: &Engine, dir: &Path) -> Result<u64, MaintenanceError> {
    let (mut old, mut new) = (all(old), all(new));
    let mut rows = 0;
    loop {
        let pair = (old.next().transpose(), new.next().transpose());
        match (pair.0.map_err(unreadable)?, pair.1.map_err(unreadable)?) {
            (None, None) => return Ok(rows),
            (Some(old), Some(new)) if old == new => rows += 1,
            _ => return Err(MaintenanceError::Differs { dir: dir.to_path_buf(), rows }),
        }
    }
}

pub(crate) fn clear(dir: &Path) -> Result<(), MaintenanceError> {
    if dir.exists() { fs::remove_dir_all(dir).map_err(directory_error(dir)) } else { Ok(()) }
}

pub(crate) fn unreadable(error: EngineError) -> MaintenanceError {
    MaintenanceError::Read(error.into())
}

pub(crate) fn directory_error(dir: &Path) -> impl FnOnce(io::Error) -> MaintenanceError {
    let dir = dir.to_path_buf();
    move |source| MaintenanceError::Directory { dir, source }
}

fn write_error(dir: &Path, source: EngineError) -> MaintenanceError {
    MaintenanceError::Write { dir: dir.to_path_buf(), source }
}
