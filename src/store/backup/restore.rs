//! Putting a backup in the place of a store.

use std::fs;
use std::path::{Path, PathBuf};

use domain::time::UnixMillis;

use super::change::{Change, Section, read_all};
use super::error::BackupError;
use super::header::State;
use super::progress::{Teller, Watch};
use super::sealed::{Part, Reader};
use super::verify::open;
use crate::check::check_all;
use crate::compact::{Copy, MaintenanceError, clear, directory_error};
use crate::core::Core;
use crate::directory::{self, LockError, READY};
use crate::engine::{Bytes, Engine};
use crate::error::{Corrupt, StoreError};
use crate::gate::RunState;
use crate::ledger::StoredFrontier;
use crate::mark::Mark;
use crate::open::{OpenStoreError, read_row};
use crate::options::Options;
use crate::origin::OriginRow;
use crate::seal::Keys;
use crate::tables::{GATE, ORIGIN, RUN};

/// What is to be restored, and where to.
#[derive(Clone, Copy, Debug)]
pub struct Restoring<'a> {
    /// The data file.
    pub from: &'a Path,
    /// The keys file: the newest there is.
    pub keys: &'a Path,
    /// Where the store is to be.
    pub to: &'a Path,
    /// A store that is there is given another name; otherwise it is a reason to refuse.
    pub set_aside: bool,
}

/// A store that was put in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreReport {
    /// When the backup was begun.
    pub backup: UnixMillis,
    /// The state is that after this group of writes.
    pub group: u64,
    /// Rows in the store.
    pub rows: u64,
    /// Rows of persons who are not in the keys file: erased since the backup.
    pub erased: u64,
    /// Incarnation of the store.
    pub incarnation: u32,
    /// Where the store is now that was there before.
    pub set_aside: Option<PathBuf>,
}

/// Makes a store of a backup. Everything is read, checked and written beside its place, under a name that ends in
/// `.restoring`, and put in its place at the end: there is never half a store. The store is a new incarnation.
///
/// # Errors
/// [`BackupError`]; what was there is as it was.
pub fn restore(
    restoring: &Restoring<'_>,
    options: &Options,
    watch: Watch<'_>,
) -> Result<RestoreReport, BackupError> {
    let there = occupied(restoring.to)?;
    if there && !restoring.set_aside {
        return Err(BackupError::StoreExists(restoring.to.to_path_buf()));
    }
    // Nobody may begin to use it meanwhile.
    let held = there.then(|| hold(restoring.to)).transpose()?;
    let unfinished = directory::sibling(restoring.to, ".restoring");
    if unfinished.exists() {
        // What an interrupted run left is worth nothing; that of one that runs is locked.
        drop(hold(&unfinished)?);
        clear(&unfinished).map_err(BackupError::Write)?;
    }
    let written = write(restoring, &unfinished, options, watch);
    let mut report = written.inspect_err(|_| {
        if let Err(error) = clear(&unfinished) {
            tracing::warn!(%error, "an unfinished restore could not be cleared away");
        }
    })?;
    Mark::leave(&unfinished, report.group).map_err(broken(&unfinished))?;
    directory::sync(&unfinished).map_err(broken(&unfinished))?;
    // From here on an opening finishes what is cut off: it never meets a place that is empty for a moment.
    let ready = directory::sibling(restoring.to, READY);
    clear(&ready).map_err(BackupError::Write)?;
    fs::rename(&unfinished, ready).map_err(broken(&unfinished))?;
    if !there && restoring.to.exists() {
        fs::remove_dir(restoring.to).map_err(broken(restoring.to))?;
    }
    let aside = directory::free_name(restoring.to, ".replaced-", options.now.get());
    let aside = aside.map_err(broken(restoring.to))?;
    directory::swap(restoring.to, &aside).map_err(broken(restoring.to))?;
    drop(held);
    report.set_aside = there.then_some(aside);
    Ok(report)
}

/// Whether there is anything in the way; an empty directory is not.
fn occupied(dir: &Path) -> Result<bool, BackupError> {
    if !dir.exists() {
        return Ok(false);
    }
    let mut entries = fs::read_dir(dir).map_err(broken(dir))?;
    Ok(entries.next().is_some())
}

fn hold(dir: &Path) -> Result<fs::File, BackupError> {
    directory::lock(dir).map_err(|error| match error {
        LockError::Taken => {
            let open = OpenStoreError::InUse { dir: dir.to_path_buf() };
            BackupError::Write(MaintenanceError::Open(open))
        }
        LockError::Io(source) => broken(dir)(source),
    })
}

fn broken(dir: &Path) -> impl FnOnce(std::io::Error) -> BackupError {
    let error = directory_error(dir);
    move |source| BackupError::Write(error(source))
}

/// Writes the store and checks it.
fn write(
    restoring: &Restoring<'_>,
    dir: &Path,
    options: &Options,
    watch: Watch<'_>,
) -> Result<RestoreReport, BackupError> {
    let keys = Keys::new(options.data_key.clone());
    let open_both = || -> Result<(Reader, Reader), BackupError> {
        let data = open(restoring.from, Part::Data, &keys, options)?;
        Ok((data, open(restoring.keys, Part::Keys, &keys, options)?))
    };
    let (mut data, mut secrets) = open_both()?;
    let of_bytes = (data.of_bytes + secrets.of_bytes).saturating_mul(2);
    let mut teller = Teller::new(watch, of_bytes);
    let mut filling = Filling { copy: begin(dir, options)?, teller: &mut teller };
    // Rows as they were read, then what was committed meanwhile over them.
    let keys_state = filling.pass(&mut secrets, Section::Scan)?;
    let state = filling.pass(&mut data, Section::Scan)?;
    keys_state.opens(restoring.keys, &state)?;
    let (mut data, mut secrets) = open_both()?;
    filling.pass(&mut secrets, Section::Log)?;
    filling.pass(&mut data, Section::Log)?;
    let engine = filling.copy.finish().map_err(BackupError::Write)?;
    seal_off(engine, keys, &state, (dir, restoring.from), options)
}

fn begin(dir: &Path, options: &Options) -> Result<Copy, BackupError> {
    Copy::begin(dir, options.cache_bytes).map_err(BackupError::Write)
}

/// Rows on their way from files into a store.
struct Filling<'a, 'w> {
    copy: Copy,
    teller: &'a mut Teller<'w>,
}

impl Filling<'_, '_> {
    /// Writes one section of a file; the whole file is read and checked each time.
    fn pass(&mut self, reader: &mut Reader, wanted: Section) -> Result<State, BackupError> {
        let totals = read_all(reader, |reader, section, change| {
            if section != wanted {
                return Ok(());
            }
            let written = match change {
                Change::Row { key, value } => {
                    self.copy.change(Bytes::from(key), Some(Bytes::from(value)))
                }
                Change::Gone { key } => self.copy.change(Bytes::from(key), None),
                Change::Group(_) | Change::End(_) => return Ok(()),
            };
            written.map_err(BackupError::Write)?;
            self.teller.row(reader)
        })?;
        self.teller.file_done(reader)?;
        Ok(State { header: reader.header.clone(), group: totals.group })
    }
}

/// Writes the rows that say what this store is, and checks everything.
fn seal_off(
    engine: Engine,
    keys: Keys,
    state: &State,
    (dir, from): (&Path, &Path),
    options: &Options,
) -> Result<RestoreReport, BackupError> {
    let gate = read_row(&engine, &keys, &GATE).map_err(BackupError::Read)?;
    let gate = gate.ok_or(Corrupt::Empty).map_err(StoreError::corrupt(GATE.name()));
    let mut gate = gate.map_err(BackupError::Read)?;
    gate.incarnation = gate.incarnation.saturating_add(1);
    let backup = state.header.created;
    let origin = OriginRow { backup: Some(backup), group: state.group, restored: options.now };
    let mut copy = Copy::of(engine, dir);
    let rows = copy
        .write_row(&GATE, &gate)
        .and_then(|()| copy.write_row(&RUN, &RunState::Clean { opened: backup.get() }))
        .and_then(|()| copy.write_row(&ORIGIN, &origin));
    rows.map_err(BackupError::Write)?;
    let engine = copy.finish().map_err(BackupError::Write)?;
    let core = Core::new(engine, keys, StoredFrontier::default().head());
    let checked = check_all(&core, options.catalogue, None);
    if !checked.is_sound() {
        let (path, report) = (from.to_path_buf(), Box::new(checked));
        return Err(BackupError::Unsound { path, report });
    }
    Ok(RestoreReport {
        backup,
        group: state.group,
        rows: checked.rows,
        erased: checked.erased,
        incarnation: gate.incarnation,
        set_aside: None,
    })
}
