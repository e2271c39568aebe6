//! What a node does in its cases by itself: gives a side away that was accepted, tells who accepted too late, passes on
//! what came for a side that is gone. Everything it needs is on disk, so it goes on after a crash where it was.

use domain::area::AreaCode;
use domain::case::{Duty, Offer, TransferCause};
use domain::id::{CaseId, MessageId};
use domain::message::{
    Body, Content, DOCUMENTS_MAX, Document, Forward, HandOver, HandOverWithdrawal, Kind,
};
use domain::reason::Reason;
use domain::time::UnixMillis;
use store::cases::CaseRow;
use store::letters::NoticeKind;
use store::messages::Side;
use store::tables::{CASE, CASE_DUTY};
use store::{Store, Unit};

use super::opening::{Rows, document, opening};
use super::steps::{between, inside};
use super::{ground, keep, opposite};
use crate::app::duties::Node;
use crate::app::each::First;
use crate::app::messages::content_of;
use crate::app::messages::send::{Accepted, Outgoing, Outlet};
use crate::app::{AppError, notices};

/// Cases that are read in one go.
const CASES_AT_ONCE: usize = 256;

/// Does what is to be done, in every case. Says in how many something was done; what cannot be done yet is tried again.
///
/// # Errors
/// When rows cannot be read or written; the other cases have been looked after all the same.
pub async fn run(
    own: AreaCode,
    store: &Store,
    outlet: &dyn Outlet,
    now: UnixMillis,
) -> Result<usize, AppError> {
    let mut node = Node::new(own, store, outlet, now);
    let (mut done, mut first) = (0, First::default());
    for page in store.pages(&CASE_DUTY, .., CASES_AT_ONCE) {
        for (key, ()) in page? {
            let acted = match node.look_after(CaseId::from_bytes(key)).await {
                // The peer's card may come, the disk may get room.
                Err(AppError::Refused(_)) => continue,
                acted => acted,
            };
            done += usize::from(first.take(acted).unwrap_or_default());
        }
    }
    first.end().map(|()| done)
}

impl Node<'_> {
    async fn look_after(&mut self, id: CaseId) -> Result<bool, AppError> {
        let Some(row) = self.store.case(id)? else { return Ok(false) };
        let duty = row.case.duty(self.own, self.now);
        let told = told_first(&row, self.own, duty).map(|area| self.outlet.destination(area));
        // Looked at before anything is read and packed that could not be sealed.
        if told.is_some_and(|to| to.is_ok_and(|to| !self.reaches(to))) {
            return Ok(false);
        }
        if !row.to_pass.is_empty() {
            return self.pass_on(row).await;
        }
        match duty {
            Some(Duty::GiveAway(offer)) => self.give_away(row, offer).await,
            Some(Duty::TellLapsed(offer)) => self.tell_lapsed(row, offer, None).await,
            None => self.settle(row).await,
        }
    }

    /// Gives the side away: the message that brings it, the word to the other side and the end of our term, in one unit.
    async fn give_away(&self, row: CaseRow, offer: Offer) -> Result<bool, AppError> {
        if opening(self.store, row.case.id())?.is_none() {
            let why = self.why_gone(row.case.id())?;
            return self.tell_lapsed(row, offer, Some(why)).await;
        }
        let cause = cause(self.store, &offer)?;
        let (first, mut hand_over) = match self.packed(&row, offer, cause) {
            Ok(packed) => packed,
            // Nothing that the person has allowed reaches that office: it is not handed over, and the other is told.
            Err(AppError::Refused(refusal)) if !refusal.reason.retry_helps() => {
                return self.tell_lapsed(row, offer, Some(refusal.reason)).await;
            }
            Err(error) => return Err(error),
        };
        let Offer { seat, term, to: area, .. } = offer;
        let other = opposite(&row.case, seat)?;
        let body = Forward { seat, term, area, cause };
        let mut word = self.outgoing(other, inside(&first, &row, body.into()))?;
        let (own, now) = (self.own, self.now);
        let (id, version) = (row.case.id(), row.version);
        let given = self.store.commit(move |unit| {
            let fresh = unit.get(&CASE, id.as_bytes())?;
            let same = fresh.is_some_and(|fresh| {
                fresh.version == version && fresh.case.duty(own, now) == Some(Duty::GiveAway(offer))
            });
            if !same {
                return Ok::<_, AppError>(None);
            }
            let brought = hand_over.accept(unit)?;
            let told = word.accept(unit)?;
            Ok(Some([brought, told]))
        });
        match given.await.map_err(AppError::from) {
            Ok(sent) => Ok(self.nudge(sent.iter().flatten())),
            Err(AppError::Refused(refusal)) if !refusal.reason.retry_helps() => {
                self.tell_lapsed(row, offer, Some(refusal.reason)).await
            }
            Err(error) => Err(error),
        }
    }

    /// The message that brings a side to whoever has accepted it, with what it rests on.
    fn packed(
        &self,
        row: &CaseRow,
        offer: Offer,
        cause: TransferCause,
    ) -> Result<(Content, Outgoing), AppError> {
        let first = ground::for_county(self.store, row, offer.to, self.now)?;
        let all = row.case.steps().into_iter().map(|step| step.id).collect();
        let body = self.hand_over(row, &first, (offer.seat, offer.term, cause), all)?;
        let hand_over = self.outgoing(offer.to, inside(&first, row, body.into()))?;
        Ok((first, hand_over))
    }

    /// Ends an offer that comes to nothing. Where that is no matter of time, this office is told why, too.
    async fn tell_lapsed(
        &self,
        row: CaseRow,
        offer: Offer,
        why: Option<Reason>,
    ) -> Result<bool, AppError> {
        let body = HandOverWithdrawal { seat: offer.seat, term: offer.term, lapsed: true };
        let mut outgoing = self.outgoing(offer.to, between(&row, body.into()))?;
        let now = self.now;
        let sent = self.store.commit(move |unit| {
            if let Some(reason) = why {
                let what = NoticeKind::NotHandedOver { to: offer.to, reason };
                notices::raise(unit, now, what, &[offer.id])?;
            }
            outgoing.accept(unit)
        });
        Ok(self.nudge([sent.await.map_err(AppError::from)?].iter()))
    }

    /// Why what opened a case is not here.
    fn why_gone(&self, case: CaseId) -> Result<Reason, AppError> {
        let id = case.opening_message();
        for side in [Side::Received, Side::Sent] {
            let Some(row) = Rows::message(self.store, id, side)? else { continue };
            if let Err(AppError::Refused(refusal)) = content_of(self.store, id, &row) {
                return Ok(refusal.reason);
            }
        }
        Ok(Reason::UnknownCase)
    }

    /// What came for a side that is gone, to whoever holds it now: as much at a time as one message holds. What can never go
    /// there is told to this office, and stays here.
    async fn pass_on(&self, row: CaseRow) -> Result<bool, AppError> {
        let successor = row.case.successor(self.own);
        let (_, _, to) = successor.ok_or(AppError::Internal("a side went to nobody"))?;
        let mut passed = row.to_pass.clone();
        let first = match ground::standing(self.store, &row) {
            Ok(Some(first)) => first,
            // The person was erased here; there is nothing to pass on.
            Ok(None) => return self.let_go(&row, passed, None).await,
            Err(AppError::Refused(refusal)) => {
                let what = NoticeKind::NotPassedOn { to, reason: refusal.reason };
                return self.let_go(&row, passed, Some(what)).await;
            }
            Err(error) => return Err(error),
        };
        // With what opened the case.
        passed.truncate(DOCUMENTS_MAX.saturating_sub(1));
        loop {
            match self.pass(&row, &first, passed.clone()).await {
                Err(AppError::Refused(refusal)) if !refusal.reason.retry_helps() => {
                    if passed.len() <= 1 {
                        let what = NoticeKind::NotPassedOn { to, reason: refusal.reason };
                        return self.let_go(&row, passed, Some(what)).await;
                    }
                    // Too much for one message; or one of them keeps the others back.
                    passed.truncate(passed.len() / 2);
                }
                done => return done,
            }
        }
    }

    /// Hands over what opened the case with these messages, and takes them off what is to be passed on.
    async fn pass(
        &self,
        row: &CaseRow,
        first: &Content,
        passed: Vec<MessageId>,
    ) -> Result<bool, AppError> {
        let successor = row.case.successor(self.own);
        let (seat, term, to) = successor.ok_or(AppError::Internal("a side went to nobody"))?;
        let facts = (seat, term, TransferCause::OfficeChanged);
        let ids = [&[row.case.id().opening_message()][..], &passed].concat();
        let body = self.hand_over(row, first, facts, ids)?;
        let mut outgoing = self.outgoing(to, inside(first, row, body.into()))?;
        let (own, now, id) = (self.own, self.now, row.case.id());
        let sent = self.store.commit(move |unit| {
            let sent = outgoing.accept(unit)?;
            passed_on(unit, id, &passed, (own, now))?;
            Ok::<_, AppError>(sent)
        });
        Ok(self.nudge([sent.await.map_err(AppError::from)?].iter()))
    }

    /// Takes messages off what is to be passed on that nobody gets; this office is told, where there is something to tell.
    async fn let_go(
        &self,
        row: &CaseRow,
        passed: Vec<MessageId>,
        what: Option<NoticeKind>,
    ) -> Result<bool, AppError> {
        let (own, now, id) = (self.own, self.now, row.case.id());
        let told = what.is_some();
        let done = self.store.commit(move |unit| {
            if let Some(what) = what {
                notices::raise(unit, now, what, &[id.opening_message()])?;
            }
            passed_on(unit, id, &passed, (own, now))
        });
        done.await.map_err(AppError::from)?;
        Ok(told)
    }

    /// Nothing is left to do, as far as this moment goes.
    async fn settle(&self, row: CaseRow) -> Result<bool, AppError> {
        let key = *row.case.id().as_bytes();
        let (own, now) = (self.own, self.now);
        let settled = self.store.commit(move |unit| {
            let idle = unit
                .get(&CASE, &key)?
                .is_none_or(|row| row.to_pass.is_empty() && row.case.duty(own, now).is_none());
            if idle {
                unit.delete(&CASE_DUTY, &key);
            }
            Ok::<_, AppError>(())
        });
        settled.await.map_err(AppError::from)?;
        Ok(false)
    }

    fn outgoing(&self, to: AreaCode, content: Content) -> Result<Outgoing, AppError> {
        let to = self.outlet.destination(to)?;
        Outgoing::new(self.own, self.store, self.outlet, (to, content), None, self.now)
    }

    fn hand_over(
        &self,
        row: &CaseRow,
        first: &Content,
        (seat, term, cause): (domain::case::Seat, u32, TransferCause),
        ids: Vec<MessageId>,
    ) -> Result<HandOver, AppError> {
        let steps = row.case.steps().into_iter().filter(|step| !step.deed.is_between_two());
        let steps = steps.cloned().collect();
        let mut documents = Vec::new();
        for id in ids {
            let found = document(self.store, row.case.id(), id)?;
            let Some(content) = found.filter(is_worth_reading) else {
                continue;
            };
            let whole = content.clone();
            let document = match ground::enclosed(first.consent.as_ref(), (id, content)) {
                // What the consent does not cover stays here. What opened the case is judged with the message.
                None if id == row.case.id().opening_message() => {
                    Document { id, content: Box::new(whole) }
                }
                None => continue,
                Some(document) => document,
            };
            if documents.len() < DOCUMENTS_MAX {
                documents.push(document);
            }
        }
        Ok(HandOver { seat, term, cause, steps, documents })
    }

    fn nudge<'s>(&self, sent: impl Iterator<Item = &'s Accepted>) -> bool {
        let sent: Vec<_> = sent.collect();
        sent.iter().for_each(|accepted| accepted.nudge(self.outlet));
        !sent.is_empty()
    }
}

/// Takes messages off what is to be passed on; what came meanwhile stays.
fn passed_on(
    unit: &mut Unit<'_>,
    id: CaseId,
    passed: &[MessageId],
    (own, now): (AreaCode, UnixMillis),
) -> Result<(), AppError> {
    let row = unit.get(&CASE, id.as_bytes())?;
    let mut row = row.ok_or(AppError::from(Reason::UnknownCase))?;
    row.to_pass.retain(|id| !passed.contains(id));
    keep(unit, row, own, now)
}

/// Whom the next word in a case is for.
fn told_first(row: &CaseRow, own: AreaCode, duty: Option<Duty>) -> Option<AreaCode> {
    if !row.to_pass.is_empty() {
        return row.case.successor(own).map(|(_, _, area)| area);
    }
    match duty? {
        Duty::GiveAway(offer) | Duty::TellLapsed(offer) => Some(offer.to),
    }
}

/// What somebody wrote, and not what only changes who sits where.
fn is_worth_reading(content: &Content) -> bool {
    !matches!(
        content.kind(),
        Kind::Forward
            | Kind::HandOver
            | Kind::HandOverOffer
            | Kind::HandOverAcceptance
            | Kind::HandOverWithdrawal
    )
}

/// Why a side was offered, as the offer says.
fn cause(store: &Store, offer: &Offer) -> Result<TransferCause, AppError> {
    let row = Rows::message(store, offer.id, Side::Sent)?;
    let content = row.and_then(|row| wire::content::decode_content(&row.content.0).ok());
    Ok(match content.map(|content| content.body) {
        Some(Body::HandOverOffer(body)) => body.cause,
        Some(_) | None => TransferCause::OfficeChanged,
    })
}
