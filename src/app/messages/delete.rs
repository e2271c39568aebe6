//! The content of a message is deleted. That there was a message stays provable: its header, the hash of its body, the
//! ledger and the receipts.

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::UnixMillis;
use store::messages::{Blob, EnvelopeKey, MessageKey, MessageRow, Side, peer_key};
use store::tables::{ENVELOPE, MESSAGE, REPORT_OF_PERSON, TODO};
use store::{Kept, Unit};

use super::{envelope_of, journal_entry, send};
use crate::app::reconcile::versions;
use crate::app::{AppError, cases, letters};

/// Deletes the content of one message, whichever way it went, and takes it off every list that asks somebody to act on
/// it. Says whether there was something to delete.
///
/// # Errors
/// When rows cannot be read or written.
pub(crate) fn content(
    unit: &mut Unit<'_>,
    key: MessageKey,
    own: AreaCode,
    now: UnixMillis,
) -> Result<bool, AppError> {
    let (id, Some(side)) = (MessageId::from_bytes(key.0), Side::from_byte(key.1)) else {
        return Ok(false);
    };
    let Some(Kept::Value { value, person }) = unit.get_personal(&MESSAGE, &key)? else {
        return Ok(false);
    };
    if value.is_deleted() {
        return Ok(false);
    }
    if side == Side::Sent {
        letters::silence(unit, id, now)?;
        versions::remove(unit, value.peer, id);
    }
    take_out_body(unit, side, &value)?;
    if let Some(due) = value.due.filter(|_| side == Side::Received) {
        unit.delete(&TODO, &(due.get(), key.0));
    }
    unit.delete(&REPORT_OF_PERSON, &(person, peer_key(value.peer), value.kind, key.0));
    unit.scrub(&MESSAGE, &key);
    send::update(unit, id, side, |row| row.content = Blob::default())?;
    cases::forgotten(unit, value.case, own, now)?;
    Ok(true)
}

/// Leaves of an envelope in the journal its header and the hash of its body.
fn take_out_body(unit: &mut Unit<'_>, side: Side, row: &MessageRow) -> Result<(), AppError> {
    let lane = EnvelopeKey::of(side, row.peer, row.epoch).key();
    let entry = unit.read(&ENVELOPE, &lane, row.position)?;
    let Some(envelope) = entry.and_then(envelope_of).filter(|kept| kept.sealed().is_some()) else {
        return Ok(());
    };
    unit.redact(&ENVELOPE, &lane, row.position, &journal_entry(&envelope.without_body()))?;
    Ok(())
}
