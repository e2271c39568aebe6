//! A node of the simulation: the program around the protocol, and what it loses when it ends.
//!
//! The state machines are those of the real node: [`exchange::courier::Courier`], [`exchange::relay::Forwarder`], the
//! lanes, [`exchange::receiver`], the ledger, and the checks of parcels, receipts and words. What stands here is the thin
//! shell around them, written once more without tasks and sockets. It keeps to the real one effect by effect:
//!
//! | protocol | here | real node |
//! |---|---|---|
//! | `courier::Effect::Connect`, `Disconnect` | [`Node::wish`], [`Node::unwish`] on the neighbour's session | `delivery::hub` |
//! | `Load`, `Look` | the journal as it is on disk, and what is withdrawn | `delivery::outbound` |
//! | `Send` | manifest, signature, a place on the session | `delivery::parcels`, `session::Session::send` |
//! | `Keep`, `KeepCustody` | one unit: receipt or word with the marks | `app::messages::{settle, consign}` |
//! | `WakeAt` | a timer that runs out after a minute at the latest, and looks at the lane | `delivery::outbound` |
//! | `forwarder::Effect::LoadNext` | earliest deadline on disk that is not in hand | `app::relay::most_urgent` |
//! | `forwarder::Effect::Keep` | one unit: the word, the way back, the content let go | `app::relay::note` |
//! | parcel for us | checks, then one unit, then the receipt is signed | `delivery::inbound`, `app::messages::receive` |
//! | parcel for others | checks, then one unit, then our word is signed and kept | `delivery::relay`, `app::relay` |
//! | word on its way back | one unit, then `ReturnTaken` | `delivery::returns` |
//!
//! Everything in [`Memory`] is gone with a crash; what survives is on the [`Disk`].

mod bundle;
mod collecting;
pub(crate) mod cures;
mod inbound;
mod observe;
mod office;
mod outbound;
mod relay;
mod returns;
pub(crate) mod session;
pub(crate) mod signing;
pub(crate) mod units;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use domain::area::AreaCode;
use domain::id::{MessageId, MessageIds};
use domain::time::UnixMillis;
use exchange::lane::LaneEpoch;
use exchange::reconcile::leaving::Waiting;

use crate::clock::Clock;
use crate::coming::{Coming, End, Life};
use crate::dice::Dice;
use crate::disk::rows::Carrier;
use crate::disk::{Backup, Disk, Lost};
use crate::history::{Fact, History};
use crate::mail::{self, Parcel};
use crate::network::{ConnNo, Network};
use crate::plan::{NodeNo, Plan};
use crate::timeline::{Moment, Timeline};
use cures::Brought;
use outbound::Run;
use relay::Forwarding;
use returns::Returns;
use session::{Neighbour, Session};
use units::{Around, Done, Kept, Sealing, Ticket, Work};

/// Longest sleep of a shell that expects nothing, so that a clock that was set is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// What the nodes of a world share, and none of them is.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Moment,
    pub(crate) plan: Rc<Plan>,
    pub(crate) timeline: Timeline<Coming>,
    pub(crate) network: Network,
    pub(crate) history: History,
    pub(crate) dice: WorldDice,
    /// Whether the time of troubles is over.
    pub(crate) calm: bool,
    /// Until when nodes have announced that they are out of service. The directory is not simulated: everybody knows
    /// of it when it begins.
    pub(crate) windows: BTreeMap<NodeNo, UnixMillis>,
    /// The largest that was seen of what has to be bounded.
    pub(crate) peaks: Peaks,
    /// Messages that cures could not bring back, until somebody asks.
    pub(crate) lost: Vec<MessageId>,
    /// The last ticket that was given, and what became of statements, until somebody asks.
    pub(crate) tickets: Ticket,
    pub(crate) kept: BTreeMap<Ticket, Kept>,
}

/// Dice by purpose.
#[derive(Debug)]
pub(crate) struct WorldDice {
    pub(crate) traffic: Dice,
    pub(crate) disk: Dice,
    pub(crate) node: Dice,
    pub(crate) rogue: Dice,
    pub(crate) reconcile: Dice,
}

/// The largest that was seen of what has to be bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peaks {
    /// Envelopes in the hands of one courier.
    pub courier_envelopes: u64,
    /// Parcels in the hands of one forwarder, as bounded by its window.
    pub forwarder_parcels: u64,
    /// Parcels of one session that wait for a place on it, or were sent and are not answered.
    pub session_parcels: u64,
    /// How often a node took another for one that breaks the protocol.
    pub misbehaved: u64,
}

impl World {
    /// Notes a fact.
    pub(crate) fn note(&mut self, node: NodeNo, fact: Fact) {
        self.history.note(self.now, node, fact);
    }

    /// Until when a node has announced that it is out of service.
    fn window_of(&self, node: NodeNo) -> Option<UnixMillis> {
        self.windows.get(&node).copied()
    }
}

/// A timer of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    /// Of the courier to a peer.
    Courier(NodeNo, LaneEpoch),
    /// Of the forwarder toward a node.
    Forwarder(NodeNo),
    /// Words for a neighbour are handed over again.
    Returns(NodeNo),
    /// The other end of a connection has to have introduced itself.
    Hello(ConnNo),
    /// A word that was handed over has to have been taken.
    Word(ConnNo, u64),
    /// A node that collects calls another again.
    Collect(NodeNo),
    /// Words about a parcel have waited long enough.
    Late(exchange::parcel::ParcelId),
}

/// Somebody in a node who wants a session, or has parcels on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Waiter {
    /// The courier to a peer.
    Courier(NodeNo, LaneEpoch),
    /// The forwarder toward a node.
    Forwarder(NodeNo),
    /// The words for a neighbour.
    Returns(NodeNo),
    /// The node itself, because it collects.
    Collect(NodeNo),
}

/// A node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) no: NodeNo,
    pub(crate) area: AreaCode,
    key: mail::Key,
    pub(crate) clock: Clock,
    pub(crate) disk: Disk<Work, Done>,
    pub(crate) backup: Option<Backup>,
    life: Life,
    /// The program's memory, while it runs.
    memory: Option<Memory>,
    /// What reaches a program that stands still waits here.
    held: Option<Vec<Coming>>,
    /// It puts all mail off.
    pub(crate) busy: bool,
    /// Of a thousand parcels that it carries, it mistreats so many.
    pub(crate) rogue_per_mille: u64,
    /// Of a thousand parcels that it carries, it drops so many.
    pub(crate) lossy_per_mille: u64,
    /// Its data are those of a backup, which it has not noticed yet.
    restored: bool,
}

/// What a program remembers, until it ends.
#[derive(Debug)]
pub(crate) struct Memory {
    ids: MessageIds,
    seal: Sealing,
    /// Connections that stand but on which the other end has not introduced itself.
    opening: BTreeMap<ConnNo, (NodeNo, End)>,
    sessions: BTreeMap<ConnNo, Session>,
    neighbours: BTreeMap<NodeNo, Neighbour>,
    couriers: BTreeMap<(NodeNo, LaneEpoch), Run>,
    forwarders: BTreeMap<NodeNo, Forwarding>,
    returns: BTreeMap<NodeNo, Returns>,
    /// When an epoch was opened last because of a conflict, by peer.
    opened: BTreeMap<NodeNo, UnixMillis>,
    /// Nodes from which mail is collected, with the calls in a row that failed.
    collecting: BTreeMap<NodeNo, u32>,
    /// Returned words that came before the relay's own word was on disk.
    late: Vec<(exchange::parcel::ParcelId, session::Via, mail::Returned)>,
    /// What is to be done in this program before the next thing comes from outside.
    inbox: VecDeque<Inner>,
    /// Parcels that a relay that cannot be trusted has kept for later.
    stash: Vec<Parcel>,
    /// What counties below that cannot be called have to collect.
    lying: Waiting<Brought>,
    /// With whom it is just signing.
    turns: BTreeSet<NodeNo>,
}

/// What happens inside a program: events of the state machines, told by its other parts.
#[derive(Debug)]
enum Inner {
    Courier((NodeNo, LaneEpoch), exchange::courier::Event),
    Forwarder(NodeNo, exchange::relay::Event),
    Returns(NodeNo),
}

impl Node {
    /// A node that has never run.
    pub(crate) fn new(no: NodeNo, plan: &Plan) -> Self {
        Self {
            no,
            area: plan.area(no),
            key: mail::Key::of(no),
            clock: plan.node(no).map(|node| node.clock).unwrap_or_default(),
            disk: Disk::new(plan.broken_disks),
            backup: None,
            life: Life::default(),
            memory: None,
            held: None,
            busy: false,
            rogue_per_mille: 0,
            lossy_per_mille: 0,
            restored: false,
        }
    }

    /// What the node's clock shows.
    fn now(&self, world: &World) -> UnixMillis {
        self.clock.read(world.now)
    }

    /// Whether the program runs.
    pub(crate) const fn runs(&self) -> bool {
        self.memory.is_some()
    }

    /// The program starts and goes on with what is on disk.
    pub(crate) fn start(&mut self, world: &mut World) {
        if self.runs() {
            return;
        }
        self.life.0 += 1;
        self.held = None;
        world.note(self.no, Fact::Started);
        self.memory = Some(Memory {
            ids: MessageIds::of(self.area),
            seal: Sealing { encapsulated_key: world.dice.node.bytes(), next_counter: 0 },
            opening: BTreeMap::new(),
            sessions: BTreeMap::new(),
            neighbours: BTreeMap::new(),
            couriers: BTreeMap::new(),
            forwarders: BTreeMap::new(),
            returns: BTreeMap::new(),
            opened: BTreeMap::new(),
            collecting: BTreeMap::new(),
            late: Vec::new(),
            inbox: VecDeque::new(),
            stash: Vec::new(),
            lying: Waiting::default(),
            turns: BTreeSet::new(),
        });
        if std::mem::take(&mut self.restored) {
            self.enqueue(Work::NewEpochs, world);
        }
        self.find_lanes(world);
        self.find_transit(world);
        self.collect(world);
        self.collect_words(world);
        self.settle_down(world);
    }

    /// The program ends, with everything that is not on disk.
    pub(crate) fn crash(&mut self, silently: bool, world: &mut World) {
        if self.memory.take().is_none() {
            return;
        }
        self.held = None;
        world.note(self.no, Fact::Crashed { silently });
        let written = self.disk.crash(&mut world.dice.disk);
        self.observe(&written, world);
        if world.plan.broken_disks {
            let Lost { groups, rows } = self.disk.lie(&mut world.dice.disk);
            if groups + rows > 0 {
                let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
                let (groups, rows) = (small(groups), small(rows));
                world.note(self.no, Fact::DiskLied { groups, rows });
            }
        }
        let World { network, timeline, now, .. } = world;
        network.fell(timeline, *now, self.no, silently);
    }

    /// The disk is lost; what the last backup has is put in its place. `noticed` tells the program so.
    pub(crate) fn restore(&mut self, noticed: bool, world: &mut World) {
        self.crash(true, world);
        if let Some(backup) = &self.backup {
            self.disk.restore(backup);
            self.restored = noticed;
            world.note(self.no, Fact::Restored { noticed });
        }
    }

    /// A backup is made while the node runs.
    pub(crate) fn back_up(&mut self, world: &mut World) {
        self.backup = Some(self.disk.back_up());
        world.note(self.no, Fact::BackedUp);
    }

    /// The program stands still.
    pub(crate) fn stall(&mut self) {
        if self.runs() {
            self.held.get_or_insert_default();
        }
    }

    /// It goes on, with everything that has come meanwhile.
    pub(crate) fn go_on(&mut self, world: &mut World) {
        for coming in self.held.take().unwrap_or_default() {
            self.happen(coming, world);
        }
    }

    /// Something reaches the node.
    pub(crate) fn happen(&mut self, coming: Coming, world: &mut World) {
        if let Some(held) = &mut self.held {
            held.push(coming);
            return;
        }
        self.react(coming, world);
        self.settle_down(world);
    }

    fn react(&mut self, coming: Coming, world: &mut World) {
        match coming {
            Coming::Called { conn, caller, callee: _ } => self.called(conn, caller, world),
            Coming::Answered { conn, caller: _ } => self.answered(conn, world),
            Coming::HungUp { conn, node: _ } => self.hung_up(conn, world),
            Coming::Frame { conn, frame, .. } => self.frame(conn, frame, world),
            Coming::Synced { life, .. } if life == self.life => self.synced(world),
            Coming::Woken { life, timer, wish, .. } if life == self.life => {
                self.woken(timer, wish, world);
            }
            Coming::File { file } => self.import(&file, world),
            Coming::Clerk { .. } => self.clerk(world),
            Coming::Answer { asked, .. } => self.clerk_answers(asked, world),
            Coming::Withdraw { message, .. } => self.clerk_withdraws(message, world),
            Coming::Start { .. } => self.start(world),
            Coming::Synced { .. } | Coming::Woken { .. } => {}
            // The world sees to these itself.
            Coming::Carry { .. } | Coming::Begin(_) | Coming::End(_) | Coming::Calm => {}
        }
    }

    /// Does what the parts of the program have told each other, until nothing is left.
    fn settle_down(&mut self, world: &mut World) {
        while let Some(inner) = self.memory.as_mut().and_then(|memory| memory.inbox.pop_front()) {
            match inner {
                Inner::Courier(courier, event) => self.step_courier(courier, event, world),
                Inner::Forwarder(next, event) => self.step_forwarder(next, event, world),
                Inner::Returns(toward) => self.hand_back(toward, world),
            }
        }
        self.begin_group(world);
    }

    fn tell(&mut self, inner: Inner) {
        if let Some(memory) = &mut self.memory {
            memory.inbox.push_back(inner);
        }
    }

    fn woken(&mut self, timer: Timer, wish: u64, world: &mut World) {
        match timer {
            Timer::Courier(peer, epoch) => self.courier_woken((peer, epoch), wish, world),
            Timer::Forwarder(next) => self.forwarder_woken(next, wish, world),
            Timer::Returns(toward) => self.returns_woken(toward, wish),
            Timer::Hello(conn) => self.hello_is_due(conn, world),
            Timer::Word(conn, number) => self.word_is_due(conn, number, world),
            Timer::Late(parcel) => self.let_go(parcel, world),
            Timer::Collect(neighbour) => self.collect_from(neighbour, world),
        }
    }

    fn set_timer(&self, timer: Timer, wish: u64, at: Moment, world: &mut World) {
        let (node, life) = (self.no, self.life);
        world.timeline.plan(at, Coming::Woken { node, life, timer, wish });
    }

    // The disk.

    fn enqueue(&mut self, work: Work, world: &mut World) {
        self.disk.enqueue(work);
        self.begin_group(world);
    }

    fn begin_group(&mut self, world: &mut World) {
        let now = self.now(world);
        let Some(memory) = &mut self.memory else { return };
        let mut around = Around {
            plan: &world.plan,
            own: self.no,
            area: self.area,
            now,
            dice: &mut world.dice.node,
            ids: &mut memory.ids,
            seal: &mut memory.seal,
            history: &mut world.history,
        };
        if self.disk.begin(|work, unit| units::run(work, unit, &mut around)) {
            let takes = self.disk.sync_time(&mut world.dice.disk);
            let (node, life) = (self.no, self.life);
            world.timeline.plan(world.now.after(takes), Coming::Synced { node, life });
        }
    }

    fn synced(&mut self, world: &mut World) {
        if self.disk.fails() {
            // After a failed write the program stops, and is started again from disk.
            self.crash(false, world);
            let again = world.now.after(world.dice.disk.stretch(1_000, 30_000));
            world.timeline.plan(again, Coming::Start { node: self.no });
            return;
        }
        let Some((written, done)) = self.disk.synced() else { return };
        self.observe(&written, world);
        for done in done {
            self.done(done, world);
        }
    }

    /// A unit is on disk: whoever waited for it goes on.
    fn done(&mut self, done: Done, world: &mut World) {
        use exchange::courier::Event;
        match done {
            Done::Accepted { message, to, epoch, sequence, id } => {
                world.note(self.no, Fact::Accepted { message, to });
                self.nudge(to, epoch, sequence, world);
                self.maybe_withdraw(id, world);
            }
            Done::NotAccepted { to, reason } => {
                world.note(self.no, Fact::NotAccepted { to, reason });
            }
            Done::Withdrawn | Done::Vanished | Done::NewEpochs | Done::ConsignedToFile => {}
            Done::KeptOwnWord { parcel, next } => {
                if let Some(next) = next {
                    self.kept_own_word(parcel, next, world);
                }
            }
            Done::TookIn { via, manifest, dispositions, stored } => {
                self.took_in(via, &manifest, &dispositions, world);
                stored.into_iter().for_each(|id| self.maybe_answer(id, world));
            }
            Done::Consigned { courier, no, carrier, longer } => {
                if let Carrier::Relay(relay) = carrier {
                    self.collect_also_from(relay, world);
                }
                self.forget_parcel(courier, no, world);
                self.tell(Inner::Courier(courier, Event::Kept { parcel: no }));
                if !longer.is_empty() {
                    self.tell(Inner::Courier(courier, Event::Marked { marks: longer }));
                }
            }
            Done::Settled { courier, no, healed } => {
                self.forget_parcel(courier, no, world);
                self.tell(Inner::Courier(courier, Event::Kept { parcel: no }));
                self.healed(courier, healed, world);
            }
            Done::SettledReturned { id, via, courier, marks, healed } => {
                self.healed(courier, healed, world);
                self.tell(Inner::Courier(courier, Event::Marked { marks }));
                self.word_was_taken(id, via, world);
            }
            Done::KeptWord { id, via } => self.word_was_taken(id, via, world),
            Done::Holds { taken, manifest, handed_by, via } => {
                self.holds(taken, &manifest, handed_by, via, world);
            }
            Done::Noted { change, on_behalf } => self.noted(change, on_behalf, world),
            Done::AdvancedBook => {}
            Done::Cured(cured) => self.cured(cured, world),
            Done::KeptStatement(ticket, kept) => drop(world.kept.insert(ticket, kept)),
            Done::HandedBack { toward } | Done::ReturnPut { toward } => {
                self.tell(Inner::Returns(toward))
            }
        }
    }
}
