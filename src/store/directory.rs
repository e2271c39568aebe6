//! The data directory: who holds it, what a crash left in it, and where damaged data goes.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// File whose lock tells that a process has the directory. sled locks its own file too, but says
/// so in words that nobody understands.
const LOCK: &str = "lock";

/// Space that must be free before sled is let at the files: it answers a full disk with a panic,
/// which must not be taken for damage.
const PROBE_BYTES: usize = 1024 * 1024;

/// Longest wait for sled's own threads; they need milliseconds, more on a machine that is busy.
const DATABASE_WAIT: Duration = Duration::from_secs(20);
/// Time between two looks.
const DATABASE_LOOK: Duration = Duration::from_millis(2);

#[derive(Debug)]
pub(crate) enum LockError {
    Taken,
    Io(io::Error),
}

/// Creates the directory if need be and takes its lock, which ends with the returned file.
pub(crate) fn lock(dir: &Path) -> Result<File, LockError> {
    if !dir.exists() {
        create_private(dir).map_err(LockError::Io)?;
    }
    let mut how = OpenOptions::new();
    let file = how.create(true).truncate(false).write(true).open(dir.join(LOCK));
    let file = file.map_err(LockError::Io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LockError::Taken),
        Err(TryLockError::Error(source)) => Err(LockError::Io(source)),
    }
}

/// Waits until nobody of this process has the database file any more: sled answers a close before its own threads have
/// let go of the file, and an opening in between is refused. Other processes are kept out by [`lock`].
pub(crate) fn wait_for_database(dir: &Path) -> io::Result<()> {
    let file = match File::open(dir.join("db")) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let started = Instant::now();
    until_free(&file, || {
        std::thread::sleep(DATABASE_LOOK);
        started.elapsed() < DATABASE_WAIT
    })
}

/// Looks until the file is free or `again` has had enough; then the opening itself says what is the matter.
fn until_free(file: &File, mut again: impl FnMut() -> bool) -> io::Result<()> {
    loop {
        match file.try_lock() {
            // Ends with the file.
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if again() => {}
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(source)) => return Err(source),
        }
    }
}

/// Creates a directory that only its owner can read, and those above it; one that is there stays as it is.
pub(crate) fn create_private(dir: &Path) -> io::Result<()> {
    let mut how = fs::DirBuilder::new();
    how.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut how, 0o700);
    how.create(dir)
}

/// Fails when the directory cannot take another megabyte.
pub(crate) fn probe(dir: &Path) -> io::Result<()> {
    let path = dir.join("probe");
    let mut file = File::create(&path)?;
    let written = file.write_all(&vec![0; PROBE_BYTES]).and_then(|()| file.sync_data());
    fs::remove_file(&path)?;
    written
}

/// Deletes snapshots that sled had not finished. It would take the newest one for whole and report
/// corruption at every start; the log alone is enough.
pub(crate) fn remove_half_snapshots(dir: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Renames snapshots so that sled does not find them and replays its log from the beginning.
pub(crate) fn hide_snapshots(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with("snap.") {
            let mut hidden = OsString::from("unused.");
            hidden.push(&name);
            fs::rename(dir.join(&name), dir.join(hidden))?;
        }
    }
    Ok(())
}

/// What the copy of the newest snapshot is called; the name of the snapshot follows.
const SPARE: &str = "spare.";

/// Keeps a copy of the newest snapshot. Without any sled cannot always find its way: where the log goes on from may lie in a
/// part that was emptied since.
pub(crate) fn keep_snapshot(dir: &Path) -> io::Result<()> {
    let Some(newest) = newest(dir, "snap.")? else { return Ok(()) };
    let spare = format!("{SPARE}{newest}");
    let before = self::newest(dir, SPARE)?;
    if before.as_ref() == Some(&spare) {
        return Ok(());
    }
    let unfinished = dir.join("unfinished-spare");
    fs::copy(dir.join(&newest), &unfinished)?;
    fs::rename(&unfinished, dir.join(&spare))?;
    before.map_or(Ok(()), |before| fs::remove_file(dir.join(before)))
}

/// Puts the copy of the newest snapshot in its place; says whether there was one.
pub(crate) fn bring_back_snapshot(dir: &Path) -> io::Result<bool> {
    let Some(spare) = newest(dir, SPARE)? else { return Ok(false) };
    let name = spare.strip_prefix(SPARE).unwrap_or(&spare);
    fs::copy(dir.join(&spare), dir.join(name))?;
    Ok(true)
}

/// The last of the names that begin so; they end in a number of fixed width.
fn newest(dir: &Path, start: &str) -> io::Result<Option<String>> {
    let mut newest = None;
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let name =
            name.to_str().filter(|name| name.starts_with(start) && !name.ends_with(".generating"));
        newest = newest.max(name.map(str::to_owned));
    }
    Ok(newest)
}

/// Makes the files and the names in the directory, and its own name, survive a power cut.
pub(crate) fn sync(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        File::open(entry?.path())?.sync_all()?;
    }
    File::open(dir)?.sync_all()?;
    sync_name(dir)
}

/// Makes a change of name survive a power cut.
pub(crate) fn sync_name(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// The directory with something after its name: `store` becomes `store.damaged-17`.
pub(crate) fn sibling(dir: &Path, suffix: &str) -> PathBuf {
    let mut name = dir.file_name().map(OsStr::to_os_string).unwrap_or_default();
    name.push(suffix);
    dir.with_file_name(name)
}

/// Moves the directory to a name that says what happened and when.
pub(crate) fn set_aside(dir: &Path, now: u64) -> io::Result<PathBuf> {
    let aside = free_name(dir, DAMAGED, now)?;
    fs::rename(dir, &aside)?;
    sync_name(dir)?;
    Ok(aside)
}

/// A name beside the directory that nothing has, with what happened and when.
pub(crate) fn free_name(dir: &Path, what: &str, now: u64) -> io::Result<PathBuf> {
    let names = (0_u32..100).map(|again| match again {
        0 => sibling(dir, &format!("{what}{now}")),
        _ => sibling(dir, &format!("{what}{now}-{again}")),
    });
    let free = names.into_iter().find(|path| !path.exists());
    free.ok_or_else(|| io::Error::from(io::ErrorKind::AlreadyExists))
}

const DAMAGED: &str = ".damaged-";

/// The newest directory that was set aside beside this one.
pub(crate) fn damaged_sibling(dir: &Path) -> io::Result<Option<PathBuf>> {
    let parent = match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(None),
    };
    if !parent.exists() {
        return Ok(None);
    }
    let mut start = dir.file_name().map(OsStr::to_os_string).unwrap_or_default();
    start.push(DAMAGED);
    let start = start.to_string_lossy().into_owned();
    let names = fs::read_dir(parent)?.map(|entry| entry.map(|entry| entry.file_name()));
    let names: Vec<OsString> = names.collect::<io::Result<_>>()?;
    let damaged = names.into_iter().filter(|name| name.to_string_lossy().starts_with(&start));
    Ok(damaged.max().map(|name| parent.join(name)))
}

/// Name of a finished copy that is about to take the place of the directory.
pub(crate) const READY: &str = ".ready";
/// Name of the directory while its copy takes its place.
pub(crate) const REPLACED: &str = ".before-compact";

/// Puts a finished copy in the place of the directory, which gets another name if it is there.
pub(crate) fn swap(dir: &Path, aside: &Path) -> io::Result<()> {
    if dir.exists() {
        fs::rename(dir, aside)?;
    }
    fs::rename(sibling(dir, READY), dir)?;
    sync_name(dir)
}

/// Finishes a swap that a crash interrupted between its two steps.
pub(crate) fn finish_swap(dir: &Path) -> io::Result<()> {
    if !dir.exists() && sibling(dir, READY).exists() {
        fs::rename(sibling(dir, READY), dir)?;
        sync_name(dir)?;
    }
    Ok(())
}

/// Removes a copy that was ready when its maker was cut off before it touched the directory: it must not take the place
/// of anything later. To be called by whoever holds the lock.
pub(crate) fn forget_ready(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(sibling(dir, READY)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unfinished_snapshots_are_deleted() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["snap.01", "snap.02.generating", "db", "x.generating"] {
            fs::write(dir.path().join(name), b"x").unwrap();
        }
        assert_eq!(remove_half_snapshots(dir.path()).unwrap(), 1);
        assert!(!dir.path().join("snap.02.generating").exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_spare_copy_of_the_newest_snapshot_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| fs::write(dir.path().join(name), name).unwrap();
        assert!(!bring_back_snapshot(dir.path()).unwrap(), "there is none");
        for newest in ["snap.01", "snap.0A"] {
            write(newest);
            (0..2).for_each(|_| keep_snapshot(dir.path()).unwrap());
        }
        hide_snapshots(dir.path()).unwrap();
        assert!(bring_back_snapshot(dir.path()).unwrap());
        assert_eq!(fs::read(dir.path().join("snap.0A")).unwrap(), b"snap.0A");
        assert!(!dir.path().join("snap.01").exists() && !dir.path().join("spare.snap.01").exists());
    }

    #[test]
    fn what_is_set_aside_is_found_and_never_overwritten() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("store");
        assert_eq!(damaged_sibling(&dir).unwrap(), None);
        for expected in ["store.damaged-5", "store.damaged-5-1"] {
            fs::create_dir(&dir).unwrap();
            assert_eq!(set_aside(&dir, 5).unwrap(), parent.path().join(expected));
            assert_eq!(damaged_sibling(&dir).unwrap(), Some(parent.path().join(expected)));
        }
    }

    #[test]
    fn an_interrupted_swap_is_finished() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("store");
        fs::create_dir(sibling(&dir, READY)).unwrap();
        fs::write(sibling(&dir, READY).join("new"), b"").unwrap();
        finish_swap(&dir).unwrap();
        assert!(dir.join("new").exists());
        finish_swap(&dir).unwrap();
        // One that never began.
        fs::create_dir(sibling(&dir, READY)).unwrap();
        finish_swap(&dir).unwrap();
        forget_ready(&dir).unwrap();
        forget_ready(&dir).unwrap();
        assert!(!sibling(&dir, READY).exists() && dir.join("new").exists());
    }

    #[test]
    fn an_opening_waits_until_the_file_is_let_go() {
        let dir = tempfile::tempdir().unwrap();
        wait_for_database(dir.path()).unwrap();
        let path = dir.path().join("db");
        let held = File::create(&path).unwrap();
        held.lock().unwrap();
        let (mut held, mut looks) = (Some(held), 0);
        let file = File::open(&path).unwrap();
        let again = || {
            looks += 1;
            if looks == 3 {
                held = None;
            }
            true
        };
        until_free(&file, again).unwrap();
        assert_eq!(looks, 3);
        let other = File::open(&path).unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)), "it is ours now");
        until_free(&other, || false).unwrap();
    }

    #[test]
    fn the_lock_is_exclusive_and_ends_with_its_file() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("store");
        let held = lock(&dir).unwrap();
        assert!(matches!(lock(&dir), Err(LockError::Taken)));
        drop(held);
        assert!(lock(&dir).is_ok());
    }
}
