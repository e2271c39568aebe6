//! SHA-256 values, and the only place in this crate that computes them.

use std::fmt;

use ring::digest::Context;
use ring::digest::SHA256;
use serde::Deserialize;
use serde::Serialize;

/// A SHA-256 value: digest of an envelope, hash in a tree, fingerprint of a certificate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Wraps 32 bytes that are already a SHA-256 value.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// SHA-256 of one piece of data.
    #[must_use]
    pub fn of(data: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(ring::digest::digest(&SHA256, data).as_ref());
        Self(bytes)
    }

    /// SHA-256 of several pieces, as if they were one.
    #[must_use]
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        Self::of_all(parts)
    }

    /// SHA-256 of pieces that come one after the other, as if they were one.
    pub fn of_all<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> Self {
        let mut hashing = Hashing(Context::new(&SHA256));
        for part in parts {
            hashing.take(part.as_ref());
        }
        hashing.end()
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 32 bytes, by value.
    #[must_use]
    pub const fn into_bytes(self) -> [u8; 32] {
        self.0
    }
}

/// A SHA-256 value in the making, of pieces that come one after the other.
#[derive(Clone)]
pub struct Hashing(Context);

impl Hashing {
    /// Begins with a piece.
    #[must_use]
    pub fn of(piece: &[u8]) -> Self {
        let mut hashing = Self(Context::new(&SHA256));
        hashing.take(piece);
        hashing
    }

    /// Takes the next piece.
    pub fn take(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The value of all pieces.
    #[must_use]
    pub fn end(self) -> Digest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.finish().as_ref());
        Digest(bytes)
    }
}

impl fmt::Debug for Hashing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hashing")
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl From<Digest> for [u8; 32] {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Digest {
    /// Lower-case hexadecimal, 64 characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    /// The first eight bytes: enough to tell two apart in a failing test.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_sha_256_of_fips_180() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_string(), abc);
        assert_eq!(Digest::of_parts(&[b"a", b"", b"bc"]).to_string(), abc);
    }
}
