//! The rules by which two sides sign what came of a comparison. Days are closed once, and both sides hold the same statement
//! about them, whichever of them asked, however often, and whatever became of an answer:
//!
//! - A side that holds a statement over the very days of another hands that out instead of signing ([`keeping`] decides it
//!   in the unit that would write), and whoever asked keeps it ([`Statement::is_about`]).
//! - A side that asks for a signature that closes days signs nothing of the same side meanwhile, and does not begin to ask
//!   while it is answering; while both ask, one of them does not wait for the other ([`waits_for`]). So no two statements
//!   over the same days are on their way at one time.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::area::AreaCode;
use domain::time::Date;
use domain::time::UnixMillis;

use super::set::Scope;
use super::statement::CORRECTIONS_MAX;
use super::statement::Correction;
use super::statement::Statement;
use super::statement::Totals;
use super::statement::corrections;
use crate::digest::Digest;

/// How far ahead the clock of an asker may be.
const CLOCKS_APART: Duration = Duration::from_secs(600);

/// Whether `own`, asked by `other` while it is asking that itself, answers once its own question is answered; if not, it says
/// at once that it is not the other's turn. Of two sides exactly one does, or each would wait for the other.
#[must_use]
pub fn waits_for(own: AreaCode, other: AreaCode) -> bool {
    own > other
}

/// What becomes of a statement that both have signed, at a side that may have closed days before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keeping {
    /// It is kept.
    Fresh,
    /// These very days are closed: the statement that has closed them counts instead.
    Closed,
    /// It would close some of the days that another has closed, and is not kept.
    Overlaps,
}

/// Decides that for a statement about these days. `closed` are the days of the one statement that may have closed some of
/// them: the first whose last day is not before them.
#[must_use]
pub fn keeping(closed: Option<(Date, Date)>, scope: &Scope, closes: bool) -> Keeping {
    match closed.filter(|(first, _)| *first <= scope.last) {
        Some(days) if days == (scope.first, scope.last) => Keeping::Closed,
        Some(_) if closes => Keeping::Overlaps,
        Some(_) | None => Keeping::Fresh,
    }
}

impl Statement {
    /// Whether its time has come at the side that is to sign it: the asker's clock is not far ahead, and what it would
    /// close is over by the clock of both.
    #[must_use]
    pub fn is_in_time(&self, now: UnixMillis) -> bool {
        let latest = now.saturating_add(CLOCKS_APART);
        self.scope.until <= latest
            && self.made <= latest
            && (!self.closes() || self.scope.last.ends() <= now)
    }

    /// Whether it closes the very days of a scope, between the same two sides, whichever of them asked.
    #[must_use]
    pub fn is_about(&self, scope: &Scope) -> bool {
        let Scope { asker, answerer, .. } = self.scope;
        let same = (asker, answerer) == (scope.asker, scope.answerer)
            || (answerer, asker) == (scope.asker, scope.answerer);
        same && self.days() == (scope.first, scope.last) && self.closes()
    }
}

/// What has changed, by the books of `own`, in days that were closed before, and that no later statement has told. `now`
/// reads what the books say of the days of a statement.
///
/// # Errors
/// When the books cannot be read.
pub fn corrected<E>(
    own: AreaCode,
    closed: &[(Digest, &Statement)],
    mut now: impl FnMut(&Scope) -> Result<Totals, E>,
) -> Result<Vec<Correction>, E> {
    let mut by_time: Vec<_> = closed.iter().collect();
    by_time.sort_by_key(|(_, statement)| statement.made);
    let told = by_time.into_iter().flat_map(|(_, statement)| &statement.corrections);
    let told: BTreeMap<_, _> = told.map(|it| ((it.statement, it.pair), it.now)).collect();
    let mut all = Vec::new();
    for (digest, statement) in closed {
        let now = now(&statement.scope)?;
        let mut before = match statement.scope.asker == own {
            true => statement.totals.clone(),
            false => statement.answerers_totals(),
        };
        let since = told.iter().filter(|((of, _), _)| of == digest);
        before.0.extend(since.map(|((_, pair), counts)| (*pair, *counts)));
        all.extend(corrections(*digest, &before, &now));
    }
    all.truncate(CORRECTIONS_MAX);
    Ok(all)
}

#[cfg(test)]
mod tests;
