//! A peer is who its certificate says: everybody else is turned away with a clear line in the log, and nobody who is
//! in notices.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use domain::access::Role;
use domain::message::Kind;
use domain::time::UnixMillis;
use liangdi::delivery::link::dial;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, Stream};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use trust::key::SigningKey;
use trust::leaf::Identity;
use trust::name::{CertificateName, Suffix};
use wire::client::NodeClient;
use wire::pb::office::{Direction, ListPeersRequest, Stage};

use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::rogue::Rogue;
use crate::support::{area, eventually, eventually_async, in_time, now, office};

const DAY: Duration = Duration::from_secs(86_400);

/// A client that believes any server: what these tests are about is whom the server believes.
#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// The private key, over a file: it leaves its type in no other way.
fn private(identity: &Identity) -> PrivateKeyDer<'static> {
    let dir = tempfile::tempdir().unwrap();
    identity.key().save(&dir.path().join("key")).unwrap();
    PrivateKeyDer::from_pem_file(dir.path().join("key")).unwrap()
}

/// A TLS client that shows `identity`, or nothing.
fn client(
    identity: Option<&Identity>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = identity.chain().iter().map(|der| CertificateDer::from(der.clone()));
            builder.with_client_auth_cert(chain.collect(), private(identity)).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// Shakes hands and waits for the first byte of HTTP/2. The error text if the server does not send one; and
/// the port we called from.
fn knock(port: u16, config: ClientConfig) -> (Result<(), String>, u16) {
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let own = tcp.local_addr().unwrap().port();
    let name = ServerName::try_from("410522.41.liangdi.internal").unwrap();
    let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = Stream::new(&mut tls, &mut tcp);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let said = stream.write_all(preface).and_then(|()| stream.read_exact(&mut [0]));
    (said.map_err(|error| error.to_string()), own)
}

const TLS13: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// The code with which the node turns `identity` away at the node API.
fn turned_away(node: &Node, port: u16, identity: Option<&Identity>, code: &str) {
    let (said, own) = knock(port, client(identity, TLS13));
    assert!(said.is_err(), "was let in, and not turned away as {code}");
    let line = node.logged(code, Some(own));
    assert_eq!(line["level"], "WARN");
    let text = line["message"].as_str().unwrap();
    assert!(text.starts_with("turned away: ") && text.len() > 40, "{text}");
}

/// A friend who is connected all the while.
struct Friend(NodeClient);

impl Friend {
    async fn of(network: &Network, node: &Node) -> Self {
        let material = network.material(network.node_certificate(area("440305")).identity);
        Self(NodeClient::new(dial(node.area, &node.endpoint(), &material).await.unwrap()))
    }

    async fn is_served(&mut self) {
        in_time("a friend is served", self.0.card()).await.unwrap();
    }
}

/// A chain whose leaf somebody signed with the stolen key of a province's CA.
fn forged(network: &Network, ca: &str, name: &str) -> Identity {
    let stolen = SigningKey::load(&network.path(ca).join("ca.key")).unwrap();
    let authority = network.province(area(ca)).certificate();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let at = |millis: u64| {
        time::OffsetDateTime::from_unix_timestamp(i64::try_from(millis / 1000).unwrap()).unwrap()
    };
    params.not_before = at(now().get() - 60_000);
    params.not_after = at(now().get() + 86_400_000);
    let key = SigningKey::generate().unwrap();
    let issuer = Issuer::from_ca_cert_der(authority, &stolen).unwrap();
    let leaf = params.signed_by(&key, &issuer).unwrap();
    Identity::new(vec![leaf.der().to_vec(), authority.to_vec()], key, &Suffix::default()).unwrap()
}

fn node_at(network: &Network, code: &str, at: UnixMillis) -> Arc<Identity> {
    network.certify(&CertificateName::Node(area(code)), None, at).identity
}

fn operator(network: &Network) -> Arc<Identity> {
    let name = CertificateName::Operator { name: "alice".parse().unwrap(), area: area("410522") };
    network.certify(&name, Some(Role::Clerk), now()).identity
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_a_peer_is_turned_away() {
    let (network, strangers) = (Network::new(), Network::new());
    let mut node = network.node("410522", &["440305"]);
    node.start();
    let mut friend = Friend::of(&network, &node).await;
    let (door, desk) = (node.ports.node, node.ports.office);

    turned_away(&node, door, None, "NO_CERTIFICATE");
    friend.is_served().await;
    let stranger = node_at(&strangers, "440306", now());
    turned_away(&node, door, Some(&stranger), "WRONG_AUTHORITY");
    friend.is_served().await;
    let forged = forged(&network, "440000", "410523.41.liangdi.internal");
    turned_away(&node, door, Some(&forged), "WRONG_PROVINCE");
    let expired = node_at(&network, "440306", now().saturating_sub(91 * DAY));
    turned_away(&node, door, Some(&expired), "CERTIFICATE_EXPIRED");
    let early = node_at(&network, "440306", now().saturating_add(2 * DAY));
    turned_away(&node, door, Some(&early), "CERTIFICATE_NOT_YET_VALID");
    turned_away(&node, door, Some(&operator(&network)), "OPERATOR_NOT_NODE");
    turned_away(&node, desk, Some(&node_at(&network, "440306", now())), "NODE_NOT_OPERATOR");
    turned_away(&node, desk, None, "NO_CERTIFICATE");
    friend.is_served().await;

    // The same people with the right papers are let in.
    let (said, _) = knock(door, client(Some(&node_at(&network, "440306", now())), TLS13));
    assert_eq!(said, Ok(()));
    let (said, _) = knock(desk, client(Some(&operator(&network)), TLS13));
    assert_eq!(said, Ok(()));
    node.never_panicked();
    assert!(node.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_of_another_office_is_not_ours() {
    let network = Network::new();
    let mut node = network.node("410522", &[]);
    node.start();
    let mut theirs = network.operator("mallory", "440305", Role::Clerk);
    theirs.office = Some(node.office());
    theirs.area = Some(node.area);
    let mallory = office::connect(&theirs).await;
    let status = office::send(
        &mallory,
        "440305",
        &office::message(1, "410522", "440305", domain::message::Kind::DepartureNotice),
        "",
    )
    .await
    .unwrap_err();
    assert_eq!(office::code(&status), "UNAUTHENTICATED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_speak_tls13_is_turned_away() {
    let network = Network::new();
    let mut node = network.node("410522", &["440305"]);
    node.start();
    let mut friend = Friend::of(&network, &node).await;
    let good = node_at(&network, "440306", now());

    // Half a handshake: the first part of a hello, and then silence. It is given up in time.
    let mut silent = TcpStream::connect(("127.0.0.1", node.ports.node)).unwrap();
    silent.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]).unwrap();
    let silent_port = silent.local_addr().unwrap().port();

    for port in [node.ports.node, node.ports.office] {
        let config = client(Some(&good), &[&rustls::version::TLS12]);
        let (said, own) = knock(port, config);
        assert!(said.is_err());
        node.logged("NOT_TLS13", Some(own));

        for garbage in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0; 4096], &[0xFF; 70_000]] {
            let mut plain = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let own = plain.local_addr().unwrap().port();
            // It may hang up while we are still talking.
            let _cut = plain.write_all(garbage).is_err();
            node.logged("NOT_TLS13", Some(own));
            friend.is_served().await;
        }
        // Hanging up at once is no offence, and harms nobody.
        drop(TcpStream::connect(("127.0.0.1", port)).unwrap());
    }
    friend.is_served().await;
    node.logged("HANDSHAKE_TIMEOUT", Some(silent_port));
    silent.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let left = silent.read(&mut [0; 64]);
    assert!(!matches!(left, Ok(1..)), "nothing is said to who does not shake hands: {left:?}");
    friend.is_served().await;
    node.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_peer_is_refused_and_cut_off() {
    let network = Network::new();
    let mut node = network.node("410522", &["440305"]);
    node.start();
    let mut friend = Friend::of(&network, &node).await;
    let certified = network.node_certificate(area("440306"));
    let mut thief = Rogue::connect_as(&network, certified.identity.clone(), &node).await;
    let (_, letter) = thief.letter();
    assert_eq!(thief.deliver(vec![letter]).await.len(), 1);

    network.revoke(area("440306"), &certified.serial);
    network.publish_lists();
    // Without a restart: new handshakes are refused, and the open stream ends.
    node.logged("SENDER_REVOKED", None);
    turned_away(&node, node.ports.node, Some(&certified.identity), "CERTIFICATE_REVOKED");
    in_time("the stream is cut", thief.ended()).await;
    friend.is_served().await;

    // A certificate made in its place is as good as any.
    let again = node_at(&network, "440306", now());
    let (said, _) = knock(node.ports.node, client(Some(&again), TLS13));
    assert_eq!(said, Ok(()));
    assert!(node.runs());
    node.never_panicked();
}

/// Lists that cannot be read change nothing: what was in force stays in force, and the log says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spoilt_revocation_list_leaves_the_old_one_in_force() {
    let network = Network::new();
    let mut node = network.node("410522", &["440305"]);
    node.start();
    let mut friend = Friend::of(&network, &node).await;
    let certified = network.node_certificate(area("440306"));
    network.revoke(area("440306"), &certified.serial);
    network.publish_lists();
    eventually("the list is in force", || {
        let (said, _) = knock(node.ports.node, client(Some(&certified.identity), TLS13));
        said.is_err().then_some(())
    });
    std::fs::write(network.path("lists.pem"), b"-----BEGIN X509 CRL-----\nAAAA\n").unwrap();
    eventually("the log says so", || {
        node.log().contains("the old ones stay in force").then_some(())
    });
    turned_away(&node, node.ports.node, Some(&certified.identity), "CERTIFICATE_REVOKED");
    friend.is_served().await;
    assert!(node.runs());
}

/// A node whose peer was revoked does not bring it mail any more, although the line was open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_mail_is_brought_to_a_peer_that_was_revoked() {
    const AWAY: &str = "440305";
    let network = Network::new();
    let (mut home, mut away) = (network.node("410522", &[AWAY]), network.node(AWAY, &["410522"]));
    home.start();
    away.start();
    let at_home = office::connect(&network.operator("hua", "410522", Role::Clerk)).await;
    let at_away = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let mut messages = office::messages(3, "410522", AWAY);
    let mut next = || messages.next(Kind::DepartureNotice).unwrap();
    let sent = office::send_when_known(&at_home, AWAY, &next()).await;
    office::reaches(&at_home, &sent.message_id, Stage::Stored).await;

    network.revoke(area(AWAY), &away.serial);
    network.publish_lists();
    home.logged("CERTIFICATE_REVOKED", None);
    eventually_async("the line is down", || async {
        let mut client = at_home.status();
        let peers = client.list_peers(ListPeersRequest {}).await.unwrap().into_inner().peers;
        (!peers[0].connected && !peers[0].trouble.is_empty()).then_some(())
    })
    .await;
    // Nothing is sealed for it any more; what was accepted before that stays.
    let accepted = std::sync::Mutex::new(Vec::new());
    let refused = eventually_async("nothing is accepted for it any more", || {
        let (content, at_home, accepted) = (next(), &at_home, &accepted);
        async move {
            match office::send(at_home, AWAY, &content, "").await {
                Ok(sent) => accepted.lock().unwrap().push(sent.message_id),
                Err(refused) => return Some(office::code(&refused)),
            }
            None
        }
    });
    assert_eq!(refused.await, "PEER_CARD_MISSING");
    for id in accepted.into_inner().unwrap() {
        assert_eq!(office::track(&at_home, &id).await.stage(), Stage::Queued);
    }
    assert_eq!(office::list(&at_away, Direction::Received).await.len(), 1);
}
