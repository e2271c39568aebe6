//! The only module that knows sled: open, read, write one batch, reach the disk, pack what is at rest.

pub(crate) mod block;
mod pack;
mod rows;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use self::tree::Tree;
use crate::caught::{caught, caught_opening};
use crate::directory;
use crate::error::EngineError;
use crate::limits::{EPOCH_FLUSHES, SEGMENT_BYTES};

pub(crate) use self::pack::Packer;
/// Shared, immutable bytes; short ones without an allocation.
pub(crate) use sled::IVec as Bytes;

/// The one tree that holds every table, each under its prefix. One tree, because one batch on one
/// tree is atomic after a crash and several batches are not.
const NAME: &[u8] = b"liangdi-1";

/// A tree of one small page, written to only to have another page moved.
const CHORE: &[u8] = b"chore-1";

/// Writes to one page after which sled writes it anew as a whole, its own bound and one.
const WRITES_TO_REPLACE: u8 = 11;

/// A key and its value.
pub(crate) type Row = (Bytes, Bytes);

/// Makes written bytes survive a power cut.
///
/// sled's own flush ends in `sync_file_range`, which syncs neither the file's size nor the drive's
/// cache: of 49 simulated power cuts 34 lost acknowledged data. So the committer calls this on a
/// handle of its own, once for every group, before it answers anybody.
pub trait Disk: Send + Sync + 'static {
    /// Returns when everything written so far is on stable storage.
    ///
    /// # Errors
    /// Whatever the operating system reports. It is never called again after an error.
    fn sync_data(&self) -> io::Result<()>;
}

/// The database file itself.
#[derive(Debug)]
pub struct DatabaseFile(File);

impl Disk for DatabaseFile {
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Puts something of a test's own around the database file: a counter, a failure.
pub type WrapDisk = Box<dyn FnOnce(DatabaseFile) -> Box<dyn Disk> + Send>;

/// An open database.
pub(crate) struct Engine {
    db: sled::Db,
    tree: Tree,
    /// Holds nothing; see [`tidy`](Self::tidy).
    chore: sled::Tree,
    disk: Box<dyn Disk>,
    /// Held until everything above is gone.
    lock: File,
}

impl Engine {
    /// Opens or creates the database in a thread of its own, because sled answers damage with a
    /// panic.
    pub(crate) fn open(
        dir: &Path,
        cache_bytes: u64,
        wrap: Option<WrapDisk>,
        lock: File,
    ) -> Result<Self, EngineError> {
        let path = dir.to_path_buf();
        let opener = std::thread::Builder::new().name("store-open".to_owned());
        let open = move || {
            directory::wait_for_database(&path)?;
            let config = sled::Config::new()
                .path(&path)
                .cache_capacity(cache_bytes)
                .mode(sled::Mode::HighThroughput)
                .segment_size(SEGMENT_BYTES)
                // No flusher of its own: it would hide the error of a failed sync in a log line.
                .flush_every_ms(None);
            let db = config.open()?;
            let tree = Tree::new(db.open_tree(NAME)?);
            let chore = db.open_tree(CHORE)?;
            if let Err(error) = directory::keep_snapshot(&path) {
                tracing::warn!(%error, "no spare copy of the snapshot could be kept");
            }
            let file = DatabaseFile(File::open(path.join("db"))?);
            let disk = match wrap {
                Some(wrap) => wrap(file),
                None => Box::new(file),
            };
            Ok(Self { db, tree, chore, disk, lock })
        };
        let thread = opener.spawn(move || caught_opening(open))?;
        thread
            .join()
            .flatten()
            .unwrap_or_else(|panic| Err(EngineError::Stopped(panic_text(&*panic))))
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.tree.get(key)
    }

    /// Rows of a range in the order of their keys, from either end. Not a snapshot: rows written
    /// meanwhile may or may not be seen.
    pub(crate) fn range(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> impl DoubleEndedIterator<Item = Result<Row, EngineError>> + use<> {
        self.tree.range(range)
    }

    /// Writes all rows or none; `None` deletes. What those in `scrubbed` held before is in no row afterwards. Not on disk
    /// before [`sync`](Self::sync).
    pub(crate) fn apply(
        &self,
        rows: impl Iterator<Item = (Bytes, Option<Bytes>)>,
        scrubbed: &HashSet<Bytes>,
    ) -> Result<(), EngineError> {
        self.tree.apply(rows, scrubbed)
    }

    /// Hands what was applied to the operating system and waits for the disk.
    pub(crate) fn flush(&self) -> Result<(), EngineError> {
        guarded(|| self.db.flush()).map(drop)
    }

    /// Has sled move one page out of a segment of which less than half is of use, if there is one. It does so only when it
    /// replaces a page, which is less often than ours fall out of use: the file would grow to five times of what is in it.
    /// Its own thread for this would sync beside us and hide its errors.
    pub(crate) fn tidy(&self) -> Result<(), EngineError> {
        guarded(|| {
            (0..WRITES_TO_REPLACE)
                .try_for_each(|count| self.chore.insert(b"chore", &[count]).map(drop))
        })
    }

    /// Waits for the disk.
    pub(crate) fn sync(&self) -> Result<(), EngineError> {
        self.disk.sync_data().map_err(EngineError::from)
    }

    /// Lets go of the memory that the last batch made superfluous.
    pub(crate) fn collect_garbage() {
        for _ in 0..EPOCH_FLUSHES {
            crossbeam_epoch::pin().flush();
        }
    }

    /// Another hold on the lock of the directory, for work that goes on when this is closed.
    pub(crate) fn lock(&self) -> io::Result<File> {
        self.lock.try_clone()
    }

    /// Bytes of all files of the database.
    pub(crate) fn size_on_disk(&self) -> Result<u64, EngineError> {
        guarded(|| self.db.size_on_disk())
    }
}

/// Has sled write a snapshot once everything else has let go of the database. sled writes one only
/// while it opens, and replays at every start what was logged since: half a second for each 200 MB.
pub(crate) struct SnapshotAtEnd {
    dir: PathBuf,
    lock: File,
    due: bool,
}

impl SnapshotAtEnd {
    pub(crate) fn new(dir: &Path, lock: File) -> Self {
        Self { dir: dir.to_path_buf(), lock, due: false }
    }

    /// There is something to spare the next start.
    pub(crate) fn is_due(&mut self) {
        self.due = true;
    }
}

impl Drop for SnapshotAtEnd {
    fn drop(&mut self) {
        if !self.due {
            return;
        }
        let reopened = self.lock.try_clone().map_err(EngineError::from).and_then(|lock| {
            let engine = Engine::open(&self.dir, SNAPSHOT_CACHE_BYTES, None, lock)?;
            drop(engine);
            Ok(directory::sync(&self.dir)?)
        });
        if let Err(error) = reopened {
            // The next start does the same work, and says what is wrong if it fails there too.
            tracing::warn!(%error, "no snapshot was written at the end");
        }
    }
}

/// Opening only to close needs no cache.
const SNAPSHOT_CACHE_BYTES: u64 = 1024 * 1024;

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine(sled)")
    }
}

/// Turns a panic of sled, its answer to a damaged page, into an error. Nothing of ours is changed
/// inside, and sled's locks do not poison.
fn guarded<T>(work: impl FnOnce() -> sled::Result<T>) -> Result<T, EngineError> {
    match caught(work) {
        Ok(done) => done.map_err(EngineError::from),
        Err(panic) => Err(EngineError::Stopped(panic_text(&*panic))),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    // sled prints whole pages into some messages; rows have no place in a log.
    text.unwrap_or("panic without a text").chars().take(120).filter(|c| !c.is_control()).collect()
}
