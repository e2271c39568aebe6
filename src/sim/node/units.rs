//! Units of work of a simulated node: what `src/app` does on the committer thread, over the simulated disk, with the
//! same calls of the protocol in the same order.

mod accept;
mod books;
mod consign;
mod cure;
mod heal;
mod receive;
pub(super) mod relay;
mod settle;
mod statement;

use domain::area::AreaCode;
use domain::id::{MessageId, MessageIds};
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::lane::{LaneEpoch, LaneOut, LaneSeq, Mark};
use exchange::ledger::LedgerEntry;
use exchange::parcel::{ParcelId, ParcelManifest};
use exchange::receipt::Disposition;
use exchange::tree::Frontier;
use std::ops::RangeInclusive;
use std::rc::Rc;

use super::Waiter;
use super::session::Via;
use super::signing::SignedStatement;
use crate::dice::Dice;
use crate::disk::rows::{Carrier, Key, Row, Side};
use crate::disk::unit::Unit;
use crate::history::History;
use crate::mail::{MessageNo, Returned, Word};
use crate::plan::{NodeNo, Plan};

pub(super) use accept::Draft;
pub(super) use consign::Consigned;
pub(crate) use cure::HandedBack;
pub(crate) use cure::Proof;
pub(super) use cure::{Cure, Cured, refusal_in};
pub(super) use heal::{Healed, Healing};
pub(super) use receive::Arrived;
pub(super) use relay::{Change, Handed, Said, Taken};
pub(super) use settle::{Answered, check, check_returned};
pub(crate) use statement::{Kept, day};

/// A unit that waits for the committer.
#[derive(Debug)]
pub(crate) enum Work {
    /// A clerk sends a message.
    Accept(Draft),
    /// A clerk withdraws one.
    Withdraw(MessageId),
    /// Mail for us came in.
    TakeIn(Box<Arrived>),
    /// The recipient has answered on the stream of a courier.
    Settle {
        courier: (NodeNo, LaneEpoch),
        no: exchange::courier::ParcelNo,
        answered: Box<Answered>,
        marks: Vec<Mark>,
        healing: Healing,
    },
    /// A relay has given its word on the stream of a courier.
    Consign {
        courier: (NodeNo, LaneEpoch),
        no: exchange::courier::ParcelNo,
        consigned: Box<Consigned>,
        marks: Vec<Mark>,
    },
    /// A file carries a parcel.
    ConsignToFile(Box<Consigned>),
    /// A receipt for what came in a file waits for its way back.
    PutReturn { toward: NodeNo, word: Returned },
    /// The recipient's answer has come back by way of a relay.
    SettleReturned {
        id: Digest,
        via: Via,
        answered: Box<Answered>,
        marks: Vec<Mark>,
        healing: Healing,
    },
    /// The word of a relay further on has come back.
    KeepWord { id: Digest, via: Via, word: Rc<Word> },
    /// A parcel for others came in.
    Hold { handed: Box<Handed>, via: Via },
    /// Our own word about it was signed.
    KeepOwnWord { parcel: ParcelId, word: Rc<Word>, next: Option<NodeNo> },
    /// Something was said about a parcel in transit.
    Note { parcel: ParcelId, said: Said, on_behalf: OnBehalf },
    /// Words that were handed back.
    HandedBack { toward: NodeNo, keys: Vec<Key> },
    /// A relay that cannot be trusted drops a parcel.
    Vanish(ParcelId),
    /// The data are those of another incarnation: every lane begins anew.
    NewEpochs,
    /// The own book is brought up to what is on disk.
    AdvanceBook,
    /// What differs is cured.
    Cure(Box<Cure>),
    /// A statement that both have signed.
    KeepStatement { ticket: Ticket, with: NodeNo, signed: Rc<SignedStatement> },
}

/// Number under which somebody waits for a statement to be on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// Who wants to know that a word about a parcel in transit is on disk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OnBehalf {
    /// The forwarder toward that node.
    Forwarder(NodeNo, exchange::relay::FlightNo),
    /// The neighbour that returned the word of that name.
    Neighbour(Digest, Via),
}

/// What a unit has to say, once it is on disk.
#[derive(Debug)]
pub(crate) enum Done {
    Accepted {
        message: MessageNo,
        to: NodeNo,
        epoch: LaneEpoch,
        sequence: LaneSeq,
        id: MessageId,
    },
    NotAccepted {
        to: NodeNo,
        reason: Reason,
    },
    Withdrawn,
    TookIn {
        via: Via,
        manifest: Box<ParcelManifest>,
        dispositions: Vec<Disposition>,
        stored: Vec<MessageId>,
    },
    Settled {
        courier: (NodeNo, LaneEpoch),
        no: exchange::courier::ParcelNo,
        healed: Option<Healed>,
    },
    Consigned {
        courier: (NodeNo, LaneEpoch),
        no: exchange::courier::ParcelNo,
        carrier: Carrier,
        longer: Vec<Mark>,
    },
    SettledReturned {
        id: Digest,
        via: Via,
        courier: (NodeNo, LaneEpoch),
        marks: Vec<Mark>,
        healed: Option<Healed>,
    },
    KeptWord {
        id: Digest,
        via: Via,
    },
    Holds {
        taken: Taken,
        manifest: Box<ParcelManifest>,
        handed_by: NodeNo,
        via: Via,
    },
    KeptOwnWord {
        parcel: ParcelId,
        next: Option<NodeNo>,
    },
    Vanished,
    ConsignedToFile,
    ReturnPut {
        toward: NodeNo,
    },
    Noted {
        change: Change,
        on_behalf: OnBehalf,
    },
    HandedBack {
        toward: NodeNo,
    },
    NewEpochs,
    AdvancedBook,
    Cured(Cured),
    KeptStatement(Ticket, Kept),
}

/// What a unit knows beside the disk.
#[derive(Debug)]
pub(super) struct Around<'a> {
    pub(super) plan: &'a Plan,
    pub(super) own: NodeNo,
    pub(super) area: AreaCode,
    pub(super) now: UnixMillis,
    pub(super) dice: &'a mut Dice,
    /// Gives ids to messages, for the life of the program.
    pub(super) ids: &'a mut MessageIds,
    /// The encapsulated key of this life of the program, and the next counter under it.
    pub(super) seal: &'a mut Sealing,
    /// Messages are numbered and noted here.
    pub(super) history: &'a mut History,
}

/// What seals, in one life of the program.
#[derive(Debug)]
pub(super) struct Sealing {
    pub(super) encapsulated_key: [u8; 32],
    pub(super) next_counter: u64,
}

/// Runs a unit. Says what it has to say, and whether its writes are kept.
pub(super) fn run(work: Work, unit: &mut Unit<'_>, around: &mut Around<'_>) -> (Done, bool) {
    match work {
        Work::Accept(draft) => accept::accept(&draft, unit, around),
        Work::Withdraw(message) => {
            accept::withdraw(message, unit);
            (Done::Withdrawn, true)
        }
        Work::TakeIn(arrived) => (receive::take_in(*arrived, unit, around), true),
        Work::Settle { courier, no, answered, marks, healing } => {
            let healed = settle::keep(&answered, &marks, &healing, unit, around);
            (Done::Settled { courier, no, healed }, true)
        }
        Work::Consign { courier, no, consigned, marks } => {
            let patience = around.plan.courier.custody_patience;
            let longer = consign::keep(&consigned, &marks, patience, unit);
            let carrier = consigned.carrier;
            (Done::Consigned { courier, no, carrier, longer }, true)
        }
        Work::ConsignToFile(consigned) => {
            let patience = around.plan.courier.custody_patience;
            // No marks: other ways stay open.
            consign::keep(&consigned, &[], patience, unit);
            (Done::ConsignedToFile, true)
        }
        Work::PutReturn { toward, word } => {
            relay::put_return(toward, word, unit);
            (Done::ReturnPut { toward }, true)
        }
        Work::SettleReturned { id, via, answered, marks, healing } => {
            let name = answered.receipt.manifest().parcel_id;
            // Another one may have been quicker.
            if !unit.contains(&Key::Consignment(name)) {
                return (Done::KeptWord { id, via }, true);
            }
            let healed = settle::keep(&answered, &marks, &healing, unit, around);
            let courier = (answered.peer, answered.epoch);
            (Done::SettledReturned { id, via, courier, marks, healed }, true)
        }
        Work::KeepWord { id, via, word } => {
            consign::keep_word(&word, unit);
            (Done::KeptWord { id, via }, true)
        }
        Work::Hold { handed, via } => {
            let (manifest, handed_by) = (Box::new(handed.manifest().clone()), handed.handed_by);
            let taken = relay::take_in(*handed, unit);
            (Done::Holds { taken, manifest, handed_by, via }, true)
        }
        Work::KeepOwnWord { parcel, word, next } => {
            relay::keep_own_word(parcel, &word, unit);
            (Done::KeptOwnWord { parcel, next }, true)
        }
        Work::Vanish(parcel) => {
            relay::vanish(parcel, unit);
            (Done::Vanished, true)
        }
        Work::Note { parcel, said, on_behalf } => {
            let change = relay::note(parcel, &said, unit);
            (Done::Noted { change, on_behalf }, true)
        }
        Work::HandedBack { toward, keys } => {
            keys.into_iter().for_each(|key| unit.delete(key));
            (Done::HandedBack { toward }, true)
        }
        Work::NewEpochs => {
            accept::open_new_epochs(unit, around.now);
            (Done::NewEpochs, true)
        }
        Work::AdvanceBook => {
            books::advance(unit, around);
            (Done::AdvancedBook, true)
        }
        Work::Cure(cure) => (Done::Cured(cure::run(*cure, unit, around)), true),
        Work::KeepStatement { ticket, with, signed } => {
            let kept = statement::keep(with, &signed, unit, around.plan.planted);
            (Done::KeptStatement(ticket, kept), true)
        }
    }
}

/// Who a courier is, as sessions know it.
impl From<(NodeNo, LaneEpoch)> for Waiter {
    fn from((peer, epoch): (NodeNo, LaneEpoch)) -> Self {
        Self::Courier(peer, epoch)
    }
}

/// Keys of all envelopes of a lane.
pub(super) fn lane_of(peer: NodeNo, epoch: LaneEpoch) -> RangeInclusive<Key> {
    let at = |sequence| Key::Envelope(peer, epoch, LaneSeq::new(sequence));
    at(0)..=at(u64::MAX)
}

/// The last sequence of a lane.
fn last_of_lane(peer: NodeNo, epoch: LaneEpoch, unit: &Unit<'_>) -> LaneSeq {
    match unit.last(lane_of(peer, epoch)) {
        Some(Key::Envelope(_, _, sequence)) => sequence,
        _ => LaneSeq::BEFORE_FIRST,
    }
}

/// Applies marks to the stored lane.
fn mark(peer: NodeNo, epoch: LaneEpoch, marks: &[Mark], unit: &mut Unit<'_>) {
    let key = Key::LaneOut(peer, epoch);
    let mut lane = match unit.get(&key).and_then(Row::lane_out) {
        Some(lane) => LaneOut::clone(lane),
        None => LaneOut::new(epoch),
    };
    lane.assigned_through(last_of_lane(peer, epoch, unit));
    lane.apply(marks.iter().copied());
    unit.put(key, lane);
}

/// Appends an entry to the ledger.
fn append_to_ledger(entry: LedgerEntry, unit: &mut Unit<'_>) {
    let mut frontier = match unit.get(&Key::Frontier).and_then(Row::frontier) {
        Some(frontier) => Frontier::clone(frontier),
        None => Frontier::new(),
    };
    let position = frontier.size();
    frontier.push(entry.leaf_hash());
    unit.put(Key::Ledger(position), entry);
    unit.put(Key::Frontier, frontier);
}

/// Keys of all parcels whose lowest sequence lies between the two.
fn parcels_between(
    side: Side,
    (peer, epoch): (NodeNo, LaneEpoch),
    from: u64,
    until: u64,
) -> RangeInclusive<Key> {
    let (low, high) = (ParcelId::from_bytes([0; 16]), ParcelId::from_bytes([0xFF; 16]));
    Key::Parcel(side, peer, epoch, LaneSeq::new(from), low)
        ..=Key::Parcel(side, peer, epoch, LaneSeq::new(until), high)
}
