//! A good file proves what it should; each way to spoil it has its own name.

use super::*;
use crate::envelope;
use crate::keys::ChainVerifier;
use crate::keys::SignContext;
use crate::keys::SignatureInvalid;
use crate::keys::VerifiedChain;
use crate::keys::Verifier;
use crate::samples;
use crate::samples::NOW;
use crate::tree;

/// Certificates are "leaf of AREA", valid around [`NOW`]; a signature is the hash of key and message.
struct Keys;

fn sign(public_key: &[u8], context: SignContext, bytes: &[u8]) -> Bytes {
    let signature = Digest::of_parts(&[public_key, &context.message(bytes)]);
    Bytes::copy_from_slice(signature.as_bytes())
}

impl Verifier for Keys {
    fn verify_signature(
        &self,
        public_key: &[u8],
        context: SignContext,
        bytes: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureInvalid> {
        if sign(public_key, context, bytes) == signature { Ok(()) } else { Err(SignatureInvalid) }
    }
}

impl ChainVerifier for Keys {
    fn verify_chain(
        &self,
        chain: &[Vec<u8>],
        at: UnixMillis,
        revocation_lists: &[Vec<u8>],
    ) -> Result<VerifiedChain, ChainError> {
        let leaf = chain.first().ok_or(ChainError::Empty)?;
        if revocation_lists.contains(leaf) {
            return Err(ChainError::Revoked);
        }
        if at > UnixMillis::new(NOW.get() + 86_400_000) {
            return Err(ChainError::Expired);
        }
        let area = std::str::from_utf8(leaf).unwrap().rsplit(' ').next().unwrap();
        Ok(VerifiedChain {
            area: samples::area(area),
            fingerprint: Digest::of(leaf),
            public_key: leaf.clone(),
        })
    }
}

fn chain_of(area: &str) -> Vec<Vec<u8>> {
    vec![format!("leaf of {area}").into_bytes()]
}

fn offered(header: &Header) -> crate::receipt::Offered {
    let (header_bytes, sealed) = (format!("{header:?}"), b"sealed");
    let digest = envelope::digest(header_bytes.as_bytes(), &Digest::of(sealed));
    crate::receipt::Offered { message_id: header.message_id, digest }
}

/// Evidence of the second of three envelopes, as signed as the closures leave it.
fn evidence_with(
    change_parcel: impl FnOnce(&mut ParcelManifest),
    change_disposition: impl FnOnce(&mut Disposition),
    change_receipt: impl FnOnce(&mut ReceiptManifest),
) -> Evidence {
    let header = samples::header(2);
    let all: Vec<_> = (1..=3).map(|n| offered(&samples::header(n))).collect();
    let digests: Vec<_> = all.iter().map(|offered| offered.digest).collect();
    let leaves: Vec<_> = digests.iter().map(|digest| tree::leaf_hash(digest.as_ref())).collect();
    let mut manifest = samples::parcel_manifest(&digests);
    change_parcel(&mut manifest);
    let manifest_bytes = Bytes::from(format!("{manifest:?}"));
    let chain = chain_of("410522");
    let parcel = ParcelProof {
        signature: sign(&chain[0], SignContext::Parcel, &manifest_bytes),
        manifest_bytes,
        index: 1,
        path: tree::inclusion_path(&leaves, 1).unwrap(),
        chain,
        manifest,
    };

    let mut dispositions: Vec<_> = all.iter().map(samples::stored).collect();
    change_disposition(&mut dispositions[1]);
    let serialised: Vec<_> = dispositions.iter().map(samples::serialised).collect();
    let leaves: Vec<_> = serialised.iter().map(|bytes| tree::leaf_hash(bytes)).collect();
    let mut manifest = samples::receipt_manifest(&samples::parcel_manifest(&digests), &serialised);
    change_receipt(&mut manifest);
    let manifest_bytes = Bytes::from(format!("{manifest:?}"));
    let chain = chain_of("330106");
    let receipt = ReceiptProof {
        signature: sign(&chain[0], SignContext::Receipt, &manifest_bytes),
        manifest_bytes,
        index: 1,
        disposition_bytes: serialised[1].clone(),
        disposition: dispositions[1].clone(),
        path: tree::inclusion_path(&leaves, 1).unwrap(),
        chain,
        manifest,
    };
    Evidence {
        header_bytes: Bytes::from(format!("{header:?}")),
        header,
        sealed_sha256: Digest::of(b"sealed"),
        sealed: Some(Bytes::from_static(b"sealed")),
        parcel,
        receipt: Some(receipt),
        custody: Vec::new(),
        revocation_lists: Vec::new(),
        exported: NOW,
    }
}

fn good() -> Evidence {
    evidence_with(|_| {}, |_| {}, |_| {})
}

fn flaw_after(change: impl FnOnce(&mut Evidence)) -> Flaw {
    let mut evidence = good();
    change(&mut evidence);
    evidence.verify(&Keys).unwrap_err()
}

#[test]
fn a_good_file_says_who_sent_who_stored_and_when() {
    let proven = good().verify(&Keys).unwrap();
    assert_eq!(proven.message_id, samples::message_id(2));
    assert_eq!(proven.digest, offered(&samples::header(2)).digest);
    assert!(proven.body_present);
    assert_eq!(proven.sent.area, samples::area("410522"));
    let receipt_signed = UnixMillis::new(NOW.get() + 5);
    assert_eq!((proven.sent.signed, proven.sent.chain_valid_at), (NOW, receipt_signed));
    assert_eq!(proven.sent.time_by, TimeBy::OtherSide);
    let answered = proven.answered.unwrap();
    assert_eq!(answered.by.area, samples::area("330106"));
    assert_eq!((answered.outcome, answered.decided), (Outcome::Stored, NOW));
}

#[test]
fn without_a_receipt_only_the_sending_is_proven_and_the_time_is_the_senders_word() {
    let evidence = Evidence { receipt: None, sealed: None, ..good() };
    let proven = evidence.verify(&Keys).unwrap();
    assert_eq!((proven.answered, proven.body_present), (None, false));
    assert_eq!((proven.sent.chain_valid_at, proven.sent.time_by), (NOW, TimeBy::Signer));
}

#[test]
fn spoiled_bytes_have_names() {
    fn receipt(evidence: &mut Evidence) -> &mut ReceiptProof {
        evidence.receipt.as_mut().unwrap()
    }
    assert_eq!(flaw_after(|e| e.sealed = Some(Bytes::from_static(b"x"))), Flaw::BodyDiffers);
    let parcel_path = Flaw::PathWrong(Part::Parcel);
    assert_eq!(flaw_after(|e| e.header_bytes = Bytes::from_static(b"x")), parcel_path);
    assert_eq!(flaw_after(|e| e.parcel.index = 2), parcel_path);
    assert_eq!(flaw_after(|e| e.parcel.path.truncate(1)), parcel_path);
    assert_eq!(
        flaw_after(|e| receipt(e).disposition_bytes = Bytes::from_static(b"x")),
        Flaw::PathWrong(Part::Receipt)
    );
    assert_eq!(
        flaw_after(|e| e.parcel.manifest_bytes = Bytes::from_static(b"x")),
        Flaw::SignatureWrong(Part::Parcel)
    );
    assert_eq!(
        flaw_after(|e| receipt(e).signature = Bytes::new()),
        Flaw::SignatureWrong(Part::Receipt)
    );
    assert_eq!(
        flaw_after(|e| e.parcel.chain = vec![b"another leaf of 410522".to_vec()]),
        Flaw::CertificateDiffers(Part::Parcel)
    );
    let (part, at) = (Part::Receipt, UnixMillis::new(NOW.get() + 5));
    let source = ChainError::Empty;
    assert_eq!(flaw_after(|e| receipt(e).chain.clear()), Flaw::Chain { part, at, source });
    let source = ChainError::Revoked;
    assert_eq!(
        flaw_after(|e| e.revocation_lists = chain_of("330106")),
        Flaw::Chain { part, at, source }
    );
}

#[test]
fn well_signed_lies_have_names() {
    let flaw = |evidence: Evidence| evidence.verify(&Keys).unwrap_err();
    let other = samples::area("110101");
    let parcel_of = |change: fn(&mut ParcelManifest)| flaw(evidence_with(change, |_| {}, |_| {}));
    let receipt_of = |change: fn(&mut ReceiptManifest)| flaw(evidence_with(|_| {}, |_| {}, change));
    let certified = samples::area("410522");
    assert_eq!(
        parcel_of(|m| m.from = samples::area("110101")),
        Flaw::AreaDiffers { part: Part::Parcel, stated: other, certified }
    );
    assert_eq!(
        parcel_of(|m| m.signed = UnixMillis::new(NOW.get() + 3_600_000)),
        Flaw::ReceiptBeforeParcel {
            parcel: UnixMillis::new(NOW.get() + 3_600_000),
            receipt: UnixMillis::new(NOW.get() + 5)
        }
    );
    assert_eq!(parcel_of(|m| m.to = samples::area("110101")), Flaw::OtherParcel);
    assert_eq!(receipt_of(|m| m.parcel_root = Digest::of(b"x")), Flaw::OtherParcel);
    assert_eq!(receipt_of(|m| m.to = samples::area("110101")), Flaw::OtherParcel);
    assert_eq!(
        flaw(evidence_with(|_| {}, |d| d.digest = Digest::of(b"x"), |_| {})),
        Flaw::OtherEnvelope
    );
    let decided = UnixMillis::new(NOW.get() + 3_600_000);
    assert_eq!(
        flaw(evidence_with(|_| {}, |d| d.decided = decided, |_| {})),
        Flaw::DecidedAfterReceipt { decided, receipt: UnixMillis::new(NOW.get() + 5) }
    );
    let at = UnixMillis::new(NOW.get() + 2 * 86_400_000);
    let (part, source) = (Part::Parcel, ChainError::Expired);
    let late = |m: &mut ReceiptManifest| m.signed = UnixMillis::new(NOW.get() + 2 * 86_400_000);
    assert_eq!(flaw(evidence_with(|_| {}, |_| {}, late)), Flaw::Chain { part, at, source });
}

#[test]
fn a_header_of_somebody_else_is_not_proven_by_a_good_parcel() {
    let flaw = flaw_after(|e| e.header.from = samples::area("110101"));
    let (stated, signer) = (samples::area("110101"), samples::area("410522"));
    assert_eq!(flaw, Flaw::NotTheSender { stated, signer });
    let flaw = flaw_after(|e| e.header.to = samples::area("110101"));
    let (addressed, signer) = (samples::area("110101"), samples::area("330106"));
    assert_eq!(flaw, Flaw::NotTheRecipient { addressed, signer });
}
