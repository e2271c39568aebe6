//! A node that cannot be called keeps a session open to its province, over which its mail comes.

use exchange::backoff::Backoff;

use super::{Node, Timer, Waiter, World};

impl Node {
    /// Sees to it that there is a session to collect on.
    pub(super) fn collect(&mut self, world: &mut World) {
        let collects = world.plan.node(self.no).is_some_and(|node| node.collects);
        let province = world.plan.province(self.no).filter(|_| collects);
        if let Some(province) = province {
            self.wish(province, Waiter::Collect, world);
        }
    }

    /// It stands.
    pub(super) fn collecting(&mut self) {
        if let Some(memory) = &mut self.memory {
            memory.collect_failures = 0;
        }
    }

    /// It does not, or not any more.
    pub(super) fn collecting_failed(&mut self, world: &mut World) {
        let Some(memory) = &mut self.memory else { return };
        memory.collect_failures = memory.collect_failures.saturating_add(1);
        let wait = Backoff::PROTOCOL.delay(memory.collect_failures, world.dice.node.any());
        let at = world.now.later(wait).after(1);
        self.set_timer(Timer::Collect, 0, at, world);
    }
}
