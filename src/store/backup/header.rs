//! What a backup file says of itself before anything is opened.

use std::path::Path;

use domain::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::error::BackupError;
use crate::gate::{FORMAT, Gate, GateError};
use crate::options::Options;
use crate::seal::Keys;
use crate::value::first_layouts;

/// First bytes of a data file.
pub(super) const DATA_MAGIC: &[u8] = b"liangdi-backup-1\n";
/// First bytes of a keys file.
pub(super) const KEYS_MAGIC: &[u8] = b"liangdi-subject-keys-1\n";

/// Whose data a file holds, and how it is sealed. In clear, but authenticated with every chunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupHeader {
    /// Always [`FORMAT`].
    pub format: String,
    /// Layout of the data; see [`crate::SCHEMA`].
    pub schema: u32,
    /// Area code of the node.
    pub area: String,
    /// When the backup was begun.
    pub created: UnixMillis,
    /// When the store was first started, Unix milliseconds: tells one store of an area from another.
    pub store_created: u64,
    /// Incarnation of the store.
    pub incarnation: u32,
    /// Group of writes after which it was begun. The group it brings back is in the last chunk.
    pub begun_at: u64,
    /// Random name that data file and keys file share.
    pub backup_id: [u8; 16],
    /// Tells a wrong data key before anything is opened.
    pub key_check: [u8; 16],
    /// Salt of this file's key; no other file has it.
    pub salt: [u8; 32],
}

first_layouts!(BackupHeader);

impl BackupHeader {
    /// Lets a reader through who has the key, or says why not. With an area, the file has to be that node's.
    pub(super) fn admit(
        &self,
        path: &Path,
        keys: &Keys,
        options: &Options,
    ) -> Result<(), BackupError> {
        let gate = Gate {
            format: self.format.clone(),
            schema: self.schema,
            area: self.area.clone(),
            created: self.store_created,
            incarnation: self.incarnation,
            key_check: self.key_check,
        };
        let admitted = gate.admit(options.schema, &options.area, keys.check_value());
        admitted.map_err(|source: GateError| BackupError::Gate { path: path.to_path_buf(), source })
    }

    pub(super) fn new(gate: &Gate, created: UnixMillis, begun_at: u64, random: [u8; 48]) -> Self {
        let (id, salt) = random.split_first_chunk().map_or(([0; 16], [0; 32]), |(id, salt)| {
            (*id, salt.first_chunk().copied().unwrap_or_default())
        });
        Self {
            format: FORMAT.to_owned(),
            schema: gate.schema,
            area: gate.area.clone(),
            created,
            store_created: gate.created,
            incarnation: gate.incarnation,
            begun_at,
            backup_id: id,
            key_check: gate.key_check,
            salt,
        }
    }
}

/// The state of a store that a file holds.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) header: BackupHeader,
    /// The last group in it.
    pub(super) group: u64,
}

impl State {
    /// Whether these keys, from `path`, open that data: keys of the same store, and no older.
    pub(super) fn opens(&self, path: &Path, data: &Self) -> Result<(), BackupError> {
        let (keys, of) = (&self.header, &data.header);
        if (&keys.area, keys.store_created) != (&of.area, of.store_created) {
            return Err(BackupError::OtherKeys { path: path.to_path_buf() });
        }
        // After a restore groups begin again further back, in another incarnation.
        if (keys.incarnation, self.group) < (of.incarnation, data.group) {
            let (path, keys, backup) = (path.to_path_buf(), self.group, data.group);
            return Err(BackupError::OldKeys { path, keys, backup });
        }
        Ok(())
    }
}
