//! A withdrawal on its way: sending stops, every county that was told something is told to forget it, forgets it, and
//! says so.
//!
//! What is deleted is the content. That there was a message stays provable: its header, the hash of its body, the ledger
//! and the receipts.

use domain::access::Permission;
use domain::area::AreaCode;
use domain::id::{ConsentId, MessageId};
use domain::message::{ConsentWithdrawal, ConsentWithdrawalDone, Content};
use domain::time::UnixMillis;
use store::agreements::{ConsentEndedRow, ConsentUseRow, DutyRow, RefusedWordRow, SpreadRow};
use store::messages::{MessageKey, Side, peer_area, peer_key};
use store::tables::{CONSENT_ENDED, CONSENT_SPREAD, CONSENT_USE, DUTY};
use store::{Store, Unit};

use super::refused;
use crate::app::duties::Duty;
use crate::app::letters;
use crate::app::messages::delete;
use crate::app::{AppError, Ctx};

/// Messages under one consent that are looked at; a consent is one person's, for at most three years.
const USES_MAX: usize = 5_000;
/// Why a message that waits is not sent any more, in the words of the list of dead letters.
const TAKEN_BACK: &str = "本人撤回同意";

/// What became of a withdrawal at one county.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// The county.
    pub area: AreaCode,
    /// What was done there.
    pub row: SpreadRow,
    /// Why it has not taken the word, when it has refused it; the node says it again.
    pub refused: Option<RefusedWordRow>,
}

/// Notes that a message rests on a consent, in the unit that writes it.
///
/// # Errors
/// When the row cannot be written.
pub fn note_use(
    unit: &mut Unit<'_>,
    content: &Content,
    key: MessageKey,
    peer: AreaCode,
) -> Result<(), AppError> {
    match &content.consent {
        Some(consent) => {
            Ok(unit.put(&CONSENT_USE, &(consent.consent_id, key), &ConsentUseRow { peer })?)
        }
        None => Ok(()),
    }
}

/// Whether the consent that a content names was withdrawn, here or by a word of `peer`.
///
/// # Errors
/// When the row cannot be read.
pub fn is_ended(
    unit: &Unit<'_>,
    content: &Content,
    own: AreaCode,
    peer: AreaCode,
) -> Result<bool, AppError> {
    let Some(consent) = &content.consent else { return Ok(false) };
    for area in [own, peer] {
        if unit.contains(&CONSENT_ENDED, &(consent.consent_id, peer_key(area)))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Stops everything that rests on a consent of ours, and notes which counties are to be told: in the unit that
/// withdraws it. `recipient` is the county that the consent names, which is told even if nothing is known to have gone.
///
/// # Errors
/// When rows cannot be read or written.
pub fn begin(
    unit: &mut Unit<'_>,
    ctx: &Ctx,
    id: ConsentId,
    recipient: AreaCode,
) -> Result<(), AppError> {
    let own = ctx.county();
    let ended = ConsentEndedRow { withdrawn: ctx.now, deleted: ctx.now, messages: 0 };
    unit.put(&CONSENT_ENDED, &(id, peer_key(own)), &ended)?;
    let mut told = std::collections::BTreeSet::from([recipient.county()]);
    for ((_, (message, side)), row) in unit.scan_under(&CONSENT_USE, &(id,), None, USES_MAX)? {
        told.insert(row.peer);
        if Side::from_byte(side) == Some(Side::Sent) {
            let reason = domain::text::Note::new(TAKEN_BACK);
            let reason = reason.map_err(|_| AppError::Internal("a fixed text is none"))?;
            letters::stop(unit, ctx, MessageId::from_bytes(message), reason)?;
        }
    }
    told.remove(&own);
    for peer in told {
        let key = (id, peer_key(peer));
        unit.put(&CONSENT_SPREAD, &key, &SpreadRow { since: ctx.now, told: None, done: None })?;
        let duty = DutyRow { about: None, at: ctx.now };
        unit.put(&DUTY, &Duty::Withdrawal.key(*id.as_bytes(), peer), &duty)?;
    }
    Ok(())
}

/// A county has withdrawn a consent: whatever came under it, and what was answered under it, is deleted here. In the unit
/// that stores its message.
///
/// # Errors
/// When rows cannot be read or written.
pub fn take_withdrawal(
    unit: &mut Unit<'_>,
    (peer, own): (AreaCode, AreaCode),
    said: &ConsentWithdrawal,
    now: UnixMillis,
) -> Result<(), AppError> {
    let id = said.consent_id;
    let mut messages: u32 = 0;
    for ((_, key), row) in unit.scan_under(&CONSENT_USE, &(id,), None, USES_MAX)? {
        // Nobody takes back what another county was allowed.
        if row.peer == peer {
            let deleted = delete::content(unit, key, own, now)?;
            unit.delete(&CONSENT_USE, &(id, key));
            messages = messages.saturating_add(u32::from(deleted));
        }
    }
    let ended = (id, peer_key(peer));
    let withdrawn = said.withdrawn.min(now);
    let first = unit.get(&CONSENT_ENDED, &ended)?;
    let before = first.map_or(0, |row| row.messages);
    let row = ConsentEndedRow {
        withdrawn: first.map_or(withdrawn, |row| row.withdrawn),
        deleted: now,
        messages: before.saturating_add(messages),
    };
    unit.put(&CONSENT_ENDED, &ended, &row)?;
    let duty = DutyRow { about: None, at: now };
    Ok(unit.put(&DUTY, &Duty::Deleted.key(*id.as_bytes(), peer), &duty)?)
}

/// A county says that nothing is left there. In the unit that stores its message.
///
/// # Errors
/// When rows cannot be read or written.
pub fn take_done(
    unit: &mut Unit<'_>,
    peer: AreaCode,
    said: &ConsentWithdrawalDone,
    now: UnixMillis,
) -> Result<(), AppError> {
    let key = (said.consent_id, peer_key(peer));
    let Some(row) = unit.get(&CONSENT_SPREAD, &key)? else { return Ok(()) };
    let done = row.done.or(Some((said.deleted.min(now), now)));
    refused::taken(unit, said.consent_id, peer);
    Ok(unit.put(&CONSENT_SPREAD, &key, &SpreadRow { done, ..row })?)
}

/// What became of a withdrawal, county by county.
///
/// # Errors
/// `ROLE_REQUIRED`; when rows cannot be read.
pub fn of(ctx: &Ctx, store: &Store, id: ConsentId) -> Result<Vec<Spread>, AppError> {
    ctx.must(Permission::FollowDelivery)?;
    let rows = store.scan_under(&CONSENT_SPREAD, &(id,), None, USES_MAX)?;
    let mut spread = Vec::with_capacity(rows.len());
    for ((_, peer), row) in rows {
        let Some(area) = peer_area(&peer) else { continue };
        spread.push(Spread { area, row, refused: refused::of(store, id, area)? });
    }
    Ok(spread)
}

/// Notes that a county was told, in the unit that accepts the message.
///
/// # Errors
/// When rows cannot be read or written.
pub fn was_told(
    unit: &mut Unit<'_>,
    id: ConsentId,
    peer: AreaCode,
    (message, at): (MessageId, UnixMillis),
) -> Result<(), AppError> {
    let key = (id, peer_key(peer));
    let Some(row) = unit.get(&CONSENT_SPREAD, &key)? else { return Ok(()) };
    Ok(unit.put(&CONSENT_SPREAD, &key, &SpreadRow { told: Some((message, at)), ..row })?)
}
