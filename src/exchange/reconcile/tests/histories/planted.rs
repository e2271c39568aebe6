//! What may be wrong between two histories, and how it came to be so.

use super::*;

/// What may be wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planted {
    Equal(EntryState),
    /// The recipient has lost what the sender says is so.
    AtSenderAlone(EntryState),
    /// The sender has lost what the recipient says is so.
    AtRecipientAlone(EntryState),
    /// Sender, recipient.
    Both(EntryState, EntryState),
    /// The sender has sealed it anew since.
    SealedAnew,
    OtherContent,
    /// The recipient has it from another county.
    OtherPair,
    /// The recipient has it and has not reported that.
    RecipientSilent,
    /// The sender has it and has not reported that.
    SenderSilent,
    /// The sender has sealed it anew and has not reported that.
    SealedInSilence,
    /// Before the day since which the recipient has not reported, and lost there.
    BeforeTheSilence,
    /// A question that its recipient has lost, with the answer that it had given.
    QuestionAndAnswer,
}

impl Planted {
    pub(super) const ALL: [Self; 18] = {
        use EntryState::{Refused, Stored, Waiting};
        [
            Self::Equal(Stored),
            Self::Equal(Refused),
            Self::AtSenderAlone(Waiting),
            Self::AtSenderAlone(Stored),
            Self::AtSenderAlone(Refused),
            Self::AtRecipientAlone(Stored),
            Self::AtRecipientAlone(Refused),
            Self::Both(Waiting, Stored),
            Self::Both(Waiting, Refused),
            Self::Both(Stored, Refused),
            Self::Both(Refused, Stored),
            Self::SealedAnew,
            Self::OtherContent,
            Self::OtherPair,
            Self::RecipientSilent,
            Self::SenderSilent,
            Self::SealedInSilence,
            Self::BeforeTheSilence,
        ]
    };

    pub(super) const fn name(self) -> Option<DifferenceName> {
        use DifferenceName as N;
        match self {
            Self::Equal(_) => None,
            Self::AtSenderAlone(_) | Self::BeforeTheSilence | Self::QuestionAndAnswer => {
                Some(N::MissingAtRecipient)
            }
            Self::AtRecipientAlone(_) => Some(N::MissingAtSender),
            Self::Both(EntryState::Waiting, _) => Some(N::ReceiptMissing),
            Self::Both(..) | Self::SealedAnew => Some(N::StateDiffers),
            Self::OtherContent | Self::OtherPair => Some(N::ContentDiffers),
            Self::RecipientSilent | Self::SenderSilent | Self::SealedInSilence => {
                Some(N::NotReported)
            }
        }
    }
}

impl World {
    pub(super) fn plant(
        &mut self,
        number: u64,
        planted: Planted,
    ) -> Vec<(MessageId, DifferenceName)> {
        let side = usize::try_from(number % 2).unwrap();
        let of = |side: usize, which: usize| area(COUNTIES[side][which]);
        let pair = match planted {
            Planted::RecipientSilent | Planted::BeforeTheSilence => (of(side, 0), of(1 - side, 1)),
            Planted::SenderSilent | Planted::SealedInSilence => (of(side, 1), of(1 - side, 0)),
            _ => (of(side, 0), of(1 - side, 0)),
        };
        let (from, to) = pair;
        if planted == Planted::SenderSilent {
            self.is_silent(from);
        }
        let made = match planted {
            Planted::BeforeTheSilence => NOW.get() - DAY_MS,
            _ => NOW.get(),
        };
        let mut random = [0; 10];
        random[2..].copy_from_slice(&number.to_be_bytes());
        let id = MessageId::new(UnixMillis::new(made), random);
        let mut sent = self.accepts(id, pair);
        let (digest, anew) = (sent.digest, seal(id, 1));
        match planted {
            Planted::Equal(state) => {
                self.has(&sent, digest, state);
                self.settles(from, &said(id, digest, state));
            }
            Planted::AtSenderAlone(EntryState::Waiting) => {}
            Planted::AtSenderAlone(state) => self.settles(from, &said(id, digest, state)),
            Planted::BeforeTheSilence => {
                self.settles(from, &said(id, digest, EntryState::Stored));
            }
            Planted::AtRecipientAlone(state) => {
                self.has(&sent, digest, state);
                self.forgets(from, id);
            }
            Planted::Both(ours, theirs) => {
                self.has(&sent, digest, theirs);
                if ours != EntryState::Waiting {
                    self.settles(from, &said(id, digest, ours));
                }
            }
            Planted::SealedAnew => {
                self.has(&sent, digest, EntryState::Stored);
                self.settles(from, &said(id, digest, EntryState::Stored));
                self.seals_again(from, id);
            }
            Planted::OtherContent => {
                sent.body = 2;
                self.has(&sent, anew, EntryState::Stored);
            }
            Planted::OtherPair => {
                sent.header.from = area(OTHERS[side]);
                self.has(&sent, digest, EntryState::Stored);
                self.settles(from, &said(id, digest, EntryState::Stored));
            }
            Planted::RecipientSilent => {
                self.settles(from, &said(id, digest, EntryState::Stored));
                self.is_silent(to);
                self.has(&sent, digest, EntryState::Stored);
            }
            Planted::SenderSilent => {
                self.has(&sent, digest, EntryState::Stored);
                self.settles(from, &said(id, digest, EntryState::Stored));
            }
            // It is sealed anew when everything that its county has reported is there.
            Planted::SealedInSilence => self.has(&sent, anew, EntryState::Stored),
            Planted::QuestionAndAnswer => return self.question_and_answer(id, &sent, number),
        }
        planted.name().map(|name| (id, name)).into_iter().collect()
    }

    /// Its recipient had it, has answered it, and has lost both.
    fn question_and_answer(
        &mut self,
        id: MessageId,
        sent: &Sent,
        number: u64,
    ) -> Vec<(MessageId, DifferenceName)> {
        let (from, to) = (sent.header.from, sent.header.to);
        self.settles(from, &said(id, sent.digest, EntryState::Stored));
        let mut random = [1; 10];
        random[2..].copy_from_slice(&number.to_be_bytes());
        let answer = MessageId::new(NOW, random);
        let mut answers = self.accepts(answer, (to, from));
        answers.asks = Some(id);
        self.has(&answers.clone(), answers.digest, EntryState::Stored);
        self.forgets(to, answer);
        vec![(id, DifferenceName::MissingAtRecipient), (answer, DifferenceName::MissingAtSender)]
    }

    /// The data of a county are those of before it has sent that.
    fn forgets(&mut self, from: AreaCode, id: MessageId) {
        let county = self.county(from);
        county.sent.remove(&id);
        county.book.retain(|(direction, entry)| (*direction, entry.id) != (Direction::Sent, id));
    }

    /// What comes from here on, it has not reported.
    pub(super) fn is_silent(&mut self, area: AreaCode) {
        let county = self.county(area);
        county.told.get_or_insert(county.book.len());
    }
}
