//! The clerks of a node: they write, answer and withdraw, and are told at once what becomes of it.

use std::time::Duration;

use domain::id::MessageId;
use domain::reason::Reason;

use super::units::{Draft, Work};
use super::{Node, World};
use crate::coming::Coming;
use crate::disk::rows::{Key, Row, Side};
use crate::history::Fact;
use crate::mail::Fitness;
use crate::plan::{DAY_MS, NodeNo};

/// Sealed sizes of messages, in bytes, from the size classes of the protocol.
const SIZES: [u32; 6] = [528, 528, 784, 1040, 2064, 65_552];

impl Node {
    /// A clerk writes some messages.
    pub(super) fn clerk(&mut self, world: &mut World) {
        let burst = world.dice.traffic.stretch(1, world.plan.traffic.burst);
        for _ in 0..burst {
            let nodes = u64::try_from(world.plan.nodes.len()).unwrap_or(1);
            let to = world.dice.traffic.below(nodes);
            let to = NodeNo::new(u32::try_from(to).unwrap_or_default());
            let is_office = |node| world.plan.province(node).is_none();
            let passed = world.plan.traffic.counties_only && (is_office(to) || is_office(self.no));
            if to != self.no && !passed {
                self.write_to(to, None, world);
            }
        }
    }

    fn write_to(&mut self, to: NodeNo, in_reply_to: Option<MessageId>, world: &mut World) {
        if !self.runs() {
            return;
        }
        // New work is refused while there is no room for it; accepted work goes on.
        if self.disk.health.nearly_full {
            let reason = Reason::DiskNearlyFull;
            return world.note(self.no, Fact::NotAccepted { to, reason });
        }
        let written = self.now(world);
        let (traffic, dice) = (world.plan.traffic, &mut world.dice.traffic);
        let lives = if dice.chance(traffic.short_lived) {
            Duration::from_millis(dice.stretch(60_000, DAY_MS))
        } else {
            Duration::from_millis(90 * DAY_MS)
        };
        let due_in =
            dice.chance(600).then(|| Duration::from_millis(dice.stretch(DAY_MS, 30 * DAY_MS)));
        let draft = Draft {
            to,
            written,
            fitness: if dice.chance(traffic.unfit) { Fitness::NotAgreed } else { Fitness::Fit },
            in_reply_to,
            asks: in_reply_to.is_none() && dice.chance(traffic.asking),
            bytes: dice.pick(&SIZES).copied().unwrap_or(528),
            lives,
            due_in,
        };
        self.enqueue(Work::Accept(draft), world);
    }

    /// Some of what was accepted will be withdrawn.
    pub(super) fn maybe_withdraw(&mut self, message: MessageId, world: &mut World) {
        if !world.calm && world.dice.traffic.chance(world.plan.traffic.withdrawn) {
            let at = world.now.after(world.dice.traffic.stretch(10, DAY_MS / 4));
            world.timeline.plan(at, Coming::Withdraw { node: self.no, message });
        }
    }

    pub(super) fn clerk_withdraws(&mut self, message: MessageId, world: &mut World) {
        if self.runs() {
            self.enqueue(Work::Withdraw(message), world);
        }
    }

    /// Some of what is stored and asks for an answer will get one.
    pub(super) fn maybe_answer(&mut self, asked: MessageId, world: &mut World) {
        let row = self.disk.get(&Key::Message(Side::Received, asked)).and_then(Row::message);
        if row.is_some_and(|row| row.content.asks) && world.dice.traffic.chance(800) {
            let at = world.now.after(world.dice.traffic.stretch(1_000, DAY_MS / 4));
            world.timeline.plan(at, Coming::Answer { node: self.no, asked });
        }
    }

    pub(super) fn clerk_answers(&mut self, asked: MessageId, world: &mut World) {
        let row = self.disk.get(&Key::Message(Side::Received, asked)).and_then(Row::message);
        if let Some(peer) = row.map(|row| row.peer) {
            self.write_to(peer, Some(asked), world);
        }
    }
}
