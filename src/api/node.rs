//! The node service: one stream that takes mail in, and the node's card.

use std::pin::Pin;
use std::sync::Arc;

use domain::area::AreaCode;
use domain::reason::Reason;
use exchange::parcel::FRAME_BYTES_MAX;
use tokio_stream::{Stream, StreamExt};
use tonic::service::Routes;
use tonic::{Extensions, Request, Response, Status, Streaming};
use trust::verify::PeerIdentity;
use wire::frame::Frame;
use wire::pb::exchange as pb;
use wire::pb::exchange::node_service_server::{NodeService, NodeServiceServer};

use super::connection::Remote;
use super::status::of_reason;
use crate::delivery::directory::Directory;
use crate::delivery::hub::Hub;
use crate::delivery::reconcile::Reconcile;
use crate::delivery::session::accept::{Fault, accept};
use crate::delivery::session::intake::Intake;

/// The routes of the node API.
#[must_use]
pub fn routes(hub: Hub, intake: Arc<Intake>, directory: Directory, reconcile: Reconcile) -> Routes {
    let service = NodeServiceServer::new(Service { hub, intake, directory })
        .max_decoding_message_size(FRAME_BYTES_MAX)
        .max_encoding_message_size(FRAME_BYTES_MAX);
    Routes::new(service).add_service(super::reconcile::service(reconcile))
}

struct Service {
    hub: Hub,
    intake: Arc<Intake>,
    directory: Directory,
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
        self.directory.met(area);
        let incoming = request.into_inner().map(|request| match request {
            Ok(request) => {
                Frame::from_request(request).map_err(|fault| Fault::Malformed(fault.to_string()))
            }
            // The caller went away, or was cut off.
            Err(status) => Err(Fault::Gone(status.message().to_owned())),
        });
        let outgoing = accept(&self.hub, &self.intake, area, incoming);
        let frames = outgoing.map(|frame| frame.map(Frame::into_response).map_err(of_reason));
        Ok(Response::new(Box::pin(frames)))
    }

    async fn get_node_card(
        &self,
        request: Request<pb::GetNodeCardRequest>,
    ) -> Result<Response<pb::GetNodeCardResponse>, Status> {
        let caller = node(request.extensions())?;
        self.directory.met(caller);
        let card = wire::card::signed_card_to_pb(self.directory.own_card().signed());
        Ok(Response::new(pb::GetNodeCardResponse { card: Some(card) }))
    }

    async fn sync_directory(
        &self,
        request: Request<pb::SyncDirectoryRequest>,
    ) -> Result<Response<pb::SyncDirectoryResponse>, Status> {
        let caller = node(request.extensions())?;
        let question = wire::directory::question_from_pb(request.into_inner());
        let question = question.map_err(|malformed| {
            tracing::warn!(peer = %caller, %malformed, code = "MALFORMED", "a question to the directory cannot be read");
            of_reason(Reason::Malformed)
        })?;
        let answer = self.directory.answer(caller, question).await?;
        Ok(Response::new(wire::directory::answer_to_pb(answer)))
    }
}

/// The area of the node that calls.
pub(super) fn node(extensions: &Extensions) -> Result<AreaCode, Status> {
    match extensions.get::<Remote>().map(|remote| &remote.identity) {
        Some(PeerIdentity::Node(area)) => Ok(*area),
        Some(PeerIdentity::Operator { .. }) | None => Err(of_reason(Reason::Unauthenticated)),
    }
}
