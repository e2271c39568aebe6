//! Mail in a file: what a bundle for one node holds, and how its records are framed and authenticated.
//!
//! A file is [`BUNDLE_MAGIC`], then records: the header in the clear, then sealed items, one a record. Each
//! item proves itself by its own signatures, so nothing is believed because of the file it came in; the
//! seal keeps it from other eyes and shows what was cut off or moved.

use domain::area::AreaCode;
use domain::time::UnixMillis;

use crate::card::SignedCard;
use crate::custody::Returned;
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
    u32::try_from(record.len()).ok().map(u32::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_framed_and_authenticated_as_the_protocol_says() {
        assert_eq!(item_associated_data(b"head", 0x0102), b"head\x00\x00\x01\x02");
        assert_eq!(record_prefix(&[0; 258]), Some([0, 0, 1, 2]));
    }
}
