//! Mail that comes in over a session: for this node, or for others. `delivery::session::intake`, `delivery::inbound`.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::custody::CustodyManifest;
use exchange::ledger::LedgerHead;
use exchange::parcel::ParcelManifest;
use exchange::receipt::{Disposition, Outcome, ReceiptManifest, dispositions_root};
use exchange::relay::{Task, check_handover};

use super::session::Via;
use super::units::{Arrived, Work};
use super::{Node, World};
use crate::disk::rows::{Key, Row};
use crate::history::{Fact, ParcelName, Word};
use crate::mail::{Frame, Parcel, Receipt, serialised, signer_id};
use crate::network::ConnNo;
use crate::plan::NodeNo;

/// How long a node whose disk is nearly full, or that is busy, puts its peers off.
const RETRY: Duration = Duration::from_secs(60);

impl Node {
    /// A parcel came.
    pub(super) fn parcel(
        &mut self,
        conn: ConnNo,
        neighbour: NodeNo,
        parcel: Parcel,
        world: &mut World,
    ) {
        let via = Via::Session(conn);
        let now = self.now(world);
        let checked = self.check(&parcel, Some(neighbour), now, world);
        let put_off = self.put_off(now, world);
        let (manifest, hand) = (parcel.manifest(), world.plan.area(neighbour));
        let is_ours = manifest.to == self.area;
        match (checked, put_off) {
            (Ok(Task::Receive), Some((reason, until))) => {
                let receipt = self.defer(&parcel, reason, until, world);
                self.turn_ends(via, world);
                self.reply(via, Frame::Receipt(receipt), world);
            }
            (Ok(Task::Receive), None) => {
                let peer = parcel.signed.by();
                let arrived = Box::new(Arrived { peer, parcel, at: now, via });
                self.enqueue(Work::TakeIn(arrived), world);
            }
            (Ok(Task::Carry { .. }), Some((reason, until))) => {
                self.put_off_hand(via, manifest, hand, (reason, until), world);
                self.turn_ends(via, world);
            }
            (Ok(Task::Carry { next }), None) => self.hold(via, neighbour, parcel, next, world),
            // What one sender does wrong must not stop the mail of all that its relay carries.
            (Err(reason), _) if manifest.from != hand || !is_ours => {
                self.refuse_hand(via, manifest, hand, reason, world);
                self.turn_ends(via, world);
            }
            (Err(_), _) => {
                world.peaks.misbehaved += 1;
                self.close(conn, world);
            }
        }
    }

    /// Everything about a parcel that can be checked without opening it.
    pub(super) fn check(
        &self,
        parcel: &Parcel,
        handed_by: Option<NodeNo>,
        now: UnixMillis,
        world: &World,
    ) -> Result<Task, Reason> {
        let manifest = parcel.manifest();
        let words: Vec<CustodyManifest> =
            parcel.custody.iter().map(|word| word.manifest().clone()).collect();
        let handed_by = handed_by.map(|node| world.plan.area(node));
        let handover = check_handover(self.area, handed_by, manifest, &words, now);
        let handover = handover.map_err(|fault| fault.reason())?;
        let sender = world.plan.at(manifest.from).filter(|sender| *sender == parcel.signed.by());
        let sender = sender.ok_or(Reason::SenderMismatch)?;
        if manifest.signer != signer_id(sender) {
            return Err(Reason::SignatureInvalid);
        }
        let signed =
            |word: &Rc<crate::mail::Word>| world.plan.at(word.manifest().relay) == Some(word.by());
        if !parcel.custody.iter().all(signed) {
            return Err(Reason::SignatureInvalid);
        }
        let fits = manifest.check(&parcel.digests(), &parcel.bodiless());
        fits.map_err(|_| Reason::Malformed)?;
        Ok(handover.task)
    }

    /// Whether mail is put off just now, why, and until when.
    fn put_off(&self, now: UnixMillis, world: &World) -> Option<(Reason, UnixMillis)> {
        if let Some(until) = world.window_of(self.no).filter(|until| *until > now) {
            return Some((Reason::Maintenance, until));
        }
        let soon = now.saturating_add(RETRY);
        if self.disk.health.nearly_full {
            return Some((Reason::DiskNearlyFull, soon));
        }
        self.busy.then_some((Reason::RateLimited, soon))
    }

    /// Puts every envelope of a parcel off; nothing is stored.
    fn defer(
        &self,
        parcel: &Parcel,
        reason: Reason,
        until: UnixMillis,
        world: &mut World,
    ) -> Rc<Receipt> {
        let decided = self.now(world);
        let put_off = parcel.envelopes.iter().map(|carried| Disposition {
            message_id: carried.envelope.header.message_id,
            digest: carried.envelope.digest(),
            outcome: Outcome::Deferred { reason, until },
            duplicate: false,
            decided,
        });
        let dispositions: Vec<_> = put_off.collect();
        self.sign_receipt(parcel.manifest(), &dispositions, world)
    }

    /// A parcel for us is on disk: its receipt is signed, and goes back the way it came.
    pub(super) fn took_in(
        &mut self,
        via: Via,
        manifest: &ParcelManifest,
        dispositions: &[Disposition],
        world: &mut World,
    ) {
        let name = ParcelName::from(manifest.parcel_id);
        for said in dispositions {
            let Some(message) = world.history.find(said.digest) else { continue };
            let (word, duplicate) = (Word::from(&said.outcome), said.duplicate);
            world.note(self.no, Fact::Said { message, parcel: name, word, duplicate });
        }
        let receipt = self.sign_receipt(manifest, dispositions, world);
        match via {
            Via::File => self.hand_back_by_file(manifest, receipt, world),
            Via::Session(_) => {
                self.turn_ends(via, world);
                self.reply(via, Frame::Receipt(receipt), world);
            }
        }
    }

    /// Signs what became of a parcel: over dispositions and a ledger that are on disk.
    pub(super) fn sign_receipt(
        &self,
        parcel: &ParcelManifest,
        dispositions: &[Disposition],
        world: &World,
    ) -> Rc<Receipt> {
        let serialised: Rc<[Bytes]> = dispositions.iter().map(serialised).collect();
        let frontier = self.disk.durable(&Key::Frontier).and_then(Row::frontier);
        let head = frontier.map_or_else(LedgerHead::empty, |frontier| LedgerHead::of(frontier));
        let manifest = ReceiptManifest {
            parcel_id: parcel.parcel_id,
            parcel_root: parcel.root,
            from: self.area,
            to: parcel.from,
            count: parcel.count,
            root: dispositions_root(&serialised),
            ledger_head: head,
            signed: self.now(world),
            signer: self.key.signer_id(),
        };
        Rc::new(Receipt { signed: self.key.sign(manifest), serialised })
    }
}
