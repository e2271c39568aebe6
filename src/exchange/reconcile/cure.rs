//! Which cure a county owes for a difference.

use domain::area::AreaCode;
use domain::id::MessageId;

use super::Entry;
use super::EntryState;
use super::difference::Difference;
use super::difference::DifferenceName;

/// What a county does about a difference, and with whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cure {
    /// Hands the sender its own message back.
    HandBack(AreaCode),
    /// Shows the other side the signed word about a message that was refused: there is nothing to deliver or to hand back.
    Show(AreaCode),
    /// Delivers its message again.
    Deliver(AreaCode),
    /// Asks for the receipt again, and delivers again when none comes.
    Ask(AreaCode),
    /// Reports to the node above; that is done by whoever asks for cures anyway.
    Report,
}

impl Cure {
    /// What the county `own` owes for a difference. `None` when that is another's to cure, or a person's.
    #[must_use]
    pub fn owed(own: AreaCode, difference: &Difference) -> Option<(MessageId, Self)> {
        let (id, (from, to)) = difference.id().zip(difference.pair())?;
        if difference.cured_by() != Some(own) || !difference.holds_together() {
            return None;
        }
        let was_refused = |entry: &Option<Entry>| {
            entry.as_ref().is_some_and(|entry| entry.state == EntryState::Refused)
        };
        let cure = match difference.name {
            DifferenceName::MissingAtSender if was_refused(&difference.recipient) => {
                Self::Show(from)
            }
            DifferenceName::MissingAtSender => Self::HandBack(from),
            DifferenceName::MissingAtRecipient if was_refused(&difference.sender) => Self::Show(to),
            DifferenceName::MissingAtRecipient => Self::Deliver(to),
            DifferenceName::ReceiptMissing | DifferenceName::StateDiffers => Self::Ask(to),
            DifferenceName::NotReported => Self::Report,
            DifferenceName::ContentDiffers => return None,
        };
        Some((id, cure))
    }
}
