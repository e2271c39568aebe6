//! A withdrawal on its way: sending stops, every county that was told something is told to forget it, forgets it, and
//! says so.
//!
//! What is deleted is the content. That there was a message stays provable: its header, the hash of its body, the ledger
//! and the receipts.

use std::collections::BTreeSet;

use domain::access::Permission;
use domain::area::AreaCode;
use domain::consent::Ground;
use domain::id::MessageId;
use domain::message::{ConsentWithdrawal, ConsentWithdrawalDone, Content, Kind};
use domain::time::UnixMillis;
use store::agreements::{
    ConsentEndedRow, ConsentUseRow, DutyRow, GroundKey, RefusedWordRow, SpreadRow,
};
use store::messages::{MessageKey, PeerKey, Side, peer_area, peer_key};
use store::tables::{CONSENT_ENDED, CONSENT_SPREAD, CONSENT_USE, DUTY};
use store::{Store, Unit};

use super::refused;
use crate::app::cases::opening::Rows;
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

/// Notes that a message rests on a consent or request, in the unit that writes it.
///
/// # Errors
/// When the row cannot be written.
pub fn note_use(
    unit: &mut Unit<'_>,
    content: &Content,
    key: MessageKey,
    peer: AreaCode,
) -> Result<(), AppError> {
    match content.ground() {
        Some(ground) => {
            Ok(unit.put(&CONSENT_USE, &(ground.bytes(), key), &ConsentUseRow { peer })?)
        }
        None => Ok(()),
    }
}

/// What a content rests on, when that was withdrawn, here or by a word of `peer`.
///
/// # Errors
/// When the row cannot be read.
pub fn ended(
    unit: &Unit<'_>,
    content: &Content,
    own: AreaCode,
    peer: AreaCode,
) -> Result<Option<Ground>, AppError> {
    let Some(ground) = content.ground() else { return Ok(None) };
    for area in [own, peer] {
        if unit.contains(&CONSENT_ENDED, &(ground.bytes(), peer_key(area)))? {
            return Ok(Some(ground));
        }
    }
    Ok(None)
}

/// Stops everything that rests on a consent or request of ours, and notes which counties are to be told: in the unit that
/// withdraws it. `recipient` is the county that the consent names, which is told even if nothing is known to have gone.
///
/// # Errors
/// When rows cannot be read or written.
pub fn begin(
    unit: &mut Unit<'_>,
    ctx: &Ctx,
    ground: Ground,
    recipient: AreaCode,
) -> Result<(), AppError> {
    let (id, own) = (ground.bytes(), ctx.county());
    let ended = ConsentEndedRow { withdrawn: ctx.now, deleted: ctx.now, messages: 0 };
    unit.put(&CONSENT_ENDED, &(id, peer_key(own)), &ended)?;
    let mut told = BTreeSet::from([recipient.county()]);
    for ((_, (message, side)), row) in unit.scan_under(&CONSENT_USE, &(id,), None, USES_MAX)? {
        told.insert(row.peer);
        if Side::from_byte(side) == Some(Side::Sent) && !only_tells_who_sits(unit, message)? {
            let reason = domain::text::Note::new(TAKEN_BACK);
            let reason = reason.map_err(|_| AppError::Internal("a fixed text is none"))?;
            letters::stop(unit, ctx, MessageId::from_bytes(message), reason)?;
        }
    }
    told.remove(&own);
    told.into_iter().try_for_each(|peer| is_to_hear(unit, ground, peer, ctx.now))
}

/// Whether a message of ours only says who sits in a case from now on. It names nobody, and whoever does not hear of it
/// would go on speaking to an office that has left.
fn only_tells_who_sits(unit: &Unit<'_>, message: [u8; 16]) -> Result<bool, AppError> {
    let row = Rows::message(unit, MessageId::from_bytes(message), Side::Sent)?;
    Ok(row.and_then(|row| row.kind()) == Some(Kind::Forward))
}

/// A county is told, and has to say that it has deleted what it had.
fn is_to_hear(
    unit: &mut Unit<'_>,
    ground: Ground,
    peer: AreaCode,
    at: UnixMillis,
) -> Result<(), AppError> {
    let row = SpreadRow { since: at, told: None, done: None };
    unit.put(&CONSENT_SPREAD, &(ground.bytes(), peer_key(peer)), &row)?;
    let duty = DutyRow { about: None, at };
    Ok(unit.put(&DUTY, &Duty::Withdrawal(ground).key(peer), &duty)?)
}

/// A county has withdrawn a consent: whatever came under it, and what was answered under it, is deleted here, and the
/// counties to which a case with it was handed over are told. In the unit that stores its message.
///
/// # Errors
/// When rows cannot be read or written.
pub fn take_withdrawal(
    unit: &mut Unit<'_>,
    (peer, own): (AreaCode, AreaCode),
    said: &ConsentWithdrawal,
    now: UnixMillis,
) -> Result<(), AppError> {
    let (ground, id) = (said.ground, said.ground.bytes());
    let before = unit.scan_under(&CONSENT_ENDED, &(id,), None, USES_MAX)?;
    let mut messages: u32 = 0;
    let mut given_to = BTreeSet::new();
    // What was given on is looked at while what it came from can still be seen.
    let uses = unit.scan_under(&CONSENT_USE, &(id,), None, USES_MAX)?;
    let (theirs, others): (Vec<_>, Vec<_>) =
        uses.into_iter().partition(|(_, row)| row.peer == peer);
    for ((_, key), row) in others {
        // Nobody takes back what another county was allowed.
        if let Some((kind, side)) = came_from(unit, key, peer)? {
            messages = messages.saturating_add(forget(unit, (id, key), own, now)?);
            let given = (kind, side) == (Kind::HandOver, Side::Sent);
            given_to.extend(given.then_some(row.peer));
        }
    }
    for ((_, key), _) in theirs {
        messages = messages.saturating_add(forget(unit, (id, key), own, now)?);
    }
    let ended = (id, peer_key(peer));
    let withdrawn = said.withdrawn.min(now);
    let first = before.iter().find(|((_, by), _)| *by == ended.1).map(|(_, row)| *row);
    let row = ConsentEndedRow {
        withdrawn: first.map_or(withdrawn, |row| row.withdrawn),
        deleted: now,
        messages: first.map_or(0, |row| row.messages).saturating_add(messages),
    };
    unit.put(&CONSENT_ENDED, &ended, &row)?;
    given_to.retain(|area| *area != own && *area != peer);
    for area in given_to {
        is_to_hear(unit, ground, area, withdrawn)?;
    }
    // A case can come back to where it was: whoever has followed the same withdrawal before waits for nobody.
    let followed = |((_, by), row): &((GroundKey, PeerKey), ConsentEndedRow)| {
        *by == peer_key(own) || row.messages > 0
    };
    if row.messages > 0 && !before.iter().any(followed) && is_waited_for(unit, id)? {
        return Ok(());
    }
    let duty = DutyRow { about: None, at: now };
    Ok(unit.put(&DUTY, &Duty::Deleted(ground).key(peer), &duty)?)
}

fn forget(
    unit: &mut Unit<'_>,
    (id, key): (GroundKey, MessageKey),
    own: AreaCode,
    now: UnixMillis,
) -> Result<u32, AppError> {
    let deleted = delete::content(unit, key, own, now)?;
    unit.delete(&CONSENT_USE, &(id, key));
    Ok(u32::from(deleted))
}

/// The kind of a message in a case that a county has opened here, or has handed over to us, and which way it went: what
/// others said there under the same consent was said on the strength of that county's word.
fn came_from(
    unit: &Unit<'_>,
    (id, side): MessageKey,
    peer: AreaCode,
) -> Result<Option<(Kind, Side)>, AppError> {
    let message = |id: MessageId, side| Rows::message(unit, id, side);
    let Some(side) = Side::from_byte(side) else { return Ok(None) };
    let Some(row) = message(MessageId::from_bytes(id), side)? else { return Ok(None) };
    let brought = unit.case(row.case.into())?.map(|case| case.brought).unwrap_or_default();
    for opening in [vec![row.case], brought].concat() {
        if message(opening, Side::Received)?.is_some_and(|opening| opening.peer == peer) {
            return Ok(row.kind().map(|kind| (kind, side)));
        }
    }
    Ok(None)
}

/// Whether a county that was told has not said yet that it has deleted what it had.
fn is_waited_for(unit: &Unit<'_>, id: GroundKey) -> Result<bool, AppError> {
    let told = unit.scan_under(&CONSENT_SPREAD, &(id,), None, USES_MAX)?;
    Ok(told.iter().any(|(_, row)| row.done.is_none()))
}

/// A county says that nothing is left there; when no other is waited for, whoever told us hears that nothing is left here
/// either. In the unit that stores its message.
///
/// # Errors
/// When rows cannot be read or written.
pub fn take_done(
    unit: &mut Unit<'_>,
    (peer, own): (AreaCode, AreaCode),
    said: &ConsentWithdrawalDone,
    now: UnixMillis,
) -> Result<(), AppError> {
    let (ground, id) = (said.ground, said.ground.bytes());
    let key = (id, peer_key(peer));
    let Some(row) = unit.get(&CONSENT_SPREAD, &key)? else { return Ok(()) };
    let first = row.done.is_none();
    let done = row.done.or(Some((said.deleted.min(now), now)));
    refused::taken(unit, ground, peer);
    unit.put(&CONSENT_SPREAD, &key, &SpreadRow { done, ..row })?;
    if !first || is_waited_for(unit, id)? {
        return Ok(());
    }
    let words = unit.scan_under(&CONSENT_ENDED, &(id,), None, USES_MAX)?;
    // Whose word came to nothing here was answered when it came.
    let heeded = words.iter().filter(|(_, row)| row.messages > 0);
    let by = heeded.filter_map(|((_, by), _)| peer_area(by));
    for by in by.filter(|by| *by != own && *by != peer) {
        unit.put(&DUTY, &Duty::Deleted(ground).key(by), &DutyRow { about: None, at: now })?;
    }
    Ok(())
}

/// What became of a withdrawal, county by county.
///
/// # Errors
/// `ROLE_REQUIRED`; when rows cannot be read.
pub fn of(ctx: &Ctx, store: &Store, ground: Ground) -> Result<Vec<Spread>, AppError> {
    ctx.must(Permission::FollowDelivery)?;
    let rows = store.scan_under(&CONSENT_SPREAD, &(ground.bytes(),), None, USES_MAX)?;
    let mut spread = Vec::with_capacity(rows.len());
    for ((_, peer), row) in rows {
        let Some(area) = peer_area(&peer) else { continue };
        spread.push(Spread { area, row, refused: refused::of(store, ground, area)? });
    }
    Ok(spread)
}

/// Notes that a county was told, in the unit that accepts the message.
///
/// # Errors
/// When rows cannot be read or written.
pub fn was_told(
    unit: &mut Unit<'_>,
    ground: Ground,
    peer: AreaCode,
    (message, at): (MessageId, UnixMillis),
) -> Result<(), AppError> {
    let key = (ground.bytes(), peer_key(peer));
    let Some(row) = unit.get(&CONSENT_SPREAD, &key)? else { return Ok(()) };
    Ok(unit.put(&CONSENT_SPREAD, &key, &SpreadRow { told: Some((message, at)), ..row })?)
}
