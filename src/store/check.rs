//! The integrity check: every row decodes, journals have no gaps, the ledger matches its tree.

use domain::hex::hex;
use std::fmt;
use std::ops::Bound;
use std::time::{Duration, Instant};

use domain::id::PersonId;
use exchange::tree::{Frontier, leaf_hash};

use crate::core::{Core, slices};
use crate::error::{Corrupt, StoreError};
use crate::journal::{Kind, Page};
use crate::key::KeyBuf;
use crate::ledger::StoredFrontier;
use crate::limits::FINDINGS_MAX;
use crate::seal::Keys;
use crate::store::Store;
use crate::subject::Subject;
use crate::table::{Content, Protection, TableInfo, next_prefix, split_personal};
use crate::tables::{FRONTIER, LEDGER};

/// What a check found.
#[derive(Debug, Clone, Default)]
pub struct CheckReport {
    /// Every row was read; otherwise the time ran out first.
    pub complete: bool,
    /// Rows that were read.
    pub rows: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Rows that nobody can read any more because their person was erased.
    pub erased: u64,
    /// Rows and bytes of each table, in the order of the catalogue.
    pub tables: Vec<TableCount>,
    /// What is wrong, at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub more_findings: u64,
    /// Time it took.
    pub took: Duration,
}

/// Rows of one table, as far as they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableCount {
    /// Name of the table.
    pub table: &'static str,
    /// Rows.
    pub rows: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Table it is in; empty for rows of no table.
    pub table: &'static str,
    /// Beginning of the row's key in hexadecimal; keys never hold personal data.
    pub row: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Problem {
    /// The row cannot be read.
    #[error("the row cannot be read")]
    Row(#[source] StoreError),
    /// No table of the catalogue has this prefix.
    #[error("no table of this version has prefix {0:#04x}")]
    UnknownTable(u8),
    /// A journal page does not begin where the one before it ends.
    #[error("a page ends before position {end}, the next begins at {begin}")]
    Gap {
        /// Position after the earlier page.
        end: u64,
        /// First position of the later page.
        begin: u64,
    },
    /// The stored hash tree is not the one of the entries.
    #[error("the ledger has {entries} entries that do not give the stored tree of {leaves}")]
    Ledger {
        /// Entries in the journal.
        entries: u64,
        /// Leaves the stored tree claims.
        leaves: u64,
    },
}

impl CheckReport {
    /// Nothing wrong was found.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    pub(crate) fn find(&mut self, table: &'static str, key: &[u8], problem: Problem) {
        if self.findings.len() >= FINDINGS_MAX {
            self.more_findings += 1;
            return;
        }
        self.findings.push(Finding { table, row: hexadecimal(key), problem });
    }
}

/// The beginning of a key, for people.
pub(crate) fn hexadecimal(key: &[u8]) -> String {
    hex(key.get(..32).unwrap_or(key))
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = if self.table.is_empty() { "no table" } else { self.table };
        write!(f, "{table}, row {}: {}", self.row, self.problem)
    }
}

impl Store {
    /// Reads every row while the store goes on working. What is written meanwhile may or may not be
    /// read.
    pub fn check(&self) -> CheckReport {
        self.check_until(None)
    }

    /// Reads as many rows as the time allows, of every table the last ones first: they are what a
    /// crash could have hurt.
    pub fn check_within(&self, time: Duration) -> CheckReport {
        self.check_until(Instant::now().checked_add(time))
    }

    fn check_until(&self, deadline: Option<Instant>) -> CheckReport {
        check_all(self.core(), self.catalogue(), deadline)
    }
}

/// Reads every row, or as many as there is time for.
pub(crate) fn check_all(
    core: &Core,
    catalogue: &[TableInfo],
    deadline: Option<Instant>,
) -> CheckReport {
    let started = Instant::now();
    let mut report = CheckReport { complete: true, ..CheckReport::default() };
    check_ledger(core, deadline.is_none(), &mut report);
    check_prefixes(core, catalogue, &mut report);
    let mut left = catalogue.len();
    for table in catalogue {
        // Every table gets an equal part of what time is left.
        let share = deadline.map(|deadline| {
            let rest = deadline.saturating_duration_since(Instant::now());
            Instant::now() + rest / u32::try_from(left).unwrap_or(u32::MAX).max(1)
        });
        left = left.saturating_sub(1);
        check_table(core, table, share, &mut report);
    }
    report.took = started.elapsed();
    if !report.is_sound() {
        let findings = report.findings.len();
        tracing::error!(findings, first = ?report.findings.first(), "store check failed");
    }
    report
}

/// Rows under prefixes that no table has.
fn check_prefixes(core: &Core, catalogue: &[TableInfo], report: &mut CheckReport) {
    for prefix in (0..=u8::MAX).filter(|p| catalogue.iter().all(|table| table.prefix != *p)) {
        let (lo, hi) = (KeyBuf::new(prefix), KeyBuf::new(prefix.saturating_add(1)));
        let hi = if prefix == u8::MAX { Bound::Unbounded } else { Bound::Excluded(hi) };
        match core.engine.range(slices(&(Bound::Included(lo), hi))).next() {
            None => {}
            Some(Ok((key, _))) => report.find("", &key, Problem::UnknownTable(prefix)),
            Some(Err(error)) => report.find("", &[prefix], Problem::Row(error.into())),
        }
    }
}

/// Recomputes the tree: all of it, or from where it stood before the last group.
fn check_ledger(core: &Core, all: bool, report: &mut CheckReport) {
    if let Err(error) = compare_ledger(core, all, report) {
        report.find(LEDGER.name(), &[LEDGER.prefix()], Problem::Row(error));
    }
}

fn compare_ledger(core: &Core, all: bool, report: &mut CheckReport) -> Result<(), StoreError> {
    let key = FRONTIER.key(&());
    let stored = match core.engine.get(key.as_slice())? {
        Some(bytes) => FRONTIER.read(&core.keys, key.as_slice(), &bytes)?,
        None => StoredFrontier::default(),
    };
    let leaves = stored.after.size();
    let mut tree = if all { Frontier::new() } else { stored.before };
    let head = LEDGER.head(&());
    let entries = core.journal_next_on_disk(LEDGER.kind(), &head)?;
    let span = (tree.size(), leaves);
    core.journal_entries(LEDGER.kind(), &head, span, |_, entry| {
        tree.push(leaf_hash(entry));
        true
    })?;
    // Units may have been committed since the row was read, so the journal may be ahead of it.
    if tree != stored.after || entries < leaves {
        report.find(LEDGER.name(), head.as_slice(), Problem::Ledger { entries, leaves });
    }
    Ok(())
}

fn check_table(
    core: &Core,
    table: &TableInfo,
    deadline: Option<Instant>,
    report: &mut CheckReport,
) {
    let first = KeyBuf::new(table.prefix);
    let bounds = (Bound::Included(first), Bound::Excluded(next_prefix(first)));
    let mut rows = core.engine.range(slices(&bounds));
    let back = deadline.is_some();
    let mut count = TableCount { table: table.name, rows: 0, bytes: 0 };
    let mut neighbour = None;
    let walk = Walk { opens: core, table };
    loop {
        // Looking at the clock costs as much as looking at a small row.
        let look = count.rows.is_multiple_of(64);
        if look && deadline.is_some_and(|deadline| Instant::now() > deadline) {
            report.complete = false;
            break;
        }
        let Some(row) = (if back { rows.next_back() } else { rows.next() }) else { break };
        match row {
            Ok((key, value)) => {
                count.rows += 1;
                count.bytes += u64::try_from(key.len() + value.len()).unwrap_or_default();
                walk.row(&key, &value, &mut neighbour, report);
            }
            Err(error) => {
                // The engine cannot pass a damaged page; `rebuild` goes around it.
                report.find(table.name, first.as_slice(), Problem::Row(error.into()));
                report.complete = false;
                break;
            }
        }
    }
    report.rows += count.rows;
    report.bytes += count.bytes;
    report.tables.push(count);
}

/// What opens sealed values: a store, or the keys of a backup.
pub(crate) trait Opens {
    /// Everything derived from the data key.
    fn keys(&self) -> &Keys;
    /// The key of a person, unless it was erased.
    fn subject(&self, person: PersonId) -> Result<Option<Subject>, StoreError>;
}

impl Opens for Core {
    fn keys(&self) -> &Keys {
        &self.keys
    }
    fn subject(&self, person: PersonId) -> Result<Option<Subject>, StoreError> {
        Self::subject(self, person)
    }
}

/// One table on its way through a check.
pub(crate) struct Walk<'a, O> {
    pub(crate) opens: &'a O,
    pub(crate) table: &'a TableInfo,
}

impl<O: Opens> Walk<'_, O> {
    /// Checks one row, and a page against the one before it on the way.
    pub(crate) fn row(
        &self,
        key: &[u8],
        value: &[u8],
        neighbour: &mut Option<Span>,
        report: &mut CheckReport,
    ) {
        let row = (key, value);
        let read = match self.table.content {
            Content::Rows { key_width, check } => self.value(row, key_width, check, report),
            Content::Journal { first, .. } => self.page(row, first).map(|span| {
                if let Some(gap) = neighbour.replace(span.clone()).and_then(|n| n.gap(&span)) {
                    report.find(self.table.name, key, gap);
                }
            }),
            Content::Retired => Ok(()),
        };
        if let Err(error) = read {
            report.find(self.table.name, key, Problem::Row(error));
        }
    }

    fn value(
        &self,
        (key, value): (&[u8], &[u8]),
        width: usize,
        check: fn(&[u8], &[u8]) -> Result<(), Corrupt>,
        report: &mut CheckReport,
    ) -> Result<(), StoreError> {
        let (name, keys) = (self.table.name, self.opens.keys());
        let bad = StoreError::corrupt(name);
        let field = key.get(1..).filter(|field| field.len() == width);
        let Some(field) = field else { return Err(bad(Corrupt::Key)) };
        let checked = match self.table.protection {
            Protection::Plain => check(field, value),
            Protection::Sealed => keys
                .table(name, self.table.prefix)
                .and_then(|table| table.open(key, value))
                .and_then(|plain| check(field, &plain)),
            Protection::Personal => match split_personal(value) {
                Ok((person, sealed)) => match self.opens.subject(person)? {
                    Some(subject) => subject
                        .key(keys, name)
                        .and_then(|person| person.open(key, sealed))
                        .and_then(|plain| check(field, &plain)),
                    None => {
                        report.erased += 1;
                        Ok(())
                    }
                },
                Err(error) => Err(error),
            },
        };
        checked.map_err(bad)
    }

    fn page(&self, (key, value): (&[u8], &[u8]), first: u64) -> Result<Span, StoreError> {
        let sealed = self.table.protection == Protection::Sealed;
        let kind = Kind { name: self.table.name, prefix: self.table.prefix, first, sealed };
        let page: Page<'_> = kind.page(self.opens.keys(), key, value)?;
        let head = key.get(..key.len().saturating_sub(8)).unwrap_or_default().to_vec();
        Ok(Span { head, begin: page.first(), end: page.next() })
    }
}

/// Positions of one page.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    head: Vec<u8>,
    begin: u64,
    end: u64,
}

impl Span {
    /// What lies between two pages that are neighbours, in either order.
    fn gap(&self, other: &Self) -> Option<Problem> {
        let (early, late) = if self.begin < other.begin { (self, other) } else { (other, self) };
        let apart = self.head == other.head && early.end != late.begin;
        apart.then_some(Problem::Gap { end: early.end, begin: late.begin })
    }
}
