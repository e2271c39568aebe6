//! Backups of a store that goes on working: two sealed files that bring back its state at one group of writes.
//!
//! # How
//!
//! The tree is read from one end to the other while units of work go on, so what is read is of no one moment. But every
//! group that is committed between the beginning and the end is recorded as well, in full and in order. Laid over what
//! was read, these groups give the very state after the last of them: a row that none of them wrote was the same all the
//! time, and a row that one of them wrote has its value from there. Nothing waits for a backup: the committer hands over
//! references to rows it has in hand, and if they pile up beyond [`limits::BACKUP_LOG_BYTES_MAX`] the backup is given
//! up, not the work.
//!
//! # Two files
//!
//! The data file holds everything but the keys of persons and the node's own sealing keys; the keys file holds these, as
//! of the same group. Only the newest keys file is kept, so old data files forget whoever was erased since.
//!
//! # Format
//!
//! `liangdi-backup-1` or `liangdi-subject-keys-1` and a line feed; the header ([`BackupHeader`]) with its length in front
//! (4 bytes, big-endian), in clear; chunks, each with its length in front (31 bits) and above that a bit that says
//! whether it is the last; SHA-256 of everything before. A chunk is at most 1 MiB of changes, sealed with AES-256-GCM:
//! key = HKDF-SHA256(data key, salt of the header, "liangdi/v1/backup"), nonce = number of the chunk (12 bytes,
//! big-endian), associated data = SHA-256 of everything up to the first chunk ‖ number (8) ‖ whether it is the last (1).
//! So no chunk can be changed, left out, moved or taken from another file.
//!
//! # Memory
//!
//! Making one: two chunks, and at most [`limits::BACKUP_LOG_BYTES_MAX`] of recorded writes. Restoring and verifying: one
//! chunk, the engine's cache, and for verifying with a keys file about 100 bytes a person.

mod change;
mod create;
mod error;
mod header;
mod progress;
mod restore;
mod sealed;
mod shelf;
pub(crate) mod tap;
mod verify;

pub use create::BackupReport;
pub use error::BackupError;
pub use header::BackupHeader;
pub use progress::{Progress, Watch};
pub use restore::{RestoreReport, Restoring, restore};
pub use shelf::{KEYS_SUFFIX, SUFFIX, newest_backup, newest_keys};
pub use verify::{VerifyReport, verify};

use crate::tables::{ERASED, SEALING_KEY, SUBJECT_KEY};

#[cfg(doc)]
use crate::limits;

/// Whether a row belongs in the keys file: what opens the values of persons, and what opens envelopes.
pub(crate) fn is_secret(row_key: &[u8]) -> bool {
    let secret = [SUBJECT_KEY.prefix(), SEALING_KEY.prefix(), ERASED.prefix()];
    matches!(row_key.first(), Some(prefix) if secret.contains(prefix))
}
