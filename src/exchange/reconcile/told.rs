//! Entries and differences as they travel and lie in books: a fixed number of bytes each.

use bytes::BufMut as _;
use domain::area::AreaCode;
use domain::id::MessageId;

use super::Entry;
use super::EntryState;
use super::difference::Difference;
use super::difference::DifferenceName;
use super::packed::NotSymbols;
use super::set::EARLIER_MAX;
use super::set::Told;
use crate::digest::Digest;
use crate::ledger::Direction;

/// Bytes of an entry.
pub const ENTRY_BYTES: usize = 61;
/// Bytes of an entry in a book.
pub const RECORD_BYTES: usize = ENTRY_BYTES + 1;

const DIGEST_BYTES: usize = 32;

/// An entry in its bytes.
pub type PackedEntry = [u8; ENTRY_BYTES];

/// `state (0x01 waiting, 0x02 stored, 0x03 refused) || message id (16) || digest (32) || from (6 ASCII) || to (6 ASCII)`.
#[must_use]
pub fn pack_entry(entry: &Entry) -> PackedEntry {
    let mut bytes = [0; ENTRY_BYTES];
    let mut room = bytes.as_mut_slice();
    room.put_u8(entry.state.byte());
    room.put_slice(entry.id.as_bytes());
    room.put_slice(entry.digest.as_bytes());
    room.put_slice(&entry.from.county_digits());
    room.put_slice(&entry.to.county_digits());
    bytes
}

/// Reads what [`pack_entry`] has written.
#[must_use]
pub fn unpack_entry(bytes: &PackedEntry) -> Option<Entry> {
    take_entry(&mut bytes.as_slice())
}

/// The state that an entry in its bytes has.
pub(super) fn state_in(entry: &PackedEntry) -> Option<EntryState> {
    entry.first().and_then(|byte| EntryState::from_byte(*byte))
}

/// Sender and recipient in it, as they stand there.
pub(super) fn pair_bytes_in(entry: &PackedEntry) -> [u8; 12] {
    entry.last_chunk().copied().unwrap_or_default()
}

/// Reads these.
pub(super) fn pair_from(bytes: &[u8; 12]) -> Option<(AreaCode, AreaCode)> {
    let (from, to) = bytes.split_first_chunk::<6>()?;
    Some((area(from)?, area(to)?))
}

/// Adds an entry to bytes.
pub fn put_entry(bytes: &mut Vec<u8>, entry: &Entry) {
    bytes.extend_from_slice(&pack_entry(entry));
}

/// Takes an entry off the front.
fn take_entry<'a>(bytes: &mut &'a [u8]) -> Option<Entry> {
    let (entry, rest) = bytes.split_first_chunk::<ENTRY_BYTES>()?;
    *bytes = rest;
    let entry: &'a [u8] = entry;
    let (state, entry) = entry.split_first()?;
    let (id, entry) = entry.split_first_chunk::<16>()?;
    let (digest, entry) = entry.split_first_chunk::<DIGEST_BYTES>()?;
    let (from, to) = entry.split_first_chunk::<6>()?;
    Some(Entry {
        id: MessageId::from_bytes(*id),
        digest: Digest::new(*digest),
        from: area(from)?,
        to: area(to)?,
        state: EntryState::from_byte(*state)?,
    })
}

fn area(bytes: &[u8]) -> Option<AreaCode> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// An entry of a book: `side (0x01 sent, 0x02 received) || entry`.
#[must_use]
pub fn record(direction: Direction, entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(RECORD_BYTES);
    bytes.push(direction.byte());
    put_entry(&mut bytes, entry);
    bytes
}

/// Reads what [`record`] has written.
#[must_use]
pub fn read_record(bytes: &[u8]) -> Option<(Direction, Entry)> {
    let (side, mut rest) = bytes.split_first()?;
    let entry = take_entry(&mut rest)?;
    rest.is_empty().then_some((Direction::from_byte(*side)?, entry))
}

/// Entries with their earlier digests, one after the other: `entry || number (1) || earlier digests (32 each)`.
#[must_use]
pub fn pack_told(told: &[Told]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(told.len() * (ENTRY_BYTES + 1));
    for Told { entry, earlier } in told {
        put_entry(&mut bytes, entry);
        bytes.push(u8::try_from(earlier.len()).unwrap_or(u8::MAX));
        earlier.iter().for_each(|digest| bytes.extend_from_slice(digest.as_bytes()));
    }
    bytes
}

/// Reads what [`pack_told`] has written, at most `most`.
///
/// # Errors
/// [`NotSymbols`].
pub fn unpack_told(mut bytes: &[u8], most: usize) -> Result<Vec<Told>, NotSymbols> {
    let mut told = Vec::new();
    while !bytes.is_empty() {
        let entry = take_entry(&mut bytes).ok_or(NotSymbols)?;
        let (count, rest) = bytes.split_first().ok_or(NotSymbols)?;
        let count = usize::from(*count);
        if count > EARLIER_MAX || told.len() >= most {
            return Err(NotSymbols);
        }
        let (digests, rest) = rest.split_at_checked(count * DIGEST_BYTES).ok_or(NotSymbols)?;
        let (digests, _) = digests.as_chunks::<DIGEST_BYTES>();
        let earlier = digests.iter().map(|digest| Digest::new(*digest)).collect();
        told.push(Told { entry, earlier });
        bytes = rest;
    }
    Ok(told)
}

/// Differences, one after the other: `name (1) || sides (bit 0: sender, bit 1: recipient) || their entries, sender first`.
#[must_use]
pub fn pack_differences(differences: &[Difference]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(differences.len() * (2 * ENTRY_BYTES + 2));
    for Difference { name, sender, recipient } in differences {
        bytes.push(name.number());
        bytes.push(u8::from(sender.is_some()) | (u8::from(recipient.is_some()) << 1));
        sender.iter().chain(recipient).for_each(|entry| put_entry(&mut bytes, entry));
    }
    bytes
}

/// Reads what [`pack_differences`] has written, at most `most`.
///
/// # Errors
/// [`NotSymbols`].
pub fn unpack_differences(mut bytes: &[u8], most: usize) -> Result<Vec<Difference>, NotSymbols> {
    let mut differences = Vec::new();
    while !bytes.is_empty() {
        let ([name, sides], rest) = bytes.split_first_chunk().ok_or(NotSymbols)?;
        bytes = rest;
        let name = DifferenceName::from_number(*name).ok_or(NotSymbols)?;
        if !(1..=3).contains(sides) || differences.len() >= most {
            return Err(NotSymbols);
        }
        let mut entry = |bit: u8| match sides & bit {
            0 => Ok(None),
            _ => take_entry(&mut bytes).map(Some).ok_or(NotSymbols),
        };
        let (sender, recipient) = (entry(1)?, entry(2)?);
        let ids = (sender.map(|entry| entry.id), recipient.map(|entry| entry.id));
        if matches!(ids, (Some(sender), Some(recipient)) if sender != recipient) {
            return Err(NotSymbols);
        }
        differences.push(Difference { name, sender, recipient });
    }
    Ok(differences)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples::area;
    use crate::samples::message_id;

    fn entry(number: u64) -> Entry {
        let (from, to) = (area("410522"), area("440305"));
        let digest = Digest::of(&number.to_be_bytes());
        Entry { id: message_id(number), digest, from, to, state: EntryState::Stored }
    }

    #[test]
    fn what_was_packed_is_read_again() {
        let told: Vec<_> = (0..3)
            .map(|n| Told { entry: entry(n), earlier: vec![Digest::of(b"x"); usize::from(n > 1)] })
            .collect();
        assert_eq!(unpack_told(&pack_told(&told), 3).unwrap(), told);
        assert_eq!(unpack_told(&pack_told(&told), 2), Err(NotSymbols));
        let name = DifferenceName::StateDiffers;
        let differences = vec![
            Difference { name, sender: Some(entry(1)), recipient: None },
            Difference { name, sender: Some(entry(2)), recipient: Some(entry(2)) },
        ];
        assert_eq!(unpack_differences(&pack_differences(&differences), 2).unwrap(), differences);
        let (side, read) = read_record(&record(Direction::Received, &entry(7))).unwrap();
        assert_eq!((side, read), (Direction::Received, entry(7)));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            // Whatever it is, it is read or it is not.
            let _read = (unpack_told(&bytes, 9).is_ok(), unpack_differences(&bytes, 9).is_ok());
            prop_assert_eq!(read_record(&bytes).is_some() && bytes.len() != RECORD_BYTES, false);
        }
    }
}
