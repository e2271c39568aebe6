//! What the TLS library asks about the other side, answered by the chain verifier.

use std::sync::Arc;

use domain::{area::AreaCode, time::UnixMillis};
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::{
    refused::Refused,
    verify::{ChainVerifier, PeerIdentity, Purpose},
};

/// The one signature scheme of the profile.
static ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[webpki::ring::ECDSA_P256_SHA256],
    mapping: &[(SignatureScheme::ECDSA_NISTP256_SHA256, &[webpki::ring::ECDSA_P256_SHA256])],
};

/// Judges who calls a server of ours.
#[derive(Debug)]
pub(super) struct CallerVerifier {
    chains: Arc<ChainVerifier>,
    purpose: Purpose,
    /// Subjects of the roots, so that a client with several certificates shows the right one.
    hints: Vec<DistinguishedName>,
}

impl CallerVerifier {
    pub(super) fn new(chains: Arc<ChainVerifier>, purpose: Purpose) -> Self {
        let subject = |anchor: &rustls_pki_types::TrustAnchor<'_>| {
            DistinguishedName::in_sequence(anchor.subject.as_ref())
        };
        let hints = chains.roots().anchors().iter().map(subject).collect();
        Self { chains, purpose, hints }
    }
}

/// Judges the node that a client of ours has called.
#[derive(Debug)]
pub(super) struct NodeVerifier {
    chains: Arc<ChainVerifier>,
    expected: AreaCode,
    /// Whether revocation is looked at.
    with_lists: bool,
}

impl NodeVerifier {
    pub(super) fn new(chains: Arc<ChainVerifier>, expected: AreaCode) -> Self {
        Self { chains, expected, with_lists: true }
    }

    pub(super) fn without_lists(chains: Arc<ChainVerifier>, expected: AreaCode) -> Self {
        Self { chains, expected, with_lists: false }
    }
}

fn verify(
    chains: &ChainVerifier,
    leaf: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    purpose: Purpose,
    with_lists: bool,
    now: UnixTime,
) -> Result<PeerIdentity, Refused> {
    let chain: Vec<&[u8]> =
        std::iter::once(leaf.as_ref()).chain(others.iter().map(AsRef::as_ref)).collect();
    let now = UnixMillis::new(now.as_secs().saturating_mul(1000));
    if with_lists {
        return Ok(chains.verify(&chain, purpose, now)?.identity.clone());
    }
    Ok(chains.verify_except_revocation(&chain, purpose, now)?.identity)
}

/// Never called: both configurations speak TLS 1.3 only.
fn no_tls12() -> Result<HandshakeSignatureValid, Error> {
    Err(Refused::Protocol.into())
}

impl ClientCertVerifier for CallerVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn client_auth_mandatory(&self) -> bool {
        true
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        verify(&self.chains, leaf, others, self.purpose, true, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &ALGORITHMS)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ALGORITHMS.supported_schemes()
    }
}

impl ServerCertVerifier for NodeVerifier {
    /// The name asked for is not looked at: it follows from the address dialled, which the
    /// directory may have wrong. Whom we meant is what counts.
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let (purpose, lists) = (Purpose::NodeAsServer, self.with_lists);
        let found = verify(&self.chains, leaf, others, purpose, lists, now)?.area();
        if found != self.expected {
            return Err(Refused::WrongArea { expected: self.expected, found }.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &ALGORITHMS)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ALGORITHMS.supported_schemes()
    }
}
