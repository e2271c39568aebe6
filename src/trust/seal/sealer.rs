//! The sending end of a seal: one context a recipient and process start.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use domain::time::UnixMillis;
use exchange::{
    envelope::{AlgorithmProfile, SealHeader},
    keys::{self, SealError},
};
use hpke::{OpModeS, Serializable, setup_sender};
use rand::CryptoRng;
use ring::aead::Aad;

use super::{Aead, INFO, Kdf, Kem, SealingKeyId, SealingPublicKey, Secret, UnusableKey};

/// How long one context is used. A new one costs 0.1 ms; a day bounds what one secret protects.
pub const SEALER_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Largest number of an envelope under one context; far beyond a day's work, far below what
/// AES-GCM bears under one key.
pub const COUNTER_MAX: u64 = 1 << 40;

/// Seals bodies for one recipient. Shared between threads; nothing in it locks.
pub struct Sealer {
    recipient_key_id: SealingKeyId,
    encapsulated_key: [u8; 32],
    secret: Secret,
    /// Number of the next envelope.
    next: AtomicU64,
    made: UnixMillis,
}

impl Sealer {
    /// Sets up a context for the holder of `recipient`.
    ///
    /// # Errors
    /// [`UnusableKey`] when the key is a point of small order.
    pub fn new(
        recipient: &SealingPublicKey,
        rng: &mut impl CryptoRng,
        now: UnixMillis,
    ) -> Result<Self, UnusableKey> {
        let (encapsulated, context) =
            setup_sender::<Aead, Kdf, Kem, _>(&OpModeS::Base, &recipient.key, INFO, rng)
                .map_err(|_| UnusableKey)?;
        let secret = Secret::export(|context_of, out| context.export(context_of, out));
        Ok(Self {
            recipient_key_id: recipient.id(),
            encapsulated_key: encapsulated.to_bytes().into(),
            secret: secret.ok_or(UnusableKey)?,
            next: AtomicU64::new(0),
            made: now,
        })
    }

    /// Which key of the recipient this seals for.
    #[must_use]
    pub fn recipient_key_id(&self) -> SealingKeyId {
        self.recipient_key_id
    }

    /// What the recipient needs to derive the same secret; goes into every header.
    #[must_use]
    pub fn encapsulated_key(&self) -> &[u8; 32] {
        &self.encapsulated_key
    }

    /// Whether it is time for a new context: older than [`SEALER_LIFETIME`], or from the future,
    /// which happens when the clock is set back.
    #[must_use]
    pub fn is_stale(&self, now: UnixMillis) -> bool {
        match now.get().checked_sub(self.made.get()) {
            Some(age_ms) => u128::from(age_ms) >= SEALER_LIFETIME.as_millis(),
            None => true,
        }
    }

    #[cfg(test)]
    pub(super) fn exhaust(&self) {
        self.next.store(COUNTER_MAX, Ordering::Relaxed);
    }
}

impl keys::Sealer for Sealer {
    fn next_seal(&self) -> Result<SealHeader, SealError> {
        // Relaxed is enough: only the number's uniqueness matters, nothing else is published by it.
        let counter = self.next.fetch_add(1, Ordering::Relaxed);
        if counter >= COUNTER_MAX {
            return Err(SealError::CounterExhausted);
        }
        Ok(SealHeader {
            profile: AlgorithmProfile::International,
            recipient_key_id: self.recipient_key_id,
            encapsulated_key: self.encapsulated_key,
            counter,
        })
    }

    /// Seals in place; no copy is made when the body has 16 bytes of spare capacity.
    fn seal(&self, counter: u64, header: &[u8], mut body: Vec<u8>) -> Result<Vec<u8>, SealError> {
        self.secret
            .key
            .seal_in_place_append_tag(self.secret.nonce(counter), Aad::from(header), &mut body)
            .map_err(|_| SealError::Cipher)?;
        Ok(body)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("recipient_key_id", &self.recipient_key_id)
            .field("next", &self.next.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}
