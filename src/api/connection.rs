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

/// The open connections of a listener, so that those of a peer that is revoked can be cut off, and the oldest of one
/// that has too many.
#[derive(Clone, Debug)]
pub struct Open {
    // Touched at accept, at close and at a reload; never across an await.
    connections: Arc<Mutex<OpenConnections>>,
    /// Most connections of one caller.
    per_caller: usize,
}

#[derive(Debug, Default)]
struct OpenConnections {
    next: u64,
    by_number: HashMap<u64, OpenConnection>,
}

#[derive(Debug)]
struct OpenConnection {
    who: PeerIdentity,
    chain: Vec<CertificateDer<'static>>,
    cut: CancellationToken,
}

/// Takes its connection out of [`Open`] when dropped.
struct Entry {
    open: Open,
    number: u64,
}

impl Default for Open {
    /// No connections yet, and no bound for one caller.
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl Open {
    /// No connections yet, and at most `per_caller` of one caller at a time.
    #[must_use]
    pub fn new(per_caller: usize) -> Self {
        Self { connections: Arc::default(), per_caller }
    }

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

    /// Enters a connection. With it its caller may have too many; then the oldest goes, since it is the likeliest to
    /// be one whose end was not noticed, and a caller who floods only harms himself.
    fn enter(
        &self,
        who: &PeerIdentity,
        chain: Vec<CertificateDer<'static>>,
    ) -> (Entry, CancellationToken) {
        let cut = CancellationToken::new();
        let mut open = self.lock();
        let number = open.next;
        open.next += 1;
        let connection = OpenConnection { who: who.clone(), chain, cut: cut.clone() };
        open.by_number.insert(number, connection);
        // Those that are cut off already are on their way out and do not count.
        let same = open.by_number.iter().filter(|(_, c)| c.who == *who && !c.cut.is_cancelled());
        let mut numbers: Vec<u64> = same.map(|(number, _)| *number).collect();
        if numbers.len() > self.per_caller {
            numbers.sort_unstable();
            numbers.truncate(numbers.len() - self.per_caller);
            let oldest = numbers.iter().filter_map(|number| open.by_number.get(number));
            let cut = oldest.map(|c| c.cut.cancel()).count();
            let area = who.area();
            tracing::warn!(%area, cut, code = "RATE_LIMITED", "a caller has too many connections; its oldest are cut off");
        }
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
        let (entry, cut) = open.enter(&remote.identity, chain);
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

fn cut() -> io::Error {
    let why = "the caller's certificate no longer holds, or it has too many connections";
    io::Error::new(io::ErrorKind::ConnectionAborted, why)
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut_off(cx) {
            return Poll::Ready(Err(cut()));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn node(code: &str) -> PeerIdentity {
        PeerIdentity::Node(code.parse().unwrap())
    }

    #[test]
    fn of_one_caller_the_oldest_connections_go_and_others_stay() {
        let open = Open::new(2);
        let (flood, quiet) = (node("410522"), node("440305"));
        let (_quiet, quiet_cut) = open.enter(&quiet, vec![]);
        let entered: Vec<_> = (0..5).map(|_| open.enter(&flood, vec![])).collect();
        let cut: Vec<_> = entered.iter().map(|(_, cut)| cut.is_cancelled()).collect();
        assert_eq!(cut, [true, true, true, false, false]);
        assert!(!quiet_cut.is_cancelled());
        assert_eq!(open.len(), 6, "they go once they notice");
        drop(entered);
        assert_eq!(open.len(), 1);
        let (_again, cut) = open.enter(&flood, vec![]);
        assert!(!cut.is_cancelled());
    }
}
