//! Reading the mail of a lane: for a parcel, and to find out what is most urgent.

use std::collections::BTreeSet;

use domain::area::AreaCode;
use domain::time::UnixMillis;
use exchange::envelope::{Header, SealedEnvelope};
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
/// body: nothing about a person travels without purpose. What is damaged is named, and keeps nothing else here.
pub(in crate::delivery) fn read(lane: &Lane<'_>, sequences: &SeqRuns, bytes_max: usize) -> Loaded {
    let now = SystemClock.now();
    let mut loaded = Loaded::default();
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
        let entries = lane.entries(part.first, asked, left);
        let got = entries.len();
        for (sequence, entry) in entries {
            let Some((bytes, header, envelope)) = entry else {
                loaded.unreadable.insert(sequence);
                continue;
            };
            left = left.saturating_sub(bytes);
            let purpose = header.expires > now && !lane.withdrawn.contains(&sequence);
            loaded.envelopes.push(if purpose { envelope } else { envelope.without_body() });
            loaded.messages.push(header.message_id);
            loaded.sequences.push(sequence);
        }
        if got < asked {
            break;
        }
    }
    loaded
}

/// By when each of these envelopes is due; without those that are damaged.
pub(super) fn deadlines(lane: &Lane<'_>, sequences: &SeqRuns) -> Vec<(LaneSeq, UnixMillis)> {
    let mut deadlines = Vec::new();
    for part in sequences.runs() {
        let mut next = part.first;
        while next <= part.last {
            let left = usize::try_from(part.last.get() - next.get() + 1).unwrap_or(usize::MAX);
            let entries = lane.entries(next, left.min(ENVELOPES_AT_ONCE), usize::MAX);
            let Some((last, _)) = entries.last() else { break };
            next = last.next();
            let found = entries.iter().filter_map(|(sequence, it)| Some((*sequence, it.as_ref()?)));
            deadlines.extend(found.map(|(sequence, (_, header, _))| {
                (sequence, effective_deadline(header.due, header.created))
            }));
        }
    }
    deadlines
}

/// An envelope of ours: how many bytes it takes in the journal, what its header says, and itself.
type Entry = (usize, Header, SealedEnvelope);

impl Lane<'_> {
    /// Envelopes from a sequence on: as many as there are, at most `count`, and no further one once `bytes` are reached.
    /// Nothing stands in the place of one that is damaged.
    fn entries(&self, first: LaneSeq, count: usize, bytes: usize) -> Vec<(LaneSeq, Option<Entry>)> {
        let key = EnvelopeKey::of(Side::Sent, self.peer, self.epoch).key();
        match self.store.read_from(&ENVELOPE, &key, first.get(), count, bytes) {
            Ok(entries) => {
                let read = entries.into_iter().map(|(at, entry)| (LaneSeq::new(at), entry));
                read.map(|(sequence, entry)| (sequence, self.entry(sequence, entry))).collect()
            }
            // A page with several of them is damaged: what lies in others is found one by one.
            Err(error) => {
                self.complain(first, &error);
                self.one_by_one(first, count)
            }
        }
    }

    fn one_by_one(&self, first: LaneSeq, count: usize) -> Vec<(LaneSeq, Option<Entry>)> {
        let key = EnvelopeKey::of(Side::Sent, self.peer, self.epoch).key();
        let sequences = std::iter::successors(Some(first), |sequence| Some(sequence.next()));
        let mut found = Vec::new();
        for sequence in sequences.take(count) {
            match self.store.read(&ENVELOPE, &key, sequence.get()) {
                Ok(Some(entry)) => found.push((sequence, self.entry(sequence, entry))),
                Ok(None) => break,
                Err(_) => found.push((sequence, None)),
            }
        }
        found
    }

    fn entry(&self, sequence: LaneSeq, entry: Vec<u8>) -> Option<Entry> {
        let bytes = entry.len();
        let envelope = envelope_of(entry)?;
        match decode_header(&envelope.header_bytes) {
            Ok(header) => Some((bytes, header, envelope)),
            Err(error) => {
                self.complain(sequence, &error);
                None
            }
        }
    }

    fn complain(&self, sequence: LaneSeq, error: &(dyn std::error::Error + 'static)) {
        let sequence = sequence.get();
        tracing::error!(peer = %self.peer, sequence, error, "mail for a peer is damaged; what can be read goes on");
    }
}
