//! Reading and writing of key, certificate and list files, with errors that name the file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use zeroize::{Zeroize, Zeroizing};

/// A file that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {}: check that it exists and that this user may read it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write {}: check that its directory exists and that this user may write there", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It would be overwritten, and what is in it cannot be made again.
    #[error("{} exists already: it is not overwritten, move it away if it is no longer needed", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A private key that everyone on the machine can read.
    #[error("everyone on this machine can read the private key {}: run chmod 600 on it", path.display())]
    KeyIsPublic {
        /// The file.
        path: PathBuf,
    },
}

impl FileError {
    fn read(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        |source| Self::Read { path, source }
    }

    fn write(path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists { path: path.clone() },
            _ => Self::Write { path: path.clone(), source },
        }
    }
}

/// The whole text of a file.
pub(crate) fn read(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(FileError::read(path))
}

/// The text of a private key file, wiped when dropped; refused when everyone can read it.
pub(crate) fn read_private(path: &Path) -> Result<Zeroizing<String>, FileError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The group may read: secrets handed over by a container platform come that way.
        let mode = fs::metadata(path).map_err(FileError::read(path))?.permissions().mode();
        if mode & 0o007 != 0 {
            return Err(FileError::KeyIsPublic { path: path.to_owned() });
        }
    }
    Ok(Zeroizing::new(read(path)?))
}

/// Writes a private file that must not exist yet, readable by its owner only.
pub(crate) fn create_private(path: &Path, contents: &str) -> Result<(), FileError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(contents.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| sync_directory(path));
    written.map_err(FileError::write(path))
}

/// Replaces a file in one step: a reader sees the old text or the new, also after a crash.
pub(crate) fn replace(path: &Path, contents: &str) -> Result<(), FileError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let write = || {
        let mut file = File::create(&beside)?;
        file.write_all(contents.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        sync_directory(path)
    };
    write().map_err(FileError::write(path))
}

/// Adds a line to a file and has it on disk before returning.
pub(crate) fn append_line(path: &Path, line: &str) -> Result<(), FileError> {
    let write = || {
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        // One write, so that a crash tears at most the last line.
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()?;
        sync_directory(path)
    };
    write().map_err(FileError::write(path))
}

fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => File::open(directory)?.sync_all(),
        _ => Ok(()),
    }
}

/// One PEM block, as text.
pub(crate) fn pem_block(label: &str, der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der), config)
}

/// One PEM block with a private key in it; every copy made on the way is wiped.
pub(crate) fn private_pem_block(label: &str, der: &[u8]) -> Zeroizing<String> {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    let block = pem::Pem::new(label, der);
    let text = Zeroizing::new(pem::encode_config(&block, config));
    block.into_contents().zeroize();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_file_is_for_its_owner_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.key");
        create_private(&path, "secret").unwrap();
        assert_eq!(read_private(&path).unwrap().as_str(), "secret");
        assert!(matches!(create_private(&path, "other"), Err(FileError::Exists { .. })));
        assert_eq!(read(&path).unwrap(), "secret");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            let error = read_private(&path).unwrap_err();
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn replacing_leaves_nothing_beside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("crl.pem");
        replace(&path, "one").unwrap();
        replace(&path, "two").unwrap();
        append_line(&path, "three").unwrap();
        assert_eq!(read(&path).unwrap(), "twothree\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn errors_name_the_file() {
        let error = read(Path::new("/nowhere/root.pem")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/root.pem"), "{error}");
    }
}
