//! Reports: to the node above, when they are due and when it asks; and from the counties below.

use std::time::Duration;

use domain::area::{AreaCode, AreaLevel};
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::reconcile::calls::{CarriedOut, ReportPart};
use exchange::reconcile::difference::Difference;

use super::{Reconcile, SHORT_TIMEOUT, Trouble, in_time, not_for_us, within};
use crate::app::AppError;
use crate::app::reconcile::{books, reports};
use crate::time::SystemClock;

/// Who only dials out comes within half a minute when it is asked: what it has told within a minute counts as told now. It
/// would be called silent for ever, and nothing be named as what it is.
const TOLD_WITHIN: Duration = Duration::from_secs(60);
/// Counties that are asked for a report at one time.
const ASKED_AT_ONCE: usize = 64;

impl Reconcile {
    /// The node above us that keeps our book; none for a province.
    #[must_use]
    pub fn above(&self) -> Option<AreaCode> {
        let (own, province) = (self.own(), self.own().province());
        (own != province).then_some(province)
    }

    /// Tells the node above everything that it lacks of our book. Whatever it has already is not told again.
    pub(super) async fn report(&self) -> Result<(), Trouble> {
        let Some(above) = self.above() else { return Ok(()) };
        let _one = self.0.reporting.lock().await;
        let through = SystemClock.now();
        books::advance(self.store(), self.own()).await?;
        let mut client = self.dial(above).await?;
        let question = reports::mark(self.store(), None)?;
        let mut theirs = in_time(above, client.report(&question)).await?;
        while let Some(part) = reports::next_part(self.store(), self.own(), &theirs)? {
            let told = in_time(above, client.report(&part)).await?;
            if told == theirs {
                let why = "it does not take our report".to_owned();
                return Err(Trouble::Call { area: above, why });
            }
            theirs = told;
        }
        let last = reports::mark(self.store(), Some(through))?;
        in_time(above, client.report(&last)).await?;
        Ok(())
    }

    /// Tells the node above the rest, before our service ends. Says whether it has everything.
    pub async fn report_all(&self) -> bool {
        let told = self.report().await;
        if let Err(trouble) = &told {
            tracing::warn!(%trouble, "the node above lacks the end of our book");
        }
        told.is_ok()
    }

    /// Takes a part of the book of a county below us.
    ///
    /// # Errors
    /// `NOT_FOR_US` when it is not below us, `MALFORMED`; when rows cannot be written.
    pub async fn take_report(
        &self,
        caller: AreaCode,
        part: ReportPart,
    ) -> Result<Vec<(u32, u64)>, AppError> {
        if caller == self.own() || !self.own().contains(&caller) {
            return Err(not_for_us());
        }
        reports::take(self.store(), caller, part, SystemClock.now()).await
    }

    /// Cures what the node above asks us to, and reports to it.
    ///
    /// # Errors
    /// `NOT_FOR_US` when it is not above us, `PEER_UNREACHABLE` when the report does not reach it; when the store fails.
    pub async fn asked(
        &self,
        caller: AreaCode,
        differences: &[Difference],
    ) -> Result<CarriedOut, AppError> {
        if Some(caller) != self.above() {
            return Err(not_for_us());
        }
        let done = self.carry_out(differences).await?;
        self.report().await.map_err(|trouble| match trouble {
            Trouble::App(error) => error,
            trouble => {
                tracing::warn!(%trouble, "the node above has no report");
                Reason::PeerUnreachable.into()
            }
        })?;
        Ok(done)
    }

    /// Counties below us of which we know a card or a report.
    pub(super) fn counties_below(&self) -> Vec<AreaCode> {
        let own = self.own();
        let is_below = |area: &AreaCode| {
            *area != own && own.contains(area) && area.level() >= AreaLevel::County
        };
        let peers = self.0.parts.peers.all().into_iter();
        let known = peers.filter(|peer| peer.card().is_some()).map(|peer| peer.area);
        known.filter(is_below).collect()
    }

    /// The same, each with the end of its service, if that has been told.
    #[must_use]
    pub fn counties_with_ends(&self) -> Vec<(AreaCode, Option<UnixMillis>)> {
        let ends = |county| (county, self.0.parts.peers.ends(county));
        self.counties_below().into_iter().map(ends).collect()
    }

    /// Asks the counties below us for what is new since this was called; gives those that have not told, because they cannot
    /// be called and have not come by themselves.
    pub(super) async fn refresh_counties(&self) -> Vec<AreaCode> {
        self.0.refreshing.share(self.ask_for_reports()).await
    }

    /// A county is asked even if it has reported a moment ago, or as far as a comparison goes: what a cure has changed at it
    /// since is told by nothing else, and what is not told of yet would be taken for a difference.
    async fn ask_for_reports(&self) -> Vec<AreaCode> {
        let counties = self.counties_below();
        let mut silent = Vec::new();
        for some in counties.chunks(ASKED_AT_ONCE) {
            let asked = some.iter().map(|county| async move {
                let told = async {
                    let mut client = self.dial(*county).await?;
                    within(SHORT_TIMEOUT, *county, client.carry_out(&[])).await
                };
                let told = told.await;
                if let Err(trouble) = &told {
                    tracing::debug!(%county, %trouble, "a county was not asked for its report");
                    self.lay_down(*county, &[]);
                }
                told.is_err().then_some(*county)
            });
            silent.extend(futures_util::future::join_all(asked).await.into_iter().flatten());
        }
        silent.retain(|county| !self.has_come(*county));
        silent
    }

    /// Whether a county that cannot be called has come by itself just now.
    fn has_come(&self, county: AreaCode) -> bool {
        let told = reports::told_at(self.store(), county).ok().flatten();
        let fresh = |told: UnixMillis| SystemClock.now().since(told) < TOLD_WITHIN;
        self.must_collect(county) && told.is_some_and(fresh)
    }
}
