//! The service for hand-overs of many cases.

use domain::area::AreaCode;
use domain::hex::{hex, unhex};
use domain::id::{CaseId, MessageId};
use domain::purpose::Purpose;
use exchange::digest::Digest;
use store::Store;
use store::bulk::{BulkOutcome, BulkRow};
use tonic::{Request, Response, Status};
use wire::pb::office as pb;
use wire::pb::office::bulk_hand_over_service_server::BulkHandOverService;
use wire::records::Form;

use super::Parts;
use super::field::{area, invalid, parsed};
use crate::api::caller::operator;
use crate::api::status::of_findings;
use crate::app::Ctx;
use crate::app::cases::bulk::{self, Bulk, Errand, Proposal};
use crate::delivery::peers::Peers;

/// Days for which a list stands, unless it says otherwise.
const DAYS: u16 = 7;

/// The service.
pub(super) struct BulkHandOvers {
    area: AreaCode,
    store: Store,
    peers: Peers,
}

impl BulkHandOvers {
    pub(super) fn new(parts: &Parts) -> Self {
        Self { area: parts.settings.area, store: parts.store.clone(), peers: parts.peers.clone() }
    }

    fn ctx<T>(&self, request: &Request<T>) -> Result<Ctx, Status> {
        operator(request.extensions(), self.area)
    }
}

#[tonic::async_trait]
impl BulkHandOverService for BulkHandOvers {
    async fn propose_bulk_hand_over(
        &self,
        request: Request<pb::ProposeBulkHandOverRequest>,
    ) -> Result<Response<pb::ProposeBulkHandOverResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let pb::ProposeBulkHandOverRequest { to, cause, reason, case_ids, days } =
            request.into_inner();
        let mut form = Form::new();
        let cause = form.chosen("cause", cause);
        let reason = form.reason("reason", &reason);
        let (cause, reason) = form.finish(cause.zip(reason)).map_err(of_findings)?;
        let days = if days == 0 { DAYS } else { u16::try_from(days).unwrap_or(u16::MAX) };
        let (to, cases) = (area(&to, "to")?, cases(&case_ids)?);
        let proposal = Proposal { to, cause, reason, cases, days };
        let bulk = bulk::propose(&ctx, &self.store, proposal).await?;
        let bulk = Some(to_pb(&ctx, &bulk, true));
        Ok(Response::new(pb::ProposeBulkHandOverResponse { bulk }))
    }

    async fn decide_bulk_hand_over(
        &self,
        request: Request<pb::DecideBulkHandOverRequest>,
    ) -> Result<Response<pb::DecideBulkHandOverResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let pb::DecideBulkHandOverRequest { bulk_id: id, digest, approve } = request.into_inner();
        let seen = unhex(&digest).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let said = (Digest::new(seen.ok_or_else(|| invalid("digest"))?), approve);
        let bulk = bulk::decide(&ctx, &self.store, bulk_id(&id)?, said).await?;
        let bulk = Some(to_pb(&ctx, &bulk, true));
        Ok(Response::new(pb::DecideBulkHandOverResponse { bulk }))
    }

    async fn carry_out_bulk_hand_over(
        &self,
        request: Request<pb::CarryOutBulkHandOverRequest>,
    ) -> Result<Response<pb::CarryOutBulkHandOverResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let pb::CarryOutBulkHandOverRequest { bulk_id: id, to, case_ids } = request.into_inner();
        let (to, cases) = (area(&to, "to")?, cases(&case_ids)?);
        let errand = Errand { id: bulk_id(&id)?, to, cases };
        let bulk = bulk::carry_out(&ctx, &self.store, &self.peers, errand).await?;
        let bulk = Some(to_pb(&ctx, &bulk, true));
        Ok(Response::new(pb::CarryOutBulkHandOverResponse { bulk }))
    }

    async fn list_bulk_hand_overs(
        &self,
        request: Request<pb::ListBulkHandOversRequest>,
    ) -> Result<Response<pb::ListBulkHandOversResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let bulks = bulk::list(&ctx, &self.store)?;
        let bulks = bulks.iter().map(|bulk| to_pb(&ctx, bulk, false)).collect();
        Ok(Response::new(pb::ListBulkHandOversResponse { bulks }))
    }

    async fn get_bulk_hand_over(
        &self,
        request: Request<pb::GetBulkHandOverRequest>,
    ) -> Result<Response<pb::GetBulkHandOverResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let bulk = bulk::get(&ctx, &self.store, bulk_id(&request.get_ref().bulk_id)?)?;
        let bulk = Some(to_pb(&ctx, &bulk, true));
        Ok(Response::new(pb::GetBulkHandOverResponse { bulk }))
    }
}

fn bulk_id(text: &str) -> Result<[u8; 16], Status> {
    Ok(*parsed::<MessageId>(text, "bulk_id")?.as_bytes())
}

fn cases(texts: &[String]) -> Result<Vec<CaseId>, Status> {
    texts.iter().map(|text| parsed(text, "case_ids")).collect()
}

fn state(ctx: &Ctx, row: &BulkRow) -> pb::BulkState {
    let waits = row.outcomes.contains(&BulkOutcome::Waiting);
    match &row.verdict {
        Some(verdict) if !verdict.approved => pb::BulkState::Refused,
        Some(_) if !waits => pb::BulkState::Done,
        Some(_) | None if ctx.now >= row.until => pb::BulkState::Lapsed,
        Some(_) if row.carried_out.is_some() => pb::BulkState::Begun,
        Some(_) => pb::BulkState::Approved,
        None => pb::BulkState::Proposed,
    }
}

fn to_pb(ctx: &Ctx, bulk: &Bulk, whole: bool) -> pb::BulkHandOver {
    let row = &bulk.row;
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let case = |(id, outcome): (&[u8; 16], &BulkOutcome)| pb::BulkCase {
        case_id: CaseId::from_bytes(*id).to_string(),
        offered: *outcome == BulkOutcome::Offered,
        refused: match outcome {
            BulkOutcome::Refused(code) => code.clone(),
            BulkOutcome::Waiting | BulkOutcome::Offered => String::new(),
        },
    };
    let cases = row.cases.iter().zip(&row.outcomes).filter(|_| whole);
    let verdict = row.verdict.as_ref();
    let done = row.carried_out.as_ref();
    pb::BulkHandOver {
        bulk_id: MessageId::from_bytes(bulk.id).to_string(),
        bulk_state: state(ctx, row).into(),
        to: row.to.to_string(),
        cause: row.cause.into(),
        reason: row.reason.expose(&Purpose::OfficeAgreement).to_owned(),
        digest: hex(&row.digest),
        proposed_by: row.proposed_by.to_string(),
        proposed_ms: row.proposed.get(),
        until_ms: row.until.get(),
        decided_by: verdict.map(|verdict| verdict.by.to_string()).unwrap_or_default(),
        decided_ms: verdict.map_or(0, |verdict| verdict.at.get()),
        carried_out_by: done.map(|(by, _)| by.to_string()).unwrap_or_default(),
        size: count(row.cases.len()),
        offered: count(row.outcomes.iter().filter(|o| **o == BulkOutcome::Offered).count()),
        bulk_cases: cases.map(case).collect(),
    }
}
