//! When a recipient holds something else under a number or a name of ours: `app::messages::heal`.

use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::envelope::{AlgorithmProfile, Header, SealHeader};
use exchange::lane::{LaneEpoch, LaneSeq, Mark};
use exchange::ledger::{Direction, LedgerEntry};
use exchange::receipt::{Disposition, Outcome};

use super::{Around, append_to_ledger, last_of_lane, mark};
use crate::disk::rows::{Key, MessageRow, Row, Side};
use crate::disk::unit::Unit;
use crate::mail::Envelope;
use crate::plan::NodeNo;

/// What is needed to send messages again in another epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Healing {
    pub(crate) new_epoch: LaneEpoch,
    /// Not so soon after the last.
    pub(crate) may_open: bool,
    pub(crate) now: UnixMillis,
}

/// What was done.
#[derive(Clone, Debug)]
pub(crate) struct Healed {
    pub(crate) epoch: LaneEpoch,
    pub(crate) through: LaneSeq,
    pub(crate) opened: bool,
    /// Places of the old lane that are settled by that, though their last word was none.
    pub(crate) settled: Vec<Mark>,
}

/// Which envelopes of a parcel met a conflict, or a recipient whose lane is behind: it has lost its memory, since nothing
/// is offered beyond the window above what it has answered.
pub(super) fn conflicts(sequences: &[LaneSeq], said: &[Disposition]) -> Vec<(LaneSeq, MessageId)> {
    let is_hurt = |outcome: &Outcome| {
        matches!(
            outcome,
            Outcome::Refused { reason: Reason::Conflict, .. }
                | Outcome::Deferred { reason: Reason::WindowExceeded, .. }
        )
    };
    let places = sequences.iter().zip(said).filter(|(_, said)| is_hurt(&said.outcome));
    places.map(|(sequence, said)| (*sequence, said.message_id)).collect()
}

/// Sends messages again that met a conflict in a lane, each under its own id, in the lane's present epoch or in a new
/// one.
pub(super) fn heal(
    (peer, epoch): (NodeNo, LaneEpoch),
    conflicts: &[(LaneSeq, MessageId)],
    healing: &Healing,
    unit: &mut Unit<'_>,
    around: &mut Around<'_>,
) -> Option<Healed> {
    let mut hurt = Vec::new();
    for (sequence, message) in conflicts {
        let key = Key::Message(Side::Sent, *message);
        let Some(row) = unit.get(&key).and_then(Row::message).cloned() else { continue };
        let is_there = row.epoch == epoch && row.sequence == *sequence;
        let envelope = unit.get(&Key::Envelope(peer, epoch, *sequence)).and_then(Row::envelope);
        let Some(old) = envelope.filter(|_| is_there && row.peer == peer).cloned() else {
            continue;
        };
        if old.header.expires > healing.now {
            hurt.push((key, *message, row, old));
        }
    }
    let present = unit.get(&Key::Epoch(peer)).and_then(Row::number).map(LaneEpoch::new);
    let (now_in, opened) = match present.filter(|present| *present != epoch) {
        Some(present) => (present, false),
        None if healing.may_open => (healing.new_epoch, true),
        None => return None,
    };
    if hurt.is_empty() {
        return None;
    }
    if opened {
        unit.put(Key::Epoch(peer), Row::Number(now_in.get()));
    }
    let settled = hurt.iter().map(|(_, _, row, _)| Mark::Settled(row.sequence)).collect();
    let mut healed = Healed { epoch: now_in, through: LaneSeq::FIRST, opened, settled };
    mark(peer, epoch, &healed.settled, unit);
    for (key, message, row, old) in hurt {
        healed.through = last_of_lane(peer, now_in, unit).next();
        if unit.contains(&Key::Withdrawn(peer, epoch, row.sequence)) {
            unit.put(Key::Withdrawn(peer, now_in, healed.through), Row::Number(1));
        }
        let named = (message, old.header.expires);
        let envelope = again(&old, named, now_in, healed.through, around);
        let digest = envelope.digest();
        append_to_ledger(LedgerEntry::of(&envelope.header, digest, Direction::Sent), unit);
        unit.put(Key::Envelope(peer, now_in, healed.through), envelope);
        let (epoch, sequence) = (now_in, healed.through);
        unit.put(key, MessageRow { epoch, sequence, digest, ..MessageRow::clone(&row) });
    }
    Some(healed)
}

/// The same message, sealed for another place.
pub(super) fn again(
    old: &Envelope,
    (message_id, expires): (MessageId, UnixMillis),
    epoch: LaneEpoch,
    sequence: LaneSeq,
    around: &mut Around<'_>,
) -> Envelope {
    let seal = SealHeader {
        profile: AlgorithmProfile::International,
        recipient_key_id: [0; 8],
        encapsulated_key: around.seal.encapsulated_key,
        counter: around.seal.next_counter,
    };
    around.seal.next_counter += 1;
    let header = Header { message_id, epoch, sequence, expires, seal, ..old.header.clone() };
    let envelope = Envelope::seal(header, *old.open());
    around.history.seals_again(old.open().message, envelope.digest());
    envelope
}
