//! Keeping a receipt: written together with what it settles in the lane.

use domain::area::AreaCode;
use exchange::digest::Digest;
use exchange::lane::{LaneEpoch, LaneOut, LaneSeq, Mark};
use exchange::parcel::ParcelId;
use exchange::receipt::Receipt;
use store::messages::{Blob, EnvelopeKey, LaneOutRow, ParcelRow, Side, Signed};
use store::tables::{ENVELOPE, LANE_OUT, PARCEL, RECEIPT};
use store::{Store, Unit};

use super::receive::keep_chain;
use crate::app::AppError;

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
    /// Sequences of the envelopes, in order.
    pub sequences: Vec<LaneSeq>,
    /// The receipt as it came.
    pub receipt: Receipt,
    /// SHA-256 of the certificate that signed the receipt.
    pub receipt_signer: Digest,
    /// The chain of that certificate.
    pub receipt_chain: Vec<Vec<u8>>,
}

/// Writes a receipt and its marks. To be run as one unit of the store.
///
/// # Errors
/// When rows cannot be read or written.
pub fn keep(unit: &mut Unit<'_>, answered: &Answered, marks: &[Mark]) -> Result<(), AppError> {
    let lane_key = EnvelopeKey::of(Side::Sent, answered.peer, answered.epoch).key();
    let mut lane = match unit.get(&LANE_OUT, &lane_key)? {
        Some(row) => row.lane,
        None => LaneOut::new(answered.epoch),
    };
    let next = unit.next_position(&ENVELOPE, &lane_key)?;
    lane.assigned_through(LaneSeq::new(next).prev());
    lane.apply(marks.iter().copied());
    unit.put(&LANE_OUT, &lane_key, &LaneOutRow { lane })?;
    let first = answered.sequences.iter().map(|s| s.get()).min().unwrap_or_default();
    let key = (lane_key.0, lane_key.1, first, *answered.parcel_id.as_bytes());
    let row = ParcelRow {
        parcel_id: answered.parcel_id,
        parcel: answered.parcel.clone(),
        sequences: answered.sequences.iter().map(|s| s.get()).collect(),
        dispositions: answered.receipt.dispositions.iter().map(|d| Blob(d.to_vec())).collect(),
    };
    unit.put(&PARCEL, &key, &row)?;
    let receipt = Signed {
        manifest: Blob(answered.receipt.manifest_bytes.to_vec()),
        signature: Blob(answered.receipt.signature.to_vec()),
    };
    unit.put(&RECEIPT, &key, &receipt)?;
    keep_chain(unit, answered.parcel_signer, &answered.parcel_chain)?;
    keep_chain(unit, answered.receipt_signer, &answered.receipt_chain)
}

/// The lane to a peer as it is on disk: what is settled, and how far the journal reaches. `None` while
/// nothing was ever sent to it.
///
/// # Errors
/// When rows cannot be read.
pub fn lane(store: &Store, peer: AreaCode) -> Result<Option<LaneOut>, AppError> {
    let Some(epoch) = store.get(&store::tables::LANE_EPOCH, &store::messages::peer_key(peer))?
    else {
        return Ok(None);
    };
    lane_in_epoch(store, peer, LaneEpoch::new(epoch)).map(Some)
}

/// The same for one epoch.
pub(super) fn lane_in_epoch(
    store: &Store,
    peer: AreaCode,
    epoch: LaneEpoch,
) -> Result<LaneOut, AppError> {
    let key = EnvelopeKey::of(Side::Sent, peer, epoch).key();
    let mut lane = store.get(&LANE_OUT, &key)?.map_or_else(|| LaneOut::new(epoch), |row| row.lane);
    if let Some(last) = store.last(&ENVELOPE, &key)? {
        lane.assigned_through(LaneSeq::new(last));
    }
    Ok(lane)
}
