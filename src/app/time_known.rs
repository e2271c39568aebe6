//! Whether the clock of this node can be believed when it says that the time of something is over.
//!
//! A machine that starts years ahead must not delete what was received: deletion cannot be taken back. So the time of the
//! last run is kept, and after a jump nothing is deleted until another node's clock agrees, or the clock has gone on
//! without a break for [`CONFIRMED_AFTER`], in which an administrator has been told.

use std::time::Duration;

use domain::time::UnixMillis;
use store::Store;
use store::letters::NoticeKind;
use store::origin::TimeKnownRow;
use store::tables::{ACCESS, TIME_KNOWN};

use super::AppError;
use super::clocks::alarms::remind;

/// A node may be off for so long, and nobody asks whether its clock is right.
pub const JUMP_MAX: Duration = Duration::from_secs(7 * 86_400);
/// A clock that nobody can confirm is believed after it has gone on for so long.
pub const CONFIRMED_AFTER: Duration = Duration::from_secs(7 * 86_400);
/// Two looks that are further apart than this are no going on: the clock may have jumped again.
pub const GAP_MAX: Duration = Duration::from_secs(3 * 86_400);

/// Looks whether the clock can be believed, and notes it. `agreed` says that a node that is connected has the same time.
/// While it is not believed, there is a notice.
///
/// # Errors
/// When rows cannot be read or written; then it is not known.
pub async fn is_believed(store: &Store, now: UnixMillis, agreed: bool) -> Result<bool, AppError> {
    let last = last_known(store)?.unwrap_or(now);
    let looked = store.commit(move |unit| {
        let before = unit.get(&TIME_KNOWN, &())?;
        let row = before.unwrap_or(TimeKnownRow { believed: last, doubted: None });
        let after = look(row, now, agreed);
        if before != Some(after) {
            unit.put(&TIME_KNOWN, &(), &after)?;
        }
        if after.doubted.is_some() {
            remind(unit, NoticeKind::ClockDoubted { since: after.believed }, &[], now)?;
        }
        Ok::<_, AppError>(after.doubted.is_none())
    });
    looked.await.map_err(AppError::from)
}

/// A store from before there was a row knows the time of its last entry in the access log.
fn last_known(store: &Store) -> Result<Option<UnixMillis>, AppError> {
    if let Some(row) = store.get(&TIME_KNOWN, &())? {
        return Ok(Some(row.believed));
    }
    let Some(last) = store.last(&ACCESS, &())? else { return Ok(None) };
    let entries = store.access_after(last.saturating_sub(1), 1)?;
    Ok(entries.first().map(|entry| entry.at))
}

/// What is believed after a look.
fn look(row: TimeKnownRow, now: UnixMillis, agreed: bool) -> TimeKnownRow {
    let trusted = |believed| TimeKnownRow { believed, doubted: None };
    if agreed {
        return trusted(now);
    }
    if now <= row.believed.saturating_add(JUMP_MAX) {
        // A clock that is behind deletes nothing too early, and must not make the right time look like a jump.
        return trusted(row.believed.max(now));
    }
    let (since, seen) = row.doubted.unwrap_or((now, now));
    let goes_on = seen <= now && now.since(seen) <= GAP_MAX;
    if goes_on && now.since(since) >= CONFIRMED_AFTER {
        return trusted(now);
    }
    let since = if goes_on { since } else { now };
    TimeKnownRow { doubted: Some((since, now)), ..row }
}
