//! What else is written with a message because of what it says: on which consent or request it rests, what it reports, what it says
//! about an agreement or a withdrawal.

use domain::agreement::Agreement;
use domain::area::AreaCode;
use domain::id::{MessageId, PersonId};
use domain::message::{Body, Content, Kind};
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::envelope::Header;
use store::Unit;
use store::messages::{MessageRow, Side, message_key};

use crate::app::agreements::rule;
use crate::app::cases::{self, Came, ground};
use crate::app::consents::{returned, spread};
use crate::app::{AppError, applications, asked, clocks, retention};

/// A message of ours, as it was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent<'a> {
    /// Its id.
    pub(crate) id: MessageId,
    /// Area of this node.
    pub(crate) own: AreaCode,
    /// Whose record it is kept under.
    pub(crate) person: PersonId,
    /// Its row.
    pub(crate) row: &'a MessageRow,
    /// What it says.
    pub(crate) content: &'a Content,
}

/// What follows from a message of ours: written with it when it is accepted, and again when its recipient hands it back
/// because we have lost it.
pub(crate) fn sent(
    unit: &mut Unit<'_>,
    sent: Sent<'_>,
    agreed: &[Agreement],
    now: UnixMillis,
) -> Result<(), AppError> {
    let Sent { id, own, person, row, content } = sent;
    let (key, to) = (message_key(id, Side::Sent), row.peer);
    spread::note_use(unit, content, key, to)?;
    asked::note_report(unit, agreed, content, (key, person, to), now)?;
    if content.kind() == Kind::BirthRegistrationInquiry {
        applications::asked_about(unit, person)?;
    }
    clocks::watch(unit, id, Side::Sent, row, now)?;
    if let Some(until) = rule::kept_until(unit, agreed, content, row.created)? {
        retention::keep_until(unit, key, until)?;
    }
    let (created, due, side) = (row.created, row.due, Side::Sent);
    let came = Came { id, from: own, to, created, due, side, now };
    cases::take(unit, came, content).map(drop)
}

/// What else was done when a message of ours was sent that its recipient hands back: it is done again.
pub(crate) fn sent_before(
    unit: &mut Unit<'_>,
    said: Sent<'_>,
    now: UnixMillis,
) -> Result<(), AppError> {
    let Sent { id, own, row, content, .. } = said;
    let agreed = rule::with_peer(unit, (own, row.peer), now.date())?;
    match sent(unit, said, &agreed, now) {
        // What a full case does not take has no effect there.
        Err(AppError::Refused(refusal)) if refusal.reason == Reason::TooLarge => {}
        other => other?,
    }
    match &content.body {
        Body::ConsentWithdrawal(withdrawal) => {
            returned::withdrawal(unit, own, (row.peer, id, row.created), withdrawal, now)
        }
        _ => rule::take_own(unit, (own, row.peer), id, content, now),
    }
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
        retention::keep_until(unit, key, until)?;
    }
    match &content.body {
        Body::ConsentWithdrawal(said) => spread::take_withdrawal(unit, (peer, own), said, now),
        Body::ConsentWithdrawalDone(said) => spread::take_done(unit, (peer, own), said, now),
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
    if let Some(ground) = spread::ended(unit, content, own, peer)? {
        return Ok(Some((Reason::ConsentWithdrawn, ground.field())));
    }
    if let Some(refused) = ground::refused(unit, content, now)? {
        return Ok(Some(refused));
    }
    let refused = rule::refused(unit, (peer, own), content, now)?;
    Ok(refused.map(|refusal| (refusal.reason, refusal.field)))
}
