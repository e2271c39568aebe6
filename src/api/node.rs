//! The node service: one stream that takes mail in, and the node's card.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use domain::area::AreaCode;
use domain::reason::Reason;
use exchange::card::SignedCard;
use exchange::directory::DirectoryAnswer;
use exchange::parcel::FRAME_BYTES_MAX;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::service::Routes;
use tonic::{Extensions, Request, Response, Status, Streaming};
use trust::verify::PeerIdentity;
use wire::frame::Frame;
use wire::pb::exchange as pb;
use wire::pb::exchange::node_service_server::{NodeService, NodeServiceServer};

use super::connection::Remote;
use super::status::of_reason;
use crate::delivery::cards::OwnCard;
use crate::delivery::inbound::{Correspondent, Inbound, NoReceipt, Taken};
use crate::delivery::link;
use crate::delivery::peers::Peers;
use crate::tasks::Tasks;
use crate::time::SystemClock;

/// Parcels of one stream that wait for the disk; the peer is told to keep no more in flight.
const WINDOW_PARCELS: u32 = 8;
/// Frames that wait for the peer to read them.
const OUT_QUEUE: usize = 16;

/// The routes of the node API.
#[must_use]
pub fn routes(inbound: Inbound, card: Arc<OwnCard>, peers: Peers, tasks: Tasks) -> Routes {
    let service = NodeServiceServer::new(Service { inbound, card, peers, tasks })
        .max_decoding_message_size(FRAME_BYTES_MAX)
        .max_encoding_message_size(FRAME_BYTES_MAX);
    Routes::new(service)
}

struct Service {
    inbound: Inbound,
    card: Arc<OwnCard>,
    peers: Peers,
    tasks: Tasks,
}

type Frames = Pin<Box<dyn Stream<Item = Result<pb::ExchangeResponse, Status>> + Send>>;

#[tonic::async_trait]
impl NodeService for Service {
    type ExchangeStream = Frames;

    async fn exchange(
        &self,
        request: Request<Streaming<pb::ExchangeRequest>>,
    ) -> Result<Response<Frames>, Status> {
        let area = node(request.extensions())?;
        if let Some(peer) = self.peers.get(area) {
            peer.was_seen();
        }
        let (out, frames) = mpsc::channel(OUT_QUEUE);
        let hello = link::hello(SystemClock.now(), WINDOW_PARCELS);
        // The queue is new and empty.
        let _full = out.try_send(Ok(Frame::Hello(hello))).is_err();
        let stream = Inflow { inbound: self.inbound.clone(), area, out };
        self.tasks.spawn("inflow", stream.run(request.into_inner(), self.tasks.clone()));
        let frames = ReceiverStream::new(frames).map(|frame| frame.map(Frame::into_response));
        Ok(Response::new(Box::pin(frames)))
    }

    async fn get_node_card(
        &self,
        request: Request<pb::GetNodeCardRequest>,
    ) -> Result<Response<pb::GetNodeCardResponse>, Status> {
        node(request.extensions())?;
        let card = wire::card::signed_card_to_pb(SignedCard::clone(&self.card.get()));
        Ok(Response::new(pb::GetNodeCardResponse { card: Some(card) }))
    }

    async fn sync_directory(
        &self,
        request: Request<pb::SyncDirectoryRequest>,
    ) -> Result<Response<pb::SyncDirectoryResponse>, Status> {
        node(request.extensions())?;
        let cards = vec![SignedCard::clone(&self.card.get())];
        let answer = DirectoryAnswer {
            cards,
            revocation_lists: Vec::new(),
            authorities: Vec::new(),
            cursor: Bytes::new(),
            more: false,
        };
        Ok(Response::new(wire::directory::answer_to_pb(answer)))
    }
}

/// The area of the node that calls.
fn node(extensions: &Extensions) -> Result<AreaCode, Status> {
    match extensions.get::<Remote>().map(|remote| &remote.identity) {
        Some(PeerIdentity::Node(area)) => Ok(*area),
        Some(PeerIdentity::Operator { .. }) | None => Err(of_reason(Reason::Unauthenticated)),
    }
}

/// One stream of mail that comes in. One task reads and checks parcels; another waits for the disk and
/// signs, so that the next parcel is opened while the last one is being flushed.
struct Inflow {
    inbound: Inbound,
    area: AreaCode,
    out: mpsc::Sender<Result<Frame, Status>>,
}

impl Inflow {
    async fn run(self, mut incoming: Streaming<pb::ExchangeRequest>, tasks: Tasks) {
        let window = usize::try_from(WINDOW_PARCELS).unwrap_or(1);
        let (taken, waiting) = mpsc::channel(window);
        let answers = Answers { inbound: self.inbound.clone(), out: self.out.clone() };
        tasks.spawn("answers", answers.run(waiting));
        let mut peer = Correspondent { area: self.area, chain: Vec::new() };
        let mut stopping = tasks.stopping();
        loop {
            let frame = tokio::select! {
                () = stopping.stopped() => return,
                frame = incoming.next() => frame,
            };
            let request = match frame {
                Some(Ok(request)) => request,
                // The peer went away, or was cut off; it finds out at its next call.
                Some(Err(_)) | None => return,
            };
            let parcel = match Frame::from_request(request) {
                Ok(Frame::Parcel(parcel)) => parcel,
                Ok(
                    Frame::Hello(_)
                    | Frame::Receipt(_)
                    | Frame::Custody(_)
                    | Frame::Returned(_)
                    | Frame::ReturnTaken(_),
                ) => continue,
                Err(malformed) => {
                    let error = NoReceipt::malformed(&malformed);
                    return self.end(&error).await;
                }
            };
            match self.inbound.take(&mut peer, parcel).await {
                Ok(parcel) => {
                    if taken.send(parcel).await.is_err() {
                        return;
                    }
                }
                Err(error) => return self.end(&error).await,
            }
        }
    }

    /// Ends the stream with the reason; the sender keeps everything.
    async fn end(&self, error: &NoReceipt) {
        end(self.area, &self.out, error).await;
    }
}

async fn end(area: AreaCode, out: &mpsc::Sender<Result<Frame, Status>>, error: &NoReceipt) {
    let code = error.reason().code();
    tracing::warn!(peer = %area, code, %error, "a parcel got no receipt");
    let _gone = out.send(Err(of_reason(error.reason()))).await.is_err();
}

struct Answers {
    inbound: Inbound,
    out: mpsc::Sender<Result<Frame, Status>>,
}

impl Answers {
    async fn run(self, mut waiting: mpsc::Receiver<Taken>) {
        let mut chain_sent = None;
        while let Some(taken) = waiting.recv().await {
            let area = taken.peer();
            match self.inbound.answer(&mut chain_sent, taken).await {
                Ok(receipt) => {
                    if self.out.send(Ok(Frame::Receipt(receipt))).await.is_err() {
                        return;
                    }
                }
                Err(error) => return end(area, &self.out, &error).await,
            }
        }
    }
}
