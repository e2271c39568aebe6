//! How much room the disk has left, and when that is too little to take on anything new.
//!
//! The store fails for good when a flush finds no room, so new work stops well before that: what was accepted can
//! then still be delivered, receipted and settled, which is what makes room in the end.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::tasks::Tasks;

/// How often the disk is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Room is there again once this part of the minimum more is free: so the answer does not flicker.
const MARGIN: u64 = 16;

/// Watches the free room of the disk that a directory lies on. Clones share what they know.
#[derive(Clone, Debug)]
pub struct DiskGuard(Arc<Watched>);

#[derive(Debug)]
struct Watched {
    directory: PathBuf,
    /// Bytes that have to stay free; 0 when nobody cares.
    min: u64,
    /// Bytes that were free at the last look; `u64::MAX` when it could not be told.
    free: AtomicU64,
    nearly_full: AtomicBool,
}

impl DiskGuard {
    /// A guard of the disk under `directory` that wants `min` bytes to stay free; looks at once.
    #[must_use]
    pub fn new(directory: PathBuf, min: u64) -> Self {
        let (free, nearly_full) = (AtomicU64::new(u64::MAX), AtomicBool::new(false));
        let guard = Self(Arc::new(Watched { directory, min, free, nearly_full }));
        guard.look();
        guard
    }

    /// Whether less than the minimum is free.
    #[must_use]
    pub fn is_nearly_full(&self) -> bool {
        self.0.nearly_full.load(Ordering::Relaxed)
    }

    /// Bytes that were free at the last look, if the system could tell.
    #[must_use]
    pub fn free_bytes(&self) -> Option<u64> {
        Some(self.0.free.load(Ordering::Relaxed)).filter(|free| *free != u64::MAX)
    }

    /// Bytes that have to stay free.
    #[must_use]
    pub fn min_bytes(&self) -> u64 {
        self.0.min
    }

    /// Looks every few seconds until the node stops.
    pub fn follow(&self, tasks: &Tasks) {
        let guard = self.clone();
        let mut stopping = tasks.stopping();
        tasks.spawn("disk-guard", async move {
            loop {
                tokio::select! {
                    () = stopping.stopped() => return,
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
                let looking = guard.clone();
                // A disk that hangs must not hang the node's other work.
                let _looked = tokio::task::spawn_blocking(move || looking.look()).await.is_ok();
            }
        });
    }

    /// Looks once.
    fn look(&self) {
        let free = match self.ask() {
            Ok(free) => free,
            Err(error) => {
                tracing::warn!(%error, "the free room of the disk cannot be told");
                u64::MAX
            }
        };
        self.0.free.store(free, Ordering::Relaxed);
        let before = self.is_nearly_full();
        let after = is_nearly_full(before, free, self.0.min);
        self.0.nearly_full.store(after, Ordering::Relaxed);
        if after != before {
            let (free_mb, min_mb) = (free / MEBIBYTE, self.0.min / MEBIBYTE);
            if after {
                tracing::error!(
                    free_mb,
                    min_mb,
                    code = "DISK_NEARLY_FULL",
                    "the disk is nearly full: new messages wait, accepted ones are safe"
                );
            } else {
                tracing::info!(free_mb, min_mb, "the disk has room again");
            }
        }
    }

    /// Bytes free for this user.
    fn ask(&self) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(&self.0.directory)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

const MEBIBYTE: u64 = 1024 * 1024;

/// Whether a disk counts as nearly full, given whether it did before.
fn is_nearly_full(before: bool, free: u64, min: u64) -> bool {
    let needed = if before { min.saturating_add(min / MARGIN) } else { min };
    free < needed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearly_full_begins_below_the_minimum_and_ends_a_little_above_it() {
        let mut full = false;
        let mut seen = Vec::new();
        for free in [200, 160, 159, 160, 169, 170, 160, 0, 1_000] {
            full = is_nearly_full(full, free, 160);
            seen.push(full);
        }
        assert_eq!(seen, [false, false, true, true, true, false, false, true, false]);
        assert!(!is_nearly_full(true, 0, 0), "no minimum");
        assert!(is_nearly_full(true, u64::MAX - 1, u64::MAX));
    }

    #[test]
    fn the_system_tells_and_a_place_that_is_not_there_is_no_reason_to_stop() {
        let here = tempfile::tempdir().unwrap();
        let guard = DiskGuard::new(here.path().to_owned(), 1);
        assert!(guard.free_bytes().is_some_and(|free| free > 0));
        assert!(!guard.is_nearly_full());
        let huge = DiskGuard::new(here.path().to_owned(), u64::MAX);
        assert!(huge.is_nearly_full());
        let nowhere = DiskGuard::new(here.path().join("nowhere"), 1);
        assert_eq!(nowhere.free_bytes(), None);
        assert!(!nowhere.is_nearly_full());
    }
}
