//! Words come back as they went, and limits hold.

use exchange::parcel::CERTIFICATE_BYTES_MAX;
use proptest::prelude::*;

use super::*;
use crate::arbitrary;

proptest! {
    #[test]
    fn a_manifest_comes_back(manifest in arbitrary::custody_manifest()) {
        prop_assert_eq!(decode_custody_manifest(&encode_custody_manifest(&manifest)), Ok(manifest));
    }

    #[test]
    fn a_word_comes_back(word in arbitrary::custody()) {
        prop_assert_eq!(decode_custody(encode_custody(word.clone()).into()), Ok(word));
    }

    #[test]
    fn a_returned_word_comes_back(word in arbitrary::returned()) {
        prop_assert_eq!(decode_returned(encode_returned(word.clone()).into()), Ok(word));
    }

    #[test]
    fn anything_can_be_offered(bytes in arbitrary::damaged(arbitrary::custody().prop_map(encode_custody))) {
        if let Ok(manifest) = decode_custody_manifest(&bytes) {
            prop_assert_eq!(decode_custody_manifest(&encode_custody_manifest(&manifest)), Ok(manifest));
        }
        if let Ok(word) = decode_custody(bytes.clone().into()) {
            prop_assert_eq!(decode_custody(encode_custody(word.clone()).into()), Ok(word));
        }
        if let Ok(word) = decode_returned(bytes.into()) {
            prop_assert_eq!(decode_returned(encode_returned(word.clone()).into()), Ok(word));
        }
    }
}

fn manifest() -> pb::exchange::CustodyManifest {
    pb::exchange::CustodyManifest {
        parcel_id: vec![1; 16],
        parcel_root: vec![2; 32],
        relay: "410000".to_owned(),
        handed_by: "410522".to_owned(),
        from: "410522".to_owned(),
        to: "330106".to_owned(),
        next: "330000".to_owned(),
        outcome: 1,
        reason: String::new(),
        retry_after_ms: 0,
        signed_ms: 1,
        signer: vec![3; 32],
    }
}

#[test]
fn each_fault_names_its_field() {
    let fault = |change: fn(&mut pb::exchange::CustodyManifest)| {
        let mut manifest = manifest();
        change(&mut manifest);
        decode_custody_manifest(&manifest.encode_to_vec()).unwrap_err()
    };
    let missing = |field| Malformed::Missing { field };
    assert!(decode_custody_manifest(&manifest().encode_to_vec()).is_ok());
    assert_eq!(fault(|m| m.parcel_id.clear()), missing("custody.parcel_id"));
    assert_eq!(fault(|m| m.relay.clear()), missing("custody.relay"));
    assert_eq!(fault(|m| m.next.clear()), missing("custody.next"));
    assert_eq!(fault(|m| m.outcome = 2), missing("custody.reason"));
    assert_eq!(fault(|m| m.outcome = 3), missing("custody.reason"));
    assert_eq!(
        fault(|m| m.outcome = 9),
        Malformed::Unknown { field: "custody.outcome", number: 9 }
    );
    assert_eq!(
        fault(|m| m.next = "330000000".to_owned()),
        Malformed::NotSixDigits { field: "custody.next" }
    );
}

#[test]
fn a_reason_of_a_newer_version_is_read_as_unknown() {
    let (outcome, reason) = (2, "FROM_THE_FUTURE".to_owned());
    let newer = pb::exchange::CustodyManifest { outcome, reason, ..manifest() };
    let read = decode_custody_manifest(&newer.encode_to_vec()).unwrap();
    let reason = domain::reason::Reason::ReasonUnknown;
    assert_eq!(read.outcome, CustodyOutcome::Refused { reason });
}

#[test]
fn limits_hold_and_chains_are_there() {
    let word = |manifest: usize, signature: usize, chain: Vec<Vec<u8>>| {
        custody_from_pb(pb::exchange::CustodyReceipt {
            manifest: vec![1; manifest].into(),
            signature: vec![1; signature].into(),
            certificate_chain: chain,
        })
    };
    let missing = |field| Err(Malformed::Missing { field });
    assert!(word(200, 70, vec![vec![1]]).is_ok());
    assert_eq!(word(0, 70, vec![vec![1]]), missing("custody.manifest"));
    assert_eq!(word(200, 0, vec![vec![1]]), missing("custody.signature"));
    assert_eq!(word(200, 70, Vec::new()), missing("custody.certificate_chain"));
    assert!(word(MANIFEST_BYTES_MAX + 1, 70, vec![vec![1]]).is_err());
    assert!(word(200, SIGNATURE_BYTES_MAX + 1, vec![vec![1]]).is_err());
    assert!(word(200, 70, vec![vec![1; CERTIFICATE_BYTES_MAX + 1]]).is_err());

    let receipt = pb::exchange::Receipt {
        manifest: Bytes::from_static(b"manifest"),
        signature: Bytes::from_static(b"signature"),
        dispositions: vec![Bytes::from_static(b"disposition")],
        certificate_chain: Vec::new(),
    };
    let word = Some(returned::Word::Receipt(receipt));
    let returned = returned_from_pb(pb::exchange::Returned { word });
    assert_eq!(returned, Err(Malformed::Missing { field: "returned.receipt.certificate_chain" }));
    let nothing = returned_from_pb(pb::exchange::Returned { word: None });
    assert_eq!(nothing, Err(Malformed::Missing { field: "returned.word" }));
}
