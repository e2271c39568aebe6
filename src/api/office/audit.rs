//! The audit service: the access log, page by page and as a file, and how much each operator reads.

use std::sync::Arc;

use domain::access::{AccessAction, AccessEntry, PersonKey};
use domain::area::AreaCode;
use domain::hex::hex;
use domain::reason::Reason;
use domain::time::UnixMillis;
use store::Store;
use store::access::{access_hash, person_key};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use wire::pb::office as pb;
use wire::pb::office::audit_service_server::AuditService;
use wire::records::Form;

use super::Parts;
use super::field::{invalid, maybe, page_token, size};
use crate::access_file::hash;
use crate::api::caller::operator;
use crate::api::status::{of_findings, of_reason};
use crate::app::audit::{self, Export, Filter};
use crate::delivery::identity::NodeIdentity;
use crate::tasks::Tasks;

/// Pieces on their way to the caller.
const CHUNKS: usize = 8;

type Pieces = mpsc::Sender<Result<pb::ExportAccessResponse, Status>>;

pub(super) struct Audit {
    area: AreaCode,
    store: Store,
    identity: Arc<NodeIdentity>,
    tasks: Tasks,
}

impl Audit {
    pub(super) fn new(parts: &Parts) -> Self {
        Self {
            area: parts.settings.area,
            store: parts.store.clone(),
            identity: parts.identity.clone(),
            tasks: parts.tasks.clone(),
        }
    }

    fn filter(&self, request: &pb::ListAccessRequest) -> Result<Filter, Status> {
        let mut form = Form::new();
        let person = match &request.document {
            Some(document) => {
                let document = form.document("document", Some(document.clone()));
                let document = form.finish(document).map_err(of_findings)?;
                Some(person_key(self.store.document_hash(&document)))
            }
            None if request.person.is_empty() => None,
            None => Some(PersonKey(hash(&request.person).ok_or_else(|| invalid("person"))?)),
        };
        let operator = maybe(&request.operator, "operator")?;
        let action = match request.action.as_str() {
            "" => None,
            code => Some(AccessAction::from_code(code).ok_or_else(|| invalid("action"))?),
        };
        let moment = |ms: u64| (ms != 0).then(|| UnixMillis::new(ms));
        let (from, until) = (moment(request.from_ms), moment(request.until_ms));
        Ok(Filter { person, operator, action, from, until })
    }
}

#[tonic::async_trait]
impl AuditService for Audit {
    type ExportAccessStream = ReceiverStream<Result<pb::ExportAccessResponse, Status>>;

    async fn list_access(
        &self,
        request: Request<pb::ListAccessRequest>,
    ) -> Result<Response<pb::ListAccessResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let request = request.into_inner();
        let before = match page_token(&request.page_token)?.as_slice() {
            [] => None,
            token => {
                let number = token.try_into().map_err(|_| invalid("page_token"))?;
                Some(u64::from_be_bytes(number))
            }
        };
        let (filter, size) = (self.filter(&request)?, size(request.page_size));
        let page = audit::list(&ctx, &self.store, filter, size, before).await?;
        let next = page.next.map(|number| hex(&number.to_be_bytes()));
        Ok(Response::new(pb::ListAccessResponse {
            entries: page.entries.iter().map(entry_to_pb).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn export_access(
        &self,
        request: Request<pb::ExportAccessRequest>,
    ) -> Result<Response<Self::ExportAccessStream>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let export = audit::export(&ctx, &self.store, request.get_ref().after).await?;
        let (pieces, answer) = mpsc::channel(CHUNKS);
        let (store, identity) = (self.store.clone(), self.identity.clone());
        self.tasks.spawn("access log", async move {
            let (out, reader) = (pieces.clone(), store.clone());
            let written =
                tokio::task::spawn_blocking(move || write(export, &reader, &identity, &out)).await;
            if let Err(status) = written.unwrap_or_else(|_| Err(of_reason(Reason::Internal))) {
                // A caller that has gone takes the log out again.
                let _gone = pieces.send(Err(status)).await.is_err();
            }
        });
        Ok(Response::new(ReceiverStream::new(answer)))
    }

    async fn list_reads(
        &self,
        request: Request<pb::ListReadsRequest>,
    ) -> Result<Response<pb::ListReadsResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let (operators, limits) = audit::reads(&ctx, &self.store)?;
        let reads = operators.into_iter().map(|of| pb::OperatorReads {
            operator: of.operator.to_string(),
            in_hour: of.in_hour,
            in_day: of.in_day,
            usual: of.usual,
        });
        Ok(Response::new(pb::ListReadsResponse {
            operators: reads.collect(),
            per_hour: limits.per_hour,
            per_day: limits.per_day,
        }))
    }
}

/// Gives the file to the caller, page by page; a caller that has gone ends it.
fn write(
    mut export: Export,
    store: &Store,
    identity: &NodeIdentity,
    pieces: &Pieces,
) -> Result<(), Status> {
    let give = |text: String| {
        let piece = pb::ExportAccessResponse { chunk: text.into_bytes() };
        pieces.blocking_send(Ok(piece)).is_ok()
    };
    if !give(export.first()) {
        return Ok(());
    }
    while let Some(lines) = export.more(store)? {
        if !give(lines) {
            return Ok(());
        }
    }
    let material = identity.material();
    let _gone = !give(export.last(material.identity().as_ref(), material.chains().lists())?);
    Ok(())
}

fn entry_to_pb(entry: &AccessEntry) -> pb::AccessRecord {
    pb::AccessRecord {
        number: entry.number,
        at_ms: entry.at.get(),
        operator: entry.operator.to_string(),
        area: entry.area.to_string(),
        role: entry.role.code().to_owned(),
        action: entry.action.code().to_owned(),
        purpose: i32::from(entry.purpose.number()),
        basis: i32::from(entry.basis.number()),
        person: entry.person.map(|key| hex(&key.0)).unwrap_or_default(),
        message_id: entry.message.map(|id| id.to_string()).unwrap_or_default(),
        hash: hex(&access_hash(entry)),
    }
}
