//! Name of a person.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::ZeroizeOnDrop;

use crate::purpose::Purpose;
use crate::text::{is_invisible, serialize_personal};

/// Most characters of a name.
const CHARS_MAX: usize = 50;

/// Why a text is not a name. The text itself is never repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing but blanks, or no letter at all.
    #[error("the name is empty")]
    Empty,
    /// More than 50 characters.
    #[error("the name has more than {CHARS_MAX} characters")]
    TooLong,
    /// Characters that do not show, or change how others show.
    #[error("the name contains control characters")]
    Control,
}

/// A name of 1 to 50 characters, without blanks at its ends. `Debug` shows the first character only.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, ZeroizeOnDrop)]
pub struct PersonName(String);

impl PersonName {
    /// Reads a name as typed.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        if !text.chars().any(char::is_alphabetic) {
            return Err(NameError::Empty);
        }
        if text.chars().count() > CHARS_MAX {
            return Err(NameError::TooLong);
        }
        if text.chars().any(is_invisible) {
            return Err(NameError::Control);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name, for somebody who has a purpose.
    pub fn expose(&self, _why: &Purpose) -> &str {
        &self.0
    }

    pub(crate) fn raw(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}**", self.0.chars().next().unwrap_or('*'))
    }
}

impl Serialize for PersonName {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        serialize_personal(&self.0, out)
    }
}

impl<'de> Deserialize<'de> for PersonName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&std::borrow::Cow::<str>::deserialize(from)?).map_err(de::Error::custom)
    }
}
