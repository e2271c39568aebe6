//! A word about a withdrawal that its recipient does not take, such as an older node that does not know it: a person is
//! told, and the node says it again every day until it is taken.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::area::AreaCode;
use domain::consent::Ground;
use domain::id::MessageId;
use domain::message::Body;
use domain::reason::Reason;
use domain::time::UnixMillis;
use store::agreements::{DutyRow, RefusedWordRow};
use store::letters::{DeadReason, NoticeKind};
use store::messages::{MessageRow, peer_area};
use store::tables::{CONSENT_SPREAD, DUTY, REFUSED_WORD};
use store::{Store, Unit};
use wire::content::decode_content;

use crate::app::duties::{Duty, DutyKey};
use crate::app::{AppError, notices};

/// How long the node waits before it says a word again.
const AGAIN_AFTER: Duration = Duration::from_secs(86_400);
/// Words that are looked at in one go.
const WORDS_AT_ONCE: usize = 500;
/// Withdrawals that are looked through for those without an answer.
const WITHDRAWALS_MAX: usize = 10_000;

/// Notes that a word of this node did not arrive, in the unit that learns of it. Other messages of nodes come to their
/// end so.
///
/// # Errors
/// When rows cannot be read or written.
pub fn not_taken(
    unit: &mut Unit<'_>,
    (id, row): (MessageId, &MessageRow),
    why: &DeadReason,
    now: UnixMillis,
) -> Result<(), AppError> {
    let Ok(content) = decode_content(&row.content.0) else { return Ok(()) };
    let (duty, since) = match &content.body {
        Body::ConsentWithdrawal(said) => (Duty::Withdrawal(said.ground), said.withdrawn),
        Body::ConsentWithdrawalDone(said) => (Duty::Deleted(said.ground), said.deleted),
        _ => return Ok(()),
    };
    let reason = match why {
        DeadReason::Refused { reason, .. } => *reason,
        DeadReason::RecipientRetired => Reason::AreaRetired,
        DeadReason::Expired | DeadReason::Withdrawn => Reason::Expired,
    };
    let key = duty.key(row.peer);
    let before = unit.get(&REFUSED_WORD, &key)?;
    let times = before.map_or(0, |before| before.times).saturating_add(1);
    let refused = RefusedWordRow { message: id, reason, at: now, times, since, resting: true };
    unit.put(&REFUSED_WORD, &key, &refused)?;
    if matches!(duty, Duty::Withdrawal(_)) {
        notices::raise(unit, now, NoticeKind::WithdrawalRefused { peer: row.peer }, &[id])?;
    }
    Ok(())
}

/// Puts those words on the list of duties again that have rested long enough. Says whether there were any.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn say_again(store: &Store, now: UnixMillis) -> Result<bool, AppError> {
    let rows = store.scan(&REFUSED_WORD, .., WORDS_AT_ONCE)?;
    let due = rows.into_iter().filter(|(_, row)| row.resting && now.since(row.at) >= AGAIN_AFTER);
    let due: Vec<(DutyKey, RefusedWordRow)> = due.collect();
    if due.is_empty() {
        return Ok(false);
    }
    let put = store.commit(move |unit| {
        for (key, row) in due {
            unit.put(&REFUSED_WORD, &key, &RefusedWordRow { resting: false, ..row })?;
            unit.put(&DUTY, &key, &DutyRow { about: None, at: row.since })?;
        }
        Ok::<_, AppError>(true)
    });
    put.await.map_err(AppError::from)
}

/// A withdrawal has been followed after all.
pub(super) fn taken(unit: &mut Unit<'_>, ground: Ground, peer: AreaCode) {
    unit.delete(&REFUSED_WORD, &Duty::Withdrawal(ground).key(peer));
}

/// Why a county has not taken the word of a withdrawal, and when it said so last.
///
/// # Errors
/// When the row cannot be read.
pub(super) fn of(
    store: &Store,
    ground: Ground,
    peer: AreaCode,
) -> Result<Option<RefusedWordRow>, AppError> {
    Ok(store.get(&REFUSED_WORD, &Duty::Withdrawal(ground).key(peer))?)
}

/// Counties that have not answered the word of a withdrawal of before that time; for the alarms.
///
/// # Errors
/// When rows cannot be read.
pub fn unanswered(store: &Store, before: UnixMillis) -> Result<BTreeSet<AreaCode>, AppError> {
    let rows = store.scan(&CONSENT_SPREAD, .., WITHDRAWALS_MAX)?;
    let late = rows.into_iter().filter(|(_, row)| row.done.is_none() && row.since < before);
    Ok(late.filter_map(|((_, peer), _)| peer_area(&peer)).collect())
}
