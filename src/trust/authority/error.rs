//! Why a CA could not do what was asked.

use std::path::PathBuf;

use domain::area::AreaCode;

use crate::{
    certificate::BadRequest, crl::BadList, files::FileError, key::KeyError, name::NameError,
};

/// Why a CA could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file of the CA cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The CA's key cannot be used.
    #[error("the key of this CA cannot be used")]
    Key(#[from] KeyError),
    /// Another program holds the directory.
    #[error("the directory {} is in use by another program: wait until it is done", directory.display())]
    InUse {
        /// The directory of the CA.
        directory: PathBuf,
    },
    /// The certificate in the directory is not that of such a CA, or not for its key.
    #[error("{} is not the certificate of this CA and its key", path.display())]
    NotACa {
        /// The file.
        path: PathBuf,
    },
    /// A line of the CA's records cannot be read.
    #[error("line {line} of {} cannot be read: restore the file from a backup", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The request is not usable.
    #[error("the request is refused")]
    Request(#[from] BadRequest),
    /// The name cannot stand in a certificate.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The request asks for another name than the one typed.
    #[error("the request asks for {asked}, but {expected} is to be issued: check both")]
    OtherName {
        /// In the request.
        asked: String,
        /// As typed.
        expected: String,
    },
    /// The area does not belong to the province of this CA.
    #[error(
        "area {area} does not belong to {province}: its own province must issue the certificate"
    )]
    OtherProvince {
        /// The area typed.
        area: AreaCode,
        /// The province of the CA.
        province: AreaCode,
    },
    /// The CA's own certificate has expired.
    #[error("the certificate of this CA has expired: it must be renewed first")]
    Expired,
    /// No such certificate was issued here.
    #[error("this CA has issued no certificate with serial number {serial}")]
    UnknownSerial {
        /// As typed.
        serial: String,
    },
    /// A time beyond what certificates can express.
    #[error("this time cannot be written in a certificate")]
    NoSuchTime,
    /// The system gave no randomness.
    #[error("the system gave no randomness for a serial number")]
    NoRandomness,
    /// A certificate or list could not be encoded or signed.
    #[error("the certificate could not be made")]
    Encode(#[from] rcgen::Error),
    /// The list just made cannot be read back.
    #[error("the revocation list could not be made")]
    List(#[from] BadList),
}
