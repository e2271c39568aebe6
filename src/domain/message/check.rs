//! The rules a message must keep, judged by the same code before sending and after receiving.

mod body;

pub(super) use body::texts;

use std::collections::BTreeSet;

use crate::area::AreaCode;
use crate::reason::Reason;
use crate::time::{Date, UnixMillis};

use super::content::{Body, Content};
use super::kind::Kind;
use super::screen::{self, Found};
use crate::consent::{CONSENT_YEARS_MAX, ConsentReference, ConsentScope, ServiceRequestReference};
use crate::purpose::LawfulBasis;

/// How far the sender's clock may be ahead of ours when a day is judged to lie in the future.
pub const CLOCK_SKEW: std::time::Duration = std::time::Duration::from_secs(600);

/// What a message is checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckContext {
    /// Area that sends it.
    pub from: AreaCode,
    /// Area that receives it.
    pub to: AreaCode,
    /// The moment of the check, by the checker's clock.
    pub now: UnixMillis,
}

impl CheckContext {
    /// The day of the check, for what must still hold.
    fn today(&self) -> Date {
        self.now.date()
    }

    /// Whether a day lies in the future, allowing for a clock that is a little ahead at midnight.
    fn is_future(&self, day: Date) -> bool {
        day > self.now.saturating_add(CLOCK_SKEW).date()
    }
}

/// Why a message is not accepted, and which field it is about (as in the proto files, with dots).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {field}", .reason.code())]
pub struct Refusal {
    /// Reason of the catalogue.
    pub reason: Reason,
    /// The field.
    pub field: &'static str,
}

/// Collects what is wrong, so that a form can show everything at once.
struct Report(Vec<Refusal>);

impl Report {
    fn refuse(&mut self, reason: Reason, field: &'static str) {
        self.0.push(Refusal { reason, field });
    }

    fn refuse_if(&mut self, wrong: bool, reason: Reason, field: &'static str) {
        if wrong {
            self.refuse(reason, field);
        }
    }

    /// The field must be there exactly when `wanted`.
    fn exactly(&mut self, wanted: bool, there: bool, field: &'static str) {
        self.refuse_if(wanted && !there, Reason::FieldRequired, field);
        self.refuse_if(there && !wanted, Reason::FieldNotAllowed, field);
    }
}

impl Content {
    /// The first thing that is wrong, if anything is.
    pub fn check(&self, context: &CheckContext) -> Result<(), Refusal> {
        self.refusals(context).into_iter().next().map_or(Ok(()), Err)
    }

    /// Everything that is wrong, the gravest first: basis, references, person, body, texts.
    pub fn refusals(&self, context: &CheckContext) -> Vec<Refusal> {
        let mut report = Report(Vec::new());
        let found = self.screened();
        self.check_basis(context, &found, &mut report);
        self.check_references(&mut report);
        report.exactly(self.kind().needs_person(), self.person.is_some(), "person");
        body::check(&self.body, context, &mut report);
        for (field, found) in found {
            report.refuse_if(found.demand.is_some(), Reason::ForbiddenText, field);
        }
        report.0
    }

    /// Every text with what the screening finds in it. What offices say to each other about no person reveals nothing of one.
    fn screened(&self) -> Vec<(&'static str, Found)> {
        let again = self.asked_again.as_ref().map(|text| ("asked_again", text.raw()));
        let texts = body::texts(&self.body).into_iter().chain(again);
        let mut found: Vec<_> = texts.map(|(field, text)| (field, screen::screen(text))).collect();
        if !self.kind().needs_person() && !self.kind().is_step() {
            found.iter_mut().for_each(|(_, found)| found.reveals.clear());
        }
        found
    }

    /// What its texts alone give away about pregnancy or contraception.
    pub fn says(&self) -> BTreeSet<ConsentScope> {
        self.screened().into_iter().flat_map(|(_, found)| found.reveals).collect()
    }

    /// Basis and purpose must be among those of the kind; what reveals a pregnancy or contraception, by itself or in a text,
    /// needs the person's consent or her own request, whatever the kind.
    fn check_basis(
        &self,
        context: &CheckContext,
        found: &[(&'static str, Found)],
        report: &mut Report,
    ) {
        let mut reveals = self.body.reveals();
        let telling = found.iter().find(|(_, found)| !found.reveals.is_empty());
        // Where nothing but a text needs more, that is the field to look at.
        let text =
            telling.filter(|_| reveals.is_empty() && self.kind().bases().contains(&self.basis));
        let field = text.map_or("basis", |(field, _)| *field);
        reveals.extend(found.iter().flat_map(|(_, found)| &found.reveals));
        let allowed = if reveals.is_empty() {
            self.kind().bases()
        } else {
            &[LawfulBasis::Consent, LawfulBasis::ServiceRequest]
        };
        report.refuse_if(!allowed.contains(&self.basis), Reason::BasisRequired, field);
        let purposes = self.kind().purposes();
        report.refuse_if(!purposes.contains(&self.purpose), Reason::PurposeRequired, "purpose");
        match (self.basis, &self.consent) {
            (LawfulBasis::Consent, Some(consent)) => {
                self.check_consent(consent, &reveals, context, report);
            }
            (LawfulBasis::Consent, None) => report.refuse(Reason::BasisRequired, "consent"),
            (_, consent) => {
                report.refuse_if(consent.is_some(), Reason::FieldNotAllowed, "consent");
            }
        }
        match (self.basis, &self.service_request) {
            (LawfulBasis::ServiceRequest, Some(request)) => {
                self.check_request(request, &reveals, context, report);
            }
            (LawfulBasis::ServiceRequest, None) => {
                report.refuse(Reason::BasisRequired, "service_request");
            }
            (_, request) => {
                report.refuse_if(request.is_some(), Reason::FieldNotAllowed, "service_request");
            }
        }
    }

    /// The consent must name the county that is told. An answer goes back under the consent that let the
    /// question come, so there it may name the county that answers.
    fn check_consent(
        &self,
        consent: &ConsentReference,
        needed: &BTreeSet<ConsentScope>,
        context: &CheckContext,
        report: &mut Report,
    ) {
        if self.is_light_step() {
            return;
        }
        let scopes = !needed.is_empty() && needed.is_subset(&consent.scopes);
        report.refuse_if(!scopes, Reason::BasisRequired, "consent.scopes");
        let told = consent.recipient.county();
        let answer = self.kind().answers().is_some();
        let named = told == context.to.county() || (answer && told == context.from.county());
        report.refuse_if(!named, Reason::BasisRequired, "consent.recipient");
        let given = !context.is_future(consent.given_on);
        report.refuse_if(!given, Reason::BasisRequired, "consent.given_on");
        let longest = consent.given_on.plus_years(CONSENT_YEARS_MAX);
        let over = consent.valid_until < context.today() || consent.valid_until > longest;
        report.refuse_if(over, Reason::BasisRequired, "consent.valid_until");
    }

    /// A step that names no person rests on the ground that was judged when the case was opened: a case may
    /// outlive it, and has to be brought to its end all the same.
    const fn is_light_step(&self) -> bool {
        self.kind().is_step() && !self.kind().needs_person()
    }

    fn check_request(
        &self,
        request: &ServiceRequestReference,
        reveals: &BTreeSet<ConsentScope>,
        context: &CheckContext,
        report: &mut Report,
    ) {
        if self.is_light_step() {
            return;
        }
        // She asked one county. Whom that would give its side to, she has not asked; a consent names its recipient.
        let given_away = self.kind() == Kind::HandOver;
        report.refuse_if(given_away, Reason::BasisRequired, "service_request.request_id");
        let made = !context.is_future(request.requested_on);
        // At midnight "today" may be the day before the request; it then counts as made today.
        let on = context.today().max(request.requested_on);
        let holds = made && request.holds_on(on);
        report.refuse_if(!holds, Reason::BasisRequired, "service_request.requested_on");
        let covered = reveals.iter().all(|scope| request.service.covers(*scope));
        let same = self.body.service().is_none_or(|service| service == request.service);
        report.refuse_if(!covered || !same, Reason::BasisRequired, "service_request.service");
    }

    /// An answer names its case and question; a question opens a case and names neither.
    fn check_references(&self, report: &mut Report) {
        let kind = self.kind();
        let answer = kind.answers().is_some();
        report.exactly(answer, self.in_reply_to.is_some(), "in_reply_to");
        report.refuse_if(answer && self.case.is_none(), Reason::FieldRequired, "case_id");
        let opens = kind.answered_by().is_some();
        report.refuse_if(opens && self.case.is_some(), Reason::FieldNotAllowed, "case_id");
        let first = self.case.is_none();
        report.refuse_if(first && self.step != 0, Reason::FieldNotAllowed, "step");
        let step = kind.is_step();
        report.refuse_if(step && self.case.is_none(), Reason::FieldRequired, "case_id");
        report.refuse_if(step && self.step == 0, Reason::FieldRequired, "step");
        let ahead = matches!(&self.body, Body::HandOver(body) if body.steps.iter().any(|it| it.step >= self.step));
        report.refuse_if(ahead, Reason::InvalidField, "steps.step");
        let named = self.replaces.is_some();
        report.refuse_if(named && kind.is_sent_by_nodes(), Reason::FieldNotAllowed, "replaces");
        let taken = self.answered_from.is_some();
        report.refuse_if(taken && !answer, Reason::FieldNotAllowed, "answered_from");
        let again = self.asked_again.is_some();
        report.refuse_if(again && !opens, Reason::FieldNotAllowed, "asked_again");
        let question = named && self.replaces == self.in_reply_to;
        report.refuse_if(question, Reason::InvalidField, "replaces");
    }
}
