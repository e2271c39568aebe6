//! Reading the mail of a lane: for a parcel, and to find out what is most urgent.

use std::collections::BTreeSet;

use domain::area::AreaCode;
use domain::time::UnixMillis;
use exchange::envelope::Header;
use exchange::lane::{LANE_WINDOW, LaneEpoch, LaneOut, LaneSeq};
use exchange::parcel::PARCEL_ENVELOPES_MAX;
use exchange::relay::effective_deadline;
use exchange::runs::SeqRuns;
use store::Store;
use store::messages::{EnvelopeKey, Side};
use store::tables::{ENVELOPE, WITHDRAWN};
use wire::decode_header;

use crate::app::AppError;
use crate::app::messages::envelope_of;
use crate::delivery::parcels::Loaded;
use crate::time::SystemClock;

/// Envelopes that are looked at in one go.
const ENVELOPES_AT_ONCE: usize = 512;

/// Which envelopes of a lane, of those that are not settled, travel without their body.
pub(in crate::delivery) fn withdrawn(
    store: &Store,
    peer: AreaCode,
    lane: &LaneOut,
) -> Result<BTreeSet<LaneSeq>, AppError> {
    let (side, epoch) = EnvelopeKey::of(Side::Sent, peer, lane.epoch()).key();
    let mut found = BTreeSet::new();
    let mut after = Some((side, epoch, lane.settled_through().get()));
    loop {
        let rows =
            store.scan_under(&WITHDRAWN, &(side, epoch), after.as_ref(), ENVELOPES_AT_ONCE)?;
        let Some((last, _)) = rows.last() else { return Ok(found) };
        after = Some(*last);
        found.extend(rows.iter().map(|((_, _, sequence), _)| LaneSeq::new(*sequence)));
    }
}

/// A lane whose mail is read.
#[derive(Clone, Copy, Debug)]
pub(in crate::delivery) struct Lane<'a> {
    pub(in crate::delivery) store: &'a Store,
    pub(in crate::delivery) peer: AreaCode,
    pub(in crate::delivery) epoch: LaneEpoch,
    /// Envelopes that travel without their body.
    pub(in crate::delivery) withdrawn: &'a BTreeSet<LaneSeq>,
}

/// Reads envelopes for a parcel, as many of the first as fit. What has expired or was withdrawn comes without its
/// body: nothing about a person travels without purpose.
pub(in crate::delivery) fn read(
    lane: &Lane<'_>,
    sequences: &SeqRuns,
    bytes_max: usize,
) -> Result<Loaded, AppError> {
    let (store, now) = (lane.store, SystemClock.now());
    let mut loaded = Loaded::default();
    let key = EnvelopeKey::of(Side::Sent, lane.peer, lane.epoch).key();
    let mut left = bytes_max;
    for part in sequences.runs() {
        let room = PARCEL_ENVELOPES_MAX.saturating_sub(loaded.envelopes.len());
        let count = usize::try_from(part.count()).unwrap_or(usize::MAX).min(room);
        if count == 0 || left == 0 {
            break;
        }
        // A parcel is found again by its lowest sequence, from at most a window above it.
        let lowest = loaded.sequences.first().copied().unwrap_or(part.first);
        let reach = lowest.plus(LANE_WINDOW).get().saturating_sub(part.first.get());
        let asked = count.min(usize::try_from(reach).unwrap_or(usize::MAX));
        let entries = store.read_from(&ENVELOPE, &key, part.first.get(), asked, left)?;
        let got = entries.len();
        for (position, entry) in entries {
            left = left.saturating_sub(entry.len());
            let envelope = envelope_of(entry).ok_or(AppError::Internal("not an envelope"))?;
            let header = header(&envelope.header_bytes)?;
            let sequence = LaneSeq::new(position);
            let purpose = header.expires > now && !lane.withdrawn.contains(&sequence);
            loaded.envelopes.push(if purpose { envelope } else { envelope.without_body() });
            loaded.messages.push(header.message_id);
            loaded.sequences.push(sequence);
        }
        if got < asked {
            break;
        }
    }
    Ok(loaded)
}

/// By when each of these envelopes is due.
pub(super) fn deadlines(
    lane: &Lane<'_>,
    sequences: &SeqRuns,
) -> Result<Vec<(LaneSeq, UnixMillis)>, AppError> {
    let store = lane.store;
    let key = EnvelopeKey::of(Side::Sent, lane.peer, lane.epoch).key();
    let mut deadlines = Vec::new();
    for part in sequences.runs() {
        let mut next = part.first;
        while next <= part.last {
            let left = usize::try_from(part.last.get() - next.get() + 1).unwrap_or(usize::MAX);
            let count = left.min(ENVELOPES_AT_ONCE);
            let entries = store.read_from(&ENVELOPE, &key, next.get(), count, usize::MAX)?;
            let Some((last, _)) = entries.last() else { break };
            next = LaneSeq::new(*last).next();
            for (position, entry) in entries {
                let envelope = envelope_of(entry).ok_or(AppError::Internal("not an envelope"))?;
                let header = header(&envelope.header_bytes)?;
                let deadline = effective_deadline(header.due, header.created);
                deadlines.push((LaneSeq::new(position), deadline));
            }
        }
    }
    Ok(deadlines)
}

fn header(bytes: &[u8]) -> Result<Header, AppError> {
    decode_header(bytes).map_err(|_| AppError::Internal("a header of ours is unreadable"))
}
