//! What happens by itself: reports, runs that were interrupted, and runs of a month or quarter that is over.

use std::time::Duration;

use domain::area::AreaCode;
use domain::time::{Date, UnixMillis};

use super::Reconcile;
use crate::app::AppError;
use crate::app::reconcile::{runs, statements};
use crate::config::Every;
use crate::time::{SystemClock, random};

/// How often it is looked whether a run is due.
const LOOK_EVERY: Duration = Duration::from_secs(600);

impl Reconcile {
    /// Starts what happens by itself.
    ///
    /// # Errors
    /// When rows cannot be read.
    pub fn follow(&self) -> Result<(), AppError> {
        runs::unfinished(self.store())?.into_iter().for_each(|number| self.work_on(number));
        if self.above().is_some() {
            let (this, mut stopping) = (self.clone(), self.0.parts.tasks.stopping());
            self.0.parts.tasks.spawn("reports", async move {
                loop {
                    let pause = this.0.parts.settings.report_every;
                    tokio::select! {
                        () = stopping.stopped() => return,
                        () = tokio::time::sleep(pause) => {}
                    }
                    if let Err(trouble) = this.report().await {
                        tracing::debug!(%trouble, "the node above has no report");
                    }
                }
            });
        }
        if !self.0.parts.settings.with.is_empty() {
            let (this, mut stopping) = (self.clone(), self.0.parts.tasks.stopping());
            self.0.parts.tasks.spawn("reconciliations", async move {
                loop {
                    if let Err(error) = this.look(SystemClock.now()).await {
                        tracing::warn!(%error, "it could not be looked which reconciliations are due");
                    }
                    tokio::select! {
                        () = stopping.stopped() => return,
                        () = tokio::time::sleep(jittered(LOOK_EVERY)) => {}
                    }
                }
            });
        }
        Ok(())
    }

    /// Begins the runs that are due: with each side, of the last period that is over, until both have signed it.
    async fn look(&self, now: UnixMillis) -> Result<(), AppError> {
        let settings = &self.0.parts.settings;
        let (first, last) = over(settings.every, now.date());
        let due = last.plus_days(i32::from(settings.on_day));
        if now.date() < due {
            return Ok(());
        }
        for with in &settings.with {
            if !self.is_closed(*with, (first, last))?
                && !self.is_resting(*with, (first, last), now)?
            {
                let number = self.begin(*with, (first, last)).await?;
                tracing::info!(run = number, %with, %first, %last, "a reconciliation is due");
            }
        }
        Ok(())
    }

    fn is_closed(&self, with: AreaCode, (first, last): (Date, Date)) -> Result<bool, AppError> {
        let kept = statements::list(self.store(), Some(with))?;
        Ok(kept.iter().any(|kept| kept.row.closes && kept.statement.days() == (first, last)))
    }

    /// Whether the last try was a short time ago.
    fn is_resting(
        &self,
        with: AreaCode,
        days: (Date, Date),
        now: UnixMillis,
    ) -> Result<bool, AppError> {
        let rest = self.0.parts.settings.retry_after;
        let same = runs::latest(self.store(), with, days)?;
        Ok(same.is_some_and(|(_, row)| now.since(row.touched) < rest))
    }
}

/// The last month or quarter that is over.
fn over(every: Every, today: Date) -> (Date, Date) {
    let (first, last) = match every {
        Every::Month => (today.month().prev(), today.month().prev()),
        Every::Quarter => today.month().quarter().0.prev().quarter(),
    };
    (first.first(), last.last())
}

/// Up to a quarter more, so that a nation does not call at the same second.
fn jittered(pause: Duration) -> Duration {
    let dice = u32::from(u16::from_be_bytes(random()));
    pause.saturating_add(pause / 4 * dice / u32::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_month_and_quarter_that_are_over() {
        let days = |every, today: &str| {
            let (first, last) = over(every, today.parse().unwrap());
            format!("{first} {last}")
        };
        assert_eq!(days(Every::Month, "2026-03-01"), "2026-02-01 2026-02-28");
        assert_eq!(days(Every::Month, "2026-01-31"), "2025-12-01 2025-12-31");
        assert_eq!(days(Every::Quarter, "2026-05-20"), "2026-01-01 2026-03-31");
        assert_eq!(days(Every::Quarter, "2026-01-01"), "2025-10-01 2025-12-31");
    }
}
