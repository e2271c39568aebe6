//! Power cuts, simulated on a file system of its own: what was acknowledged before the cut is there
//! after it.
//!
//! The file system is shut down with the ioctl that xfstests calls "godown" (flag 2: the journal
//! is not flushed), which is what a power cut leaves on a drive with a protected cache. It needs
//! root and loop devices; elsewhere the test says loudly that it was skipped. `LIANGDI_POWER_CUTS`
//! sets the number of cuts.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use store::{CommitError, Raw, Store, StoreError};

use crate::support::{Dice, ROWS, env_number, open, options, skipped};
use crate::workload::{
    acknowledged, spawn_child, spawn_child_with_pauses, unix_nanos, verify, wait_for_acks,
};

const CUT: &str = "import fcntl,os,struct,sys\n\
    fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";

/// An ext4 file system in a file, unmounted on drop.
struct Island {
    image: PathBuf,
    at: PathBuf,
}

impl Island {
    /// `None`, with the reason printed, where it cannot be had.
    fn make(dir: &Path, megabytes: u64) -> Option<Self> {
        let island = Self { image: dir.join("image"), at: dir.join("mnt") };
        std::fs::create_dir(&island.at).unwrap();
        let file = std::fs::File::create(&island.image).unwrap();
        file.set_len(megabytes * 1024 * 1024).unwrap();
        let made = run("mkfs.ext4", &["-q", "-F", path(&island.image)]);
        if let Err(reason) = made.and_then(|()| island.mount()) {
            skipped(&format!("no loop mounts here ({reason}); power cuts were NOT simulated"));
            return None;
        }
        Some(island)
    }

    fn mount(&self) -> Result<(), String> {
        run("mount", &["-o", "loop", path(&self.image), path(&self.at)])
    }

    fn unmount(&self) {
        // A process that was killed may hold it for a moment longer.
        for _ in 0..200 {
            if run("umount", &[path(&self.at)]).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{} stays busy", self.at.display());
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        drop(run("umount", &["-l", path(&self.at)]));
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    match Command::new(program).args(arguments).output() {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(Output { stderr, .. }) => {
            Err(format!("{program}: {}", String::from_utf8_lossy(&stderr).trim()))
        }
        Err(error) => Err(format!("{program}: {error}")),
    }
}

#[test]
fn power_cuts_lose_nothing_that_was_acknowledged() {
    let cuts = env_number("LIANGDI_POWER_CUTS").unwrap_or(5);
    let mut dice = Dice::new("power cuts");
    let temp = tempfile::tempdir().unwrap();
    let Some(island) = Island::make(temp.path(), 2048) else { return };
    let (dir, acks) = (island.at.join("store"), temp.path().join("acks"));
    let mut units = 0;
    for round in 0..cuts {
        let mut child = match round % 2 {
            0 => spawn_child(&dir, &acks),
            _ => spawn_child_with_pauses(&dir, &acks),
        };
        wait_for_acks(&acks, &mut child);
        std::thread::sleep(Duration::from_millis(dice.below(400)));
        // Not an instant: what is acknowledged while the call runs may go either way.
        let cut_at = unix_nanos();
        run("python3", &["-c", CUT, path(&island.at)]).unwrap();
        child.kill();
        island.unmount();
        island.mount().unwrap();
        let acked = acknowledged(&acks, cut_at);
        let opened = Store::open(&dir, options());
        let (store, _) = opened.unwrap_or_else(|error| panic!("round {round}: {error}"));
        units = verify(&store, &acked);
        store.close().unwrap();
        drop(store);
        // Begin afresh now and then, so that the first moments of a store are cut as well.
        if dice.below(8) == 0 || units > 60_000 {
            std::fs::remove_dir_all(&dir).unwrap();
            std::fs::remove_file(&acks).unwrap();
        }
    }
    println!("{cuts} power cuts, {units} units at the end, none acknowledged lost, none torn");
}

#[test]
fn a_full_disk_stops_the_store_and_loses_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let Some(island) = Island::make(temp.path(), 96) else { return };
    let dir = island.at.join("store");
    let store = open(&dir);
    let mut stored = 0;
    let error = loop {
        let number = stored + 1;
        let bytes = vec![7; 60_000];
        let done = store.commit_blocking(move |unit| {
            unit.put(&ROWS, &(0, number), &Raw(bytes))?;
            Ok::<_, StoreError>(())
        });
        match done {
            Ok(()) => stored = number,
            Err(error) => break error,
        }
        assert!(stored < 10_000, "a disk of 96 MB takes no 600 MB");
    };
    assert!(matches!(error, CommitError::StoreFailed(_)), "{error:?}");
    assert!(store.failure().is_some());
    store.close().unwrap_err();
    drop(store);
    // The administrator makes room: the same files on a larger disk.
    let roomy = temp.path().join("roomy");
    run("cp", &["-a", path(&dir), path(&roomy)]).unwrap();
    let (store, report) = Store::open(&roomy, options()).unwrap();
    assert!(report.unclean);
    for number in 1..=stored {
        assert!(ROWS.holds(&store, &(0, number)).unwrap(), "row {number} of {stored} is gone");
    }
    assert!(store.check().is_sound());
    store.close().unwrap();
}
