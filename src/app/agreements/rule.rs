//! The agreement as the rule of what passes: asked in the unit that seals, and in the unit that takes in, each side with
//! its own copy.

use domain::agreement::{Agreement, AgreementState, permit, shortest_clock, without_fields};
use domain::area::AreaCode;
use domain::clock::Clock;
use domain::id::MessageId;
use domain::message::{
    AgreementDecision, AgreementEnd, AgreementProposal, Body, Content, Kind, Refusal,
};
use domain::reason::Reason;
use domain::time::{Date, UnixMillis};
use store::agreements::{AgreedRow, AgreementRow, DecisionRow, EndingRow};
use store::messages::{MessageKey, Side, message_key, peer_key};
use store::tables::{AGREED, AGREEMENT, MESSAGE};
use store::{Kept, Store, StoreError, Unit};

use super::{VERSIONS_MAX, has_room, keep, refusal};
use crate::app::AppError;
use crate::app::cases::opening;

/// What is agreed with a county and not replaced, as far as a unit sees.
///
/// # Errors
/// When the row cannot be read.
pub fn with_peer(
    unit: &Unit<'_>,
    sides: (AreaCode, AreaCode),
    today: Date,
) -> Result<Vec<Agreement>, AppError> {
    governing(|area| unit.get(&AGREED, &peer_key(area)), sides, today)
}

/// The same outside a unit.
///
/// # Errors
/// When the row cannot be read.
pub fn known(
    store: &Store,
    sides: (AreaCode, AreaCode),
    today: Date,
) -> Result<Vec<Agreement>, AppError> {
    governing(|area| store.get(&AGREED, &peer_key(area)), sides, today)
}

/// What two counties have agreed themselves; while that is nothing that is in force, what their provinces have agreed and
/// this county has taken over.
fn governing(
    agreed: impl Fn(AreaCode) -> Result<Option<AgreedRow>, StoreError>,
    (own, peer): (AreaCode, AreaCode),
    today: Date,
) -> Result<Vec<Agreement>, AppError> {
    let with = |own: AreaCode, peer: AreaCode| {
        let mut agreements = agreed(peer)?.unwrap_or_default().agreements;
        let sides = |agreement: &Agreement| (agreement.proposer, agreement.other);
        agreements.retain(|it| sides(it) == (own, peer) || sides(it) == (peer, own));
        Ok::<_, StoreError>(agreements)
    };
    let (here, there) = (own.province(), peer.province());
    let mut direct = with(own, peer)?;
    let covered = here != there && own != here && peer != there;
    if covered && !direct.iter().any(|agreement| agreement.is_in_force(today)) {
        direct.extend(with(here, there)?);
    }
    Ok(direct)
}

/// The content as it may be sealed for a county: without the fields that were not agreed. None when it goes as it is.
///
/// # Errors
/// `NOT_AGREED`, naming the field.
pub fn narrowed(
    unit: &Unit<'_>,
    agreements: &[Agreement],
    content: &Content,
    now: UnixMillis,
) -> Result<Result<Option<Content>, Refusal>, AppError> {
    let opened_by = opened_by(unit, content)?;
    Ok(permit(agreements, content, opened_by, now.date()).map(|permit| {
        (!permit.dropped.is_empty()).then(|| without_fields(content, &permit.dropped))
    }))
}

/// How long the other office has: by agreement, where that is shorter than what the message says.
#[must_use]
pub fn clock(agreements: &[Agreement], content: &Content, now: UnixMillis) -> Option<Clock> {
    let own = content.body.clock()?;
    let agreed = shortest_clock(agreements, content.kind(), now.date());
    Some(agreed.filter(|agreed| agreed.days() < own.days()).unwrap_or(own))
}

/// The day from which the content of a message is not kept any more: as both had agreed when it came or was sent, at `at`,
/// and not longer than the consent that it rests on. None for what nodes say to each other, and for agreements, which
/// prove themselves.
///
/// # Errors
/// When rows cannot be read.
pub fn kept_until(
    unit: &Unit<'_>,
    agreements: &[Agreement],
    content: &Content,
    at: UnixMillis,
) -> Result<Option<Date>, AppError> {
    let kind = content.kind();
    if kind.is_sent_by_nodes() || kind.is_of_agreements() {
        return Ok(None);
    }
    let governing = match &content.body {
        Body::HandOver(body) => body.documents.first().map(|first| first.content.kind()),
        _ if kind.is_step() => opened_by(unit, content)?,
        _ => Some(kind),
    };
    let consent = content.consent.as_ref().map(|consent| consent.valid_until);
    let kind = governing.unwrap_or(kind);
    Ok(Some(domain::agreement::kept_until(agreements, kind, at.date(), consent)))
}

/// The kind of message that opened the case of a word inside it; not asked for other messages.
fn opened_by(unit: &Unit<'_>, content: &Content) -> Result<Option<Kind>, AppError> {
    let Some(case) = content.case.filter(|_| content.kind().is_step()) else {
        return Ok(None);
    };
    for side in [Side::Sent, Side::Received] {
        let key: MessageKey = message_key(case.opening_message(), side);
        if let Some(row) = unit.get_personal(&MESSAGE, &key)?.and_then(Kept::value) {
            return Ok(row.kind());
        }
    }
    // It may have come with a hand-over.
    Ok(opening::opening(unit, case)?.map(|first| first.kind()))
}

/// Why a word of `peer` about an agreement cannot be taken, if it cannot.
///
/// # Errors
/// When rows cannot be read.
pub fn refused(
    unit: &Unit<'_>,
    (peer, own): (AreaCode, AreaCode),
    content: &Content,
    now: UnixMillis,
) -> Result<Option<Refusal>, AppError> {
    if !content.kind().is_of_agreements() {
        return Ok(None);
    }
    let stepped = step(unit, (peer, own), &content.body, now)?;
    Ok(match stepped {
        // What cannot be kept must not stop the rest of its parcel.
        Ok((agreement, _))
            if matches!(agreement.state, AgreementState::Agreed { .. })
                && !has_room(unit, peer, agreement.id, now.date())? =>
        {
            Some(Refusal { reason: Reason::StateForbids, field: "agreement_id" })
        }
        Ok(_) => None,
        Err((reason, field)) => Some(Refusal { reason, field }),
    })
}

/// Writes what `peer` says about an agreement, in the unit that stores its message.
///
/// # Errors
/// When rows cannot be read or written.
pub fn take(
    unit: &mut Unit<'_>,
    (peer, own): (AreaCode, AreaCode),
    message: MessageId,
    content: &Content,
    now: UnixMillis,
) -> Result<(), AppError> {
    if !content.kind().is_of_agreements() {
        return Ok(());
    }
    match step(unit, (peer, own), &content.body, now)? {
        Ok(stepped) => write(unit, own, (message, &content.body), stepped, now),
        Err(_) => Err(AppError::Internal("an agreement was looked at a moment ago")),
    }
}

/// Writes again what this office said about an agreement, in the unit that takes its message back. What is known already
/// changes nothing.
///
/// # Errors
/// When rows cannot be read or written.
pub fn take_own(
    unit: &mut Unit<'_>,
    (own, peer): (AreaCode, AreaCode),
    message: MessageId,
    content: &Content,
    now: UnixMillis,
) -> Result<(), AppError> {
    if !content.kind().is_of_agreements() {
        return Ok(());
    }
    match step(unit, (own, peer), &content.body, now)? {
        Ok(stepped) => write(unit, own, (message, &content.body), stepped, now),
        Err(_) => Ok(()),
    }
}

fn write(
    unit: &mut Unit<'_>,
    own: AreaCode,
    (message, body): (MessageId, &Body),
    (agreement, before): (Agreement, Option<AgreementRow>),
    now: UnixMillis,
) -> Result<(), AppError> {
    let key = (agreement.id, agreement.version);
    match (body, before) {
        (Body::AgreementProposal(AgreementProposal { signature, .. }), _) => {
            let signature = signature.clone().ok_or(UNSIGNED)?;
            let (decision, ending) = (None, None);
            let row = AgreementRow {
                agreement,
                proposal: message,
                proposed: now,
                signature,
                decision,
                ending,
            };
            Ok(unit.put(&AGREEMENT, &key, &row)?)
        }
        (Body::AgreementDecision(said), Some(row)) => {
            let AgreementDecision { reason, contact, signature, .. } = said.clone();
            let signature = signature.ok_or(UNSIGNED)?;
            let decision = DecisionRow { message, at: now, reason, contact, signature };
            let row = AgreementRow { agreement, decision: Some(decision), ..row };
            keep(unit, own, &row, now.date())
        }
        (Body::AgreementEnd(said), Some(row)) => {
            let AgreementEnd { reason, signature, .. } = said.clone();
            let signature = signature.ok_or(UNSIGNED)?;
            let ending = EndingRow { message, at: now, reason, signature };
            keep(unit, own, &AgreementRow { agreement, ending: Some(ending), ..row }, now.date())
        }
        _ => Err(AppError::Internal("an agreement was looked at a moment ago")),
    }
}

/// The content was checked: what is about an agreement is signed.
const UNSIGNED: AppError = AppError::Internal("a checked word about an agreement is not signed");

type Stepped = Result<(Agreement, Option<AgreementRow>), (Reason, &'static str)>;

/// What an agreement becomes by a word of `peer`, with the row of before.
fn step(
    unit: &Unit<'_>,
    (peer, own): (AreaCode, AreaCode),
    body: &Body,
    now: UnixMillis,
) -> Result<Stepped, AppError> {
    let unknown = Err((Reason::UnknownCase, "agreement_id"));
    let row = |id, version| unit.get(&AGREEMENT, &(id, version));
    Ok(match body {
        Body::AgreementProposal(AgreementProposal { agreement_id: id, version, terms, .. }) => {
            let versions = unit.scan_under(&AGREEMENT, &(*id,), None, VERSIONS_MAX)?;
            let last = versions.last().map(|(_, row)| &row.agreement);
            let proposed = Agreement::propose((*id, *version), (peer, own), terms.clone(), last);
            proposed.map(|agreement| (agreement, None)).map_err(refusal)
        }
        Body::AgreementDecision(AgreementDecision { agreement_id, version, accepted, .. }) => {
            match row(*agreement_id, *version)? {
                Some(row) => {
                    let decided = row.agreement.decide(peer, *accepted, now);
                    decided.map(|agreement| (agreement, Some(row))).map_err(refusal)
                }
                None => unknown,
            }
        }
        Body::AgreementEnd(AgreementEnd { agreement_id, version, last_day, .. }) => {
            match row(*agreement_id, *version)? {
                // Notice is the ending side's to keep; mail that is late must not lengthen it.
                Some(row) => {
                    let notice = i32::from(row.agreement.terms.notice_days);
                    let said = last_day.plus_days(-notice).min(now.date());
                    let ended = row.agreement.end(peer, *last_day, said);
                    ended.map(|agreement| (agreement, Some(row))).map_err(refusal)
                }
                None => unknown,
            }
        }
        _ => unknown,
    })
}
