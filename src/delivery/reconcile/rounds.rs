//! One round of a run: every day is compared once, and what differs is cured, in as many portions as the sizes of the two
//! sides ask for. A round that breaks off goes on with the portion at which it did.

use exchange::reconcile::difference::DifferenceName;
use exchange::reconcile::portions::Portions;
use exchange::reconcile::run::{curable, is_unsure, owed_by};
use exchange::reconcile::set::Scope;

use super::asking::Compared;
use super::{Reconcile, Trouble};
use crate::app::reconcile::runs::{self, Portion};
use crate::time::SystemClock;

/// How far a round has come.
#[derive(Debug)]
pub(super) struct Round {
    scope: Scope,
    /// Whether what differs is cured; or only looked at once more, to be signed as it is.
    cures: bool,
    portions: Portions,
    splits: u32,
    /// What the portions that are done have come to; differences only as long as nothing can be cured.
    whole: Compared,
    /// Entries of both sides in them.
    entries: (u64, u64),
    /// What is left that a cure may help.
    again: Option<Rest>,
}

/// What is left that a cure may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rest {
    /// Nothing but reports of counties is waited for.
    pub(super) waits: bool,
    /// So many differences.
    pub(super) left: usize,
}

/// How a round left a run.
#[derive(Debug)]
pub(super) enum Came {
    /// Something is left that a cure may help.
    Again(Rest),
    /// Nothing is left, or only what no program cures.
    Done(Compared),
}

impl Round {
    /// Nothing is compared yet.
    pub(super) fn of(scope: Scope) -> Self {
        Self {
            scope,
            cures: true,
            portions: Portions::of(scope),
            splits: 0,
            whole: Compared::default(),
            entries: (0, 0),
            again: None,
        }
    }

    /// Nothing is compared yet, and nothing is to be cured.
    pub(super) fn to_sign(scope: Scope) -> Self {
        Self { cures: false, ..Self::of(scope) }
    }

    /// Grows whenever it comes further.
    pub(super) const fn steps(&self) -> u32 {
        self.splits.saturating_add(self.portions.done())
    }

    /// The next portion was compared and cured.
    fn take(&mut self, compared: Compared, left: Option<Rest>) {
        self.portions.compared();
        self.entries = self.entries_with(&compared);
        self.again = match (self.again, left) {
            (Some(before), Some(now)) => Some(Rest {
                waits: before.waits && now.waits,
                left: before.left.saturating_add(now.left),
            }),
            (before, now) => before.or(now),
        };
        if self.again.is_some() {
            // It is all compared again.
            self.whole = Compared::default();
        } else {
            self.whole.add(compared);
        }
    }

    const fn entries_with(&self, compared: &Compared) -> (u64, u64) {
        let (ours, theirs) = self.entries;
        let more = &compared.measured;
        (ours.saturating_add(more.ours), theirs.saturating_add(more.theirs))
    }
}

impl Reconcile {
    /// Goes on with a round until all its days were compared; then the next one begins.
    pub(super) async fn go_on(&self, number: u64, round: &mut Round) -> Result<Came, Trouble> {
        if self.0.parts.collects
            && let Err(trouble) = self.collect().await
        {
            tracing::debug!(%trouble, "cures were not collected from the node above");
        }
        while let Some(scope) = round.portions.next() {
            match self.compare(scope, round.whole.held.clone()).await {
                Ok(compared) => {
                    let entries = round.entries_with(&compared);
                    let unsure = self.note(number, scope, &compared, entries).await?;
                    let left = match round.cures {
                        true => self.cure_portion(number, scope, &compared, unsure).await?,
                        false => None,
                    };
                    round.take(compared, left);
                }
                Err(Trouble::TooLarge { area, entries, most }) => {
                    if !round.portions.split(entries, most) {
                        let day = scope.first;
                        return Err(Trouble::DayTooLarge { area, day, entries });
                    }
                    round.splits = round.splits.saturating_add(1);
                    tracing::info!(run = number, with = %area, first = %scope.first, last = %scope.last, entries, most, "one side has far more there: fewer days are compared at once");
                }
                Err(trouble) => return Err(trouble),
            }
        }
        let scope = round.scope;
        let next = Round { cures: round.cures, ..Round::of(scope) };
        let Round { whole, again, .. } = std::mem::replace(round, next);
        Ok(again.map_or(Came::Done(whole), Came::Again))
    }

    /// Takes up what a portion has come to. Says whether to look again before a person is asked.
    async fn note(
        &self,
        number: u64,
        scope: Scope,
        compared: &Compared,
        entries: (u64, u64),
    ) -> Result<bool, Trouble> {
        let (found, now) = (&compared.differences, SystemClock.now());
        let days = (scope.first, scope.last);
        let known = runs::for_a_person(self.store(), number, days)?;
        let portion = Portion { days, measured: compared.measured, entries };
        let row = runs::compared(self.store(), number, found, portion, now).await?;
        tracing::info!(run = number, with = %scope.answerer, comparison = row.comparisons, differences = found.len(), "two ledgers were compared");
        let theirs = owed_by(&compared.lost, found, |area| scope.stands_for(scope.answerer, area));
        runs::lost(self.store(), number, &theirs, now).await?;
        self.end_decisions(&scope, found).await?;
        Ok(is_unsure(found, &known))
    }

    /// Does our part of the cure of a portion. Says what is left that a cure may help.
    async fn cure_portion(
        &self,
        number: u64,
        scope: Scope,
        Compared { differences: found, .. }: &Compared,
        unsure: bool,
    ) -> Result<Option<Rest>, Trouble> {
        let lost = runs::lost_ones(self.store(), number, (scope.first, scope.last))?;
        if !unsure && curable(found, &lost).next().is_none() {
            return Ok(None);
        }
        let curable: Vec<_> = curable(found, &lost).cloned().collect();
        let waits = curable.iter().all(|it| it.name == DifferenceName::NotReported);
        let done = self.cure(&scope, &curable).await?;
        runs::lost(self.store(), number, &done.lost, SystemClock.now()).await?;
        // Nothing could be begun: what is left lies where it has to be collected.
        let lies = done.begun == 0 && done.waiting > 0;
        Ok(Some(Rest { waits: (waits || lies) && !unsure, left: curable.len() }))
    }
}
