//! Running a reconciliation to its end: compare, cure, and again, until nothing is left or only decisions are; then both
//! sign.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::{Date, UnixMillis};
use exchange::reconcile::difference::{Difference, DifferenceName};
use exchange::reconcile::set::Scope;
use store::letters::NoticeKind;
use store::reconcile::{RunRow, RunState};

use super::asking::Compared;
use super::signing::Signed;
use super::{Reconcile, Trouble};
use crate::app::each::First;
use crate::app::reconcile::runs::{self, Plan};
use crate::app::reconcile::statements;
use crate::app::{AppError, Refusal, notices, restore};
use crate::errors::chain;
use crate::time::SystemClock;

/// Comparisons of one run; what is left then is left for the next.
const COMPARISONS_MAX: u32 = 12;
/// A cure gets this long before it is looked at, and ever longer.
pub(super) const PAUSE_MIN: Duration = Duration::from_millis(300);
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(10);
/// After a restore, days before the backup that are compared as well: mail may have been on its way for so long.
const BEFORE_BACKUP_DAYS: i32 = 31;

/// What only waits for reports is looked at for so long: a county's clock may be minutes behind, and what it has accepted
/// until a time is known only when its own clock has passed it; and one that cannot be called comes by itself.
const PATIENCE: Duration = Duration::from_secs(900);

/// How a comparison left a run.
enum Round {
    /// Something is left that a cure may help.
    Again {
        /// Nothing but reports of counties is waited for.
        waits: bool,
    },
    /// Nothing is left, or only what no program cures.
    Done(Compared),
}

impl Reconcile {
    /// Begins a run, or finds the one that goes on; it is worked on when this returns.
    ///
    /// # Errors
    /// `STATE_FORBIDS` for days that a statement has closed, `INVALID_FIELD` for a side that is none; when rows cannot be
    /// written.
    pub async fn begin(&self, with: AreaCode, days: (Date, Date)) -> Result<u64, AppError> {
        let now = SystemClock.now();
        let plan = Plan { with, first: days.0, last: days.1, until: now, after_restore: false };
        self.begin_plan(plan, now).await
    }

    async fn begin_plan(&self, plan: Plan, now: UnixMillis) -> Result<u64, AppError> {
        let scope = self.scope(&plan);
        if !scope.is_between_two() || plan.first > plan.last {
            return Err(Refusal::new(Reason::InvalidField).field("with").into());
        }
        statements::must_be_open(self.store(), self.own(), &scope)?;
        let number = runs::begin(self.store(), plan, now).await?;
        self.work_on(number);
        Ok(number)
    }

    fn scope(&self, plan: &Plan) -> Scope {
        let Plan { with: answerer, first, last, until, .. } = *plan;
        Scope { asker: self.own(), answerer, first, last, until }
    }

    /// After a restore: a run with every county that can be called, from before the backup until today.
    ///
    /// # Errors
    /// `STATE_FORBIDS` when the data were not restored; when rows cannot be written.
    pub async fn begin_after_restore(&self) -> Result<Vec<u64>, AppError> {
        let now = SystemClock.now();
        let origin = restore::origin(self.store())?;
        let Some(origin) = origin else {
            let detail = "the data of this node were not restored from a backup";
            return Err(Refusal::new(Reason::StateForbids).detail(detail).into());
        };
        let since = origin.backup.unwrap_or(origin.restored).date();
        let own = self.own();
        let (mut numbers, mut trouble) = (Vec::new(), First::default());
        for peer in self.0.parts.peers.all() {
            let apart = !own.contains(&peer.area) && !peer.area.contains(&own);
            let is_county = peer.area != peer.area.province();
            let is_above = Some(peer.area) == self.above();
            if !(apart && is_county || is_above) || peer.endpoints().is_empty() {
                continue;
            }
            let first = since.plus_days(-BEFORE_BACKUP_DAYS);
            let plan =
                Plan { with: peer.area, first, last: now.date(), until: now, after_restore: true };
            match self.begin_plan(plan, now).await {
                Ok(number) => numbers.push(number),
                Err(error) if error.reason() == Reason::StateForbids => {
                    tracing::warn!(peer = %peer.area, "days since the backup are closed with a peer");
                }
                // The others are asked all the same.
                Err(error) => {
                    tracing::warn!(peer = %peer.area, %error, "it could not be begun to ask a peer for what was lost");
                    trouble.take::<()>(Err(error));
                }
            }
        }
        // Last, since it waits for the others.
        numbers.extend(trouble.take(self.begin_recall(now).await).flatten());
        if numbers.is_empty() { trouble.end().map(|()| numbers) } else { Ok(numbers) }
    }

    /// Goes on with a run that was interrupted, or given up with differences left.
    ///
    /// # Errors
    /// `NOT_FOUND`, `STATE_FORBIDS` for one that has come to its end; when rows cannot be written.
    pub async fn resume(&self, number: u64) -> Result<RunRow, AppError> {
        let row = runs::get(self.store(), number)?;
        if row.state == RunState::Equal {
            let detail = "it has come to its end";
            return Err(Refusal::new(Reason::StateForbids).detail(detail).into());
        }
        let now = SystemClock.now();
        let row =
            runs::change(self.store(), number, now, |row| row.state = RunState::Running).await?;
        self.work_on(number);
        Ok(row)
    }

    /// Works on a run, unless somebody does.
    pub(super) fn work_on(&self, number: u64) {
        if !self.running().insert(number) {
            return;
        }
        let (this, mut stopping) = (self.clone(), self.0.parts.tasks.stopping());
        self.0.parts.tasks.spawn("reconciliation", async move {
            let ended = tokio::select! {
                () = stopping.stopped() => Ok(()),
                ended = this.run(number) => ended,
            };
            if let Err(error) = ended {
                tracing::error!(run = number, %error, "a reconciliation could not be worked on");
            }
            this.running().remove(&number);
        });
    }

    async fn run(&self, number: u64) -> Result<(), AppError> {
        let row = runs::get(self.store(), number)?;
        if row.with == self.own() {
            return match self.recall(number).await {
                Ok(()) => Ok(()),
                Err(Trouble::App(error)) => self.give_up(number, chain(&error)).await,
                Err(trouble) => self.give_up(number, chain(&trouble)).await,
            };
        }
        let RunRow { with, first, last, until, after_restore, .. } = row;
        let scope = self.scope(&Plan { with, first, last, until, after_restore });
        if !after_restore && self.end_if_closed(number, scope).await? {
            return Ok(());
        }
        let (mut pause, mut comparisons, begun) = (PAUSE_MIN, 0, Instant::now());
        let mut corrections = None;
        while comparisons < COMPARISONS_MAX {
            match self.round(number, scope).await {
                // What counties have not reported yet is waited for before days are closed without it.
                Ok(Round::Done(compared))
                    if compared.may_close_later(&scope) && begun.elapsed() < PATIENCE =>
                {
                    self.wait_for_reports(number, &compared).await?;
                }
                Ok(Round::Done(compared)) => {
                    let theirs = corrections.as_deref();
                    match self.finish(number, scope, compared, theirs).await? {
                        Signed::Ended => return Ok(()),
                        Signed::Again(theirs) => corrections = theirs.or(corrections),
                    }
                    comparisons += 1;
                }
                Ok(Round::Again { waits }) => {
                    comparisons += u32::from(!waits || begun.elapsed() >= PATIENCE);
                }
                Err(Trouble::App(error)) => return self.give_up(number, chain(&error)).await,
                Err(trouble) => return self.give_up(number, chain(&trouble)).await,
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        let now = SystemClock.now();
        runs::change(self.store(), number, now, |row| {
            row.state = RunState::Left;
            row.trouble = "differences are left; they need more time, or a line".to_owned();
        })
        .await?;
        self.alarm(with).await
    }

    /// Notes whose reports are waited for.
    async fn wait_for_reports(&self, number: u64, compared: &Compared) -> Result<(), AppError> {
        let trouble = statements::not_reported(&compared.incomplete);
        let now = SystemClock.now();
        runs::change(self.store(), number, now, |row| row.trouble = trouble).await.map(drop)
    }

    pub(super) async fn give_up(&self, number: u64, why: String) -> Result<(), AppError> {
        let now = SystemClock.now();
        tracing::warn!(run = number, why, "a reconciliation does not come further");
        let row = runs::change(self.store(), number, now, move |row| {
            row.state = RunState::Failed;
            row.trouble = why;
        });
        let with = row.await?.with;
        // What was told before is asked of the node above.
        let with = if with == self.own() { self.above().unwrap_or(with) } else { with };
        self.alarm(with).await
    }

    async fn alarm(&self, with: AreaCode) -> Result<(), AppError> {
        let now = SystemClock.now();
        let write = move |unit: &mut store::Unit<'_>| {
            notices::raise(unit, now, NoticeKind::NotReconciled { with }, &[])
        };
        self.store().commit(write).await.map_err(AppError::from)
    }

    /// One comparison with its cures.
    async fn round(&self, number: u64, scope: Scope) -> Result<Round, Trouble> {
        let compared = self.compare(scope).await?;
        let (found, now) = (&compared.differences, SystemClock.now());
        let known = runs::for_a_person(self.store(), number)?;
        let row = runs::compared(self.store(), number, found, compared.measured, now).await?;
        tracing::info!(run = number, with = %scope.answerer, comparison = row.comparisons, differences = found.len(), "two ledgers were compared");
        runs::lost(self.store(), number, &compared.lost, now).await?;
        self.end_decisions(&scope, found).await?;
        let lost = runs::lost_ones(self.store(), number)?;
        // What a person is to decide may be no more than a late report: it is looked at twice.
        let is_new = |it: &Difference| it.id().is_some_and(|id| !known.contains(&id));
        let unsure = found.iter().any(|it| it.name.is_for_a_person() && is_new(it));
        if !unsure && curable(found, &lost).next().is_none() {
            return Ok(Round::Done(compared));
        }
        let curable: Vec<_> = curable(found, &lost).cloned().collect();
        let waits = curable.iter().all(|it| it.name == DifferenceName::NotReported);
        let done = self.cure(&scope, &curable).await?;
        runs::lost(self.store(), number, &done.lost, SystemClock.now()).await?;
        // Nothing could be begun: what is left lies where it has to be collected.
        let lies = done.begun == 0 && done.waiting > 0;
        Ok(Round::Again { waits: (waits || lies) && !unsure })
    }
}

/// What a cure may help.
fn curable<'a>(
    found: &'a [Difference],
    lost: &'a BTreeSet<MessageId>,
) -> impl Iterator<Item = &'a Difference> {
    let is_lost = |it: &&Difference| it.id().is_some_and(|id| lost.contains(&id));
    found.iter().filter(move |it| !it.name.is_for_a_person() && !is_lost(it))
}
