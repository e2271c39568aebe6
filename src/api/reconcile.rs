//! The reconcile service between nodes.

use std::pin::Pin;

use domain::id::MessageId;
use domain::reason::Reason;
use exchange::reconcile::calls::Signature;
use exchange::reconcile::session::Answer;
use exchange::reconcile::told::unpack_differences;
use prost::Message as _;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};
use wire::pb::exchange as pb;
use wire::pb::exchange::reconcile_service_server::{ReconcileService, ReconcileServiceServer};
use wire::reconcile as codec;

use super::node::node;
use super::status::of_reason;
use crate::delivery::reconcile::Reconcile;

/// The service, for the routes of the node API.
#[must_use]
pub(super) fn service(reconcile: Reconcile) -> ReconcileServiceServer<impl ReconcileService> {
    ReconcileServiceServer::new(Service(reconcile))
        .max_decoding_message_size(codec::RECONCILE_BYTES_MAX)
        .max_encoding_message_size(codec::RECONCILE_BYTES_MAX)
}

struct Service(Reconcile);

type Answers = Pin<Box<dyn Stream<Item = Result<pb::CompareResponse, Status>> + Send>>;

fn malformed(fault: impl std::fmt::Display) -> Status {
    tracing::warn!(%fault, code = "MALFORMED", "a call about reconciliation cannot be read");
    of_reason(Reason::Malformed)
}

#[tonic::async_trait]
impl ReconcileService for Service {
    type CompareStream = Answers;

    async fn compare(
        &self,
        request: Request<Streaming<pb::CompareRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let caller = node(request.extensions())?;
        let asks = request.into_inner().map(|request| match request {
            Ok(request) => codec::ask_from_pb(request).map_err(|_| Reason::Malformed),
            Err(_) => Err(Reason::PeerUnreachable),
        });
        let answers = self.0.answer(caller, Box::pin(asks))?;
        let said = |answer: Result<Answer, _>| match answer {
            Ok(answer) => Ok(codec::answer_to_pb(answer)),
            Err(error) => Err(Status::from(error)),
        };
        Ok(Response::new(Box::pin(answers.map(said))))
    }

    async fn report(
        &self,
        request: Request<pb::ReportRequest>,
    ) -> Result<Response<pb::ReportResponse>, Status> {
        let caller = node(request.extensions())?;
        let part = codec::report_from_pb(request.into_inner()).map_err(malformed)?;
        let months = self.0.take_report(caller, part).await?;
        Ok(Response::new(codec::months_to_pb(months)))
    }

    async fn recall(
        &self,
        request: Request<pb::RecallRequest>,
    ) -> Result<Response<pb::RecallResponse>, Status> {
        let caller = node(request.extensions())?;
        let (incarnation, from) = codec::recall_from_pb(&request.into_inner());
        let part = self.0.recall_for(caller, incarnation, from).await?;
        Ok(Response::new(codec::former_to_pb(&part)))
    }

    async fn carry_out(
        &self,
        request: Request<pb::CarryOutRequest>,
    ) -> Result<Response<pb::CarryOutResponse>, Status> {
        let caller = node(request.extensions())?;
        let most = exchange::reconcile::calls::CARRY_OUT_AT_ONCE;
        let differences = unpack_differences(&request.into_inner().differences, most);
        let differences = differences.map_err(malformed)?;
        let done = self.0.asked(caller, &differences).await?;
        Ok(Response::new(codec::carried_out_to_pb(&done)))
    }

    async fn take_back(
        &self,
        request: Request<pb::TakeBackRequest>,
    ) -> Result<Response<pb::TakeBackResponse>, Status> {
        let caller = node(request.extensions())?;
        let back = codec::handed_back_from_pb(request.into_inner()).map_err(malformed)?;
        let taken = self.0.take_back(caller, back).await?;
        Ok(Response::new(pb::TakeBackResponse { taken }))
    }

    async fn issue_again(
        &self,
        request: Request<pb::IssueAgainRequest>,
    ) -> Result<Response<pb::IssueAgainResponse>, Status> {
        let caller = node(request.extensions())?;
        let id = MessageId::try_from(request.into_inner().message_id.as_slice());
        let again = self.0.issue_again(caller, id.map_err(malformed)?)?;
        Ok(Response::new(codec::receipt_again_to_pb(again)))
    }

    async fn take_word(
        &self,
        request: Request<pb::TakeWordRequest>,
    ) -> Result<Response<pb::TakeWordResponse>, Status> {
        let caller = node(request.extensions())?;
        let pb::TakeWordRequest { message_id, word } = request.into_inner();
        let id = MessageId::try_from(message_id.as_slice()).map_err(malformed)?;
        let word = codec::receipt_again_from_pb(word.unwrap_or_default()).map_err(malformed)?;
        self.0.take_word(caller, id, word).await?;
        Ok(Response::new(pb::TakeWordResponse {}))
    }

    async fn show_version(
        &self,
        request: Request<pb::ShowVersionRequest>,
    ) -> Result<Response<pb::ShowVersionResponse>, Status> {
        let caller = node(request.extensions())?;
        let version = codec::version_from_pb(request.into_inner()).map_err(malformed)?;
        self.0.take_version(caller, version).await?;
        Ok(Response::new(pb::ShowVersionResponse {}))
    }

    async fn leave(
        &self,
        request: Request<pb::LeaveRequest>,
    ) -> Result<Response<pb::LeaveResponse>, Status> {
        let caller = node(request.extensions())?;
        let request = request.into_inner();
        let bytes = request.encoded_len();
        let (area, left) = codec::left_from_pb(request).map_err(malformed)?;
        self.0.leave_for(caller, area, (left, bytes))?;
        Ok(Response::new(pb::LeaveResponse {}))
    }

    async fn collect(
        &self,
        request: Request<pb::CollectRequest>,
    ) -> Result<Response<pb::CollectResponse>, Status> {
        let caller = node(request.extensions())?;
        let collected = self.0.collected_by(caller)?;
        Ok(Response::new(codec::collected_to_pb(caller, collected)))
    }

    async fn list_held(
        &self,
        request: Request<pb::ListHeldRequest>,
    ) -> Result<Response<pb::ListHeldResponse>, Status> {
        let caller = node(request.extensions())?;
        let (messages, more) = self.0.held_of(caller).await?;
        let message_ids = messages.iter().flat_map(|id| *id.as_bytes()).collect();
        Ok(Response::new(pb::ListHeldResponse { message_ids, more }))
    }

    async fn agree_statement(
        &self,
        request: Request<pb::AgreeStatementRequest>,
    ) -> Result<Response<pb::AgreeStatementResponse>, Status> {
        let caller = node(request.extensions())?;
        let pb::AgreeStatementRequest { statement, signature, chain } = request.into_inner();
        let agreed = self.0.agree(caller, statement, Signature { signature, chain }).await?;
        Ok(Response::new(codec::agreed_to_pb(agreed)))
    }

    async fn prove_ledger(
        &self,
        request: Request<pb::ProveLedgerRequest>,
    ) -> Result<Response<pb::ProveLedgerResponse>, Status> {
        node(request.extensions())?;
        let pb::ProveLedgerRequest { old_size, new_size } = request.into_inner();
        let (head, proof) = self.0.prove(old_size, new_size).await?;
        Ok(Response::new(pb::ProveLedgerResponse {
            new_size: head.size,
            new_root: head.root.as_bytes().to_vec(),
            proof: proof.iter().map(|hash| hash.as_bytes().to_vec()).collect(),
        }))
    }
}
