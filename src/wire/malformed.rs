//! Why bytes from outside are not what the protocol says.

use domain::area::AreaError;
use exchange::card::InvalidCard;
use exchange::card::InvalidEndpoint;

/// Why bytes from outside are not what the protocol says. Names the field, never its value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Malformed {
    /// Not protobuf, or a field of the wrong wire type.
    #[error("the bytes are not the expected protobuf message")]
    Protobuf,
    /// Must be there and is not.
    #[error("{field} is missing")]
    Missing {
        /// Name in the proto file.
        field: &'static str,
    },
    /// Bytes of fixed length have another one.
    #[error("{field} has {found} bytes instead of {expected}")]
    Length {
        /// Name in the proto file.
        field: &'static str,
        /// Length it must have.
        expected: usize,
        /// Length it has.
        found: usize,
    },
    /// Longer, or more of them, than a named limit.
    #[error("{field} is {found}, the most is {most}")]
    TooMuch {
        /// Name in the proto file.
        field: &'static str,
        /// The limit.
        most: usize,
        /// What was found, in bytes or items.
        found: usize,
    },
    /// Not an area code.
    #[error("{field} is no area code")]
    Area {
        /// Name in the proto file.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: AreaError,
    },
    /// An area code below the county; nodes speak for counties and provinces.
    #[error("{field} does not have six digits")]
    NotSixDigits {
        /// Name in the proto file.
        field: &'static str,
    },
    /// Text that is not UTF-8.
    #[error("{field} is not UTF-8")]
    Text {
        /// Name in the proto file.
        field: &'static str,
    },
    /// A number of a list that is not stated or not known to this version.
    #[error("{field} is {number}, which this version does not know")]
    Unknown {
        /// Name in the proto file.
        field: &'static str,
        /// The number found.
        number: i64,
    },
    /// A number outside its range.
    #[error("{field} is out of range")]
    Range {
        /// Name in the proto file.
        field: &'static str,
    },
    /// An endpoint that is not `host:port`.
    #[error("an endpoint of the card cannot be dialled")]
    Endpoint(#[source] InvalidEndpoint),
    /// A card that makes no sense.
    #[error("the card makes no sense")]
    Card(#[source] InvalidCard),
}

impl From<prost::DecodeError> for Malformed {
    /// The decoder's own text may quote nothing of value, so it is dropped.
    fn from(_: prost::DecodeError) -> Self {
        Self::Protobuf
    }
}
