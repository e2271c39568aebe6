//! The sealed, addressed message: its header, its exact bytes, its digest, and the sizes it may have.

use std::time::Duration;

use bytes::Bytes;
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::UnixMillis;

use crate::lane::LaneEpoch;
use crate::lane::LaneSeq;

pub use crate::digest::Digest;

/// Sizes of the padded plaintext, in bytes. A body takes the smallest class that holds its length
/// prefix and itself, so that a listener learns the class and not the length.
pub const SIZE_CLASSES: [usize; 15] = [
    512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12_288, 16_384, 24_576, 32_768, 49_152,
    65_536,
];
/// Bytes of the length prefix inside the padded plaintext (`u32be`).
pub const LENGTH_PREFIX_BYTES: usize = 4;
/// Bytes of the authentication tag that sealing appends (AES-256-GCM).
pub const SEAL_TAG_BYTES: usize = 16;
/// Largest body before padding, in bytes.
pub const BODY_BYTES_MAX: usize = 65_532;
/// Largest serialised header, in bytes. Ours have about 150; the rest is room for newer versions.
pub const HEADER_BYTES_MAX: usize = 1024;
/// Largest sealed body, in bytes.
pub const SEALED_BYTES_MAX: usize = BODY_BYTES_MAX + LENGTH_PREFIX_BYTES + SEAL_TAG_BYTES;

/// First part of what an envelope's digest is taken over; see `envelope.proto`.
const DIGEST_CONTEXT: &[u8] = b"liangdi/v1/envelope\0";

/// What anyone on the way may read: addresses and times, never the kind of the message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// The message; its time stamp is when the sender made the number.
    pub message_id: MessageId,
    /// County that sent it.
    pub from: AreaCode,
    /// County it is for.
    pub to: AreaCode,
    /// Epoch of the lane.
    pub epoch: LaneEpoch,
    /// Place in the lane, from 1 without gaps.
    pub sequence: LaneSeq,
    /// When the sender accepted the message.
    pub created: UnixMillis,
    /// When the message loses its purpose; a fresh one is refused as `EXPIRED` from then on.
    pub expires: UnixMillis,
    /// By when the recipient's office has to act, rounded up to the day; `None` when nothing is due.
    pub due: Option<UnixMillis>,
    /// How the body is sealed.
    pub seal: SealHeader,
}

/// So far from the time of acceptance may the time in an id be: clocks are set, and ids grow all the same.
const ID_APART_MAX: Duration = Duration::from_secs(31 * 86_400);
/// A message is accepted no later than now, as far as clocks agree.
const CREATED_AHEAD_MAX: Duration = Duration::from_secs(86_400);
/// Nobody delivers again what is older: five years, longer than proofs of transfer are kept.
const CREATED_AGO_MAX: Duration = Duration::from_secs(5 * 366 * 86_400);

/// Times in a header that cannot be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untimely {
    /// The id is of another time than the message.
    Id,
    /// It was accepted tomorrow, or years ago: one of the two clocks is wrong.
    Clock,
}

impl Header {
    /// Whether its times can be true at a receiver whose clock says `now`. What is reconciled is found by the time in its
    /// id: one of another century would be in no book that anybody looks at, or in too many.
    ///
    /// # Errors
    /// [`Untimely`] when they cannot.
    pub fn check_times(&self, now: UnixMillis) -> Result<(), Untimely> {
        let made = self.message_id.timestamp();
        if made.since(self.created).max(self.created.since(made)) > ID_APART_MAX {
            return Err(Untimely::Id);
        }
        let ahead = self.created.since(now) > CREATED_AHEAD_MAX;
        if ahead || now.since(self.created) > CREATED_AGO_MAX {
            return Err(Untimely::Clock);
        }
        Ok(())
    }
}

/// How a body is sealed: RFC 9180 base mode, export only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SealHeader {
    /// The set of algorithms.
    pub profile: AlgorithmProfile,
    /// First 8 bytes of SHA-256 of the recipient's raw sealing key.
    pub recipient_key_id: [u8; 8],
    /// Encapsulated key of the sending process.
    pub encapsulated_key: [u8; 32],
    /// Number of the envelope under this encapsulated key; gives the nonce, so never used twice.
    pub counter: u64,
}

/// A named set of algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlgorithmProfile {
    /// ECDSA P-256, X25519, HKDF-SHA256, AES-256-GCM, SHA-256.
    International,
    /// SM2, SM3, SM4: reserved, carried but not opened by this version.
    Shangmi,
}

/// An envelope as it travels and as it is kept: exact bytes, cheap to clone.
///
/// The parts are reference counted, so that a decoded parcel is not copied envelope by envelope.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SealedEnvelope {
    /// Serialised header: what is hashed, and the associated data of the seal.
    pub header_bytes: Bytes,
    /// The sealed body, or what stands in its place.
    pub body: Body,
}

/// The second part of an envelope. Both forms give the same digest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Body {
    /// The padded and sealed body, with its tag.
    Sealed(Bytes),
    /// SHA-256 of the sealed body, in an envelope that its sender has withdrawn or that has expired:
    /// the lane has no gap, and nothing about a person travels without purpose.
    Withdrawn(Digest),
}

impl SealedEnvelope {
    /// An envelope with its body.
    #[must_use]
    pub fn new(header_bytes: impl Into<Bytes>, sealed: impl Into<Bytes>) -> Self {
        Self { header_bytes: header_bytes.into(), body: Body::Sealed(sealed.into()) }
    }

    /// A withdrawn envelope: its header, and SHA-256 of the sealed body that is not there.
    #[must_use]
    pub fn withdrawn(header_bytes: impl Into<Bytes>, sealed_sha256: Digest) -> Self {
        Self { header_bytes: header_bytes.into(), body: Body::Withdrawn(sealed_sha256) }
    }

    /// The same envelope without its body, as it travels once it has no purpose any more.
    #[must_use]
    pub fn without_body(self) -> Self {
        let body = Body::Withdrawn(self.sealed_sha256());
        Self { header_bytes: self.header_bytes, body }
    }

    /// The sealed body; `None` in a withdrawn envelope.
    #[must_use]
    pub const fn sealed(&self) -> Option<&Bytes> {
        match &self.body {
            Body::Sealed(sealed) => Some(sealed),
            Body::Withdrawn(_) => None,
        }
    }

    /// SHA-256 of the sealed body, whether it is there or not.
    #[must_use]
    pub fn sealed_sha256(&self) -> Digest {
        match &self.body {
            Body::Sealed(sealed) => Digest::of(sealed),
            Body::Withdrawn(hash) => *hash,
        }
    }

    /// Whether the body was taken out.
    #[must_use]
    pub const fn is_withdrawn(&self) -> bool {
        matches!(self.body, Body::Withdrawn(_))
    }

    /// The digest that names the envelope for ever.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest(&self.header_bytes, &self.sealed_sha256())
    }

    /// Bytes that count against the limit of a parcel: header, and sealed body or its hash.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        let body = match &self.body {
            Body::Sealed(sealed) => sealed.len(),
            Body::Withdrawn(hash) => hash.as_bytes().len(),
        };
        self.header_bytes.len() + body
    }

    /// Whether the parts have sizes that an envelope can have; anything else is `MALFORMED`.
    #[must_use]
    pub fn sizes_are_valid(&self) -> bool {
        let body_is_valid = match &self.body {
            Body::Sealed(sealed) => {
                let padded = sealed.len().checked_sub(SEAL_TAG_BYTES);
                padded.is_some_and(|padded| SIZE_CLASSES.binary_search(&padded).is_ok())
            }
            Body::Withdrawn(_) => true,
        };
        (1..=HEADER_BYTES_MAX).contains(&self.header_bytes.len()) && body_is_valid
    }
}

/// Digest of an envelope from its header and the hash of its sealed body:
/// `SHA-256("liangdi/v1/envelope" || 0x00 || u32be(len(header)) || header || sealed_sha256)`.
///
/// A proof therefore needs the header and one hash, but not the sealed body.
#[must_use]
pub fn digest(header_bytes: &[u8], sealed_sha256: &Digest) -> Digest {
    // A header of 4 GiB cannot be built or decoded; saturating keeps the function total.
    let length = u32::try_from(header_bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    Digest::of_parts(&[DIGEST_CONTEXT, &length, header_bytes, sealed_sha256.as_bytes()])
}

/// Why a body cannot be padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body has {length} bytes, the most is {BODY_BYTES_MAX}")]
pub struct TooLarge {
    /// Length of the refused body in bytes.
    pub length: usize,
}

/// Why an opened plaintext is not a padded body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPadding {
    /// The length is not one of [`SIZE_CLASSES`].
    #[error("{length} bytes is no size class")]
    NotASizeClass {
        /// Length of the plaintext in bytes.
        length: usize,
    },
    /// The length prefix points past the end, or the class is larger than the body needs.
    #[error("the length prefix says {stated} bytes, which does not fit the size class")]
    LengthWrong {
        /// What the prefix says, in bytes.
        stated: u32,
    },
    /// A byte after the body is not zero: two encodings of one body must not exist.
    #[error("the padding is not all zeros")]
    NotZero,
}

/// Pads a body to its size class: `u32be(len) || body || zeros`.
///
/// The buffer has room for the tag, so sealing in place does not move it.
///
/// # Errors
/// [`TooLarge`] when the body is longer than [`BODY_BYTES_MAX`].
pub fn pad(body: &[u8]) -> Result<Vec<u8>, TooLarge> {
    let too_large = TooLarge { length: body.len() };
    let class = size_class(body.len()).ok_or(too_large)?;
    let length = u32::try_from(body.len()).map_err(|_| too_large)?;
    let mut padded = Vec::with_capacity(class + SEAL_TAG_BYTES);
    padded.extend_from_slice(&length.to_be_bytes());
    padded.extend_from_slice(body);
    padded.resize(class, 0);
    Ok(padded)
}

/// Takes a body out of its padding.
///
/// # Errors
/// [`BadPadding`] unless `padded` is exactly what [`pad`] gives for that body.
pub fn unpad(padded: &[u8]) -> Result<&[u8], BadPadding> {
    if SIZE_CLASSES.binary_search(&padded.len()).is_err() {
        return Err(BadPadding::NotASizeClass { length: padded.len() });
    }
    let not_a_class = BadPadding::NotASizeClass { length: padded.len() };
    let (prefix, rest) = padded.split_first_chunk::<LENGTH_PREFIX_BYTES>().ok_or(not_a_class)?;
    let stated = u32::from_be_bytes(*prefix);
    let wrong = BadPadding::LengthWrong { stated };
    let length = usize::try_from(stated).map_err(|_| wrong)?;
    let (body, zeros) = rest.split_at_checked(length).ok_or(wrong)?;
    if size_class(length) != Some(padded.len()) {
        return Err(wrong);
    }
    if zeros.iter().any(|&byte| byte != 0) {
        return Err(BadPadding::NotZero);
    }
    Ok(body)
}

/// The smallest class that holds a body of `length` bytes and its prefix.
fn size_class(length: usize) -> Option<usize> {
    let needed = length.checked_add(LENGTH_PREFIX_BYTES)?;
    SIZE_CLASSES.into_iter().find(|&class| class >= needed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_times_of_a_header_can_be_true() {
        const DAY: u64 = 86_400_000;
        let now = UnixMillis::new(20_000 * DAY);
        for (made, created, expected) in [
            (20_000, 20_000, Ok(())),
            (19_970, 20_000, Ok(())),
            (20_031, 20_000, Ok(())),
            (18_200, 18_200, Ok(())),
            (19_960, 20_000, Err(Untimely::Id)),
            (20_040, 20_000, Err(Untimely::Id)),
            (20_002, 20_002, Err(Untimely::Clock)),
            (18_000, 18_000, Err(Untimely::Clock)),
        ] {
            let message_id = MessageId::new(UnixMillis::new(made * DAY), [0; 10]);
            let created = UnixMillis::new(created * DAY);
            let header = Header { message_id, created, ..crate::samples::header(1) };
            assert_eq!(header.check_times(now), expected, "{made}");
        }
    }

    #[test]
    fn digest_is_the_hash_the_proto_file_describes() {
        let envelope = SealedEnvelope::new(&b"header"[..], &b"sealed"[..]);
        let mut by_hand = b"liangdi/v1/envelope\x00\x00\x00\x00\x06header".to_vec();
        by_hand.extend_from_slice(Digest::of(b"sealed").as_bytes());
        assert_eq!(envelope.digest(), Digest::of(&by_hand));
        assert_eq!(envelope.wire_bytes(), 12);
    }

    #[test]
    fn a_withdrawn_envelope_keeps_its_digest_and_loses_its_body() {
        let envelope = SealedEnvelope::new(&b"header"[..], &b"sealed"[..]);
        let withdrawn = envelope.clone().without_body();
        assert_eq!(withdrawn.digest(), envelope.digest());
        assert_eq!(withdrawn, SealedEnvelope::withdrawn(&b"header"[..], Digest::of(b"sealed")));
        assert_eq!((withdrawn.is_withdrawn(), withdrawn.sealed()), (true, None));
        assert_eq!((withdrawn.wire_bytes(), withdrawn.sizes_are_valid()), (38, true));
        assert_eq!(withdrawn.clone().without_body(), withdrawn);
    }

    #[test]
    fn the_largest_body_fits_and_one_byte_more_does_not() {
        assert_eq!(pad(&vec![7; BODY_BYTES_MAX]).map(|p| p.len()), Ok(65_536));
        let length = BODY_BYTES_MAX + 1;
        assert_eq!(pad(&vec![7; length]), Err(TooLarge { length }));
    }

    #[test]
    fn only_the_one_padding_of_a_body_is_taken() {
        let good = pad(b"body").unwrap();
        let mut dirty = good.clone();
        dirty[511] = 1;
        assert_eq!(unpad(&dirty), Err(BadPadding::NotZero));
        let mut roomy = good.clone();
        roomy.resize(768, 0);
        assert_eq!(unpad(&roomy), Err(BadPadding::LengthWrong { stated: 4 }));
        let mut lying = good;
        lying[0] = 0xff;
        assert_eq!(unpad(&lying), Err(BadPadding::LengthWrong { stated: 0xff00_0004 }));
        assert_eq!(unpad(&[0; 511]), Err(BadPadding::NotASizeClass { length: 511 }));
        assert_eq!(unpad(&[]), Err(BadPadding::NotASizeClass { length: 0 }));
    }

    #[test]
    fn sizes_are_those_of_sealed_classes() {
        let sealed = |header: usize, sealed: usize| {
            SealedEnvelope::new(vec![0; header], vec![0; sealed]).sizes_are_valid()
        };
        assert!(sealed(150, 512 + 16));
        assert!(sealed(1, SEALED_BYTES_MAX));
        assert!(!sealed(0, 512 + 16));
        assert!(!sealed(HEADER_BYTES_MAX + 1, 512 + 16));
        assert!(!sealed(150, 512));
        assert!(!sealed(150, 3));
    }

    proptest! {
        #[test]
        fn unpad_undoes_pad(body in prop::collection::vec(any::<u8>(), 0..3000)) {
            let padded = pad(&body).unwrap();
            prop_assert!(SIZE_CLASSES.contains(&padded.len()));
            prop_assert_eq!(padded.capacity() - padded.len() >= SEAL_TAG_BYTES, true);
            prop_assert_eq!(unpad(&padded), Ok(&body[..]));
        }

        #[test]
        fn unpad_takes_nothing_else(mut padded in prop::collection::vec(any::<u8>(), 0..2000), zero in any::<bool>()) {
            if zero { padded.iter_mut().skip(4).for_each(|byte| *byte = 0); padded.resize(512, 0); }
            if let Ok(body) = unpad(&padded) {
                prop_assert_eq!(pad(body).unwrap(), padded);
            }
        }
    }
}
