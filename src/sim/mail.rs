//! What travels: sealed envelopes, signed parcels, receipts and words, as values that can be handed on or lost,
//! and neither made nor changed by anybody but their signer.
//!
//! A signature here is the fact that a [`Signed`] exists: only a node's [`Key`] makes one, its fields cannot be
//! written, and it says who made it. So whoever carries mail can drop it, hold it back, repeat it or cut a parcel short;
//! it cannot forge. Manifests, digests, trees and ledger entries are those of the protocol.

use std::rc::Rc;

use bytes::Bytes;
use domain::id::MessageId;
use exchange::custody::CustodyManifest;
use exchange::digest::Digest;
use exchange::envelope::{self, Header};
use exchange::parcel::ParcelManifest;
use exchange::receipt::{Disposition, ReceiptManifest};

use crate::plan::NodeNo;

/// Number of a message in the history of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageNo(pub(crate) u32);

impl MessageNo {
    /// The number, from 0.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A node's certificate key. There is one for each node, and it never leaves the node.
#[derive(Debug)]
pub(crate) struct Key(NodeNo);

impl Key {
    /// The key of a node.
    pub(crate) const fn of(node: NodeNo) -> Self {
        Self(node)
    }

    /// Signs.
    pub(crate) fn sign<T>(&self, manifest: T) -> Rc<Signed<T>> {
        Rc::new(Signed { manifest, by: self.0 })
    }

    /// What stands in a manifest for the certificate: its hash.
    pub(crate) fn signer_id(&self) -> Digest {
        signer_id(self.0)
    }
}

/// SHA-256 of what stands for the certificate of a node.
pub(crate) fn signer_id(node: NodeNo) -> Digest {
    Digest::of(&node.get().to_be_bytes())
}

/// Something that was signed.
#[derive(Debug)]
pub(crate) struct Signed<T> {
    manifest: T,
    by: NodeNo,
}

impl<T> Signed<T> {
    /// What was signed.
    pub(crate) const fn manifest(&self) -> &T {
        &self.manifest
    }

    /// Who signed it, as the chain proves.
    pub(crate) const fn by(&self) -> NodeNo {
        self.by
    }
}

/// What the recipient's rules say of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fitness {
    /// It may be stored.
    Fit,
    /// No agreement lists it.
    NotAgreed,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    /// Which message it is.
    pub(crate) message: MessageNo,
    /// What the recipient's rules say of it.
    pub(crate) fitness: Fitness,
    /// The message it answers.
    pub(crate) in_reply_to: Option<MessageId>,
    /// Whether it asks for an answer.
    pub(crate) asks: bool,
    /// Size when sealed.
    pub(crate) bytes: u32,
}

/// A sealed envelope. Only its recipient looks at the content.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) header: Header,
    digest: Digest,
    content: Content,
}

impl Envelope {
    /// Seals a content. The header has its counter already.
    pub(crate) fn seal(header: Header, content: Content) -> Self {
        let sealed = [
            &content.message.0.to_be_bytes()[..],
            &content.bytes.to_be_bytes(),
            &header.seal.counter.to_be_bytes(),
            &header.seal.encapsulated_key,
        ];
        let digest = envelope::digest(&header_bytes(&header), &Digest::of_parts(&sealed));
        Self { header, digest, content }
    }

    /// The digest that names it for ever.
    pub(crate) const fn digest(&self) -> Digest {
        self.digest
    }

    /// What is inside. For its sender and its recipient.
    pub(crate) const fn open(&self) -> &Content {
        &self.content
    }
}

/// Stands for the protobuf form of a header: every field, in a fixed order.
fn header_bytes(header: &Header) -> Vec<u8> {
    let Header { message_id, from, to, epoch, sequence, created, expires, due, seal } = header;
    let mut bytes = Vec::with_capacity(160);
    bytes.extend_from_slice(message_id.as_bytes());
    bytes.extend_from_slice(from.as_str().as_bytes());
    bytes.extend_from_slice(to.as_str().as_bytes());
    let due = due.map_or(0, domain::time::UnixMillis::get);
    for number in [epoch.get(), sequence.get(), created.get(), expires.get(), due, seal.counter] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(&seal.encapsulated_key);
    bytes
}

/// An envelope in a parcel.
#[derive(Clone, Debug)]
pub(crate) struct Carried {
    pub(crate) envelope: Rc<Envelope>,
    /// Whether the body travels; it does not in what is withdrawn or has expired.
    pub(crate) with_body: bool,
}

/// A parcel.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) signed: Rc<Signed<ParcelManifest>>,
    pub(crate) envelopes: Rc<[Carried]>,
    /// Words of the relays that have carried it.
    pub(crate) custody: Vec<Rc<Word>>,
}

impl Parcel {
    /// What its sender signed.
    pub(crate) fn manifest(&self) -> &ParcelManifest {
        self.signed.manifest()
    }

    /// Digests of its envelopes, in order.
    pub(crate) fn digests(&self) -> Vec<Digest> {
        self.envelopes.iter().map(|carried| carried.envelope.digest()).collect()
    }

    /// Positions of those without a body.
    pub(crate) fn bodiless(&self) -> Vec<u32> {
        let numbered = (0..).zip(self.envelopes.iter());
        numbered.filter(|(_, carried)| !carried.with_body).map(|(at, _)| at).collect()
    }

    /// Cuts it short: the only thing a carrier can do to what is inside.
    pub(crate) fn cut_short(&mut self) {
        let keep = self.envelopes.len() / 2;
        self.envelopes = self.envelopes.iter().take(keep).cloned().collect();
    }
}

/// A relay's signed word.
pub(crate) type Word = Signed<CustodyManifest>;

/// A recipient's signed answer.
#[derive(Debug)]
pub(crate) struct Receipt {
    pub(crate) signed: Rc<Signed<ReceiptManifest>>,
    /// The dispositions as they were signed.
    pub(crate) serialised: Rc<[Bytes]>,
}

impl Receipt {
    /// What the recipient signed.
    pub(crate) fn manifest(&self) -> &ReceiptManifest {
        self.signed.manifest()
    }

    /// The dispositions; `None` when one cannot be read.
    pub(crate) fn dispositions(&self) -> Option<Vec<Disposition>> {
        self.serialised.iter().map(|bytes| postcard::from_bytes(bytes).ok()).collect()
    }
}

/// Stands for the protobuf form of a disposition.
pub(crate) fn serialised(disposition: &Disposition) -> Bytes {
    // Values of this type always have a form; an empty one would be refused by its reader.
    postcard::to_allocvec(disposition).unwrap_or_default().into()
}

/// A signed word on its way back.
#[derive(Clone, Debug)]
pub(crate) enum Returned {
    /// The recipient's answer.
    Receipt(Rc<Receipt>),
    /// The word of a relay further on.
    Custody(Rc<Word>),
}

impl Returned {
    /// What names the word, in the place of the hash of its manifest.
    pub(crate) fn id(&self) -> Digest {
        match self {
            Self::Receipt(receipt) => {
                let m = receipt.manifest();
                let signed = m.signed.get().to_be_bytes();
                Digest::of_parts(&[b"receipt", m.parcel_id.as_bytes(), m.root.as_bytes(), &signed])
            }
            Self::Custody(word) => {
                let m = word.manifest();
                let signed = m.signed.get().to_be_bytes();
                let relay = m.relay.as_str().as_bytes();
                Digest::of_parts(&[b"custody", m.parcel_id.as_bytes(), relay, &signed])
            }
        }
    }
}

/// A file that is carried by hand.
#[derive(Clone, Debug)]
pub(crate) struct Bundle {
    pub(crate) to: NodeNo,
    pub(crate) items: Vec<BundleItem>,
}

/// What is in a file.
#[derive(Clone, Debug)]
pub(crate) enum BundleItem {
    Parcel(Parcel),
    Word(Returned),
}

/// One frame of a stream.
#[derive(Clone, Debug)]
pub(crate) enum Frame {
    /// The first one each way.
    Hello { window_parcels: u32, collects: bool },
    /// Mail.
    Parcel(Parcel),
    /// The answer of the recipient.
    Receipt(Rc<Receipt>),
    /// The answer of a relay.
    Custody(Rc<Word>),
    /// A word on its way back.
    Returned(Returned),
    /// A returned word has been taken.
    ReturnTaken(Digest),
}

impl Frame {
    /// About as many bytes as it has on the line.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Hello { .. } | Self::ReturnTaken(_) => 100,
            Self::Custody(_) | Self::Returned(Returned::Custody(_)) => 2_000,
            Self::Receipt(receipt) | Self::Returned(Returned::Receipt(receipt)) => {
                2_000 + 90 * u64::try_from(receipt.serialised.len()).unwrap_or_default()
            }
            Self::Parcel(parcel) => {
                let bytes = |c: &Carried| if c.with_body { c.envelope.content.bytes } else { 32 };
                let bodies = parcel.envelopes.iter().map(|c| u64::from(150 + bytes(c)));
                2_000 + bodies.sum::<u64>()
            }
        }
    }
}
