//! How an agreement comes to be, changes and ends: proposed, decided by the other side, replaced by its next version,
//! ended by either.

use serde::{Deserialize, Serialize};

use super::AgreementTerms;
use crate::area::AreaCode;
use crate::id::AgreementId;
use crate::time::{Date, UnixMillis};

/// Where a version of an agreement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AgreementState {
    /// The other side has not decided.
    Proposed,
    /// The other side has not agreed.
    Declined,
    /// Both have agreed.
    Agreed {
        /// When the other side did.
        at: UnixMillis,
    },
    /// A later version stands in its place, or will from a day on.
    Replaced {
        /// That version.
        by: u32,
        /// The first day on which this one does not hold any more.
        from: Date,
    },
    /// One side has ended it.
    Ended {
        /// Who.
        by: AreaCode,
        /// The last day it holds.
        on: Date,
    },
}

/// Why a step was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgreementError {
    /// Neither side of it.
    #[error("the area is not a side of this agreement")]
    NotASide,
    /// A side decides on what the other proposed.
    #[error("the side that proposed cannot decide")]
    OwnProposal,
    /// It was decided before, or replaced.
    #[error("it is not open for a decision")]
    NotOpen,
    /// Only what both have agreed on can end.
    #[error("it is not in force")]
    NotAgreed,
    /// A version follows the one before it.
    #[error("a version has the next number after the last one")]
    VersionOrder,
    /// The day is sooner than the notice allows.
    #[error("the last day is sooner than the agreed notice")]
    Notice,
}

/// One version of an agreement between two areas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// The same for every version.
    pub id: AgreementId,
    /// From 1.
    pub version: u32,
    /// The county that proposed this version.
    pub proposer: AreaCode,
    /// The county that decides on it.
    pub other: AreaCode,
    /// What it says.
    pub terms: AgreementTerms,
    /// Where it stands.
    pub state: AgreementState,
}

impl Agreement {
    /// A proposal. `last` is the newest version that the proposer has, if there is one.
    pub fn propose(
        (id, version): (AgreementId, u32),
        (proposer, other): (AreaCode, AreaCode),
        terms: AgreementTerms,
        last: Option<&Self>,
    ) -> Result<Self, AgreementError> {
        if proposer == other {
            return Err(AgreementError::NotASide);
        }
        if let Some(last) = last {
            let sides = [last.proposer, last.other];
            if !sides.contains(&proposer) || !sides.contains(&other) {
                return Err(AgreementError::NotASide);
            }
        }
        let next = last.map_or(0, |last| last.version).saturating_add(1);
        if version != next {
            return Err(AgreementError::VersionOrder);
        }
        Ok(Self { id, version, proposer, other, terms, state: AgreementState::Proposed })
    }

    /// The decision of `by`.
    pub fn decide(
        &self,
        by: AreaCode,
        accepted: bool,
        at: UnixMillis,
    ) -> Result<Self, AgreementError> {
        if by == self.proposer {
            return Err(AgreementError::OwnProposal);
        }
        if by != self.other {
            return Err(AgreementError::NotASide);
        }
        if self.state != AgreementState::Proposed {
            return Err(AgreementError::NotOpen);
        }
        let state = if accepted { AgreementState::Agreed { at } } else { AgreementState::Declined };
        Ok(Self { state, ..self.clone() })
    }

    /// What becomes of this version when a later one is agreed on that holds from a day on, or is ended the day before:
    /// it holds until then, and no longer than it did.
    pub fn replace(&self, by: u32, from: Date) -> Self {
        let state = match self.state {
            _ if by <= self.version => self.state,
            // What was never agreed on never holds.
            AgreementState::Proposed => {
                AgreementState::Replaced { by, from: self.terms.valid_from }
            }
            AgreementState::Agreed { .. } => AgreementState::Replaced { by, from },
            AgreementState::Replaced { from: before, .. } if from < before => {
                AgreementState::Replaced { by, from }
            }
            AgreementState::Ended { on, .. } if from <= on => AgreementState::Replaced { by, from },
            AgreementState::Declined
            | AgreementState::Replaced { .. }
            | AgreementState::Ended { .. } => self.state,
        };
        Self { state, ..self.clone() }
    }

    /// The same, ended by one side after `on`, said on `today`.
    pub fn end(&self, by: AreaCode, on: Date, today: Date) -> Result<Self, AgreementError> {
        if ![self.proposer, self.other].contains(&by) {
            return Err(AgreementError::NotASide);
        }
        if !matches!(self.state, AgreementState::Agreed { .. }) {
            return Err(AgreementError::NotAgreed);
        }
        if on < today.plus_days(i32::from(self.terms.notice_days)) {
            return Err(AgreementError::Notice);
        }
        Ok(Self { state: AgreementState::Ended { by, on }, ..self.clone() })
    }

    /// The last day on which it holds; none when it never does.
    pub fn last_day(&self) -> Option<Date> {
        let until = self.terms.valid_until;
        let last = match self.state {
            AgreementState::Agreed { .. } => until,
            AgreementState::Ended { on, .. } => on.min(until),
            AgreementState::Replaced { from, .. } => from.plus_days(-1).min(until),
            AgreementState::Proposed | AgreementState::Declined => return None,
        };
        Some(last).filter(|last| *last >= self.terms.valid_from)
    }

    /// Whether it holds on that day.
    pub fn is_in_force(&self, on: Date) -> bool {
        self.last_day().is_some_and(|last| (self.terms.valid_from..=last).contains(&on))
    }

    /// The other side of it, as seen by `own`.
    pub fn peer_of(&self, own: AreaCode) -> AreaCode {
        if self.proposer == own { self.other } else { self.proposer }
    }
}
