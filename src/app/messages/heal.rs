//! When a recipient holds something else under the number or the name of a message of ours: the lane has lost its
//! memory, on one side or the other. A new epoch is opened, and the message goes into it under the same id.

use std::sync::Arc;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::UnixMillis;
use exchange::envelope::{Header, SealedEnvelope, pad};
use exchange::keys::Sealer;
use exchange::lane::{LaneEpoch, LaneSeq};
use exchange::ledger::{Direction, LedgerEntry};
use store::messages::{EnvelopeKey, MessageRow, Side, message_key, peer_key};
use store::tables::{ENVELOPE, LANE_EPOCH, MESSAGE};
use store::{Kept, Unit};
use wire::encode_header;

use super::journal_entry;
use super::send::update;
use crate::app::AppError;

/// What is needed to send messages again in a new epoch.
pub struct Healing {
    /// Our area.
    pub own: AreaCode,
    /// Seals for the recipient.
    pub sealer: Arc<dyn Sealer>,
    /// The epoch to open, should one have to be.
    pub new_epoch: LaneEpoch,
    /// Whether one may be opened: not so soon after the last.
    pub may_open: bool,
    /// The time now.
    pub now: UnixMillis,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healed {
    /// The epoch in which the messages are now.
    pub epoch: LaneEpoch,
    /// The last of them.
    pub through: LaneSeq,
    /// Whether it was opened for them.
    pub opened: bool,
    /// The messages.
    pub messages: Vec<MessageId>,
}

/// Sends messages again that met a conflict in a lane, each under its own id, in the lane's present epoch or in a new
/// one. To be run in the unit that keeps the receipt; what cannot be sent again stays refused.
///
/// # Errors
/// When rows cannot be read or written.
pub fn heal(
    unit: &mut Unit<'_>,
    peer: AreaCode,
    epoch: LaneEpoch,
    conflicts: &[(LaneSeq, MessageId)],
    healing: &Healing,
) -> Result<Option<Healed>, AppError> {
    let mut hurt = Vec::new();
    for (sequence, message) in conflicts {
        let row = unit.get_personal(&MESSAGE, &message_key(*message, Side::Sent))?;
        let Some(Kept::Value { value: row, .. }) = row else { continue };
        let is_there = row.epoch == epoch && row.sequence == *sequence;
        if is_there && row.peer == peer && row.expires > healing.now {
            hurt.push((*message, row));
        }
    }
    let present = unit.get(&LANE_EPOCH, &peer_key(peer))?.map(LaneEpoch::new);
    let (now_in, opened) = match present.filter(|present| *present != epoch) {
        Some(present) => (present, false),
        None if healing.may_open => (healing.new_epoch, true),
        None => return Ok(None),
    };
    if hurt.is_empty() {
        return Ok(None);
    }
    if opened {
        unit.put(&LANE_EPOCH, &peer_key(peer), &now_in.get())?;
    }
    let mut healed =
        Healed { epoch: now_in, through: LaneSeq::FIRST, opened, messages: Vec::new() };
    for (message, row) in hurt {
        healed.through = again(unit, message, &row, now_in, healing)?;
        healed.messages.push(message);
    }
    Ok(Some(healed))
}

/// Puts one message into the lane of that epoch.
fn again(
    unit: &mut Unit<'_>,
    message: MessageId,
    row: &MessageRow,
    epoch: LaneEpoch,
    healing: &Healing,
) -> Result<LaneSeq, AppError> {
    let lane = EnvelopeKey::of(Side::Sent, row.peer, epoch).key();
    let position = unit.next_position(&ENVELOPE, &lane)?;
    let sequence = LaneSeq::new(position);
    let cannot = |_| AppError::Signing("the seal for this peer is used up".to_owned());
    let seal = healing.sealer.next_seal().map_err(cannot)?;
    let counter = seal.counter;
    let header = Header {
        message_id: message,
        from: healing.own,
        to: row.peer,
        epoch,
        sequence,
        created: row.created,
        expires: row.expires,
        due: row.due,
        seal,
    };
    let padded =
        pad(&row.content.0).map_err(|_| AppError::Internal("a kept content is too large"))?;
    let bytes = encode_header(&header);
    let sealed = healing.sealer.seal(counter, &bytes, padded).map_err(cannot)?;
    let envelope = SealedEnvelope::new(bytes, sealed);
    let digest = envelope.digest();
    unit.append_at(&ENVELOPE, &lane, position, &journal_entry(&envelope))?;
    let entry = LedgerEntry::of(&header, digest, Direction::Sent);
    unit.append_ledger(&entry.canonical_bytes())?;
    update(unit, message, Side::Sent, |row| {
        row.epoch = epoch;
        row.sequence = sequence;
        row.position = position;
        row.digest = digest;
    })?;
    Ok(sequence)
}

impl std::fmt::Debug for Healing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Healing").field("may_open", &self.may_open).finish_non_exhaustive()
    }
}
