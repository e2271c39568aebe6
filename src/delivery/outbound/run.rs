//! The shell of one courier: feeds it with events and performs its effects.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use domain::area::AreaCode;
use domain::time::UnixMillis;
use exchange::courier::{Courier, Effect, Event, ParcelNo};
use exchange::lane::{LaneEpoch, LaneOut, LaneSeq};
use exchange::parcel::ParcelId;
use exchange::route::{Route, Routes};
use exchange::runs::SeqRuns;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::Outbound;
use super::journal::{self, Lane};
use crate::app::AppError;
use crate::app::messages::settle;
use crate::delivery::hub::Shared;
use crate::delivery::parcels::{Ready, Sent, build};
use crate::delivery::peers::{Mail, Peer};
use crate::delivery::session::{Incoming, Place, Session};
use crate::tasks::Stopping;
use crate::time::{SystemClock, random};

/// Longest sleep of a courier that expects nothing, so that a clock that was set is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// A session that the courier has asked for.
struct OpenLink {
    /// Tells the events of one wish from those of the next.
    number: u64,
    /// Follows the session.
    task: AbortHandle,
    /// The session, once it stands.
    session: Option<Arc<Session>>,
}

/// A parcel that waits for room on a session.
struct Wanted {
    link: u64,
    parcel: ParcelNo,
    sequences: SeqRuns,
    bytes_max: usize,
}

pub(super) struct Run {
    pub(super) outbound: Outbound,
    pub(super) peer: Arc<Peer>,
    pub(super) epoch: LaneEpoch,
    /// Whether new mail comes into this lane.
    is_current: bool,
    pub(super) courier: Courier,
    pub(super) events: mpsc::Sender<Incoming>,
    links: BTreeMap<Route, OpenLink>,
    link_count: u64,
    routes: Routes,
    wanted: VecDeque<Wanted>,
    ready: HashMap<ParcelNo, Ready>,
    pub(super) offered: HashMap<ParcelNo, Sent>,
    pub(super) by_id: HashMap<ParcelId, ParcelNo>,
    /// Envelopes that travel without their body.
    pub(super) withdrawn: BTreeSet<LaneSeq>,
    /// Until when the peer has announced that it is out of service, as the courier knows it.
    announced: Option<UnixMillis>,
    wake: Option<UnixMillis>,
}

impl Run {
    pub(super) fn new(
        outbound: Outbound,
        peer: Arc<Peer>,
        epoch: LaneEpoch,
        is_current: bool,
        events: mpsc::Sender<Incoming>,
    ) -> Result<Self, AppError> {
        let store = &outbound.shared().store;
        let lane = settle::lane_in_epoch(store, peer.area, epoch)?;
        let withdrawn = journal::withdrawn(store, peer.area, &lane)?;
        let mut run = Self {
            courier: Courier::new(*outbound.settings(), lane, Routes::none()),
            outbound,
            peer,
            epoch,
            is_current,
            events,
            links: BTreeMap::new(),
            link_count: 0,
            routes: Routes::none(),
            wanted: VecDeque::new(),
            ready: HashMap::new(),
            offered: HashMap::new(),
            by_id: HashMap::new(),
            withdrawn,
            announced: None,
            wake: None,
        };
        run.look_around();
        Ok(run)
    }

    pub(super) fn shared(&self) -> &Shared {
        self.outbound.shared()
    }

    /// The lane whose mail this courier carries.
    pub(super) fn lane(&self) -> Lane<'_> {
        Lane {
            store: &self.shared().store,
            peer: self.peer.area,
            epoch: self.epoch,
            withdrawn: &self.withdrawn,
        }
    }

    /// Runs until the node stops or, in a lane that gets no new mail, nothing is left to do.
    pub(super) async fn until_done(
        &mut self,
        mut incoming: mpsc::Receiver<Incoming>,
        stopping: &mut Stopping,
    ) {
        let hub = self.outbound.hub().clone();
        let (mut mail, mut card) = (self.peer.mail(), self.peer.card_changes());
        let (mut changes, mut seen) = (hub.changes(self.peer.area), hub.seen(self.peer.area));
        let mut joined = self.shared().peers.joined();
        mail.mark_changed();
        self.step(Event::Woken);
        while !self.is_done() {
            let sleep = self.sleep();
            tokio::select! {
                () = stopping.stopped() => break,
                Ok(()) = mail.changed() => {
                    let news = *mail.borrow_and_update();
                    self.mail(news);
                }
                Some(event) = incoming.recv() => self.incoming(event),
                Ok(()) = seen.changed() => {
                    self.look_around();
                    self.step(Event::PeerSeen);
                }
                Ok(()) = changes.changed() => self.look_around(),
                Ok(()) = card.changed() => self.look_around(),
                Ok(()) = joined.changed() => self.look_around(),
                () = tokio::time::sleep(sleep) => self.woken(),
            }
            if self.is_current {
                let status = self.courier.status();
                self.peer.note(|state| state.courier = Some(status));
            }
        }
        for (_, link) in std::mem::take(&mut self.links) {
            link.task.abort();
        }
        self.forget(|_| true);
    }

    fn is_done(&self) -> bool {
        !self.is_current && self.courier.lane().waiting() == 0
    }

    pub(super) fn sleep(&self) -> Duration {
        let now = SystemClock.now();
        self.wake.map_or(SLEEP_MAX, |at| at.since(now).min(SLEEP_MAX))
    }

    /// The time of a wish has come, or a minute has passed. A wish is for once: one that came true and stayed
    /// would come true again at once.
    pub(super) fn woken(&mut self) {
        self.wake = None;
        // Whoever accepts mail, or withdraws some, may be gone between the disk and the nudge.
        let store = &self.outbound.shared().store;
        let lane = settle::lane_in_epoch(store, self.peer.area, self.epoch);
        let read = lane.and_then(|lane| {
            let withdrawn = journal::withdrawn(store, self.peer.area, &lane)?;
            Ok((lane.last_assigned(), withdrawn))
        });
        match read {
            Ok((through, withdrawn)) => {
                self.withdrawn = withdrawn;
                self.mail(Some((self.epoch, through)));
            }
            Err(error) => {
                tracing::error!(peer = %self.peer.area, %error, "cannot read the lane to a peer");
            }
        }
        self.look_around();
        self.step(Event::Woken);
    }

    fn mail(&mut self, news: Mail) {
        match news {
            Some((epoch, through)) if epoch == self.epoch => self.step(Event::Mail { through }),
            // A new lane has been opened; this one is only brought to its end.
            Some((epoch, _)) => {
                self.is_current = false;
                self.outbound.ensure(self.peer.area, epoch, true);
            }
            None => {}
        }
    }

    /// Which ways lead to the peer now, and whether it serves.
    fn look_around(&mut self) {
        let routes = self.outbound.routes(&self.peer);
        if routes != self.routes {
            self.routes = routes;
            self.step(Event::RoutesChanged { routes });
        }
        let announced = self.peer.maintenance_until(SystemClock.now());
        if announced != self.announced {
            self.announced = announced;
            self.step(Event::HoldUntil { until: announced });
        }
    }

    fn incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Up { link, session } => self.link_up(link, session),
            Incoming::Lost { link, why } => self.link_lost(link, &why),
            Incoming::Room { link, place } => self.room(link, place),
            Incoming::Answer { parcel, answer } => self.answer(parcel, answer),
            Incoming::Kept { parcel, kept } => self.kept(parcel, kept),
            Incoming::Marked(marks) => self.step(Event::Marked { marks }),
            Incoming::TurnedBack { relay, marks } => {
                let own = self.shared().own;
                let leads = |route: &Route| Some(neighbour(own, self.peer.area, *route)) == relay;
                let by = self.routes.iter().find(leads);
                self.step(Event::TurnedBack { by, marks });
            }
        }
    }

    fn link_up(&mut self, number: u64, session: Arc<Session>) {
        let found = self.links.iter_mut().find(|(_, link)| link.number == number);
        let Some((&route, link)) = found else { return };
        let window_parcels = session.hello().window_parcels;
        link.session = Some(session);
        self.step(Event::LinkUp { route, window_parcels });
    }

    fn link_lost(&mut self, number: u64, why: &str) {
        let found = self.links.iter().find(|(_, link)| link.number == number);
        let Some((&route, _)) = found else { return };
        tracing::debug!(peer = %self.peer.area, route = route.as_str(), why, "a courier has lost its link");
        self.links.remove(&route);
        self.let_go_of(number);
        self.forget(|sent| sent.route == route && sent.answered.is_none());
        self.look_around();
        self.step(Event::LinkLost { route });
    }

    pub(super) fn step(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let now = SystemClock.now();
            let random = u64::from_be_bytes(random());
            let empty = LaneOut::new(self.epoch);
            let empty = Courier::new(*self.outbound.settings(), empty, Routes::none());
            let courier = std::mem::replace(&mut self.courier, empty);
            let (courier, effects) = courier.step(event, now, random);
            self.courier = courier;
            for effect in effects {
                events.extend(self.perform(effect));
            }
        }
    }

    /// Performs an effect; says what it came to, if that is known at once.
    fn perform(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Connect { route } => {
                self.connect(route);
                None
            }
            Effect::Disconnect { route } => {
                self.disconnect(route);
                None
            }
            Effect::Load { parcel, sequences, bytes_max } => {
                self.load(parcel, sequences, bytes_max)
            }
            Effect::Look { sequences } => Some(self.look(&sequences)),
            Effect::Send { parcel, route } => self.send(parcel, route),
            Effect::Keep { parcel, marks } => {
                self.keep(parcel, marks);
                None
            }
            Effect::KeepCustody { parcel, marks } => {
                self.keep_custody(parcel, marks);
                None
            }
            Effect::WakeAt(at) => {
                self.wish(at);
                None
            }
        }
    }

    pub(super) fn wish(&mut self, at: UnixMillis) {
        self.wake = Some(at);
    }

    fn connect(&mut self, route: Route) {
        self.disconnect(route);
        self.link_count += 1;
        let number = self.link_count;
        let area = neighbour(self.shared().own, self.peer.area, route);
        let (hub, events) = (self.outbound.hub().clone(), self.events.clone());
        let task = self.shared().tasks.spawn("link", async move {
            hub.follow(area, number, events).await;
        });
        self.links.insert(route, OpenLink { number, task, session: None });
    }

    /// Lets go of a session, which goes on for others; one that owes us answers for too long is ended.
    fn disconnect(&mut self, route: Route) {
        let Some(link) = self.links.remove(&route) else { return };
        link.task.abort();
        self.let_go_of(link.number);
        let patience = self.outbound.settings().receipt_timeout;
        let now = SystemClock.now();
        let owed = |sent: &Sent| sent.route == route && sent.answered.is_none();
        let overdue = |sent: &Sent| owed(sent) && sent.since.saturating_add(patience) <= now;
        if let Some(session) = link.session
            && self.offered.values().any(overdue)
        {
            session.close("no answer came in time");
        }
        self.forget(|sent| owed(sent));
    }

    /// Forgets what was to go over a session that is not ours any more; the courier has it in its queue again.
    fn let_go_of(&mut self, number: u64) {
        self.wanted.retain(|wanted| wanted.link != number);
        self.ready.retain(|_, ready| ready.link != number);
    }

    fn session(&self, route: Route) -> Option<(u64, Arc<Session>)> {
        let link = self.links.get(&route)?;
        Some((link.number, link.session.clone()?))
    }

    /// Reads a parcel once there is room for it on the session. Without a session there is none to come: the loss of the link
    /// is on its way to the courier.
    fn load(&mut self, parcel: ParcelNo, sequences: SeqRuns, bytes_max: usize) -> Option<Event> {
        let route = self.courier.route_of(parcel)?;
        let (link, session) = self.session(route)?;
        if let Some(place) = session.try_place() {
            return Some(self.read(parcel, &sequences, bytes_max, link, place));
        }
        self.wanted.push_back(Wanted { link, parcel, sequences, bytes_max });
        let events = self.events.clone();
        self.shared().tasks.spawn("room", async move {
            if let Ok(place) = session.place().await {
                let _gone = events.send(Incoming::Room { link, place }).await.is_err();
            }
        });
        None
    }

    fn room(&mut self, link: u64, place: Place) {
        let Some(at) = self.wanted.iter().position(|wanted| wanted.link == link) else { return };
        let Some(Wanted { parcel, sequences, bytes_max, .. }) = self.wanted.remove(at) else {
            return;
        };
        let loaded = self.read(parcel, &sequences, bytes_max, link, place);
        self.step(loaded);
    }

    fn read(
        &mut self,
        parcel: ParcelNo,
        sequences: &SeqRuns,
        bytes_max: usize,
        link: u64,
        place: Place,
    ) -> Event {
        let loaded = journal::read(&self.lane(), sequences, bytes_max);
        let sequences = loaded.sequences.iter().copied().collect();
        let unreadable = loaded.unreadable.clone();
        self.ready.insert(parcel, Ready { loaded, place, link });
        Event::Loaded { parcel, sequences, unreadable }
    }

    fn look(&self, sequences: &SeqRuns) -> Event {
        Event::Looked { deadlines: journal::deadlines(&self.lane(), sequences) }
    }

    fn send(&mut self, parcel: ParcelNo, route: Route) -> Option<Event> {
        let Ready { loaded, place, link } = self.ready.remove(&parcel)?;
        // Room on a session that is gone is none.
        let (_, session) = self.session(route).filter(|(number, _)| *number == link)?;
        let material = self.shared().identity.material();
        let signer = material.identity();
        let (own, peer) = (self.shared().own, self.peer.area);
        let (built, sent) = match build(own, peer, loaded, signer.as_ref(), route) {
            Ok(built) => built,
            Err(reason) => {
                tracing::error!(%peer, code = reason.code(), "cannot make a parcel");
                return Some(Event::PeerMisbehaved);
            }
        };
        let (id, signer) = (sent.manifest.parcel_id, sent.manifest.signer);
        self.by_id.insert(id, parcel);
        self.offered.insert(parcel, sent);
        if route != Route::Direct {
            self.outbound.take_in_hand(id);
        }
        // When the session has just ended, the loss of the link is on its way.
        let _gone = session.send(place, id, built, Some(signer), self.events.clone()).is_err();
        None
    }

    /// Lets go of parcels that are settled or have to be offered anew, and says how many envelopes were in them.
    pub(super) fn forget(&mut self, which: impl Fn(&Sent) -> bool) -> u64 {
        let mut envelopes = 0;
        let (by_id, outbound) = (&mut self.by_id, &self.outbound);
        self.offered.retain(|_, sent| {
            let gone = which(sent);
            if gone {
                by_id.remove(&sent.manifest.parcel_id);
                outbound.out_of_hand(sent.manifest.parcel_id);
                envelopes += u64::from(sent.manifest.count);
            }
            !gone
        });
        envelopes
    }

    /// Closes the session of a route at which something came that does not hold.
    pub(super) fn close(&self, route: Route, why: &str) {
        if let Some((_, session)) = self.session(route) {
            session.close(why);
        }
    }
}

/// The node that a parcel for `peer` is handed to by this route.
pub(super) fn neighbour(own: AreaCode, peer: AreaCode, route: Route) -> AreaCode {
    match route {
        Route::Direct => peer,
        Route::OwnRelay => own.province(),
        Route::PeerRelay => peer.province(),
    }
}
