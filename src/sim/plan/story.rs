//! Worlds with a story: who there is and what befalls them is told, and only the details are drawn from the seed.

use super::trouble::{Mishap, Trouble};
use super::{DAY_MS, NodeNo, NodePlan, Options, Plan, REST_MS, Traffic, area, courier};
use crate::clock::Clock;
use crate::dice::{Dice, Purpose};
use crate::network::{Cut, Lines};
use crate::timeline::Moment;

/// Counties of each province of the story.
const COUNTIES: [(u32, u32); 3] = [(41, 7), (44, 7), (33, 6)];
/// Milliseconds of a minute.
const MINUTE_MS: u64 = 60_000;
/// Of a thousand parcels that the relay should carry, it drops so many.
const DROPPED_PER_MILLE: u64 = 100;

/// A month of mail between twenty counties in three provinces, and then a reconciliation.
pub(super) fn reconcile(options: &Options) -> Plan {
    let mut dice = Dice::new(options.seed, Purpose::Plan);
    let mut nodes = nodes(&mut dice);
    // Drawn from elsewhere, so that the month is the same otherwise.
    let mut more = Dice::new(options.seed, Purpose::Reconcile);
    some_collect(&mut nodes, &mut more);
    let by_area = (0..).map(NodeNo).zip(&nodes).map(|(no, node)| (node.area, no)).collect();
    let days = u64::from(options.days.unwrap_or(30)).max(4);
    let calm = Moment::new(days * DAY_MS);
    let lines = Lines {
        island: None,
        provinces: nodes.iter().map(|node| node.province).collect(),
        collects: nodes.iter().map(|node| node.collects).collect(),
        missing_per_mille: 0,
        salt: dice.any(),
        delay_ms: (dice.between(1, 20), dice.between(20, 120)),
    };
    let traffic = Traffic {
        counties_only: true,
        messages: u64::from(options.messages.unwrap_or(1_500)),
        asking: 300,
        withdrawn: 50,
        short_lived: 50,
        unfit: 50,
        burst: 5,
    };
    let courier = courier(&mut dice);
    let mut troubles = troubles(&nodes, days, &mut dice);
    troubles.extend(wrong_clocks(&nodes, days, &mut more));
    for trouble in &mut troubles {
        trouble.until = trouble.until.min(calm);
    }
    let (rest_ms, broken_disks, planted) = (REST_MS, options.broken_disks, None);
    Plan { nodes, by_area, lines, traffic, courier, troubles, calm, rest_ms, broken_disks, planted }
}

/// In some provinces one county cannot be called.
fn some_collect(nodes: &mut [NodePlan], dice: &mut Dice) {
    for (province, (_, count)) in (0..).map(NodeNo).zip(COUNTIES) {
        if !dice.chance(600) {
            continue;
        }
        let which = usize::try_from(dice.below(u64::from(count))).unwrap_or_default();
        let mut counties = nodes.iter_mut().filter(|node| node.province == Some(province));
        if let Some(county) = counties.nth(which) {
            county.collects = true;
        }
    }
}

/// Clocks of some counties are wrong for some hours: up to most of a day ahead, or three days behind. What is written then
/// has ids and expiries of another time.
fn wrong_clocks(nodes: &[NodePlan], days: u64, dice: &mut Dice) -> Vec<Trouble> {
    let count = u64::try_from(nodes.len()).unwrap_or(1);
    let mut troubles = Vec::new();
    for _ in 0..dice.between(1, 4) {
        let node = NodeNo(u32::try_from(dice.between(3, count.saturating_sub(1))).unwrap_or(3));
        let hours = dice.between(1, 20).cast_signed();
        let by_ms = 3_600_000 * if dice.chance(500) { hours } else { -4 * hours };
        let from = Moment::new(dice.below(days.saturating_sub(1) * DAY_MS));
        let until = from.after(dice.stretch(60 * MINUTE_MS, DAY_MS / 2));
        let jump = |at, by_ms| {
            let what = Mishap::ClockJump { node, by_ms };
            Trouble { from: at, until: at, what }
        };
        troubles.extend([jump(from, by_ms), jump(until, -by_ms)]);
    }
    troubles
}

fn nodes(dice: &mut Dice) -> Vec<NodePlan> {
    let mut clock = || {
        let ahead = i64::try_from(dice.between(0, 120_000)).unwrap_or(0) - 60_000;
        let drift = i64::try_from(dice.between(0, 100)).unwrap_or(0) - 50;
        Clock { ahead_ms: ahead, drift_ppm: drift }
    };
    let provinces = COUNTIES.iter().map(|(digits, _)| (area(*digits, 0), None));
    let counties = (0..).map(NodeNo).zip(COUNTIES).flat_map(|(province, (digits, count))| {
        (1..=count).map(move |county| (area(digits, county), Some(province)))
    });
    let all = provinces.chain(counties);
    all.map(|(area, province)| NodePlan { area, province, collects: false, clock: clock() })
        .collect()
}

fn troubles(nodes: &[NodePlan], days: u64, dice: &mut Dice) -> Vec<Trouble> {
    let month = days * DAY_MS;
    let count = u64::try_from(nodes.len()).unwrap_or(1);
    let mut troubles = Vec::new();
    let mut add = |from: u64, lasts: u64, what| {
        let from = Moment::new(from);
        troubles.push(Trouble { from, until: from.after(lasts), what });
    };
    let any = |dice: &mut Dice| NodeNo(u32::try_from(dice.below(count)).unwrap_or(0));
    add(0, month, Mishap::Lossy { node: NodeNo(0), per_mille: DROPPED_PER_MILLE });
    for _ in 0..4 * days {
        let (from, short) = (dice.below(month), dice.stretch(100, 10 * MINUTE_MS));
        let (node, other) = (any(dice), any(dice));
        let long = dice.stretch(MINUTE_MS, DAY_MS / 2);
        match dice.below(6) {
            0 => add(from, short, Mishap::Crash { node, silently: dice.chance(500) }),
            1 => add(from, long, Mishap::Crash { node, silently: true }),
            2 | 3 => add(from, long, Mishap::Cut(Cut::Line(node, other))),
            4 => add(from, long, Mishap::Cut(Cut::OneWay(node, other))),
            _ => add(from, 0, Mishap::Break),
        }
    }
    // One county, or two, are restored from what was backed up in the night before, or some nights before.
    for _ in 0..dice.between(1, 2) {
        let node = NodeNo(u32::try_from(dice.between(3, count - 1)).unwrap_or(3));
        let night = dice.between(1, days - 2);
        let backed_up = night * DAY_MS + 2 * 60 * MINUTE_MS;
        add(backed_up, 0, Mishap::BackUp { node });
        let later = dice.stretch(60 * MINUTE_MS, 2 * DAY_MS);
        add((backed_up + later).min(month - DAY_MS / 2), 5 * MINUTE_MS, Mishap::Restore { node });
    }
    troubles
}
