//! Handing a side of a case over, as passing a token: at no moment do two offices hold it, whatever is lost, doubled,
//! late or cut.
//!
//! The holder offers; the other accepts; the holder then gives the side away in one unit on its disk, together with the
//! message that brings it. Until that unit the offer can be withdrawn or lapse for nothing; from it on the old
//! holder holds nothing, and the new one holds the side when it has stored the message. No promise is made
//! on either side in between, so nothing has to be undone.

use super::{Case, Deed, Seat, Step};
use crate::area::AreaCode;
use crate::id::MessageId;
use crate::numbered::numbered;
use crate::time::UnixMillis;

/// An offer that one office made to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The message.
    pub id: MessageId,
    /// Which side.
    pub seat: Seat,
    /// The term in which it would be held.
    pub term: u32,
    /// Who offers.
    pub from: AreaCode,
    /// To whom.
    pub to: AreaCode,
    /// Until when it may be accepted.
    pub until: UnixMillis,
}

numbered! {
    /// What became of an offer.
    pub enum OfferState {
        /// It stands, and nobody has accepted it.
        Open = 1, "OPEN", "待接受";
        /// It stands, and was accepted; the holder gives the side away next.
        Accepted = 2, "ACCEPTED", "已接受";
        /// The side was given away.
        Done = 3, "DONE", "已移交";
        /// It was withdrawn, or accepted too late.
        Withdrawn = 4, "WITHDRAWN", "已撤回";
        /// Its time has passed.
        Lapsed = 5, "LAPSED", "已过期";
    }
}

/// What a node has to do about a hand-over, without anybody asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Give the side away.
    GiveAway(Offer),
    /// Tell the other that its acceptance came too late.
    TellLapsed(Offer),
}

impl Case {
    /// The latest offer that this node knows of, and what became of it.
    #[must_use]
    pub fn offer(&self, now: UnixMillis) -> Option<(Offer, OfferState)> {
        let steps = self.steps();
        let (at, offer) =
            steps.iter().enumerate().rev().find_map(|(at, s)| Some((at, offer_of(s)?)))?;
        let later = || steps.iter().skip(at);
        let given = steps.iter().any(|step| {
            let Deed::Transfer { seat, term, .. } = step.deed else { return false };
            (seat, term) == (offer.seat, offer.term)
        });
        let withdrawn = later().any(|step| {
            let Deed::Withdraw { seat, term, .. } = step.deed else { return false };
            (seat, term, step.to) == (offer.seat, offer.term, offer.to)
        });
        let accepted = later().any(|step| is_acceptance(step, &offer));
        let state = match () {
            () if given => OfferState::Done,
            () if withdrawn => OfferState::Withdrawn,
            () if now >= offer.until => OfferState::Lapsed,
            () if accepted => OfferState::Accepted,
            () => OfferState::Open,
        };
        Some((offer, state))
    }

    /// What the node of `own` has to do now.
    #[must_use]
    pub fn duty(&self, own: AreaCode, now: UnixMillis) -> Option<Duty> {
        if let Some((offer, OfferState::Accepted)) = self.offer(now)
            && offer.from.county() == own.county()
            && self.may_give(own, &offer)
        {
            return Some(Duty::GiveAway(offer));
        }
        let steps = self.steps();
        let late = steps.iter().enumerate().find_map(|(at, step)| {
            let Deed::Accept { seat, term } = step.deed else { return None };
            if step.to.county() != own.county() {
                return None;
            }
            let answered = steps.iter().skip(at).any(|later| {
                let Deed::Withdraw { seat: s, term: t, .. } = later.deed else { return false };
                (s, t, later.to) == (seat, term, step.from)
            });
            let given = steps.iter().any(|other| {
                let Deed::Transfer { seat: s, term: t, area } = other.deed else { return false };
                (s, t, area) == (seat, term, step.from)
            });
            let (id, from, to) = (step.id, step.to, step.from);
            (!answered && !given).then_some(Offer { id, seat, term, from, to, until: now })
        });
        late.map(Duty::TellLapsed)
    }

    /// Whether `own` has accepted a side in a term from `from`. A side that is brought unasked is nobody's.
    #[must_use]
    pub fn has_accepted(&self, own: AreaCode, from: AreaCode, (seat, term): (Seat, u32)) -> bool {
        self.steps().into_iter().any(|step| {
            let between = step.from.county() == own.county() && step.to.county() == from.county();
            between && step.deed == Deed::Accept { seat, term }
        })
    }

    /// The side that `own` gave away last, its new term and its new holder: what still comes for it is passed on there.
    #[must_use]
    pub fn successor(&self, own: AreaCode) -> Option<(Seat, u32, AreaCode)> {
        self.steps().into_iter().rev().find_map(|step| {
            let Deed::Transfer { seat, term, area } = step.deed else { return None };
            (step.from.county() == own.county()).then_some((seat, term, area))
        })
    }

    fn may_give(&self, own: AreaCode, offer: &Offer) -> bool {
        let Offer { seat, term, until, .. } = *offer;
        self.may(own, Deed::Offer { seat, term, until }).is_ok()
    }
}

fn offer_of(step: &Step) -> Option<Offer> {
    let Deed::Offer { seat, term, until } = step.deed else { return None };
    let Step { id, from, to, .. } = *step;
    Some(Offer { id, seat, term, from, to, until })
}

fn is_acceptance(step: &Step, offer: &Offer) -> bool {
    let Deed::Accept { seat, term } = step.deed else { return false };
    (seat, term, step.from) == (offer.seat, offer.term, offer.to)
}
