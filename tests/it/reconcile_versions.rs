//! Both versions of a message of which two sides hold something else, side by side at its sender's office: between real nodes,
//! whoever can be called, and whoever lies.

use bytes::Bytes;
use domain::access::Role;
use domain::id::MessageId;
use domain::message::{Content, Kind};
use exchange::digest::Digest;
use exchange::envelope::{AlgorithmProfile, Header, SealHeader, SealedEnvelope, pad};
use exchange::keys::{Opener as _, Sealer as _, SignContext, Signer as _};
use exchange::lane::{LaneEpoch, LaneSeq};
use exchange::ledger::LedgerHead;
use exchange::parcel::{ParcelId, ParcelManifest, envelopes_root};
use exchange::receipt::{Disposition, Outcome, Receipt, ReceiptManifest, dispositions_root};
use exchange::reconcile::calls::{HandedBack, ReceiptAgain, SealedFor, take_back_data};
use liangdi::delivery::link::dial;
use liangdi::time::random;
use serde_json::Value;
use trust::seal::{Opener, Sealer, SealingKeyPair, SealingPublicKey};
use wire::client::{CallError, NodeClient};
use wire::reconcile::ReconcileClient;

use crate::reconcile::{COUNTIES, PROVINCES, World, days, exchange, found, one, restore};
use crate::reconcile_troubles::report_content;
use crate::support::desk::Desk;
use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::rogue::Rogue;
use crate::support::{area, eventually, now, office};

const LOOK: &str = "--basis statutory-duty --purpose residence-registration";

/// Another message under the id of one that was sent, signed as the first county signs: somebody has its key.
async fn plant(network: &Network, recipient: &Node, id: &str) -> Content {
    let mut rogue = Rogue::connect(network, COUNTIES[0], recipient).await;
    let content = office::message(77, COUNTIES[0], COUNTIES[1], Kind::DepartureNotice);
    let header = Header { message_id: id.parse().unwrap(), ..rogue.header() };
    let envelope = rogue.seal(&header, &content);
    let said = rogue.deliver(vec![envelope]).await;
    assert_eq!(said[0].outcome, Outcome::Stored);
    content
}

fn decision(desk: &Desk, id: &str) -> Value {
    desk.json(&format!("reconcile decision {id} {LOOK}"))
}

/// Both versions, once the recipient has shown its own.
fn both(desk: &Desk, id: &str) -> Value {
    eventually("the recipient has shown its version", || {
        let listed = desk.json("reconcile decisions")["differences"].clone();
        if listed.as_array().unwrap().is_empty() {
            return None;
        }
        let shown = decision(desk, id);
        (!shown["recipient_version"].is_null()).then_some(shown)
    })
}

fn name_of(content: &Content) -> String {
    let pb = wire::content::content_to_pb(content);
    pb.person.unwrap().name
}

/// The provinces find that the two hold something else, and leave it to people.
fn compare(province: &Desk) {
    let ended = province.run(&format!("reconcile run --with 44 --days {} --json", days()));
    assert_eq!(ended.exit, 1, "{}{}", ended.out, ended.err);
    let run: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(one(&run)["state"], "DECISIONS", "{run}");
    assert!(found(one(&run)).contains("CONTENT_DIFFERS 1/0"), "{run}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clerk_of_the_sender_sees_field_by_field_what_the_two_hold() {
    let mut world = World::new();
    let here = world.clerk(0).await;
    let backup = world.desk(COUNTIES[1]).json("backup create");
    let sent = exchange(&here, COUNTIES, 1, 1).await;
    let id = sent[0].as_str();
    world.counties[1].kill();
    restore(&world.counties[1], &backup);
    world.counties[1].start();
    let other = plant(&world.network, &world.counties[1], id).await;
    compare(&world.desk(PROVINCES[0]));

    let clerk = |own: &str| Desk::of(&world.network, own, Role::Clerk);
    let desk = clerk(COUNTIES[0]);
    let shown = both(&desk, id);
    let version = &shown["recipient_version"];
    assert_eq!(version["version_proof"], "SIGNED_BY_SENDER", "{shown}");
    assert_eq!(version["as_compared"], true, "{shown}");
    assert_eq!(shown["sender_version"]["version_proof"], "OWN");
    assert_ne!(shown["sender_version"]["digest"], version["digest"]);
    assert_eq!(version["content"]["person"]["name"], name_of(&other).as_str());
    let fields = shown["fields"].as_array().unwrap();
    let field = |name: &str| fields.iter().find(|it| it["field"] == name).unwrap();
    assert_eq!(field("person.name")["differs"], true, "{shown}");
    assert_eq!(field("purpose")["differs"], false, "{shown}");
    let page = desk.text(&format!("reconcile decision {id} {LOOK}"));
    let line = page.lines().find(|line| line.contains(&name_of(&other))).unwrap();
    assert!(line.contains('≠'), "{page}");
    // Every look stands in the log, with its purpose, for both persons.
    let log = Desk::of(&world.network, COUNTIES[0], Role::Auditor).json("audit list");
    let looks = log["entries"].as_array().unwrap().iter();
    let looks: Vec<_> =
        looks.filter(|it| it["action"] == "VIEW" && it["message_id"] == id).collect();
    assert!(looks.len() >= 4, "{log}");
    assert!(looks.iter().all(|it| it["purpose"] == "RESIDENCE_REGISTRATION"), "{log}");

    // The recipient sees its own, and the provinces neither.
    let there = decision(&clerk(COUNTIES[1]), id);
    assert!(there["sender_version"].is_null(), "{there}");
    assert_eq!(there["recipient_version"]["version_proof"], "OWN", "{there}");
    for province in PROVINCES {
        let shown = decision(&clerk(province), id);
        assert!(shown["sender_version"].is_null() && shown["recipient_version"].is_null());
        assert_eq!(shown["fields"], Value::Array(Vec::new()));
    }
    for node in world.provinces.iter().chain(&world.counties) {
        let log = node.log();
        assert!(!log.contains(&name_of(&other)), "{}", node.area);
    }
    let administrator = world.desk(COUNTIES[0]);
    let refused = administrator.refused(&format!("reconcile decision {id} {LOOK}"), 3);
    assert_eq!(refused["code"], "ROLE_REQUIRED");

    // Decided, it is off the list; both versions are still there for a few days.
    desk.json(&format!("reconcile decide {id} --reason 已与对方核对以发方为准"));
    let decided = decision(&desk, id);
    assert_eq!(decided["difference"]["state"], "DECIDED");
    assert!(!decided["recipient_version"].is_null());
    world.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invented_version_is_shown_as_not_signed_by_the_sender() {
    let mut world = World::new();
    let here = world.clerk(0).await;
    let sent = exchange(&here, COUNTIES, 1, 1).await;
    let id = sent[0].as_str();
    let province = world.desk(PROVINCES[0]);
    let line = format!("reconcile run --with 44 --days {}", days());
    assert_eq!(one(&province.json(&line))["state"], "EQUAL");
    // The recipient's node is off; somebody with its key says and shows what was never sent.
    world.counties[1].kill();
    let (envelope, secret) = invented(&world, id).await;
    report_content(&world, 1, id, envelope.digest()).await;
    compare(&province);
    let desk = Desk::of(&world.network, COUNTIES[0], Role::Clerk);
    let listed = eventually("the clerk is told", || {
        let listed = desk.json("reconcile decisions")["differences"].clone();
        (!listed.as_array().unwrap().is_empty()).then_some(listed)
    });
    assert_eq!(listed[0]["message_id"], id);
    let before = decision(&desk, id);
    assert!(before["recipient_version"].is_null() && !before["sender_version"].is_null());
    let page = desk.text(&format!("reconcile decision {id} {LOOK}"));
    assert!(page.contains("has not shown its version yet"), "{page}");

    let version = claimed(&world, &envelope, secret);
    let mut unsigned = version.clone();
    let mut signature = unsigned.proof.receipt.signature.to_vec();
    *signature.last_mut().unwrap() ^= 1;
    unsigned.proof.receipt.signature = signature.into();
    let mut broken = version.clone();
    let sealed = &mut broken.secret.as_mut().unwrap().sealed;
    let mut bytes = sealed.to_vec();
    bytes[3] ^= 1;
    *sealed = bytes.into();
    let material = world.network.material(liar(&world));
    let node = &world.counties[0];
    let channel = dial(node.area, &node.endpoint(), &material).await.unwrap();
    let mut client = ReconcileClient::new(channel);
    for (version, code) in [(unsigned, "SIGNATURE_INVALID"), (broken, "SEALED_FOR_OTHER_KEY")] {
        let refused = client.show_version(version).await.unwrap_err();
        let CallError::Status(status) = &refused else { panic!("{refused}") };
        assert_eq!(office::code(status), code);
    }
    assert!(decision(&desk, id)["recipient_version"].is_null());
    client.show_version(version).await.unwrap();
    let shown = decision(&desk, id);
    let version = &shown["recipient_version"];
    assert_eq!(version["version_proof"], "NOT_SIGNED_BY_SENDER", "{shown}");
    assert_eq!((&version["version_signer"], &version["as_compared"]), (&"".into(), &true.into()));
    let page = desk.text(&format!("reconcile decision {id} {LOOK}"));
    assert!(page.contains("NOT SIGNED by the sender"), "{page}");
    assert!(page.contains('≠'), "{page}");
    world.never_panicked();
}

/// Somebody who has the key of the second county.
fn liar(world: &World) -> std::sync::Arc<trust::leaf::Identity> {
    world.network.node_certificate(area(COUNTIES[1])).identity
}

/// An envelope that the first county has never made, and what opens it, sealed for that county.
async fn invented(world: &World, id: &str) -> (SealedEnvelope, SealedFor) {
    let pair = SealingKeyPair::generate(&mut rand::rng());
    let sealer = Sealer::new(pair.public(), &mut rand::rng(), now()).unwrap();
    let header = Header {
        message_id: id.parse::<MessageId>().unwrap(),
        from: area(COUNTIES[0]),
        to: area(COUNTIES[1]),
        epoch: LaneEpoch::new(7),
        sequence: LaneSeq::FIRST,
        created: now(),
        expires: now().saturating_add(std::time::Duration::from_secs(86_400)),
        due: None,
        seal: sealer.next_seal().unwrap(),
    };
    let content = office::message(78, COUNTIES[0], COUNTIES[1], Kind::DepartureNotice);
    let body = pad(&wire::content::encode_content(&content)).unwrap();
    let bytes = wire::encode_header(&header);
    let sealed = sealer.seal(header.seal.counter, &bytes, body).unwrap();
    let secret = Opener::new(vec![pair]).reveal(&header.seal).unwrap();
    let envelope = SealedEnvelope::new(bytes, sealed);

    let (node, material) = (&world.counties[0], world.network.material(liar(world)));
    let channel = dial(node.area, &node.endpoint(), &material).await.unwrap();
    let card = NodeClient::new(channel).card().await.unwrap();
    let keys = wire::decode_card(&card.card_bytes).unwrap().sealing_keys;
    let key = SealingPublicKey::from_bytes(&keys[0].public_key).unwrap();
    let sealer = Sealer::new(&key, &mut rand::rng(), now()).unwrap();
    let seal = sealer.next_seal().unwrap();
    let SealHeader { recipient_key_id, encapsulated_key, counter, profile } = seal;
    assert_eq!(profile, AlgorithmProfile::International);
    let data = take_back_data(&envelope.header_bytes);
    let sealed = sealer.seal(counter, &data, pad(&secret).unwrap()).unwrap();
    let sealed = Bytes::from(sealed);
    (envelope, SealedFor { encapsulated_key, recipient_key_id, counter, sealed })
}

/// What the second county claims about it: a parcel that it has signed itself, and its own receipt.
fn claimed(world: &World, envelope: &SealedEnvelope, secret: SealedFor) -> HandedBack {
    let identity = liar(world);
    let (signer, chain) = (identity.signer_id(), identity.chain_der().to_vec());
    let header = wire::decode_header(&envelope.header_bytes).unwrap();
    let parcel = ParcelManifest {
        parcel_id: ParcelId::from_bytes(random()),
        from: header.from,
        to: header.to,
        count: 1,
        root: envelopes_root(&[envelope.digest()]),
        signed: now(),
        signer,
        withdrawn: Vec::new(),
    };
    let (message_id, digest) = (header.message_id, envelope.digest());
    let (outcome, duplicate, decided) = (Outcome::Stored, false, now());
    let said = Disposition { message_id, digest, outcome, duplicate, decided };
    let dispositions = vec![Bytes::from(wire::encode_disposition(&said))];
    let receipt = ReceiptManifest {
        parcel_id: parcel.parcel_id,
        parcel_root: parcel.root,
        from: header.to,
        to: header.from,
        count: 1,
        root: dispositions_root(&dispositions),
        ledger_head: LedgerHead { size: 9, root: Digest::of(b"head") },
        signed: now(),
        signer,
    };
    let (parcel, receipt) =
        (wire::encode_manifest(&parcel), wire::encode_receipt_manifest(&receipt));
    let sign = |context, bytes: &[u8]| Bytes::from(identity.sign(context, bytes).unwrap());
    let proof = ReceiptAgain {
        epoch: header.epoch,
        sequences: vec![header.sequence],
        parcel_signature: sign(SignContext::Parcel, &parcel),
        parcel_manifest: Bytes::from(parcel),
        parcel_chain: chain.clone(),
        receipt: Receipt {
            signature: sign(SignContext::Receipt, &receipt),
            manifest_bytes: Bytes::from(receipt),
            dispositions,
            chain,
        },
    };
    HandedBack { envelope: envelope.clone(), proof, secret: Some(secret), question_follows: false }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_cannot_be_called_gets_the_version_through_its_province() {
    let network = Network::new();
    let nodes = [
        (PROVINCES[0], vec![PROVINCES[1]]),
        (PROVINCES[1], vec![PROVINCES[0], COUNTIES[1]]),
        (COUNTIES[0], vec![PROVINCES[0]]),
        (COUNTIES[1], vec![PROVINCES[1]]),
    ];
    let mut nodes = nodes.map(|(own, peers)| network.node(own, &peers));
    nodes[2].configure(|text| {
        let text = text.replace("[delivery]\n", "[delivery]\ncollects = true\n");
        format!("{text}\n[reconcile]\nreport_every_s = 1\n")
    });
    // Restored, it does not know the sender's card at once, and shows its version when it does.
    nodes[3].configure(|text| format!("{text}\n[reconcile]\nreport_every_s = 1\n"));
    nodes.iter_mut().for_each(Node::start);
    let desk = |own: &str, role| Desk::of(&network, own, role);
    let here = office::connect(&network.operator("clerk", COUNTIES[0], Role::Clerk)).await;
    let backup = desk(COUNTIES[1], Role::Administrator).json("backup create");
    let sent = exchange(&here, COUNTIES, 1, 1).await;
    nodes[3].kill();
    restore(&nodes[3], &backup);
    nodes[3].start();
    let other = plant(&network, &nodes[3], &sent[0]).await;
    let province = desk(PROVINCES[0], Role::Administrator);
    let reported = now().get();
    eventually("the county has told what it has", || {
        let reports = province.json("reconcile reports");
        reports["reports"][0]["through_ms"].as_u64().filter(|through| *through > reported)
    });
    compare(&province);
    let shown = both(&desk(COUNTIES[0], Role::Clerk), &sent[0]);
    let version = &shown["recipient_version"];
    assert_eq!(version["version_proof"], "SIGNED_BY_SENDER", "{shown}");
    assert_eq!(version["content"]["person"]["name"], name_of(&other).as_str());
    nodes.iter().for_each(Node::never_panicked);
}
