//! When a recipient holds something else under the number or the name of a message of ours, or has forgotten what it has
//! answered before: the lane has lost its memory, on one side or the other. A new epoch is opened, and the messages go
//! into it under the same ids.

use std::sync::Arc;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::UnixMillis;
use exchange::envelope::{Header, SealedEnvelope, pad};
use exchange::keys::Sealer;
use exchange::lane::{LaneEpoch, LaneSeq, Mark};
use exchange::ledger::{Direction, LedgerEntry};
use store::letters::DeadReason;
use store::messages::{EnvelopeKey, MessageRow, Side, message_key, peer_key};
use store::tables::{ENVELOPE, LANE_EPOCH, MESSAGE, WITHDRAWN};
use store::{Kept, Unit};
use wire::encode_header;

use super::send::update;
use super::{journal_entry, settle};
use crate::app::{AppError, letters};

/// What is needed to send messages again in a new epoch.
pub struct Healing {
    /// Our area.
    pub own: AreaCode,
    /// Seals for the recipient; none while its card is not known.
    pub sealer: Option<Arc<dyn Sealer>>,
    /// The epoch to open, should one have to be.
    pub new_epoch: LaneEpoch,
    /// Whether one may be opened: not so soon after the last.
    pub may_open: bool,
    /// The time now.
    pub now: UnixMillis,
}

/// A message that cannot go on in its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hurt {
    /// Its place.
    pub sequence: LaneSeq,
    /// The message.
    pub message: MessageId,
    /// What is wrong.
    pub harm: Harm,
}

/// Why a message cannot go on in its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// Something else lies under its place or its name.
    Conflict,
    /// The recipient lacks what it had answered before, so that this place is too far ahead for it, for ever.
    Forgotten,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healed {
    /// The epoch in which the messages are now.
    pub epoch: LaneEpoch,
    /// The last of them; the place before the first when none was sent again.
    pub through: LaneSeq,
    /// Whether it was opened for them.
    pub opened: bool,
    /// The messages.
    pub messages: Vec<MessageId>,
    /// Places of the lane of before that nothing more is to be offered in.
    pub settled: Vec<Mark>,
}

/// Opens a new epoch for a peer, for what is sent from now on.
///
/// # Errors
/// When rows cannot be written.
pub fn open(unit: &mut Unit<'_>, peer: AreaCode, epoch: LaneEpoch) -> Result<Healed, AppError> {
    unit.put(&LANE_EPOCH, &peer_key(peer), &epoch.get())?;
    let (through, messages, settled) = (LaneSeq::BEFORE_FIRST, Vec::new(), Vec::new());
    Ok(Healed { epoch, through, opened: true, messages, settled })
}

/// Sends messages again that cannot go on in their lane, each under its own id, in the peer's present epoch or in a new
/// one. To be run in the unit that keeps the receipt; what met a conflict and cannot be sent again stays refused,
/// what was forgotten and has no purpose any more is brought to its end.
///
/// # Errors
/// When rows cannot be read or written.
pub fn heal(
    unit: &mut Unit<'_>,
    peer: AreaCode,
    epoch: LaneEpoch,
    hurt: &[Hurt],
    healing: &Healing,
) -> Result<Option<Healed>, AppError> {
    let Some(sealer) = &healing.sealer else { return Ok(None) };
    let forgotten = hurt.iter().filter(|hurt| hurt.harm == Harm::Forgotten);
    let settled: Vec<_> = forgotten.map(|hurt| Mark::Settled(hurt.sequence)).collect();
    let mut again = Vec::new();
    for hurt in hurt {
        again.extend(to_send_again(unit, (peer, epoch), hurt, healing.now)?);
    }
    if again.is_empty() && settled.is_empty() {
        return Ok(None);
    }
    let present = unit.get(&LANE_EPOCH, &peer_key(peer))?.map(LaneEpoch::new);
    let mut healed = match present.filter(|present| *present != epoch) {
        Some(epoch) => {
            let (through, messages) = (LaneSeq::BEFORE_FIRST, Vec::new());
            Healed { epoch, through, opened: false, messages, settled: Vec::new() }
        }
        None if healing.may_open => open(unit, peer, healing.new_epoch)?,
        None => return Ok(None),
    };
    for hurt in hurt.iter().filter(|hurt| hurt.harm == Harm::Forgotten) {
        let expired = sent(unit, hurt.message)?.filter(|row| row.expires <= healing.now);
        if expired.is_some() {
            letters::lose(unit, hurt.message, DeadReason::Expired, healing.now)?;
        }
    }
    settle::mark(unit, peer, epoch, &settled)?;
    for (message, row) in again {
        let place = (healed.epoch, sealer.as_ref());
        healed.through = put_again(unit, message, &row, place, healing.own)?;
        healed.messages.push(message);
    }
    healed.settled = settled;
    Ok(Some(healed))
}

/// A message of ours, unless its person was erased.
pub(crate) fn sent(unit: &Unit<'_>, message: MessageId) -> Result<Option<MessageRow>, AppError> {
    let kept = unit.get_personal(&MESSAGE, &message_key(message, Side::Sent))?;
    Ok(kept.and_then(Kept::value))
}

/// A message that has to go into another place: it is still in that one, and it has a purpose.
fn to_send_again(
    unit: &Unit<'_>,
    (peer, epoch): (AreaCode, LaneEpoch),
    hurt: &Hurt,
    now: UnixMillis,
) -> Result<Option<(MessageId, MessageRow)>, AppError> {
    let is_there = |row: &MessageRow| {
        (row.peer, row.epoch, row.sequence) == (peer, epoch, hurt.sequence) && row.expires > now
    };
    let Some(row) = sent(unit, hurt.message)?.filter(is_there) else { return Ok(None) };
    // What was withdrawn is not sealed again: its body never travels any more.
    let (side, lane) = EnvelopeKey::of(Side::Sent, peer, epoch).key();
    let withdrawn = unit.contains(&WITHDRAWN, &(side, lane, hurt.sequence.get()))?;
    Ok((!withdrawn).then_some((hurt.message, row)))
}

/// Puts one message into the lane of an epoch.
pub(crate) fn put_again(
    unit: &mut Unit<'_>,
    message: MessageId,
    row: &MessageRow,
    (epoch, sealer): (LaneEpoch, &dyn Sealer),
    own: AreaCode,
) -> Result<LaneSeq, AppError> {
    let lane = EnvelopeKey::of(Side::Sent, row.peer, epoch).key();
    let position = unit.next_position(&ENVELOPE, &lane)?;
    let sequence = LaneSeq::new(position);
    let cannot = |_| AppError::Signing("the seal for this peer is used up".to_owned());
    let seal = sealer.next_seal().map_err(cannot)?;
    let counter = seal.counter;
    let header = Header {
        message_id: message,
        from: own,
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
    let sealed = sealer.seal(counter, &bytes, padded).map_err(cannot)?;
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
        row.expires = header.expires;
    })?;
    Ok(sequence)
}

impl std::fmt::Debug for Healing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Healing").field("may_open", &self.may_open).finish_non_exhaustive()
    }
}
