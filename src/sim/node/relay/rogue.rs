//! What a relay does that cannot be trusted: it loses, repeats, holds back and cuts short. It cannot forge.

use crate::mail::Parcel;
use crate::node::units::Work;
use crate::node::{Node, Waiter, World};
use crate::plan::NodeNo;

/// Parcels that it keeps for later.
const STASH_MAX: usize = 16;

impl Node {
    /// Whether the next parcel is mistreated.
    pub(in crate::node) fn rogue(&self, world: &mut World) -> bool {
        self.rogue_per_mille > 0 && world.dice.rogue.chance(self.rogue_per_mille)
    }

    /// Whether the next parcel is dropped.
    pub(super) fn drops(&self, world: &mut World) -> bool {
        self.lossy_per_mille > 0 && world.dice.rogue.chance(self.lossy_per_mille)
    }

    /// Loses a parcel, repeats it, cuts it short, or keeps it and sends another one.
    pub(super) fn mistreat(&mut self, next: NodeNo, mut parcel: Parcel, world: &mut World) {
        let waiter = Waiter::Forwarder(next);
        match world.dice.rogue.below(4) {
            0 => self.enqueue(Work::Vanish(parcel.manifest().parcel_id), world),
            1 => {
                self.send_parcel(next, waiter, parcel.clone(), world);
                self.send_parcel(next, waiter, parcel, world);
            }
            2 => {
                parcel.cut_short();
                self.send_parcel(next, waiter, parcel, world);
            }
            _ => {
                let Some(memory) = &mut self.memory else { return };
                memory.stash.push(parcel);
                if memory.stash.len() > STASH_MAX {
                    memory.stash.remove(0);
                }
                let old = world.dice.rogue.pick(&memory.stash).cloned();
                if let Some(old) = old {
                    self.send_parcel(next, waiter, old, world);
                }
            }
        }
    }
}
