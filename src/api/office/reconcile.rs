//! The reconcile service: runs, statements, reports, and the ledger.

use std::sync::Arc;

use domain::access::Permission;
use domain::area::AreaTable;
use domain::hex::hex;
use domain::reason::Reason;
use domain::text::Note;
use domain::time::{Month, UnixMillis};
use exchange::ledger::{OwnHead, SeenHead};
use exchange::reconcile::Entry;
use exchange::reconcile::calls::Signature;
use exchange::reconcile::difference::DifferenceName;
use exchange::reconcile::set::Scope;
use store::Store;
use store::reconcile::{
    DecidedRow, DifferenceState, LostWindow, RunRow, RunState, StatementKey, StatementRow,
};
use tonic::{Request, Response, Status};
use wire::content::content_to_pb;
use wire::pb::office as pb;
use wire::pb::office::reconcile_service_server::ReconcileService;
use wire::reconcile::encode_signed_statement;

use super::access::why;
use super::field::{area, invalid, maybe, maybe_area, message_id, page_token, parsed, size};
use super::{Parts, reports};
use crate::api::caller::operator;
use crate::api::status::of_refusal;
use crate::app::access::OFFICE_WORK;
use crate::app::ledger::blocks::Blocks;
use crate::app::ledger::{HeadSigned, Shows};
use crate::app::reconcile::runs::Found;
use crate::app::reconcile::versions::{Looked, Proof, Version};
use crate::app::reconcile::{decisions, runs, standing, statements, versions};
use crate::app::{Ctx, Refusal, ledger, page_size, reading, restore};
use crate::config::Settings;
use crate::delivery::reconcile::Reconcile;
use crate::time::SystemClock;

pub(super) struct Reconciliations {
    settings: Arc<Settings>,
    store: Store,
    reconcile: Reconcile,
}

impl Reconciliations {
    pub(super) fn new(parts: &Parts) -> Self {
        Self {
            settings: parts.settings.clone(),
            store: parts.store.clone(),
            reconcile: parts.reconcile.clone(),
        }
    }

    fn caller<T>(&self, request: &Request<T>, may: Permission) -> Result<Ctx, Status> {
        let ctx = operator(request.extensions(), self.settings.area)?;
        ctx.must(may).map_err(Status::from)?;
        Ok(ctx)
    }
}

#[tonic::async_trait]
impl ReconcileService for Reconciliations {
    async fn start_reconciliation(
        &self,
        request: Request<pb::StartReconciliationRequest>,
    ) -> Result<Response<pb::StartReconciliationResponse>, Status> {
        self.caller(&request, Permission::TendDelivery)?;
        let request = request.into_inner();
        if request.after_restore {
            let begun = self.reconcile.begin_after_restore().await?;
            let origin = restore::origin(&self.store)?;
            let (from, until) = origin.map_or((0, 0), |origin| {
                let from = origin.backup.unwrap_or(UnixMillis::new(0));
                (from.get(), origin.restored.get())
            });
            return Ok(Response::new(pb::StartReconciliationResponse {
                numbers: begun.numbers,
                lost_from_ms: from,
                lost_until_ms: until,
                left_out: begun.left_out.iter().map(ToString::to_string).collect(),
                recall: begun.recall.unwrap_or_default(),
            }));
        }
        let days =
            (parsed(&request.first_day, "first_day")?, parsed(&request.last_day, "last_day")?);
        let with = area(&request.with, "with")?;
        let number = match request.look_again {
            true => self.reconcile.begin_again(with, days).await?,
            false => self.reconcile.begin(with, days).await?,
        };
        let numbers = vec![number];
        Ok(Response::new(pb::StartReconciliationResponse { numbers, ..Default::default() }))
    }

    async fn resume_reconciliation(
        &self,
        request: Request<pb::ResumeReconciliationRequest>,
    ) -> Result<Response<pb::ResumeReconciliationResponse>, Status> {
        self.caller(&request, Permission::TendDelivery)?;
        let number = request.into_inner().number;
        let row = self.reconcile.resume(number).await?;
        let reconciliation = Some(run_to_pb(number, &row));
        Ok(Response::new(pb::ResumeReconciliationResponse { reconciliation }))
    }

    async fn list_reconciliations(
        &self,
        request: Request<pb::ListReconciliationsRequest>,
    ) -> Result<Response<pb::ListReconciliationsResponse>, Status> {
        self.caller(&request, Permission::FollowDelivery)?;
        let pb::ListReconciliationsRequest { page_size, before } = request.into_inner();
        let rows = runs::list(&self.store, (before > 0).then_some(before), size(page_size))?;
        let reconciliations = rows.iter().map(|(number, row)| run_to_pb(*number, row)).collect();
        Ok(Response::new(pb::ListReconciliationsResponse { reconciliations }))
    }

    async fn get_reconciliation(
        &self,
        request: Request<pb::GetReconciliationRequest>,
    ) -> Result<Response<pb::GetReconciliationResponse>, Status> {
        self.caller(&request, Permission::FollowDelivery)?;
        let request = request.into_inner();
        let number = request.number;
        let row = match number {
            runs::DECISIONS => None,
            number => Some(runs::get(&self.store, number)?),
        };
        let after = maybe(&request.after, "after")?;
        let size = page_size(size(request.page_size));
        let how = (size, request.open_only);
        let rows = reading(&self.store, move |store| runs::differences(store, number, after, how));
        let rows = rows.await?;
        let full = rows.len() == size;
        let last = rows.last().and_then(|found| found.row.difference.id()).filter(|_| full);
        Ok(Response::new(pb::GetReconciliationResponse {
            reconciliation: row.map(|row| run_to_pb(number, &row)),
            differences: rows.iter().filter_map(difference_to_pb).collect(),
            next: last.map(|id| id.to_string()).unwrap_or_default(),
        }))
    }

    async fn decide_difference(
        &self,
        request: Request<pb::DecideDifferenceRequest>,
    ) -> Result<Response<pb::DecideDifferenceResponse>, Status> {
        let ctx = operator(request.extensions(), self.settings.area)?;
        let pb::DecideDifferenceRequest { message_id: id, reason } = request.into_inner();
        let unfit = |_| of_refusal(&Refusal::new(Reason::ReasonTextRequired).field("reason"));
        let reason = Note::new(&reason).map_err(unfit)?;
        let decided = decisions::decide(&ctx, &self.store, message_id(&id)?, reason).await?;
        let difference = difference_to_pb(&decided);
        Ok(Response::new(pb::DecideDifferenceResponse { difference }))
    }

    async fn get_decision(
        &self,
        request: Request<pb::GetDecisionRequest>,
    ) -> Result<Response<pb::GetDecisionResponse>, Status> {
        let ctx = operator(request.extensions(), self.settings.area)?;
        let pb::GetDecisionRequest { message_id: id, access } = request.into_inner();
        let why = why(access)?;
        let looked = versions::look(&ctx, &self.store, message_id(&id)?, why).await?;
        Ok(Response::new(looked_to_pb(&looked)))
    }

    async fn list_statements(
        &self,
        request: Request<pb::ListStatementsRequest>,
    ) -> Result<Response<pb::ListStatementsResponse>, Status> {
        self.caller(&request, Permission::FollowDelivery)?;
        let pb::ListStatementsRequest { with, page_size: asked, page_token: token } =
            request.into_inner();
        let with = maybe_area(&with, "with")?;
        let after = match token.is_empty() {
            true => None,
            false => Some(statement_key(&token)?),
        };
        let most = page_size(size(asked));
        let kept = reading(&self.store, move |store| statements::list(store, with, after, most));
        let kept = kept.await?;
        let last = kept.last().filter(|_| kept.len() == most);
        let next_page_token = last.map(|(key, _)| statement_token(key)).unwrap_or_default();
        let statements = kept.iter().map(|(_, row)| summary_to_pb(row)).collect();
        Ok(Response::new(pb::ListStatementsResponse { statements, next_page_token }))
    }

    async fn get_statement(
        &self,
        request: Request<pb::GetStatementRequest>,
    ) -> Result<Response<pb::GetStatementResponse>, Status> {
        self.caller(&request, Permission::FollowDelivery)?;
        let pb::GetStatementRequest { with, digest } = request.into_inner();
        let with = maybe_area(&with, "with")?;
        let kept = reading(&self.store, move |store| statements::find(store, with, &digest));
        let kept = kept.await?;
        Ok(Response::new(pb::GetStatementResponse {
            signed_statement: encode_signed_statement(kept.signed()),
        }))
    }

    async fn list_reports(
        &self,
        request: Request<pb::ListReportsRequest>,
    ) -> Result<Response<pb::ListReportsResponse>, Status> {
        self.caller(&request, Permission::FollowDelivery)?;
        let month: Option<Month> = maybe(&request.into_inner().month, "month")?;
        let (counties, now) = (self.reconcile.counties_with_ends(), SystemClock.now());
        let all = reading(&self.store, move |store| standing::standing(store, counties)).await?;
        let reports = all.iter().map(|county| reports::county(county, month, now));
        Ok(Response::new(pb::ListReportsResponse { reports: reports.collect() }))
    }

    async fn get_ledger_head(
        &self,
        request: Request<pb::GetLedgerHeadRequest>,
    ) -> Result<Response<pb::GetLedgerHeadResponse>, Status> {
        self.caller(&request, Permission::FollowDelivery)?;
        let size = request.into_inner().size;
        let head =
            reading(&self.store, move |store| ledger::head_at(store, &Blocks::default(), size))
                .await?;
        let signed = (size == 0).then(|| self.reconcile.sign_head()).transpose()?;
        let head = signed.as_ref().map_or(head, |(own, _)| own.seen.head);
        Ok(Response::new(pb::GetLedgerHeadResponse {
            size: head.size,
            root: head.root.to_string(),
            head: signed.as_ref().map(own_head_to_pb),
        }))
    }

    async fn prove_entry(
        &self,
        request: Request<pb::ProveEntryRequest>,
    ) -> Result<Response<pb::ProveEntryResponse>, Status> {
        self.caller(&request, Permission::FollowDelivery)?;
        let id = request.into_inner().message_id;
        let id = message_id(&id)?;
        let signed = self.reconcile.sign_head()?;
        let head = signed.0.seen.head;
        let proofs = reading(&self.store, move |store| ledger::inclusion(store, head, id)).await?;
        let proofs = proofs.iter().map(|proof| pb::EntryProof {
            entry: hex(&proof.entry.canonical_bytes()),
            index: proof.index,
            size: proof.head.size,
            root: proof.head.root.to_string(),
            path: proof.path.iter().map(ToString::to_string).collect(),
        });
        let head = Some(own_head_to_pb(&signed));
        Ok(Response::new(pb::ProveEntryResponse { proofs: proofs.collect(), head }))
    }

    async fn prove_growth(
        &self,
        request: Request<pb::ProveGrowthRequest>,
    ) -> Result<Response<pb::ProveGrowthResponse>, Status> {
        self.caller(&request, Permission::FollowDelivery)?;
        let pb::ProveGrowthRequest { old_size, new_size } = request.into_inner();
        let signed = (new_size == 0).then(|| self.reconcile.sign_head()).transpose()?;
        let new_size = signed.as_ref().map_or(new_size, |(own, _)| own.seen.head.size);
        let proven = reading(&self.store, move |store| {
            let blocks = Blocks::default();
            let (new, proof) = ledger::consistency(store, &blocks, (old_size, new_size))?;
            let old = match old_size {
                0 => exchange::ledger::LedgerHead::empty(),
                size => ledger::head_at(store, &blocks, size)?,
            };
            Ok((old, new, proof))
        });
        let (old, new, proof) = proven.await?;
        Ok(Response::new(pb::ProveGrowthResponse {
            old_size: old.size,
            old_root: old.root.to_string(),
            new_size: new.size,
            new_root: new.root.to_string(),
            proof: proof.iter().map(ToString::to_string).collect(),
            head: signed.as_ref().map(own_head_to_pb),
        }))
    }

    async fn get_two_heads(
        &self,
        request: Request<pb::GetTwoHeadsRequest>,
    ) -> Result<Response<pb::GetTwoHeadsResponse>, Status> {
        self.caller(&request, Permission::FollowDelivery)?;
        let peer = area(&request.into_inner().peer, "peer")?;
        // What it has signed last is proven now, if it can be asked; what was found before is told in any case.
        if let Err(trouble) = self.reconcile.look_at_ledger(peer).await {
            tracing::debug!(%peer, %trouble, "a peer was not asked whether its ledger only grew");
        }
        let now = SystemClock.now();
        let found = reading(&self.store, move |store| ledger::two_heads(store, peer, now)).await?;
        let Some(found) = found else {
            return Ok(Response::new(pb::GetTwoHeadsResponse::default()));
        };
        let change = match found.shows {
            Shows::RolledBack => "ROLLED_BACK",
            Shows::Rewritten => "REWRITTEN",
            Shows::Owes => "UNPROVEN",
        };
        Ok(Response::new(pb::GetTwoHeadsResponse {
            change: change.to_owned(),
            before: Some(head_to_pb(&found.before)),
            after: Some(head_to_pb(&found.after)),
        }))
    }
}

/// Both versions, and whether each is the one that a comparison has found.
fn looked_to_pb(looked: &Looked) -> pb::GetDecisionResponse {
    let difference = &looked.found.row.difference;
    let side = |version: &Version, compared: Option<&Entry>| {
        let (proof, signer, signed) = match version.proof {
            Proof::Own => (pb::VersionProof::Own, None, None),
            Proof::Signed { signer, at } => {
                (pb::VersionProof::SignedBySender, Some(signer), Some(at))
            }
            Proof::NotSigned => (pb::VersionProof::NotSignedBySender, None, None),
        };
        let millis = |at: Option<UnixMillis>| at.map_or(0, UnixMillis::get);
        pb::MessageVersion {
            digest: version.digest.to_string(),
            as_compared: compared.is_some_and(|entry| entry.digest == version.digest),
            version_proof: proof.into(),
            version_signer: signer.map(|signer| signer.to_string()).unwrap_or_default(),
            signed_ms: millis(signed),
            stored_ms: millis(version.stored),
            created_ms: version.created.get(),
            due_ms: millis(version.due),
            content: version.content.as_ref().map(content_to_pb),
        }
    };
    let (sender, recipient) = (difference.sender.as_ref(), difference.recipient.as_ref());
    pb::GetDecisionResponse {
        difference: difference_to_pb(&looked.found),
        sender_version: looked.sender.as_ref().map(|version| side(version, sender)),
        recipient_version: looked.recipient.as_ref().map(|version| side(version, recipient)),
    }
}

fn head_to_pb(head: &HeadSigned) -> pb::SignedHead {
    let HeadSigned { seen, in_card, signed, chain } = head;
    let bytes = hex(&signed.manifest.0);
    let (manifest, card) = if *in_card { (String::new(), bytes) } else { (bytes, String::new()) };
    pb::SignedHead {
        size: seen.head.size,
        root: seen.head.root.to_string(),
        signed_ms: seen.signed.get(),
        manifest,
        card,
        signature: hex(&signed.signature.0),
        certificate_chain: chain.iter().map(|certificate| hex(certificate)).collect(),
    }
}

fn own_head_to_pb((own, signature): &(OwnHead, Signature)) -> pb::SignedLedgerHead {
    let SeenHead { head, signed } = own.seen;
    pb::SignedLedgerHead {
        county: own.of.to_string(),
        size: head.size,
        root: head.root.to_string(),
        signed_ms: signed.get(),
        signed_bytes: hex(&own.canonical_bytes()),
        signature: hex(&signature.signature),
        certificate_chain: signature.chain.iter().map(|certificate| hex(certificate)).collect(),
    }
}

fn run_to_pb(number: u64, row: &RunRow) -> pb::Reconciliation {
    let state = match row.state {
        RunState::Running => pb::ReconciliationState::Running,
        RunState::Equal => pb::ReconciliationState::Equal,
        RunState::Decisions => pb::ReconciliationState::Decisions,
        RunState::Left => pb::ReconciliationState::Left,
        RunState::Failed => pb::ReconciliationState::Failed,
    };
    let counts = DifferenceName::ALL.iter().zip(row.found.iter().zip(&row.cured));
    let differences = counts.filter(|(_, (found, _))| **found > 0).map(|(name, (found, cured))| {
        pb::DifferenceCount { name: name.name().to_owned(), found: *found, cured: *cured }
    });
    let window =
        row.window.unwrap_or(LostWindow { from: None, named: None, until: UnixMillis::new(0) });
    let millis = |at: Option<UnixMillis>| at.map_or(0, UnixMillis::get);
    pb::Reconciliation {
        number,
        with: row.with.to_string(),
        with_name: AreaTable::builtin().full_name(&row.with),
        first_day: row.first.to_string(),
        last_day: row.last.to_string(),
        until_ms: row.until.get(),
        state: state.into(),
        started_ms: row.started.get(),
        touched_ms: row.touched.get(),
        comparisons: row.comparisons,
        bytes: row.bytes,
        our_entries: row.entries.0,
        their_entries: row.entries.1,
        differences: differences.collect(),
        trouble: row.trouble.clone(),
        statement: row.statement.map(|digest| digest.to_string()).unwrap_or_default(),
        after_restore: row.after_restore,
        lost: row.lost,
        lost_from_ms: millis(window.from),
        named_until_ms: millis(window.named),
        lost_until_ms: window.until.get(),
    }
}

fn difference_to_pb(found: &Found) -> Option<pb::ReconciliationDifference> {
    let Found { row, decided } = found;
    let difference = &row.difference;
    let (id, (from, to)) = difference.id().zip(difference.pair())?;
    let side = |entry: &Entry| pb::SideOfDifference {
        digest: entry.digest.to_string(),
        state: entry.state.name().to_owned(),
    };
    let state = match row.state {
        DifferenceState::Open => "OPEN",
        DifferenceState::Cured => "CURED",
        DifferenceState::Lost => "LOST",
        DifferenceState::Decided => "DECIDED",
    };
    Some(pb::ReconciliationDifference {
        message_id: id.to_string(),
        name: difference.name.name().to_owned(),
        from: from.to_string(),
        to: to.to_string(),
        sender: difference.sender.as_ref().map(side),
        recipient: difference.recipient.as_ref().map(side),
        state: state.to_owned(),
        found_ms: row.found.get(),
        ended_ms: row.ended.map_or(0, UnixMillis::get),
        made_ms: id.timestamp().get(),
        decided_by: decided.as_ref().map(|it| it.by.to_string()).unwrap_or_default(),
        decision_reason: decided.as_ref().map(|it| reason(it).to_owned()).unwrap_or_default(),
    })
}

/// Why it was decided so, for the offices that had to.
fn reason(decided: &DecidedRow) -> &str {
    decided.reason.expose(&OFFICE_WORK.purpose)
}

fn summary_to_pb(row: &StatementRow) -> pb::StatementSummary {
    let Scope { asker, answerer, first, last, .. } = row.scope;
    pb::StatementSummary {
        digest: row.digest.to_string(),
        asker: asker.to_string(),
        answerer: answerer.to_string(),
        first_day: first.to_string(),
        last_day: last.to_string(),
        made_ms: row.made.get(),
        messages: row.messages,
        left: row.left,
        closes: row.closes,
    }
}

/// Where a page of statements ends.
fn statement_token((with, first, last, made): &StatementKey) -> String {
    let days = [first.to_be_bytes(), last.to_be_bytes()].concat();
    hex(&[with.as_slice(), &days, &made.to_be_bytes()].concat())
}

fn statement_key(token: &str) -> Result<StatementKey, Status> {
    let bytes = page_token(token)?;
    let read = |bytes: &[u8]| {
        let (with, bytes) = bytes.split_first_chunk()?;
        let (first, bytes) = bytes.split_first_chunk()?;
        let (last, bytes) = bytes.split_first_chunk()?;
        let made = u64::from_be_bytes(bytes.try_into().ok()?);
        Some((*with, u32::from_be_bytes(*first), u32::from_be_bytes(*last), made))
    };
    read(&bytes).ok_or_else(|| invalid("page_token"))
}
