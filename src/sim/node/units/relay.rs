//! Carrying parcels for others: `app::relay`.

use std::rc::Rc;

use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::parcel::{ParcelId, ParcelManifest};

use super::consign;
use crate::disk::rows::{Key, ReturnRow, Row, TransitRow, TransitState};
use crate::disk::unit::Unit;
use crate::mail::{Parcel, Receipt, Returned, Word};
use crate::plan::NodeNo;

/// A parcel for others that was checked in every respect.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) parcel: Rc<Parcel>,
    pub(crate) handed_by: NodeNo,
    pub(crate) next: NodeNo,
    pub(crate) deadline: UnixMillis,
}

impl Handed {
    /// What its sender signed.
    pub(crate) fn manifest(&self) -> &ParcelManifest {
        self.parcel.manifest()
    }
}

/// What came of taking a parcel in.
#[derive(Debug)]
pub(crate) enum Taken {
    /// It is held from now on.
    New { next: NodeNo },
    /// It is, or was, here already.
    Known(Rc<TransitRow>),
}

/// Takes a parcel in; our word is signed afterwards.
pub(super) fn take_in(handed: Handed, unit: &mut Unit<'_>) -> Taken {
    let name = handed.manifest().parcel_id;
    if let Some(row) = unit.get(&Key::Transit(name)).and_then(Row::transit) {
        return Taken::Known(Rc::clone(row));
    }
    let Handed { parcel, handed_by, next, deadline } = handed;
    let arrival = next_arrival(unit);
    let row = TransitRow {
        parcel: Rc::clone(&parcel.signed),
        content: Some(parcel),
        handed_by,
        next,
        deadline,
        arrival,
        state: TransitState::Waiting,
        own_word: None,
    };
    unit.put(Key::Queue(next, deadline, arrival), Row::Name(name));
    unit.put(Key::Transit(name), row);
    Taken::New { next }
}

/// Keeps our own word about a parcel, so that it is repeated and not given twice.
pub(super) fn keep_own_word(name: ParcelId, word: &Rc<Word>, unit: &mut Unit<'_>) {
    let key = Key::Transit(name);
    let Some(row) = unit.get(&key).and_then(Row::transit) else { return };
    if row.own_word.is_none() {
        let row = TransitRow { own_word: Some(Rc::clone(word)), ..TransitRow::clone(row) };
        unit.put(key, row);
    }
}

/// What the next hop, or the recipient by another way, has said about a parcel in transit.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// The recipient has answered.
    Receipt(Rc<Receipt>),
    /// The next hop holds it.
    Held(Rc<Word>),
    /// A relay further on has said something about it.
    Further(Rc<Word>),
    /// It can go no further.
    Refused(Reason, Rc<Word>),
}

/// What changed by what was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// There is a word to hand back to this neighbour.
    pub(crate) hand_back_to: Option<NodeNo>,
}

/// Writes what was said about a parcel in transit: with what it changes here, and the word that goes back. A word
/// about a parcel that is not known here, or that says nothing new, changes nothing.
pub(super) fn note(name: ParcelId, said: &Said, unit: &mut Unit<'_>) -> Change {
    let key = Key::Transit(name);
    let Some(row) = unit.get(&key).and_then(Row::transit).cloned() else {
        return Change::default();
    };
    let was_held = row.state.is_held();
    let state = match said {
        Said::Receipt(_) => TransitState::Answered,
        Said::Held(_) => TransitState::HandedOn,
        Said::Further(_) => row.state,
        Said::Refused(reason, _) => TransitState::GivenUp { reason: *reason },
    };
    let news = match (said, row.state) {
        (Said::Receipt(_), state) => state != TransitState::Answered,
        // Whoever is not next in line cannot make us let go of what we hold.
        (Said::Further(_), state) => state == TransitState::HandedOn,
        (Said::Held(_) | Said::Refused(..), _) => was_held,
    };
    if !news {
        return Change::default();
    }
    let content = row.content.clone().filter(|_| state.is_held());
    if was_held && !state.is_held() {
        unit.delete(Key::Queue(row.next, row.deadline, row.arrival));
    }
    unit.put(key, TransitRow { state, content, ..TransitRow::clone(&row) });
    let back = match said {
        Said::Receipt(receipt) => Returned::Receipt(Rc::clone(receipt)),
        Said::Held(word) | Said::Further(word) | Said::Refused(_, word) => {
            consign::next_hop(name, word, unit);
            Returned::Custody(Rc::clone(word))
        }
    };
    put_return(row.handed_by, back, unit);
    Change { hand_back_to: Some(row.handed_by) }
}

/// Puts a word into the queue toward a neighbour.
pub(super) fn put_return(toward: NodeNo, word: Returned, unit: &mut Unit<'_>) {
    let arrival = next_arrival(unit);
    unit.put(Key::Return(toward, arrival), ReturnRow { word });
}

/// Drops a parcel, as if it had never been here.
pub(super) fn vanish(name: ParcelId, unit: &mut Unit<'_>) {
    if let Some(row) = unit.get(&Key::Transit(name)).and_then(Row::transit).cloned() {
        unit.delete(Key::Queue(row.next, row.deadline, row.arrival));
        unit.delete(Key::Transit(name));
    }
}

fn next_arrival(unit: &mut Unit<'_>) -> u64 {
    let arrival = unit.get(&Key::Arrival).and_then(Row::number).unwrap_or_default() + 1;
    unit.put(Key::Arrival, Row::Number(arrival));
    arrival
}
