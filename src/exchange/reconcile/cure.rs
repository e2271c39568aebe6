//! Which cure a county owes for a difference.

use domain::area::AreaCode;
use domain::id::MessageId;

use super::Entry;
use super::EntryState;
use super::difference::Difference;
use super::difference::DifferenceName;
use super::set::Told;

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

/// Whether a sender knows by itself what the recipient says of a message: the recipient has signed that it has stored it, and
/// what it took is an envelope of before that the sender has sealed for it. Then the sender says so as well; delivering
/// again would only give the message one more digest that the other side does not name.
#[must_use]
pub fn is_known(own: &Told, theirs: &Entry) -> bool {
    let is_stored = |entry: &Entry| entry.state == EntryState::Stored;
    (own.entry.from, own.entry.to) == (theirs.from, theirs.to)
        && is_stored(&own.entry)
        && is_stored(theirs)
        && own.earlier.contains(&theirs.digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    #[test]
    fn a_sender_says_what_the_recipient_says_only_of_its_own_envelopes_of_a_message_that_is_stored()
    {
        let digest = |name: &[u8]| Digest::of(name);
        let say = |name: &[u8], state| Entry {
            id: MessageId::from_bytes([7; 16]),
            digest: digest(name),
            from: "440305".parse().unwrap(),
            to: "410522".parse().unwrap(),
            state,
        };
        let own = |state| Told { entry: say(b"third", state), earlier: vec![digest(b"second")] };
        let theirs = say(b"second", EntryState::Stored);
        assert!(is_known(&own(EntryState::Stored), &theirs));
        assert!(!is_known(&own(EntryState::Waiting), &theirs), "no receipt says so yet");
        assert!(!is_known(&own(EntryState::Refused), &theirs));
        assert!(!is_known(&own(EntryState::Stored), &say(b"foreign", EntryState::Stored)));
        assert!(!is_known(&own(EntryState::Stored), &say(b"second", EntryState::Refused)));
        let to_another = Entry { to: "410523".parse().unwrap(), ..theirs };
        assert!(!is_known(&own(EntryState::Stored), &to_another));
    }
}
