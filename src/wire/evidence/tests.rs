//! Evidence files come back as they went.

use proptest::prelude::*;

use super::*;
use crate::arbitrary;
use crate::custody::encode_custody_manifest;
use crate::disposition::encode_disposition;
use crate::envelope::encode_header;
use crate::parcel::encode_manifest;
use crate::receipt::encode_receipt_manifest;

fn path() -> impl Strategy<Value = Vec<Digest>> {
    prop::collection::vec(arbitrary::digest(), 0..9)
}

fn parcel_proof() -> impl Strategy<Value = ParcelProof> {
    let parts = (arbitrary::bytes(1..80), any::<u32>(), path(), arbitrary::chain(1));
    (arbitrary::parcel_manifest(), parts).prop_map(|(manifest, (signature, index, path, chain))| {
        let manifest_bytes = encode_manifest(&manifest).into();
        ParcelProof { manifest_bytes, manifest, signature, index, path, chain }
    })
}

fn receipt_proof() -> impl Strategy<Value = ReceiptProof> {
    let parts = (arbitrary::bytes(1..80), any::<u32>(), path(), arbitrary::chain(1));
    (arbitrary::receipt_manifest(), arbitrary::disposition(), parts).prop_map(
        |(manifest, disposition, (signature, index, path, chain))| ReceiptProof {
            manifest_bytes: encode_receipt_manifest(&manifest).into(),
            manifest,
            signature,
            index,
            disposition_bytes: encode_disposition(&disposition).into(),
            disposition,
            path,
            chain,
        },
    )
}

fn custody_proof() -> impl Strategy<Value = CustodyProof> {
    (arbitrary::custody_manifest(), arbitrary::custody()).prop_map(|(manifest, word)| {
        let manifest_bytes = encode_custody_manifest(&manifest).into();
        CustodyProof { manifest_bytes, manifest, signature: word.signature, chain: word.chain }
    })
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let sealed = prop::option::of(arbitrary::bytes(1..600));
    let receipt = prop::option::of(receipt_proof());
    let lists = arbitrary::chain(0);
    (
        arbitrary::header(),
        arbitrary::digest(),
        sealed,
        parcel_proof(),
        receipt,
        prop::collection::vec(custody_proof(), 0..3),
        lists,
        arbitrary::time(),
    )
        .prop_map(
            |(
                header,
                sealed_sha256,
                sealed,
                parcel,
                receipt,
                custody,
                revocation_lists,
                exported,
            )| {
                Evidence {
                    header_bytes: encode_header(&header).into(),
                    header,
                    sealed_sha256,
                    sealed,
                    parcel,
                    receipt,
                    custody,
                    revocation_lists,
                    exported,
                }
            },
        )
}

proptest! {
    #[test]
    fn evidence_comes_back(evidence in evidence()) {
        prop_assert_eq!(decode_evidence(encode_evidence(evidence.clone()).into()), Ok(evidence));
    }

    #[test]
    fn anything_can_be_offered(bytes in arbitrary::damaged(evidence().prop_map(encode_evidence))) {
        if let Ok(evidence) = decode_evidence(bytes.into()) {
            prop_assert_eq!(decode_evidence(encode_evidence(evidence.clone()).into()), Ok(evidence));
        }
    }
}

#[test]
fn another_format_is_refused() {
    let file = pb::exchange::EvidenceFile { format: "other".to_owned(), ..Default::default() };
    let wrong = Err(Malformed::Range { field: "evidence.format" });
    assert_eq!(decode_evidence(file.encode_to_vec().into()), wrong);
    assert_eq!(decode_evidence(Bytes::new()), Err(Malformed::Missing { field: "evidence" }));
}
