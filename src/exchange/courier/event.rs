//! What happens to a courier, and what it wants done.

use domain::reason::Reason;
use domain::time::UnixMillis;

use crate::lane::LaneSeq;
use crate::lane::Mark;
use crate::receipt::Outcome;
use crate::runs::SeqRuns;

/// Number of a parcel inside one courier's life; the shell maps it to the parcel's id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParcelNo(pub(super) u64);

impl ParcelNo {
    /// The number, for logs.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// What happens to a courier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The journal holds mail up to and including this sequence.
    Mail {
        /// Last sequence in the journal.
        through: LaneSeq,
    },
    /// The stream stands and the peer's `Hello` has been read.
    LinkUp {
        /// Largest number of parcels that the peer wants in flight to it.
        window_parcels: u32,
    },
    /// The stream broke, or could not be opened.
    LinkLost,
    /// The peer was heard of by another way (it called us): wait no longer than after a first failure.
    PeerSeen,
    /// The journal answered [`Effect::Load`].
    Loaded {
        /// The parcel it was for.
        parcel: ParcelNo,
        /// What was read, ascending; what is missing here goes back to the queue. Empty if nothing could be read.
        sequences: SeqRuns,
    },
    /// A receipt came, and its signature and everything else about it was found right.
    ReceiptArrived {
        /// The parcel it answers.
        parcel: ParcelNo,
        /// One answer for each envelope, in the order of the parcel.
        answers: Vec<Answer>,
    },
    /// A receipt came that does not hold, or the peer broke the protocol in another way.
    PeerMisbehaved,
    /// A receipt and its marks are on disk.
    Kept {
        /// The parcel it answers.
        parcel: ParcelNo,
    },
    /// A receipt could not be written, though the store goes on: its parcel counts as unanswered.
    NotKept {
        /// The parcel it answers.
        parcel: ParcelNo,
    },
    /// These have their final answer by another way (a receipt in a file, a person's decision), on disk.
    Settled {
        /// Which.
        sequences: Vec<LaneSeq>,
    },
    /// The time of the last [`Effect::WakeAt`] has come.
    Woken,
}

/// What a receipt says about one envelope, as far as the courier is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Stored or refused: it is over.
    Final,
    /// To be offered again.
    Deferred {
        /// Not before.
        until: UnixMillis,
        /// Whether the reason is the state of the peer and not this envelope: then all mail waits.
        whole_peer: bool,
    },
}

impl From<&Outcome> for Answer {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Stored | Outcome::Refused { .. } => Self::Final,
            Outcome::Deferred { reason, until } => {
                Self::Deferred { until: *until, whole_peer: is_about_the_peer(*reason) }
            }
        }
    }
}

/// Whether a deferral for this reason would meet any other envelope as well.
const fn is_about_the_peer(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Busy
            | Reason::DiskNearlyFull
            | Reason::Maintenance
            | Reason::RateLimited
            | Reason::StoreUnavailable
            | Reason::SigningUnavailable
    )
}

/// What the shell has to do for a courier, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Open a stream to the peer; answer with [`Event::LinkUp`] or [`Event::LinkLost`].
    Connect,
    /// Close the stream; needs no answer.
    Disconnect,
    /// Read envelopes from the journal for a new parcel; answer with [`Event::Loaded`].
    Load {
        /// The parcel it is for.
        parcel: ParcelNo,
        /// Which, ascending; as many of the first as fit.
        sequences: SeqRuns,
        /// Most bytes of envelopes; the first envelope is taken in any case.
        bytes_max: usize,
    },
    /// Sign what was loaded and put it on the stream.
    Send {
        /// The parcel.
        parcel: ParcelNo,
    },
    /// Write the receipt, and in the same unit apply the marks to the stored [`LaneOut`](crate::lane::LaneOut); answer with [`Event::Kept`].
    Keep {
        /// The parcel it answers.
        parcel: ParcelNo,
        /// What changes in the lane.
        marks: Vec<Mark>,
    },
    /// Give [`Event::Woken`] at this time. Replaces the wish before it.
    WakeAt(UnixMillis),
}
