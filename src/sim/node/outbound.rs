//! The shell of a courier: `delivery::outbound`.

mod answers;
mod parcels;

use std::collections::BTreeMap;
use std::rc::Rc;

use domain::time::UnixMillis;
use exchange::courier::{Courier, Effect, Event, ParcelNo};
use exchange::lane::{LaneEpoch, LaneOut, LaneSeq};
use exchange::parcel::{ParcelId, ParcelManifest};
use exchange::receipt::Offered;
use exchange::route::{Route, Routes};
use exchange::runs::SeqRuns;

use super::units::{Answered, Consigned};
use super::{Inner, Node, SLEEP_MAX, Timer, Waiter, World};
use crate::disk::rows::{Key, Row};
use crate::mail::{Carried, Signed};
use crate::plan::{NodeNo, Plan};

pub(super) use parcels::offered;

/// Name of a courier: peer and epoch.
pub(super) type Of = (NodeNo, LaneEpoch);

/// A courier with what its shell knows.
#[derive(Debug)]
pub(crate) struct Run {
    courier: Courier,
    routes: Routes,
    announced: Option<UnixMillis>,
    /// Parcels that were read and have a place on the session with a neighbour.
    ready: BTreeMap<ParcelNo, (NodeNo, Vec<(LaneSeq, Carried)>)>,
    /// Parcels that wait for room on a session.
    wanted: BTreeMap<ParcelNo, (NodeNo, SeqRuns, usize)>,
    offered: BTreeMap<ParcelNo, Sent>,
    wake: Option<UnixMillis>,
    /// Number of the last timer that was set, and when it runs out.
    timer: (u64, Option<crate::timeline::Moment>),
}

/// A parcel on its way, as far as the answer has to be checked against it.
#[derive(Debug)]
struct Sent {
    route: Route,
    since: UnixMillis,
    parcel: Rc<Signed<ParcelManifest>>,
    offered: Vec<Offered>,
    sequences: Vec<LaneSeq>,
    answered: Option<Said>,
}

/// The answer to a parcel, from its arrival until it is kept.
#[derive(Clone, Debug)]
enum Said {
    Receipt(Box<Answered>),
    Held(Box<Consigned>),
}

/// The neighbour to whom mail for `peer` is handed by a route.
fn neighbour(plan: &Plan, own: NodeNo, peer: NodeNo, route: Route) -> Option<NodeNo> {
    match route {
        Route::Direct => Some(peer),
        Route::OwnRelay => plan.province(own),
        Route::PeerRelay => plan.province(peer),
    }
}

/// The route on which a neighbour is the one to whom mail for `peer` is handed.
pub(super) fn route_by(plan: &Plan, own: NodeNo, peer: NodeNo, by: NodeNo) -> Option<Route> {
    let is_it = |route: &Route| neighbour(plan, own, peer, *route) == Some(by);
    relays(plan, own, peer).with(Route::Direct).iter().find(is_it)
}

/// The relays by which a peer can be reached, each once.
fn relays(plan: &Plan, own: NodeNo, peer: NodeNo) -> Routes {
    let (ours, theirs) = (plan.province(own), plan.province(peer));
    let mut routes = Routes::none();
    if ours.is_some_and(|ours| ours != peer) {
        routes = routes.with(Route::OwnRelay);
    }
    if theirs.is_some_and(|theirs| theirs != own && Some(theirs) != ours) {
        routes = routes.with(Route::PeerRelay);
    }
    routes
}

impl Node {
    /// The couriers of all lanes with mail that is not settled.
    pub(super) fn find_lanes(&mut self, world: &mut World) {
        let all = Key::Envelope(NodeNo::new(0), LaneEpoch::new(0), LaneSeq::BEFORE_FIRST)
            ..=Key::Envelope(
                NodeNo::new(u32::MAX),
                LaneEpoch::new(u64::MAX),
                LaneSeq::new(u64::MAX),
            );
        let mut lanes: Vec<(Of, LaneSeq)> = Vec::new();
        for (key, _) in self.disk.durable_range(all) {
            let Key::Envelope(peer, epoch, sequence) = *key else { continue };
            match lanes.last_mut() {
                Some((of, last)) if *of == (peer, epoch) => *last = sequence,
                _ => lanes.push(((peer, epoch), sequence)),
            }
        }
        for (of, _) in lanes {
            if self.lane(of).waiting() > 0 {
                self.ensure(of, world);
                self.tell(Inner::Courier(of, Event::Woken));
            }
        }
    }

    /// A lane as it is on disk.
    pub(super) fn lane(&self, of: Of) -> LaneOut {
        let row = self.disk.get(&Key::LaneOut(of.0, of.1)).and_then(Row::lane_out);
        let mut lane = row.map_or_else(|| LaneOut::new(of.1), |row| LaneOut::clone(row));
        let last = self.disk.durable_range(super::units::lane_of(of.0, of.1)).next_back();
        if let Some((Key::Envelope(_, _, sequence), _)) = last {
            lane.assigned_through(*sequence);
        }
        lane
    }

    fn ensure(&mut self, of: Of, world: &World) {
        if self.memory.as_ref().is_none_or(|memory| memory.couriers.contains_key(&of)) {
            return;
        }
        let routes = self.routes_to(of.0, world);
        let courier = Courier::new(world.plan.courier, self.lane(of), routes);
        let run = Run {
            courier,
            routes,
            announced: None,
            ready: BTreeMap::new(),
            wanted: BTreeMap::new(),
            offered: BTreeMap::new(),
            wake: None,
            timer: (0, None),
        };
        if let Some(memory) = &mut self.memory {
            memory.couriers.insert(of, run);
        }
        self.look_around(of, world);
    }

    /// New mail lies in a lane.
    pub(super) fn nudge(
        &mut self,
        peer: NodeNo,
        epoch: LaneEpoch,
        through: LaneSeq,
        world: &mut World,
    ) {
        self.ensure((peer, epoch), world);
        self.collect_also_from(peer, world);
        self.tell(Inner::Courier((peer, epoch), Event::Mail { through }));
    }

    pub(super) fn couriers_to(&self, peer: NodeNo) -> Vec<Of> {
        let all = (peer, LaneEpoch::new(0))..=(peer, LaneEpoch::new(u64::MAX));
        let memory = self.memory.iter();
        memory.flat_map(|memory| memory.couriers.range(all.clone()).map(|(of, _)| *of)).collect()
    }

    // What the world is like.

    /// Which ways lead to a peer now.
    fn routes_to(&self, peer: NodeNo, world: &World) -> Routes {
        // No way leads to a node without a line but by file.
        if world.plan.lines.island == Some(peer) {
            return Routes::none();
        }
        let collects = world.plan.node(peer).is_none_or(|node| node.collects);
        let relays = relays(&world.plan, self.no, peer);
        if !collects || self.stands(peer) { relays.with(Route::Direct) } else { relays }
    }

    /// A neighbour that collects has come or gone.
    pub(super) fn routes_changed(&mut self, neighbour: NodeNo, world: &World) {
        for of in self.couriers_to(neighbour) {
            self.look_around(of, world);
        }
    }

    /// Which ways lead to the peer now, and whether it serves.
    fn look_around(&mut self, of: Of, world: &World) {
        let routes = self.routes_to(of.0, world);
        let announced = world.window_of(of.0);
        let Some(run) = self.run(of) else { return };
        let changed = (run.routes != routes, run.announced != announced);
        (run.routes, run.announced) = (routes, announced);
        if changed.0 {
            self.tell(Inner::Courier(of, Event::RoutesChanged { routes }));
        }
        if changed.1 {
            self.tell(Inner::Courier(of, Event::HoldUntil { until: announced }));
        }
    }

    /// Somebody has announced that it is out of service, or that it is not.
    pub(crate) fn card_changed(&mut self, peer: NodeNo, world: &mut World) {
        if self.held.is_some() || !self.runs() {
            return;
        }
        for of in self.couriers_to(peer) {
            self.look_around(of, world);
        }
        let until = world.window_of(peer);
        self.tell(Inner::Forwarder(peer, exchange::relay::Event::HoldUntil { until }));
        self.settle_down(world);
    }

    fn run(&mut self, of: Of) -> Option<&mut Run> {
        self.memory.as_mut().and_then(|memory| memory.couriers.get_mut(&of))
    }

    // Events and effects.

    pub(super) fn step_courier(&mut self, of: Of, event: Event, world: &mut World) {
        let now = self.now(world);
        let random = world.dice.node.any();
        let settings = world.plan.courier;
        let Some(run) = self.run(of) else { return };
        let empty = Courier::new(settings, LaneOut::new(of.1), Routes::none());
        let courier = std::mem::replace(&mut run.courier, empty);
        let loaded = match &event {
            Event::Loaded { parcel, .. } => Some(*parcel),
            _ => None,
        };
        let (courier, effects) = courier.step(event, now, random);
        let in_flight = courier.status().in_flight;
        run.courier = courier;
        world.peaks.courier_envelopes = world.peaks.courier_envelopes.max(in_flight);
        for effect in effects {
            self.perform(of, effect, world);
        }
        // What was read for a link that is gone needs no place.
        let unsent = loaded.and_then(|no| self.run(of)?.ready.remove(&no));
        if let Some((neighbour, _)) = unsent {
            self.give_back_place(neighbour, world);
        }
        self.sleep(of, world);
    }

    fn perform(&mut self, of: Of, effect: Effect, world: &mut World) {
        let waiter = Waiter::Courier(of.0, of.1);
        match effect {
            Effect::Connect { route } => {
                if let Some(neighbour) = neighbour(&world.plan, self.no, of.0, route) {
                    self.wish(neighbour, waiter, world);
                }
            }
            Effect::Disconnect { route } => self.disconnect(of, route, world),
            Effect::Load { parcel, sequences, bytes_max } => {
                self.load(of, parcel, sequences, bytes_max, world);
            }
            Effect::Look { sequences } => {
                let deadlines = self.deadlines(of, &sequences);
                self.tell(Inner::Courier(of, Event::Looked { deadlines }));
            }
            Effect::Send { parcel, route } => self.send_loaded(of, parcel, route, world),
            Effect::Keep { parcel, marks } => self.keep(of, parcel, marks, world),
            Effect::KeepCustody { parcel, marks } => self.keep_custody(of, parcel, marks, world),
            Effect::WakeAt(at) => {
                if let Some(run) = self.run(of) {
                    run.wake = Some(at);
                }
            }
        }
    }

    /// Sets the timer of a courier, when it would run out earlier than the one that is set.
    fn sleep(&mut self, of: Of, world: &mut World) {
        let now = self.now(world);
        let Some(run) = self.run(of) else { return };
        // A courier with nothing to do sleeps until it is nudged; looking at its lane every minute changes nothing.
        let expects = run.wake.is_some() || run.courier.lane().waiting() > 0;
        if !expects {
            run.timer.1 = None;
            return;
        }
        let sleep = run.wake.map_or(SLEEP_MAX, |at| at.since(now).min(SLEEP_MAX));
        let at = world.now.later(sleep);
        if run.timer.1.is_none_or(|set| set > at || set <= world.now) {
            run.timer = (run.timer.0 + 1, Some(at));
            let wish = run.timer.0;
            self.set_timer(Timer::Courier(of.0, of.1), wish, at, world);
        }
    }

    /// The time of a wish has come, or a minute has passed.
    pub(super) fn courier_woken(&mut self, of: Of, wish: u64, world: &mut World) {
        let Some(run) = self.run(of) else { return };
        if run.timer.0 != wish {
            return;
        }
        (run.timer.1, run.wake) = (None, None);
        let through = self.lane(of).last_assigned();
        self.tell(Inner::Courier(of, Event::Mail { through }));
        self.look_around(of, world);
        self.tell(Inner::Courier(of, Event::Woken));
    }

    /// Lets go of a session, which goes on for others; one that owes us answers for too long is ended.
    fn disconnect(&mut self, of: Of, route: Route, world: &mut World) {
        let Some(neighbour) = neighbour(&world.plan, self.no, of.0, route) else { return };
        let (now, patience) = (self.now(world), world.plan.courier.receipt_timeout);
        let Some(run) = self.run(of) else { return };
        let overdue = |sent: &Sent| {
            let owed = sent.route == route && sent.answered.is_none();
            owed && sent.since.saturating_add(patience) <= now
        };
        let is_dead = run.offered.values().any(overdue);
        self.forget_unanswered(of, route);
        self.unwish(neighbour, Waiter::Courier(of.0, of.1), is_dead, world);
    }

    /// What was on its way by a route gets new parcels; what is being kept stays known.
    pub(super) fn forget_unanswered(&mut self, of: Of, route: Route) {
        if let Some(run) = self.run(of) {
            run.offered.retain(|_, sent| sent.route != route || sent.answered.is_some());
        }
    }

    pub(super) fn forget_parcel(&mut self, of: Of, no: ParcelNo, world: &mut World) {
        let gone = self.run(of).and_then(|run| run.offered.remove(&no));
        if let Some(sent) = gone {
            self.let_go(sent.parcel.manifest().parcel_id, world);
        }
    }

    /// Whether a parcel was handed to a relay whose word is not on disk yet.
    pub(super) fn is_in_hand(&mut self, peer: NodeNo, parcel: ParcelId) -> bool {
        self.couriers_to(peer).into_iter().any(|of| {
            self.parcel_of(of, parcel).is_some_and(|(_, sent)| sent.route != Route::Direct)
        })
    }
}
