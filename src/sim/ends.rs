//! What is on the disk of a node in the end, in plain words: all that the checker gets to see of it.

use std::collections::BTreeMap;

use domain::reason::Reason;
use exchange::digest::Digest;
use exchange::ledger::Direction;

use crate::disk::rows::{Key, Row, Side};
use crate::history::{ParcelName, Word};
use crate::mail::MessageNo;
use crate::node::Node;
use crate::plan::NodeNo;

/// One entry of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LedgerLine {
    pub(crate) direction: Direction,
    pub(crate) digest: Digest,
}

/// The end of one node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends {
    /// Whether its program runs.
    pub(crate) runs: bool,
    /// Messages it has sent, as far as it knows.
    pub(crate) sent: Vec<MessageNo>,
    /// Messages it has stored.
    pub(crate) received: Vec<MessageNo>,
    /// What it knows of what became of those it has sent: the last word.
    pub(crate) settled: BTreeMap<MessageNo, Word>,
    /// Places of lanes to others that are not settled.
    pub(crate) unsettled: u64,
    /// Messages seen above the high-water mark, by sender: behind each is a gap.
    pub(crate) gaps: Vec<(NodeNo, u32)>,
    /// Parcels it holds for others.
    pub(crate) held: Vec<ParcelName>,
    /// Places in queues toward next hops.
    pub(crate) queued: usize,
    /// Words that wait to be handed back, by whom they wait for.
    pub(crate) words: BTreeMap<NodeNo, usize>,
    /// Parcels of its own that it believes somebody carries.
    pub(crate) consigned: usize,
    /// Its ledger.
    pub(crate) ledger: Vec<LedgerLine>,
}

impl Ends {
    /// The end of a node.
    pub(crate) fn of(node: &Node) -> Self {
        let mut ends = Self { runs: node.runs(), ..Self::default() };
        for (key, row) in node.disk.all() {
            ends.take(*key, row, node);
        }
        ends
    }

    fn take(&mut self, key: Key, row: &Row, node: &Node) {
        match (key, row) {
            (Key::Message(Side::Sent, _), Row::Message(row)) => self.sent.push(row.content.message),
            (Key::Message(Side::Received, _), Row::Message(row)) => {
                self.received.push(row.content.message);
            }
            (Key::Parcel(Side::Sent, peer, epoch, ..), Row::Parcel(row)) => {
                for (sequence, said) in row.sequences.iter().zip(&row.dispositions) {
                    let sequence = exchange::lane::LaneSeq::new(*sequence);
                    let envelope = node.disk.all().get(&Key::Envelope(peer, epoch, sequence));
                    let Some(envelope) = envelope.and_then(Row::envelope) else { continue };
                    let (message, word) = (envelope.open().message, Word::from(&said.outcome));
                    // What met a conflict is sent again; of several words, that one is not the last.
                    let is_conflict = word == Word::Refused(Reason::Conflict);
                    if said.outcome.is_final()
                        && !(is_conflict && self.settled.contains_key(&message))
                    {
                        self.settled.insert(message, word);
                    }
                }
            }
            (Key::Envelope(peer, epoch, sequence), _) => {
                let lane = node.disk.all().get(&Key::LaneOut(peer, epoch));
                let lane = lane.and_then(Row::lane_out);
                let settled = lane.is_some_and(|lane| lane.is_settled(sequence));
                self.unsettled += u64::from(!settled);
            }
            (Key::LaneIn(peer, _), Row::LaneIn(lane)) if lane.seen_above() > 0 => {
                self.gaps.push((peer, lane.seen_above()));
            }
            (Key::Transit(parcel), Row::Transit(row)) if row.state.is_held() => {
                self.held.push(ParcelName::from(parcel));
            }
            (Key::Queue(..), _) => self.queued += 1,
            (Key::Return(toward, _), _) => *self.words.entry(toward).or_default() += 1,
            (Key::Consignment(_), _) => self.consigned += 1,
            (Key::Ledger(_), Row::Ledger(entry)) => {
                let (direction, digest) = (entry.direction, entry.digest);
                self.ledger.push(LedgerLine { direction, digest });
            }
            _ => {}
        }
    }
}
