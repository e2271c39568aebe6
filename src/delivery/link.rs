//! Dials a peer: TCP, TLS that proves the expected area, gRPC; and opens the one stream of mail.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::area::AreaCode;
use domain::time::UnixMillis;
use exchange::parcel::Parcel;
use exchange::receipt::Receipt;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;
use trust::tls::{ConfigError, TlsMaterial};
use trust::verify::Purpose;
use wire::client::NodeClient;
use wire::frame::{Frame, Hello, feature};

use super::identity::NodeIdentity;
use super::outbound::Incoming;
use crate::errors::chain;
use crate::time::SystemClock;

/// A peer that does not answer the call for so long counts as unreachable.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// A silent link is asked for a sign of life this often.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Parcels that may wait for the stream; more than any window.
const OUT_QUEUE: usize = 128;
/// A peer that has connected but says nothing for so long is left.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes in flight on one stream: several parcels of a mebibyte.
const STREAM_WINDOW: u32 = 8 * 1024 * 1024;

/// What comes from a link.
#[derive(Debug)]
pub(super) enum LinkEvent {
    /// The stream stands and the peer has introduced itself.
    Up {
        /// What it said.
        hello: Hello,
        /// Where parcels go.
        out: mpsc::Sender<Parcel>,
        /// Its clock less ours, milliseconds.
        skew_ms: i64,
    },
    /// The peer answered a parcel.
    Receipt(Receipt),
    /// The link ended, or never stood.
    Lost {
        /// Why, for the log and the status.
        why: String,
    },
}

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
type Seen = Arc<OnceLock<Vec<CertificateDer<'static>>>>;

async fn dial_and_see(
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

/// Opens the stream of mail to a peer and reports what comes of it, until it ends.
pub(super) async fn open(
    area: AreaCode,
    endpoint: String,
    identity: Arc<NodeIdentity>,
    number: u64,
    events: mpsc::Sender<Incoming>,
) {
    let why = match carry(area, &endpoint, &identity, number, &events).await {
        Ok(()) => "the peer ended the stream".to_owned(),
        Err(why) => why,
    };
    // The courier is gone when nobody listens.
    let lost = Incoming::Link(number, LinkEvent::Lost { why });
    let _gone = events.send(lost).await.is_err();
}

async fn carry(
    area: AreaCode,
    endpoint: &str,
    identity: &NodeIdentity,
    number: u64,
    events: &mpsc::Sender<Incoming>,
) -> Result<(), String> {
    let (mut looked, seen) = (identity.looked(), Seen::default());
    let channel = dial_and_see(area, endpoint, &identity.material(), seen.clone()).await;
    let channel = channel.map_err(|e| chain(&e))?;
    let (out, parcels) = mpsc::channel(OUT_QUEUE);
    let hello = Frame::Hello(hello(SystemClock.now(), 0));
    let outgoing = tokio_stream::once(hello).chain(ReceiverStream::new(parcels).map(Frame::Parcel));
    let mut incoming = NodeClient::new(channel).exchange(outgoing).await.map_err(|e| chain(&e))?;
    let first = tokio::time::timeout(HELLO_TIMEOUT, incoming.next()).await;
    let hello = match first.map_err(|_| "the peer does not introduce itself")? {
        Some(Ok(Frame::Hello(hello))) => hello,
        Some(Ok(_)) => return Err("the peer does not introduce itself".to_owned()),
        Some(Err(error)) => return Err(chain(&error)),
        None => return Ok(()),
    };
    let skew_ms = hello.now.get().cast_signed().wrapping_sub(SystemClock.now().get().cast_signed());
    let up = LinkEvent::Up { hello, out, skew_ms };
    if events.send(Incoming::Link(number, up)).await.is_err() {
        return Ok(());
    }
    loop {
        let frame = tokio::select! {
            frame = incoming.next() => frame,
            Ok(()) = looked.changed() => {
                still_holds(area, &seen, identity)?;
                continue;
            }
        };
        let Some(frame) = frame else { return Ok(()) };
        match frame.map_err(|e| chain(&e))? {
            Frame::Receipt(receipt) => {
                let event = Incoming::Link(number, LinkEvent::Receipt(receipt));
                if events.send(event).await.is_err() {
                    return Ok(());
                }
            }
            // Mail for us over this stream is not asked for; a later hello says nothing new.
            Frame::Parcel(_)
            | Frame::Hello(_)
            | Frame::Custody(_)
            | Frame::Returned(_)
            | Frame::ReturnTaken(_) => {}
        }
    }
}

/// Looks at the other end again, as certificates and revocation lists are now.
fn still_holds(area: AreaCode, seen: &Seen, identity: &NodeIdentity) -> Result<(), String> {
    let chain = seen.get().map(Vec::as_slice).unwrap_or_default();
    let material = identity.material();
    let held = material.chains().verify(chain, Purpose::NodeAsServer, SystemClock.now());
    held.map(drop).map_err(|refused| {
        tracing::warn!(peer = %area, code = refused.code(), "the link is cut: {refused}");
        refused.to_string()
    })
}

/// Our introduction; `window_parcels` is what we take in flight, 0 where we take nothing.
pub(crate) fn hello(now: UnixMillis, window_parcels: u32) -> Hello {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let features = feature::ALL.map(str::to_owned).to_vec();
    Hello { version, features, now, window_parcels, collects: false }
}
