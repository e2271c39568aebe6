//! Node cards: ours, made of our sealing keys and signed; those of the peers, fetched, checked and kept.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use domain::area::AreaCode;
use domain::time::UnixMillis;
use exchange::backoff::Backoff;
use exchange::card::{NodeCard, SealingKey, SignedCard};
use exchange::envelope::AlgorithmProfile;
use exchange::keys::{SignContext, Signer};
use store::messages::{Blob, CardRow, SealingKeyRow, Signed, peer_key};
use store::tables::{CARD, SEALING_KEY};
use store::{Store, StoreError};
use trust::seal::{Opener, SealingKeyPair};
use wire::client::NodeClient;
use wire::{decode_card, encode_card};

use super::identity::NodeIdentity;
use super::link;
use super::peers::{Peer, Peers};
use crate::app::AppError;
use crate::config::Settings;
use crate::errors::chain;
use crate::tasks::Tasks;
use crate::time::{SystemClock, random};

/// How long a card holds; it is signed anew at every start and every day.
const CARD_LIFE: Duration = Duration::from_secs(30 * 86_400);
/// How long senders may use a sealing key after the card that named it.
const KEY_USE: Duration = Duration::from_secs(90 * 86_400);
/// How often peers' cards are asked for again once they are known.
const REFRESH: Duration = Duration::from_secs(3_600);
/// Sealing keys that still open.
const KEYS_MAX: usize = 8;

/// Our sealing keys; the first start makes one.
///
/// # Errors
/// When the store cannot be read or written.
pub fn sealing_keys(store: &Store, now: UnixMillis) -> Result<Vec<SealingKeyPair>, AppError> {
    let rows = store.scan_back(&SEALING_KEY, .., KEYS_MAX)?;
    if rows.is_empty() {
        let pair = SealingKeyPair::generate(&mut rand::rng());
        let row = SealingKeyRow { private: *pair.private_bytes(), created: now };
        let kept = store.commit_blocking(move |unit| {
            Ok::<_, AppError>(unit.put(&SEALING_KEY, &now.get(), &row)?)
        });
        kept.map_err(AppError::from)?;
        return Ok(vec![pair]);
    }
    let pairs = rows.iter().map(|(_, row)| SealingKeyPair::from_private_bytes(&row.private));
    pairs.collect::<Result<_, _>>().map_err(|_| AppError::Internal("a sealing key is unusable"))
}

/// Our own signed card.
#[derive(Debug)]
pub struct OwnCard {
    card: ArcSwap<SignedCard>,
}

impl OwnCard {
    /// Makes and signs the card.
    ///
    /// # Errors
    /// When the key does not sign, or an address cannot stand in a card.
    pub fn sign(
        settings: &Settings,
        opener: &Opener,
        identity: &NodeIdentity,
        now: UnixMillis,
    ) -> Result<Self, AppError> {
        let card = Self::make(settings, opener, identity, now)?;
        Ok(Self { card: ArcSwap::from_pointee(card) })
    }

    /// Signs it anew: after a change of certificate, and every day.
    ///
    /// # Errors
    /// As for [`OwnCard::sign`].
    pub fn renew(
        &self,
        settings: &Settings,
        opener: &Opener,
        identity: &NodeIdentity,
        now: UnixMillis,
    ) -> Result<(), AppError> {
        self.card.store(Arc::new(Self::make(settings, opener, identity, now)?));
        Ok(())
    }

    /// Whether the certificate in force is the one that signed it.
    #[must_use]
    pub fn is_signed_by(&self, identity: &NodeIdentity) -> bool {
        self.get().chain.first() == identity.material().identity().chain_der().first()
    }

    /// The card of this moment.
    #[must_use]
    pub fn get(&self) -> Arc<SignedCard> {
        self.card.load_full()
    }

    fn make(
        settings: &Settings,
        opener: &Opener,
        identity: &NodeIdentity,
        now: UnixMillis,
    ) -> Result<SignedCard, AppError> {
        let key = |pair: &SealingKeyPair| SealingKey {
            profile: AlgorithmProfile::International,
            public_key: *pair.public().as_bytes(),
            use_until: now.saturating_add(KEY_USE),
        };
        let card = NodeCard {
            area: settings.area,
            name: settings.office_name.clone(),
            endpoints: settings.advertise.parse().into_iter().collect(),
            sealing_keys: opener.keys().iter().map(key).collect(),
            // Grows with time, so a later card is always the newer one, also after a restore.
            version: now.get(),
            valid_from: now,
            valid_until: now.saturating_add(CARD_LIFE),
            maintenance: Vec::new(),
            area_changes: Vec::new(),
            collects: false,
            retired: None,
        };
        card.check().map_err(|error| AppError::Signing(error.to_string()))?;
        let bytes = encode_card(&card);
        let material = identity.material();
        let signer = material.identity();
        let signature = signer
            .sign(SignContext::Card, &bytes)
            .map_err(|error| AppError::Signing(error.to_string()))?;
        Ok(SignedCard {
            card_bytes: Bytes::from(bytes),
            signature: Bytes::from(signature),
            chain: signer.chain_der().to_vec(),
        })
    }
}

/// Learns and keeps the cards of peers.
#[derive(Clone, Debug)]
pub struct Cards {
    /// The store.
    pub store: Store,
    /// Our identity, which others are checked against.
    pub identity: Arc<NodeIdentity>,
}

/// A card that is not taken.
#[derive(Debug, thiserror::Error)]
pub enum BadCard {
    /// Not a card, or not one of this area.
    #[error("the card cannot be read: {0}")]
    Malformed(String),
    /// Its signature or chain does not hold.
    #[error("the card does not hold")]
    Refused(#[source] trust::refused::Refused),
    /// It does not hold at this time.
    #[error("the card does not hold at this time")]
    NotNow,
    /// It could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It could not be kept.
    #[error(transparent)]
    App(#[from] AppError),
}

impl Cards {
    /// Checks a card of `area`, wherever it came from.
    ///
    /// # Errors
    /// [`BadCard`].
    pub fn check(
        &self,
        area: AreaCode,
        signed: &SignedCard,
        now: UnixMillis,
    ) -> Result<NodeCard, BadCard> {
        let material = self.identity.material();
        trust::card::verify(
            material.chains(),
            &signed.card_bytes,
            &signed.signature,
            &signed.chain,
            area,
            now,
        )
        .map_err(BadCard::Refused)?;
        let card =
            decode_card(&signed.card_bytes).map_err(|e| BadCard::Malformed(e.to_string()))?;
        if card.area != area {
            return Err(BadCard::Malformed("it names another area".to_owned()));
        }
        if card.holds_at(now) { Ok(card) } else { Err(BadCard::NotNow) }
    }

    /// Takes up the cards kept at earlier starts. One that no longer holds is left where it is.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn recall(&self, peers: &Peers, now: UnixMillis) -> Result<(), StoreError> {
        for peer in peers.all() {
            let Some(row) = self.store.get(&CARD, &peer_key(peer.area))? else { continue };
            let signed = SignedCard {
                card_bytes: Bytes::from(row.card.manifest.0),
                signature: Bytes::from(row.card.signature.0),
                chain: row.chain.into_iter().map(|c| c.0).collect(),
            };
            match self.check(peer.area, &signed, now) {
                Ok(card) => peer.learn(card),
                Err(error) => {
                    tracing::warn!(peer = %peer.area, %error, "the kept card of a peer does not hold any more");
                }
            }
        }
        Ok(())
    }

    /// Keeps asking each peer for its card: soon while none is known, and every hour.
    pub fn follow(&self, peers: &Peers, tasks: &Tasks, backoff: Backoff) {
        for peer in peers.all() {
            let (cards, mut stopping) = (self.clone(), tasks.stopping());
            tasks.spawn("card", async move {
                let mut failures = 0_u32;
                let mut noted = false;
                loop {
                    let wait = match cards.fetch(&peer).await {
                        Ok(()) => {
                            failures = 0;
                            // Only our own trouble is over; the courier's is its own to clear.
                            if std::mem::take(&mut noted) {
                                peer.note(|state| state.trouble = None);
                            }
                            REFRESH
                        }
                        Err(why) => {
                            tracing::debug!(peer = %peer.area, why, "no card from the peer");
                            if peer.card().is_none() {
                                peer.note(|state| state.trouble = Some(why));
                                noted = true;
                            }
                            failures = failures.saturating_add(1);
                            backoff.delay(failures, u64::from_be_bytes(random()))
                        }
                    };
                    tokio::select! {
                        () = stopping.stopped() => return,
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            });
        }
    }

    async fn fetch(&self, peer: &Peer) -> Result<(), String> {
        let material = self.identity.material();
        let endpoint = peer.endpoints().into_iter().next().ok_or("nobody says where it is")?;
        let channel = link::dial(peer.area, &endpoint, &material).await;
        let channel = channel.map_err(|error| chain(&error))?;
        let signed = NodeClient::new(channel).card().await.map_err(|error| chain(&error))?;
        self.take(peer, signed).await.map_err(|error| chain(&error))
    }

    /// Checks a card, keeps it and puts it in force.
    ///
    /// # Errors
    /// [`BadCard`].
    pub async fn take(&self, peer: &Peer, signed: SignedCard) -> Result<(), BadCard> {
        let card = self.check(peer.area, &signed, SystemClock.now())?;
        if peer.card().is_some_and(|known| !card.replaces(&known)) {
            return Ok(());
        }
        let row = CardRow {
            card: Signed {
                manifest: Blob(signed.card_bytes.to_vec()),
                signature: Blob(signed.signature.to_vec()),
            },
            chain: signed.chain.into_iter().map(Blob).collect(),
        };
        let key = peer_key(peer.area);
        let kept =
            self.store.commit(move |unit| Ok::<_, AppError>(unit.put(&CARD, &key, &row)?)).await;
        kept.map_err(AppError::from)?;
        peer.learn(card);
        Ok(())
    }
}
