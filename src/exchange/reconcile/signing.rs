//! The rules by which two sides sign what came of a comparison. Days are closed once, and both sides hold the same statement
//! about them, whichever of them asked, however often, and whatever became of an answer:
//!
//! - A side that holds a statement over the very days of another hands that out instead of signing ([`keeping`] decides it
//!   in the unit that would write), and whoever asked keeps it ([`Statement::is_about`]).
//! - A side that asks for a signature that closes days signs nothing of the same side meanwhile, and does not begin to ask
//!   while it is answering; while both ask, one of them does not wait for the other ([`waits_for`]). So no two statements
//!   over the same days are on their way at one time.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use domain::area::AreaCode;
use domain::time::Date;
use domain::time::UnixMillis;

use super::set::EntrySet;
use super::set::Scope;
use super::statement::CORRECTIONS_MAX;
use super::statement::Correction;
use super::statement::PairHeld;
use super::statement::Statement;
use super::totals::Digests;
use super::totals::Pair;
use super::totals::Totals;
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

/// What is held now of the pairs of a closed statement of which it says something else, as its asker has it.
pub type Changed = BTreeMap<Pair, PairHeld>;

/// What has changed in the days of a closed statement, by the entries of `own` of now.
#[must_use]
pub fn changed(own: AreaCode, statement: &Statement, entries: &EntrySet) -> Changed {
    let now = statement.held_now(own, entries);
    let pairs = statement.totals.0.keys().chain(now.totals.0.keys()).copied();
    let each = pairs.map(|pair| (pair, held_of(&now.totals, &now.digests, pair)));
    let was = |pair: &Pair| held_of(&statement.totals, &statement.digests, *pair);
    each.filter(|(pair, held)| *held != was(pair)).collect()
}

/// What has changed in days that were closed before, and that no later statement has told. `changed` says what has in the
/// days of a statement. Both sides say it as the asker of that statement has it, so that what was left then stands in no
/// correction's way.
///
/// # Errors
/// When the books cannot be read.
pub fn corrected<E>(
    closed: &[(Digest, &Statement)],
    mut changed: impl FnMut(&Digest, &Statement) -> Result<Changed, E>,
) -> Result<Vec<Correction>, E> {
    let mut by_time: Vec<_> = closed.iter().collect();
    by_time.sort_by_key(|(_, statement)| statement.made);
    let told = by_time.into_iter().flat_map(|(_, statement)| &statement.corrections);
    let told: BTreeMap<_, _> = told.map(|it| ((it.statement, it.pair), it.now)).collect();
    let mut all = Vec::new();
    for (digest, statement) in closed {
        let changed = changed(digest, statement)?;
        let signed = |pair| held_of(&statement.totals, &statement.digests, pair);
        let since = told.keys().filter(|(of, _)| of == digest).map(|(_, pair)| pair);
        let pairs: BTreeSet<Pair> = changed.keys().chain(since).copied().collect();
        let each = pairs.into_iter().map(|pair| Correction {
            statement: *digest,
            pair,
            before: told.get(&(*digest, pair)).copied().unwrap_or_else(|| signed(pair)),
            now: changed.get(&pair).copied().unwrap_or_else(|| signed(pair)),
        });
        all.extend(each.filter(has_changed).take(CORRECTIONS_MAX));
    }
    all.truncate(CORRECTIONS_MAX);
    Ok(all)
}

/// The statements in whose days only one side finds that something has changed. That is no correction, of which both would
/// know: one of them has lost something, or has found it again, and has to be compared with the other once more.
#[must_use]
pub fn one_sided(ours: &[Correction], theirs: &[Correction]) -> BTreeSet<Digest> {
    let only = |these: &[Correction], others: &[Correction]| {
        let these = these.iter().filter(|it| !others.contains(it));
        these.map(|it| it.statement).collect::<BTreeSet<_>>()
    };
    &only(ours, theirs) | &only(theirs, ours)
}

fn held_of(totals: &Totals, digests: &Digests, pair: Pair) -> PairHeld {
    let counts = totals.0.get(&pair).copied().unwrap_or_default();
    PairHeld { counts, digest: digests.0.get(&pair).copied() }
}

/// Other numbers, or other entries where both are under a digest.
fn has_changed(it: &Correction) -> bool {
    let other_entries = it.before.digest.zip(it.now.digest).is_some_and(|(was, is)| was != is);
    !it.keeps_totals() || other_entries
}

#[cfg(test)]
mod tests;
