//! How long the content of what was received and of what was sent is kept: until a day that both sides had agreed on when
//! it came or went, and not longer than the consent that it rests on. Then it is deleted, each deletion with a line in the
//! access log; ledger, receipts and the bare envelope stay.
//!
//! What is due is read from disk and a deletion changes nothing the second time, so it goes on after a crash.

use domain::access::{AccessAction, AccessEntry, Caller, Role};
use domain::area::AreaCode;
use domain::id::{MessageId, OperatorName};
use domain::message::Content;
use domain::text::Note;
use domain::time::{Date, UnixMillis};
use store::access::person_key;
use store::messages::{MessageKey, Side, message_key};
use store::tables::{CONSENT_USE, FORGOTTEN, MESSAGE, RETENTION};
use store::{Kept, Store, Unit};

use super::cases::opening;
use super::each::{Each, First, each};
use super::messages::{delete, kept_content};
use super::{AppError, Ctx, letters};

/// Messages whose content is deleted in one unit.
const MESSAGES_AT_ONCE: usize = 128;
/// Days that are looked at in one go; one that cannot be read holds none of the others up.
const DAYS_AT_ONCE: usize = 10_000;

/// Why a letter that waits for somebody is ended with its content.
const OVER: &str = "保存期限已满";

/// Notes from which day the content of a message is not kept any more, in the unit that writes it.
///
/// # Errors
/// When the entry cannot be written.
pub fn keep_until(unit: &mut Unit<'_>, message: MessageKey, day: Date) -> Result<(), AppError> {
    let (id, side) = message;
    unit.append(&RETENTION, &key(day), &[id.as_slice(), &[side]].concat())?;
    Ok(())
}

/// The message of an entry; one without a side is of a version that noted only what was received.
fn noted(entry: &[u8]) -> Option<(MessageId, Side)> {
    match MessageId::try_from(entry) {
        Ok(id) => Some((id, Side::Received)),
        Err(_) => {
            let (side, id) = entry.split_last()?;
            Some((MessageId::try_from(id).ok()?, Side::from_byte(*side)?))
        }
    }
}

fn key(day: Date) -> u64 {
    u64::try_from(day.epoch_days()).unwrap_or_default()
}

/// Deletes the content whose time is over. Says of how many messages.
///
/// # Errors
/// When rows cannot be read or written; what was not deleted is due at the next call.
pub async fn forget(own: AreaCode, store: &Store, now: UnixMillis) -> Result<usize, AppError> {
    let (mut count, mut first) = (0, First::default());
    let today = key(now.date());
    for day in store.journals_under(&RETENTION, &(), DAYS_AT_ONCE)? {
        if day > today {
            break;
        }
        count += first.take(forget_day(own, store, day, now).await).unwrap_or_default();
    }
    first.end().map(|()| count)
}

async fn forget_day(
    own: AreaCode,
    store: &Store,
    day: u64,
    now: UnixMillis,
) -> Result<usize, AppError> {
    let (mut count, mut next) = (0, 1);
    loop {
        let entries = store.read_from(&RETENTION, &day, next, MESSAGES_AT_ONCE, usize::MAX)?;
        let Some((last, _)) = entries.last() else { break };
        next = last.saturating_add(1);
        let messages = entries.iter().filter_map(|(_, entry)| noted(entry));
        let deleted = each(store, messages.collect(), move |unit, message| {
            forget_one(unit, own, *message, now).map(usize::from)
        });
        let Each { done, failed } = deleted.await?;
        count += done;
        another_day(store, failed, now).await?;
    }
    let removed = store.commit(move |unit| {
        // What was entered meanwhile is not to be lost.
        if unit.next_position(&RETENTION, &day)? == next {
            unit.remove_journal(&RETENTION, &day)?;
        }
        Ok::<_, AppError>(())
    });
    removed.await.map_err(AppError::from)?;
    Ok(count)
}

/// What cannot be deleted now is due again tomorrow; somebody reads the log, or the row is mended.
async fn another_day(
    store: &Store,
    failed: Vec<((MessageId, Side), AppError)>,
    now: UnixMillis,
) -> Result<(), AppError> {
    if failed.is_empty() {
        return Ok(());
    }
    for ((message, _), error) in &failed {
        tracing::error!(%message, %error, "content whose time is over could not be deleted");
    }
    let tomorrow = now.date().plus_days(1);
    let entered = store.commit(move |unit| {
        let again = failed.iter().map(|((id, side), _)| message_key(*id, *side));
        again.into_iter().try_for_each(|message| keep_until(unit, message, tomorrow))
    });
    entered.await.map_err(AppError::from)
}

fn forget_one(
    unit: &mut Unit<'_>,
    own: AreaCode,
    (id, side): (MessageId, Side),
    now: UnixMillis,
) -> Result<bool, AppError> {
    let key = message_key(id, side);
    let Some(row) = unit.get_personal(&MESSAGE, &key)?.and_then(Kept::value) else {
        return Ok(false);
    };
    // A content that cannot be read is deleted like any other.
    let content = kept_content(&row).ok().flatten();
    if side == Side::Sent && !row.is_deleted() {
        // What waits to be sent does not go out any more, and what was refused is on nobody's list.
        let caller = Caller { operator: OperatorName::node(), role: Role::Clerk, area: own };
        let reason = Note::new(OVER).map_err(|_| AppError::Internal("a fixed text is none"))?;
        letters::lapse(unit, &Ctx { caller, now }, id, reason)?;
    }
    if !delete::content(unit, key, own, now)? {
        return Ok(false);
    }
    unit.put(&FORGOTTEN, id.as_bytes(), &now.get())?;
    if let Some(content) = content {
        // That we have told somebody stays known: when she takes her word back, that county is told as well.
        if let Some(ground) = content.ground().filter(|_| side == Side::Received) {
            unit.delete(&CONSENT_USE, &(ground.bytes(), key));
        }
        unit.append_access(entry(unit, own, id, &content, now)?)?;
    }
    Ok(true)
}

fn entry(
    unit: &Unit<'_>,
    own: AreaCode,
    id: MessageId,
    content: &Content,
    now: UnixMillis,
) -> Result<AccessEntry, AppError> {
    let person = opening::about(unit, content)?;
    Ok(AccessEntry {
        number: 0,
        previous: [0; 32],
        at: now,
        operator: OperatorName::node(),
        area: own,
        role: Role::Administrator,
        action: AccessAction::Erase,
        purpose: content.purpose,
        basis: content.basis,
        person: person.map(|person| person_key(unit.document_hash(&person.document))),
        message: Some(id),
    })
}
