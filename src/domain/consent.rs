//! Consents (单独同意) and the person's own requests for a service: without one of them nothing about
//! pregnancy or contraception leaves a node.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::area::AreaCode;
use crate::id::{ConsentId, PersonId, RequestId};
use crate::masked::masked;
use crate::numbered::numbered;
use crate::record::Author;
use crate::service::Service;
use crate::time::{Date, UnixMillis};

/// Longest time a consent holds, years: as long as the certificate it often comes with; shorter is better.
pub const CONSENT_YEARS_MAX: u16 = 3;
/// How long a request for a service covers messages about it, days: a pregnancy and the visits after it.
pub const REQUEST_DAYS: i32 = 365;

numbered! {
    /// What a consent covers.
    pub enum ConsentScope {
        /// Messages about a pregnancy.
        Pregnancy = 1, "PREGNANCY", "孕情";
        /// Messages about contraception.
        Contraception = 2, "CONTRACEPTION", "避孕节育";
    }
}

numbered! {
    /// How a consent was given or withdrawn.
    pub enum Given {
        /// At the counter, in person.
        InPerson = 1, "IN_PERSON", "当面";
        /// On paper, signed.
        InWriting = 2, "IN_WRITING", "书面";
        /// Through an online service that identified the person.
        Online = 3, "ONLINE", "网上";
    }
}

/// What a person has allowed or asked for and can take back: messages about her rest on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ground {
    /// A consent.
    Consent(ConsentId),
    /// Her own request for a service.
    Request(RequestId),
}

impl Ground {
    /// The 16 bytes of its id, which no two grounds share.
    #[must_use]
    pub const fn bytes(self) -> [u8; 16] {
        match self {
            Self::Consent(id) => *id.as_bytes(),
            Self::Request(id) => *id.as_bytes(),
        }
    }

    /// The field of a message by which it names the ground.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Consent(_) => "consent.consent_id",
            Self::Request(_) => "service_request.request_id",
        }
    }
}

/// Why a consent or request was not taken or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsentError {
    /// Covers nothing.
    #[error("a consent covers at least one thing")]
    NoScope,
    /// Given after the day it was recorded.
    #[error("a consent cannot be given in the future")]
    GivenInFuture,
    /// Ends before it begins, or holds longer than [`CONSENT_YEARS_MAX`].
    #[error("a consent ends after it was given, at most {CONSENT_YEARS_MAX} years later")]
    Period,
    /// Withdrawn before: the first withdrawal counts.
    #[error("the consent or request was withdrawn before")]
    AlreadyWithdrawn,
}

/// A withdrawal: stops sending at once and travels to the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// How the person said so.
    pub given: Given,
    /// Who recorded it, and when; it counts from then.
    pub author: Author,
}

/// What a new consent says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentTerms {
    /// What it covers.
    pub scopes: BTreeSet<ConsentScope>,
    /// County that may be told.
    pub recipient: AreaCode,
    /// Day it was given.
    pub given_on: Date,
    /// Last day it holds.
    pub valid_until: Date,
    /// How it was given.
    pub given: Given,
}

masked!(ConsentTerms {});

/// A person's recorded, separate consent. It never changes but for its withdrawal: other terms are
/// another consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    id: ConsentId,
    person: PersonId,
    terms: ConsentTerms,
    author: Author,
    withdrawal: Option<Withdrawal>,
}

impl Consent {
    /// Records a consent.
    pub fn record(
        id: ConsentId,
        person: PersonId,
        mut terms: ConsentTerms,
        author: Author,
    ) -> Result<Self, ConsentError> {
        terms.recipient = terms.recipient.county();
        if terms.scopes.is_empty() {
            return Err(ConsentError::NoScope);
        }
        if terms.given_on > author.at.date() {
            return Err(ConsentError::GivenInFuture);
        }
        let longest = terms.given_on.plus_years(CONSENT_YEARS_MAX);
        if terms.valid_until < terms.given_on || terms.valid_until > longest {
            return Err(ConsentError::Period);
        }
        Ok(Self { id, person, terms, author, withdrawal: None })
    }

    /// The same consent, withdrawn.
    pub fn withdraw(&self, withdrawal: Withdrawal) -> Result<Self, ConsentError> {
        if self.withdrawal.is_some() {
            return Err(ConsentError::AlreadyWithdrawn);
        }
        Ok(Self { withdrawal: Some(withdrawal), ..self.clone() })
    }

    /// Whether it covers telling `recipient`'s county about `scope` on that day.
    pub fn covers(&self, scope: ConsentScope, recipient: AreaCode, on: Date) -> bool {
        self.withdrawal.is_none() && self.reference().covers(scope, recipient, on)
    }

    /// What a message says of it.
    pub fn reference(&self) -> ConsentReference {
        ConsentReference {
            consent_id: self.id,
            given_on: self.terms.given_on,
            valid_until: self.terms.valid_until,
            recipient: self.terms.recipient,
            scopes: self.terms.scopes.clone(),
        }
    }

    /// Identifier.
    pub fn id(&self) -> ConsentId {
        self.id
    }

    /// Whose it is.
    pub fn person(&self) -> PersonId {
        self.person
    }

    /// What it says.
    pub fn terms(&self) -> &ConsentTerms {
        &self.terms
    }

    /// Who recorded it.
    pub fn author(&self) -> &Author {
        &self.author
    }

    /// Its withdrawal, if there was one.
    pub fn withdrawal(&self) -> Option<&Withdrawal> {
        self.withdrawal.as_ref()
    }

    /// When it was withdrawn.
    pub fn withdrawn_at(&self) -> Option<UnixMillis> {
        self.withdrawal.as_ref().map(|withdrawal| withdrawal.author.at)
    }
}

/// The consent that covers a message; the record itself stays with the office that took it.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConsentReference {
    /// Which consent.
    pub consent_id: ConsentId,
    /// Day it was given.
    pub given_on: Date,
    /// Last day it holds.
    pub valid_until: Date,
    /// County that may be told.
    pub recipient: AreaCode,
    /// What it covers.
    pub scopes: BTreeSet<ConsentScope>,
}

masked!(ConsentReference { consent_id });

impl ConsentReference {
    /// Whether it covers telling `recipient`'s county about `scope` on that day, as far as the reference
    /// itself can say; a withdrawal is known to the record only.
    pub fn covers(&self, scope: ConsentScope, recipient: AreaCode, on: Date) -> bool {
        self.scopes.contains(&scope)
            && self.recipient.county() == recipient.county()
            && (self.given_on..=self.valid_until).contains(&on)
    }
}

/// A person's own request for a service.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRequest {
    /// Identifier.
    pub id: RequestId,
    /// Whose it is.
    pub person: PersonId,
    /// The service asked for.
    pub service: Service,
    /// Day it was made.
    pub requested_on: Date,
    /// How it was made.
    pub given: Given,
    /// Who recorded it.
    pub author: Author,
    /// When the person took it back, if she did.
    pub withdrawal: Option<Withdrawal>,
}

masked!(ServiceRequest { id });

impl ServiceRequest {
    /// The same request, taken back.
    pub fn withdraw(&self, withdrawal: Withdrawal) -> Result<Self, ConsentError> {
        if self.withdrawal.is_some() {
            return Err(ConsentError::AlreadyWithdrawn);
        }
        Ok(Self { withdrawal: Some(withdrawal), ..self.clone() })
    }

    /// What a message says of it; nothing once it was taken back.
    pub fn reference(&self) -> Option<ServiceRequestReference> {
        self.withdrawal.is_none().then_some(ServiceRequestReference {
            request_id: self.id,
            requested_on: self.requested_on,
            service: self.service,
        })
    }
}

/// The person's own request for a service that covers a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ServiceRequestReference {
    /// Which request.
    pub request_id: RequestId,
    /// Day it was made.
    pub requested_on: Date,
    /// The service asked for.
    pub service: Service,
}

masked!(ServiceRequestReference { request_id });

impl ServiceRequestReference {
    /// Whether it is recent enough to cover anything on that day.
    pub fn holds_on(&self, on: Date) -> bool {
        (self.requested_on..=self.requested_on.plus_days(REQUEST_DAYS)).contains(&on)
    }

    /// Whether it covers messages about `scope` on that day.
    pub fn covers(&self, scope: ConsentScope, on: Date) -> bool {
        self.service.covers(scope) && self.holds_on(on)
    }
}

#[cfg(test)]
mod tests;
