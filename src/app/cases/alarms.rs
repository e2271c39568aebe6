//! Alarms about cases that no message's own clock speaks of: a side that was handed over and is late, and steps whose case
//! never came. Offices are named, persons never.

use std::ops::Bound;
use std::time::Duration;

use domain::area::AreaCode;
use domain::case::{Seat, Stage};
use domain::time::UnixMillis;
use store::cases::{CaseKey, OURS, THEIRS};
use store::letters::NoticeKind;
use store::tables::{CASE, CASE_TURN, CASE_WAITING};
use store::{Store, Unit};

use crate::app::{AppError, notices};

/// A case whose first message has not come for so long is told of.
const WAITS_FOR: Duration = Duration::from_secs(7 * 86_400);
/// Cases that are looked at in one go.
const CASES_AT_ONCE: usize = 1_024;
/// All of the clock has run.
const LATE: u8 = 100;

/// Looks for them. Says how much was told.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn look(own: AreaCode, store: &Store, now: UnixMillis) -> Result<usize, AppError> {
    let mut late = Vec::new();
    for whose in [OURS, THEIRS] {
        let (from, until) = ((whose, 0, [0; 16]), (whose, now.get(), [0xFF; 16]));
        let range = (Bound::Included(from), Bound::Included(until));
        late.extend(store.scan(&CASE_TURN, range, CASES_AT_ONCE)?.into_iter().map(|(k, ())| k.2));
    }
    let since = now.saturating_sub(WAITS_FOR).get();
    let waiting = store.scan(&CASE_WAITING, ..=(since, [0xFF; 16]), CASES_AT_ONCE)?;
    late.extend(waiting.into_iter().map(|((_, id), ())| id));
    let mut open = Vec::new();
    for key in late {
        if store.get(&CASE, &key)?.is_some_and(|row| !row.told) {
            open.push(key);
        }
    }
    if open.is_empty() {
        return Ok(0);
    }
    let told = store.commit(move |unit| {
        let told = open.iter().map(|key| tell(unit, key, own, now));
        told.sum::<Result<usize, AppError>>()
    });
    told.await.map_err(AppError::from)
}

fn tell(
    unit: &mut Unit<'_>,
    key: &CaseKey,
    own: AreaCode,
    now: UnixMillis,
) -> Result<usize, AppError> {
    let Some(mut row) = unit.get(&CASE, key)? else { return Ok(0) };
    let view = row.case.view();
    let moved = Seat::ALL.iter().any(|seat| view.held(*seat).is_some_and(|held| held.term > 1));
    let first = row.case.steps().first().map(|step| (step.from, step.id));
    let (what, message) = match (view.stage, view.asking, view.answering, first) {
        (Stage::Asked, Some(asking), Some(answering), _) if moved => {
            let ours = view.sits(own, Seat::Answering);
            let what = if ours {
                NoticeKind::ToAnswer { from: asking.area, percent: LATE }
            } else {
                NoticeKind::NotAnswered { to: answering.area, percent: LATE }
            };
            (what, row.case.id().opening_message())
        }
        (Stage::Waiting, _, _, Some((from, id))) => (NoticeKind::CaseWaits { from }, id),
        // The message's own clock has told it, or nobody has to answer.
        _ => return Ok(0),
    };
    row.told = true;
    unit.put(&CASE, key, &row)?;
    notices::raise(unit, now, what, &[message])?;
    Ok(1)
}
