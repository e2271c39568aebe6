//! Why a message about a person may be sent or a record read, and what for.

use crate::numbered::numbered;

numbered! {
    /// Lawful basis (合法性基础), as in content.proto.
    pub enum LawfulBasis {
        /// The person applied herself (PIPL art. 13(1)).
        OwnApplication = 1, "OWN_APPLICATION", "本人申请";
        /// The person's separate consent (PIPL arts. 23, 29).
        Consent = 2, "CONSENT", "单独同意";
        /// The person asked for this very service (PIPL art. 13(1)).
        ServiceRequest = 3, "SERVICE_REQUEST", "本人申请服务";
        /// A duty that law gives the office (PIPL arts. 13(3), 34).
        StatutoryDuty = 4, "STATUTORY_DUTY", "法定职责";
        /// Between offices, about no person.
        OfficeAgreement = 5, "OFFICE_AGREEMENT", "机构协议";
    }
}

impl LawfulBasis {
    /// Whether it is the person's own consent or request, which she can take back.
    #[must_use]
    pub const fn is_hers(self) -> bool {
        matches!(self, Self::Consent | Self::ServiceRequest)
    }
}

numbered! {
    /// Purpose (目的), as in content.proto. A reference to one is what functions demand before they
    /// show a personal value.
    pub enum Purpose {
        /// Registering that a person lives somewhere, and telling the other area.
        ResidenceRegistration = 1, "RESIDENCE_REGISTRATION", "居住登记";
        /// Issuing, checking or confirming a certificate.
        Certificate = 2, "CERTIFICATE", "证明办理与查验";
        /// Registering for birth services.
        BirthRegistration = 3, "BIRTH_REGISTRATION", "生育登记";
        /// A health or family planning service for the person.
        HealthService = 4, "HEALTH_SERVICE", "健康与计划生育服务";
        /// Answering a question of the other area.
        Verification = 5, "VERIFICATION", "协查核实";
        /// A right of the person: to see, correct, restrict or erase.
        PersonRights = 6, "PERSON_RIGHTS", "个人权利";
        /// Agreeing between offices how to work together; about no person.
        OfficeAgreement = 7, "OFFICE_AGREEMENT", "机构协议";
    }
}
