//! The raw limit: the same bytes, appended and synced at both ends with mutual TLS between, in groups as
//! large as the nodes made them, and nothing else done.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use domain::area::AreaCode;
use rustls::{ClientConnection, ServerConnection, StreamOwned};
use trust::tls::{Api, TlsMaterial};

/// Groups that are on their way at one time, as parcels are.
const WINDOW: usize = 4;

/// What is moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Messages in all.
    pub(super) messages: u64,
    /// Bytes of one.
    pub(super) bytes: usize,
    /// Messages that share a sync.
    pub(super) group: u64,
}

/// Messages a second from append at the sender to acknowledged sync at the receiver.
pub(super) fn per_second(
    load: Load,
    dir: &Path,
    sender: &TlsMaterial,
    receiver: &TlsMaterial,
    receiver_area: AreaCode,
) -> anyhow::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server_tls = receiver.server_config(Api::Node)?;
    let groups = usize::try_from(load.messages.div_ceil(load.group))?;
    let group_bytes = usize::try_from(load.group)? * load.bytes;
    let received = File::create(dir.join("floor-received"))?;
    let server = std::thread::spawn(move || -> anyhow::Result<()> {
        let (tcp, _) = listener.accept()?;
        tcp.set_nodelay(true)?;
        serve(tcp, server_tls, received, groups, group_bytes)
    });
    let tcp = TcpStream::connect(address)?;
    tcp.set_nodelay(true)?;
    let name = sender.server_name(receiver_area)?;
    let tls = ClientConnection::new(sender.client_config(receiver_area)?, name)?;
    let mut stream = StreamOwned::new(tls, tcp);
    let mut sent = File::create(dir.join("floor-sent"))?;
    let body = vec![0x5A; group_bytes];
    let started = Instant::now();
    let mut in_flight = 0;
    for _ in 0..groups {
        sent.write_all(&body)?;
        sent.sync_data()?;
        if in_flight == WINDOW {
            acknowledged(&mut stream)?;
            in_flight -= 1;
        }
        stream.write_all(&body)?;
        in_flight += 1;
    }
    stream.flush()?;
    for _ in 0..in_flight {
        acknowledged(&mut stream)?;
    }
    let took = started.elapsed();
    let ended = server.join().map_err(|_| anyhow::anyhow!("the receiver of the floor died"))?;
    ended.context("the receiver of the floor failed")?;
    let moved = load.group * u64::try_from(groups)?;
    Ok(f64::from(u32::try_from(moved)?) / took.as_secs_f64())
}

/// Reads a group, syncs it, says so.
fn serve(
    tcp: TcpStream,
    tls: Arc<rustls::ServerConfig>,
    mut file: File,
    groups: usize,
    group_bytes: usize,
) -> anyhow::Result<()> {
    let mut stream = StreamOwned::new(ServerConnection::new(tls)?, tcp);
    let mut body = vec![0; group_bytes];
    for _ in 0..groups {
        stream.read_exact(&mut body)?;
        file.write_all(&body)?;
        file.sync_data()?;
        stream.write_all(&[1])?;
        stream.flush()?;
    }
    Ok(())
}

fn acknowledged(stream: &mut impl Read) -> anyhow::Result<()> {
    let mut byte = [0];
    Ok(stream.read_exact(&mut byte)?)
}

/// Median time of one append and fdatasync of `bytes` in `dir`.
pub(super) fn flush_p50(dir: &Path, bytes: usize) -> anyhow::Result<Duration> {
    const TIMES: usize = 200;
    let mut file = File::create(dir.join("floor-flush"))?;
    let body = vec![0x5A; bytes];
    let mut took = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let started = Instant::now();
        file.write_all(&body)?;
        file.sync_data()?;
        took.push(started.elapsed());
    }
    took.sort_unstable();
    took.get(TIMES / 2).copied().context("nothing measured")
}
