//! Content of a message ⇄ protobuf. Conversion only: whether a message may be sent is decided in `domain`.

mod agreement;
mod care;
mod error;
mod field;
mod movement;
mod office;
mod registry;
mod steps;
#[cfg(test)]
mod tests;

pub use error::MalformedContent;

use domain::consent::{ConsentReference, ServiceRequestReference};
use domain::message::{AgreementProposal, Body, Content};
use domain::person::{IdentityDocument, PersonName, PersonReference};
use domain::purpose::Purpose;
use domain::rule::Violation;
use domain::text::Note;
use prost::Message;

use crate::pb::message as pb;

/// The bytes of a content, as they are padded and sealed.
pub fn encode_content(content: &Content) -> Vec<u8> {
    content_to_pb(content).encode_to_vec()
}

/// Reads the bytes of an opened envelope. No error text repeats a value.
pub fn decode_content(bytes: &[u8]) -> Result<Content, MalformedContent> {
    let content = pb::Content::decode(bytes).map_err(MalformedContent::NotProtobuf)?;
    content_from_pb(content)
}

/// A content as the generated type, for the office API, which carries the same message.
pub fn content_to_pb(content: &Content) -> pb::Content {
    let why = &content.purpose;
    pb::Content {
        case_id: field::id_bytes(content.case.as_ref().map(|id| id.as_bytes())),
        in_reply_to: field::id_bytes(content.in_reply_to.as_ref().map(|id| id.as_bytes())),
        basis: field::number(content.basis),
        purpose: field::number(content.purpose),
        consent: content.consent.as_ref().map(|consent| consent.to_pb(why)),
        service_request: content.service_request.as_ref().map(|request| request.to_pb(why)),
        person: content.person.as_ref().map(|person| person.to_pb(why)),
        replaces: field::id_bytes(content.replaces.as_ref().map(|id| id.as_bytes())),
        step: content.step,
        answered_from: field::id_bytes(content.answered_from.as_ref().map(|id| id.as_bytes())),
        asked_again: movement::note_text(&content.asked_again, why),
        body: Some(content.body.to_pb(why)),
    }
}

/// A content from the generated type.
pub fn content_from_pb(content: pb::Content) -> Result<Content, MalformedContent> {
    let pb::Content {
        case_id,
        in_reply_to,
        basis,
        purpose,
        consent,
        service_request,
        person,
        replaces,
        step,
        answered_from,
        asked_again,
        body,
    } = content;
    Ok(Content {
        case: field::maybe_id("case_id", &case_id)?,
        in_reply_to: field::maybe_id("in_reply_to", &in_reply_to)?,
        basis: field::listed("basis", basis)?,
        purpose: field::listed("purpose", purpose)?,
        consent: consent.map(ConsentReference::from_pb).transpose()?,
        service_request: service_request.map(ServiceRequestReference::from_pb).transpose()?,
        person: person.map(PersonReference::from_pb).transpose()?,
        replaces: field::maybe_id("replaces", &replaces)?,
        step,
        answered_from: field::maybe_id("answered_from", &answered_from)?,
        asked_again: field::maybe_read("asked_again", &asked_again, Note::new)?,
        body: Body::from_pb(body.ok_or(MalformedContent::Missing("body"))?)?,
    })
}

/// The body of a message as the generated type, for services that show it by itself.
pub fn agreement_body(body: &Body) -> pb::content::Body {
    body.to_pb(&Purpose::OfficeAgreement)
}

/// A proposal from the generated type, as it is entered at an office.
pub fn agreement_proposal(
    proposal: pb::AgreementProposal,
) -> Result<AgreementProposal, MalformedContent> {
    AgreementProposal::from_pb(proposal)
}

/// A document from the generated type.
pub fn body_from_pb(body: pb::content::Body) -> Result<Body, MalformedContent> {
    Body::from_pb(body)
}

/// Whom a message is about, from the generated type.
pub fn person_from_pb(person: pb::PersonReference) -> Result<PersonReference, MalformedContent> {
    PersonReference::from_pb(person)
}

/// A domain type and its generated twin. `from_pb` takes the twin apart without `..`, so that a new field
/// stops the build until somebody has thought about it.
pub(crate) trait Twin: Sized {
    /// The generated type.
    type Pb;
    /// For sending; `why` is the purpose the message states.
    fn to_pb(&self, why: &Purpose) -> Self::Pb;
    /// For reading.
    fn from_pb(twin: Self::Pb) -> Result<Self, MalformedContent>;
}

macro_rules! twin_body {
    ($($kind:ident,)+) => {
        impl Twin for Body {
            type Pb = pb::content::Body;

            fn to_pb(&self, why: &Purpose) -> pb::content::Body {
                match self { $( Self::$kind(body) => pb::content::Body::$kind(body.to_pb(why)), )+ }
            }

            fn from_pb(twin: pb::content::Body) -> Result<Self, MalformedContent> {
                match twin { $(
                    pb::content::Body::$kind(body) => Twin::from_pb(body).map(Self::$kind),
                )+ }
            }
        }
    };
}

twin_body! {
    ArrivalNotice,
    ArrivalFeedback,
    DepartureNotice,
    OutflowNotice,
    OutflowFeedback,
    CertificateInquiry,
    CertificateStatement,
    CertificateNotice,
    BirthRegistrationInquiry,
    BirthRegistrationStatement,
    BirthRegistrationResult,
    PregnancyReport,
    PregnancyFeedback,
    ContraceptionReport,
    ContraceptionFeedback,
    BirthReport,
    BirthFeedback,
    ServiceReport,
    ServiceReferral,
    ReferralFeedback,
    Inquiry,
    InquiryAnswer,
    AgreementProposal,
    AgreementDecision,
    ProgressReport,
    Remind,
    Clarify,
    Clarification,
    Reject,
    Forward,
    Correct,
    Void,
    Close,
    HandOverOffer,
    HandOverAcceptance,
    HandOverWithdrawal,
    HandOver,
    ConsentWithdrawal,
    ConsentWithdrawalDone,
    AgreementEnd,
}

impl Twin for ConsentReference {
    type Pb = pb::ConsentReference;

    fn to_pb(&self, _why: &Purpose) -> pb::ConsentReference {
        pb::ConsentReference {
            consent_id: self.consent_id.as_bytes().to_vec(),
            given_on: self.given_on.to_string(),
            valid_until: self.valid_until.to_string(),
            recipient: self.recipient.to_string(),
            scopes: field::numbers(&self.scopes),
        }
    }

    fn from_pb(twin: pb::ConsentReference) -> Result<Self, MalformedContent> {
        let pb::ConsentReference { consent_id, given_on, valid_until, recipient, scopes } = twin;
        Ok(Self {
            consent_id: field::id("consent.consent_id", &consent_id)?,
            given_on: field::parsed("consent.given_on", &given_on)?,
            valid_until: field::parsed("consent.valid_until", &valid_until)?,
            recipient: field::parsed("consent.recipient", &recipient)?,
            scopes: field::set("consent.scopes", &scopes)?,
        })
    }
}

impl Twin for ServiceRequestReference {
    type Pb = pb::ServiceRequestReference;

    fn to_pb(&self, _why: &Purpose) -> pb::ServiceRequestReference {
        pb::ServiceRequestReference {
            request_id: self.request_id.as_bytes().to_vec(),
            requested_on: self.requested_on.to_string(),
            service: field::number(self.service),
        }
    }

    fn from_pb(twin: pb::ServiceRequestReference) -> Result<Self, MalformedContent> {
        let pb::ServiceRequestReference { request_id, requested_on, service } = twin;
        Ok(Self {
            request_id: field::id("service_request.request_id", &request_id)?,
            requested_on: field::parsed("service_request.requested_on", &requested_on)?,
            service: field::listed("service_request.service", service)?,
        })
    }
}

impl Twin for PersonReference {
    type Pb = pb::PersonReference;

    fn to_pb(&self, why: &Purpose) -> pb::PersonReference {
        pb::PersonReference {
            document: Some(self.document.to_pb(why)),
            name: self.name.expose(why).to_owned(),
        }
    }

    fn from_pb(twin: pb::PersonReference) -> Result<Self, MalformedContent> {
        let pb::PersonReference { document, name } = twin;
        let document = document.ok_or(MalformedContent::Missing("person.document"))?;
        Ok(Self {
            document: IdentityDocument::from_pb(document)?,
            name: field::read("person.name", &name, PersonName::parse)?,
        })
    }
}

impl Twin for IdentityDocument {
    type Pb = pb::IdentityDocument;

    fn to_pb(&self, why: &Purpose) -> pb::IdentityDocument {
        pb::IdentityDocument {
            kind: field::number(self.kind()),
            number: self.expose(why).to_owned(),
            check_confirmed: self.check_confirmed(),
        }
    }

    fn from_pb(twin: pb::IdentityDocument) -> Result<Self, MalformedContent> {
        let pb::IdentityDocument { kind, number, check_confirmed } = twin;
        let kind = field::listed("person.document.kind", kind)?;
        Self::new(kind, &number, check_confirmed).map_err(|error| MalformedContent::Invalid {
            field: "person.document.number",
            rule: error.rule(),
        })
    }
}
