//! What a disk has taken in is noted in the history, whatever the program says of it.

use exchange::lane::LaneSeq;
use exchange::reconcile::totals::Counts;

use super::signing::SignedStatement;
use super::{Node, World};
use crate::disk::rows::{Key, Row, Side, TransitRow, TransitState};
use crate::history::{Fact, ParcelName, Release, Word};
use crate::plan::NodeNo;

impl Node {
    /// What the disk has taken in is noted, whatever the program says of it.
    pub(super) fn observe(&self, written: &[(Key, Option<Row>, bool)], world: &mut World) {
        for (key, row, again) in written {
            self.observe_row(*key, row.as_ref(), *again, world);
        }
    }

    fn observe_row(&self, key: Key, row: Option<&Row>, again: bool, world: &mut World) {
        match (key, row) {
            (Key::Message(Side::Received, _), Some(Row::Message(row))) => {
                // The row changes when it is answered; its place in the lane does not.
                let message = row.content.message;
                if !again || row.answered.is_none() {
                    world.note(self.no, Fact::Wrote { message, again });
                }
            }
            (Key::Parcel(Side::Sent, peer, epoch, ..), Some(Row::Parcel(row))) => {
                for (sequence, said) in row.sequences.iter().zip(&row.dispositions) {
                    let sequence = LaneSeq::new(*sequence);
                    let key = Key::Envelope(peer, epoch, sequence);
                    let envelope = self.disk.get(&key).and_then(Row::envelope);
                    let Some(message) = envelope.map(|e| e.open().message) else { continue };
                    let word = Word::from(&said.outcome);
                    world.note(self.no, Fact::Settled { message, word });
                }
            }
            (Key::Withdrawn(peer, epoch, sequence), Some(_)) => {
                let key = Key::Envelope(peer, epoch, sequence);
                if let Some(envelope) = self.disk.get(&key).and_then(Row::envelope) {
                    let message = envelope.open().message;
                    world.note(self.no, Fact::Withdrawn { message });
                }
            }
            (Key::Consignment(parcel), Some(_)) => {
                world.note(self.no, Fact::Consigned { parcel: ParcelName::from(parcel) });
            }
            (Key::Transit(parcel), Some(Row::Transit(row))) => {
                self.observe_transit(ParcelName::from(parcel), row, again, world);
            }
            (Key::Closed(with, _) | Key::Statement(with, ..), Some(Row::Statement(signed))) => {
                self.observe_statement(with, signed, world);
            }
            _ => {}
        }
    }

    fn observe_statement(&self, with: NodeNo, signed: &SignedStatement, world: &mut World) {
        let statement = signed.statement();
        let totals = match statement.scope.asker == self.area {
            true => statement.totals.clone(),
            false => statement.answerers_totals().unwrap_or_default(),
        };
        let mut counts = Counts::default();
        for of in totals.0.values() {
            counts.waiting += of.waiting;
            counts.stored += of.stored;
            counts.refused += of.refused;
        }
        let fact = Fact::Signed {
            with,
            statement: signed.digest(),
            days: statement.days(),
            closes: statement.closes(),
            by_both: signed.holds(&world.plan),
            counts,
            left: u32::try_from(statement.left.len()).unwrap_or(u32::MAX),
        };
        world.note(self.no, fact);
    }

    fn observe_transit(
        &self,
        parcel: ParcelName,
        row: &TransitRow,
        again: bool,
        world: &mut World,
    ) {
        let why = match row.state {
            TransitState::Waiting if !again => {
                return world.note(self.no, Fact::Took { parcel, from: row.handed_by });
            }
            TransitState::Waiting => return,
            TransitState::HandedOn => Release::HandedOn,
            TransitState::Answered => Release::Answered,
            TransitState::GivenUp { reason } => Release::GivenUp(reason),
        };
        world.note(self.no, Fact::LetGo { parcel, why });
    }
}
