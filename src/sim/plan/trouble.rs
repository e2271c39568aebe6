//! What goes wrong in a world, and when. Each world has only some kinds of trouble, so that those it has meet undisturbed.

use std::collections::BTreeSet;

use super::{DAY_MS, NodeNo, NodePlan};
use crate::dice::Dice;
use crate::network::Cut;
use crate::timeline::Moment;

/// Milliseconds of a minute.
const MINUTE_MS: u64 = 60_000;

/// Something that goes wrong for a time.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) from: Moment,
    pub(crate) until: Moment,
    pub(crate) what: Mishap,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Mishap {
    /// The program of a node ends, and starts again when the trouble is over. `silently`: with its machine, so
    /// that nobody is told.
    Crash { node: NodeNo, silently: bool },
    /// The program of a node stands still, and goes on as if nothing had been.
    Stall { node: NodeNo },
    /// Lines are cut.
    Cut(Cut),
    /// The lines of a node are so many times slower.
    Slow { node: NodeNo, times: u64 },
    /// One connection breaks without a word.
    Break,
    /// A node's disk takes so many times longer.
    SlowDisk { node: NodeNo, times: u64 },
    /// A node's disk takes nothing: the store fails and the program ends.
    DiskFull { node: NodeNo },
    /// The guard on free space refuses new work.
    NearlyFull { node: NodeNo },
    /// A node puts all mail off: too much at once.
    Busy { node: NodeNo },
    /// A node announces that it is out of service, and puts mail off meanwhile.
    Maintenance { node: NodeNo },
    /// Somebody sets a node's clock.
    ClockJump { node: NodeNo, by_ms: i64 },
    /// A backup of a node is made.
    BackUp { node: NodeNo },
    /// A node's disk is lost, and what the last backup has is put in its place.
    Restore { node: NodeNo },
    /// The same, but nobody tells the node: a machine set back to an older image.
    Rollback { node: NodeNo },
    /// A file is carried from one node to another.
    File { node: NodeNo, to: NodeNo },
    /// A relay drops so many of a thousand parcels that it should hand on.
    Lossy { node: NodeNo, per_mille: u64 },
    /// A relay loses, repeats or cuts short so many of a thousand parcels that it hands on, and keeps words to itself.
    Rogue { node: NodeNo, per_mille: u64 },
}

/// Kinds of trouble, of which a world has some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Crash,
    Stall,
    Partition,
    OneWay,
    Line,
    Slow,
    Break,
    Disk,
    DiskFull,
    NearlyFull,
    Busy,
    Maintenance,
    Clock,
    Restore,
    Rollback,
    Rogue,
    Outage,
    File,
}

const KINDS: [Kind; 18] = [
    Kind::Crash,
    Kind::Stall,
    Kind::Partition,
    Kind::OneWay,
    Kind::Line,
    Kind::Slow,
    Kind::Break,
    Kind::Disk,
    Kind::DiskFull,
    Kind::NearlyFull,
    Kind::Busy,
    Kind::Maintenance,
    Kind::Clock,
    Kind::Restore,
    Kind::Rollback,
    Kind::Rogue,
    Kind::Outage,
    Kind::File,
];

/// Draws the troubles of a world.
pub(super) fn draw(
    nodes: &[NodePlan],
    calm: Moment,
    broken_disks: bool,
    dice: &mut Dice,
) -> Vec<Trouble> {
    let chosen = dice.between(1, 5);
    let mut kinds: Vec<Kind> = (0..chosen).filter_map(|_| dice.pick(&KINDS).copied()).collect();
    if broken_disks {
        kinds.push(Kind::Crash);
    }
    let per_node = u64::try_from(nodes.len()).unwrap_or(u64::MAX).min(400);
    let most = dice.stretch(4, 8 * per_node.max(1) * (calm.get() / DAY_MS).max(1));
    let mut troubles = Vec::new();
    for _ in 0..most {
        let Some(kind) = dice.pick(&kinds).copied() else { continue };
        let from = Moment::new(dice.below(calm.get().max(1)));
        one(kind, nodes, from, dice, &mut troubles);
    }
    for trouble in &mut troubles {
        trouble.until = trouble.until.min(calm);
    }
    troubles
}

fn one(kind: Kind, nodes: &[NodePlan], from: Moment, dice: &mut Dice, into: &mut Vec<Trouble>) {
    let any = |dice: &mut Dice| {
        let at = dice.below(u64::try_from(nodes.len()).unwrap_or(1));
        NodeNo::new(u32::try_from(at).unwrap_or(0))
    };
    let node = any(dice);
    let short = dice.stretch(100, 10 * MINUTE_MS);
    let long = dice.stretch(MINUTE_MS, DAY_MS / 2);
    let (lasts, what) = match kind {
        Kind::Crash => (short, Mishap::Crash { node, silently: dice.chance(500) }),
        Kind::Outage => (long, Mishap::Crash { node, silently: true }),
        Kind::Stall => (short, Mishap::Stall { node }),
        Kind::Partition => {
            let some: BTreeSet<_> = (0..nodes.len()).map(|_| any(dice)).collect();
            (long, Mishap::Cut(Cut::Apart(some)))
        }
        Kind::OneWay => (long, Mishap::Cut(Cut::OneWay(node, any(dice)))),
        Kind::Line => (long, Mishap::Cut(Cut::Line(node, any(dice)))),
        Kind::Slow => (long, Mishap::Slow { node, times: dice.stretch(2, 400) }),
        Kind::Break => (0, Mishap::Break),
        Kind::Disk => (long, Mishap::SlowDisk { node, times: dice.stretch(2, 1_000) }),
        Kind::DiskFull => (short, Mishap::DiskFull { node }),
        Kind::NearlyFull => (long, Mishap::NearlyFull { node }),
        Kind::Busy => (short, Mishap::Busy { node }),
        Kind::File => (0, Mishap::File { node, to: any(dice) }),
        Kind::Maintenance => (long, Mishap::Maintenance { node }),
        Kind::Clock => (0, Mishap::ClockJump { node, by_ms: jump(dice) }),
        Kind::Restore | Kind::Rollback => {
            let before = dice.stretch(MINUTE_MS, DAY_MS / 2);
            let backed_up = Moment::new(from.get().saturating_sub(before));
            let what = Mishap::BackUp { node };
            into.push(Trouble { from: backed_up, until: backed_up, what });
            let restore = match kind {
                Kind::Rollback => Mishap::Rollback { node },
                _ => Mishap::Restore { node },
            };
            (short, restore)
        }
        Kind::Rogue => {
            let provinces: Vec<_> =
                (0..).zip(nodes).filter(|(_, n)| n.province.is_none()).collect();
            let Some((at, _)) = dice.pick(&provinces) else { return };
            let per_mille = dice.stretch(50, 1_000);
            (long, Mishap::Rogue { node: NodeNo::new(*at), per_mille })
        }
    };
    into.push(Trouble { from, until: from.after(lasts), what });
}

/// Mostly seconds, sometimes hours; forward or back.
fn jump(dice: &mut Dice) -> i64 {
    let by = dice.stretch(500, 6 * 60 * MINUTE_MS).cast_signed();
    if dice.chance(500) { by } else { -by }
}
