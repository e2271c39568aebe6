//! The plan of a world, drawn from its seed before anything happens: who there is, how they are connected, how much
//! they write, and what goes wrong when.

mod story;
mod trouble;

use std::collections::BTreeMap;
use std::time::Duration;

use domain::area::AreaCode;
use exchange::courier::CourierSettings;

use crate::clock::Clock;
use crate::dice::{Dice, Purpose};
use crate::network::Lines;
use crate::timeline::Moment;

pub(crate) use trouble::{Mishap, Trouble};

/// Most nodes of a world: all counties, and the provinces.
pub const NODES_MAX: u32 = 3_000;
/// Milliseconds of a day.
pub(crate) const DAY_MS: u64 = 86_400_000;
/// More than the longest that anything is put off: the patience with relays.
const REST_MS: u64 = 12 * DAY_MS;
/// First two digits of the provinces and of the Corps.
const PROVINCES: [u32; 32] = [
    41, 44, 33, 51, 11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 34, 35, 36, 37, 42, 43, 45, 46, 50, 52,
    53, 54, 61, 62, 63, 64, 65, 66,
];

/// Number of a node in its world, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeNo(u32);

impl NodeNo {
    /// That number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The number as a place in a list.
    pub(crate) fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// What kind of world is wanted; what is not said is drawn from the seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The seed. Everything follows from it and from the rest of this.
    pub seed: u64,
    /// How many nodes; 2 to 8 when not said.
    pub nodes: Option<u32>,
    /// About how many messages clerks write.
    pub messages: Option<u32>,
    /// Days during which there is traffic and trouble; a quarter to two when not said.
    pub days: Option<u32>,
    /// Disks lose and tear what they have acknowledged: the checker has to notice.
    pub broken_disks: bool,
    /// What the world is about.
    pub story: Story,
}

/// What a world is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Story {
    /// Whatever the seed draws.
    #[default]
    Any,
    /// Twenty counties in three provinces, a month of mail with crashes and cuts, a relay that drops a tenth of what it
    /// should carry, counties restored from backups; then the provinces reconcile, and the counties of each province.
    Reconcile,
}

/// One node of the plan.
#[derive(Clone, Debug)]
pub(crate) struct NodePlan {
    pub(crate) area: AreaCode,
    /// The node of its province; none for a province.
    pub(crate) province: Option<NodeNo>,
    /// It cannot be called and collects its mail.
    pub(crate) collects: bool,
    pub(crate) clock: Clock,
}

/// How much is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    /// Whether only counties write, and to counties.
    pub(crate) counties_only: bool,
    /// Messages of the whole world before the calm.
    pub(crate) messages: u64,
    /// Of a thousand messages, so many ask for an answer.
    pub(crate) asking: u64,
    /// Of a thousand messages, so many are withdrawn some time later.
    pub(crate) withdrawn: u64,
    /// Of a thousand messages, so many lose their purpose within hours.
    pub(crate) short_lived: u64,
    /// Of a thousand messages, so many are not what the agreement lists.
    pub(crate) unfit: u64,
    /// Most messages that one clerk writes in one go.
    pub(crate) burst: u64,
}

/// The plan.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) nodes: Vec<NodePlan>,
    by_area: BTreeMap<AreaCode, NodeNo>,
    pub(crate) lines: Lines,
    pub(crate) traffic: Traffic,
    pub(crate) courier: CourierSettings,
    pub(crate) troubles: Vec<Trouble>,
    /// From here on nothing goes wrong any more and nobody writes.
    pub(crate) calm: Moment,
    /// After the troubles a world has so long to come to rest, milliseconds.
    pub(crate) rest_ms: u64,
    pub(crate) broken_disks: bool,
    /// What nodes do wrong when they sign; nothing, but where the checker is put to the test.
    pub(crate) planted: Option<Planted>,
}

/// A mistake of a program that signs statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planted {
    /// It forgets which days it has closed, and signs them again.
    Forgets,
    /// It gives its signature away before what it has signed is on its disk.
    AnswersEarly,
    /// It signs for another while it asks that itself.
    IgnoresTurns,
}

impl Plan {
    /// The plan that follows from the options.
    pub(crate) fn of(options: &Options) -> Self {
        if options.story == Story::Reconcile {
            return story::reconcile(options);
        }
        let mut dice = Dice::new(options.seed, Purpose::Plan);
        let count = options.nodes.unwrap_or_else(|| small(dice.between(2, 8)));
        let nodes = nodes(count.clamp(2, NODES_MAX), &mut dice);
        let by_area = (0..).map(NodeNo).zip(&nodes).map(|(no, node)| (node.area, no)).collect();
        let day = DAY_MS / 4;
        let length =
            options.days.map_or_else(|| dice.between(1, 8) * day, |d| u64::from(d) * DAY_MS);
        let calm = Moment::new(length);
        let delay_ms = (dice.between(1, 20), dice.between(20, 120));
        // Some county of a small world has no line at all.
        let last = small(u64::try_from(nodes.len()).unwrap_or(1)).saturating_sub(1);
        let island = (nodes.len() <= 8 && dice.chance(60)).then_some(NodeNo(last));
        let lines = Lines {
            island,
            provinces: nodes.iter().map(|node| node.province).collect(),
            collects: nodes.iter().map(|node| node.collects).collect(),
            missing_per_mille: *dice.pick(&[0, 150, 500, 1000]).unwrap_or(&0),
            salt: dice.any(),
            delay_ms,
        };
        let traffic = traffic(options, nodes.len(), &mut dice);
        let courier = courier(&mut dice);
        let troubles = trouble::draw(&nodes, calm, options.broken_disks, &mut dice);
        let (rest_ms, broken_disks, planted) = (REST_MS, options.broken_disks, None);
        Self {
            nodes,
            by_area,
            lines,
            traffic,
            courier,
            troubles,
            calm,
            rest_ms,
            broken_disks,
            planted,
        }
    }

    /// One node.
    pub(crate) fn node(&self, no: NodeNo) -> Option<&NodePlan> {
        self.nodes.get(no.index())
    }

    /// The area of a node.
    pub(crate) fn area(&self, no: NodeNo) -> AreaCode {
        // Numbers come from this plan, so the fallback is never taken.
        self.node(no).map_or_else(|| area(11, 0), |node| node.area)
    }

    /// The node of an area.
    pub(crate) fn at(&self, area: AreaCode) -> Option<NodeNo> {
        self.by_area.get(&area).copied()
    }

    /// The node of the province of a node; none for a province.
    pub(crate) fn province(&self, no: NodeNo) -> Option<NodeNo> {
        self.node(no).and_then(|node| node.province)
    }

    /// Whether two nodes reach each other by files only.
    pub(crate) fn by_file(&self, one: NodeNo, other: NodeNo) -> bool {
        self.lines.island.is_some_and(|island| [one, other].contains(&island))
    }

    /// All nodes.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = NodeNo> + use<> {
        (0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)).map(NodeNo)
    }
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The code of county `county` of the province with these two digits; 0 is the province itself.
fn area(province: u32, county: u32) -> AreaCode {
    let (prefecture, within) = (county.div_ceil(80).min(99), (county + 79) % 80 + 1);
    let digits = if county == 0 { 0 } else { prefecture * 100 + within };
    let code = format!("{province:02}{digits:04}");
    // Six digits that do not begin with zero always are a code.
    code.parse().unwrap_or_else(|_| area(11, 0))
}

/// Provinces first, then counties, each under one of them. Two nodes may also be two counties without a province.
fn nodes(count: u32, dice: &mut Dice) -> Vec<NodePlan> {
    let alone = count == 2 && dice.chance(500);
    let most = (count / 2).clamp(1, 32).min(count / 6 + 3);
    let provinces = if alone { 0 } else { small(dice.between(1, u64::from(most.max(1)))) };
    let collecting = *dice.pick(&[0, 200, 500]).unwrap_or(&0);
    let (skewed, wrong) = (dice.chance(700), dice.chance(150));
    let clock = |dice: &mut Dice| {
        let most = if wrong && dice.chance(300) { 3 * DAY_MS } else { 120_000 };
        let ahead = i64::try_from(dice.between(0, 2 * most)).unwrap_or(0) - most.cast_signed();
        let drift = i64::try_from(dice.between(0, 200)).unwrap_or(0) - 100;
        if skewed { Clock { ahead_ms: ahead, drift_ppm: drift } } else { Clock::default() }
    };
    let mut nodes = Vec::new();
    for digits in PROVINCES.iter().take(usize::try_from(provinces).unwrap_or(0)) {
        let clock = clock(dice);
        nodes.push(NodePlan { area: area(*digits, 0), province: None, collects: false, clock });
    }
    let mut counties = [0; PROVINCES.len()];
    for n in provinces..count {
        let of = if alone { n } else { small(dice.below(u64::from(provinces))) };
        let at = usize::try_from(of).unwrap_or(0);
        let (Some(digits), Some(known)) = (PROVINCES.get(at), counties.get_mut(at)) else {
            continue;
        };
        *known += 1;
        let area = area(*digits, *known);
        let province = (!alone).then_some(NodeNo(of));
        let collects = !alone && dice.chance(collecting);
        let clock = clock(dice);
        nodes.push(NodePlan { area, province, collects, clock });
    }
    nodes
}

fn traffic(options: &Options, nodes: usize, dice: &mut Dice) -> Traffic {
    let nodes = u64::try_from(nodes).unwrap_or(u64::MAX);
    let drawn = dice.stretch(10, 40 * nodes.clamp(2, 50));
    Traffic {
        counties_only: false,
        messages: options.messages.map_or(drawn, u64::from),
        asking: *dice.pick(&[0, 300, 700]).unwrap_or(&0),
        withdrawn: *dice.pick(&[0, 100]).unwrap_or(&0),
        short_lived: *dice.pick(&[0, 100]).unwrap_or(&0),
        unfit: *dice.pick(&[0, 100]).unwrap_or(&0),
        burst: *dice.pick(&[1, 5, 60]).unwrap_or(&1),
    }
}

/// Small windows and parcels, so that a few messages do what millions would.
fn courier(dice: &mut Dice) -> CourierSettings {
    CourierSettings {
        window_parcels: small(dice.between(1, 4)),
        envelopes_max: *dice.pick(&[1, 3, 10, 512]).unwrap_or(&10),
        fill: *dice.pick(&[1, 4, 64]).unwrap_or(&1),
        custody_patience: Duration::from_secs(*dice.pick(&[600, 7_200, 43_200]).unwrap_or(&600)),
        ..CourierSettings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_follow_from_the_seed_and_name_every_node_once() {
        for seed in 0..50 {
            let options = Options { seed, ..Options::default() };
            let plan = Plan::of(&options);
            assert_eq!(format!("{plan:?}"), format!("{:?}", Plan::of(&options)));
            assert!((2..=8).contains(&plan.nodes.len()));
            assert_eq!(plan.by_area.len(), plan.nodes.len());
            for no in plan.numbers() {
                assert_eq!(plan.at(plan.area(no)), Some(no));
                if let Some(province) = plan.province(no) {
                    assert_eq!(plan.area(no).province(), plan.area(province));
                }
            }
        }
    }

    #[test]
    fn a_nation_has_an_area_for_every_node() {
        let plan = Plan::of(&Options { nodes: Some(NODES_MAX), ..Options::default() });
        assert_eq!(plan.nodes.len(), 3000);
        assert_eq!(plan.by_area.len(), 3000);
    }
}
