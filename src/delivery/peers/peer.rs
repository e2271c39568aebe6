//! One peer: where it is called, how to seal for it, how to wake its courier, and what is known of its state.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::card::NodeCard;
use exchange::courier::CourierStatus;
use exchange::envelope::AlgorithmProfile;
use exchange::lane::{LaneEpoch, LaneSeq};
use tokio::sync::watch;
use trust::seal::{Sealer, SealingPublicKey};

use crate::app::messages::turned_back::Refusal;

/// What a courier is told: how far the journal of which lane reaches.
pub(crate) type Mail = Option<(LaneEpoch, LaneSeq)>;

/// For so long after the end of a card messages are still sealed for its node, with an alarm: the directory may be out
/// of reach, but the node need not be.
pub const CARD_GRACE: Duration = Duration::from_secs(30 * 86_400);

/// What a peer's card is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CardState {
    /// It holds.
    Good,
    /// It has ended and is used in grace; an alarm.
    InGrace,
    /// It ended too long ago to be used.
    Ended,
    /// The certificate that signed it does not hold any more: revoked, as a rule.
    Disbelieved,
    /// None was ever seen.
    Missing,
}

/// One peer.
pub struct Peer {
    /// Its county.
    pub area: AreaCode,
    configured: Option<String>,
    card: ArcSwapOption<NodeCard>,
    card_version: watch::Sender<u64>,
    /// Version of the card that is not believed any more; 0 for none.
    disbelieved: AtomicU64,
    sealer: ArcSwapOption<Sealer>,
    mail: watch::Sender<Mail>,
    progress: watch::Sender<Progress>,
    // Written by the peer's own tasks, read by whoever asks for the status; never across an await.
    state: Mutex<PeerState>,
}

/// How far a peer has answered, since the start of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Envelopes for which its signed word has come and holds.
    pub answered: u64,
    /// Envelopes of these whose receipt is on our disk.
    pub kept: u64,
}

/// Two clocks that are no further apart say the same; and what one has said of the other holds for so long.
const TIME_AGREED: Duration = Duration::from_secs(3_600);

/// What is known of a peer's state.
#[derive(Clone, Debug, Default)]
pub struct PeerState {
    /// What its courier says.
    pub courier: Option<CourierStatus>,
    /// Last trouble; none when all is well.
    pub trouble: Option<String>,
    /// Who did not take mail for it last, while no receipt of it has come since.
    pub refusal: Option<Refusal>,
    /// Its clock less ours, milliseconds.
    pub skew_ms: i64,
    /// When that was measured, by our clock.
    pub skew_at: Option<UnixMillis>,
    /// When its last receipt was kept.
    pub last_receipt: Option<UnixMillis>,
    /// Version of its program.
    pub version: String,
    /// Until when the certificate holds that it showed last.
    pub certificate_until: Option<UnixMillis>,
}

impl PeerState {
    /// Whether its clock has said lately that ours is right. What was measured before ours jumped says nothing.
    #[must_use]
    pub fn agrees_on_time(&self, now: UnixMillis) -> bool {
        let lately = self.skew_at.is_some_and(|at| at <= now && now.since(at) <= TIME_AGREED);
        lately && Duration::from_millis(self.skew_ms.unsigned_abs()) <= TIME_AGREED
    }
}

impl Peer {
    pub(super) fn new(area: AreaCode, configured: Option<&str>) -> Self {
        Self {
            area,
            configured: configured.map(str::to_owned),
            card: ArcSwapOption::empty(),
            card_version: watch::Sender::new(0),
            disbelieved: AtomicU64::new(0),
            sealer: ArcSwapOption::empty(),
            mail: watch::Sender::new(None),
            progress: watch::Sender::default(),
            state: Mutex::default(),
        }
    }

    /// Whether the configuration names it.
    #[must_use]
    pub const fn is_configured(&self) -> bool {
        self.configured.is_some()
    }

    /// Whether there is anything to call it by or to seal with for it.
    pub(super) fn is_known(&self) -> bool {
        self.is_configured() || self.card().is_some()
    }

    /// Where it can be called, "host:port", best first: as configured, then as its card says. Whoever answers there has
    /// to prove that it is this peer, so an address that is wrong costs no more than a try.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        let mut endpoints: Vec<String> = self.configured.iter().cloned().collect();
        for endpoint in self.card().iter().flat_map(|card| &card.endpoints) {
            if !endpoints.iter().any(|known| known == endpoint.as_str()) {
                endpoints.push(endpoint.as_str().to_owned());
            }
        }
        endpoints
    }

    /// Its card, once one was seen.
    #[must_use]
    pub fn card(&self) -> Option<Arc<NodeCard>> {
        self.card.load_full()
    }

    /// Puts a card in force, unless the one in force is newer.
    pub fn learn(&self, card: NodeCard) {
        let card = Arc::new(card);
        let before = self.card.rcu(|known| match known {
            Some(known) if !card.replaces(known) => Some(known.clone()),
            Some(_) | None => Some(card.clone()),
        });
        if before.is_some_and(|known| !card.replaces(&known)) {
            return;
        }
        self.sealer.store(None);
        self.card_version.send_replace(card.version);
    }

    /// Hears when a newer card is in force: its version, 0 while there is none.
    #[must_use]
    pub fn card_changes(&self) -> watch::Receiver<u64> {
        self.card_version.subscribe()
    }

    /// What its card is worth at that time.
    #[must_use]
    pub fn card_state(&self, now: UnixMillis) -> CardState {
        match self.card() {
            None => CardState::Missing,
            Some(card) if self.disbelieved.load(Ordering::Relaxed) == card.version => {
                CardState::Disbelieved
            }
            Some(card) if now < card.valid_until => CardState::Good,
            Some(card) if now < card.valid_until.saturating_add(CARD_GRACE) => CardState::InGrace,
            Some(_) => CardState::Ended,
        }
    }

    /// Notes whether a card that is in force is still believed. Says whether that is news.
    pub(in crate::delivery) fn believe(&self, card: &NodeCard, believed: bool) -> bool {
        let disbelieved = if believed { 0 } else { card.version };
        let before = self.disbelieved.swap(disbelieved, Ordering::Relaxed);
        if !believed {
            self.sealer.store(None);
        }
        before != disbelieved
    }

    /// Until when it is out of service, as it has announced; none when it serves now.
    #[must_use]
    pub fn maintenance_until(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.card().and_then(|card| card.maintenance_at(now))
    }

    /// What seals for it now: one encapsulation for a card and the life of the process, at most a day.
    ///
    /// # Errors
    /// `PEER_CARD_MISSING` while no card with a usable key is known.
    pub fn sealer(&self, now: UnixMillis) -> Result<Arc<Sealer>, Reason> {
        match self.card_state(now) {
            CardState::Good | CardState::InGrace => {}
            CardState::Ended | CardState::Disbelieved | CardState::Missing => {
                return Err(Reason::PeerCardMissing);
            }
        }
        if let Some(sealer) = self.sealer.load_full().filter(|sealer| !sealer.is_stale(now)) {
            return Ok(sealer);
        }
        let card = self.card().ok_or(Reason::PeerCardMissing)?;
        let key = card.sealing_key_at(now, AlgorithmProfile::International);
        let public = key.and_then(|key| SealingPublicKey::from_bytes(&key.public_key).ok());
        let public = public.ok_or(Reason::PeerCardMissing)?;
        let sealer = Sealer::new(&public, &mut rand::rng(), now);
        let sealer = Arc::new(sealer.map_err(|_| Reason::PeerCardMissing)?);
        // Two threads may both make one; each keeps its own counter, so both are good.
        self.sealer.store(Some(sealer.clone()));
        Ok(sealer)
    }

    /// Tells its courier how far the mail reaches.
    pub(super) fn nudge(&self, epoch: LaneEpoch, through: LaneSeq) {
        self.mail.send_if_modified(|mail| {
            let further = mail.is_none_or(|(known, last)| known != epoch || last < through);
            if further {
                *mail = Some((epoch, through));
            }
            further
        });
    }

    /// Whether somebody hears how far the mail reaches.
    pub(super) fn has_courier(&self) -> bool {
        self.mail.receiver_count() > 0
    }

    /// How far it reaches, as was told last.
    pub(crate) fn mail_now(&self) -> Mail {
        *self.mail.borrow()
    }

    /// Hears how far the mail for this peer reaches.
    pub(crate) fn mail(&self) -> watch::Receiver<Mail> {
        self.mail.subscribe()
    }

    /// Follows how far it has answered.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Notes that it has answered further.
    pub(crate) fn advance(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
    }

    /// What is known of its state.
    #[must_use]
    pub fn state(&self) -> PeerState {
        self.lock().clone()
    }

    /// Changes what is known of its state.
    pub fn note(&self, change: impl FnOnce(&mut PeerState)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, PeerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("area", &self.area)
            .field("endpoints", &self.endpoints())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use exchange::card::SealingKey;

    use super::*;

    const NOW: UnixMillis = UnixMillis::new(1_794_326_400_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn after(days: u32) -> UnixMillis {
        NOW.saturating_add(days * DAY)
    }

    fn card(version: u64, key: &trust::seal::SealingKeyPair) -> NodeCard {
        NodeCard {
            area: "440305".parse().unwrap(),
            name: "x".to_owned(),
            endpoints: ["a.example:1", "b.example:2"].map(|e| e.parse().unwrap()).to_vec(),
            sealing_keys: vec![SealingKey {
                profile: AlgorithmProfile::International,
                public_key: *key.public().as_bytes(),
                use_until: after(90),
            }],
            version,
            valid_from: NOW,
            valid_until: after(30),
            maintenance: Vec::new(),
            area_changes: Vec::new(),
            collects: false,
            retired: None,
            ledger_head: None,
        }
    }

    fn key() -> trust::seal::SealingKeyPair {
        trust::seal::SealingKeyPair::generate(&mut rand::rng())
    }

    fn sealed_to(peer: &Peer, now: UnixMillis) -> Result<[u8; 8], Reason> {
        use exchange::keys::Sealer as _;
        Ok(peer.sealer(now)?.next_seal().unwrap().recipient_key_id)
    }

    #[test]
    fn a_card_seals_in_grace_and_then_no_more() {
        let (peer, key) = (Peer::new("440305".parse().unwrap(), None), key());
        assert_eq!(peer.card_state(NOW), CardState::Missing);
        assert_eq!(sealed_to(&peer, NOW), Err(Reason::PeerCardMissing));
        peer.learn(card(1, &key));
        for (days, state) in
            [(29, CardState::Good), (30, CardState::InGrace), (59, CardState::InGrace)]
        {
            assert_eq!(peer.card_state(after(days)), state);
            assert_eq!(sealed_to(&peer, after(days)), Ok(key.id()));
        }
        assert_eq!(peer.card_state(after(60)), CardState::Ended);
        assert_eq!(sealed_to(&peer, after(60)), Err(Reason::PeerCardMissing));
    }

    #[test]
    fn a_newer_card_switches_the_key_and_an_older_one_does_not() {
        let (peer, old, new) = (Peer::new("440305".parse().unwrap(), None), key(), key());
        let changes = peer.card_changes();
        peer.learn(card(1, &old));
        assert_eq!(sealed_to(&peer, NOW), Ok(old.id()));
        peer.learn(card(2, &new));
        assert_eq!(sealed_to(&peer, NOW), Ok(new.id()));
        peer.learn(card(1, &old));
        assert_eq!(sealed_to(&peer, NOW), Ok(new.id()));
        assert_eq!(*changes.borrow(), 2);
    }

    #[test]
    fn nothing_is_sealed_for_a_card_that_is_not_believed() {
        let (peer, old, new) = (Peer::new("440305".parse().unwrap(), None), key(), key());
        peer.learn(card(1, &old));
        sealed_to(&peer, NOW).unwrap();
        assert!(peer.believe(&card(1, &old), false) && !peer.believe(&card(1, &old), false));
        assert_eq!(peer.card_state(NOW), CardState::Disbelieved);
        assert_eq!(sealed_to(&peer, NOW), Err(Reason::PeerCardMissing));
        // A card that a new certificate has signed is another one.
        peer.learn(card(2, &new));
        assert_eq!(sealed_to(&peer, NOW), Ok(new.id()));
    }

    #[test]
    fn a_configured_address_comes_first_and_the_cards_after_it() {
        let peer = Peer::new("440305".parse().unwrap(), Some("b.example:2"));
        assert_eq!(peer.endpoints(), ["b.example:2"]);
        peer.learn(card(1, &key()));
        assert_eq!(peer.endpoints(), ["b.example:2", "a.example:1"]);
    }
}
