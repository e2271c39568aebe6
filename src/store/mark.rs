//! A mark outside the database that tells whether sled has lost something without saying so.
//!
//! sled takes damage near the end of its log for a write that a crash cut short: it drops what
//! follows and opens as if nothing had happened, however old that data is. So every group carries
//! its number in a row, and after the sync the number is also written here. It is written without a
//! sync of its own: what a power cut leaves here is older than the database or equal, never newer. Only
//! a power cut at the very first start may leave none at all; where there is data without a mark, nobody
//! knows whether it is all there, and it is opened as another incarnation.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// The file with the number of the last group that reached the disk: the number, then its
/// complement, 8 bytes big-endian each.
#[derive(Debug)]
pub(crate) struct Mark(File);

const NAME: &str = "mark";

impl Mark {
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let mut how = OpenOptions::new();
        how.create(true).truncate(false).read(true).write(true);
        how.open(dir.join(NAME)).map(Self)
    }

    /// The number, unless there is none or a power cut has torn it.
    pub(crate) fn read(&self) -> io::Result<Option<u64>> {
        let mut content = [0; 16];
        match read_exact_at(&self.0, &mut content) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let number = u128::from_be_bytes(content);
        let (high, low) = (number >> 64, number & u128::from(u64::MAX));
        let whole = high ^ low == u128::from(u64::MAX);
        Ok(u64::try_from(high).ok().filter(|_| whole))
    }

    /// Makes the file itself survive a power cut; afterwards only its sixteen bytes are written over. To be called once a
    /// start.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    /// Leaves a mark in a database that was made of another one.
    pub(crate) fn leave(dir: &Path, group: u64) -> io::Result<()> {
        let mark = Self::open(dir)?;
        mark.write(group)?;
        mark.sync()
    }

    pub(crate) fn write(&self, group: u64) -> io::Result<()> {
        let number = u128::from(group) << 64 | u128::from(!group);
        write_all_at(&self.0, &number.to_be_bytes())
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, content: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, content, 0)
}

#[cfg(unix)]
fn write_all_at(file: &File, content: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, content, 0)
}

#[cfg(not(unix))]
fn read_exact_at(mut file: &File, content: &mut [u8]) -> io::Result<()> {
    io::Seek::seek(&mut file, io::SeekFrom::Start(0))?;
    io::Read::read_exact(&mut file, content)
}

#[cfg(not(unix))]
fn write_all_at(mut file: &File, content: &[u8]) -> io::Result<()> {
    io::Seek::seek(&mut file, io::SeekFrom::Start(0))?;
    io::Write::write_all(&mut file, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_back_and_a_torn_one_is_none() {
        let temp = tempfile::tempdir().unwrap();
        let mark = Mark::open(temp.path()).unwrap();
        assert_eq!(mark.read().unwrap(), None);
        for number in [0, 1, u64::MAX, 77] {
            mark.write(number).unwrap();
            assert_eq!(Mark::open(temp.path()).unwrap().read().unwrap(), Some(number));
        }
        let path = temp.path().join(NAME);
        std::fs::write(&path, [0; 16]).unwrap();
        assert_eq!(mark.read().unwrap(), None);
        std::fs::write(&path, [1; 7]).unwrap();
        assert_eq!(mark.read().unwrap(), None);
    }
}
