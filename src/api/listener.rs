//! Accepts TCP, shakes hands in TLS with a client certificate, and says clearly whom it turned away and why.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use trust::name::Suffix;
use trust::refused::Refused;
use trust::tls::Api;
use trust::verify::{PeerIdentity, caller_from_chain};

use super::connection::{Connection, Open, Remote};
use super::door::{Door, Knock, TooMany};
use crate::tasks::Tasks;

/// A handshake that takes longer is given up; half a handshake holds nothing for longer than this.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes at one time; more callers wait in the kernel's queue.
const HANDSHAKES_MAX: usize = 256;
/// Connections that are shaken hands with but not yet taken by the server.
const ACCEPTED_QUEUE: usize = 64;

/// A listening address with the TLS configuration that is in force at each accept.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    api: Api,
    tls: Arc<ArcSwap<ServerConfig>>,
    door: Door,
    open: Open,
    suffix: Suffix,
}

impl Listener {
    /// Binds `address` for `api`.
    ///
    /// # Errors
    /// What the operating system says, with the address.
    pub async fn bind(
        address: SocketAddr,
        api: Api,
        tls: Arc<ArcSwap<ServerConfig>>,
        suffix: Suffix,
    ) -> io::Result<Self> {
        let tcp = TcpListener::bind(address).await.map_err(|e| {
            io::Error::new(e.kind(), format!("cannot listen on {address} for the {api} API: {e}"))
        })?;
        Ok(Self { tcp, api, tls, door: Door::default(), open: Open::default(), suffix })
    }

    /// The same with at most so many connections of one caller at a time.
    #[must_use]
    pub fn with_connections_per_caller(self, per_caller: usize) -> Self {
        Self { open: Open::new(per_caller), ..self }
    }

    /// The address it listens on, with the real port.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// The open connections.
    #[must_use]
    pub fn open(&self) -> Open {
        self.open.clone()
    }

    /// Starts to accept; the stream yields connections until the node stops.
    pub fn accept(self, tasks: &Tasks) -> ReceiverStream<io::Result<Connection>> {
        let (accepted, incoming) = mpsc::channel(ACCEPTED_QUEUE);
        let slots = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        let own_tasks = tasks.clone();
        let mut stopping = tasks.stopping();
        tasks.spawn("accept", async move {
            loop {
                let Ok(slot) = slots.clone().acquire_owned().await else { return };
                let stream = tokio::select! {
                    () = stopping.stopped() => return,
                    accepted = self.tcp.accept() => accepted,
                };
                match stream {
                    Ok((tcp, address)) => {
                        if let Some(knock) = self.knock(address) {
                            let places = (slot, knock);
                            own_tasks
                                .spawn("handshake", self.shake(tcp, address, places, &accepted));
                        }
                    }
                    // Out of file descriptors, most likely: wait for some to come back.
                    Err(error) => {
                        tracing::warn!(%error, api = %self.api, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        });
        ReceiverStream::new(incoming)
    }

    /// A place at the door; none when too many are there, and then the connection is closed.
    fn knock(&self, address: SocketAddr) -> Option<Knock> {
        match self.door.knock(address.ip(), self.open.len()) {
            Ok(knock) => Some(knock),
            // One line an address: a flood of connections must not become a flood of lines.
            Err(TooMany::First) => {
                let (api, code) = (self.api, "RATE_LIMITED");
                tracing::warn!(%api, %address, code, "turned away: too many connections at one time");
                None
            }
            Err(TooMany::Again) => None,
        }
    }

    fn shake(
        &self,
        tcp: TcpStream,
        address: SocketAddr,
        places: (OwnedSemaphorePermit, Knock),
        accepted: &mpsc::Sender<io::Result<Connection>>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let acceptor = TlsAcceptor::from(self.tls.load_full());
        let (api, open, suffix) = (self.api, self.open.clone(), self.suffix.clone());
        let accepted = accepted.clone();
        async move {
            let (slot, knock) = places;
            let stream = shake_hands(acceptor, tcp, api, address).await;
            drop(slot);
            let Some(stream) = stream else { return };
            let Some(remote) = who_is_it(&stream, &suffix, api, address) else { return };
            let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
            let chain = certificates.iter().map(|c| c.clone().into_owned()).collect();
            let connection = Connection::new(stream, remote, chain, &open);
            drop(knock);
            // The receiver is gone only when the server has stopped; then the connection closes.
            let _stopped = accepted.send(Ok(connection)).await.is_err();
        }
    }
}

async fn shake_hands(
    acceptor: TlsAcceptor,
    tcp: TcpStream,
    api: Api,
    address: SocketAddr,
) -> Option<TlsStream<TcpStream>> {
    let shaken = async {
        tcp.set_nodelay(true)?;
        acceptor.accept(tcp).await
    };
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, shaken).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            let refused = Refused::from_io(&error);
            let code = refused.as_ref().map_or("NOT_TLS", Refused::code);
            let why = refused.map_or_else(|| error.to_string(), |refused| refused.to_string());
            tracing::warn!(%api, %address, code, "turned away: {why}");
            None
        }
        Err(_elapsed) => {
            tracing::warn!(%api, %address, code = "HANDSHAKE_TIMEOUT", "turned away: no handshake in time");
            None
        }
    }
}

/// Who the certificate says it is; the handshake has checked that certificate.
fn who_is_it(
    stream: &TlsStream<TcpStream>,
    suffix: &Suffix,
    api: Api,
    address: SocketAddr,
) -> Option<Remote> {
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let identity = caller_from_chain(chain, suffix).and_then(|identity| match (api, &identity) {
        (Api::Node, PeerIdentity::Node(_)) | (Api::Office, PeerIdentity::Operator { .. }) => {
            Ok(identity)
        }
        (Api::Node, PeerIdentity::Operator { .. }) => Err(Refused::OperatorNotNode),
        (Api::Office, PeerIdentity::Node(_)) => Err(Refused::NodeNotOperator),
    });
    match identity {
        Ok(identity) => Some(Remote { identity, address }),
        Err(refused) => {
            tracing::warn!(%api, %address, code = refused.code(), "turned away: {refused}");
            None
        }
    }
}
