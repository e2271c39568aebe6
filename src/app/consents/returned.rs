//! A withdrawal that this node had sent and lost, and that its recipient hands back: the consent is withdrawn here again.

use domain::access::{Caller, Role};
use domain::area::AreaCode;
use domain::consent::{Given, Withdrawal};
use domain::id::{ConsentId, MessageId, OperatorName};
use domain::message::ConsentWithdrawal;
use domain::time::UnixMillis;
use store::Unit;
use store::agreements::ConsentEndedRow;
use store::messages::peer_key;
use store::records::ReadRecords;
use store::tables::{CONSENT_ENDED, DUTY};

use super::spread;
use crate::app::access::{self, Act, NOTING};
use crate::app::duties::Duty;
use crate::app::{AppError, Ctx, persons};

/// Who withdraws it: nobody knows any more which clerk it was.
const NODE: &str = "node";
/// Why, in the words of the record.
const RETURNED: &str = "数据恢复后由对方交还的撤回通报";

/// Withdraws a consent as the message says that `to` has handed back: nothing is sent under it any more, and every other
/// county is told once more.
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
    let id = said.consent_id;
    let ended = (id, peer_key(own));
    if unit.get(&CONSENT_ENDED, &ended)?.is_none() {
        let ctx = node(own, now)?;
        let recipient = on_record(unit, &ctx, id, said.withdrawn)?.unwrap_or(to);
        spread::begin(unit, &ctx, id, recipient)?;
        let row = ConsentEndedRow { withdrawn: said.withdrawn, deleted: now, messages: 0 };
        unit.put(&CONSENT_ENDED, &ended, &row)?;
    }
    unit.delete(&DUTY, &Duty::Withdrawal.key(*id.as_bytes(), to));
    spread::was_told(unit, id, to, (message, sent))
}

fn node(area: AreaCode, now: UnixMillis) -> Result<Ctx, AppError> {
    let operator = NODE.parse::<OperatorName>();
    let operator = operator.map_err(|_| AppError::Internal("a fixed name is none"))?;
    Ok(Ctx { caller: Caller { operator, role: Role::Clerk, area }, now })
}

/// Withdraws the consent itself, if it is on record; the county that it names.
fn on_record(
    unit: &mut Unit<'_>,
    ctx: &Ctx,
    id: ConsentId,
    withdrawn: UnixMillis,
) -> Result<Option<AreaCode>, AppError> {
    let Some(before) = unit.consent(id)? else { return Ok(None) };
    let recipient = Some(before.terms().recipient);
    let Some(subject) = unit.subject_of(before.person())? else { return Ok(recipient) };
    let at = Ctx { now: withdrawn.min(ctx.now), ..ctx.clone() };
    let author = at.author(None, RETURNED)?;
    // It was withdrawn by somebody since: that is what counts.
    let Ok(after) = before.withdraw(Withdrawal { given: Given::InWriting, author }) else {
        return Ok(recipient);
    };
    unit.keep_consent(&subject, &after)?;
    let hash = |document: &_| unit.document_hash(document);
    let person = persons::key_of(unit, hash, after.person())?;
    let action = domain::access::AccessAction::Change;
    access::note(ctx, unit, Act { action, why: NOTING, person, message: None })?;
    Ok(recipient)
}
