//! Values of the tables about messages that need a person: dead letters, notices, and what was withdrawn.
//!
//! They name areas and messages. What somebody wrote about a message lies under the key of the person it is about.

use std::fmt;

use domain::area::AreaCode;
use domain::id::{MessageId, OperatorName};
use domain::reason::Reason;
use domain::text::Note;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::ledger::LedgerHead;
use serde::{Deserialize, Serialize};

use crate::value::first_layouts;

/// Message id, as it stands in keys.
pub type MessageIdKey = [u8; 16];

/// Why a message did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeadReason {
    /// Its recipient refused it.
    Refused {
        /// Why.
        reason: Reason,
        /// Field that the reason is about; empty for none.
        field: String,
    },
    /// It lost its purpose before the recipient had it.
    Expired,
    /// The recipient's office has ended its service.
    RecipientRetired,
    /// An operator gave it up before it arrived.
    Withdrawn,
}

/// What was done about a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeadState {
    /// Nothing yet.
    Open,
    /// It was sent again, edited or as it was, as a new message that names it.
    SentAgain {
        /// The new message.
        id: MessageId,
        /// By whom.
        by: OperatorName,
        /// When.
        at: UnixMillis,
    },
    /// It was given up; the reason is in [`crate::tables::DISCARD_REASON`].
    Discarded {
        /// By whom.
        by: OperatorName,
        /// When.
        at: UnixMillis,
    },
    /// The recipient had it after all: a late receipt says so.
    Arrived {
        /// When that receipt was written here.
        at: UnixMillis,
    },
}

/// A message of ours that did not arrive and that a person has to look at.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterRow {
    /// The recipient.
    pub to: AreaCode,
    /// Number of the message's kind.
    pub kind: u8,
    /// Why it did not arrive.
    pub why: DeadReason,
    /// Since when it is on the list.
    pub since: UnixMillis,
    /// What was done about it.
    pub state: DeadState,
}

impl fmt::Debug for DeadLetterRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetterRow")
            .field("to", &self.to)
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

/// Why a message was given up, in the words of whoever did.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscardReasonRow {
    /// The words.
    pub text: Note,
}

impl fmt::Debug for DiscardReasonRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DiscardReasonRow(..)")
    }
}

/// What an office is told. Stored by place: new ones go to the end, none is ever taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NoticeKind {
    /// So much of the clock has run, and the recipient does not have the message.
    NotDelivered {
        /// The recipient.
        to: AreaCode,
        /// 50, 80 or 100.
        percent: u8,
    },
    /// So much of the clock has run, and nobody at the recipient's office has opened the message.
    NotOpened {
        /// The recipient.
        to: AreaCode,
        /// 50, 80 or 100.
        percent: u8,
    },
    /// So much of the clock has run, and the recipient's office has not answered the message.
    NotAnswered {
        /// The recipient.
        to: AreaCode,
        /// 50, 80 or 100.
        percent: u8,
    },
    /// So much of the clock has run, and our own office has not answered the message.
    ToAnswer {
        /// The sender.
        from: AreaCode,
        /// 50, 80 or 100.
        percent: u8,
    },
    /// Nobody has opened a message for so many days.
    Unopened {
        /// The office that has it; our own for received messages.
        at: AreaCode,
        /// Days.
        days: u16,
    },
    /// Nothing has come from this area for so many days.
    Silent {
        /// The area.
        area: AreaCode,
        /// Days.
        days: u16,
    },
    /// A peer holds something else under the same name; a new epoch was opened.
    Conflict {
        /// The peer.
        peer: AreaCode,
    },
    /// The node was restored from a backup of that time.
    Restored {
        /// Time of the backup; none after a rebuild from damaged files.
        backup: Option<UnixMillis>,
    },
    /// The newest revocation list of that authority is too old.
    ListOld {
        /// The province; none for the root.
        authority: Option<AreaCode>,
        /// When it was issued.
        issued: UnixMillis,
    },
    /// A certificate ends soon.
    CertificateEnds {
        /// Whose.
        area: AreaCode,
        /// When.
        at: UnixMillis,
    },
    /// A message is on the dead-letter list.
    DeadLetter {
        /// Its recipient.
        to: AreaCode,
    },
    /// A peer's office has ended its service.
    Retired {
        /// The peer.
        area: AreaCode,
    },
    /// A peer has lost what it had: its ledger is another one than it was, or it knows nothing of what it has
    /// answered before. As after a restore from a backup; a new epoch was opened.
    RolledBack {
        /// The peer.
        peer: AreaCode,
        /// The last head of its ledger before.
        before: LedgerHead,
        /// The head in the receipt by which it was noticed.
        after: LedgerHead,
    },
    /// Cards of peers have ended, and the directory brings no newer ones; they are used in grace.
    CardsOld,
    /// An operator of this office looks at more records of persons than usual. For supervisors and auditors.
    UnusualReads {
        /// Records on that day.
        today: u32,
        /// The operator's usual day.
        usual: u32,
    },
    /// Both sides hold something else under one message id; a person decides.
    ContentDiffers {
        /// The other county.
        peer: AreaCode,
    },
    /// A reconciliation does not come to its end.
    NotReconciled {
        /// The other side.
        with: AreaCode,
    },
    /// Steps of cases have come, and what opened those cases has not.
    CaseWaits {
        /// Who sent the first of them.
        from: AreaCode,
    },
    /// A county does not take the word that a consent was withdrawn, or has not answered it.
    WithdrawalRefused {
        /// The county.
        peer: AreaCode,
    },
    /// An agreement with a county ends soon, or has ended with nothing in its place.
    AgreementEnds {
        /// The county.
        peer: AreaCode,
        /// Its last day, at its beginning.
        at: UnixMillis,
    },
    /// A case was accepted, and cannot be handed over all the same.
    NotHandedOver {
        /// Whom it was offered to.
        to: AreaCode,
        /// Why not.
        reason: Reason,
    },
    /// What came for a side of a case that was given away cannot go on to whoever holds it now.
    NotPassedOn {
        /// Who holds it now.
        to: AreaCode,
        /// Why not.
        reason: Reason,
    },
    /// The clock of this node is far from when it was last believed, and nobody confirms it.
    ClockDoubted {
        /// When it was last believed.
        since: UnixMillis,
    },
    /// A person was marked as at risk, and more waits to be sent than could be looked through.
    HidingCutShort,
    /// An origin has not been told in time what became of a birth registration.
    ResultToTell {
        /// The origin.
        to: AreaCode,
    },
    /// The papers for birth registrations are here, and this office has not asked the origins in time.
    OriginsToAsk,
    /// Messages were lost with a disk, and nobody has them any more.
    Lost {
        /// The backup was made then that the node was restored from; none after a rebuild.
        since: Option<UnixMillis>,
    },
    /// So much of the time has run in which an origin is to be told what became of a birth registration.
    ResultSoon {
        /// The origin.
        to: AreaCode,
        /// 50 or 80.
        percent: u8,
    },
    /// So much of the time has run in which this office has to ask the origins of a birth registration.
    OriginsSoon {
        /// 50 or 80.
        percent: u8,
    },
    /// A peer has signed a newer head of its ledger, and does not prove that it continues the one before.
    GrowthUnproven {
        /// The peer.
        peer: AreaCode,
        /// Since when it is asked.
        since: UnixMillis,
    },
    /// Messages of ours were handed back after a restore whose signature is of a certificate that was revoked since: their
    /// recipient alone answers for them.
    BackOnWord {
        /// The recipient.
        from: AreaCode,
    },
}

impl NoticeKind {
    /// What notices of one sort about one area have in common: number of the sort, area, percent.
    #[must_use]
    pub fn topic(&self) -> NoticeTopic {
        let area = |area: AreaCode| crate::messages::peer_key(area);
        let nobody = [b'0'; 6];
        match *self {
            Self::NotDelivered { to, percent } => (1, area(to), percent),
            Self::NotOpened { to, percent } => (2, area(to), percent),
            Self::NotAnswered { to, percent } => (3, area(to), percent),
            Self::ToAnswer { from, percent } => (4, area(from), percent),
            Self::Unopened { at, .. } => (5, area(at), 0),
            Self::Silent { area: silent, .. } => (6, area(silent), 0),
            Self::Conflict { peer } => (7, area(peer), 0),
            Self::Restored { .. } => (8, nobody, 0),
            Self::ListOld { authority, .. } => (9, authority.map_or(nobody, area), 0),
            Self::CertificateEnds { area: whose, .. } => (10, area(whose), 0),
            Self::DeadLetter { to } => (11, area(to), 0),
            Self::Retired { area: retired } => (12, area(retired), 0),
            Self::RolledBack { peer, .. } => (13, area(peer), 0),
            Self::CardsOld => (14, nobody, 0),
            Self::UnusualReads { .. } => (15, nobody, 0),
            Self::ContentDiffers { peer } => (30, area(peer), 0),
            Self::NotReconciled { with } => (31, area(with), 0),
            Self::CaseWaits { from } => (20, area(from), 0),
            Self::WithdrawalRefused { peer } => (40, area(peer), 0),
            Self::AgreementEnds { peer, .. } => (41, area(peer), 0),
            Self::NotHandedOver { to, .. } => (42, area(to), 0),
            Self::NotPassedOn { to, .. } => (43, area(to), 0),
            Self::ClockDoubted { .. } => (44, nobody, 0),
            Self::HidingCutShort => (45, nobody, 0),
            Self::ResultToTell { to } => (46, area(to), 0),
            Self::OriginsToAsk => (47, nobody, 0),
            Self::Lost { .. } => (32, nobody, 0),
            Self::ResultSoon { to, percent } => (48, area(to), percent),
            Self::OriginsSoon { percent } => (49, nobody, percent),
            Self::GrowthUnproven { peer, .. } => (33, area(peer), 0),
            Self::BackOnWord { from } => (37, area(from), 0),
        }
    }
}

/// Sort of a notice, area it is about, percent of the clock.
pub type NoticeTopic = (u8, [u8; 6], u8);

/// Most messages that one notice names; it counts all.
pub const NOTICE_MESSAGES_MAX: usize = 20;

/// Something an office is told; offices and messages are named, persons never. What happens to many messages of one
/// area on one day is one notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeRow {
    /// When it was first noticed.
    pub at: UnixMillis,
    /// When something was last added to it.
    pub last: UnixMillis,
    /// What it is.
    pub what: NoticeKind,
    /// How many messages it is about.
    pub count: u32,
    /// The first of them, at most [`NOTICE_MESSAGES_MAX`].
    pub messages: Vec<MessageId>,
    /// Who took it off the list, and when.
    pub done: Option<(OperatorName, UnixMillis)>,
}

/// Why an envelope travels without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WithdrawnWhy {
    /// Its message has lost its purpose.
    Expired,
    /// An operator gave it up.
    Discarded,
    /// The person has withdrawn the consent it rested on.
    ConsentWithdrawn,
}

/// An envelope of ours that travels as header and hash from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithdrawnRow {
    /// Its message.
    pub message: MessageId,
    /// Why.
    pub why: WithdrawnWhy,
    /// When that was decided.
    pub at: UnixMillis,
    /// SHA-256 of its sealed body.
    pub sealed_sha256: Digest,
}

first_layouts!(DeadLetterRow, DiscardReasonRow, NoticeRow, WithdrawnRow);
