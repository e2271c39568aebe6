//! Whether the ledgers of peers only grow: the head that was last proven of each, and what does not hold.

use domain::area::AreaCode;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::ledger::{LedgerHead, SeenHead, continues};
use store::letters::NoticeKind;
use store::messages::peer_key;
use store::reconcile::ProvenRow;
use store::tables::{PEER_HEAD, PROVEN};
use store::{Store, Unit};

use crate::app::{AppError, notices};

/// What is to be asked of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The head that is proven, or taken as the first.
    pub known: SeenHead,
    /// The newest head that the peer has signed.
    pub seen: SeenHead,
}

/// What a peer has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A head, and a proof that it continues the known one.
    Proof(LedgerHead, Vec<Digest>),
    /// That its ledger never had these sizes.
    Denied,
}

/// Whether the newest head of a peer is still to be proven. The first one is taken as it is.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn question(store: &Store, peer: AreaCode) -> Result<Option<Question>, AppError> {
    let Some(row) = store.get(&PEER_HEAD, &peer_key(peer))? else { return Ok(None) };
    let seen = row.seen;
    let Some(ProvenRow { known, .. }) = store.get(&PROVEN, &peer_key(peer))? else {
        keep(store, peer, ProvenRow { known: seen, broken: None }).await?;
        return Ok(None);
    };
    if seen.head.size < known.head.size || (seen.head.size == known.head.size && seen != known) {
        // It was set back, or signs the same anew; the receipt that showed it has told so.
        let broken = known.compare(&seen).is_loss().then_some((known, seen));
        keep(store, peer, ProvenRow { known: seen, broken }).await?;
        return Ok(None);
    }
    Ok((seen != known).then_some(Question { known, seen }))
}

/// Takes the answer; says whether it holds. What does not is told to the office, with both heads that the peer has signed.
///
/// # Errors
/// When rows cannot be written.
pub async fn answered(
    store: &Store,
    peer: AreaCode,
    question: Question,
    answer: &Answer,
    now: UnixMillis,
) -> Result<bool, AppError> {
    let Question { known, seen } = question;
    let holds = match answer {
        Answer::Proof(head, proof) => *head == seen.head && continues(&known.head, head, proof),
        Answer::Denied => false,
    };
    if holds {
        keep(store, peer, ProvenRow { known: seen, broken: None }).await?;
        return Ok(true);
    }
    let write = move |unit: &mut Unit<'_>| {
        let broken = Some((known, seen));
        unit.put(&PROVEN, &peer_key(peer), &ProvenRow { known: seen, broken })?;
        let (before, after) = (known.head, seen.head);
        notices::raise(unit, now, NoticeKind::RolledBack { peer, before, after }, &[])
    };
    store.commit(write).await.map_err(AppError::from)?;
    Ok(false)
}

/// Two heads of a peer that no proof joins, as it was last found.
///
/// # Errors
/// When the row cannot be read.
pub fn broken(store: &Store, peer: AreaCode) -> Result<Option<(SeenHead, SeenHead)>, AppError> {
    Ok(store.get(&PROVEN, &peer_key(peer))?.and_then(|row| row.broken))
}

async fn keep(store: &Store, peer: AreaCode, row: ProvenRow) -> Result<(), AppError> {
    let write = move |unit: &mut Unit<'_>| {
        // What does not hold stays known until something else does not.
        let before = unit.get(&PROVEN, &peer_key(peer))?.and_then(|row| row.broken);
        let row = ProvenRow { broken: row.broken.or(before), ..row };
        Ok::<_, AppError>(unit.put(&PROVEN, &peer_key(peer), &row)?)
    };
    store.commit(write).await.map_err(AppError::from)
}
