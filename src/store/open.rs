//! Opening: lock, clear away what a crash left, read, let the gate decide, migrate, check.

use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::check::CheckReport;
use crate::committer::{Bounds, Committer};
use crate::core::Core;
use crate::directory::{self, LockError};
use crate::engine::{Engine, Packer, SnapshotAtEnd};
use crate::error::{CommitError, EngineError, StoreError};
use crate::gate::{FORMAT, Gate, GateError, RunState};
use crate::ledger::StoredFrontier;
use crate::mark::Mark;
use crate::migrate::Migrated;
use crate::options::Options;
use crate::origin::OriginRow;
use crate::seal::Keys;
use crate::store::{Shared, Store};
use crate::table::Table;
use crate::tables::{FRONTIER, GATE, GROUP, ORIGIN, RUN};
use crate::value::Value;

/// Why the store could not be opened. The texts are for the person who has to do something.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    /// Another process has it.
    #[error("the data directory {} is in use by another process: stop that one first", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// The operating system refused; the data itself was not found to be damaged.
    #[error("the data directory {} cannot be used: check permissions, free space and the disk", dir.display())]
    Io {
        /// The directory.
        dir: PathBuf,
        /// What was reported.
        #[source]
        source: io::Error,
    },
    /// The data cannot be read and has been moved aside.
    #[error(
        "the database in {} is damaged; it was moved to {} and nothing was deleted. Try `liangdi store rebuild` \
         on that directory, or restore a backup to {}, and reconcile with the peers afterwards",
        dir.display(), aside.display(), dir.display()
    )]
    SetAside {
        /// Where it was.
        dir: PathBuf,
        /// Where it is now.
        aside: PathBuf,
        /// What was found.
        #[source]
        source: EngineError,
    },
    /// There is no data, but damaged data was set aside earlier: starting empty must be wanted.
    #[error(
        "there is no database in {}, but a damaged one in {}: rebuild or restore it first; to start \
         empty all the same, move that directory elsewhere",
        dir.display(), aside.display()
    )]
    DamagedBefore {
        /// Where the data should be.
        dir: PathBuf,
        /// Where the damaged data is.
        aside: PathBuf,
    },
    /// The data is not for this node or this program.
    #[error("the data in {} is not for this program to touch", dir.display())]
    Gate {
        /// The directory.
        dir: PathBuf,
        /// Why.
        #[source]
        source: GateError,
    },
    /// There are rows, but none says whose they are.
    #[error("the database in {} has rows but no gate row: it was not written by this software", dir.display())]
    NoGate {
        /// The directory.
        dir: PathBuf,
    },
    /// A migration did not go through; the data is as it was before it.
    #[error("migration {name:?} failed")]
    Migration {
        /// Its name.
        name: &'static str,
        /// Why.
        #[source]
        source: CommitError<StoreError>,
    },
    /// A row that must be readable is not.
    #[error("the first rows of the store cannot be read")]
    Rows(#[source] StoreError),
    /// The first write failed.
    #[error("the store cannot be written")]
    Write(#[source] CommitError<StoreError>),
}

/// What opening found and did.
#[derive(Debug, Clone)]
pub struct OpenReport {
    /// There was no data before.
    pub created: bool,
    /// The last run ended without closing.
    pub unclean: bool,
    /// Which incarnation of the data this is; a new one means new lane epochs.
    pub incarnation: u32,
    /// The mark that proves that nothing was lost is not there: what was written last may be missing. The data are
    /// another incarnation for that.
    pub unmarked: bool,
    /// Half-written snapshots that a crash had left, and that were deleted.
    pub snapshots_removed: usize,
    /// Migrations that were run.
    pub migrations: Vec<Migrated>,
    /// The check after an unclean stop.
    pub check: Option<CheckReport>,
    /// Time it all took.
    pub took: Duration,
}

impl Store {
    /// Opens the store in `dir`, or creates it there.
    ///
    /// # Errors
    /// [`OpenStoreError`]; only damage moves data, and nothing deletes it.
    pub fn open(dir: &Path, mut options: Options) -> Result<(Self, OpenReport), OpenStoreError> {
        let started = Instant::now();
        let (engine, snapshots_removed) = open_engine(dir, &mut options)?;
        let keys = Keys::new(options.data_key.clone());
        let (engine, head) = read_head(dir, engine, &keys, &options)?;
        let gate = admit(dir, &engine, &keys, head.gate, &options)?;
        let created = gate.is_none();
        let unmarked = head.unmarked;
        let unclean = matches!(head.run, Some(RunState::Open { .. }));
        let core = Core::new(engine, keys, head.frontier.head());
        let store = start(dir, core, (head.frontier, head.group), &mut options)?;
        let gate = gate.unwrap_or_else(|| new_gate(&store.core().keys, &options));
        let gate = store.mark_open(gate, (created, unmarked), &options)?;
        let incarnation = gate.incarnation;
        let migrations = store.migrate(gate, &options)?;
        let check = unclean.then(|| store.check_within(options.check_time));
        let took = started.elapsed();
        tracing::info!(created, unclean, incarnation, ?took, "store opened");
        if unmarked {
            tracing::error!(
                "the mark of the last group is missing: what was written last may be lost"
            );
        }
        let report = OpenReport {
            created,
            unclean,
            incarnation,
            unmarked,
            snapshots_removed,
            migrations,
            check,
            took,
        };
        Ok((store, report))
    }

    /// The first write of a run: from here on a stop without closing is seen at the next start.
    fn mark_open(
        &self,
        mut gate: Gate,
        (created, unmarked): (bool, bool),
        options: &Options,
    ) -> Result<Gate, OpenStoreError> {
        if unmarked {
            gate.incarnation = gate.incarnation.saturating_add(1);
        }
        let changed = (created || unmarked).then(|| gate.clone());
        let now = options.now;
        let run = RunState::Open { opened: options.now.get() };
        let marked = self.commit_blocking(move |unit| {
            if let Some(gate) = changed {
                unit.put(&GATE, &(), &gate)?;
            }
            if unmarked {
                let group = unit.get(&GROUP, &())?.unwrap_or_default();
                unit.put(&ORIGIN, &(), &OriginRow { backup: None, group, restored: now })?;
            }
            unit.put(&RUN, &(), &run)
        });
        marked.map_err(OpenStoreError::Write)?;
        let io = |source| OpenStoreError::Io { dir: self.dir().to_path_buf(), source };
        Mark::open(self.dir()).and_then(|mark| mark.sync()).map_err(io)?;
        directory::sync_name(&self.dir().join("mark")).map_err(io)?;
        Ok(gate)
    }

    fn migrate(&self, mut gate: Gate, options: &Options) -> Result<Vec<Migrated>, OpenStoreError> {
        let mut done = Vec::new();
        for step in options.migrations.iter().copied() {
            if step.to <= gate.schema {
                continue;
            }
            gate.schema = step.to;
            let moved = gate.clone();
            let rows = self.commit_blocking(move |unit| {
                let rows = (step.run)(unit)?;
                unit.put(&GATE, &(), &moved)?;
                Ok(rows)
            });
            let rows =
                rows.map_err(|source| OpenStoreError::Migration { name: step.name, source })?;
            tracing::info!(migration = step.name, rows, schema = step.to, "store migrated");
            done.push(Migrated { name: step.name, rows });
        }
        Ok(done)
    }
}

/// Everything up to the open database.
pub(crate) fn open_engine(
    dir: &Path,
    options: &mut Options,
) -> Result<(Engine, usize), OpenStoreError> {
    let io = |source| OpenStoreError::Io { dir: dir.to_path_buf(), source };
    directory::finish_swap(dir).map_err(io)?;
    let may_start_empty = options.start_empty || dir.join("db").exists();
    let damaged = directory::damaged_sibling(dir).map_err(io)?;
    if let Some(aside) = damaged.filter(|_| !may_start_empty) {
        return Err(OpenStoreError::DamagedBefore { dir: dir.to_path_buf(), aside });
    }
    let lock = directory::lock(dir).map_err(|error| match error {
        LockError::Taken => OpenStoreError::InUse { dir: dir.to_path_buf() },
        LockError::Io(source) => io(source),
    })?;
    directory::forget_ready(dir).map_err(io)?;
    directory::probe(dir).map_err(io)?;
    let removed = directory::remove_half_snapshots(dir).map_err(io)?;
    let opened = Engine::open(dir, options.cache_bytes, options.wrap_disk.take(), lock);
    let engine = opened.map_err(|source| refuse(dir, options, source))?;
    directory::sync(dir).map_err(io)?;
    Ok((engine, removed))
}

/// Sets damaged data aside. What the operating system refused is not damage, and may work after a
/// repair, so it stays where it is.
fn refuse(dir: &Path, options: &Options, source: EngineError) -> OpenStoreError {
    let dir = dir.to_path_buf();
    if let EngineError::Io(source) = source {
        return OpenStoreError::Io { dir, source: io::Error::new(source.kind(), source) };
    }
    match directory::set_aside(&dir, options.now.get()) {
        Ok(aside) => {
            tracing::error!(aside = %aside.display(), cause = %source, "damaged store set aside");
            OpenStoreError::SetAside { dir, aside, source }
        }
        Err(source) => OpenStoreError::Io { dir, source },
    }
}

/// The rows that say what the rest is.
struct Head {
    gate: Option<Gate>,
    run: Option<RunState>,
    frontier: StoredFrontier,
    group: u64,
    unmarked: bool,
}

/// Reads them, and finds out whether sled has lost what it had promised. The engine is handed back,
/// because nothing may hold the files when they are set aside.
fn read_head(
    dir: &Path,
    engine: Engine,
    keys: &Keys,
    options: &Options,
) -> Result<(Engine, Head), OpenStoreError> {
    let io = |source| OpenStoreError::Io { dir: dir.to_path_buf(), source };
    let mark = Mark::open(dir).and_then(|mark| mark.read()).map_err(io)?;
    let marked = mark.unwrap_or_default();
    let head = head_rows(&engine, keys).and_then(|mut head| match marked.checked_sub(head.group) {
        None | Some(0) => {
            head.unmarked = mark.is_none() && head.group > 0;
            Ok(head)
        }
        Some(lost) => Err(StoreError::Engine(EngineError::Damaged(format!(
            "the last {lost} of {marked} groups of writes are gone"
        )))),
    });
    match head {
        Ok(head) => Ok((engine, head)),
        Err(StoreError::Engine(source)) => {
            drop(engine);
            Err(refuse(dir, options, source))
        }
        Err(error) => Err(OpenStoreError::Rows(error)),
    }
}

fn head_rows(engine: &Engine, keys: &Keys) -> Result<Head, StoreError> {
    Ok(Head {
        gate: read_row(engine, keys, &GATE)?,
        run: read_row(engine, keys, &RUN)?,
        frontier: read_row(engine, keys, &FRONTIER)?.unwrap_or_default(),
        group: read_row(engine, keys, &GROUP)?.unwrap_or_default(),
        unmarked: false,
    })
}

/// The gate row, if it lets us through; none in a store without a single row.
pub(crate) fn admit(
    dir: &Path,
    engine: &Engine,
    keys: &Keys,
    gate: Option<Gate>,
    options: &Options,
) -> Result<Option<Gate>, OpenStoreError> {
    let dir = dir.to_path_buf();
    let Some(gate) = gate else {
        let empty = engine.range((Bound::Unbounded, Bound::Unbounded)).next().is_none();
        return if empty { Ok(None) } else { Err(OpenStoreError::NoGate { dir }) };
    };
    match gate.admit(options.schema, &options.area, keys.check_value()) {
        Ok(()) => Ok(Some(gate)),
        Err(source) => Err(OpenStoreError::Gate { dir, source }),
    }
}

pub(crate) fn new_gate(keys: &Keys, options: &Options) -> Gate {
    Gate {
        format: FORMAT.to_owned(),
        schema: options.schema,
        area: options.area.clone(),
        created: options.now.get(),
        incarnation: 1,
        key_check: keys.check_value(),
    }
}

pub(crate) fn read_row<V: Value>(
    engine: &Engine,
    keys: &Keys,
    table: &Table<(), V>,
) -> Result<Option<V>, StoreError> {
    let key = table.key(&());
    let bytes = engine.get(key.as_slice())?;
    bytes.map(|bytes| table.read(keys, key.as_slice(), &bytes)).transpose()
}

/// Starts the committer.
fn start(
    dir: &Path,
    core: Core,
    (frontier, group): (StoredFrontier, u64),
    options: &mut Options,
) -> Result<Store, OpenStoreError> {
    let io = |source| OpenStoreError::Io { dir: dir.to_path_buf(), source };
    let snapshot = SnapshotAtEnd::new(dir, core.engine.lock().map_err(io)?);
    let core = Arc::new(core);
    let (queue, waiting) = flume::bounded(options.queue_depth);
    let committer = Committer {
        core: Arc::clone(&core),
        queue: waiting,
        bounds: Bounds { units: options.group_units, bytes: options.group_bytes },
        on_failure: options.on_failure.take(),
        packer: Packer::new(options.catalogue, options.pack_after_rows),
        unsynced: 0,
        untidy: 0,
        frontier,
        group,
        mark: Mark::open(dir).map_err(io)?,
        opened: options.now.get(),
    };
    let thread = std::thread::Builder::new().name("committer".to_owned());
    let thread = thread.spawn(move || committer.run());
    let thread = Mutex::new(Some(thread.map_err(io)?));
    let (dir, catalogue) = (dir.to_path_buf(), options.catalogue);
    Ok(Store::new(Shared { core, queue, thread, dir, catalogue, snapshot }))
}
