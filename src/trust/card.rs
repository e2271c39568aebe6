//! Node cards: signing one's own, checking anyone's with the root alone.
//!
//! What is in a card is `wire`'s to read; here its bytes are signed and checked, and the area it
//! claims is held against the area in the certificate.

use std::sync::Arc;

use domain::{area::AreaCode, time::UnixMillis};
use exchange::keys::{SignContext, SignError, Signer};

use crate::{
    leaf::Identity,
    refused::Refused,
    verify::{ChainVerifier, Purpose, VerifiedChain},
};

/// Signs the exact bytes of a card.
///
/// # Errors
/// [`SignError`] when the key cannot be used.
pub fn sign(identity: &Identity, card: &[u8]) -> Result<Vec<u8>, SignError> {
    identity.sign(SignContext::Card, card)
}

/// Checks a card that claims to speak for `area`, wherever it came from.
///
/// # Errors
/// [`Refused`]: why the chain does not hold, `BadSignature`, or `WrongArea` when the certificate is
/// that of another node. Whether the card itself is still valid is not looked at here.
pub fn verify(
    chains: &ChainVerifier,
    card: &[u8],
    signature: &[u8],
    chain: &[impl AsRef<[u8]>],
    area: AreaCode,
    now: UnixMillis,
) -> Result<Arc<VerifiedChain>, Refused> {
    let verified = chains.verify(chain, Purpose::Node, now)?;
    verified.verify(SignContext::Card, card, signature).map_err(|_| Refused::BadSignature)?;
    let found = verified.identity.area();
    if found != area {
        return Err(Refused::WrongArea { expected: area, found });
    }
    Ok(verified)
}
