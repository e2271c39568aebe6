//! Files that were cut, changed, mixed or meant for somebody else are named, and nothing of them is believed.

use std::fs;
use std::path::Path;

use domain::time::UnixMillis;
use proptest::prelude::*;

use super::*;
use crate::gate::{FORMAT, Gate};
use crate::seal::DataKey;

fn keys(byte: u8) -> Keys {
    Keys::new(DataKey::from_bytes([byte; 32]))
}

fn header(random: u8) -> BackupHeader {
    let gate = Gate {
        format: FORMAT.to_owned(),
        schema: 1,
        area: "410522".to_owned(),
        created: 5,
        incarnation: 1,
        key_check: keys(1).check_value(),
    };
    BackupHeader::new(&gate, UnixMillis::new(7), 3, [random; 48])
}

/// A file of three chunks; says where each of them lies.
fn write(path: &Path, random: u8) -> [std::ops::Range<usize>; 3] {
    let mut writer = Writer::create(path, Part::Data, &keys(1), &header(random)).unwrap();
    let mut piece = |plain: &[u8], last| {
        let begin = usize::try_from(writer.bytes).unwrap();
        writer.chunk(&mut plain.to_vec(), last).unwrap();
        begin..usize::try_from(writer.bytes).unwrap()
    };
    let pieces = [piece(b"first", false), piece(b"other", false), piece(b"third", true)];
    writer.finish().unwrap();
    pieces
}

fn read(path: &Path) -> Result<Vec<Vec<u8>>, BackupError> {
    let mut reader = Reader::open(path, Part::Data, &keys(1))?;
    let mut plain = Vec::new();
    let mut chunks = Vec::new();
    while reader.chunk(&mut plain)? {
        chunks.push(plain.clone());
    }
    assert_eq!(reader.bytes, reader.of_bytes);
    Ok(chunks)
}

fn replaced(path: &Path, bytes: &[u8]) -> Result<Vec<Vec<u8>>, BackupError> {
    fs::write(path, bytes).unwrap();
    read(path)
}

#[test]
fn a_whole_file_is_read_back_by_its_owner() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("file");
    write(&path, 9);
    assert_eq!(read(&path).unwrap(), [b"first", b"other", b"third"]);
    assert_eq!(Reader::open(&path, Part::Data, &keys(1)).unwrap().header, header(9));
    let taken = Writer::create(&path, Part::Data, &keys(1), &header(9)).err();
    assert!(matches!(taken, Some(BackupError::File { .. })), "never written over");
    let other = Reader::open(&path, Part::Keys, &keys(1)).err();
    assert!(matches!(other, Some(BackupError::OtherFormat { .. })));
    // The header says so before; this is what is left for whoever does not ask it.
    let mut reader = Reader::open(&path, Part::Data, &keys(2)).unwrap();
    let wrong = reader.chunk(&mut vec![]);
    assert!(matches!(wrong, Err(BackupError::Altered { chunk: 0, .. })));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_file_that_was_cut_is_told_from_a_whole_one() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("file");
    write(&path, 9);
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        match replaced(&path, &whole[..length]).unwrap_err() {
            BackupError::OtherFormat { .. } => assert!(length < Part::Data.magic().len()),
            BackupError::Truncated { .. } => {}
            other => panic!("{length} bytes: {other:?}"),
        }
    }
    let longer = [whole.as_slice(), b"x"].concat();
    assert!(matches!(replaced(&path, &longer).unwrap_err(), BackupError::Checksum { .. }));
}

#[test]
fn chunks_have_their_place() {
    let temp = tempfile::tempdir().unwrap();
    let (path, foreign) = (temp.path().join("file"), temp.path().join("foreign"));
    let [a, b, c] = write(&path, 9);
    write(&foreign, 8);
    let (whole, foreign) = (fs::read(&path).unwrap(), fs::read(&foreign).unwrap());
    let (head, tail) = (&whole[..a.start], &whole[c.end..]);
    let (first, second, last) = (&whole[a.clone()], &whole[b.clone()], &whole[c.clone()]);
    let altered = |pieces: &[&[u8]]| match replaced(&path, &pieces.concat()).unwrap_err() {
        BackupError::Altered { chunk, .. } => chunk,
        other => panic!("{other:?}"),
    };
    assert_eq!(altered(&[head, second, first, last, tail]), 0, "swapped");
    assert_eq!(altered(&[head, first, last, tail]), 1, "left out");
    assert_eq!(altered(&[head, first, first, second, last, tail]), 1, "repeated");
    assert_eq!(altered(&[head, first, &foreign[b.clone()], last, tail]), 1, "of another file");
    assert_eq!(altered(&[head, first, &[&[second[0] | 0x80], &second[1..]].concat(), tail]), 1);
    let of_another = [&foreign[..a.start], first, second, last, tail].concat();
    assert!(replaced(&path, &of_another).is_err(), "under another header");
    assert!(replaced(&path, &whole).is_ok());
}

proptest! {
    #[test]
    fn no_byte_can_be_changed(at: prop::sample::Index, bit in 0_u8..8) {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        write(&path, 9);
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        // A header says other things then, and no chunk opens under it.
        prop_assert!(replaced(&path, &bytes).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(rest: Vec<u8>) {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        prop_assert!(replaced(&path, &[DATA_MAGIC, &rest].concat()).is_err());
        prop_assert!(replaced(&path, &rest).is_err());
    }
}
