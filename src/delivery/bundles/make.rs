//! Making a file of everything that waits for one node.

use bytes::Bytes;
use domain::area::AreaCode;
use domain::reason::Reason;
use exchange::bundle::{
    BUNDLE_ITEMS_MAX, BUNDLE_MAGIC, BundleHeader, BundleItem, Tally, item_associated_data,
    record_prefix,
};
use exchange::envelope::AlgorithmProfile;
use exchange::keys::Sealer as _;
use exchange::lane::{LaneEpoch, LaneOut};
use exchange::parcel::{PARCEL_BYTES_MAX, Parcel};
use exchange::route::Route;
use exchange::runs::SeqRuns;
use store::messages::peer_key;
use store::tables::{BUNDLE, LANE_EPOCH};
use store::transit::{BundleRow, BundleWay, Carrier};
use tokio::sync::mpsc;
use trust::seal::{Sealer, SealingPublicKey};
use wire::bundle::{encode_bundle_header, encode_bundle_item};

use super::{Bundles, Report};
use crate::app::messages::consign::{self, Consigned};
use crate::app::messages::settle;
use crate::app::{AppError, Refusal, relay as units};
use crate::delivery::outbound::journal::{self, Lane};
use crate::delivery::parcels;
use crate::time::{SystemClock, random};

/// Words that are read in one go.
const WORDS_AT_ONCE: usize = 64;

/// Where the bytes of a file go; a writer that is gone ends the making.
pub type Bytestream = mpsc::Sender<Bytes>;

impl Bundles {
    /// Makes a file for a node and writes it out as it grows.
    ///
    /// # Errors
    /// `UNKNOWN_AREA`, `PEER_CARD_MISSING` when nothing can be sealed for it; when the store fails, or nobody takes
    /// the bytes any more.
    pub async fn make(&self, to: AreaCode, out: &Bytestream) -> Result<Report, AppError> {
        let mut file = File::begin(self, to, out).await?;
        file.entries().await?;
        file.words().await?;
        for lane in self.lanes(to)? {
            file.lane(&lane).await?;
        }
        file.end().await
    }

    /// Lanes to a node with mail that is not settled: of the present epoch and of those before.
    fn lanes(&self, to: AreaCode) -> Result<Vec<LaneOut>, AppError> {
        let store = &self.intake.hub.shared().store;
        let present = store.get(&LANE_EPOCH, &peer_key(to))?.map(LaneEpoch::new);
        let older = settle::older_lanes(store)?;
        let older = older.into_iter().filter(|(area, _)| *area == to).map(|(_, epoch)| epoch);
        let epochs = older.chain(present);
        epochs.map(|epoch| settle::lane_in_epoch(store, to, epoch)).collect()
    }
}

/// A file that is being made.
struct File<'a> {
    bundles: &'a Bundles,
    out: &'a Bytestream,
    header: BundleHeader,
    header_bytes: Vec<u8>,
    sealer: Sealer,
    tally: Tally,
    report: Report,
}

impl<'a> File<'a> {
    async fn begin(
        bundles: &'a Bundles,
        to: AreaCode,
        out: &'a Bytestream,
    ) -> Result<Self, AppError> {
        let (shared, now) = (bundles.intake.hub.shared(), SystemClock.now());
        let refuse = |reason| AppError::from(Refusal::new(reason).field("to"));
        let peer = shared.peers.get(to).ok_or_else(|| refuse(Reason::UnknownArea))?;
        let card = peer.card().ok_or_else(|| refuse(Reason::PeerCardMissing))?;
        let key = card.sealing_key_at(now, AlgorithmProfile::International);
        let key = key.and_then(|key| SealingPublicKey::from_bytes(&key.public_key).ok());
        let key = key.ok_or_else(|| refuse(Reason::PeerCardMissing))?;
        // Of this file alone: its counter is the place in it.
        let sealer = Sealer::new(&key, &mut rand::rng(), now)
            .map_err(|_| refuse(Reason::PeerCardMissing))?;
        let used_up = |_| AppError::Signing("the seal for a file is used up".to_owned());
        let (from, bundle_id) = (shared.own, random());
        let seal = sealer.next_seal().map_err(used_up)?;
        let header = BundleHeader { from, to, created: now, bundle_id, seal };
        let header_bytes = encode_bundle_header(&header);
        let report = Report::new(bundle_id, from, to, now);
        let tally = Tally::default();
        let file = Self { bundles, out, header, header_bytes, sealer, tally, report };
        file.write(Bytes::from_static(BUNDLE_MAGIC)).await?;
        file.record(file.header_bytes.clone()).await?;
        Ok(file)
    }

    async fn write(&self, bytes: Bytes) -> Result<(), AppError> {
        let gone = |_| AppError::Internal("nobody takes the file any more");
        self.out.send(bytes).await.map_err(gone)
    }

    async fn record(&self, record: Vec<u8>) -> Result<(), AppError> {
        let prefix = record_prefix(&record).ok_or(AppError::Internal("a record is too large"))?;
        self.write(Bytes::copy_from_slice(&prefix)).await?;
        self.write(Bytes::from(record)).await
    }

    async fn item(&mut self, item: BundleItem) -> Result<(), AppError> {
        let place = self.tally.place();
        self.tally.take(&item).map_err(|_| AppError::Internal("an item is out of its place"))?;
        let counter = self.header.seal.counter + u64::from(place);
        let data = item_associated_data(&self.header_bytes, place);
        let sealed = self.sealer.seal(counter, &data, encode_bundle_item(item));
        let sealed = sealed.map_err(|_| AppError::Signing("a file cannot be sealed".to_owned()))?;
        self.record(sealed).await
    }

    fn is_full(&self) -> bool {
        self.tally.place() >= BUNDLE_ITEMS_MAX
    }

    /// Our card and the lists in force.
    async fn entries(&mut self) -> Result<(), AppError> {
        let said = self.bundles.card();
        let cards = said.cards.into_iter().map(BundleItem::Card);
        let lists = said.revocation_lists.into_iter().map(BundleItem::RevocationList);
        for item in cards.chain(lists) {
            self.item(item).await?;
            self.report.entries += 1;
        }
        Ok(())
    }

    /// Words that wait to be handed back to the node.
    async fn words(&mut self) -> Result<(), AppError> {
        let store = &self.bundles.intake.hub.shared().store;
        let mut after = None;
        loop {
            let words = units::words_for(store, self.header.to, after.as_ref(), WORDS_AT_ONCE)?;
            let Some((last, _)) = words.last() else { return Ok(()) };
            after = Some(*last);
            for (_, word) in words {
                if self.is_full() {
                    return Ok(());
                }
                self.item(BundleItem::Returned(word)).await?;
                self.report.words += 1;
            }
        }
    }

    /// The mail of a lane, as far as the recipient's window may reach.
    async fn lane(&mut self, lane: &LaneOut) -> Result<(), AppError> {
        let shared = self.bundles.intake.hub.shared();
        let to = self.header.to;
        let withdrawn = journal::withdrawn(&shared.store, to, lane)?;
        let mail =
            Lane { store: &shared.store, peer: to, epoch: lane.epoch(), withdrawn: &withdrawn };
        let mut left = not_settled(lane);
        while !left.is_empty() && !self.is_full() {
            let loaded = journal::read(&mail, &left, PARCEL_BYTES_MAX);
            left = left.without(&loaded.unreadable);
            if loaded.sequences.is_empty() {
                break;
            }
            for sequence in &loaded.sequences {
                left.remove(*sequence);
            }
            let parcel = self.consign(lane.epoch(), loaded).await?;
            self.item(BundleItem::Parcel(parcel)).await?;
            self.report.parcels += 1;
        }
        Ok(())
    }

    /// Signs a parcel and writes that a file carries it, so that its receipt is known when it comes back.
    async fn consign(
        &mut self,
        epoch: LaneEpoch,
        loaded: parcels::Loaded,
    ) -> Result<Parcel, AppError> {
        let (intake, to) = (&self.bundles.intake, self.header.to);
        let shared = intake.hub.shared();
        let material = shared.identity.material();
        let signer = material.identity();
        let (parcel, sent) = parcels::build(shared.own, to, loaded, signer.as_ref(), Route::Direct)
            .map_err(AppError::from)?;
        self.report.messages += sent.manifest.count;
        let consigned = Consigned {
            peer: to,
            epoch,
            parcel_id: sent.manifest.parcel_id,
            parcel: sent.signed_word(),
            sequences: sent.sequences,
            carrier: Carrier::File(self.header.bundle_id),
            word: None,
            handed: self.header.created,
        };
        let patience = intake.words.outbound.settings().custody_patience;
        // No marks: other ways stay open.
        let kept =
            shared.store.commit(move |unit| consign::keep(unit, &consigned, &[], patience)).await;
        kept.map_err(AppError::from)?;
        Ok(parcel)
    }

    async fn end(mut self) -> Result<Report, AppError> {
        let items = self.tally.place();
        self.item(BundleItem::End { items }).await?;
        let report = self.report;
        note(self.bundles, &report, BundleWay::Exported).await?;
        Ok(report)
    }
}

/// Writes that a file was made or taken in.
pub(super) async fn note(
    bundles: &Bundles,
    report: &Report,
    way: BundleWay,
) -> Result<(), AppError> {
    let peer = match way {
        BundleWay::Exported => report.to,
        BundleWay::Imported => report.from,
    };
    let row = BundleRow {
        way,
        peer,
        created: report.created,
        at: SystemClock.now(),
        parcels: report.parcels,
        words: report.words,
    };
    let id = report.bundle_id;
    let store = &bundles.intake.hub.shared().store;
    let kept = store.commit(move |unit| Ok::<_, AppError>(unit.put(&BUNDLE, &id, &row)?));
    kept.await.map_err(AppError::from)
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

#[cfg(test)]
mod tests {
    use exchange::lane::{LaneSeq, Mark};

    use super::*;

    #[test]
    fn everything_without_a_final_answer_goes_into_a_file() {
        let mut lane = LaneOut::new(LaneEpoch::new(1));
        lane.assigned_through(LaneSeq::new(6));
        let later = SystemClock.now();
        let at = LaneSeq::new;
        lane.apply([
            Mark::Settled(at(1)),
            Mark::Settled(at(4)),
            Mark::Deferred(at(3), later),
            Mark::InCustody(at(5), later),
        ]);
        let left: Vec<_> = not_settled(&lane).iter().map(LaneSeq::get).collect();
        assert_eq!(left, [2, 3, 5, 6]);
    }
}
