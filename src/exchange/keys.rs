//! What the protocol needs from keys, without knowing algorithms or certificates; `trust` implements it.

use domain::area::AreaCode;
use domain::time::UnixMillis;
use zeroize::Zeroizing;

use crate::digest::Digest;
use crate::envelope::SealHeader;

/// What a signature is for. A signature made for one purpose never passes for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignContext {
    /// Manifest of a parcel.
    Parcel,
    /// Manifest of a receipt.
    Receipt,
    /// A relay's word about a parcel.
    Custody,
    /// Node card.
    Card,
    /// Statement of a reconciliation.
    Statement,
    /// Bundle of parcels and receipts in a file.
    Bundle,
    /// End of an access log that is taken out as a file.
    AccessLog,
    /// What a node says about an agreement.
    Agreement,
    /// Head of a ledger by itself.
    LedgerHead,
}

impl SignContext {
    /// The text that stands, with a zero byte, in front of what is signed.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Parcel => "liangdi/v1/parcel",
            Self::Receipt => "liangdi/v1/receipt",
            Self::Custody => "liangdi/v1/custody",
            Self::Card => "liangdi/v1/card",
            Self::Statement => "liangdi/v1/statement",
            Self::Bundle => "liangdi/v1/bundle",
            Self::AccessLog => "liangdi/v1/access-log",
            Self::Agreement => "liangdi/v1/agreement",
            Self::LedgerHead => "liangdi/v1/ledger-head",
        }
    }

    /// The message that is signed: `text || 0x00 || bytes`.
    ///
    /// For interfaces that hash by themselves (ring, `cryptography`): ECDSA with SHA-256 over this
    /// message is ECDSA over [`SignContext::digest`]. Hashing twice would be another signature.
    #[must_use]
    pub fn message(self, bytes: &[u8]) -> Vec<u8> {
        let mut message = Vec::with_capacity(self.text().len() + 1 + bytes.len());
        message.extend_from_slice(self.text().as_bytes());
        message.push(0);
        message.extend_from_slice(bytes);
        message
    }

    /// `SHA-256(text || 0x00 || bytes)`, for interfaces that sign a given hash.
    #[must_use]
    pub fn digest(self, bytes: &[u8]) -> Digest {
        Digest::of_parts(&[self.text().as_bytes(), &[0], bytes])
    }
}

/// Signing did not work; the node must stop acknowledging.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot sign: {reason}")]
pub struct SignError {
    /// What the key said, in English, for the log.
    pub reason: String,
}

/// The node's certificate key.
pub trait Signer: Send + Sync {
    /// Signs `context.message(bytes)` with ECDSA P-256 and SHA-256; the signature is ASN.1 DER.
    ///
    /// `bytes` are the bare bytes (a manifest, a card): the implementation adds context and hash, once.
    ///
    /// # Errors
    /// [`SignError`] when the key cannot be used.
    fn sign(&self, context: SignContext, bytes: &[u8]) -> Result<Vec<u8>, SignError>;

    /// The certificate chain, leaf first, each in DER.
    fn chain_der(&self) -> &[Vec<u8>];

    /// SHA-256 of the leaf certificate in DER.
    fn fingerprint(&self) -> [u8; 32];

    /// The same as a [`Digest`], as manifests carry it.
    fn signer_id(&self) -> Digest {
        Digest::new(self.fingerprint())
    }
}

/// A chain that held at the time it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VerifiedChain {
    /// Area in the name of the leaf.
    pub area: AreaCode,
    /// SHA-256 of the leaf in DER.
    pub fingerprint: Digest,
    /// Raw public key of the leaf (uncompressed point for P-256).
    pub public_key: Vec<u8>,
}

/// Why a chain does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ChainError {
    /// There is no certificate.
    #[error("there is no certificate")]
    Empty,
    /// A certificate or list is not valid DER, or not of the expected form.
    #[error("a certificate cannot be read: {detail}")]
    Malformed {
        /// What the parser said.
        detail: String,
    },
    /// The chain does not lead to the root of this network.
    #[error("the chain does not lead to the root of this network")]
    UnknownIssuer,
    /// A signature in the chain is wrong.
    #[error("a signature in the chain is wrong")]
    SignatureInvalid,
    /// Not valid yet at that time.
    #[error("not valid yet at that time")]
    NotYetValid,
    /// No longer valid at that time.
    #[error("no longer valid at that time")]
    Expired,
    /// On a revocation list by that time.
    #[error("revoked by that time")]
    Revoked,
    /// The revocation lists that would decide are missing or too old.
    #[error("the revocation lists are missing or too old")]
    RevocationUnknown,
    /// The name of the leaf is outside what its authority may name, or no name of this network.
    #[error("the certificate's name is not allowed here")]
    NameNotAllowed,
    /// The certificate is for something else, for example an operator's.
    #[error("the certificate is not that of a node")]
    WrongUse,
    /// Any other fault of the chain.
    #[error("the chain does not hold: {detail}")]
    Other {
        /// What the verifier said.
        detail: String,
    },
}

/// A signature does not belong to these bytes, this purpose and this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the signature does not belong to these bytes and this key")]
pub struct SignatureInvalid;

/// Checks signatures with a key that is already known.
pub trait Verifier: Send + Sync {
    /// Checks an ASN.1 DER signature made by [`Signer::sign`].
    ///
    /// # Errors
    /// [`SignatureInvalid`], with no more said.
    fn verify_signature(
        &self,
        public_key: &[u8],
        context: SignContext,
        bytes: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureInvalid>;
}

/// Checks certificate chains against the root of this network.
pub trait ChainVerifier: Verifier {
    /// Whether `chain` (leaf first, DER) was that of a node at the time `at`.
    ///
    /// `revocation_lists` (DER) come in addition to those the implementation holds.
    ///
    /// # Errors
    /// [`ChainError`] says why not.
    fn verify_chain(
        &self,
        chain: &[Vec<u8>],
        at: UnixMillis,
        revocation_lists: &[Vec<u8>],
    ) -> Result<VerifiedChain, ChainError>;
}

/// Sealing did not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SealError {
    /// The counter has reached its end; a new encapsulation is needed.
    #[error("the counter of this encapsulation is used up")]
    CounterExhausted,
    /// The cipher refused.
    #[error("the cipher refused")]
    Cipher,
}

/// Seals bodies for one recipient; shared by threads.
pub trait Sealer: Send + Sync {
    /// Takes the next counter and gives the seal part of a header with it. A counter is given once.
    ///
    /// # Errors
    /// [`SealError::CounterExhausted`].
    fn next_seal(&self) -> Result<SealHeader, SealError>;

    /// Seals a padded body under a counter from [`Sealer::next_seal`]; `header_bytes` are authenticated.
    ///
    /// # Errors
    /// [`SealError::Cipher`].
    fn seal(
        &self,
        counter: u64,
        header_bytes: &[u8],
        padded: Vec<u8>,
    ) -> Result<Vec<u8>, SealError>;
}

/// Why a sealed body does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum OpenError {
    /// Sealed with a profile that this version does not open.
    #[error("sealed with a set of algorithms that this version does not know")]
    ProfileUnsupported,
    /// Sealed for a key that is not ours, or no longer.
    #[error("sealed for another key")]
    OtherKey,
    /// Header, seal or body are not what was sealed.
    #[error("the seal is broken")]
    Broken,
}

/// Opens what others sealed for us.
pub trait Opener: Send + Sync {
    /// Opens a sealed body and gives the padded plaintext.
    ///
    /// # Errors
    /// [`OpenError`].
    fn open(
        &self,
        seal: &SealHeader,
        header_bytes: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, OpenError>;

    /// What opens the one envelope with this seal: its key (32 bytes) and its nonce (12). For its sender, who keeps no
    /// such thing and has lost the content: the tag of the envelope then proves to it that this is what it had sealed.
    ///
    /// # Errors
    /// [`OpenError`].
    fn reveal(&self, seal: &SealHeader) -> Result<Zeroizing<Vec<u8>>, OpenError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_and_digest_agree_and_contexts_differ() {
        assert_eq!(SignContext::Parcel.message(b"x"), b"liangdi/v1/parcel\0x");
        let contexts =
            [SignContext::Parcel, SignContext::Receipt, SignContext::Custody, SignContext::Card];
        for context in contexts {
            assert_eq!(context.digest(b"m"), Digest::of(&context.message(b"m")));
        }
        assert_ne!(SignContext::Parcel.digest(b"m"), SignContext::Receipt.digest(b"m"));
    }
}
