//! Area codes (GB/T 2260 and its extensions), kept exactly as written.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use crate::area_table::{Area, AreaTable};

/// Longest code, digits: county 6, town 3, village 3, extension of this sector 3.
const DIGITS_MAX: usize = 15;

/// Why a text is not an area code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AreaError {
    /// Not 6, 9, 12 or 15 characters.
    #[error("an area code has 6, 9, 12 or 15 digits")]
    Length,
    /// Something else than the digits 0 to 9.
    #[error("an area code consists of digits only")]
    NotDigits,
    /// No province begins with 0.
    #[error("no province has a code that begins with 0")]
    NoProvince,
}

/// How far down a code reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AreaLevel {
    /// 省, 自治区, 直辖市, 兵团: digits 1 and 2.
    Province,
    /// 市, 地区, 自治州, 盟: digits 3 and 4.
    Prefecture,
    /// 县, 区, 县级市, 旗: digits 5 and 6.
    County,
    /// 街道, 镇, 乡: digits 7 to 9.
    Town,
    /// 居委会, 村委会: digits 10 to 12.
    Village,
    /// Extension of this sector: digits 13 to 15.
    Extension,
}

/// An area code of 6, 9, 12 or 15 digits, as written: whether such an area exists, and when, is the
/// table's question. Orders as its text does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AreaCode {
    /// Digits, then zero bytes: so the derived order is the order of the text.
    digits: [u8; DIGITS_MAX],
    len: u8,
}

impl AreaCode {
    /// The digits as written.
    pub fn as_str(&self) -> &str {
        self.prefix(usize::from(self.len))
    }

    /// The county (first six digits); a province or prefecture code is its own county code.
    pub fn county(&self) -> Self {
        self.cut(6)
    }

    /// The digits of the county, ASCII.
    pub fn county_digits(&self) -> [u8; 6] {
        // Every code has them.
        self.digits.first_chunk().copied().unwrap_or_default()
    }

    /// The prefecture as a six-digit code, for example 410500.
    pub fn prefecture(&self) -> Self {
        self.cut(4)
    }

    /// The province as a six-digit code, for example 410000.
    pub fn province(&self) -> Self {
        self.cut(2)
    }

    /// The province's two digits, for example "41".
    pub fn province_prefix(&self) -> &str {
        self.prefix(2)
    }

    /// How far down the code reaches; zeros at the end do not count (410522000 is a county).
    pub fn level(&self) -> AreaLevel {
        let reaches = |from: usize, to: usize| {
            self.digits.get(from..to).is_some_and(|d| d.iter().any(|d| matches!(d, b'1'..=b'9')))
        };
        if reaches(12, 15) {
            AreaLevel::Extension
        } else if reaches(9, 12) {
            AreaLevel::Village
        } else if reaches(6, 9) {
            AreaLevel::Town
        } else if reaches(4, 6) {
            AreaLevel::County
        } else if reaches(2, 4) {
            AreaLevel::Prefecture
        } else {
            AreaLevel::Province
        }
    }

    /// Whether `other` is this area or lies in it, by the digits alone: 410000 contains 410522001.
    pub fn contains(&self, other: &Self) -> bool {
        let significant = match self.level() {
            AreaLevel::Province => 2,
            AreaLevel::Prefecture => 4,
            AreaLevel::County => 6,
            AreaLevel::Town => 9,
            AreaLevel::Village => 12,
            AreaLevel::Extension => 15,
        };
        other.as_str().starts_with(self.prefix(significant))
    }

    fn prefix(&self, len: usize) -> &str {
        // Only ASCII digits are ever stored, so the fallback is never taken.
        self.digits.get(..len).and_then(|d| std::str::from_utf8(d).ok()).unwrap_or_default()
    }

    /// Six digits, the first `keep` of this code, then zeros.
    fn cut(&self, keep: usize) -> Self {
        let mut digits = [0; DIGITS_MAX];
        for (at, (to, from)) in digits.iter_mut().zip(self.digits).take(6).enumerate() {
            *to = if at < keep { from } else { b'0' };
        }
        Self { digits, len: 6 }
    }
}

impl FromStr for AreaCode {
    type Err = AreaError;

    fn from_str(text: &str) -> Result<Self, AreaError> {
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(AreaError::NotDigits);
        }
        let len = match text.len() {
            6 => 6,
            9 => 9,
            12 => 12,
            15 => 15,
            _ => return Err(AreaError::Length),
        };
        if text.starts_with('0') {
            return Err(AreaError::NoProvince);
        }
        let mut digits = [0; DIGITS_MAX];
        for (to, from) in digits.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        Ok(Self { digits, len })
    }
}

impl fmt::Display for AreaCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for AreaCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for AreaCode {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for AreaCode {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn area(text: &str) -> AreaCode {
        text.parse().unwrap()
    }

    #[test]
    fn takes_a_code_apart() {
        let village = area("410522101203");
        assert_eq!(village.county(), area("410522"));
        assert_eq!(village.prefecture(), area("410500"));
        assert_eq!(village.province(), area("410000"));
        assert_eq!(village.province_prefix(), "41");
        assert_eq!(village.level(), AreaLevel::Village);
        assert_eq!(area("410522101").level(), AreaLevel::Town);
        assert_eq!(area("410522000000").level(), AreaLevel::County);
        assert_eq!(area("410500").level(), AreaLevel::Prefecture);
        assert_eq!(area("660000").level(), AreaLevel::Province);
        assert_eq!(area("410522101203001").level(), AreaLevel::Extension);
    }

    #[test]
    fn contains_by_digits() {
        assert!(area("410000").contains(&area("410522001")));
        assert!(area("410522").contains(&area("410522")));
        assert!(!area("410522").contains(&area("410500")));
        assert!(!area("440000").contains(&area("410522")));
    }

    #[test]
    fn refuses_other_texts() {
        for (text, error) in [
            ("", AreaError::Length),
            ("41052", AreaError::Length),
            ("4105221", AreaError::Length),
            ("41052x", AreaError::NotDigits),
            ("４10522", AreaError::NotDigits),
            ("010522", AreaError::NoProvince),
        ] {
            assert_eq!(text.parse::<AreaCode>(), Err(error), "{text}");
        }
    }

    fn any_code() -> impl Strategy<Value = String> {
        "[1-9][0-9]{5}([0-9]{3}){0,3}"
    }

    proptest! {
        #[test]
        fn order_is_the_order_of_the_bytes(a in any_code(), b in any_code()) {
            prop_assert_eq!(area(&a).cmp(&area(&b)), a.as_bytes().cmp(b.as_bytes()));
            prop_assert_eq!(area(&a).to_string(), a);
        }

        #[test]
        fn nothing_panics(text: String) {
            text.parse::<AreaCode>().ok();
        }
    }
}
