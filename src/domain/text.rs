//! Free text that people write: bounded, free of control characters, never printed in logs.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::ZeroizeOnDrop;

use crate::purpose::Purpose;

/// Remark for the clerk at the other side.
pub type Note = FreeText<200>;
/// A question or its answer.
pub type Passage = FreeText<500>;

/// Why a text was not taken. The text itself is never repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but blanks, or no letter, digit or Chinese character at all.
    #[error("the text is empty")]
    Empty,
    /// More characters than allowed.
    #[error("the text has more than {max} characters")]
    TooLong {
        /// Most characters it may have.
        max: usize,
    },
    /// Characters that do not show, or change how others show.
    #[error("the text contains control characters")]
    Control,
}

/// Text of 1 to `MAX` characters, without blanks at its ends. `Debug` prints its length only; it is
/// written to compact (encrypted) records and never to readable formats.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, ZeroizeOnDrop)]
pub struct FreeText<const MAX: usize>(String);

impl<const MAX: usize> FreeText<MAX> {
    /// Takes a text; line breaks are allowed, other control characters are not.
    pub fn new(text: &str) -> Result<Self, TextError> {
        let text = text.trim();
        if !text.chars().any(char::is_alphanumeric) {
            return Err(TextError::Empty);
        }
        if text.chars().count() > MAX {
            return Err(TextError::TooLong { max: MAX });
        }
        if text.chars().any(|c| is_invisible(c) && c != '\n') {
            return Err(TextError::Control);
        }
        Ok(Self(text.to_owned()))
    }

    /// Takes a text that may be left out: blank means none.
    pub fn optional(text: &str) -> Result<Option<Self>, TextError> {
        if text.trim().is_empty() { Ok(None) } else { Self::new(text).map(Some) }
    }

    /// The text, for somebody who has a purpose.
    pub fn expose(&self, _why: &Purpose) -> &str {
        &self.0
    }

    /// Length in characters.
    pub fn chars(&self) -> usize {
        self.0.chars().count()
    }

    pub(crate) fn raw(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Debug for FreeText<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} characters>", self.chars())
    }
}

impl<const MAX: usize> Serialize for FreeText<MAX> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        serialize_personal(&self.0, out)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for FreeText<MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::new(&std::borrow::Cow::<str>::deserialize(from)?).map_err(de::Error::custom)
    }
}

/// A written reason, 1 to 500 characters: nothing can be refused without one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WrittenReason(Passage);

impl WrittenReason {
    /// Takes a reason; blanks and punctuation alone are none.
    pub fn new(text: &str) -> Result<Self, TextError> {
        Passage::new(text).map(Self)
    }

    /// Takes a reason that may be left out.
    pub fn optional(text: &str) -> Result<Option<Self>, TextError> {
        Ok(Passage::optional(text)?.map(Self))
    }

    /// The reason, for somebody who has a purpose.
    pub fn expose(&self, why: &Purpose) -> &str {
        self.0.expose(why)
    }

    pub(crate) fn raw(&self) -> &str {
        self.0.raw()
    }
}

/// Writes a personal text to compact formats, which are encrypted before they reach the disk. Readable
/// formats end in logs and exports by accident; for them, code has to say `expose` and name a purpose.
pub(crate) fn serialize_personal<S: Serializer>(text: &str, out: S) -> Result<S::Ok, S::Error> {
    if out.is_human_readable() {
        return Err(serde::ser::Error::custom("personal data is not written in readable form"));
    }
    out.serialize_str(text)
}

/// Control characters and those that hide or reorder other characters.
pub(crate) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// Folds full-width letters, digits and blanks (as Chinese input methods make them) to ASCII.
pub(crate) fn fold_width(c: char) -> char {
    match c {
        '\u{3000}' => ' ',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c).saturating_sub(0xfee0)).unwrap_or(c),
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reason_cannot_be_empty() {
        for text in ["", "  ", "\n", "…", "---", "。"] {
            assert_eq!(WrittenReason::new(text), Err(TextError::Empty), "{text:?}");
        }
        assert!(WrittenReason::new("档案缺失").is_ok());
    }

    #[test]
    fn bounds_count_characters_not_bytes() {
        assert!(Note::new(&"查".repeat(200)).is_ok());
        assert_eq!(Note::new(&"查".repeat(201)), Err(TextError::TooLong { max: 200 }));
        assert_eq!(Note::new("a\u{202e}b"), Err(TextError::Control));
        assert!(Note::new("一\n二").is_ok());
    }

    #[test]
    fn debug_shows_the_length_only() {
        let note = Note::new("王丽的地址").unwrap();
        assert_eq!(format!("{note:?}"), "<5 characters>");
        assert!(!format!("{:?}", WrittenReason::new("王丽").unwrap()).contains('王'));
    }

    proptest! {
        #[test]
        fn nothing_panics_and_ends_are_trimmed(text: String) {
            if let Ok(Some(note)) = Note::optional(&text) {
                prop_assert_eq!(note.raw(), text.trim());
                prop_assert_eq!(Note::new(note.raw()), Ok(note));
            }
        }
    }
}
