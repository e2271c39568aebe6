//! The key of a session: both sides contribute, so nobody can prepare items that collide under it.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;
use siphasher::sip128::Hasher128;
use siphasher::sip128::SipHasher24 as SipHasher128;

use super::Item;
use crate::digest::Digest;

/// Bytes that each side draws.
pub const NONCE_BYTES: usize = 16;

/// Bits of the checksum that travel with a symbol.
const CHECK_MASK: u64 = 0x0000_FFFF_FFFF_FFFF;

/// The key under which one session hashes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionKey([u8; 16]);

impl SessionKey {
    /// The first 16 bytes of `SHA-256("liangdi/v1/reconcile key" || 0x00 || asker's nonce || answerer's nonce)`.
    #[must_use]
    pub fn of(asker: &[u8; NONCE_BYTES], answerer: &[u8; NONCE_BYTES]) -> Self {
        let hash = Digest::of_parts(&[b"liangdi/v1/reconcile key", &[0], asker, answerer]);
        let mut key = [0; 16];
        key.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
        Self(key)
    }

    /// The key of nobody, for a hint that decides nothing.
    pub(crate) const fn none() -> Self {
        Self([0; 16])
    }

    /// SipHash-2-4 of an item. Seeds its places; its low 48 bits are its checksum.
    #[must_use]
    pub fn hash(&self, item: &Item) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(item);
        hasher.finish()
    }

    /// SipHash-2-4 with 128 bits of an item, of which a set's digest is the sum.
    fn wide(&self, item: &Item) -> u128 {
        let mut hasher = SipHasher128::new_with_key(&self.0);
        hasher.write(item);
        hasher.finish128().as_u128()
    }
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey")
    }
}

/// The checksum of an item with this hash.
#[must_use]
pub const fn check_of(hash: u64) -> u64 {
    hash & CHECK_MASK
}

/// Number and keyed digest of a set of items: equal for equal sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sum {
    /// How many items.
    pub count: u64,
    /// Sum of the items' 128-bit hashes, modulo 2^128.
    pub digest: u128,
}

impl Sum {
    /// Of a whole set.
    pub fn of<'a>(key: &SessionKey, items: impl IntoIterator<Item = &'a Item>) -> Self {
        let mut sum = Self::default();
        items.into_iter().for_each(|item| sum.add(key, item));
        sum
    }

    /// With one item more.
    pub fn add(&mut self, key: &SessionKey, item: &Item) {
        self.count = self.count.wrapping_add(1);
        self.digest = self.digest.wrapping_add(key.wide(item));
    }

    /// With one item less.
    pub fn remove(&mut self, key: &SessionKey, item: &Item) {
        self.count = self.count.wrapping_sub(1);
        self.digest = self.digest.wrapping_sub(key.wide(item));
    }
}
