//! The signed answer to a parcel: what became of each envelope, and whether an answer fits a question.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::UnixMillis;
use serde::Deserialize;
use serde::Serialize;

use crate::digest::Digest;
use crate::keys::SignContext;
use crate::parcel::ParcelId;
use crate::parcel::ParcelManifest;
use crate::tree;

pub use crate::ledger::LedgerHead;

/// Largest serialised disposition, in bytes.
pub const DISPOSITION_BYTES_MAX: usize = 512;
/// Longest name of a field in a disposition, in bytes.
pub const FIELD_BYTES_MAX: usize = 200;

/// What a node did with an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// Written and flushed together with everything that follows from it.
    Stored,
    /// Not accepted; final.
    Refused {
        /// Why.
        reason: Reason,
        /// Field of the message that the reason is about, if it is about one.
        field: Option<String>,
    },
    /// Not accepted now, and nothing remembered; to be offered again.
    Deferred {
        /// Why.
        reason: Reason,
        /// Not before this time.
        until: UnixMillis,
    },
}

impl Outcome {
    /// Whether this is the last word about the envelope.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Stored | Self::Refused { .. } => true,
            Self::Deferred { .. } => false,
        }
    }
}

/// What became of one envelope; one leaf of a receipt's tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Disposition {
    /// The message; [`nil_message_id`] when the header could not be read.
    pub message_id: MessageId,
    /// Digest of the envelope that was offered.
    pub digest: Digest,
    /// What was done.
    pub outcome: Outcome,
    /// Whether it had been seen before; then the outcome and its time are the original ones.
    pub duplicate: bool,
    /// When the outcome was decided and on disk.
    pub decided: UnixMillis,
}

/// Stands in a disposition for a message whose header could not be read.
#[must_use]
pub const fn nil_message_id() -> MessageId {
    MessageId::from_bytes([0; 16])
}

/// What the receiver of a parcel signs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReceiptManifest {
    /// The parcel this answers.
    pub parcel_id: ParcelId,
    /// Root that the parcel's manifest carried.
    pub parcel_root: Digest,
    /// Area of the node that signed.
    pub from: AreaCode,
    /// Area of the node that sent the parcel.
    pub to: AreaCode,
    /// How many dispositions.
    pub count: u32,
    /// Root of the tree over the serialised dispositions.
    pub root: Digest,
    /// The signer's ledger after everything in this receipt was stored.
    pub ledger_head: LedgerHead,
    /// When it was signed; after the flush.
    pub signed: UnixMillis,
    /// SHA-256 of the signer's certificate in DER.
    pub signer: Digest,
}

/// A receipt as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Serialised manifest; the signature covers exactly these bytes.
    pub manifest_bytes: Bytes,
    /// ECDSA P-256 over [`receipt_signing_input`], ASN.1 DER.
    pub signature: Bytes,
    /// Serialised dispositions in the order of the parcel.
    pub dispositions: Vec<Bytes>,
    /// The signer's chain, leaf first, DER; empty when it was sent before on the same stream.
    pub chain: Vec<Vec<u8>>,
}

/// What the sender of a parcel remembers of each envelope in it, to check the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Offered {
    /// The message.
    pub message_id: MessageId,
    /// Digest of the envelope.
    pub digest: Digest,
}

/// Why a receipt does not answer a parcel; such a receipt is not kept and settles nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptFault {
    /// It names another parcel.
    #[error("the receipt is for another parcel")]
    OtherParcel,
    /// It repeats another root than that of the parcel.
    #[error("the receipt repeats another root than the parcel's")]
    ParcelRoot,
    /// It is signed for another area than the one the parcel was handed to.
    #[error("the receipt is from {found}, the parcel was handed to {expected}")]
    From {
        /// Area the parcel was handed to.
        expected: AreaCode,
        /// Area in the receipt.
        found: AreaCode,
    },
    /// It is addressed to another area than the parcel's sender.
    #[error("the receipt is addressed to {found}, the parcel came from {expected}")]
    To {
        /// Area that sent the parcel.
        expected: AreaCode,
        /// Area in the receipt.
        found: AreaCode,
    },
    /// Not one disposition for each envelope.
    #[error("{expected} envelopes were offered, the receipt answers {found}")]
    Count {
        /// How many envelopes the parcel had.
        expected: usize,
        /// How many dispositions came.
        found: usize,
    },
    /// The root over the dispositions is not the signed one.
    #[error("the dispositions are not those that were signed")]
    Root,
    /// A disposition is about another envelope than the one at its place.
    #[error("disposition {index} is about another envelope")]
    OtherEnvelope {
        /// Place in the parcel, from 0.
        index: usize,
    },
}

impl ReceiptManifest {
    /// Checks that this receipt answers `parcel`, whose envelopes were `offered` in this order.
    ///
    /// `serialised` are the dispositions as they came and `dispositions` the same, decoded. The signature
    /// and the signer's chain are checked elsewhere; this checks everything else.
    ///
    /// # Errors
    /// [`ReceiptFault`] names the first thing that does not fit.
    pub fn check_answers(
        &self,
        parcel: &ParcelManifest,
        offered: &[Offered],
        serialised: &[Bytes],
        dispositions: &[Disposition],
    ) -> Result<(), ReceiptFault> {
        if self.parcel_id != parcel.parcel_id {
            return Err(ReceiptFault::OtherParcel);
        }
        if self.parcel_root != parcel.root {
            return Err(ReceiptFault::ParcelRoot);
        }
        if self.from != parcel.to {
            return Err(ReceiptFault::From { expected: parcel.to, found: self.from });
        }
        if self.to != parcel.from {
            return Err(ReceiptFault::To { expected: parcel.from, found: self.to });
        }
        let expected = offered.len();
        let stated = usize::try_from(self.count).unwrap_or(usize::MAX);
        for found in [stated, serialised.len(), dispositions.len()] {
            if found != expected {
                return Err(ReceiptFault::Count { expected, found });
            }
        }
        if dispositions_root(serialised) != self.root {
            return Err(ReceiptFault::Root);
        }
        let mut pairs = offered.iter().zip(dispositions);
        match pairs.position(|(offered, disposition)| !disposition.is_about(offered)) {
            Some(index) => Err(ReceiptFault::OtherEnvelope { index }),
            None => Ok(()),
        }
    }
}

impl Disposition {
    /// Whether this is about that envelope. A refusal as `MALFORMED` may lack the message id, which its
    /// receiver could not read.
    #[must_use]
    pub fn is_about(&self, offered: &Offered) -> bool {
        let unreadable = matches!(self.outcome, Outcome::Refused { reason: Reason::Malformed, .. })
            && self.message_id == nil_message_id();
        self.digest == offered.digest && (self.message_id == offered.message_id || unreadable)
    }
}

/// Root of the tree whose leaves are these serialised dispositions, as a manifest carries it.
#[must_use]
pub fn dispositions_root(serialised: &[Bytes]) -> Digest {
    tree::root_of(serialised)
}

/// `SHA-256("liangdi/v1/receipt" || 0x00 || manifest)`: the hash that is signed.
#[must_use]
pub fn receipt_signing_input(manifest_bytes: &[u8]) -> [u8; 32] {
    SignContext::Receipt.digest(manifest_bytes).into_bytes()
}
