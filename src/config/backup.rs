//! The section `[backup]`: where backups go, and how many stay.

use std::path::{Path, PathBuf};

use super::Check;
use super::raw::RawBackup;

/// Where backups go.
#[derive(Clone, Debug)]
pub struct BackupSettings {
    /// Directory of the files; made when it is needed.
    pub dir: PathBuf,
    /// How many of the newest are kept. Of the keys files only the newest is.
    pub keep: usize,
}

impl Check<'_> {
    pub(super) fn backup(&mut self, raw: &RawBackup, data_dir: &Path) -> Option<BackupSettings> {
        let before = self.problems.len();
        self.range("backup.keep", &raw.keep, 1..1_001);
        let dir = raw.dir.clone().unwrap_or_else(|| data_dir.join("backups"));
        (self.problems.len() == before).then(|| BackupSettings {
            dir: self.path(&dir),
            keep: usize::try_from(*raw.keep.get_ref()).unwrap_or(1),
        })
    }
}
