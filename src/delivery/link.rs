//! Dials a peer: TCP, TLS that proves the expected area, gRPC; and opens the one stream of mail.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

/// A peer that does not answer the call for so long counts as unreachable.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// A silent link is asked for a sign of life this often.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Bytes in flight on one stream: several parcels of a mebibyte.
const STREAM_WINDOW: u32 = 8 * 1024 * 1024;

/// A link that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
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

/// Dials `endpoint`; the server has to prove `name`, whatever address that is.
///
/// # Errors
/// [`DialError`].
pub async fn dial(
    endpoint: &str,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
) -> Result<Channel, DialError> {
    let wrong = || DialError::Endpoint { endpoint: endpoint.to_owned() };
    let uri: Uri = format!("http://{endpoint}").parse().map_err(|_| wrong())?;
    let connector = service_fn(move |uri: Uri| shake(uri, name.clone(), tls.clone()));
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
) -> io::Result<TlsStream> {
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    let tcp = TcpStream::connect(authority).await?;
    tcp.set_nodelay(true)?;
    let stream = TlsConnector::from(tls).connect(name, tcp).await?;
    Ok(TokioIo::new(stream))
}
