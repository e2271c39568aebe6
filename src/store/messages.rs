//! Values of the exchange's tables: messages, lanes, parcels with their receipts, cards and keys.
//!
//! The tables themselves are in the catalogue, [`crate::tables`].

#[cfg(test)]
mod tests;
mod v1;

use std::fmt;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::message::Kind;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::lane::{LaneEpoch, LaneIn, LaneSeq};
use exchange::parcel::ParcelId;
use serde::{Deserialize, Serialize};
use zeroize::ZeroizeOnDrop;

use crate::value::{Versioned, first_layouts};

/// County of a peer, as it stands in keys: six ASCII digits.
pub type PeerKey = [u8; 6];
/// Side and peer.
pub type SideKey = [u8; 7];
/// A lane: side, peer and epoch.
pub type LaneKey = (SideKey, u64);
/// A parcel: side, peer, epoch, lowest sequence in it, parcel id.
pub type ParcelKey = (SideKey, u64, u64, [u8; 16]);
/// A message: its id and which way it went.
pub type MessageKey = ([u8; 16], u8);

/// The side of a message that this node was on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// Sent from here.
    Sent,
    /// Received here.
    Received,
}

impl Side {
    /// As it stands in keys.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Sent => 1,
            Self::Received => 2,
        }
    }

    /// From a key.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Sent),
            2 => Some(Self::Received),
            _ => None,
        }
    }
}

/// The key of a peer: its county, whatever level the code has.
#[must_use]
pub fn peer_key(area: AreaCode) -> PeerKey {
    let mut key = [b'0'; 6];
    for (to, from) in key.iter_mut().zip(area.as_str().bytes()) {
        *to = from;
    }
    key
}

/// The area of a peer's key.
#[must_use]
pub fn peer_area(key: &PeerKey) -> Option<AreaCode> {
    std::str::from_utf8(key).ok()?.parse().ok()
}

/// The key of a message.
#[must_use]
pub const fn message_key(id: MessageId, side: Side) -> MessageKey {
    (*id.as_bytes(), side.byte())
}

/// A message as this node keeps it; sealed under the key of the person it is about.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRow {
    /// The other county.
    pub peer: AreaCode,
    /// Lane of its envelope.
    pub epoch: LaneEpoch,
    /// Place of its envelope in the lane.
    pub sequence: LaneSeq,
    /// Position of its envelope in the journal of the lane.
    pub position: u64,
    /// Number of its kind.
    pub kind: u8,
    /// The message that opened its case; its own id when it opened one.
    pub case: MessageId,
    /// The message it answers.
    pub in_reply_to: Option<MessageId>,
    /// When the sender accepted it.
    pub created: UnixMillis,
    /// When it loses its purpose.
    pub expires: UnixMillis,
    /// When it has to be answered by.
    pub due: Option<UnixMillis>,
    /// Digest of its envelope.
    pub digest: Digest,
    /// When this node stored it.
    pub stored: UnixMillis,
    /// When somebody here first opened it; for received ones.
    pub opened: Option<UnixMillis>,
    /// Which message answered it, and when that was stored here.
    pub answered: Option<(MessageId, UnixMillis)>,
    /// Serialised content.
    pub content: Blob,
}

/// Bytes kept as one string; the derived form would visit each byte.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Blob(pub Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = Blob;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
        }
        from.deserialize_bytes(Bytes)
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl MessageRow {
    /// The kind, if this version knows it.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        Kind::from_number(self.kind)
    }

    /// Whether its content was deleted since; that there was a message stays provable.
    #[must_use]
    pub const fn is_deleted(&self) -> bool {
        self.content.0.is_empty()
    }
}

impl fmt::Debug for MessageRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageRow")
            .field("peer", &self.peer)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

/// The state of an outbound lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneOutRow {
    /// What is settled and what waits.
    pub lane: exchange::lane::LaneOut,
}

/// The state of an inbound lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneInRow {
    /// What has been seen.
    pub lane: LaneIn,
}

impl Versioned for LaneOutRow {
    const VERSION: u8 = 2;
    type Older = v1::LaneOutRow;
    fn upgrade(older: v1::LaneOutRow) -> Self {
        Self { lane: older.lane.into() }
    }
}

impl Versioned for LaneInRow {
    const VERSION: u8 = 2;
    type Older = v1::LaneInRow;
    fn upgrade(older: v1::LaneInRow) -> Self {
        Self { lane: older.lane.into() }
    }
}

/// Serialised manifest and its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The bytes that were signed.
    pub manifest: Blob,
    /// The signature, ASN.1 DER.
    pub signature: Blob,
}

/// A parcel with what became of it; the receipt's manifest lies beside it, under the same key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParcelRow {
    /// Its name.
    pub parcel_id: ParcelId,
    /// Its manifest.
    pub parcel: Signed,
    /// Lane sequences of its envelopes, in the order of the leaves.
    pub sequences: Vec<u64>,
    /// What became of them, in the same order: serialised dispositions, as they were signed.
    pub dispositions: Vec<Blob>,
}

/// That a message was refused, so that it stays refused in whatever epoch it comes again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalRow {
    /// Who sent it.
    pub peer: AreaCode,
    /// The disposition, serialised.
    pub disposition: Blob,
}

/// A certificate chain that signed something kept here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainRow {
    /// Leaf first, DER.
    pub certificates: Vec<Blob>,
}

/// One of this node's sealing keys.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ZeroizeOnDrop)]
pub struct SealingKeyRow {
    /// Raw private key.
    pub private: [u8; 32],
    /// When it was made.
    #[zeroize(skip)]
    pub created: UnixMillis,
}

impl fmt::Debug for SealingKeyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKeyRow").field("created", &self.created).finish_non_exhaustive()
    }
}

/// Names the journal of envelopes, and the lane, of one side, peer and epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvelopeKey {
    side: Side,
    peer: AreaCode,
    epoch: LaneEpoch,
}

impl EnvelopeKey {
    /// That side, peer and epoch.
    #[must_use]
    pub const fn of(side: Side, peer: AreaCode, epoch: LaneEpoch) -> Self {
        Self { side, peer, epoch }
    }

    /// As it stands in keys.
    #[must_use]
    pub fn key(self) -> LaneKey {
        (side_key(self.side, self.peer), self.epoch.get())
    }
}

/// Side and peer as they stand in keys: one byte and six ASCII digits.
#[must_use]
pub fn side_key(side: Side, peer: AreaCode) -> SideKey {
    let mut key = [side.byte(); 7];
    for (to, from) in key.iter_mut().skip(1).zip(peer_key(peer)) {
        *to = from;
    }
    key
}

first_layouts!(MessageRow, ParcelRow, RefusalRow, ChainRow, SealingKeyRow, Signed,);
