//! Alarms about cases that no message's own clock speaks of: a side that was handed over and is late, a result that the
//! origin has not been told in time, and steps whose case never came. Offices are named, persons never.

use std::time::Duration;

use domain::area::AreaCode;
use domain::case::{Seat, Stage};
use domain::id::{CaseId, MessageId};
use domain::time::UnixMillis;
use store::cases::{CaseKey, CaseRow, OURS, THEIRS};
use store::letters::NoticeKind;
use store::tables::{CASE, CASE_TURN, CASE_WAITING};
use store::{Store, Unit};

use super::opening::Rows;
use super::result::{self, Telling};
use crate::app::each::each;
use crate::app::{AppError, notices};

/// A case whose first message has not come for so long is told of.
const WAITS_FOR: Duration = Duration::from_secs(7 * 86_400);
/// Cases that are read, and that are told of, in one go; the rest is for the next look.
const CASES_AT_ONCE: usize = 1_024;
/// All of the clock has run.
const LATE: u8 = 100;

/// Looks for them. Says how much was told.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn look(own: AreaCode, store: &Store, now: UnixMillis) -> Result<usize, AppError> {
    let mut open = Vec::new();
    for whose in [OURS, THEIRS] {
        let range = (whose, 0, [0; 16])..=(whose, now.get(), [0xFF; 16]);
        for page in store.pages(&CASE_TURN, range, CASES_AT_ONCE) {
            let keys = page?.into_iter().map(|((_, _, key), ())| key);
            take_untold(store, (own, now), keys, &mut open)?;
        }
    }
    let since = now.saturating_sub(WAITS_FOR).get();
    for page in store.pages(&CASE_WAITING, ..=(since, [0xFF; 16]), CASES_AT_ONCE) {
        take_untold(store, (own, now), page?.into_iter().map(|((_, key), ())| key), &mut open)?;
    }
    if open.is_empty() {
        return Ok(0);
    }
    let told = each(store, open, move |unit, key| tell(unit, key, own, now)).await?;
    told.failed.iter().for_each(|(key, error)| unread(*key, error));
    Ok(told.done)
}

fn unread(key: CaseKey, error: &AppError) {
    let case = CaseId::from_bytes(key);
    tracing::error!(%case, %error, "a case cannot be looked at; others go on");
}

/// Adds those that there is something to tell of, while there is room for more.
fn take_untold(
    store: &Store,
    (own, now): (AreaCode, UnixMillis),
    keys: impl Iterator<Item = CaseKey>,
    open: &mut Vec<CaseKey>,
) -> Result<(), AppError> {
    for key in keys {
        if open.len() >= CASES_AT_ONCE {
            break;
        }
        let row = store.get(&CASE, &key).map_err(AppError::from);
        let news = row.and_then(|row| row.map_or(Ok(None), |row| news(store, &row, own, now)));
        match news {
            Ok(news) => open.extend(news.map(|_| key)),
            // The others are told of all the same.
            Err(error) if error.is_of_one() => unread(key, &error),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn tell(
    unit: &mut Unit<'_>,
    key: &CaseKey,
    own: AreaCode,
    now: UnixMillis,
) -> Result<usize, AppError> {
    let Some(mut row) = unit.get(&CASE, key)? else { return Ok(0) };
    let Some((what, message)) = news(&*unit, &row, own, now)? else { return Ok(0) };
    row.told = true;
    unit.put(&CASE, key, &row)?;
    notices::raise(unit, now, what, &[message])?;
    Ok(1)
}

/// What there is to tell of a case, with the message that it is about; none when the office was told.
fn news(
    rows: &impl Rows,
    row: &CaseRow,
    own: AreaCode,
    now: UnixMillis,
) -> Result<Option<(NoticeKind, MessageId)>, AppError> {
    if row.told {
        return Ok(None);
    }
    let view = row.case.view();
    let moved = Seat::ALL.iter().any(|seat| view.held(*seat).is_some_and(|held| held.term > 1));
    let first = row.case.steps().first().map(|step| (step.from, step.id));
    Ok(match (view.stage, view.asking, view.answering, first) {
        (Stage::Answered, _, Some(answering), _) => {
            let late = |telling: &Telling| telling.told.is_none() && telling.due <= now;
            let what = NoticeKind::ResultToTell { to: answering.area };
            let id = row.case.id().opening_message();
            result::clock(rows, row, own)?.filter(late).map(|_| (what, id))
        }
        (Stage::Asked, Some(asking), Some(answering), _) if moved => {
            let ours = view.sits(own, Seat::Answering);
            let what = if ours {
                NoticeKind::ToAnswer { from: asking.area, percent: LATE }
            } else {
                NoticeKind::NotAnswered { to: answering.area, percent: LATE }
            };
            Some((what, row.case.id().opening_message()))
        }
        (Stage::Waiting, _, _, Some((from, id))) => Some((NoticeKind::CaseWaits { from }, id)),
        // The message's own clock has told it, or nobody has to answer.
        _ => None,
    })
}
