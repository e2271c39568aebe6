//! Which cure a county owes for a difference, in which order it does that, and the rules by which no cure has an effect twice.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::UnixMillis;

use super::Entry;
use super::EntryState;
use super::difference::Difference;
use super::difference::DifferenceName;
use crate::digest::Digest;
use crate::lane::LaneOut;
use crate::lane::LaneSeq;
use crate::lane::Mark;
use crate::ledger::Direction;
use crate::receipt::Disposition;
use crate::receipt::Outcome;

/// What a county does about a difference, and with whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cure {
    /// Hands the sender its own message back.
    HandBack(AreaCode),
    /// Shows the other side the signed word about a message that was refused: there is nothing to deliver or to hand back.
    Show(AreaCode),
    /// Delivers its message again.
    Deliver(AreaCode),
    /// Asks for the receipt again; what still waits is offered again when none comes.
    Ask(AreaCode),
    /// Brings the sender its receipt, unasked: only of a county that cannot be asked.
    Tell(AreaCode),
    /// Reports to the node above; that is done by whoever asks for cures anyway.
    Report,
}

impl Cure {
    /// What the county `own` owes for a difference. `None` when that is another's to cure, or a person's.
    #[must_use]
    pub fn owed(own: AreaCode, difference: &Difference) -> Option<(MessageId, Self)> {
        let (id, (from, to)) = difference.id().zip(difference.pair())?;
        if !difference.holds_together() {
            return None;
        }
        if difference.told_by() == Some(own) {
            return Some((id, Self::Tell(from)));
        }
        if difference.cured_by() != Some(own) {
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

/// What a county owes for a list of differences. It is done in this order: what the other one lacks of its own comes first,
/// so that answers find their questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed<E> {
    /// Messages to hand back that answer nothing, with their senders.
    pub hand_back: Vec<(MessageId, AreaCode)>,
    /// Refusals to show, and to whom.
    pub show: Vec<(MessageId, AreaCode)>,
    /// Receipts to bring, and to whom.
    pub tell: Vec<(MessageId, AreaCode)>,
    /// Messages whose receipt to ask for, with their recipients. Those for which none comes are delivered, see [`again`].
    pub ask: Vec<(MessageId, AreaCode)>,
    /// Of the messages to deliver, those that answer one which is to be handed back first, and which that is: their recipient
    /// would refuse them for ever.
    pub after: BTreeMap<MessageId, MessageId>,
    /// Messages to deliver again, by recipient; and whether that says that it has them.
    pub deliver: BTreeMap<AreaCode, Vec<(MessageId, bool)>>,
    /// Answers to hand back after that, with their senders, and whether the question is in the list as well: then the sender
    /// is to wait for it.
    pub answers: Vec<(MessageId, AreaCode, bool)>,
    /// How many only ask for a report.
    pub reports: u32,
    /// Messages of which it could not be read what they answer.
    pub unread: Vec<(MessageId, E)>,
}

impl<E> Owed<E> {
    /// What `own` owes. `asked` reads which message a message answers that was sent to that county, or received from it.
    pub fn of(
        own: AreaCode,
        differences: &[Difference],
        mut asked: impl FnMut(MessageId, AreaCode, Direction) -> Result<Option<MessageId>, E>,
    ) -> Self {
        let differs: BTreeSet<MessageId> = differences.iter().filter_map(Difference::id).collect();
        let back = differences.iter().filter_map(|it| Cure::owed(own, it));
        let back = back.filter(|(_, cure)| matches!(cure, Cure::HandBack(_)));
        let back: BTreeSet<MessageId> = back.map(|(id, _)| id).collect();
        let mut owed = Self {
            hand_back: Vec::new(),
            show: Vec::new(),
            tell: Vec::new(),
            ask: Vec::new(),
            after: BTreeMap::new(),
            deliver: BTreeMap::new(),
            answers: Vec::new(),
            reports: 0,
            unread: Vec::new(),
        };
        for (id, cure) in differences.iter().filter_map(|it| Cure::owed(own, it)) {
            match cure {
                Cure::HandBack(from) => match asked(id, from, Direction::Received) {
                    Ok(None) => owed.hand_back.push((id, from)),
                    Ok(Some(asked)) => owed.answers.push((id, from, differs.contains(&asked))),
                    Err(error) => owed.unread.push((id, error)),
                },
                Cure::Show(peer) => owed.show.push((id, peer)),
                Cure::Deliver(to) => match asked(id, to, Direction::Sent) {
                    Ok(question) => {
                        let first = question.filter(|question| back.contains(question));
                        owed.after.extend(first.map(|question| (id, question)));
                        owed.deliver.entry(to).or_default().push((id, false));
                    }
                    Err(error) => owed.unread.push((id, error)),
                },
                Cure::Ask(to) => owed.ask.push((id, to)),
                Cure::Tell(from) => owed.tell.push((id, from)),
                Cure::Report => owed.reports = owed.reports.saturating_add(1),
            }
        }
        owed
    }
}

/// How a message of ours that its recipient lacks gets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Again {
    /// It waits in its lane: it is offered now, and the mark ends what holds it up.
    Waits(Option<Mark>),
    /// Its recipient has refused it, and a refusal stays one.
    Refused,
    /// It was settled, and its recipient says that it has it: nothing is delivered. The other's word, or a report, puts right
    /// what is said about it; sealed anew it would differ once more.
    Answered,
    /// It was settled, and its recipient has lost it: it is sealed anew, under its own id, in the present lane.
    Anew,
}

/// Decides that for a message in the place `sequence` of a lane; `is_there` where its recipient says that it has it.
#[must_use]
pub fn again(
    lane: Option<&LaneOut>,
    sequence: LaneSeq,
    (was_refused, is_there): (bool, bool),
    now: UnixMillis,
) -> Again {
    match lane {
        Some(lane) if lane.is_settled(sequence) => match (was_refused, is_there) {
            (true, _) => Again::Refused,
            (false, true) => Again::Answered,
            (false, false) => Again::Anew,
        },
        lane => {
            let is_held = lane.is_some_and(|lane| lane.rests_until(sequence).is_some());
            Again::Waits(is_held.then_some(Mark::Deferred(sequence, now)))
        }
    }
}

/// What was settled once and is sealed anew is taken for so long, however old it is: its receipt, or the word of its sender,
/// says that it came in time.
const AGAIN_WITHIN: Duration = Duration::from_secs(30 * 86_400);

/// When a message expires that is sealed anew.
#[must_use]
pub fn expires_again(expires: UnixMillis, now: UnixMillis) -> UnixMillis {
    expires.max(now.saturating_add(AGAIN_WITHIN))
}

/// Where in a receipt it stands that this message was stored with this digest: what is handed back proves itself by it.
#[must_use]
pub fn stored_in(said: &[Disposition], id: MessageId, digest: Digest) -> Option<usize> {
    said.iter().position(|said| {
        (said.message_id, said.digest) == (id, digest) && said.outcome == Outcome::Stored
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_its_recipient_has_is_not_sealed_anew() {
        use crate::lane::LaneEpoch;
        let (now, mut lane) = (UnixMillis::new(1_000), LaneOut::new(LaneEpoch::new(7)));
        let place = lane.assign();
        let of = |lane: &LaneOut| {
            [(false, false), (false, true), (true, false), (true, true)]
                .map(|known| again(Some(lane), place, known, now))
        };
        assert_eq!(of(&lane), [Again::Waits(None); 4]);
        assert_eq!(again(None, place, (false, true), now), Again::Waits(None));
        lane.apply([Mark::InCustody(place, UnixMillis::new(9_000))]);
        assert_eq!(of(&lane), [Again::Waits(Some(Mark::Deferred(place, now))); 4]);
        lane.apply([Mark::Settled(place)]);
        let settled = [Again::Anew, Again::Answered, Again::Refused, Again::Refused];
        assert_eq!(of(&lane), settled);
    }

    #[test]
    fn an_answer_goes_only_after_its_question_was_taken_back_and_who_cannot_be_asked_tells() {
        let (own, other): (AreaCode, AreaCode) =
            ("440305".parse().unwrap(), "410522".parse().unwrap());
        let entry = |number: u8, from, to| Entry {
            id: MessageId::from_bytes([number; 16]),
            digest: Digest::of(&[number]),
            from,
            to,
            state: EntryState::Stored,
        };
        let (question, answer) = (entry(1, other, own), entry(2, own, other));
        let (name, waits) = (DifferenceName::ReceiptMissing, EntryState::Waiting);
        let told = entry(3, other, own);
        let differences = [
            Difference {
                name: DifferenceName::MissingAtSender,
                sender: None,
                recipient: Some(question),
            },
            Difference {
                name: DifferenceName::MissingAtRecipient,
                sender: Some(answer),
                recipient: None,
            },
            Difference {
                name,
                sender: Some(Entry { state: waits, ..told }),
                recipient: Some(told),
            },
        ];
        let asked = |id, _, _| Ok::<_, ()>((id == answer.id).then_some(question.id));
        let owed = Owed::of(own, &differences, asked);
        assert_eq!(owed.hand_back, [(question.id, other)]);
        assert_eq!(owed.after, BTreeMap::from([(answer.id, question.id)]));
        assert_eq!(owed.deliver, BTreeMap::from([(other, vec![(answer.id, false)])]));
        assert_eq!(owed.tell, [(told.id, other)]);
        let theirs = Owed::of(other, &differences, asked);
        assert_eq!((theirs.ask, theirs.tell), (vec![(told.id, own)], vec![]));
        // What needs nothing to be handed back first goes at once.
        let alone = Owed::of(own, &differences[1..], asked);
        assert_eq!((alone.after.len(), alone.deliver), (0, owed.deliver));
    }
}
