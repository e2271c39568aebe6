//! How a use case ends when it does not end well: a reason of the catalogue, and what it is about.

use std::fmt;

use domain::reason::Reason;
use domain::rule::{Finding, Violation};
use store::{CommitError, StoreError, StoreFailure};

/// Why a use case did nothing. Neither the texts nor `Debug` carry personal data.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A rule forbids it, or what it is about is not there.
    #[error("refused: {0}")]
    Refused(Box<Refusal>),
    /// Rows could not be read or encoded.
    #[error("the store cannot be read")]
    Store(#[from] StoreError),
    /// The store stopped; whether the writes reached the disk is unknown.
    #[error("the store has stopped")]
    StoreStopped(#[source] StoreFailure),
    /// The store is closed: the node is on its way down.
    #[error("the store is closed")]
    StoreClosed,
    /// The store's queue is full; nothing was written.
    #[error("too much work is waiting")]
    Busy,
    /// The node's key did not sign.
    #[error("the node cannot sign: {0}")]
    Signing(String),
    /// A fault of the program; the text is for the log.
    #[error("a fault of the program: {0}")]
    Internal(&'static str),
}

/// A refusal for a reason of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub reason: Reason,
    /// Field it is about, by its name in the request.
    pub field: Option<String>,
    /// Every fault of the request, when there is more than one to tell.
    pub findings: Vec<Finding>,
    /// Id or number of the record that is in the way; only for who may read it.
    pub existing: Option<String>,
    /// Something more for the reader, in English; never anything a person entered.
    pub detail: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.code())?;
        if let Some(field) = &self.field {
            write!(f, " ({field})")?;
        }
        for finding in &self.findings {
            write!(f, " [{} {}]", finding.rule, finding.field)?;
        }
        self.detail.iter().try_for_each(|detail| write!(f, ": {detail}"))
    }
}

impl Refusal {
    /// A refusal that says no more than its reason.
    #[must_use]
    pub fn new(reason: Reason) -> Self {
        let field = reason.field().map(str::to_owned);
        Self { reason, field, findings: Vec::new(), existing: None, detail: None }
    }

    /// The same, about that field.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same, naming the record that is in the way.
    #[must_use]
    pub fn existing(mut self, id: impl fmt::Display) -> Self {
        self.existing = Some(id.to_string());
        self
    }

    /// The same with a sentence more.
    #[must_use]
    pub fn detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }
}

impl From<Refusal> for AppError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<Reason> for AppError {
    fn from(reason: Reason) -> Self {
        Refusal::new(reason).into()
    }
}

impl From<Vec<Finding>> for AppError {
    /// Faults of a request. The first names reason and field of the whole; all are told.
    fn from(findings: Vec<Finding>) -> Self {
        let first = findings.first();
        let reason = first.map_or(Reason::InvalidField, |finding| finding.rule.reason());
        let field = first.map(|finding| finding.field.to_string());
        Refusal { reason, field, findings, existing: None, detail: None }.into()
    }
}

impl From<Finding> for AppError {
    fn from(finding: Finding) -> Self {
        vec![finding].into()
    }
}

impl From<CommitError<AppError>> for AppError {
    fn from(error: CommitError<AppError>) -> Self {
        match error {
            CommitError::Refused(error) => error,
            CommitError::StoreFailed(failure) => Self::StoreStopped(failure),
            CommitError::Full => Self::Busy,
            CommitError::TooLarge { .. } => Self::Internal("a unit of work wrote too much"),
            CommitError::Panicked => Self::Internal("a unit of work panicked"),
            CommitError::Closed => Self::StoreClosed,
        }
    }
}

impl AppError {
    /// A step that a rule of the domain forbids, at a field.
    #[must_use]
    pub fn forbidden(error: &impl Violation, field: &'static str) -> Self {
        error.at(field).into()
    }

    /// The reason of the catalogue.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Refused(refusal) => refusal.reason,
            Self::Store(StoreError::NoSuchPerson) => Reason::NotFound,
            Self::Store(_) | Self::StoreStopped(_) | Self::StoreClosed => Reason::StoreUnavailable,
            Self::Busy => Reason::Busy,
            Self::Signing(_) => Reason::SigningUnavailable,
            Self::Internal(_) => Reason::Internal,
        }
    }

    /// Whether it may come from what the work was about, so that other work can go on: not when the store has stopped,
    /// is on its way down or takes nothing now.
    #[must_use]
    pub const fn is_of_one(&self) -> bool {
        match self {
            Self::Store(error) => !matches!(error, StoreError::Engine(_)),
            Self::Refused(_) | Self::Signing(_) | Self::Internal(_) => true,
            Self::StoreStopped(_) | Self::StoreClosed | Self::Busy => false,
        }
    }

    /// The refusal, when it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Store(_)
            | Self::StoreStopped(_)
            | Self::StoreClosed
            | Self::Busy
            | Self::Signing(_)
            | Self::Internal(_) => None,
        }
    }
}
