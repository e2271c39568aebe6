//! Receipts come back as they went, and limits hold.

use proptest::prelude::*;

use super::*;
use crate::arbitrary;
use crate::disposition::encode_disposition;

proptest! {
    #[test]
    fn a_manifest_comes_back(manifest in arbitrary::receipt_manifest()) {
        prop_assert_eq!(decode_receipt_manifest(&encode_receipt_manifest(&manifest)), Ok(manifest));
    }

    #[test]
    fn a_receipt_comes_back(receipt in arbitrary::receipt()) {
        prop_assert_eq!(decode_receipt(encode_receipt(receipt.clone()).into()), Ok(receipt));
    }

    #[test]
    fn all_dispositions_come_back(dispositions in prop::collection::vec(arbitrary::disposition(), 1..9), mut receipt in arbitrary::receipt()) {
        receipt.dispositions = dispositions.iter().map(|d| encode_disposition(d).into()).collect();
        prop_assert_eq!(decode_dispositions(&receipt), Ok(dispositions));
    }

    #[test]
    fn anything_can_be_offered(bytes in arbitrary::damaged(arbitrary::receipt().prop_map(encode_receipt))) {
        if let Ok(manifest) = decode_receipt_manifest(&bytes) {
            prop_assert_eq!(decode_receipt_manifest(&encode_receipt_manifest(&manifest)), Ok(manifest));
        }
        if let Ok(receipt) = decode_receipt(bytes.into()) {
            prop_assert_eq!(decode_receipt(encode_receipt(receipt.clone()).into()), Ok(receipt.clone()));
            let read = decode_dispositions(&receipt).map_or(0, |all| all.len());
            prop_assert!(read == 0 || read == receipt.dispositions.len());
        }
    }
}

#[test]
fn limits_hold() {
    let receipt = |count: usize, length: usize| {
        receipt_from_pb(pb::exchange::Receipt {
            manifest: Bytes::from_static(b"manifest"),
            signature: Bytes::from_static(b"signature"),
            dispositions: vec![vec![1; length].into(); count],
            certificate_chain: Vec::new(),
        })
    };
    assert!(receipt(PARCEL_ENVELOPES_MAX, 64).is_ok());
    assert!(receipt(PARCEL_ENVELOPES_MAX + 1, 64).is_err());
    assert!(receipt(1, DISPOSITION_BYTES_MAX + 1).is_err());
    assert!(receipt(1, 0).is_err());
    assert!(receipt(0, 0).is_err());
}
