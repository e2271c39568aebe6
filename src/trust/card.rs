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

#[cfg(test)]
mod tests {
    use domain::access::Role;

    use super::*;
    use crate::samples::{NOW, Net, area};

    #[test]
    fn a_card_is_good_wherever_it_came_from_and_only_for_its_area() {
        let net = Net::new();
        let (node, other) = (net.node("410522"), net.node("410523"));
        let chains = net.chains(net.lists(NOW));
        let signature = sign(&node, b"card").unwrap();
        let check = |card: &[u8], signature: &[u8], chain: &[Vec<u8>], code: &str| {
            verify(&chains, card, signature, chain, area(code), NOW).map(drop)
        };
        assert_eq!(check(b"card", &signature, node.chain(), "410522"), Ok(()));
        let bad = Err(Refused::BadSignature);
        assert_eq!(check(b"cart", &signature, node.chain(), "410522"), bad);
        assert_eq!(check(b"card", &signature, other.chain(), "410523"), bad);
        let expected = area("410523");
        let wrong = Err(Refused::WrongArea { expected, found: area("410522") });
        assert_eq!(check(b"card", &signature, node.chain(), "410523"), wrong);
        assert_eq!(check(b"card", &signature, &[], "410522"), Err(Refused::NoCertificate));
        // A signature for another purpose is none, and an operator signs no card.
        let parcel = node.sign(SignContext::Parcel, b"card").unwrap();
        assert_eq!(check(b"card", &parcel, node.chain(), "410522"), bad);
        let alice = net.operator("alice", "410522", Role::Administrator);
        let signature = sign(&alice, b"card").unwrap();
        let refused = Err(Refused::OperatorNotNode);
        assert_eq!(check(b"card", &signature, alice.chain(), "410522"), refused);
    }
}
