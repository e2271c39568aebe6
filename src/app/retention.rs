//! How long the content of what was received is kept: until a day that both sides had agreed on when it came. Then it is
//! deleted, each deletion with a line in the access log; ledger, receipts and the bare envelope stay.
//!
//! What is due is read from disk and a deletion changes nothing the second time, so it goes on after a crash.

use domain::access::{AccessAction, AccessEntry, Role};
use domain::area::AreaCode;
use domain::id::{MessageId, OperatorName};
use domain::message::Content;
use domain::time::{Date, UnixMillis};
use store::access::person_key;
use store::messages::{Side, message_key};
use store::tables::{CONSENT_USE, FORGOTTEN, MESSAGE, RETENTION};
use store::{Kept, Store, Unit};

use super::AppError;
use super::cases::opening;
use super::each::{Each, First, each};
use super::messages::{delete, kept_content};

/// Messages whose content is deleted in one unit.
const MESSAGES_AT_ONCE: usize = 128;
/// Days that are looked at in one go; one that cannot be read holds none of the others up.
const DAYS_AT_ONCE: usize = 10_000;

/// Notes from which day the content of a received message is not kept any more, in the unit that stores it.
///
/// # Errors
/// When the entry cannot be written.
pub fn keep_until(unit: &mut Unit<'_>, id: MessageId, day: Date) -> Result<(), AppError> {
    unit.append(&RETENTION, &key(day), id.as_bytes())?;
    Ok(())
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
        let ids = entries.iter().filter_map(|(_, id)| MessageId::try_from(id.as_slice()).ok());
        let deleted = each(store, ids.collect(), move |unit, id| {
            forget_one(unit, own, *id, now).map(usize::from)
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
    failed: Vec<(MessageId, AppError)>,
    now: UnixMillis,
) -> Result<(), AppError> {
    if failed.is_empty() {
        return Ok(());
    }
    for (message, error) in &failed {
        tracing::error!(%message, %error, "content whose time is over could not be deleted");
    }
    let tomorrow = now.date().plus_days(1);
    let entered = store.commit(move |unit| {
        failed.iter().try_for_each(|(message, _)| keep_until(unit, *message, tomorrow))
    });
    entered.await.map_err(AppError::from)
}

fn forget_one(
    unit: &mut Unit<'_>,
    own: AreaCode,
    id: MessageId,
    now: UnixMillis,
) -> Result<bool, AppError> {
    let key = message_key(id, Side::Received);
    let Some(row) = unit.get_personal(&MESSAGE, &key)?.and_then(Kept::value) else {
        return Ok(false);
    };
    // A content that cannot be read is deleted like any other.
    let content = kept_content(&row).ok().flatten();
    if !delete::content(unit, key, own, now)? {
        return Ok(false);
    }
    unit.put(&FORGOTTEN, id.as_bytes(), &now.get())?;
    if let Some(content) = content {
        if let Some(ground) = content.ground() {
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
