//! Carrying out cures: our own, and those of the counties below us.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use domain::area::AreaCode;
use domain::id::MessageId;
use exchange::lane::{LaneEpoch, LaneSeq, Mark};
use exchange::ledger::Direction;
use exchange::reconcile::calls::{CarriedOut, Left, ReceiptAgain, in_calls};
use exchange::reconcile::cure::Owed;
use exchange::reconcile::difference::Difference;
use exchange::reconcile::run::owed_by;
use exchange::reconcile::set::Scope;
use store::Unit;
use store::messages::Side;
use wire::reconcile::ReconcileClient;

use super::{Reconcile, SHORT_TIMEOUT, Trouble, in_time, within};
use crate::app::AppError;
use crate::app::each::First;
use crate::app::messages::send::Outlet as _;
use crate::app::reconcile::cures::{self, Delivering, Keys};
use crate::time::{SystemClock, random};

/// Counties that are asked to cure at one time.
const COUNTIES_AT_ONCE: usize = 16;
/// Messages that are delivered again in one unit.
const DELIVERED_AT_ONCE: usize = 128;

/// Lines to the counties that something is cured with, called once each.
pub(super) type Lines = BTreeMap<AreaCode, Option<ReconcileClient>>;

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
            // Whoever cannot be asked for its word brings it; and so do we, whom the other side may not be able to call.
            match difference.told_by().filter(|county| scope.stands_for(own, *county)) {
                Some(county) if county == own => {
                    by_county.entry(own).or_default().push(difference.clone());
                }
                Some(county) if self.must_collect(county) => {
                    self.lay_down(county, std::slice::from_ref(difference));
                }
                Some(_) | None => {}
            }
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

    pub(super) async fn ask_county(
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

    /// Cures what this county holds, in the order of [`Owed`]. A message about which nothing can be done waits, and so does
    /// what a line that fails is needed for.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn carry_out(&self, differences: &[Difference]) -> Result<CarriedOut, AppError> {
        let (own, store) = (self.own(), self.store());
        let (mut done, mut lines) = (CarriedOut::default(), Lines::new());
        for decision in differences.iter().filter(|it| it.name.is_for_a_person()) {
            let told = self.tell_a_person(decision).await;
            put_off(&mut done, decision.id(), told)?;
        }
        let owed = Owed::of(own, differences, |id, peer, direction| {
            let side = match direction {
                Direction::Sent => Side::Sent,
                Direction::Received => Side::Received,
            };
            cures::asked_by(store, id, peer, side)
        });
        let Owed { hand_back, show, tell, ask, after, mut deliver, answers, reports, unread } =
            owed;
        let mut taken = BTreeSet::new();
        done.begun = done.begun.saturating_add(reports);
        for (id, error) in unread {
            put_off(&mut done, Some(id), Err(error))?;
        }
        for (id, from) in hand_back {
            let handed = self.hand_back(&mut lines, from, (id, false), &mut done).await;
            taken.extend(matches!(handed, Ok(true)).then_some(id));
            put_off(&mut done, Some(id), handed.map(drop))?;
        }
        for (id, peer) in show {
            let shown = self.show(&mut lines, peer, id, &mut done).await;
            put_off(&mut done, Some(id), shown)?;
        }
        for (id, from) in tell {
            let told = match self.issue_again(from, id) {
                Ok(word) => self.bring_word(&mut lines, from, id, word, &mut done).await,
                Err(fault) => Err(fault),
            };
            put_off(&mut done, Some(id), told)?;
        }
        for (id, to) in ask {
            match self.ask_receipt(&mut lines, id, to, &mut done).await {
                Ok(true) => {}
                Ok(false) => deliver.entry(to).or_default().push((id, true)),
                Err(error) => put_off(&mut done, Some(id), Err(error))?,
            }
        }
        for (to, mut messages) in deliver {
            // What waits for its question is found again.
            let may_go =
                |id: &MessageId| after.get(id).is_none_or(|question| taken.contains(question));
            let all = messages.len();
            messages.retain(|(id, _)| may_go(id));
            let waiting = u32::try_from(all - messages.len()).unwrap_or(u32::MAX);
            done.waiting = done.waiting.saturating_add(waiting);
            for part in messages.chunks(DELIVERED_AT_ONCE) {
                self.deliver_each(to, part, &mut done).await?;
            }
        }
        for (id, from, question_follows) in answers {
            let what = (id, question_follows);
            let handed = self.hand_back(&mut lines, from, what, &mut done).await;
            put_off(&mut done, Some(id), handed.map(drop))?;
        }
        // What programs cure comes before what people look at.
        for decision in differences.iter().filter(|it| it.name.is_for_a_person()) {
            let shown = self.show_version(&mut lines, decision).await;
            put_off(&mut done, decision.id(), shown)?;
        }
        Ok(done)
    }

    /// Delivers messages to one recipient again in one unit; when that fails because of one of them, in a unit each.
    async fn deliver_each(
        &self,
        to: AreaCode,
        messages: &[(MessageId, bool)],
        done: &mut CarriedOut,
    ) -> Result<(), AppError> {
        match self.deliver(to, messages, done).await {
            Err(error) if error.is_of_one() => {}
            ended => return ended,
        }
        for message in messages {
            let delivered = self.deliver(to, &[*message], done).await;
            put_off(done, Some(message.0), delivered)?;
        }
        Ok(())
    }

    /// The line to a county; `None` when it cannot be called now.
    pub(super) async fn line<'a>(
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

    /// Hands a sender its own message back. Says whether it is there now.
    async fn hand_back(
        &self,
        lines: &mut Lines,
        sender: AreaCode,
        what: (MessageId, bool),
        done: &mut CarriedOut,
    ) -> Result<bool, AppError> {
        let (parts, id) = (&self.0.parts, what.0);
        let (material, now) = (parts.identity.material(), SystemClock.now());
        let Ok(sealer) = parts.peers.sealer(sender) else {
            done.waiting = done.waiting.saturating_add(1);
            return Ok(false);
        };
        let signing = self.signing(&material);
        let with = Keys { signing, sealer: sealer.as_ref(), opener: parts.opener.as_ref() };
        let Some(back) = cures::hand_back(self.store(), with, sender, what, now)? else {
            done.lost.push(id);
            return Ok(false);
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
        let taken = taken.unwrap_or_default();
        match taken {
            true => done.begun = done.begun.saturating_add(1),
            false => done.waiting = done.waiting.saturating_add(1),
        }
        Ok(taken)
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
        let signing = self.signing(&material);
        let Some(word) = cures::show(self.store(), signing, peer, id, now)? else {
            done.lost.push(id);
            return Ok(());
        };
        self.bring_word(lines, peer, id, word, done).await
    }

    /// Brings the other side of a message the recipient's signed word about it.
    async fn bring_word(
        &self,
        lines: &mut Lines,
        peer: AreaCode,
        id: MessageId,
        word: ReceiptAgain,
        done: &mut CarriedOut,
    ) -> Result<(), AppError> {
        let Some(client) = self.line(lines, peer).await else {
            self.leave(peer, Left::TakeWord(id, Box::new(word))).await;
            done.waiting = done.waiting.saturating_add(1);
            return Ok(());
        };
        let shown = within(SHORT_TIMEOUT, peer, client.take_word(id, word)).await;
        match strike(lines, shown) {
            Ok(()) => done.begun = done.begun.saturating_add(1),
            Err(trouble) => {
                tracing::warn!(message = %id, %trouble, "a word about a message was not taken");
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

    pub(super) async fn keep_again(
        &self,
        id: MessageId,
        recipient: AreaCode,
        again: ReceiptAgain,
    ) -> Result<Vec<Mark>, AppError> {
        let now = SystemClock.now();
        // What lies here is ours, whichever certificate it was signed with.
        let (checked, _) = self.check(recipient, (self.own(), recipient), again, now)?;
        let healing = self.0.parts.outbound.healing(recipient);
        let write =
            move |unit: &mut Unit<'_>| cures::keep_receipt(unit, id, checked, &healing, now);
        self.store().commit(write).await.map_err(AppError::from)
    }

    /// Delivers messages to one recipient again.
    async fn deliver(
        &self,
        to: AreaCode,
        messages: &[(MessageId, bool)],
        done: &mut CarriedOut,
    ) -> Result<(), AppError> {
        let (parts, now) = (&self.0.parts, SystemClock.now());
        if parts.peers.is_gone(to, now) {
            // Nobody is there any more who would take it.
            done.lost.extend(messages.iter().map(|(id, _)| *id));
            return Ok(());
        }
        let Ok(sealer) = parts.peers.sealer(to) else {
            let count = u32::try_from(messages.len()).unwrap_or(u32::MAX);
            done.waiting = done.waiting.saturating_add(count);
            return Ok(());
        };
        let (own, list) = (self.own(), messages.to_vec());
        let new_epoch = LaneEpoch::new(u64::from_be_bytes(random()));
        let write = move |unit: &mut Unit<'_>| {
            let each = list.into_iter().map(|what| {
                let sealer = sealer.as_ref();
                let came = cures::deliver_again(unit, (own, to), what, sealer, new_epoch, now)?;
                Ok((what.0, came))
            });
            each.collect::<Result<Vec<_>, AppError>>()
        };
        let came = self.store().commit(write).await.map_err(AppError::from)?;
        let mut lanes: BTreeMap<LaneEpoch, (LaneSeq, Vec<Mark>)> = BTreeMap::new();
        for (id, came) in came {
            match came {
                Delivering::Lost => done.lost.push(id),
                // Its receipt is asked for again.
                Delivering::Answered => done.waiting = done.waiting.saturating_add(1),
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
}

/// A county that says nothing is not asked about the next message: that would take as long each time.
pub(super) fn strike<T>(lines: &mut Lines, outcome: Result<T, Trouble>) -> Result<T, Trouble> {
    if let Err(Trouble::Silent { area }) = &outcome {
        lines.insert(*area, None);
    }
    outcome
}

/// What cannot be done about one message waits for the next comparison, or is lost, and holds up nothing else.
fn put_off(
    done: &mut CarriedOut,
    id: Option<MessageId>,
    outcome: Result<(), AppError>,
) -> Result<(), AppError> {
    match outcome {
        Err(error) if error.is_of_one() => {
            let message = id.map(|id| id.to_string());
            tracing::warn!(message, %error, code = error.reason().code(), "a message could not be cured now");
            match (&error, id) {
                // What is damaged here does not mend by itself: a person has to know.
                (AppError::Internal(_), Some(id)) => done.lost.push(id),
                _ => done.waiting = done.waiting.saturating_add(1),
            }
            Ok(())
        }
        outcome => outcome,
    }
}
