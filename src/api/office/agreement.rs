//! The agreement service: convert, call one use case, convert back.

use std::sync::Arc;

use domain::agreement::{AgreementState, KindTerms};
use domain::area::AreaCode;
use domain::consent::Ground;
use domain::id::AgreementId;
use domain::message::{AgreementDecision, AgreementEnd, AgreementProposal, Body, Kind};
use domain::reason::Reason;
use domain::text::{Note, WrittenReason};
use store::Store;
use store::agreements::AgreementRow;
use tonic::{Request, Response, Status};
use wire::content::{agreement_body, agreement_proposal};
use wire::pb::message as body;
use wire::pb::office as pb;
use wire::pb::office::agreement_service_server::AgreementService;
use wire::records::Form;

use super::Parts;
use super::field::{area, invalid, maybe, maybe_area, missing, parsed};
use crate::agreement_file::FILE_BYTES_MAX;
use crate::api::caller::operator;
use crate::api::status::{of_findings, of_reason, of_refusal};
use crate::app::access::{self, Followed};
use crate::app::agreements::{self, Decision, Proposal};
use crate::app::consents::spread::{self, Spread};
use crate::app::{Ctx, Refusal, at_risk};
use crate::delivery::identity::NodeIdentity;
use crate::delivery::peers::Peers;

pub(super) struct Agreements {
    area: AreaCode,
    store: Store,
    peers: Peers,
    identity: Arc<NodeIdentity>,
}

impl Agreements {
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

    fn shown(&self, row: &AgreementRow) -> Option<pb::Agreement> {
        Some(to_pb(row, self.area.county()))
    }
}

#[tonic::async_trait]
impl AgreementService for Agreements {
    async fn propose_agreement(
        &self,
        request: Request<pb::ProposeAgreementRequest>,
    ) -> Result<Response<pb::ProposeAgreementResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let pb::ProposeAgreementRequest { to, agreement_id, terms } = request.into_inner();
        let id = maybe(&agreement_id, "agreement_id")?;
        let terms = terms.ok_or_else(|| missing("terms"))?;
        let read = agreement_proposal(whole(terms)).map_err(|malformed| {
            let refusal = malformed.refusal();
            of_refusal(&Refusal::new(refusal.reason).field(format!("terms.{}", refusal.field)))
        })?;
        let proposal = Proposal { to: area(&to, "to")?, id, terms: read.terms };
        let signer = self.identity.material();
        let signer = signer.identity().as_ref();
        let (row, sent) =
            agreements::propose(&ctx, &self.store, &self.peers, signer, proposal).await?;
        let (agreement, message_id) = (self.shown(&row), sent.id.to_string());
        Ok(Response::new(pb::ProposeAgreementResponse { agreement, message_id }))
    }

    async fn decide_agreement(
        &self,
        request: Request<pb::DecideAgreementRequest>,
    ) -> Result<Response<pb::DecideAgreementResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let pb::DecideAgreementRequest { agreement_id, version, accepted, reason, contact } =
            request.into_inner();
        let decision = Decision {
            id: agreement(&agreement_id)?,
            version,
            accepted,
            reason: WrittenReason::optional(&reason).map_err(|_| invalid("reason"))?,
            contact: Note::optional(&contact).map_err(|_| invalid("contact"))?,
        };
        let signer = self.identity.material();
        let signer = signer.identity().as_ref();
        let (row, sent) =
            agreements::decide(&ctx, &self.store, &self.peers, signer, decision).await?;
        let (agreement, message_id) = (self.shown(&row), sent.id.to_string());
        Ok(Response::new(pb::DecideAgreementResponse { agreement, message_id }))
    }

    async fn end_agreement(
        &self,
        request: Request<pb::EndAgreementRequest>,
    ) -> Result<Response<pb::EndAgreementResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let pb::EndAgreementRequest { agreement_id, last_day, reason } = request.into_inner();
        let last_day = parsed(&last_day, "last_day")?;
        let given = (agreement(&agreement_id)?, last_day, written(&reason)?);
        let signer = self.identity.material();
        let signer = signer.identity().as_ref();
        let (row, sent) = agreements::end(&ctx, &self.store, &self.peers, signer, given).await?;
        let (agreement, message_id) = (self.shown(&row), sent.id.to_string());
        Ok(Response::new(pb::EndAgreementResponse { agreement, message_id }))
    }

    async fn adopt_agreement(
        &self,
        request: Request<pb::AdoptAgreementRequest>,
    ) -> Result<Response<pb::AdoptAgreementResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let file = request.into_inner().file;
        if file.len() > FILE_BYTES_MAX {
            return Err(of_reason(Reason::TooLarge));
        }
        let material = self.identity.material();
        let row = agreements::adopt(&ctx, &self.store, material.chains().as_ref(), &file).await?;
        Ok(Response::new(pb::AdoptAgreementResponse { agreement: self.shown(&row) }))
    }

    async fn list_agreements(
        &self,
        request: Request<pb::ListAgreementsRequest>,
    ) -> Result<Response<pb::ListAgreementsResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let peer = maybe_area(&request.get_ref().peer, "peer")?;
        let rows = agreements::list(&ctx, &self.store, peer)?;
        let agreements = rows.iter().filter_map(|row| self.shown(row)).collect();
        Ok(Response::new(pb::ListAgreementsResponse { agreements }))
    }

    async fn get_agreement(
        &self,
        request: Request<pb::GetAgreementRequest>,
    ) -> Result<Response<pb::GetAgreementResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let id = agreement(&request.get_ref().agreement_id)?;
        let rows = agreements::show(&ctx, &self.store, id)?;
        let versions = rows.iter().filter_map(|row| self.shown(row)).collect();
        Ok(Response::new(pb::GetAgreementResponse { versions }))
    }

    async fn get_withdrawal(
        &self,
        request: Request<pb::GetWithdrawalRequest>,
    ) -> Result<Response<pb::GetWithdrawalResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let pb::GetWithdrawalRequest { consent_id, request_id } = request.get_ref();
        let ground = match (consent_id.is_empty(), request_id.is_empty()) {
            (true, false) => Ground::Request(parsed(request_id, "request_id")?),
            (false, false) => return Err(invalid("request_id")),
            (_, true) => Ground::Consent(parsed(consent_id, "consent_id")?),
        };
        access::follow(&ctx, &self.store, Followed::Ground(ground)).await?;
        let spread = spread::of(&ctx, &self.store, ground)?;
        let spread = spread.iter().map(spread_to_pb).collect();
        Ok(Response::new(pb::GetWithdrawalResponse { spread }))
    }

    async fn release_residence(
        &self,
        request: Request<pb::ReleaseResidenceRequest>,
    ) -> Result<Response<pb::ReleaseResidenceResponse>, Status> {
        let ctx = self.ctx(&request)?;
        let pb::ReleaseResidenceRequest { document, to, reason } = request.into_inner();
        let mut form = Form::new();
        let document = form.document("document", document);
        let document = form.finish(document).map_err(of_findings)?;
        let given = (area(&to, "to")?, written(&reason)?);
        let row = at_risk::release(&ctx, &self.store, document, given).await?;
        Ok(Response::new(pb::ReleaseResidenceResponse {
            until_ms: row.until.get(),
            released_by: row.by.to_string(),
        }))
    }
}

/// Kinds that were named without terms go whole; terms stand in the order of the names.
fn whole(proposal: body::AgreementProposal) -> body::AgreementProposal {
    let body::AgreementProposal { mut kinds, kind_terms, .. } = proposal.clone();
    kinds.extend(kind_terms.iter().map(|terms| terms.kind.clone()));
    kinds.sort_unstable();
    kinds.dedup();
    let terms_of = |kind: &String| {
        let given = kind_terms.iter().find(|terms| terms.kind == *kind).cloned();
        given.unwrap_or_else(|| body::KindTerms {
            kind: kind.clone(),
            fields: Kind::from_name(kind)
                .map(|kind| names(&KindTerms::whole(kind)))
                .unwrap_or_default(),
            ..body::KindTerms::default()
        })
    };
    let kind_terms = kinds.iter().map(terms_of).collect();
    // The id and the version are the node's to give; any will do for reading the terms.
    let agreement_id = vec![0; 16];
    body::AgreementProposal { agreement_id, kinds, kind_terms, signature: None, ..proposal }
}

fn names(terms: &KindTerms) -> Vec<String> {
    terms.fields.iter().map(ToString::to_string).collect()
}

fn to_pb(row: &AgreementRow, own: AreaCode) -> pb::Agreement {
    let agreement = &row.agreement;
    let (state, ended_by) = match agreement.state {
        AgreementState::Proposed => (pb::AgreementState::Proposed, None),
        AgreementState::Declined => (pb::AgreementState::Declined, None),
        AgreementState::Agreed { .. } => (pb::AgreementState::Agreed, None),
        AgreementState::Replaced { .. } => (pb::AgreementState::Replaced, None),
        AgreementState::Ended { by, .. } => (pb::AgreementState::Ended, Some(by)),
    };
    let proposal = AgreementProposal {
        agreement_id: agreement.id,
        version: agreement.version,
        terms: agreement.terms.clone(),
        signature: Some(row.signature.clone()),
    };
    let said = |body: Body| agreement_body(&body);
    let mut shown = pb::Agreement {
        agreement_id: agreement.id.to_string(),
        version: agreement.version,
        peer: agreement.peer_of(agreements::side_of(agreement, own)).to_string(),
        proposer: agreement.proposer.to_string(),
        state: state.into(),
        proposal_message_id: row.proposal.to_string(),
        proposed_ms: row.proposed.get(),
        ended_by: ended_by.map(|area| area.to_string()).unwrap_or_default(),
        signed_text: String::from_utf8_lossy(&agreements::canonical(agreement)).into_owned(),
        ..pb::Agreement::default()
    };
    if let body::content::Body::AgreementProposal(proposal) = said(proposal.into()) {
        shown.proposal = Some(proposal);
    }
    if let Some(decision) = &row.decision {
        let decided = AgreementDecision {
            agreement_id: agreement.id,
            version: agreement.version,
            accepted: agreement.state != AgreementState::Declined,
            reason: decision.reason.clone(),
            contact: decision.contact.clone(),
            signature: Some(decision.signature.clone()),
        };
        shown.decided_ms = decision.at.get();
        if let body::content::Body::AgreementDecision(decided) = said(decided.into()) {
            shown.decision = Some(decided);
        }
    }
    if let (Some(ending), AgreementState::Ended { on, .. }) = (&row.ending, agreement.state) {
        let ended = AgreementEnd {
            agreement_id: agreement.id,
            version: agreement.version,
            last_day: on,
            reason: ending.reason.clone(),
            signature: Some(ending.signature.clone()),
        };
        shown.ended_ms = ending.at.get();
        if let body::content::Body::AgreementEnd(ended) = said(ended.into()) {
            shown.ending = Some(ended);
        }
    }
    shown
}

fn spread_to_pb(spread: &Spread) -> pb::WithdrawalSpread {
    let (told, done, refused) = (spread.row.told, spread.row.done, spread.refused);
    pb::WithdrawalSpread {
        area: spread.area.to_string(),
        since_ms: spread.row.since.get(),
        message_id: told.map(|(id, _)| id.to_string()).unwrap_or_default(),
        sent_ms: told.map_or(0, |(_, at)| at.get()),
        deleted_ms: done.map_or(0, |(deleted, _)| deleted.get()),
        acknowledged_ms: done.map_or(0, |(_, came)| came.get()),
        refused_reason: refused.map(|row| row.reason.code().to_owned()).unwrap_or_default(),
        refused_ms: refused.map_or(0, |row| row.at.get()),
    }
}

fn agreement(text: &str) -> Result<AgreementId, Status> {
    parsed(text, "agreement_id")
}

fn written(text: &str) -> Result<WrittenReason, Status> {
    WrittenReason::new(text)
        .map_err(|_| of_refusal(&Refusal::new(Reason::ReasonTextRequired).field("reason")))
}
