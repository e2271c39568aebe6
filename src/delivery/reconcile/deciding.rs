//! What no program decides: people are told, here and in the counties concerned, and told again when both sides say the same.

use std::collections::BTreeMap;

use domain::area::AreaCode;
use exchange::reconcile::difference::Difference;
use exchange::reconcile::set::Scope;
use exchange::reconcile::statement::Statement;
use store::Unit;
use store::letters::NoticeKind;

use super::Reconcile;
use crate::app::each::First;
use crate::app::reconcile::decisions;
use crate::app::{AppError, blocking, notices};
use crate::time::SystemClock;

impl Reconcile {
    /// What both sides have signed as left to people is told to the people of this office and of the counties concerned; and
    /// what is not left any more has ended. Whoever is asked takes that from what both have signed, and not from the asker's
    /// word alone.
    pub(super) fn leave_to_people(&self, statement: Statement) {
        let this = self.clone();
        self.0.parts.tasks.spawn("decisions", async move {
            let names_all = statement.names_all();
            let (scope, mut left) = (statement.scope, statement.left);
            left.retain(|it| it.name.is_for_a_person());
            let mut first = First::default();
            if names_all {
                first.take(this.end_decisions(&scope, &left).await);
            }
            first.take(this.tell_people(&scope, &left).await);
            if let Err(error) = first.end() {
                tracing::error!(%error, "it could not be written what people have to decide");
            }
        });
    }

    pub(super) async fn tell_people(
        &self,
        scope: &Scope,
        left: &[Difference],
    ) -> Result<(), AppError> {
        let own = self.own();
        let mut by_county: BTreeMap<AreaCode, Vec<Difference>> = BTreeMap::new();
        let mut first = First::default();
        for difference in left {
            first.take(self.tell_a_person(difference).await);
            let Some((from, to)) = difference.pair() else { continue };
            let ours = [from, to].into_iter().find(|area| scope.stands_for(own, *area));
            if let Some(county) = ours.filter(|county| *county != own) {
                by_county.entry(county).or_default().push(difference.clone());
            }
        }
        for (county, differences) in by_county {
            if let Err(trouble) = self.ask_county(county, &differences).await {
                tracing::warn!(%county, %trouble, "a county was not told what its people have to decide");
            }
        }
        first.end()
    }

    /// Ends what people had to decide and a comparison has not found any more, here and in the counties concerned: both
    /// sides say the same by now.
    pub(super) async fn end_decisions(
        &self,
        scope: &Scope,
        found: &[Difference],
    ) -> Result<(), AppError> {
        let (store, scope, found) = (self.store().clone(), *scope, found.to_vec());
        let over = blocking(move || decisions::over(&store, &scope, &found)).await?;
        if over.is_empty() {
            return Ok(());
        }
        let now = SystemClock.now();
        let mut over_now = Vec::new();
        for difference in over {
            let Some(id) = difference.id() else { continue };
            let write = move |unit: &mut Unit<'_>| decisions::agreed(unit, id, now);
            if self.store().commit(write).await.map_err(AppError::from)? {
                tracing::info!(message = %id, "both sides say the same by now: nobody has to decide");
                // Both versions the same: that says that there is nothing to decide.
                let either = difference.sender.or(difference.recipient);
                let (name, sender, recipient) = (difference.name, either, either);
                over_now.push(Difference { name, sender, recipient });
            }
        }
        let this = self.clone();
        self.0.parts.tasks.spawn("decisions", async move {
            if let Err(error) = this.tell_people(&scope, &over_now).await {
                tracing::error!(%error, "it could not be written what nobody has to decide any more");
            }
        });
        Ok(())
    }

    /// Both hold something else under one id: no program decides that. Both versions are kept side by side; when both are the
    /// same, there is nothing to decide any more.
    pub(super) async fn tell_a_person(&self, difference: &Difference) -> Result<(), AppError> {
        let Some((id, (from, to))) = difference.id().zip(difference.pair()) else { return Ok(()) };
        let peer = if self.own().contains(&from) { to } else { from };
        let (now, difference) = (SystemClock.now(), difference.clone());
        let write = move |unit: &mut Unit<'_>| {
            if difference.sender == difference.recipient {
                return decisions::agreed(unit, id, now).map(drop);
            }
            if !decisions::keep(unit, difference, now)? {
                return Ok(());
            }
            let what = NoticeKind::ContentDiffers { peer };
            let told = notices::latest(unit, &what.topic())?;
            let is_told = told.is_some_and(|(_, row)| row.messages.contains(&id));
            if is_told { Ok(()) } else { notices::raise(unit, now, what, &[id]) }
        };
        self.store().commit(write).await.map_err(AppError::from)
    }
}
