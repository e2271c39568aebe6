//! What happens by itself: reports, runs that were interrupted, and runs of a month or quarter that is over.

use std::time::Duration;

use domain::area::AreaCode;
use domain::time::{Date, UnixMillis};
use store::letters::NoticeKind;

use super::Reconcile;
use crate::app::AppError;
use crate::app::clocks::alarms::remind;
use crate::app::each::First;
use crate::app::reconcile::{figures, periods, runs};
use crate::time::{SystemClock, random};

/// How often peers that have signed a new head are asked to prove that their ledger only grew.
const LEDGERS_EVERY: Duration = Duration::from_secs(300);
/// How often a county asks the node above it what lies for it: it may not be possible to call it.
const COLLECT_EVERY: Duration = Duration::from_secs(30);
/// How often it is looked whether a run is due.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// A period that both have signed without closing it rests at least so long.
const UNCLOSED_REST: Duration = Duration::from_secs(86_400);

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
        let (this, mut stopping) = (self.clone(), self.0.parts.tasks.stopping());
        self.0.parts.tasks.spawn("versions", async move {
            let pause = this.0.parts.settings.report_every;
            loop {
                tokio::select! {
                    () = stopping.stopped() => return,
                    () = tokio::time::sleep(jittered(pause)) => {}
                }
                if let Err(error) = this.show_versions().await {
                    tracing::warn!(%error, "what people have to decide was not shown to senders");
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
            let pause = self.0.parts.settings.retry_after.min(LOOK_EVERY);
            self.0.parts.tasks.spawn("reconciliations", async move {
                loop {
                    if let Err(error) = this.look(SystemClock.now()).await {
                        tracing::warn!(%error, "it could not be looked which reconciliations are due");
                    }
                    tokio::select! {
                        () = stopping.stopped() => return,
                        () = tokio::time::sleep(jittered(pause)) => {}
                    }
                }
            });
        }
        Ok(())
    }

    /// Begins the runs that are due: with each side, of the periods that are over, until both have signed them.
    async fn look(&self, now: UnixMillis) -> Result<(), AppError> {
        let mut first_error = First::default();
        for with in &self.0.parts.settings.with {
            first_error.take(self.look_at(*with, now).await);
        }
        first_error.end()
    }

    async fn look_at(&self, with: AreaCode, now: UnixMillis) -> Result<(), AppError> {
        let settings = &self.0.parts.settings;
        if figures::is_overdue(self.store(), settings, with, now)? {
            self.remind(with, now).await?;
        }
        // The other side answers one comparison of ours at a time.
        if self.is_running_with(with)? {
            return Ok(());
        }
        for days in periods::due(self.store(), settings, with, now.date())? {
            if now >= settings.begins(self.own(), with, days.1)
                && !self.is_resting(with, days, now)?
            {
                let known = runs::again(self.store(), with, days, now).await?;
                let number = match known {
                    Some(number) => {
                        self.work_on(number);
                        number
                    }
                    None => self.begin(with, days).await?,
                };
                let (first, last) = days;
                tracing::info!(run = number, %with, %first, %last, "a reconciliation is due");
                break;
            }
        }
        Ok(())
    }

    fn is_running_with(&self, with: AreaCode) -> Result<bool, AppError> {
        let numbers: Vec<u64> = self.running().iter().copied().collect();
        for number in numbers {
            if runs::get(self.store(), number)?.with == with {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Nobody has both signatures of a period for too long: somebody has to look.
    async fn remind(&self, with: AreaCode, now: UnixMillis) -> Result<(), AppError> {
        let write = move |unit: &mut store::Unit<'_>| {
            remind(unit, NoticeKind::NotReconciled { with }, &[], now).map(drop)
        };
        self.store().commit(write).await.map_err(AppError::from)
    }

    /// Whether the last try was a short time ago. What was signed and not closed, because counties had not reported, is only
    /// tried again when they may have.
    fn is_resting(
        &self,
        with: AreaCode,
        days: (Date, Date),
        now: UnixMillis,
    ) -> Result<bool, AppError> {
        let retry = self.0.parts.settings.retry_after;
        let Some((_, row)) = runs::latest(self.store(), with, days)? else { return Ok(false) };
        let rest = if row.statement.is_some() { retry.max(UNCLOSED_REST) } else { retry };
        Ok(now.since(row.touched) < rest)
    }
}

/// Up to a quarter more, so that a nation does not call at the same second.
fn jittered(pause: Duration) -> Duration {
    jittered_by(pause, u16::from_be_bytes(random()))
}

fn jittered_by(pause: Duration, dice: u16) -> Duration {
    pause.saturating_add(pause / 4 * u32::from(dice) / u32::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_longer_by_up_to_a_quarter_and_never_shorter() {
        let pause = Duration::from_secs(600);
        assert_eq!(jittered_by(pause, 0), pause);
        assert_eq!(jittered_by(pause, u16::MAX), Duration::from_secs(750));
        let each = (0..=u16::MAX).map(|dice| jittered_by(pause, dice));
        assert!(each.is_sorted());
        assert!(jittered_by(LOOK_EVERY, u16::MAX) < Duration::from_secs(3_600));
    }
}
