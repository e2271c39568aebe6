//! What anybody may say of cards and lists is looked at before it is believed: who signed it, for when, and whether it
//! is news.

use std::time::Duration;

use domain::area::{AreaCode, AreaTable};
use domain::time::UnixMillis;
use exchange::card::{NodeCard, SignedCard};
use store::network::REVOCATION_LIST_BYTES_MAX;
use trust::crl::{AuthorityId, RevocationList, VerifiedList};
use trust::refused::Refused;
use trust::verify::{ChainVerifier, VerifiedChain};
use wire::decode_card;

use crate::delivery::peers::{CARD_GRACE, Peers};

/// A card from a clock that is so far ahead is taken.
const CLOCKS_APART: Duration = Duration::from_secs(600);

/// Why a card or a list is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Malformed(String),
    /// Signature, chain or authority do not hold.
    #[error("it does not hold")]
    Refused(#[source] Refused),
    /// No such area is known here.
    #[error("no area {0} is known here")]
    UnknownArea(AreaCode),
    /// It begins to hold later.
    #[error("it does not hold yet; one of the two clocks is wrong")]
    NotYet,
    /// It does not fit the store.
    #[error(
        "the revocation list has more than {REVOCATION_LIST_BYTES_MAX} bytes; put it into a file of this node"
    )]
    TooLarge,
}

impl Fault {
    /// Whether the very same card may be good later: when a list, a change of areas, or a clock has caught up.
    pub(super) fn may_heal(&self) -> bool {
        match self {
            Self::UnknownArea(_) | Self::NotYet => true,
            Self::Refused(refused) => matches!(
                refused,
                Refused::NotYetValid
                    | Refused::RevocationListMissing
                    | Refused::RevocationListTooOld
                    | Refused::RevocationListInvalid
            ),
            Self::Malformed(_) | Self::TooLarge => false,
        }
    }
}

/// A card that is news, and holds.
#[derive(Debug)]
pub(super) struct NewCard {
    pub(super) card: NodeCard,
    pub(super) signed: SignedCard,
}

/// Looks at a card, wherever it came from. `None` when it is nothing new.
#[expect(clippy::result_large_err, reason = "what is not taken is handed back whole, and rarely")]
pub(super) fn card(
    peers: &Peers,
    chains: &ChainVerifier,
    signed: SignedCard,
    now: UnixMillis,
) -> Result<Option<NewCard>, (SignedCard, Fault)> {
    // Read before it is proven: reading is cheap, and most of what comes is known.
    let card = match decode_card(&signed.card_bytes) {
        Ok(card) => card,
        Err(malformed) => return Err((signed, Fault::Malformed(malformed.to_string()))),
    };
    let known = peers.get(card.area).and_then(|peer| peer.card());
    if card.area == peers.own()
        || known.is_some_and(|known| !card.replaces(&known))
        || now >= card.valid_until.saturating_add(CARD_GRACE)
    {
        return Ok(None);
    }
    let verified = if !is_known(peers, card.area) {
        Err(Fault::UnknownArea(card.area))
    } else if card.valid_from > now.saturating_add(CLOCKS_APART) {
        Err(Fault::NotYet)
    } else {
        verify(chains, &signed, card.area, now).map_err(Fault::Refused)
    };
    match verified {
        Ok(_) => Ok(Some(NewCard { card, signed })),
        Err(fault) => Err((signed, fault)),
    }
}

/// Whether signature and chain of a card hold now.
pub(super) fn verify(
    chains: &ChainVerifier,
    signed: &SignedCard,
    area: AreaCode,
    now: UnixMillis,
) -> Result<std::sync::Arc<VerifiedChain>, Refused> {
    trust::card::verify(chains, &signed.card_bytes, &signed.signature, &signed.chain, area, now)
}

/// An area of the table, one that took over from another, or one that the configuration names: at most one card each,
/// so that nobody can fill our store.
fn is_known(peers: &Peers, area: AreaCode) -> bool {
    AreaTable::builtin().lookup(&area).is_some()
        || peers.changes().is_successor(area)
        || peers.get(area).is_some_and(|peer| peer.is_configured())
}

/// Looks at a revocation list, wherever it came from. `None` when it is nothing new; `known` gives the list held of an
/// authority.
pub(super) fn list<'k>(
    chains: &ChainVerifier,
    der: &[u8],
    authorities: &[Vec<u8>],
    known: impl Fn(AuthorityId) -> Option<&'k VerifiedList>,
) -> Result<Option<VerifiedList>, Fault> {
    if der.len() > REVOCATION_LIST_BYTES_MAX {
        return Err(Fault::TooLarge);
    }
    let list = chains.verify_list(der, authorities).map_err(Fault::Refused)?;
    let newer = |known: &RevocationList| list.list().is_newer_than(known);
    let news = known(list.authority_id()).is_none_or(|known| newer(known.list()));
    Ok(news.then_some(list))
}
