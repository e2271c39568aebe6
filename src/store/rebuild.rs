//! Rebuilding: whatever can be read of a damaged store into a fresh one, and a list of the rest.

use std::fs;
use std::ops::Bound;
use std::path::Path;

use exchange::tree::{Frontier, leaf_hash};

use crate::check::{CheckReport, Finding, Walk, hexadecimal};
use crate::compact::{Copy, MaintenanceError, clear, directory_error};
use crate::core::{Core, slices};
use crate::directory::{self, LockError};
use crate::engine::{Bytes, Engine, Row};
use crate::error::EngineError;
use crate::gate::RunState;
use crate::key::KeyBuf;
use crate::ledger::StoredFrontier;
use crate::limits::FINDINGS_MAX;
use crate::mark::Mark;
use crate::open::{OpenStoreError, admit, new_gate, read_row};
use crate::options::Options;
use crate::origin::OriginRow;
use crate::seal::Keys;
use crate::table::{Table, TableInfo, next_prefix};
use crate::tables::{FRONTIER, GATE, GROUP, LEDGER, ORIGIN, RUN};
use crate::value::Value;

/// A part of a table that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Name of the table.
    pub table: &'static str,
    /// Last key before it, in hexadecimal; empty at the start of the table.
    pub after: String,
    /// First key behind it; empty at the end of the table.
    pub before: String,
}

/// What was saved and what was not.
#[derive(Debug, Clone, Default)]
pub struct RebuildReport {
    /// Rows in the new store.
    pub rows: u64,
    /// Ranges that could not be read.
    pub missing: Vec<Missing>,
    /// Rows that were read, make no sense, and were left out.
    pub left_out: Vec<Finding>,
    /// Rows left out beyond those listed.
    pub more_left_out: u64,
    /// Groups of writes that had reached the disk and are gone, as far as the mark tells.
    pub groups_lost: u64,
    /// Entries of the ledger in the new store.
    pub ledger_entries: u64,
    /// The snapshot was damaged: its spare copy was used, or the log replayed from its beginning.
    pub without_snapshot: bool,
    /// Incarnation of the new store.
    pub incarnation: u32,
}

/// Reads what can be read of the store in `from` (usually one that was set aside) into a new store
/// in `to`, which must not exist. The new store is a new incarnation; reconciliation with the peers
/// brings back what is missing.
///
/// The files in `from` stay, but sled may cut what it takes for a torn end of its log.
///
/// # Errors
/// [`MaintenanceError`]; there is no new store then.
pub fn rebuild(
    from: &Path,
    to: &Path,
    options: &Options,
) -> Result<RebuildReport, MaintenanceError> {
    if to.exists() {
        return Err(MaintenanceError::Exists(to.to_path_buf()));
    }
    let mut report = RebuildReport::default();
    let engine = open_damaged(from, options, &mut report)?;
    let keys = Keys::new(options.data_key.clone());
    let gate = read_row(&engine, &keys, &GATE).ok().flatten();
    if gate.is_some() {
        let admitted = admit(from, &engine, &keys, gate.clone(), options);
        admitted.map_err(MaintenanceError::Open)?;
    }
    let mut gate = gate.unwrap_or_else(|| new_gate(&keys, options));
    gate.incarnation += 1;
    report.incarnation = gate.incarnation;
    let group = read_row(&engine, &keys, &GROUP).ok().flatten().unwrap_or_default();
    let marked = Mark::open(from).and_then(|mark| mark.read()).map_err(directory_error(from))?;
    report.groups_lost = marked.unwrap_or_default().saturating_sub(group);

    let core = Core::new(engine, keys, StoredFrontier::default().head());
    let unfinished = directory::sibling(to, ".rebuilding");
    clear(&unfinished)?;
    let mut saving =
        Saving { core: &core, copy: Copy::begin(&unfinished, options.cache_bytes)?, report };
    let own =
        [GATE.name(), RUN.name(), GROUP.name(), FRONTIER.name(), ORIGIN.name(), LEDGER.name()];
    for table in options.catalogue.iter().filter(|table| !own.contains(&table.name)) {
        saving.table(table)?;
    }
    let frontier = saving.ledger()?;
    saving.row(&GATE, &gate)?;
    saving.row(&RUN, &RunState::Clean { opened: options.now.get() })?;
    saving.row(&GROUP, &group)?;
    saving.row(&ORIGIN, &OriginRow { backup: None, group, restored: options.now })?;
    saving.row(&FRONTIER, &frontier)?;
    let Saving { copy, report, .. } = saving;
    drop(copy.finish()?);
    Mark::leave(&unfinished, group).map_err(directory_error(&unfinished))?;
    directory::sync(&unfinished).map_err(directory_error(&unfinished))?;
    fs::rename(&unfinished, to).map_err(directory_error(to))?;
    directory::sync_name(to).map_err(directory_error(to))?;
    Ok(report)
}

/// Opens what can be opened: as it is, from the spare snapshot, or with the log replayed from its beginning.
fn open_damaged(
    from: &Path,
    options: &Options,
    report: &mut RebuildReport,
) -> Result<Engine, MaintenanceError> {
    let lock = || {
        directory::lock(from).map_err(|error| match error {
            LockError::Taken => {
                MaintenanceError::Open(OpenStoreError::InUse { dir: from.to_path_buf() })
            }
            LockError::Io(source) => directory_error(from)(source),
        })
    };
    if !from.join("db").exists() {
        let source = EngineError::Damaged("there is no database file".to_owned());
        return Err(MaintenanceError::Hopeless { dir: from.to_path_buf(), source });
    }
    directory::remove_half_snapshots(from).map_err(directory_error(from))?;
    if let Ok(engine) = Engine::open(from, options.cache_bytes, None, lock()?) {
        return Ok(engine);
    }
    report.without_snapshot = true;
    directory::hide_snapshots(from).map_err(directory_error(from))?;
    if directory::bring_back_snapshot(from).map_err(directory_error(from))? {
        if let Ok(engine) = Engine::open(from, options.cache_bytes, None, lock()?) {
            return Ok(engine);
        }
        directory::hide_snapshots(from).map_err(directory_error(from))?;
    }
    let opened = Engine::open(from, options.cache_bytes, None, lock()?);
    opened.map_err(|source| MaintenanceError::Hopeless { dir: from.to_path_buf(), source })
}

struct Saving<'a> {
    core: &'a Core,
    copy: Copy,
    report: RebuildReport,
}

impl Saving<'_> {
    /// Copies a table from its start to the first page that cannot be read, and from its end back
    /// to the last one.
    fn table(&mut self, table: &TableInfo) -> Result<(), MaintenanceError> {
        let first = KeyBuf::new(table.prefix);
        let bounds = (Bound::Included(first), Bound::Excluded(next_prefix(first)));
        let (low, high) = (slices(&bounds).0, slices(&bounds).1);
        let Some(after) = self.run(table, self.core.engine.range((low, high)))? else {
            return Ok(());
        };
        let low = after.as_deref().map_or(low, Bound::Excluded);
        let before = self.run(table, self.core.engine.range((low, high)).rev())?.flatten();
        let text = |key: Option<&Bytes>| key.map(|key| hexadecimal(key)).unwrap_or_default();
        let (after, before) = (text(after.as_ref()), text(before.as_ref()));
        self.report.missing.push(Missing { table: table.name, after, before });
        Ok(())
    }

    /// Copies rows until one cannot be read; then says which was the last before it, if any.
    fn run(
        &mut self,
        table: &TableInfo,
        rows: impl Iterator<Item = Result<Row, EngineError>>,
    ) -> Result<Option<Option<Bytes>>, MaintenanceError> {
        let mut last = None;
        for row in rows {
            let Ok(row) = row else { return Ok(Some(last)) };
            last = Some(row.0.clone());
            if self.makes_sense(table, &row) {
                self.add(row)?;
            }
        }
        Ok(None)
    }

    fn makes_sense(&mut self, table: &TableInfo, row: &Row) -> bool {
        let mut check = CheckReport::default();
        let walk = Walk { opens: self.core, table };
        walk.row(&row.0, &row.1, &mut None, &mut check);
        let sound = check.is_sound();
        let listed = self.report.left_out.len() < FINDINGS_MAX;
        match check.findings.pop() {
            Some(finding) if listed => self.report.left_out.push(finding),
            Some(_) => self.report.more_left_out += 1,
            None => {}
        }
        sound
    }

    /// Copies the ledger up to its first gap: a tree with holes proves nothing. Its frontier is
    /// computed anew.
    fn ledger(&mut self) -> Result<StoredFrontier, MaintenanceError> {
        let (kind, head) = (LEDGER.kind(), LEDGER.head(&()));
        let bounds = (Bound::Included(head), Bound::Excluded(next_prefix(head)));
        let mut tree = Frontier::new();
        let mut stopped_at = None;
        for row in self.core.engine.range(slices(&bounds)) {
            let Ok((key, value)) = row else {
                stopped_at = Some(String::new());
                break;
            };
            let page = kind.page(&self.core.keys, &key, &value).ok();
            let page = page.filter(|page| page.first() == tree.size());
            let Some(page) = page else {
                stopped_at = Some(hexadecimal(&key));
                break;
            };
            tree.extend((page.first()..page.next()).filter_map(|at| page.entry(at)).map(leaf_hash));
            self.add((key.clone(), value.clone()))?;
        }
        if let Some(before) = stopped_at {
            let after = format!("entry {}", tree.size());
            self.report.missing.push(Missing { table: LEDGER.name(), after, before });
        }
        self.report.ledger_entries = tree.size();
        Ok(StoredFrontier { before: tree.clone(), after: tree })
    }

    fn row<V: Value>(&mut self, table: &Table<(), V>, value: &V) -> Result<(), MaintenanceError> {
        self.report.rows += 1;
        self.copy.write_row(table, value)
    }

    fn add(&mut self, row: Row) -> Result<(), MaintenanceError> {
        self.report.rows += 1;
        self.copy.change(row.0, Some(row.1))
    }
}
