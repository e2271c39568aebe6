//! Agreements: proposed to another county, decided, ended, and shown; both nodes sign what they say.
//!
//! The signature stands beside that of the parcel: content is sealed, so a parcel proves to a third party that something
//! was said and not what. With both signatures and the terms, anybody with the root can check an agreement.

mod adopt;
pub mod rule;
mod words;

use std::collections::BTreeSet;

use domain::access::Permission;
use domain::agreement::{
    Agreement, AgreementError, AgreementState, AgreementTerms, KindTerms, Word,
};
use domain::area::AreaCode;
use domain::id::{AgreementId, CaseId};
use domain::message::{AgreementDecision, AgreementEnd, AgreementProposal, Body, Content};
use domain::purpose::{LawfulBasis, Purpose};
use domain::reason::Reason;
use domain::text::{Note, WrittenReason};
use domain::time::Date;
use exchange::keys::Signer;
use store::agreements::{AgreementRow, DecisionRow, EndingRow};
use store::messages::{PeerKey, peer_key};
use store::tables::{AGREED, AGREEMENT};
use store::{Store, Unit};

pub use adopt::adopt;
pub(crate) use words::canonical;
pub use words::{Claimed, claimed};

use super::messages::send::{Accepted, Outgoing, Outlet};
use super::{AppError, Ctx, Refusal};

/// Versions of one agreement that are looked at.
const VERSIONS_MAX: usize = 1_000;
/// Agreements that are in force with one county at one time.
const AGREED_MAX: usize = 16;
/// Versions that hold, or will: each may have one that takes its place later.
const ROWS_MAX: usize = 2 * AGREED_MAX;

/// A proposal as a supervisor enters it.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The other county.
    pub to: AreaCode,
    /// The agreement that this is the next version of; none for a new one.
    pub id: Option<AgreementId>,
    /// What it says. A kind's answer is listed with it.
    pub terms: AgreementTerms,
}

/// What a supervisor decides about a proposal of the other side.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Which agreement.
    pub id: AgreementId,
    /// Which version.
    pub version: u32,
    /// Whether it is accepted.
    pub accepted: bool,
    /// Why not.
    pub reason: Option<WrittenReason>,
    /// Whom to call here, when it is accepted.
    pub contact: Option<Note>,
}

/// Proposes an agreement or its next version. On its way when this returns.
///
/// # Errors
/// `ROLE_REQUIRED`; what is wrong with the terms; `STATE_FORBIDS` for an agreement of others.
pub async fn propose(
    ctx: &Ctx,
    store: &Store,
    outlet: &dyn Outlet,
    signer: &dyn Signer,
    proposal: Proposal,
) -> Result<(AgreementRow, Accepted), AppError> {
    ctx.must(Permission::DecideAgreements)?;
    let Proposal { to, id, mut terms } = proposal;
    let own = ctx.county();
    let last = match id {
        Some(id) => Some(newest(&versions(store, id)?)?.agreement.clone()),
        None => None,
    };
    with_answers(&mut terms);
    let id = id.unwrap_or_else(|| AgreementId::new(ctx.now, crate::time::random()));
    let version = last.as_ref().map_or(0, |last| last.version).saturating_add(1);
    let agreement = Agreement::propose((id, version), (own, to), terms, last.as_ref());
    let agreement = agreement.map_err(forbidden)?;
    let signature = words::sign(signer, &agreement, Word::Proposed)?;
    let body = AgreementProposal {
        agreement_id: id,
        version,
        terms: agreement.terms.clone(),
        signature: Some(signature.clone()),
    };
    let content = between_offices(body.into());
    let mut outgoing = Outgoing::new(own, store, outlet, (to, content), None, ctx.now)?;
    let now = ctx.now;
    let done = store.commit(move |unit| {
        if unit.contains(&AGREEMENT, &(id, version))? {
            return Err(Refusal::new(Reason::StaleVersion).field("version").into());
        }
        if !has_room(unit, to, id, now.date())? {
            return Err(no_room());
        }
        let accepted = outgoing.accept(unit)?;
        let (proposal, decision, ending) = (accepted.id, None, None);
        let row = AgreementRow { agreement, proposal, proposed: now, signature, decision, ending };
        unit.put(&AGREEMENT, &(id, version), &row)?;
        Ok::<_, AppError>((row, accepted))
    });
    let (row, accepted) = done.await.map_err(AppError::from)?;
    accepted.nudge(outlet);
    Ok((row, accepted))
}

/// Accepts or declines what the other side has proposed. What is accepted holds here from the moment this returns, and
/// over there when the answer has come.
///
/// # Errors
/// `ROLE_REQUIRED`, `NOT_FOUND`; `STATE_FORBIDS` when there is nothing to decide; `REASON_TEXT_REQUIRED`.
pub async fn decide(
    ctx: &Ctx,
    store: &Store,
    outlet: &dyn Outlet,
    signer: &dyn Signer,
    decision: Decision,
) -> Result<(AgreementRow, Accepted), AppError> {
    ctx.must(Permission::DecideAgreements)?;
    let Decision { id, version, accepted, reason, contact } = decision;
    let own = ctx.county();
    let row = store.get(&AGREEMENT, &(id, version))?.ok_or(Reason::NotFound)?;
    let decided = row.agreement.decide(own, accepted, ctx.now).map_err(forbidden)?;
    let contact = contact.filter(|_| accepted);
    let word = if accepted { Word::Accepted(contact.as_ref()) } else { Word::Declined };
    let signature = words::sign(signer, &row.agreement, word)?;
    let body = AgreementDecision {
        agreement_id: id,
        version,
        accepted,
        reason: reason.clone(),
        contact: contact.clone(),
        signature: Some(signature.clone()),
    };
    let mut content = between_offices(body.into());
    content.in_reply_to = Some(row.proposal);
    content.case = Some(CaseId::from(row.proposal));
    let to = decided.proposer;
    let mut outgoing = Outgoing::new(own, store, outlet, (to, content), None, ctx.now)?;
    let now = ctx.now;
    let done = store.commit(move |unit| {
        let sent = outgoing.accept(unit)?;
        let decision = DecisionRow { message: sent.id, at: now, reason, contact, signature };
        let row = AgreementRow { agreement: decided, decision: Some(decision), ..row };
        keep(unit, own, &row, now.date())?;
        Ok::<_, AppError>((row, sent))
    });
    let (row, sent) = done.await.map_err(AppError::from)?;
    sent.nudge(outlet);
    Ok((row, sent))
}

/// Ends an agreement after a day, with the notice that was agreed.
///
/// # Errors
/// `ROLE_REQUIRED`, `NOT_FOUND`; `STATE_FORBIDS` when it is not in force, or the day is too soon.
pub async fn end(
    ctx: &Ctx,
    store: &Store,
    outlet: &dyn Outlet,
    signer: &dyn Signer,
    (id, last_day, reason): (AgreementId, Date, WrittenReason),
) -> Result<(AgreementRow, Accepted), AppError> {
    ctx.must(Permission::DecideAgreements)?;
    let own = ctx.county();
    let kept = versions(store, id)?;
    let agreed = |row: &&AgreementRow| matches!(row.agreement.state, AgreementState::Agreed { .. });
    let row = match kept.iter().rev().find(agreed) {
        Some(row) => row.clone(),
        None => newest(&kept)?.clone(),
    };
    let ended = row.agreement.end(own, last_day, ctx.today()).map_err(forbidden)?;
    let signature = words::sign(signer, &row.agreement, Word::Ended(last_day))?;
    let (version, to) = (ended.version, ended.peer_of(own));
    let body = AgreementEnd {
        agreement_id: id,
        version,
        last_day,
        reason: reason.clone(),
        signature: Some(signature.clone()),
    };
    let content = between_offices(body.into());
    let mut outgoing = Outgoing::new(own, store, outlet, (to, content), None, ctx.now)?;
    let now = ctx.now;
    let done = store.commit(move |unit| {
        let sent = outgoing.accept(unit)?;
        let ending = EndingRow { message: sent.id, at: now, reason, signature };
        let row = AgreementRow { agreement: ended, ending: Some(ending), ..row };
        keep(unit, own, &row, now.date())?;
        Ok::<_, AppError>((row, sent))
    });
    let (row, sent) = done.await.map_err(AppError::from)?;
    sent.nudge(outlet);
    Ok((row, sent))
}

/// Every version of every agreement, by agreement and version; only those with `peer` when one is named.
///
/// # Errors
/// `ROLE_REQUIRED`.
pub fn list(
    ctx: &Ctx,
    store: &Store,
    peer: Option<AreaCode>,
) -> Result<Vec<AgreementRow>, AppError> {
    ctx.must(Permission::FollowDelivery)?;
    let rows = store.scan(&AGREEMENT, .., VERSIONS_MAX)?;
    let own = ctx.county();
    let with = |row: &AgreementRow| {
        peer.is_none_or(|peer| row.agreement.peer_of(side_of(&row.agreement, own)) == peer)
    };
    Ok(rows.into_iter().map(|(_, row)| row).filter(with).collect())
}

/// On which side of an agreement a county is: itself, or its province with what it was agreed for.
#[must_use]
pub fn side_of(agreement: &Agreement, own: AreaCode) -> AreaCode {
    let sides = [agreement.proposer, agreement.other];
    if sides.contains(&own) { own } else { own.province() }
}

/// Every version of one agreement, the first one first.
///
/// # Errors
/// `ROLE_REQUIRED`, `NOT_FOUND`.
pub fn show(ctx: &Ctx, store: &Store, id: AgreementId) -> Result<Vec<AgreementRow>, AppError> {
    ctx.must(Permission::FollowDelivery)?;
    let kept = versions(store, id)?;
    newest(&kept)?;
    Ok(kept)
}

fn versions(store: &Store, id: AgreementId) -> Result<Vec<AgreementRow>, AppError> {
    let rows = store.scan_under(&AGREEMENT, &(id,), None, VERSIONS_MAX)?;
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

fn newest(versions: &[AgreementRow]) -> Result<&AgreementRow, AppError> {
    versions.last().ok_or_else(|| Refusal::new(Reason::NotFound).field("agreement_id").into())
}

/// What is asked is answered under the same agreement.
fn with_answers(terms: &mut AgreementTerms) {
    let answers: Vec<_> = terms.kinds.keys().filter_map(|kind| kind.answered_by()).collect();
    for answer in answers {
        terms.kinds.entry(answer).or_insert_with(|| KindTerms::whole(answer));
    }
}

/// Writes a version that was decided or ended, and what follows for what is in force.
fn keep(
    unit: &mut Unit<'_>,
    own: AreaCode,
    row: &AgreementRow,
    today: Date,
) -> Result<(), AppError> {
    let Agreement { id, version, state, .. } = row.agreement;
    unit.put(&AGREEMENT, &(id, version), row)?;
    let peer = peer_key(row.agreement.peer_of(own));
    let mut agreed = in_force(unit, peer, today)?;
    let others_end = match state {
        AgreementState::Agreed { .. } => Some(row.agreement.terms.valid_from),
        AgreementState::Ended { on, .. } => Some(on.plus_days(1)),
        AgreementState::Proposed | AgreementState::Declined | AgreementState::Replaced { .. } => {
            None
        }
    };
    agreed.retain(|other| (other.id, other.version) != (id, version));
    if let Some(from) = others_end {
        for (key, mut before) in unit.scan_under(&AGREEMENT, &(id,), None, VERSIONS_MAX)? {
            let after = before.agreement.replace(version, from);
            if after != before.agreement {
                before.agreement = after;
                unit.put(&AGREEMENT, &key, &before)?;
            }
        }
        for other in agreed.iter_mut().filter(|other| other.id == id) {
            *other = other.replace(version, from);
        }
    }
    agreed.push(row.agreement.clone());
    // What is over takes nobody's place.
    agreed.retain(|other| holds_still(other, today));
    if ids(&agreed).len() > AGREED_MAX || agreed.len() > ROWS_MAX {
        return Err(no_room());
    }
    unit.put(&AGREED, &peer, &store::agreements::AgreedRow { agreements: agreed })?;
    Ok(())
}

fn in_force(unit: &Unit<'_>, peer: PeerKey, today: Date) -> Result<Vec<Agreement>, AppError> {
    let mut agreed = unit.get(&AGREED, &peer)?.unwrap_or_default().agreements;
    agreed.retain(|other| holds_still(other, today));
    Ok(agreed)
}

/// Whether an agreement holds today, or on a day that is to come.
fn holds_still(agreement: &Agreement, today: Date) -> bool {
    agreement.last_day().is_some_and(|last| last >= today)
}

fn ids(agreements: &[Agreement]) -> BTreeSet<AgreementId> {
    agreements.iter().map(|agreement| agreement.id).collect()
}

/// Whether one more agreement with a county can be in force beside the others.
fn has_room(
    unit: &Unit<'_>,
    peer: AreaCode,
    id: AgreementId,
    today: Date,
) -> Result<bool, AppError> {
    let agreed = in_force(unit, peer_key(peer), today)?;
    let mut others = ids(&agreed);
    others.remove(&id);
    Ok(others.len() < AGREED_MAX)
}

fn no_room() -> AppError {
    let detail = "too many agreements with this county are in force";
    Refusal::new(Reason::StateForbids).detail(detail).into()
}

/// A message between offices, about nobody.
fn between_offices(body: Body) -> Content {
    Content {
        case: None,
        in_reply_to: None,
        basis: LawfulBasis::OfficeAgreement,
        purpose: Purpose::OfficeAgreement,
        consent: None,
        service_request: None,
        person: None,
        replaces: None,
        step: 0,
        answered_from: None,
        asked_again: None,
        body,
    }
}

fn forbidden(error: AgreementError) -> AppError {
    let (reason, field) = refusal(error);
    Refusal::new(reason).field(field).detail(error).into()
}

/// How a step that cannot be taken is told, here and to the other side.
const fn refusal(error: AgreementError) -> (Reason, &'static str) {
    match error {
        AgreementError::NotASide => (Reason::NotOwner, "agreement_id"),
        AgreementError::OwnProposal
        | AgreementError::NotOpen
        | AgreementError::NotAgreed
        | AgreementError::VersionOrder => (Reason::StateForbids, "version"),
        AgreementError::Notice => (Reason::InvalidField, "last_day"),
    }
}
