//! Encryption at rest: the data key, what is derived from it, and sealed values.
//!
//! Every sealed value has a random 96-bit nonce. A counter would have to survive crashes and
//! restored backups, which is exactly what it cannot; random nonces need nothing but stay safe only
//! up to 2^32 values under one key (NIST SP 800-38D, 8.3), and a person's key seals a few dozen, a
//! table's key some million a year.

use std::fmt;
use std::sync::OnceLock;

use rand::RngCore;
use ring::{aead, hkdf, hmac};
use zeroize::Zeroizing;

use crate::error::Corrupt;

/// Bytes of a data key, of a person's salt and of every key derived from them.
pub(crate) const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = aead::NONCE_LEN;

/// The key everything at rest depends on. Whoever has the disk without it has nothing.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; KEY_BYTES]>);

impl DataKey {
    /// Takes 32 bytes from wherever they were kept.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    #[cfg(test)]
    pub(crate) fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    fn derive(&self, salt: &[u8], purpose: &str, name: &str) -> Zeroizing<[u8; KEY_BYTES]> {
        self.expand(salt, &[b"liangdi/at-rest/v1/", purpose.as_bytes(), b"/", name.as_bytes()])
    }

    fn expand(&self, salt: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; KEY_BYTES]> {
        let mut out = Zeroizing::new([0; KEY_BYTES]);
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(&*self.0);
        let filled = extracted.expand(info, hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut *out));
        // HKDF fails only for more than 255 blocks of output.
        debug_assert!(filled.is_ok());
        out
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

/// Seals with AES-256-GCM. The key of the row is authenticated with the value, so no sealed value
/// can be moved to another row.
pub(crate) struct SealingKey(aead::LessSafeKey);

impl SealingKey {
    fn new(key: &Zeroizing<[u8; KEY_BYTES]>) -> Option<Self> {
        let key = aead::UnboundKey::new(&aead::AES_256_GCM, &**key).ok()?;
        Some(Self(aead::LessSafeKey::new(key)))
    }

    /// Replaces `buf[from..]` by nonce ‖ ciphertext ‖ tag.
    pub(crate) fn seal(
        &self,
        row_key: &[u8],
        buf: &mut Vec<u8>,
        from: usize,
    ) -> Result<(), Corrupt> {
        let mut nonce = [0; NONCE_BYTES];
        rand::rng().fill_bytes(&mut nonce);
        let end = buf.len();
        buf.extend_from_slice(&nonce);
        let (_, plain) = buf.split_at_mut_checked(from).ok_or(Corrupt::Sealed)?;
        plain.rotate_right(NONCE_BYTES);
        let body = plain.get_mut(NONCE_BYTES..).ok_or(Corrupt::Sealed)?;
        debug_assert_eq!(body.len(), end - from);
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, aead::Aad::from(row_key), body);
        buf.extend_from_slice(tag.map_err(|_| Corrupt::Sealed)?.as_ref());
        Ok(())
    }

    /// Opens nonce ‖ ciphertext ‖ tag.
    pub(crate) fn open(&self, row_key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Corrupt> {
        let (nonce, body) = sealed.split_at_checked(NONCE_BYTES).ok_or(Corrupt::Sealed)?;
        let nonce = aead::Nonce::try_assume_unique_for_key(nonce).map_err(|_| Corrupt::Sealed)?;
        let mut body = body.to_vec();
        let opened = self.0.open_in_place(nonce, aead::Aad::from(row_key), &mut body);
        let len = opened.map_err(|_| Corrupt::Sealed)?.len();
        body.truncate(len);
        Ok(body)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

/// Everything derived from one data key.
pub(crate) struct Keys {
    data: DataKey,
    documents: hmac::Key,
    tables: [OnceLock<Option<SealingKey>>; 256],
}

impl Keys {
    pub(crate) fn new(data: DataKey) -> Self {
        let documents = data.derive(&[], "documents", "hmac-sha-256");
        let documents = hmac::Key::new(hmac::HMAC_SHA256, &*documents);
        Self { data, documents, tables: [const { OnceLock::new() }; 256] }
    }

    /// Tells one data key from another without giving either away.
    pub(crate) fn check_value(&self) -> [u8; 16] {
        let derived = self.data.derive(&[], "check", "value");
        let mut check = [0; 16];
        for (to, from) in check.iter_mut().zip(derived.iter()) {
            *to = *from;
        }
        check
    }

    /// HMAC-SHA-256 of an identity document, shortened to 128 bits.
    pub(crate) fn document_hash(&self, document: &[u8]) -> [u8; 16] {
        let tag = hmac::sign(&self.documents, document);
        let mut hash = [0; 16];
        for (to, from) in hash.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        hash
    }

    /// The key of a table whose values are sealed but belong to no person.
    pub(crate) fn table(&self, name: &'static str, prefix: u8) -> Result<&SealingKey, Corrupt> {
        let slot = self.tables.get(usize::from(prefix)).ok_or(Corrupt::Sealed)?;
        let key = slot.get_or_init(|| SealingKey::new(&self.data.derive(&[], "table", name)));
        key.as_ref().ok_or(Corrupt::Sealed)
    }

    /// The key of one backup file, whose salt no other has.
    pub(crate) fn backup(&self, salt: &[u8; KEY_BYTES]) -> Result<aead::LessSafeKey, Corrupt> {
        let key = self.data.expand(salt, &[b"liangdi/v1/backup"]);
        let key = aead::UnboundKey::new(&aead::AES_256_GCM, &*key).map_err(|_| Corrupt::Sealed)?;
        Ok(aead::LessSafeKey::new(key))
    }

    /// The key of one person in one table.
    pub(crate) fn personal(&self, name: &'static str, salt: &[u8]) -> Result<SealingKey, Corrupt> {
        SealingKey::new(&self.data.derive(salt, "person", name)).ok_or(Corrupt::Sealed)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(byte: u8) -> Keys {
        Keys::new(DataKey::from_bytes([byte; 32]))
    }

    #[test]
    fn only_the_same_key_and_row_open_a_value() {
        let keys = keys(1);
        let mut value = b"head".to_vec();
        value.extend_from_slice("孕情".as_bytes());
        keys.table("t-1", 9).unwrap().seal(b"row", &mut value, 4).unwrap();
        assert_eq!(value.len(), 4 + 6 + NONCE_BYTES + 16);
        let sealed = &value[4..];
        let open = |name, prefix, row: &[u8]| keys.table(name, prefix).unwrap().open(row, sealed);
        assert_eq!(open("t-1", 9, b"row").unwrap(), "孕情".as_bytes());
        assert_eq!(open("t-1", 9, b"wor"), Err(Corrupt::Sealed));
        assert_eq!(open("t-2", 8, b"row"), Err(Corrupt::Sealed));
        let other = super::tests::keys(2);
        assert_eq!(other.table("t-1", 9).unwrap().open(b"row", sealed), Err(Corrupt::Sealed));
        let person = keys.personal("t-1", &[5; 32]).unwrap();
        assert_eq!(person.open(b"row", sealed), Err(Corrupt::Sealed));
    }

    #[test]
    fn a_nonce_is_never_the_same_twice() {
        let keys = keys(1);
        let key = keys.table("t-1", 9).unwrap();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..10_000 {
            let mut value = vec![];
            key.seal(b"row", &mut value, 0).unwrap();
            assert!(seen.insert(value[..NONCE_BYTES].to_vec()));
        }
    }

    #[test]
    fn derived_values_are_frozen() {
        let keys = keys(1);
        assert_eq!(keys.check_value(), super::tests::keys(1).check_value());
        assert_ne!(keys.check_value(), super::tests::keys(2).check_value());
        assert_ne!(keys.document_hash(b"a"), keys.document_hash(b"b"));
    }

    #[test]
    fn changed_or_short_bytes_do_not_open() {
        let keys = keys(1);
        let key = keys.table("t-1", 9).unwrap();
        let mut value = b"text".to_vec();
        key.seal(b"row", &mut value, 0).unwrap();
        for at in 0..value.len() {
            let mut changed = value.clone();
            changed[at] ^= 1;
            assert_eq!(key.open(b"row", &changed), Err(Corrupt::Sealed));
            assert_eq!(key.open(b"row", &value[..at]), Err(Corrupt::Sealed));
        }
    }
}
