//! Whole handshakes of TLS 1.3 between a node and somebody who shows any chain, whatever its key can do.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, ServerConfig, ServerConnection,
    SignatureAlgorithm, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use trust::refused::Refused;
use trust::tls::ALPN;

use crate::made::NOW;
use crate::world::Chain;

/// The clock of this test.
#[derive(Debug)]
pub struct Still;

impl TimeProvider for Still {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(NOW).unwrap())))
    }
}

/// Shows a chain and signs with a P-256 key, whatever the other side asks for.
#[derive(Debug, Clone)]
struct Liar {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<dyn SigningKey>,
}

#[derive(Debug)]
struct Stubborn(Arc<dyn SigningKey>);

impl SigningKey for Stubborn {
    fn choose_scheme(&self, _offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        self.0.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256])
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Liar {
    fn new(chain: &Chain) -> Self {
        let key = PrivatePkcs8KeyDer::from(chain.key.pkcs8.clone()).into();
        let key = rustls::crypto::ring::sign::any_ecdsa_type(&key).unwrap();
        let chain = chain.certificates.iter().map(|der| CertificateDer::from(der.clone()));
        Self { chain: chain.collect(), key: Arc::new(Stubborn(key)) }
    }

    fn shown(&self) -> Arc<CertifiedKey> {
        Arc::new(CertifiedKey::new(self.chain.clone(), Arc::clone(&self.key)))
    }
}

impl ResolvesClientCert for Liar {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.shown())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl ResolvesServerCert for Liar {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.shown())
    }
}

/// Believes every server.
#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A caller that shows a chain, or none.
pub fn caller(chain: Option<&Chain>) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous));
    let mut config = match chain {
        Some(chain) => builder.with_client_cert_resolver(Arc::new(Liar::new(chain))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    Arc::new(config)
}

/// A server that shows a chain and asks its callers for nothing.
pub fn callee(chain: &Chain) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Liar::new(chain)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    Arc::new(config)
}

/// What each side makes of the other: first the server, then the client.
pub fn shake(server: Arc<ServerConfig>, client: Arc<ClientConfig>) -> [Result<(), Refused>; 2] {
    let name = ServerName::try_from("10.1.2.3").unwrap();
    let mut client = ClientConnection::new(client, name).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    let mut said = [Ok(()), Ok(())];
    for _ in 0..20 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut unread = wire.as_slice();
        while !unread.is_empty() && said[0].is_ok() {
            server.read_tls(&mut unread).unwrap();
            said[0] = server.process_new_packets().map(drop).map_err(|e| Refused::from_tls(&e));
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut unread = wire.as_slice();
        while !unread.is_empty() && said[1].is_ok() {
            client.read_tls(&mut unread).unwrap();
            said[1] = client.process_new_packets().map(drop).map_err(|e| Refused::from_tls(&e));
        }
    }
    if said == [Ok(()), Ok(())] {
        assert!(!client.is_handshaking() && !server.is_handshaking(), "neither done nor refused");
    }
    said
}
