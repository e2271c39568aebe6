//! Every bound of the store, by name and unit.

use std::time::Duration;

/// Largest value of one row, in bytes. sled moves what does not fit a quarter of its segment into
/// files that it never syncs, and it writes a whole leaf at once when it tidies up: a leaf holds up
/// to twenty rows, so twenty of these and their keys must stay below a quarter of
/// [`SEGMENT_BYTES`].
pub const VALUE_BYTES_MAX: usize = 96 * 1024;

/// Size of a segment of sled's log, in bytes; a power of two. See [`VALUE_BYTES_MAX`].
pub const SEGMENT_BYTES: usize = 8 * 1024 * 1024;

/// Largest key, in bytes, with the prefix of its table.
pub const KEY_BYTES_MAX: usize = 128;

/// A journal page is closed when the next entry would take it over this many bytes.
pub const JOURNAL_PAGE_BYTES: usize = 16 * 1024;

/// The last page of a journal is written again with what is added to it while it holds no more than this many bytes:
/// small entries that come one by one would else have a row each.
pub(crate) const JOURNAL_GROW_BYTES: usize = 512;

/// Size at which a block of packed rows is full, in bytes. One that is looked up is read with its neighbours, so small
/// enough for that; large enough that a leaf of sled holds hundreds of rows.
pub(crate) const BLOCK_BYTES: usize = 32 * 1024;

/// Rows written before those at rest are packed, unless the options say otherwise: little memory, and by then most of
/// them have been changed as often as they will be.
pub const PACK_AFTER_ROWS: usize = 65_536;

/// Rows that wait for packing before it is done while others wait too.
pub(crate) const PACK_LATE_ROWS: usize = 262_144;

/// How long nothing has come before rows are packed.
pub(crate) const PACK_QUIET: Duration = Duration::from_micros(300);

/// How long nothing has come before what was packed or moved is synced for its own sake.
pub(crate) const PACK_SETTLE: Duration = Duration::from_millis(250);

/// Rows and bytes that are looked at in one go of packing; a unit that comes waits for one go.
pub(crate) const PACK_STEP_ROWS: usize = 256;
/// See [`PACK_STEP_ROWS`].
pub(crate) const PACK_STEP_BYTES: usize = 256 * 1024;

/// Bytes written for which one page is moved in a quiet moment. Fewer make the file smaller and the disk busier.
pub(crate) const TIDY_FOR_BYTES: usize = 1024;
/// Pages that are moved in one go; a unit that comes waits for one go.
pub(crate) const TIDY_STEP_PAGES: usize = 8;
/// About what a page has, in bytes.
pub(crate) const TIDY_PAGE_BYTES: usize = 16 * 1024;
/// Most pages that wait to be moved: some seconds of work. Whether there is anything to move cannot be asked, so that more
/// would be mostly in vain after a busy hour.
pub(crate) const TIDY_PAGES_MAX: usize = 16_384;

/// Bytes that are packed or moved before they are made to reach the disk.
pub(crate) const PACK_SYNC_BYTES: usize = 1024 * 1024;

/// Rows side by side that are worth writing a block for.
pub(crate) const PACK_RUN_ROWS_MIN: usize = 8;

/// Largest entry of a journal, in bytes; one this large has a page of its own.
pub const JOURNAL_ENTRY_BYTES_MAX: usize = 72 * 1024;

/// Largest entry of the ledger, in bytes.
pub const LEDGER_ENTRY_BYTES_MAX: usize = 1024;

/// Journals whose next position is remembered; the rest are looked up when they are written.
pub const JOURNAL_TAILS_MAX: usize = 65_536;

/// Persons whose key is kept in memory, in each of the two halves of the cache.
pub const SUBJECTS_CACHED_MAX: usize = 32_768;

/// Most rows one scan returns; ask again from the last key for more.
pub const SCAN_ROWS_MAX: usize = 10_000;

/// Units waiting for the committer, unless the options say otherwise.
pub const QUEUE_DEPTH: usize = 1_024;

/// Units that share one write and one sync, unless the options say otherwise.
pub const GROUP_UNITS_MAX: usize = 512;

/// Most bytes one unit of work may write: twice as much as a bulk import needs, little enough for
/// the memory of a small machine.
pub const UNIT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A group takes no further unit once it holds this many bytes.
pub const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Cache of sled, in bytes, unless the options say otherwise.
pub const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// After this many bytes written in one run, closing leaves sled a fresh snapshot, so that the next
/// start need not replay them.
pub const SNAPSHOT_AFTER_BYTES: u64 = 16 * 1024 * 1024;

/// Most bytes of changes in one chunk of a backup.
pub const BACKUP_CHUNK_BYTES_MAX: usize = 1024 * 1024;

/// Most bytes of recorded writes that wait for a backup; what was taken out to be written may be as much again. Beyond
/// that the backup is given up, because the node is not to wait for it.
pub const BACKUP_LOG_BYTES_MAX: usize = 32 * 1024 * 1024;

/// After this many bytes a backup waits for the disk. A file system may have a sync of the store wait for whatever else
/// was written, and this is what bounds it.
pub const BACKUP_SYNC_BYTES: usize = 4 * 1024 * 1024;

/// Findings that a check lists; the rest are only counted.
pub const FINDINGS_MAX: usize = 100;

/// Rows and bytes that are copied at a time by compacting and rebuilding.
pub(crate) const COPY_ROWS: usize = 1_000;
pub(crate) const COPY_BYTES: usize = 4 * 1024 * 1024;

/// Times the garbage of crossbeam is pushed on after a commit. Without it sled keeps every old
/// leaf of a large batch: 937 instead of 120 MB after loading 300,000 rows.
pub(crate) const EPOCH_FLUSHES: usize = 20;

const _: () = assert!(SEGMENT_BYTES.is_power_of_two());
const _: () = assert!(20 * (VALUE_BYTES_MAX + KEY_BYTES_MAX) + 4096 < SEGMENT_BYTES / 4);
const _: () = assert!(JOURNAL_ENTRY_BYTES_MAX + 64 < VALUE_BYTES_MAX);
const _: () = assert!(BLOCK_BYTES + BLOCK_BYTES / 4 < VALUE_BYTES_MAX);
