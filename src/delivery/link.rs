//! Dials a peer: TCP, TLS that proves the expected area, gRPC.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::area::AreaCode;
use domain::time::UnixMillis;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;
use trust::tls::{ConfigError, TlsMaterial};
use wire::frame::{Hello, feature};

/// A peer that does not answer the call for so long counts as unreachable.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// A silent link is asked for a sign of life this often.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Bytes in flight on one stream: several parcels of a mebibyte.
const STREAM_WINDOW: u32 = 8 * 1024 * 1024;

/// A link that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Our certificate cannot be used, or the area cannot stand in a name.
    #[error(transparent)]
    Tls(#[from] ConfigError),
    /// The peer's endpoint is not an address gRPC can use.
    #[error("{endpoint} cannot be called")]
    Endpoint {
        /// As configured.
        endpoint: String,
    },
    /// Nobody answers, or the handshake failed; the source says which.
    #[error("{endpoint} cannot be reached")]
    Unreachable {
        /// As configured.
        endpoint: String,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
}

/// Dials `endpoint`; the server has to prove that it is the node of `area`, whatever address that is.
///
/// # Errors
/// [`DialError`].
pub async fn dial(
    area: AreaCode,
    endpoint: &str,
    material: &TlsMaterial,
) -> Result<Channel, DialError> {
    dial_and_see(area, endpoint, material, Arc::default()).await
}

/// The chain that the other end has shown.
pub(super) type Seen = Arc<OnceLock<Vec<CertificateDer<'static>>>>;

/// The same; the chain that the other end shows goes to `seen`.
pub(super) async fn dial_and_see(
    area: AreaCode,
    endpoint: &str,
    material: &TlsMaterial,
    seen: Seen,
) -> Result<Channel, DialError> {
    let (name, tls) = (material.server_name(area)?, material.client_config(area)?);
    let wrong = || DialError::Endpoint { endpoint: endpoint.to_owned() };
    let uri: Uri = format!("http://{endpoint}").parse().map_err(|_| wrong())?;
    let connector = service_fn(move |uri: Uri| shake(uri, name.clone(), tls.clone(), seen.clone()));
    Endpoint::from(uri)
        .connect_timeout(DIAL_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(STREAM_WINDOW)
        .connect_with_connector(connector)
        .await
        .map_err(|source| DialError::Unreachable { endpoint: endpoint.to_owned(), source })
}

type TlsStream = TokioIo<tokio_rustls::client::TlsStream<TcpStream>>;

async fn shake(
    uri: Uri,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
    seen: Seen,
) -> io::Result<TlsStream> {
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    let tcp = TcpStream::connect(authority).await?;
    tcp.set_nodelay(true)?;
    let stream = TlsConnector::from(tls).connect(name, tcp).await?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    // A channel that connects again has met the same area; the first chain is that of our stream.
    seen.get_or_init(|| chain.iter().map(|der| der.clone().into_owned()).collect());
    Ok(TokioIo::new(stream))
}

/// Our introduction; `window_parcels` is what we take in flight, 0 where we take nothing. `collects` asks the other end for
/// our mail.
pub(crate) fn hello(now: UnixMillis, window_parcels: u32, collects: bool) -> Hello {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let features = feature::ALL.map(str::to_owned).to_vec();
    Hello { version, features, now, window_parcels, collects }
}
