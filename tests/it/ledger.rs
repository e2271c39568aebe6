//! The ledger between real nodes: what it proves to others, and peers whose ledger is not what it was.

use std::collections::BTreeSet;

use domain::access::Role;
use exchange::digest::Digest;
use exchange::ledger::LedgerHead;
use exchange::parcel::{Parcel, ParcelManifest};
use exchange::receipt::Outcome;
use serde_json::Value;
use wire::frame::Frame;

use crate::reconcile::{COUNTIES, PROVINCES, World, exchange, restore};
use crate::support::desk::{Desk, run, words};
use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::rogue_node::RogueNode;
use crate::support::{area, eventually, office};

const REPLY: [&str; 2] = [COUNTIES[1], COUNTIES[0]];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_was_set_back_is_named_with_the_two_heads_that_it_has_signed() {
    let mut world = World::new();
    let there = world.clerk(1).await;
    exchange(&there, REPLY, 1, 2).await;
    let desk = world.desk(COUNTIES[1]);
    let honest = desk.json(&format!("ledger peer {}", COUNTIES[0]));
    assert!(honest["change"].as_str().is_none_or(str::is_empty), "{honest}");

    let backup = world.desk(COUNTIES[0]).json("backup create");
    exchange(&there, REPLY, 2, 3).await;
    // A head that has grown is proven, and is no trouble.
    let honest = desk.json(&format!("ledger peer {}", COUNTIES[0]));
    assert!(honest["change"].as_str().is_none_or(str::is_empty), "{honest}");
    world.counties[0].kill();
    restore(&world.counties[0], &backup);
    world.counties[0].start();
    exchange(&there, REPLY, 3, 1).await;

    let ended = desk.run(&format!("ledger peer {} --json", COUNTIES[0]));
    assert_eq!(ended.exit, 1, "{}{}", ended.out, ended.err);
    let told: Value = serde_json::from_str(&ended.out).unwrap();
    let size = |side: &str| told[side]["size"].as_u64().unwrap();
    // Whether it has signed two heads of one size depends on how many messages a parcel had.
    let same_size = size("before") == size("after");
    let change = if same_size { "REWRITTEN" } else { "ROLLED_BACK" };
    assert_eq!(told["change"], change, "{told}");
    assert!(same_size || size("before") > size("after"), "{told}");
    assert_ne!(told["before"]["root"], told["after"]["root"], "{told}");
    for side in ["before", "after"] {
        assert!(!told[side]["signature"].as_str().unwrap().is_empty(), "{told}");
    }
    let notices = desk.json("notice list");
    assert!(notices.to_string().contains("ROLLED_BACK"), "{notices}");

    // A third party checks both heads with the root certificate alone.
    let file = world.network.path("two-heads.json");
    desk.run(&format!("ledger peer {} --out {}", COUNTIES[0], file.display()));
    let shown = verified(&world.network, &file, &format!("--area {}", COUNTIES[0])).unwrap();
    let shows = if same_size { "REWRITTEN" } else { "NOT_JOINED" };
    assert_eq!(shown["shows"], shows, "{shown}");
    assert_eq!(shown["before"]["size"], told["before"]["size"], "{shown}");
    verified(&world.network, &file, &format!("--area {}", COUNTIES[1])).unwrap_err();
    let mut changed: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    changed["after"]["size"] = Value::from(size("after") + 1);
    std::fs::write(&file, changed.to_string()).unwrap();
    verified(&world.network, &file, "").unwrap_err();
    world.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_shows_two_nodes_two_histories_is_found_out_through_the_directory() {
    let network = Network::new();
    let head = |of: &[u8]| LedgerHead { size: 1, root: Digest::of(of) };
    let (ours, theirs) = (head(b"as shown to one"), head(b"as shown to another"));
    let answering = move |rogue: &RogueNode, _, manifest: &ParcelManifest, parcel: &Parcel| {
        let receipt = rogue.receipt_under(manifest, parcel, &Outcome::Stored, ours);
        vec![Frame::Receipt(receipt)]
    };
    let liar = RogueNode::serve(&network, COUNTIES[1], Box::new(answering)).await;
    let mut nodes = [
        network.node(COUNTIES[0], &[PROVINCES[0], COUNTIES[1]]),
        network.node(PROVINCES[0], &[COUNTIES[0], COUNTIES[1]]),
    ];
    nodes[0].start();
    let here = office::connect(&network.operator("clerk", COUNTIES[0], Role::Clerk)).await;
    exchange(&here, COUNTIES, 1, 1).await;
    let desk = Desk::of(&network, COUNTIES[0], Role::Administrator);
    let line = format!("ledger peer {}", COUNTIES[1]);
    assert!(desk.json(&line)["change"].as_str().is_none_or(str::is_empty));

    // Another is shown something else; what that one hears everybody below it hears.
    liar.show_head(area(PROVINCES[0]), theirs);
    nodes[1].start();
    let told = eventually("the two heads are held against each other", || {
        let ended = desk.run(&format!("{line} --json"));
        let told: Value = serde_json::from_str(&ended.out).unwrap();
        (ended.exit == 1).then_some(told)
    });
    assert_eq!(told["change"], "REWRITTEN", "{told}");
    let sides = ["before", "after"].map(|side| &told[side]);
    let roots = sides.map(|side| side["root"].as_str().unwrap().to_owned());
    let expected = [ours, theirs].map(|head| head.root.to_string());
    assert_eq!(BTreeSet::from(roots), BTreeSet::from(expected), "{told}");
    assert!(sides.iter().any(|side| side["card"].as_str().is_some_and(|card| !card.is_empty())));
    // Anybody checks it, with the root certificate alone.
    let file = network.path("fork.json");
    desk.run(&format!("{line} --out {}", file.display()));
    let shown = verified(&network, &file, &format!("--area {}", COUNTIES[1])).unwrap();
    assert_eq!(shown["shows"], "REWRITTEN", "{shown}");
    verified(&network, &file, &format!("--area {}", COUNTIES[0])).unwrap_err();
    nodes.iter().for_each(Node::never_panicked);
}

/// What `ledger verify` says of a file, or why not.
fn verified(network: &Network, file: &std::path::Path, more: &str) -> Result<Value, String> {
    let root = network.path("root.pem");
    let line = format!("ledger verify {} --root {} {more} --json", file.display(), root.display());
    let ended = run(&words(&line));
    match ended.exit {
        0 => Ok(serde_json::from_str(&ended.out).unwrap()),
        _ => Err(ended.err),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_of_the_ledger_holds_only_under_a_head_that_its_owner_has_signed() {
    let world = World::new();
    let here = world.clerk(0).await;
    let sent = exchange(&here, COUNTIES, 1, 3).await;
    let desk = world.desk(COUNTIES[0]);
    let file = world.network.path("proof.json");
    let write = |proof: &Value| std::fs::write(&file, proof.to_string()).unwrap();
    for line in [format!("ledger prove --message {}", sent[1]), "ledger prove --since 2".to_owned()]
    {
        let proof = desk.json(&line);
        write(&proof);
        let told = verified(&world.network, &file, &format!("--area {}", COUNTIES[0])).unwrap();
        assert_eq!(told["area"], COUNTIES[0], "{told}");
        assert_eq!(told["root"], proof["head"]["root"], "{told}");
        if let Some(messages) = told["messages"].as_array() {
            assert_eq!(messages[0]["message_id"], sent[1].as_str(), "{told}");
        }
        assert!(verified(&world.network, &file, "--area 440305").is_err(), "{line}");
        // Without a signed head, and with another one.
        let mut unsigned = proof.clone();
        unsigned["head"] = Value::Null;
        let mut larger = proof.clone();
        larger["head"]["size"] = Value::from(larger["head"]["size"].as_u64().unwrap() + 1);
        let mut other = proof.clone();
        let bytes = other["head"]["signed_bytes"].as_str().unwrap().to_owned();
        other["head"]["signed_bytes"] = Value::from(bytes.replacen("00", "01", 1));
        for wrong in [unsigned, larger, other] {
            write(&wrong);
            let why = verified(&world.network, &file, "").unwrap_err();
            assert!(why.contains("the proof does not hold"), "{why}");
        }
    }
    world.never_panicked();
}
