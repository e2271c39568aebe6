//! On what a case rests at this node: on the ground of the message that opened it, and once a side has changed hands under
//! another consent of the person, on that one.
//!
//! A consent names one county. When the person moves again, she gives another one, to the county that is to have her case
//! now; it is on record where the case is given away. The `HandOver` and the `Forward` name it, and whatever is said in the
//! case from then on between those who have heard of it rests on it: when she takes it back, all of them forget.

use domain::area::AreaCode;
use domain::consent::{Consent, ConsentReference};
use domain::id::{CaseId, MessageId};
use domain::message::{CLOCK_SKEW, Content, Document, Kind};
use domain::purpose::LawfulBasis;
use domain::reason::Reason;
use domain::time::UnixMillis;
use store::cases::CaseRow;
use store::messages::Side;
use store::tables::FORGOTTEN;
use store::{Store, Unit};

use super::opening::{Rows, must_open, opening};
use crate::app::messages::kept_content;
use crate::app::{AppError, Refusal};

/// The ground that the last change of hands came with, as this node has the message.
enum Moved {
    /// No side has changed hands, as far as this node was told.
    Never,
    /// With this message.
    With(Box<Content>),
    /// The message is here without its content, which was deleted for that reason.
    Gone(Reason),
}

fn moved(rows: &impl Rows, row: &CaseRow) -> Result<Moved, AppError> {
    for moved in row.case.view().moves.into_iter().rev() {
        for side in [Side::Received, Side::Sent] {
            if let Some(message) = rows.message(moved.id, side)? {
                if let Some(content) = kept_content(&message)? {
                    return Ok(Moved::With(Box::new(content)));
                }
                let over = rows.is_over(moved.id)?;
                return Ok(Moved::Gone(match over {
                    true => Reason::RetentionOver,
                    false => Reason::ConsentWithdrawn,
                }));
            }
        }
    }
    Ok(Moved::Never)
}

/// What opened a case, resting on what the case rests on now.
///
/// # Errors
/// `UNKNOWN_CASE` when it is not here, `CONSENT_WITHDRAWN` when the person has taken back what the case rests on,
/// `RETENTION_OVER` when its time is over.
pub(crate) fn must_stand(rows: &impl Rows, row: &CaseRow) -> Result<Content, AppError> {
    let first = must_open(rows, row.case.id())?;
    match moved(rows, row)? {
        Moved::Never => Ok(first),
        Moved::With(word) => Ok(resting_on(first, &word)),
        Moved::Gone(why) => Err(Refusal::new(why).field("consent.consent_id").into()),
    }
}

/// The same, for a case that has changed hands as this node was told; none for any other.
pub(crate) fn of_moved(rows: &impl Rows, case: CaseId) -> Result<Option<Content>, AppError> {
    match rows.case(case)? {
        Some(row) if !row.case.view().moves.is_empty() => must_stand(rows, &row).map(Some),
        Some(_) | None => Ok(None),
    }
}

/// Whether the person has taken back what a case rests on since it changed hands, or it was deleted otherwise: nobody can
/// act in it.
pub(crate) fn is_gone(rows: &impl Rows, row: &CaseRow) -> Result<bool, AppError> {
    Ok(matches!(moved(rows, row)?, Moved::Gone(_)))
}

fn resting_on(first: Content, other: &Content) -> Content {
    Content {
        basis: other.basis,
        consent: other.consent.clone(),
        service_request: other.service_request,
        ..first
    }
}

fn withdrawn() -> Refusal {
    Refusal::new(Reason::ConsentWithdrawn).field("consent.consent_id")
}

/// What opened a case, resting on what lets `to` have it: what the case rests on, where that names `to`; otherwise a
/// consent of the person to tell `to` that is on record here.
///
/// # Errors
/// As for [`must_stand`], and `CONSENT_WITHDRAWN` when the consent to tell `to` was taken back. Whether it covers the case
/// is judged with the message.
pub(super) fn for_county(
    store: &Store,
    row: &CaseRow,
    to: AreaCode,
    now: UnixMillis,
) -> Result<Content, AppError> {
    let first = must_stand(store, row)?;
    let Some(known) = &first.consent else { return Ok(first) };
    if known.recipient.county() == to.county() {
        return Ok(first);
    }
    let Some(consent) = to_tell(store, &first, to, now)? else { return Ok(first) };
    if consent.withdrawn_at().is_some() {
        return Err(withdrawn().into());
    }
    let (basis, consent) = (LawfulBasis::Consent, Some(consent.reference()));
    Ok(Content { basis, consent, service_request: None, ..first })
}

/// The consent of the person to tell `to` that covers most of what the case reveals; of several, the one that was given
/// last. One that is over or was taken back comes after all others: it says why the case cannot go there.
fn to_tell(
    store: &Store,
    first: &Content,
    to: AreaCode,
    now: UnixMillis,
) -> Result<Option<Consent>, AppError> {
    let Some(person) = &first.person else { return Ok(None) };
    let Some(subject) = store.find_subject(store.document_hash(&person.document))? else {
        return Ok(None);
    };
    let needed = first.body.reveals();
    let consents = store.consents_of(subject.person())?.into_iter();
    let named = consents.filter(|consent| consent.terms().recipient.county() == to.county());
    Ok(named.max_by_key(|consent| {
        let covered = needed.iter().filter(|scope| consent.covers(**scope, to, now.date())).count();
        let stands = consent.withdrawn_at().is_none();
        (stands && covered > 0, covered, stands, consent.terms().given_on, consent.id())
    }))
}

/// A document as it is enclosed in a hand-over: as much of it as the consent covers. None when that is nothing.
pub(super) fn enclosed(
    ground: Option<&ConsentReference>,
    (id, content): (MessageId, Content),
) -> Option<Document> {
    let content = match ground {
        Some(consent) => content.within(&consent.scopes)?,
        None => content,
    };
    Some(Document { id, content: Box::new(content) })
}

/// Why a document that comes in a case is not taken: the consent under which the case was brought here was taken back, is
/// over, or does not cover what the document reveals. A hand-over brings its own.
///
/// # Errors
/// When rows cannot be read.
pub(crate) fn refused(
    unit: &Unit<'_>,
    content: &Content,
    now: UnixMillis,
) -> Result<Option<(Reason, &'static str)>, AppError> {
    let reveals = content.body.reveals();
    let Some(case) = content.case.filter(|_| !reveals.is_empty()) else { return Ok(None) };
    let Some(row) = unit.case(case)?.filter(|row| !row.brought.is_empty()) else {
        return Ok(None);
    };
    if content.kind() == Kind::HandOver {
        return Ok(None);
    }
    let view = row.case.view();
    let mut brought = view.moves.iter().rev().map(|moved| moved.id);
    let Some(brought) = brought.find(|id| row.brought.contains(id)) else { return Ok(None) };
    let Some(message) = unit.message(brought, Side::Received)? else { return Ok(None) };
    let Some(hand_over) = kept_content(&message)? else {
        let over = unit.get(&FORGOTTEN, brought.as_bytes())?.is_some();
        return Ok((!over).then_some((Reason::ConsentWithdrawn, "consent.consent_id")));
    };
    let Some(consent) = &hand_over.consent else { return Ok(None) };
    // A sender whose clock is a little behind speaks of the day that has just ended.
    let over = consent.valid_until < now.saturating_sub(CLOCK_SKEW).date();
    Ok(match (over, reveals.is_subset(&consent.scopes)) {
        (true, _) => Some((Reason::BasisRequired, "consent.valid_until")),
        (false, false) => Some((Reason::BasisRequired, "consent.scopes")),
        (false, true) => None,
    })
}

/// What opened a case, on what it rests now, for what nodes do by themselves: none when it was deleted or is not here.
pub(super) fn standing(store: &Store, row: &CaseRow) -> Result<Option<Content>, AppError> {
    match opening(store, row.case.id())? {
        Some(_) => must_stand(store, row).map(Some),
        None => Ok(None),
    }
}
