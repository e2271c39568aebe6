//! Ask once: whether an earlier report of the office that is asked answers a question, so that neither its clerk nor the
//! person is asked again.
//!
//! Only what was said plainly counts: a report that is older than agreed, that a later one has overtaken, or that said
//! "cannot verify" answers nothing.

use crate::id::MessageId;
use crate::message::{
    Body, CertificateClaim, CertificateEvent, CertificateInquiry, CertificateNotice,
    CertificateState, CertificateStatement, Content, Inquiry, InquiryAnswer, Kind, OutflowFeedback,
    OutflowNotice, OutflowOutcome, StatementOutcome,
};
use crate::time::{Date, UnixMillis};

/// An earlier report about the same person, by the office that is asked to the office that asks.
#[derive(Clone, Debug)]
pub struct Report {
    /// Which message.
    pub id: MessageId,
    /// When it was made.
    pub at: UnixMillis,
    /// What it says.
    pub content: Content,
    /// What it answers, where it is an answer.
    pub question: Option<Content>,
}

/// Whether messages of this kind can answer a later question.
pub const fn is_report(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::ArrivalNotice
            | Kind::DepartureNotice
            | Kind::OutflowFeedback
            | Kind::CertificateNotice
            | Kind::CertificateStatement
            | Kind::InquiryAnswer
    )
}

/// Whether a question of this kind can be answered by an earlier report.
pub const fn is_question(kind: Kind) -> bool {
    matches!(kind, Kind::CertificateInquiry | Kind::OutflowNotice | Kind::Inquiry)
}

/// The answer that the newest fitting report gives, and which report that is. `reports` are in any order; those made more
/// than `days` before `today` are too old.
pub fn answer(
    question: &Content,
    reports: &[Report],
    days: u16,
    today: Date,
) -> Option<(MessageId, Body)> {
    if question.asked_again.is_some() {
        return None;
    }
    let hers = |report: &&Report| {
        report.content.person.as_ref().map(|person| &person.document)
            == question.person.as_ref().map(|person| &person.document)
    };
    let mut reports: Vec<_> = reports.iter().filter(hers).collect();
    reports.sort_by_key(|report| std::cmp::Reverse((report.at, report.id)));
    let (report, body) = match &question.body {
        Body::CertificateInquiry(asked) => certificate(asked, &reports, today)?,
        Body::OutflowNotice(asked) => outflow(asked, &reports)?,
        Body::Inquiry(asked) => inquiry(asked, &reports)?,
        _ => return None,
    };
    let fresh = report.at.date().plus_days(i32::from(days)) >= today;
    fresh.then_some((report.id, body))
}

fn certificate<'a>(
    asked: &CertificateInquiry,
    reports: &[&'a Report],
    today: Date,
) -> Option<(&'a Report, Body)> {
    let number = asked.certificate_number;
    let said = |report: &&'a Report| match &report.content.body {
        Body::CertificateStatement(said) if said.certificate_number == number => {
            Some((*report, said.clone()))
        }
        Body::CertificateNotice(said) => Some((*report, noticed(said, asked)?)),
        _ => None,
    };
    let (report, mut said) = reports.iter().find_map(said)?;
    let plain = match said.state {
        CertificateState::Valid => said.valid_until.is_some_and(|until| until >= today),
        CertificateState::Expired | CertificateState::Replaced | CertificateState::Revoked => true,
        CertificateState::NotIssued | CertificateState::CannotVerify => false,
    };
    let wants = |claim| asked.claims.contains(&claim);
    let status = wants(CertificateClaim::MaritalStatus);
    let children = wants(CertificateClaim::Children);
    let whole =
        (!status || said.marital_status.is_some()) && (!children || said.children.is_some());
    said.marital_status = said.marital_status.filter(|_| status);
    said.children = said.children.filter(|_| children);
    (plain && whole).then(|| (report, said.into()))
}

/// What a notice says about the certificate that is asked about.
fn noticed(said: &CertificateNotice, asked: &CertificateInquiry) -> Option<CertificateStatement> {
    let number = asked.certificate_number;
    let state = match said.event {
        CertificateEvent::Replaced if said.replaces == Some(number) => CertificateState::Replaced,
        _ if said.certificate_number != number => return None,
        CertificateEvent::Issued | CertificateEvent::Renewed | CertificateEvent::Replaced => {
            CertificateState::Valid
        }
        CertificateEvent::Revoked => CertificateState::Revoked,
    };
    let replaced = state == CertificateState::Replaced;
    Some(CertificateStatement {
        certificate_number: number,
        state,
        valid_until: said.valid_until.filter(|_| state == CertificateState::Valid),
        replaced_by: replaced.then_some(said.certificate_number),
        marital_status: None,
        children: None,
        reason: None,
    })
}

/// She is registered there when the last that was said is that she arrived, after she had left.
fn outflow<'a>(asked: &OutflowNotice, reports: &[&'a Report]) -> Option<(&'a Report, Body)> {
    let said = |report: &&'a Report| match &report.content.body {
        Body::ArrivalNotice(said) => Some((*report, Some(said.arrived_on))),
        Body::OutflowFeedback(said) => Some((*report, said.arrived_on)),
        Body::DepartureNotice(_) => Some((*report, None)),
        _ => None,
    };
    let (report, arrived_on) = reports.iter().find_map(said)?;
    let arrived_on = arrived_on.filter(|day| *day >= asked.left_on)?;
    let outcome = OutflowOutcome::Arrived;
    let body = OutflowFeedback { outcome, arrived_on: Some(arrived_on), note: None };
    Some((report, body.into()))
}

/// The same question about the same service was answered.
fn inquiry<'a>(asked: &Inquiry, reports: &[&'a Report]) -> Option<(&'a Report, Body)> {
    let said = |report: &&'a Report| {
        let Some(Body::Inquiry(before)) = report.question.as_ref().map(|asked| &asked.body) else {
            return None;
        };
        let same = (before.service, &before.question) == (asked.service, &asked.question);
        match &report.content.body {
            Body::InquiryAnswer(said) if same => Some((*report, said.clone())),
            _ => None,
        }
    };
    let (report, said): (_, InquiryAnswer) = reports.iter().find_map(said)?;
    let plain = match said.outcome {
        StatementOutcome::Confirmed | StatementOutcome::Differs | StatementOutcome::NotOurs => true,
        StatementOutcome::CannotVerify | StatementOutcome::PersonDeclined => false,
    };
    plain.then(|| (report, said.into()))
}

#[cfg(test)]
mod tests;
