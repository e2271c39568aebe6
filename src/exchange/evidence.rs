//! Proof of the way of one envelope: who sent it, who did what with it, when; verifiable with the root alone.

#[cfg(test)]
mod tests;
mod verify;

use bytes::Bytes;
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::UnixMillis;

use crate::custody::CustodyFault;
use crate::custody::CustodyManifest;
use crate::digest::Digest;
use crate::envelope::Header;
use crate::keys::ChainError;
use crate::parcel::ParcelManifest;
use crate::receipt::Disposition;
use crate::receipt::LedgerHead;
use crate::receipt::Outcome;
use crate::receipt::ReceiptManifest;

/// What an evidence file says in its first field.
pub const EVIDENCE_FORMAT: &str = "liangdi-evidence-1";
/// Largest evidence file, in bytes: a sealed body, two chains, some revocation lists.
pub const EVIDENCE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most revocation lists in an evidence file.
pub const REVOCATION_LISTS_MAX: usize = 16;
/// How far two clocks may be apart before the order of signatures is in doubt.
pub const CLOCK_TOLERANCE: std::time::Duration = std::time::Duration::from_secs(600);

/// An evidence file, decoded. The parsed forms were decoded from the bytes beside them, by `wire` and
/// nobody else; what counts as proof is always recomputed from the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The envelope's header as it travelled.
    pub header_bytes: Bytes,
    /// The same, parsed.
    pub header: Header,
    /// SHA-256 of the sealed body.
    pub sealed_sha256: Digest,
    /// The sealed body, when still kept.
    pub sealed: Option<Bytes>,
    /// Proof that the sender signed it.
    pub parcel: ParcelProof,
    /// Proof of what the recipient did with it; absent while no receipt is held.
    pub receipt: Option<ReceiptProof>,
    /// Words of the relays that carried the parcel, in order.
    pub custody: Vec<CustodyProof>,
    /// Revocation lists at the time of export, DER.
    pub revocation_lists: Vec<Vec<u8>>,
    /// When the file was made, as its maker says.
    pub exported: UnixMillis,
}

/// Proof that an envelope was in a signed parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParcelProof {
    /// Serialised manifest.
    pub manifest_bytes: Bytes,
    /// The same, parsed.
    pub manifest: ParcelManifest,
    /// Signature over the manifest.
    pub signature: Bytes,
    /// Position of the envelope in the parcel, from 0.
    pub index: u32,
    /// Inclusion proof, from the leaf up.
    pub path: Vec<Digest>,
    /// The signer's chain, leaf first, DER.
    pub chain: Vec<Vec<u8>>,
}

/// Proof that a disposition was in a signed receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptProof {
    /// Serialised manifest.
    pub manifest_bytes: Bytes,
    /// The same, parsed.
    pub manifest: ReceiptManifest,
    /// Signature over the manifest.
    pub signature: Bytes,
    /// Position of the disposition in the receipt, from 0.
    pub index: u32,
    /// Serialised disposition.
    pub disposition_bytes: Bytes,
    /// The same, parsed.
    pub disposition: Disposition,
    /// Inclusion proof, from the leaf up.
    pub path: Vec<Digest>,
    /// The signer's chain, leaf first, DER.
    pub chain: Vec<Vec<u8>>,
}

/// The signed word of a relay that carried the parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustodyProof {
    /// Serialised manifest.
    pub manifest_bytes: Bytes,
    /// The same, parsed.
    pub manifest: CustodyManifest,
    /// Signature over the manifest.
    pub signature: Bytes,
    /// The signer's chain, leaf first, DER.
    pub chain: Vec<Vec<u8>>,
}

/// Of words that tell of a way, in order, those that a file can hold: the first ones, up to the one before that
/// whose signed time does not fit between the parcel and the receipt. One clock that was wrong must not spoil
/// the proof of everything else, and the last words may be missing.
#[must_use]
pub fn words_in_time<W>(
    words: Vec<W>,
    signed: impl Fn(&W) -> UnixMillis,
    parcel: UnixMillis,
    receipt: Option<UnixMillis>,
) -> Vec<W> {
    let mut before = parcel;
    let fits = |word: &W| {
        let this = signed(word);
        let after_the_last = verify::may_follow(before, this);
        before = this;
        after_the_last && receipt.is_none_or(|receipt| verify::may_follow(this, receipt))
    };
    words.into_iter().take_while(fits).collect()
}

/// What a good evidence file proves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proven {
    /// The message.
    pub message_id: MessageId,
    /// Digest of its envelope.
    pub digest: Digest,
    /// That the sealed body in the file is the one that travelled; `false` when the file has none.
    pub body_present: bool,
    /// Who sent it.
    pub sent: SignedBy,
    /// Who carried it, in order, as far as the file holds their words.
    pub carried: Vec<Carried>,
    /// What the recipient answered; `None` when the file holds no receipt.
    pub answered: Option<ProvenAnswer>,
}

/// What a relay's word proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Carried {
    /// The relay, and when it said that it held the parcel.
    pub by: SignedBy,
    /// Who had handed it over.
    pub handed_by: AreaCode,
    /// To whom it was to be handed.
    pub next: AreaCode,
}

/// What the recipient's receipt proves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProvenAnswer {
    /// Who answered: the area the envelope is for.
    pub by: SignedBy,
    /// What it did with the envelope.
    pub outcome: Outcome,
    /// Whether it had come before; then `decided` is the first time.
    pub duplicate: bool,
    /// When the outcome was decided and on disk.
    pub decided: UnixMillis,
    /// The recipient's ledger after that.
    pub ledger_head: LedgerHead,
}

/// A signature that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignedBy {
    /// Area in the signer's certificate.
    pub area: AreaCode,
    /// When it was signed, as the signer says.
    pub signed: UnixMillis,
    /// SHA-256 of the signer's certificate in DER.
    pub certificate: Digest,
    /// The time at which the chain was found valid.
    pub chain_valid_at: UnixMillis,
    /// Who says that it was that time.
    pub time_by: TimeBy,
}

/// Whose word a time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeBy {
    /// The other side's signed time: the signer cannot have chosen it.
    OtherSide,
    /// The signed time of the relay that took the parcel first: the signer cannot have chosen that either.
    Relay,
    /// The signer's own.
    Signer,
}

/// Which of the signed parts a flaw is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The sender's parcel.
    Parcel,
    /// The word of a relay.
    Custody {
        /// The relay, as it says.
        relay: AreaCode,
    },
    /// The recipient's receipt.
    Receipt,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Parcel => f.write_str("parcel"),
            Self::Custody { relay } => write!(f, "word of relay {relay}"),
            Self::Receipt => f.write_str("receipt"),
        }
    }
}

/// Why an evidence file proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The sealed body is not the one the hash is of.
    #[error("the sealed body is not the one that travelled")]
    BodyDiffers,
    /// The leaf is not at its place under the signed root.
    #[error("the hash path does not lead to the root that the {0} signs")]
    PathWrong(Part),
    /// The chain does not hold at the time that counts.
    #[error("the certificate chain of the {part} does not hold at {at}")]
    Chain {
        /// Where.
        part: Part,
        /// The time that counts.
        at: UnixMillis,
        /// Why.
        #[source]
        source: ChainError,
    },
    /// The manifest names another certificate than the chain's first.
    #[error("the {0} was signed with another certificate than the one in the file")]
    CertificateDiffers(Part),
    /// The certificate is that of another area than the manifest says.
    #[error("the {part} says it is from {stated}, its certificate is that of {certified}")]
    AreaDiffers {
        /// Where.
        part: Part,
        /// Area in the manifest.
        stated: AreaCode,
        /// Area in the certificate.
        certified: AreaCode,
    },
    /// The signature is wrong.
    #[error("the signature of the {0} is wrong")]
    SignatureWrong(Part),
    /// The parcel is signed by another area than the one the header names as sender.
    #[error("the header says it is from {stated}, the parcel is from {signer}")]
    NotTheSender {
        /// Area in the header.
        stated: AreaCode,
        /// Area that signed the parcel.
        signer: AreaCode,
    },
    /// The receipt is signed by another area than the one the header is addressed to.
    #[error("the header is addressed to {addressed}, the receipt is from {signer}")]
    NotTheRecipient {
        /// Area in the header.
        addressed: AreaCode,
        /// Area that signed the receipt.
        signer: AreaCode,
    },
    /// The receipt answers another parcel (another id or root, or from or to somebody else).
    #[error("the receipt answers another parcel")]
    OtherParcel,
    /// The disposition is about another envelope or stands at another place than the envelope.
    #[error("the disposition is about another envelope")]
    OtherEnvelope,
    /// The words of the relays do not tell of one way of this parcel.
    #[error("the words of the relays do not fit the parcel")]
    CustodyWrong(#[source] CustodyFault),
    /// A node has carried it that carries nothing between these areas.
    #[error("{relay} carries nothing between these areas")]
    NotARelay {
        /// The node.
        relay: AreaCode,
    },
    /// One part was signed long before another that must have been there before it.
    #[error("the {later} of {later_at} is older than the {earlier} of {earlier_at}")]
    OutOfOrder {
        /// What comes first.
        earlier: Part,
        /// When it was signed.
        earlier_at: UnixMillis,
        /// What comes later.
        later: Part,
        /// When that was signed.
        later_at: UnixMillis,
    },
    /// The outcome was decided after the receipt was signed.
    #[error("the outcome of {decided} is younger than its receipt of {receipt}")]
    DecidedAfterReceipt {
        /// When the outcome was decided.
        decided: UnixMillis,
        /// When the receipt was signed.
        receipt: UnixMillis,
    },
}
