//! Number of a certificate: county 6, year 4, serial 6, check digit 1 (ISO 7064 MOD 11,10).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::area::AreaCode;

const DIGITS: usize = 17;
/// Years a certificate can have been issued in; the national form begins in 2000.
const YEARS: std::ops::RangeInclusive<u16> = 2000..=2999;
/// Highest serial of a county and year.
const SERIAL_MAX: u32 = 999_999;

/// Why a text or its parts are not a certificate number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateNumberError {
    /// Not seventeen digits, or the county begins with 0.
    #[error("a certificate number has 17 digits, the first of which is not 0")]
    Format,
    /// Year outside 2000–2999.
    #[error("the year in a certificate number lies between 2000 and 2999")]
    Year,
    /// Serial 0, or more than six digits.
    #[error("the serial in a certificate number lies between 1 and 999999")]
    Serial,
    /// The check digit does not fit: a digit is wrong or two are swapped.
    #[error("the check digit does not fit: a digit is wrong or two are swapped")]
    CheckDigit,
}

/// Number of a certificate. Prints in full with `Display`, since it stands on the paper; `Debug`, which
/// goes to logs, shows county and year only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateNumber([u8; DIGITS]);

impl CertificateNumber {
    /// The number of a county's certificate with that serial (1–999999) in that year.
    pub fn new(county: AreaCode, year: u16, serial: u32) -> Result<Self, CertificateNumberError> {
        if !YEARS.contains(&year) {
            return Err(CertificateNumberError::Year);
        }
        if !(1..=SERIAL_MAX).contains(&serial) {
            return Err(CertificateNumberError::Serial);
        }
        let body = format!("{}{year:04}{serial:06}", county.county());
        let check = check_digit(body.bytes());
        format!("{body}{check}").parse()
    }

    /// The seventeen digits.
    pub fn as_str(&self) -> &str {
        // Only ASCII digits are ever stored, so the fallback is never taken.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The county that issued it.
    pub fn county(&self) -> Option<AreaCode> {
        self.as_str().get(..6)?.parse().ok()
    }

    /// The year it was issued in.
    pub fn year(&self) -> u16 {
        self.part(6, 10).try_into().unwrap_or_default()
    }

    /// The serial in that county and year.
    pub fn serial(&self) -> u32 {
        self.part(10, 16)
    }

    fn part(&self, from: usize, to: usize) -> u32 {
        self.as_str().get(from..to).and_then(|text| text.parse().ok()).unwrap_or_default()
    }
}

impl FromStr for CertificateNumber {
    type Err = CertificateNumberError;

    fn from_str(text: &str) -> Result<Self, CertificateNumberError> {
        use CertificateNumberError as E;
        let digits: [u8; DIGITS] = text.as_bytes().try_into().map_err(|_| E::Format)?;
        if !digits.iter().all(u8::is_ascii_digit) || digits.starts_with(b"0") {
            return Err(E::Format);
        }
        let [body @ .., last] = digits;
        if check_digit(body) != last.wrapping_sub(b'0') {
            return Err(E::CheckDigit);
        }
        let number = Self(digits);
        if !YEARS.contains(&number.year()) {
            return Err(E::Year);
        }
        if number.serial() == 0 {
            return Err(E::Serial);
        }
        Ok(number)
    }
}

/// ISO 7064 MOD 11,10: finds every single wrong digit and nearly every swap of neighbours.
fn check_digit(digits: impl IntoIterator<Item = u8>) -> u8 {
    let product = digits.into_iter().fold(10u8, |product, digit| {
        let sum = (product + digit.wrapping_sub(b'0') % 10) % 10;
        let sum = if sum == 0 { 10 } else { sum };
        sum * 2 % 11
    });
    (11 - product) % 10
}

impl fmt::Display for CertificateNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for CertificateNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}*******", self.as_str().get(..10).unwrap_or_default())
    }
}

impl Serialize for CertificateNumber {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for CertificateNumber {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn computes_the_example_of_the_standard() {
        // ISO 7064 gives 0794 the check digit 5 under MOD 11,10.
        assert_eq!(check_digit(*b"0794"), 5);
    }

    #[test]
    fn is_made_of_its_parts_and_masked_in_debug() {
        let number = CertificateNumber::new("410522".parse().unwrap(), 2026, 42).unwrap();
        assert!(number.as_str().starts_with("4105222026000042"));
        assert_eq!((number.year(), number.serial()), (2026, 42));
        assert_eq!(number.county(), "410522".parse().ok());
        assert_eq!(format!("{number:?}"), "4105222026*******");
    }

    #[test]
    fn refuses_parts_out_of_range() {
        let county = "410522".parse().unwrap();
        assert_eq!(CertificateNumber::new(county, 1999, 1), Err(CertificateNumberError::Year));
        assert_eq!(CertificateNumber::new(county, 2026, 0), Err(CertificateNumberError::Serial));
        assert_eq!(
            CertificateNumber::new(county, 2026, 1_000_000),
            Err(CertificateNumberError::Serial)
        );
    }

    proptest! {
        #[test]
        fn every_single_wrong_digit_is_found(county in 100_000u32..=999_999, year in 2000u16..=2999, serial in 1u32..=999_999, at in 0usize..17, by in 1u8..10) {
            let number = CertificateNumber::new(county.to_string().parse().unwrap(), year, serial).unwrap();
            prop_assert_eq!(number.as_str().parse::<CertificateNumber>(), Ok(number));
            let mut wrong = number.as_str().as_bytes().to_vec();
            wrong[at] = b'0' + (wrong[at] - b'0' + by) % 10;
            prop_assert!(String::from_utf8(wrong).unwrap().parse::<CertificateNumber>().is_err());
        }

        #[test]
        fn nothing_panics(text: String) {
            text.parse::<CertificateNumber>().ok();
        }
    }
}
