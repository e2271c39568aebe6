//! Comparing a document number that is shown with a printed certificate that does not hold it.

use std::{fmt, num::NonZeroU32};

use domain::{person::IdentityDocument, purpose::Purpose};
use ring::pbkdf2::{PBKDF2_HMAC_SHA256, derive, verify};

const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 16;
/// Rounds of PBKDF2. A resident ID has few possible values once the holder's birth month is known
/// (some ten million for all counties): a plain hash, salted or not, would be undone in seconds.
/// With these rounds one comparison takes a phone a tenth of a second and trying them all takes
/// days for a single certificate. That makes harvesting worthless; it is no secrecy against
/// somebody who is after one person, who has her certificate in hand and days to spend.
const ROUNDS: NonZeroU32 = NonZeroU32::new(100_000).unwrap();

/// A slow, salted hash of the holder's document number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IdCheck {
    salt: [u8; SALT_BYTES],
    hash: [u8; HASH_BYTES],
}

impl IdCheck {
    /// Bytes of an encoded check.
    pub(super) const BYTES: usize = SALT_BYTES + HASH_BYTES;

    /// A check for a document, with a salt never used for another certificate.
    #[must_use]
    pub fn new(document: &IdentityDocument, salt: [u8; SALT_BYTES]) -> Self {
        let mut hash = [0; HASH_BYTES];
        derive(PBKDF2_HMAC_SHA256, ROUNDS, &salt, &input(document), &mut hash);
        Self { salt, hash }
    }

    /// Whether a document that is shown is the holder's.
    #[must_use]
    pub fn fits(&self, document: &IdentityDocument) -> bool {
        verify(PBKDF2_HMAC_SHA256, ROUNDS, &self.salt, &input(document), &self.hash).is_ok()
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        [self.salt, self.hash].concat()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (salt, hash) = bytes.split_first_chunk()?;
        Some(Self { salt: *salt, hash: hash.try_into().ok()? })
    }
}

/// Kind and number: the same digits in a passport and an ID are two documents.
fn input(document: &IdentityDocument) -> zeroize::Zeroizing<Vec<u8>> {
    let mut input = zeroize::Zeroizing::new(vec![document.kind().number()]);
    input.extend_from_slice(document.expose(&Purpose::Certificate).as_bytes());
    input
}

impl fmt::Debug for IdCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdCheck(..)")
    }
}
