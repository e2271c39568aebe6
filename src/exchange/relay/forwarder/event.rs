//! What happens to a forwarder, and what it wants done.

use domain::time::UnixMillis;

/// Number of a parcel in one forwarder's hands; the shell maps it to the parcel's id. Given once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlightNo(u64);

impl FlightNo {
    pub(super) const FIRST: Self = Self(0);

    pub(super) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// The number, for logs.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// What happens to a forwarder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// One more parcel is in the queue, on disk.
    Mail,
    /// The stream to the next hop stands and its `Hello` has been read: opened as [`Effect::Connect`] asked,
    /// or by the next hop, which collects.
    LinkUp {
        /// Largest number of parcels that the next hop wants in flight to it; 0 counts as 1.
        window_parcels: u32,
    },
    /// The stream broke, or could not be opened.
    LinkLost,
    /// The next hop was heard of by another way: wait no longer than after a first failure.
    PeerSeen,
    /// The next hop has announced that it is out of service; or, with `None`, that it is not after all.
    HoldUntil {
        /// Everything waits until then, but at most [`ForwarderSettings::defer_max`](super::ForwarderSettings::defer_max).
        until: Option<UnixMillis>,
    },
    /// The store answered [`Effect::LoadNext`]. A read that failed is [`Event::NotKept`].
    Loaded {
        /// The flight it was for.
        flight: FlightNo,
        /// Whether there was a parcel.
        found: bool,
    },
    /// An answer to a parcel came, and was found right in every respect.
    Answered {
        /// The parcel it answers.
        flight: FlightNo,
        /// What it says.
        answer: Answer,
    },
    /// An answer came that does not hold, or the next hop broke the protocol in another way. The stream is
    /// closed.
    PeerMisbehaved,
    /// What [`Effect::Keep`] asked for is on disk, and the parcel is out of the queue.
    Kept {
        /// The parcel.
        flight: FlightNo,
    },
    /// Our own store could not do what [`Effect::Keep`] or [`Effect::LoadNext`] asked for: later again.
    NotKept {
        /// The parcel.
        flight: FlightNo,
    },
    /// The time of the last [`Effect::WakeAt`] has come.
    Woken,
}

/// What the next hop says about a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The recipient's receipt, whatever it says of the envelopes: what it defers, the sender offers again.
    Final,
    /// Another relay holds it.
    Held,
    /// Not taken; the sender has to find another way.
    Refused,
    /// Not taken now.
    Deferred {
        /// Not before this time.
        until: UnixMillis,
    },
}

/// How a parcel ends at this relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// The recipient has answered.
    Final,
    /// The next relay holds it.
    Held,
    /// The next hop does not take it: given up here.
    Refused,
}

/// What the shell has to do for a forwarder, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Open the stream to the next hop, or wait for one that collects to open it; answer with
    /// [`Event::LinkUp`] or [`Event::LinkLost`].
    Connect,
    /// Close the stream, or stop opening it. What still comes over it is of no interest.
    Disconnect,
    /// Read the parcel with the earliest deadline; answer with [`Event::Loaded`].
    LoadNext {
        /// Number of the parcel that is read.
        flight: FlightNo,
        /// But none of these: they are in the forwarder's hands. What was another flight and is not named
        /// here is in the queue again.
        not: Vec<FlightNo>,
    },
    /// Send the parcel that was read, with the words of all relays so far and our own.
    Send {
        /// The parcel.
        flight: FlightNo,
    },
    /// In one unit: write the answer, put it on its way back, take the parcel out of the queue and its
    /// content from the disk; answer with [`Event::Kept`] or [`Event::NotKept`].
    Keep {
        /// The parcel.
        flight: FlightNo,
        /// How it ends here.
        ending: Ending,
    },
    /// Give [`Event::Woken`] at this time. Replaces the wish before it.
    WakeAt(UnixMillis),
}
