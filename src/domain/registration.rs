//! Registrations (流动人口登记): the residence area's record that a person lives there.
//!
//! The origin area is a field of the registration. It is never taken from the digits of a resident ID,
//! which say where the number was first given and never change.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::area::AreaCode;
use crate::id::{CertificateNumber, PersonId, RegistrationId};
use crate::masked::masked;
use crate::message::ResidenceReason;
use crate::numbered::numbered;
use crate::record::{Author, Edit, EditError, History, Version};
use crate::text::Note;
use crate::time::Date;

numbered! {
    /// What made a version of a registration.
    pub enum Step {
        /// Registered on arrival.
        Arrive = 1, "ARRIVE", "登记";
        /// Details changed, such as an address inside the county.
        Change = 2, "CHANGE", "变更";
        /// Moved on to another county that the person named.
        MoveOn = 3, "MOVE_ON", "迁往他处";
        /// Left, without saying where to.
        Depart = 4, "DEPART", "离开";
        /// The departure was entered in error.
        Resume = 5, "RESUME", "恢复";
    }
}

/// What the residence area knows of a stay.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationDetails {
    /// Day of arrival.
    pub arrived_on: Date,
    /// Where the person lives, inside the owning county.
    pub residence_area: AreaCode,
    /// Address, as she states it; stays with the residence area.
    pub address: Option<Note>,
    /// Where the household is registered.
    pub origin_area: AreaCode,
    /// Why she came, if she said so.
    pub reason: Option<ResidenceReason>,
    /// The certificate she showed, if any.
    pub certificate: Option<CertificateNumber>,
}

masked!(RegistrationDetails {});

/// Whether the person still lives there.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stay {
    /// She does.
    Present,
    /// She has moved on.
    MovedOn {
        /// Day she left.
        on: Date,
        /// Area she named.
        to: AreaCode,
    },
    /// She has left.
    Departed {
        /// Day she left.
        on: Date,
    },
}

/// One version of a registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationState {
    /// What made this version.
    pub step: Step,
    /// Details.
    pub details: RegistrationDetails,
    /// Whether the person still lives there.
    pub stay: Stay,
}

/// Why a registration was not taken or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// The record may not be edited.
    #[error("the record may not be edited")]
    Edit(#[source] EditError),
    /// Arrived or left after the day of entry.
    #[error("a day lies in the future")]
    DateInFuture,
    /// Left before arriving.
    #[error("the departure lies before the arrival")]
    DepartureBeforeArrival,
    /// The residence is not in the county that registers.
    #[error("the residence lies outside the county that registers")]
    ResidenceOutside,
    /// The household is registered in the same county: nobody has moved.
    #[error("residence and origin are the same county")]
    SameCounty,
    /// Moved on to the same county: that is a change of address.
    #[error("a move inside the county is a change of address")]
    DestinationInside,
    /// The person has left already.
    #[error("the person has left already")]
    NotPresent,
    /// The person has not left.
    #[error("the person has not left")]
    StillPresent,
}

/// A registration with all its versions; the residence county owns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    id: RegistrationId,
    person: PersonId,
    owner: AreaCode,
    history: History<RegistrationState>,
}

impl Registration {
    /// Registers a person on arrival in the county `owner`.
    pub fn arrive(
        id: RegistrationId,
        person: PersonId,
        owner: AreaCode,
        details: RegistrationDetails,
        author: Author,
    ) -> Result<Self, RegistrationError> {
        details.check(owner, author.at.date())?;
        let state = RegistrationState { step: Step::Arrive, details, stay: Stay::Present };
        Ok(Self { id, person, owner: owner.county(), history: History::new(state, author) })
    }

    /// Changes the details. The stay remains as it is; a person who has left can still be corrected.
    pub fn change(
        &self,
        edit: Edit,
        details: RegistrationDetails,
    ) -> Result<Self, RegistrationError> {
        self.admits(&edit)?;
        details.check(self.owner, edit.author.at.date())?;
        let stay = self.current().stay;
        if stay.ended_on().is_some_and(|on| on < details.arrived_on) {
            return Err(RegistrationError::DepartureBeforeArrival);
        }
        Ok(self.with(RegistrationState { step: Step::Change, details, stay }, edit.author))
    }

    /// The person has moved on to another county, which she named.
    pub fn move_on(&self, edit: Edit, on: Date, to: AreaCode) -> Result<Self, RegistrationError> {
        if to.county() == self.owner {
            return Err(RegistrationError::DestinationInside);
        }
        self.end(edit, Step::MoveOn, Stay::MovedOn { on, to })
    }

    /// The person has left.
    pub fn depart(&self, edit: Edit, on: Date) -> Result<Self, RegistrationError> {
        self.end(edit, Step::Depart, Stay::Departed { on })
    }

    /// A departure was entered in error: the person still lives here.
    pub fn resume(&self, edit: Edit) -> Result<Self, RegistrationError> {
        self.admits(&edit)?;
        match self.current().stay {
            Stay::Present => Err(RegistrationError::StillPresent),
            Stay::MovedOn { .. } | Stay::Departed { .. } => {
                let details = self.current().details.clone();
                let state = RegistrationState { step: Step::Resume, details, stay: Stay::Present };
                Ok(self.with(state, edit.author))
            }
        }
    }

    fn end(&self, edit: Edit, step: Step, stay: Stay) -> Result<Self, RegistrationError> {
        self.admits(&edit)?;
        let current = self.current();
        if current.stay != Stay::Present {
            return Err(RegistrationError::NotPresent);
        }
        let on = stay.ended_on();
        if on.is_some_and(|on| on > edit.author.at.date()) {
            return Err(RegistrationError::DateInFuture);
        }
        if on.is_some_and(|on| on < current.details.arrived_on) {
            return Err(RegistrationError::DepartureBeforeArrival);
        }
        let details = current.details.clone();
        Ok(self.with(RegistrationState { step, details, stay }, edit.author))
    }

    fn admits(&self, edit: &Edit) -> Result<(), RegistrationError> {
        self.history.admits(edit, self.owner).map_err(RegistrationError::Edit)
    }

    fn with(&self, state: RegistrationState, author: Author) -> Self {
        Self { history: self.history.with(state, author), ..*self }
    }

    /// Identifier.
    pub fn id(&self) -> RegistrationId {
        self.id
    }

    /// Who is registered.
    pub fn person(&self) -> PersonId {
        self.person
    }

    /// County that keeps the record.
    pub fn owner(&self) -> AreaCode {
        self.owner
    }

    /// The version in force.
    pub fn current(&self) -> &RegistrationState {
        &self.history.current().value
    }

    /// Number of the version in force; an editor has to send it back.
    pub fn version(&self) -> Version {
        self.history.version()
    }

    /// All versions with who, when and why.
    pub fn history(&self) -> &History<RegistrationState> {
        &self.history
    }
}

impl fmt::Debug for Stay {
    /// Says whether, not when or where to.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Present => "Present",
            Self::MovedOn { .. } => "MovedOn",
            Self::Departed { .. } => "Departed",
        })
    }
}

impl Stay {
    /// Day the stay ended, if it has.
    pub fn ended_on(self) -> Option<Date> {
        match self {
            Self::Present => None,
            Self::MovedOn { on, .. } | Self::Departed { on } => Some(on),
        }
    }
}

impl RegistrationDetails {
    /// Rules between the fields for a registration of the county `owner`, on the day of entry.
    pub fn check(&self, owner: AreaCode, today: Date) -> Result<(), RegistrationError> {
        if self.arrived_on > today {
            return Err(RegistrationError::DateInFuture);
        }
        if self.residence_area.county() != owner.county() {
            return Err(RegistrationError::ResidenceOutside);
        }
        if self.origin_area.county() == owner.county() {
            return Err(RegistrationError::SameCounty);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
