//! A person: documents and names that print masked, and the record of the person.

mod document;
mod name;
mod resident_id;

pub use document::{DocumentError, DocumentKind, IdentityDocument};
pub use name::{NameError, PersonName};
pub(crate) use resident_id::check_character;
pub use resident_id::{IdError, ResidentId};

use serde::{Deserialize, Serialize};

use crate::area::AreaCode;
use crate::id::PersonId;
use crate::masked::masked;
use crate::numbered::numbered;
use crate::record::{Author, Edit, EditError, History, Version};
use crate::time::Date;

/// Most births that one record holds; more are a slip of the pen.
pub const BIRTHS_MAX: usize = 20;

numbered! {
    /// Sex (GB/T 2261.1).
    pub enum Sex {
        /// Male.
        Male = 1, "MALE", "男";
        /// Female.
        Female = 2, "FEMALE", "女";
        /// Not stated; the person need not say.
        NotStated = 9, "NOT_STATED", "未说明";
    }
}

numbered! {
    /// Marital status (GB/T 2261.2, reduced to what a statement needs).
    pub enum MaritalStatus {
        /// Never married.
        NeverMarried = 10, "NEVER_MARRIED", "未婚";
        /// Married, for the first time or again.
        Married = 20, "MARRIED", "已婚";
        /// Widowed.
        Widowed = 30, "WIDOWED", "丧偶";
        /// Divorced.
        Divorced = 40, "DIVORCED", "离婚";
    }
}

/// The least that finds a person at the other side.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PersonReference {
    /// Identity document.
    pub document: IdentityDocument,
    /// Name as in the document.
    pub name: PersonName,
}

/// The husband or wife, as far as the person stated it.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Spouse {
    /// Name.
    pub name: PersonName,
    /// Identity document, when shown.
    pub document: Option<IdentityDocument>,
    /// Day of marriage, when known.
    pub married_on: Option<Date>,
}

masked!(Spouse {});

/// A child that was born; the day is all the exchange needs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Birth {
    /// Day of birth.
    pub born_on: Date,
}

masked!(Birth {});

/// What is known of a person. There is no ethnicity, photo, employer, landlord or account of anything owed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonDetails {
    /// Identity document.
    pub document: IdentityDocument,
    /// Name as in the document.
    pub name: PersonName,
    /// Sex.
    pub sex: Sex,
    /// Day of birth.
    pub birth_date: Date,
    /// Marital status, if stated.
    pub marital_status: Option<MaritalStatus>,
    /// Husband or wife, if stated.
    pub spouse: Option<Spouse>,
    /// Children born, at most [`BIRTHS_MAX`].
    pub births: Vec<Birth>,
    /// At risk of harm: the residence is hidden from the origin side; release only audited.
    pub at_risk: bool,
}

masked!(PersonDetails { document, name });

/// Why details of a person were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PersonError {
    /// Born, married or a child born after the day of entry.
    #[error("a day lies in the future")]
    DateInFuture,
    /// The day of birth is not the one in the resident ID.
    #[error("the day of birth differs from the resident ID")]
    BirthDateDiffers,
    /// A child is born before the person, or the marriage is.
    #[error("a child's birth or a marriage lies before the person's own birth")]
    BeforeOwnBirth,
    /// A husband or wife is named for a person who never married.
    #[error("a person who never married has no husband or wife")]
    SpouseNotMarried,
    /// More than [`BIRTHS_MAX`] births.
    #[error("more than {BIRTHS_MAX} births")]
    TooManyBirths,
    /// The record may not be edited.
    #[error("the record may not be edited")]
    Edit(#[source] EditError),
}

/// The record of a person at one node, with all its versions. The details are kept as they were, so that
/// the person can be shown who changed what, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    id: PersonId,
    owner: AreaCode,
    history: History<PersonDetails>,
}

impl Person {
    /// A new record of the county `owner`, version 1.
    pub fn new(
        id: PersonId,
        owner: AreaCode,
        details: PersonDetails,
        author: Author,
    ) -> Result<Self, PersonError> {
        details.check(author.at.date())?;
        Ok(Self { id, owner: owner.county(), history: History::new(details, author) })
    }

    /// The same person with other details: the next version.
    pub fn revise(&self, edit: Edit, details: PersonDetails) -> Result<Self, PersonError> {
        self.history.admits(&edit, self.owner).map_err(PersonError::Edit)?;
        details.check(edit.author.at.date())?;
        Ok(Self { history: self.history.with(details, edit.author), ..*self })
    }

    /// Identifier at this node.
    pub fn id(&self) -> PersonId {
        self.id
    }

    /// County that keeps the record.
    pub fn owner(&self) -> AreaCode {
        self.owner
    }

    /// Present details.
    pub fn details(&self) -> &PersonDetails {
        &self.history.current().value
    }

    /// Number of the present version.
    pub fn version(&self) -> Version {
        self.history.version()
    }

    /// All versions: what they said, who wrote them, when and why.
    pub fn history(&self) -> &History<PersonDetails> {
        &self.history
    }

    /// What a message says of the person.
    pub fn reference(&self) -> PersonReference {
        let details = self.details();
        PersonReference { document: details.document.clone(), name: details.name.clone() }
    }
}

impl PersonDetails {
    /// Details that a resident ID gives by itself; everything else is not stated.
    pub fn from_resident_id(
        id: ResidentId,
        check_confirmed: bool,
        name: PersonName,
    ) -> Result<Self, DocumentError> {
        Ok(Self {
            sex: id.sex(),
            birth_date: id.birth_date(),
            document: IdentityDocument::from_resident_id(id, check_confirmed)?,
            name,
            marital_status: None,
            spouse: None,
            births: Vec::new(),
            at_risk: false,
        })
    }

    /// Rules between the fields, on the day of entry.
    pub fn check(&self, today: Date) -> Result<(), PersonError> {
        let married_on = self.spouse.as_ref().and_then(|spouse| spouse.married_on);
        let events = self.births.iter().map(|birth| birth.born_on).chain(married_on);
        if self.births.len() > BIRTHS_MAX {
            return Err(PersonError::TooManyBirths);
        }
        if self.birth_date > today || events.clone().any(|day| day > today) {
            return Err(PersonError::DateInFuture);
        }
        if events.clone().any(|day| day <= self.birth_date) {
            return Err(PersonError::BeforeOwnBirth);
        }
        // An unconfirmed slip cannot get here, but a confirmed odd number may carry an odd date.
        if self
            .document
            .resident_id()
            .is_some_and(|id| id.check_ok() && id.birth_date() != self.birth_date)
        {
            return Err(PersonError::BirthDateDiffers);
        }
        if self.spouse.is_some() && self.marital_status == Some(MaritalStatus::NeverMarried) {
            return Err(PersonError::SpouseNotMarried);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
