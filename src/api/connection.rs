//! One accepted connection: the TLS stream, who is at its other end, and a switch to cut it off.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;
use trust::verify::PeerIdentity;

/// Who is at the other end of a connection, as its certificate says; handlers find it in a request's extensions.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The identity its certificate proves.
    pub identity: PeerIdentity,
    /// Where it called from, for the log.
    pub address: SocketAddr,
}

/// An accepted connection after the handshake.
pub struct Connection {
    stream: TlsStream<TcpStream>,
    remote: Remote,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    _entry: Entry,
}

/// The open connections of a listener, so that those of a peer that is revoked can be cut off.
#[derive(Clone, Debug, Default)]
pub struct Open {
    // Touched at accept, at close and at a reload; never across an await.
    connections: Arc<Mutex<OpenConnections>>,
}

#[derive(Debug, Default)]
struct OpenConnections {
    next: u64,
    by_number: HashMap<u64, OpenConnection>,
}

#[derive(Debug)]
struct OpenConnection {
    chain: Vec<CertificateDer<'static>>,
    cut: CancellationToken,
}

/// Takes its connection out of [`Open`] when dropped.
struct Entry {
    open: Open,
    number: u64,
}

impl Open {
    /// How many connections are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().by_number.len()
    }

    /// Whether no connection is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Cuts off every connection whose chain `still_good` does not accept any more. Says how many.
    pub fn cut_off(&self, still_good: impl Fn(&[CertificateDer<'static>]) -> bool) -> usize {
        let open = self.lock();
        let bad = open.by_number.values().filter(|c| !still_good(&c.chain));
        bad.map(|c| c.cut.cancel()).count()
    }

    fn enter(&self, chain: Vec<CertificateDer<'static>>) -> (Entry, CancellationToken) {
        let cut = CancellationToken::new();
        let mut open = self.lock();
        let number = open.next;
        open.next += 1;
        open.by_number.insert(number, OpenConnection { chain, cut: cut.clone() });
        (Entry { open: self.clone(), number }, cut)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, OpenConnections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.open.lock().by_number.remove(&self.number);
    }
}

impl Connection {
    /// A connection of `remote`, entered in `open` for as long as it lives.
    #[must_use]
    pub fn new(
        stream: TlsStream<TcpStream>,
        remote: Remote,
        chain: Vec<CertificateDer<'static>>,
        open: &Open,
    ) -> Self {
        let (entry, cut) = open.enter(chain);
        Self { stream, remote, cut: Box::pin(cut.cancelled_owned()), _entry: entry }
    }

    fn cut_off(&mut self, cx: &mut Context<'_>) -> bool {
        use std::future::Future;
        self.cut.as_mut().poll(cx).is_ready()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("remote", &self.remote).finish_non_exhaustive()
    }
}

impl Connected for Connection {
    type ConnectInfo = Remote;

    fn connect_info(&self) -> Remote {
        self.remote.clone()
    }
}

fn revoked() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the peer's certificate no longer holds")
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut_off(cx) {
            return Poll::Ready(Err(revoked()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}
