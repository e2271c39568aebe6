//! Statements: what two sides have signed about a time, and which days that has closed.

use std::ops::Bound;

use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::{Date, UnixMillis};
use exchange::digest::Digest;
use exchange::reconcile::calls::{Signature, SignedStatement};
use exchange::reconcile::set::Scope;
use exchange::reconcile::statement::{CORRECTIONS_MAX, Correction, Statement, Totals, corrections};
use store::messages::{Blob, PeerKey, peer_key};
use store::reconcile::{SignatureRow, StatementRow};
use store::tables::STATEMENT;
use store::{Store, Unit};
use wire::reconcile::{decode_statement, encode_signed_statement};

use super::books;
use crate::app::{AppError, Refusal};

/// Statements with one other side that are looked at: many years of months.
const STATEMENTS_MAX: usize = 2_000;
/// Closed statements whose days are looked at for corrections.
const CORRECTED_MAX: usize = 24;

/// A statement that is kept here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// SHA-256 of its bytes, by which others refer to it.
    pub digest: Digest,
    /// What it says.
    pub statement: Statement,
    /// The bytes and both signatures.
    pub row: StatementRow,
}

impl Kept {
    fn read(row: StatementRow) -> Result<Self, AppError> {
        let unreadable = |_| AppError::Internal("a kept statement cannot be read");
        let statement = decode_statement(&row.statement.0).map_err(unreadable)?;
        Ok(Self { digest: Digest::of(&row.statement.0), statement, row })
    }

    /// As a file, with both signatures.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        let signature = |row: &SignatureRow| Signature {
            signature: row.signature.0.clone(),
            chain: row.chain.iter().map(|certificate| certificate.0.clone()).collect(),
        };
        encode_signed_statement(SignedStatement {
            statement: self.row.statement.0.clone(),
            asker: signature(&self.row.asker),
            answerer: signature(&self.row.answerer),
        })
    }
}

/// The other side of a statement, at the node of `own`.
fn other(own: AreaCode, scope: &Scope) -> AreaCode {
    if scope.asker == own { scope.answerer } else { scope.asker }
}

fn day(date: Date) -> u32 {
    u32::try_from(date.epoch_days()).unwrap_or_default()
}

/// Keeps a statement that both have signed.
///
/// # Errors
/// When rows cannot be written.
pub async fn keep(
    store: &Store,
    own: AreaCode,
    signed: SignedStatement,
    now: UnixMillis,
) -> Result<Kept, AppError> {
    let row = |signature: Signature| SignatureRow {
        signature: Blob(signature.signature),
        chain: signature.chain.into_iter().map(Blob).collect(),
    };
    let SignedStatement { statement, asker, answerer } = signed;
    let (asker, answerer) = (row(asker), row(answerer));
    let row =
        StatementRow { statement: Blob(statement), asker, answerer, kept: now, closes: false };
    let mut kept = Kept::read(row)?;
    kept.row.closes = kept.statement.closes();
    let Scope { first, last, .. } = kept.statement.scope;
    let other = peer_key(other(own, &kept.statement.scope));
    let key = (other, day(first), day(last), kept.statement.made.get());
    let row = kept.row.clone();
    let write = move |unit: &mut Unit<'_>| Ok::<_, AppError>(unit.put(&STATEMENT, &key, &row)?);
    store.commit(write).await.map_err(AppError::from)?;
    Ok(kept)
}

/// Statements, with one other side or with all, newest days last.
///
/// # Errors
/// When rows cannot be read.
pub fn list(store: &Store, with: Option<AreaCode>) -> Result<Vec<Kept>, AppError> {
    let rows = match with {
        Some(with) => store.scan_under(&STATEMENT, &(peer_key(with),), None, STATEMENTS_MAX)?,
        None => store.scan(&STATEMENT, .., STATEMENTS_MAX)?,
    };
    rows.into_iter().map(|(_, row)| Kept::read(row)).collect()
}

/// The newest statement with a side, or the one whose digest begins with these hexadecimal digits.
///
/// # Errors
/// `NOT_FOUND`, or when rows cannot be read.
pub fn find(store: &Store, with: Option<AreaCode>, digest: &str) -> Result<Kept, AppError> {
    let mut kept = list(store, with)?;
    kept.retain(|kept| kept.digest.to_string().starts_with(digest));
    let newest = kept.into_iter().max_by_key(|kept| kept.statement.made);
    newest.ok_or(Reason::NotFound.into())
}

/// Whether a day of a scope was closed by a statement: then what has changed since goes into the next one.
///
/// # Errors
/// `STATE_FORBIDS` names the statement; or when rows cannot be read.
pub fn must_be_open(store: &Store, own: AreaCode, scope: &Scope) -> Result<(), AppError> {
    for kept in closed(store, own, scope)? {
        let Scope { first, last, .. } = kept.statement.scope;
        if first <= scope.last && scope.first <= last {
            let detail = format!("{first} to {last} is closed by statement {}", kept.digest);
            return Err(Refusal::new(Reason::StateForbids).field("period").detail(detail).into());
        }
    }
    Ok(())
}

fn closed(store: &Store, own: AreaCode, scope: &Scope) -> Result<Vec<Kept>, AppError> {
    let with: PeerKey = peer_key(other(own, scope));
    let rows = store.scan_back(
        &STATEMENT,
        (Bound::Included((with, 0, 0, 0)), Bound::Included((with, u32::MAX, u32::MAX, u64::MAX))),
        STATEMENTS_MAX,
    )?;
    let closing = rows.into_iter().filter(|(_, row)| row.closes);
    closing.map(|(_, row)| Kept::read(row)).collect()
}

/// What has changed in days that were closed before.
///
/// # Errors
/// When rows cannot be read.
pub fn corrected(store: &Store, own: AreaCode, scope: &Scope) -> Result<Vec<Correction>, AppError> {
    let mut all = Vec::new();
    for kept in closed(store, own, scope)?.into_iter().take(CORRECTED_MAX) {
        let now = Totals::of(&books::load(store, own, &kept.statement.scope)?);
        let signed = match kept.statement.scope.asker == own {
            true => kept.statement.totals.clone(),
            false => kept
                .statement
                .totals
                .seen_from_the_other_side(&kept.statement.scope, &kept.statement.left),
        };
        all.extend(corrections(kept.digest, &signed, &now));
    }
    all.truncate(CORRECTIONS_MAX);
    Ok(all)
}
