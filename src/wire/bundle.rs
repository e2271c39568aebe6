//! Bundles: mail in a file, record by record.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use exchange::bundle::BUNDLE_HEADER_BYTES_MAX;
use exchange::bundle::BUNDLE_ITEM_BYTES_MAX;
use exchange::bundle::BUNDLE_ITEMS_MAX;
use exchange::bundle::BundleHeader;
use exchange::bundle::BundleItem;
use exchange::directory::REVOCATION_LIST_BYTES_MAX;
use exchange::envelope::SealHeader;
use prost::Message;

use crate::card::signed_card_from_pb;
use crate::card::signed_card_to_pb;
use crate::custody::returned_from_pb;
use crate::custody::returned_to_pb;
use crate::fields::array;
use crate::fields::check_chain;
use crate::fields::node_area;
use crate::fields::profile;
use crate::fields::profile_number;
use crate::fields::some;
use crate::fields::time;
use crate::malformed::Malformed;
use crate::parcel::parcel_from_pb;
use crate::parcel::parcel_to_pb;
use crate::pb;
use crate::pb::exchange::bundle_item;

/// Serialises the header of a bundle: the bytes of its first record, which authenticate all others.
#[must_use]
pub fn encode_bundle_header(header: &BundleHeader) -> Vec<u8> {
    let BundleHeader { from, to, created, bundle_id, seal } = header;
    let SealHeader { profile, recipient_key_id, encapsulated_key, counter } = seal;
    let seal = pb::exchange::Seal {
        profile: profile_number(*profile).into(),
        recipient_key_id: recipient_key_id.to_vec(),
        encapsulated_key: encapsulated_key.to_vec(),
        counter: *counter,
    };
    let header = pb::exchange::BundleHeader {
        from: from.to_string(),
        to: to.to_string(),
        created_ms: created.get(),
        bundle_id: bundle_id.to_vec(),
        seal: Some(seal),
    };
    header.encode_to_vec()
}

/// Reads the header of a bundle.
///
/// # Errors
/// [`Malformed`] names the first field that is not as the protocol says.
pub fn decode_bundle_header(bytes: &[u8]) -> Result<BundleHeader, Malformed> {
    some("bundle", bytes.len(), BUNDLE_HEADER_BYTES_MAX)?;
    let pb::exchange::BundleHeader { from, to, created_ms, bundle_id, seal } =
        pb::exchange::BundleHeader::decode(bytes)?;
    let pb::exchange::Seal { profile: number, recipient_key_id, encapsulated_key, counter } =
        seal.ok_or(Malformed::Missing { field: "bundle.seal" })?;
    Ok(BundleHeader {
        from: node_area("bundle.from", from.as_bytes())?,
        to: node_area("bundle.to", to.as_bytes())?,
        created: time("bundle.created_ms", created_ms)?,
        bundle_id: array("bundle.bundle_id", &bundle_id)?,
        seal: SealHeader {
            profile: profile("bundle.seal.profile", number)?,
            recipient_key_id: array("bundle.seal.recipient_key_id", &recipient_key_id)?,
            encapsulated_key: array("bundle.seal.encapsulated_key", &encapsulated_key)?,
            counter,
        },
    })
}

/// Serialises an item, to be sealed.
#[must_use]
pub fn encode_bundle_item(item: BundleItem) -> Vec<u8> {
    let item = match item {
        BundleItem::Parcel(parcel) => bundle_item::Item::Parcel(parcel_to_pb(parcel)),
        BundleItem::Returned(word) => bundle_item::Item::Returned(returned_to_pb(word)),
        BundleItem::Card(card) => bundle_item::Item::Card(signed_card_to_pb(card)),
        BundleItem::RevocationList(list) => bundle_item::Item::RevocationList(list),
        BundleItem::End { items } => bundle_item::Item::End(pb::exchange::BundleEnd { items }),
    };
    pb::exchange::BundleItem { item: Some(item) }.encode_to_vec()
}

/// Reads an item that was opened; its parts share the given bytes.
///
/// # Errors
/// [`Malformed`]; `Missing` also for an item of a kind that this version does not know.
pub fn decode_bundle_item(bytes: Bytes) -> Result<BundleItem, Malformed> {
    some("bundle.item", bytes.len(), BUNDLE_ITEM_BYTES_MAX)?;
    let pb::exchange::BundleItem { item } = pb::exchange::BundleItem::decode(bytes)?;
    Ok(match item.ok_or(Malformed::Missing { field: "bundle.item" })? {
        bundle_item::Item::Parcel(parcel) => {
            // In a file nothing was sent before.
            check_chain("bundle.parcel.certificate_chain", &parcel.certificate_chain)?;
            BundleItem::Parcel(parcel_from_pb(parcel)?)
        }
        bundle_item::Item::Returned(word) => BundleItem::Returned(returned_from_pb(word)?),
        bundle_item::Item::Card(card) => BundleItem::Card(signed_card_from_pb(card)?),
        bundle_item::Item::RevocationList(list) => {
            some("bundle.revocation_list", list.len(), REVOCATION_LIST_BYTES_MAX)?;
            BundleItem::RevocationList(list)
        }
        bundle_item::Item::End(pb::exchange::BundleEnd { items }) => {
            if items > BUNDLE_ITEMS_MAX {
                return Err(Malformed::Range { field: "bundle.end.items" });
            }
            BundleItem::End { items }
        }
    })
}
