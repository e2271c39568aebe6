//! A withdrawal that this node had sent and lost, and that its recipient hands back: the consent is withdrawn, or the
//! request taken back, here again.

use domain::access::{Caller, Role};
use domain::area::AreaCode;
use domain::consent::{Given, Ground, Withdrawal};
use domain::id::{MessageId, OperatorName};
use domain::message::ConsentWithdrawal;
use domain::time::UnixMillis;
use store::Unit;
use store::agreements::ConsentEndedRow;
use store::messages::peer_key;
use store::tables::{CONSENT_ENDED, DUTY};

use super::spread;
use crate::app::duties::Duty;
use crate::app::{AppError, Ctx};

/// Why, in the words of the record.
const RETURNED: &str = "数据恢复后由对方交还的撤回通报";

/// Ends a consent or request as the message says that `to` has handed back: nothing is sent under it any more, and every
/// other county is told once more.
///
/// # Errors
/// When rows cannot be read or written.
pub fn withdrawal(
    unit: &mut Unit<'_>,
    own: AreaCode,
    (to, message, sent): (AreaCode, MessageId, UnixMillis),
    said: &ConsentWithdrawal,
    now: UnixMillis,
) -> Result<(), AppError> {
    let ground = said.ground;
    let ended = (ground.bytes(), peer_key(own));
    if unit.get(&CONSENT_ENDED, &ended)?.is_none() {
        // Nobody knows any more which clerk it was.
        let caller = Caller { operator: OperatorName::node(), role: Role::Clerk, area: own };
        let ctx = Ctx { caller, now };
        let recipient = on_record(unit, &ctx, ground, said.withdrawn)?.unwrap_or(to);
        spread::begin(unit, &ctx, ground, recipient)?;
        let row = ConsentEndedRow { withdrawn: said.withdrawn, deleted: now, messages: 0 };
        unit.put(&CONSENT_ENDED, &ended, &row)?;
    }
    unit.delete(&DUTY, &Duty::Withdrawal(ground).key(to));
    spread::was_told(unit, ground, to, (message, sent))
}

/// Withdraws the consent or request itself, if it is on record; the county that it names.
fn on_record(
    unit: &mut Unit<'_>,
    ctx: &Ctx,
    ground: Ground,
    withdrawn: UnixMillis,
) -> Result<Option<AreaCode>, AppError> {
    let Some((person, recipient)) = super::of_record(unit, ground)? else { return Ok(None) };
    let Some(subject) = unit.subject_of(person)? else { return Ok(Some(recipient)) };
    let at = Ctx { now: withdrawn.min(ctx.now), ..ctx.clone() };
    let withdrawal = Withdrawal { given: Given::InWriting, author: at.author(None, RETURNED)? };
    // If it was withdrawn by somebody since, that is what counts.
    if super::end(unit, &subject, ground, withdrawal)?.is_ok() {
        super::note_change(unit, ctx, person)?;
    }
    Ok(Some(recipient))
}
