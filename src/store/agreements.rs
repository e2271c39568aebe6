//! Values of the tables about agreements, withdrawn consents, and what a node has to send by itself because of them.

use domain::agreement::{Agreement, OfficeSignature};
use domain::area::AreaCode;
use domain::id::{MessageId, OperatorName};
use domain::reason::Reason;
use domain::text::{Note, WrittenReason};
use domain::time::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::value::first_layouts;

/// A version of an agreement, with the words of both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreementRow {
    /// What it says and where it stands.
    pub agreement: Agreement,
    /// The message that proposed it.
    pub proposal: MessageId,
    /// When that was written here.
    pub proposed: UnixMillis,
    /// The proposing node's signature.
    pub signature: OfficeSignature,
    /// The other side's decision.
    pub decision: Option<DecisionRow>,
    /// How it was ended.
    pub ending: Option<EndingRow>,
}

/// What the other side said to a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRow {
    /// The message that says so.
    pub message: MessageId,
    /// When that was written here.
    pub at: UnixMillis,
    /// Why not, when it was declined.
    pub reason: Option<WrittenReason>,
    /// Whom to call at the deciding office.
    pub contact: Option<Note>,
    /// The deciding node's signature.
    pub signature: OfficeSignature,
}

/// How an agreement was ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndingRow {
    /// The message that says so.
    pub message: MessageId,
    /// When that was written here.
    pub at: UnixMillis,
    /// Why.
    pub reason: WrittenReason,
    /// The ending node's signature.
    pub signature: OfficeSignature,
}

/// What is agreed with one county: versions that both have agreed on and that are not replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreedRow {
    /// In the order in which they were agreed.
    pub agreements: Vec<Agreement>,
}

/// The id of a consent or request, as it stands in keys.
pub type GroundKey = [u8; 16];

/// A message that rests on a consent or request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentUseRow {
    /// The other county.
    pub peer: AreaCode,
}

/// That a consent or request was withdrawn, at the office that took it or by its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentEndedRow {
    /// When it was withdrawn.
    pub withdrawn: UnixMillis,
    /// When what was received under it was deleted here.
    pub deleted: UnixMillis,
    /// How many messages that were.
    pub messages: u32,
}

/// What became of a withdrawal at one county.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpreadRow {
    /// When the county was to be told.
    pub since: UnixMillis,
    /// The message that tells it, and when that was accepted here.
    pub told: Option<(MessageId, UnixMillis)>,
    /// When that county deleted what it had, by its word, and when the word came.
    pub done: Option<(UnixMillis, UnixMillis)>,
}

/// Something a node has to send by itself, until it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DutyRow {
    /// What it is about: the earlier report of an answer; nothing else needs it.
    pub about: Option<MessageId>,
    /// When it came up: a withdrawal, a deletion, a question.
    pub at: UnixMillis,
}

/// A word of this node about a withdrawal that its recipient did not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedWordRow {
    /// The last message that said it.
    pub message: MessageId,
    /// Why it was not taken.
    pub reason: Reason,
    /// When that was learned.
    pub at: UnixMillis,
    /// How often.
    pub times: u32,
    /// When the consent or request was withdrawn, or what came under it was deleted here.
    pub since: UnixMillis,
    /// It is not on its way again yet.
    pub resting: bool,
}

/// That a supervisor has let one county be told where a person at risk lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRow {
    /// Who.
    pub by: OperatorName,
    /// When.
    pub at: UnixMillis,
    /// Until when a message may say it.
    pub until: UnixMillis,
    /// Why.
    pub reason: WrittenReason,
}

first_layouts!(
    AgreementRow,
    AgreedRow,
    ConsentUseRow,
    ConsentEndedRow,
    SpreadRow,
    DutyRow,
    RefusedWordRow,
    ReleaseRow,
);
