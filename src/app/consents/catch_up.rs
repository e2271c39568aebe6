//! Messages from before it was noted on which consent or request each rests: looked through once, so that a withdrawal finds them.
//!
//! Whatever was withdrawn meanwhile is followed for each of them in the unit that finds it.

use std::ops::Bound;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::message::Content;
use domain::time::UnixMillis;
use store::agreements::{CaughtUpRow, DutyRow, SpreadRow};
use store::messages::{MessageKey, Side, peer_key};
use store::tables::{CAUGHT_UP, CONSENT_ENDED, CONSENT_SPREAD, DUTY, MESSAGE};
use store::{Kept, Store, Unit};
use wire::content::decode_content;

use super::spread;
use crate::app::AppError;
use crate::app::duties::Duty;
use crate::app::messages::delete;

/// Messages that are looked through in one go.
const MESSAGES_AT_ONCE: usize = 500;

/// Whether every message is noted.
///
/// # Errors
/// When the row cannot be read.
pub fn is_done(store: &Store) -> Result<bool, AppError> {
    Ok(store.get(&CAUGHT_UP, &())?.is_some_and(|row| row.done))
}

/// Looks through the messages that are not noted yet, to the end. Costs one look when that was done before.
///
/// # Errors
/// When rows cannot be read or written; it goes on from there another time.
pub async fn catch_up(store: &Store, own: AreaCode, now: UnixMillis) -> Result<(), AppError> {
    loop {
        let before = store.get(&CAUGHT_UP, &())?.unwrap_or_default();
        if before.done {
            return Ok(());
        }
        let from = before.through.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = store.scan_personal(&MESSAGE, (from, Bound::Unbounded), MESSAGES_AT_ONCE)?;
        let through = rows.last().map(|(key, _)| *key);
        let after = CaughtUpRow { through: through.or(before.through), done: through.is_none() };
        let mut found: Vec<(MessageKey, AreaCode, Content)> = Vec::new();
        for (key, kept) in rows {
            let Kept::Value { value, .. } = kept else { continue };
            if let Ok(content) = decode_content(&value.content.0)
                && content.ground().is_some()
            {
                found.push((key, value.peer, content));
            }
        }
        let noted = store.commit(move |unit| {
            for (key, peer, content) in &found {
                note(unit, (*key, *peer), content, own, now)?;
            }
            unit.put(&CAUGHT_UP, &(), &after)?;
            Ok::<_, AppError>(())
        });
        noted.await.map_err(AppError::from)?;
    }
}

/// Notes on which consent or request a message rests, and follows its withdrawal when there was one.
fn note(
    unit: &mut Unit<'_>,
    (key, peer): (MessageKey, AreaCode),
    content: &Content,
    own: AreaCode,
    now: UnixMillis,
) -> Result<(), AppError> {
    let Some(ground) = content.ground() else { return Ok(()) };
    let id = ground.bytes();
    let theirs = unit.get(&CONSENT_ENDED, &(id, peer_key(peer)))?;
    if theirs.is_some() {
        return delete::content(unit, key, own, now).map(drop);
    }
    spread::note_use(unit, content, key, peer)?;
    if !unit.contains(&CONSENT_ENDED, &(id, peer_key(own)))? {
        return Ok(());
    }
    if Side::from_byte(key.1) == Some(Side::Sent) {
        crate::app::letters::silence(unit, MessageId::from_bytes(key.0), now)?;
    }
    let place = (id, peer_key(peer));
    if !unit.contains(&CONSENT_SPREAD, &place)? {
        unit.put(&CONSENT_SPREAD, &place, &SpreadRow { since: now, told: None, done: None })?;
        let duty = DutyRow { about: None, at: now };
        unit.put(&DUTY, &Duty::Withdrawal(ground).key(peer), &duty)?;
    }
    Ok(())
}
