//! A node that cannot be called keeps sessions open to its province and to every node it sends to, over which its mail
//! comes. `delivery::collect`.

use std::collections::BTreeSet;

use exchange::backoff::Backoff;
use exchange::parcel::ParcelId;

use super::{Node, Timer, Waiter, World};
use crate::disk::rows::{Carrier, Key};
use crate::plan::NodeNo;

impl Node {
    /// Sees to it that there is a session to collect on from this node.
    pub(super) fn collect_from(&mut self, neighbour: NodeNo, world: &mut World) {
        let collects = world.plan.node(self.no).is_some_and(|node| node.collects);
        if collects && !world.plan.by_file(self.no, neighbour) {
            self.wish(neighbour, Waiter::Collect(neighbour), world);
        }
    }

    /// The relay above this node has mail for it.
    pub(super) fn collect(&mut self, world: &mut World) {
        if let Some(province) = world.plan.province(self.no) {
            self.collect_from(province, world);
        }
    }

    /// Mail goes to this node, so mail may come from it. Where there is no line, the real node goes on calling in vain;
    /// nothing would be seen by that here, and the world would never come to rest.
    pub(super) fn collect_also_from(&mut self, neighbour: NodeNo, world: &mut World) {
        let is_new = self.memory.as_ref().is_some_and(|m| !m.collecting.contains_key(&neighbour));
        if is_new && world.network.weather.lines().exists(self.no, neighbour) {
            self.collect_from(neighbour, world);
        }
    }

    /// A relay carries a parcel of ours, so its recipient's answer comes back there. Where mail still is on its way, it
    /// has been there before.
    pub(super) fn collect_words(&mut self, world: &mut World) {
        let from = Key::Consignment(ParcelId::from_bytes([0; 16]));
        let to = Key::Consignment(ParcelId::from_bytes([0xFF; 16]));
        let rows = self.disk.durable_range(from..=to).filter_map(|(_, row)| row.consignment());
        let carriers = rows.filter_map(|row| match row.carrier {
            Carrier::Relay(relay) => Some(relay),
            Carrier::File => None,
        });
        let carriers: BTreeSet<_> = carriers.collect();
        for relay in carriers {
            self.collect_also_from(relay, world);
        }
    }

    /// It stands.
    pub(super) fn collecting(&mut self, neighbour: NodeNo) {
        if let Some(memory) = &mut self.memory {
            memory.collecting.insert(neighbour, 0);
        }
    }

    /// It does not, or not any more.
    pub(super) fn collecting_failed(&mut self, neighbour: NodeNo, world: &mut World) {
        let Some(memory) = &mut self.memory else { return };
        let failures = memory.collecting.entry(neighbour).or_default();
        *failures = failures.saturating_add(1);
        let wait = Backoff::PROTOCOL.delay(*failures, world.dice.node.any());
        let at = world.now.later(wait).after(1);
        self.set_timer(Timer::Collect(neighbour), 0, at, world);
    }
}
