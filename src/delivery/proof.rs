//! Whether something was signed by the node that it names: chain, certificate and signature.

use std::sync::Arc;

use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::custody::{CustodyManifest, CustodyReceipt};
use exchange::digest::Digest;
use exchange::keys::SignContext;
use exchange::parcel::{Parcel, ParcelManifest};
use exchange::receipt::{Receipt, ReceiptManifest};
use trust::certificate::Leaf;
use trust::name::CertificateName;
use trust::refused::Refused;
use trust::verify::{ChainVerifier, Purpose, VerifiedChain};

use super::identity::NodeIdentity;

#[cfg(test)]
mod tests;

/// Something that claims to be signed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim<'a> {
    /// What the signature is for.
    pub(super) context: SignContext,
    /// Area that is said to have signed.
    pub(super) by: AreaCode,
    /// SHA-256 of the certificate that is said to have signed.
    pub(super) signer: Digest,
    /// Its chain, leaf first, DER.
    pub(super) chain: &'a [Vec<u8>],
    /// The bytes that are signed.
    pub(super) bytes: &'a [u8],
    /// The signature.
    pub(super) signature: &'a [u8],
    /// When it was signed, by its own word.
    pub(super) signed: UnixMillis,
}

/// Why a claim does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unproven {
    /// The chain does not hold.
    #[error("{0}")]
    Chain(Refused),
    /// The certificate is that of another area.
    #[error("it is signed by {found}, not by {expected}")]
    OtherArea {
        /// Area that is said to have signed.
        expected: AreaCode,
        /// Area in the certificate.
        found: AreaCode,
    },
    /// The chain is that of another certificate of the same area.
    #[error("it names another certificate than it was signed with")]
    OtherCertificate,
    /// The signature is wrong.
    #[error("the signature does not hold")]
    Signature,
    /// The time it bears is outside the life of the certificate.
    #[error("it bears a time at which its signer's certificate does not hold")]
    Time,
}

impl Unproven {
    /// The reason of the catalogue, for whoever handed it over.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Chain(_) => Reason::SenderUnknown,
            Self::OtherArea { .. } => Reason::SenderMismatch,
            Self::OtherCertificate | Self::Signature | Self::Time => Reason::SignatureInvalid,
        }
    }
}

/// Checks a claim by certificates and revocation lists as they are now.
pub(super) fn check(
    identity: &NodeIdentity,
    claim: &Claim<'_>,
    now: UnixMillis,
) -> Result<Arc<VerifiedChain>, Unproven> {
    let material = identity.material();
    let chain = material.chains().verify(claim.chain, Purpose::Node, now);
    let chain = chain.map_err(Unproven::Chain)?;
    claim.fits(&chain)?;
    Ok(chain)
}

/// The same for what travels longer than a certificate lives: one that has ended since `at` counts, if it held then. One that
/// was revoked does not: its key may be in other hands, which can write any time they like.
pub(super) fn check_as_of(
    identity: &NodeIdentity,
    claim: &Claim<'_>,
    at: UnixMillis,
    now: UnixMillis,
) -> Result<Arc<VerifiedChain>, Unproven> {
    match check(identity, claim, now) {
        Err(Unproven::Chain(Refused::Expired)) if at < now => {
            let material = identity.material();
            let chain = material.chains().verify_as_of(claim.chain, at, Vec::new());
            let chain = chain.map_err(Unproven::Chain)?;
            claim.fits(&chain)?;
            Ok(Arc::new(chain))
        }
        checked => checked,
    }
}

/// The same for what is kept as evidence: whoever looks at it asks whether the certificate held at the time that it bears.
pub(super) fn check_evidence(
    identity: &NodeIdentity,
    claim: &Claim<'_>,
    now: UnixMillis,
) -> Result<(), Unproven> {
    let chain = check_as_of(identity, claim, claim.signed, now)?;
    let life = chain.leaf.not_before..=chain.leaf.not_after;
    if life.contains(&claim.signed) { Ok(()) } else { Err(Unproven::Time) }
}

/// How far a signature holds that is kept as evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// Its certificate has not been revoked, and its root is one of ours.
    Still,
    /// It held when it was made, by the time that it bears. Whoever has the key now can have written that time.
    Once,
}

/// The same for a signature whose certificate has gone since, for whom somebody else answers. `refused` is why it does not
/// hold as evidence: revoked, after the time that it bears; or under a root that was replaced, and then it counts where the
/// chain `is_known`, which is where it was checked before.
pub(super) fn check_once(
    chains: &ChainVerifier,
    claim: &Claim<'_>,
    refused: Refused,
    is_known: bool,
) -> Result<Held, Unproven> {
    let life = match refused {
        Refused::Revoked => {
            let chain = chains.verify_as_of(claim.chain, claim.signed, Vec::new());
            let chain = chain.map_err(Unproven::Chain)?;
            claim.fits(&chain)?;
            chain.leaf.not_before..=chain.leaf.not_after
        }
        Refused::WrongAuthority if is_known => {
            let leaf = claim.chain.first().ok_or(Unproven::Chain(Refused::NoCertificate))?;
            let leaf = Leaf::read(leaf, chains.suffix()).map_err(Unproven::Chain)?;
            claim.is_of(&leaf)?;
            leaf.not_before..=leaf.not_after
        }
        other => return Err(Unproven::Chain(other)),
    };
    if life.contains(&claim.signed) { Ok(Held::Once) } else { Err(Unproven::Time) }
}

impl Claim<'_> {
    /// Whether it is signed by this certificate, of which only the chain is not looked at.
    fn is_of(&self, leaf: &Leaf) -> Result<(), Unproven> {
        let CertificateName::Node(found) = leaf.name else {
            return Err(Unproven::Chain(Refused::OperatorNotNode));
        };
        if found != self.by {
            return Err(Unproven::OtherArea { expected: self.by, found });
        }
        if leaf.fingerprint != self.signer.into_bytes() {
            return Err(Unproven::OtherCertificate);
        }
        let holds = leaf.public_key.verify(&self.context.message(self.bytes), self.signature);
        holds.map_err(|_| Unproven::Signature)
    }

    fn fits(&self, chain: &VerifiedChain) -> Result<(), Unproven> {
        let found = chain.identity.area();
        if found != self.by {
            return Err(Unproven::OtherArea { expected: self.by, found });
        }
        if chain.leaf.fingerprint != self.signer.into_bytes() {
            return Err(Unproven::OtherCertificate);
        }
        chain.verify(self.context, self.bytes, self.signature).map_err(|_| Unproven::Signature)
    }
}

/// The claim that a relay's word makes.
pub(super) fn of_custody<'a>(manifest: &CustodyManifest, word: &'a CustodyReceipt) -> Claim<'a> {
    Claim {
        context: SignContext::Custody,
        by: manifest.relay,
        signer: manifest.signer,
        chain: &word.chain,
        bytes: &word.manifest_bytes,
        signature: &word.signature,
        signed: manifest.signed,
    }
}

/// The claim that a receipt makes, whose chain is in it.
pub(super) fn of_receipt<'a>(manifest: &ReceiptManifest, receipt: &'a Receipt) -> Claim<'a> {
    Claim {
        context: SignContext::Receipt,
        by: manifest.from,
        signer: manifest.signer,
        chain: &receipt.chain,
        bytes: &receipt.manifest_bytes,
        signature: &receipt.signature,
        signed: manifest.signed,
    }
}

/// The claim that a parcel makes, signed with this chain.
pub(super) fn of_parcel<'a>(
    manifest: &ParcelManifest,
    parcel: &'a Parcel,
    chain: &'a [Vec<u8>],
) -> Claim<'a> {
    Claim {
        context: SignContext::Parcel,
        by: manifest.from,
        signer: manifest.signer,
        chain,
        bytes: &parcel.manifest_bytes,
        signature: &parcel.signature,
        signed: manifest.signed,
    }
}
