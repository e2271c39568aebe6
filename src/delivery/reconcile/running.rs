//! Running a reconciliation to its end: compare, cure ([`super::rounds`]), and again, until nothing is left or only decisions are; then both
//! sign.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::{Date, UnixMillis};
use exchange::lane::LaneEpoch;
use exchange::reconcile::session::Incomplete;
use exchange::reconcile::set::Scope;
use exchange::reconcile::statement::Correction;
use store::Store;
use store::letters::NoticeKind;
use store::messages::{EnvelopeKey, Side};
use store::reconcile::{LostWindow, RunRow, RunState};
use store::tables::{LANE_IN, LANE_OUT};

use super::asking::Compared;
use super::rounds::{Came, Rest, Round};
use super::signing::Signed;
use super::{Reconcile, Trouble};
use crate::app::each::First;
use crate::app::reconcile::runs::{self, Plan};
use crate::app::reconcile::{former, statements};
use crate::app::{AppError, Refusal, notices, restore};
use crate::errors::chain;
use crate::time::SystemClock;

/// Comparisons of one run after which no fewer differences are left; what is left then is left for the next.
const COMPARISONS_MAX: u32 = 12;
/// How often both sides are asked to sign what is left; mail goes on meanwhile.
const SIGNED_LEFT_TRIES: u32 = 4;
/// A cure gets this long before it is looked at, and ever longer.
pub(super) const PAUSE_MIN: Duration = Duration::from_millis(300);
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Runs after a restore that are worked on at one time; there is one for each county.
pub(super) const RECOVERING_AT_ONCE: usize = 8;
/// Other runs that compare at one time: their entries are in memory then.
pub(super) const COMPARING_AT_ONCE: usize = 4;
/// A busy peer is asked again after so long, and for so long since it last went on: each place that others hold there comes
/// free in that time.
const BUSY_PAUSE: Duration = Duration::from_secs(5);
const BUSY_MAX: Duration = super::COMPARISON_MAX;
/// How often in a row a run does not get through to the other side before it is given up.
const TROUBLES_MAX: u32 = 4;

/// What was begun after a restore.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AfterRestore {
    /// Numbers of the runs, the one that names what is lost last.
    pub numbers: Vec<u64>,
    /// The number of that one, if the node above was told of anything.
    pub recall: Option<u64>,
    /// Counties with which mail was exchanged, and which neither they nor anybody for them can be asked about.
    pub left_out: Vec<AreaCode>,
}

/// What a run says whose differences are left.
pub(super) const DIFFERENCES_LEFT: &str =
    "差异未消除，需要时间或线路恢复 differences are left; they need more time, or a line";

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

    pub(super) async fn begin_plan(&self, plan: Plan, now: UnixMillis) -> Result<u64, AppError> {
        let scope = self.scope(&plan);
        if !scope.is_between_two() || plan.first > plan.last {
            return Err(Refusal::new(Reason::InvalidField).field("with").into());
        }
        if !plan.after_restore {
            statements::must_be_open(self.store(), self.own(), &scope)?;
        }
        let number = runs::begin(self.store(), plan, now).await?;
        self.work_on(number);
        Ok(number)
    }

    fn scope(&self, plan: &Plan) -> Scope {
        let Plan { with: answerer, first, last, until, .. } = *plan;
        Scope { asker: self.own(), answerer, first, last, until }
    }

    /// After a restore: a run with every county that can be called, with the provinces of those that cannot be, and with
    /// those whose own office we had mail with, from before the backup until today; days that were closed are looked at as well. Last comes the run that names what is
    /// lost.
    ///
    /// # Errors
    /// `STATE_FORBIDS` when the data were not restored; when rows cannot be written.
    pub async fn begin_after_restore(&self) -> Result<AfterRestore, AppError> {
        let now = SystemClock.now();
        let origin = restore::origin(self.store())?;
        let Some(origin) = origin else {
            let detail = "the data of this node were not restored from a backup";
            return Err(Refusal::new(Reason::StateForbids).detail(detail).into());
        };
        let window = LostWindow { from: origin.backup, named: None, until: origin.restored };
        let (first, _) = former::days(self.store(), &window)?;
        let (sides, left_out) = self.sides_after_restore()?;
        let (mut numbers, mut trouble) = (Vec::new(), First::default());
        for with in sides {
            let (last, until) = (now.date(), now);
            let plan = Plan { with, first, last, until, after_restore: true };
            // The others are asked all the same.
            match runs::begin(self.store(), plan, now).await {
                Ok(number) => {
                    self.work_on(number);
                    numbers.push(number);
                }
                Err(error) => {
                    tracing::warn!(peer = %with, %error, "it could not be begun to ask a peer for what was lost");
                    trouble.take::<()>(Err(error));
                }
            }
        }
        // It waits for the others.
        let recall = trouble.take(self.begin_recall(now).await).flatten();
        numbers.extend(recall);
        if numbers.is_empty() {
            trouble.end()?;
        }
        Ok(AfterRestore { numbers, recall, left_out })
    }

    /// Whom to compare with after a restore; and with whom mail was exchanged that nobody can be asked about.
    fn sides_after_restore(&self) -> Result<(BTreeSet<AreaCode>, Vec<AreaCode>), AppError> {
        let own = self.own();
        let (mut sides, mut left_out) = (BTreeSet::new(), Vec::new());
        for peer in self.0.parts.peers.all() {
            let area = peer.area;
            // What its counties know they are asked for themselves; the province itself for mail with its own office. A
            // province asks the other ones in any case: it may not have heard yet of each of their counties.
            let is_province = own == own.province();
            let is_office = area == area.province() && !area.contains(&own) && !is_province;
            if area == own || (is_office && !has_exchanged(self.store(), area)?) {
                continue;
            }
            if !peer.endpoints().is_empty() {
                sides.insert(area);
                continue;
            }
            // Its province has its books, and hands it what it is to cure.
            let province = self.0.parts.peers.get(area.province());
            let province = province.filter(|it| it.area != own.province() && it.area != area);
            match province.filter(|province| !province.endpoints().is_empty()) {
                Some(province) => {
                    sides.insert(province.area);
                }
                None if has_exchanged(self.store(), area)? => left_out.push(area),
                None => {}
            }
        }
        Ok((sides, left_out))
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
        let row = runs::reopen(self.store(), number, now).await?;
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
                // It is shown as what it is, and can be resumed.
                if let Err(error) = this.give_up(number, chain(&error)).await {
                    tracing::error!(run = number, %error, "that could not be noted");
                }
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
        let _turn = match after_restore {
            true => self.0.recovering.acquire().await.ok(),
            false => None,
        };
        let scope = self.scope(&Plan { with, first, last, until, after_restore });
        if !after_restore && self.end_if_closed(number, scope).await? {
            return Ok(());
        }
        runs::recount(self.store(), number, SystemClock.now()).await?;
        let (mut pause, mut comparisons, begun) = (PAUSE_MIN, 0, Instant::now());
        let (mut corrections, mut troubles, mut cuts) = (None, 0, 0);
        let mut fewest = usize::MAX;
        // When it last came further.
        let (mut round, mut moved) = (Round::of(scope), Instant::now());
        // What only waits for reports is looked at for so long: a county's clock may be minutes behind, and what it has
        // accepted until a time is known only when its own clock has passed it; and one that cannot be called comes by itself.
        let patience = self.0.parts.settings.patience;
        while comparisons < COMPARISONS_MAX {
            let before = round.steps();
            let came = self.in_turn(after_restore, self.go_on(number, &mut round)).await;
            if came.is_ok() || round.steps() > before {
                (troubles, moved) = (0, Instant::now());
            }
            troubles += u32::from(came.is_err());
            match came {
                Ok(Came::Done(compared)) if after_restore => {
                    let unheard = self.unheard(&scope, &compared)?;
                    if unheard.is_empty() || begun.elapsed() >= patience {
                        return self.end_unsigned(number, &scope, (&compared, &unheard)).await;
                    }
                    self.wait_for_reports(number, &unheard).await?;
                }
                // What counties have not reported yet is waited for before days are closed without it.
                Ok(Came::Done(compared))
                    if compared.may_close_later(&scope) && begun.elapsed() < patience =>
                {
                    self.wait_for_reports(number, &compared.incomplete).await?;
                }
                Ok(Came::Done(compared)) => {
                    let theirs = corrections.as_deref();
                    match self.finish(number, scope, compared, theirs).await? {
                        Signed::Ended => return Ok(()),
                        Signed::Again(theirs) => corrections = theirs.or(corrections),
                        Signed::Cut(_) if cuts < TROUBLES_MAX => cuts += 1,
                        Signed::Cut(trouble) => return self.give_up(number, chain(&trouble)).await,
                    }
                    comparisons += 1;
                }
                Ok(Came::Again(Rest { waits, left })) => {
                    let falls = left < fewest;
                    fewest = fewest.min(left);
                    comparisons += u32::from(counts(falls, waits, begun.elapsed() >= patience));
                }
                Err(Trouble::App(error)) => return self.give_up(number, chain(&error)).await,
                // It does what others have asked it for, or this run before: a busy peer is no fault.
                Err(trouble @ Trouble::Busy { .. }) => {
                    if moved.elapsed() >= BUSY_MAX {
                        return self.put_off(number, chain(&trouble)).await;
                    }
                    self.say(number, chain(&trouble)).await?;
                    (pause, troubles) = (pause.max(BUSY_PAUSE), 0);
                }
                // A short cut of the line is no end.
                Err(
                    Trouble::Call { .. } | Trouble::Refused { .. } | Trouble::Unreachable { .. },
                ) if troubles < TROUBLES_MAX => {}
                Err(trouble) => return self.give_up(number, chain(&trouble)).await,
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        if !after_restore && self.sign_what_is_left(number, scope, corrections).await? {
            return Ok(());
        }
        let left = |row: &mut RunRow| {
            (row.state, row.trouble) = (RunState::Left, DIFFERENCES_LEFT.to_owned());
        };
        runs::change(self.store(), number, SystemClock.now(), left).await?;
        self.alarm(with).await
    }

    /// What could not be cured is signed as it is, as soon as both find the same: one letter to a county that is gone must not
    /// keep everybody else's totals from being signed. It closes nothing. Says whether the run has ended so.
    async fn sign_what_is_left(
        &self,
        number: u64,
        scope: Scope,
        mut corrections: Option<Vec<Correction>>,
    ) -> Result<bool, AppError> {
        let mut round = Round::to_sign(scope);
        for _ in 0..SIGNED_LEFT_TRIES {
            match self.in_turn(false, self.go_on(number, &mut round)).await {
                Ok(Came::Done(compared)) => {
                    match self.finish(number, scope, compared, corrections.as_deref()).await? {
                        Signed::Ended => return Ok(true),
                        Signed::Again(theirs) => corrections = theirs.or(corrections),
                        Signed::Cut(trouble) => {
                            tracing::warn!(run = number, %trouble, "what is left could not be signed");
                        }
                    }
                }
                Ok(Came::Again(_)) => {}
                Err(Trouble::App(error)) => return Err(error),
                Err(trouble) => {
                    tracing::warn!(run = number, %trouble, "what is left could not be looked at once more");
                }
            }
            tokio::time::sleep(PAUSE_MIN).await;
        }
        Ok(false)
    }

    /// The end of a run after a restore. It signs nothing: what closes a time is said by the runs of that time.
    async fn end_unsigned(
        &self,
        number: u64,
        scope: &Scope,
        (compared, unheard): (&Compared, &[Incomplete]),
    ) -> Result<(), AppError> {
        let mut for_people = compared.differences.clone();
        for_people.retain(|it| it.name.is_for_a_person());
        self.tell_people(scope, &for_people).await?;
        runs::lacks(self.store(), number, &self.theirs(scope, compared)).await?;
        let state = match (unheard.is_empty(), compared.differences.is_empty()) {
            (false, _) => RunState::Left,
            (true, true) => RunState::Equal,
            (true, false) => RunState::Decisions,
        };
        let trouble = statements::not_reported(unheard);
        let end = move |row: &mut RunRow| (row.state, row.trouble) = (state, trouble);
        let row = runs::change(self.store(), number, SystemClock.now(), end).await?;
        if state == RunState::Left { self.alarm(row.with).await } else { Ok(()) }
    }

    /// Counties of the other side that have not reported everything.
    fn theirs(&self, scope: &Scope, compared: &Compared) -> Vec<Incomplete> {
        let theirs = compared.incomplete.iter();
        theirs.filter(|(county, _)| scope.stands_for(scope.answerer, *county)).copied().collect()
    }

    /// Of these the ones with which mail was exchanged, and which nobody can ask but the other side: what is missing here is
    /// not known while they have not reported.
    fn unheard(&self, scope: &Scope, compared: &Compared) -> Result<Vec<Incomplete>, AppError> {
        let mut unheard = Vec::new();
        for (county, since) in self.theirs(scope, compared) {
            let peer = self.0.parts.peers.get(county);
            let is_asked = peer.is_some_and(|peer| !peer.endpoints().is_empty());
            if !is_asked && has_exchanged(self.store(), county)? {
                unheard.push((county, since));
            }
        }
        Ok(unheard)
    }

    /// Notes whose reports are waited for.
    async fn wait_for_reports(&self, number: u64, who: &[Incomplete]) -> Result<(), AppError> {
        self.say(number, statements::not_reported(who)).await
    }

    /// Notes what is waited for.
    async fn say(&self, number: u64, trouble: String) -> Result<(), AppError> {
        if runs::get(self.store(), number)?.trouble == trouble {
            return Ok(());
        }
        let now = SystemClock.now();
        runs::change(self.store(), number, now, |row| row.trouble = trouble).await.map(drop)
    }

    /// A step of a run when it is its turn: each holds the entries of its time in memory, and calls every county below. A run
    /// after a restore has its turn already.
    async fn in_turn<T>(&self, after_restore: bool, step: impl Future<Output = T>) -> T {
        let _turn = match after_restore {
            true => None,
            false => self.0.comparing.acquire().await.ok(),
        };
        step.await
    }

    /// The other side was busy all the time. Nobody has to look: the schedule tries again, and it can be resumed.
    async fn put_off(&self, number: u64, why: String) -> Result<(), AppError> {
        tracing::info!(run = number, why, "a reconciliation is put off");
        let end = move |row: &mut RunRow| (row.state, row.trouble) = (RunState::Left, why);
        runs::change(self.store(), number, SystemClock.now(), end).await.map(drop)
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

    pub(super) async fn alarm(&self, with: AreaCode) -> Result<(), AppError> {
        let now = SystemClock.now();
        let write = move |unit: &mut store::Unit<'_>| {
            notices::raise(unit, now, NoticeKind::NotReconciled { with }, &[])
        };
        self.store().commit(write).await.map_err(AppError::from)
    }
}

/// Whether a comparison counts against those of a run: not while fewer differences are left each time, nor while nothing but
/// reports, or counties that collect, is waited for, until that has taken too long.
const fn counts(falls: bool, waits: bool, too_long: bool) -> bool {
    !falls && (!waits || too_long)
}

/// Whether mail was ever exchanged with a county.
fn has_exchanged(store: &Store, area: AreaCode) -> Result<bool, AppError> {
    let out = EnvelopeKey::of(Side::Sent, area, LaneEpoch::new(0)).key().0;
    let came = EnvelopeKey::of(Side::Received, area, LaneEpoch::new(0)).key().0;
    let has_sent = !store.scan_under(&LANE_OUT, &(out,), None, 1)?.is_empty();
    Ok(has_sent || !store.scan_under(&LANE_IN, &(came,), None, 1)?.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_waits_for_reports_and_not_for_ever_and_goes_on_while_it_gets_better() {
        assert!(counts(false, false, false), "something was begun, and did not help");
        assert!(!counts(false, true, false));
        assert!(counts(false, true, true) && counts(false, false, true));
        for (waits, too_long) in [(false, false), (false, true), (true, false), (true, true)] {
            assert!(!counts(true, waits, too_long), "it gets better: it goes on");
        }
    }
}
