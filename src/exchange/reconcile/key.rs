//! The key of a session: both sides contribute, so nobody can prepare items that collide under it.

use siphasher::sip128::Hash128;
use siphasher::sip128::SipHasher24;

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

    /// The first half of the 128 bits of SipHash-2-4 of an item. Seeds its places; its low 48 bits are its checksum.
    #[must_use]
    pub fn hash(&self, item: &Item) -> u64 {
        self.wide(item).h1
    }

    fn wide(&self, item: &Item) -> Hash128 {
        SipHasher24::new_with_key(&self.0).hash(item)
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
    /// A hint whether two sets are the same, under no key: the sum of the second halves of the items. Whoever plants items
    /// can make it lie, so it decides nothing.
    pub fn hint<'a>(items: impl IntoIterator<Item = &'a Item>) -> Self {
        let mut sum = Self::default();
        for item in items {
            let [.., half] = item.as_chunks::<16>().0 else { continue };
            sum.count = sum.count.wrapping_add(1);
            sum.digest = sum.digest.wrapping_add(u128::from_le_bytes(*half));
        }
        sum
    }

    /// With one item more; gives its hash.
    pub fn add(&mut self, key: &SessionKey, item: &Item) -> u64 {
        let hash = key.wide(item);
        self.count = self.count.wrapping_add(1);
        self.digest = self.digest.wrapping_add(hash.as_u128());
        hash.h1
    }

    /// With one item less.
    pub fn remove(&mut self, key: &SessionKey, item: &Item) {
        self.count = self.count.wrapping_sub(1);
        self.digest = self.digest.wrapping_sub(key.wide(item).as_u128());
    }

    /// Of two sets together that have nothing in common.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self {
            count: self.count.wrapping_add(other.count),
            digest: self.digest.wrapping_add(other.digest),
        }
    }
}
