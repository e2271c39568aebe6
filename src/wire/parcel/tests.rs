//! Parcels come back as they went, and limits hold.

use exchange::custody::CustodyReceipt;
use exchange::envelope::SealedEnvelope;
use proptest::prelude::*;

use super::*;
use crate::arbitrary;

proptest! {
    #[test]
    fn a_manifest_comes_back(manifest in arbitrary::parcel_manifest()) {
        prop_assert_eq!(decode_manifest(&encode_manifest(&manifest)), Ok(manifest));
    }

    #[test]
    fn a_parcel_comes_back(parcel in arbitrary::parcel()) {
        prop_assert_eq!(decode_parcel(encode_parcel(parcel.clone()).into()), Ok(parcel));
    }

    #[test]
    fn anything_can_be_offered(bytes in arbitrary::damaged(arbitrary::parcel().prop_map(encode_parcel))) {
        if let Ok(manifest) = decode_manifest(&bytes) {
            prop_assert_eq!(decode_manifest(&encode_manifest(&manifest)), Ok(manifest));
        }
        if let Ok(parcel) = decode_parcel(bytes.into()) {
            prop_assert_eq!(decode_parcel(encode_parcel(parcel.clone()).into()), Ok(parcel));
        }
    }
}

fn parcel(envelopes: usize, sealed_bytes: usize) -> Parcel {
    let envelope = SealedEnvelope::new(vec![1; 100], vec![2; sealed_bytes]);
    Parcel {
        manifest_bytes: Bytes::from_static(b"manifest"),
        signature: Bytes::from_static(b"signature"),
        envelopes: vec![envelope; envelopes],
        chain: Vec::new(),
        custody: Vec::new(),
    }
}

fn word() -> CustodyReceipt {
    CustodyReceipt {
        manifest_bytes: vec![1; MANIFEST_BYTES_MAX].into(),
        signature: vec![1; SIGNATURE_BYTES_MAX].into(),
        chain: vec![vec![1; CERTIFICATE_BYTES_MAX]; CHAIN_CERTIFICATES_MAX],
    }
}

fn refused_field(parcel: Parcel) -> &'static str {
    match parcel_from_pb(parcel_to_pb(parcel)).unwrap_err() {
        Malformed::TooMuch { field, .. } | Malformed::Missing { field } => field,
        other => panic!("{other}"),
    }
}

#[test]
fn limits_hold() {
    assert!(parcel_from_pb(parcel_to_pb(parcel(512, 528))).is_ok());
    assert!(parcel_from_pb(parcel_to_pb(parcel(15, 65_552))).is_ok());
    assert_eq!(refused_field(parcel(513, 528)), "parcel.envelopes");
    assert_eq!(refused_field(parcel(17, 65_552)), "parcel.envelopes");
    assert_eq!(refused_field(parcel(0, 0)), "parcel.envelopes");
    let chain = vec![vec![1]; CHAIN_CERTIFICATES_MAX + 1];
    assert_eq!(refused_field(Parcel { chain, ..parcel(1, 528) }), "parcel.certificate_chain");
    let chain = vec![vec![1; CERTIFICATE_BYTES_MAX + 1]];
    assert_eq!(refused_field(Parcel { chain, ..parcel(1, 528) }), "parcel.certificate_chain");
    let signature = Bytes::new();
    assert_eq!(refused_field(Parcel { signature, ..parcel(1, 528) }), "parcel.signature");
    let manifest_bytes = Bytes::from(vec![0; MANIFEST_BYTES_MAX + 1]);
    assert_eq!(refused_field(Parcel { manifest_bytes, ..parcel(1, 528) }), "parcel.manifest");
    let custody = vec![word(); CUSTODY_WORDS_MAX + 1];
    assert_eq!(refused_field(Parcel { custody, ..parcel(1, 528) }), "parcel.custody");
}

#[test]
fn a_parcel_that_others_carried_has_its_chain() {
    let carried = Parcel { custody: vec![word()], ..parcel(1, 528) };
    assert_eq!(refused_field(carried.clone()), "parcel.certificate_chain");
    let carried = Parcel { chain: vec![vec![1]], ..carried };
    assert!(parcel_from_pb(parcel_to_pb(carried)).is_ok());
}

#[test]
fn withdrawn_positions_ascend_below_the_count() {
    let decoded = |withdrawn: &[u32]| {
        let manifest = pb::exchange::ParcelManifest {
            parcel_id: vec![1; 16],
            from: "410522".to_owned(),
            to: "330106".to_owned(),
            count: 3,
            root: vec![1; 32],
            signed_ms: 1,
            signer: vec![1; 32],
            withdrawn: withdrawn.to_vec(),
        };
        decode_manifest(&manifest.encode_to_vec()).map(|manifest| manifest.withdrawn)
    };
    assert_eq!(decoded(&[0, 2]), Ok(vec![0, 2]));
    for wrong in [&[3][..], &[1, 1], &[2, 0]] {
        assert_eq!(decoded(wrong), Err(Malformed::Range { field: "manifest.withdrawn" }));
    }
}

#[test]
fn the_largest_parcel_fits_into_a_frame() {
    let mut largest = parcel(512, 2048 - 100);
    largest.manifest_bytes = vec![1; MANIFEST_BYTES_MAX].into();
    largest.signature = vec![1; SIGNATURE_BYTES_MAX].into();
    largest.chain = vec![vec![1; CERTIFICATE_BYTES_MAX]; CHAIN_CERTIFICATES_MAX];
    largest.custody = vec![word(); CUSTODY_WORDS_MAX];
    let bytes = encode_parcel(largest);
    assert!(bytes.len() + 16 <= FRAME_BYTES_MAX, "{}", bytes.len());
    assert!(decode_parcel(bytes.into()).is_ok());
}

#[test]
fn bodies_are_shared_and_not_copied() {
    let bytes = Bytes::from(encode_parcel(parcel(2, 528)));
    let range = bytes.as_ptr_range();
    let parcel = decode_parcel(bytes.clone()).unwrap();
    assert!(parcel.envelopes.iter().all(|e| range.contains(&e.sealed().unwrap().as_ptr())));
}
