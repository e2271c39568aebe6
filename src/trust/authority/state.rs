//! What a CA keeps on disk: its key and certificate, what it issued and what it revoked.
//!
//! | file | content |
//! |---|---|
//! | `ca.key` | private key, PKCS #8 PEM, mode 0600 |
//! | `ca.pem` | certificate |
//! | `issued.jsonl` | one line a certificate, written before it is handed out |
//! | `revoked.jsonl` | one line a revocation; never shortened, also after the certificate's end, because evidence and printed certificates outlive it |
//! | `crl-number` | number of the last revocation list |
//! | `lock` | held by the running program |

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use domain::time::UnixMillis;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::AuthorityError;
use crate::{
    files::{self, FileError},
    key::SigningKey,
};

/// One certificate that a CA issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedRecord {
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// DNS name of a leaf, subtree of a province's CA.
    pub name: String,
    /// When it was issued.
    pub issued: UnixMillis,
    /// Until when it is valid.
    pub not_after: UnixMillis,
    /// SHA-256 of the certificate, lower-case hexadecimal.
    pub fingerprint: String,
}

/// Why a certificate was revoked (RFC 5280 section 5.3.1; those that have a use here).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationReason {
    /// No reason is given.
    Unspecified,
    /// The private key is in other hands, or may be.
    KeyCompromise,
    /// The private key of a CA is in other hands, or may be.
    CaCompromise,
    /// The operator works elsewhere or has another role.
    AffiliationChanged,
    /// Another certificate takes its place.
    Superseded,
    /// The node or office is closed.
    CessationOfOperation,
}

/// One certificate that a CA revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedRecord {
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// Since when it counts as revoked.
    pub at: UnixMillis,
    /// Why.
    pub reason: RevocationReason,
}

/// The directory of a CA, held by this program alone.
#[derive(Debug)]
pub(super) struct State {
    directory: PathBuf,
    _lock: File,
}

impl State {
    /// Makes a directory, when it is not there, and takes it.
    pub(super) fn make(directory: &Path) -> Result<Self, AuthorityError> {
        let write = |source| FileError::Write { path: directory.to_owned(), source };
        fs::create_dir_all(directory).map_err(write)?;
        Self::take(directory)
    }

    /// Takes the directory of a CA that is there.
    pub(super) fn take(directory: &Path) -> Result<Self, AuthorityError> {
        if !directory.is_dir() {
            let source = std::io::ErrorKind::NotFound.into();
            return Err(FileError::Read { path: directory.to_owned(), source }.into());
        }
        let path = directory.join("lock");
        let lock = File::create(&path).map_err(|source| FileError::Write { path, source })?;
        lock.try_lock().map_err(|_| AuthorityError::InUse { directory: directory.to_owned() })?;
        Ok(Self { directory: directory.to_owned(), _lock: lock })
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }

    pub(super) fn key(&self) -> Result<SigningKey, AuthorityError> {
        Ok(SigningKey::load(&self.path("ca.key"))?)
    }

    pub(super) fn certificate(&self) -> Result<CertificateDer<'static>, AuthorityError> {
        let path = self.path("ca.pem");
        let text = files::read(&path)?;
        CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| AuthorityError::NotACa { path })
    }

    pub(super) fn save_certificate(&self, der: &[u8]) -> Result<(), AuthorityError> {
        Ok(files::replace(&self.path("ca.pem"), &files::pem_block("CERTIFICATE", der))?)
    }

    pub(super) fn add_issued(&self, record: &IssuedRecord) -> Result<(), AuthorityError> {
        self.add("issued.jsonl", record)
    }

    pub(super) fn issued(&self) -> Result<Vec<IssuedRecord>, AuthorityError> {
        self.all("issued.jsonl")
    }

    pub(super) fn add_revoked(&self, record: &RevokedRecord) -> Result<(), AuthorityError> {
        self.add("revoked.jsonl", record)
    }

    pub(super) fn revoked(&self) -> Result<Vec<RevokedRecord>, AuthorityError> {
        self.all("revoked.jsonl")
    }

    /// The number of the next list: one more than the last, and never less than the seconds since
    /// 1970, so that lists issued after a restore from backup still count as newer.
    pub(super) fn next_list_number(&self, now: UnixMillis) -> Result<u64, AuthorityError> {
        let path = self.path("crl-number");
        let last: u64 = match files::read(&path) {
            Ok(text) => {
                let corrupt = || AuthorityError::Corrupt { path: path.clone(), line: 1 };
                text.trim().parse().map_err(|_| corrupt())?
            }
            Err(FileError::Read { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                0
            }
            Err(error) => return Err(error.into()),
        };
        let next = last.saturating_add(1).max(now.get() / 1000);
        files::replace(&path, &format!("{next}\n"))?;
        Ok(next)
    }

    fn add(&self, file: &str, record: &impl Serialize) -> Result<(), AuthorityError> {
        let path = self.path(file);
        let line = serde_json::to_string(record)
            .map_err(|_| AuthorityError::Corrupt { path: path.clone(), line: 0 })?;
        Ok(files::append_line(&path, &line)?)
    }

    fn all<T: DeserializeOwned>(&self, file: &str) -> Result<Vec<T>, AuthorityError> {
        let path = self.path(file);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let mut text = files::read(&path)?;
        // A crash while writing leaves a last line without its end. It was never reported as
        // done, so it is taken away; anything else unreadable stops the CA.
        if !text.is_empty() && !text.ends_with('\n') {
            text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
            files::replace(&path, &text)?;
        }
        text.lines()
            .zip(1..)
            .map(|(record, line)| {
                serde_json::from_str(record)
                    .map_err(|_| AuthorityError::Corrupt { path: path.clone(), line })
            })
            .collect()
    }
}
