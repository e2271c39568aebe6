//! Certificates (婚育证明): the origin area's statement of marriage and births for a person who moves.
//!
//! Free of any charge (Order 555, art. 17), valid three years. A certificate is no condition for work,
//! lease or household entry, and nothing here can say that somebody lacks one.

mod endorsement;

pub use endorsement::{CheckResult, Endorsement};

use serde::{Deserialize, Serialize};

use crate::area::AreaCode;
use crate::id::{CertificateNumber, PersonId};
use crate::masked::masked;
use crate::message::{CertificateEvent, CertificateState};
use crate::numbered::numbered;
use crate::person::{Birth, MaritalStatus, PersonDetails, PersonName, PersonReference, Sex};
use crate::record::{Author, Edit, EditError, History, Version};
use crate::text::WrittenReason;
use crate::time::Date;

/// How long a certificate is valid, years (2000 rules; domain notes, C15).
pub const VALID_YEARS: u16 = 3;

numbered! {
    /// Why a certificate is replaced.
    pub enum ReplacementCause {
        /// Lost.
        Lost = 1, "LOST", "遗失";
        /// Damaged or unreadable.
        Damaged = 2, "DAMAGED", "损坏";
        /// What it states has changed.
        Changed = 3, "CHANGED", "内容变更";
    }
}

numbered! {
    /// Why a certificate is revoked.
    pub enum RevocationCause {
        /// At the holder's wish.
        AtHoldersWish = 1, "AT_HOLDERS_WISH", "本人申请";
        /// Issued in error.
        IssuedInError = 2, "ISSUED_IN_ERROR", "签发有误";
        /// The household is registered elsewhere now.
        RegisteredElsewhere = 3, "REGISTERED_ELSEWHERE", "户籍已迁出";
        /// The holder has died.
        HolderDied = 4, "HOLDER_DIED", "持证人去世";
    }
}

/// What a certificate states.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateFacts {
    /// Holder.
    pub holder: PersonReference,
    /// Sex.
    pub sex: Sex,
    /// Day of birth.
    pub birth_date: Date,
    /// Marital status, if known.
    pub marital_status: Option<MaritalStatus>,
    /// Name of the husband or wife, if there is one.
    pub spouse: Option<PersonName>,
    /// Children born.
    pub births: Vec<Birth>,
}

masked!(CertificateFacts { holder });

impl CertificateFacts {
    /// What the record of a person says.
    pub fn of(details: &PersonDetails) -> Self {
        Self {
            holder: PersonReference {
                document: details.document.clone(),
                name: details.name.clone(),
            },
            sex: details.sex,
            birth_date: details.birth_date,
            marital_status: details.marital_status,
            spouse: details.spouse.as_ref().map(|spouse| spouse.name.clone()),
            births: details.births.clone(),
        }
    }
}

/// Where a certificate stands, apart from the passing of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// In force until its validity ends.
    InForce,
    /// Another one took its place.
    Replaced {
        /// The other one.
        by: CertificateNumber,
        /// Day.
        on: Date,
        /// Why.
        cause: ReplacementCause,
    },
    /// Revoked.
    Revoked {
        /// Day.
        on: Date,
        /// Why, from the list.
        cause: RevocationCause,
        /// Why, in words the holder can read.
        reason: WrittenReason,
    },
}

/// One version of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateVersion {
    /// What made this version.
    pub event: CertificateEvent,
    /// First day of validity.
    pub valid_from: Date,
    /// Last day of validity.
    pub valid_until: Date,
    /// Where it stands.
    pub standing: Standing,
}

/// Why a step is not legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The record may not be edited.
    #[error("the record may not be edited")]
    Edit(#[source] EditError),
    /// The number belongs to another county.
    #[error("the number belongs to another county")]
    ForeignNumber,
    /// The validity has ended: a new certificate is issued instead.
    #[error("the validity has ended; issue a new certificate")]
    Expired,
    /// It was replaced before.
    #[error("the certificate was replaced")]
    Replaced,
    /// It was revoked before.
    #[error("the certificate was revoked")]
    Revoked,
    /// A replacement needs a number of its own.
    #[error("a replacement needs a number of its own")]
    SameNumber,
}

/// A certificate with all its versions; the origin county owns it. What it states never changes:
/// changed facts are another certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    number: CertificateNumber,
    person: PersonId,
    owner: AreaCode,
    facts: CertificateFacts,
    replaces: Option<CertificateNumber>,
    history: History<CertificateVersion>,
}

/// A certificate and the one that takes its place; both are stored in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The old one, no longer in force.
    pub old: Certificate,
    /// The new one.
    pub new: Certificate,
}

impl Certificate {
    /// Issues a certificate of the county `owner`, valid from the author's day for three years.
    pub fn issue(
        number: CertificateNumber,
        person: PersonId,
        owner: AreaCode,
        facts: CertificateFacts,
        author: Author,
    ) -> Result<Self, CertificateError> {
        let owner = owner.county();
        if number.county() != Some(owner) {
            return Err(CertificateError::ForeignNumber);
        }
        let today = author.at.date();
        let version = CertificateVersion {
            event: CertificateEvent::Issued,
            valid_from: today,
            valid_until: last_day(today),
            standing: Standing::InForce,
        };
        let history = History::new(version, author);
        Ok(Self { number, person, owner, facts, replaces: None, history })
    }

    /// Extends the validity to three years from the author's day; only while it is valid.
    pub fn renew(&self, edit: Edit) -> Result<Self, CertificateError> {
        let today = edit.author.at.date();
        self.admits(&edit)?;
        self.must_be_valid(today)?;
        let version = CertificateVersion {
            event: CertificateEvent::Renewed,
            valid_until: last_day(today),
            ..self.current().clone()
        };
        Ok(self.with(version, edit.author))
    }

    /// Puts another certificate in its place. A lost or damaged one keeps its last day; changed facts
    /// were checked today and begin three new years.
    pub fn replace(
        &self,
        edit: Edit,
        number: CertificateNumber,
        cause: ReplacementCause,
        facts: CertificateFacts,
    ) -> Result<Replacement, CertificateError> {
        let today = edit.author.at.date();
        self.admits(&edit)?;
        self.must_be_valid(today)?;
        if number == self.number {
            return Err(CertificateError::SameNumber);
        }
        if number.county() != Some(self.owner) {
            return Err(CertificateError::ForeignNumber);
        }
        let valid_until = match cause {
            ReplacementCause::Lost | ReplacementCause::Damaged => self.current().valid_until,
            ReplacementCause::Changed => last_day(today),
        };
        let event = CertificateEvent::Replaced;
        let standing = Standing::Replaced { by: number, on: today, cause };
        let old = CertificateVersion { event, standing, ..self.current().clone() };
        let new = CertificateVersion {
            event,
            valid_from: today,
            valid_until,
            standing: Standing::InForce,
        };
        let author = edit.author;
        Ok(Replacement {
            old: self.with(old, author.clone()),
            new: Self {
                number,
                facts,
                replaces: Some(self.number),
                history: History::new(new, author),
                ..*self
            },
        })
    }

    /// Revokes it, with a reason that the holder can read. An expired one can be revoked too.
    pub fn revoke(
        &self,
        edit: Edit,
        cause: RevocationCause,
        reason: WrittenReason,
    ) -> Result<Self, CertificateError> {
        self.admits(&edit)?;
        self.must_be_in_force()?;
        let standing = Standing::Revoked { on: edit.author.at.date(), cause, reason };
        let event = CertificateEvent::Revoked;
        let version = CertificateVersion { event, standing, ..self.current().clone() };
        Ok(self.with(version, edit.author))
    }

    /// State on a day, as a statement to another area puts it.
    pub fn state_on(&self, day: Date) -> CertificateState {
        match self.current().standing {
            Standing::Replaced { .. } => CertificateState::Replaced,
            Standing::Revoked { .. } => CertificateState::Revoked,
            Standing::InForce if day > self.current().valid_until => CertificateState::Expired,
            Standing::InForce => CertificateState::Valid,
        }
    }

    fn must_be_in_force(&self) -> Result<(), CertificateError> {
        match self.current().standing {
            Standing::InForce => Ok(()),
            Standing::Replaced { .. } => Err(CertificateError::Replaced),
            Standing::Revoked { .. } => Err(CertificateError::Revoked),
        }
    }

    fn must_be_valid(&self, today: Date) -> Result<(), CertificateError> {
        self.must_be_in_force()?;
        if today > self.current().valid_until { Err(CertificateError::Expired) } else { Ok(()) }
    }

    fn admits(&self, edit: &Edit) -> Result<(), CertificateError> {
        self.history.admits(edit, self.owner).map_err(CertificateError::Edit)
    }

    fn with(&self, version: CertificateVersion, author: Author) -> Self {
        Self { history: self.history.with(version, author), ..self.clone() }
    }

    /// Number on the paper.
    pub fn number(&self) -> CertificateNumber {
        self.number
    }

    /// Holder in this node's records.
    pub fn person(&self) -> PersonId {
        self.person
    }

    /// County that issued it.
    pub fn owner(&self) -> AreaCode {
        self.owner
    }

    /// What it states.
    pub fn facts(&self) -> &CertificateFacts {
        &self.facts
    }

    /// The certificate whose place it took.
    pub fn replaces(&self) -> Option<CertificateNumber> {
        self.replaces
    }

    /// The version in force.
    pub fn current(&self) -> &CertificateVersion {
        &self.history.current().value
    }

    /// Number of the version in force; an editor has to send it back.
    pub fn version(&self) -> Version {
        self.history.version()
    }

    /// All versions with who, when and why.
    pub fn history(&self) -> &History<CertificateVersion> {
        &self.history
    }
}

/// An application that was turned down. It cannot exist without a written reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationTurnedDown {
    /// Who applied.
    pub person: PersonId,
    /// Why, in words the person can read and object to.
    pub reason: WrittenReason,
    /// Who decided, and when.
    pub author: Author,
}

/// Three years that begin today end on the day before the same date.
fn last_day(today: Date) -> Date {
    today.plus_years(VALID_YEARS).plus_days(-1)
}

#[cfg(test)]
mod tests;
