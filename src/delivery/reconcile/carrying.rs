//! Carrying out cures: our own, and those of the counties below us.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use domain::area::AreaCode;
use domain::id::MessageId;
use exchange::keys::Signer;
use exchange::lane::{LaneEpoch, LaneSeq, Mark};
use exchange::reconcile::calls::{CarriedOut, Left, ReceiptAgain, in_calls};
use exchange::reconcile::cure::Cure;
use exchange::reconcile::difference::Difference;
use exchange::reconcile::set::Scope;
use exchange::reconcile::statement::Statement;
use store::Unit;
use store::letters::NoticeKind;
use wire::reconcile::ReconcileClient;

use super::running::owed_by;
use super::{Reconcile, SHORT_TIMEOUT, Trouble, in_time, within};
use crate::app::each::First;
use crate::app::messages::send::Outlet as _;
use crate::app::reconcile::cures::{self, Delivering, Keys};
use crate::app::reconcile::decisions;
use crate::app::{AppError, blocking, notices};
use crate::time::{SystemClock, random};

/// Counties that are asked to cure at one time.
const COUNTIES_AT_ONCE: usize = 16;
/// Messages that are delivered again in one unit.
const DELIVERED_AT_ONCE: usize = 128;

/// Lines to the counties that something is cured with, called once each.
type Lines = BTreeMap<AreaCode, Option<ReconcileClient>>;

impl Reconcile {
    /// Our part of the cure: what we hold ourselves, and what counties below us hold, who are asked to.
    pub(super) async fn cure(
        &self,
        scope: &Scope,
        found: &[Difference],
    ) -> Result<CarriedOut, AppError> {
        let own = self.own();
        let mut by_county: BTreeMap<AreaCode, Vec<Difference>> = BTreeMap::new();
        for difference in found {
            // What a person decides is told when both have signed it.
            let ours = difference.cured_by().filter(|county| scope.stands_for(own, *county));
            if let Some(county) = ours {
                by_county.entry(county).or_default().push(difference.clone());
            }
        }
        let (mut done, mut ours) = (CarriedOut::default(), First::default());
        // The counties are asked all the same.
        let differences = by_county.remove(&own).unwrap_or_default();
        ours.take(self.carry_out(&differences).await.map(|these| done.add(these)));
        let by_county: Vec<_> = by_county.into_iter().collect();
        for some in by_county.chunks(COUNTIES_AT_ONCE) {
            let asked = some.iter().map(|(county, differences)| async move {
                (*county, differences, self.ask_county(*county, differences).await)
            });
            for (county, differences, asked) in futures_util::future::join_all(asked).await {
                match asked {
                    Ok(mut theirs) => {
                        theirs.lost = owed_by(&theirs.lost, differences, |area| area == county);
                        done.add(theirs);
                    }
                    Err(trouble) => {
                        tracing::warn!(%county, %trouble, "a county was not asked to cure what differs");
                        let count = u32::try_from(differences.len()).unwrap_or(u32::MAX);
                        done.waiting = done.waiting.saturating_add(count);
                    }
                }
            }
        }
        ours.end().map(|()| done)
    }

    async fn ask_county(
        &self,
        county: AreaCode,
        differences: &[Difference],
    ) -> Result<CarriedOut, Trouble> {
        let mut client = match self.dial(county).await {
            Ok(client) => client,
            Err(trouble) => {
                self.lay_down(county, differences);
                return Err(trouble);
            }
        };
        let mut done = CarriedOut::default();
        for part in in_calls(differences) {
            done.add(in_time(county, client.carry_out(part)).await?);
        }
        Ok(done)
    }

    /// Cures what this county holds. What the other one lacks of its own comes first, so that answers find their questions.
    /// A message about which nothing can be done waits, and so does what a line that fails is needed for.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn carry_out(&self, differences: &[Difference]) -> Result<CarriedOut, AppError> {
        let (own, store) = (self.own(), self.store());
        let (mut done, mut lines) = (CarriedOut::default(), Lines::new());
        let (mut answers, mut ask) = (Vec::new(), Vec::new());
        let mut deliver: BTreeMap<AreaCode, Vec<MessageId>> = BTreeMap::new();
        let differs: BTreeSet<MessageId> = differences.iter().filter_map(Difference::id).collect();
        for decision in differences.iter().filter(|it| it.name.is_for_a_person()) {
            let told = self.tell_a_person(decision).await;
            put_off(&mut done, decision.id(), told)?;
        }
        let known = cures::settle_known(store, own, differences).await?;
        done.begun = done.begun.saturating_add(u32::try_from(known.len()).unwrap_or(u32::MAX));
        let owed = differences.iter().filter_map(|it| Cure::owed(own, it));
        for (id, cure) in owed.filter(|(id, _)| !known.contains(id)) {
            let begun = match cure {
                Cure::HandBack(from) => match cures::asked_by(store, id, from) {
                    Ok(Some(asked)) => {
                        answers.push((from, (id, differs.contains(&asked))));
                        Ok(())
                    }
                    Ok(None) => self.hand_back(&mut lines, from, (id, false), &mut done).await,
                    Err(error) => Err(error),
                },
                Cure::Show(peer) => self.show(&mut lines, peer, id, &mut done).await,
                Cure::Deliver(to) => {
                    deliver.entry(to).or_default().push(id);
                    Ok(())
                }
                Cure::Ask(to) => {
                    ask.push((id, to));
                    Ok(())
                }
                Cure::Report => {
                    done.begun = done.begun.saturating_add(1);
                    Ok(())
                }
            };
            put_off(&mut done, Some(id), begun)?;
        }
        for (id, to) in ask {
            match self.ask_receipt(&mut lines, id, to, &mut done).await {
                Ok(true) => {}
                Ok(false) => deliver.entry(to).or_default().push(id),
                Err(error) => put_off(&mut done, Some(id), Err(error))?,
            }
        }
        for (to, messages) in deliver {
            for part in messages.chunks(DELIVERED_AT_ONCE) {
                self.deliver_each(to, part, &mut done).await?;
            }
        }
        for (from, answer) in answers {
            let handed = self.hand_back(&mut lines, from, answer, &mut done).await;
            put_off(&mut done, Some(answer.0), handed)?;
        }
        Ok(done)
    }

    /// Delivers messages to one recipient again in one unit; when that fails because of one of them, in a unit each.
    async fn deliver_each(
        &self,
        to: AreaCode,
        messages: &[MessageId],
        done: &mut CarriedOut,
    ) -> Result<(), AppError> {
        match self.deliver(to, messages, done).await {
            Err(error) if error.is_of_one() => {}
            ended => return ended,
        }
        for id in messages {
            let delivered = self.deliver(to, &[*id], done).await;
            put_off(done, Some(*id), delivered)?;
        }
        Ok(())
    }

    /// The line to a county; `None` when it cannot be called now.
    async fn line<'a>(
        &self,
        lines: &'a mut Lines,
        area: AreaCode,
    ) -> Option<&'a mut ReconcileClient> {
        if let Entry::Vacant(free) = lines.entry(area) {
            let client = self.dial(area).await;
            if let Err(trouble) = &client {
                tracing::warn!(%trouble, "a county that a cure needs cannot be called");
            }
            free.insert(client.ok());
        }
        lines.get_mut(&area).and_then(Option::as_mut)
    }

    /// Hands a sender its own message back.
    async fn hand_back(
        &self,
        lines: &mut Lines,
        sender: AreaCode,
        what: (MessageId, bool),
        done: &mut CarriedOut,
    ) -> Result<(), AppError> {
        let (parts, id) = (&self.0.parts, what.0);
        let (material, now) = (parts.identity.material(), SystemClock.now());
        let Ok(sealer) = parts.peers.sealer(sender) else {
            done.waiting = done.waiting.saturating_add(1);
            return Ok(());
        };
        let signer: &dyn Signer = material.identity().as_ref();
        let with = Keys { signer, sealer: sealer.as_ref(), opener: parts.opener.as_ref() };
        let Some(back) = cures::hand_back(self.store(), self.own(), with, sender, what, now)?
        else {
            done.lost.push(id);
            return Ok(());
        };
        let taken = match self.line(lines, sender).await {
            Some(client) => {
                let taken = within(SHORT_TIMEOUT, sender, client.take_back(back)).await;
                strike(lines, taken)
            }
            None => {
                self.leave(sender, Left::TakeBack(Box::new(back))).await;
                Ok(false)
            }
        };
        if let Err(trouble) = &taken {
            tracing::warn!(message = %id, %trouble, "a message was not taken back");
        }
        match taken {
            Ok(true) => done.begun = done.begun.saturating_add(1),
            Ok(false) | Err(_) => done.waiting = done.waiting.saturating_add(1),
        }
        Ok(())
    }

    /// Shows the other side the signed refusal of a message.
    async fn show(
        &self,
        lines: &mut Lines,
        peer: AreaCode,
        id: MessageId,
        done: &mut CarriedOut,
    ) -> Result<(), AppError> {
        let (material, now) = (self.0.parts.identity.material(), SystemClock.now());
        let signer: &dyn Signer = material.identity().as_ref();
        let Some(word) = cures::show(self.store(), self.own(), signer, peer, id, now)? else {
            done.lost.push(id);
            return Ok(());
        };
        let Some(client) = self.line(lines, peer).await else {
            self.leave(peer, Left::TakeWord(id, Box::new(word))).await;
            done.waiting = done.waiting.saturating_add(1);
            return Ok(());
        };
        let shown = within(SHORT_TIMEOUT, peer, client.take_word(id, word)).await;
        match strike(lines, shown) {
            Ok(()) => done.begun = done.begun.saturating_add(1),
            Err(trouble) => {
                tracing::warn!(message = %id, %trouble, "a refusal was not taken");
                done.waiting = done.waiting.saturating_add(1);
            }
        }
        Ok(())
    }

    /// Asks a recipient for its receipt again and keeps it. Says whether it came.
    async fn ask_receipt(
        &self,
        lines: &mut Lines,
        id: MessageId,
        recipient: AreaCode,
        done: &mut CarriedOut,
    ) -> Result<bool, AppError> {
        let again = match self.line(lines, recipient).await {
            Some(client) => within(SHORT_TIMEOUT, recipient, client.issue_again(id)).await,
            None => return Ok(false),
        };
        let again = strike(lines, again);
        let again = match again {
            Ok(again) => again,
            Err(trouble) => {
                tracing::debug!(message = %id, %trouble, "a receipt was not issued again");
                return Ok(false);
            }
        };
        let epoch = again.epoch;
        let marks = match self.keep_again(id, recipient, again).await {
            Ok(marks) => marks,
            // What one county says wrongly must not hold up the others.
            Err(AppError::Refused(fault)) => {
                tracing::warn!(message = %id, peer = %recipient, %fault, "a receipt that was issued again does not hold");
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        self.0.parts.outbound.marked(recipient, epoch, marks).await;
        done.begun = done.begun.saturating_add(1);
        Ok(true)
    }

    async fn keep_again(
        &self,
        id: MessageId,
        recipient: AreaCode,
        again: ReceiptAgain,
    ) -> Result<Vec<Mark>, AppError> {
        let now = SystemClock.now();
        let checked = self.check((self.own(), recipient), again, now)?;
        let healing = self.0.parts.outbound.healing(recipient);
        let write =
            move |unit: &mut Unit<'_>| cures::keep_receipt(unit, id, checked, &healing, now);
        self.store().commit(write).await.map_err(AppError::from)
    }

    /// Delivers messages to one recipient again.
    async fn deliver(
        &self,
        to: AreaCode,
        messages: &[MessageId],
        done: &mut CarriedOut,
    ) -> Result<(), AppError> {
        let (parts, now) = (&self.0.parts, SystemClock.now());
        let Ok(sealer) = parts.peers.sealer(to) else {
            let count = u32::try_from(messages.len()).unwrap_or(u32::MAX);
            done.waiting = done.waiting.saturating_add(count);
            return Ok(());
        };
        let (own, list) = (self.own(), messages.to_vec());
        let new_epoch = LaneEpoch::new(u64::from_be_bytes(random()));
        let write = move |unit: &mut Unit<'_>| {
            let each = list.into_iter().map(|id| {
                let sealer = sealer.as_ref();
                let came = cures::deliver_again(unit, (own, to), id, sealer, new_epoch, now)?;
                Ok((id, came))
            });
            each.collect::<Result<Vec<_>, AppError>>()
        };
        let came = self.store().commit(write).await.map_err(AppError::from)?;
        let mut lanes: BTreeMap<LaneEpoch, (LaneSeq, Vec<Mark>)> = BTreeMap::new();
        for (id, came) in came {
            match came {
                Delivering::Lost => done.lost.push(id),
                // Its receipt is asked for again.
                Delivering::Refused => done.waiting = done.waiting.saturating_add(1),
                Delivering::OnItsWay { epoch, sequence, mark } => {
                    let lane = lanes.entry(epoch).or_insert((sequence, Vec::new()));
                    lane.0 = lane.0.max(sequence);
                    lane.1.extend(mark);
                    done.begun = done.begun.saturating_add(1);
                }
            }
        }
        let present = parts.peers.get(to).and_then(|peer| peer.mail_now()).map(|(epoch, _)| epoch);
        for (epoch, (through, marks)) in lanes {
            parts.outbound.marked(to, epoch, marks).await;
            // An older lane has a courier of its own already.
            let is_present = parts.outbound.is_present(to, epoch)?;
            if is_present || present == Some(epoch) {
                parts.peers.nudge(to, epoch, through);
            }
        }
        Ok(())
    }

    /// What both sides have signed as left to people is told to the people of this office and of the counties concerned.
    pub(super) fn leave_to_people(&self, statement: Statement) {
        let this = self.clone();
        self.0.parts.tasks.spawn("decisions", async move {
            let (scope, mut left) = (statement.scope, statement.left);
            left.retain(|it| it.name.is_for_a_person());
            if let Err(error) = this.tell_people(&scope, &left).await {
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
    async fn tell_a_person(&self, difference: &Difference) -> Result<(), AppError> {
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

/// A county that says nothing is not asked about the next message: that would take as long each time.
fn strike<T>(lines: &mut Lines, outcome: Result<T, Trouble>) -> Result<T, Trouble> {
    if let Err(Trouble::Silent { area }) = &outcome {
        lines.insert(*area, None);
    }
    outcome
}

/// What cannot be done about one message waits for the next comparison, and holds up nothing else.
fn put_off(
    done: &mut CarriedOut,
    id: Option<MessageId>,
    outcome: Result<(), AppError>,
) -> Result<(), AppError> {
    match outcome {
        Err(error) if error.is_of_one() => {
            let message = id.map(|id| id.to_string());
            tracing::warn!(message, %error, code = error.reason().code(), "a message could not be cured now");
            done.waiting = done.waiting.saturating_add(1);
            Ok(())
        }
        outcome => outcome,
    }
}
