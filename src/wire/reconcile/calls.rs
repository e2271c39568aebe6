//! Reports and cures.

use bytes::Bytes;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::envelope::HEADER_BYTES_MAX;
use exchange::envelope::SEALED_BYTES_MAX;
use exchange::envelope::SealedEnvelope;
use exchange::lane::LaneEpoch;
use exchange::lane::LaneSeq;
use exchange::ledger::LedgerHead;
use exchange::parcel::MANIFEST_BYTES_MAX;
use exchange::parcel::PARCEL_ENVELOPES_MAX;
use exchange::parcel::SIGNATURE_BYTES_MAX;
use exchange::receipt::DISPOSITION_BYTES_MAX;
use exchange::receipt::Receipt;
use exchange::reconcile::calls::CarriedOut;
use exchange::reconcile::calls::FormerPart;
use exchange::reconcile::calls::FormerPlace;
use exchange::reconcile::calls::HandedBack;
use exchange::reconcile::calls::MONTHS_MAX;
use exchange::reconcile::calls::RECORDS_AT_ONCE;
use exchange::reconcile::calls::ReceiptAgain;
use exchange::reconcile::calls::ReportPart;
use exchange::reconcile::calls::SealedFor;
use exchange::reconcile::told::RECORD_BYTES;

use crate::fields::array;
use crate::fields::at_most;
use crate::fields::check_chain;
use crate::fields::some;
use crate::fields::time;
use crate::malformed::Malformed;
use crate::pb::exchange as pb;

/// A part of a report as a generated type.
#[must_use]
pub fn report_to_pb(part: &ReportPart) -> pb::ReportRequest {
    pb::ReportRequest {
        incarnation: part.incarnation,
        month: part.month,
        position: part.position,
        records: part.records.concat(),
        through_ms: part.through.map_or(0, UnixMillis::get),
        ledger_size: part.head.size,
        ledger_root: part.head.root.as_bytes().to_vec(),
    }
}

/// A part of a report from its generated type. The records are not read yet.
///
/// # Errors
/// [`Malformed`].
pub fn report_from_pb(part: pb::ReportRequest) -> Result<ReportPart, Malformed> {
    let records = records("report.records", &part.records)?;
    let through = match part.through_ms {
        0 => None,
        at => Some(time("report.through_ms", at)?),
    };
    let root = Digest::new(array("report.ledger_root", &part.ledger_root)?);
    Ok(ReportPart {
        incarnation: part.incarnation,
        month: part.month,
        position: part.position,
        records,
        through,
        head: LedgerHead { size: part.ledger_size, root },
    })
}

/// Where the node above stands, by month, as a generated type.
#[must_use]
pub fn months_to_pb(months: Vec<(u32, u64)>) -> pb::ReportResponse {
    let month = |(month, position)| pb::ReportedMonth { month, position };
    pb::ReportResponse { months: months.into_iter().map(month).collect() }
}

/// The same from its generated type.
///
/// # Errors
/// [`Malformed`].
pub fn months_from_pb(response: pb::ReportResponse) -> Result<Vec<(u32, u64)>, Malformed> {
    at_most("report.months", response.months.len(), MONTHS_MAX)?;
    Ok(response.months.into_iter().map(|it| (it.month, it.position)).collect())
}

/// A question for what was told before, as a generated type.
#[must_use]
pub fn recall_to_pb(incarnation: u32, from: FormerPlace) -> pb::RecallRequest {
    let FormerPlace { month, incarnation: former, position } = from;
    pb::RecallRequest { incarnation, month, former, position }
}

/// The same from its generated type: the caller's incarnation, and from which place on.
#[must_use]
pub fn recall_from_pb(request: &pb::RecallRequest) -> (u32, FormerPlace) {
    let pb::RecallRequest { incarnation, month, former, position } = *request;
    (incarnation, FormerPlace { month, incarnation: former, position })
}

/// What was told before, as a generated type.
#[must_use]
pub fn former_to_pb(part: &FormerPart) -> pb::RecallResponse {
    let next = part.next.unwrap_or_default();
    pb::RecallResponse {
        records: part.records.concat(),
        next_month: next.month,
        next_former: next.incarnation,
        next_position: next.position,
        through_ms: part.through.map_or(0, UnixMillis::get),
    }
}

/// The same from its generated type. The records are not read yet.
///
/// # Errors
/// [`Malformed`].
pub fn former_from_pb(part: pb::RecallResponse) -> Result<FormerPart, Malformed> {
    let through = match part.through_ms {
        0 => None,
        at => Some(time("recall.through_ms", at)?),
    };
    let place = FormerPlace {
        month: part.next_month,
        incarnation: part.next_former,
        position: part.next_position,
    };
    let next = (place != FormerPlace::default()).then_some(place);
    Ok(FormerPart { records: records("recall.records", &part.records)?, next, through })
}

/// Records of a book, of their fixed size; not read yet.
fn records(field: &'static str, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
    let (records, rest) = bytes.as_chunks::<RECORD_BYTES>();
    if !rest.is_empty() {
        return Err(Malformed::Range { field });
    }
    at_most(field, records.len(), RECORDS_AT_ONCE)?;
    Ok(records.iter().map(|record| record.to_vec()).collect())
}

/// What was done about differences, as a generated type.
#[must_use]
pub fn carried_out_to_pb(done: &CarriedOut) -> pb::CarryOutResponse {
    let lost = done.lost.iter().flat_map(|id| *id.as_bytes()).collect();
    pb::CarryOutResponse { begun: done.begun, waiting: done.waiting, lost }
}

/// The same from its generated type.
///
/// # Errors
/// [`Malformed`].
pub fn carried_out_from_pb(response: pb::CarryOutResponse) -> Result<CarriedOut, Malformed> {
    let lost = super::ids_from("carry_out.lost", &response.lost)?;
    Ok(CarriedOut { begun: response.begun, waiting: response.waiting, lost })
}

/// A sender's envelope as a generated type.
#[must_use]
pub fn handed_back_to_pb(back: HandedBack) -> pb::TakeBackRequest {
    let sealed = back.envelope.sealed().cloned().unwrap_or_default();
    let hash = back.envelope.is_withdrawn().then(|| back.envelope.sealed_sha256());
    let request = pb::TakeBackRequest {
        header: back.envelope.header_bytes.to_vec(),
        sealed: sealed.to_vec(),
        proof: Some(receipt_again_to_pb(back.proof)),
        sealed_sha256: hash.map(|hash| hash.as_bytes().to_vec()).unwrap_or_default(),
        question_follows: back.question_follows,
        ..pb::TakeBackRequest::default()
    };
    let Some(secret) = back.secret else { return request };
    pb::TakeBackRequest {
        encapsulated_key: secret.encapsulated_key.to_vec(),
        recipient_key_id: secret.recipient_key_id.to_vec(),
        secret: secret.sealed.to_vec(),
        counter: secret.counter,
        ..request
    }
}

/// The same from its generated type. Nothing in it is proven yet.
///
/// # Errors
/// [`Malformed`].
pub fn handed_back_from_pb(back: pb::TakeBackRequest) -> Result<HandedBack, Malformed> {
    some("take_back.header", back.header.len(), HEADER_BYTES_MAX)?;
    let header = Bytes::from(back.header);
    let proof = back.proof.ok_or(Malformed::Missing { field: "take_back.proof" })?;
    let (proof, question_follows) = (receipt_again_from_pb(proof)?, back.question_follows);
    if !back.sealed_sha256.is_empty() {
        let hash = Digest::new(array("take_back.sealed_sha256", &back.sealed_sha256)?);
        let envelope = SealedEnvelope::withdrawn(header, hash);
        return Ok(HandedBack { envelope, proof, secret: None, question_follows });
    }
    some("take_back.sealed", back.sealed.len(), SEALED_BYTES_MAX)?;
    some("take_back.secret", back.secret.len(), SEALED_BYTES_MAX)?;
    let secret = SealedFor {
        encapsulated_key: array("take_back.encapsulated_key", &back.encapsulated_key)?,
        recipient_key_id: array("take_back.recipient_key_id", &back.recipient_key_id)?,
        counter: back.counter,
        sealed: Bytes::from(back.secret),
    };
    let envelope = SealedEnvelope::new(header, Bytes::from(back.sealed));
    Ok(HandedBack { envelope, proof, secret: Some(secret), question_follows })
}

/// A receipt issued again, as a generated type.
#[must_use]
pub fn receipt_again_to_pb(again: ReceiptAgain) -> pb::IssueAgainResponse {
    let Receipt { manifest_bytes, signature, dispositions, chain } = again.receipt;
    pb::IssueAgainResponse {
        lane_epoch: again.epoch.get(),
        sequences: again.sequences.iter().map(|sequence| sequence.get()).collect(),
        parcel_manifest: again.parcel_manifest.to_vec(),
        parcel_signature: again.parcel_signature.to_vec(),
        parcel_chain: again.parcel_chain,
        receipt_manifest: manifest_bytes.to_vec(),
        receipt_signature: signature.to_vec(),
        receipt_chain: chain,
        dispositions: dispositions.iter().map(|bytes| bytes.to_vec()).collect(),
    }
}

/// The same from its generated type. Nothing in it is proven yet.
///
/// # Errors
/// [`Malformed`].
pub fn receipt_again_from_pb(again: pb::IssueAgainResponse) -> Result<ReceiptAgain, Malformed> {
    some("issue_again.sequences", again.sequences.len(), PARCEL_ENVELOPES_MAX)?;
    some("issue_again.dispositions", again.dispositions.len(), PARCEL_ENVELOPES_MAX)?;
    for disposition in &again.dispositions {
        some("issue_again.dispositions", disposition.len(), DISPOSITION_BYTES_MAX)?;
    }
    check_signed("issue_again.parcel", &again.parcel_manifest, &again.parcel_signature)?;
    check_signed("issue_again.receipt", &again.receipt_manifest, &again.receipt_signature)?;
    check_chain("issue_again.parcel_chain", &again.parcel_chain)?;
    check_chain("issue_again.receipt_chain", &again.receipt_chain)?;
    Ok(ReceiptAgain {
        epoch: LaneEpoch::new(again.lane_epoch),
        sequences: again.sequences.into_iter().map(LaneSeq::new).collect(),
        parcel_manifest: Bytes::from(again.parcel_manifest),
        parcel_signature: Bytes::from(again.parcel_signature),
        parcel_chain: again.parcel_chain,
        receipt: Receipt {
            manifest_bytes: Bytes::from(again.receipt_manifest),
            signature: Bytes::from(again.receipt_signature),
            dispositions: again.dispositions.into_iter().map(Bytes::from).collect(),
            chain: again.receipt_chain,
        },
    })
}

fn check_signed(field: &'static str, manifest: &[u8], signature: &[u8]) -> Result<(), Malformed> {
    some(field, manifest.len(), MANIFEST_BYTES_MAX)?;
    some(field, signature.len(), SIGNATURE_BYTES_MAX)
}
