//! Layouts of before.

use domain::area::AreaCode;
use domain::time::{Date, UnixMillis};
use exchange::digest::Digest;
use exchange::ledger::SeenHead;
use serde::{Deserialize, Serialize};

use super::RunState;
use crate::value::first_layouts;

/// A run that named nothing as lost for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRow {
    with: AreaCode,
    first: Date,
    last: Date,
    until: UnixMillis,
    after_restore: bool,
    state: RunState,
    started: UnixMillis,
    touched: UnixMillis,
    comparisons: u32,
    bytes: u64,
    entries: (u64, u64),
    found: [u32; 6],
    cured: [u32; 6],
    trouble: String,
    statement: Option<Digest>,
}

impl From<RunRow> for super::RunRow {
    fn from(older: RunRow) -> Self {
        Self {
            with: older.with,
            first: older.first,
            last: older.last,
            until: older.until,
            after_restore: older.after_restore,
            state: older.state,
            started: older.started,
            touched: older.touched,
            comparisons: older.comparisons,
            bytes: older.bytes,
            entries: older.entries,
            found: older.found,
            cured: older.cured,
            trouble: older.trouble,
            statement: older.statement,
            lost: 0,
            window: None,
        }
    }
}

/// What was known of a peer's ledger before heads were doubted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenRow {
    known: SeenHead,
    broken: Option<(SeenHead, SeenHead)>,
}

impl From<ProvenRow> for super::ProvenRow {
    fn from(ProvenRow { known, broken }: ProvenRow) -> Self {
        Self { known, broken, doubt: None, unanswered: None }
    }
}

first_layouts!(RunRow, ProvenRow);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value as _;

    #[test]
    fn a_proven_head_of_before_is_read() {
        let head = exchange::ledger::LedgerHead { size: 7, root: Digest::of(b"seven") };
        let known = SeenHead { head, signed: UnixMillis::new(9) };
        let mut bytes = Vec::new();
        ProvenRow { known, broken: Some((known, known)) }.encode(&mut bytes).unwrap();
        let read = super::super::ProvenRow::decode(&bytes).unwrap();
        assert_eq!((read.known, read.broken), (known, Some((known, known))));
        assert_eq!((read.doubt, read.unanswered), (None, None));
    }

    #[test]
    fn a_run_of_before_is_read() {
        let day = Date::new(2026, 10, 1).unwrap();
        let older = RunRow {
            with: "440000".parse().unwrap(),
            first: day,
            last: day,
            until: day.ends(),
            after_restore: true,
            state: RunState::Left,
            started: day.begins(),
            touched: day.ends(),
            comparisons: 3,
            bytes: 467,
            entries: (7, 8),
            found: [1, 2, 3, 4, 5, 6],
            cured: [6, 5, 4, 3, 2, 1],
            trouble: "no line".to_owned(),
            statement: Some(Digest::of(b"statement")),
        };
        let mut bytes = Vec::new();
        older.encode(&mut bytes).unwrap();
        let read = super::super::RunRow::decode(&bytes).unwrap();
        assert_eq!(read, older.into());
        assert_eq!((read.entries, read.lost, read.window), ((7, 8), 0, None));
    }
}
