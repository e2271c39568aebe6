//! The tables of a simulated node: the keys and rows of the store that the exchange needs, with the store's names.

use std::rc::Rc;

use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::lane::{LaneEpoch, LaneIn, LaneOut, LaneSeq};
use exchange::ledger::{Direction, LedgerEntry};
use exchange::parcel::{ParcelId, ParcelManifest};
use exchange::receipt::Disposition;
use exchange::reconcile::Entry;
use exchange::tree::Frontier;

use crate::mail::{Content, Envelope, Parcel, Receipt, Returned, Signed, Word};
use crate::node::signing::SignedStatement;
use crate::plan::NodeNo;

/// Which end of a message the node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Side {
    /// It sent it.
    Sent,
    /// It received it.
    Received,
}

/// Key of a row. Rows of one table lie together, in the order of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    /// `LEDGER`: position.
    Ledger(u64),
    /// `FRONTIER`.
    Frontier,
    /// `ENVELOPE`, sent: peer, epoch, sequence; epoch 0 for what was handed back.
    Envelope(NodeNo, LaneEpoch, LaneSeq),
    /// `MESSAGE`.
    Message(Side, MessageId),
    /// `LANE_EPOCH`: peer.
    Epoch(NodeNo),
    /// `LANE_OUT`: peer, epoch.
    LaneOut(NodeNo, LaneEpoch),
    /// `LANE_IN`: peer, epoch.
    LaneIn(NodeNo, LaneEpoch),
    /// `PARCEL` and `RECEIPT`: peer, epoch, lowest sequence, name.
    Parcel(Side, NodeNo, LaneEpoch, LaneSeq, ParcelId),
    /// `CUSTODY`: name, hop.
    Custody(ParcelId, u8),
    /// `CONSIGNMENT`: name.
    Consignment(ParcelId),
    /// `TRANSIT` with `TRANSIT_MAIL`: name.
    Transit(ParcelId),
    /// `TRANSIT_QUEUE`: next hop, effective deadline, arrival.
    Queue(NodeNo, UnixMillis, u64),
    /// `RETURN` with `RETURN_BODY`: toward, arrival.
    Return(NodeNo, u64),
    /// `WITHDRAWN`: peer, epoch, sequence.
    Withdrawn(NodeNo, LaneEpoch, LaneSeq),
    /// `ARRIVAL`.
    Arrival,
    /// `RESTORED`.
    Restored,
    /// Of the journal of the recipient: the envelope as it was delivered.
    Delivered(MessageId),
    /// `REFUSAL`: what was said of a message that came and was refused.
    Refusal(MessageId),
    /// `REFUSED`: where the receipt is that refuses a message between us and a peer.
    Refused(NodeNo, MessageId),
    /// `BOOK_CHANGE`: position.
    Change(u64),
    /// `BOOK`: position.
    Book(u64),
    /// `BOOK_CURSOR`: entries of the ledger that are in the book.
    BookLedger,
    /// `BOOK_CURSOR`: changes that are in the book.
    BookChange,
    /// `CLOSED`, with its `STATEMENT`: the other side, the last day.
    Closed(NodeNo, u32),
    /// `STATEMENT` that closes nothing: the other side, the last and the first day, when it was made.
    Statement(NodeNo, u32, u32, UnixMillis),
}

/// `Change` of the store: what changes an entry beside the ledger.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// The dispositions of the parcel under this key.
    Parcel(Key),
    /// This word about a message, on this side of it.
    Word(Direction, Entry),
}

/// A row. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum Row {
    /// A counter, an epoch, or the mere fact.
    Number(u64),
    /// Name of a parcel.
    Name(ParcelId),
    Ledger(Rc<LedgerEntry>),
    Frontier(Rc<Frontier>),
    Envelope(Rc<Envelope>),
    Message(Rc<MessageRow>),
    LaneOut(Rc<LaneOut>),
    LaneIn(Rc<LaneIn>),
    Parcel(Rc<ParcelRow>),
    Word(Rc<Word>),
    Consignment(Rc<ConsignmentRow>),
    Transit(Rc<TransitRow>),
    Return(Rc<ReturnRow>),
    Change(Rc<Change>),
    Said(Rc<(Direction, Entry)>),
    Refusal(Rc<(NodeNo, Disposition)>),
    Statement(Rc<SignedStatement>),
}

/// A message, as one side keeps it.
#[derive(Clone, Debug)]
pub(crate) struct MessageRow {
    pub(crate) peer: NodeNo,
    pub(crate) epoch: LaneEpoch,
    pub(crate) sequence: LaneSeq,
    pub(crate) digest: Digest,
    pub(crate) content: Content,
    pub(crate) stored: UnixMillis,
    /// The message that answers it.
    pub(crate) answered: Option<MessageId>,
}

/// A parcel with what became of its envelopes.
#[derive(Clone, Debug)]
pub(crate) struct ParcelRow {
    /// Places of the envelopes in the lane; 0 for what has none.
    pub(crate) sequences: Vec<u64>,
    pub(crate) dispositions: Vec<Disposition>,
    /// The parcel's manifest with the signature of its sender.
    pub(crate) parcel: Rc<Signed<ParcelManifest>>,
    /// The answer, at the sender.
    pub(crate) receipt: Option<Rc<Receipt>>,
}

/// Who carries a parcel of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// A relay that has given its word.
    Relay(NodeNo),
    /// A file.
    File,
}

/// A parcel of ours that somebody else carries.
#[derive(Clone, Debug)]
pub(crate) struct ConsignmentRow {
    pub(crate) peer: NodeNo,
    pub(crate) epoch: LaneEpoch,
    pub(crate) sequences: Vec<LaneSeq>,
    pub(crate) parcel: Rc<Signed<ParcelManifest>>,
    pub(crate) carrier: Carrier,
}

/// What became of a parcel in transit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransitState {
    /// It waits for its turn.
    Waiting,
    /// The next hop has given its word; the content is gone.
    HandedOn,
    /// The recipient has answered; the content is gone.
    Answered,
    /// It can go no further; the content is gone.
    GivenUp { reason: Reason },
}

impl TransitState {
    /// Whether the content is here and has to be handed on.
    pub(crate) const fn is_held(self) -> bool {
        matches!(self, Self::Waiting)
    }
}

/// A parcel that the node carries for others.
#[derive(Clone, Debug)]
pub(crate) struct TransitRow {
    pub(crate) parcel: Rc<Signed<ParcelManifest>>,
    /// The parcel itself while it is held.
    pub(crate) content: Option<Rc<Parcel>>,
    pub(crate) handed_by: NodeNo,
    pub(crate) next: NodeNo,
    pub(crate) deadline: UnixMillis,
    pub(crate) arrival: u64,
    pub(crate) state: TransitState,
    /// The node's own word; none while it is being signed.
    pub(crate) own_word: Option<Rc<Word>>,
}

/// A signed word on its way back.
#[derive(Clone, Debug)]
pub(crate) struct ReturnRow {
    pub(crate) word: Returned,
}

macro_rules! rows {
    ($($variant:ident: $type:ty, $read:ident;)*) => {
        $(impl From<$type> for Row {
            fn from(row: $type) -> Self {
                Self::$variant(Rc::new(row))
            }
        })*

        impl Row {
            $(#[doc = concat!("The row as one of ", stringify!($type), ", if it is one.")]
            pub(crate) fn $read(&self) -> Option<&Rc<$type>> {
                match self {
                    Self::$variant(row) => Some(row),
                    _ => None,
                }
            })*
        }
    };
}

rows! {
    Frontier: Frontier, frontier;
    Envelope: Envelope, envelope;
    Message: MessageRow, message;
    LaneOut: LaneOut, lane_out;
    LaneIn: LaneIn, lane_in;
    Parcel: ParcelRow, parcel;
    Consignment: ConsignmentRow, consignment;
    Transit: TransitRow, transit;
    Return: ReturnRow, returned;
    Change: Change, change;
    Said: (Direction, Entry), said;
    Refusal: (NodeNo, Disposition), refusal;
    Statement: SignedStatement, statement;
}

impl From<LedgerEntry> for Row {
    fn from(entry: LedgerEntry) -> Self {
        Self::Ledger(Rc::new(entry))
    }
}

impl From<Rc<Word>> for Row {
    fn from(word: Rc<Word>) -> Self {
        Self::Word(word)
    }
}

impl Row {
    /// The number, if it is one.
    pub(crate) const fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The name of a parcel, if it is one.
    pub(crate) const fn name(&self) -> Option<ParcelId> {
        match self {
            Self::Name(name) => Some(*name),
            _ => None,
        }
    }
}
