//! Asking another side in what we differ.

use std::collections::{BTreeMap, BTreeSet};

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use exchange::reconcile::difference::Difference;
use exchange::reconcile::session::{
    Answer, Ask, Asker, Incomplete, Lacks, Measured, Pairing, SessionError,
};
use exchange::reconcile::set::Scope;
use exchange::reconcile::totals::Holding;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use wire::client::CallError;

use super::{COMPARISON_MAX, Reconcile, Trouble, WORKING_MAX, in_time};
use crate::app::{AppError, blocking};
use crate::time::random;

/// What is said and not taken yet.
const ASKS_QUEUE: usize = 64;

/// What a comparison has come to.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// The differences by name.
    pub(super) differences: Vec<Difference>,
    /// Messages that the other side cannot bring back.
    pub(super) lost: Vec<MessageId>,
    /// What it took.
    pub(super) measured: Measured,
    /// What we hold by pair, of the days compared before and of these.
    pub(super) held: Holding,
    /// Counties of either side that have not reported everything, by their codes.
    pub(super) incomplete: Vec<Incomplete>,
}

impl Compared {
    /// With what the comparison of the days after these has come to.
    pub(super) fn add(&mut self, other: Self) {
        self.differences.extend(other.differences);
        self.lost.extend(other.lost);
        self.held = other.held;
        let mut incomplete: BTreeMap<_, _> = self.incomplete.drain(..).collect();
        for (county, since) in other.incomplete {
            let known = incomplete.entry(county).or_insert(since);
            *known = (*known).min(since);
        }
        self.incomplete = incomplete.into_iter().collect();
    }

    /// Whether its days could be closed if only all counties had reported.
    pub(super) fn may_close_later(&self, scope: &Scope) -> bool {
        scope.is_period() && scope.is_over() && !self.incomplete.is_empty()
    }
}

impl Reconcile {
    /// Compares with the answerer of a scope, and tells it what was found; of the days compared before we hold what `before`
    /// says. It has begun its part of the cure when this returns.
    pub(super) async fn compare(&self, scope: Scope, before: Holding) -> Result<Compared, Trouble> {
        let compared = tokio::time::timeout(COMPARISON_MAX, self.talk(scope, before)).await;
        compared.unwrap_or(Err(Trouble::Silent { area: scope.answerer }))
    }

    async fn talk(&self, scope: Scope, mut held: Holding) -> Result<Compared, Trouble> {
        let mut silent = self.refresh_counties().await;
        silent.retain(|it| scope.stands_for(self.own(), *it) && !self.has_ended(*it));
        let area = scope.answerer;
        let mut client = self.dial(area).await?;
        // Before the entries are read: what is reported meanwhile may not be among them.
        let incomplete = self.incomplete(self.counties_below(), scope).await?;
        let lacks = Lacks { incomplete, silent };
        let own = self.entries(scope).await?;
        let unmatched_max = self.0.parts.settings.unmatched_max;
        let ours = u64::try_from(own.len()).unwrap_or(u64::MAX);
        let fault = |fault| match fault {
            SessionError::TooLarge { entries, most } => Trouble::TooLarge { area, entries, most },
            fault => Trouble::Session { area, fault },
        };
        let begin = move || Ok(Asker::new(scope, own, random(), Vec::new(), unmatched_max));
        let begun = blocking(begin).await?;
        let (mut asker, open) = begun.map_err(fault)?;
        let (asks, out) = mpsc::channel(ASKS_QUEUE);
        say(&asks, vec![open], area).await?;
        let opening = |trouble, is_opening| match trouble {
            // Whoever refuses to begin, refuses it for what we have.
            Trouble::Refused { area, reason: Reason::TooLarge, .. } if is_opening => {
                Trouble::TooLarge { area, entries: ours, most: unmatched_max }
            }
            trouble => trouble,
        };
        let answers = in_time(area, client.compare(ReceiverStream::new(out))).await;
        let mut answers = answers.map_err(|trouble| opening(trouble, true))?;
        let (mut found, mut working) = (None, 0);
        while !asker.is_done() {
            if asker.is_known() && found.is_none() {
                let differences = self.name(&asker, &scope, &lacks).await?;
                say(&asks, asker.tell(&differences), area).await?;
                found = Some(differences);
            }
            let next = async {
                let ended = || CallError::from(wire::client::ended());
                answers.next().await.unwrap_or_else(|| Err(ended()))
            };
            let is_opening = asker.is_opening();
            let answer = in_time(area, next).await.map_err(|it| opening(it, is_opening))?;
            working += u32::from(answer == Answer::Working);
            if working > WORKING_MAX {
                return Err(Trouble::Silent { area });
            }
            let stepped = blocking(move || {
                let said = asker.step(answer);
                Ok((asker, said))
            });
            let (back, said) = stepped.await?;
            asker = back;
            say(&asks, said.map_err(fault)?, area).await?;
        }
        let holding = blocking(move || {
            held.take(asker.own());
            Ok((asker, held))
        });
        let (asker, held) = holding.await?;
        let differences = found.unwrap_or_default();
        let lost = asker.lost().to_vec();
        let both = [&lacks, asker.their_lacks()].map(|lacks| &lacks.incomplete);
        // Each side speaks for its own counties.
        let each = [scope.asker, scope.answerer].into_iter().zip(both);
        let each = each.flat_map(|(party, incomplete)| {
            incomplete.iter().filter(move |(county, _)| scope.stands_for(party, *county))
        });
        let incomplete: BTreeMap<_, _> = each.copied().collect();
        let incomplete = incomplete.into_iter().collect();
        let measured = *asker.measured();
        Ok(Compared { differences, lost, measured, held, incomplete })
    }

    async fn name(
        &self,
        asker: &Asker,
        scope: &Scope,
        lacks: &Lacks,
    ) -> Result<Vec<Difference>, AppError> {
        let of = |Pairing { ours, theirs }: &Pairing| {
            let told = ours.iter().chain(theirs).map(|told| [told.entry.from, told.entry.to]);
            told.flatten().collect::<Vec<AreaCode>>()
        };
        let counties: BTreeSet<AreaCode> = asker.pairings().flat_map(of).collect();
        // Among them counties of which no card is known.
        let mut lacks = lacks.clone();
        let more = self.incomplete(counties, *scope).await?;
        lacks.incomplete.extend(more);
        Ok(asker.differences(&lacks))
    }
}

async fn say(asks: &mpsc::Sender<Ask>, said: Vec<Ask>, area: AreaCode) -> Result<(), Trouble> {
    for ask in said {
        let gone = |_| Trouble::Call { area, why: "it takes nothing any more".to_owned() };
        asks.send(ask).await.map_err(gone)?;
    }
    Ok(())
}
