//! One peer: where it is called, how to seal for it, how to wake its courier, and what is known of its state.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::card::NodeCard;
use exchange::courier::CourierStatus;
use exchange::envelope::AlgorithmProfile;
use exchange::lane::{LaneEpoch, LaneSeq};
use tokio::sync::{Notify, watch};
use trust::seal::{Sealer, SealingPublicKey};

/// What a courier is told: how far the journal of which lane reaches.
pub(crate) type Mail = Option<(LaneEpoch, LaneSeq)>;

/// One peer.
pub struct Peer {
    /// Its county.
    pub area: AreaCode,
    configured: Option<String>,
    card: ArcSwapOption<NodeCard>,
    card_version: watch::Sender<u64>,
    sealer: ArcSwapOption<Sealer>,
    mail: watch::Sender<Mail>,
    progress: watch::Sender<Progress>,
    seen: Notify,
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

/// What is known of a peer's state.
#[derive(Clone, Debug, Default)]
pub struct PeerState {
    /// What its courier says.
    pub courier: Option<CourierStatus>,
    /// Last trouble; none when all is well.
    pub trouble: Option<String>,
    /// Its clock less ours, milliseconds.
    pub skew_ms: i64,
    /// When its last receipt was kept.
    pub last_receipt: Option<UnixMillis>,
    /// Version of its program.
    pub version: String,
}

impl Peer {
    pub(super) fn new(area: AreaCode, configured: Option<&str>) -> Self {
        Self {
            area,
            configured: configured.map(str::to_owned),
            card: ArcSwapOption::empty(),
            card_version: watch::Sender::new(0),
            sealer: ArcSwapOption::empty(),
            mail: watch::Sender::new(None),
            progress: watch::Sender::default(),
            seen: Notify::new(),
            state: Mutex::default(),
        }
    }

    /// Whether the configuration names it.
    #[must_use]
    pub const fn is_configured(&self) -> bool {
        self.configured.is_some()
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

    /// Until when it is out of service, as it has announced; none when it serves now.
    #[must_use]
    pub fn maintenance_until(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.card().and_then(|card| card.maintenance_at(now))
    }

    /// What seals for it now: one encapsulation for the life of the process, at most a day.
    ///
    /// # Errors
    /// `PEER_CARD_MISSING` while no card with a usable key is known.
    pub fn sealer(&self, now: UnixMillis) -> Result<Arc<Sealer>, Reason> {
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

    /// Hears how far the mail for this peer reaches.
    pub(crate) fn mail(&self) -> watch::Receiver<Mail> {
        self.mail.subscribe()
    }

    /// The peer has called us: its courier need not wait any longer to call it.
    pub fn was_seen(&self) {
        self.seen.notify_one();
    }

    /// Resolves when the peer has called us.
    pub(crate) async fn seen(&self) {
        self.seen.notified().await;
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
