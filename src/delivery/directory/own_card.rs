//! Our own card: made of the configuration, our keys and what administrators have announced, and signed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use domain::time::UnixMillis;
use exchange::card::{AreaChange, MaintenanceWindow, NodeCard, SealingKey, SignedCard};
use exchange::keys::{SignContext, Signer};
use exchange::ledger::{LedgerHead, SeenHead};
use store::Store;
use store::messages::peer_key;
use store::network::OwnCardRow;
use store::tables::{CARD, OWN_CARD};
use tokio::sync::watch;
use wire::{decode_card, encode_card};

use super::keys::SealingKeys;
use super::rows::signed_card;
use crate::app::AppError;
use crate::config::Settings;
use crate::delivery::identity::NodeIdentity;

/// How long a card holds.
const CARD_LIFE: Duration = Duration::from_secs(30 * 86_400);
/// A card is signed anew when so much of its life is over.
const RENEW_AFTER: Duration = Duration::from_secs(10 * 86_400);
/// A card holds from a day before it was signed: a clock that is hours fast, here or there, must not keep mail
/// from anybody.
const BEFORE: Duration = Duration::from_secs(86_400);

/// Our own card.
pub struct OwnCard {
    settings: Arc<Settings>,
    store: Store,
    identity: Arc<NodeIdentity>,
    keys: Arc<SealingKeys>,
    // Swapped together, by whoever signs; read by everybody.
    now: ArcSwap<Known>,
    version: watch::Sender<u64>,
}

struct Known {
    signed: SignedCard,
    card: NodeCard,
}

impl OwnCard {
    /// Takes up the card of the last run if it still says what is true, or signs one.
    ///
    /// # Errors
    /// When the store cannot be read, the key does not sign, or something cannot stand in a card.
    pub fn open(
        settings: Arc<Settings>,
        store: Store,
        identity: Arc<NodeIdentity>,
        keys: Arc<SealingKeys>,
        now: UnixMillis,
    ) -> Result<Self, AppError> {
        let kept = store.get(&CARD, &peer_key(settings.area))?.and_then(|row| {
            let card = decode_card(&row.card.manifest.0).ok()?;
            Some(Known { signed: signed_card(row), card })
        });
        let last = kept.as_ref().map_or(0, |known| known.card.version);
        let known = match kept.filter(|known| known.is_signed_by(&identity)) {
            Some(known) => known,
            None => {
                let card = make(&settings, &store, &keys, last, now)?;
                sign(card, &identity)?
            }
        };
        let version = watch::Sender::new(known.card.version);
        let now_known = ArcSwap::from_pointee(known);
        let own = Self { settings, store, identity, keys, now: now_known, version };
        own.renew(now)?;
        Ok(own)
    }

    /// Signs the card anew if it no longer says what is true, was signed with another certificate than the one in
    /// force, or a third of its life is over. Says whether it did.
    ///
    /// # Errors
    /// As for [`OwnCard::open`].
    pub fn renew(&self, now: UnixMillis) -> Result<bool, AppError> {
        let known = self.now.load();
        let card = make(&self.settings, &self.store, &self.keys, known.card.version, now)?;
        let signed_at = known.card.valid_from.saturating_add(BEFORE);
        // A clock that was set back does not keep an old card in force.
        let fresh = signed_at <= now.saturating_add(BEFORE) && now.since(signed_at) < RENEW_AFTER;
        if fresh && known.is_signed_by(&self.identity) && says_the_same(&known.card, &card) {
            return Ok(false);
        }
        let known = sign(card, &self.identity)?;
        let version = known.card.version;
        self.now.store(Arc::new(known));
        self.version.send_replace(version);
        Ok(true)
    }

    /// The signed card of this moment.
    #[must_use]
    pub fn signed(&self) -> SignedCard {
        self.now.load().signed.clone()
    }

    /// What it says.
    #[must_use]
    pub fn card(&self) -> NodeCard {
        self.now.load().card.clone()
    }

    /// Until when we are out of service, as we have announced; none when we serve now. During this time mail is put
    /// off (`MAINTENANCE`), and nothing is refused for good.
    #[must_use]
    pub fn maintenance_until(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.now.load().card.maintenance_at(now)
    }

    /// Hears when there is a new card: its version.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Our sealing keys.
    #[must_use]
    pub fn keys(&self) -> &SealingKeys {
        &self.keys
    }
}

impl Known {
    /// Whether the certificate in force is the one that signed it: a card of the certificate of before ends with that
    /// certificate, or is revoked with it.
    fn is_signed_by(&self, identity: &NodeIdentity) -> bool {
        self.signed.chain.first() == identity.material().identity().chain_der().first()
    }
}

/// What administrators have announced.
pub(super) fn announced(store: &Store) -> Result<OwnCardRow, AppError> {
    Ok(store.get(&OWN_CARD, &())?.unwrap_or_default())
}

fn make(
    settings: &Settings,
    store: &Store,
    keys: &SealingKeys,
    last_version: u64,
    now: UnixMillis,
) -> Result<NodeCard, AppError> {
    let announced = announced(store)?;
    let (head, signed) = store.head_to_sign(now);
    let head = LedgerHead { size: head.size, root: head.root };
    let ledger_head = Some(SeenHead { head, signed }).filter(|seen| seen.head.size > 0);
    let collects = settings.delivery.collects;
    let endpoints =
        if collects { Vec::new() } else { settings.advertise.parse().into_iter().collect() };
    let windows = announced.windows.into_iter().filter(|window| now < window.until);
    let change = |change: store::network::AreaChangeRow| AreaChange {
        area: change.area,
        successors: change.successors,
        from: change.from,
    };
    Ok(NodeCard {
        area: settings.area,
        name: settings.office_name.clone(),
        endpoints,
        sealing_keys: keys.for_card(now),
        // Grows with time, so that a later card is the newer one also after a restore.
        version: now.get().max(last_version.saturating_add(1)),
        valid_from: now.saturating_sub(BEFORE),
        valid_until: now.saturating_add(CARD_LIFE),
        maintenance: windows
            .map(|w| MaintenanceWindow { from: w.from, until: w.until, note: w.note })
            .collect(),
        area_changes: announced.area_changes.into_iter().map(change).collect(),
        collects,
        retired: announced.retired,
        ledger_head,
    })
}

/// Whether two cards differ in nothing but their version, their times and the head of the ledger, which changes with every
/// message: it goes along with the next card.
fn says_the_same(one: &NodeCard, other: &NodeCard) -> bool {
    let timeless = |card: &NodeCard| {
        let until = UnixMillis::new(0);
        let keys = card.sealing_keys.iter().map(|key| SealingKey { use_until: until, ..*key });
        let (version, valid_from, valid_until) = (0, until, until);
        let sealing_keys = keys.collect();
        let ledger_head = None;
        NodeCard { sealing_keys, version, valid_from, valid_until, ledger_head, ..card.clone() }
    };
    timeless(one) == timeless(other)
}

fn sign(card: NodeCard, identity: &NodeIdentity) -> Result<Known, AppError> {
    card.check().map_err(|error| AppError::Signing(error.to_string()))?;
    let bytes = encode_card(&card);
    let material = identity.material();
    let signer = material.identity();
    let signature = signer
        .sign(SignContext::Card, &bytes)
        .map_err(|error| AppError::Signing(error.to_string()))?;
    let signed = SignedCard {
        card_bytes: Bytes::from(bytes),
        signature: Bytes::from(signature),
        chain: signer.chain_der().to_vec(),
    };
    Ok(Known { signed, card })
}

impl fmt::Debug for OwnCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnCard")
            .field("version", &self.now.load().card.version)
            .finish_non_exhaustive()
    }
}
