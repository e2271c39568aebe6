//! Whole handshakes over buffers in memory: who gets in, who does not, and what each side learns.

use std::io::{Read as _, Write as _};

use domain::{access::Role, hex::hex};
use rustls::{
    ClientConnection, ServerConnection,
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS12,
};
use rustls_pki_types::UnixTime;

use super::*;
use crate::{
    authority::RevocationReason, crl::GRACE_DEFAULT, key::SigningKey, leaf::request, samples::*,
    verify::ChainVerifier,
};

/// A clock that stands still.
#[derive(Debug)]
struct Still(UnixMillis);

impl TimeProvider for Still {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.0.get())))
    }
}

/// What each side made of the other.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    server: Result<(), Refused>,
    client: Result<(), Refused>,
}

const GOOD: Outcome = Outcome { server: Ok(()), client: Ok(()) };

/// Carries bytes to and fro until neither side has more to say.
fn shake(server: Arc<ServerConfig>, client: Arc<ClientConfig>) -> Outcome {
    // The address dialled says nothing about whom we want.
    let name = ServerName::try_from("10.1.2.3").unwrap();
    let mut client = ClientConnection::new(client, name).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    let mut outcome = Outcome { server: Ok(()), client: Ok(()) };
    for _ in 0..20 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut unread = wire.as_slice();
        while !unread.is_empty() && outcome.server.is_ok() {
            server.read_tls(&mut unread).unwrap();
            if let Err(error) = server.process_new_packets() {
                outcome.server = Err(Refused::from_tls(&error));
            }
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut unread = wire.as_slice();
        while !unread.is_empty() && outcome.client.is_ok() {
            client.read_tls(&mut unread).unwrap();
            if let Err(error) = client.process_new_packets() {
                outcome.client = Err(Refused::from_tls(&error));
            }
        }
    }
    if outcome == GOOD {
        assert!(!client.is_handshaking() && !server.is_handshaking());
        assert_eq!(client.alpn_protocol(), Some(ALPN));
        assert_eq!(server.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
        exchange_bytes(&mut client, &mut server);
    }
    outcome
}

fn exchange_bytes(client: &mut ClientConnection, server: &mut ServerConnection) {
    client.writer().write_all(b"hello").unwrap();
    let mut wire = Vec::new();
    client.write_tls(&mut wire).unwrap();
    server.read_tls(&mut wire.as_slice()).unwrap();
    server.process_new_packets().unwrap();
    let mut read = [0; 5];
    server.reader().read_exact(&mut read).unwrap();
    assert_eq!(&read, b"hello");
}

struct World {
    net: Net,
    now: UnixMillis,
}

impl World {
    fn new() -> Self {
        Self { net: Net::new(), now: NOW }
    }

    fn material(&self, identity: Identity) -> TlsMaterial {
        let lists = self.net.lists(self.now);
        self.net.material(identity, lists).with_clock(Arc::new(Still(self.now)))
    }

    fn node(&self, code: &str) -> TlsMaterial {
        self.material(self.net.node(code))
    }

    fn alice(&self) -> TlsMaterial {
        self.material(self.net.operator("alice", "410522", Role::Clerk))
    }
}

fn call(server: &TlsMaterial, api: Api, client: &TlsMaterial, expected: &str) -> Outcome {
    let client = client.client_config(area(expected)).unwrap();
    shake(server.server_config(api).unwrap(), client)
}

fn refused(server: Refused, client: Refused) -> Outcome {
    Outcome { server: Err(server), client: Err(client) }
}

#[test]
fn nodes_call_nodes_and_operators_call_offices() {
    let world = World::new();
    let (here, there, alice) = (world.node("410522"), world.node("440305"), world.alice());
    assert_eq!(call(&there, Api::Node, &here, "440305"), GOOD);
    assert_eq!(call(&here, Api::Node, &there, "410522"), GOOD);
    assert_eq!(call(&here, Api::Office, &alice, "410522"), GOOD);
}

#[test]
fn each_door_is_for_its_own_kind() {
    let world = World::new();
    let (here, there, alice) = (world.node("410522"), world.node("440305"), world.alice());
    assert_eq!(
        call(&here, Api::Node, &alice, "410522"),
        refused(Refused::OperatorNotNode, Refused::TheyRefusedUs)
    );
    assert_eq!(
        call(&here, Api::Office, &there, "410522"),
        refused(Refused::NodeNotOperator, Refused::TheyRefusedUs)
    );
}

#[test]
fn the_wrong_node_is_not_taken_for_the_right_one() {
    let world = World::new();
    let (here, there) = (world.node("410522"), world.node("440305"));
    let outcome = call(&there, Api::Node, &here, "440306");
    let wrong = Refused::WrongArea { expected: area("440306"), found: area("440305") };
    assert_eq!(outcome.client, Err(wrong));
    // An operator's key cannot pose as a node either.
    let impostor = call(&world.alice(), Api::Node, &here, "410522");
    assert_eq!(impostor.client, Err(Refused::WrongUsage));
}

#[test]
fn another_network_is_another_world() {
    let (world, other) = (World::new(), World::new());
    let (here, stranger) = (world.node("410522"), other.node("440305"));
    let outcome = call(&here, Api::Node, &stranger, "410522");
    assert_eq!(outcome.client, Err(Refused::WrongAuthority));
    // A stranger that does not mind whom it calls is refused by the server.
    let open = mixed(&stranger, &here);
    assert_eq!(
        call(&here, Api::Node, &open, "410522"),
        refused(Refused::WrongAuthority, Refused::TheyDoNotKnowOurAuthority)
    );
}

/// The identity of one, the judgement of another.
fn mixed(identity: &TlsMaterial, judge: &TlsMaterial) -> TlsMaterial {
    TlsMaterial { identity: Arc::clone(identity.identity()), ..judge.clone() }
}

#[test]
fn times_are_checked_on_both_sides_and_told() {
    let world = World::new();
    let (here, there) = (world.node("410522"), world.node("440305"));
    let at = |material: &TlsMaterial, at: UnixMillis| {
        let lists = world.net.lists(at);
        material.with_lists(lists).with_clock(Arc::new(Still(at)))
    };
    // The server's clock is far ahead: it finds the client expired and says so.
    let late = at(&there, days_later(91));
    assert_eq!(
        call(&late, Api::Node, &here, "440305"),
        refused(Refused::Expired, Refused::TheyFoundUsExpired)
    );
    let early = at(&there, UnixMillis::new(NOW.get() - DAY_MS));
    assert_eq!(
        call(&early, Api::Node, &here, "440305"),
        refused(Refused::NotYetValid, Refused::TheyFoundUsExpired)
    );
    let client = call(&there, Api::Node, &at(&here, days_later(91)), "440305");
    assert_eq!(client, refused(Refused::TheyFoundUsExpired, Refused::Expired));
    // Five minutes behind is forgiven.
    let behind = at(&there, UnixMillis::new(NOW.get() - 4 * 60 * 1000));
    assert_eq!(call(&behind, Api::Node, &here, "440305"), GOOD);
}

#[test]
fn revocation_counts_from_the_next_list_on_for_both_sides_and_open_connections() {
    let world = World::new();
    let (here, there) = (world.node("410522"), world.node("440305"));
    let chain: Vec<CertificateDer<'static>> = there.chain();
    let serial = hex(&there.identity().leaf().serial);
    world.net.guangdong.revoke(&serial, RevocationReason::KeyCompromise, NOW).unwrap();
    assert_eq!(call(&here, Api::Node, &there, "410522"), GOOD);
    assert_eq!(here.still_holds(&chain, Api::Node, NOW).unwrap().area(), area("440305"));

    let here = here.with_lists(world.net.lists(NOW));
    assert_eq!(
        call(&here, Api::Node, &there, "410522"),
        refused(Refused::Revoked, Refused::TheyFoundUsRevoked)
    );
    let calling = call(&there, Api::Node, &here, "440305");
    assert_eq!(calling, refused(Refused::TheyFoundUsRevoked, Refused::Revoked));
    assert_eq!(here.still_holds(&chain, Api::Node, NOW), Err(Refused::Revoked));
}

#[test]
fn without_a_fresh_list_nobody_gets_in() {
    let world = World::new();
    let (here, there) = (world.node("410522"), world.node("440305"));
    let bare = here.with_lists(RevocationLists::new(vec![], GRACE_DEFAULT));
    assert_eq!(
        call(&bare, Api::Node, &there, "410522"),
        refused(Refused::RevocationListMissing, Refused::TheyDoNotKnowOurAuthority)
    );
    let on = |days| here.clone().with_clock(Arc::new(Still(days_later(days))));
    let caller = |days| {
        let lists = world.net.lists(days_later(days));
        there.with_lists(lists).with_clock(Arc::new(Still(days_later(days))))
    };
    assert_eq!(call(&on(13), Api::Node, &caller(13), "410522"), GOOD);
    assert_eq!(
        call(&on(15), Api::Node, &caller(15), "410522"),
        refused(Refused::RevocationListTooOld, Refused::TheyDoNotKnowOurAuthority)
    );
}

#[test]
fn an_operator_without_lists_judges_all_but_revocation_and_a_node_judges_all() {
    let world = World::new();
    let (here, alice) = (world.node("410522"), world.alice());
    let bare =
        |material: &TlsMaterial| material.with_lists(RevocationLists::new(vec![], GRACE_DEFAULT));
    let call = |server: &TlsMaterial, client: &TlsMaterial, code: &str| {
        let config = bare(client).client_config_without_lists(area(code)).unwrap();
        shake(server.server_config(Api::Office).unwrap(), config)
    };
    assert_eq!(call(&here, &alice, "410522"), GOOD);
    let wrong = Refused::WrongArea { expected: area("410523"), found: area("410522") };
    assert_eq!(call(&here, &alice, "410523").client, Err(wrong));
    let stranger = World::new().node("410522");
    assert_eq!(call(&stranger, &alice, "410522").client, Err(Refused::WrongAuthority));
    let late = alice.clone().with_clock(Arc::new(Still(days_later(91))));
    assert_eq!(call(&here, &late, "410522").client, Err(Refused::Expired));
    let node = world.node("410523");
    assert_eq!(call(&here, &node, "410522").client, Err(Refused::RevocationListMissing));
}

fn client_builder(
    judge: &TlsMaterial,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let node = NodeVerifier::new(Arc::clone(judge.chains()), area("410522"));
    ClientConfig::builder_with_details(provider(), Arc::clone(&judge.clock))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(node))
}

#[test]
fn nobody_gets_in_without_a_certificate_or_below_tls_1_3() {
    let world = World::new();
    let (here, there) = (world.node("410522"), world.node("440305"));
    for api in [Api::Node, Api::Office] {
        let server = here.server_config(api).unwrap();
        let mut bare = client_builder(&there, &[&TLS13]).with_no_client_auth();
        bare.alpn_protocols = vec![ALPN.to_vec()];
        assert_eq!(
            shake(Arc::clone(&server), Arc::new(bare)),
            refused(Refused::NoCertificate, Refused::TheyRefusedUs)
        );
        let key = there.identity().key().to_der();
        let mut old =
            client_builder(&there, &[&TLS12]).with_client_auth_cert(there.chain(), key).unwrap();
        old.alpn_protocols = vec![ALPN.to_vec()];
        assert_eq!(
            shake(Arc::clone(&server), Arc::new(old)),
            refused(Refused::Protocol, Refused::Protocol)
        );
        let mut web = ClientConfig::clone(&there.client_config(area("410522")).unwrap());
        web.alpn_protocols = vec![b"http/1.1".to_vec()];
        assert_eq!(shake(server, Arc::new(web)), refused(Refused::Protocol, Refused::Protocol));
    }
}

#[test]
fn a_copied_certificate_is_worth_nothing_without_its_key() {
    let world = World::new();
    let (here, there) = (world.node("410522"), world.node("440305"));
    let own = SigningKey::generate().unwrap();
    let key = rustls::crypto::ring::sign::any_ecdsa_type(&own.to_der()).unwrap();
    let copied = Arc::new(SingleCertAndKey::from(CertifiedKey::new(there.chain(), key)));
    let mut client = client_builder(&there, &[&TLS13]).with_client_cert_resolver(copied);
    client.alpn_protocols = vec![ALPN.to_vec()];
    assert_eq!(
        shake(here.server_config(Api::Node).unwrap(), Arc::new(client)),
        refused(Refused::BadSignature, Refused::TheyRefusedUs)
    );
}

#[test]
fn keys_of_other_kinds_cannot_even_sign() {
    let world = World::new();
    let here = world.node("410522");
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let leaf = world.net.forge("440000", &node_params("440305.44.liangdi.internal"), &other);
    let chain = vec![leaf.into(), world.net.guangdong.certificate().clone()];
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(other.serialize_der()).into();
    let mut client = client_builder(&here, &[&TLS13]).with_client_auth_cert(chain, key).unwrap();
    client.alpn_protocols = vec![ALPN.to_vec()];
    // The server offers the one scheme of the profile, so the client has nothing to answer with.
    let outcome = shake(here.server_config(Api::Node).unwrap(), Arc::new(client));
    assert_eq!(outcome.server, Err(Refused::NoCertificate));
}

#[test]
fn no_session_is_ever_resumed() {
    let world = World::new();
    let (here, there) = (world.node("410522"), world.node("440305"));
    let server = here.server_config(Api::Node).unwrap();
    let client = there.client_config(area("410522")).unwrap();
    for _ in 0..3 {
        let name = here.server_name(area("410522")).unwrap();
        let mut caller = ClientConnection::new(Arc::clone(&client), name).unwrap();
        let mut callee = ServerConnection::new(Arc::clone(&server)).unwrap();
        for _ in 0..5 {
            let mut wire = Vec::new();
            while caller.wants_write() {
                caller.write_tls(&mut wire).unwrap();
            }
            let mut unread = wire.as_slice();
            while !unread.is_empty() {
                callee.read_tls(&mut unread).unwrap();
                callee.process_new_packets().unwrap();
            }
            let mut wire = Vec::new();
            while callee.wants_write() {
                callee.write_tls(&mut wire).unwrap();
            }
            let mut unread = wire.as_slice();
            while !unread.is_empty() {
                caller.read_tls(&mut unread).unwrap();
                caller.process_new_packets().unwrap();
            }
        }
        assert_eq!(caller.handshake_kind(), Some(rustls::HandshakeKind::Full));
    }
}

/// Writes the files of an identity and says where they are.
fn files(net: &Net, identity: &Identity) -> TlsPaths {
    let path = |name: &str| net.dir.path().join(name);
    let pem = |der: &[u8]| crate::files::pem_block("CERTIFICATE", der);
    let chain: String = identity.chain().iter().map(|der| pem(der)).collect();
    std::fs::write(path("node.pem"), chain).unwrap();
    identity.key().save(&path("node.key")).unwrap();
    std::fs::write(path("root.pem"), net.root.certificate_pem()).unwrap();
    let lists: String = net.lists(NOW).iter().map(RevocationList::pem).collect();
    std::fs::write(path("lists.pem"), lists).unwrap();
    TlsPaths {
        chain: path("node.pem"),
        key: path("node.key"),
        root: path("root.pem"),
        lists: vec![path("lists.pem")],
    }
}

#[test]
fn material_is_loaded_from_files_and_errors_name_the_file() {
    let net = Net::new();
    let paths = files(&net, &net.node("410522"));
    let load =
        |paths: &TlsPaths, at| TlsMaterial::load(paths, &Suffix::default(), GRACE_DEFAULT, at);
    let loaded = load(&paths, NOW).unwrap().with_clock(Arc::new(Still(NOW)));
    assert_eq!(loaded.identity().area(), area("410522"));
    assert_eq!(loaded.chains().lists().iter().count(), 3);
    assert_eq!(call(&loaded, Api::Node, &loaded, "410522"), GOOD);

    let error = load(&paths, days_later(100)).unwrap_err();
    assert!(matches!(error, LoadError::Own { source: Refused::Expired, .. }), "{error}");
    for (which, name) in [(0, "node.pem"), (1, "node.key"), (2, "root.pem"), (3, "lists.pem")] {
        let mut broken = paths.clone();
        let nothing = net.dir.path().join(format!("no-{name}"));
        match which {
            0 => broken.chain = nothing,
            1 => broken.key = nothing,
            2 => broken.root = nothing,
            _ => broken.lists = vec![nothing],
        }
        let text =
            format!("{:#?} {}", load(&broken, NOW).unwrap_err(), load(&broken, NOW).unwrap_err());
        assert!(text.contains(name), "{text}");
    }
    let other = request(&CertificateName::Node(area("410522")), &Suffix::default()).unwrap();
    let other_key = net.dir.path().join("other.key");
    other.key.save(&other_key).unwrap();
    let mixed = TlsPaths { key: other_key, ..paths.clone() };
    let error = load(&mixed, NOW).unwrap_err();
    assert!(error.to_string().contains("other.key"), "{error}");
    let stranger = TlsPaths { root: net.dir.path().join("stranger.pem"), ..paths };
    std::fs::write(&stranger.root, Net::new().root.certificate_pem()).unwrap();
    let error = load(&stranger, NOW).unwrap_err();
    assert!(matches!(error, LoadError::Own { source: Refused::WrongAuthority, .. }), "{error}");
}

#[test]
fn a_network_of_another_suffix_works_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let suffix: Suffix = "pk.example".parse().unwrap();
    let root =
        crate::authority::RootAuthority::create(&dir.path().join("r"), &suffix, NOW).unwrap();
    let henan = dir.path().join("p");
    let henan =
        crate::authority::ProvinceAuthority::create(&henan, &root, area("410000"), NOW).unwrap();
    let asked = request(&CertificateName::Node(area("410522")), &suffix).unwrap();
    let issued = henan.issue_node(&asked.csr_pem, area("410522"), NOW).unwrap();
    let chain = vec![issued.der.to_vec(), henan.certificate().to_vec()];
    let identity = Identity::new(chain, asked.key, &suffix).unwrap();
    let lists = vec![root.revocation_list(NOW).unwrap(), henan.revocation_list(NOW).unwrap()];
    let roots = Roots::new(vec![root.certificate().clone()]).unwrap();
    let chains = ChainVerifier::new(roots, suffix, RevocationLists::new(lists, GRACE_DEFAULT));
    let material =
        TlsMaterial::new(Arc::new(identity), Arc::new(chains)).with_clock(Arc::new(Still(NOW)));
    assert_eq!(call(&material, Api::Node, &material, "410522"), GOOD);
}
