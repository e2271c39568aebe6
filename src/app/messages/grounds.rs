//! The consent or request a message rests on: completed from this node's records, and looked at once
//! more on the committer thread, so that a withdrawal stops sending at once.

use domain::area::AreaCode;
use domain::id::{ConsentId, MessageId, RequestId};
use domain::message::Content;
use domain::person::PersonReference;
use domain::purpose::LawfulBasis;
use domain::reason::Reason;
use serde::Serialize;
use store::messages::{MessageRow, Side, message_key};
use store::records::ReadRecords;
use store::tables::MESSAGE;
use store::{Kept, Store, Unit};
use wire::content::decode_content;

use crate::app::cases::{ground, opening};
use crate::app::consents::spread;
use crate::app::{AppError, Refusal};

/// The records that a message names as its ground; what they say is filled in by the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Grounds {
    /// A consent recorded here, or the one that the question named.
    pub consent: Option<ConsentId>,
    /// A request recorded here, or the one that the question named.
    pub request: Option<RequestId>,
}

impl Grounds {
    /// The records that a message of ours names, for sending it again.
    #[must_use]
    pub fn of(content: &Content) -> Self {
        Self {
            consent: content.consent.as_ref().map(|consent| consent.consent_id),
            request: content.service_request.as_ref().map(|request| request.request_id),
        }
    }
}

/// Fills in case, consent and request of a message that is to be sent.
///
/// An answer belongs to the case of its question and, unless it names another, rests on the same ground.
pub(super) fn complete(
    store: &Store,
    content: &mut Content,
    grounds: Grounds,
) -> Result<(), AppError> {
    let question = match content.in_reply_to {
        Some(asked) => question(store, asked)?,
        None => None,
    };
    if let Some((row, _)) = &question {
        content.case.get_or_insert(row.case.into());
    }
    // In a case that has changed hands an answer rests on what let it go there.
    let moved = match content.case {
        Some(case) => ground::of_moved(store, case)?,
        None => None,
    };
    let asked = moved.as_ref().or(question.as_ref().map(|(_, content)| content));
    let by_consent = content.basis == LawfulBasis::Consent;
    let by_request = content.basis == LawfulBasis::ServiceRequest;
    let from_question = asked.and_then(|asked| asked.consent.clone());
    content.consent = match grounds.consent {
        Some(id) => match from_question.filter(|known| known.consent_id == id) {
            Some(known) => Some(known),
            None => Some(store.consent(id)?.ok_or_else(no_consent)?.reference()),
        },
        None => from_question.filter(|_| by_consent),
    };
    let from_question = asked.and_then(|asked| asked.service_request);
    content.service_request = match grounds.request {
        Some(id) => match from_question.filter(|known| known.request_id == id) {
            Some(known) => Some(known),
            None => {
                let kept = store.service_request(id)?.ok_or_else(no_request)?;
                Some(kept.request.reference().ok_or_else(withdrawn_request)?)
            }
        },
        None => from_question.filter(|_| by_request),
    };
    Ok(())
}

/// Whether the ground of a message stands at this moment.
pub(super) fn still_stand(
    unit: &Unit<'_>,
    content: &Content,
    (own, to): (AreaCode, AreaCode),
) -> Result<(), AppError> {
    if content.consent.is_none() && content.service_request.is_none() {
        return Ok(());
    }
    if let Some(ground) = spread::ended(unit, content, own, to)? {
        return Err(Refusal::new(Reason::ConsentWithdrawn).field(ground.field()).into());
    }
    if rests_on_case(unit, content)? {
        return Ok(());
    }
    let about = opening::about(unit, content)?;
    let about = about.as_ref();
    if let Some(reference) = &content.consent {
        let consent = unit.consent(reference.consent_id)?.ok_or_else(no_consent)?;
        if consent.withdrawn_at().is_some() {
            return Err(Refusal::new(Reason::ConsentWithdrawn).field("consent.consent_id").into());
        }
        let hers = is_of(unit, about, consent.person())?;
        if !hers || consent.reference() != *reference {
            return Err(no_consent());
        }
    }
    if let Some(reference) = &content.service_request {
        let kept = unit.service_request(reference.request_id)?.ok_or_else(no_request)?;
        let known = kept.request.reference().ok_or_else(withdrawn_request)?;
        let hers = is_of(unit, about, kept.request.person)?;
        if !hers || known != *reference || kept.recipient != to.county() {
            return Err(no_request());
        }
    }
    Ok(())
}

/// An answer may rest on the very ground that its question came with.
fn rests_on_question(unit: &Unit<'_>, content: &Content) -> Result<bool, AppError> {
    let Some(asked) = content.in_reply_to else { return Ok(false) };
    let kept = unit.get_personal(&MESSAGE, &message_key(asked, Side::Received))?;
    let Some(row) = kept.and_then(Kept::value) else { return Ok(false) };
    let Ok(question) = decode_content(&row.content.0) else { return Ok(false) };
    Ok(question.person.as_ref().map(|p| &p.document)
        == content.person.as_ref().map(|p| &p.document)
        && question.consent == content.consent
        && question.service_request == content.service_request)
}

/// What is said in a case rests on the ground of the case, unless the person has withdrawn it here: in one that has changed
/// hands, on what let it go where it is now, and otherwise on that of its first message. It goes to the office opposite:
/// `Outgoing::accept` and whoever makes a step have looked at that.
fn rests_on_case(unit: &Unit<'_>, content: &Content) -> Result<bool, AppError> {
    let Some(case) = content.case else { return Ok(false) };
    let opening = match ground::of_moved(unit, case) {
        Ok(Some(opening)) => opening,
        Ok(None) if rests_on_question(unit, content)? => return Ok(true),
        Ok(None) => match opening::opening(unit, case)? {
            Some(opening) => opening,
            None => return Ok(false),
        },
        // What opened it is not here, or was taken back.
        Err(AppError::Refused(_)) => return Ok(false),
        Err(error) => return Err(error),
    };
    let same = opening.consent == content.consent
        && opening.service_request == content.service_request
        && (content.person.is_none() || content.person == opening.person);
    let consent = content.consent.as_ref().map(|consent| unit.consent(consent.consent_id));
    let withdrawn = consent.transpose()?.flatten().is_some_and(|c| c.withdrawn_at().is_some());
    let request = content.service_request.as_ref();
    let request = request.map(|request| unit.service_request(request.request_id)).transpose()?;
    let taken_back = request.flatten().is_some_and(|kept| kept.request.reference().is_none());
    Ok(same && !withdrawn && !taken_back)
}

fn question(store: &Store, asked: MessageId) -> Result<Option<(MessageRow, Content)>, AppError> {
    let kept = store.get_personal(&MESSAGE, &message_key(asked, Side::Received))?;
    let Some(row) = kept.and_then(Kept::value) else { return Ok(None) };
    let content = super::content_of(store, asked, &row)?;
    Ok(Some((row, content)))
}

fn is_of(
    unit: &Unit<'_>,
    person: Option<&PersonReference>,
    owner: domain::id::PersonId,
) -> Result<bool, AppError> {
    let Some(person) = person else { return Ok(false) };
    let subject = unit.find_subject(unit.document_hash(&person.document))?;
    Ok(subject.is_some_and(|subject| subject.person() == owner))
}

fn no_consent() -> AppError {
    Refusal::new(Reason::BasisRequired).field("consent.consent_id").into()
}

fn no_request() -> AppError {
    Refusal::new(Reason::BasisRequired).field("service_request.request_id").into()
}

fn withdrawn_request() -> AppError {
    Refusal::new(Reason::ConsentWithdrawn).field("service_request.request_id").into()
}
