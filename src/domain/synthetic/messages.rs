//! Synthetic messages of every kind that keep every rule.

mod steps;

use std::collections::BTreeSet;

use super::People;
use crate::agreement::{AgreementTerms, KindTerms, OfficeSignature};
use crate::consent::{ConsentReference, Ground, ServiceRequestReference};
use crate::id::{
    AgreementId, CaseId, CertificateNumber, ConsentId, MessageId, RegistrationId, RequestId,
};
use crate::message::*;
use crate::numbered::Numbered;
use crate::person::{MaritalStatus, PersonReference};
use crate::purpose::LawfulBasis;
use crate::service::Service;
use crate::text::{Note, Passage, WrittenReason};
use crate::time::Date;

/// Harmless remarks.
const REMARKS: &[&str] = &[
    "本人希望在居住地办理，谢谢。",
    "已电话联系，本人同意反馈。",
    "请以社区卫生服务中心预约为准。",
    "材料已核对，复印件存档。",
    "She prefers a visit in the morning.",
];

/// Makes messages from one area to another that pass `Content::check` at the moment of the context.
#[derive(Clone, Debug)]
pub struct Messages {
    people: People,
    context: CheckContext,
}

impl Messages {
    /// Messages about `people` in that context.
    pub const fn new(people: People, context: CheckContext) -> Self {
        Self { people, context }
    }

    /// The next message of a kind; `None` only when there are no people.
    pub fn next(&mut self, kind: Kind) -> Option<Content> {
        let person = if kind.needs_person() { Some(self.person()?) } else { None };
        let body = self.body(kind)?;
        let basis = self.basis(&body)?;
        let consent = (basis == LawfulBasis::Consent).then(|| self.consent(&body));
        let service_request =
            (basis == LawfulBasis::ServiceRequest).then(|| self.service_request(&body));
        let answer = kind.answers().is_some();
        let case: CaseId = self.message_id().into();
        Some(Content {
            case: (answer || kind.is_step()).then_some(case),
            in_reply_to: answer.then(|| case.opening_message()),
            basis,
            purpose: *self.people.seeded.pick(kind.purposes())?,
            consent,
            service_request,
            person,
            replaces: None,
            step: if answer || kind.is_step() { 3 + self.people.seeded.below(200) } else { 0 },
            answered_from: None,
            asked_again: None,
            body,
        })
    }

    fn body(&mut self, kind: Kind) -> Option<Body> {
        Some(match kind {
            Kind::ArrivalNotice => self.arrival_notice()?.into(),
            Kind::ArrivalFeedback => self.arrival_feedback()?.into(),
            Kind::DepartureNotice => DepartureNotice {
                registration_id: self.registration_id(),
                departed_on: self.recent(),
                destination_area: self.maybe(|m| Some(m.context.to)),
            }
            .into(),
            Kind::OutflowNotice => OutflowNotice {
                left_on: self.recent(),
                certificate_number: self.maybe(Self::certificate_number),
                services_wanted: self.harmless_services(),
            }
            .into(),
            Kind::OutflowFeedback => {
                let outcome = self.any()?;
                let arrived = outcome == OutflowOutcome::Arrived;
                let arrived_on = arrived.then(|| self.recent());
                OutflowFeedback { outcome, arrived_on, note: self.note() }.into()
            }
            Kind::CertificateInquiry => {
                let mut claims: BTreeSet<_> = [self.any()?].into();
                claims.extend(self.maybe(Self::any::<CertificateClaim>));
                let certificate_number = self.certificate_number()?;
                CertificateInquiry { certificate_number, claims }.into()
            }
            Kind::CertificateStatement => self.certificate_statement()?.into(),
            Kind::CertificateNotice => self.certificate_notice()?.into(),
            Kind::BirthRegistrationInquiry => self.birth_registration_inquiry()?.into(),
            Kind::BirthRegistrationStatement => {
                let outcome = self.any()?;
                BirthRegistrationStatement {
                    outcome,
                    marital_status: self.maybe(Self::any),
                    children: self.maybe(Self::children),
                    reason: self.reason(outcome != StatementOutcome::Confirmed),
                }
                .into()
            }
            Kind::BirthRegistrationResult => {
                let result = self.any()?;
                BirthRegistrationResult {
                    application_number: self.printed_number()?,
                    result,
                    decided_on: self.recent(),
                    reason: self.reason(result == RegistrationResult::Refused),
                }
                .into()
            }
            Kind::PregnancyReport | Kind::PregnancyFeedback => self.pregnancy(kind)?,
            Kind::ContraceptionReport | Kind::ContraceptionFeedback => self.contraception(kind)?,
            Kind::BirthReport => BirthReport {
                born_on: self.recent(),
                birth_area: self.maybe(|m| Some(m.context.from)),
                children_born: Children::try_from(1 + u8::from(self.people.seeded.chance(3)))
                    .ok()?,
                birth_certificate_number: self.maybe(Self::printed_number),
            }
            .into(),
            Kind::BirthFeedback => {
                BirthFeedback { outcome: self.any()?, note: self.some_note() }.into()
            }
            Kind::ServiceReport => ServiceReport {
                service: self.any()?,
                served_on: self.recent(),
                note: self.some_note(),
            }
            .into(),
            Kind::ServiceReferral => ServiceReferral {
                service: self.any()?,
                wanted_on: self.maybe(|m| Some(m.soon())),
                note: self.some_note(),
            }
            .into(),
            Kind::ReferralFeedback => self.referral_feedback()?.into(),
            Kind::Inquiry => {
                Inquiry { urgency: self.any()?, service: self.any()?, question: self.passage()? }
                    .into()
            }
            Kind::InquiryAnswer => InquiryAnswer {
                outcome: self.any()?,
                answer: self.maybe(Self::passage),
                reason: self.reason(true),
            }
            .into(),
            Kind::AgreementProposal => self.agreement_proposal()?.into(),
            Kind::AgreementDecision => {
                let accepted = self.people.seeded.chance(70);
                AgreementDecision {
                    agreement_id: self.agreement_id(),
                    version: 1 + self.people.seeded.below(5),
                    accepted,
                    reason: self.reason(!accepted),
                    contact: if accepted { self.note() } else { None },
                    signature: Some(self.signature()),
                }
                .into()
            }
            Kind::AgreementEnd => AgreementEnd {
                agreement_id: self.agreement_id(),
                version: 1 + self.people.seeded.below(5),
                last_day: self.soon(),
                reason: self.reason(true)?,
                signature: Some(self.signature()),
            }
            .into(),
            Kind::ConsentWithdrawal => {
                ConsentWithdrawal { ground: self.ground(), withdrawn: self.context.now }.into()
            }
            Kind::ConsentWithdrawalDone => {
                ConsentWithdrawalDone { ground: self.ground(), deleted: self.context.now }.into()
            }
            Kind::ProgressReport => {
                let count = 1 + self.people.seeded.below(20);
                let now = self.context.now;
                ProgressReport { openings: (0..count).map(|_| (self.message_id(), now)).collect() }
                    .into()
            }
            Kind::Remind
            | Kind::Clarify
            | Kind::Clarification
            | Kind::Reject
            | Kind::Forward
            | Kind::Correct
            | Kind::Void
            | Kind::Close
            | Kind::HandOverOffer
            | Kind::HandOverAcceptance
            | Kind::HandOverWithdrawal
            | Kind::HandOver => self.step(kind)?,
        })
    }

    fn arrival_notice(&mut self) -> Option<ArrivalNotice> {
        Some(ArrivalNotice {
            registration_id: self.registration_id(),
            arrived_on: self.recent(),
            residence_area: self.maybe(|m| Some(m.context.from)),
            reason: self.maybe(Self::any),
            certificate_number: self.maybe(Self::certificate_number),
        })
    }

    fn arrival_feedback(&mut self) -> Option<ArrivalFeedback> {
        let outcome = self.any()?;
        let corrected = outcome == ArrivalOutcome::Corrected;
        let name = self.person()?.name;
        Some(ArrivalFeedback {
            outcome,
            corrected_name: corrected.then_some(name),
            moved_to_area: (outcome == ArrivalOutcome::MovedTo).then_some(self.context.to),
            note: self.note(),
        })
    }

    fn certificate_statement(&mut self) -> Option<CertificateStatement> {
        use CertificateState as S;
        let state = self.any()?;
        let dated = match state {
            S::Valid | S::Expired => true,
            S::Replaced | S::Revoked => self.people.seeded.chance(50),
            S::NotIssued | S::CannotVerify => false,
        };
        let replaced = state == S::Replaced;
        Some(CertificateStatement {
            certificate_number: self.certificate_number()?,
            state,
            valid_until: dated.then(|| self.soon()),
            replaced_by: if replaced { self.certificate_number() } else { None },
            marital_status: self.maybe(|m| m.any::<MaritalStatus>()),
            children: self.maybe(Self::children),
            reason: self.reason(state == S::CannotVerify),
        })
    }

    fn certificate_notice(&mut self) -> Option<CertificateNotice> {
        let event = self.any()?;
        let serial = 1 + self.people.seeded.below(400_000);
        let replaced = event == CertificateEvent::Replaced;
        Some(CertificateNotice {
            event,
            certificate_number: self.numbered(serial)?,
            valid_until: (event != CertificateEvent::Revoked).then(|| self.soon()),
            replaces: if replaced { self.numbered(serial + 400_000) } else { None },
        })
    }

    fn birth_registration_inquiry(&mut self) -> Option<BirthRegistrationInquiry> {
        Some(BirthRegistrationInquiry {
            application_number: self.printed_number()?,
            spouse_name: self.maybe(|m| Some(m.person()?.name)),
            married_on: self.maybe(|m| Some(m.recent())),
            children_stated: self.children()?,
            papers_on: None,
        })
    }

    fn pregnancy(&mut self, kind: Kind) -> Option<Body> {
        let services: BTreeSet<_> = [Service::AntenatalCare].into();
        if kind == Kind::PregnancyReport {
            let expected_month = self.maybe(|m| Some(m.soon().month()));
            let services_wanted = self.maybe(|_| Some(services)).unwrap_or_default();
            return Some(
                PregnancyReport { expected_month, services_wanted, note: self.note() }.into(),
            );
        }
        let outcome = self.any()?;
        let arranged = outcome == FeedbackOutcome::ServiceArranged;
        let services_arranged = if arranged { services } else { BTreeSet::new() };
        Some(PregnancyFeedback { outcome, services_arranged, note: self.some_note() }.into())
    }

    fn contraception(&mut self, kind: Kind) -> Option<Body> {
        let services: BTreeSet<_> = [Service::ContraceptiveCare].into();
        if kind == Kind::ContraceptionReport {
            return Some(
                ContraceptionReport {
                    method: self.maybe(Self::any),
                    served_on: self.maybe(|m| Some(m.recent())),
                    services_wanted: self.maybe(|_| Some(services)).unwrap_or_default(),
                    note: self.note(),
                }
                .into(),
            );
        }
        let outcome = self.any()?;
        let arranged = outcome == FeedbackOutcome::ServiceArranged;
        let services_arranged = if arranged { services } else { BTreeSet::new() };
        Some(ContraceptionFeedback { outcome, services_arranged, note: self.some_note() }.into())
    }

    fn referral_feedback(&mut self) -> Option<ReferralFeedback> {
        let outcome = self.any()?;
        let booked = outcome == ReferralOutcome::Booked;
        Some(ReferralFeedback {
            outcome,
            appointment_on: booked.then(|| self.soon()),
            place: if booked { self.some_note() } else { None },
            reason: self.reason(outcome == ReferralOutcome::Declined),
        })
    }

    fn agreement_id(&mut self) -> AgreementId {
        AgreementId::new(self.context.now, self.people.seeded.bytes())
    }

    /// Made up, so of no worth but for its form.
    fn signature(&mut self) -> OfficeSignature {
        let bytes = self.people.seeded.bytes();
        OfficeSignature { signature: bytes.to_vec(), chain: vec![bytes.to_vec()] }
    }

    fn agreement_proposal(&mut self) -> Option<AgreementProposal> {
        let from = self.soon();
        let listed = Kind::ALL.iter().filter(|kind| kind.needs_person() && !kind.is_step());
        let asked = listed.take(1 + self.index(20));
        let kinds = asked.flat_map(|kind| [Some(*kind), kind.answered_by()]).flatten();
        let terms = AgreementTerms {
            kinds: kinds.map(|kind| (kind, KindTerms::whole(kind))).collect(),
            purposes: [self.any()?].into(),
            valid_from: from,
            valid_until: from.plus_years(2),
            retention_months: 6 + u16::from(self.people.seeded.chance(50)) * 30,
            ask_once_days: 30,
            notice_days: 30,
            contact: self.some_note()?,
        };
        Some(AgreementProposal {
            agreement_id: self.agreement_id(),
            version: 1 + self.people.seeded.below(5),
            terms,
            signature: Some(self.signature()),
        })
    }

    fn basis(&mut self, body: &Body) -> Option<LawfulBasis> {
        let reveals = body.reveals();
        let bases = match body.kind() {
            // A consent and a request both cover what is revealed; a message about a named service names
            // its own request.
            // What she asked of one county is handed to no other.
            Kind::HandOver => &[LawfulBasis::OwnApplication, LawfulBasis::StatutoryDuty],
            _ if reveals.is_empty() => body.kind().bases(),
            _ if body.service().is_some() => &[LawfulBasis::ServiceRequest],
            _ => &[LawfulBasis::Consent, LawfulBasis::ServiceRequest],
        };
        self.people.seeded.pick(bases).copied()
    }

    /// What somebody takes back.
    fn ground(&mut self) -> Ground {
        let bytes = self.people.seeded.bytes();
        match self.people.seeded.chance(50) {
            true => Ground::Consent(ConsentId::new(self.context.now, bytes)),
            false => Ground::Request(RequestId::new(self.context.now, bytes)),
        }
    }

    fn consent(&mut self, body: &Body) -> ConsentReference {
        let given_on = self.recent();
        ConsentReference {
            consent_id: ConsentId::new(self.context.now, self.people.seeded.bytes()),
            given_on,
            valid_until: given_on.plus_years(1),
            recipient: self.context.to.county(),
            scopes: body.reveals(),
        }
    }

    fn service_request(&mut self, body: &Body) -> ServiceRequestReference {
        let reveals = body.reveals();
        let mut fitting = Service::ALL.iter().copied().filter(|service| {
            body.service().is_none_or(|named| named == *service)
                && reveals.iter().all(|scope| service.covers(*scope))
        });
        ServiceRequestReference {
            request_id: RequestId::new(self.context.now, self.people.seeded.bytes()),
            requested_on: self.recent(),
            service: fitting.next_back().unwrap_or(Service::Other),
        }
    }

    fn person(&mut self) -> Option<PersonReference> {
        let details = self.people.next()?;
        Some(PersonReference { document: details.document, name: details.name })
    }

    fn message_id(&mut self) -> MessageId {
        MessageId::new(self.context.now, self.people.seeded.bytes())
    }

    fn registration_id(&mut self) -> RegistrationId {
        RegistrationId::new(self.context.now, self.people.seeded.bytes())
    }

    fn certificate_number(&mut self) -> Option<CertificateNumber> {
        let serial = 1 + self.people.seeded.below(999_999);
        self.numbered(serial)
    }

    fn numbered(&self, serial: u32) -> Option<CertificateNumber> {
        let year = self.context.now.date().year();
        CertificateNumber::new(self.context.to, year, serial).ok()
    }

    fn printed_number(&mut self) -> Option<PrintedNumber> {
        PrintedNumber::parse(&format!("SY-{:08}", self.people.seeded.below(99_999_999))).ok()
    }

    fn children(&mut self) -> Option<Children> {
        u8::try_from(self.people.seeded.below(4)).ok()?.try_into().ok()
    }

    fn harmless_services(&mut self) -> BTreeSet<Service> {
        let all = Service::ALL.iter().copied().filter(|service| service.reveals().is_none());
        all.filter(|_| self.people.seeded.chance(30)).collect()
    }

    /// One value of a closed list.
    fn any<T: Numbered>(&mut self) -> Option<T> {
        self.people.seeded.pick(T::ALL).copied()
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.people.seeded.chance(50) { make(self) } else { None }
    }

    fn index(&mut self, bound: u32) -> usize {
        usize::try_from(self.people.seeded.below(bound)).unwrap_or_default()
    }

    /// A day of the last five months.
    fn recent(&mut self) -> Date {
        let days = i32::try_from(self.people.seeded.below(150)).unwrap_or_default();
        self.context.now.date().plus_days(-days)
    }

    /// A day of the next five months.
    fn soon(&mut self) -> Date {
        let days = i32::try_from(self.people.seeded.below(150)).unwrap_or_default();
        self.context.now.date().plus_days(days)
    }

    fn remark(&mut self) -> &'static str {
        self.people.seeded.pick(REMARKS).copied().unwrap_or_default()
    }

    fn some_note(&mut self) -> Option<Note> {
        Note::new(self.remark()).ok()
    }

    fn note(&mut self) -> Option<Note> {
        self.maybe(Self::some_note)
    }

    fn passage(&mut self) -> Option<Passage> {
        Passage::new(self.remark()).ok()
    }

    fn reason(&mut self, owed: bool) -> Option<WrittenReason> {
        if owed { WrittenReason::new(self.remark()).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn messages(seed: u64) -> Messages {
        let (from, to) = ("440305".parse().unwrap(), "410522".parse().unwrap());
        let now = crate::time::UnixMillis::new(1_772_352_000_000);
        let people = People::new(seed, vec![to], now.date());
        Messages::new(people, CheckContext { from, to, now })
    }

    proptest! {
        #[test]
        fn every_kind_keeps_every_rule(seed: u64) {
            let mut messages = messages(seed);
            for kind in Kind::ALL {
                let content = messages.next(*kind).unwrap();
                prop_assert_eq!(content.kind(), *kind);
                prop_assert_eq!(content.refusals(&messages.context), vec![], "{:?}", content);
                let bytes = postcard::to_stdvec(&content).unwrap();
                prop_assert_eq!(postcard::from_bytes::<Content>(&bytes).unwrap(), content);
            }
        }
    }
}
