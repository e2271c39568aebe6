//! After a restore: naming what is lost for good, by what the lost data had told the node above.
//!
//! The run that does it is with ourselves: what we had told before against what is here. It waits until the runs with the
//! other counties have brought back what they hold.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::reconcile::calls::{FormerPart, FormerPlace};
use store::letters::NoticeKind;
use store::reconcile::{DifferenceState, LostWindow, RunState};

use super::running::{PAUSE_MAX, PAUSE_MIN};
use super::{Reconcile, Trouble, in_time, not_for_us};
use crate::app::reconcile::former::{self, Carried, Missed};
use crate::app::reconcile::runs::{self, Plan};
use crate::app::reconcile::{books, reports};
use crate::app::{AppError, blocking, notices, relay};
use crate::time::SystemClock;

/// Parts that are asked for at most: as many records as a comparison has entries.
const PARTS_MAX: usize = 2_500;

impl Reconcile {
    /// What a county below us had told before its data were lost.
    ///
    /// # Errors
    /// `NOT_FOR_US` when it is not below us, `STATE_FORBIDS` while its present data are not reported; when rows cannot be
    /// read.
    pub async fn recall_for(
        &self,
        caller: AreaCode,
        incarnation: u32,
        from: FormerPlace,
    ) -> Result<FormerPart, AppError> {
        if caller == self.own() || !self.own().contains(&caller) {
            return Err(not_for_us());
        }
        let store = self.store().clone();
        blocking(move || former::part(&store, caller, incarnation, from)).await
    }

    /// Begins the run that names what is lost; none where nothing is reported to anybody.
    pub(super) async fn begin_recall(&self, now: UnixMillis) -> Result<Option<u64>, AppError> {
        let above = self.above().filter(|above| self.0.parts.peers.get(*above).is_some());
        let window = former::window(self.store(), None)?;
        let Some((_, window)) = above.zip(window) else { return Ok(None) };
        let (first, last) = former::days(self.store(), &window)?;
        let plan = Plan { with: self.own(), first, last, until: now, after_restore: true };
        let number = runs::begin(self.store(), plan, now).await?;
        self.work_on(number);
        Ok(Some(number))
    }

    /// Works on that run to its end.
    pub(super) async fn recall(&self, number: u64) -> Result<(), Trouble> {
        let (mut missed, window) = self.ask_above().await?;
        // Before the comparisons: what is under way then may have come afterwards.
        self.ask_relays(&missed).await?;
        let looked = missed.looked;
        runs::change(self.store(), number, SystemClock.now(), move |row| {
            (row.window, row.trouble) = (Some(window), String::new());
        })
        .await?;
        let mut pause = PAUSE_MIN;
        let others = loop {
            let others = runs::since_restore(self.store(), window.until)?;
            let own = self.own();
            let others: Vec<_> = others.into_iter().filter(|it| it.run.with != own).collect();
            missed = self.look_again(missed).await?;
            let open = missed.named(own, &[], &Carried::default());
            runs::missed(self.store(), number, open, looked, SystemClock.now()).await?;
            let goes_on = others.iter().any(|it| it.run.state == RunState::Running);
            if missed.is_empty() || !goes_on {
                break others;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX).max(Duration::from_millis(1));
        };
        let carried = self.ask_relays(&missed).await?;
        let named = missed.named(self.own(), &others, &carried);
        self.end_recall(number, named, &missed, window).await?;
        Ok(())
    }

    /// Everything that was told before; and when that was entered which is lost.
    async fn ask_above(&self) -> Result<(Missed, LostWindow), Trouble> {
        let nobody = || AppError::from(Reason::StateForbids);
        let above = self.above().ok_or_else(nobody)?;
        // What is here now has to be told first, so that what was told before is known as such.
        self.report().await?;
        let incarnation = reports::incarnation(self.store())?;
        let window = former::window(self.store(), None)?.ok_or_else(nobody)?;
        let mut client = self.dial(above).await?;
        let mut from = former::beginning(self.store(), &window)?;
        let mut missed = Missed::default();
        let mut through = None;
        for _ in 0..PARTS_MAX {
            let part = in_time(above, client.recall(incarnation, from)).await?;
            let FormerPart { records, next, through: told } = part;
            through = told;
            let (store, own) = (self.store().clone(), self.own());
            missed = blocking(move || {
                missed.take(&store, own, &records)?;
                Ok(missed)
            })
            .await?;
            let Some(next) = next else { break };
            if next <= from {
                let why = "it tells the same again".to_owned();
                return Err(Trouble::Call { area: above, why });
            }
            from = next;
        }
        Ok((missed, LostWindow { named: through, ..window }))
    }

    /// Asks the relays that may carry messages which are missed whether they hold them, and keeps what they say.
    async fn ask_relays(&self, missed: &Missed) -> Result<Carried, AppError> {
        let (own, now) = (self.own(), SystemClock.now());
        let (mut held, mut unasked) = (BTreeSet::new(), BTreeSet::new());
        for relay in missed.relays(own) {
            let told = async {
                let mut client = self.dial(relay).await?;
                in_time(relay, client.list_held()).await
            };
            match told.await {
                Ok((messages, more)) => {
                    held.extend(messages);
                    unasked.extend(more.then_some(relay));
                }
                Err(trouble) => {
                    tracing::warn!(%relay, %trouble, "a relay was not asked whether it holds what is missed");
                    unasked.insert(relay);
                }
            }
        }
        let seen = former::carried(self.store(), missed, held, now).await?;
        Ok(Carried { seen, unasked })
    }

    /// Messages of a sender that we carry and have not handed on; and whether there may be others.
    ///
    /// # Errors
    /// When rows cannot be read.
    pub async fn held_of(&self, sender: AreaCode) -> Result<(BTreeSet<MessageId>, bool), AppError> {
        let store = self.store().clone();
        let held = blocking(move || relay::held_of(&store, sender)).await?;
        Ok((held.messages, held.more))
    }

    async fn look_again(&self, mut missed: Missed) -> Result<Missed, AppError> {
        let (store, own) = (self.store().clone(), self.own());
        books::advance(&store, own).await?;
        blocking(move || {
            missed.look_again(&store, own)?;
            Ok(missed)
        })
        .await
    }

    /// Writes what is lost, and tells the office.
    async fn end_recall(
        &self,
        number: u64,
        named: Vec<(exchange::reconcile::difference::Difference, DifferenceState)>,
        missed: &Missed,
        window: LostWindow,
    ) -> Result<(), AppError> {
        let now = SystemClock.now();
        let of = |wanted: DifferenceState| {
            let these = named.iter().filter(move |(_, state)| *state == wanted);
            these.filter_map(|(difference, _)| difference.id()).collect::<Vec<_>>()
        };
        let (lost, open) = (of(DifferenceState::Lost), of(DifferenceState::Open).len());
        let (is_cut, looked) = (missed.is_cut, missed.looked);
        runs::missed(self.store(), number, named, looked, now).await?;
        if !lost.is_empty() {
            tracing::warn!(
                run = number,
                lost = lost.len(),
                backup_ms = window.from.map(UnixMillis::get),
                restored_ms = window.until.get(),
                "messages that were lost with the disk are nowhere any more; see: liangdi reconcile show"
            );
            let what = NoticeKind::Lost { since: window.from };
            let write = move |unit: &mut store::Unit<'_>| notices::raise(unit, now, what, &lost);
            self.store().commit(write).await.map_err(AppError::from)?;
        }
        runs::change(self.store(), number, now, move |row| {
            (row.state, row.trouble) = match (open, is_cut, row.lost) {
                (0, false, 0) => (RunState::Equal, String::new()),
                (0, false, _) => (RunState::Decisions, String::new()),
                (0, true, _) => (RunState::Left, "more is missed than one run names".to_owned()),
                (open, ..) => (
                    RunState::Left,
                    format!("{open} message(s) are missed, and may be under way, or the other county was not compared with to the end"),
                ),
            };
        })
        .await
        .map(drop)
    }
}
