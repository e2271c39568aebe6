//! Persons at risk of harm: where they live is told to nobody outside, whatever a clerk types.

use domain::case::TransferCause;
use domain::message::{Body, Content};
use domain::reason::Reason;
use store::Unit;
use store::records::ReadRecords;

use super::{AppError, Refusal};

/// Refuses a message that would tell where a person at risk lives or went. Asked inside the unit that sends, so that a
/// flag set a moment before counts.
///
/// # Errors
/// `FIELD_NOT_ALLOWED` at the field that names the place; it has to be left empty.
pub fn keep_hidden(unit: &Unit<'_>, content: &Content) -> Result<(), AppError> {
    let (Some(field), Some(reference)) = (whereabouts(&content.body), &content.person) else {
        return Ok(());
    };
    let hash = unit.document_hash(&reference.document);
    let Some(subject) = unit.find_subject(hash)? else { return Ok(()) };
    match unit.person(subject.person())? {
        Some(person) if person.details().at_risk => {
            Err(Refusal::new(Reason::FieldNotAllowed).field(field).into())
        }
        Some(_) | None => Ok(()),
    }
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
        // These name a county of household registration, a place of birth, or none at all.
        Body::ArrivalFeedback(_)
        | Body::OutflowNotice(_)
        | Body::OutflowFeedback(_)
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
        | Body::BirthReport(_)
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
        | Body::HandOverWithdrawal(_) => None,
    }
}
