//! Certificates and birth registrations ⇄ protobuf.

use domain::message::{
    BirthRegistrationInquiry, BirthRegistrationResult, BirthRegistrationStatement,
    CertificateInquiry, CertificateNotice, CertificateStatement, PrintedNumber,
};
use domain::person::PersonName;
use domain::purpose::Purpose;
use domain::text::WrittenReason;

use super::{MalformedContent, Twin, field};
use crate::pb::message as pb;

impl Twin for CertificateInquiry {
    type Pb = pb::CertificateInquiry;

    fn to_pb(&self, _why: &Purpose) -> pb::CertificateInquiry {
        pb::CertificateInquiry {
            certificate_number: self.certificate_number.to_string(),
            claims: field::numbers(&self.claims),
        }
    }

    fn from_pb(twin: pb::CertificateInquiry) -> Result<Self, MalformedContent> {
        let pb::CertificateInquiry { certificate_number, claims } = twin;
        Ok(Self {
            certificate_number: field::parsed("certificate_number", &certificate_number)?,
            claims: field::set("claims", &claims)?,
        })
    }
}

impl Twin for CertificateStatement {
    type Pb = pb::CertificateStatement;

    fn to_pb(&self, why: &Purpose) -> pb::CertificateStatement {
        pb::CertificateStatement {
            certificate_number: self.certificate_number.to_string(),
            state: field::number(self.state),
            valid_until: field::maybe_text(self.valid_until.as_ref()),
            replaced_by: field::maybe_text(self.replaced_by.as_ref()),
            marital_status: field::maybe_number(self.marital_status),
            children: self.children.map(|count| u32::from(count.get())),
            reason: reason_text(&self.reason, why),
        }
    }

    fn from_pb(twin: pb::CertificateStatement) -> Result<Self, MalformedContent> {
        let pb::CertificateStatement {
            certificate_number,
            state,
            valid_until,
            replaced_by,
            marital_status,
            children,
            reason,
        } = twin;
        Ok(Self {
            certificate_number: field::parsed("certificate_number", &certificate_number)?,
            state: field::listed("state", state)?,
            valid_until: field::maybe_parsed("valid_until", &valid_until)?,
            replaced_by: field::maybe_parsed("replaced_by", &replaced_by)?,
            marital_status: field::maybe_listed("marital_status", marital_status)?,
            children: children.map(|count| field::children("children", count)).transpose()?,
            reason: reason_from(&reason)?,
        })
    }
}

impl Twin for CertificateNotice {
    type Pb = pb::CertificateNotice;

    fn to_pb(&self, _why: &Purpose) -> pb::CertificateNotice {
        pb::CertificateNotice {
            event: field::number(self.event),
            certificate_number: self.certificate_number.to_string(),
            valid_until: field::maybe_text(self.valid_until.as_ref()),
            replaces: field::maybe_text(self.replaces.as_ref()),
        }
    }

    fn from_pb(twin: pb::CertificateNotice) -> Result<Self, MalformedContent> {
        let pb::CertificateNotice { event, certificate_number, valid_until, replaces } = twin;
        Ok(Self {
            event: field::listed("event", event)?,
            certificate_number: field::parsed("certificate_number", &certificate_number)?,
            valid_until: field::maybe_parsed("valid_until", &valid_until)?,
            replaces: field::maybe_parsed("replaces", &replaces)?,
        })
    }
}

impl Twin for BirthRegistrationInquiry {
    type Pb = pb::BirthRegistrationInquiry;

    fn to_pb(&self, why: &Purpose) -> pb::BirthRegistrationInquiry {
        let spouse = self.spouse_name.as_ref();
        pb::BirthRegistrationInquiry {
            application_number: self.application_number.expose(why).to_owned(),
            spouse_name: spouse.map(|name| name.expose(why).to_owned()).unwrap_or_default(),
            married_on: field::maybe_text(self.married_on.as_ref()),
            children_stated: u32::from(self.children_stated.get()),
            papers_on: field::maybe_text(self.papers_on.as_ref()),
        }
    }

    fn from_pb(twin: pb::BirthRegistrationInquiry) -> Result<Self, MalformedContent> {
        let pb::BirthRegistrationInquiry {
            application_number,
            spouse_name,
            married_on,
            children_stated,
            papers_on,
        } = twin;
        Ok(Self {
            application_number: application_from(&application_number)?,
            spouse_name: field::maybe_read("spouse_name", &spouse_name, PersonName::parse)?,
            married_on: field::maybe_parsed("married_on", &married_on)?,
            children_stated: field::children("children_stated", children_stated)?,
            papers_on: field::maybe_parsed("papers_on", &papers_on)?,
        })
    }
}

impl Twin for BirthRegistrationStatement {
    type Pb = pb::BirthRegistrationStatement;

    fn to_pb(&self, why: &Purpose) -> pb::BirthRegistrationStatement {
        pb::BirthRegistrationStatement {
            outcome: field::number(self.outcome),
            marital_status: field::maybe_number(self.marital_status),
            children: self.children.map(|count| u32::from(count.get())),
            reason: reason_text(&self.reason, why),
        }
    }

    fn from_pb(twin: pb::BirthRegistrationStatement) -> Result<Self, MalformedContent> {
        let pb::BirthRegistrationStatement { outcome, marital_status, children, reason } = twin;
        Ok(Self {
            outcome: field::listed("outcome", outcome)?,
            marital_status: field::maybe_listed("marital_status", marital_status)?,
            children: children.map(|count| field::children("children", count)).transpose()?,
            reason: reason_from(&reason)?,
        })
    }
}

impl Twin for BirthRegistrationResult {
    type Pb = pb::BirthRegistrationResult;

    fn to_pb(&self, why: &Purpose) -> pb::BirthRegistrationResult {
        pb::BirthRegistrationResult {
            application_number: self.application_number.expose(why).to_owned(),
            result: field::number(self.result),
            decided_on: self.decided_on.to_string(),
            reason: reason_text(&self.reason, why),
        }
    }

    fn from_pb(twin: pb::BirthRegistrationResult) -> Result<Self, MalformedContent> {
        let pb::BirthRegistrationResult { application_number, result, decided_on, reason } = twin;
        Ok(Self {
            application_number: application_from(&application_number)?,
            result: field::listed("result", result)?,
            decided_on: field::parsed("decided_on", &decided_on)?,
            reason: reason_from(&reason)?,
        })
    }
}

fn application_from(text: &str) -> Result<PrintedNumber, MalformedContent> {
    field::read("application_number", text, PrintedNumber::parse)
}

/// The text of a written reason; empty when there is none.
pub(super) fn reason_text(reason: &Option<WrittenReason>, why: &Purpose) -> String {
    reason.as_ref().map(|reason| reason.expose(why).to_owned()).unwrap_or_default()
}

/// A written reason that may be left out.
pub(super) fn reason_from(text: &str) -> Result<Option<WrittenReason>, MalformedContent> {
    field::maybe_read("reason", text, WrittenReason::new)
}
