//! Keeping a relay's word about a parcel of ours: `app::messages::consign`.

use std::rc::Rc;

use exchange::lane::{LaneEpoch, LaneSeq, Mark};
use exchange::parcel::{ParcelId, ParcelManifest};

use super::mark;
use crate::disk::rows::{Carrier, ConsignmentRow, Key, Row};
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
    pub(crate) relay: NodeNo,
    pub(crate) word: Rc<Word>,
}

/// Writes which parcel a relay holds, its word, and the marks.
pub(super) fn keep(consigned: &Consigned, marks: &[Mark], unit: &mut Unit<'_>) {
    let Consigned { peer, epoch, sequences, parcel, relay, word } = consigned;
    mark(*peer, *epoch, marks, unit);
    let until = marks.iter().filter_map(|mark| match mark {
        Mark::InCustody(_, until) => Some(*until),
        Mark::Settled(_) | Mark::Deferred(..) => None,
    });
    let name = parcel.manifest().parcel_id;
    let row = ConsignmentRow {
        peer: *peer,
        epoch: *epoch,
        sequences: sequences.clone(),
        parcel: Rc::clone(parcel),
        carrier: Carrier::Relay(*relay),
        until: until.max().unwrap_or_default(),
    };
    unit.put(Key::Consignment(name), row);
    unit.put(Key::Custody(name, 0), Rc::clone(word));
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
