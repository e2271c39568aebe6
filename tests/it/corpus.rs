//! Everything that reads what others wrote: the corpus of the fuzzers, and changed copies of valid input, as many as
//! `LIANGDI_MUTATIONS` says. Nothing panics, nothing takes long.
//!
//! `LIANGDI_WRITE_CORPUS=1` writes the corpus anew from a network that is made for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use domain::access::Role;
use domain::message::Kind;
use domain::synthetic::Seeded;
use trust::verify::ChainVerifier;
use wire::pb::office::{Direction, ExportEvidenceRequest, IssueCertificateRequest};

use crate::support::network::Network;
use crate::support::rogue::Rogue;
use crate::support::{office, seed, setting};

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
    let clerk = office::connect(&network.operator("hua", "410522", Role::Clerk)).await;
    for track in office::list(&clerk, Direction::Received).await.iter().take(3) {
        let request = ExportEvidenceRequest { message_id: track.message_id.clone() };
        let evidence = clerk.messages().export_evidence(request).await.unwrap().into_inner();
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
