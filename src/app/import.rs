//! Imports: records of other software, taken in all or not at all.
//!
//! Rows are checked and lie aside, sealed, where no read finds them. One unit decides: before it there is nothing of the
//! import, whatever happens; after it the rows become records batch by batch, each batch in a unit that also takes it
//! off the pile, and a node that starts goes on where it stopped. So a power failure leaves all or nothing, and no
//! import is larger than the memory of one batch.

mod claim;
mod row;

use std::time::Duration;

use domain::access::{AccessAction, Permission};
use domain::id::MessageId;
use domain::numbered::Numbered as _;
use domain::reason::Reason;
use domain::time::UnixMillis;
use store::access::person_key;
use store::oversight::{ImportRow, ImportState};
use store::tables::{IMPORT, IMPORT_ROWS, IMPORT_SAID};
use store::{Store, Unit};

pub use row::{Kind, Record, Row, Trouble, Wrong};

use row::Checked;

use super::access::{self, Act, CERTIFYING, REGISTERING, Why};
use super::{AppError, Ctx, Refusal};
use crate::time::{SystemClock, random};

/// Most rows of one batch.
pub const BATCH_ROWS_MAX: usize = 500;
/// Lines of rows that were not written, of which an import keeps the numbers.
const SKIPPED_LINES_MAX: usize = 200;
/// Imports that are looked through in one go.
const IMPORTS_AT_ONCE: usize = 500;
/// How long an import may lie aside without being decided.
pub const STAGED_FOR: Duration = Duration::from_secs(7 * 86_400);
/// What rows say that is taken away in one unit.
const SAID_AT_ONCE: usize = 1_000;
/// Bytes of a batch that are read at one time: more than it can have.
const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// An import and its id.
#[derive(Clone, Debug)]
pub struct Import {
    /// Its id.
    pub id: [u8; 16],
    /// How far it is.
    pub row: ImportRow,
}

/// What is to be imported.
#[derive(Clone, Copy, Debug)]
pub struct Begin {
    /// Which records.
    pub kind: Kind,
    /// SHA-256 of the file.
    pub file: [u8; 32],
    /// Only check.
    pub dry_run: bool,
    /// Go on with an interrupted import of this file.
    pub resume: bool,
}

/// Begins an import, or goes on with an interrupted one of the same operator and file. One that is not gone on with is
/// given up: its rows are removed later, since that may take longer than whoever begins waits.
///
/// # Errors
/// `ROLE_REQUIRED`; `NOT_FOUND` when there is nothing to go on with.
pub async fn begin(ctx: &Ctx, store: &Store, begin: Begin) -> Result<Import, AppError> {
    ctx.must(Permission::WriteRecords)?;
    let own = |row: &ImportRow| {
        let same = row.by.operator == ctx.caller.operator && row.kind == begin.kind.number();
        same && matches!(row.state, ImportState::Staging | ImportState::Committed)
    };
    let open = all(store, own)?;
    if begin.resume {
        let same = open.into_iter().find(|(_, row)| row.file == begin.file && !row.dry_run);
        let (id, row) = same.ok_or_else(|| AppError::from(Reason::NotFound))?;
        return Ok(Import { id, row });
    }
    for (id, row) in open {
        if row.state == ImportState::Staging {
            say_given_up(store, id).await?;
        }
    }
    let id = *MessageId::new(ctx.now, random()).as_bytes();
    let row = ImportRow {
        kind: begin.kind.number(),
        file: begin.file,
        by: ctx.caller.clone(),
        begun: ctx.now,
        dry_run: begin.dry_run,
        state: ImportState::Staging,
        batches: 0,
        rows: 0,
        wrong: 0,
        applied: 0,
        written: 0,
        skipped: 0,
        skipped_lines: Vec::new(),
    };
    let kept = row.clone();
    let begun = store.commit(move |unit| unit.put(&IMPORT, &id, &kept).map_err(AppError::from));
    begun.await.map_err(AppError::from)?;
    Ok(Import { id, row })
}

/// Imports, all of them, of which `wanted` says so.
fn all(
    store: &Store,
    wanted: impl Fn(&ImportRow) -> bool,
) -> Result<Vec<([u8; 16], ImportRow)>, AppError> {
    let mut found = Vec::new();
    for page in store.pages(&IMPORT, .., IMPORTS_AT_ONCE) {
        found.extend(page?.into_iter().filter(|(_, row)| wanted(row)));
    }
    Ok(found)
}

/// Says that an import is given up, if nobody has decided it. Gives its batches, which are to be removed then.
async fn say_given_up(store: &Store, id: [u8; 16]) -> Result<Option<u64>, AppError> {
    let said = store.commit(move |unit| {
        let Some(mut row) = unit.get(&IMPORT, &id)? else { return Ok(None) };
        match row.state {
            ImportState::Staging => {
                row.state = ImportState::GivenUp;
                unit.put(&IMPORT, &id, &row)?;
            }
            ImportState::GivenUp => {}
            // Somebody has decided it meanwhile.
            ImportState::Committed | ImportState::Done => return Ok(None),
        }
        Ok::<_, AppError>(Some(row.batches))
    });
    said.await.map_err(AppError::from)
}

/// Removes an import that was not decided, with its rows. It is said first, so that no row is ever without its import and
/// an interrupted removal goes on.
async fn give_up(store: &Store, id: [u8; 16]) -> Result<(), AppError> {
    let Some(batches) = say_given_up(store, id).await? else { return Ok(()) };
    for batch in 1..=batches {
        let gone = store.commit(move |unit| {
            unit.remove_journal(&IMPORT_ROWS, &(id, batch)).map_err(AppError::from)
        });
        gone.await.map_err(AppError::from)?;
    }
    for page in store.pages(&IMPORT_SAID, (id, [0; 16])..=(id, [0xFF; 16]), SAID_AT_ONCE) {
        let said = page?;
        let gone = store.commit(move |unit| {
            said.iter().for_each(|(key, _)| unit.delete(&IMPORT_SAID, key));
            Ok::<_, AppError>(())
        });
        gone.await.map_err(AppError::from)?;
    }
    let gone = store.commit(move |unit| {
        unit.delete(&IMPORT, &id);
        Ok::<_, AppError>(())
    });
    gone.await.map_err(AppError::from)
}

/// Removes what was laid aside and not decided within [`STAGED_FOR`]. Says how many imports that were.
///
/// # Errors
/// When rows cannot be read or written; the rest is removed at the next call.
pub async fn clear(store: &Store, now: UnixMillis) -> Result<usize, AppError> {
    let old = all(store, |row| match row.state {
        ImportState::Staging => now.since(row.begun) >= STAGED_FOR,
        ImportState::GivenUp => true,
        ImportState::Committed | ImportState::Done => false,
    })?;
    let count = old.len();
    for (id, _) in old {
        give_up(store, id).await?;
    }
    Ok(count)
}

/// What came of a batch.
#[derive(Debug)]
pub struct Put {
    /// What is wrong with its rows.
    pub wrong: Vec<Wrong>,
    /// The import so far.
    pub import: Import,
}

/// Takes a batch: checks every row against the rules, what is on record and the rows before it, and lays it aside while
/// nothing is wrong. `unread` are rows that did not even become values. A batch that is there already changes nothing.
///
/// # Errors
/// `NOT_FOUND` for an import that is not the caller's; `STATE_FORBIDS` after its end and for a gap in the batches;
/// `READS_TOO_MANY` when more rows meet somebody on record than one may look at.
pub async fn put(
    ctx: &Ctx,
    store: &Store,
    id: [u8; 16],
    batch: u64,
    rows: Vec<Row>,
    unread: Vec<Wrong>,
) -> Result<Put, AppError> {
    ctx.must(Permission::WriteRecords)?;
    let kind = own(ctx, store.get(&IMPORT, &id)?)?.kind;
    let kind = Kind::from_number(kind).ok_or(AppError::Internal("no such import"))?;
    let total = rows.len().saturating_add(lines_of(&unread));
    let (mut prepared, mut wrong) = (Vec::with_capacity(rows.len()), unread);
    for entry in rows {
        prepared.push(entry.prepare(ctx, store, kind)?);
    }
    let caller = ctx.clone();
    let why = if kind == Kind::Certificate { CERTIFYING } else { REGISTERING };
    let work = move |unit: &mut Unit<'_>| {
        let mut row = own(&caller, unit.get(&IMPORT, &id)?)?;
        if row.state != ImportState::Staging || batch > row.batches.saturating_add(1) {
            return Err(Reason::StateForbids.into());
        }
        if batch <= row.batches {
            return Ok(Put { wrong: Vec::new(), import: Import { id, row } });
        }
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        for entry in prepared {
            let (line, document) = (entry.line(), entry.document());
            let Checked { troubles, met, bytes } = entry.check(unit, id)?;
            if met {
                // What stands in the way tells who is on record: such a row is a search like any other.
                let act = Act::on(AccessAction::Search, why, person_key(document));
                access::note(&caller, unit, act)?;
            }
            if troubles.is_empty() && !row.dry_run && row.wrong == 0 {
                unit.append(&IMPORT_ROWS, &(id, batch), &bytes)?;
            }
            wrong.extend(troubles.into_iter().map(|trouble| Wrong { line, trouble }));
        }
        unit.append_access(access::entry(&caller, checking(row.dry_run, why)))?;
        row.batches = batch;
        row.rows = row.rows.saturating_add(count(total));
        row.wrong = row.wrong.saturating_add(count(lines_of(&wrong)));
        unit.put(&IMPORT, &id, &row)?;
        Ok(Put { wrong, import: Import { id, row } })
    };
    let done = store.commit(work).await.map_err(AppError::from);
    if matches!(&done, Err(error) if error.reason() == Reason::ReadsTooMany) {
        // The unit is gone with its entries; that somebody tried is not.
        let tried = access::entry(ctx, checking(true, why));
        let logged = store.commit(move |unit| unit.append_access(tried).map_err(AppError::from));
        logged.await.map_err(AppError::from)?;
    }
    done
}

/// A batch that is checked, for the log.
const fn checking(dry_run: bool, why: Why) -> Act {
    let action = if dry_run { AccessAction::Search } else { AccessAction::Create };
    Act { action, why, person: None, message: None }
}

fn lines_of(wrong: &[Wrong]) -> usize {
    let lines: std::collections::BTreeSet<u32> = wrong.iter().map(|wrong| wrong.line).collect();
    lines.len()
}

fn own(ctx: &Ctx, row: Option<ImportRow>) -> Result<ImportRow, AppError> {
    let row = row
        .filter(|row| row.by.operator == ctx.caller.operator && row.state != ImportState::GivenUp);
    row.ok_or_else(|| Reason::NotFound.into())
}

/// Decides that an import is taken in; from then on it ends by itself. Doing it again changes nothing.
///
/// # Errors
/// `NOT_FOUND`; `STATE_FORBIDS` while there are findings, and for a dry run.
pub async fn finish(ctx: &Ctx, store: &Store, id: [u8; 16]) -> Result<Import, AppError> {
    ctx.must(Permission::WriteRecords)?;
    let caller = ctx.clone();
    let work = move |unit: &mut Unit<'_>| {
        let mut row = own(&caller, unit.get(&IMPORT, &id)?)?;
        if row.dry_run || row.wrong > 0 {
            let detail = "rows have findings; correct the file and begin again";
            return Err(Refusal::new(Reason::StateForbids).detail(detail).into());
        }
        if row.state == ImportState::Staging {
            row.state = ImportState::Committed;
            unit.put(&IMPORT, &id, &row)?;
        }
        Ok(Import { id, row })
    };
    store.commit(work).await.map_err(AppError::from)
}

/// How far an import is.
///
/// # Errors
/// `ROLE_REQUIRED`; `NOT_FOUND` for an import that is not the caller's.
pub fn get(ctx: &Ctx, store: &Store, id: [u8; 16]) -> Result<Import, AppError> {
    ctx.must(Permission::WriteRecords)?;
    Ok(Import { id, row: own(ctx, store.get(&IMPORT, &id)?)? })
}

/// Imports that are decided and not yet written; for a node that starts.
///
/// # Errors
/// Rows that cannot be read.
pub fn unfinished(store: &Store) -> Result<Vec<[u8; 16]>, AppError> {
    let open = all(store, |row| row.state == ImportState::Committed)?;
    Ok(open.into_iter().map(|(id, _)| id).collect())
}

/// Writes the records of a decided import from where it stands to its end, a unit a batch.
///
/// # Errors
/// Rows that cannot be read or written; it goes on from there another time.
pub async fn apply(
    store: &Store,
    id: [u8; 16],
    stopped: impl Fn() -> bool,
) -> Result<(), AppError> {
    while !stopped() {
        let Some(row) = store.get(&IMPORT, &id)?.filter(|r| r.state == ImportState::Committed)
        else {
            return Ok(());
        };
        let batch = row.applied.saturating_add(1);
        let ctx = Ctx { caller: row.by.clone(), now: SystemClock.now() };
        let key = (id, batch);
        let entries = store.read_from(&IMPORT_ROWS, &key, 1, BATCH_ROWS_MAX, BATCH_BYTES_MAX)?;
        let entries: Result<Vec<_>, AppError> =
            entries.iter().map(|(_, bytes)| row::Staged::decode(store, bytes)).collect();
        let entries = entries?;
        let work = move |unit: &mut Unit<'_>| {
            let mut row = unit.get(&IMPORT, &id)?.ok_or(AppError::from(Reason::NotFound))?;
            if row.applied.saturating_add(1) != batch {
                return Ok(());
            }
            for entry in entries {
                entry.forget_claims(unit, id);
                match row::write(&ctx, unit, entry)? {
                    None => row.written = row.written.saturating_add(1),
                    Some(line) => {
                        row.skipped = row.skipped.saturating_add(1);
                        if row.skipped_lines.len() < SKIPPED_LINES_MAX {
                            row.skipped_lines.push(line);
                        }
                    }
                }
            }
            unit.remove_journal(&IMPORT_ROWS, &key)?;
            row.applied = batch.min(row.batches);
            if batch >= row.batches {
                row.state = ImportState::Done;
            }
            unit.put(&IMPORT, &id, &row).map_err(AppError::from)
        };
        store.commit(work).await.map_err(AppError::from)?;
    }
    Ok(())
}
