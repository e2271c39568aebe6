//! Which rule each error breaks; no `_` arm, so that a new error does not compile without one.

use super::{Rule, Violation};
use crate::agreement::NotAFieldName;
use crate::area::AreaError;
use crate::certificate::CertificateError;
use crate::consent::ConsentError;
use crate::id::{CertificateNumberError, NotAnId, OperatorNameError};
use crate::message::{ChildrenError, PrintedNumberError};
use crate::person::{DocumentError, IdError, NameError, PersonError};
use crate::record::EditError;
use crate::registration::RegistrationError;
use crate::text::TextError;
use crate::time::DateError;

impl Violation for AreaError {
    fn rule(&self) -> Rule {
        match self {
            Self::Length | Self::NotDigits | Self::NoProvince => Rule::AreaCode,
        }
    }
}

impl Violation for DateError {
    fn rule(&self) -> Rule {
        match self {
            Self::Format => Rule::DateFormat,
            Self::NoSuchDay => Rule::DateExists,
        }
    }
}

impl Violation for NotAFieldName {
    fn rule(&self) -> Rule {
        Rule::FieldName
    }
}

impl Violation for NotAnId {
    fn rule(&self) -> Rule {
        Rule::Identifier
    }
}

impl Violation for OperatorNameError {
    fn rule(&self) -> Rule {
        Rule::OperatorName
    }
}

impl Violation for CertificateNumberError {
    fn rule(&self) -> Rule {
        match self {
            Self::Format | Self::Year | Self::Serial => Rule::CertificateNumber,
            Self::CheckDigit => Rule::CertificateNumberCheck,
        }
    }
}

impl Violation for IdError {
    fn rule(&self) -> Rule {
        match self {
            Self::Length => Rule::ResidentIdLength,
            Self::Characters => Rule::ResidentIdCharacters,
            Self::BirthDate => Rule::ResidentIdBirthDate,
        }
    }
}

impl Violation for DocumentError {
    fn rule(&self) -> Rule {
        match self {
            Self::ResidentId(error) => error.rule(),
            Self::CheckNotConfirmed => Rule::ResidentIdCheck,
            Self::Number => Rule::DocumentNumber,
        }
    }
}

impl Violation for NameError {
    fn rule(&self) -> Rule {
        match self {
            Self::Empty => Rule::NameEmpty,
            Self::TooLong => Rule::NameTooLong,
            Self::Control => Rule::ControlCharacters,
        }
    }
}

impl Violation for TextError {
    fn rule(&self) -> Rule {
        match self {
            Self::Empty => Rule::TextEmpty,
            Self::TooLong { max: _ } => Rule::TextTooLong,
            Self::Control => Rule::ControlCharacters,
        }
    }
}

impl Violation for PrintedNumberError {
    fn rule(&self) -> Rule {
        Rule::PrintedNumber
    }
}

impl Violation for ChildrenError {
    fn rule(&self) -> Rule {
        Rule::ChildrenTooMany
    }
}

impl Violation for PersonError {
    fn rule(&self) -> Rule {
        match self {
            Self::DateInFuture => Rule::DateNotInFuture,
            Self::BirthDateDiffers => Rule::BirthDateDiffers,
            Self::BeforeOwnBirth => Rule::BeforeOwnBirth,
            Self::SpouseNotMarried => Rule::SpouseNotMarried,
            Self::TooManyBirths => Rule::ChildrenTooMany,
            Self::Edit(error) => error.rule(),
        }
    }
}

impl Violation for ConsentError {
    fn rule(&self) -> Rule {
        match self {
            Self::NoScope => Rule::ConsentScope,
            Self::GivenInFuture => Rule::DateNotInFuture,
            Self::Period => Rule::ConsentPeriod,
            Self::AlreadyWithdrawn => Rule::ConsentWithdrawn,
        }
    }
}

impl Violation for RegistrationError {
    fn rule(&self) -> Rule {
        match self {
            Self::Edit(error) => error.rule(),
            Self::DateInFuture => Rule::DateNotInFuture,
            Self::DepartureBeforeArrival => Rule::DepartureBeforeArrival,
            Self::ResidenceOutside => Rule::ResidenceOutside,
            Self::SameCounty => Rule::SameCounty,
            Self::DestinationInside => Rule::DestinationInside,
            Self::NotPresent => Rule::NotPresent,
            Self::StillPresent => Rule::StillPresent,
        }
    }
}

impl Violation for CertificateError {
    fn rule(&self) -> Rule {
        match self {
            Self::Edit(error) => error.rule(),
            Self::ForeignNumber => Rule::ForeignNumber,
            Self::Expired => Rule::CertificateExpired,
            Self::Replaced => Rule::CertificateReplaced,
            Self::Revoked => Rule::CertificateRevoked,
            Self::SameNumber => Rule::SameNumber,
        }
    }
}

impl Violation for EditError {
    fn rule(&self) -> Rule {
        match self {
            Self::Stale(_) => Rule::StaleVersion,
            Self::NotOwner { owner: _ } => Rule::NotOwner,
            Self::TooManyVersions => Rule::TooManyVersions,
            Self::BeforeLastVersion => Rule::BeforeLastVersion,
        }
    }
}
