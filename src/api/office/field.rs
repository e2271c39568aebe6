//! Fields of requests, one at a time: what is wrong with one is told by its name.

use std::str::FromStr;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use tonic::Status;
use wire::content::MalformedContent;

use crate::api::status::of_refusal;
use crate::app::Refusal;

/// It is no value of its sort.
pub(super) fn invalid(field: &str) -> Status {
    of_refusal(&Refusal::new(Reason::InvalidField).field(field))
}

/// It has to be stated.
pub(super) fn missing(field: &str) -> Status {
    of_refusal(&Refusal::new(Reason::FieldRequired).field(field))
}

/// What is wrong inside a content.
pub(super) fn malformed(malformed: MalformedContent) -> Status {
    let refusal = malformed.refusal();
    of_refusal(&Refusal::new(refusal.reason).field(refusal.field))
}

/// A value that has a form in text.
pub(super) fn parsed<T: FromStr>(text: &str, field: &str) -> Result<T, Status> {
    text.parse().map_err(|_| invalid(field))
}

/// The same, where it may be left out.
pub(super) fn maybe<T: FromStr>(text: &str, field: &str) -> Result<Option<T>, Status> {
    if text.is_empty() { Ok(None) } else { parsed(text, field).map(Some) }
}

/// The code of a county; a township has no node.
pub(super) fn area(text: &str, field: &str) -> Result<AreaCode, Status> {
    let area: AreaCode = parsed(text, field)?;
    if area == area.county() { Ok(area) } else { Err(invalid(field)) }
}

/// The same, where it may be left out.
pub(super) fn maybe_area(text: &str, field: &str) -> Result<Option<AreaCode>, Status> {
    if text.is_empty() { Ok(None) } else { area(text, field).map(Some) }
}

/// The message that a call is about.
pub(super) fn message_id(text: &str) -> Result<MessageId, Status> {
    parsed(text, "message_id")
}

/// Rows that a page is to have.
pub(super) fn size(asked: u32) -> usize {
    usize::try_from(asked).unwrap_or(usize::MAX)
}

/// Where a page begins.
pub(super) fn page_token(text: &str) -> Result<Vec<u8>, Status> {
    domain::hex::unhex(text).ok_or_else(|| invalid("page_token"))
}
