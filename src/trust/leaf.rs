//! The certificate a node or operator holds: asking for it, loading it, signing with it.

use std::{fmt, path::Path, time::Duration};

use domain::{access::Role, area::AreaCode, time::UnixMillis};
use rcgen::{CertificateParams, DistinguishedName, DnType};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use crate::{
    certificate::{Fingerprint, Leaf},
    files::{self, FileError},
    key::{KeyError, SigningKey},
    name::{CertificateName, NameError, Suffix},
    refused::Refused,
};

/// Warnings start this long before a certificate ends.
pub const WARNING_BEFORE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Why an identity cannot be loaded; each says which file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The chain file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The key file cannot be used.
    #[error("the private key {path} cannot be used")]
    Key {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: KeyError,
    },
    /// The chain file holds no certificate, or one that is not readable.
    #[error(
        "{path} must hold the certificate and its province's CA certificate, in PEM, in this order"
    )]
    Chain {
        /// The file.
        path: String,
    },
    /// The certificate is not one of the profile.
    #[error("the certificate in {path} is not one of this network: ask for a new one")]
    Profile {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: Refused,
    },
    /// Key and certificate do not belong together.
    #[error(
        "the certificate in {chain} is not for the key in {key}: take both from the same request"
    )]
    Mismatch {
        /// The chain file.
        chain: String,
        /// The key file.
        key: String,
    },
}

/// A request for a certificate, and the key it is for.
#[derive(Debug)]
pub struct Requested {
    /// The key; it never leaves its machine.
    pub key: SigningKey,
    /// The certificate signing request in PEM, for the CA.
    pub csr_pem: String,
}

/// Makes a new key and a request for the certificate of a node or operator.
///
/// # Errors
/// [`RequestError`].
pub fn request(name: &CertificateName, suffix: &Suffix) -> Result<Requested, RequestError> {
    let key = SigningKey::generate()?;
    let csr_pem = request_for(&key, name, suffix)?;
    Ok(Requested { key, csr_pem })
}

/// Makes a request for a key at hand, as for a renewal that keeps its key.
///
/// # Errors
/// [`RequestError`].
pub fn request_for(
    key: &SigningKey,
    name: &CertificateName,
    suffix: &Suffix,
) -> Result<String, RequestError> {
    let dns = name.to_dns(suffix)?;
    let mut params = CertificateParams::new(vec![dns.clone()])?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, dns);
    let csr = params.serialize_request(key)?;
    Ok(files::pem_block("CERTIFICATE REQUEST", csr.der()))
}

/// Why a request could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The name cannot stand in a certificate.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The request could not be encoded or signed.
    #[error("the request could not be made")]
    Encode(#[from] rcgen::Error),
}

/// A certificate of the profile with its chain and its private key.
pub struct Identity {
    /// Leaf first, each in DER.
    chain: Vec<Vec<u8>>,
    key: SigningKey,
    leaf: Leaf,
}

impl Identity {
    /// Puts a chain (leaf first, DER) and a key together.
    ///
    /// # Errors
    /// [`Refused`] when the leaf is not one of the profile, `BadSignature` when it is for another key.
    pub fn new(chain: Vec<Vec<u8>>, key: SigningKey, suffix: &Suffix) -> Result<Self, Refused> {
        let leaf = Leaf::read(chain.first().ok_or(Refused::NoCertificate)?, suffix)?;
        if leaf.public_key != key.public() {
            return Err(Refused::BadSignature);
        }
        Ok(Self { chain, key, leaf })
    }

    /// Loads a chain (leaf, then the province's CA) and a key from their PEM files.
    ///
    /// # Errors
    /// [`IdentityError`] names the file and what to do.
    pub fn load(chain: &Path, key: &Path, suffix: &Suffix) -> Result<Self, IdentityError> {
        let (chain_name, key_name) = (chain.display().to_string(), key.display().to_string());
        let text = files::read(chain)?;
        let certificates: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(text.as_bytes())
            .map(|der| der.map(|der| der.to_vec()))
            .collect::<Result<_, _>>()
            .map_err(|_| IdentityError::Chain { path: chain_name.clone() })?;
        if certificates.len() < 2 {
            return Err(IdentityError::Chain { path: chain_name });
        }
        let key = SigningKey::load(key)
            .map_err(|source| IdentityError::Key { path: key_name.clone(), source })?;
        Self::new(certificates, key, suffix).map_err(|source| match source {
            Refused::BadSignature => IdentityError::Mismatch { chain: chain_name, key: key_name },
            source => IdentityError::Profile { path: chain_name, source },
        })
    }

    /// What the certificate says.
    #[must_use]
    pub fn leaf(&self) -> &Leaf {
        &self.leaf
    }

    /// Whom the certificate names.
    #[must_use]
    pub fn name(&self) -> &CertificateName {
        &self.leaf.name
    }

    /// The area of the node or office.
    #[must_use]
    pub fn area(&self) -> AreaCode {
        self.leaf.name.area()
    }

    /// The role, for an operator.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        self.leaf.role
    }

    /// The chain, leaf first, each in DER.
    #[must_use]
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// SHA-256 of the leaf.
    #[must_use]
    pub fn leaf_fingerprint(&self) -> Fingerprint {
        self.leaf.fingerprint
    }

    /// The private key.
    #[must_use]
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Whether less than a third of the certificate's life is left: time to renew it.
    #[must_use]
    pub fn renewal_is_due(&self, now: UnixMillis) -> bool {
        let life = self.leaf.not_after.since(self.leaf.not_before);
        self.leaf.not_after.since(now) < life / 3
    }

    /// The time left, once it is shorter than [`WARNING_BEFORE`]; zero after the end.
    #[must_use]
    pub fn expiry_warning(&self, now: UnixMillis) -> Option<Duration> {
        let left = self.leaf.not_after.since(now);
        (left < WARNING_BEFORE).then_some(left)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("name", &self.leaf.name)
            .field("not_after", &self.leaf.not_after)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{NOW, Net, days_later};

    #[test]
    fn renewal_begins_with_the_last_third_and_warnings_with_the_last_month() {
        let node = Net::new().node("410522");
        assert!(!node.renewal_is_due(NOW) && !node.renewal_is_due(days_later(59)));
        assert!(node.renewal_is_due(days_later(61)) && node.renewal_is_due(days_later(91)));
        assert_eq!(node.expiry_warning(days_later(59)), None);
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!(node.expiry_warning(days_later(80)), Some(day * 10));
        assert_eq!(node.expiry_warning(days_later(100)), Some(Duration::ZERO));
    }

    #[test]
    fn an_identity_prints_no_key() {
        let printed = format!("{:?}", Net::new().node("410522"));
        assert!(printed.contains("410522") && printed.len() < 150, "{printed}");
    }
}
