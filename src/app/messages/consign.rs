//! Parcels of ours that a relay or a file carries: who holds them, until when we are patient, and by whose word.

use std::ops::Bound;
use std::time::Duration;

use domain::area::AreaCode;
use domain::time::UnixMillis;
use exchange::courier::CourierSettings;
use exchange::custody::{CustodyManifest, CustodyOutcome};
use exchange::lane::{LANE_WINDOW, LaneEpoch, LaneSeq, Mark};
use exchange::parcel::ParcelId;
use exchange::relay::may_speak;
use store::messages::{EnvelopeKey, MessageRow, ParcelRow, Side};
use store::tables::{CONSIGNMENT, CUSTODY, PARCEL};
use store::transit::{Carrier, ConsignmentRow};
use store::{Store, Unit};
use wire::{decode_custody_manifest, decode_manifest};

use super::settle;
use super::turned_back::{self, Refusal, TurnedBack};
use crate::app::AppError;
use crate::app::relay::{SignedWord, keep_custody};

/// The longest that one waits for a carrier before another way is tried.
pub const PATIENCE_MAX: Duration = Duration::from_secs(72 * 3_600);
/// More doublings would only reach [`PATIENCE_MAX`] again.
const DOUBLINGS_MAX: u32 = 16;
/// Rows that are looked at in one go.
const ROWS_AT_ONCE: usize = 64;

/// A parcel of ours that somebody else holds from now on.
#[derive(Debug)]
pub struct Consigned {
    /// The recipient.
    pub peer: AreaCode,
    /// Epoch of the lane the parcel was made of.
    pub epoch: LaneEpoch,
    /// Name of the parcel.
    pub parcel_id: ParcelId,
    /// Our signature over it.
    pub parcel: SignedWord,
    /// Sequences of the envelopes, in order.
    pub sequences: Vec<LaneSeq>,
    /// Who carries it.
    pub carrier: Carrier,
    /// The relay's word; none of a file.
    pub word: Option<SignedWord>,
    /// When it was handed over.
    pub handed: UnixMillis,
}

/// Writes that a parcel was handed over, with the carrier's word and what it changes in the lane. To be run as one
/// unit of the store.
///
/// `patience` is how long one waits the first time before another way is tried. Each time that the same mail is handed
/// over again it doubles, up to [`PATIENCE_MAX`]: a county that is away for a month must not find thirty
/// copies of everything at its relay. Says which marks became later by that than `marks` has them.
///
/// # Errors
/// When rows cannot be read or written.
pub fn keep(
    unit: &mut Unit<'_>,
    consigned: &Consigned,
    marks: &[Mark],
    patience: Duration,
) -> Result<Vec<Mark>, AppError> {
    let times = match consigned.sequences.first() {
        Some(first) => times_handed(unit, consigned.peer, consigned.epoch, first.get())?,
        None => 0,
    };
    let longest = consigned.handed.saturating_add(patience.max(PATIENCE_MAX));
    let doubled = patience.saturating_mul(1 << times.min(DOUBLINGS_MAX));
    let until = consigned.handed.saturating_add(doubled).min(longest);
    // Under the time that the lane has, too, so that it can be found there.
    let wished = marks.iter().filter_map(|mark| match *mark {
        Mark::InCustody(_, until) => Some(until),
        Mark::Settled(_) | Mark::Deferred(..) => None,
    });
    let until = wished.max().map_or(until, |wished| wished.max(until));
    let longer = marks.iter().filter_map(|mark| match *mark {
        Mark::InCustody(sequence, wished) if wished < until => {
            Some(Mark::InCustody(sequence, until))
        }
        Mark::InCustody(..) | Mark::Settled(_) | Mark::Deferred(..) => None,
    });
    let longer: Vec<_> = longer.collect();
    settle::mark(unit, consigned.peer, consigned.epoch, marks)?;
    if !longer.is_empty() {
        settle::mark(unit, consigned.peer, consigned.epoch, &longer)?;
    }
    let sequences: Vec<u64> = consigned.sequences.iter().map(|s| s.get()).collect();
    let row = ConsignmentRow {
        peer: consigned.peer,
        epoch: consigned.epoch,
        sequences: sequences.clone(),
        parcel: consigned.parcel.word.clone(),
        carrier: consigned.carrier,
        handed: consigned.handed,
        until,
    };
    unit.put(&CONSIGNMENT, consigned.parcel_id.as_bytes(), &row)?;
    // Without dispositions until the recipient has answered; by it the parcel is found from a message.
    let parcel = ParcelRow {
        parcel_id: consigned.parcel_id,
        parcel: consigned.parcel.word.signed.clone(),
        sequences,
        dispositions: Vec::new(),
    };
    let key = settle::parcel_key(consigned.peer, consigned.epoch, &parcel);
    unit.put(&PARCEL, &key, &parcel)?;
    consigned.parcel.keep_chain(unit)?;
    if let Some(word) = &consigned.word {
        keep_custody(unit, consigned.parcel_id, word, consigned.handed)?;
    }
    Ok(longer)
}

/// How often a message was handed over and not answered.
pub(super) fn times_handed(
    unit: &Unit<'_>,
    peer: AreaCode,
    epoch: LaneEpoch,
    first: u64,
) -> Result<u32, AppError> {
    let (side, epoch) = EnvelopeKey::of(Side::Sent, peer, epoch).key();
    let from = (side, epoch, first.saturating_sub(LANE_WINDOW), [0; 16]);
    let until = (side, epoch, first, [0xFF; 16]);
    let rows = unit.scan(&PARCEL, from..=until, store::limits::SCAN_ROWS_MAX)?;
    let mut times = 0;
    for (_, parcel) in rows {
        let is_it = parcel.dispositions.is_empty() && parcel.sequences.contains(&first);
        if is_it && unit.contains(&CONSIGNMENT, parcel.parcel_id.as_bytes())? {
            times += 1;
        }
    }
    Ok(times)
}

/// Keeps a word that came back about a parcel of ours that somebody carries. One that it comes no further
/// releases its messages, and is given back. A word about anything else changes nothing.
///
/// # Errors
/// When rows cannot be read or written.
pub fn keep_word(
    unit: &mut Unit<'_>,
    manifest: &CustodyManifest,
    word: &SignedWord,
    settings: &CourierSettings,
    now: UnixMillis,
) -> Result<Option<TurnedBack>, AppError> {
    let parcel_id = manifest.parcel_id;
    let Some(row) = unit.get(&CONSIGNMENT, parcel_id.as_bytes())? else { return Ok(None) };
    let parcel = decode_manifest(&row.parcel.signed.manifest.0)
        .map_err(|_| AppError::Internal("a manifest of ours is unreadable"))?;
    let fits = manifest.check_about(&parcel);
    let fits = fits.map_err(|fault| fault.to_string());
    let fits = fits.and_then(|()| match may_speak(manifest) {
        true => Ok(()),
        false => Err(format!("{} has nothing to do with it", manifest.relay)),
    });
    if let Err(fault) = fits {
        tracing::warn!(parcel = %parcel_id, fault, "a word does not fit a parcel of ours");
        return Ok(None);
    }
    keep_custody(unit, parcel_id, word, now)?;
    match manifest.outcome {
        CustodyOutcome::Refused { reason } if row.until > now => {
            let refusal = Refusal { by: manifest.relay, reason, at: manifest.signed };
            turned_back::release(unit, parcel_id, row, refusal, settings, now).map(Some)
        }
        CustodyOutcome::Held { .. }
        | CustodyOutcome::Refused { .. }
        | CustodyOutcome::Deferred { .. } => Ok(None),
    }
}

/// Where a message is that somebody carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consignment {
    /// Who carries it, as far as we were told: the last relay that gave its word, or the file.
    pub carrier: Carrier,
    /// When that was, by the carrier's own word.
    pub since: UnixMillis,
    /// To whom the carrier hands it next; the recipient for a file.
    pub next: AreaCode,
    /// Until when it is not offered by another way.
    pub until: UnixMillis,
    /// Who did not take it, when it comes no further.
    pub turned_back: Option<Refusal>,
}

/// Who carries a message that was sent from here and that its recipient has not answered, with what the relays on its way
/// have said; none when nobody does.
///
/// # Errors
/// When rows cannot be read.
pub fn consignment_of(
    store: &Store,
    message: &MessageRow,
) -> Result<Option<(Consignment, Vec<Hop>)>, AppError> {
    let (side, epoch) = EnvelopeKey::of(Side::Sent, message.peer, message.epoch).key();
    let sequence = message.sequence.get();
    let from = (side, epoch, sequence.saturating_sub(LANE_WINDOW), [0; 16]);
    let mut until = Bound::Included((side, epoch, sequence, [0xFF; 16]));
    let mut latest: Option<(ParcelId, ConsignmentRow)> = None;
    loop {
        let rows = store.scan_back(&PARCEL, (Bound::Included(from), until), ROWS_AT_ONCE)?;
        let Some((lowest, _)) = rows.last() else { break };
        until = Bound::Excluded(*lowest);
        for (_, parcel) in rows {
            if !parcel.dispositions.is_empty() || !parcel.sequences.contains(&sequence) {
                continue;
            }
            let Some(row) = store.get(&CONSIGNMENT, parcel.parcel_id.as_bytes())? else { continue };
            if latest.as_ref().is_none_or(|(_, known)| known.handed < row.handed) {
                latest = Some((parcel.parcel_id, row));
            }
        }
    }
    latest.map(|(parcel, row)| with_words(store, parcel, &row)).transpose()
}

/// A consignment as the last word about it says.
fn with_words(
    store: &Store,
    parcel: ParcelId,
    row: &ConsignmentRow,
) -> Result<(Consignment, Vec<Hop>), AppError> {
    let ConsignmentRow { carrier, handed, until, peer, .. } = *row;
    let turned_back = turned_back::refusal_of(store, parcel)?;
    let mut at = Consignment { carrier, since: handed, next: peer, until, turned_back };
    let hops = hops(store, parcel)?;
    if let Some(hop) = hops.last() {
        (at.carrier, at.since, at.next) = (Carrier::Relay(hop.relay), hop.held, hop.next);
    }
    Ok((at, hops))
}

/// A relay's signed word that it holds a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The relay.
    pub relay: AreaCode,
    /// When it took the parcel, by its own word.
    pub held: UnixMillis,
    /// Whom it hands the parcel to.
    pub next: AreaCode,
}

/// The relays that have given their word about a parcel, in the order of the way.
///
/// # Errors
/// When rows cannot be read.
pub fn hops(store: &Store, parcel: ParcelId) -> Result<Vec<Hop>, AppError> {
    let mut hops = Vec::new();
    for (_, row) in store.scan_under(&CUSTODY, &(*parcel.as_bytes(),), None, ROWS_AT_ONCE)? {
        let word = decode_custody_manifest(&row.word.signed.manifest.0)
            .map_err(|_| AppError::Internal("a kept word is unreadable"))?;
        if let CustodyOutcome::Held { next } = word.outcome {
            hops.push(Hop { relay: word.relay, held: word.signed, next });
        }
    }
    Ok(hops)
}
