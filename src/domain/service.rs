//! Services an office can give; all are free of charge.

use crate::consent::ConsentScope;
use crate::numbered::numbered;

numbered! {
    /// A service, as in bodies.proto.
    pub enum Service {
        /// Counselling about reproductive health.
        Counselling = 1, "COUNSELLING", "生殖健康咨询";
        /// Pre-pregnancy health check.
        PrePregnancyCheck = 2, "PRE_PREGNANCY_CHECK", "孕前优生健康检查";
        /// Antenatal care.
        AntenatalCare = 3, "ANTENATAL_CARE", "产前保健";
        /// Postnatal visit.
        PostnatalVisit = 4, "POSTNATAL_VISIT", "产后访视";
        /// Free contraceptives or contraceptive care of the person's choice.
        ContraceptiveCare = 5, "CONTRACEPTIVE_CARE", "避孕服务";
        /// Vaccination of a child.
        ChildVaccination = 6, "CHILD_VACCINATION", "儿童预防接种";
        /// Birth registration and its papers.
        BirthRegistration = 7, "BIRTH_REGISTRATION", "生育登记";
        /// Another service, named in the note.
        Other = 8, "OTHER", "其他服务";
        /// A marriage and childbearing certificate, or its renewal or replacement.
        Certificate = 9, "CERTIFICATE", "办理婚育证明";
    }
}

impl Service {
    /// What the name of the service alone gives away: a message that names it needs what a message about
    /// the condition itself needs.
    pub const fn reveals(self) -> Option<ConsentScope> {
        match self {
            Self::PrePregnancyCheck | Self::AntenatalCare => Some(ConsentScope::Pregnancy),
            Self::ContraceptiveCare => Some(ConsentScope::Contraception),
            Self::Counselling
            | Self::PostnatalVisit
            | Self::ChildVaccination
            | Self::BirthRegistration
            | Self::Other
            | Self::Certificate => None,
        }
    }

    /// Whether the person's request for this service covers messages of that scope.
    pub const fn covers(self, scope: ConsentScope) -> bool {
        match scope {
            ConsentScope::Pregnancy => {
                matches!(self, Self::PrePregnancyCheck | Self::AntenatalCare | Self::PostnatalVisit)
            }
            ConsentScope::Contraception => matches!(self, Self::ContraceptiveCare),
        }
    }
}
