//! What opened a case: the message itself, or the copy that a hand-over brought.

use domain::id::{CaseId, MessageId};
use domain::message::{Body, Content};
use domain::person::PersonReference;
use domain::reason::Reason;
use store::cases::CaseRow;
use store::messages::{MessageRow, Side, message_key};
use store::tables::{CASE, CASE_TOGETHER, FORGOTTEN, MESSAGE};
use store::{Kept, Store, StoreError, Unit};

use crate::app::AppError;
use crate::app::messages::kept_content;

/// Spouses whose origins are asked, and so cases that belong together.
pub(super) const SPOUSES_MAX: usize = 2;

/// Reads rows, from the store or in a unit.
pub(crate) trait Rows {
    /// A message.
    fn message(&self, id: MessageId, side: Side) -> Result<Option<MessageRow>, StoreError>;
    /// Whether the content of a message was deleted because its time was over.
    fn is_over(&self, id: MessageId) -> Result<bool, StoreError>;
    /// A case.
    fn case(&self, id: CaseId) -> Result<Option<CaseRow>, StoreError>;
    /// The cases that belong together with one, itself among them, also one whose question was refused.
    fn together(&self, row: &CaseRow) -> Result<Vec<CaseId>, StoreError>;
}

macro_rules! rows {
    ($($reader:ty),*) => {$(
        impl Rows for $reader {
            fn message(&self, id: MessageId, side: Side) -> Result<Option<MessageRow>, StoreError> {
                Ok(self.get_personal(&MESSAGE, &message_key(id, side))?.and_then(Kept::value))
            }
            fn is_over(&self, id: MessageId) -> Result<bool, StoreError> {
                Ok(self.get(&FORGOTTEN, id.as_bytes())?.is_some())
            }
            fn case(&self, id: CaseId) -> Result<Option<CaseRow>, StoreError> {
                self.get(&CASE, id.as_bytes())
            }
            fn together(&self, row: &CaseRow) -> Result<Vec<CaseId>, StoreError> {
                let Some(first) = row.together else { return Ok(vec![row.case.id()]) };
                let rows =
                    self.scan_under(&CASE_TOGETHER, &(*first.as_bytes(),), None, SPOUSES_MAX)?;
                Ok(rows.into_iter().map(|((_, id), ())| CaseId::from_bytes(id)).collect())
            }
        }
    )*};
}
rows!(Store, Unit<'_>);

/// The content that opened a case; none when the person was erased, it was deleted or it is not here.
pub(crate) fn opening(rows: &impl Rows, case: CaseId) -> Result<Option<Content>, AppError> {
    document(rows, case, case.opening_message())
}

/// Whom a content is about. A word inside a case names nobody, and is about whom the case is about.
pub(crate) fn about(
    rows: &impl Rows,
    content: &Content,
) -> Result<Option<PersonReference>, AppError> {
    match (&content.person, content.case) {
        (Some(person), _) => Ok(Some(person.clone())),
        (None, Some(case)) => Ok(opening(rows, case)?.and_then(|first| first.person)),
        (None, None) => Ok(None),
    }
}

/// Whether a content of a case is about somebody else than the message that opened it, as far as that is here. Two documents
/// of one person on record are hers.
pub(crate) fn is_about_another(unit: &Unit<'_>, content: &Content) -> Result<bool, AppError> {
    let (Some(case), Some(person)) = (content.case, &content.person) else { return Ok(false) };
    let Some(asked) = opening(unit, case)?.and_then(|first| first.person) else { return Ok(false) };
    if asked.document == person.document {
        return Ok(false);
    }
    let known = |person: &PersonReference| -> Result<_, AppError> {
        let subject = unit.find_subject(unit.document_hash(&person.document))?;
        Ok(subject.map(|subject| subject.person()))
    };
    let (asked, named) = (known(&asked)?, known(person)?);
    Ok(asked.is_none() || asked != named)
}

/// The content of a message of a case.
pub(crate) fn document(
    rows: &impl Rows,
    case: CaseId,
    id: MessageId,
) -> Result<Option<Content>, AppError> {
    for side in [Side::Received, Side::Sent] {
        if let Some(row) = rows.message(id, side)? {
            return kept_content(&row);
        }
    }
    let Some(row) = rows.case(case)? else { return Ok(None) };
    for brought in row.brought {
        let Some(message) = rows.message(brought, Side::Received)? else { continue };
        let Some(Body::HandOver(body)) = kept_content(&message)?.map(|it| it.body) else {
            continue;
        };
        if let Some(found) = body.documents.into_iter().find(|document| document.id == id) {
            return Ok(Some(*found.content));
        }
    }
    Ok(None)
}

/// Whether a message is here without its content, which was deleted.
pub(crate) fn is_deleted(rows: &impl Rows, id: MessageId) -> Result<bool, AppError> {
    for side in [Side::Received, Side::Sent] {
        if let Some(row) = rows.message(id, side)? {
            return Ok(row.is_deleted());
        }
    }
    Ok(false)
}

/// The content that opened a case.
///
/// # Errors
/// `UNKNOWN_CASE` when it is not here.
pub(crate) fn must_open(rows: &impl Rows, case: CaseId) -> Result<Content, AppError> {
    opening(rows, case)?.ok_or_else(|| Reason::UnknownCase.into())
}
