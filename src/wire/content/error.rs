//! Why bytes are not the content of a message.

use domain::message::Refusal;
use domain::reason::Reason;
use domain::rule::Rule;

/// Why bytes are not the content of a message. Names fields and rules, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedContent {
    /// Not protobuf at all.
    #[error("not a protobuf message")]
    NotProtobuf(#[source] prost::DecodeError),
    /// A field that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A value that this version's list does not have.
    #[error("{field} has number {number}, which is not in the list")]
    NotListed {
        /// The field.
        field: &'static str,
        /// Number found.
        number: u32,
    },
    /// A value appears twice where each may appear once.
    #[error("{0} has a value twice")]
    Repeated(&'static str),
    /// A value that breaks a rule of its type.
    #[error("{field} breaks the rule {rule}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// The rule.
        rule: Rule,
    },
}

impl MalformedContent {
    /// The field it is about, as in the proto files.
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::NotProtobuf(_) => None,
            Self::Missing(field)
            | Self::Repeated(field)
            | Self::NotListed { field, number: _ }
            | Self::Invalid { field, rule: _ } => Some(field),
        }
    }

    /// The reason of the catalogue: what a sender is told.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NotProtobuf(_) | Self::Repeated(_) => Reason::Malformed,
            // A message of a newer version: it may name a kind, a service, an outcome we do not know.
            Self::NotListed { .. } => Reason::VersionUnsupported,
            Self::Missing("basis") => Reason::BasisRequired,
            Self::Missing("purpose") => Reason::PurposeRequired,
            Self::Missing(_) => Reason::FieldRequired,
            Self::Invalid { rule, .. } => rule.reason(),
        }
    }

    /// The same as a refusal; the field is empty where there is none.
    pub fn refusal(&self) -> Refusal {
        Refusal { reason: self.reason(), field: self.field().unwrap_or_default() }
    }
}
