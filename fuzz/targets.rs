//! What is done with bytes that somebody else wrote: each target reads them as a node does, and checks what must hold of
//! whatever was read. The fuzzers and the replay in the test suite share this file.

use std::path::Path;

use bytes::Bytes;
use domain::message::CheckContext;
use domain::time::UnixMillis;
use liangdi::config::Settings;
use trust::crl::{GRACE_DEFAULT, RevocationLists};
use trust::name::Suffix;
use trust::verify::{ChainVerifier, Roots};

/// Every target, by the name of its corpus.
pub const NAMES: [&str; 11] = [
    "envelope",
    "parcel",
    "receipt",
    "custody",
    "content",
    "card",
    "directory",
    "bundle",
    "evidence",
    "credential",
    "config",
];

/// 2026-03-01T00:00:00Z; nothing read here may depend on the clock.
const NOW: UnixMillis = UnixMillis::new(1_772_323_200_000);

/// The verifier of the network that the corpus comes from.
pub fn chains(root_der: &[u8]) -> ChainVerifier {
    let roots = Roots::new(vec![root_der.to_vec().into()]).expect("a root certificate");
    let lists = RevocationLists::new(Vec::new(), GRACE_DEFAULT);
    ChainVerifier::new(roots, Suffix::default(), lists)
}

/// Runs one target; panics when something that must hold does not.
pub fn run(name: &str, data: &[u8], chains: &ChainVerifier) {
    match name {
        "envelope" => envelope(data),
        "parcel" => parcel(data, chains),
        "receipt" => receipt(data),
        "custody" => custody(data, chains),
        "content" => content(data),
        "card" => card(data),
        "directory" => directory(data),
        "bundle" => bundle(data),
        "evidence" => evidence(data, chains),
        "credential" => credential(data, chains),
        "config" => config(data),
        _ => panic!("no target {name}"),
    }
}

/// A header, and a padded body.
fn envelope(data: &[u8]) {
    if let Ok(header) = wire::decode_header(data) {
        let again = wire::encode_header(&header);
        assert_eq!(wire::decode_header(&again).as_ref(), Ok(&header));
    }
    if let Ok(body) = exchange::envelope::unpad(data) {
        assert_eq!(exchange::envelope::pad(body).as_deref(), Ok(data));
    }
}

fn parcel(data: &[u8], chains: &ChainVerifier) {
    let Ok(parcel) = wire::parcel::decode_parcel(Bytes::copy_from_slice(data)) else { return };
    let digests = parcel.digests();
    for word in &parcel.custody {
        let _reads = wire::decode_custody_manifest(&word.manifest_bytes).is_ok();
    }
    for envelope in &parcel.envelopes {
        envelope_of(envelope);
    }
    if let Ok(manifest) = wire::decode_manifest(&parcel.manifest_bytes) {
        // Whether it fits or not, it says so and goes on.
        let _fits = manifest.check(&digests, &parcel.bodiless()).is_ok();
        let again = wire::encode_manifest(&manifest);
        assert_eq!(wire::decode_manifest(&again).as_ref(), Ok(&manifest));
    }
    let purpose = trust::verify::Purpose::Node;
    let _holds = chains.verify(&parcel.chain, purpose, NOW).is_ok();
}

fn envelope_of(envelope: &exchange::envelope::SealedEnvelope) {
    // An envelope of no size class is refused by itself, not with its parcel.
    assert!(envelope.header_bytes.len() <= exchange::envelope::HEADER_BYTES_MAX);
    assert!(envelope.sealed().is_none_or(|s| s.len() <= exchange::envelope::SEALED_BYTES_MAX));
    if let Ok(header) = wire::decode_header(&envelope.header_bytes) {
        assert!(header.sequence.get() > 0);
    }
}

fn receipt(data: &[u8]) {
    let Ok(receipt) = wire::receipt::decode_receipt(Bytes::copy_from_slice(data)) else { return };
    if let Ok(manifest) = wire::decode_receipt_manifest(&receipt.manifest_bytes) {
        let again = wire::encode_receipt_manifest(&manifest);
        assert_eq!(wire::decode_receipt_manifest(&again).as_ref(), Ok(&manifest));
    }
    if let Ok(dispositions) = wire::receipt::decode_dispositions(&receipt) {
        assert_eq!(dispositions.len(), receipt.dispositions.len());
    }
}

/// A relay's word, its manifest, and a word on its way back.
fn custody(data: &[u8], chains: &ChainVerifier) {
    if let Ok(manifest) = wire::decode_custody_manifest(data) {
        let again = wire::encode_custody_manifest(&manifest);
        assert_eq!(wire::decode_custody_manifest(&again).as_ref(), Ok(&manifest));
    }
    if let Ok(word) = wire::custody::decode_custody(Bytes::copy_from_slice(data)) {
        assert!(!word.chain.is_empty());
        let again = wire::custody::encode_custody(word.clone());
        assert_eq!(wire::custody::decode_custody(again.into()).as_ref(), Ok(&word));
        let _holds = chains.verify(&word.chain, trust::verify::Purpose::Node, NOW).is_ok();
    }
    if let Ok(word) = wire::custody::decode_returned(Bytes::copy_from_slice(data)) {
        let again = wire::custody::encode_returned(word.clone());
        assert_eq!(
            wire::custody::decode_returned(again.into()).map(|word| word.id()),
            Ok(word.id())
        );
    }
}

/// What a node asks and answers about the directory.
fn directory(data: &[u8]) {
    if let Ok(question) = wire::directory::decode_question(Bytes::copy_from_slice(data)) {
        let again = wire::directory::encode_question(question.clone());
        assert_eq!(wire::directory::decode_question(again.into()), Ok(question));
    }
    if let Ok(answer) = wire::directory::decode_answer(Bytes::copy_from_slice(data)) {
        let again = wire::directory::encode_answer(answer.clone());
        assert_eq!(wire::directory::decode_answer(again.into()), Ok(answer));
    }
}

/// The header of a bundle, and an item that was opened.
fn bundle(data: &[u8]) {
    if let Ok(header) = wire::bundle::decode_bundle_header(data) {
        let again = wire::bundle::encode_bundle_header(&header);
        assert_eq!(wire::bundle::decode_bundle_header(&again), Ok(header));
    }
    if let Ok(item) = wire::bundle::decode_bundle_item(Bytes::copy_from_slice(data)) {
        let again = wire::bundle::encode_bundle_item(item.clone());
        assert_eq!(wire::bundle::decode_bundle_item(again.into()), Ok(item));
    }
}

fn content(data: &[u8]) {
    let Ok(content) = wire::content::decode_content(data) else { return };
    let again = wire::content::encode_content(&content);
    assert!(wire::content::decode_content(&again).is_ok_and(|read| read == content));
    let (from, to) = ("410522".parse(), "440305".parse());
    if let (Ok(from), Ok(to)) = (from, to) {
        let _allowed = content.check(&CheckContext { from, to, now: NOW }).is_ok();
    }
}

fn card(data: &[u8]) {
    if let Ok(card) = wire::decode_card(data) {
        let _sense = card.check().is_ok();
        let _key = card.sealing_key_at(NOW, exchange::envelope::AlgorithmProfile::International);
    }
}

fn evidence(data: &[u8], chains: &ChainVerifier) {
    if let Ok(evidence) = wire::decode_evidence(Bytes::copy_from_slice(data)) {
        let _proven = evidence.verify(chains).is_ok();
        let again = wire::encode_evidence(evidence.clone());
        assert!(wire::decode_evidence(again.into()).is_ok_and(|read| read == evidence));
    }
}

fn credential(data: &[u8], chains: &ChainVerifier) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _holds = trust::credential::check(text, chains).is_ok();
    }
}

fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(problems) = Settings::parse(text, Path::new("/etc/liangdi")) {
        assert!(!problems.is_empty());
        for problem in problems {
            assert!(problem.line >= 1 && problem.line <= text.lines().count().max(1) + 1);
            assert!(!problem.problem.is_empty() && !problem.fix.is_empty());
        }
    }
}
