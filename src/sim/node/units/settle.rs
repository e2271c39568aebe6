//! Keeping the recipient's word about a parcel of ours: `app::messages::settle`.

use std::rc::Rc;

use exchange::lane::{LaneEpoch, LaneSeq, Mark};
use exchange::parcel::ParcelManifest;
use exchange::receipt::{Disposition, Offered};

use super::heal::{Healed, Healing, conflicts, heal};
use super::{Around, books, mark};
use crate::disk::rows::{Change, ConsignmentRow, Key, ParcelRow, Row, Side};
use crate::disk::unit::Unit;
use crate::mail::{Receipt, Signed};
use crate::plan::NodeNo;

/// A receipt that answers a parcel of ours, checked in every respect.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) peer: NodeNo,
    pub(crate) epoch: LaneEpoch,
    /// Sequences of the envelopes, in order.
    pub(crate) sequences: Vec<LaneSeq>,
    /// What was answered.
    pub(crate) parcel: Rc<Signed<ParcelManifest>>,
    pub(crate) receipt: Rc<Receipt>,
    pub(crate) dispositions: Vec<Disposition>,
}

/// Writes a receipt and its marks, and sends again what met a conflict. Nobody else carries the parcel from now on.
pub(super) fn keep(
    answered: &Answered,
    marks: &[Mark],
    healing: &Healing,
    unit: &mut Unit<'_>,
    around: &mut Around<'_>,
) -> Option<Healed> {
    let Answered { peer, epoch, sequences, parcel, receipt, dispositions } = answered;
    mark(*peer, *epoch, marks, unit);
    let first = sequences.iter().min().copied().unwrap_or_default();
    let name = receipt.manifest().parcel_id;
    let row = ParcelRow {
        sequences: sequences.iter().map(|sequence| sequence.get()).collect(),
        dispositions: dispositions.clone(),
        parcel: Rc::clone(parcel),
        receipt: Some(Rc::clone(receipt)),
    };
    let key = Key::Parcel(Side::Sent, *peer, *epoch, first, name);
    unit.put(key, row);
    books::note(Change::Parcel(key), unit);
    books::note_refusals(*peer, key, dispositions, unit);
    unit.delete(Key::Consignment(name));
    let conflicts = conflicts(sequences, dispositions);
    if conflicts.is_empty() {
        return None;
    }
    heal((*peer, *epoch), &conflicts, healing, unit, around)
}

/// Checks a receipt that has come back against the parcel that was consigned. `offered` reads what lies in a place of
/// a lane of ours.
pub(crate) fn check_returned(
    receipt: &Rc<Receipt>,
    consignment: Option<&Row>,
    offered: impl Fn(&ConsignmentRow, LaneSeq) -> Option<Offered>,
) -> Option<Answered> {
    let row = consignment.and_then(Row::consignment)?;
    let offered: Option<Vec<_>> =
        row.sequences.iter().map(|sequence| offered(row, *sequence)).collect();
    check(receipt, row.parcel.manifest(), &offered?).map(|dispositions| Answered {
        peer: row.peer,
        epoch: row.epoch,
        sequences: row.sequences.clone(),
        parcel: Rc::clone(&row.parcel),
        receipt: Rc::clone(receipt),
        dispositions,
    })
}

/// Whether a receipt answers a parcel, with what it says.
pub(crate) fn check(
    receipt: &Receipt,
    parcel: &ParcelManifest,
    offered: &[Offered],
) -> Option<Vec<Disposition>> {
    let dispositions = receipt.dispositions()?;
    let fits =
        receipt.manifest().check_answers(parcel, offered, &receipt.serialised, &dispositions);
    fits.ok().map(|()| dispositions)
}
