//! What offices say to each other: inquiries, agreements, progress ⇄ protobuf.

use std::collections::{BTreeMap, BTreeSet};

use domain::id::MessageId;
use domain::message::{
    AgreementDecision, AgreementProposal, Inquiry, InquiryAnswer, Kind, ProgressReport, Urgency,
};
use domain::purpose::Purpose;
use domain::rule::Rule;
use domain::text::{Note, Passage};
use domain::time::UnixMillis;

use super::registry::{reason_from, reason_text};
use super::{MalformedContent, Twin, field};
use crate::pb::message as pb;

impl Twin for Inquiry {
    type Pb = pb::Inquiry;

    fn to_pb(&self, why: &Purpose) -> pb::Inquiry {
        pb::Inquiry {
            urgency: field::number(self.urgency),
            service: field::number(self.service),
            question: self.question.expose(why).to_owned(),
        }
    }

    fn from_pb(twin: pb::Inquiry) -> Result<Self, MalformedContent> {
        let pb::Inquiry { urgency, service, question } = twin;
        Ok(Self {
            // The proto file says so: not stated is read as normal.
            urgency: field::maybe_listed("urgency", urgency)?.unwrap_or(Urgency::Normal),
            service: field::listed("service", service)?,
            question: field::read("question", &question, Passage::new)?,
        })
    }
}

impl Twin for InquiryAnswer {
    type Pb = pb::InquiryAnswer;

    fn to_pb(&self, why: &Purpose) -> pb::InquiryAnswer {
        let answer = self.answer.as_ref();
        pb::InquiryAnswer {
            outcome: field::number(self.outcome),
            answer: answer.map(|answer| answer.expose(why).to_owned()).unwrap_or_default(),
            reason: reason_text(&self.reason, why),
        }
    }

    fn from_pb(twin: pb::InquiryAnswer) -> Result<Self, MalformedContent> {
        let pb::InquiryAnswer { outcome, answer, reason } = twin;
        Ok(Self {
            outcome: field::listed("outcome", outcome)?,
            answer: field::maybe_read("answer", &answer, Passage::new)?,
            reason: reason_from(&reason)?,
        })
    }
}

impl Twin for AgreementProposal {
    type Pb = pb::AgreementProposal;

    fn to_pb(&self, why: &Purpose) -> pb::AgreementProposal {
        pb::AgreementProposal {
            agreement_id: self.agreement_id.as_bytes().to_vec(),
            version: self.version,
            kinds: self.kinds.iter().map(|kind| kind.name().to_owned()).collect(),
            purposes: self.purposes.iter().map(|purpose| u32::from(purpose.number())).collect(),
            valid_from: self.valid_from.to_string(),
            valid_until: self.valid_until.to_string(),
            retention_months: self.retention_months,
            contact: self.contact.expose(why).to_owned(),
        }
    }

    fn from_pb(twin: pb::AgreementProposal) -> Result<Self, MalformedContent> {
        let pb::AgreementProposal {
            agreement_id,
            version,
            kinds,
            purposes,
            valid_from,
            valid_until,
            retention_months,
            contact,
        } = twin;
        Ok(Self {
            agreement_id: field::id("agreement_id", &agreement_id)?,
            version,
            kinds: kinds_from(&kinds)?,
            purposes: purposes_from(&purposes)?,
            valid_from: field::parsed("valid_from", &valid_from)?,
            valid_until: field::parsed("valid_until", &valid_until)?,
            retention_months,
            contact: field::read("contact", &contact, Note::new)?,
        })
    }
}

impl Twin for AgreementDecision {
    type Pb = pb::AgreementDecision;

    fn to_pb(&self, why: &Purpose) -> pb::AgreementDecision {
        pb::AgreementDecision {
            agreement_id: self.agreement_id.as_bytes().to_vec(),
            version: self.version,
            accepted: self.accepted,
            reason: reason_text(&self.reason, why),
        }
    }

    fn from_pb(twin: pb::AgreementDecision) -> Result<Self, MalformedContent> {
        let pb::AgreementDecision { agreement_id, version, accepted, reason } = twin;
        Ok(Self {
            agreement_id: field::id("agreement_id", &agreement_id)?,
            version,
            accepted,
            reason: reason_from(&reason)?,
        })
    }
}

impl Twin for ProgressReport {
    type Pb = pb::ProgressReport;

    fn to_pb(&self, _why: &Purpose) -> pb::ProgressReport {
        let opening = |(id, opened): (&MessageId, &UnixMillis)| pb::Opening {
            message_id: id.as_bytes().to_vec(),
            opened_ms: opened.get(),
        };
        pb::ProgressReport { openings: self.openings.iter().map(opening).collect() }
    }

    fn from_pb(twin: pb::ProgressReport) -> Result<Self, MalformedContent> {
        let pb::ProgressReport { openings: listed } = twin;
        let mut openings = BTreeMap::new();
        for pb::Opening { message_id, opened_ms } in listed {
            let id: MessageId = field::id("openings.message_id", &message_id)?;
            if openings.insert(id, UnixMillis::new(opened_ms)).is_some() {
                return Err(MalformedContent::Repeated("openings"));
            }
        }
        Ok(Self { openings })
    }
}

/// Kinds by name, each once. A kind of a newer version cannot be agreed to by this one.
fn kinds_from(names: &[String]) -> Result<BTreeSet<Kind>, MalformedContent> {
    let mut kinds = BTreeSet::new();
    for name in names {
        let unknown = MalformedContent::Invalid { field: "kinds", rule: Rule::KindName };
        if !kinds.insert(Kind::from_name(name).ok_or(unknown)?) {
            return Err(MalformedContent::Repeated("kinds"));
        }
    }
    Ok(kinds)
}

fn purposes_from(numbers: &[u32]) -> Result<BTreeSet<Purpose>, MalformedContent> {
    let mut purposes = BTreeSet::new();
    for number in numbers {
        let unknown = MalformedContent::NotListed { field: "purposes", number: *number };
        let known = u8::try_from(*number).ok().and_then(Purpose::from_number);
        if !purposes.insert(known.ok_or(unknown)?) {
            return Err(MalformedContent::Repeated("purposes"));
        }
    }
    Ok(purposes)
}
