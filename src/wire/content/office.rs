//! What offices say to each other: inquiries, progress, withdrawals of a consent ⇄ protobuf.

use std::collections::BTreeMap;

use domain::consent::Ground;
use domain::id::MessageId;
use domain::message::{
    ConsentWithdrawal, ConsentWithdrawalDone, Inquiry, InquiryAnswer, ProgressReport, Urgency,
};
use domain::purpose::Purpose;
use domain::text::Passage;
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

impl Twin for ConsentWithdrawal {
    type Pb = pb::ConsentWithdrawal;

    fn to_pb(&self, _why: &Purpose) -> pb::ConsentWithdrawal {
        let (consent_id, request_id) = ids(self.ground);
        pb::ConsentWithdrawal { consent_id, withdrawn_ms: self.withdrawn.get(), request_id }
    }

    fn from_pb(twin: pb::ConsentWithdrawal) -> Result<Self, MalformedContent> {
        let pb::ConsentWithdrawal { consent_id, withdrawn_ms, request_id } = twin;
        let withdrawn = UnixMillis::new(withdrawn_ms);
        Ok(Self { ground: ground(&consent_id, &request_id)?, withdrawn })
    }
}

impl Twin for ConsentWithdrawalDone {
    type Pb = pb::ConsentWithdrawalDone;

    fn to_pb(&self, _why: &Purpose) -> pb::ConsentWithdrawalDone {
        let (consent_id, request_id) = ids(self.ground);
        pb::ConsentWithdrawalDone { consent_id, deleted_ms: self.deleted.get(), request_id }
    }

    fn from_pb(twin: pb::ConsentWithdrawalDone) -> Result<Self, MalformedContent> {
        let pb::ConsentWithdrawalDone { consent_id, deleted_ms, request_id } = twin;
        let deleted = UnixMillis::new(deleted_ms);
        Ok(Self { ground: ground(&consent_id, &request_id)?, deleted })
    }
}

/// The ids of a consent and a request, of which one is empty.
fn ids(ground: Ground) -> (Vec<u8>, Vec<u8>) {
    match ground {
        Ground::Consent(id) => (id.as_bytes().to_vec(), Vec::new()),
        Ground::Request(id) => (Vec::new(), id.as_bytes().to_vec()),
    }
}

fn ground(consent_id: &[u8], request_id: &[u8]) -> Result<Ground, MalformedContent> {
    let request = field::maybe_id("request_id", request_id)?;
    match request {
        Some(id) if consent_id.is_empty() => Ok(Ground::Request(id)),
        Some(_) => Err(MalformedContent::Repeated("request_id")),
        None => field::id("consent_id", consent_id).map(Ground::Consent),
    }
}
