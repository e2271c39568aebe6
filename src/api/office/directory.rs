//! The directory service: what the node knows of the others and says of itself; no records.

use domain::access::Permission;
use domain::area::{AreaCode, AreaTable};
use domain::hex::hex;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::card::{AreaChange, MaintenanceWindow, NodeCard, SealingKey};
use store::network::{AreaChangeRow, OwnCardRow, WindowRow};
use tonic::{Extensions, Request, Response, Status};
use trust::crl::Freshness;
use wire::pb::office as pb;
use wire::pb::office::directory_service_server::DirectoryService;

use super::Parts;
use crate::api::caller::operator;
use crate::api::status::of_refusal;
use crate::app::{Ctx, Refusal, reading, upkeep};
use crate::delivery::directory::entries::{CardEntry, ListEntry};
use crate::delivery::peers::CardState;

/// Cards of a page, when nobody says how many.
const PAGE_USUAL: u32 = 100;
/// Most cards of a page.
const PAGE_MAX: u32 = 500;

pub(super) struct Registry {
    parts: Parts,
}

impl Registry {
    pub(super) fn new(parts: &Parts) -> Self {
        Self { parts: parts.clone() }
    }

    fn looks(&self, extensions: &Extensions) -> Result<Ctx, Status> {
        let ctx = operator(extensions, self.parts.settings.area)?;
        ctx.must(Permission::FollowDelivery).map_err(Status::from)?;
        Ok(ctx)
    }

    fn administrator(&self, extensions: &Extensions) -> Result<Ctx, Status> {
        let ctx = operator(extensions, self.parts.settings.area)?;
        ctx.must(Permission::OperateNode).map_err(Status::from)?;
        Ok(ctx)
    }

    fn own_card(&self) -> NodeCard {
        self.parts.directory.own_card().card()
    }

    /// Tells the node above that our service has ended, and the rest of our book: what it does not know of, no reconciliation
    /// finds once we are gone.
    async fn has_reported(&self) -> bool {
        let Some(above) = self.parts.reconcile.above() else { return true };
        self.parts.directory.tell(above).await && self.parts.reconcile.report_all().await
    }

    /// What is left, and how far the end of our service is.
    async fn retirement(&self) -> Result<pb::RetireNodeResponse, Status> {
        let left = reading(&self.parts.store, upkeep::left).await?;
        let row = self.parts.directory.announced().map_err(Status::from)?;
        let reported = row.retired.is_some() && self.has_reported().await;
        let millis = |at: Option<UnixMillis>| at.map_or(0, UnixMillis::get);
        let left_for = |(area, messages): &(AreaCode, u64)| pb::LeftFor {
            area: area.to_string(),
            area_name: AreaTable::builtin().full_name(area),
            messages: *messages,
        };
        Ok(pb::RetireNodeResponse {
            retiring_ms: millis(row.retiring),
            retired_ms: millis(row.retired),
            left: left.messages.iter().map(left_for).collect(),
            in_transit: left.in_transit,
            words: left.words,
            unanswered: left.unanswered,
            reported,
        })
    }
}

#[tonic::async_trait]
impl DirectoryService for Registry {
    async fn list_cards(
        &self,
        request: Request<pb::ListCardsRequest>,
    ) -> Result<Response<pb::ListCardsResponse>, Status> {
        let ctx = self.looks(request.extensions())?;
        let pb::ListCardsRequest { page_size, page_token } = request.into_inner();
        let size = if page_size == 0 { PAGE_USUAL } else { page_size.min(PAGE_MAX) };
        let size = usize::try_from(size).unwrap_or(1);
        let after = match page_token.as_str() {
            "" => None,
            token => Some(code("page_token", token)?),
        };
        let entries = self.parts.directory.cards(after, size, ctx.now).map_err(Status::from)?;
        let last = entries.last().filter(|_| entries.len() == size);
        let next_page_token = last.map(|entry| entry.card.area.to_string()).unwrap_or_default();
        let cards = entries.iter().map(card_to_pb).collect();
        Ok(Response::new(pb::ListCardsResponse { cards, next_page_token }))
    }

    async fn get_area(
        &self,
        request: Request<pb::GetAreaRequest>,
    ) -> Result<Response<pb::GetAreaResponse>, Status> {
        let ctx = self.looks(request.extensions())?;
        let area = code("area", &request.into_inner().area)?.county();
        let card = self.parts.directory.card_of(area, ctx.now).map_err(Status::from)?;
        let mut answer =
            pb::GetAreaResponse { card: card.as_ref().map(card_to_pb), ..Default::default() };
        match self.parts.peers.destination_at(area, ctx.now) {
            Ok(destination) => answer.destination = destination.to_string(),
            Err(refusal) => {
                answer.reason = refusal.reason.code().to_owned();
                answer.reason_zh = refusal.reason.text_zh().to_owned();
                answer.reason_en = refusal.reason.text_en().to_owned();
                answer.detail = refusal.detail.unwrap_or_default();
            }
        }
        Ok(Response::new(answer))
    }

    async fn list_revocation_lists(
        &self,
        request: Request<pb::ListRevocationListsRequest>,
    ) -> Result<Response<pb::ListRevocationListsResponse>, Status> {
        let ctx = self.looks(request.extensions())?;
        let lists = self.parts.directory.lists(ctx.now).map_err(Status::from)?;
        let lists = lists.iter().map(list_to_pb).collect();
        Ok(Response::new(pb::ListRevocationListsResponse { lists }))
    }

    async fn rotate_sealing_key(
        &self,
        request: Request<pb::RotateSealingKeyRequest>,
    ) -> Result<Response<pb::RotateSealingKeyResponse>, Status> {
        let ctx = self.administrator(request.extensions())?;
        let directory = &self.parts.directory;
        directory.own_card().keys().rotate(ctx.now).await.map_err(Status::from)?;
        directory.renew().await.map_err(Status::from)?;
        let keys = self.own_card().sealing_keys.iter().map(key_to_pb).collect();
        Ok(Response::new(pb::RotateSealingKeyResponse { keys }))
    }

    async fn announce_maintenance(
        &self,
        request: Request<pb::AnnounceMaintenanceRequest>,
    ) -> Result<Response<pb::AnnounceMaintenanceResponse>, Status> {
        let now = self.administrator(request.extensions())?.now;
        let pb::AnnounceMaintenanceRequest { from_ms, until_ms, note } = request.into_inner();
        let from = if from_ms == 0 { now } else { UnixMillis::new(from_ms) };
        let window = WindowRow { from, until: UnixMillis::new(until_ms), note };
        let change = move |row: &mut OwnCardRow| upkeep::announce_window(row, window, now);
        self.parts.directory.announce(change).await.map_err(Status::from)?;
        let maintenance = windows(&self.own_card());
        Ok(Response::new(pb::AnnounceMaintenanceResponse { maintenance }))
    }

    async fn cancel_maintenance(
        &self,
        request: Request<pb::CancelMaintenanceRequest>,
    ) -> Result<Response<pb::CancelMaintenanceResponse>, Status> {
        self.administrator(request.extensions())?;
        let from = request.into_inner().from_ms;
        let from = (from != 0).then_some(UnixMillis::new(from));
        let change = move |row: &mut OwnCardRow| upkeep::cancel_windows(row, from);
        self.parts.directory.announce(change).await.map_err(Status::from)?;
        let maintenance = windows(&self.own_card());
        Ok(Response::new(pb::CancelMaintenanceResponse { maintenance }))
    }

    async fn retire_area(
        &self,
        request: Request<pb::RetireAreaRequest>,
    ) -> Result<Response<pb::RetireAreaResponse>, Status> {
        let now = self.administrator(request.extensions())?.now;
        let pb::RetireAreaRequest { area, successors, from_ms } = request.into_inner();
        let successors: Result<_, Status> =
            successors.iter().map(|text| code("successors", text)).collect();
        let from = if from_ms == 0 { now } else { UnixMillis::new(from_ms) };
        let change = AreaChangeRow { area: code("area", &area)?, successors: successors?, from };
        let own = self.parts.settings.area;
        let change = move |row: &mut OwnCardRow| upkeep::retire_area(row, own, change);
        self.parts.directory.announce(change).await.map_err(Status::from)?;
        let ended_areas = ended(&self.own_card());
        Ok(Response::new(pb::RetireAreaResponse { ended_areas }))
    }

    async fn reinstate_area(
        &self,
        request: Request<pb::ReinstateAreaRequest>,
    ) -> Result<Response<pb::ReinstateAreaResponse>, Status> {
        self.administrator(request.extensions())?;
        let area = code("area", &request.into_inner().area)?;
        let change = move |row: &mut OwnCardRow| upkeep::reinstate_area(row, area);
        self.parts.directory.announce(change).await.map_err(Status::from)?;
        let ended_areas = ended(&self.own_card());
        Ok(Response::new(pb::ReinstateAreaResponse { ended_areas }))
    }

    async fn retire_node(
        &self,
        request: Request<pb::RetireNodeRequest>,
    ) -> Result<Response<pb::RetireNodeResponse>, Status> {
        let now = self.administrator(request.extensions())?.now;
        let pb::RetireNodeRequest { cancel, look } = request.into_inner();
        let directory = &self.parts.directory;
        if look {
            return Ok(Response::new(self.retirement().await?));
        }
        let begin = move |row: &mut OwnCardRow| {
            row.retiring = if cancel { None } else { row.retiring.or(Some(now)) };
            row.retired = row.retired.filter(|_| !cancel);
            Ok(())
        };
        directory.announce(begin).await.map_err(Status::from)?;
        let state = self.retirement().await?;
        let drained = state.left.is_empty() && state.in_transit == 0 && state.words == 0;
        if cancel || !drained || state.retired_ms != 0 {
            return Ok(Response::new(state));
        }
        let end = move |row: &mut OwnCardRow| {
            row.retired = Some(now);
            Ok(())
        };
        directory.announce(end).await.map_err(Status::from)?;
        Ok(Response::new(self.retirement().await?))
    }
}

fn code(field: &str, text: &str) -> Result<AreaCode, Status> {
    let parsed = text.parse::<AreaCode>();
    parsed.map_err(|_| of_refusal(&Refusal::new(Reason::InvalidField).field(field)))
}

fn card_to_pb(entry: &CardEntry) -> pb::DirectoryCard {
    let card = &entry.card;
    let state = match entry.state {
        CardState::Good => pb::CardState::Good,
        CardState::InGrace => pb::CardState::InGrace,
        CardState::Ended => pb::CardState::Ended,
        CardState::Disbelieved => pb::CardState::Disbelieved,
        CardState::Missing => pb::CardState::Unspecified,
    };
    pb::DirectoryCard {
        area: card.area.to_string(),
        area_name: AreaTable::builtin().full_name(&card.area),
        name: card.name.clone(),
        state: state.into(),
        version: card.version,
        valid_from_ms: card.valid_from.get(),
        valid_until_ms: card.valid_until.get(),
        endpoints: card.endpoints.iter().map(ToString::to_string).collect(),
        keys: card.sealing_keys.iter().map(key_to_pb).collect(),
        collects: card.collects,
        retired_ms: card.retired.map_or(0, UnixMillis::get),
        maintenance: windows(card),
        ended_areas: ended(card),
        received_ms: entry.received.get(),
        heard_from: entry.heard_from.map(|area| area.to_string()).unwrap_or_default(),
    }
}

fn key_to_pb(key: &SealingKey) -> pb::DirectoryKey {
    pb::DirectoryKey { key_id: hex(&key.key_id()), use_until_ms: key.use_until.get() }
}

fn windows(card: &NodeCard) -> Vec<pb::Maintenance> {
    let window = |window: &MaintenanceWindow| pb::Maintenance {
        from_ms: window.from.get(),
        until_ms: window.until.get(),
        note: window.note.clone(),
    };
    card.maintenance.iter().map(window).collect()
}

fn ended(card: &NodeCard) -> Vec<pb::EndedArea> {
    let change = |change: &AreaChange| pb::EndedArea {
        area: change.area.to_string(),
        successors: change.successors.iter().map(ToString::to_string).collect(),
        from_ms: change.from.get(),
    };
    card.area_changes.iter().map(change).collect()
}

fn list_to_pb(entry: &ListEntry) -> pb::DirectoryList {
    let state = match entry.freshness {
        Freshness::Fresh => pb::ListState::Fresh,
        Freshness::HalfSpent => pb::ListState::HalfSpent,
        Freshness::InGrace => pb::ListState::InGrace,
        Freshness::TooOld => pb::ListState::TooOld,
    };
    pb::DirectoryList {
        issuer: entry.issuer.clone(),
        number: entry.number.clone(),
        state: state.into(),
        issued_ms: entry.issued.get(),
        until_ms: entry.until.get(),
        received_ms: entry.received.get(),
        heard_from: entry.heard_from.map(|area| area.to_string()).unwrap_or_default(),
    }
}
