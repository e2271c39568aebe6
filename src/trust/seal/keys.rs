//! The key pair a node publishes in its card so that others can seal for it.

use std::fmt;

use hpke::{Deserializable, Kem as _, Serializable};
use rand::CryptoRng;
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

use super::{Kem, UnusableKey};

type Private = <Kem as hpke::Kem>::PrivateKey;
type Public = <Kem as hpke::Kem>::PublicKey;

/// First 8 bytes of SHA-256 of a raw sealing key; says which of a node's keys was used.
pub type SealingKeyId = [u8; 8];

/// A raw X25519 public key, as it stands in a node card.
#[derive(Clone, PartialEq, Eq)]
pub struct SealingPublicKey {
    pub(super) key: Public,
    bytes: [u8; 32],
}

impl SealingPublicKey {
    /// Takes the 32 bytes of a node card.
    ///
    /// # Errors
    /// [`UnusableKey`] when they are not 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, UnusableKey> {
        let key = Public::from_bytes(bytes).map_err(|_| UnusableKey)?;
        let bytes = bytes.try_into().map_err(|_| UnusableKey)?;
        Ok(Self { key, bytes })
    }

    /// The raw key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The id envelopes carry for this key.
    #[must_use]
    pub fn id(&self) -> SealingKeyId {
        let mut id = SealingKeyId::default();
        for (to, from) in id.iter_mut().zip(digest(&SHA256, &self.bytes).as_ref()) {
            *to = *from;
        }
        id
    }
}

impl fmt::Debug for SealingPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingPublicKey({:016x})", u64::from_be_bytes(self.id()))
    }
}

/// A node's sealing key pair. The private half is wiped from memory when it is dropped.
pub struct SealingKeyPair {
    pub(super) private: Private,
    public: SealingPublicKey,
}

impl SealingKeyPair {
    /// A new key pair.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let (private, key) = Kem::gen_keypair(rng);
        Self::assemble(private, key)
    }

    /// A key pair that was kept, by its raw private key.
    ///
    /// # Errors
    /// [`UnusableKey`] when it is not 32 bytes.
    pub fn from_private_bytes(bytes: &[u8]) -> Result<Self, UnusableKey> {
        let private = Private::from_bytes(bytes).map_err(|_| UnusableKey)?;
        let key = Kem::sk_to_pk(&private);
        Ok(Self::assemble(private, key))
    }

    fn assemble(private: Private, key: Public) -> Self {
        let bytes = key.to_bytes().into();
        Self { private, public: SealingPublicKey { key, bytes } }
    }

    /// The raw private key, to be encrypted by the caller before it touches a disk.
    #[must_use]
    pub fn private_bytes(&self) -> Zeroizing<[u8; 32]> {
        let mut bytes = Zeroizing::new([0; 32]);
        self.private.write_exact(bytes.as_mut_slice());
        bytes
    }

    /// The half that goes into the node card.
    #[must_use]
    pub fn public(&self) -> &SealingPublicKey {
        &self.public
    }

    /// The id envelopes carry for this key.
    #[must_use]
    pub fn id(&self) -> SealingKeyId {
        self.public.id()
    }
}

impl fmt::Debug for SealingKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKeyPair({:016x}, private ..)", u64::from_be_bytes(self.id()))
    }
}
