//! Closed lists of the message bodies, with the numbers of bodies.proto.
//!
//! "Cannot verify" and "person declined" are answers that count: nobody gains by inventing another one.

use crate::numbered::numbered;

numbered! {
    /// Why a person lives where she lives; for planning services, not a judgement. She need not say.
    pub enum ResidenceReason {
        /// Work or business.
        Work = 1, "WORK", "务工经商";
        /// With the family.
        Family = 2, "FAMILY", "随同家人";
        /// Study or training.
        Study = 3, "STUDY", "学习培训";
        /// Anything else.
        Other = 4, "OTHER", "其他";
    }
}

numbered! {
    /// What the origin area found about an arrival.
    pub enum ArrivalOutcome {
        /// The person is registered here, as stated.
        Confirmed = 1, "CONFIRMED", "属实";
        /// Registered here, with a correction.
        Corrected = 2, "CORRECTED", "属实但有更正";
        /// Not registered here.
        NotOurs = 3, "NOT_OURS", "非本地户籍";
        /// Registered elsewhere now.
        MovedTo = 4, "MOVED_TO", "户籍已迁出";
    }
}

numbered! {
    /// What the residence area found about an outflow.
    pub enum OutflowOutcome {
        /// She is registered here.
        Arrived = 1, "ARRIVED", "已登记";
        /// She is not known here.
        NotFound = 2, "NOT_FOUND", "未找到";
    }
}

numbered! {
    /// A fact that a certificate states.
    pub enum CertificateClaim {
        /// Whether it is valid.
        Validity = 1, "VALIDITY", "是否有效";
        /// Marital status.
        MaritalStatus = 2, "MARITAL_STATUS", "婚姻状况";
        /// Number of children.
        Children = 3, "CHILDREN", "子女数";
    }
}

numbered! {
    /// State of a certificate.
    pub enum CertificateState {
        /// Issued and in force.
        Valid = 1, "VALID", "有效";
        /// Its validity has ended.
        Expired = 2, "EXPIRED", "已过有效期";
        /// Replaced by another one.
        Replaced = 3, "REPLACED", "已换证";
        /// Revoked.
        Revoked = 4, "REVOKED", "已注销";
        /// Never issued here.
        NotIssued = 5, "NOT_ISSUED", "本地未签发";
        /// The office cannot say; the reason is given. A valid answer.
        CannotVerify = 6, "CANNOT_VERIFY", "无法核实";
    }
}

numbered! {
    /// What happened to a certificate.
    pub enum CertificateEvent {
        /// Issued.
        Issued = 1, "ISSUED", "发证";
        /// Its validity was extended.
        Renewed = 2, "RENEWED", "续期";
        /// Replaced by another one, or issued in place of one.
        Replaced = 3, "REPLACED", "换证";
        /// Revoked.
        Revoked = 4, "REVOKED", "注销";
    }
}

numbered! {
    /// Result of a verification.
    pub enum StatementOutcome {
        /// As stated.
        Confirmed = 1, "CONFIRMED", "属实";
        /// The record differs; the reason says how.
        Differs = 2, "DIFFERS", "与记录不一致";
        /// The office cannot say.
        CannotVerify = 3, "CANNOT_VERIFY", "无法核实";
        /// The person does not wish it to be answered.
        PersonDeclined = 4, "PERSON_DECLINED", "本人不同意答复";
        /// The person is not registered here.
        NotOurs = 5, "NOT_OURS", "非本地户籍";
    }
}

numbered! {
    /// What became of a birth registration.
    pub enum RegistrationResult {
        /// Registered.
        Registered = 1, "REGISTERED", "已登记";
        /// Refused, with written reasons.
        Refused = 2, "REFUSED", "不予登记（附书面理由）";
        /// Withdrawn by the couple.
        Withdrawn = 3, "WITHDRAWN", "本人撤回";
    }
}

numbered! {
    /// What became of a report.
    pub enum FeedbackOutcome {
        /// Recorded.
        Recorded = 1, "RECORDED", "已记录";
        /// A service was arranged.
        ServiceArranged = 2, "SERVICE_ARRANGED", "已安排服务";
        /// The person is not known here.
        NotOurs = 3, "NOT_OURS", "本地无此人";
        /// Differs from what is on record; the note says how.
        Differs = 4, "DIFFERS", "与记录不一致";
        /// The office cannot say. A valid answer.
        CannotVerify = 5, "CANNOT_VERIFY", "无法核实";
        /// The person does not wish it to be answered. A valid answer.
        PersonDeclined = 6, "PERSON_DECLINED", "本人不同意答复";
    }
}

numbered! {
    /// Contraceptive method of the person's own choice (statistical list of eight).
    pub enum ContraceptiveMethod {
        /// Male sterilisation.
        MaleSterilisation = 1, "MALE_STERILISATION", "男性绝育";
        /// Female sterilisation.
        FemaleSterilisation = 2, "FEMALE_STERILISATION", "女性绝育";
        /// Intrauterine device.
        IntrauterineDevice = 3, "INTRAUTERINE_DEVICE", "宫内节育器";
        /// Implant.
        Implant = 4, "IMPLANT", "皮下埋植";
        /// Pill or injection.
        PillOrInjection = 5, "PILL_OR_INJECTION", "口服及注射避孕药";
        /// Condom.
        Condom = 6, "CONDOM", "避孕套";
        /// Applied outside.
        Topical = 7, "TOPICAL", "外用药";
        /// Another one.
        Other = 8, "OTHER", "其它";
    }
}

numbered! {
    /// What became of a referral.
    pub enum ReferralOutcome {
        /// An appointment was made.
        Booked = 1, "BOOKED", "已预约";
        /// The office cannot give the service; the reason is given.
        Declined = 2, "DECLINED", "无法提供（附理由）";
        /// The person changed her mind.
        PersonDeclined = 3, "PERSON_DECLINED", "本人取消";
    }
}

numbered! {
    /// How soon an answer is needed.
    pub enum Urgency {
        /// Within 30 days.
        Normal = 1, "NORMAL", "一般";
        /// Within 15 days.
        Urgent = 2, "URGENT", "紧急";
    }
}
