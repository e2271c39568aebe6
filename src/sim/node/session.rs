//! Sessions with neighbours: at most one that carries our mail, whoever opened it, and the places on it.
//! `delivery::hub` and `delivery::session`.

mod frames;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use exchange::courier::ParcelNo;
use exchange::digest::Digest;
use exchange::lane::LaneEpoch;
use exchange::parcel::ParcelId;
use exchange::relay::FlightNo;

use super::{Inner, Node, Timer, Waiter, World};
use crate::coming::End;
use crate::disk::rows::Key;
use crate::mail::Frame;
use crate::network::ConnNo;
use crate::plan::NodeNo;
use crate::timeline::Moment;

/// Parcels of one session that wait for the disk here; the neighbour is told to keep no more in flight.
const WINDOW_PARCELS: u32 = 8;
/// Most parcels in flight to a neighbour, whatever it says.
const PLACES_MAX: u32 = 64;
/// Parcels of one session in the committer's hands; the next waits in its stream, and everything behind it.
const TURNS: usize = 2;
/// A neighbour that has connected but says nothing for so long is left, milliseconds.
const HELLO_TIMEOUT: u64 = 5_000;
/// A word that is not taken for so long ends the session, milliseconds.
const WORD_TIMEOUT: u64 = 30_000;
/// A neighbour that could not be reached is not called again for so long, whoever asks, milliseconds.
const REDIAL_AFTER: u64 = 200;

/// A neighbour: the session that takes our mail, and who wants one.
#[derive(Debug, Default)]
pub(crate) struct Neighbour {
    /// Takes our mail: we have called it, or it collects.
    mail: Option<ConnNo>,
    /// The last it has opened without collecting: takes words on their way back.
    words: Option<ConnNo>,
    calling: Option<ConnNo>,
    failed: Option<Moment>,
    wanted: BTreeSet<Waiter>,
}

/// A parcel that wants a place on a session before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Of a courier.
    Courier((NodeNo, LaneEpoch), ParcelNo),
    /// Of a forwarder.
    Forwarder(NodeNo, FlightNo),
}

impl Room {
    /// Who wants it.
    const fn waiter(self) -> Waiter {
        match self {
            Self::Courier((peer, epoch), _) => Waiter::Courier(peer, epoch),
            Self::Forwarder(next, _) => Waiter::Forwarder(next),
        }
    }
}

/// Where an answer goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Via {
    /// Back over the session it came by.
    Session(ConnNo),
    /// Nowhere: what it answers came in a file.
    File,
}

/// One stream on which both have introduced themselves.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) neighbour: NodeNo,
    /// Which end we are.
    us: End,
    takes_mail: bool,
    places: usize,
    pub(super) window_parcels: u32,
    /// Who waits for the answer to which parcel.
    waiting: BTreeMap<ParcelId, Waiter>,
    /// Places that were given to parcels that are just being read.
    given: usize,
    /// Who waits for a place.
    queue: VecDeque<Room>,
    users: BTreeSet<Waiter>,
    /// Words that were handed over and not taken, with the rows they come from.
    pub(super) words: BTreeMap<Digest, (Key, u64)>,
    words_sent: u64,
    /// Parcels in the committer's hands.
    turns: usize,
    /// Frames that wait behind a parcel that has no turn.
    backlog: VecDeque<Frame>,
}

impl Node {
    // Opening.

    /// Somebody calls.
    pub(super) fn called(&mut self, conn: ConnNo, caller: NodeNo, world: &mut World) {
        let World { network, timeline, now, .. } = world;
        let Some(memory) = &mut self.memory else {
            return network.refuse(timeline, *now, conn);
        };
        memory.opening.insert(conn, (caller, End::Callee));
        network.answer(timeline, *now, conn);
        let hello = Frame::Hello { window_parcels: WINDOW_PARCELS, collects: false };
        self.send(conn, End::Caller, hello, world);
        self.set_timer(Timer::Hello(conn), 0, world.now.after(HELLO_TIMEOUT), world);
    }

    /// A call of ours was taken.
    pub(super) fn answered(&mut self, conn: ConnNo, world: &mut World) {
        let calling = |memory: &super::Memory| {
            let mut known = memory.neighbours.iter();
            known.find(|(_, n)| n.calling == Some(conn)).map(|(area, _)| *area)
        };
        let Some(neighbour) = self.memory.as_ref().and_then(calling) else {
            let World { network, timeline, now, .. } = world;
            return network.hang_up(timeline, *now, (conn, End::Caller));
        };
        if let Some(memory) = &mut self.memory {
            memory.opening.insert(conn, (neighbour, End::Caller));
        }
        let collects = world.plan.node(self.no).is_some_and(|node| node.collects);
        let window_parcels = if collects { WINDOW_PARCELS } else { 0 };
        self.send(conn, End::Callee, Frame::Hello { window_parcels, collects }, world);
        self.set_timer(Timer::Hello(conn), 0, world.now.after(HELLO_TIMEOUT), world);
    }

    pub(super) fn hello_is_due(&mut self, conn: ConnNo, world: &mut World) {
        let opening = self.memory.as_mut().and_then(|memory| memory.opening.remove(&conn));
        if let Some((neighbour, us)) = opening {
            let World { network, timeline, now, .. } = world;
            network.hang_up(timeline, *now, (conn, us));
            self.call_failed(conn, neighbour, world);
        }
    }

    /// The other end has introduced itself.
    fn introduced(&mut self, conn: ConnNo, window_parcels: u32, collects: bool, world: &mut World) {
        let Some(memory) = &mut self.memory else { return };
        let Some((neighbour, us)) = memory.opening.remove(&conn) else { return };
        let takes_mail = us == End::Caller || collects;
        let places = usize::try_from(window_parcels.clamp(1, PLACES_MAX)).unwrap_or(1);
        let session = Session {
            neighbour,
            us,
            takes_mail,
            places,
            window_parcels,
            waiting: BTreeMap::new(),
            given: 0,
            queue: VecDeque::new(),
            users: BTreeSet::new(),
            words: BTreeMap::new(),
            words_sent: 0,
            turns: 0,
            backlog: VecDeque::new(),
        };
        memory.sessions.insert(conn, session);
        let known = memory.neighbours.entry(neighbour).or_default();
        if known.calling == Some(conn) {
            known.calling = None;
            known.failed = None;
        }
        let slot = if takes_mail { &mut known.mail } else { &mut known.words };
        let before = slot.replace(conn);
        let wanted = if takes_mail { std::mem::take(&mut known.wanted) } else { BTreeSet::new() };
        // Both ends agree on the newer one: the older may be a line that broke unnoticed.
        if let Some(before) = before.filter(|_| takes_mail) {
            self.close(before, world);
        }
        for waiter in wanted {
            self.up(waiter, conn, world);
        }
        self.neighbour_seen(neighbour, us == End::Callee, takes_mail, conn, world);
    }

    /// What a new session means for those who did not ask for it.
    fn neighbour_seen(
        &mut self,
        neighbour: NodeNo,
        it_called: bool,
        takes_mail: bool,
        conn: ConnNo,
        world: &mut World,
    ) {
        if it_called {
            self.routes_changed(neighbour, world);
            for courier in self.couriers_to(neighbour) {
                self.tell(Inner::Courier(courier, exchange::courier::Event::PeerSeen));
            }
            self.tell(Inner::Forwarder(neighbour, exchange::relay::Event::PeerSeen));
            let forwards =
                self.memory.as_ref().is_some_and(|m| m.forwarders.contains_key(&neighbour));
            if takes_mail && forwards {
                self.up(Waiter::Forwarder(neighbour), conn, world);
            }
        }
        self.tell(Inner::Returns(neighbour));
    }

    // Wanting one.

    /// Somebody wants a session with a neighbour. He hears [`Node::up`] or [`Node::lost`].
    pub(super) fn wish(&mut self, neighbour: NodeNo, waiter: Waiter, world: &mut World) {
        let Some(memory) = &mut self.memory else { return };
        let known = memory.neighbours.entry(neighbour).or_default();
        if let Some(conn) = known.mail {
            return self.up(waiter, conn, world);
        }
        if known.calling.is_some() {
            known.wanted.insert(waiter);
            return;
        }
        let collects = world.plan.node(neighbour).is_none_or(|node| node.collects);
        let again_at = known.failed.map(|failed| failed.after(REDIAL_AFTER));
        if collects || again_at.is_some_and(|at| at > world.now) {
            return self.lost(waiter, neighbour, world);
        }
        let World { network, timeline, now, .. } = world;
        known.calling = Some(network.dial(timeline, *now, self.no, neighbour));
        known.wanted.insert(waiter);
    }

    /// He does not want it any more; it goes on for others, unless it is dead.
    pub(super) fn unwish(
        &mut self,
        neighbour: NodeNo,
        waiter: Waiter,
        is_dead: bool,
        world: &mut World,
    ) {
        let Some(memory) = &mut self.memory else { return };
        let Some(known) = memory.neighbours.get_mut(&neighbour) else { return };
        known.wanted.remove(&waiter);
        let Some(conn) = known.mail else { return };
        let Some(session) = memory.sessions.get_mut(&conn) else { return };
        session.users.remove(&waiter);
        session.queue.retain(|room| room.waiter() != waiter);
        if is_dead {
            self.close(conn, world);
        }
    }

    /// A session that takes words on their way back.
    pub(super) fn word_session(&self, neighbour: NodeNo) -> Option<ConnNo> {
        let known = self.memory.as_ref()?.neighbours.get(&neighbour)?;
        known.mail.or(known.words)
    }

    /// Whether a session stands that takes our mail.
    pub(super) fn stands(&self, neighbour: NodeNo) -> bool {
        let known = self.memory.as_ref().and_then(|memory| memory.neighbours.get(&neighbour));
        known.is_some_and(|known| known.mail.is_some())
    }

    fn up(&mut self, waiter: Waiter, conn: ConnNo, world: &mut World) {
        let Some(session) = self.memory.as_mut().and_then(|m| m.sessions.get_mut(&conn)) else {
            return;
        };
        session.users.insert(waiter);
        let (neighbour, window_parcels) = (session.neighbour, session.window_parcels);
        match waiter {
            Waiter::Courier(peer, epoch) => {
                let Some(route) = super::outbound::route_by(&world.plan, self.no, peer, neighbour)
                else {
                    return;
                };
                let event = exchange::courier::Event::LinkUp { route, window_parcels };
                self.tell(Inner::Courier((peer, epoch), event));
            }
            Waiter::Forwarder(next) => {
                let event = exchange::relay::Event::LinkUp { window_parcels };
                self.tell(Inner::Forwarder(next, event));
            }
            Waiter::Returns(toward) => self.tell(Inner::Returns(toward)),
            Waiter::Collect(neighbour) => self.collecting(neighbour),
        }
    }

    fn lost(&mut self, waiter: Waiter, neighbour: NodeNo, world: &mut World) {
        match waiter {
            Waiter::Courier(peer, epoch) => {
                let Some(route) = super::outbound::route_by(&world.plan, self.no, peer, neighbour)
                else {
                    return;
                };
                self.forget_unanswered((peer, epoch), route);
                let event = exchange::courier::Event::LinkLost { route };
                self.tell(Inner::Courier((peer, epoch), event));
            }
            Waiter::Forwarder(next) => {
                self.tell(Inner::Forwarder(next, exchange::relay::Event::LinkLost));
            }
            Waiter::Returns(toward) => self.returns_failed(toward, world),
            Waiter::Collect(neighbour) => self.collecting_failed(neighbour, world),
        }
    }

    // Ending.

    /// The other end is gone.
    pub(super) fn hung_up(&mut self, conn: ConnNo, world: &mut World) {
        world.network.forget(conn);
        let opening = self.memory.as_mut().and_then(|memory| memory.opening.remove(&conn));
        if let Some((neighbour, _)) = opening {
            return self.call_failed(conn, neighbour, world);
        }
        if self.memory.as_ref().is_some_and(|memory| memory.sessions.contains_key(&conn)) {
            return self.ended(conn, world);
        }
        let calling = |memory: &super::Memory| {
            let mut known = memory.neighbours.iter();
            known.find(|(_, n)| n.calling == Some(conn)).map(|(area, _)| *area)
        };
        if let Some(neighbour) = self.memory.as_ref().and_then(calling) {
            self.call_failed(conn, neighbour, world);
        }
    }

    fn call_failed(&mut self, conn: ConnNo, neighbour: NodeNo, world: &mut World) {
        let Some(memory) = &mut self.memory else { return };
        let known = memory.neighbours.entry(neighbour).or_default();
        if known.calling != Some(conn) {
            return;
        }
        known.calling = None;
        known.failed = Some(world.now);
        for waiter in std::mem::take(&mut known.wanted) {
            self.lost(waiter, neighbour, world);
        }
    }

    /// We end a session.
    pub(super) fn close(&mut self, conn: ConnNo, world: &mut World) {
        let Some(session) = self.memory.as_ref().and_then(|m| m.sessions.get(&conn)) else {
            return;
        };
        let World { network, timeline, now, .. } = world;
        network.hang_up(timeline, *now, (conn, session.us));
        self.ended(conn, world);
    }

    /// All who wait for an answer wait in vain.
    fn ended(&mut self, conn: ConnNo, world: &mut World) {
        let Some(memory) = &mut self.memory else { return };
        let Some(session) = memory.sessions.remove(&conn) else { return };
        let neighbour = session.neighbour;
        let known = memory.neighbours.entry(neighbour).or_default();
        known.mail = known.mail.filter(|of| *of != conn);
        known.words = known.words.filter(|of| *of != conn);
        for waiter in session.users {
            self.lost(waiter, neighbour, world);
        }
        if session.us == End::Callee && session.takes_mail {
            self.routes_changed(neighbour, world);
        }
        self.returns_lost(neighbour, session.words.len(), world);
    }
}
