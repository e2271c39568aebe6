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
        Flaw::OutOfOrder {
            earlier: Part::Parcel,
            earlier_at: UnixMillis::new(NOW.get() + 3_600_000),
            later: Part::Receipt,
            later_at: UnixMillis::new(NOW.get() + 5)
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

/// A word as its relay signed it.
fn custody_proof(manifest: CustodyManifest) -> CustodyProof {
    let manifest_bytes = Bytes::from(format!("{manifest:?}"));
    let chain = chain_of(manifest.relay.as_str());
    let signature = sign(&chain[0], SignContext::Custody, &manifest_bytes);
    CustodyProof { manifest_bytes, manifest, signature, chain }
}

fn word(handed_by: &str, relay: &str, next: &str) -> CustodyManifest {
    let parcel = good().parcel.manifest;
    let area = samples::area;
    samples::custody_manifest(&parcel, area(handed_by), area(relay), area(next))
}

/// The words of both relays of the way, signed as the closure leaves them.
fn carried_with(change: impl FnOnce(&mut [CustodyManifest; 2])) -> Evidence {
    let mut words = [word("410522", "410000", "330000"), word("410000", "330000", "330106")];
    change(&mut words);
    Evidence { custody: words.map(custody_proof).into(), ..good() }
}

#[test]
fn the_words_of_relays_prove_the_way_and_the_time_that_counts_for_the_sender() {
    let proven = carried_with(|_| {}).verify(&Keys).unwrap();
    let way: Vec<_> = proven
        .carried
        .iter()
        .map(|hop| [hop.handed_by, hop.by.area, hop.next].map(|area| area.to_string()))
        .collect();
    assert_eq!(way, [["410522", "410000", "330000"], ["410000", "330000", "330106"]]);
    let taken = UnixMillis::new(NOW.get() + 2);
    assert_eq!((proven.sent.chain_valid_at, proven.sent.time_by), (taken, TimeBy::Relay));
    assert_eq!(proven.carried[1].by.signed, taken);
    // The word of the second relay may have been lost on its way back.
    let mut first = carried_with(|_| {});
    first.custody.pop();
    assert_eq!(first.verify(&Keys).unwrap().carried.len(), 1);
    // Mail that travels longer than its sender's certificate lives.
    let late = |m: &mut ReceiptManifest| m.signed = UnixMillis::new(NOW.get() + 86_400_000);
    let mut slow = evidence_with(|_| {}, |_| {}, late);
    slow.custody = carried_with(|_| {}).custody;
    assert!(slow.verify(&Keys).is_ok());
}

#[test]
fn a_broken_word_spoils_the_file() {
    let flaw = |evidence: Evidence| evidence.verify(&Keys).unwrap_err();
    let spoiled = |change: fn(&mut CustodyProof)| {
        let mut evidence = carried_with(|_| {});
        change(&mut evidence.custody[0]);
        flaw(evidence)
    };
    let part = Part::Custody { relay: samples::area("410000") };
    assert_eq!(spoiled(|w| w.signature = Bytes::new()), Flaw::SignatureWrong(part));
    assert_eq!(
        spoiled(|w| w.manifest_bytes = Bytes::from_static(b"x")),
        Flaw::SignatureWrong(part)
    );
    assert_eq!(
        spoiled(|w| w.chain = vec![b"another leaf of 410000".to_vec()]),
        Flaw::CertificateDiffers(part)
    );
    let at = UnixMillis::new(NOW.get() + 2);
    assert_eq!(spoiled(|w| w.chain.clear()), Flaw::Chain { part, at, source: ChainError::Empty });
    let borrowed = carried_with(|[one, _]| one.signer = Digest::of(b"leaf of 330000"));
    assert_eq!(flaw(borrowed), Flaw::CertificateDiffers(part));
}

#[test]
fn words_of_another_way_or_parcel_have_names() {
    let flaw =
        |change: fn(&mut [CustodyManifest; 2])| carried_with(change).verify(&Keys).unwrap_err();
    let other = flaw(|[one, _]| one.parcel_root = Digest::of(b"x"));
    assert_eq!(other, Flaw::CustodyWrong(CustodyFault::ParcelRoot));
    let other = flaw(|[one, _]| one.parcel_id = crate::parcel::ParcelId::from_bytes([9; 16]));
    assert_eq!(other, Flaw::CustodyWrong(CustodyFault::OtherParcel));
    let swapped = flaw(|words| words.swap(0, 1));
    assert!(matches!(swapped, Flaw::CustodyWrong(CustodyFault::HandedBy { .. })));
    let stray = flaw(|words| {
        *words = [word("410522", "410000", "510000"), word("410000", "510000", "330106")];
    });
    assert_eq!(stray, Flaw::NotARelay { relay: samples::area("510000") });
    let hour = |m: &mut CustodyManifest| m.signed = UnixMillis::new(NOW.get() + 3_600_000);
    let late = carried_with(|[_, two]| hour(two)).verify(&Keys).unwrap_err();
    let earlier = Part::Custody { relay: samples::area("330000") };
    let earlier_at = UnixMillis::new(NOW.get() + 3_600_000);
    let (later, later_at) = (Part::Receipt, UnixMillis::new(NOW.get() + 5));
    assert_eq!(late, Flaw::OutOfOrder { earlier, earlier_at, later, later_at });
    let late = carried_with(|[one, _]| hour(one)).verify(&Keys).unwrap_err();
    assert!(matches!(late, Flaw::OutOfOrder { later: Part::Custody { .. }, .. }));
}

#[test]
fn a_clock_that_was_wrong_costs_its_word_and_not_the_file() {
    let after = |seconds: u64| UnixMillis::new(NOW.get() + 1_000 * seconds);
    let held = |times: [u64; 2]| {
        let mut evidence = carried_with(|words| {
            let signed = words.iter_mut().zip(times);
            signed.for_each(|(word, at)| word.signed = after(at));
        });
        let receipt = evidence.receipt.as_ref().map(|receipt| receipt.manifest.signed);
        let (words, parcel) =
            (std::mem::take(&mut evidence.custody), evidence.parcel.manifest.signed);
        evidence.custody = words_in_time(words, |word| word.manifest.signed, parcel, receipt);
        evidence.verify(&Keys).unwrap().carried.len()
    };
    assert_eq!(held([1, 2]), 2);
    assert_eq!(held([599, 600]), 2, "clocks differ a little");
    assert_eq!(held([20_000, 2]), 0, "the first relay's clock was fast");
    assert_eq!(held([1, 20_000]), 1, "the second relay's clock was fast");
    // A clock that was slow makes a word look older than the one before it.
    let slow = |at: u64| {
        let times = [after(9_000), after(at)];
        words_in_time(vec![0_usize, 1], |word| times[*word], after(9_000), None)
    };
    assert_eq!((slow(9_001), slow(1)), (vec![0, 1], vec![0]));
}
