//! What happens to a courier, and what it wants done.

use domain::reason::Reason;
use domain::time::UnixMillis;

use crate::lane::LaneSeq;
use crate::lane::Mark;
use crate::receipt::Outcome;
use crate::route::Route;
use crate::route::Routes;
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
    /// The stream of a route stands and the neighbour's `Hello` has been read. Late, and nothing, unless
    /// [`Effect::Connect`] asked for it.
    LinkUp {
        /// Which route.
        route: Route,
        /// Largest number of parcels that the neighbour wants in flight to it.
        window_parcels: u32,
    },
    /// The stream of a route broke, or could not be opened.
    LinkLost {
        /// Which route.
        route: Route,
    },
    /// The peer was heard of by another way (it called us): wait no longer than after a first failure
    /// before the direct route is tried.
    PeerSeen,
    /// Other routes lead to the peer than before. What was on its way by one that is gone is offered again.
    RoutesChanged {
        /// All routes that there are now.
        routes: Routes,
    },
    /// The peer has announced that it is out of service; or, with `None`, that it is not after all.
    HoldUntil {
        /// All mail waits until then, but at most [`CourierSettings::defer_max`](super::CourierSettings::defer_max).
        until: Option<UnixMillis>,
    },
    /// The journal answered [`Effect::Load`].
    Loaded {
        /// The parcel it was for.
        parcel: ParcelNo,
        /// What was read, ascending; what is missing here goes back to the queue. Empty if nothing could be read.
        sequences: SeqRuns,
        /// What is damaged: it rests for [`CourierSettings::defer_max`](super::CourierSettings::defer_max), so that
        /// nothing else waits for it.
        unreadable: SeqRuns,
    },
    /// The journal answered [`Effect::Look`].
    Looked {
        /// By when each of the envelopes is due, see `exchange::relay`. One that is missing counts as most
        /// urgent, so that whatever is wrong with it is seen.
        deadlines: Vec<(LaneSeq, UnixMillis)>,
    },
    /// A receipt of the recipient came, and its signature and everything else about it was found right.
    ReceiptArrived {
        /// The parcel it answers.
        parcel: ParcelNo,
        /// One answer for each envelope, in the order of the parcel.
        answers: Vec<Answer>,
    },
    /// The word of a relay came, and was found right in every respect.
    CustodyArrived {
        /// The parcel it answers.
        parcel: ParcelNo,
        /// What it says.
        answer: CustodyAnswer,
    },
    /// An answer came that does not hold, or the neighbour broke the protocol in another way. All streams
    /// are closed.
    PeerMisbehaved,
    /// What [`Effect::Keep`] or [`Effect::KeepCustody`] asked for is on disk.
    Kept {
        /// The parcel it answers.
        parcel: ParcelNo,
    },
    /// It could not be written, though the store goes on: its parcel counts as unanswered.
    NotKept {
        /// The parcel it answers.
        parcel: ParcelNo,
    },
    /// This is on disk by another way: a receipt that was returned, a file, a person's decision.
    Marked {
        /// What has changed in the stored lane.
        marks: Vec<Mark>,
    },
    /// What a relay or a file was to bring to the recipient comes no further, by a signed word that is on disk.
    TurnedBack {
        /// The route by which it went; none for a file, or when that route is gone.
        by: Option<Route>,
        /// What has changed in the stored lane: when it is offered again.
        marks: Vec<Mark>,
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

/// What a relay says about a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CustodyAnswer {
    /// It is on the relay's disk and will be handed on.
    Held,
    /// Not taken; another way has to be found.
    Refused,
    /// Not taken now; nothing is to be offered to this relay before the time.
    Deferred {
        /// Not before.
        until: UnixMillis,
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
    /// Open a stream; answer with [`Event::LinkUp`] or [`Event::LinkLost`].
    Connect {
        /// To the neighbour of this route.
        route: Route,
    },
    /// Close the stream; needs no answer.
    Disconnect {
        /// To the neighbour of this route.
        route: Route,
    },
    /// Read envelopes from the journal for a new parcel; answer with [`Event::Loaded`].
    Load {
        /// The parcel it is for.
        parcel: ParcelNo,
        /// Which, ascending; as many of the first as fit.
        sequences: SeqRuns,
        /// Most bytes of envelopes; the first envelope is taken in any case.
        bytes_max: usize,
    },
    /// Find out by when these are due; answer with [`Event::Looked`]. At most
    /// [`LANE_WINDOW`](crate::lane::LANE_WINDOW) of them, and each is asked for once.
    Look {
        /// Which.
        sequences: SeqRuns,
    },
    /// Sign what was loaded and put it on the stream.
    Send {
        /// The parcel.
        parcel: ParcelNo,
        /// The stream.
        route: Route,
    },
    /// Write the receipt, and in the same unit apply the marks to the stored [`LaneOut`](crate::lane::LaneOut); answer with [`Event::Kept`].
    Keep {
        /// The parcel it answers.
        parcel: ParcelNo,
        /// What changes in the lane.
        marks: Vec<Mark>,
    },
    /// Write the relay's word and which parcel it holds, and in the same unit apply the marks; answer with [`Event::Kept`].
    KeepCustody {
        /// The parcel it answers.
        parcel: ParcelNo,
        /// What changes in the lane.
        marks: Vec<Mark>,
    },
    /// Give [`Event::Woken`] at this time. Replaces the wish before it.
    WakeAt(UnixMillis),
}
