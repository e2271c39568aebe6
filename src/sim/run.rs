//! Runs a world from its beginning until it has come to rest.

mod reconcile;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::checker;
use crate::clock;
use crate::coming::Coming;
use crate::dice::{Dice, Purpose};
use crate::ends::Ends;
use crate::history::{Fact, History, Sort};
use crate::network::{Network, Weather};
use crate::node::units::Ticket;
use crate::node::{Node, Peaks, World, WorldDice};
use crate::outcome::{Outcome, Sizes};
use crate::plan::{DAY_MS, Mishap, NodeNo, Options, Plan, Story};
use crate::timeline::{Moment, Timeline};
use reconcile::Reports;

/// Most things that happen in a world of one node before it counts as restless.
const STEPS_PER_NODE_MAX: u64 = 40_000_000;

/// Runs the world that follows from the options, and checks it.
#[must_use]
pub fn run(options: &Options) -> Outcome {
    run_plan(options, Plan::of(options))
}

/// Runs the world of a plan.
pub(crate) fn run_plan(options: &Options, plan: Plan) -> Outcome {
    let plan = Rc::new(plan);
    let mut simulation = Simulation::new(options.seed, &plan);
    simulation.begin();
    let mut steps =
        simulation.go_on(simulation.world.plan.calm.after(simulation.world.plan.rest_ms));
    if options.story == Story::Reconcile {
        steps += simulation.reconcile();
    }
    simulation.end(options, steps)
}

struct Simulation {
    world: World,
    nodes: Vec<Node>,
    /// What counties have told the nodes above them.
    reports: Reports,
}

impl Simulation {
    fn new(seed: u64, plan: &Rc<Plan>) -> Self {
        let dice = |purpose| Dice::new(seed, purpose);
        let network = Network::new(dice(Purpose::Network), Weather::new(plan.lines.clone()));
        let world = World {
            now: Moment::BEGINNING,
            plan: Rc::clone(plan),
            timeline: Timeline::new(),
            network,
            history: History::default(),
            dice: WorldDice {
                traffic: dice(Purpose::Traffic),
                disk: dice(Purpose::Disk),
                node: dice(Purpose::Node),
                rogue: dice(Purpose::Rogue),
                reconcile: dice(Purpose::Reconcile),
            },
            calm: false,
            windows: BTreeMap::new(),
            peaks: Peaks::default(),
            lost: Vec::new(),
            tickets: Ticket::default(),
            kept: BTreeMap::new(),
        };
        let nodes = plan.numbers().map(|no| Node::new(no, plan)).collect();
        Self { world, nodes, reports: Reports::new() }
    }

    /// Plans what follows from the plan.
    fn begin(&mut self) {
        let plan = Rc::clone(&self.world.plan);
        let timeline = &mut self.world.timeline;
        for node in plan.numbers() {
            timeline.plan(Moment::BEGINNING, Coming::Start { node });
        }
        for (at, trouble) in plan.troubles.iter().enumerate() {
            timeline.plan(trouble.from, Coming::Begin(at));
            timeline.plan(trouble.until, Coming::End(at));
        }
        timeline.plan(plan.calm, Coming::Calm);
        self.carry_to_the_island();
        let plan = Rc::clone(&self.world.plan);
        // About half the burst is written in one go, as the dice fall.
        let writings = plan.traffic.messages / plan.traffic.burst.div_ceil(3).max(1);
        let nodes = u64::try_from(plan.nodes.len()).unwrap_or(1);
        // A third of all is written in the hour before the cut-off.
        let dice = &mut self.world.dice.traffic;
        let cut_off = dice.below(plan.calm.get().max(1));
        for _ in 0..writings.max(1) {
            let at = if dice.chance(333) {
                cut_off.saturating_sub(dice.below(3_600_000))
            } else {
                dice.below(plan.calm.get().max(1))
            };
            let node = NodeNo::new(u32::try_from(dice.below(nodes)).unwrap_or_default());
            self.world.timeline.plan(Moment::new(at), Coming::Clerk { node });
        }
    }

    /// A node without a line gets and sends files, twice a day and with everybody.
    fn carry_to_the_island(&mut self) {
        let plan = Rc::clone(&self.world.plan);
        let Some(island) = plan.lines.island else { return };
        // The last one arrives before the end.
        let days = (plan.calm.get() + plan.rest_ms) / DAY_MS - 2;
        for (half_day, other) in (0..2 * days).flat_map(|n| plan.numbers().map(move |no| (n, no))) {
            let at = Moment::new(half_day * DAY_MS / 2 + u64::from(other.get()) * 60_000);
            self.world.timeline.plan(at, Coming::Carry { from: other, to: island });
            self.world.timeline.plan(at, Coming::Carry { from: island, to: other });
        }
    }

    /// Lets happen what comes until then, or until nothing comes any more. Says how many things that were.
    fn go_on(&mut self, last: Moment) -> u64 {
        let nodes = u64::try_from(self.nodes.len()).unwrap_or(u64::MAX);
        let most = nodes.saturating_mul(STEPS_PER_NODE_MAX);
        let mut steps = 0;
        while let Some((at, coming)) = self.world.timeline.next() {
            if at > last || steps > most {
                self.world.timeline.plan(at, coming);
                break;
            }
            self.world.now = at;
            steps += 1;
            self.step(coming);
        }
        steps
    }

    fn step(&mut self, coming: Coming) {
        let node = match &coming {
            Coming::Called { callee, .. } => *callee,
            Coming::Answered { caller, .. } => *caller,
            Coming::HungUp { node, .. }
            | Coming::Synced { node, .. }
            | Coming::Woken { node, .. }
            | Coming::Clerk { node }
            | Coming::Answer { node, .. }
            | Coming::Withdraw { node, .. }
            | Coming::Start { node } => *node,
            Coming::Frame { conn, to, node, .. } => {
                if !self.world.network.delivers(*conn, *to) {
                    return self.world.network.lost(
                        &mut self.world.timeline,
                        self.world.now,
                        *conn,
                    );
                }
                *node
            }
            Coming::File { file } => file.to,
            Coming::Carry { from, to } => return self.carry(*from, *to),
            Coming::Begin(at) => return self.trouble(*at, true),
            Coming::End(at) => return self.trouble(*at, false),
            Coming::Calm => return self.calm(),
        };
        if let Some(node) = self.nodes.get_mut(node.index()) {
            node.happen(coming, &mut self.world);
        }
    }

    /// A trouble of the plan begins or ends.
    fn trouble(&mut self, at: usize, begins: bool) {
        let plan = Rc::clone(&self.world.plan);
        let Some(trouble) = plan.troubles.get(at) else { return };
        let number = u32::try_from(at).unwrap_or(u32::MAX);
        match &trouble.what {
            Mishap::Cut(cut) => {
                self.note(NodeNo::new(0), begins, Sort::Cut);
                let weather = &mut self.world.network.weather;
                if begins {
                    weather.cut(number, cut.clone())
                } else {
                    weather.mend(number)
                }
                if begins {
                    let World { network, timeline, now, .. } = &mut self.world;
                    network.storm(timeline, *now);
                }
            }
            Mishap::Slow { node, times } => {
                self.note(*node, begins, Sort::Slow);
                let times = if begins { *times } else { 1 };
                self.world.network.weather.slow_down(*node, times);
            }
            Mishap::Break if begins => {
                let World { network, timeline, now, .. } = &mut self.world;
                network.break_one(timeline, *now);
            }
            Mishap::Break => {}
            Mishap::File { node, to } if begins => self.carry(*node, *to),
            Mishap::File { .. } => {}
            Mishap::Maintenance { node } => self.maintenance(*node, trouble.until, begins),
            mishap => self.trouble_of_a_node(mishap, begins),
        }
    }

    /// Somebody carries a file from one node to another. It arrives late, and may be cut short or read in twice.
    fn carry(&mut self, from: NodeNo, to: NodeNo) {
        let node = self.nodes.get_mut(from.index());
        let Some(mut file) = node.and_then(|node| node.export(to, &mut self.world)) else { return };
        let dice = &mut self.world.dice.traffic;
        if dice.chance(200) {
            let keep = dice.below(u64::try_from(file.items.len()).unwrap_or_default() + 1);
            file.items.truncate(usize::try_from(keep).unwrap_or_default());
        }
        let (file, times) = (Rc::new(file), if dice.chance(200) { 2 } else { 1 });
        for _ in 0..times {
            let at = self.world.now.after(self.world.dice.traffic.stretch(60_000, DAY_MS));
            self.world.timeline.plan(at, Coming::File { file: Rc::clone(&file) });
        }
    }

    fn note(&mut self, node: NodeNo, begins: bool, sort: Sort) {
        let fact = if begins { Fact::Begins(sort) } else { Fact::Ends(sort) };
        self.world.note(node, fact);
    }

    /// A node announces that it is out of service until then, or that it is back.
    fn maintenance(&mut self, node: NodeNo, until: Moment, begins: bool) {
        self.note(node, begins, Sort::Maintenance);
        if begins {
            self.world.windows.insert(node, clock::right(until));
        } else {
            self.world.windows.remove(&node);
        }
        for other in &mut self.nodes {
            other.card_changed(node, &mut self.world);
        }
    }

    fn trouble_of_a_node(&mut self, mishap: &Mishap, begins: bool) {
        let (of, sort) = match mishap {
            Mishap::Crash { node, .. }
            | Mishap::Restore { node }
            | Mishap::Rollback { node }
            | Mishap::BackUp { node } => (*node, None),
            Mishap::Stall { node } => (*node, Some(Sort::Stall)),
            Mishap::SlowDisk { node, .. } => (*node, Some(Sort::SlowDisk)),
            Mishap::DiskFull { node } => (*node, Some(Sort::DiskFull)),
            Mishap::NearlyFull { node } => (*node, Some(Sort::NearlyFull)),
            Mishap::Busy { node } => (*node, Some(Sort::Busy)),
            Mishap::ClockJump { node, by_ms } => (*node, begins.then_some(Sort::Clock(*by_ms))),
            Mishap::Rogue { node, .. } | Mishap::Lossy { node, .. } => (*node, Some(Sort::Rogue)),
            Mishap::Cut(_)
            | Mishap::Slow { .. }
            | Mishap::Break
            | Mishap::File { .. }
            | Mishap::Maintenance { .. } => return,
        };
        if let Some(sort) = sort {
            self.note(of, begins, sort);
        }
        let Some(node) = self.nodes.get_mut(of.index()) else { return };
        let world = &mut self.world;
        match mishap {
            Mishap::Crash { silently, .. } if begins => node.crash(*silently, world),
            Mishap::Restore { .. } if begins => node.restore(true, world),
            Mishap::Rollback { .. } if begins => node.restore(false, world),
            Mishap::Crash { .. } | Mishap::Restore { .. } | Mishap::Rollback { .. } => {
                node.start(world);
            }
            Mishap::BackUp { .. } if begins => node.back_up(world),
            Mishap::Stall { .. } if begins => node.stall(),
            Mishap::Stall { .. } => node.go_on(world),
            Mishap::SlowDisk { times, .. } => {
                node.disk.health.slower = if begins { *times } else { 1 }
            }
            Mishap::DiskFull { .. } => node.disk.health.full = begins,
            Mishap::NearlyFull { .. } => node.disk.health.nearly_full = begins,
            Mishap::Busy { .. } => node.busy = begins,
            Mishap::ClockJump { by_ms, .. } if begins => node.clock.jump(*by_ms),
            Mishap::Rogue { per_mille, .. } => {
                node.rogue_per_mille = if begins { *per_mille } else { 0 };
            }
            Mishap::Lossy { per_mille, .. } => {
                node.lossy_per_mille = if begins { *per_mille } else { 0 };
            }
            _ => {}
        }
    }

    /// No more troubles: what is down starts, what stands still goes on, what is cut is mended, clocks are set right.
    fn calm(&mut self) {
        self.world.calm = true;
        self.world.note(NodeNo::new(0), Fact::Calm);
        let troubles = self.world.plan.troubles.len();
        for at in 0..troubles {
            self.world.network.weather.mend(u32::try_from(at).unwrap_or(u32::MAX));
        }
        self.world.windows.clear();
        for no in self.world.plan.numbers() {
            self.world.network.weather.slow_down(no, 1);
            if let Some(node) = self.nodes.get_mut(no.index()) {
                node.disk.health = crate::disk::Health { slower: 1, ..Default::default() };
                (node.busy, node.rogue_per_mille, node.lossy_per_mille) = (false, 0, 0);
                node.clock.ahead_ms = 0;
                node.go_on(&mut self.world);
                node.start(&mut self.world);
            }
            for node in &mut self.nodes {
                node.card_changed(no, &mut self.world);
            }
        }
    }

    fn end(self, options: &Options, steps: u64) -> Outcome {
        let Self { world, nodes, .. } = self;
        let ends: Vec<Ends> = nodes.iter().map(Ends::of).collect();
        let rest = world.timeline.len();
        let facts = checker::Facts {
            history: &world.history,
            ends: &ends,
            lines: &world.plan.lines,
            restless: rest,
            peaks: world.peaks,
            courier: world.plan.courier,
            story: options.story,
        };
        let verdict = checker::check(&facts);
        let lasted = Duration::from_millis(world.now.get());
        let sizes = Sizes { nodes: nodes.len(), messages: world.history.messages(), steps };
        let areas = world.plan.nodes.iter().map(|node| node.area).collect();
        Outcome {
            options: *options,
            sizes,
            lasted,
            peaks: world.peaks,
            verdict,
            history: world.history,
            areas,
        }
    }
}
