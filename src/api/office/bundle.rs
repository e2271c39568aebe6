//! The bundle service: mail and cards by file.

use std::sync::Arc;

use bytes::Bytes;
use domain::access::Permission;
use domain::hex::hex;
use domain::reason::Reason;
use store::Store;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use wire::directory::{decode_answer, encode_answer};
use wire::pb::office as pb;
use wire::pb::office::bundle_service_server::BundleService;
use wire::pb::office::export_bundle_response::Part;

use super::Parts;
use crate::api::caller::operator;
use crate::api::status::of_reason;
use crate::app::{AppError, Ctx, Refusal, access};
use crate::config::Settings;
use crate::delivery::bundles::{Bundles, Report};
use crate::tasks::Tasks;

/// Largest card file: the own card and the lists of a nation's authorities.
pub(super) const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes in a piece of a file.
const CHUNK_BYTES: usize = 64 * 1024;
/// Pieces on their way to the caller.
const CHUNKS: usize = 8;

type Pieces = mpsc::Sender<Result<pb::ExportBundleResponse, Status>>;

pub(super) struct Files {
    settings: Arc<Settings>,
    store: Store,
    bundles: Bundles,
    tasks: Tasks,
}

impl Files {
    pub(super) fn new(parts: &Parts) -> Self {
        Self {
            settings: parts.settings.clone(),
            store: parts.store.clone(),
            bundles: parts.bundles.clone(),
            tasks: parts.tasks.clone(),
        }
    }

    fn authorised<T>(&self, request: &Request<T>) -> Result<Ctx, Status> {
        let ctx = operator(request.extensions(), self.settings.area)?;
        ctx.must(Permission::TendDelivery).map_err(Status::from)?;
        Ok(ctx)
    }
}

#[tonic::async_trait]
impl BundleService for Files {
    type ExportBundleStream = ReceiverStream<Result<pb::ExportBundleResponse, Status>>;

    async fn export_bundle(
        &self,
        request: Request<pb::ExportBundleRequest>,
    ) -> Result<Response<Self::ExportBundleStream>, Status> {
        let ctx = self.authorised(&request)?;
        let to = request.into_inner().to.parse();
        let unknown =
            |_| Status::from(AppError::from(Refusal::new(Reason::UnknownArea).field("to")));
        let to = to.map_err(unknown)?;
        access::taken_out(&ctx, &self.store).await?;
        let (pieces, answer) = mpsc::channel(CHUNKS);
        let (out, bytes) = mpsc::channel(CHUNKS);
        let bundles = self.bundles.clone();
        self.tasks.spawn("bundle", async move {
            let (made, ()) = tokio::join!(
                // The channel of bytes ends with the making.
                async move { bundles.make(to, &out).await },
                pass_on(bytes, pieces.clone())
            );
            let last = made.map(|report| pb::ExportBundleResponse {
                part: Some(Part::Done(to_pb(&report, true))),
            });
            // A caller that has gone asks for another file.
            let _gone = pieces.send(last.map_err(Status::from)).await.is_err();
        });
        Ok(Response::new(ReceiverStream::new(answer)))
    }

    async fn import_bundle(
        &self,
        request: Request<Streaming<pb::ImportBundleRequest>>,
    ) -> Result<Response<pb::ImportBundleResponse>, Status> {
        self.authorised(&request)?;
        let mut pieces = request.into_inner();
        let mut reading = self.bundles.read();
        while let Some(piece) = pieces.next().await {
            reading.feed(&piece?.chunk).await?;
        }
        let report = reading.finish().await?;
        let complete = report.fault.is_none();
        let report = Some(to_pb(&report, complete));
        Ok(Response::new(pb::ImportBundleResponse { report }))
    }

    async fn export_card(
        &self,
        request: Request<pb::ExportCardRequest>,
    ) -> Result<Response<pb::ExportCardResponse>, Status> {
        self.authorised(&request)?;
        let directory = encode_answer(self.bundles.card());
        Ok(Response::new(pb::ExportCardResponse { directory }))
    }

    async fn import_card(
        &self,
        request: Request<pb::ImportCardRequest>,
    ) -> Result<Response<pb::ImportCardResponse>, Status> {
        self.authorised(&request)?;
        let answer = decode_answer(Bytes::from(request.into_inner().directory));
        let answer = answer.map_err(|_| of_reason(Reason::Malformed))?;
        let taken = self.bundles.take_card(answer).await?;
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let (news, faults) = (count(taken.news), count(taken.faults));
        Ok(Response::new(pb::ImportCardResponse { news, faults }))
    }
}

/// Gives the bytes of a file to the caller, in pieces of a size.
async fn pass_on(mut bytes: mpsc::Receiver<Bytes>, pieces: Pieces) {
    while let Some(mut bytes) = bytes.recv().await {
        while !bytes.is_empty() {
            let chunk = bytes.split_to(bytes.len().min(CHUNK_BYTES)).to_vec();
            let piece = pb::ExportBundleResponse { part: Some(Part::Chunk(chunk)) };
            if pieces.send(Ok(piece)).await.is_err() {
                return;
            }
        }
    }
}

fn to_pb(report: &Report, complete: bool) -> pb::BundleReport {
    let words = |reason: Reason| {
        let zh = format!("{}{}", reason.text_zh(), reason.todo_zh());
        (zh, format!("{} {}", reason.text_en(), reason.todo_en()))
    };
    let (fault_zh, fault_en) = report.fault.map(words).unwrap_or_default();
    pb::BundleReport {
        bundle_id: hex(&report.bundle_id),
        from: report.from.to_string(),
        to: report.to.to_string(),
        created_ms: report.created.get(),
        parcels: report.parcels,
        messages: report.messages,
        words: report.words,
        entries: report.entries,
        stored: report.stored,
        duplicates: report.duplicates,
        refused: report.refused,
        deferred: report.deferred,
        unfit: report.unfit,
        complete,
        fault: report.fault.map(|reason| reason.code().to_owned()).unwrap_or_default(),
        fault_zh,
        fault_en,
    }
}
