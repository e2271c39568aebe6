//! A line between two nodes that can be cut, slowed, and made deaf one way, while connections stand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How the line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// As if it were not there.
    Good,
    /// Connections end, new ones end at once.
    Cut,
    /// Connections stand, and nothing comes through any more.
    Silent,
    /// What the caller sends comes through, what is answered does not.
    NoAnswers,
    /// So many bytes a second each way.
    Slow(u32),
}

/// Where callers of a node are sent through a line.
pub struct Proxy {
    pub port: u16,
    line: Arc<watch::Sender<Line>>,
}

/// Bytes that are passed on in one go.
const CHUNK: usize = 16 * 1024;

impl Proxy {
    /// A good line to a node's port.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let line = Arc::new(watch::Sender::new(Line::Good));
        tokio::spawn(accept(listener, SocketAddr::from(([127, 0, 0, 1], port)), line.clone()));
        Self { port: own, line }
    }

    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

async fn accept(listener: TcpListener, to: SocketAddr, line: Arc<watch::Sender<Line>>) {
    while let Ok((caller, _)) = listener.accept().await {
        let line = line.subscribe();
        tokio::spawn(async move {
            if *line.borrow() == Line::Cut {
                return;
            }
            let Ok(callee) = TcpStream::connect(to).await else { return };
            let (from_caller, to_caller) = caller.into_split();
            let (from_callee, to_callee) = callee.into_split();
            let forth = pass(from_caller, to_callee, line.clone(), false);
            let back = pass(from_callee, to_caller, line, true);
            // Both ends hear of it when one goes.
            tokio::select! { () = forth => {}, () = back => {} }
        });
    }
}

/// Passes bytes on as the line is at the time; returns when it is cut or one end is gone.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut line: watch::Receiver<Line>,
    is_answer: bool,
) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let now = *line.borrow_and_update();
        let room = match now {
            Line::Cut => return,
            Line::Silent => 0,
            Line::NoAnswers if is_answer => 0,
            Line::Slow(rate) => usize::try_from(rate / 20).unwrap().clamp(1, CHUNK),
            Line::Good | Line::NoAnswers => CHUNK,
        };
        let read = async {
            if room == 0 {
                std::future::pending::<()>().await;
            }
            from.read(&mut buffer[..room]).await
        };
        let read = tokio::select! {
            changed = line.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            read = read => read,
        };
        let Ok(read @ 1..) = read else { return };
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
        if let Line::Slow(rate) = now {
            // This is the line's speed, not a wait for something to happen.
            let pause = Duration::from_secs(u64::try_from(read).unwrap()) / rate.max(1);
            tokio::time::sleep(pause).await;
        }
    }
}
