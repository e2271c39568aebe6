//! Whether the ledgers of peers only grow: the head that was last proven of each, what is doubted, and what does not hold.
//!
//! A head that is shorter than one before and bears a later time accuses nobody: the clock of the peer may have been ahead.
//! The peer is asked for the proof that the longer one continues the shorter one. If it has one, the shorter one came late.

use std::time::Duration;

use domain::area::AreaCode;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::ledger::{HeadChange, LedgerHead, SeenHead, continues};
use store::letters::NoticeKind;
use store::messages::{peer_area, peer_key};
use store::network::{CardRow, PeerHeadRow};
use store::reconcile::ProvenRow;
use store::tables::{HEAD_CARD, PEER_HEAD, PROVEN};
use store::{Store, Unit};

use crate::app::clocks::alarms::remind;
use crate::app::{AppError, notices};

/// How far ahead of our clock a time counts that a peer has put beside a head.
pub(crate) const AHEAD_MAX: Duration = Duration::from_secs(86_400);
/// How long a peer may owe a proof.
const UNANSWERED_MAX: Duration = Duration::from_secs(7 * 86_400);
/// Peers that are looked through in one go.
const PEERS_AT_ONCE: usize = 500;
/// Cards of one peer that are kept for their heads.
const CARDS_KEPT: usize = 8;

/// What is to be asked of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The head that is proven, or taken as the first.
    pub known: SeenHead,
    /// The newest head that the peer has signed; or the longer one, of which it is doubted that it continues `known`, which
    /// bears a later time.
    pub seen: SeenHead,
}

impl Question {
    fn of_doubt((longer, shorter): (SeenHead, SeenHead)) -> Self {
        Self { known: shorter, seen: longer }
    }
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
    let Some(row) = store.get(&PROVEN, &peer_key(peer))? else {
        keep(store, peer, first(seen)).await?;
        return Ok(None);
    };
    if let Some(doubt) = row.doubt {
        return Ok(Some(Question::of_doubt(doubt)));
    }
    let known = row.known;
    match known.compare(&seen) {
        HeadChange::RolledBack => Ok(Some(Question::of_doubt((known, seen)))),
        HeadChange::Grown => Ok(Some(Question { known, seen })),
        // The receipt that showed it has told so.
        HeadChange::Rewritten => {
            let broken = Some((known, seen));
            keep(store, peer, ProvenRow { broken, ..first(seen) }).await?;
            Ok(None)
        }
        HeadChange::Same if seen != known => {
            keep(store, peer, ProvenRow { known: seen, ..row }).await?;
            Ok(None)
        }
        HeadChange::Same | HeadChange::Late => Ok(None),
    }
}

fn first(known: SeenHead) -> ProvenRow {
    ProvenRow { known, broken: None, doubt: None, unanswered: None }
}

/// Looks at the head in a card of a peer whose receipts are known here: what a peer shows to others has to be of the history
/// that it has shown to us. The card is kept until that is proven.
///
/// # Errors
/// When rows cannot be read or written.
pub fn in_card(
    unit: &mut Unit<'_>,
    peer: AreaCode,
    head: SeenHead,
    card: &CardRow,
    now: UnixMillis,
) -> Result<(), AppError> {
    let key = peer_key(peer);
    let Some(PeerHeadRow { seen: known }) = unit.get(&PEER_HEAD, &key)? else { return Ok(()) };
    let head = SeenHead { signed: head.signed.min(now.saturating_add(AHEAD_MAX)), ..head };
    match known.compare(&head) {
        HeadChange::Same | HeadChange::Late => return Ok(()),
        HeadChange::RolledBack => suspect(unit, peer, (known, head))?,
        HeadChange::Grown => unit.put(&PEER_HEAD, &key, &PeerHeadRow { seen: head })?,
        HeadChange::Rewritten => {
            let what = NoticeKind::RolledBack { peer, before: known.head, after: head.head };
            notices::raise(unit, now, what, &[])?;
        }
    }
    let kept = unit.scan(&HEAD_CARD, (key, 0)..=(key, u64::MAX), CARDS_KEPT)?;
    if kept.len() == CARDS_KEPT {
        kept.first().iter().for_each(|(key, _)| unit.delete(&HEAD_CARD, key));
    }
    Ok(unit.put(&HEAD_CARD, &(key, head.signed.get()), card)?)
}

/// Takes the head that a county tells with its report. It is not signed, so it accuses nobody: what does not go together is
/// asked about.
///
/// # Errors
/// When rows cannot be read or written.
pub fn reported(unit: &mut Unit<'_>, county: AreaCode, head: SeenHead) -> Result<(), AppError> {
    let key = peer_key(county);
    let Some(PeerHeadRow { seen: known }) = unit.get(&PEER_HEAD, &key)? else {
        return Ok(unit.put(&PEER_HEAD, &key, &PeerHeadRow { seen: head })?);
    };
    match known.compare(&head) {
        HeadChange::Same | HeadChange::Late => Ok(()),
        HeadChange::Grown => Ok(unit.put(&PEER_HEAD, &key, &PeerHeadRow { seen: head })?),
        HeadChange::RolledBack | HeadChange::Rewritten => suspect(unit, county, (known, head)),
    }
}

/// Notes that a peer could not be asked, or did not answer. After a week the office is told.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn unanswered(store: &Store, peer: AreaCode, now: UnixMillis) -> Result<(), AppError> {
    let known = store.get(&PROVEN, &peer_key(peer))?.and_then(|row| row.unanswered);
    if known.is_some_and(|since| now.since(since) < UNANSWERED_MAX) {
        return Ok(());
    }
    let write = move |unit: &mut Unit<'_>| {
        let Some(row) = unit.get(&PROVEN, &peer_key(peer))? else { return Ok(()) };
        let since = row.unanswered.unwrap_or(now);
        unit.put(&PROVEN, &peer_key(peer), &ProvenRow { unanswered: Some(since), ..row })?;
        if now.since(since) >= UNANSWERED_MAX {
            remind(unit, NoticeKind::GrowthUnproven { peer, since }, &[], now)?;
        }
        Ok::<_, AppError>(())
    };
    store.commit(write).await.map_err(AppError::from)
}

/// Notes that a peer is to be asked whether a longer head continues a shorter one that bears a later time, unless another
/// such pair is to be asked about.
///
/// # Errors
/// When the row cannot be read or written.
pub fn suspect(
    unit: &mut Unit<'_>,
    peer: AreaCode,
    (longer, shorter): (SeenHead, SeenHead),
) -> Result<(), AppError> {
    let row = unit.get(&PROVEN, &peer_key(peer))?.unwrap_or_else(|| first(longer));
    let doubt = row.doubt.or(Some((longer, shorter)));
    Ok(unit.put(&PROVEN, &peer_key(peer), &ProvenRow { doubt, ..row })?)
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
    let write = move |unit: &mut Unit<'_>| match holds {
        true => proven(unit, peer, question, now),
        false => {
            // In the order of the times that they bear.
            let (before, after) =
                if known.signed > seen.signed { (seen, known) } else { (known, seen) };
            let doubt =
                unit.get(&PROVEN, &peer_key(peer))?.and_then(|row| other_doubt(&row, question));
            let row = ProvenRow { broken: Some((before, after)), doubt, ..first(after) };
            unit.put(&PROVEN, &peer_key(peer), &row)?;
            let (before, after) = (before.head, after.head);
            notices::raise(unit, now, NoticeKind::RolledBack { peer, before, after }, &[])
        }
    };
    store.commit(write).await.map_err(AppError::from)?;
    Ok(holds)
}

/// Notes that one head continues the other. The longer one is that of now, whichever came last; what bears a time before
/// either is late from now on.
fn proven(
    unit: &mut Unit<'_>,
    peer: AreaCode,
    Question { known, seen }: Question,
    now: UnixMillis,
) -> Result<(), AppError> {
    let key = peer_key(peer);
    let longer = SeenHead { signed: seen.signed.max(known.signed), ..seen };
    let row = unit.get(&PROVEN, &key)?.unwrap_or_else(|| first(known));
    let doubt = other_doubt(&row, Question { known, seen });
    let present = unit.get(&PEER_HEAD, &key)?;
    if let Some(row) = present.filter(|row| doubt.is_none() && row.seen.head.size < seen.head.size)
    {
        let signed = longer.signed.max(row.seen.signed);
        let seen = SeenHead { signed, ..longer };
        unit.put(&PEER_HEAD, &key, &PeerHeadRow { seen })?;
    }
    let known = if row.known.head.size > longer.head.size { row.known } else { longer };
    if let Some(since) = row.unanswered {
        notices::take_back(unit, &NoticeKind::GrowthUnproven { peer, since }, now)?;
    }
    // The cards of before have shown what they could, unless one is part of a proof.
    if row.broken.is_none() {
        for (card, _) in unit.scan(&HEAD_CARD, (key, 0)..=(key, longer.signed.get()), CARDS_KEPT)? {
            unit.delete(&HEAD_CARD, &card);
        }
    }
    let row = ProvenRow { known, doubt, unanswered: None, ..row };
    Ok(unit.put(&PROVEN, &key, &row)?)
}

/// What is doubted since the question was asked, while its answer was on its way.
fn other_doubt(row: &ProvenRow, asked: Question) -> Option<(SeenHead, SeenHead)> {
    row.doubt.filter(|doubt| Question::of_doubt(*doubt) != asked)
}

/// Two heads of a peer that no proof joins, as it was last found.
///
/// # Errors
/// When the row cannot be read.
pub fn broken(store: &Store, peer: AreaCode) -> Result<Option<(SeenHead, SeenHead)>, AppError> {
    Ok(store.get(&PROVEN, &peer_key(peer))?.and_then(|row| row.broken))
}

/// Peers with two heads that no proof joins; and the others that owe a proof.
///
/// # Errors
/// When rows cannot be read.
pub fn in_question(store: &Store) -> Result<(Vec<AreaCode>, Vec<AreaCode>), AppError> {
    let (mut broken, mut unproven) = (Vec::new(), Vec::new());
    for page in store.pages(&PROVEN, .., PEERS_AT_ONCE) {
        for (peer, row) in page? {
            match row {
                ProvenRow { broken: Some(_), .. } => broken.extend(peer_area(&peer)),
                ProvenRow { doubt: Some(_), .. } | ProvenRow { unanswered: Some(_), .. } => {
                    unproven.extend(peer_area(&peer));
                }
                ProvenRow { .. } => {}
            }
        }
    }
    Ok((broken, unproven))
}

/// Two heads of a peer, in the order of the times that they bear, of which it has still to show that the one continues the
/// other: they are doubted, or it owes the proof for a week.
///
/// # Errors
/// When rows cannot be read.
pub fn owed(
    store: &Store,
    peer: AreaCode,
    now: UnixMillis,
) -> Result<Option<(SeenHead, SeenHead)>, AppError> {
    let Some(row) = store.get(&PROVEN, &peer_key(peer))? else { return Ok(None) };
    if row.doubt.is_some() {
        return Ok(row.doubt);
    }
    let owes = row.unanswered.is_some_and(|since| now.since(since) >= UNANSWERED_MAX);
    let newest = store.get(&PEER_HEAD, &peer_key(peer))?.filter(|_| owes);
    Ok(newest.map(|newest| (row.known, newest.seen)))
}

async fn keep(store: &Store, peer: AreaCode, row: ProvenRow) -> Result<(), AppError> {
    let write = move |unit: &mut Unit<'_>| {
        let before = unit.get(&PROVEN, &peer_key(peer))?;
        // What does not hold stays known until something else does not.
        let broken = row.broken.or(before.and_then(|row| row.broken));
        let doubt = row.doubt.or(before.and_then(|row| row.doubt));
        let row = ProvenRow { broken, doubt, ..row };
        Ok::<_, AppError>(unit.put(&PROVEN, &peer_key(peer), &row)?)
    };
    store.commit(write).await.map_err(AppError::from)
}
