//! Bad certificates, one a row: each is refused with its own code, by the verifier and in a handshake of TLS 1.3, both
//! when it is shown by a caller and by a node that is called.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "tests fail by panicking and say what they measured"
)]

mod der;
mod made;
mod shake;
mod table;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::area::AreaCode;
use trust::key::SigningKey;
use trust::leaf::Identity;
use trust::name::Suffix;
use trust::refused::Refused;
use trust::tls::{Api, TlsMaterial};
use trust::verify::Purpose;

use crate::shake::{Still, callee, caller, shake};
use crate::table::{Door, GOOD, NOT_TLS13, Row, all};
use crate::world::{ALICE, Chain, World, now};

fn area() -> AreaCode {
    "410522".parse().unwrap()
}

fn code(said: Result<(), Refused>) -> &'static str {
    said.map_or_else(|refused| refused.code(), |()| GOOD)
}

/// A good node of the same network that holds the lists of a row.
fn good_node(world: &World, lists: &[Vec<u8>]) -> TlsMaterial {
    let Chain { certificates, key } = world.node(|_| {});
    let pem = pem::encode(&pem::Pem::new("PRIVATE KEY", key.pkcs8));
    let key = SigningKey::from_pem(&pem).unwrap();
    let identity = Identity::new(certificates, key, &Suffix::default()).unwrap();
    TlsMaterial::new(Arc::new(identity), Arc::new(world.verifier(lists)))
        .with_clock(Arc::new(Still))
}

#[test]
fn the_table_has_what_can_be_wrong() {
    let world = World::new();
    let rows = all(&world);
    assert!(rows.len() >= 100, "{}", rows.len());
    let names: BTreeSet<_> = rows.iter().map(|row| row.what).collect();
    assert_eq!(names.len(), rows.len(), "two rows of one name");
    // Every code that is about a certificate is in it, but that of showing none, which has a test of its own.
    let said: BTreeSet<_> = rows
        .iter()
        .flat_map(|row| [Some(row.caller), Some(row.callee), row.handshake])
        .flatten()
        .collect();
    for refused in Refused::all(area(), area()) {
        let about_us = refused.code().starts_with("PEER_");
        let other = [Refused::NoCertificate, Refused::Protocol].contains(&refused);
        assert!(about_us || other || said.contains(refused.code()), "{}", refused.code());
    }
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    rows.iter().for_each(|row| *count.entry(row.caller).or_default() += 1);
    println!("{} bad chains: {count:?}", rows.len());
}

#[test]
fn the_verifier_refuses_each_with_its_own_code() {
    let world = World::new();
    let mut wrong = Vec::new();
    for row in all(&world) {
        let verifier = world.verifier(&row.lists);
        let mut check = |purpose, expected: &'static str| {
            // Twice: the second answer must not come from a cache of good ones.
            for _ in 0..2 {
                let said = verifier.verify(&row.chain.certificates, purpose, now()).map(drop);
                if code(said) != expected {
                    wrong.push(format!(
                        "{}: {} as {purpose:?}, not {expected}",
                        row.what,
                        code(said)
                    ));
                }
            }
        };
        match row.door {
            Door::Node => {
                check(Purpose::Node, row.caller);
                // Whom a caller wanted is not the verifier's question.
                check(
                    Purpose::NodeAsServer,
                    if row.callee == "WRONG_AREA" { GOOD } else { row.callee },
                );
            }
            Door::Office => check(Purpose::Operator, row.caller),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_node_turns_each_away_in_the_handshake() {
    let world = World::new();
    let mut wrong = Vec::new();
    for Row { what, chain, lists, door, caller: as_caller, callee: as_callee, handshake } in
        all(&world)
    {
        let node = good_node(&world, &lists);
        let api = if door == Door::Node { Api::Node } else { Api::Office };
        let [server, client] = shake(node.server_config(api).unwrap(), caller(Some(&chain)));
        let expected = handshake.unwrap_or(as_caller);
        let told =
            |said: Result<(), Refused>| said.is_err() || [GOOD, NOT_TLS13].contains(&expected);
        if code(server) != expected || !told(client) {
            wrong.push(format!("{what}: as a caller {server:?}, and was told {client:?}"));
        }
        if door == Door::Node {
            let ours = node.client_config(area()).unwrap();
            let [server, client] = shake(callee(&chain), ours);
            let expected = handshake.unwrap_or(as_callee);
            if code(client) != expected || !told(server) {
                wrong.push(format!("{what}: as a callee {client:?}, and was told {server:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn who_shows_no_certificate_is_turned_away() {
    let world = World::new();
    let node = good_node(&world, &world.lists());
    for api in [Api::Node, Api::Office] {
        let [server, client] = shake(node.server_config(api).unwrap(), caller(None));
        assert_eq!(server, Err(Refused::NoCertificate));
        assert_eq!(client, Err(Refused::TheyRefusedUs));
    }
    let none: [&[u8]; 0] = [];
    let said = world.verifier(&world.lists()).verify(&none, Purpose::Node, now());
    assert_eq!(said.unwrap_err(), Refused::NoCertificate);
}

/// The rows are bad for what was changed in them: unchanged, the same makings are good.
#[test]
fn what_was_not_changed_is_taken() {
    let world = World::new();
    let verifier = world.verifier(&world.lists());
    let node = good_node(&world, &world.lists());
    let good = world.node(|_| {});
    for purpose in [Purpose::Node, Purpose::NodeAsServer] {
        assert_eq!(verifier.verify(&good.certificates, purpose, now()).map(drop), Ok(()));
    }
    assert_eq!(shake(node.server_config(Api::Node).unwrap(), caller(Some(&good))), [Ok(()); 2]);
    assert_eq!(shake(callee(&good), node.client_config(area()).unwrap()), [Ok(()); 2]);
    let alice = world.operator(&["clerk"], |made| assert_eq!(made.subject[0], 0x30, "{ALICE}"));
    assert_eq!(verifier.verify(&alice.certificates, Purpose::Operator, now()).map(drop), Ok(()));
    assert_eq!(shake(node.server_config(Api::Office).unwrap(), caller(Some(&alice))), [Ok(()); 2]);
    // A CA that was made for one row has no list of its own; that is all that is wrong with it.
    let under = world.under(|_| {});
    let said = verifier.verify(&under.certificates, Purpose::Node, now()).map(drop);
    assert_eq!(said, Err(Refused::RevocationListInvalid));
    let but = verifier.verify_except_revocation(&under.certificates, Purpose::Node, now());
    assert!(but.is_ok());
}
