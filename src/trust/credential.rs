//! Printed certificates that anyone can check offline, from a QR code and the root certificate.
//!
//! The text of the code is `LD1:`, then base45 (RFC 9285) of deflate (RFC 1951) of a COSE_Sign1
//! (RFC 9052) with ES256 by the key of the issuing node over CBOR claims. The protected header
//! carries the SHA-256 of the node's certificate (`x5t`, RFC 9360), the unprotected header its chain
//! without the root (`x5chain`), so that a checker needs `root.pem` and nothing else.
//!
//! A code is a bearer's paper: it says what the certificate says, to whoever is shown it. It holds
//! no document number, only a slow salted hash with which a number that is *shown* can be compared
//! ([`IdCheck`]), and the birth date only to the month. It states what it is for, and that it is no
//! condition for work, lease or household entry ([`PURPOSE_EN`]).
//!
//! The chain is judged as of the day of issue: nodes' certificates live 90 days, printed ones three
//! years. A node whose key was in other hands by that day is caught by the revocation lists at hand.

mod claims;
mod cose;
mod id_check;

#[cfg(test)]
mod tests;

use domain::{area::AreaCode, id::CertificateNumber, time::UnixMillis};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

pub use self::{
    claims::{CredentialClaims, CredentialKind, Question},
    id_check::IdCheck,
};
use crate::{
    certificate::{self, Fingerprint},
    crl::{RevocationList, RevocationLists},
    key::CannotSign,
    leaf::Identity,
    name::CertificateName,
    refused::Refused,
    verify::{ChainVerifier, Purpose},
};

/// What every code begins with; the number is that of the format.
pub const PREFIX: &str = "LD1:";
/// Code of the statement of purpose in the claims; the texts are [`PURPOSE_ZH`] and [`PURPOSE_EN`].
pub const PURPOSE_CODE: u8 = 1;
/// The statement of purpose that is printed beside the code, in Chinese.
pub const PURPOSE_ZH: &str = "本证明仅用于生育登记和享受服务，不得作为就业、租房、落户的条件。";
/// The same in English.
pub const PURPOSE_EN: &str =
    "For birth registration and services only; not a condition for work, lease or household entry.";
/// Longest text that is read as a code; a QR code holds no more.
pub const TEXT_CHARS_MAX: usize = 4_296;
/// Largest content after decompression, so that a small code cannot unpack into a large one.
const CONTENT_BYTES_MAX: usize = 16 * 1024;

/// Why a code could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// Only a node issues certificates.
    #[error("only a node's certificate can sign printed certificates")]
    NotANode,
    /// The certificate's number belongs to another county.
    #[error("the certificate number {number} is not one of area {area}, whose node would sign")]
    OtherArea {
        /// The number; its first six digits are its county.
        number: CertificateNumber,
        /// Area of the node.
        area: AreaCode,
    },
    /// The key could not be used.
    #[error(transparent)]
    Sign(#[from] CannotSign),
    /// The claims could not be encoded.
    #[error("the claims could not be encoded")]
    Encode,
}

/// Why a code is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Invalid {
    /// The text is no code of this kind.
    #[error("this is not a code of a certificate (LD1)")]
    NotACode,
    /// Damaged, cut or made by somebody who does not know the format.
    #[error("the code cannot be read: scan it again or type it completely")]
    Malformed,
    /// The format or its statement of purpose is of a newer version.
    #[error("the code was made by a newer version: update the program that checks it")]
    TooNew,
    /// Neither in the code nor at hand is the certificate of the node that signed it.
    #[error("the certificate of the node that issued it is not at hand")]
    IssuerUnknown,
    /// The signature does not fit the claims: forged or changed.
    #[error("the signature does not hold: the certificate is forged or was changed")]
    SignatureInvalid,
    /// The issuer's certificate does not hold.
    #[error("the issuer is not accepted: {0}")]
    Issuer(Refused),
    /// Signed by a node of another area than the certificate's.
    #[error("signed by the node of another area than the one in its number")]
    OtherArea,
}

/// A code that holds.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What it says. Whether it is still valid is for [`CredentialClaims::answer`] to say.
    pub claims: CredentialClaims,
    /// The area of the node that signed it.
    pub issuer: AreaCode,
    /// The certificate of that node.
    pub issuer_certificate: Fingerprint,
    /// Whether revocation lists at hand covered the issuer; `false` is said to the checker.
    pub revocation_checked: bool,
}

/// Makes the text of the QR code of a certificate.
///
/// # Errors
/// [`IssueError`].
pub fn issue(identity: &Identity, claims: &CredentialClaims) -> Result<String, IssueError> {
    let CertificateName::Node(area) = *identity.name() else {
        return Err(IssueError::NotANode);
    };
    if claims.number.county() != Some(area) {
        return Err(IssueError::OtherArea { number: claims.number, area });
    }
    let payload = claims.to_cbor().ok_or(IssueError::Encode)?;
    let signed = cose::sign(identity, payload)?;
    let packed = miniz_oxide::deflate::compress_to_vec(&signed, 10);
    Ok(format!("{PREFIX}{}", base45::encode(packed)))
}

/// Checks the text of a QR code against the root (and the lists) of a network, offline.
///
/// # Errors
/// [`Invalid`] says why it is not accepted.
pub fn check(text: &str, chains: &ChainVerifier) -> Result<Checked, Invalid> {
    check_with(text, chains, |_| None)
}

/// As [`check`], for a code whose chain was left out: `directory` finds the chain (leaf first, DER)
/// by the fingerprint of the leaf.
///
/// # Errors
/// [`Invalid`] says why it is not accepted.
pub fn check_with(
    text: &str,
    chains: &ChainVerifier,
    directory: impl Fn(&Fingerprint) -> Option<Vec<Vec<u8>>>,
) -> Result<Checked, Invalid> {
    let signed = cose::open(&unpack(text)?)?;
    let chain = match &signed.chain {
        Some(chain) => chain.clone(),
        None => directory(&signed.leaf).ok_or(Invalid::IssuerUnknown)?,
    };
    let leaf = chain.first().ok_or(Invalid::IssuerUnknown)?;
    if certificate::fingerprint(leaf) != signed.leaf {
        return Err(Invalid::IssuerUnknown);
    }
    let claims = CredentialClaims::from_cbor(&signed.payload)?;
    let (verified, revocation_checked) = judge(chains, &chain, claims.issued)?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, verified.leaf.public_key.as_bytes())
        .verify(&signed.signed_bytes, &signed.signature)
        .map_err(|_| Invalid::SignatureInvalid)?;
    let issuer = verified.identity.area();
    if claims.number.county() != Some(issuer) {
        return Err(Invalid::OtherArea);
    }
    let issuer_certificate = verified.leaf.fingerprint;
    Ok(Checked { claims, issuer, issuer_certificate, revocation_checked })
}

/// Judges the issuer's chain as of the time of issue. A checker without lists still gets an
/// answer, with the word that revocation was not looked at.
fn judge(
    chains: &ChainVerifier,
    chain: &[Vec<u8>],
    issued: UnixMillis,
) -> Result<(crate::verify::VerifiedChain, bool), Invalid> {
    match chains.verify_as_of(chain, issued, Vec::new()) {
        Ok(verified) => Ok((verified, true)),
        Err(Refused::RevocationListMissing | Refused::RevocationListTooOld) => chains
            .verify_except_revocation(chain, Purpose::Node, issued)
            .map(|verified| (verified, false))
            .map_err(Invalid::Issuer),
        Err(refused) => Err(Invalid::Issuer(refused)),
    }
}

fn unpack(text: &str) -> Result<Vec<u8>, Invalid> {
    let text = text.trim();
    let code = text.strip_prefix(PREFIX).ok_or(Invalid::NotACode)?;
    if text.len() > TEXT_CHARS_MAX {
        return Err(Invalid::Malformed);
    }
    let packed = base45::decode(code).map_err(|_| Invalid::Malformed)?;
    miniz_oxide::inflate::decompress_to_vec_with_limit(&packed, CONTENT_BYTES_MAX)
        .map_err(|_| Invalid::Malformed)
}

/// The date a new code should carry as that of the revocation list it was checked against: when the
/// list of its own CA was issued.
#[must_use]
pub fn list_date(identity: &Identity, lists: &RevocationLists) -> Option<UnixMillis> {
    let ca = identity.chain().get(1)?;
    lists.iter().find(|list| list.check_signer(ca).is_ok()).map(RevocationList::this_update)
}
