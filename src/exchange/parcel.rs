//! A signed batch of envelopes from a sender to a recipient, whoever carries it, and the checks that need no key.

use std::fmt;

use bytes::Bytes;
use domain::area::AreaCode;
use domain::time::UnixMillis;
use serde::Deserialize;
use serde::Serialize;

use crate::custody::CustodyReceipt;
use crate::digest::Digest;
use crate::envelope::SealedEnvelope;
use crate::keys::SignContext;
use crate::tree;

/// Most envelopes in a parcel.
pub const PARCEL_ENVELOPES_MAX: usize = 512;
/// Most bytes of envelopes (headers and sealed bodies) in a parcel.
pub const PARCEL_BYTES_MAX: usize = 1024 * 1024;
/// Most certificates in a chain.
pub const CHAIN_CERTIFICATES_MAX: usize = 4;
/// Largest certificate in DER, in bytes.
pub const CERTIFICATE_BYTES_MAX: usize = 8 * 1024;
/// Largest manifest, in bytes. Ours have about 170, and two for each withdrawn envelope; the rest is room
/// for newer versions.
pub const MANIFEST_BYTES_MAX: usize = 2 * 1024;
/// Largest signature, in bytes; an ECDSA P-256 signature in DER has at most 72.
pub const SIGNATURE_BYTES_MAX: usize = 256;
/// Largest frame of the stream, in bytes: a full parcel with the words of all relays and everything around it.
/// No larger than needed, since a decoder's memory is a multiple of what it reads.
pub const FRAME_BYTES_MAX: usize = PARCEL_BYTES_MAX + 256 * 1024;

/// Random name of a parcel, repeated in its receipt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ParcelId([u8; 16]);

impl ParcelId {
    /// From 16 random bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for ParcelId {
    /// Lower-case hexadecimal, 32 characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ParcelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ParcelId({self})")
    }
}

/// What the sender of a parcel signs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ParcelManifest {
    /// Names the parcel in its receipt.
    pub parcel_id: ParcelId,
    /// Area of the node that signed.
    pub from: AreaCode,
    /// Area of the node the parcel is for, whoever carries it.
    pub to: AreaCode,
    /// How many envelopes.
    pub count: u32,
    /// Root of the tree over the envelopes' digests.
    pub root: Digest,
    /// When it was signed.
    pub signed: UnixMillis,
    /// SHA-256 of the signer's certificate in DER.
    pub signer: Digest,
    /// Positions of the envelopes that travel without their body, ascending, from 0.
    pub withdrawn: Vec<u32>,
}

/// A parcel as it travels: exact manifest bytes, their signature, and the envelopes in leaf order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// Serialised manifest; the signature covers exactly these bytes.
    pub manifest_bytes: Bytes,
    /// ECDSA P-256 over [`parcel_signing_input`], ASN.1 DER.
    pub signature: Bytes,
    /// The envelopes in the order of the tree's leaves.
    pub envelopes: Vec<SealedEnvelope>,
    /// The signer's chain, leaf first, DER; empty when it was sent before on the same stream. Always there
    /// when somebody else than the sender hands the parcel over.
    pub chain: Vec<Vec<u8>>,
    /// Signed words of the relays that carried it so far, in order; empty from the sender.
    pub custody: Vec<CustodyReceipt>,
}

impl Parcel {
    /// Digests of the envelopes, in order.
    #[must_use]
    pub fn digests(&self) -> Vec<Digest> {
        self.envelopes.iter().map(SealedEnvelope::digest).collect()
    }

    /// Positions of the envelopes that have no body; see [`bodiless`].
    #[must_use]
    pub fn bodiless(&self) -> Vec<u32> {
        bodiless(&self.envelopes)
    }
}

/// Why envelopes and manifest do not belong together; such a parcel gets no receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParcelFault {
    /// There is no envelope in it.
    #[error("the parcel is empty")]
    Empty,
    /// More envelopes than [`PARCEL_ENVELOPES_MAX`].
    #[error("the parcel has {count} envelopes, the most is {PARCEL_ENVELOPES_MAX}")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// The manifest names another number of envelopes.
    #[error("the manifest says {stated} envelopes, there are {found}")]
    Count {
        /// What the manifest says.
        stated: u32,
        /// How many there are.
        found: usize,
    },
    /// The root over the digests is not the signed one.
    #[error("the envelopes are not those that were signed")]
    Root,
    /// The envelopes without a body are not exactly those that the manifest lists.
    #[error("the envelopes without a body are not those that the manifest lists as withdrawn")]
    Withdrawn,
}

impl ParcelManifest {
    /// Checks that the envelopes with these digests, in this order, are what the manifest stands for, and
    /// that exactly the listed ones are without a body; `bodiless` is [`Parcel::bodiless`].
    ///
    /// # Errors
    /// [`ParcelFault`] when not.
    pub fn check(&self, digests: &[Digest], bodiless: &[u32]) -> Result<(), ParcelFault> {
        match digests.len() {
            0 => return Err(ParcelFault::Empty),
            1..=PARCEL_ENVELOPES_MAX => {}
            count => return Err(ParcelFault::TooMany { count }),
        }
        if u32::try_from(digests.len()) != Ok(self.count) {
            return Err(ParcelFault::Count { stated: self.count, found: digests.len() });
        }
        if envelopes_root(digests) != self.root {
            return Err(ParcelFault::Root);
        }
        if self.withdrawn != bodiless {
            return Err(ParcelFault::Withdrawn);
        }
        Ok(())
    }
}

/// Root of the tree whose leaves are these envelope digests, as a manifest carries it.
#[must_use]
pub fn envelopes_root(digests: &[Digest]) -> Digest {
    tree::root_of(digests)
}

/// Positions of the envelopes that have no body, ascending, from 0, as a manifest lists them.
#[must_use]
pub fn bodiless(envelopes: &[SealedEnvelope]) -> Vec<u32> {
    let numbered = (0..).zip(envelopes);
    numbered.filter(|(_, envelope)| envelope.is_withdrawn()).map(|(at, _)| at).collect()
}

/// `SHA-256("liangdi/v1/parcel" || 0x00 || manifest)`: the hash that is signed.
///
/// A signer that hashes by itself gets [`SignContext::message`] instead; see there.
#[must_use]
pub fn parcel_signing_input(manifest_bytes: &[u8]) -> [u8; 32] {
    SignContext::Parcel.digest(manifest_bytes).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn signing_input_is_the_hash_the_proto_file_describes() {
        let by_hand = Digest::of(b"liangdi/v1/parcel\0manifest");
        assert_eq!(parcel_signing_input(b"manifest"), by_hand.into_bytes());
    }

    #[test]
    fn a_manifest_stands_for_its_envelopes_in_their_order_only() {
        let digests = [Digest::of(b"a"), Digest::of(b"b")];
        let manifest = samples::parcel_manifest(&digests);
        let check = |digests: &[Digest]| manifest.check(digests, &[]);
        assert_eq!(check(&digests), Ok(()));
        assert_eq!(check(&[digests[1], digests[0]]), Err(ParcelFault::Root));
        let found = 1;
        assert_eq!(check(&digests[..1]), Err(ParcelFault::Count { stated: 2, found }));
        assert_eq!(check(&[]), Err(ParcelFault::Empty));
        let count = PARCEL_ENVELOPES_MAX + 1;
        assert_eq!(check(&vec![digests[0]; count]), Err(ParcelFault::TooMany { count }));
    }

    #[test]
    fn exactly_the_listed_envelopes_are_without_a_body() {
        let with_body = SealedEnvelope::new(&b"one"[..], &b"sealed"[..]);
        let without = SealedEnvelope::new(&b"two"[..], &b"sealed"[..]).without_body();
        let parcel = Parcel {
            manifest_bytes: Bytes::new(),
            signature: Bytes::new(),
            envelopes: vec![with_body, without],
            chain: Vec::new(),
            custody: Vec::new(),
        };
        let digests = parcel.digests();
        assert_eq!(parcel.bodiless(), [1]);
        let check = |withdrawn: &[u32]| {
            let withdrawn = withdrawn.to_vec();
            let manifest = ParcelManifest { withdrawn, ..samples::parcel_manifest(&digests) };
            manifest.check(&digests, &parcel.bodiless())
        };
        assert_eq!(check(&[1]), Ok(()));
        for wrong in [&[][..], &[0], &[0, 1], &[1, 1], &[1, 2]] {
            assert_eq!(check(wrong), Err(ParcelFault::Withdrawn), "{wrong:?}");
        }
    }
}
