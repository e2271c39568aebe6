//! The names of differences, and what cures each.

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::Date;
use serde::Deserialize;
use serde::Serialize;

use super::Entry;
use super::EntryState;
use super::set::Told;

/// What two sides disagree on about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DifferenceName {
    /// The recipient does not have it: the sender delivers again.
    MissingAtRecipient,
    /// The sender has lost it: the recipient hands it back.
    MissingAtSender,
    /// The sender has no receipt for what the recipient has decided: it is issued again.
    ReceiptMissing,
    /// Both have it, with other outcomes: the later signed word holds.
    StateDiffers,
    /// Both have something under the id, and not the same: a person decides.
    ContentDiffers,
    /// A county's entries of that day are incomplete, or it has not told what it may have sealed anew: it is asked again.
    NotReported,
}

impl DifferenceName {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::MissingAtRecipient,
        Self::MissingAtSender,
        Self::ReceiptMissing,
        Self::StateDiffers,
        Self::ContentDiffers,
        Self::NotReported,
    ];

    /// The name in statements and commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MissingAtRecipient => "MISSING_AT_RECIPIENT",
            Self::MissingAtSender => "MISSING_AT_SENDER",
            Self::ReceiptMissing => "RECEIPT_MISSING",
            Self::StateDiffers => "STATE_DIFFERS",
            Self::ContentDiffers => "CONTENT_DIFFERS",
            Self::NotReported => "NOT_REPORTED",
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::MissingAtRecipient => 1,
            Self::MissingAtSender => 2,
            Self::ReceiptMissing => 3,
            Self::StateDiffers => 4,
            Self::ContentDiffers => 5,
            Self::NotReported => 6,
        }
    }

    /// From that number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.number() == number)
    }

    /// Whether no program may decide it.
    #[must_use]
    pub const fn is_for_a_person(self) -> bool {
        matches!(self, Self::ContentDiffers)
    }
}

/// One difference, with what each side says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Its name.
    pub name: DifferenceName,
    /// What the sender's side says.
    pub sender: Option<Entry>,
    /// What the recipient's side says.
    pub recipient: Option<Entry>,
}

impl Difference {
    /// Either side's word.
    fn either(&self) -> Option<&Entry> {
        self.sender.as_ref().or(self.recipient.as_ref())
    }

    /// The message it is about; `None` only of a difference that says nothing.
    #[must_use]
    pub fn id(&self) -> Option<MessageId> {
        self.either().map(|entry| entry.id)
    }

    /// The counties, sender first.
    #[must_use]
    pub fn pair(&self) -> Option<(AreaCode, AreaCode)> {
        self.either().map(|entry| (entry.from, entry.to))
    }

    /// Whether the name fits what the two sides say: nobody delivers what he does not say that he has.
    #[must_use]
    pub const fn holds_together(&self) -> bool {
        match (self.name, &self.sender, &self.recipient) {
            (DifferenceName::MissingAtRecipient, Some(_), None)
            | (DifferenceName::MissingAtSender, None, Some(_)) => true,
            (DifferenceName::MissingAtRecipient | DifferenceName::MissingAtSender, ..) => false,
            (DifferenceName::NotReported, sender, recipient) => {
                sender.is_some() || recipient.is_some()
            }
            (
                DifferenceName::ReceiptMissing
                | DifferenceName::StateDiffers
                | DifferenceName::ContentDiffers,
                sender,
                recipient,
            ) => sender.is_some() && recipient.is_some(),
        }
    }

    /// The county that can bring its word when it cannot be asked for it: the recipient, where that has decided and the sender
    /// has no receipt, or another.
    #[must_use]
    pub fn told_by(&self) -> Option<AreaCode> {
        let (_, to) = self.pair()?;
        match self.name {
            DifferenceName::ReceiptMissing | DifferenceName::StateDiffers => Some(to),
            DifferenceName::MissingAtRecipient
            | DifferenceName::MissingAtSender
            | DifferenceName::ContentDiffers
            | DifferenceName::NotReported => None,
        }
    }

    /// The county that cures it: whoever has what the other lacks. Nobody where a person decides.
    #[must_use]
    pub fn cured_by(&self) -> Option<AreaCode> {
        let (from, to) = self.pair()?;
        match self.name {
            DifferenceName::MissingAtRecipient
            | DifferenceName::ReceiptMissing
            | DifferenceName::StateDiffers => Some(from),
            DifferenceName::MissingAtSender => Some(to),
            DifferenceName::NotReported => match (&self.sender, &self.recipient) {
                (Some(_), None) => Some(to),
                _ => Some(from),
            },
            DifferenceName::ContentDiffers => None,
        }
    }
}

/// What is known of counties when differences are named.
pub struct Known<'a> {
    /// Whether a county's entries of a day are all there.
    pub is_complete: &'a dyn Fn(AreaCode, Date) -> bool,
    /// Whether a county has told what is new since the comparison began.
    pub is_fresh: &'a dyn Fn(AreaCode) -> bool,
}

impl std::fmt::Debug for Known<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Known(..)")
    }
}

/// Names what two sides disagree on. `None` when they agree.
#[must_use]
pub fn name(
    sender: Option<&Told>,
    recipient: Option<&Told>,
    known: &Known<'_>,
) -> Option<DifferenceName> {
    let is_complete = known.is_complete;
    let (theirs, ours) = match (sender, recipient) {
        (None, None) => return None,
        (Some(Told { entry, .. }), None) => {
            return Some(if is_complete(entry.to, entry.day()) {
                DifferenceName::MissingAtRecipient
            } else {
                DifferenceName::NotReported
            });
        }
        (None, Some(Told { entry, .. })) => {
            return Some(if is_complete(entry.from, entry.day()) {
                DifferenceName::MissingAtSender
            } else {
                DifferenceName::NotReported
            });
        }
        (Some(sender), Some(recipient)) => (sender, recipient),
    };
    let (sent, got) = (&theirs.entry, &ours.entry);
    if sent == got {
        return None;
    }
    if (sent.from, sent.to) != (got.from, got.to) {
        return Some(DifferenceName::ContentDiffers);
    }
    if sent.digest != got.digest {
        // The sender has sealed it anew since: what the recipient took is its own earlier envelope.
        let knows = theirs.earlier.contains(&got.digest);
        return Some(match knows {
            true => DifferenceName::StateDiffers,
            // It may have sealed it anew, and its province does not know that yet.
            false if !(known.is_fresh)(sent.from) => DifferenceName::NotReported,
            false => DifferenceName::ContentDiffers,
        });
    }
    Some(match sent.state {
        EntryState::Waiting => DifferenceName::ReceiptMissing,
        EntryState::Stored | EntryState::Refused => DifferenceName::StateDiffers,
    })
}
