//! Bundles come back as they went, and limits hold.

use proptest::prelude::*;

use super::*;
use crate::arbitrary;

fn header() -> impl Strategy<Value = BundleHeader> {
    let areas = (arbitrary::area(), arbitrary::area());
    (areas, arbitrary::time(), any::<[u8; 16]>(), arbitrary::seal()).prop_map(
        |((from, to), created, bundle_id, seal)| BundleHeader {
            from,
            to,
            created,
            bundle_id,
            seal,
        },
    )
}

fn item() -> impl Strategy<Value = BundleItem> {
    let parcel = (arbitrary::parcel(), arbitrary::chain(1));
    prop_oneof![
        parcel.prop_map(|(mut parcel, chain)| {
            parcel.chain = chain;
            BundleItem::Parcel(parcel)
        }),
        arbitrary::returned().prop_map(BundleItem::Returned),
        arbitrary::signed_card().prop_map(BundleItem::Card),
        prop::collection::vec(any::<u8>(), 1..100).prop_map(BundleItem::RevocationList),
        (0..=BUNDLE_ITEMS_MAX).prop_map(|items| BundleItem::End { items }),
    ]
}

proptest! {
    #[test]
    fn a_header_comes_back(header in header()) {
        prop_assert_eq!(decode_bundle_header(&encode_bundle_header(&header)), Ok(header));
    }

    #[test]
    fn an_item_comes_back(item in item()) {
        prop_assert_eq!(decode_bundle_item(encode_bundle_item(item.clone()).into()), Ok(item));
    }

    #[test]
    fn anything_can_be_offered(bytes in arbitrary::damaged(item().prop_map(encode_bundle_item))) {
        if let Ok(header) = decode_bundle_header(&bytes) {
            prop_assert_eq!(decode_bundle_header(&encode_bundle_header(&header)), Ok(header));
        }
        if let Ok(item) = decode_bundle_item(bytes.into()) {
            prop_assert_eq!(decode_bundle_item(encode_bundle_item(item.clone()).into()), Ok(item));
        }
    }
}

fn fault(item: bundle_item::Item) -> Malformed {
    let item = pb::exchange::BundleItem { item: Some(item) };
    decode_bundle_item(item.encode_to_vec().into()).unwrap_err()
}

#[test]
fn an_item_that_makes_no_sense_names_its_field() {
    let nothing = pb::exchange::BundleItem { item: None }.encode_to_vec();
    let missing = |field| Malformed::Missing { field };
    assert_eq!(decode_bundle_item(nothing.into()), Err(missing("bundle.item")));
    let parcel = bundle_item::Item::Parcel(pb::exchange::Parcel::default());
    assert_eq!(fault(parcel), missing("bundle.parcel.certificate_chain"));
    let list = bundle_item::Item::RevocationList(Vec::new());
    assert_eq!(fault(list), missing("bundle.revocation_list"));
    let items = BUNDLE_ITEMS_MAX + 1;
    let end = bundle_item::Item::End(pb::exchange::BundleEnd { items });
    assert_eq!(fault(end), Malformed::Range { field: "bundle.end.items" });
    assert_eq!(decode_bundle_header(&[]), Err(missing("bundle")));
    let long = vec![0; BUNDLE_HEADER_BYTES_MAX + 1];
    assert!(matches!(decode_bundle_header(&long), Err(Malformed::TooMuch { .. })));
}
