//! A session that we open: dialled, introduced, and read until it ends.

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use trust::verify::Purpose;
use wire::client::{CallError, Frames, NodeClient};
use wire::frame::{Frame, Hello};

use super::intake::Intake;
use super::pump::{Fault, Pump};
use super::{Session, WINDOW_PARCELS, queue};
use crate::delivery::hub::Hub;
use crate::delivery::identity::NodeIdentity;
use crate::delivery::link::{self, Seen};
use crate::delivery::peers::Peer;
use crate::errors::chain;
use crate::time::SystemClock;

/// A neighbour that has connected but says nothing for so long is left.
pub(super) const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// Calls a neighbour at `endpoint` and opens a session with it. `collects` tells it that it may send us mail on it.
pub(in crate::delivery) async fn open(
    hub: &Hub,
    intake: Arc<Intake>,
    peer: &Peer,
    endpoint: &str,
    collects: bool,
) -> Result<Arc<Session>, String> {
    let identity = hub.shared().identity.clone();
    // Heard from now on, so that no change between the handshake and the first look is missed.
    let (looked, seen) = (identity.looked(), Seen::default());
    let material = identity.material();
    let channel = link::dial_and_see(peer.area, endpoint, &material, seen.clone()).await;
    let channel = channel.map_err(|error| chain(&error))?;
    let (out, frames) = queue();
    let window = if collects { WINDOW_PARCELS } else { 0 };
    let hello = link::hello(SystemClock.now(), window, collects);
    // The queue is new and empty.
    let _full = out.try_send(Ok(Frame::Hello(hello))).is_err();
    // What would end a stream of theirs ends ours by itself.
    let outgoing = ReceiverStream::new(frames).map_while(Result::ok);
    let opened = NodeClient::new(channel).exchange(outgoing).await;
    let mut incoming = opened.map_err(|error| chain(&error))?;
    let hello = introduced(&mut incoming).await?;
    let shown = seen.get().map(Vec::as_slice).unwrap_or_default();
    let held = material.chains().verify(shown, Purpose::NodeAsServer, SystemClock.now());
    let until = held.ok().map(|held| held.leaf.not_after);
    peer.note(|state| state.certificate_until = until);
    let session = Session::new(peer.area, hello, true, &out);
    let pump = Pump { session: session.clone(), intake, out, tasks: hub.shared().tasks.clone() };
    let (hub, held) = (hub.clone(), session.clone());
    hub.enter(&session);
    hub.shared().tasks.clone().spawn("session", async move {
        let incoming = incoming.map(|frame| frame.map_err(Fault::from));
        let why = tokio::select! {
            why = pump.run(incoming) => why,
            why = until_refused(&held, &seen, &identity, looked) => why,
        };
        held.close(why);
        hub.leave(&held);
    });
    Ok(session)
}

/// The neighbour's introduction, which is its first frame.
async fn introduced(incoming: &mut Frames) -> Result<Hello, String> {
    let first = tokio::time::timeout(HELLO_TIMEOUT, incoming.next()).await;
    match first.map_err(|_| "the peer does not introduce itself")? {
        Some(Ok(Frame::Hello(hello))) => Ok(hello),
        Some(Ok(_)) => Err("the peer does not introduce itself".to_owned()),
        Some(Err(error)) => Err(chain(&error)),
        None => Err("the peer ended the stream".to_owned()),
    }
}

impl From<CallError> for Fault {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Status(_) => Self::Gone(chain(&error)),
            CallError::Malformed(malformed) => Self::Malformed(malformed.to_string()),
        }
    }
}

/// Resolves when the other end's certificate does not hold any more.
async fn until_refused(
    session: &Session,
    seen: &Seen,
    identity: &NodeIdentity,
    mut looked: tokio::sync::watch::Receiver<()>,
) -> String {
    let chain: &[CertificateDer<'static>] = seen.get().map(Vec::as_slice).unwrap_or_default();
    while looked.changed().await.is_ok() {
        let material = identity.material();
        let now = SystemClock.now();
        if let Err(refused) = material.chains().verify(chain, Purpose::NodeAsServer, now) {
            let peer = session.neighbour();
            tracing::warn!(%peer, code = refused.code(), "the link is cut: {refused}");
            return refused.to_string();
        }
    }
    // The node is stopping.
    std::future::pending().await
}
