//! Alarms about what does not happen: a peer that says nothing, dead letters that nobody looks at.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::UnixMillis;
use store::Unit;
use store::letters::{DeadState, NoticeKind, NoticeRow};
use store::messages::{PeerKey, peer_area};
use store::network::PeerHeardRow;
use store::tables::{DEAD_LETTER, PEER_HEARD};

use super::{Clocks, days_of};
use crate::app::{AppError, heard, notices};

/// A peer with which no mail was exchanged for so long is not missed.
const MISSED_FOR: Duration = Duration::from_secs(90 * 86_400);
/// An alarm that goes on is brought up to date this often.
const REPEATED: Duration = Duration::from_secs(86_400);
/// What somebody has taken off the list is told again after so long, while it goes on.
const REMINDED: Duration = Duration::from_secs(7 * 86_400);
/// Peers, and dead letters, that are looked at in one go.
const ROWS_AT_ONCE: usize = 4_096;

impl Clocks {
    /// Looks for peers that have fallen silent and for letters that nobody does anything about. Says how much
    /// was told.
    ///
    /// # Errors
    /// When rows cannot be read or written.
    pub async fn alarms(&self, now: UnixMillis) -> Result<usize, AppError> {
        let silent = self.silent(now)?;
        let letters = self.forgotten(now)?;
        if silent.is_empty() && letters.is_empty() {
            return Ok(0);
        }
        let told = self.store.commit(move |unit| {
            let mut told = 0;
            for (key, area, days) in silent {
                // It may have been heard since.
                let Some(row) = unit.get(&PEER_HEARD, &key)? else { continue };
                unit.put(&PEER_HEARD, &key, &PeerHeardRow { noticed: Some(now), ..row })?;
                let what = NoticeKind::Silent { area, days };
                told += usize::from(remind(unit, what, &[], now)?);
            }
            for (to, letters) in letters {
                let what = NoticeKind::DeadLetter { to };
                let is_open = |row: &NoticeRow| row.done.is_none();
                // An open notice says it already.
                if !notices::latest(unit, &what.topic())?.is_some_and(|(_, row)| is_open(&row)) {
                    told += usize::from(remind(unit, what, &letters, now)?);
                }
            }
            Ok::<_, AppError>(told)
        });
        told.await.map_err(AppError::from)
    }

    /// Peers that have been silent for too long, with the days that it has lasted.
    fn silent(&self, now: UnixMillis) -> Result<Vec<(PeerKey, AreaCode, u16)>, AppError> {
        let rows = self.store.scan(&PEER_HEARD, .., ROWS_AT_ONCE)?;
        let silent = rows.into_iter().filter_map(|(key, row)| {
            let days = silent_days(&row, self.silent_after, now)?;
            let told = row.noticed.filter(|noticed| Some(*noticed) > heard::last(&row));
            let due = told.is_none_or(|noticed| now.since(noticed) >= REPEATED);
            due.then_some((key, peer_area(&key)?, days))
        });
        Ok(silent.collect())
    }

    /// Letters that have lain untouched for longer than messages may lie unopened, by county.
    fn forgotten(&self, now: UnixMillis) -> Result<BTreeMap<AreaCode, Vec<MessageId>>, AppError> {
        let rows = self.store.scan_back(&DEAD_LETTER, .., ROWS_AT_ONCE)?;
        let mut forgotten = BTreeMap::<_, Vec<_>>::new();
        for (id, row) in rows {
            if row.state == DeadState::Open && now.since(row.since) >= self.unopened_after {
                forgotten.entry(row.to).or_default().push(MessageId::from_bytes(id));
            }
        }
        Ok(forgotten)
    }
}

/// Whole days for which a peer has been silent, when that is too long.
#[must_use]
pub(crate) fn silent_days(
    row: &PeerHeardRow,
    silent_after: Duration,
    now: UnixMillis,
) -> Option<u16> {
    let exchanged = heard::last_exchange(row)?;
    let silence = now.since(heard::last(row)?);
    let missed = now.since(exchanged) < MISSED_FOR;
    (missed && silence >= silent_after).then(|| days_of(silence))
}

/// Tells of what goes on, unless somebody has taken it off the list lately. Says whether it did.
///
/// # Errors
/// When rows cannot be read or written.
pub(crate) fn remind(
    unit: &mut Unit<'_>,
    what: NoticeKind,
    messages: &[MessageId],
    now: UnixMillis,
) -> Result<bool, AppError> {
    let done = notices::latest(unit, &what.topic())?.and_then(|(_, row)| row.done);
    if done.is_some_and(|(_, at)| now.since(at) < REMINDED) {
        return Ok(false);
    }
    notices::raise(unit, now, what, messages)?;
    Ok(true)
}
