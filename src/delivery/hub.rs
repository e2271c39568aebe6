//! The neighbours of a node: at most one session with each that carries our mail, and who hears when that changes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use domain::area::AreaCode;
use store::Store;
use tokio::sync::{mpsc, watch};

use super::identity::NodeIdentity;
use super::limits::Limits;
use super::peers::Peers;
use super::session::intake::Intake;
use super::session::{Incoming, Session, dial};
use crate::app::heard::{Heard, Sense};
use crate::tasks::Tasks;
use crate::time::SystemClock;

/// How often it is noted with whom sessions stand.
const CONTACTS_EVERY: Duration = Duration::from_secs(600);

/// What all parts of the delivery share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Our area.
    pub own: AreaCode,
    /// The store.
    pub store: Store,
    /// Our identity.
    pub identity: Arc<NodeIdentity>,
    /// Where tasks are spawned.
    pub tasks: Tasks,
    /// The other nodes.
    pub peers: Peers,
    /// Notes when peers are heard.
    pub heard: Heard,
    /// A neighbour that could not be reached is not called again for so long, whoever asks.
    pub redial_after: Duration,
    /// Whether this node collects its mail, because it cannot be called.
    pub collects: bool,
    /// What a neighbour may ask of us at one time.
    pub limits: Limits,
}

/// The neighbours of a node. Clones share them.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    shared: Shared,
    // What takes mail in knows the hub as well; this end of the circle does not hold it.
    intake: OnceLock<Weak<Intake>>,
    // Touched to find a neighbour; never across an await.
    neighbours: Mutex<BTreeMap<AreaCode, Arc<Neighbour>>>,
}

/// A node that we have, had or want a session with.
#[derive(Default)]
struct Neighbour {
    // Touched when a session begins or ends, and to look; never across an await.
    sessions: Mutex<Sessions>,
    /// Counts the changes.
    changed: watch::Sender<u64>,
    /// Counts how often it has called us.
    seen: watch::Sender<u64>,
    /// How often it was called.
    calls: AtomicUsize,
    /// Held while it is being called, so that all who want it share one call; how the last one failed.
    calling: tokio::sync::Mutex<Option<(Instant, String)>>,
}

#[derive(Default)]
struct Sessions {
    /// Takes our mail: we have called it, or it collects.
    mail: Option<Arc<Session>>,
    /// The last it has opened without collecting: takes words on their way back.
    words: Option<Arc<Session>>,
}

impl Hub {
    /// No session stands yet.
    #[must_use]
    pub fn new(shared: Shared) -> Self {
        let (intake, neighbours) = (OnceLock::new(), Mutex::default());
        Self(Arc::new(Inner { shared, intake, neighbours }))
    }

    /// Names what takes in the mail of the sessions that we open; to be called once, before the first.
    pub fn takes_in(&self, intake: &Arc<Intake>) {
        // A second call changes nothing.
        let _known = self.0.intake.set(Arc::downgrade(intake)).is_err();
    }

    /// What all parts share.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// A session that takes our mail: the one that stands, or a new one.
    pub(super) async fn session(&self, area: AreaCode) -> Result<Arc<Session>, String> {
        let neighbour = self.neighbour(area);
        if let Some(session) = neighbour.mail() {
            return Ok(session);
        }
        let asked = Instant::now();
        let mut failed = neighbour.calling.lock().await;
        if let Some(session) = neighbour.mail() {
            return Ok(session);
        }
        if let Some((at, why)) = &*failed
            && *at + self.shared().redial_after > asked
        {
            return Err(why.clone());
        }
        let called = self.call(area).await;
        *failed = called.as_ref().err().map(|why| (Instant::now(), why.clone()));
        called
    }

    /// A session that takes words on their way back: any that stands, or a new one.
    pub(super) async fn word_session(&self, area: AreaCode) -> Result<Arc<Session>, String> {
        match self.neighbour(area).any() {
            Some(session) => Ok(session),
            None => self.session(area).await,
        }
    }

    /// Whether a session stands that takes our mail.
    #[must_use]
    pub fn stands(&self, area: AreaCode) -> bool {
        self.neighbour(area).mail().is_some()
    }

    /// Hears when a session with this neighbour begins or ends.
    pub(super) fn changes(&self, area: AreaCode) -> watch::Receiver<u64> {
        self.neighbour(area).changed.subscribe()
    }

    /// Hears when this neighbour has called us.
    pub(super) fn seen(&self, area: AreaCode) -> watch::Receiver<u64> {
        self.neighbour(area).seen.subscribe()
    }

    /// A neighbour has called us: whoever waits to call it need not wait any longer.
    pub fn was_seen(&self, area: AreaCode) {
        self.neighbour(area).seen.send_modify(|times| *times += 1);
    }

    /// Asks for a session and tells `events` what becomes of it, until it has ended.
    pub(super) async fn follow(&self, area: AreaCode, link: u64, events: mpsc::Sender<Incoming>) {
        let why = match self.session(area).await {
            Ok(session) => {
                let up = Incoming::Up { link, session: session.clone() };
                if events.send(up).await.is_err() {
                    return;
                }
                session.ended().await
            }
            Err(why) => why,
        };
        // Whoever asked is gone when nobody listens.
        let _gone = events.send(Incoming::Lost { link, why }).await.is_err();
    }

    async fn call(&self, area: AreaCode) -> Result<Arc<Session>, String> {
        let shared = self.shared();
        let peer = shared.peers.get(area).ok_or("nobody has told where it can be called")?;
        if peer.card().is_some_and(|card| card.collects) {
            return Err("it cannot be called; it collects its mail".to_owned());
        }
        let intake = self.0.intake.get().and_then(Weak::upgrade).ok_or("the node stops")?;
        // Another one each time, when there are several.
        let endpoints = peer.endpoints();
        let turn = self.neighbour(area).calls.fetch_add(1, Ordering::Relaxed);
        let endpoint = endpoints.get(turn.checked_rem(endpoints.len()).unwrap_or_default());
        let endpoint = endpoint.ok_or("nobody has told where it can be called")?;
        let opened = dial::open(self, intake, &peer, endpoint, shared.collects).await;
        if let Err(why) = &opened {
            tracing::info!(peer = %area, why, "no link to the peer");
            peer.note(|state| state.trouble = Some(why.clone()));
        }
        opened
    }

    /// A session has begun.
    pub(super) fn enter(&self, session: &Arc<Session>) {
        let area = session.neighbour();
        let neighbour = self.neighbour(area);
        let before = {
            let mut sessions = neighbour.lock();
            let slot = sessions.slot(session);
            slot.replace(session.clone())
        };
        // Both ends agree on the newer one: the older may be a line that broke unnoticed.
        if let Some(before) = before.filter(|before| before.takes_mail()) {
            before.close("a newer session has taken its place");
        }
        let hello = session.hello();
        if let Some(peer) = self.shared().peers.get(area) {
            let now = SystemClock.now();
            let skew_ms = hello.now.get().cast_signed().wrapping_sub(now.get().cast_signed());
            peer.note(|state| {
                state.version.clone_from(&hello.version);
                state.skew_ms = skew_ms;
                state.skew_at = Some(now);
                if session.takes_mail() {
                    state.trouble = None;
                }
            });
        }
        self.heard(area);
        if session.takes_mail() {
            tracing::info!(peer = %area, version = hello.version, "link to the peer stands");
        }
        neighbour.changed.send_modify(|changes| *changes += 1);
    }

    /// Notes now and then with whom sessions stand, so that a peer that says nothing but is there is not missed.
    pub fn follow_contacts(&self) {
        let (hub, mut stopping) = (self.clone(), self.shared().tasks.stopping());
        self.shared().tasks.spawn("contacts", async move {
            loop {
                tokio::select! {
                    () = stopping.stopped() => return,
                    () = tokio::time::sleep(CONTACTS_EVERY) => {}
                }
                for (area, neighbour) in hub.neighbours().clone() {
                    if neighbour.any().is_some() {
                        hub.heard(area);
                    }
                }
            }
        });
    }

    fn heard(&self, area: AreaCode) {
        let shared = self.shared();
        shared.heard.note(&shared.store, area, Sense::Contact, SystemClock.now());
    }

    /// A session has ended.
    pub(super) fn leave(&self, session: &Arc<Session>) {
        let neighbour = self.neighbour(session.neighbour());
        let was_known = {
            let mut sessions = neighbour.lock();
            let slot = sessions.slot(session);
            slot.take_if(|known| Arc::ptr_eq(known, session)).is_some()
        };
        if !was_known {
            return;
        }
        if session.takes_mail() {
            let (peer, why) = (session.neighbour(), session.why());
            tracing::info!(%peer, why, "no link to the peer");
            if let Some(peer) = self.shared().peers.get(peer) {
                peer.note(|state| state.trouble = Some(why));
            }
        }
        neighbour.changed.send_modify(|changes| *changes += 1);
    }

    fn neighbour(&self, area: AreaCode) -> Arc<Neighbour> {
        self.neighbours().entry(area).or_default().clone()
    }

    fn neighbours(&self) -> MutexGuard<'_, BTreeMap<AreaCode, Arc<Neighbour>>> {
        self.0.neighbours.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Neighbour {
    fn mail(&self) -> Option<Arc<Session>> {
        self.lock().mail.clone().filter(|session| !session.has_ended())
    }

    fn any(&self) -> Option<Arc<Session>> {
        let words = || self.lock().words.clone().filter(|session| !session.has_ended());
        self.mail().or_else(words)
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions {
    fn slot(&mut self, session: &Session) -> &mut Option<Arc<Session>> {
        if session.takes_mail() { &mut self.mail } else { &mut self.words }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("own", &self.0.shared.own).finish_non_exhaustive()
    }
}
