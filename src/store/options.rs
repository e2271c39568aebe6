//! What a node decides about its store.

use std::time::Duration;

use domain::time::UnixMillis;

use crate::committer::OnFailure;
use crate::engine::WrapDisk;
use crate::gate::SCHEMA;
use crate::limits::{CACHE_BYTES, GROUP_BYTES_MAX, GROUP_UNITS_MAX, PACK_AFTER_ROWS, QUEUE_DEPTH};
use crate::migrate::{MIGRATIONS, Migration};
use crate::seal::DataKey;
use crate::table::TableInfo;
use crate::tables::CATALOGUE;

/// How to open a store. Start from [`Options::new`] and change what must differ.
pub struct Options {
    /// Area code of the node; another node's data is refused.
    pub area: String,
    /// Key of everything at rest; another key is refused.
    pub data_key: DataKey,
    /// The time of this start.
    pub now: UnixMillis,
    /// Memory for sled's cache, in bytes.
    pub cache_bytes: u64,
    /// Units of work that may wait.
    pub queue_depth: usize,
    /// Units of work that may share one sync.
    pub group_units: usize,
    /// Bytes after which a group takes no further unit.
    pub group_bytes: usize,
    /// Rows written before those at rest are packed into blocks. With [`usize::MAX`] nothing is packed, nor moved together,
    /// when the store has nothing else to do.
    pub pack_after_rows: usize,
    /// Time the check after an unclean stop may take.
    pub check_time: Duration,
    /// Begin with an empty store although damaged data was set aside beside it.
    pub start_empty: bool,
    /// Called once, with the reason, when the store stops for good.
    pub on_failure: Option<OnFailure>,
    /// Schema this program writes, and the steps to it.
    pub schema: u32,
    /// Steps from older schemas.
    pub migrations: &'static [Migration],
    /// Tables the check knows.
    pub catalogue: &'static [TableInfo],
    /// For tests: what stands between the committer and the disk.
    pub wrap_disk: Option<WrapDisk>,
}

impl Options {
    /// The usual choices for everything but the node's own.
    pub fn new(area: &str, data_key: DataKey, now: UnixMillis) -> Self {
        Self {
            area: area.to_owned(),
            data_key,
            now,
            cache_bytes: CACHE_BYTES,
            queue_depth: QUEUE_DEPTH,
            group_units: GROUP_UNITS_MAX,
            group_bytes: GROUP_BYTES_MAX,
            pack_after_rows: PACK_AFTER_ROWS,
            check_time: Duration::from_secs(3),
            start_empty: false,
            on_failure: None,
            schema: SCHEMA,
            migrations: MIGRATIONS,
            catalogue: CATALOGUE,
            wrap_disk: None,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("area", &self.area)
            .field("cache_bytes", &self.cache_bytes)
            .field("queue_depth", &self.queue_depth)
            .field("group_units", &self.group_units)
            .finish_non_exhaustive()
    }
}
