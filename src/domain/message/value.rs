//! Small values that only messages have.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::ZeroizeOnDrop;

use crate::purpose::Purpose;
use crate::text::serialize_personal;

/// Most children a statement can count; more are a slip of the pen.
pub const CHILDREN_MAX: u8 = 20;
/// Most characters of a number printed on a paper.
const PRINTED_CHARS_MAX: usize = 40;

/// A number of children, 0 to [`CHILDREN_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Children(u8);

/// More than [`CHILDREN_MAX`] children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {CHILDREN_MAX} children")]
pub struct ChildrenError;

impl Children {
    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Children {
    type Error = ChildrenError;
    fn try_from(count: u8) -> Result<Self, ChildrenError> {
        if count > CHILDREN_MAX { Err(ChildrenError) } else { Ok(Self(count)) }
    }
}

impl From<Children> for u8 {
    fn from(count: Children) -> Self {
        count.0
    }
}

impl fmt::Debug for Children {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("*")
    }
}

/// Why a text is not a printed number. The text itself is never repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a printed number has 1 to {PRINTED_CHARS_MAX} letters or digits, with - / . and brackets")]
pub struct PrintedNumberError;

/// Number of an application or of a birth certificate, as printed on the paper.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, ZeroizeOnDrop)]
pub struct PrintedNumber(String);

impl PrintedNumber {
    /// Reads a number as typed.
    pub fn parse(text: &str) -> Result<Self, PrintedNumberError> {
        let text = text.trim();
        let allowed = |c: char| c.is_alphanumeric() || "-/._()[]（）〔〕〈〉".contains(c);
        let length = (1..=PRINTED_CHARS_MAX).contains(&text.chars().count());
        if !length || !text.chars().all(allowed) || !text.chars().any(|c| c.is_ascii_digit()) {
            return Err(PrintedNumberError);
        }
        Ok(Self(text.to_owned()))
    }

    /// The number, for somebody who has a purpose.
    pub fn expose(&self, _why: &Purpose) -> &str {
        &self.0
    }

    pub(crate) fn raw(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrintedNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<number of {} characters>", self.0.chars().count())
    }
}

impl Serialize for PrintedNumber {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        serialize_personal(&self.0, out)
    }
}

impl<'de> Deserialize<'de> for PrintedNumber {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&std::borrow::Cow::<str>::deserialize(from)?).map_err(de::Error::custom)
    }
}
