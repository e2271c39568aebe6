//! The delivery service: dead letters, notices, and the way to a peer.

use std::sync::Arc;

use domain::access::Permission;
use domain::hex::hex;
use domain::reason::Reason;
use domain::text::Note;
use domain::time::UnixMillis;
use store::Store;
use tonic::{Request, Response, Status};
use wire::content::{content_from_pb, content_to_pb};
use wire::pb::office as pb;
use wire::pb::office::delivery_service_server::DeliveryService;

use super::access::why;
use super::field::{self, area, invalid, malformed, maybe_area, message_id, missing, size};
use super::message::grounds;
use super::{Parts, letter, notice, peer, track};
use crate::api::caller::operator;
use crate::api::status::of_refusal;
use crate::app::access::{self, Followed};
use crate::app::letters::{self, Again, Discard};
use crate::app::messages::grounds::Grounds;
use crate::app::messages::read;
use crate::app::{Ctx, Refusal, notices, reading};
use crate::config::Settings;
use crate::delivery::hub::Hub;
use crate::delivery::peers::Peers;
use crate::delivery::probe;

pub(super) struct Delivery {
    settings: Arc<Settings>,
    store: Store,
    peers: Peers,
    hub: Hub,
}

impl Delivery {
    pub(super) fn new(parts: &Parts) -> Self {
        Self {
            settings: parts.settings.clone(),
            store: parts.store.clone(),
            peers: parts.peers.clone(),
            hub: parts.hub.clone(),
        }
    }

    fn ctx<T>(&self, request: &Request<T>) -> Result<Ctx, Status> {
        operator(request.extensions(), self.settings.area)
    }

    fn letter(&self, letter: &letters::Letter) -> pb::DeadLetter {
        letter::to_pb(letter, &self.peers)
    }

    fn notice(&self, notice: &notices::Notice) -> pb::Notice {
        notice::to_pb(notice, self.settings.area, &self.peers)
    }

    fn known(&self, text: &str) -> Result<Arc<crate::delivery::peers::Peer>, Status> {
        let area = area(text, "area")?;
        let unknown = || of_refusal(&Refusal::new(Reason::NotFound).field("area"));
        self.peers.get(area).ok_or_else(unknown)
    }
}

#[tonic::async_trait]
impl DeliveryService for Delivery {
    async fn list_dead_letters(
        &self,
        request: Request<pb::ListDeadLettersRequest>,
    ) -> Result<Response<pb::ListDeadLettersResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let pb::ListDeadLettersRequest { all, to, page_size, page_token } = request.into_inner();
        access::follow(&ctx, &self.store, Followed::List("dead letters")).await?;
        let filter = letters::Filter { all, to: maybe_area(&to, "to")? };
        let before = letters::token(&field::page_token(&page_token)?)?;
        let size = size(page_size);
        let page =
            reading(&self.store, move |store| letters::list(&ctx, store, filter, size, before));
        let page = page.await?;
        let next = page.next.map(|id| hex(id.as_bytes()));
        Ok(Response::new(pb::ListDeadLettersResponse {
            dead_letters: page.letters.iter().map(|letter| self.letter(letter)).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn get_dead_letter(
        &self,
        request: Request<pb::GetDeadLetterRequest>,
    ) -> Result<Response<pb::GetDeadLetterResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let pb::GetDeadLetterRequest { message_id: id, access } = request.into_inner();
        let why = why(access)?;
        let (letter, content) = letters::show(&ctx, &self.store, message_id(&id)?, why).await?;
        Ok(Response::new(pb::GetDeadLetterResponse {
            dead_letter: Some(self.letter(&letter)),
            content: Some(content_to_pb(&content)),
        }))
    }

    async fn resend_dead_letter(
        &self,
        request: Request<pb::ResendDeadLetterRequest>,
    ) -> Result<Response<pb::ResendDeadLetterResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let again = again(request.into_inner())?;
        let accepted = letters::resend(&ctx, &self.store, &self.peers, again).await?;
        let track = read::track(&ctx, &self.store, accepted.id)?;
        Ok(Response::new(pb::ResendDeadLetterResponse {
            message_id: accepted.id.to_string(),
            case_id: accepted.case.to_string(),
            track: Some(track::to_pb(&track, &self.peers)),
        }))
    }

    async fn discard_dead_letter(
        &self,
        request: Request<pb::DiscardDeadLetterRequest>,
    ) -> Result<Response<pb::DiscardDeadLetterResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let pb::DiscardDeadLetterRequest { message_id: id, reason, idempotency_key } =
            request.into_inner();
        let unfit = |_| of_refusal(&Refusal::new(Reason::ReasonTextRequired).field("reason"));
        let given = Discard {
            id: message_id(&id)?,
            reason: Note::new(&reason).map_err(unfit)?,
            idempotency_key,
        };
        let letter = letters::discard(&ctx, &self.store, given).await?;
        let dead_letter = Some(self.letter(&letter));
        Ok(Response::new(pb::DiscardDeadLetterResponse { dead_letter }))
    }

    async fn list_notices(
        &self,
        request: Request<pb::ListNoticesRequest>,
    ) -> Result<Response<pb::ListNoticesResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let pb::ListNoticesRequest { all, area: about, page_size, page_token } =
            request.into_inner();
        let filter = notices::Filter { all, area: maybe_area(&about, "area")? };
        let before = notices::token(&field::page_token(&page_token)?)?;
        let size = size(page_size);
        let page =
            reading(&self.store, move |store| notices::list(&ctx, store, filter, size, before));
        let page = page.await?;
        let next = page.next.map(|number| hex(&number.to_be_bytes()));
        Ok(Response::new(pb::ListNoticesResponse {
            notices: page.notices.iter().map(|notice| self.notice(notice)).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn acknowledge_notice(
        &self,
        request: Request<pb::AcknowledgeNoticeRequest>,
    ) -> Result<Response<pb::AcknowledgeNoticeResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let number = request.into_inner().number;
        let notice = notices::done(&ctx, &self.store, number).await?;
        let notice = Some(self.notice(&notice));
        Ok(Response::new(pb::AcknowledgeNoticeResponse { notice }))
    }

    async fn get_peer(
        &self,
        request: Request<pb::GetPeerRequest>,
    ) -> Result<Response<pb::GetPeerResponse>, Status> {
        self.ctx(&request)?.must(Permission::FollowDelivery)?;
        let known = self.known(&request.get_ref().area)?;
        let peer = peer::to_pb(&known, &self.hub, &self.store, &self.settings)?;
        Ok(Response::new(pb::GetPeerResponse { peer: Some(peer) }))
    }

    async fn test_peer(
        &self,
        request: Request<pb::TestPeerRequest>,
    ) -> Result<Response<pb::TestPeerResponse>, Status> {
        self.ctx(&request)?.must(Permission::TendDelivery)?;
        let known = self.known(&request.get_ref().area)?;
        let walked = probe::probe(&self.hub, known.area).await;
        let walked = walked.ok_or_else(|| of_refusal(&Refusal::new(Reason::NotFound)))?;
        Ok(Response::new(peer::probe_to_pb(&walked)))
    }
}

fn again(request: pb::ResendDeadLetterRequest) -> Result<Again, Status> {
    let pb::ResendDeadLetterRequest { message_id: id, content, to, expires_ms, idempotency_key } =
        request;
    let (id, to) = (message_id(&id)?, maybe_area(&to, "to")?);
    let (content, grounds) = match content {
        Some(mut content) => {
            if !content.replaces.is_empty() && content.replaces != id.as_bytes() {
                return Err(invalid("content.replaces"));
            }
            if content.body.is_none() {
                return Err(missing("content.body"));
            }
            let grounds = grounds(&mut content)?;
            (Some(content_from_pb(content).map_err(malformed)?), grounds)
        }
        None => (None, Grounds::default()),
    };
    let expires = (expires_ms != 0).then(|| UnixMillis::new(expires_ms));
    Ok(Again { id, content, grounds, to, expires, idempotency_key })
}
