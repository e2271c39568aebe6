//! Identity documents: resident ID, passport or permit.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::resident_id::{IdError, ResidentId};
use crate::numbered::numbered;
use crate::purpose::Purpose;
use crate::text::{fold_width, serialize_personal};

/// Most characters of a passport or permit number.
const NUMBER_CHARS_MAX: usize = 20;
/// Fewest characters of a passport or permit number.
const NUMBER_CHARS_MIN: usize = 5;

numbered! {
    /// Kind of identity document.
    pub enum DocumentKind {
        /// Resident ID, GB 11643.
        ResidentId = 1, "RESIDENT_ID", "公民身份号码";
        /// Passport.
        Passport = 2, "PASSPORT", "护照";
        /// Permit of residents of Hong Kong, Macao or Taiwan, or of foreign permanent residents.
        Permit = 3, "PERMIT", "通行证或居留证";
    }
}

/// Why a document was not taken. The number itself is never repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Not a resident ID.
    #[error("not a resident ID")]
    ResidentId(#[source] IdError),
    /// The check character fails and nobody has confirmed the number with the document in hand.
    #[error(
        "the check character does not fit; compare the number with the document and confirm it"
    )]
    CheckNotConfirmed,
    /// Not 5 to 20 letters, digits, hyphens or brackets.
    #[error("a passport or permit number has 5 to 20 letters or digits")]
    Number,
}

/// An identity document: its kind and number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IdentityDocument(Number);

/// The number, by kind.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Number {
    ResidentId { id: ResidentId, check_confirmed: bool },
    Passport(OtherNumber),
    Permit(OtherNumber),
}

impl IdentityDocument {
    /// Reads a document as typed. `check_confirmed` matters for resident IDs whose check fails.
    pub fn new(
        kind: DocumentKind,
        number: &str,
        check_confirmed: bool,
    ) -> Result<Self, DocumentError> {
        match kind {
            DocumentKind::ResidentId => {
                let id = ResidentId::parse(number).map_err(DocumentError::ResidentId)?;
                Self::from_resident_id(id, check_confirmed)
            }
            DocumentKind::Passport => OtherNumber::parse(number).map(Number::Passport).map(Self),
            DocumentKind::Permit => OtherNumber::parse(number).map(Number::Permit).map(Self),
        }
    }

    /// From a resident ID. The confirmation is kept only where the check fails: it says nothing elsewhere.
    pub fn from_resident_id(id: ResidentId, check_confirmed: bool) -> Result<Self, DocumentError> {
        let fits = id.check_ok();
        if !fits && !check_confirmed {
            return Err(DocumentError::CheckNotConfirmed);
        }
        Ok(Self(Number::ResidentId { id, check_confirmed: !fits }))
    }

    /// Kind of document.
    pub fn kind(&self) -> DocumentKind {
        match &self.0 {
            Number::ResidentId { .. } => DocumentKind::ResidentId,
            Number::Passport(_) => DocumentKind::Passport,
            Number::Permit(_) => DocumentKind::Permit,
        }
    }

    /// The resident ID, if it is one.
    pub fn resident_id(&self) -> Option<&ResidentId> {
        match &self.0 {
            Number::ResidentId { id, .. } => Some(id),
            Number::Passport(_) | Number::Permit(_) => None,
        }
    }

    /// The number, for somebody who has a purpose.
    pub fn expose(&self, _why: &Purpose) -> &str {
        self.raw()
    }

    /// Whether the check character fails and a clerk has confirmed the number.
    pub fn check_confirmed(&self) -> bool {
        matches!(self.0, Number::ResidentId { check_confirmed: true, .. })
    }

    /// What the keyed hash is taken over that finds a person: the kind's number (1 byte), then the
    /// document's number. The bytes are wiped when dropped.
    pub fn lookup_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Vec::with_capacity(1 + NUMBER_CHARS_MAX);
        bytes.push(self.kind().number());
        bytes.extend_from_slice(self.raw().as_bytes());
        Zeroizing::new(bytes)
    }

    fn raw(&self) -> &str {
        match &self.0 {
            Number::ResidentId { id, .. } => id.raw(),
            Number::Passport(number) | Number::Permit(number) => &number.0,
        }
    }
}

impl fmt::Debug for IdentityDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Number::ResidentId { id, .. } => id.fmt(f),
            Number::Passport(number) | Number::Permit(number) => {
                write!(f, "{} {number:?}", self.kind().code())
            }
        }
    }
}

/// Number of a passport or permit, in capitals.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, ZeroizeOnDrop)]
struct OtherNumber(String);

impl OtherNumber {
    fn parse(text: &str) -> Result<Self, DocumentError> {
        let number: String =
            text.trim().chars().map(fold_width).map(|c| c.to_ascii_uppercase()).collect();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'(' | b')');
        let digits = number.bytes().any(|b| b.is_ascii_digit());
        let length = (NUMBER_CHARS_MIN..=NUMBER_CHARS_MAX).contains(&number.len());
        if !length || !digits || !number.bytes().all(allowed) {
            return Err(DocumentError::Number);
        }
        Ok(Self(number))
    }
}

impl fmt::Debug for OtherNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}******", self.0.get(..2).unwrap_or_default())
    }
}

impl Serialize for OtherNumber {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        serialize_personal(&self.0, out)
    }
}

impl<'de> Deserialize<'de> for OtherNumber {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&std::borrow::Cow::<str>::deserialize(from)?).map_err(de::Error::custom)
    }
}
