//! Persons at risk of harm: where they live is told to nobody outside, whatever a clerk types.

use std::time::Duration;

use domain::access::{AccessAction, Permission};
use domain::area::AreaCode;
use domain::case::TransferCause;
use domain::id::{MessageId, PersonId};
use domain::message::{Body, Content, OutflowOutcome};
use domain::person::IdentityDocument;
use domain::purpose::{LawfulBasis, Purpose};
use domain::reason::Reason;
use domain::text::WrittenReason;
use domain::time::UnixMillis;
use store::access::person_key;
use store::agreements::ReleaseRow;
use store::messages::{Side, message_key, peer_key};
use store::records::ReadRecords;
use store::tables::{MESSAGE, RELEASE};
use store::{Kept, Store, Unit};

use super::access::{self, Act, Why};
use super::{AppError, Ctx, Refusal};

/// How long a county may be told after a supervisor has allowed it.
const RELEASED_FOR: Duration = Duration::from_secs(7 * 86_400);

/// Refuses a message that would tell where a person at risk lives or went, unless a supervisor has allowed that this
/// county is told. Asked inside the unit that sends, so that a flag set a moment before counts.
///
/// # Errors
/// `FIELD_NOT_ALLOWED` at the field that names the place; it has to be left empty.
pub fn keep_hidden(
    unit: &Unit<'_>,
    content: &Content,
    to: AreaCode,
    now: UnixMillis,
) -> Result<(), AppError> {
    let Some(field) = whereabouts(&content.body) else { return Ok(()) };
    let Some(person) = at_risk(unit, content)? else { return Ok(()) };
    let release = unit.get(&RELEASE, &(person, peer_key(to)))?;
    if release.is_some_and(|release| now < release.until) {
        return Ok(());
    }
    Err(Refusal::new(Reason::FieldNotAllowed).field(field).into())
}

/// Whether a message is about a person at risk: then its sender is not told either when it was opened here.
///
/// # Errors
/// When rows cannot be read.
pub fn is_about_one(unit: &Unit<'_>, content: &Content) -> Result<bool, AppError> {
    Ok(at_risk(unit, content)?.is_some())
}

/// The person whom a content is about, when she is at risk. A step inside a case names nobody: whom it is about is known
/// from the message that opened the case.
fn at_risk(unit: &Unit<'_>, content: &Content) -> Result<Option<PersonId>, AppError> {
    let id = match (&content.person, content.case) {
        (Some(reference), _) => {
            let subject = unit.find_subject(unit.document_hash(&reference.document))?;
            subject.map(|subject| subject.person())
        }
        (None, Some(case)) => person_of(unit, case.opening_message())?,
        (None, None) => None,
    };
    let Some(id) = id else { return Ok(None) };
    Ok(unit.person(id)?.filter(|person| person.details().at_risk).map(|_| id))
}

/// Whose message it is, whichever way it went.
fn person_of(unit: &Unit<'_>, message: MessageId) -> Result<Option<PersonId>, AppError> {
    for side in [Side::Received, Side::Sent] {
        let kept = unit.get_personal(&MESSAGE, &message_key(message, side))?;
        if let Some(Kept::Value { person, .. }) = kept {
            return Ok(Some(person));
        }
    }
    Ok(None)
}

/// Allows that one county is told, for [`RELEASED_FOR`], where a person at risk lives: a supervisor, with a reason that is
/// kept. In the access log before it returns.
///
/// # Errors
/// `ROLE_REQUIRED`; `NOT_FOUND` when she is not on record or not at risk.
pub async fn release(
    ctx: &Ctx,
    store: &Store,
    document: IdentityDocument,
    (to, reason): (AreaCode, WrittenReason),
) -> Result<ReleaseRow, AppError> {
    ctx.must(Permission::DecideAgreements)?;
    let ctx = ctx.clone();
    let work = move |unit: &mut Unit<'_>| {
        let hash = unit.document_hash(&document);
        let unknown = || AppError::from(Refusal::new(Reason::NotFound).field("document.number"));
        let subject = unit.find_subject(hash)?.ok_or_else(unknown)?;
        let person = unit.person(subject.person())?.ok_or_else(unknown)?;
        if !person.details().at_risk {
            return Err(unknown());
        }
        let (by, at) = (ctx.caller.operator.clone(), ctx.now);
        let row = ReleaseRow { by, at, until: at.saturating_add(RELEASED_FOR), reason };
        unit.put(&RELEASE, &(subject.person(), peer_key(to)), &row)?;
        let why = Why { basis: LawfulBasis::StatutoryDuty, purpose: Purpose::PersonRights };
        access::note(&ctx, unit, Act::on(AccessAction::Change, why, person_key(hash)))?;
        Ok(row)
    };
    Ok(store.commit(work).await?)
}

/// The field of a body that says where a person lives or went, if it is filled in. Every kind is named, so that a new
/// one does not compile until somebody has thought about it.
fn whereabouts(body: &Body) -> Option<&'static str> {
    match body {
        Body::ArrivalNotice(notice) => {
            notice.residence_area.map(|_| "content.arrival_notice.residence_area")
        }
        Body::DepartureNotice(notice) => {
            notice.destination_area.map(|_| "content.departure_notice.destination_area")
        }
        // Where a case goes when its person moves says where she is: it stays with the office that has it.
        Body::Forward(body) => (body.cause == TransferCause::PersonMoved).then_some("cause"),
        Body::HandOver(body) => (body.cause == TransferCause::PersonMoved).then_some("cause"),
        // A child is mostly born where its mother lives.
        Body::BirthReport(report) => report.birth_area.map(|_| "content.birth_report.birth_area"),
        // That she is registered here is what must not be known there.
        Body::OutflowFeedback(said) => {
            (said.outcome == OutflowOutcome::Arrived).then_some("content.outflow_feedback.outcome")
        }
        // These name a county of household registration, a place of a service she asked for, or none at all.
        Body::ArrivalFeedback(_)
        | Body::OutflowNotice(_)
        | Body::CertificateInquiry(_)
        | Body::CertificateStatement(_)
        | Body::CertificateNotice(_)
        | Body::BirthRegistrationInquiry(_)
        | Body::BirthRegistrationStatement(_)
        | Body::BirthRegistrationResult(_)
        | Body::PregnancyReport(_)
        | Body::PregnancyFeedback(_)
        | Body::ContraceptionReport(_)
        | Body::ContraceptionFeedback(_)
        | Body::BirthFeedback(_)
        | Body::ServiceReport(_)
        | Body::ServiceReferral(_)
        | Body::ReferralFeedback(_)
        | Body::Inquiry(_)
        | Body::InquiryAnswer(_)
        | Body::AgreementProposal(_)
        | Body::AgreementDecision(_)
        | Body::ProgressReport(_)
        | Body::Remind(_)
        | Body::Clarify(_)
        | Body::Clarification(_)
        | Body::Reject(_)
        | Body::Correct(_)
        | Body::Void(_)
        | Body::Close(_)
        | Body::HandOverOffer(_)
        | Body::HandOverAcceptance(_)
        | Body::HandOverWithdrawal(_)
        | Body::ConsentWithdrawal(_)
        | Body::ConsentWithdrawalDone(_)
        | Body::AgreementEnd(_) => None,
    }
}
