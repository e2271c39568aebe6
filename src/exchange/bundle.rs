//! Mail in a file: what a bundle for one node holds, and how its records are framed and authenticated.
//!
//! A file is [`BUNDLE_MAGIC`], then records: the header in the clear, then sealed items, one a record. Each
//! item proves itself by its own signatures, so nothing is believed because of the file it came in; the
//! seal keeps it from other eyes and shows what was cut off or moved.

use domain::area::AreaCode;
use domain::time::UnixMillis;

use crate::card::SignedCard;
use crate::custody::Returned;
use crate::envelope::SEAL_TAG_BYTES;
use crate::envelope::SealHeader;
use crate::parcel::FRAME_BYTES_MAX;
use crate::parcel::Parcel;

/// What a bundle file begins with.
pub const BUNDLE_MAGIC: &[u8] = b"liangdi-bundle-1\n";
/// Bytes of the length in front of each record (`u32be`).
pub const RECORD_PREFIX_BYTES: usize = 4;
/// Largest header record, in bytes, without its length.
pub const BUNDLE_HEADER_BYTES_MAX: usize = 1024;
/// Largest item before it is sealed, in bytes: a parcel with everything around it.
pub const BUNDLE_ITEM_BYTES_MAX: usize = FRAME_BYTES_MAX;
/// Largest record, in bytes, without its length: a sealed item.
pub const RECORD_BYTES_MAX: usize = BUNDLE_ITEM_BYTES_MAX + SEAL_TAG_BYTES;
/// Most items in a bundle, the end not counted. A larger backlog is a second file.
pub const BUNDLE_ITEMS_MAX: u32 = 65_536;

/// The first record of a bundle, in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BundleHeader {
    /// Area of the node that made the file, as it says; nothing is decided by it.
    pub from: AreaCode,
    /// Area of the node the file is for.
    pub to: AreaCode,
    /// When it was made, as its maker says.
    pub created: UnixMillis,
    /// Random name of the file.
    pub bundle_id: [u8; 16],
    /// How the items are sealed: under an encapsulated key of this file alone, the item at place `n` with
    /// the counter of this seal plus `n`.
    pub seal: SealHeader,
}

/// What a sealed record holds, once opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleItem {
    /// Mail. Its chain is always there.
    Parcel(Parcel),
    /// A signed word on its way back.
    Returned(Returned),
    /// A node card of the directory.
    Card(SignedCard),
    /// A revocation list, DER.
    RevocationList(Vec<u8>),
    /// The last record: without it the file was cut off.
    End {
        /// How many items came before.
        items: u32,
    },
}

/// What authenticates the item at `place`, from 0: `header || u32be(place)`, where `header` are the bytes of
/// the header record without its length.
#[must_use]
pub fn item_associated_data(header_bytes: &[u8], place: u32) -> Vec<u8> {
    let mut data = Vec::with_capacity(header_bytes.len() + 4);
    data.extend_from_slice(header_bytes);
    data.extend_from_slice(&place.to_be_bytes());
    data
}

/// The length that stands in front of a record; `None` for one that is larger than any.
#[must_use]
pub fn record_prefix(record: &[u8]) -> Option<[u8; RECORD_PREFIX_BYTES]> {
    let fits = record.len() <= RECORD_BYTES_MAX;
    fits.then(|| u32::try_from(record.len()).ok().map(u32::to_be_bytes)).flatten()
}

/// Bytes of the record that this stands in front of; `None` when no record has so many, or none.
#[must_use]
pub fn record_length(prefix: [u8; RECORD_PREFIX_BYTES]) -> Option<usize> {
    let length = usize::try_from(u32::from_be_bytes(prefix)).ok()?;
    (1..=RECORD_BYTES_MAX).contains(&length).then_some(length)
}

/// Counts the items of a bundle while they are written or read, so that one that is missing is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tally {
    items: u32,
    ended: bool,
}

/// Why a file is not a whole bundle. What came before is good all the same: every item proves itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BundleFault {
    /// The last record is missing.
    #[error("the file was cut off after {items} items")]
    CutOff {
        /// How many came.
        items: u32,
    },
    /// The last record names another number of items.
    #[error("the file says {stated} items, there are {found}")]
    Count {
        /// What the last record says.
        stated: u32,
        /// How many came before it.
        found: u32,
    },
    /// There is something after the last record.
    #[error("something stands after the end")]
    AfterTheEnd,
    /// More items than [`BUNDLE_ITEMS_MAX`].
    #[error("a bundle has at most {BUNDLE_ITEMS_MAX} items")]
    TooMany,
}

impl Tally {
    /// Place of the next record, from 0.
    #[must_use]
    pub const fn place(&self) -> u32 {
        self.items
    }

    /// Counts the next record.
    ///
    /// # Errors
    /// [`BundleFault`] when it cannot stand there.
    pub const fn take(&mut self, item: &BundleItem) -> Result<(), BundleFault> {
        if self.ended {
            return Err(BundleFault::AfterTheEnd);
        }
        match item {
            BundleItem::End { items } if *items == self.items => {
                self.ended = true;
                Ok(())
            }
            BundleItem::End { items } => {
                Err(BundleFault::Count { stated: *items, found: self.items })
            }
            BundleItem::Parcel(_)
            | BundleItem::Returned(_)
            | BundleItem::Card(_)
            | BundleItem::RevocationList(_) => self.take_unknown(),
        }
    }

    /// Counts a record of a kind that this version does not know.
    ///
    /// # Errors
    /// As [`Tally::take`].
    pub const fn take_unknown(&mut self) -> Result<(), BundleFault> {
        if self.ended {
            return Err(BundleFault::AfterTheEnd);
        }
        if self.items == BUNDLE_ITEMS_MAX {
            return Err(BundleFault::TooMany);
        }
        self.items += 1;
        Ok(())
    }

    /// How many items there were, at the end of the file.
    ///
    /// # Errors
    /// [`BundleFault::CutOff`] when the last record has not come.
    pub const fn finish(self) -> Result<u32, BundleFault> {
        if self.ended { Ok(self.items) } else { Err(BundleFault::CutOff { items: self.items }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_framed_and_authenticated_as_the_protocol_says() {
        assert_eq!(item_associated_data(b"head", 0x0102), b"head\x00\x00\x01\x02");
        assert_eq!(record_prefix(&[0; 258]), Some([0, 0, 1, 2]));
        assert_eq!(record_length([0, 0, 1, 2]), Some(258));
        let most = u32::try_from(RECORD_BYTES_MAX).unwrap();
        assert_eq!(record_length(most.to_be_bytes()), Some(RECORD_BYTES_MAX));
        assert_eq!(record_length((most + 1).to_be_bytes()), None);
        assert_eq!(record_length([0; 4]), None);
        assert_eq!(record_prefix(&vec![0; RECORD_BYTES_MAX + 1]), None);
    }

    fn list() -> BundleItem {
        BundleItem::RevocationList(vec![1])
    }

    #[test]
    fn a_bundle_is_whole_when_its_end_says_so() {
        let tally = |items: &[BundleItem]| {
            let mut tally = Tally::default();
            items.iter().try_for_each(|item| tally.take(item))?;
            tally.finish()
        };
        let end = |items| BundleItem::End { items };
        assert_eq!(tally(&[end(0)]), Ok(0));
        assert_eq!(tally(&[list(), list(), end(2)]), Ok(2));
        assert_eq!(tally(&[list()]), Err(BundleFault::CutOff { items: 1 }));
        let (stated, found) = (2, 1);
        assert_eq!(tally(&[list(), end(2)]), Err(BundleFault::Count { stated, found }));
        assert_eq!(tally(&[end(0), list()]), Err(BundleFault::AfterTheEnd));
        assert_eq!(tally(&[end(0), end(0)]), Err(BundleFault::AfterTheEnd));
    }

    #[test]
    fn a_bundle_has_so_many_items_and_no_more() {
        let mut full = Tally { items: BUNDLE_ITEMS_MAX - 1, ended: false };
        assert_eq!(full.take_unknown(), Ok(()));
        assert_eq!(
            (full.place(), full.take(&list())),
            (BUNDLE_ITEMS_MAX, Err(BundleFault::TooMany))
        );
        assert_eq!(full.take(&BundleItem::End { items: BUNDLE_ITEMS_MAX }), Ok(()));
    }
}
