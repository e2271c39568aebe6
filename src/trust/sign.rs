//! The protocol's view of keys: `exchange::keys` on top of identities and chains.

use domain::time::UnixMillis;
use exchange::{
    digest::Digest,
    keys::{self, ChainError, SignContext, SignError, SignatureInvalid},
};

use crate::{
    crl::RevocationList, key::PublicKey, leaf::Identity, refused::Refused, verify::ChainVerifier,
};

impl keys::Signer for Identity {
    /// One signature of ECDSA P-256 with SHA-256 over `context || 0x00 || bytes`; the hash is taken
    /// by the signature algorithm and by nobody else.
    fn sign(&self, context: SignContext, bytes: &[u8]) -> Result<Vec<u8>, SignError> {
        self.key()
            .sign(&context.message(bytes))
            .map_err(|error| SignError { reason: error.to_string() })
    }

    fn chain_der(&self) -> &[Vec<u8>] {
        self.chain()
    }

    fn fingerprint(&self) -> [u8; 32] {
        self.leaf_fingerprint()
    }
}

impl keys::Verifier for ChainVerifier {
    fn verify_signature(
        &self,
        public_key: &[u8],
        context: SignContext,
        bytes: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureInvalid> {
        PublicKey::from_bytes(public_key)
            .ok_or(SignatureInvalid)?
            .verify(&context.message(bytes), signature)
            .map_err(|_| SignatureInvalid)
    }
}

impl keys::ChainVerifier for ChainVerifier {
    fn verify_chain(
        &self,
        chain: &[Vec<u8>],
        at: UnixMillis,
        revocation_lists: &[Vec<u8>],
    ) -> Result<keys::VerifiedChain, ChainError> {
        let lists = revocation_lists
            .iter()
            .map(|der| RevocationList::from_der(der))
            .collect::<Result<_, _>>()
            .map_err(|error| ChainError::Malformed { detail: error.to_string() })?;
        let verified = self.verify_as_of(chain, at, lists).map_err(ChainError::from)?;
        Ok(keys::VerifiedChain {
            area: verified.identity.area(),
            fingerprint: Digest::new(verified.leaf.fingerprint),
            public_key: verified.leaf.public_key.as_bytes().to_vec(),
        })
    }
}

impl From<Refused> for ChainError {
    fn from(refused: Refused) -> Self {
        let detail = || refused.to_string();
        match refused {
            Refused::NoCertificate => Self::Empty,
            Refused::Malformed => Self::Malformed { detail: detail() },
            Refused::WrongAuthority => Self::UnknownIssuer,
            Refused::BadSignature => Self::SignatureInvalid,
            Refused::NotYetValid => Self::NotYetValid,
            Refused::Expired => Self::Expired,
            Refused::Revoked => Self::Revoked,
            Refused::RevocationListMissing
            | Refused::RevocationListTooOld
            | Refused::RevocationListInvalid => Self::RevocationUnknown,
            Refused::WrongProvince | Refused::BadName => Self::NameNotAllowed,
            Refused::OperatorNotNode | Refused::WrongUsage => Self::WrongUse,
            Refused::WrongChain
            | Refused::WrongValidity
            | Refused::NodeNotOperator
            | Refused::UnknownRole
            | Refused::WrongArea { .. }
            | Refused::WeakKey
            | Refused::TheyFoundUsExpired
            | Refused::TheyFoundUsRevoked
            | Refused::TheyDoNotKnowOurAuthority
            | Refused::TheyRefusedUs
            | Refused::Protocol => Self::Other { detail: detail() },
        }
    }
}
