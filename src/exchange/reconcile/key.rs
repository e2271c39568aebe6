//! The key of a session: both sides contribute, so nobody can prepare items that collide under it.

use siphasher::sip::SipHasher24;

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

    /// SipHash-2-4 with 64 bits. That of an item seeds its places, and its low 48 bits are its checksum.
    #[must_use]
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        SipHasher24::new_with_key(&self.0).hash(bytes)
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
    /// Sum over the items, modulo 2^128, of their hash times 2^64 plus their last eight bytes, which are a hash as well.
    pub digest: u128,
}

impl Sum {
    /// With one item more, whose hash this is.
    pub fn add(&mut self, item: &Item, hash: u64) {
        self.count = self.count.wrapping_add(1);
        self.digest = self.digest.wrapping_add(wide(item, hash));
    }

    /// With one item less.
    pub fn remove(&mut self, item: &Item, hash: u64) {
        self.count = self.count.wrapping_sub(1);
        self.digest = self.digest.wrapping_sub(wide(item, hash));
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

/// The 128 bits of an item that are summed.
fn wide(item: &Item, hash: u64) -> u128 {
    let tail = item.last_chunk().copied().unwrap_or_default();
    (u128::from(hash) << 64) | u128::from(u64::from_le_bytes(tail))
}
