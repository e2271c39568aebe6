//! Parcels of ours that somebody carried and that come no further, by the signed word of a relay or of the recipient: their
//! messages are released, so that they take another way.

use domain::area::AreaCode;
use domain::fault::Fault;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::courier::CourierSettings;
use exchange::custody::CustodyOutcome;
use exchange::lane::{LaneEpoch, LaneSeq, Mark};
use exchange::parcel::ParcelId;
use exchange::relay::may_speak;
use store::messages::{EnvelopeKey, Side};
use store::tables::{CONSIGNMENT, CUSTODY, LANE_OUT};
use store::transit::{Carrier, ConsignmentRow};
use store::{Store, Unit};
use wire::decode_custody_manifest;

use super::{consign, settle};
use crate::app::AppError;

/// Words about a parcel that are looked at.
const WORDS_AT_ONCE: usize = 64;

/// Who does not take mail, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A relay, or the recipient, which does not take it from a relay.
    pub by: AreaCode,
    /// Why.
    pub reason: Reason,
    /// When, by its own word.
    pub at: UnixMillis,
}

impl Refusal {
    /// Whose fault it is that mail for `to` came no further.
    #[must_use]
    pub fn fault(&self, to: AreaCode) -> Fault {
        if self.by == to { Fault::of(self.reason) } else { Fault::Relay }
    }
}

/// A parcel that came no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnedBack {
    /// The recipient.
    pub peer: AreaCode,
    /// Epoch of the lane it was made of.
    pub epoch: LaneEpoch,
    /// To whom it had been handed.
    pub carrier: Carrier,
    /// Who did not take it.
    pub refusal: Refusal,
    /// What changed in the lane. Empty when its messages were settled, or with somebody else, before.
    pub marks: Vec<Mark>,
}

/// Releases the messages of a parcel that comes no further: they are offered again after a pause that grows with
/// how often they were handed over before. To be run in the unit that keeps the word.
///
/// # Errors
/// When rows cannot be read or written.
pub(super) fn release(
    unit: &mut Unit<'_>,
    parcel: ParcelId,
    row: ConsignmentRow,
    refusal: Refusal,
    settings: &CourierSettings,
    now: UnixMillis,
) -> Result<TurnedBack, AppError> {
    let ConsignmentRow { peer, epoch, carrier, until, .. } = row;
    let times = match row.sequences.first() {
        Some(first) => consign::times_handed(unit, peer, epoch, *first)?.saturating_sub(1),
        None => 0,
    };
    let again = now.saturating_add(settings.turned_back_pause(times)).min(until);
    let lane = unit.get(&LANE_OUT, &EnvelopeKey::of(Side::Sent, peer, epoch).key())?;
    let sequences = row.sequences.iter().copied().map(LaneSeq::new);
    let marks = lane.map(|row| row.lane.turned_back(sequences, until, again)).unwrap_or_default();
    if !marks.is_empty() {
        settle::mark(unit, peer, epoch, &marks)?;
    }
    // From now on nothing is expected of the carrier, and another word to that effect changes nothing.
    let row = ConsignmentRow { until: until.min(now), ..row };
    unit.put(&CONSIGNMENT, parcel.as_bytes(), &row)?;
    Ok(TurnedBack { peer, epoch, carrier, refusal, marks })
}

/// The word by which a parcel of ours comes no further, if there is one.
///
/// # Errors
/// When rows cannot be read.
pub fn refusal_of(store: &Store, parcel: ParcelId) -> Result<Option<Refusal>, AppError> {
    let rows = store.scan_under(&CUSTODY, &(*parcel.as_bytes(),), None, WORDS_AT_ONCE)?;
    for (_, row) in rows {
        let word = decode_custody_manifest(&row.word.signed.manifest.0)
            .map_err(|_| AppError::Internal("a kept word is unreadable"))?;
        if let CustodyOutcome::Refused { reason } = word.outcome
            && may_speak(&word)
        {
            return Ok(Some(Refusal { by: word.relay, reason, at: word.signed }));
        }
    }
    Ok(None)
}
