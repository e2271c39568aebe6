//! Keeping a relay's word about a parcel of ours: `app::messages::consign`.

use std::rc::Rc;
use std::time::Duration;

use domain::time::UnixMillis;
use exchange::lane::{LANE_WINDOW, LaneEpoch, LaneSeq, Mark};
use exchange::parcel::{ParcelId, ParcelManifest};

use super::{mark, parcels_between};
use crate::disk::rows::{Carrier, ConsignmentRow, Key, ParcelRow, Row, Side};
use crate::disk::unit::Unit;
use crate::mail::{Signed, Word};
use crate::plan::NodeNo;

/// A parcel of ours that a relay holds.
#[derive(Clone, Debug)]
pub(crate) struct Consigned {
    pub(crate) peer: NodeNo,
    pub(crate) epoch: LaneEpoch,
    pub(crate) sequences: Vec<LaneSeq>,
    pub(crate) parcel: Rc<Signed<ParcelManifest>>,
    pub(crate) carrier: Carrier,
    /// The relay's word; none of a file.
    pub(crate) word: Option<Rc<Word>>,
    /// When it was handed over, by our clock.
    pub(crate) handed: UnixMillis,
}

/// The longest that one waits for a carrier before another way is tried.
const PATIENCE_MAX: Duration = Duration::from_secs(72 * 3_600);
/// More doublings would only reach [`PATIENCE_MAX`] again.
const DOUBLINGS_MAX: u32 = 16;

/// Writes which parcel a relay holds, its word, and the marks. Each time that the same mail is handed over again, one
/// waits twice as long. Says which marks became later by that.
pub(super) fn keep(
    consigned: &Consigned,
    marks: &[Mark],
    patience: Duration,
    unit: &mut Unit<'_>,
) -> Vec<Mark> {
    let Consigned { peer, epoch, sequences, parcel, carrier, word, handed } = consigned;
    let times = times_before(consigned, unit);
    let longest = handed.saturating_add(patience.max(PATIENCE_MAX));
    let doubled = patience.saturating_mul(1 << times.min(DOUBLINGS_MAX));
    let until = handed.saturating_add(doubled).min(longest);
    let longer = marks.iter().filter_map(|mark| match *mark {
        Mark::InCustody(sequence, wished) if wished < until => {
            Some(Mark::InCustody(sequence, until))
        }
        Mark::InCustody(..) | Mark::Settled(_) | Mark::Deferred(..) => None,
    });
    let longer: Vec<_> = longer.collect();
    mark(*peer, *epoch, marks, unit);
    if !longer.is_empty() {
        mark(*peer, *epoch, &longer, unit);
    }
    let name = parcel.manifest().parcel_id;
    let row = ConsignmentRow {
        peer: *peer,
        epoch: *epoch,
        sequences: sequences.clone(),
        parcel: Rc::clone(parcel),
        carrier: *carrier,
    };
    unit.put(Key::Consignment(name), row);
    let first = sequences.iter().min().copied().unwrap_or_default();
    let sequences = sequences.iter().map(|sequence| sequence.get()).collect();
    let parcel = Rc::clone(parcel);
    let row = ParcelRow { sequences, dispositions: Vec::new(), parcel, receipt: None };
    unit.put(Key::Parcel(Side::Sent, *peer, *epoch, first, name), row);
    if let Some(word) = word {
        next_hop(name, word, unit);
    }
    longer
}

/// How often the first of these messages was handed over before and not answered.
fn times_before(consigned: &Consigned, unit: &Unit<'_>) -> u32 {
    let Some(first) = consigned.sequences.first().map(|sequence| sequence.get()) else { return 0 };
    let lane = (consigned.peer, consigned.epoch);
    let from = first.saturating_sub(LANE_WINDOW);
    let rows = unit.scan(parcels_between(Side::Sent, lane, from, first));
    let is_it = |(key, row): &(Key, Row)| {
        let (Key::Parcel(.., name), Some(row)) = (*key, row.parcel()) else { return false };
        let open = row.dispositions.is_empty() && row.sequences.contains(&first);
        open && unit.contains(&Key::Consignment(name))
    };
    u32::try_from(rows.iter().filter(|row| is_it(row)).count()).unwrap_or(u32::MAX)
}

/// Keeps the word of a relay further on; the same word is kept once.
pub(super) fn keep_word(word: &Rc<Word>, unit: &mut Unit<'_>) {
    let name = word.manifest().parcel_id;
    if unit.contains(&Key::Consignment(name)) {
        next_hop(name, word, unit);
    }
}

/// Writes a word under the next free hop of its parcel, unless it is there.
pub(super) fn next_hop(name: ParcelId, word: &Rc<Word>, unit: &mut Unit<'_>) {
    let known = unit.scan(Key::Custody(name, 0)..=Key::Custody(name, u8::MAX));
    let is_it = |row: &Row| match row {
        Row::Word(known) => {
            let (known, word) = (known.manifest(), word.manifest());
            known.relay == word.relay && known.signed == word.signed
        }
        _ => false,
    };
    if known.iter().any(|(_, row)| is_it(row)) {
        return;
    }
    let hop = match known.last() {
        Some((Key::Custody(_, hop), _)) => hop.saturating_add(1),
        _ => 0,
    };
    unit.put(Key::Custody(name, hop), Rc::clone(word));
}
