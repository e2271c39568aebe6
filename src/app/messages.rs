//! Messages: accepting them for sending, taking them in, settling them by receipts, following and proving them.

pub(crate) mod after;
pub mod consign;
pub(crate) mod delete;
pub mod evidence;
mod fit;
pub mod grounds;
pub mod heal;
pub mod next;
pub mod read;
pub mod receipt;
pub mod receive;
pub mod send;
pub mod settle;
pub mod track;
pub mod turned_back;

use domain::area::AreaCode;
use domain::id::{CaseId, MessageId, PersonId};
use domain::message::Content;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::envelope::{Body, SealedEnvelope};
use store::cases::CaseRow;
use store::messages::{EnvelopeKey, MessageRow, Side, message_key};
use store::tables::{ENVELOPE, FORGOTTEN, MESSAGE, RESTORED};
use store::{Kept, PersonHash, Store, Subject, Unit};
use wire::content::decode_content;

use crate::app::cases::opening;
use crate::app::{AppError, Refusal};

/// What stands for "no person" where a value needs somebody's key: messages between offices.
const OFFICE: &[u8] = b"liangdi/office";

/// Whose key seals a content, with the random parts of a record, should one have to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewSubject {
    hash: PersonHash,
    id: PersonId,
    /// The case whose person it is about, where the content names nobody.
    case: Option<CaseId>,
}

impl NewSubject {
    pub(crate) fn of(store: &Store, content: Option<&Content>, now: UnixMillis) -> Self {
        let person = content.and_then(|content| content.person.as_ref());
        let hash = match person {
            Some(person) => store.document_hash(&person.document),
            None => store.person_hash(OFFICE),
        };
        let case = content.filter(|_| person.is_none()).and_then(|content| content.case);
        Self { hash, id: PersonId::new(now, crate::time::random()), case }
    }

    /// Of nobody: what is kept of a message without its content.
    fn of_nobody(unit: &Unit<'_>, now: UnixMillis) -> Self {
        let id = PersonId::new(now, crate::time::random());
        Self { hash: unit.person_hash(OFFICE), id, case: None }
    }

    /// Whether a message is about a person who was erased, and is older than the restore that has lost it here: others still
    /// have it, and she stays erased when they hand it over. Notes so of the case that it may open.
    pub(crate) fn was_erased(
        &self,
        unit: &mut Unit<'_>,
        id: MessageId,
        opens: MessageId,
    ) -> Result<bool, AppError> {
        let origin = unit.get(&RESTORED, &())?.and_then(|row| row.origin);
        if origin.is_none_or(|origin| id.timestamp() > origin.restored) {
            return Ok(false);
        }
        let of_case = |unit: &Unit<'_>, case: MessageId| unit.person_hash(case.as_bytes());
        let was = match self.case.map(|case| case.opening_message()) {
            Some(case) => {
                let erased = [Side::Received, Side::Sent].into_iter().map(|side| {
                    let kept = unit.get_personal(&MESSAGE, &message_key(case, side))?;
                    Ok::<_, AppError>(matches!(kept, Some(Kept::Erased)))
                });
                let was = erased.collect::<Result<Vec<_>, _>>()?.contains(&true);
                was || unit.was_erased(of_case(unit, case))?
            }
            None => unit.was_erased(self.hash)?,
        };
        if was {
            unit.note_erased(of_case(unit, opens))?;
        }
        Ok(was)
    }

    pub(crate) fn get(&self, unit: &mut Unit<'_>) -> Result<Subject, AppError> {
        let about = match self.case {
            Some(case) => whose(unit, case)?,
            None => None,
        };
        match about {
            Some(subject) => Ok(subject),
            None => Ok(unit.subject(self.hash, self.id)?),
        }
    }
}

/// Whose key seals what is said in a case: that of whoever the case is about. None while what opened it is not here, or
/// when she was erased.
fn whose(unit: &mut Unit<'_>, case: CaseId) -> Result<Option<Subject>, AppError> {
    for side in [Side::Received, Side::Sent] {
        let key = message_key(case.opening_message(), side);
        if let Some(Kept::Value { person, .. }) = unit.get_personal(&MESSAGE, &key)? {
            return Ok(unit.subject_of(person)?);
        }
    }
    let brought = opening::opening(unit, case)?.and_then(|first| first.person);
    Ok(match brought {
        Some(person) => unit.find_subject(unit.document_hash(&person.document))?,
        None => None,
    })
}

/// What was said in a case before it was known whom it is about is sealed under her key, now that it is.
pub(crate) fn adopt(unit: &mut Unit<'_>, row: &CaseRow) -> Result<(), AppError> {
    let Some(subject) = whose(unit, row.case.id())? else { return Ok(()) };
    for step in row.case.steps() {
        for side in [Side::Received, Side::Sent] {
            let key = message_key(step.id, side);
            let Some(Kept::Value { value, person }) = unit.get_personal(&MESSAGE, &key)? else {
                continue;
            };
            let names_nobody = value.kind().is_some_and(|kind| !kind.needs_person());
            if person != subject.person() && names_nobody {
                unit.put_personal(&MESSAGE, &subject, &key, &value)?;
            }
        }
    }
    Ok(())
}

/// Set in the length of the header where the hash of the sealed body lies in place of it. No header comes near it.
const WITHDRAWN_BIT: u32 = 1 << 31;

/// An envelope as it lies in the journal: length of the header (4, big-endian), header, sealed body; of a withdrawn one
/// [`WITHDRAWN_BIT`] in the length, and the hash of the body instead.
pub(crate) fn journal_entry(envelope: &SealedEnvelope) -> Vec<u8> {
    let header = &envelope.header_bytes;
    let (bit, body): (u32, &[u8]) = match &envelope.body {
        Body::Sealed(sealed) => (0, sealed),
        Body::Withdrawn(hash) => (WITHDRAWN_BIT, hash.as_bytes()),
    };
    let mut entry = Vec::with_capacity(4 + header.len() + body.len());
    let length = u32::try_from(header.len()).unwrap_or(u32::MAX);
    entry.extend_from_slice(&(length | bit).to_be_bytes());
    entry.extend_from_slice(header);
    entry.extend_from_slice(body);
    entry
}

/// The envelope in a journal entry; `None` when the entry is not one.
pub(crate) fn envelope_of(entry: Vec<u8>) -> Option<SealedEnvelope> {
    let entry = bytes::Bytes::from(entry);
    let length = entry.get(..4)?.try_into().map(u32::from_be_bytes).ok()?;
    let end = 4_usize.checked_add(usize::try_from(length & !WITHDRAWN_BIT).ok()?)?;
    if end > entry.len() {
        return None;
    }
    let (header, body) = (entry.slice(4..end), entry.slice(end..));
    if length & WITHDRAWN_BIT == 0 {
        return Some(SealedEnvelope::new(header, body));
    }
    let hash: [u8; 32] = body.as_ref().try_into().ok()?;
    Some(SealedEnvelope::withdrawn(header, Digest::new(hash)))
}

/// The content of a message that is kept here.
///
/// # Errors
/// `CONSENT_WITHDRAWN` when it was deleted because the person took her consent back, `RETENTION_OVER` when it had been kept
/// for as long as was agreed.
pub(crate) fn content_of(
    store: &Store,
    id: MessageId,
    row: &MessageRow,
) -> Result<Content, AppError> {
    if let Some(content) = kept_content(row)? {
        return Ok(content);
    }
    let over = store.get(&FORGOTTEN, id.as_bytes())?.is_some();
    let reason = if over { Reason::RetentionOver } else { Reason::ConsentWithdrawn };
    Err(Refusal::new(reason).field("message_id").existing(id).into())
}

/// The content of a message that is kept here; none when it was deleted since, of which a case goes on without.
pub(crate) fn kept_content(row: &MessageRow) -> Result<Option<Content>, AppError> {
    if row.is_deleted() {
        return Ok(None);
    }
    let content = decode_content(&row.content.0);
    content.map(Some).map_err(|_| AppError::Internal("a kept content is unreadable"))
}

/// The envelope of a message, from the journal.
pub(crate) fn kept_envelope(
    store: &Store,
    row: &MessageRow,
    side: Side,
) -> Result<SealedEnvelope, AppError> {
    let lane = EnvelopeKey::of(side, row.peer, row.epoch);
    let entry = store.read(&ENVELOPE, &lane.key(), row.position)?;
    entry.and_then(envelope_of).ok_or(AppError::Internal("a message has no envelope"))
}

/// A message by its id, with the side this node was on.
fn find(store: &Store, id: MessageId) -> Result<(Side, MessageRow), AppError> {
    for side in [Side::Received, Side::Sent] {
        match store.get_personal(&MESSAGE, &message_key(id, side))? {
            Some(Kept::Value { value, .. }) => return Ok((side, value)),
            Some(Kept::Erased) | None => {}
        }
    }
    Err(Reason::NotFound.into())
}

/// The area whose node this is and of the peer, in the order from, to.
pub(crate) fn from_and_to(own: AreaCode, peer: AreaCode, side: Side) -> (AreaCode, AreaCode) {
    match side {
        Side::Sent => (own, peer),
        Side::Received => (peer, own),
    }
}
