//! Who the peer is: handshake, card, introduction.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::conformance::line::in_time;
use crate::conformance::{Deviation, Subject, ensure};
use crate::errors::chain;
use crate::time::SystemClock;

/// The preface of HTTP/2 and an empty SETTINGS frame (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Shows no certificate.
#[derive(Debug)]
struct Nobody;

impl ResolvesClientCert for Nobody {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

async fn shake(subject: &Subject, config: Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    let name = subject.material.server_name(subject.area).map_err(io::Error::other)?;
    let tcp = TcpStream::connect(&subject.endpoint).await?;
    TlsConnector::from(config).connect(name, tcp).await
}

/// The first byte of the peer's HTTP/2.
async fn first_byte(stream: &mut TlsStream<TcpStream>) -> io::Result<u8> {
    stream.write_all(PREFACE).await?;
    stream.flush().await?;
    stream.read_u8().await
}

fn config(subject: &Subject) -> Result<ClientConfig, Deviation> {
    let config = subject.material.client_config(subject.area);
    Ok(ClientConfig::clone(&*config.map_err(|e| Deviation::new(chain(&e)))?))
}

pub(super) async fn certificate_required(subject: &Subject) -> Result<(), Deviation> {
    let mut config = config(subject)?;
    config.client_auth_cert_resolver = Arc::new(Nobody);
    let served = in_time(async {
        let mut stream = shake(subject, Arc::new(config)).await?;
        first_byte(&mut stream).await
    });
    ensure(served.await?.is_err(), || "a caller without a certificate is served".to_owned())
}

pub(super) async fn protocol_offered(subject: &Subject) -> Result<(), Deviation> {
    let failed = |error: io::Error| Deviation::new(chain(&error));
    let config = Arc::new(config(subject)?);
    let mut stream = in_time(shake(subject, config)).await?.map_err(failed)?;
    in_time(first_byte(&mut stream)).await?.map_err(failed)?;
    let (_, tls) = stream.get_ref();
    let version = tls.protocol_version();
    ensure(version == Some(rustls::ProtocolVersion::TLSv1_3), || format!("{version:?}"))?;
    ensure(tls.alpn_protocol() == Some(b"h2"), || "the protocol is not h2".to_owned())
}

pub(super) async fn card_holds(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let signed = in_time(line.client.card()).await?;
    let signed = signed.map_err(|e| Deviation::new(chain(&e)))?;
    let now = SystemClock.now();
    let chains = subject.material.chains();
    let (bytes, signature) = (&signed.card_bytes, &signed.signature);
    trust::card::verify(chains, bytes, signature, &signed.chain, subject.area, now)
        .map_err(|refused| Deviation::new(refused.to_string()))?;
    let card = wire::decode_card(bytes).map_err(|e| Deviation::new(e.to_string()))?;
    ensure(card.area == subject.area, || format!("it names {}", card.area))?;
    ensure(card.holds_at(now), || "it does not hold now".to_owned())?;
    ensure(!card.sealing_keys.is_empty(), || "it has no sealing key".to_owned())
}

pub(super) async fn hello_first(subject: &Subject) -> Result<(), Deviation> {
    let line = subject.line().await?;
    ensure(line.hello.window_parcels > 0, || "its window is empty".to_owned())?;
    let (theirs, ours) = (line.hello.now, SystemClock.now());
    let apart = theirs.since(ours).max(ours.since(theirs));
    ensure(apart < Duration::from_secs(86_400), || format!("its clock is {apart:?} away"))
}
