//! What has changed in days that statements have closed: looked for whenever one is signed, in the books of two years of
//! months. A book that nothing was written into since is not read again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::area::AreaCode;
use exchange::digest::Digest;
use exchange::reconcile::set::Scope;
use exchange::reconcile::signing::{self, Changed};
use exchange::reconcile::statement::{Correction, Statement};
use store::Store;

use super::{books, statements};
use crate::app::AppError;

/// Closed statements whose days are looked at.
const CLOSED_MAX: usize = 24;
/// Statements, and pairs that have changed, of which is kept what was found: some 24 MB.
const SEEN_MAX: usize = 4_096;
const PAIRS_SEEN_MAX: usize = 200_000;

/// What was found before, by statement: how far the books were then, and what had changed.
#[derive(Debug, Default)]
pub struct Seen(Mutex<BTreeMap<Digest, (Digest, Changed)>>);

impl Seen {
    fn all(&self) -> MutexGuard<'_, BTreeMap<Digest, (Digest, Changed)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has changed in the days of a statement.
    fn changed(
        &self,
        store: &Store,
        own: AreaCode,
        (digest, statement): (&Digest, &Statement),
    ) -> Result<Changed, AppError> {
        // Before the entries: what is written meanwhile is looked for again.
        let mark = books::mark(store, own, &statement.scope)?;
        if let Some((known, changed)) = self.all().get(digest)
            && *known == mark
        {
            return Ok(changed.clone());
        }
        let entries = books::load(store, own, &statement.scope)?;
        let changed = signing::changed(own, statement, &entries);
        let mut all = self.all();
        all.insert(*digest, (mark, changed.clone()));
        let mut pairs: usize = all.values().map(|(_, changed)| changed.len()).sum();
        while all.len() > SEEN_MAX || pairs > PAIRS_SEEN_MAX {
            let Some((_, (_, gone))) = all.pop_first() else { break };
            pairs = pairs.saturating_sub(gone.len());
        }
        Ok(changed)
    }
}

/// What has changed in days that were closed before with the other side of a scope, and that no later statement has told.
/// Blocks.
///
/// # Errors
/// When rows cannot be read.
pub fn corrected(
    store: &Store,
    own: AreaCode,
    scope: &Scope,
    seen: &Seen,
) -> Result<Vec<Correction>, AppError> {
    let closed = statements::that_closed(store, statements::other(own, scope), CLOSED_MAX)?;
    let closed: Vec<_> = closed.iter().map(|it| (it.row.digest, &it.statement)).collect();
    signing::corrected(&closed, |digest, statement| seen.changed(store, own, (digest, statement)))
}
