//! Taking a file in, record by record, as it is read.

use bytes::{Buf as _, Bytes, BytesMut};
use domain::reason::Reason;
use exchange::bundle::{
    BUNDLE_HEADER_BYTES_MAX, BUNDLE_MAGIC, BundleFault, BundleHeader, BundleItem,
    RECORD_PREFIX_BYTES, Tally, item_associated_data, record_length,
};
use exchange::envelope::SealHeader;
use exchange::keys::{OpenError, Opener as _};
use exchange::parcel::Parcel;
use exchange::receipt::{Outcome, Receipt};
use exchange::relay::Task;
use store::transit::{BundleWay, ReturnKind};
use wire::Malformed;
use wire::bundle::{decode_bundle_header, decode_bundle_item};
use wire::decode_receipt_manifest;
use wire::receipt::decode_dispositions;

use super::make::note;
use super::{Bundles, Report};
use crate::app::relay::{self as units, SignedWord, ToReturn};
use crate::app::{AppError, Refusal};
use crate::delivery::directory::Said;
use crate::delivery::handover;
use crate::delivery::inbound::NoReceipt;
use crate::time::SystemClock;

/// A file that is being read.
#[derive(Debug)]
pub struct Reading {
    bundles: Bundles,
    /// Bytes that make no whole record yet; at most one record.
    waiting: BytesMut,
    has_magic: bool,
    opened: Option<Opened>,
    /// Reading has ended: at the last record, or at something that is wrong.
    ended: bool,
}

#[derive(Debug)]
struct Opened {
    header: BundleHeader,
    header_bytes: Bytes,
    tally: Tally,
    report: Report,
}

impl Bundles {
    /// Begins to read a file.
    #[must_use]
    pub fn read(&self) -> Reading {
        let bundles = self.clone();
        Reading { bundles, waiting: BytesMut::new(), has_magic: false, opened: None, ended: false }
    }
}

impl Reading {
    /// Takes the next bytes of the file, with everything that is whole in them.
    ///
    /// # Errors
    /// A refusal when this is no file for this node; when the store fails. What was taken before stays.
    pub async fn feed(&mut self, bytes: &[u8]) -> Result<(), AppError> {
        if self.ended && self.is_sound() && !bytes.is_empty() {
            self.fault(Reason::Malformed);
        }
        if self.ended {
            return Ok(());
        }
        self.waiting.extend_from_slice(bytes);
        if !self.has_magic {
            if self.waiting.len() < BUNDLE_MAGIC.len() {
                return Ok(());
            }
            if !self.waiting.starts_with(BUNDLE_MAGIC) {
                return Err(no_bundle());
            }
            self.waiting.advance(BUNDLE_MAGIC.len());
            self.has_magic = true;
        }
        while let Some(record) = self.record()? {
            self.take(record).await?;
        }
        Ok(())
    }

    /// Says what became of the file, once there are no more bytes.
    ///
    /// # Errors
    /// A refusal when it was no bundle at all; when the store fails.
    pub async fn finish(mut self) -> Result<Report, AppError> {
        if let Some(opened) = &mut self.opened
            && opened.report.fault.is_none()
            && opened.tally.finish().is_err()
        {
            opened.report.fault = Some(Reason::BundleCutOff);
        }
        let opened = self.opened.ok_or_else(no_bundle)?;
        note(&self.bundles, &opened.report, BundleWay::Imported).await?;
        Ok(opened.report)
    }

    /// The next whole record.
    fn record(&mut self) -> Result<Option<Bytes>, AppError> {
        if self.ended {
            if self.is_sound() && !self.waiting.is_empty() {
                self.fault(Reason::Malformed);
            }
            return Ok(None);
        }
        let Some(prefix) = self.waiting.first_chunk::<RECORD_PREFIX_BYTES>() else {
            return Ok(None);
        };
        let Some(length) = record_length(*prefix) else {
            return self.wrong(Reason::Malformed);
        };
        if self.opened.is_none() && length > BUNDLE_HEADER_BYTES_MAX {
            return self.wrong(Reason::Malformed);
        }
        if self.waiting.len() < RECORD_PREFIX_BYTES + length {
            return Ok(None);
        }
        self.waiting.advance(RECORD_PREFIX_BYTES);
        Ok(Some(self.waiting.split_to(length).freeze()))
    }

    fn is_sound(&self) -> bool {
        self.opened.as_ref().is_some_and(|opened| opened.report.fault.is_none())
    }

    /// Ends the reading: what follows cannot be trusted to be what it seems.
    fn fault(&mut self, reason: Reason) {
        self.ended = true;
        if let Some(opened) = &mut self.opened {
            opened.report.fault = Some(reason);
        }
    }

    fn wrong<T>(&mut self, reason: Reason) -> Result<Option<T>, AppError> {
        if self.opened.is_none() {
            return Err(no_bundle());
        }
        self.fault(reason);
        Ok(None)
    }

    async fn take(&mut self, record: Bytes) -> Result<(), AppError> {
        let Some(opened) = &mut self.opened else {
            self.opened = Some(open(&self.bundles, record)?);
            return Ok(());
        };
        let place = opened.tally.place();
        let seal = SealHeader {
            counter: opened.header.seal.counter.saturating_add(u64::from(place)),
            ..opened.header.seal
        };
        let data = item_associated_data(&opened.header_bytes, place);
        let opener = &self.bundles.intake.inbound.opener;
        let item = match opener.open(&seal, &data, &record) {
            Ok(item) => item,
            Err(OpenError::OtherKey) => {
                self.fault(Reason::SealedForOtherKey);
                return Ok(());
            }
            Err(OpenError::Broken | OpenError::ProfileUnsupported) => {
                self.fault(Reason::BundleAltered);
                return Ok(());
            }
        };
        let counted = match decode_bundle_item(Bytes::from(item)) {
            Ok(item) => opened.tally.take(&item).map(|()| Some(item)),
            // Of a later version; the others do not suffer for it.
            Err(Malformed::Missing { field: "bundle.item" }) => {
                opened.tally.take_unknown().map(|()| None)
            }
            Err(_) => {
                self.fault(Reason::Malformed);
                return Ok(());
            }
        };
        match counted {
            Ok(Some(BundleItem::End { .. })) => self.ended = true,
            Ok(Some(item)) => perform(&self.bundles, opened, item).await?,
            Ok(None) => {}
            Err(BundleFault::CutOff { .. }) => self.fault(Reason::BundleCutOff),
            Err(BundleFault::Count { .. } | BundleFault::AfterTheEnd | BundleFault::TooMany) => {
                self.fault(Reason::BundleAltered);
            }
        }
        Ok(())
    }
}

fn no_bundle() -> AppError {
    Refusal::new(Reason::Malformed).field("bundle").into()
}

fn open(bundles: &Bundles, record: Bytes) -> Result<Opened, AppError> {
    let header = decode_bundle_header(&record).map_err(|_| no_bundle())?;
    if header.to != bundles.intake.hub.shared().own {
        return Err(Refusal::new(Reason::NotForUs).field("bundle").into());
    }
    let report = Report::new(header.bundle_id, header.from, header.to, header.created);
    Ok(Opened { header, header_bytes: record, tally: Tally::default(), report })
}

/// Takes an item as it would be taken from a line.
async fn perform(bundles: &Bundles, opened: &mut Opened, item: BundleItem) -> Result<(), AppError> {
    let report = &mut opened.report;
    match item {
        BundleItem::Parcel(parcel) => take_parcel(bundles, report, parcel).await,
        BundleItem::Returned(word) => {
            report.words += 1;
            bundles.intake.words.take(word).await
        }
        BundleItem::Card(card) => {
            let authorities = card.chain.iter().skip(1).cloned().collect();
            let said = Said { cards: vec![card], authorities, ..Said::default() };
            report.entries += 1;
            bundles.directory.take(opened.header.from, said).await.map(drop)
        }
        BundleItem::RevocationList(list) => {
            let said = Said { lists: vec![list], ..Said::default() };
            report.entries += 1;
            bundles.directory.take(opened.header.from, said).await.map(drop)
        }
        BundleItem::End { .. } => Ok(()),
    }
}

/// Stores what a parcel holds, and puts the receipt where it finds its way back.
async fn take_parcel(
    bundles: &Bundles,
    report: &mut Report,
    parcel: Parcel,
) -> Result<(), AppError> {
    let intake = &bundles.intake;
    let (shared, now) = (intake.hub.shared(), SystemClock.now());
    report.parcels += 1;
    let checked = match handover::check_file(&shared.identity, shared.own, parcel, now) {
        Ok(checked) if checked.task == Task::Receive => checked,
        Ok(_) => {
            report.unfit += 1;
            return Ok(());
        }
        Err(unfit) => {
            let code = unfit.error.reason().code();
            tracing::warn!(code, "a parcel in a file is refused: {}", unfit.error);
            report.unfit += 1;
            return Ok(());
        }
    };
    let toward = checked.handed_by;
    let answered = match intake.inbound.take(checked).await {
        Ok(taken) => intake.inbound.answer(&mut None, taken).await,
        Err(error) => Err(error),
    };
    let receipt = match answered {
        Ok(receipt) => receipt,
        Err(NoReceipt::App(error)) => return Err(error),
        Err(NoReceipt::Parcel { .. }) => {
            report.unfit += 1;
            return Ok(());
        }
    };
    count(report, &receipt);
    hand_back(bundles, toward, receipt).await
}

fn count(report: &mut Report, receipt: &Receipt) {
    for said in decode_dispositions(receipt).unwrap_or_default() {
        report.messages += 1;
        let counter = match (said.outcome, said.duplicate) {
            (_, true) => &mut report.duplicates,
            (Outcome::Stored, false) => &mut report.stored,
            (Outcome::Refused { .. }, false) => &mut report.refused,
            (Outcome::Deferred { .. }, false) => &mut report.deferred,
        };
        *counter += 1;
    }
}

/// The receipt waits for a line or for the next file, whichever comes first.
async fn hand_back(
    bundles: &Bundles,
    toward: domain::area::AreaCode,
    receipt: Receipt,
) -> Result<(), AppError> {
    let manifest = decode_receipt_manifest(&receipt.manifest_bytes)
        .map_err(|_| AppError::Internal("a receipt of ours is unreadable"))?;
    let (words, now) = (&bundles.intake.words, SystemClock.now());
    let word = SignedWord::new(
        &receipt.manifest_bytes,
        &receipt.signature,
        manifest.signer,
        &receipt.chain,
    );
    let kept = bundles.intake.hub.shared().store.commit(move |unit| {
        let to_return = ToReturn {
            toward,
            addressee: manifest.to,
            parcel: manifest.parcel_id,
            kind: ReturnKind::Receipt,
            word: &word,
            dispositions: &receipt.dispositions,
        };
        units::put_return(unit, &to_return, now)
    });
    kept.await.map_err(AppError::from)?;
    words.returns.wake(toward);
    Ok(())
}
