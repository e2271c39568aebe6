//! Keeping a receipt: written together with what it settles in the lane, whichever way it came.

use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::courier::{self, CourierSettings};
use exchange::digest::Digest;
use exchange::lane::{LaneEpoch, LaneOut, LaneSeq, Mark};
use exchange::ledger::{HeadChange, SeenHead};
use exchange::parcel::ParcelId;
use exchange::receipt::{Disposition, Offered, Outcome, Receipt, ReceiptManifest};
use store::letters::NoticeKind;
use store::messages::{
    Blob, EnvelopeKey, LaneOutRow, ParcelKey, ParcelRow, Side, Signed, peer_area, peer_key,
};
use store::network::PeerHeadRow;
use store::reconcile::Change;
use store::tables::{CONSIGNMENT, ENVELOPE, LANE_EPOCH, LANE_OUT, PARCEL, PEER_HEAD, RECEIPT};
use store::transit::ConsignmentRow;
use store::{Store, Unit};
use wire::{decode_disposition, decode_header, decode_manifest};

use super::envelope_of;
use super::heal::{self, Harm, Healed, Healing, Hurt};
use super::receive::keep_chain;
use crate::app::AppError;
use crate::app::ledger::growth;
use crate::app::letters::{self, Said};
use crate::app::notices;
use crate::app::reconcile::books;
use crate::app::relay::chain_of;

/// A receipt that answers a parcel of ours, checked in every respect.
#[derive(Debug)]
pub struct Answered {
    /// The peer that signed it.
    pub peer: AreaCode,
    /// Epoch of the lane the parcel was made of.
    pub epoch: LaneEpoch,
    /// Name of the parcel.
    pub parcel_id: ParcelId,
    /// The parcel's manifest and signature.
    pub parcel: Signed,
    /// SHA-256 of the certificate that signed the parcel: our own, at that time.
    pub parcel_signer: Digest,
    /// The chain of that certificate.
    pub parcel_chain: Vec<Vec<u8>>,
    /// Sequences of the envelopes, in order; [`LaneSeq::BEFORE_FIRST`] for what is not known to lie in the lane.
    pub sequences: Vec<LaneSeq>,
    /// What became of each, as the receipt says.
    pub said: Vec<Disposition>,
    /// The receipt as it came, with the chain of whoever signed it.
    pub receipt: Receipt,
    /// SHA-256 of the certificate that signed the receipt.
    pub receipt_signer: Digest,
    /// Head of the peer's ledger in the receipt, and when it was signed.
    pub head: SeenHead,
}

/// Writes a receipt and its marks, sends again what cannot go on in its lane, and puts what was refused on the list of
/// dead letters. To be run as one unit of the store.
///
/// # Errors
/// When rows cannot be read or written.
pub fn keep(
    unit: &mut Unit<'_>,
    answered: &Answered,
    marks: &[Mark],
    healing: &Healing,
    now: UnixMillis,
) -> Result<Option<Healed>, AppError> {
    mark(unit, answered.peer, answered.epoch, marks)?;
    let row = ParcelRow {
        parcel_id: answered.parcel_id,
        parcel: answered.parcel.clone(),
        sequences: answered.sequences.iter().map(|s| s.get()).collect(),
        dispositions: answered.receipt.dispositions.iter().map(|d| Blob(d.to_vec())).collect(),
    };
    let key = parcel_key(answered.peer, answered.epoch, &row);
    unit.put(&PARCEL, &key, &row)?;
    let receipt = Signed {
        manifest: Blob(answered.receipt.manifest_bytes.to_vec()),
        signature: Blob(answered.receipt.signature.to_vec()),
    };
    unit.put(&RECEIPT, &key, &receipt)?;
    books::note(unit, &Change::Parcel(key))?;
    books::note_refusals(unit, answered.peer, key, &answered.said)?;
    keep_chain(unit, answered.parcel_signer, &answered.parcel_chain)?;
    keep_chain(unit, answered.receipt_signer, &answered.receipt.chain)?;
    let healed = mend(unit, answered, healing, now)?;
    let said = final_words(answered, healed.as_ref());
    letters::heard(unit, answered.peer, answered.epoch, &said, now)?;
    Ok(healed)
}

/// Looks whether the peer still has what it had. If it holds something else under our names, or has lost its memory, the
/// office is told, what comes is sent in another epoch, and what cannot go on in its lane as well.
fn mend(
    unit: &mut Unit<'_>,
    answered: &Answered,
    healing: &Healing,
    now: UnixMillis,
) -> Result<Option<Healed>, AppError> {
    let (peer, hurt) = (answered.peer, answered.hurt());
    let conflicts = hurt.iter().filter(|hurt| hurt.harm == Harm::Conflict);
    let names: Vec<_> = conflicts.map(|hurt| hurt.message).collect();
    if !names.is_empty() {
        notices::raise(unit, now, NoticeKind::Conflict { peer }, &names)?;
    }
    let known = unit.get(&PEER_HEAD, &peer_key(peer))?.map(|row| row.seen);
    let latest = now.saturating_add(growth::AHEAD_MAX);
    let head = SeenHead { signed: answered.head.signed.min(latest), ..answered.head };
    let head = match known.filter(|known| known.compare(&head) == HeadChange::Late) {
        Some(known) => head.answering(&known, answered.asked()),
        None => head,
    };
    let change = known.map_or(HeadChange::Grown, |known| known.compare(&head));
    let is_loss = change.is_loss();
    let opened = match is_loss && healing.may_open {
        true => Some(heal::open(unit, peer, healing.new_epoch)?),
        false => None,
    };
    if !is_loss || opened.is_some() {
        // A loss that no lane could be opened for is to be noticed again.
        let seen = known.map_or(head, |known| known.after(head));
        unit.put(&PEER_HEAD, &peer_key(peer), &PeerHeadRow { seen })?;
    }
    if let Some(known) = known.filter(|_| change == HeadChange::RolledBack) {
        growth::suspect(unit, peer, (known, head))?;
    }
    let healed = match hurt.is_empty() {
        true => None,
        false => heal::heal(unit, peer, answered.epoch, &hurt, healing)?,
    };
    let has_forgotten = healed.as_ref().is_some_and(|healed| !healed.settled.is_empty());
    // That it was set back a head alone does not show: see `growth::suspect`.
    if change == HeadChange::Rewritten || has_forgotten {
        let (before, after) = (known.unwrap_or(head).head, head.head);
        let messages = healed.as_ref().map(|healed| healed.messages.as_slice()).unwrap_or_default();
        notices::raise(unit, now, NoticeKind::RolledBack { peer, before, after }, messages)?;
    }
    Ok(match (healed, opened) {
        (Some(healed), Some(_)) => Some(Healed { opened: true, ..healed }),
        (healed, opened) => healed.or(opened),
    })
}

/// What a receipt says for ever, of messages that are not on their way again already.
fn final_words(answered: &Answered, healed: Option<&Healed>) -> Vec<Said> {
    let again = healed.map(|healed| healed.messages.as_slice()).unwrap_or_default();
    let said = answered.places().filter_map(|(sequence, said)| {
        let refused = match &said.outcome {
            Outcome::Stored => None,
            Outcome::Refused { reason, field } => Some((*reason, field.clone())),
            Outcome::Deferred { .. } => return None,
        };
        Some(Said { id: said.message_id, sequence: *sequence, refused })
    });
    said.filter(|said| !again.contains(&said.id)).collect()
}

/// Applies marks to an outbound lane.
///
/// # Errors
/// When rows cannot be read or written.
pub(crate) fn mark(
    unit: &mut Unit<'_>,
    peer: AreaCode,
    epoch: LaneEpoch,
    marks: &[Mark],
) -> Result<(), AppError> {
    let key = EnvelopeKey::of(Side::Sent, peer, epoch).key();
    let mut lane = unit.get(&LANE_OUT, &key)?.map_or_else(|| LaneOut::new(epoch), |row| row.lane);
    let next = unit.next_position(&ENVELOPE, &key)?;
    lane.assigned_through(LaneSeq::new(next).prev());
    lane.apply(marks.iter().copied());
    unit.put(&LANE_OUT, &key, &LaneOutRow { lane })?;
    Ok(())
}

/// Where a parcel that was sent from here is kept.
pub(super) fn parcel_key(peer: AreaCode, epoch: LaneEpoch, row: &ParcelRow) -> ParcelKey {
    let (side, epoch) = EnvelopeKey::of(Side::Sent, peer, epoch).key();
    let places =
        row.sequences.iter().copied().filter(|place| *place != LaneSeq::BEFORE_FIRST.get());
    (side, epoch, places.min().unwrap_or_default(), *row.parcel_id.as_bytes())
}

impl Answered {
    /// When we signed the parcel; 1970 when its manifest cannot be read.
    fn asked(&self) -> UnixMillis {
        let manifest = wire::decode_manifest(&self.parcel.manifest.0);
        manifest.map_or(UnixMillis::new(0), |manifest| manifest.signed)
    }

    /// What is said of what has a place in the lane.
    fn places(&self) -> impl Iterator<Item = (&LaneSeq, &Disposition)> {
        let places = self.sequences.iter().zip(&self.said);
        places.filter(|(place, _)| **place != LaneSeq::BEFORE_FIRST)
    }

    /// Which messages cannot go on in their lane. Nothing is ever offered beyond the window above what the peer has
    /// answered; so one that finds something too far ahead lacks what it had.
    fn hurt(&self) -> Vec<Hurt> {
        let hurt = self.places().filter_map(|(sequence, said)| {
            let harm = match &said.outcome {
                Outcome::Refused { reason: Reason::Conflict, .. } => Harm::Conflict,
                Outcome::Deferred { reason: Reason::WindowExceeded, .. } => Harm::Forgotten,
                Outcome::Stored | Outcome::Refused { .. } | Outcome::Deferred { .. } => {
                    return None;
                }
            };
            Some(Hurt { sequence: *sequence, message: said.message_id, harm })
        });
        hurt.collect()
    }
}

/// A receipt for a parcel that somebody carried, checked in every respect but for who signed it.
#[derive(Debug)]
pub struct Returned(Answered);

impl Returned {
    /// The recipient, which signed it.
    #[must_use]
    pub const fn peer(&self) -> AreaCode {
        self.0.peer
    }

    /// How many envelopes it answers.
    #[must_use]
    pub fn count(&self) -> u64 {
        u64::try_from(self.0.said.len()).unwrap_or(u64::MAX)
    }
}

/// Checks a receipt whose signature holds against the parcel of ours that it names, which a relay or a file carried.
/// Says why it is of no use, when it is of none: nothing like it was consigned, it was answered before, or
/// it does not fit.
///
/// # Errors
/// When rows cannot be read.
pub fn check_returned(
    store: &Store,
    manifest: &ReceiptManifest,
    receipt: Receipt,
) -> Result<Result<Returned, String>, AppError> {
    let Some(row) = store.get(&CONSIGNMENT, manifest.parcel_id.as_bytes())? else {
        return Ok(Err("no parcel of that name is on its way".to_owned()));
    };
    let parcel = decode_manifest(&row.parcel.signed.manifest.0)
        .map_err(|_| AppError::Internal("a manifest of ours is unreadable"))?;
    let dispositions = receipt.dispositions.iter().map(|bytes| decode_disposition(bytes));
    let dispositions = match dispositions.collect::<Result<Vec<_>, _>>() {
        Ok(dispositions) => dispositions,
        Err(fault) => return Ok(Err(fault.to_string())),
    };
    let offered = offered(store, &row)?;
    let fits = manifest.check_answers(&parcel, &offered, &receipt.dispositions, &dispositions);
    if let Err(fault) = fits {
        return Ok(Err(fault.to_string()));
    }
    let ConsignmentRow { peer, epoch, sequences, parcel, .. } = row;
    let sequences: Vec<_> = sequences.into_iter().map(LaneSeq::new).collect();
    let answered = Answered {
        peer,
        epoch,
        parcel_id: manifest.parcel_id,
        parcel_chain: chain_of(store, parcel.signer)?,
        parcel: parcel.signed,
        parcel_signer: parcel.signer,
        sequences,
        said: dispositions,
        receipt,
        receipt_signer: manifest.signer,
        head: SeenHead { head: manifest.ledger_head, signed: manifest.signed },
    };
    Ok(Ok(Returned(answered)))
}

/// What was in a parcel that somebody carries, from the journal.
fn offered(store: &Store, row: &ConsignmentRow) -> Result<Vec<Offered>, AppError> {
    let key = EnvelopeKey::of(Side::Sent, row.peer, row.epoch).key();
    let each = row.sequences.iter().map(|sequence| {
        let entry = store.read(&ENVELOPE, &key, *sequence)?;
        let envelope = entry.and_then(envelope_of);
        let envelope = envelope.ok_or(AppError::Internal("an envelope of ours is gone"))?;
        let header = decode_header(&envelope.header_bytes)
            .map_err(|_| AppError::Internal("a header of ours is unreadable"))?;
        Ok(Offered { message_id: header.message_id, digest: envelope.digest() })
    });
    each.collect()
}

/// What a receipt that came back has settled.
#[derive(Debug)]
pub struct Settled {
    /// The recipient.
    pub peer: AreaCode,
    /// Epoch of the lane.
    pub epoch: LaneEpoch,
    /// What changed in the lane.
    pub marks: Vec<Mark>,
    /// What was sent again.
    pub healed: Option<Healed>,
}

/// Writes a receipt that came back. `None` when another one was quicker. To be run as one unit of the store.
///
/// # Errors
/// When rows cannot be read or written.
pub fn keep_returned(
    unit: &mut Unit<'_>,
    returned: &Returned,
    healing: &Healing,
    settings: &CourierSettings,
    now: UnixMillis,
) -> Result<Option<Settled>, AppError> {
    let Returned(answered) = returned;
    let key = answered.parcel_id.as_bytes();
    if !unit.contains(&CONSIGNMENT, key)? {
        return Ok(None);
    }
    unit.delete(&CONSIGNMENT, key);
    let places = answered.sequences.iter().zip(&answered.said);
    let mut marks: Vec<_> = places
        .map(|(sequence, said)| match courier::Answer::from(&said.outcome) {
            courier::Answer::Final => Mark::Settled(*sequence),
            courier::Answer::Deferred { until, .. } => {
                Mark::Deferred(*sequence, settings.defer_until(now, until))
            }
        })
        .collect();
    let healed = keep(unit, answered, &marks, healing, now)?;
    marks.extend(healed.iter().flat_map(|healed| &healed.settled));
    let (peer, epoch) = (answered.peer, answered.epoch);
    Ok(Some(Settled { peer, epoch, marks, healed }))
}

/// A lane to a peer as it is on disk: what is settled, and how far the journal reaches.
///
/// # Errors
/// When rows cannot be read.
pub fn lane_in_epoch(store: &Store, peer: AreaCode, epoch: LaneEpoch) -> Result<LaneOut, AppError> {
    let key = EnvelopeKey::of(Side::Sent, peer, epoch).key();
    let mut lane = store.get(&LANE_OUT, &key)?.map_or_else(|| LaneOut::new(epoch), |row| row.lane);
    if let Some(last) = store.last(&ENVELOPE, &key)? {
        lane.assigned_through(LaneSeq::new(last));
    }
    Ok(lane)
}

/// Lanes whose epoch is over and in which something is not settled: after a restore, or a conflict.
///
/// # Errors
/// When rows cannot be read.
pub fn older_lanes(store: &Store) -> Result<Vec<(AreaCode, LaneEpoch)>, AppError> {
    let mut older = Vec::new();
    for (side, epoch) in store.journals_under(&ENVELOPE, &(), usize::MAX)? {
        let [byte, key @ ..] = side;
        let (Some(Side::Sent), Some(peer)) = (Side::from_byte(byte), peer_area(&key)) else {
            continue;
        };
        let present = store.get(&LANE_EPOCH, &peer_key(peer))?;
        let epoch = LaneEpoch::new(epoch);
        if present != Some(epoch.get()) && lane_in_epoch(store, peer, epoch)?.waiting() > 0 {
            older.push((peer, epoch));
        }
    }
    Ok(older)
}
