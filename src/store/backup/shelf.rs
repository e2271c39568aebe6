//! The directory of backups: names, what is complete, and what makes room.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use domain::time::UnixMillis;

use super::error::BackupError;
use super::header::BackupHeader;
use super::sealed::{Part, read_header};
use crate::directory;

/// End of the names of data files.
pub const SUFFIX: &str = ".liangdi-backup";
/// End of the names of keys files.
pub const KEYS_SUFFIX: &str = ".liangdi-keys";
/// End of the names of files that are not complete.
const PARTIAL: &str = ".partial";

/// A place for one new backup.
pub(super) struct Shelf {
    dir: PathBuf,
    area: String,
    /// Area and time: what the names of this backup begin with.
    name: String,
    /// The data file while it is not complete.
    pub(super) data: PathBuf,
    /// The keys file while it is not complete.
    pub(super) keys: PathBuf,
}

/// A backup under its names.
pub(super) struct Shelved {
    pub(super) data: PathBuf,
    pub(super) keys: PathBuf,
    pub(super) deleted: Vec<PathBuf>,
}

impl Shelf {
    /// Makes room in the directory: creates it, and clears away what a crash has left of this area's backups.
    pub(super) fn open(dir: &Path, area: &str, now: UnixMillis) -> Result<Self, BackupError> {
        directory::create_private(dir).map_err(BackupError::file(dir))?;
        for left in names(dir, area, PARTIAL)? {
            fs::remove_file(&left).map_err(BackupError::file(&left))?;
        }
        let name = format!("{area}-{}", stamp(now));
        let data = dir.join(format!("{name}{SUFFIX}{PARTIAL}"));
        let keys = dir.join(format!("{name}{KEYS_SUFFIX}{PARTIAL}"));
        Ok(Self { dir: dir.to_path_buf(), area: area.to_owned(), name, data, keys })
    }

    /// Gives the files their names and deletes what is no longer needed. The keys come first: newer keys open an older
    /// backup, older keys would not open this one.
    pub(super) fn complete(self, group: u64, keep: usize) -> Result<Shelved, BackupError> {
        let name = |suffix| self.dir.join(format!("{}-g{group:012}{suffix}", self.name));
        let (data, keys) = (name(SUFFIX), name(KEYS_SUFFIX));
        for (from, to) in [(&self.keys, &keys), (&self.data, &data)] {
            fs::rename(from, to).map_err(BackupError::file(to))?;
            directory::sync_name(to).map_err(BackupError::file(to))?;
        }
        let deleted = self.tidy(&data, &keys, keep)?;
        Ok(Shelved { data, keys, deleted })
    }

    /// Deletes all keys but these, and of the data files all but this one and the newest others. Names tell which are
    /// newest; after a clock was set back they may be wrong, but never about the files just made.
    fn tidy(&self, data: &Path, keys: &Path, keep: usize) -> Result<Vec<PathBuf>, BackupError> {
        let mut deleted = names(&self.dir, &self.area, SUFFIX)?;
        deleted.retain(|path| path != data);
        deleted.truncate((deleted.len() + 1).saturating_sub(keep.max(1)));
        // Keys that are still about open what somebody was told is erased.
        let old_keys = names(&self.dir, &self.area, KEYS_SUFFIX)?;
        deleted.extend(old_keys.into_iter().filter(|path| path != keys));
        for path in &deleted {
            fs::remove_file(path).map_err(BackupError::file(path))?;
        }
        directory::sync_name(data).map_err(BackupError::file(&self.dir))?;
        Ok(deleted)
    }
}

/// Files of an area's backups with this end of the name, oldest first.
fn names(dir: &Path, area: &str, end: &str) -> Result<Vec<PathBuf>, BackupError> {
    let begin = format!("{area}-");
    let listed = || -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(&begin) && name.ends_with(end) {
                paths.push(entry.path());
            }
        }
        paths.sort_unstable();
        Ok(paths)
    };
    listed().map_err(BackupError::file(dir))
}

/// The newest keys file of an area in a directory, if there is one.
///
/// # Errors
/// [`BackupError::File`] when the directory cannot be read.
pub fn newest_keys(dir: &Path, area: &str) -> Result<Option<PathBuf>, BackupError> {
    Ok(names(dir, area, KEYS_SUFFIX)?.pop())
}

/// What the newest backup of an area in a directory says of itself; nothing when there is none, or no directory.
///
/// # Errors
/// [`BackupError`] when the directory or the file cannot be read.
pub fn newest_backup(dir: &Path, area: &str) -> Result<Option<BackupHeader>, BackupError> {
    if !dir.exists() {
        return Ok(None);
    }
    let Some(path) = names(dir, area, SUFFIX)?.pop() else { return Ok(None) };
    let mut file = fs::File::open(&path).map_err(BackupError::file(&path))?;
    read_header(&mut file, &path, Part::Data).map(|(header, _)| Some(header))
}

/// Day and time in China Standard Time: `20261120-093000`, and the milliseconds, so that two names never meet.
fn stamp(at: UnixMillis) -> String {
    let day = at.date();
    let within = at.get().saturating_sub(day.begins().get());
    let (seconds, millis) = (within / 1_000, within % 1_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!(
        "{:04}{:02}{:02}-{hours:02}{minutes:02}{seconds:02}-{millis:03}",
        day.year(),
        day.month_of_year(),
        day.day()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_times_do() {
        assert_eq!(stamp(UnixMillis::new(86_400_000)), "19700102-080000-000");
        assert_eq!(stamp(UnixMillis::new(1_795_239_045_067)), "20261121-133045-067");
    }

    #[test]
    fn only_the_newest_keys_and_the_asked_number_of_backups_stay() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("440305-x.liangdi-keys"), b"").unwrap();
        let dir = temp.path();
        for round in 1..=4 {
            let shelf = Shelf::open(dir, "410522", UnixMillis::new(round * 1_000)).unwrap();
            fs::write(&shelf.data, b"").unwrap();
            fs::write(&shelf.keys, b"").unwrap();
            let deleted = shelf.complete(round, 2).unwrap().deleted;
            assert_eq!(deleted.len(), [0, 1, 2, 2][usize::try_from(round - 1).unwrap()]);
        }
        assert_eq!(names(dir, "410522", SUFFIX).unwrap().len(), 2);
        let keys = names(dir, "410522", KEYS_SUFFIX).unwrap();
        assert_eq!((keys.len(), newest_keys(dir, "410522").unwrap().as_ref()), (1, keys.first()));
        assert!(newest_keys(dir, "440305").unwrap().is_some(), "others' files stay");
        let shelf = Shelf::open(dir, "410522", UnixMillis::new(10)).unwrap();
        fs::write(&shelf.data, b"").unwrap();
        fs::write(&shelf.keys, b"").unwrap();
        let shelved = shelf.complete(9, 1).unwrap();
        assert!(shelved.data.exists() && shelved.keys.exists(), "whatever the clock says");
        assert_eq!(shelved.deleted.len(), 3);
        fs::write(dir.join("410522-1.liangdi-backup.partial"), b"").unwrap();
        Shelf::open(dir, "410522", UnixMillis::new(9)).unwrap();
        assert_eq!(names(dir, "410522", PARTIAL).unwrap().len(), 0);
    }
}
