//! What the steps of a case carry: small typed messages that always name a case (fields as in bodies.proto).

use serde::{Deserialize, Serialize};

use super::content::Content;
use super::kind::Kind;
use crate::area::AreaCode;
use crate::case::{Seat, Step, TransferCause};
use crate::id::MessageId;
use crate::masked::masked;
use crate::text::{Note, Passage, WrittenReason};
use crate::time::UnixMillis;

/// Most documents that one hand-over carries.
pub const DOCUMENTS_MAX: usize = 64;
/// Most steps that a case has; what would be more is refused.
pub const STEPS_MAX: usize = 256;

/// 催办: whoever waits reminds the office whose turn it is. Names an office and a case, never a person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remind {
    /// Remark.
    pub note: Option<Note>,
}

/// 补正: the answering office needs something before it can answer; the clock stands still until it has it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clarify {
    /// What is missing or unclear.
    pub question: Passage,
}

/// Answer to 补正; the clock runs on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clarification {
    /// The [`Clarify`] that it answers.
    pub clarify_id: MessageId,
    /// What was asked for.
    pub answer: Passage,
}

/// 退回: the answering office gives the case back. Cannot be made without a written reason.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Written reason.
    pub reason: WrittenReason,
}

/// 转办: the other side of the case is told who sits opposite from now on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// Which side was handed over.
    pub seat: Seat,
    /// Its new term; 2 for the first hand-over.
    pub term: u32,
    /// The area that has it now.
    pub area: AreaCode,
    /// Why.
    pub cause: TransferCause,
}

/// 更正: something its sender said earlier in this case was wrong.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correct {
    /// The message that is put right.
    pub corrects_id: MessageId,
    /// What it should have said.
    pub correction: Passage,
}

/// 作废: the asking office takes the case back. Cannot be made without a written reason.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Void {
    /// Written reason.
    pub reason: WrittenReason,
}

/// 办结: the asking office has what it needs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Close {
    /// Remark.
    pub note: Option<Note>,
}

/// 移交提议: the holder of a side offers it to another office. Names no person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOverOffer {
    /// Which side.
    pub seat: Seat,
    /// Term in which the other office would hold it.
    pub term: u32,
    /// Until when it may be accepted, by the clock of whoever offers.
    pub until: UnixMillis,
    /// Why.
    pub cause: TransferCause,
    /// What opened the case.
    pub kind: Kind,
    /// When the case is due; none when nobody has to answer.
    pub due: Option<UnixMillis>,
}

/// 接受移交: the other office would take it. It holds nothing before it has the [`HandOver`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOverAcceptance {
    /// Which side.
    pub seat: Seat,
    /// Term that was offered.
    pub term: u32,
}

/// 撤回移交: an offer does not stand any more.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOverWithdrawal {
    /// Which side.
    pub seat: Seat,
    /// Term that was offered.
    pub term: u32,
    /// It was accepted too late; otherwise the holder has changed its mind.
    pub lapsed: bool,
}

/// 移交: a side of a case with everything that was written in it. Whoever has stored it holds that side.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOver {
    /// Which side.
    pub seat: Seat,
    /// Term in which the recipient holds it.
    pub term: u32,
    /// Why.
    pub cause: TransferCause,
    /// What happened in the case; the first opened it. At most [`STEPS_MAX`].
    pub steps: Vec<Step>,
    /// What was written in it; at most [`DOCUMENTS_MAX`].
    pub documents: Vec<Document>,
}

/// One document of a case, as it was sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its message.
    pub id: MessageId,
    /// What it said.
    pub content: Box<Content>,
}

masked!(Document {});
