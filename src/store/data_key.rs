//! Where the data key comes from: a key file, the environment, or a systemd credential.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rand::RngCore;
use zeroize::{Zeroize, Zeroizing};

use crate::directory::sync_name;
use crate::seal::{DataKey, KEY_BYTES};

/// Where to look for the data key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataKeySource {
    /// A file of the node, readable for its user alone.
    File(PathBuf),
    /// An environment variable of this name.
    Environment(String),
    /// A systemd credential of this name, in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// Why there is no data key.
#[derive(Debug, thiserror::Error)]
pub enum DataKeyError {
    /// The file cannot be read or written.
    #[error("the key file {} cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was reported.
        #[source]
        source: io::Error,
    },
    /// Others could read the file.
    #[error("the key file {} is readable for others (mode {mode:o}): set it to 600", path.display())]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The variable is not set.
    #[error("the environment variable {0} is not set")]
    NoVariable(String),
    /// There are no credentials.
    #[error("systemd passed no credentials: LoadCredential= is missing from the unit")]
    NoCredentials,
    /// The content is not a key.
    #[error("the data key is not 64 hexadecimal digits")]
    Malformed,
}

impl DataKey {
    /// Loads the key: 64 hexadecimal digits, or exactly 32 bytes.
    ///
    /// # Errors
    /// [`DataKeyError`].
    pub fn load(source: &DataKeySource) -> Result<Self, DataKeyError> {
        match source {
            DataKeySource::File(path) => {
                private(path)?;
                Self::parse(&read(path)?)
            }
            DataKeySource::Environment(name) => {
                let value = env::var(name).map_err(|_| DataKeyError::NoVariable(name.clone()))?;
                Self::parse(Zeroizing::new(value).as_bytes())
            }
            DataKeySource::Credential(name) => {
                let dir = env::var_os("CREDENTIALS_DIRECTORY");
                let dir = dir.ok_or(DataKeyError::NoCredentials)?;
                // systemd keeps that directory from others; its files may have any mode.
                Self::parse(&read(&Path::new(&dir).join(name))?)
            }
        }
    }

    /// Makes a new key and keeps it in a new file that only its owner can read.
    ///
    /// # Errors
    /// [`DataKeyError::File`], also when the file exists: a data key is never written over.
    pub fn create(path: &Path) -> Result<Self, DataKeyError> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        rand::rng().fill_bytes(&mut *key);
        let mut text = Zeroizing::new(String::with_capacity(2 * KEY_BYTES + 1));
        for byte in key.iter() {
            text.extend(
                [byte >> 4, byte & 15]
                    .map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or_default()),
            );
        }
        text.push('\n');
        let mut how = OpenOptions::new();
        how.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
        let written = how.open(path).and_then(|mut file: File| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        let kept = written.and_then(|()| sync_name(path));
        kept.map_err(|source| DataKeyError::File { path: path.to_path_buf(), source })?;
        Ok(Self::from_bytes(*key))
    }

    fn parse(content: &[u8]) -> Result<Self, DataKeyError> {
        let mut key = [0; KEY_BYTES];
        if let Ok(raw) = <[u8; KEY_BYTES]>::try_from(content) {
            return Ok(Self::from_bytes(raw));
        }
        let digits = content.trim_ascii();
        if digits.len() != 2 * KEY_BYTES {
            return Err(DataKeyError::Malformed);
        }
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
        for (to, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (pair.first().and_then(digit), pair.last().and_then(digit));
            let (Some(high), Some(low)) = (high, low) else {
                key.zeroize();
                return Err(DataKeyError::Malformed);
            };
            *to = high << 4 | low;
        }
        let parsed = Self::from_bytes(key);
        key.zeroize();
        Ok(parsed)
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, DataKeyError> {
    let content = fs::read(path).map(Zeroizing::new);
    content.map_err(|source| DataKeyError::File { path: path.to_path_buf(), source })
}

#[cfg(unix)]
fn private(path: &Path) -> Result<(), DataKeyError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = fs::metadata(path);
    let metadata =
        metadata.map_err(|source| DataKeyError::File { path: path.to_path_buf(), source })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(DataKeyError::Readable { path: path.to_path_buf(), mode })
    }
}

#[cfg(not(unix))]
fn private(_: &Path) -> Result<(), DataKeyError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_created_key_is_loaded_again_and_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.key");
        let made = DataKey::create(&path).unwrap();
        let loaded = DataKey::load(&DataKeySource::File(path.clone())).unwrap();
        assert_eq!(made.as_bytes(), loaded.as_bytes());
        assert!(matches!(DataKey::create(&path), Err(DataKeyError::File { .. })));
        assert_eq!(format!("{made:?}"), "DataKey(..)");
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.key");
        DataKey::create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = DataKey::load(&DataKeySource::File(path)).unwrap_err();
        assert!(matches!(error, DataKeyError::Readable { mode: 0o640, .. }), "{error}");
    }

    #[test]
    fn hexadecimal_digits_and_raw_bytes_are_keys() {
        let hex = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F\n";
        let raw: Vec<u8> = (0..32).collect();
        let (a, b) = (DataKey::parse(hex.as_bytes()).unwrap(), DataKey::parse(&raw).unwrap());
        assert_eq!(a.as_bytes(), b.as_bytes());
        for wrong in ["", "00", &hex[2..], &hex.replace('1', "g")] {
            assert!(matches!(DataKey::parse(wrong.as_bytes()), Err(DataKeyError::Malformed)));
        }
    }

    #[test]
    fn a_missing_secret_is_named() {
        let source = DataKeySource::Environment("LIANGDI_NO_SUCH_VARIABLE".to_owned());
        let error = DataKey::load(&source).unwrap_err();
        assert!(error.to_string().contains("LIANGDI_NO_SUCH_VARIABLE"));
    }
}
