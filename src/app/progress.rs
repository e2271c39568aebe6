//! Progress: the sender of a message is told when an office here first opens it, many at a time.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::message::{Body, Content, OPENINGS_MAX, ProgressReport};
use domain::purpose::{LawfulBasis, Purpose};
use domain::time::UnixMillis;
use store::messages::{PeerKey, Side, message_key, peer_area, peer_key};
use store::tables::{MESSAGE, OPENED};
use store::{Kept, Store, Unit};

use super::AppError;
use super::each::First;
use super::messages::send::{self, Outgoing, Outlet};

/// Peers that are told in one go.
const PEERS_AT_ONCE: usize = 256;
/// What could not be told for so long is not told any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(90 * 86_400);

/// When messages were first opened.
pub type Openings = BTreeMap<MessageId, UnixMillis>;

/// Notes that a message of `peer` was opened here for the first time, in the unit that marks it.
///
/// # Errors
/// When the row cannot be written.
pub fn opened(
    unit: &mut Unit<'_>,
    peer: AreaCode,
    id: MessageId,
    now: UnixMillis,
) -> Result<(), AppError> {
    Ok(unit.put(&OPENED, &(peer_key(peer), *id.as_bytes()), &now.get())?)
}

/// Tells each peer which of its messages were opened here: one report a peer and call, through the ordinary
/// lane. Says how many reports were made. A peer that cannot be sealed for yet is told later.
///
/// # Errors
/// When rows cannot be read or written; the other peers were told.
pub async fn report(
    own: AreaCode,
    store: &Store,
    outlet: &dyn Outlet,
    now: UnixMillis,
) -> Result<usize, AppError> {
    let (mut reports, mut failed) = (0, First::default());
    let mut from = Bound::Unbounded;
    for _ in 0..PEERS_AT_ONCE {
        let first = store.scan(&OPENED, (from, Bound::Unbounded), 1)?;
        let Some(((peer, _), _)) = first.first().copied() else { break };
        from = Bound::Excluded((peer, [0xFF; 16]));
        let reported = report_to(own, peer, store, outlet, now).await;
        reports += usize::from(failed.take(reported).unwrap_or_default());
    }
    failed.end().map(|()| reports)
}

async fn report_to(
    own: AreaCode,
    peer: PeerKey,
    store: &Store,
    outlet: &dyn Outlet,
    now: UnixMillis,
) -> Result<bool, AppError> {
    let rows = store.scan_under(&OPENED, &(peer,), None, OPENINGS_MAX)?;
    let openings: Openings = rows
        .iter()
        .map(|((_, id), at)| (MessageId::from_bytes(*id), UnixMillis::new(*at)))
        .collect();
    let outgoing = match peer_area(&peer) {
        Some(area) => Outgoing::new(own, store, outlet, (area, content(&openings)), None, now),
        None => Err(AppError::Internal("a peer's key names no area")),
    };
    let outgoing = match outgoing {
        Ok(outgoing) => Some(outgoing),
        Err(AppError::Refused(_)) => None,
        Err(error) => return Err(error),
    };
    let Some(mut outgoing) = outgoing else {
        forget(store, peer, &openings, now).await?;
        return Ok(false);
    };
    let sent = store.commit(move |unit| {
        for id in openings.keys() {
            unit.delete(&OPENED, &(peer, *id.as_bytes()));
        }
        outgoing.accept(unit)
    });
    let accepted: send::Accepted = sent.await.map_err(AppError::from)?;
    accepted.nudge(outlet);
    Ok(true)
}

fn content(openings: &Openings) -> Content {
    Content {
        case: None,
        in_reply_to: None,
        basis: LawfulBasis::OfficeAgreement,
        purpose: Purpose::OfficeAgreement,
        consent: None,
        service_request: None,
        person: None,
        replaces: None,
        step: 0,
        answered_from: None,
        asked_again: None,
        body: Body::ProgressReport(ProgressReport { openings: openings.clone() }),
    }
}

/// Lets go of what a peer could not be told for too long.
async fn forget(
    store: &Store,
    peer: PeerKey,
    openings: &Openings,
    now: UnixMillis,
) -> Result<(), AppError> {
    let old = openings.iter().filter(|(_, at)| now.since(**at) >= FORGOTTEN_AFTER);
    let old: Vec<_> = old.map(|(id, _)| *id.as_bytes()).collect();
    if old.is_empty() {
        return Ok(());
    }
    let forgotten = store.commit(move |unit| {
        old.iter().for_each(|id| unit.delete(&OPENED, &(peer, *id)));
        Ok::<_, AppError>(())
    });
    forgotten.await.map_err(AppError::from)
}

/// Marks messages of ours as opened by `peer`, in the unit that stores its report. What is not ours, or not for
/// that peer, is left out; a time that has not come yet is that of the report.
///
/// # Errors
/// When rows cannot be read or written.
pub fn take(
    unit: &mut Unit<'_>,
    peer: AreaCode,
    openings: &Openings,
    now: UnixMillis,
) -> Result<(), AppError> {
    for (id, at) in openings {
        let kept = unit.get_personal(&MESSAGE, &message_key(*id, Side::Sent))?;
        let Some(row) = kept.and_then(Kept::value) else { continue };
        if row.peer == peer && row.opened.is_none() {
            let opened = (*at).min(now);
            send::update(unit, *id, Side::Sent, |row| row.opened = Some(opened))?;
        }
    }
    Ok(())
}
