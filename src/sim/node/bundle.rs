//! Mail by file: everything that waits for one node, carried by hand. `delivery::bundles`.
//!
//! A file is one more way for the mail in it, not the only one: nothing rests because of it.

use std::rc::Rc;

use exchange::lane::{LaneEpoch, LaneOut};
use exchange::parcel::{PARCEL_BYTES_MAX, ParcelManifest};
use exchange::relay::Task;
use exchange::runs::SeqRuns;

use super::outbound::Of;
use super::session::Via;
use super::units::{Arrived, Consigned, Work};
use super::{Node, World};
use crate::disk::rows::{Carrier, Key};
use crate::mail::{Bundle, BundleItem, Receipt, Returned};
use crate::plan::NodeNo;

/// Most items of a file here; a real one has more.
const ITEMS_MAX: usize = 1_000;

impl Node {
    /// Makes a file for a node: words that wait to be handed back to it, and all mail without a final answer.
    pub(crate) fn export(&mut self, to: NodeNo, world: &mut World) -> Option<Bundle> {
        if !self.runs() || self.held.is_some() || to == self.no {
            return None;
        }
        let words = self.disk.durable_range(Key::Return(to, 0)..=Key::Return(to, u64::MAX));
        let words = words.filter_map(|(_, row)| row.returned());
        let mut items: Vec<_> = words.map(|row| BundleItem::Word(row.word.clone())).collect();
        for of in self.lanes_to(to) {
            self.export_lane(of, &mut items, world);
        }
        self.settle_down(world);
        items.truncate(ITEMS_MAX);
        Some(Bundle { to, items })
    }

    /// Lanes to a node with mail that is not settled.
    fn lanes_to(&self, to: NodeNo) -> Vec<Of> {
        let all = Key::Epoch(to)..=Key::Epoch(to);
        let present = self.disk.durable_range(all).filter_map(|(_, row)| row.number());
        let present = present.map(|epoch| (to, LaneEpoch::new(epoch)));
        let mut lanes: Vec<_> = self.couriers_to(to);
        lanes.extend(present);
        lanes.sort_unstable();
        lanes.dedup();
        lanes
    }

    fn export_lane(&mut self, of: Of, items: &mut Vec<BundleItem>, world: &mut World) {
        let mut left = not_settled(&self.lane(of));
        while !left.is_empty() && items.len() < ITEMS_MAX {
            let loaded = self.read_mail(of, &left, PARCEL_BYTES_MAX, world);
            if loaded.is_empty() {
                return;
            }
            let (sequences, carried): (Vec<_>, Vec<_>) = loaded.into_iter().unzip();
            for sequence in &sequences {
                left.remove(*sequence);
            }
            let handed = self.now(world);
            let (parcel, _) = self.build(of.0, carried, handed, world);
            self.departs(&parcel, of.0, world);
            let consigned = Box::new(Consigned {
                peer: of.0,
                epoch: of.1,
                sequences,
                parcel: Rc::clone(&parcel.signed),
                carrier: Carrier::File,
                word: None,
                handed,
            });
            self.enqueue(Work::ConsignToFile(consigned), world);
            items.push(BundleItem::Parcel(parcel));
        }
    }

    /// Takes a file in, item by item, as it would come over a line.
    pub(super) fn import(&mut self, file: &Bundle, world: &mut World) {
        if !self.runs() {
            return;
        }
        for item in &file.items {
            match item {
                BundleItem::Word(word) => self.returned(Via::File, word.clone(), world),
                BundleItem::Parcel(parcel) => {
                    let now = self.now(world);
                    if self.check(parcel, None, now, world) == Ok(Task::Receive) {
                        let (peer, parcel) = (parcel.signed.by(), parcel.clone());
                        let arrived = Arrived { peer, parcel, at: now, via: Via::File };
                        self.enqueue(Work::TakeIn(Box::new(arrived)), world);
                    }
                }
            }
        }
    }

    /// The receipt for a parcel from a file waits for a line or for the next file, whichever comes first.
    pub(super) fn hand_back_by_file(
        &mut self,
        parcel: &ParcelManifest,
        receipt: Rc<Receipt>,
        world: &mut World,
    ) {
        if let Some(toward) = world.plan.at(parcel.from) {
            self.enqueue(Work::PutReturn { toward, word: Returned::Receipt(receipt) }, world);
        }
    }
}

/// Everything in a lane without a final answer, whether it waits, was put off or is carried by somebody.
fn not_settled(lane: &LaneOut) -> SeqRuns {
    let last = lane.last_assigned().min(lane.highest_to_offer());
    let mut left = SeqRuns::new();
    let mut at = lane.settled_through().next();
    while at <= last {
        if !lane.is_settled(at) {
            left.insert(at);
        }
        at = at.next();
    }
    left
}
