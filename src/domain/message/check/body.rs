//! What must fit together inside a body, and which of its fields are free text.

use std::time::Duration;

use crate::agreement::OfficeSignature;
use crate::case::Deed;
use crate::message::bodies::*;
use crate::message::content::Body;
use crate::message::kind::Kind;
use crate::message::outcome::*;
use crate::message::steps::*;
use crate::reason::Reason;
use crate::service::Service;
use crate::text::{Note, Passage, WrittenReason};
use crate::time::{Date, Month};

use super::{CheckContext, Report};

/// How far from today an expected month may lie, months.
const EXPECTED_MONTHS_MAX: i32 = 12;
/// How long ago papers may have come, days; what is entered late may also travel for long.
const PAPERS_OLDEST_DAYS: i32 = 2 * 366;
/// A case is not kept in the balance for longer than a month; a day for clocks that differ.
const OFFER_LONGEST: Duration = Duration::from_secs(31 * 86_400);

/// Checks one body; every kind is named, so that a new one does not compile until its rules are written.
pub(super) fn check(body: &Body, context: &CheckContext, report: &mut Report) {
    match body {
        Body::ArrivalNotice(body) => report.past(body.arrived_on, context, "arrived_on"),
        Body::ArrivalFeedback(body) => arrival_feedback(body, report),
        Body::DepartureNotice(body) => report.past(body.departed_on, context, "departed_on"),
        Body::OutflowNotice(body) => report.past(body.left_on, context, "left_on"),
        Body::OutflowFeedback(body) => {
            let arrived = body.outcome == OutflowOutcome::Arrived;
            report.exactly(arrived, body.arrived_on.is_some(), "arrived_on");
            report.past(body.arrived_on, context, "arrived_on");
        }
        Body::CertificateInquiry(body) => {
            report.refuse_if(body.claims.is_empty(), Reason::FieldRequired, "claims");
        }
        Body::CertificateStatement(body) => certificate_statement(body, report),
        Body::CertificateNotice(body) => certificate_notice(body, report),
        Body::BirthRegistrationInquiry(body) => {
            report.past(body.married_on, context, "married_on");
            report.past(body.papers_on, context, "papers_on");
            let oldest = context.today().plus_days(-PAPERS_OLDEST_DAYS);
            let old = body.papers_on.is_some_and(|day| day < oldest);
            report.refuse_if(old, Reason::InvalidField, "papers_on");
        }
        Body::BirthRegistrationStatement(body) => {
            report.reasoned(body.outcome != StatementOutcome::Confirmed, &body.reason);
        }
        Body::BirthRegistrationResult(body) => {
            report.past(body.decided_on, context, "decided_on");
            report.reasoned(body.result == RegistrationResult::Refused, &body.reason);
        }
        Body::PregnancyReport(body) => expected_month(body.expected_month, context, report),
        Body::PregnancyFeedback(body) => {
            report.feedback(body.outcome, &body.note);
            report.arranged(body.outcome, !body.services_arranged.is_empty());
        }
        Body::ContraceptionReport(body) => report.past(body.served_on, context, "served_on"),
        Body::ContraceptionFeedback(body) => {
            report.feedback(body.outcome, &body.note);
            report.arranged(body.outcome, !body.services_arranged.is_empty());
        }
        Body::BirthReport(body) => {
            report.past(body.born_on, context, "born_on");
            let none = body.children_born.get() == 0;
            report.refuse_if(none, Reason::InvalidField, "children_born");
        }
        Body::BirthFeedback(body) => report.feedback(body.outcome, &body.note),
        Body::ServiceReport(body) => {
            report.past(body.served_on, context, "served_on");
            report.named(body.service, &body.note);
        }
        Body::ServiceReferral(body) => report.named(body.service, &body.note),
        Body::ReferralFeedback(body) => {
            let booked = body.outcome == ReferralOutcome::Booked;
            report.exactly(booked, body.appointment_on.is_some(), "appointment_on");
            report.exactly(booked, body.place.is_some(), "place");
            report.reasoned(body.outcome == ReferralOutcome::Declined, &body.reason);
        }
        // A question cannot be empty or too long by its type.
        Body::Inquiry(_) => (),
        Body::InquiryAnswer(body) => {
            let owed = match body.outcome {
                StatementOutcome::Differs | StatementOutcome::CannotVerify => true,
                StatementOutcome::Confirmed
                | StatementOutcome::PersonDeclined
                | StatementOutcome::NotOurs => false,
            };
            report.reasoned(owed, &body.reason);
        }
        Body::AgreementProposal(body) => agreement_proposal(body, report),
        Body::AgreementDecision(body) => {
            report.refuse_if(body.version == 0, Reason::InvalidField, "version");
            report.reasoned(!body.accepted, &body.reason);
            let stray = !body.accepted && body.contact.is_some();
            report.refuse_if(stray, Reason::FieldNotAllowed, "contact");
            report.signed(&body.signature);
        }
        Body::AgreementEnd(body) => {
            report.refuse_if(body.version == 0, Reason::InvalidField, "version");
            report.signed(&body.signature);
        }
        // An id and a time that cannot be wrong by their types.
        Body::ConsentWithdrawal(_) | Body::ConsentWithdrawalDone(_) => (),
        Body::ProgressReport(body) => {
            report.refuse_if(body.openings.is_empty(), Reason::FieldRequired, "openings");
            let many = body.openings.len() > OPENINGS_MAX;
            report.refuse_if(many, Reason::TooLarge, "openings");
        }
        // Nothing in these can contradict itself; a refusal without a written reason cannot be made.
        Body::Remind(_)
        | Body::Clarify(_)
        | Body::Clarification(_)
        | Body::Reject(_)
        | Body::Correct(_)
        | Body::Void(_)
        | Body::Close(_) => (),
        Body::Forward(body) => report.term(body.term),
        Body::HandOverOffer(body) => {
            report.term(body.term);
            let opens = body.kind.answered_by().is_some();
            report.refuse_if(!opens, Reason::InvalidField, "kind");
            let latest = context.now.saturating_add(OFFER_LONGEST);
            report.refuse_if(body.until > latest, Reason::InvalidField, "until_ms");
        }
        Body::HandOverAcceptance(body) => report.term(body.term),
        Body::HandOverWithdrawal(body) => report.term(body.term),
        Body::HandOver(body) => hand_over(body, report),
    }
}

/// Every free text of a body with the name of its field.
pub(in crate::message) fn texts(body: &Body) -> Vec<(&'static str, &str)> {
    match body {
        Body::ArrivalNotice(_)
        | Body::DepartureNotice(_)
        | Body::OutflowNotice(_)
        | Body::CertificateInquiry(_)
        | Body::CertificateNotice(_)
        | Body::ProgressReport(_)
        | Body::Forward(_)
        | Body::HandOverOffer(_)
        | Body::HandOverAcceptance(_)
        | Body::HandOverWithdrawal(_)
        | Body::ConsentWithdrawal(_)
        | Body::ConsentWithdrawalDone(_) => Vec::new(),
        Body::ArrivalFeedback(b) => some(&[
            ("corrected_name", b.corrected_name.as_ref().map(|name| name.raw())),
            ("note", raw(&b.note)),
        ]),
        Body::OutflowFeedback(b) => some(&[("note", raw(&b.note))]),
        Body::CertificateStatement(b) => some(&[("reason", written(&b.reason))]),
        Body::BirthRegistrationInquiry(b) => some(&[
            ("application_number", Some(b.application_number.raw())),
            ("spouse_name", b.spouse_name.as_ref().map(|name| name.raw())),
        ]),
        Body::BirthRegistrationStatement(b) => some(&[("reason", written(&b.reason))]),
        Body::BirthRegistrationResult(b) => some(&[
            ("application_number", Some(b.application_number.raw())),
            ("reason", written(&b.reason)),
        ]),
        Body::PregnancyReport(b) => some(&[("note", raw(&b.note))]),
        Body::PregnancyFeedback(b) => some(&[("note", raw(&b.note))]),
        Body::ContraceptionReport(b) => some(&[("note", raw(&b.note))]),
        Body::ContraceptionFeedback(b) => some(&[("note", raw(&b.note))]),
        Body::BirthReport(b) => some(&[(
            "birth_certificate_number",
            b.birth_certificate_number.as_ref().map(|number| number.raw()),
        )]),
        Body::BirthFeedback(b) => some(&[("note", raw(&b.note))]),
        Body::ServiceReport(b) => some(&[("note", raw(&b.note))]),
        Body::ServiceReferral(b) => some(&[("note", raw(&b.note))]),
        Body::ReferralFeedback(b) => {
            some(&[("place", raw(&b.place)), ("reason", written(&b.reason))])
        }
        Body::Inquiry(b) => some(&[("question", Some(b.question.raw()))]),
        Body::InquiryAnswer(b) => {
            some(&[("answer", b.answer.as_ref().map(Passage::raw)), ("reason", written(&b.reason))])
        }
        Body::AgreementProposal(b) => some(&[("contact", Some(b.terms.contact.raw()))]),
        Body::AgreementDecision(b) => {
            some(&[("reason", written(&b.reason)), ("contact", raw(&b.contact))])
        }
        Body::AgreementEnd(b) => some(&[("reason", Some(b.reason.raw()))]),
        Body::Remind(b) => some(&[("note", raw(&b.note))]),
        Body::Clarify(b) => some(&[("question", Some(b.question.raw()))]),
        Body::Clarification(b) => some(&[("answer", Some(b.answer.raw()))]),
        Body::Reject(b) => some(&[("reason", Some(b.reason.raw()))]),
        Body::Correct(b) => some(&[("correction", Some(b.correction.raw()))]),
        Body::Void(b) => some(&[("reason", Some(b.reason.raw()))]),
        Body::Close(b) => some(&[("note", raw(&b.note))]),
        Body::HandOver(b) => b
            .documents
            .iter()
            .flat_map(|document| texts(&document.content.body))
            .map(|(_, text)| ("documents", text))
            .collect(),
    }
}

fn raw(note: &Option<Note>) -> Option<&str> {
    note.as_ref().map(Note::raw)
}

fn written(reason: &Option<WrittenReason>) -> Option<&str> {
    reason.as_ref().map(WrittenReason::raw)
}

fn some<'a>(texts: &[(&'static str, Option<&'a str>)]) -> Vec<(&'static str, &'a str)> {
    texts.iter().filter_map(|(field, text)| Some((*field, (*text)?))).collect()
}

impl Report {
    /// The day must not lie in the future.
    fn past(&mut self, day: impl Into<Option<Date>>, context: &CheckContext, field: &'static str) {
        let future = day.into().is_some_and(|day| context.is_future(day));
        self.refuse_if(future, Reason::DateInFuture, field);
    }

    /// A written reason is owed.
    fn reasoned(&mut self, owed: bool, reason: &Option<WrittenReason>) {
        self.refuse_if(owed && reason.is_none(), Reason::ReasonTextRequired, "reason");
    }

    /// "Differs" says how in the note.
    fn feedback(&mut self, outcome: FeedbackOutcome, note: &Option<Note>) {
        let owed = outcome == FeedbackOutcome::Differs;
        self.refuse_if(owed && note.is_none(), Reason::FieldRequired, "note");
    }

    /// "Service arranged" says which.
    fn arranged(&mut self, outcome: FeedbackOutcome, any: bool) {
        self.exactly(outcome == FeedbackOutcome::ServiceArranged, any, "services_arranged");
    }

    /// The first office holds a side in term 1; nobody is given that one.
    fn term(&mut self, term: u32) {
        self.refuse_if(term < 2, Reason::InvalidField, "term");
    }

    /// A node signs what it says about an agreement.
    fn signed(&mut self, signature: &Option<OfficeSignature>) {
        self.refuse_if(signature.is_none(), Reason::FieldRequired, "signature");
        let wrong = signature.as_ref().is_some_and(|signature| !signature.is_well_formed());
        self.refuse_if(wrong, Reason::SignatureInvalid, "signature");
    }

    /// "Another service" is named in the note.
    fn named(&mut self, service: Service, note: &Option<Note>) {
        let owed = service == Service::Other;
        self.refuse_if(owed && note.is_none(), Reason::FieldRequired, "note");
    }
}

fn arrival_feedback(body: &ArrivalFeedback, report: &mut Report) {
    let ArrivalFeedback { outcome, corrected_name, moved_to_area, note } = body;
    let corrected = *outcome == ArrivalOutcome::Corrected;
    let said = corrected_name.is_some() || note.is_some();
    report.refuse_if(corrected && !said, Reason::FieldRequired, "corrected_name");
    let stray = !corrected && corrected_name.is_some();
    report.refuse_if(stray, Reason::FieldNotAllowed, "corrected_name");
    let moved = *outcome == ArrivalOutcome::MovedTo;
    report.exactly(moved, moved_to_area.is_some(), "moved_to_area");
}

fn certificate_statement(body: &CertificateStatement, report: &mut Report) {
    use CertificateState as S;
    let replaced = body.state == S::Replaced;
    report.exactly(replaced, body.replaced_by.is_some(), "replaced_by");
    match body.state {
        S::Valid | S::Expired => report.exactly(true, body.valid_until.is_some(), "valid_until"),
        S::NotIssued | S::CannotVerify => {
            report.exactly(false, body.valid_until.is_some(), "valid_until");
        }
        S::Replaced | S::Revoked => (),
    }
    report.reasoned(body.state == S::CannotVerify, &body.reason);
}

fn certificate_notice(body: &CertificateNotice, report: &mut Report) {
    let replaced = body.event == CertificateEvent::Replaced;
    report.exactly(replaced, body.replaces.is_some(), "replaces");
    let ends = body.event != CertificateEvent::Revoked;
    report.refuse_if(ends && body.valid_until.is_none(), Reason::FieldRequired, "valid_until");
    let itself = body.replaces == Some(body.certificate_number);
    report.refuse_if(itself, Reason::InvalidField, "replaces");
}

fn expected_month(month: Option<Month>, context: &CheckContext, report: &mut Report) {
    let count = |month: Month| i32::from(month.year()) * 12 + i32::from(month.number());
    let today = count(context.today().month());
    let far = month.is_some_and(|month| (count(month) - today).abs() > EXPECTED_MONTHS_MAX);
    report.refuse_if(far, Reason::InvalidField, "expected_month");
}

fn agreement_proposal(body: &AgreementProposal, report: &mut Report) {
    report.refuse_if(body.version == 0, Reason::InvalidField, "version");
    for (reason, field) in body.terms.faults() {
        report.refuse(reason, field);
    }
    report.signed(&body.signature);
}

/// A hand-over brings a case that somebody opened, and never another hand-over.
fn hand_over(body: &HandOver, report: &mut Report) {
    report.term(body.term);
    let opens = body.steps.first().is_some_and(|step| matches!(step.deed, Deed::Open { .. }));
    report.refuse_if(!opens, Reason::FieldRequired, "steps");
    report.refuse_if(body.steps.len() > STEPS_MAX, Reason::TooLarge, "steps");
    report.refuse_if(body.documents.is_empty(), Reason::FieldRequired, "documents");
    report.refuse_if(body.documents.len() > DOCUMENTS_MAX, Reason::TooLarge, "documents");
    let nested = |document: &Document| document.content.kind() == Kind::HandOver;
    report.refuse_if(body.documents.iter().any(nested), Reason::FieldNotAllowed, "documents");
    // What she asked of one county is not for another one to read.
    let asked = |document: &Document| document.content.service_request.is_some();
    let asked = body.documents.iter().any(asked);
    report.refuse_if(asked, Reason::BasisRequired, "documents.content.service_request");
}
