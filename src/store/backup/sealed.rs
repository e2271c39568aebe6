//! A file of sealed chunks: written once from the beginning to the end, read as often as need be.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use ring::aead::{self, LessSafeKey, Nonce};
use ring::digest::{self, Context};

use super::error::BackupError;
use super::header::{BackupHeader, DATA_MAGIC, KEYS_MAGIC};
use crate::limits::{BACKUP_CHUNK_BYTES_MAX, BACKUP_SYNC_BYTES};
use crate::seal::Keys;
use crate::value::Value;

/// Set in the length of the last chunk.
const LAST: u32 = 1 << 31;
const TAG_BYTES: usize = 16;
const HASH_BYTES: usize = digest::SHA256_OUTPUT_LEN;
/// Largest header, in bytes; ours have about 150.
const HEADER_BYTES_MAX: usize = 4 * 1024;

/// Which of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Data,
    Keys,
}

impl Part {
    const fn magic(self) -> &'static [u8] {
        match self {
            Self::Data => DATA_MAGIC,
            Self::Keys => KEYS_MAGIC,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Data => "backup",
            Self::Keys => "subject keys",
        }
    }
}

/// Seals and opens the chunks of one file.
struct Seal {
    key: LessSafeKey,
    /// SHA-256 of everything before the first chunk.
    head: [u8; HASH_BYTES],
    /// Number of the next chunk.
    next: u64,
}

impl Seal {
    fn new(keys: &Keys, header: &BackupHeader, before: &Context) -> Option<Self> {
        let head = finish(before.clone());
        Some(Self { key: keys.backup(&header.salt).ok()?, head, next: 0 })
    }

    /// Nonce and associated data of the next chunk.
    fn parts(&self, last: bool) -> (Nonce, aead::Aad<[u8; HASH_BYTES + 9]>) {
        let mut nonce = [0; aead::NONCE_LEN];
        let mut about = [0; HASH_BYTES + 9];
        let number = self.next.to_be_bytes();
        nonce.iter_mut().rev().zip(number.iter().rev()).for_each(|(to, from)| *to = *from);
        let said = self.head.iter().chain(&number).copied().chain([u8::from(last)]);
        about.iter_mut().zip(said).for_each(|(to, from)| *to = from);
        (Nonce::assume_unique_for_key(nonce), aead::Aad::from(about))
    }
}

/// A file that is being written.
pub(super) struct Writer {
    path: PathBuf,
    file: File,
    seal: Seal,
    hash: Context,
    unsynced: usize,
    /// Bytes written.
    pub(super) bytes: u64,
}

impl Writer {
    /// Begins a new file, readable for its owner alone.
    pub(super) fn create(
        path: &Path,
        part: Part,
        keys: &Keys,
        header: &BackupHeader,
    ) -> Result<Self, BackupError> {
        let mut how = OpenOptions::new();
        how.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
        let mut file = how.open(path).map_err(BackupError::file(path))?;
        let mut body = Vec::new();
        let encoded = header.encode(&mut body);
        let length = u32::try_from(body.len()).ok().filter(|_| encoded.is_ok());
        let mut begin = part.magic().to_vec();
        begin.extend_from_slice(&length.unwrap_or_default().to_be_bytes());
        begin.extend_from_slice(&body);
        let mut hash = Context::new(&digest::SHA256);
        hash.update(&begin);
        let seal = Seal::new(keys, header, &hash).ok_or_else(|| cannot_seal(path))?;
        file.write_all(&begin).map_err(BackupError::file(path))?;
        let bytes = u64::try_from(begin.len()).unwrap_or_default();
        Ok(Self { path: path.to_path_buf(), file, seal, hash, unsynced: 0, bytes })
    }

    /// Seals a chunk in its own memory and writes it. What was written is handed to the disk every few megabytes, so
    /// that no sync of the store has to wait for much of it.
    pub(super) fn chunk(&mut self, plain: &mut Vec<u8>, last: bool) -> Result<(), BackupError> {
        let (nonce, about) = self.seal.parts(last);
        let sealed = self.seal.key.seal_in_place_append_tag(nonce, about, plain);
        let length = u32::try_from(plain.len()).ok().filter(|_| sealed.is_ok());
        let length = length.ok_or_else(|| cannot_seal(&self.path))?;
        let length = if last { length | LAST } else { length };
        self.seal.next += 1;
        self.put(&length.to_be_bytes())?;
        self.put(plain)?;
        plain.clear();
        if self.unsynced >= BACKUP_SYNC_BYTES {
            self.unsynced = 0;
            self.file.sync_data().map_err(BackupError::file(&self.path))?;
        }
        Ok(())
    }

    /// Ends the file and waits for the disk.
    pub(super) fn finish(mut self) -> Result<u64, BackupError> {
        let hash = finish(self.hash.clone());
        self.put(&hash)?;
        self.file.sync_all().map_err(BackupError::file(&self.path))?;
        Ok(self.bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.hash.update(bytes);
        self.unsynced += bytes.len();
        self.bytes += u64::try_from(bytes.len()).unwrap_or_default();
        self.file.write_all(bytes).map_err(BackupError::file(&self.path))
    }
}

/// A file that is being read.
pub(super) struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    seal: Seal,
    hash: Context,
    ended: bool,
    pub(super) header: BackupHeader,
    /// Bytes read.
    pub(super) bytes: u64,
    /// Bytes of the whole file.
    pub(super) of_bytes: u64,
}

impl Reader {
    /// Opens a file of this kind. Whether it is for this node is for the caller to say; whether the key fits shows
    /// with the first chunk, or better with [`BackupHeader::admit`].
    pub(super) fn open(path: &Path, part: Part, keys: &Keys) -> Result<Self, BackupError> {
        let io = |source| BackupError::File { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(io)?;
        let of_bytes = file.metadata().map_err(io)?.len();
        let mut file = BufReader::new(file);
        let (header, begin) = read_header(&mut file, path, part)?;
        let mut hash = Context::new(&digest::SHA256);
        hash.update(&begin);
        let seal = Seal::new(keys, &header, &hash).ok_or_else(|| cannot_seal(path))?;
        let bytes = u64::try_from(begin.len()).unwrap_or_default();
        let path = path.to_path_buf();
        Ok(Self { path, file, seal, hash, ended: false, header, bytes, of_bytes })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Number of the chunk that was read last.
    pub(super) fn number(&self) -> u64 {
        self.seal.next.saturating_sub(1)
    }

    /// Reads the next chunk into `plain`; nothing more after the last one, once all around them is whole, too.
    pub(super) fn chunk(&mut self, plain: &mut Vec<u8>) -> Result<bool, BackupError> {
        if self.ended {
            return Ok(false);
        }
        let mut length = [0; 4];
        self.take(&mut length)?;
        let length = u32::from_be_bytes(length);
        let (last, length) = (length & LAST != 0, usize::try_from(length & !LAST));
        let altered = || BackupError::Altered { path: self.path.clone(), chunk: self.seal.next };
        let length = length.ok().filter(|l| *l <= BACKUP_CHUNK_BYTES_MAX + TAG_BYTES);
        plain.clear();
        plain.resize(length.ok_or_else(altered)?, 0);
        self.take(plain)?;
        let (nonce, about) = self.seal.parts(last);
        let opened = self.seal.key.open_in_place(nonce, about, plain).map(|opened| opened.len());
        let Ok(length) = opened else {
            return Err(BackupError::Altered { path: self.path.clone(), chunk: self.seal.next });
        };
        plain.truncate(length);
        self.seal.next += 1;
        if last {
            self.end()?;
        }
        Ok(true)
    }

    /// Checks what comes after the last chunk: the hash, and nothing more.
    fn end(&mut self) -> Result<(), BackupError> {
        self.ended = true;
        let whole = finish(self.hash.clone());
        let mut stated = [0; HASH_BYTES];
        self.take(&mut stated)?;
        let mut beyond = [0; 1];
        let more = self.file.read(&mut beyond).map_err(BackupError::file(&self.path))?;
        if stated != whole || more > 0 {
            return Err(BackupError::Checksum { path: self.path.clone() });
        }
        Ok(())
    }

    fn take(&mut self, bytes: &mut [u8]) -> Result<(), BackupError> {
        read(&mut self.file, &self.path, bytes)?;
        self.hash.update(bytes);
        self.bytes += u64::try_from(bytes.len()).unwrap_or_default();
        Ok(())
    }
}

/// Reads what comes before the first chunk: the header, and all its bytes.
pub(super) fn read_header(
    file: &mut impl Read,
    path: &Path,
    part: Part,
) -> Result<(BackupHeader, Vec<u8>), BackupError> {
    let expected = part.name();
    let other = || BackupError::OtherFormat { path: path.to_path_buf(), expected };
    let mut begin = vec![0; part.magic().len()];
    read(file, path, &mut begin).map_err(|_| other())?;
    if begin != part.magic() {
        return Err(other());
    }
    let mut length = [0; 4];
    read(file, path, &mut length)?;
    let size = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if size > HEADER_BYTES_MAX {
        return Err(other());
    }
    let mut body = vec![0; size];
    read(file, path, &mut body)?;
    let header = BackupHeader::decode(&body).map_err(|_| other())?;
    begin.extend_from_slice(&length);
    begin.extend_from_slice(&body);
    Ok((header, begin))
}

fn read(file: &mut impl Read, path: &Path, bytes: &mut [u8]) -> Result<(), BackupError> {
    file.read_exact(bytes).map_err(|source| match source.kind() {
        io::ErrorKind::UnexpectedEof => BackupError::Truncated { path: path.to_path_buf() },
        _ => BackupError::File { path: path.to_path_buf(), source },
    })
}

fn finish(hash: Context) -> [u8; HASH_BYTES] {
    let mut bytes = [0; HASH_BYTES];
    bytes.iter_mut().zip(hash.finish().as_ref()).for_each(|(to, from)| *to = *from);
    bytes
}

/// Sealing fails only for what is longer than any chunk.
fn cannot_seal(path: &Path) -> BackupError {
    BackupError::file(path)(io::Error::other("a chunk could not be sealed"))
}

#[cfg(test)]
#[path = "sealed_tests.rs"]
mod tests;
