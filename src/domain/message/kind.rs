//! The kinds of message: which answers which, how soon, and what each needs.

use super::outcome::Urgency;
use crate::clock::{Clock, table};
use crate::consent::ConsentScope;
use crate::numbered::numbered;
use crate::purpose::{LawfulBasis, Purpose};

/// The kinds that exist only inside a case.
macro_rules! steps {
    () => {
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
            | Kind::HandOver
    };
}

numbered! {
    /// A kind of message. Numbers are the field numbers of `Content.body` in content.proto.
    pub enum Kind {
        /// The residence area tells the origin area that a person has registered.
        ArrivalNotice = 20, "ArrivalNotice", "流入通报";
        /// Answer to it.
        ArrivalFeedback = 21, "ArrivalFeedback", "流入通报反馈";
        /// The residence area tells the origin area that a person no longer lives there.
        DepartureNotice = 22, "DepartureNotice", "离开通报";
        /// The origin area tells the residence area that a person has moved there, at her wish.
        OutflowNotice = 23, "OutflowNotice", "流出通报";
        /// Answer to it.
        OutflowFeedback = 24, "OutflowFeedback", "流出通报反馈";
        /// The residence area asks the origin area to confirm a certificate.
        CertificateInquiry = 25, "CertificateInquiry", "证明协查";
        /// Answer to it.
        CertificateStatement = 26, "CertificateStatement", "证明协查答复";
        /// The origin area tells the residence area what became of a certificate.
        CertificateNotice = 27, "CertificateNotice", "发证/换证/注销通报";
        /// The residence area asks a spouse's origin area what a birth registration needs.
        BirthRegistrationInquiry = 28, "BirthRegistrationInquiry", "生育服务登记核实";
        /// Answer to it.
        BirthRegistrationStatement = 29, "BirthRegistrationStatement", "生育服务登记核实答复";
        /// The residence area tells the origin areas what became of a birth registration.
        BirthRegistrationResult = 30, "BirthRegistrationResult", "登记结果通报";
        /// A pregnancy, so that care can be arranged.
        PregnancyReport = 31, "PregnancyReport", "孕情通报";
        /// Answer to it.
        PregnancyFeedback = 32, "PregnancyFeedback", "孕情通报反馈";
        /// A contraceptive service that the person received or asks for.
        ContraceptionReport = 33, "ContraceptionReport", "避孕节育通报";
        /// Answer to it.
        ContraceptionFeedback = 34, "ContraceptionFeedback", "避孕节育通报反馈";
        /// A child was born, so that papers and services follow.
        BirthReport = 35, "BirthReport", "生育通报";
        /// Answer to it.
        BirthFeedback = 36, "BirthFeedback", "生育通报反馈";
        /// A service was given.
        ServiceReport = 37, "ServiceReport", "服务通报";
        /// At the person's wish, another area is asked to see her.
        ServiceReferral = 38, "ServiceReferral", "转诊/预约";
        /// Answer to it.
        ReferralFeedback = 39, "ReferralFeedback", "转诊/预约反馈";
        /// One office asks another about one person, for a named service.
        Inquiry = 40, "Inquiry", "协查";
        /// Answer to it.
        InquiryAnswer = 41, "InquiryAnswer", "协查答复";
        /// One area proposes what both will exchange.
        AgreementProposal = 42, "AgreementProposal", "协议提议";
        /// Answer to it.
        AgreementDecision = 43, "AgreementDecision", "协议答复";
        /// A node tells the sender which of its messages were opened. Sent by nodes, not by persons.
        ProgressReport = 44, "ProgressReport", "进展通报";
        /// Whoever waits reminds the office whose turn it is.
        Remind = 45, "Remind", "催办";
        /// The answering office needs something before it can answer.
        Clarify = 46, "Clarify", "补正";
        /// What it asked for.
        Clarification = 47, "Clarification", "补正答复";
        /// The answering office gives the case back, for a written reason.
        Reject = 48, "Reject", "退回";
        /// The other side is told who sits opposite from now on.
        Forward = 49, "Forward", "转办";
        /// Something said earlier in the case was wrong.
        Correct = 50, "Correct", "更正";
        /// The asking office takes the case back.
        Void = 51, "Void", "作废";
        /// The asking office has what it needs.
        Close = 52, "Close", "办结";
        /// The holder of a side offers it to another office.
        HandOverOffer = 53, "HandOverOffer", "移交提议";
        /// The other office would take it.
        HandOverAcceptance = 54, "HandOverAcceptance", "接受移交";
        /// An offer does not stand any more.
        HandOverWithdrawal = 55, "HandOverWithdrawal", "撤回移交";
        /// A side of a case with everything that was written in it.
        HandOver = 56, "HandOver", "移交";
        /// A node tells another that a person has withdrawn a consent, so that what was sent under it is deleted.
        ConsentWithdrawal = 60, "ConsentWithdrawal", "撤回同意通报";
        /// A node tells that it has deleted what it had under a consent.
        ConsentWithdrawalDone = 61, "ConsentWithdrawalDone", "撤回同意办结";
        /// One side ends an agreement.
        AgreementEnd = 62, "AgreementEnd", "协议终止";
    }
}

/// Which way a kind travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the residence area to the origin area.
    ToOrigin,
    /// From the origin area to the residence area.
    ToResidence,
    /// Either way.
    EitherWay,
}

impl Kind {
    /// Name in proto files, agreements and logs.
    pub const fn name(self) -> &'static str {
        self.code()
    }

    /// The kind with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::from_code(name)
    }

    /// The kind that answers this one, if one does.
    pub const fn answered_by(self) -> Option<Self> {
        match self {
            Self::ArrivalNotice => Some(Self::ArrivalFeedback),
            Self::OutflowNotice => Some(Self::OutflowFeedback),
            Self::CertificateInquiry => Some(Self::CertificateStatement),
            Self::BirthRegistrationInquiry => Some(Self::BirthRegistrationStatement),
            Self::PregnancyReport => Some(Self::PregnancyFeedback),
            Self::ContraceptionReport => Some(Self::ContraceptionFeedback),
            Self::BirthReport => Some(Self::BirthFeedback),
            Self::ServiceReferral => Some(Self::ReferralFeedback),
            Self::Inquiry => Some(Self::InquiryAnswer),
            Self::AgreementProposal => Some(Self::AgreementDecision),
            Self::ArrivalFeedback
            | Self::DepartureNotice
            | Self::OutflowFeedback
            | Self::CertificateStatement
            | Self::CertificateNotice
            | Self::BirthRegistrationStatement
            | Self::BirthRegistrationResult
            | Self::PregnancyFeedback
            | Self::ContraceptionFeedback
            | Self::BirthFeedback
            | Self::ServiceReport
            | Self::ReferralFeedback
            | Self::InquiryAnswer
            | Self::AgreementDecision
            | Self::ProgressReport
            | Self::ConsentWithdrawal
            | Self::ConsentWithdrawalDone
            | Self::AgreementEnd
            | steps!() => None,
        }
    }

    /// The kind that this one answers, if it is an answer.
    pub fn answers(self) -> Option<Self> {
        Self::ALL.iter().copied().find(|asked| asked.answered_by() == Some(self))
    }

    /// How long the other office has to answer (`data/clocks.toml`); an agreement may shorten it. An urgent inquiry has
    /// its own: see `Body::clock`.
    pub fn clock(self) -> Option<Clock> {
        table::of_kind(self, Urgency::Normal).map(|entry| entry.clock)
    }

    /// Which way it travels.
    pub const fn direction(self) -> Direction {
        match self {
            Self::ArrivalNotice
            | Self::DepartureNotice
            | Self::OutflowFeedback
            | Self::CertificateInquiry
            | Self::BirthRegistrationInquiry
            | Self::BirthRegistrationResult => Direction::ToOrigin,
            Self::ArrivalFeedback
            | Self::OutflowNotice
            | Self::CertificateStatement
            | Self::CertificateNotice
            | Self::BirthRegistrationStatement => Direction::ToResidence,
            Self::PregnancyReport
            | Self::PregnancyFeedback
            | Self::ContraceptionReport
            | Self::ContraceptionFeedback
            | Self::BirthReport
            | Self::BirthFeedback
            | Self::ServiceReport
            | Self::ServiceReferral
            | Self::ReferralFeedback
            | Self::Inquiry
            | Self::InquiryAnswer
            | Self::AgreementProposal
            | Self::AgreementDecision
            | Self::ProgressReport
            | Self::ConsentWithdrawal
            | Self::ConsentWithdrawalDone
            | Self::AgreementEnd
            | steps!() => Direction::EitherWay,
        }
    }

    /// Whether it exists only inside a case: it always names one, and rests on the ground of that case.
    pub const fn is_step(self) -> bool {
        matches!(self, steps!())
    }

    /// Whether it ends a case, a question or an offer, and says no more than that and why.
    pub const fn ends_something(self) -> bool {
        matches!(self, Self::Void | Self::Close | Self::Reject | Self::HandOverWithdrawal)
    }

    /// Whether it is about a person; messages between offices are about none. A step of a case names the case;
    /// only whoever takes a case over has to be told whom it is about.
    pub const fn needs_person(self) -> bool {
        let between_offices = matches!(
            self,
            Self::ProgressReport | Self::ConsentWithdrawal | Self::ConsentWithdrawalDone
        );
        matches!(self, Self::HandOver)
            || !(between_offices || self.is_of_agreements() || self.is_step())
    }

    /// Whether nodes send it by themselves, and nobody else may: no person waits for it, so it is on no
    /// list of work, and nobody corrects it when it is refused.
    pub const fn is_sent_by_nodes(self) -> bool {
        matches!(self, Self::ProgressReport | Self::ConsentWithdrawal | Self::ConsentWithdrawalDone)
    }

    /// Whether it makes, decides or ends an agreement; signed by the node beside its parcel.
    pub const fn is_of_agreements(self) -> bool {
        matches!(self, Self::AgreementProposal | Self::AgreementDecision | Self::AgreementEnd)
    }

    /// What a consent has to cover before this kind may be sent; a request for a service does as well.
    pub const fn needs_consent(self) -> Option<ConsentScope> {
        match self {
            Self::PregnancyReport | Self::PregnancyFeedback => Some(ConsentScope::Pregnancy),
            Self::ContraceptionReport | Self::ContraceptionFeedback => {
                Some(ConsentScope::Contraception)
            }
            Self::ArrivalNotice
            | Self::ArrivalFeedback
            | Self::DepartureNotice
            | Self::OutflowNotice
            | Self::OutflowFeedback
            | Self::CertificateInquiry
            | Self::CertificateStatement
            | Self::CertificateNotice
            | Self::BirthRegistrationInquiry
            | Self::BirthRegistrationStatement
            | Self::BirthRegistrationResult
            | Self::BirthReport
            | Self::BirthFeedback
            | Self::ServiceReport
            | Self::ServiceReferral
            | Self::ReferralFeedback
            | Self::Inquiry
            | Self::InquiryAnswer
            | Self::AgreementProposal
            | Self::AgreementDecision
            | Self::ProgressReport
            | Self::ConsentWithdrawal
            | Self::ConsentWithdrawalDone
            | Self::AgreementEnd
            | steps!() => None,
        }
    }

    /// Whether it goes on the person's consent or request alone, so that its name says something about her.
    pub fn is_hers(self) -> bool {
        self.bases().iter().all(|basis| basis.is_hers())
    }

    /// Whether it passes between areas that have no agreement (design section 10, point 3).
    pub const fn passes_without_agreement(self) -> bool {
        match self {
            Self::ArrivalNotice
            | Self::ArrivalFeedback
            | Self::DepartureNotice
            | Self::CertificateInquiry
            | Self::CertificateStatement
            | Self::CertificateNotice
            | Self::BirthRegistrationInquiry
            | Self::BirthRegistrationStatement
            | Self::BirthRegistrationResult
            | Self::AgreementProposal
            | Self::AgreementDecision
            | Self::ProgressReport
            | Self::ConsentWithdrawal
            | Self::ConsentWithdrawalDone
            | Self::AgreementEnd
            // What opened the case has passed.
            | steps!() => true,
            Self::OutflowNotice
            | Self::OutflowFeedback
            | Self::PregnancyReport
            | Self::PregnancyFeedback
            | Self::ContraceptionReport
            | Self::ContraceptionFeedback
            | Self::BirthReport
            | Self::BirthFeedback
            | Self::ServiceReport
            | Self::ServiceReferral
            | Self::ReferralFeedback
            | Self::Inquiry
            | Self::InquiryAnswer => false,
        }
    }

    /// Lawful bases under which it may be sent (domain notes, table 8.1).
    pub const fn bases(self) -> &'static [LawfulBasis] {
        use LawfulBasis as B;
        match self {
            Self::ArrivalNotice
            | Self::ArrivalFeedback
            | Self::DepartureNotice
            | Self::CertificateInquiry
            | Self::CertificateStatement
            | Self::CertificateNotice
            | Self::BirthRegistrationInquiry
            | Self::BirthRegistrationStatement
            | Self::BirthRegistrationResult => &[B::OwnApplication, B::StatutoryDuty],
            Self::OutflowNotice
            | Self::OutflowFeedback
            | Self::BirthReport
            | Self::BirthFeedback
            | Self::ServiceReport => &[B::OwnApplication, B::ServiceRequest],
            Self::PregnancyReport
            | Self::PregnancyFeedback
            | Self::ContraceptionReport
            | Self::ContraceptionFeedback => &[B::Consent, B::ServiceRequest],
            Self::ServiceReferral | Self::ReferralFeedback => &[B::ServiceRequest],
            Self::Inquiry | Self::InquiryAnswer => {
                &[B::OwnApplication, B::ServiceRequest, B::StatutoryDuty]
            }
            Self::AgreementProposal
            | Self::AgreementDecision
            | Self::AgreementEnd
            | Self::ProgressReport => &[B::OfficeAgreement],
            Self::ConsentWithdrawal | Self::ConsentWithdrawalDone => &[B::StatutoryDuty],
            // The ground of the case, whatever it is.
            steps!() => B::ALL,
        }
    }

    /// Purposes it may serve.
    pub const fn purposes(self) -> &'static [Purpose] {
        use Purpose as P;
        match self {
            Self::ArrivalNotice | Self::ArrivalFeedback | Self::DepartureNotice => {
                &[P::ResidenceRegistration]
            }
            Self::OutflowNotice | Self::OutflowFeedback => {
                &[P::ResidenceRegistration, P::HealthService]
            }
            Self::CertificateInquiry | Self::CertificateStatement => {
                &[P::Certificate, P::BirthRegistration]
            }
            Self::CertificateNotice => &[P::Certificate],
            Self::BirthRegistrationInquiry
            | Self::BirthRegistrationStatement
            | Self::BirthRegistrationResult => &[P::BirthRegistration],
            Self::PregnancyReport
            | Self::PregnancyFeedback
            | Self::ContraceptionReport
            | Self::ContraceptionFeedback
            | Self::ServiceReport
            | Self::ServiceReferral
            | Self::ReferralFeedback => &[P::HealthService],
            Self::BirthReport | Self::BirthFeedback => &[P::BirthRegistration, P::HealthService],
            Self::Inquiry | Self::InquiryAnswer => &[P::Verification, P::PersonRights],
            Self::AgreementProposal
            | Self::AgreementDecision
            | Self::AgreementEnd
            | Self::ProgressReport => &[P::OfficeAgreement],
            Self::ConsentWithdrawal | Self::ConsentWithdrawalDone => &[P::PersonRights],
            steps!() => P::ALL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_questions_pair_up() {
        let asked: Vec<_> = Kind::ALL.iter().filter_map(|kind| kind.answered_by()).collect();
        for answer in &asked {
            assert_eq!(answer.answers().and_then(Kind::answered_by), Some(*answer));
            assert_eq!(answer.answered_by(), None, "answers are not answered");
        }
        assert_eq!(asked.len(), 10);
        assert_eq!(Kind::ALL.len(), 40);
    }

    #[test]
    fn whoever_is_asked_has_a_clock_and_nobody_else() {
        for kind in Kind::ALL {
            assert_eq!(kind.clock().is_some(), kind.answered_by().is_some(), "{kind:?}");
        }
    }

    #[test]
    fn an_answer_needs_what_its_question_needs() {
        for kind in Kind::ALL {
            let Some(answer) = kind.answered_by() else { continue };
            assert_eq!(kind.needs_consent(), answer.needs_consent(), "{kind:?}");
            assert_eq!(kind.passes_without_agreement(), answer.passes_without_agreement());
            assert_eq!(kind.bases(), answer.bases());
            assert_eq!(kind.purposes(), answer.purposes());
        }
    }

    #[test]
    fn what_nodes_send_is_about_nobody_and_asks_for_nothing() {
        for kind in Kind::ALL.iter().filter(|kind| kind.is_sent_by_nodes()) {
            assert!(!kind.needs_person() && kind.passes_without_agreement(), "{kind:?}");
            assert_eq!((kind.answered_by(), kind.answers(), kind.clock()), (None, None, None));
        }
    }

    #[test]
    fn pregnancy_and_contraception_are_off_without_the_person() {
        for kind in Kind::ALL.iter().filter(|kind| kind.needs_consent().is_some()) {
            assert!(!kind.passes_without_agreement());
            assert_eq!(kind.bases(), [LawfulBasis::Consent, LawfulBasis::ServiceRequest]);
        }
    }
}
