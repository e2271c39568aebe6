//! Figures of reconciliation, for whoever watches the node.

use std::collections::BTreeMap;

use domain::area::AreaCode;
use domain::time::{Date, UnixMillis};
use store::Store;
use store::reconcile::RunState;

use super::{runs, statements};
use crate::app::AppError;
use crate::config::ReconcileSettings;

/// Figures of reconciliation. Runs are those of the newest page of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Runs that were begun here.
    pub runs: u64,
    /// Of these, those that go on.
    pub running: u64,
    /// Of these, those that were given up and can be resumed.
    pub given_up: u64,
    /// Differences that they have found.
    pub found: u64,
    /// Of these, cured.
    pub cured: u64,
    /// Sides with whom a period of the schedule is over for too long without a statement.
    pub overdue: Vec<AreaCode>,
    /// The last day that a statement has closed with each side, and when that was made.
    pub closed: BTreeMap<AreaCode, (Date, UnixMillis)>,
}

/// Works them out.
///
/// # Errors
/// When rows cannot be read.
pub fn figures(
    store: &Store,
    own: AreaCode,
    settings: &ReconcileSettings,
    now: UnixMillis,
) -> Result<Figures, AppError> {
    let mut figures = Figures::default();
    let sum = |counts: &[u32; 6]| counts.iter().copied().map(u64::from).sum::<u64>();
    for (_, row) in runs::list(store, None, usize::MAX)? {
        figures.runs = figures.runs.saturating_add(1);
        match row.state {
            RunState::Running => figures.running = figures.running.saturating_add(1),
            RunState::Left | RunState::Failed => {
                figures.given_up = figures.given_up.saturating_add(1);
            }
            RunState::Equal | RunState::Decisions => {}
        }
        figures.found = figures.found.saturating_add(sum(&row.found));
        figures.cured = figures.cured.saturating_add(sum(&row.cured));
    }
    for kept in statements::list(store, None)?.into_iter().filter(|kept| kept.row.closes) {
        let scope = &kept.statement.scope;
        let with = if scope.asker == own { scope.answerer } else { scope.asker };
        let closed = (scope.last, kept.statement.made);
        let known = figures.closed.entry(with).or_insert(closed);
        *known = closed.max(*known);
    }
    let (first, last) = settings.every.over(now.date());
    if settings.is_overdue(last, now.date()) {
        for with in &settings.with {
            if !is_closed(store, *with, (first, last))? {
                figures.overdue.push(*with);
            }
        }
    }
    Ok(figures)
}

/// Whether both have signed these days.
///
/// # Errors
/// When rows cannot be read.
pub fn is_closed(store: &Store, with: AreaCode, days: (Date, Date)) -> Result<bool, AppError> {
    let kept = statements::list(store, Some(with))?;
    Ok(kept.iter().any(|kept| kept.row.closes && kept.statement.days() == days))
}
