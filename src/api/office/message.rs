//! The message service: convert, call one use case, convert back.

use std::sync::Arc;
use std::time::Duration;

use domain::area::AreaCode;
use domain::hex::hex;
use domain::id::{ConsentId, RequestId};
use domain::time::UnixMillis;
use store::Store;
use store::messages::Side;
use tonic::{Request, Response, Status};
use wire::content::{content_from_pb, content_to_pb};
use wire::pb::office as pb;
use wire::pb::office::message_service_server::MessageService;

use super::Parts;
use super::access::why;
use super::field::{self, area, invalid, malformed, maybe_area, message_id, missing, size};
use super::track;
use crate::api::caller::operator;
use crate::app::access::{self, Followed};
use crate::app::applications::ToAsk;
use crate::app::messages::evidence;
use crate::app::messages::grounds::Grounds;
use crate::app::messages::read::{self, Filter, Page};
use crate::app::messages::send::{self, Draft};
use crate::app::messages::track::Track;
use crate::app::{Ctx, applications, reading};
use crate::delivery::identity::NodeIdentity;
use crate::delivery::peers::Peers;

pub(super) struct Messages {
    area: AreaCode,
    store: Store,
    peers: Peers,
    identity: Arc<NodeIdentity>,
}

impl Messages {
    pub(super) fn new(parts: &Parts) -> Self {
        Self {
            area: parts.settings.area,
            store: parts.store.clone(),
            peers: parts.peers.clone(),
            identity: parts.identity.clone(),
        }
    }

    fn ctx<T>(&self, request: &Request<T>) -> Result<Ctx, Status> {
        operator(request.extensions(), self.area)
    }

    fn track(&self, track: &Track) -> pb::Track {
        track::to_pb(track, &self.peers)
    }

    fn page(&self, page: &Page) -> (Vec<pb::Track>, String) {
        let tracks = page.tracks.iter().map(|track| self.track(track)).collect();
        (tracks, page.next.as_deref().map(hex).unwrap_or_default())
    }
}

#[tonic::async_trait]
impl MessageService for Messages {
    async fn send_message(
        &self,
        request: Request<pb::SendMessageRequest>,
    ) -> Result<Response<pb::SendMessageResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let pb::SendMessageRequest { to, content, idempotency_key, expires_ms } =
            request.into_inner();
        let mut content = content.ok_or_else(|| missing("content"))?;
        let grounds = grounds(&mut content)?;
        let content = content_from_pb(content).map_err(malformed)?;
        let draft = Draft {
            to: area(&to, "to")?,
            content,
            grounds,
            expires: (expires_ms != 0).then(|| UnixMillis::new(expires_ms)),
            idempotency_key,
        };
        let accepted = send::send(&ctx, &self.store, &self.peers, draft).await?;
        let track = read::track(&ctx, &self.store, accepted.id)?;
        Ok(Response::new(pb::SendMessageResponse {
            message_id: accepted.id.to_string(),
            case_id: accepted.case.to_string(),
            track: Some(self.track(&track)),
        }))
    }

    async fn get_message(
        &self,
        request: Request<pb::GetMessageRequest>,
    ) -> Result<Response<pb::GetMessageResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let pb::GetMessageRequest { message_id: id, access } = request.into_inner();
        let why = why(access)?;
        let (track, content) = read::get(&ctx, &self.store, message_id(&id)?, why).await?;
        Ok(Response::new(pb::GetMessageResponse {
            track: Some(self.track(&track)),
            content: Some(content_to_pb(&content)),
        }))
    }

    async fn track_message(
        &self,
        request: Request<pb::TrackMessageRequest>,
    ) -> Result<Response<pb::TrackMessageResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let id = message_id(&request.get_ref().message_id)?;
        access::follow(&ctx, &self.store, Followed::Message(id)).await?;
        let track = read::track(&ctx, &self.store, id)?;
        Ok(Response::new(pb::TrackMessageResponse { track: Some(self.track(&track)) }))
    }

    async fn list_messages(
        &self,
        request: Request<pb::ListMessagesRequest>,
    ) -> Result<Response<pb::ListMessagesResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let pb::ListMessagesRequest { direction, peer, page_size, page_token, by_nodes } =
            request.into_inner();
        let side = match pb::Direction::try_from(direction) {
            Ok(pb::Direction::Unspecified) => None,
            Ok(pb::Direction::Sent) => Some(Side::Sent),
            Ok(pb::Direction::Received) => Some(Side::Received),
            Err(_) => return Err(invalid("direction")),
        };
        access::follow(&ctx, &self.store, Followed::List("messages")).await?;
        let filter = Filter { side, peer: maybe_area(&peer, "peer")?, by_nodes };
        let (size, token) = (size(page_size), field::page_token(&page_token)?);
        let page = reading(&self.store, move |store| read::list(&ctx, store, filter, size, &token));
        let page = page.await?;
        let (messages, next_page_token) = self.page(&page);
        Ok(Response::new(pb::ListMessagesResponse { messages, next_page_token }))
    }

    async fn list_todo(
        &self,
        request: Request<pb::ListTodoRequest>,
    ) -> Result<Response<pb::ListTodoResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let pb::ListTodoRequest { page_size, page_token } = request.into_inner();
        access::follow(&ctx, &self.store, Followed::List("to-do")).await?;
        let (size, token) = (size(page_size), field::page_token(&page_token)?);
        let now = ctx.now;
        let read = move |store: &Store| {
            let first = token.is_empty();
            let applications = if first { applications::list(&ctx, store)? } else { Vec::new() };
            Ok((read::todo(&ctx, store, size, &token)?, applications))
        };
        let (page, applications) = reading(&self.store, read).await?;
        let (messages, next_page_token) = self.page(&page);
        let applications = applications.iter().map(|it| to_ask(it, now)).collect();
        Ok(Response::new(pb::ListTodoResponse { messages, next_page_token, applications }))
    }

    async fn export_evidence(
        &self,
        request: Request<pb::ExportEvidenceRequest>,
    ) -> Result<Response<pb::ExportEvidenceResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let id = message_id(&request.get_ref().message_id)?;
        let material = self.identity.material();
        let (lists, signer) = (material.chains().lists(), material.identity().as_ref());
        let evidence = evidence::export(&ctx, &self.store, lists, signer, id).await?;
        Ok(Response::new(pb::ExportEvidenceResponse { evidence }))
    }
}

fn to_ask(application: &ToAsk, now: UnixMillis) -> pb::ApplicationToAsk {
    let ToAsk { request, papers_on, due } = application;
    pb::ApplicationToAsk {
        request_id: request.to_string(),
        papers_on: papers_on.to_string(),
        due_on: due.saturating_sub(Duration::from_millis(1)).date().to_string(),
        late: *due <= now,
    }
}

/// The records that a content names as its ground, taken out of it: the node fills in what they say.
pub(super) fn grounds(content: &mut wire::pb::message::Content) -> Result<Grounds, Status> {
    let id = |bytes: &[u8], field| <[u8; 16]>::try_from(bytes).map_err(|_| invalid(field));
    let consent = content.consent.take();
    let consent = consent.map(|c| id(&c.consent_id, "content.consent.consent_id"));
    let request = content.service_request.take();
    let request = request.map(|r| id(&r.request_id, "content.service_request.request_id"));
    Ok(Grounds {
        consent: consent.transpose()?.map(ConsentId::from_bytes),
        request: request.transpose()?.map(RequestId::from_bytes),
    })
}
