//! Which line exists, which is cut just now, and how slow it is.

use std::collections::{BTreeMap, BTreeSet};

use crate::dice::Dice;
use crate::plan::NodeNo;

/// Bytes that a line carries in a millisecond, unless it is slow: about 8 Mbit/s.
const BYTES_PER_MS: u64 = 1_000;

/// What is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Frames from the first to the second.
    OneWay(NodeNo, NodeNo),
    /// Both ways between two nodes.
    Line(NodeNo, NodeNo),
    /// Between these and all others.
    Apart(BTreeSet<NodeNo>),
}

/// State of all lines.
#[derive(Debug)]
pub(crate) struct Weather {
    /// Whether a node could call another on a good day.
    lines: Lines,
    /// Cuts by the number under which they were made.
    cuts: BTreeMap<u32, Cut>,
    /// How many times slower than usual the lines of these nodes are.
    slow: BTreeMap<NodeNo, u64>,
}

/// Who can call whom on a good day, computed where it is asked for: a nation has millions of pairs.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    /// Area by node: the first two digits decide who is one's province.
    pub(crate) provinces: Vec<Option<NodeNo>>,
    /// Nodes that cannot be called.
    pub(crate) collects: Vec<bool>,
    /// A node without any line.
    pub(crate) island: Option<NodeNo>,
    /// Of a thousand pairs of nodes, so many have no line between them. Provinces have lines to each other and to
    /// their counties.
    pub(crate) missing_per_mille: u64,
    /// Number that the choice is mixed with.
    pub(crate) salt: u64,
    /// Usual delay of a line, at least and at most, milliseconds.
    pub(crate) delay_ms: (u64, u64),
}

impl Lines {
    /// Whether the caller could reach the callee on a good day.
    pub(crate) fn exists(&self, caller: NodeNo, callee: NodeNo) -> bool {
        let province = |node: NodeNo| self.provinces.get(node.index()).copied().flatten();
        let is_island = [caller, callee].map(Some).contains(&self.island);
        if is_island || self.collects.get(callee.index()).copied().unwrap_or(false) {
            return false;
        }
        let up = province(caller) == Some(callee) || province(callee) == Some(caller);
        let top = province(caller).is_none() && province(callee).is_none();
        up || top || self.mixed(caller, callee) % 1000 >= self.missing_per_mille
    }

    /// The relay above a node.
    pub(crate) fn above(&self, node: NodeNo) -> Option<NodeNo> {
        self.provinces.get(node.index()).copied().flatten().filter(|_| self.island != Some(node))
    }

    /// Usual delay between two nodes, milliseconds.
    fn delay(&self, a: NodeNo, b: NodeNo) -> u64 {
        let (low, high) = self.delay_ms;
        low + (self.mixed(a, b) >> 20) % (high.saturating_sub(low) + 1)
    }

    /// The same number for a pair whatever the order of the two.
    fn mixed(&self, a: NodeNo, b: NodeNo) -> u64 {
        let (low, high) = (a.min(b).get(), a.max(b).get());
        let mut x = self.salt ^ (u64::from(low) << 32 | u64::from(high));
        for _ in 0..2 {
            x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            x ^= x >> 31;
        }
        x
    }
}

impl Weather {
    pub(crate) const fn new(lines: Lines) -> Self {
        Self { lines, cuts: BTreeMap::new(), slow: BTreeMap::new() }
    }

    /// Who can call whom on a good day.
    pub(crate) const fn lines(&self) -> &Lines {
        &self.lines
    }

    /// Whether a call gets through just now: it needs both ways.
    pub(crate) fn can_call(&self, caller: NodeNo, callee: NodeNo) -> bool {
        self.lines.exists(caller, callee)
            && self.passes(caller, callee)
            && self.passes(callee, caller)
    }

    /// Whether a frame gets through just now.
    pub(crate) fn passes(&self, from: NodeNo, to: NodeNo) -> bool {
        !self.cuts.values().any(|cut| match cut {
            Cut::OneWay(a, b) => (*a, *b) == (from, to),
            Cut::Line(a, b) => (*a, *b) == (from, to) || (*a, *b) == (to, from),
            Cut::Apart(some) => some.contains(&from) != some.contains(&to),
        })
    }

    /// Cuts something, under a number.
    pub(crate) fn cut(&mut self, number: u32, cut: Cut) {
        self.cuts.insert(number, cut);
    }

    /// Mends what was cut under that number.
    pub(crate) fn mend(&mut self, number: u32) {
        self.cuts.remove(&number);
    }

    /// Makes the lines of a node so many times slower than usual; 1 is usual.
    pub(crate) fn slow_down(&mut self, node: NodeNo, times: u64) {
        if times > 1 {
            self.slow.insert(node, times);
        } else {
            self.slow.remove(&node);
        }
    }

    /// How long so many bytes take between two nodes, milliseconds.
    pub(crate) fn delay(&self, a: NodeNo, b: NodeNo, bytes: u64, dice: &mut Dice) -> u64 {
        let slow = |node: &NodeNo| self.slow.get(node).copied().unwrap_or(1);
        let times = slow(&a).max(slow(&b));
        let usual = self.lines.delay(a, b);
        // Now and then one frame takes much longer.
        let jitter =
            if dice.chance(20) { dice.stretch(1, 2_000) } else { dice.below(usual / 2 + 1) };
        (usual + bytes / BYTES_PER_MS).saturating_mul(times) + jitter
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Purpose;

    const fn no(number: u32) -> NodeNo {
        NodeNo::new(number)
    }

    fn weather(missing_per_mille: u64) -> Weather {
        // 0 and 1 are provinces, 2 and 3 their counties; 3 cannot be called.
        Weather::new(Lines {
            provinces: vec![None, None, Some(no(0)), Some(no(1))],
            collects: vec![false, false, false, true],
            island: None,
            missing_per_mille,
            salt: 5,
            delay_ms: (5, 50),
        })
    }

    #[test]
    fn lines_up_and_across_exist_always_and_nobody_calls_who_collects() {
        let weather = weather(1000);
        assert!(weather.can_call(no(2), no(0)) && weather.can_call(no(0), no(2)));
        assert!(weather.can_call(no(0), no(1)) && weather.can_call(no(3), no(1)));
        assert!(!weather.can_call(no(1), no(3)), "it collects");
        assert!(!weather.can_call(no(3), no(2)), "there is no line");
        assert!(self::weather(0).can_call(no(3), no(2)));
    }

    #[test]
    fn cuts_hold_until_they_are_mended() {
        let mut weather = weather(0);
        weather.cut(1, Cut::OneWay(no(0), no(2)));
        assert!(!weather.passes(no(0), no(2)) && weather.passes(no(2), no(0)));
        assert!(!weather.can_call(no(2), no(0)), "a call needs both ways");
        weather.cut(2, Cut::Apart([no(0), no(2)].into()));
        assert!(!weather.passes(no(2), no(1)) && weather.passes(no(1), no(3)));
        weather.mend(1);
        assert!(weather.can_call(no(2), no(0)));
        weather.mend(2);
        weather.cut(3, Cut::Line(no(1), no(2)));
        assert!(!weather.passes(no(1), no(2)) && !weather.passes(no(2), no(1)));
    }

    #[test]
    fn slow_lines_are_slow() {
        let (mut weather, mut dice) = (weather(0), Dice::new(1, Purpose::Network));
        assert!((0..100).all(|_| weather.delay(no(0), no(1), 0, &mut dice) <= 2_100));
        weather.slow_down(no(1), 100);
        assert!((0..100).all(|_| weather.delay(no(0), no(1), 1000, &mut dice) >= 500));
        weather.slow_down(no(1), 1);
        assert!(weather.delay(no(0), no(1), 0, &mut dice) <= 2_100);
    }
}
