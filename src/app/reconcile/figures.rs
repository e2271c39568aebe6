//! Figures of reconciliation, for whoever watches the node.

use std::collections::BTreeMap;

use domain::area::AreaCode;
use domain::time::{Date, UnixMillis};
use store::Store;
use store::reconcile::RunState;

use super::{decisions, periods, runs, statements};
use crate::app::AppError;
use crate::app::ledger::growth;
use crate::config::ReconcileSettings;

/// Figures of reconciliation. Runs are those of the newest page of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Runs that were begun here.
    pub runs: u64,
    /// Of these, those that go on.
    pub running: u64,
    /// Of these, those after which both sides were equal.
    pub equal: u64,
    /// Of these, those of which all that is left needs a person.
    pub with_decisions: u64,
    /// Of these, those that were given up with differences left; they can be resumed.
    pub left: u64,
    /// Of these, those that could not compare; they can be resumed.
    pub failed: u64,
    /// Bytes of sketches and lists that came for them.
    pub bytes: u64,
    /// Periods of the schedule that are due and not closed, of all sides.
    pub periods_open: usize,
    /// Differences that they have found.
    pub found: u64,
    /// Of these, cured.
    pub cured: u64,
    /// Messages of which they have found that nobody has them any more.
    pub lost: u64,
    /// Messages of which two sides hold something else, and nobody has decided.
    pub decisions: u64,
    /// Peers that have signed two heads of which no proof shows that one continues the other.
    pub set_back: Vec<AreaCode>,
    /// Peers that owe a proof of that.
    pub unproven: Vec<AreaCode>,
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
    settings: &ReconcileSettings,
    now: UnixMillis,
) -> Result<Figures, AppError> {
    let mut figures = Figures::default();
    let sum = |counts: &[u32; 6]| counts.iter().copied().map(u64::from).sum::<u64>();
    for (_, row) in runs::list(store, None, usize::MAX)? {
        figures.runs = figures.runs.saturating_add(1);
        let of_state = match row.state {
            RunState::Running => &mut figures.running,
            RunState::Equal => &mut figures.equal,
            RunState::Decisions => &mut figures.with_decisions,
            RunState::Left => &mut figures.left,
            RunState::Failed => &mut figures.failed,
        };
        *of_state = of_state.saturating_add(1);
        figures.bytes = figures.bytes.saturating_add(row.bytes);
        figures.found = figures.found.saturating_add(sum(&row.found));
        figures.cured = figures.cured.saturating_add(sum(&row.cured));
        figures.lost = figures.lost.saturating_add(u64::from(row.lost));
    }
    figures.decisions = decisions::open(store)?;
    (figures.set_back, figures.unproven) = growth::in_question(store)?;
    for (with, closed) in statements::last_closed(store)? {
        figures.closed.insert(with, (closed.last, closed.made()));
    }
    for with in &settings.with {
        figures.periods_open += periods::due(store, settings, *with, now.date())?.len();
        if is_overdue(store, settings, *with, now)? {
            figures.overdue.push(*with);
        }
    }
    Ok(figures)
}

/// Whether a period of the schedule was over too long ago to be still without a statement.
///
/// # Errors
/// When rows cannot be read.
pub fn is_overdue(
    store: &Store,
    settings: &ReconcileSettings,
    with: AreaCode,
    now: UnixMillis,
) -> Result<bool, AppError> {
    let due = periods::due(store, settings, with, now.date())?;
    Ok(due.iter().any(|(_, last)| settings.is_overdue(*last, now.date())))
}
