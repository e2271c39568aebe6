//! A session that a neighbour opens: its mail is taken in and answered; when it collects, ours goes out on it.

use std::sync::Arc;

use domain::area::AreaCode;
use domain::reason::Reason;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use wire::frame::{Frame, Hello};

use super::dial::HELLO_TIMEOUT;
use super::intake::Intake;
use super::pump::Pump;
use super::{Outgoing, Session, WINDOW_PARCELS, queue};
use crate::delivery::hub::Hub;
use crate::delivery::link;
use crate::time::SystemClock;

pub use super::pump::Fault;

/// Takes a stream that the node of `area` has opened; what the result yields goes back on it. An error is its
/// last item.
pub fn accept(
    hub: &Hub,
    intake: &Arc<Intake>,
    area: AreaCode,
    incoming: impl Stream<Item = Result<Frame, Fault>> + Send + Unpin + 'static,
) -> impl Stream<Item = Outgoing> + Send + 'static {
    let (out, frames) = queue();
    let hello = link::hello(SystemClock.now(), WINDOW_PARCELS, false);
    // The queue is new and empty.
    let _full = out.try_send(Ok(Frame::Hello(hello))).is_err();
    let inflow = Inflow { hub: hub.clone(), intake: intake.clone(), area, out };
    hub.shared().tasks.spawn("inflow", inflow.run(incoming));
    ReceiverStream::new(frames)
}

struct Inflow {
    hub: Hub,
    intake: Arc<Intake>,
    area: AreaCode,
    out: mpsc::Sender<Outgoing>,
}

impl Inflow {
    async fn run(self, mut incoming: impl Stream<Item = Result<Frame, Fault>> + Send + Unpin) {
        let Some(hello) = self.introduced(&mut incoming).await else { return };
        let Self { hub, intake, area, out } = self;
        let collects = hello.collects;
        let Some(_slot) = hub.shared().limits.stream(area, SystemClock.now()) else {
            let code = Reason::RateLimited.code();
            tracing::warn!(peer = %area, code, "a caller has too many streams of mail");
            let _gone = out.send(Err(Reason::RateLimited)).await.is_err();
            return;
        };
        let session = Session::new(area, hello, collects, &out);
        hub.enter(&session);
        hub.was_seen(area);
        let tasks = hub.shared().tasks.clone();
        let mut stopping = tasks.stopping();
        let pump = Pump { session: session.clone(), intake, out, tasks };
        let why = tokio::select! {
            why = pump.run(incoming) => why,
            () = stopping.stopped() => "the node stops".to_owned(),
        };
        session.close(why);
        hub.leave(&session);
    }

    /// The caller's introduction, which is its first frame.
    async fn introduced(
        &self,
        incoming: &mut (impl Stream<Item = Result<Frame, Fault>> + Unpin),
    ) -> Option<Hello> {
        match tokio::time::timeout(HELLO_TIMEOUT, incoming.next()).await {
            Ok(Some(Ok(Frame::Hello(hello)))) => Some(hello),
            Ok(Some(Ok(_))) | Ok(Some(Err(Fault::Malformed(_)))) => {
                tracing::warn!(peer = %self.area, code = Reason::Malformed.code(), "a caller does not introduce itself");
                let _gone = self.out.send(Err(Reason::Malformed)).await.is_err();
                None
            }
            Ok(Some(Err(Fault::Gone(_))) | None) | Err(_) => None,
        }
    }
}
