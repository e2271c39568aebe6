//! Values of the tables about parcels on their way through relays and files: who holds what, until when, and by
//! whose signed word.
//!
//! Nothing here can be opened by the node that keeps it, and nothing names a person. Chains of whoever signed lie in
//! [`crate::tables::CHAIN`] under the digest of the signer's certificate.

#[cfg(test)]
mod tests;

use std::fmt;

use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::lane::LaneEpoch;
use exchange::parcel::ParcelId;
use serde::{Deserialize, Serialize};

use crate::messages::Signed;
use crate::value::first_layouts;

/// Name of a parcel, as it stands in keys.
pub type ParcelIdKey = [u8; 16];

/// A signed word, and under which digest its signer's chain is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Manifest and signature.
    pub signed: Signed,
    /// SHA-256 of the signer's certificate.
    pub signer: Digest,
}

/// A relay's word about a parcel, kept by its sender, by its recipient, and by relays once they have handed it on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustodyRow {
    /// The relay that signed.
    pub relay: AreaCode,
    /// The word.
    pub word: Word,
    /// When it was written here.
    pub received: UnixMillis,
}

/// Who carries a parcel of ours that its recipient has not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Carrier {
    /// A relay that has given its word.
    Relay(AreaCode),
    /// A bundle file of this name.
    File([u8; 16]),
}

/// A parcel of ours that somebody else holds, with what is needed to check the answer to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsignmentRow {
    /// The recipient.
    pub peer: AreaCode,
    /// Epoch of the lane it was made of.
    pub epoch: LaneEpoch,
    /// Lane sequences of its envelopes, in the order of the leaves.
    pub sequences: Vec<u64>,
    /// Its manifest and signature, and our certificate at that time.
    pub parcel: Word,
    /// Who carries it; the relay's word is in [`crate::tables::CUSTODY`].
    pub carrier: Carrier,
    /// When it was handed over.
    pub handed: UnixMillis,
    /// Until when its messages are not offered by another way.
    pub until: UnixMillis,
}

/// What became of a parcel in transit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TransitState {
    /// It waits for its turn; its content is here.
    Waiting,
    /// The next hop asked to wait; its content is here.
    PutOff {
        /// Not offered again before this time.
        until: UnixMillis,
        /// Why, in the next hop's words.
        reason: Reason,
    },
    /// The next hop has given its word, which is in [`crate::tables::CUSTODY`]; the content is gone.
    HandedOn {
        /// When that word was written here.
        at: UnixMillis,
    },
    /// The recipient has answered; the content is gone, the answer is on its way back.
    Answered {
        /// When the answer was written here.
        at: UnixMillis,
    },
    /// It can go no further; the content is gone, the sender finds another way.
    GivenUp {
        /// When that was decided.
        at: UnixMillis,
        /// Why.
        reason: Reason,
    },
}

impl TransitState {
    /// Whether the parcel's content is still here and has to be handed on.
    #[must_use]
    pub const fn is_held(self) -> bool {
        match self {
            Self::Waiting | Self::PutOff { .. } => true,
            Self::HandedOn { .. } | Self::Answered { .. } | Self::GivenUp { .. } => false,
        }
    }
}

/// A parcel that this node carries for others. Its envelopes are the entries of
/// [`crate::tables::TRANSIT_MAIL`], in the order of the leaves, while the state says that they are held.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransitRow {
    /// Its sender.
    pub from: AreaCode,
    /// Its recipient.
    pub to: AreaCode,
    /// The node that handed it over; answers go back there.
    pub handed_by: AreaCode,
    /// The node that it is handed to.
    pub next: AreaCode,
    /// Its manifest and signature, and the sender's certificate at that time.
    pub parcel: Word,
    /// Root in its manifest.
    pub root: Digest,
    /// Envelopes in it.
    pub count: u32,
    /// Bytes of its envelopes.
    pub bytes: u64,
    /// When it was written here.
    pub received: UnixMillis,
    /// Effective deadline, by which the queue is ordered.
    pub deadline: UnixMillis,
    /// Number of its arrival, which orders equal deadlines.
    pub arrival: u64,
    /// What became of it.
    pub state: TransitState,
    /// Words of the relays that carried it before, in order.
    pub words: Vec<Word>,
    /// Our own word, which is repeated whenever the parcel is handed over again; none while it is being signed.
    pub own_word: Option<Word>,
}

impl fmt::Debug for TransitRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransitRow")
            .field("from", &self.from)
            .field("to", &self.to)
            .field("next", &self.next)
            .field("count", &self.count)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Place of a parcel in the queue toward its next hop: earliest deadline first, then by arrival.
pub type TransitQueueKey = ([u8; 6], u64, u64);

/// Whose word is on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReturnKind {
    /// The recipient's receipt. Its dispositions are the entries of [`crate::tables::RETURN_BODY`].
    Receipt,
    /// The word of a relay further on.
    Custody,
}

/// A signed word on its way back, until the neighbour has taken it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnRow {
    /// The node it is for: the parcel's sender.
    pub addressee: AreaCode,
    /// Whose word it is.
    pub kind: ReturnKind,
    /// The word.
    pub word: Word,
    /// The parcel it is about.
    pub parcel_id: ParcelId,
    /// When it was written here.
    pub received: UnixMillis,
}

/// Place of a word in the queue toward the node it is handed to: in the order of arrival.
pub type ReturnKey = ([u8; 6], u64);

/// Which way a bundle file went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BundleWay {
    /// Made here.
    Exported,
    /// Read in here.
    Imported,
}

/// A bundle file that was made or read in here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleRow {
    /// Which way it went.
    pub way: BundleWay,
    /// The other node.
    pub peer: AreaCode,
    /// When the file was made.
    pub created: UnixMillis,
    /// When it was made or last read in here.
    pub at: UnixMillis,
    /// Parcels in it.
    pub parcels: u32,
    /// Signed words in it.
    pub words: u32,
}

first_layouts!(CustodyRow, ConsignmentRow, TransitRow, ReturnRow, BundleRow);
