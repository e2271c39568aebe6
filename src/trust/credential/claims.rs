//! What a printed certificate says, and the yes-or-no questions it answers.

use ciborium::Value;
use domain::{
    id::CertificateNumber,
    person::{IdentityDocument, MaritalStatus, PersonName},
    purpose::Purpose,
    time::{Date, UnixMillis},
};

use super::{IdCheck, Invalid, PURPOSE_CODE};

/// Which printed certificate it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// 婚育证明.
    MarriageAndBirth,
    /// 服务证.
    ServiceCard,
}

impl CredentialKind {
    fn number(self) -> u8 {
        match self {
            Self::MarriageAndBirth => 1,
            Self::ServiceCard => 2,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        [Self::MarriageAndBirth, Self::ServiceCard].into_iter().find(|kind| kind.number() == number)
    }
}

/// The claims: as few as let a checker compare the paper with the person who shows it.
///
/// | key | claim | form |
/// |---|---|---|
/// | 1 | kind | 1 marriage and births, 2 service card |
/// | 2 | number | text, 17 digits; its first six are the issuing county |
/// | 3 | holder's name | text |
/// | 4 | holder's month of birth | year × 100 + month |
/// | 5 | check of the document number | salt (16) ‖ PBKDF2-HMAC-SHA256 (16), 100,000 rounds |
/// | 6 | marital status | GB/T 2261.2, first digit × 10; absent on a service card |
/// | 7 | number of children | absent on a service card |
/// | 8 | valid from | days since 1970-01-01 |
/// | 9 | valid until | the same, last day |
/// | 10 | issued | seconds since 1970-01-01T00:00:00Z |
/// | 11 | statement of purpose | 1; see [`super::PURPOSE_EN`] |
/// | 12 | date of the revocation list | days since 1970-01-01 |
///
/// Keys not listed are passed over, so that later versions can add claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialClaims {
    /// Which certificate it is.
    pub kind: CredentialKind,
    /// Number of the certificate.
    pub number: CertificateNumber,
    /// Name of the holder.
    pub holder: PersonName,
    /// Year and month (1–12) of the holder's birth.
    pub born: (u16, u8),
    /// With which a document that is shown is compared.
    pub id_check: IdCheck,
    /// Marital status, where the certificate states it.
    pub marital_status: Option<MaritalStatus>,
    /// Number of children, where the certificate states it.
    pub children: Option<u8>,
    /// First day of validity.
    pub valid_from: Date,
    /// Last day of validity.
    pub valid_until: Date,
    /// When it was signed; whole seconds.
    pub issued: UnixMillis,
    /// Day of the revocation list that the issuer's certificate was checked against.
    pub list_date: Date,
}

/// A question that a printed certificate answers with yes or no, so that no more need be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Is it valid on this day?
    ValidOn(Date),
    /// Is the holder married?
    Married,
    /// Does the holder have children?
    HasChildren,
    /// Does this document belong to the holder? Takes a tenth of a second.
    HeldBy(IdentityDocument),
}

impl CredentialClaims {
    /// Answers a question; `None` when the certificate does not state it.
    #[must_use]
    pub fn answer(&self, question: &Question) -> Option<bool> {
        match question {
            Question::ValidOn(day) => Some((self.valid_from..=self.valid_until).contains(day)),
            Question::Married => self.marital_status.map(|status| status == MaritalStatus::Married),
            Question::HasChildren => self.children.map(|children| children > 0),
            Question::HeldBy(document) => Some(self.id_check.fits(document)),
        }
    }

    /// The claims as a CBOR map with ascending keys; `None` when a value is out of range.
    pub(super) fn to_cbor(&self) -> Option<Vec<u8>> {
        let (year, month) = self.born;
        let born = u32::from(year) * 100 + u32::from(month);
        let mut claims = vec![
            (1, Value::from(self.kind.number())),
            (2, Value::from(self.number.as_str())),
            (3, Value::from(self.holder.expose(&Purpose::Certificate))),
            (4, Value::from(born)),
            (5, Value::from(self.id_check.to_bytes())),
        ];
        claims.extend(self.marital_status.map(|status| (6, Value::from(status.number()))));
        claims.extend(self.children.map(|children| (7, Value::from(children))));
        claims.extend([
            (8, Value::from(self.valid_from.epoch_days())),
            (9, Value::from(self.valid_until.epoch_days())),
            (10, Value::from(self.issued.get() / 1000)),
            (11, Value::from(PURPOSE_CODE)),
            (12, Value::from(self.list_date.epoch_days())),
        ]);
        let map = claims.into_iter().map(|(key, value)| (Value::from(key), value)).collect();
        let mut bytes = Vec::new();
        ciborium::into_writer(&Value::Map(map), &mut bytes).ok()?;
        Some(bytes)
    }

    pub(super) fn from_cbor(bytes: &[u8]) -> Result<Self, Invalid> {
        let map: Value = ciborium::from_reader(bytes).map_err(|_| Invalid::Malformed)?;
        let map = Fields(map.into_map().map_err(|_| Invalid::Malformed)?);
        if map.number::<u8>(11)? != Some(PURPOSE_CODE) {
            return Err(Invalid::TooNew);
        }
        let kind = CredentialKind::from_number(map.required(1)?).ok_or(Invalid::TooNew)?;
        let born: u32 = map.required(4)?;
        let year = u16::try_from(born / 100).map_err(|_| Invalid::Malformed)?;
        let month = u8::try_from(born % 100).map_err(|_| Invalid::Malformed)?;
        if !(1..=12).contains(&month) {
            return Err(Invalid::Malformed);
        }
        let marital_status = match map.number(6)? {
            Some(number) => Some(MaritalStatus::from_number(number).ok_or(Invalid::Malformed)?),
            None => None,
        };
        Ok(Self {
            kind,
            number: map.text(2)?.parse().map_err(|_| Invalid::Malformed)?,
            holder: PersonName::parse(map.text(3)?).map_err(|_| Invalid::Malformed)?,
            born: (year, month),
            id_check: map.id_check(5)?,
            marital_status,
            children: map.number(7)?,
            valid_from: map.date(8)?,
            valid_until: map.date(9)?,
            issued: UnixMillis::new(map.required::<u64>(10)?.saturating_mul(1000)),
            list_date: map.date(12)?,
        })
    }
}

/// A CBOR map with small integer keys.
struct Fields(Vec<(Value, Value)>);

impl Fields {
    fn get(&self, key: u8) -> Option<&Value> {
        self.0.iter().find(|(known, _)| *known == Value::from(key)).map(|(_, value)| value)
    }

    fn number<T: TryFrom<i128>>(&self, key: u8) -> Result<Option<T>, Invalid> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = i128::from(value.as_integer().ok_or(Invalid::Malformed)?);
        T::try_from(number).map(Some).map_err(|_| Invalid::Malformed)
    }

    fn required<T: TryFrom<i128>>(&self, key: u8) -> Result<T, Invalid> {
        self.number(key)?.ok_or(Invalid::Malformed)
    }

    fn text(&self, key: u8) -> Result<&str, Invalid> {
        self.get(key).and_then(Value::as_text).ok_or(Invalid::Malformed)
    }

    fn date(&self, key: u8) -> Result<Date, Invalid> {
        Date::from_epoch_days(self.required(key)?).ok_or(Invalid::Malformed)
    }

    fn id_check(&self, key: u8) -> Result<IdCheck, Invalid> {
        let bytes = self.get(key).and_then(Value::as_bytes).ok_or(Invalid::Malformed)?;
        let fits = bytes.len() == IdCheck::BYTES;
        fits.then(|| IdCheck::from_bytes(bytes)).flatten().ok_or(Invalid::Malformed)
    }
}
