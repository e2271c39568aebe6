//! Sealing of bodies for one recipient: HPKE (RFC 9180) once, then AES-256-GCM an envelope.
//!
//! A sender sets up one HPKE context for a recipient: base mode, DHKEM(X25519, HKDF-SHA256),
//! HKDF-SHA256, AES-256-GCM, `info` = [`INFO`]. From it both ends export a key for AES-256-GCM
//! (32 bytes, context [`KEY_CONTEXT`]) and a base of nonces (12 bytes, context [`NONCE_CONTEXT`]).
//! HPKE's own messages must be opened in the order they were sealed; with the exported secrets,
//! envelope number *n* uses the base XOR u96be(*n*), as RFC 9180 section 5.2 computes nonces, and
//! the bytes of its header as associated data. Every envelope carries the encapsulated key and its
//! number, so each opens by itself, in any order, through any relay.
//!
//! The secret lives in memory only and is made anew at each start and at least daily: no restart
//! and no restore can use a nonce twice.

mod keys;
mod opener;
mod sealer;

#[cfg(test)]
mod tests;

use exchange::keys::OpenError;
use hpke::{HpkeError, aead::AesGcm256, kdf::HkdfSha256, kem::X25519HkdfSha256};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

pub use self::{
    keys::{SealingKeyId, SealingKeyPair, SealingPublicKey},
    opener::{Opener, SECRETS_MAX},
    sealer::{COUNTER_MAX, SEALER_LIFETIME, Sealer},
};

/// `info` of the HPKE context.
pub const INFO: &[u8] = b"liangdi/v1/seal";
/// Exporter context of the cipher's key.
pub const KEY_CONTEXT: &[u8] = b"liangdi/v1/seal key";
/// Exporter context of the base of the nonces.
pub const NONCE_CONTEXT: &[u8] = b"liangdi/v1/seal nonce";
/// Bytes that sealing adds to a body: the tag of AES-256-GCM.
pub const TAG_BYTES: usize = 16;

type Kem = X25519HkdfSha256;
type Kdf = HkdfSha256;
type Aead = AesGcm256;

const AEAD_KEY_BYTES: usize = 32;

/// The bytes are not a usable X25519 key: of the wrong length, or a point of small order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a usable sealing key: ask the peer for a new node card")]
pub struct UnusableKey;

/// What both ends derive: the cipher's key and the base of the nonces.
struct Secret {
    key: LessSafeKey,
    nonce_base: [u8; NONCE_LEN],
}

impl Secret {
    /// Derives the secret with the exporter of either end's HPKE context.
    ///
    /// `None` is for errors of the libraries that fixed lengths rule out.
    fn export(export: impl Fn(&[u8], &mut [u8]) -> Result<(), HpkeError>) -> Option<Self> {
        let (key, nonce_base) = exported(export)?;
        Self::new(&key, nonce_base)
    }

    fn new(key: &[u8; AEAD_KEY_BYTES], nonce_base: [u8; NONCE_LEN]) -> Option<Self> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
        Some(Self { key, nonce_base })
    }

    fn nonce(&self, counter: u64) -> Nonce {
        Nonce::assume_unique_for_key(nonce_of(self.nonce_base, counter))
    }
}

/// Key and base of nonces, with the exporter of either end's HPKE context.
fn exported(
    export: impl Fn(&[u8], &mut [u8]) -> Result<(), HpkeError>,
) -> Option<(Zeroizing<[u8; AEAD_KEY_BYTES]>, [u8; NONCE_LEN])> {
    let mut key = Zeroizing::new([0; AEAD_KEY_BYTES]);
    let mut nonce_base = [0; NONCE_LEN];
    export(KEY_CONTEXT, key.as_mut_slice()).ok()?;
    export(NONCE_CONTEXT, &mut nonce_base).ok()?;
    Some((key, nonce_base))
}

/// The nonce of envelope number `counter`: base XOR u96be(counter).
fn nonce_of(base: [u8; NONCE_LEN], counter: u64) -> [u8; NONCE_LEN] {
    let mut nonce = base;
    for (byte, count) in nonce.iter_mut().rev().zip(counter.to_le_bytes()) {
        *byte ^= count;
    }
    nonce
}

/// Opens one envelope with its secret: key (32 bytes) and nonce (12), as [`exchange::keys::Opener::reveal`] gives them.
/// Gives the padded plaintext.
///
/// # Errors
/// [`OpenError::Broken`] when this is not what was sealed in it, or the secret not that of this envelope.
pub fn open_with(secret: &[u8], header: &[u8], sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
    let broken = || OpenError::Broken;
    let (key, nonce) = secret.split_first_chunk::<AEAD_KEY_BYTES>().ok_or_else(broken)?;
    let nonce: [u8; NONCE_LEN] = nonce.try_into().map_err(|_| broken())?;
    let secret = Secret::new(key, nonce).ok_or_else(broken)?;
    let mut body = sealed.to_vec();
    let opened = secret.key.open_in_place(secret.nonce(0), Aad::from(header), &mut body);
    let length = opened.map_err(|_| broken())?.len();
    body.truncate(length);
    Ok(body)
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}
