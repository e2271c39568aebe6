//! What each kind of message carries: one struct a kind, fields as in bodies.proto.
//!
//! The types hold single values that cannot be wrong; what must fit together (a refusal and its reason,
//! an outcome and its date) is judged by `Content::check`, on both sides alike. `Debug` shows the name of the
//! struct only (`content.rs`).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::outcome::*;
use super::value::{Children, PrintedNumber};
use crate::agreement::{AgreementTerms, OfficeSignature};
use crate::area::AreaCode;
use crate::consent::Ground;
use crate::id::{AgreementId, CertificateNumber, MessageId, RegistrationId};
use crate::person::{MaritalStatus, PersonName};
use crate::service::Service;
use crate::text::{Note, Passage, WrittenReason};
use crate::time::{Date, Month, UnixMillis};

/// 流入通报: a person has registered at the residence area.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivalNotice {
    /// The registration at the residence area.
    pub registration_id: RegistrationId,
    /// Day of arrival.
    pub arrived_on: Date,
    /// Area she lives in; none when it must not be known at the origin.
    pub residence_area: Option<AreaCode>,
    /// Reason, if she gave one.
    pub reason: Option<ResidenceReason>,
    /// Number of the certificate she showed, if any.
    pub certificate_number: Option<CertificateNumber>,
}

/// Answer to 流入通报.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivalFeedback {
    /// What the origin area found.
    pub outcome: ArrivalOutcome,
    /// Corrected name, for `Corrected` only.
    pub corrected_name: Option<PersonName>,
    /// Area she is registered in now, for `MovedTo` only.
    pub moved_to_area: Option<AreaCode>,
    /// Remark for the clerk at the other side.
    pub note: Option<Note>,
}

/// 离开通报: a person no longer lives at the residence area.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepartureNotice {
    /// The registration at the residence area.
    pub registration_id: RegistrationId,
    /// Day of departure.
    pub departed_on: Date,
    /// Where she went, if she said so.
    pub destination_area: Option<AreaCode>,
}

/// 流出通报: a person has moved to the residence area, told at her wish.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutflowNotice {
    /// Day she left.
    pub left_on: Date,
    /// Number of her certificate, if she has one.
    pub certificate_number: Option<CertificateNumber>,
    /// Services she would like to find there.
    pub services_wanted: BTreeSet<Service>,
}

/// Answer to 流出通报.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutflowFeedback {
    /// What the residence area found.
    pub outcome: OutflowOutcome,
    /// Day of arrival, for `Arrived` only.
    pub arrived_on: Option<Date>,
    /// Remark.
    pub note: Option<Note>,
}

/// 证明协查: please confirm this certificate.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateInquiry {
    /// Number on the certificate shown.
    pub certificate_number: CertificateNumber,
    /// What is to be confirmed; at least one.
    pub claims: BTreeSet<CertificateClaim>,
}

/// Answer to 证明协查.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateStatement {
    /// Number asked about.
    pub certificate_number: CertificateNumber,
    /// State of the certificate.
    pub state: CertificateState,
    /// Last day of validity, for `Valid` and `Expired`.
    pub valid_until: Option<Date>,
    /// The certificate that replaced it, for `Replaced` only.
    pub replaced_by: Option<CertificateNumber>,
    /// Marital status, when asked for.
    pub marital_status: Option<MaritalStatus>,
    /// Number of children, when asked for.
    pub children: Option<Children>,
    /// Written reason, for `CannotVerify`.
    pub reason: Option<WrittenReason>,
}

/// 发证/换证/注销通报: what became of a certificate.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateNotice {
    /// What happened.
    pub event: CertificateEvent,
    /// Number of the certificate.
    pub certificate_number: CertificateNumber,
    /// Last day of validity; always there unless `Revoked`.
    pub valid_until: Option<Date>,
    /// The certificate it replaces, for `Replaced` only.
    pub replaces: Option<CertificateNumber>,
}

/// 生育服务登记核实: what does a birth registration need from a spouse's origin area?
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BirthRegistrationInquiry {
    /// Number of the application at the residence area.
    pub application_number: PrintedNumber,
    /// Name of the other spouse, as applied.
    pub spouse_name: Option<PersonName>,
    /// Day of marriage, if married.
    pub married_on: Option<Date>,
    /// How many children the person stated.
    pub children_stated: Children,
    /// Day on which both papers were here: the clock of asking begins. None where the sender does not say.
    pub papers_on: Option<Date>,
}

/// Answer to 生育服务登记核实.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BirthRegistrationStatement {
    /// What the origin area found.
    pub outcome: StatementOutcome,
    /// Marital status on record.
    pub marital_status: Option<MaritalStatus>,
    /// Number of children on record.
    pub children: Option<Children>,
    /// Written reason; required unless `Confirmed`.
    pub reason: Option<WrittenReason>,
}

/// 登记结果通报: what became of a birth registration.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BirthRegistrationResult {
    /// Number of the application at the residence area.
    pub application_number: PrintedNumber,
    /// What became of it.
    pub result: RegistrationResult,
    /// Day of the decision.
    pub decided_on: Date,
    /// Written reason; required for `Refused`.
    pub reason: Option<WrittenReason>,
}

/// 孕情通报: so that care can be arranged. Needs a consent or a requested service.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PregnancyReport {
    /// Month the birth is expected in; none when she does not wish it to be told.
    pub expected_month: Option<Month>,
    /// Services she would like.
    pub services_wanted: BTreeSet<Service>,
    /// Remark.
    pub note: Option<Note>,
}

/// Answer to 孕情通报.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PregnancyFeedback {
    /// What the other area did.
    pub outcome: FeedbackOutcome,
    /// Services arranged for her.
    pub services_arranged: BTreeSet<Service>,
    /// Remark.
    pub note: Option<Note>,
}

/// 避孕节育通报: a service she received or asks for. Needs a consent or a requested service.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContraceptionReport {
    /// Method she chose; none when not recorded.
    pub method: Option<ContraceptiveMethod>,
    /// Day of the service, if she received one.
    pub served_on: Option<Date>,
    /// Follow-up she would like.
    pub services_wanted: BTreeSet<Service>,
    /// Remark.
    pub note: Option<Note>,
}

/// Answer to 避孕节育通报.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContraceptionFeedback {
    /// What the other area did.
    pub outcome: FeedbackOutcome,
    /// Services arranged for her.
    pub services_arranged: BTreeSet<Service>,
    /// Remark.
    pub note: Option<Note>,
}

/// 生育通报: a child was born, so that papers and services follow.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BirthReport {
    /// Day of birth.
    pub born_on: Date,
    /// Area of birth, if stated.
    pub birth_area: Option<AreaCode>,
    /// How many children were born alive.
    pub children_born: Children,
    /// Number of the birth certificate (出生医学证明), if she gave it.
    pub birth_certificate_number: Option<PrintedNumber>,
}

/// Answer to 生育通报.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BirthFeedback {
    /// What the other area did.
    pub outcome: FeedbackOutcome,
    /// Remark.
    pub note: Option<Note>,
}

/// 服务通报: a service was given.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceReport {
    /// Which service.
    pub service: Service,
    /// Day.
    pub served_on: Date,
    /// Remark; names the service when it is `Other`.
    pub note: Option<Note>,
}

/// 转诊/预约: at the person's wish, another area is asked to see her.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceReferral {
    /// Which service.
    pub service: Service,
    /// Day she would like; none for any.
    pub wanted_on: Option<Date>,
    /// Remark; names the service when it is `Other`.
    pub note: Option<Note>,
}

/// Answer to 转诊/预约.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferralFeedback {
    /// What the other area did.
    pub outcome: ReferralOutcome,
    /// Day of the appointment, for `Booked`.
    pub appointment_on: Option<Date>,
    /// Place of the appointment, for `Booked`.
    pub place: Option<Note>,
    /// Written reason; required for `Declined`.
    pub reason: Option<WrittenReason>,
}

/// 协查: one office asks another about one person, for a named service.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inquiry {
    /// How soon.
    pub urgency: Urgency,
    /// Service the answer is needed for.
    pub service: Service,
    /// The question.
    pub question: Passage,
}

/// Answer to 协查.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InquiryAnswer {
    /// What the office found.
    pub outcome: StatementOutcome,
    /// The answer.
    pub answer: Option<Passage>,
    /// Written reason; required for `CannotVerify` and `Differs`.
    pub reason: Option<WrittenReason>,
}

/// 协议提议: what both areas will exchange. About no person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreementProposal {
    /// The agreement; the same for every later version.
    pub agreement_id: AgreementId,
    /// Version, from 1.
    pub version: u32,
    /// What it says.
    pub terms: AgreementTerms,
    /// The proposing node's signature.
    pub signature: Option<OfficeSignature>,
}

/// Answer to 协议提议.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreementDecision {
    /// The agreement.
    pub agreement_id: AgreementId,
    /// Version decided on.
    pub version: u32,
    /// Whether it is accepted.
    pub accepted: bool,
    /// Written reason; required when not accepted.
    pub reason: Option<WrittenReason>,
    /// Whom to call about it at the deciding office, when accepted.
    pub contact: Option<Note>,
    /// The deciding node's signature over the same terms.
    pub signature: Option<OfficeSignature>,
}

/// 协议终止: one side ends an agreement.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreementEnd {
    /// The agreement.
    pub agreement_id: AgreementId,
    /// Version that is in force.
    pub version: u32,
    /// The last day it holds.
    pub last_day: Date,
    /// Why.
    pub reason: WrittenReason,
    /// The ending node's signature.
    pub signature: Option<OfficeSignature>,
}

/// 撤回同意通报: a person has withdrawn a consent, or taken back a request. It names that and nobody.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentWithdrawal {
    /// The consent or request.
    pub ground: Ground,
    /// When it was withdrawn.
    pub withdrawn: UnixMillis,
}

/// 撤回同意办结: what was held under that consent or request is deleted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentWithdrawalDone {
    /// The consent or request.
    pub ground: Ground,
    /// When it was deleted.
    pub deleted: UnixMillis,
}

/// Most messages that one report names.
pub const OPENINGS_MAX: usize = 500;

/// 进展通报: which messages of the recipient were opened here for the first time, and when.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressReport {
    /// When each of them was opened, by the opener's clock; at most [`OPENINGS_MAX`].
    pub openings: BTreeMap<MessageId, UnixMillis>,
}
