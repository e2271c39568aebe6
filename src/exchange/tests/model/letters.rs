//! What travels in the model: letters in offers, offers in parcels, words about parcels.

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::id::MessageIds;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::envelope::AlgorithmProfile;
use exchange::envelope::Header;
use exchange::envelope::SealHeader;
use exchange::lane::LaneEpoch;
use exchange::lane::LaneSeq;
use exchange::receipt::Outcome;

/// When the model begins.
pub(crate) const BEGINNING: UnixMillis = UnixMillis::new(1_780_000_000_000);

/// A message that a clerk has handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Letter {
    /// Its number over all, from 1, never given again.
    pub(crate) number: u32,
    pub(crate) made: UnixMillis,
}

impl Letter {
    /// As the node's source of ids would have given it.
    pub(crate) fn id(self) -> MessageId {
        MessageIds::of(sender()).next(self.made, u64::from(self.number) << 20)
    }
}

/// An envelope of a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Offer {
    pub(crate) letter: Letter,
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
    pub(crate) withdrawn: bool,
}

impl Offer {
    pub(crate) fn header(&self, expires: UnixMillis) -> Header {
        Header {
            message_id: self.letter.id(),
            from: sender(),
            to: "330106".parse().unwrap(),
            epoch: LaneEpoch::new(self.epoch),
            sequence: LaneSeq::new(self.sequence),
            created: self.letter.made,
            expires,
            due: None,
            seal: SealHeader {
                profile: AlgorithmProfile::International,
                recipient_key_id: [1; 8],
                encapsulated_key: [2; 32],
                counter: self.sequence,
            },
        }
    }

    /// The same for the same letter in the same place, with a body or without.
    pub(crate) fn digest(&self) -> Digest {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.epoch.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[16..20].copy_from_slice(&self.letter.number.to_be_bytes());
        Digest::new(bytes)
    }
}

fn sender() -> AreaCode {
    "410522".parse().unwrap()
}

/// Names a parcel: nobody else has this epoch, run of the program and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ParcelName {
    pub(crate) epoch: u64,
    pub(crate) run: u8,
    pub(crate) number: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Parcel {
    pub(crate) name: ParcelName,
    pub(crate) offers: Vec<Offer>,
}

/// What is said about a parcel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Word {
    /// By its recipient: each offer with what became of it.
    Receipt(Vec<(Offer, Outcome)>),
    /// By a relay.
    Held,
    Refused,
    Deferred {
        until: UnixMillis,
    },
}
