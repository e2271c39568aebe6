//! Looking again at days that are closed. They stay closed, and nothing is signed about them anew; but where only one side
//! finds that they have changed since, one of the two has lost something.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::Date;
use exchange::digest::Digest;
use exchange::reconcile::signing::one_sided;
use exchange::reconcile::statement::Correction;

use super::Reconcile;
use crate::app::reconcile::runs::{self, Plan};
use crate::app::reconcile::statements;
use crate::app::{AppError, Refusal};
use crate::time::SystemClock;

/// Closed times that are looked through for those of a statement.
const CLOSED_MAX: usize = 24;
/// Days that were looked at again rest so long.
const REST: Duration = Duration::from_secs(86_400);

impl Reconcile {
    /// Begins a run that compares closed days once more and cures what differs; it signs nothing.
    ///
    /// # Errors
    /// `STATE_FORBIDS` when none of the days is closed: an ordinary run is what they need; those of [`Reconcile::begin`].
    pub async fn begin_again(&self, with: AreaCode, days: (Date, Date)) -> Result<u64, AppError> {
        let closed = statements::closed_with(self.store(), with, CLOSED_MAX)?;
        if !closed.iter().any(|it| it.first <= days.1 && days.0 <= it.last) {
            let detail =
                "no statement has closed any of these days: compare them without looking again";
            return Err(Refusal::new(Reason::StateForbids)
                .field("look_again")
                .detail(detail)
                .into());
        }
        let now = SystemClock.now();
        let plan = Plan { with, first: days.0, last: days.1, until: now, after_restore: true };
        self.begin_plan(plan, now).await
    }

    /// Looks again at the days of the statements of which only one side finds that they have changed, unless that was done
    /// lately.
    pub(super) async fn look_at_days(
        &self,
        with: AreaCode,
        ours: &[Correction],
        theirs: &[Correction],
    ) -> Result<(), AppError> {
        let statements: BTreeSet<Digest> = one_sided(ours, theirs);
        if statements.is_empty() {
            return Ok(());
        }
        let closed = statements::closed_with(self.store(), with, CLOSED_MAX)?;
        for closed in closed.into_iter().filter(|it| statements.contains(&it.digest)) {
            let days = closed.days();
            let now = SystemClock.now();
            let last = runs::latest(self.store(), with, days)?;
            let is_resting =
                last.is_some_and(|(_, row)| row.after_restore && now.since(row.touched) < REST);
            if !is_resting {
                let number = self.begin_again(with, days).await?;
                let (first, last) = days;
                tracing::warn!(run = number, %with, %first, %last, "closed days have changed on one side only: they are compared again");
            }
        }
        Ok(())
    }
}
