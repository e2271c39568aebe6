//! Resident ID (公民身份号码, GB 11643-1999): area 6, birth date 8, sequence 3, check character 1.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::ZeroizeOnDrop;

use super::Sex;
use crate::purpose::Purpose;
use crate::text::{fold_width, serialize_personal};
use crate::time::Date;

const LEN: usize = 18;
/// ISO 7064 MOD 11-2: weight of each of the first seventeen digits.
const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
/// Check character for each remainder.
const CHECKS: &[u8; 11] = b"10X98765432";

/// Why a text is not a resident ID. The text itself is never repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Neither 18 nor 15 characters.
    #[error("a resident ID has 18 characters, one of 1989 has 15")]
    Length,
    /// Something else than digits (and X at the end).
    #[error("a resident ID consists of digits and perhaps an X at the end")]
    Characters,
    /// The eight digits of the birth date are no day.
    #[error("the birth date in the resident ID does not exist")]
    BirthDate,
}

/// A resident ID in its 18-character form with a capital X.
///
/// The check character may fail: the national system once dropped the test, and wrong numbers are
/// printed on real cards. Such a number is flagged (`check_ok`) and a clerk has to confirm it. The first
/// six digits say where the number was first given, never where the household is registered.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, ZeroizeOnDrop)]
pub struct ResidentId([u8; LEN]);

impl ResidentId {
    /// Reads a number as typed: blanks at the ends, full-width digits and a small x are folded; a
    /// 15-digit number of 1989 gets its century and check character.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let folded: String =
            text.trim().chars().map(fold_width).map(|c| c.to_ascii_uppercase()).collect();
        if !folded.is_ascii() {
            return Err(IdError::Characters);
        }
        let bytes = match folded.len() {
            LEN => folded.into_bytes(),
            15 => convert_old(folded.as_bytes())?,
            _ => return Err(IdError::Length),
        };
        let bytes: [u8; LEN] = bytes.try_into().map_err(|_| IdError::Length)?;
        let [first, .., last] = bytes;
        let body_ok = bytes.iter().take(LEN - 1).all(u8::is_ascii_digit) && first != b'0';
        if !body_ok || !(last.is_ascii_digit() || last == b'X') {
            return Err(IdError::Characters);
        }
        birth_date(&bytes).ok_or(IdError::BirthDate)?;
        Ok(Self(bytes))
    }

    /// The number, for somebody who has a purpose.
    pub fn expose(&self, _why: &Purpose) -> &str {
        self.raw()
    }

    /// Whether the check character fits.
    pub fn check_ok(&self) -> bool {
        let [body @ .., last] = &self.0;
        check_character(body) == Some(*last)
    }

    /// Birth date in the number.
    pub fn birth_date(&self) -> Date {
        // Parsing made sure of the date, so the fallback is never taken.
        birth_date(&self.0).unwrap_or_else(|| Date::from_millis(crate::time::UnixMillis::default()))
    }

    /// Sex in the number: odd sequences are male, even ones female.
    pub fn sex(&self) -> Sex {
        if self.0.get(16).is_some_and(|digit| digit % 2 == 1) { Sex::Male } else { Sex::Female }
    }

    pub(crate) fn raw(&self) -> &str {
        // Only ASCII is ever stored, so the fallback is never taken.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The check character for seventeen digits; `None` for any other input.
pub(crate) fn check_character(digits: &[u8]) -> Option<u8> {
    if digits.len() != WEIGHTS.len() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let sum: u32 = digits.iter().zip(WEIGHTS).map(|(d, w)| u32::from(d - b'0') * w).sum();
    CHECKS.get(usize::try_from(sum % 11).ok()?).copied()
}

/// Inserts the century, which is always 19, and appends the check character.
fn convert_old(old: &[u8]) -> Result<Vec<u8>, IdError> {
    let (area, rest) = old.split_at_checked(6).ok_or(IdError::Length)?;
    let mut new = [area, b"19", rest].concat();
    new.push(check_character(&new).ok_or(IdError::Characters)?);
    Ok(new)
}

fn birth_date(bytes: &[u8; LEN]) -> Option<Date> {
    let number = |from: usize, to: usize| -> Option<i32> {
        std::str::from_utf8(bytes.get(from..to)?).ok()?.parse().ok()
    };
    let month = u8::try_from(number(10, 12)?).ok()?;
    let day = u8::try_from(number(12, 14)?).ok()?;
    Date::new(number(6, 10)?, month, day).ok()
}

impl fmt::Debug for ResidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.raw();
        let (head, tail) = (text.get(..4).unwrap_or_default(), text.get(14..).unwrap_or_default());
        write!(f, "{head}**********{tail}")
    }
}

impl Serialize for ResidentId {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        serialize_personal(self.raw(), out)
    }
}

impl<'de> Deserialize<'de> for ResidentId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&std::borrow::Cow::<str>::deserialize(from)?).map_err(de::Error::custom)
    }
}
