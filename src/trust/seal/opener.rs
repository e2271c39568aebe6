//! The receiving end of a seal: derives a sender's secret once and keeps it.

use std::{fmt, sync::Arc};

use exchange::{
    envelope::{AlgorithmProfile, SealHeader},
    keys::{self, OpenError},
};
use hpke::{Deserializable, OpModeR, aead::AeadCtxR, setup_receiver};
use ring::aead::Aad;
use zeroize::Zeroizing;

use super::{Aead, INFO, Kdf, Kem, SealingKeyId, SealingKeyPair, Secret, exported, nonce_of};
use crate::cache::Cache;

/// How many senders' secrets are kept; more than there are counties.
pub const SECRETS_MAX: usize = 4096;

type SecretId = (SealingKeyId, [u8; 32]);

/// Opens what others sealed for this node. Shared between threads.
pub struct Opener {
    keys: Vec<SealingKeyPair>,
    secrets: Cache<SecretId, Arc<Secret>>,
}

impl Opener {
    /// Opens with any of these keys: the one in use and those before it.
    #[must_use]
    pub fn new(keys: Vec<SealingKeyPair>) -> Self {
        Self { keys, secrets: Cache::new(SECRETS_MAX) }
    }

    /// The keys held, for the node card.
    #[must_use]
    pub fn keys(&self) -> &[SealingKeyPair] {
        &self.keys
    }

    fn derive(&self, id: SealingKeyId, encapsulated_key: &[u8; 32]) -> Result<Secret, OpenError> {
        let pair = self.keys.iter().find(|pair| pair.id() == id).ok_or(OpenError::OtherKey)?;
        let context = context(pair, encapsulated_key, INFO)?;
        Secret::export(|of, out| context.export(of, out)).ok_or(OpenError::Broken)
    }

    /// As if something had opened with this secret before.
    #[cfg(test)]
    pub(super) fn remember(&self, id: SealingKeyId, encapsulated_key: [u8; 32], secret: Secret) {
        self.secrets.insert((id, encapsulated_key), Arc::new(secret));
    }

    #[cfg(test)]
    pub(super) fn secrets(&self) -> usize {
        self.secrets.len()
    }
}

/// The receiving end of RFC 9180 base mode.
pub(super) fn context(
    pair: &SealingKeyPair,
    encapsulated_key: &[u8; 32],
    info: &[u8],
) -> Result<AeadCtxR<Aead, Kdf, Kem>, OpenError> {
    let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(encapsulated_key)
        .map_err(|_| OpenError::Broken)?;
    setup_receiver(&OpModeR::Base, &pair.private, &encapsulated, info)
        .map_err(|_| OpenError::Broken)
}

impl keys::Opener for Opener {
    fn open(&self, seal: &SealHeader, header: &[u8], sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        match seal.profile {
            AlgorithmProfile::International => {}
            AlgorithmProfile::Shangmi => return Err(OpenError::ProfileUnsupported),
        }
        let id = (seal.recipient_key_id, seal.encapsulated_key);
        let (secret, known) = match self.secrets.get(&id) {
            Some(secret) => (secret, true),
            None => (Arc::new(self.derive(id.0, &id.1)?), false),
        };
        let mut body = sealed.to_vec();
        let length = secret
            .key
            .open_in_place(secret.nonce(seal.counter), Aad::from(header), &mut body)
            .map_err(|_| OpenError::Broken)?
            .len();
        body.truncate(length);
        // Kept only once something opened with it: rubbish cannot push out real senders.
        if !known {
            self.secrets.insert(id, secret);
        }
        Ok(body)
    }

    fn reveal(&self, seal: &SealHeader) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        match seal.profile {
            AlgorithmProfile::International => {}
            AlgorithmProfile::Shangmi => return Err(OpenError::ProfileUnsupported),
        }
        let pair = self.keys.iter().find(|pair| pair.id() == seal.recipient_key_id);
        let pair = pair.ok_or(OpenError::OtherKey)?;
        let context = context(pair, &seal.encapsulated_key, INFO)?;
        let exported = exported(|of, out| context.export(of, out)).ok_or(OpenError::Broken)?;
        let (key, base) = exported;
        let nonce = nonce_of(base, seal.counter);
        Ok(Zeroizing::new([key.as_slice(), &nonce].concat()))
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("keys", &self.keys).field("secrets", &self.secrets).finish()
    }
}
