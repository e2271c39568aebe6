//! Everything that reads what others wrote: the corpus of the fuzzers, and changed copies of valid input, as many as
//! `LIANGDI_MUTATIONS` says. Nothing panics, nothing takes long.
//!
//! `LIANGDI_WRITE_CORPUS=1` writes the corpus anew from a network that is made for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::access::Role;
use domain::area::AreaCode;
use domain::message::Kind;
use domain::synthetic::Seeded;
use exchange::bundle::{BundleHeader, BundleItem};
use exchange::custody::{CustodyManifest, CustodyOutcome, CustodyReceipt, Returned};
use exchange::directory::{DirectoryAnswer, DirectoryQuestion};
use exchange::envelope::SealedEnvelope;
use exchange::evidence::CustodyProof;
use exchange::keys::{SignContext, Signer as _};
use exchange::parcel::{Parcel, ParcelManifest};
use liangdi::time::random;
use trust::verify::ChainVerifier;
use wire::custody;
use wire::pb::office::{Direction, ExportEvidenceRequest, IssueCertificateRequest};

use crate::support::network::Network;
use crate::support::rogue::Rogue;
use crate::support::{now, office, seed, setting};

#[path = "../../fuzz/targets.rs"]
mod targets;

/// Longest that one input may take; a thousand times more than the slowest does.
const TIME_MAX: Duration = Duration::from_secs(2);

fn fuzz() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// Runs a target on an input and says which input it was when something goes wrong.
fn run(name: &str, input: &[u8], chains: &ChainVerifier) {
    let began = Instant::now();
    if catch_unwind(AssertUnwindSafe(|| targets::run(name, input, chains))).is_err() {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{name} panicked on {hex}");
    }
    let took = began.elapsed();
    assert!(took < TIME_MAX, "{name} took {took:?} for {} bytes", input.len());
}

#[test]
fn the_corpus_is_read_without_harm() {
    let chains = targets::chains(&std::fs::read(fuzz().join("root.der")).unwrap());
    for name in targets::NAMES {
        let directory = fuzz().join("corpus").join(name);
        let files = std::fs::read_dir(&directory).unwrap();
        let mut count = 0;
        for file in files {
            run(name, &std::fs::read(file.unwrap().path()).unwrap(), &chains);
            count += 1;
        }
        assert!(count >= 5, "{name} has a corpus of {count}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_copies_of_valid_input_are_read_without_harm() {
    let mut dice = Seeded::new(seed("mutations"));
    let mutations = setting("LIANGDI_MUTATIONS", 2_000_u32);
    let network = Network::new();
    let chains = targets::chains(network.root.certificate());
    let valid = valid(&network).await;
    for name in targets::NAMES {
        let samples: Vec<_> = valid.iter().filter(|(of, _)| *of == name).map(|(_, s)| s).collect();
        assert!(!samples.is_empty(), "{name}");
        for sample in &samples {
            run(name, sample, &chains);
        }
        for _ in 0..mutations {
            let mut input = (*dice.pick(&samples).unwrap()).clone();
            for _ in 0..=dice.below(4) {
                mutate(&mut input, &mut dice);
            }
            run(name, &input, &chains);
        }
    }
    if std::env::var_os("LIANGDI_WRITE_CORPUS").is_some() {
        write(&network, &valid, &mut dice);
    }
}

/// Input of every kind as this program makes it, taken from a running node.
async fn valid(network: &Network) -> Vec<(&'static str, Vec<u8>)> {
    let mut node = network.node("410522", &[]);
    node.start();
    let mut rogue = Rogue::connect(network, "440306", &node).await;
    let mut all: Vec<(&str, Vec<u8>)> = Vec::new();
    let mut letters = Vec::new();
    for kind in Kind::ALL.iter().copied() {
        let (content, header) = (rogue.content(kind), rogue.header());
        let bytes = wire::content::encode_content(&content);
        all.push(("envelope", exchange::envelope::pad(&bytes).unwrap()));
        all.push(("content", bytes));
        let envelope = rogue.seal(&header, &content);
        all.push(("envelope", envelope.header_bytes.to_vec()));
        letters.push(envelope);
    }
    for count in [1, 3, letters.len()] {
        let some = letters[..count].to_vec();
        let parcel = rogue.parcel(&rogue.manifest(&some), some);
        all.push(("parcel", wire::parcel::encode_parcel(parcel.clone())));
        rogue.send(parcel).await;
        let receipt = rogue.receipt.clone().unwrap();
        all.push(("receipt", wire::receipt::encode_receipt(receipt)));
    }
    all.push(("card", rogue.card.card_bytes.to_vec()));
    all.extend(carried(network, &mut rogue, letters));
    let clerk = office::connect(&network.operator("hua", "410522", Role::Clerk)).await;
    for track in office::list(&clerk, Direction::Received).await.iter().take(3) {
        let request = ExportEvidenceRequest { message_id: track.message_id.clone() };
        let evidence = clerk.messages().export_evidence(request).await.unwrap().into_inner();
        all.push(("evidence", with_words(network, &evidence.evidence)));
        all.push(("evidence", evidence.evidence));
    }
    for seed in 1..4 {
        let mut person = office::arrival(seed, "410522", "440305").person.unwrap();
        person.marital_status = wire::pb::message::MaritalStatus::NeverMarried.into();
        let request =
            IssueCertificateRequest { person: Some(person), idempotency_key: String::new() };
        let issued = clerk.certificates().issue_certificate(request).await.unwrap().into_inner();
        all.push(("credential", issued.credential.into_bytes()));
    }
    all.push(("config", std::fs::read(fuzz().join("../deploy/liangdi.example.toml")).unwrap()));
    node.never_panicked();
    all
}

/// What relays, files and the directory are made of.
fn carried(
    network: &Network,
    rogue: &mut Rogue,
    letters: Vec<SealedEnvelope>,
) -> Vec<(&'static str, Vec<u8>)> {
    let withdrawn =
        letters.into_iter().map(SealedEnvelope::without_body).take(3).collect::<Vec<_>>();
    let manifest = rogue.manifest(&withdrawn);
    let words = words(network, &manifest);
    let parcel = rogue.parcel(&manifest, withdrawn);
    let parcel = Parcel { custody: words.clone(), ..parcel };
    let receipt = rogue.receipt.clone().unwrap();
    let question = DirectoryQuestion {
        cursor: Bytes::from_static(b"cursor"),
        own_card: Some(rogue.card.clone()),
        revocation_lists: network.lists().iter().map(|list| list.der().to_vec()).collect(),
    };
    let answer = DirectoryAnswer {
        cards: vec![rogue.card.clone(); 2],
        revocation_lists: question.revocation_lists.clone(),
        authorities: vec![network.root.certificate().to_vec()],
        cursor: Bytes::from_static(b"cursor"),
        more: true,
    };
    let header = BundleHeader {
        from: rogue.own,
        to: rogue.to,
        created: now(),
        bundle_id: random(),
        seal: rogue.header().seal,
    };
    let items = [
        BundleItem::Parcel(parcel.clone()),
        BundleItem::Returned(Returned::Receipt(receipt)),
        BundleItem::Returned(Returned::Custody(words[0].clone())),
        BundleItem::Card(rogue.card.clone()),
        BundleItem::RevocationList(question.revocation_lists[0].clone()),
        BundleItem::End { items: 5 },
    ];
    let returned = Returned::Custody(words[1].clone());
    let mut all = vec![
        ("parcel", wire::parcel::encode_parcel(parcel)),
        ("custody", words[0].manifest_bytes.to_vec()),
        ("custody", custody::encode_custody(words[0].clone())),
        ("custody", custody::encode_returned(returned)),
        ("directory", wire::directory::encode_question(question)),
        ("directory", wire::directory::encode_answer(answer)),
        ("bundle", wire::bundle::encode_bundle_header(&header)),
    ];
    all.extend(items.map(|item| ("bundle", wire::bundle::encode_bundle_item(item))));
    all
}

/// The same evidence of a parcel that both provinces have carried.
fn with_words(network: &Network, evidence: &[u8]) -> Vec<u8> {
    let mut evidence = wire::decode_evidence(evidence.to_vec().into()).unwrap();
    let words = words(network, &evidence.parcel.manifest).into_iter().map(|word| CustodyProof {
        manifest: wire::decode_custody_manifest(&word.manifest_bytes).unwrap(),
        manifest_bytes: word.manifest_bytes,
        signature: word.signature,
        chain: word.chain,
    });
    evidence.custody = words.collect();
    let proven = evidence.verify(&network.chains()).unwrap();
    assert_eq!(proven.carried.len(), 2);
    wire::encode_evidence(evidence)
}

/// The words of both provinces that have carried a parcel.
fn words(network: &Network, parcel: &ParcelManifest) -> Vec<CustodyReceipt> {
    let (from, to) = (parcel.from.province(), parcel.to.province());
    let word = |relay: AreaCode, handed_by: AreaCode, next: AreaCode| {
        let identity = network.node_certificate(relay).identity;
        let manifest = CustodyManifest {
            parcel_id: parcel.parcel_id,
            parcel_root: parcel.root,
            relay,
            handed_by,
            from: parcel.from,
            to: parcel.to,
            outcome: CustodyOutcome::Held { next },
            signed: now(),
            signer: identity.signer_id(),
        };
        let bytes = wire::encode_custody_manifest(&manifest);
        CustodyReceipt {
            signature: identity.sign(SignContext::Custody, &bytes).unwrap().into(),
            manifest_bytes: bytes.into(),
            chain: identity.chain_der().to_vec(),
        }
    };
    vec![word(from, parcel.from, to), word(to, from, parcel.to)]
}

/// One change of the kinds that readers stumble over.
fn mutate(input: &mut Vec<u8>, dice: &mut Seeded) {
    let length = u32::try_from(input.len()).unwrap();
    let at = dice.below(length.max(1)) as usize;
    let byte = dice.below(256) as u8;
    match dice.below(9) {
        0 if !input.is_empty() => input[at] ^= 1 << dice.below(8),
        1 if !input.is_empty() => input[at] = byte,
        2 => input.truncate(at),
        3 => input.insert(at.min(input.len()), byte),
        4 if !input.is_empty() => drop(input.remove(at)),
        // A piece of it once more.
        5 => {
            let end = (at + dice.below(200) as usize).min(input.len());
            let piece = input[at.min(end)..end].to_vec();
            input.splice(at.min(end)..at.min(end), piece);
        }
        // A number that never ends.
        6 if !input.is_empty() => {
            let end = (at + 10).min(input.len());
            input[at..end].fill(0xFF);
        }
        // A field nobody knows, and a long one.
        7 => input.extend_from_slice(&[0xFA, 0x3F, byte, byte]),
        _ => input.extend(std::iter::repeat_n(byte, dice.below(3000) as usize)),
    }
}

/// Writes a small corpus: the valid input, smallest first, and some changed copies.
fn write(network: &Network, valid: &[(&str, Vec<u8>)], dice: &mut Seeded) {
    std::fs::write(fuzz().join("root.der"), network.root.certificate()).unwrap();
    for name in targets::NAMES {
        let directory = fuzz().join("corpus").join(name);
        let _none_yet = std::fs::remove_dir_all(&directory).is_err();
        std::fs::create_dir_all(&directory).unwrap();
        let mut samples: Vec<_> =
            valid.iter().filter(|(of, _)| *of == name).map(|(_, s)| s).collect();
        samples.sort_by_key(|sample| sample.len());
        for (number, sample) in samples.iter().take(8).enumerate() {
            std::fs::write(directory.join(format!("valid-{number}")), sample).unwrap();
            for change in 0..2.max(6 / samples.len()) {
                let mut input = (*sample).clone();
                mutate(&mut input, dice);
                input.truncate(16_384);
                std::fs::write(directory.join(format!("changed-{number}-{change}")), input)
                    .unwrap();
            }
        }
    }
}
