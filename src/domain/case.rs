//! Cases (个案): which office has to do what next, worked out from the messages of the case and from nothing else.
//!
//! A case has two sides, [`Seat::Asking`] and [`Seat::Answering`], and each is held by one office at a time. A node
//! keeps the [`Step`]s it has sent and received; [`Case::view`] puts them in one order that does not depend on when
//! they came (step, time, id) and plays them through the state machine of [`fold`]. So any two nodes that have the
//! same steps agree on state, holder and due date. A step that is not allowed where it stands has no effect, and says
//! why; one whose case or sender is not known yet waits.

mod fold;
mod hand_over;
#[cfg(test)]
mod tests;

pub use fold::{Held, Move, View};
pub use hand_over::{Duty, Offer, OfferState};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::area::AreaCode;
use crate::id::{CaseId, MessageId};
use crate::message::{Body, Content, Kind, STEPS_MAX};
use crate::numbered::numbered;
use crate::reason::Reason;
use crate::time::UnixMillis;

numbered! {
    /// A side of a case.
    pub enum Seat {
        /// The office that asked.
        Asking = 1, "ASKING", "发起方";
        /// The office that has to answer.
        Answering = 2, "ANSWERING", "承办方";
    }
}

numbered! {
    /// Why another office takes a side of a case over.
    pub enum TransferCause {
        /// It was sent to the wrong county.
        WrongCounty = 1, "WRONG_COUNTY", "发错地区";
        /// The person has moved there.
        PersonMoved = 2, "PERSON_MOVED", "本人已迁移";
        /// Another office has become competent.
        OfficeChanged = 3, "OFFICE_CHANGED", "承办机构变更";
    }
}

numbered! {
    /// Where a case stands.
    pub enum Stage {
        /// The message that opened it is not here yet.
        Waiting = 1, "WAITING", "等待来件";
        /// Another office offers it; what it is about comes with the hand-over.
        Offered = 2, "OFFERED", "待接受移交";
        /// Somebody was told something; nobody has to answer.
        Told = 3, "TOLD", "已通报";
        /// The answering office has to answer.
        Asked = 4, "ASKED", "待答复";
        /// The answering office needs something first; the clock stands still.
        Clarifying = 5, "CLARIFYING", "待补正";
        /// Answered; the asking office closes it.
        Answered = 6, "ANSWERED", "已答复";
        /// Given back with a written reason; the clock stands still.
        Rejected = 7, "REJECTED", "已退回";
        /// Taken back by the asking office.
        Voided = 8, "VOIDED", "已作废";
        /// The asking office has what it needs.
        Closed = 9, "CLOSED", "已办结";
    }
}

numbered! {
    /// What came of looking for the person (配对). Work of the answering office, told to nobody.
    pub enum Pairing {
        /// One person matches.
        One = 1, "ONE", "唯一匹配";
        /// Several match.
        Several = 2, "SEVERAL", "多人匹配";
        /// Nobody matches.
        None = 3, "NONE", "无匹配";
        /// The person is registered elsewhere now.
        Moved = 4, "MOVED", "已迁出";
    }
}

impl Seat {
    /// The other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Asking => Self::Answering,
            Self::Answering => Self::Asking,
        }
    }
}

impl Stage {
    /// Whether nothing more is to be done.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Told | Self::Voided | Self::Closed)
    }
}

/// One message of a case, as far as the state of the case depends on it. Names no person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The message.
    pub id: MessageId,
    /// Area that sent it.
    pub from: AreaCode,
    /// Area it was sent to.
    pub to: AreaCode,
    /// Its place in the case, as its sender counted: above everything that its sender knew.
    pub step: u32,
    /// When it was accepted for sending, as its envelope says.
    pub created: UnixMillis,
    /// What it does.
    pub deed: Deed,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Deed {
    /// Opens the case.
    Open {
        /// With what.
        kind: Kind,
        /// When the answer is due, as its envelope says; none when nobody has to answer.
        due: Option<UnixMillis>,
    },
    /// Answers it.
    Answer {
        /// With what.
        kind: Kind,
    },
    /// Another document in the case.
    Document {
        /// Which.
        kind: Kind,
    },
    /// 催办.
    Remind,
    /// 补正.
    Clarify,
    /// 补正答复.
    Clarification {
        /// What it answers.
        clarify: MessageId,
    },
    /// 退回.
    Reject,
    /// 更正.
    Correct {
        /// What it puts right.
        corrects: MessageId,
    },
    /// 作废.
    Void,
    /// 办结.
    Close,
    /// A side has changed hands: 移交 as its new holder has it, 转办 as the other side is told.
    Transfer {
        /// Which side.
        seat: Seat,
        /// Its new term.
        term: u32,
        /// Its new holder.
        area: AreaCode,
    },
    /// 移交提议.
    Offer {
        /// Which side.
        seat: Seat,
        /// The term in which it would be held.
        term: u32,
        /// Until when it may be accepted.
        until: UnixMillis,
    },
    /// 接受移交.
    Accept {
        /// Which side.
        seat: Seat,
        /// The term that was offered.
        term: u32,
    },
    /// 撤回移交.
    Withdraw {
        /// Which side.
        seat: Seat,
        /// The term that was offered.
        term: u32,
        /// It was accepted too late.
        lapsed: bool,
    },
}

impl Deed {
    /// The kind of message that does this; of a side that changed hands, the one that tells the other side.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Open { kind, .. } | Self::Answer { kind } | Self::Document { kind } => *kind,
            Self::Remind => Kind::Remind,
            Self::Clarify => Kind::Clarify,
            Self::Clarification { .. } => Kind::Clarification,
            Self::Reject => Kind::Reject,
            Self::Correct { .. } => Kind::Correct,
            Self::Void => Kind::Void,
            Self::Close => Kind::Close,
            Self::Transfer { .. } => Kind::Forward,
            Self::Offer { .. } => Kind::HandOverOffer,
            Self::Accept { .. } => Kind::HandOverAcceptance,
            Self::Withdraw { .. } => Kind::HandOverWithdrawal,
        }
    }

    /// Whether it is between the holder of a side and the office that may take it over; nobody else sees it.
    #[must_use]
    pub const fn is_between_two(&self) -> bool {
        matches!(self, Self::Offer { .. } | Self::Accept { .. } | Self::Withdraw { .. })
    }
}

impl Step {
    /// The step that a message is in its case; none for what nodes send by themselves.
    #[must_use]
    pub fn of(
        id: MessageId,
        (from, to): (AreaCode, AreaCode),
        (created, due): (UnixMillis, Option<UnixMillis>),
        content: &Content,
    ) -> Option<Self> {
        let kind = content.kind();
        let deed = match &content.body {
            _ if kind.is_sent_by_nodes() => return None,
            Body::Remind(_) => Deed::Remind,
            Body::Clarify(_) => Deed::Clarify,
            Body::Clarification(body) => Deed::Clarification { clarify: body.clarify_id },
            Body::Reject(_) => Deed::Reject,
            Body::Correct(body) => Deed::Correct { corrects: body.corrects_id },
            Body::Void(_) => Deed::Void,
            Body::Close(_) => Deed::Close,
            Body::Forward(body) => {
                Deed::Transfer { seat: body.seat, term: body.term, area: body.area }
            }
            Body::HandOver(body) => Deed::Transfer { seat: body.seat, term: body.term, area: to },
            Body::HandOverOffer(body) => {
                Deed::Offer { seat: body.seat, term: body.term, until: body.until }
            }
            Body::HandOverAcceptance(body) => Deed::Accept { seat: body.seat, term: body.term },
            Body::HandOverWithdrawal(body) => {
                Deed::Withdraw { seat: body.seat, term: body.term, lapsed: body.lapsed }
            }
            _ if kind.answers().is_some() => Deed::Answer { kind },
            _ if content.case.is_none() => Deed::Open { kind, due },
            _ => Deed::Document { kind },
        };
        Some(Self { id, from, to, step: content.step, created, deed })
    }

    /// Its place in the one order: what a sender knew comes before what it then sent.
    fn place(&self) -> (u32, UnixMillis, MessageId) {
        (self.step, self.created, self.id)
    }
}

/// The steps of one case that a node has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    id: CaseId,
    steps: BTreeMap<MessageId, Step>,
}

impl Case {
    /// A case of which nothing is known yet.
    #[must_use]
    pub const fn new(id: CaseId) -> Self {
        Self { id, steps: BTreeMap::new() }
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> CaseId {
        self.id
    }

    /// Adds a step; one that is there already changes nothing. Says whether it was new.
    ///
    /// # Errors
    /// `TOO_LARGE` when the case has as many steps as a case may have.
    pub fn add(&mut self, step: Step) -> Result<bool, Reason> {
        if self.steps.contains_key(&step.id) {
            return Ok(false);
        }
        if self.steps.len() >= STEPS_MAX {
            return Err(Reason::TooLarge);
        }
        self.steps.insert(step.id, step);
        Ok(true)
    }

    /// Takes a step away that its recipient refused. Says whether it was there.
    pub fn take_back(&mut self, id: MessageId) -> bool {
        self.steps.remove(&id).is_some()
    }

    /// The steps, in the one order.
    #[must_use]
    pub fn steps(&self) -> Vec<&Step> {
        let mut steps: Vec<_> = self.steps.values().collect();
        steps.sort_by_key(|step| step.place());
        steps
    }

    /// Place of the next step that is sent from here.
    #[must_use]
    pub fn next_step(&self) -> u32 {
        self.steps.values().map(|step| step.step).max().unwrap_or_default().saturating_add(1)
    }

    /// Whether somebody else can have come to this place, who may know more of the case than is known here.
    #[must_use]
    pub fn reaches(&self, step: u32) -> bool {
        step <= self.next_step().saturating_add(u32::try_from(STEPS_MAX).unwrap_or(u32::MAX))
    }

    /// How the case stands.
    #[must_use]
    pub fn view(&self) -> View {
        fold::view(self)
    }

    /// Whether `own` may do this now.
    ///
    /// # Errors
    /// `UNKNOWN_CASE` while it is not known what opened the case, `NOT_HOLDER` when the office does not sit where it
    /// would have to, `CASE_CLOSED`, `ALREADY_ANSWERED`, and `STATE_FORBIDS` for what does not fit the stage.
    pub fn may(&self, own: AreaCode, deed: Deed) -> Result<(), Reason> {
        self.view().may(own, deed)
    }
}
