//! The draw service: random re-checks of an office's work.

use domain::area::AreaCode;
use domain::draw::Frame;
use domain::hex::hex;
use domain::id::MessageId;
use domain::message::Kind;
use domain::numbered::Numbered;
use store::Store;
use store::draws::FoundRow;
use tonic::{Request, Response, Status};
use wire::pb::office as pb;
use wire::pb::office::draw_service_server::DrawService;

use super::Parts;
use super::field::{invalid, maybe, parsed};
use crate::api::caller::operator;
use crate::app::draws::{self, Draw, Order, POPULATION_PAGE};
use crate::app::indicators::case_id;
use crate::app::reading;

pub(super) struct Draws {
    area: AreaCode,
    store: Store,
}

impl Draws {
    pub(super) fn new(parts: &Parts) -> Self {
        Self { area: parts.settings.area, store: parts.store.clone() }
    }
}

#[tonic::async_trait]
impl DrawService for Draws {
    async fn begin_draw(
        &self,
        request: Request<pb::BeginDrawRequest>,
    ) -> Result<Response<pb::BeginDrawResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let pb::BeginDrawRequest { period, frame, message_kind, size } = request.into_inner();
        let period = parsed(&period, "period")?;
        let frame = of_number::<Frame>(frame).ok_or_else(|| invalid("frame"))?;
        let kind = match message_kind.as_str() {
            "" => None,
            name => Some(Kind::from_name(name).ok_or_else(|| invalid("message_kind"))?),
        };
        let order = Order { period, frame, kind, size };
        let drawn = reading(&self.store, move |store| draws::draw(&ctx, store, &order)).await?;
        draws::keep(&self.store, &drawn).await?;
        Ok(Response::new(pb::BeginDrawResponse { draw: Some(to_pb(&drawn)) }))
    }

    async fn publish_draw(
        &self,
        request: Request<pb::PublishDrawRequest>,
    ) -> Result<Response<pb::PublishDrawResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let id = draw_id(&request.get_ref().draw_id)?;
        let published = draws::publish(&ctx, &self.store, id).await?;
        Ok(Response::new(pb::PublishDrawResponse { draw: Some(to_pb(&published)) }))
    }

    async fn record_draw(
        &self,
        request: Request<pb::RecordDrawRequest>,
    ) -> Result<Response<pb::RecordDrawResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let pb::RecordDrawRequest { draw_id: which, item_id, finding } = request.into_inner();
        let right = match pb::DrawFinding::try_from(finding) {
            Ok(pb::DrawFinding::Right) => true,
            Ok(pb::DrawFinding::Wrong) => false,
            Ok(pb::DrawFinding::Unspecified) | Err(_) => return Err(invalid("finding")),
        };
        let (which, item) = (draw_id(&which)?, parsed(&item_id, "item_id")?);
        let recorded = draws::record(&ctx, &self.store, which, (item, right)).await?;
        Ok(Response::new(pb::RecordDrawResponse { draw: Some(to_pb(&recorded)) }))
    }

    async fn list_draws(
        &self,
        request: Request<pb::ListDrawsRequest>,
    ) -> Result<Response<pb::ListDrawsResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let draws = draws::list(&ctx, &self.store)?;
        Ok(Response::new(pb::ListDrawsResponse { draws: draws.iter().map(to_pb).collect() }))
    }

    async fn list_draw_population(
        &self,
        request: Request<pb::ListDrawPopulationRequest>,
    ) -> Result<Response<pb::ListDrawPopulationResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let pb::ListDrawPopulationRequest { draw_id: which, after } = request.into_inner();
        let which = draw_id(&which)?;
        let after = maybe::<MessageId>(&after, "after")?.map(|id| *id.as_bytes());
        let work = move |store: &Store| draws::drawn_from(&ctx, store, which, after);
        let ids = reading(&self.store, work).await?;
        let next = ids.last().filter(|_| ids.len() == POPULATION_PAGE).map(|id| case_id(*id));
        Ok(Response::new(pb::ListDrawPopulationResponse {
            ids: ids.concat(),
            next_after: next.unwrap_or_default(),
        }))
    }
}

fn draw_id(text: &str) -> Result<[u8; 16], Status> {
    Ok(*parsed::<MessageId>(text, "draw_id")?.as_bytes())
}

fn of_number<T: Numbered>(number: i32) -> Option<T> {
    u8::try_from(number).ok().and_then(T::from_number)
}

/// A draw; seed and sample only once they are published.
fn to_pb(draw: &Draw) -> pb::Draw {
    let row = &draw.row;
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let finding = |found: &Option<FoundRow>| match found {
        None => pb::DrawFinding::Unspecified,
        Some(FoundRow { right: true, .. }) => pb::DrawFinding::Right,
        Some(FoundRow { right: false, .. }) => pb::DrawFinding::Wrong,
    };
    let items = row
        .sample
        .iter()
        .zip(&row.found)
        .map(|(id, found)| pb::DrawnItem { id: case_id(*id), finding: finding(found).into() });
    let is_open = row.published.is_some();
    pb::Draw {
        draw_id: case_id(draw.id),
        period: row.period.clone(),
        frame: row.frame.into(),
        message_kind: Kind::from_number(row.kind).map(|k| k.name().to_owned()).unwrap_or_default(),
        operator: row.by.to_string(),
        drawn_ms: row.at.get(),
        size: row.size,
        population: row.population,
        population_sha256: hex(&row.population_sha256),
        seed_sha256: draw.commitment().to_string(),
        published_ms: row.published.map_or(0, |at| at.get()),
        seed: if is_open { hex(&row.seed) } else { String::new() },
        sample: if is_open { items.collect() } else { Vec::new() },
        rechecked: count(row.found.iter().flatten().count()),
        right: count(row.found.iter().flatten().filter(|found| found.right).count()),
    }
}
