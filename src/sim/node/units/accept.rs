//! Accepting a message, withdrawing one, and beginning lanes anew after a restore: `app::messages::send` and
//! `app::restore`.

use std::time::Duration;

use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::envelope::{AlgorithmProfile, Header, SealHeader};
use exchange::lane::LaneEpoch;
use exchange::ledger::{Direction, LedgerEntry};

use super::{Around, Done, append_to_ledger, last_of_lane};
use crate::disk::rows::{Key, MessageRow, Row, Side};
use crate::disk::unit::Unit;
use crate::history::Written;
use crate::mail::{Content, Envelope, Fitness, MessageNo};
use crate::plan::NodeNo;

/// A message to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draft {
    pub(crate) to: NodeNo,
    /// The clerk's clock when it was written.
    pub(crate) written: UnixMillis,
    pub(crate) fitness: Fitness,
    pub(crate) in_reply_to: Option<MessageId>,
    pub(crate) asks: bool,
    pub(crate) bytes: u32,
    pub(crate) lives: Duration,
    pub(crate) due_in: Option<Duration>,
}

/// Writes a message with everything that follows from it.
pub(super) fn accept(draft: &Draft, unit: &mut Unit<'_>, around: &mut Around<'_>) -> (Done, bool) {
    let to = draft.to;
    let refuse = |reason| (Done::NotAccepted { to, reason }, false);
    let id = around.ids.next(draft.written, around.dice.any());
    if let Some(asked) = draft.in_reply_to {
        let key = Key::Message(Side::Received, asked);
        let Some(question) = unit.get(&key).and_then(Row::message).cloned() else {
            return refuse(Reason::UnknownCase);
        };
        if question.answered.is_some() {
            return refuse(Reason::AlreadyAnswered);
        }
        unit.put(key, MessageRow { answered: Some(id), ..MessageRow::clone(&question) });
    }
    let epoch = epoch(to, unit, around);
    let sequence = last_of_lane(to, epoch, unit).next();
    let seal = SealHeader {
        profile: AlgorithmProfile::International,
        recipient_key_id: [0; 8],
        encapsulated_key: around.seal.encapsulated_key,
        counter: around.seal.next_counter,
    };
    around.seal.next_counter += 1;
    let header = Header {
        message_id: id,
        from: around.area,
        to: around.plan.area(to),
        epoch,
        sequence,
        created: draft.written,
        expires: draft.written.saturating_add(draft.lives),
        due: draft.due_in.map(|due| draft.written.saturating_add(due)),
        seal,
    };
    let (message, envelope) = seal_it(draft, header, around);
    let digest = envelope.digest();
    let row = MessageRow {
        peer: to,
        epoch,
        sequence,
        digest,
        content: *envelope.open(),
        stored: around.now,
        answered: None,
    };
    append_to_ledger(LedgerEntry::of(&envelope.header, digest, Direction::Sent), unit);
    unit.put(Key::Envelope(to, epoch, sequence), envelope);
    unit.put(Key::Message(Side::Sent, id), row);
    (Done::Accepted { message, to, epoch, sequence, id }, true)
}

fn seal_it(draft: &Draft, header: Header, around: &mut Around<'_>) -> (MessageNo, Envelope) {
    let message = around.history.next_message();
    let content = Content {
        message,
        fitness: draft.fitness,
        in_reply_to: draft.in_reply_to,
        asks: draft.asks,
        bytes: draft.bytes,
    };
    let envelope = Envelope::seal(header, content);
    let (id, expires) = (envelope.header.message_id, envelope.header.expires);
    let digest = envelope.digest();
    around.history.seals(Written { id, digest, from: around.own, to: draft.to, expires });
    (message, envelope)
}

fn epoch(to: NodeNo, unit: &mut Unit<'_>, around: &mut Around<'_>) -> LaneEpoch {
    let key = Key::Epoch(to);
    if let Some(epoch) = unit.get(&key).and_then(Row::number) {
        return LaneEpoch::new(epoch);
    }
    let epoch = around.dice.any();
    unit.put(key, Row::Number(epoch));
    LaneEpoch::new(epoch)
}

/// Its envelope travels without its body from now on.
pub(super) fn withdraw(message: MessageId, unit: &mut Unit<'_>) {
    let row = unit.get(&Key::Message(Side::Sent, message)).and_then(Row::message);
    let Some((peer, epoch, sequence)) = row.map(|row| (row.peer, row.epoch, row.sequence)) else {
        return;
    };
    let lane = unit.get(&Key::LaneOut(peer, epoch)).and_then(Row::lane_out);
    if lane.is_none_or(|lane| !lane.is_settled(sequence)) {
        unit.put(Key::Withdrawn(peer, epoch, sequence), Row::Number(1));
    }
}

/// Drops all epochs, so that the next message to each peer opens a new one.
pub(super) fn open_new_epochs(unit: &mut Unit<'_>, now: UnixMillis) {
    let all = Key::Epoch(NodeNo::new(0))..=Key::Epoch(NodeNo::new(u32::MAX));
    for (key, _) in unit.scan(all) {
        unit.delete(key);
    }
    unit.put(Key::Restored, Row::Number(now.get()));
}
