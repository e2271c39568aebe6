//! Synthetic steps of cases.

use super::Messages;
use crate::area::AreaCode;
use crate::case::{Deed, Step};
use crate::message::*;
use crate::text::WrittenReason;
use crate::time::UnixMillis;

/// A day, ms.
const DAY: u64 = 86_400_000;

impl Messages {
    /// The body of a step; of another kind none.
    pub(super) fn step(&mut self, kind: Kind) -> Option<Body> {
        let term = 2 + self.people.seeded.below(5);
        Some(match kind {
            Kind::Remind => Remind { note: self.note() }.into(),
            Kind::Clarify => Clarify { question: self.passage()? }.into(),
            Kind::Clarification => {
                Clarification { clarify_id: self.message_id(), answer: self.passage()? }.into()
            }
            Kind::Reject => Reject { reason: self.written()? }.into(),
            Kind::Forward => {
                Forward { seat: self.any()?, term, area: self.third()?, cause: self.any()? }.into()
            }
            Kind::Correct => {
                Correct { corrects_id: self.message_id(), correction: self.passage()? }.into()
            }
            Kind::Void => Void { reason: self.written()? }.into(),
            Kind::Close => Close { note: self.note() }.into(),
            Kind::HandOverOffer => self.offer(term)?.into(),
            Kind::HandOverAcceptance => HandOverAcceptance { seat: self.any()?, term }.into(),
            Kind::HandOverWithdrawal => {
                let lapsed = self.people.seeded.chance(50);
                HandOverWithdrawal { seat: self.any()?, term, lapsed }.into()
            }
            Kind::HandOver => self.hand_over(term)?.into(),
            _ => return None,
        })
    }

    fn written(&mut self) -> Option<WrittenReason> {
        self.reason(true)
    }

    /// An area that is on neither side.
    fn third(&mut self) -> Option<AreaCode> {
        let all = ["330106", "360728", "510104"];
        self.people.seeded.pick(&all)?.parse().ok()
    }

    fn offer(&mut self, term: u32) -> Option<HandOverOffer> {
        let until = u64::from(1 + self.people.seeded.below(14)) * DAY;
        Some(HandOverOffer {
            seat: self.any()?,
            term,
            until: UnixMillis::new(self.context.now.get() + until),
            cause: self.any()?,
            kind: Kind::Inquiry,
            due: self.maybe(|m| Some(m.soon().ends())),
        })
    }

    /// A case with an inquiry, a clarification and its answer.
    fn hand_over(&mut self, term: u32) -> Option<HandOver> {
        let opening = self.plain(Kind::Inquiry)?;
        let (id, clarify) = (self.message_id(), self.message_id());
        let (from, to, now) = (self.context.to, self.third()?, self.context.now);
        let (kind, due) = (Kind::Inquiry, opening.due(now).map(crate::clock::Due::at));
        let step = |id, from, to, step, deed| Step { id, from, to, step, created: now, deed };
        let steps = vec![
            step(id, from, to, 0, Deed::Open { kind, due }),
            step(clarify, to, from, 1, Deed::Clarify),
            step(self.message_id(), from, to, 2, Deed::Clarification { clarify }),
        ];
        let documents = vec![Document { id, content: Box::new(opening) }];
        Some(HandOver { seat: self.any()?, term, cause: self.any()?, steps, documents })
    }

    /// A document that gives nothing away, and that she asked of nobody else: whoever takes over needs no consent for it.
    fn plain(&mut self, kind: Kind) -> Option<Content> {
        loop {
            let content = self.next(kind)?;
            if content.body.reveals().is_empty() && content.service_request.is_none() {
                return Some(content);
            }
        }
    }
}
