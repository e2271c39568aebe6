//! What happens by itself: reports, runs that were interrupted, and runs of a month or quarter that is over.

use std::time::Duration;

use domain::area::AreaCode;
use domain::time::{Date, UnixMillis};
use store::letters::NoticeKind;

use super::Reconcile;
use crate::app::AppError;
use crate::app::clocks::alarms::remind;
use crate::app::each::First;
use crate::app::reconcile::{figures, runs};
use crate::time::{SystemClock, random};

/// How often peers that have signed a new head are asked to prove that their ledger only grew.
const LEDGERS_EVERY: Duration = Duration::from_secs(300);
/// How often a county asks the node above it what lies for it: it may not be possible to call it.
const COLLECT_EVERY: Duration = Duration::from_secs(30);
/// How often it is looked whether a run is due.
const LOOK_EVERY: Duration = Duration::from_secs(600);

impl Reconcile {
    /// Starts what happens by itself.
    ///
    /// # Errors
    /// When rows cannot be read.
    pub fn follow(&self) -> Result<(), AppError> {
        runs::unfinished(self.store())?.into_iter().for_each(|number| self.work_on(number));
        let (this, mut stopping) = (self.clone(), self.0.parts.tasks.stopping());
        self.0.parts.tasks.spawn("ledgers of peers", async move {
            loop {
                tokio::select! {
                    () = stopping.stopped() => return,
                    () = tokio::time::sleep(jittered(LEDGERS_EVERY)) => this.look_at_ledgers().await,
                }
            }
        });
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
        if self.above().is_some() {
            let (this, mut stopping) = (self.clone(), self.0.parts.tasks.stopping());
            let pause = this.0.parts.settings.report_every.min(COLLECT_EVERY);
            self.0.parts.tasks.spawn("cures that lie above", async move {
                loop {
                    tokio::select! {
                        () = stopping.stopped() => return,
                        () = tokio::time::sleep(jittered(pause)) => {}
                    }
                    if let Err(trouble) = this.collect().await {
                        tracing::debug!(%trouble, "cures were not collected from the node above");
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
        let (first, last) = settings.every.over(now.date());
        let due = settings.due(last);
        if now.date() < due {
            return Ok(());
        }
        let mut first_error = First::default();
        for with in &settings.with {
            first_error.take(self.look_at(*with, (first, last), now).await);
        }
        first_error.end()
    }

    async fn look_at(
        &self,
        with: AreaCode,
        (first, last): (Date, Date),
        now: UnixMillis,
    ) -> Result<(), AppError> {
        if figures::is_closed(self.store(), with, (first, last))? {
            return Ok(());
        }
        if self.0.parts.settings.is_overdue(last, now.date()) {
            self.remind(with, now).await?;
        }
        if !self.is_resting(with, (first, last), now)? {
            let number = self.begin(with, (first, last)).await?;
            tracing::info!(run = number, %with, %first, %last, "a reconciliation is due");
        }
        Ok(())
    }

    /// Nobody has both signatures of a period for too long: somebody has to look.
    async fn remind(&self, with: AreaCode, now: UnixMillis) -> Result<(), AppError> {
        let write = move |unit: &mut store::Unit<'_>| {
            remind(unit, NoticeKind::NotReconciled { with }, &[], now).map(drop)
        };
        self.store().commit(write).await.map_err(AppError::from)
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

/// Up to a quarter more, so that a nation does not call at the same second.
fn jittered(pause: Duration) -> Duration {
    let dice = u32::from(u16::from_be_bytes(random()));
    pause.saturating_add(pause / 4 * dice / u32::from(u16::MAX))
}
