//! ECDSA P-256 keys: making, loading, signing, checking.

use domain::hex::hex;
use std::{fmt, path::Path};

use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
        UnparsedPublicKey,
    },
};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};
use zeroize::Zeroizing;

use crate::files::{self, FileError};

/// Why a private key could not be made or loaded.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file holds no unencrypted private key in PEM.
    #[error(
        "no private key found: a PEM block \"PRIVATE KEY\" (PKCS #8, not encrypted) is expected; \
         convert with: openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW"
    )]
    NotAKey,
    /// It is a key, but not one of the profile.
    #[error("the private key is not ECDSA P-256, the only kind the certificate profile knows")]
    NotP256,
    /// The system gave no randomness.
    #[error("the system gave no randomness for a new key")]
    NoRandomness,
}

/// A signature that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not hold")]
pub struct BadSignature;

/// The system gave no randomness for a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature could not be made: the system gave no randomness")]
pub struct CannotSign;

/// An uncompressed point on P-256: what certificates of the profile carry.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; PublicKey::BYTES]);

impl PublicKey {
    /// Length of an uncompressed point.
    pub const BYTES: usize = 65;

    /// Takes an uncompressed point; `None` when it is not one by its length and first byte.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; Self::BYTES] = bytes.try_into().ok()?;
        (bytes.first() == Some(&4)).then_some(Self(bytes))
    }

    /// The point, 65 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Checks an ASN.1 DER signature of ECDSA P-256 over the SHA-256 of `message`.
    ///
    /// # Errors
    /// [`BadSignature`] when it does not hold.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0)
            .verify(message, signature)
            .map_err(|_| BadSignature)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = self.0.get(1..5).unwrap_or_default();
        write!(f, "PublicKey({}..)", hex(head))
    }
}

/// A private ECDSA P-256 key. Its serialised form is wiped from memory when it is dropped.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    pkcs8: Zeroizing<Vec<u8>>,
    public: PublicKey,
    random: SystemRandom,
}

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn generate() -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)
            .map_err(|_| KeyError::NoRandomness)?;
        Self::from_pkcs8(Zeroizing::new(pkcs8.as_ref().to_vec()))
    }

    /// A key in PKCS #8.
    ///
    /// # Errors
    /// [`KeyError::NotP256`] when it is anything but a P-256 key.
    pub fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8, &random)
            .map_err(|_| KeyError::NotP256)?;
        let public = PublicKey::from_bytes(pair.public_key().as_ref()).ok_or(KeyError::NotP256)?;
        Ok(Self { pair, pkcs8, public, random })
    }

    /// The first private key of a PEM text.
    ///
    /// # Errors
    /// [`KeyError::NotAKey`] or [`KeyError::NotP256`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        match PrivateKeyDer::from_pem_slice(text.as_bytes()) {
            Ok(PrivateKeyDer::Pkcs8(key)) => {
                Self::from_pkcs8(Zeroizing::new(key.secret_pkcs8_der().to_vec()))
            }
            Ok(_) | Err(_) => Err(KeyError::NotAKey),
        }
    }

    /// The private key in a file.
    ///
    /// # Errors
    /// [`KeyError`]; a file that everyone can read is refused.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        Self::from_pem(&files::read_private(path)?)
    }

    /// Writes the key to a new file that only its owner can read.
    ///
    /// # Errors
    /// [`FileError`]; an existing file is never overwritten.
    pub fn save(&self, path: &Path) -> Result<(), FileError> {
        files::create_private(path, &files::private_pem_block("PRIVATE KEY", &self.pkcs8))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs the SHA-256 of `message`; ASN.1 DER, at most 72 bytes.
    ///
    /// # Errors
    /// [`CannotSign`] when the system gives no randomness.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CannotSign> {
        let signature = self.pair.sign(&self.random, message).map_err(|_| CannotSign)?;
        Ok(signature.as_ref().to_vec())
    }

    /// A copy of the serialised key for the TLS library, which wipes it too.
    pub(crate) fn to_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.pkcs8.to_vec().into())
    }
}

impl rcgen::PublicKeyData for SigningKey {
    fn der_bytes(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for SigningKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Self::sign(self, message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?}, private ..)", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_verifies_and_nothing_else() {
        let key = SigningKey::generate().unwrap();
        let signature = key.sign(b"message").unwrap();
        assert_eq!(key.public().verify(b"message", &signature), Ok(()));
        assert_eq!(key.public().verify(b"massage", &signature), Err(BadSignature));
        assert_eq!(key.public().verify(b"message", &signature[1..]), Err(BadSignature));
        assert_eq!(key.public().verify(b"message", b""), Err(BadSignature));
        let other = SigningKey::generate().unwrap();
        assert_eq!(other.public().verify(b"message", &signature), Err(BadSignature));
    }

    #[test]
    fn a_key_survives_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.key");
        let key = SigningKey::generate().unwrap();
        key.save(&path).unwrap();
        assert_eq!(SigningKey::load(&path).unwrap().public(), key.public());
        assert!(matches!(key.save(&path), Err(FileError::Exists { .. })));
    }

    #[test]
    fn other_keys_are_refused_with_advice() {
        let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let error = SigningKey::from_pem(&other.serialize_pem()).unwrap_err();
        assert!(matches!(error, KeyError::NotP256), "{error}");
        let error = SigningKey::from_pem("nothing").unwrap_err();
        assert!(error.to_string().contains("openssl pkcs8"), "{error}");
    }

    #[test]
    fn private_keys_are_never_printed() {
        let key = SigningKey::generate().unwrap();
        let printed = format!("{key:?}");
        assert!(printed.contains("private .."), "{printed}");
        assert!(printed.len() < 60, "{printed}");
    }
}
