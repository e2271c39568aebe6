//! What no program decides: messages of which two sides hold something else, until somebody has decided, or both sides say
//! the same.

use domain::access::{AccessAction, Permission};
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use domain::text::Note;
use domain::time::UnixMillis;
use exchange::reconcile::difference::Difference;
use exchange::reconcile::set::Scope;
use store::messages::{Side, message_key};
use store::reconcile::{DecidedRow, DifferenceRow, DifferenceState};
use store::tables::{DECIDED, DIFFERENCE, MESSAGE};
use store::{Kept, Store, Unit};

use super::runs::{DECISIONS, Found};
use super::versions;
use crate::app::access::{self, Act, OFFICE_WORK};
use crate::app::messages::content_of;
use crate::app::{AppError, Ctx, Refusal};

/// Decisions that are looked at in one go.
const ROWS_AT_ONCE: usize = 500;

/// Keeps both versions of a message about which a person has to decide. Says whether it is open: what was decided about the
/// very same versions stays decided.
///
/// # Errors
/// When rows cannot be read or written.
pub fn keep(
    unit: &mut Unit<'_>,
    difference: Difference,
    now: UnixMillis,
) -> Result<bool, AppError> {
    let Some(id) = difference.id() else { return Ok(false) };
    let key = (DECISIONS, *id.as_bytes());
    let known = unit.get(&DIFFERENCE, &key)?;
    let is_decided = known
        .as_ref()
        .is_some_and(|row| row.state == DifferenceState::Decided && row.difference == difference);
    if is_decided {
        return Ok(false);
    }
    let found = known.map_or(now, |row| row.found);
    let state = DifferenceState::Open;
    // What was decided was about other versions; that it was stands in the access log.
    unit.delete(&DECIDED, id.as_bytes());
    unit.put(&DIFFERENCE, &key, &DifferenceRow { difference, state, found, ended: None })?;
    Ok(true)
}

/// Whether nobody has decided yet about a message of which two sides hold something else.
///
/// # Errors
/// When the row cannot be read.
pub fn is_open(store: &Store, id: MessageId) -> Result<bool, AppError> {
    let row = store.get(&DIFFERENCE, &(DECISIONS, *id.as_bytes()))?;
    Ok(row.is_some_and(|row| row.state == DifferenceState::Open))
}

/// What nobody has decided yet about messages that came here.
///
/// # Errors
/// When rows cannot be read.
pub fn open_of_recipient(store: &Store, own: AreaCode) -> Result<Vec<Difference>, AppError> {
    let mut open = Vec::new();
    let all = (DECISIONS, [0; 16])..=(DECISIONS, [0xFF; 16]);
    for page in store.pages(&DIFFERENCE, all, ROWS_AT_ONCE) {
        let rows = page?.into_iter().map(|(_, row)| row);
        let rows = rows.filter(|row| row.state == DifferenceState::Open);
        let differences = rows.map(|row| row.difference);
        open.extend(differences.filter(|it| it.pair().is_some_and(|(_, to)| to == own)));
    }
    Ok(open)
}

/// Writes what somebody has decided about a message, and why. It changes nothing in what either side holds. Done again with
/// the same words it changes nothing.
///
/// # Errors
/// `ROLE_REQUIRED`; `NOT_FOUND` for what nobody has to decide, `STATE_FORBIDS` for what was decided or has ended otherwise.
pub async fn decide(
    ctx: &Ctx,
    store: &Store,
    id: MessageId,
    reason: Note,
) -> Result<Found, AppError> {
    if ctx.must(Permission::ExchangeMessages).is_err() {
        ctx.must(Permission::DecideAgreements)?;
    }
    let (act, caller) = (act(store, id)?, ctx.clone());
    let write = move |unit: &mut Unit<'_>| {
        let key = (DECISIONS, *id.as_bytes());
        let row = unit.get(&DIFFERENCE, &key)?.ok_or(AppError::from(Reason::NotFound))?;
        let decided = DecidedRow { by: caller.caller.operator.clone(), at: caller.now, reason };
        if row.state != DifferenceState::Open {
            let before = unit.get(&DECIDED, id.as_bytes())?;
            let is_same =
                before.is_some_and(|it| (it.by, it.reason) == (decided.by, decided.reason));
            let is_same = is_same && row.state == DifferenceState::Decided;
            let refusal = Refusal::new(Reason::StateForbids).field("message_id").existing(id);
            return if is_same { Ok(()) } else { Err(refusal.into()) };
        }
        let (state, ended) = (DifferenceState::Decided, Some(caller.now));
        unit.put(&DIFFERENCE, &key, &DifferenceRow { state, ended, ..row })?;
        unit.put(&DECIDED, id.as_bytes(), &decided)?;
        access::note(&caller, unit, act)
    };
    store.commit(write).await.map_err(AppError::from)?;
    let row = store.get(&DIFFERENCE, &(DECISIONS, *id.as_bytes()))?;
    as_decided(store, *id.as_bytes(), row.ok_or(AppError::from(Reason::NotFound))?)
}

/// What stands in the log: whose matter it is, as far as the message is here.
fn act(store: &Store, id: MessageId) -> Result<Act, AppError> {
    let action = AccessAction::Decide;
    let mut act = Act { action, why: OFFICE_WORK, person: None, message: None };
    for side in [Side::Sent, Side::Received] {
        let kept = store.get_personal(&MESSAGE, &message_key(id, side))?;
        let Some(row) = kept.and_then(Kept::value) else { continue };
        // What was deleted tells nobody whose it was.
        if let Ok(content) = content_of(store, id, &row) {
            act = Act::with(action, store, &content)?;
        }
    }
    Ok(Act { message: Some(id), ..act })
}

/// A difference with what was decided about these very versions of it.
pub(super) fn as_decided(
    store: &Store,
    id: [u8; 16],
    row: DifferenceRow,
) -> Result<Found, AppError> {
    if !row.difference.name.is_for_a_person() {
        return Ok(Found { row, decided: None });
    }
    let kept = store.get(&DIFFERENCE, &(DECISIONS, id))?;
    let Some(same) = kept.filter(|kept| kept.difference == row.difference) else {
        return Ok(Found { row, decided: None });
    };
    let decided = store.get(&DECIDED, &id)?;
    let (state, ended) = match (row.state, same.state) {
        (DifferenceState::Open, DifferenceState::Decided) => (same.state, same.ended),
        _ => (row.state, row.ended),
    };
    Ok(Found { row: DifferenceRow { state, ended, ..row }, decided })
}

/// What is open or decided of a scope, and was not found any more by a comparison over it.
///
/// # Errors
/// When rows cannot be read.
pub fn over(
    store: &Store,
    scope: &Scope,
    found: &[Difference],
) -> Result<Vec<Difference>, AppError> {
    let mut over = Vec::new();
    let all = (DECISIONS, [0; 16])..=(DECISIONS, [0xFF; 16]);
    for page in store.pages(&DIFFERENCE, all, ROWS_AT_ONCE) {
        for (_, row) in page?.into_iter().filter(|(_, row)| is_there(row)) {
            let difference = row.difference;
            let Some((id, (from, to))) = difference.id().zip(difference.pair()) else { continue };
            let is_found = || found.iter().any(|it| it.id() == Some(id));
            if scope.holds(id, from, to) && !is_found() {
                over.push(difference);
            }
        }
    }
    Ok(over)
}

/// How many are open.
///
/// # Errors
/// When rows cannot be read.
pub fn open(store: &Store) -> Result<u64, AppError> {
    let mut count = 0_u64;
    let all = (DECISIONS, [0; 16])..=(DECISIONS, [0xFF; 16]);
    for page in store.pages(&DIFFERENCE, all, ROWS_AT_ONCE) {
        let open = page?.into_iter().filter(|(_, row)| row.state == DifferenceState::Open);
        count = count.saturating_add(u64::try_from(open.count()).unwrap_or(u64::MAX));
    }
    Ok(count)
}

/// Whether two sides held something else when it was last looked at.
fn is_there(row: &DifferenceRow) -> bool {
    matches!(row.state, DifferenceState::Open | DifferenceState::Decided)
}

/// Both sides say the same about a message by now: there is nothing to decide. Says whether there was.
///
/// # Errors
/// When rows cannot be read or written.
pub fn agreed(unit: &mut Unit<'_>, id: MessageId, now: UnixMillis) -> Result<bool, AppError> {
    let key = (DECISIONS, *id.as_bytes());
    let known = unit.get(&DIFFERENCE, &key)?;
    let Some(row) = known.filter(is_there) else { return Ok(false) };
    if let Some((_, to)) = row.difference.pair() {
        versions::remove(unit, to, id);
    }
    let (state, ended) = (DifferenceState::Cured, Some(now));
    unit.put(&DIFFERENCE, &key, &DifferenceRow { state, ended, ..row })?;
    Ok(true)
}
