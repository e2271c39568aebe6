//! The signed word of a relay about a parcel that it carries, and words on their way back.
//!
//! A relay is trusted for nothing but time: its word says that it holds a parcel it cannot open, and to
//! whom it will hand it. Only the recipient's own receipt settles anything. The recipient itself gives such a
//! word only to refuse a parcel that a relay hands over and that it cannot answer with a receipt.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::UnixMillis;
use serde::Deserialize;
use serde::Serialize;

use crate::digest::Digest;
use crate::keys::SignContext;
use crate::parcel::ParcelId;
use crate::parcel::ParcelManifest;
use crate::receipt::Receipt;

/// Most words that a parcel carries. The longest way has two relays, the sender's province and the
/// recipient's; the rest is room for a prefecture at each end.
pub const CUSTODY_WORDS_MAX: usize = 4;

/// What a relay did with a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CustodyOutcome {
    /// Written and flushed; the relay hands it on.
    Held {
        /// Area of the node that it will be handed to.
        next: AreaCode,
    },
    /// Not taken; another way has to be found.
    Refused {
        /// Why.
        reason: Reason,
    },
    /// Not taken now; to be offered again, or by another way.
    Deferred {
        /// Why.
        reason: Reason,
        /// Not before this time.
        until: UnixMillis,
    },
}

/// What a relay signs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CustodyManifest {
    /// The parcel this is about.
    pub parcel_id: ParcelId,
    /// Root that the parcel's manifest carried.
    pub parcel_root: Digest,
    /// Area of the relay, which signed.
    pub relay: AreaCode,
    /// Area of the node that handed the parcel over.
    pub handed_by: AreaCode,
    /// Area of the node that sent the parcel.
    pub from: AreaCode,
    /// Area of the node the parcel is for.
    pub to: AreaCode,
    /// What the relay did.
    pub outcome: CustodyOutcome,
    /// When it was signed; after the flush.
    pub signed: UnixMillis,
    /// SHA-256 of the signer's certificate in DER.
    pub signer: Digest,
}

/// A relay's word as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustodyReceipt {
    /// Serialised manifest; the signature covers exactly these bytes.
    pub manifest_bytes: Bytes,
    /// ECDSA P-256 over [`custody_signing_input`], ASN.1 DER.
    pub signature: Bytes,
    /// The signer's chain, leaf first, DER; always there, since the word goes further than its stream.
    pub chain: Vec<Vec<u8>>,
}

/// A signed word on its way back to the node it is for, handed from node to node until it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Returned {
    /// The recipient's answer to a parcel. Its chain is always there.
    Receipt(Receipt),
    /// The word of a relay further on.
    Custody(CustodyReceipt),
}

impl Returned {
    /// What names the word: SHA-256 of its manifest.
    #[must_use]
    pub fn id(&self) -> Digest {
        match self {
            Self::Receipt(receipt) => Digest::of(&receipt.manifest_bytes),
            Self::Custody(word) => Digest::of(&word.manifest_bytes),
        }
    }
}

/// Why a relay's word does not fit a parcel; such a word is not kept and changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CustodyFault {
    /// It names another parcel.
    #[error("the word is about another parcel")]
    OtherParcel,
    /// It repeats another root than that of the parcel.
    #[error("the word repeats another root than the parcel's")]
    ParcelRoot,
    /// It names another sender or recipient than the parcel does.
    #[error("the word names another sender or recipient than the parcel")]
    OtherAddress,
    /// It is signed for another area than that of the node that gave it.
    #[error("the word is from {found}, the parcel was handed to {expected}")]
    Relay {
        /// Area the parcel was handed to.
        expected: AreaCode,
        /// Area in the word.
        found: AreaCode,
    },
    /// It says that somebody else handed the parcel over.
    #[error("the word says that {found} handed the parcel over, it was {expected}")]
    HandedBy {
        /// Area that handed it over.
        expected: AreaCode,
        /// Area in the word.
        found: AreaCode,
    },
    /// It is the word of the sender, or of the recipient that it holds its own mail, or the relay says that it
    /// hands the parcel to itself or back to where it came from.
    #[error("the way that the word tells of makes no sense")]
    Way,
    /// A parcel that travels carries a word that says it was not taken.
    #[error("a relay that did not take the parcel cannot have handed it on")]
    NotHeld,
    /// The same relay has carried the parcel twice.
    #[error("the parcel went in a circle")]
    Circle,
    /// More words than [`CUSTODY_WORDS_MAX`].
    #[error("the parcel carries {found} words, the most is {CUSTODY_WORDS_MAX}")]
    TooMany {
        /// How many there are.
        found: usize,
    },
}

impl CustodyManifest {
    /// Checks that this is a possible word about `parcel`, whoever brings it: a word from further on, too.
    ///
    /// The signature and the signer's chain are checked elsewhere.
    ///
    /// # Errors
    /// [`CustodyFault`] names the first thing that does not fit.
    pub fn check_about(&self, parcel: &ParcelManifest) -> Result<(), CustodyFault> {
        if self.parcel_id != parcel.parcel_id {
            return Err(CustodyFault::OtherParcel);
        }
        if self.parcel_root != parcel.root {
            return Err(CustodyFault::ParcelRoot);
        }
        if self.from != parcel.from || self.to != parcel.to {
            return Err(CustodyFault::OtherAddress);
        }
        let way_is_possible = match self.outcome {
            CustodyOutcome::Held { next } => {
                self.relay != self.to && ![self.relay, self.handed_by, self.from].contains(&next)
            }
            // The recipient, too, may not take a parcel that a relay hands over.
            CustodyOutcome::Refused { .. } | CustodyOutcome::Deferred { .. } => true,
        };
        let is_handed_on = ![self.from, self.handed_by].contains(&self.relay);
        if !way_is_possible || !is_handed_on || self.handed_by == self.to {
            return Err(CustodyFault::Way);
        }
        Ok(())
    }

    /// Checks that this is the word of `relay` about `parcel`, which `handed_by` handed to it.
    ///
    /// # Errors
    /// [`CustodyFault`] names the first thing that does not fit.
    pub fn check_answers(
        &self,
        parcel: &ParcelManifest,
        relay: AreaCode,
        handed_by: AreaCode,
    ) -> Result<(), CustodyFault> {
        self.check_about(parcel)?;
        if self.relay != relay {
            return Err(CustodyFault::Relay { expected: relay, found: self.relay });
        }
        if self.handed_by != handed_by {
            return Err(CustodyFault::HandedBy { expected: handed_by, found: self.handed_by });
        }
        Ok(())
    }
}

/// How far a parcel has come, by the words it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Way {
    /// Who carries it: the last relay, or the sender when there is none.
    pub last: AreaCode,
    /// To whom the last relay said it would hand it; `None` when it comes from the sender.
    pub next: Option<AreaCode>,
}

/// Checks that these words, in this order, tell of one way from the parcel's sender on: each relay held
/// the parcel and had it from the one before, none twice, and each names the next.
///
/// Gives the area of the node that carries the parcel last, the sender itself when there is no word, and
/// where that node said it would go; whoever hands the parcel over has to be that node.
///
/// # Errors
/// [`CustodyFault`] names the first thing that does not fit.
pub fn check_way<'a>(
    words: impl ExactSizeIterator<Item = &'a CustodyManifest>,
    parcel: &ParcelManifest,
) -> Result<Way, CustodyFault> {
    let found = words.len();
    if found > CUSTODY_WORDS_MAX {
        return Err(CustodyFault::TooMany { found });
    }
    let mut way = Way { last: parcel.from, next: None };
    let mut relays = Vec::with_capacity(found);
    for word in words {
        let relay = way.next.unwrap_or(word.relay);
        word.check_answers(parcel, relay, way.last)?;
        let CustodyOutcome::Held { next } = word.outcome else {
            return Err(CustodyFault::NotHeld);
        };
        if relays.contains(&word.relay) || relays.contains(&next) {
            return Err(CustodyFault::Circle);
        }
        relays.push(word.relay);
        way = Way { last: word.relay, next: Some(next) };
    }
    Ok(way)
}

/// Of words that came back in any order, also those of ways that were given up: the ones that tell of the
/// way from the sender on, in order, as far as it is told. What is left passes [`check_way`].
#[must_use]
pub fn in_order_of_way<W>(
    mut words: Vec<W>,
    manifest: impl Fn(&W) -> &CustodyManifest,
    parcel: &ParcelManifest,
) -> Vec<W> {
    words.retain(|word| manifest(word).check_about(parcel).is_ok());
    let mut way = Vec::new();
    let mut at = Way { last: parcel.from, next: None };
    while way.len() < CUSTODY_WORDS_MAX {
        let follows = |word: &W| {
            let word = manifest(word);
            let held = matches!(word.outcome, CustodyOutcome::Held { .. });
            held && word.handed_by == at.last && at.next.is_none_or(|next| next == word.relay)
        };
        let Some(index) = words.iter().position(follows) else { break };
        let word = words.swap_remove(index);
        if let CustodyOutcome::Held { next } = manifest(&word).outcome {
            at = Way { last: manifest(&word).relay, next: Some(next) };
        }
        way.push(word);
        if check_way(way.iter().map(&manifest), parcel).is_err() {
            way.pop();
            break;
        }
    }
    way
}

/// `SHA-256("liangdi/v1/custody" || 0x00 || manifest)`: the hash that is signed.
#[must_use]
pub fn custody_signing_input(manifest_bytes: &[u8]) -> [u8; 32] {
    SignContext::Custody.digest(manifest_bytes).into_bytes()
}
