//! What else is written with a message because of what it says: on which consent it rests, what it reports, what it says
//! about an agreement or a withdrawal.

use domain::agreement::Agreement;
use domain::area::AreaCode;
use domain::id::{MessageId, PersonId};
use domain::message::{Body, Content};
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::envelope::Header;
use store::Unit;
use store::messages::{Side, message_key};

use crate::app::agreements::rule;
use crate::app::consents::spread;
use crate::app::{AppError, asked, retention};

/// Written with a message of ours.
pub(super) fn sent(
    unit: &mut Unit<'_>,
    content: &Content,
    (id, person): (MessageId, PersonId),
    (to, agreed): (AreaCode, &[Agreement]),
    now: UnixMillis,
) -> Result<(), AppError> {
    let key = message_key(id, Side::Sent);
    spread::note_use(unit, content, key, to)?;
    asked::note_report(unit, agreed, content, (key, person, to), now)
}

/// Written with a message of another county.
pub(super) fn received(
    unit: &mut Unit<'_>,
    header: &Header,
    content: &Content,
    person: PersonId,
    agreed: &[Agreement],
    now: UnixMillis,
) -> Result<(), AppError> {
    let (peer, own, id) = (header.from, header.to, header.message_id);
    let key = message_key(id, Side::Received);
    spread::note_use(unit, content, key, peer)?;
    asked::note_report(unit, agreed, content, (key, person, peer), now)?;
    if let Some(until) = rule::kept_until(unit, agreed, content, now)? {
        retention::keep_until(unit, id, until)?;
    }
    match &content.body {
        Body::ConsentWithdrawal(said) => spread::take_withdrawal(unit, (peer, own), said, now),
        Body::ConsentWithdrawalDone(said) => spread::take_done(unit, peer, said, now),
        _ => rule::take(unit, (peer, own), id, content, now),
    }
}

/// Why a content that is fit by itself is refused all the same: its consent was withdrawn, or what it says about an
/// agreement does not follow from what was said before.
pub(super) fn refused(
    unit: &Unit<'_>,
    header: &Header,
    content: &Content,
    now: UnixMillis,
) -> Result<Option<(Reason, &'static str)>, AppError> {
    let (peer, own) = (header.from, header.to);
    if spread::is_ended(unit, content, own, peer)? {
        return Ok(Some((Reason::ConsentWithdrawn, "consent.consent_id")));
    }
    let refused = rule::refused(unit, (peer, own), content, now)?;
    Ok(refused.map(|refusal| (refusal.reason, refusal.field)))
}
