//! Looking at cases: one, and what is to be done, earliest due first. Names no person; what was written in a case is read
//! as a message, with a purpose.

use std::ops::Bound;
use std::time::Duration;

use domain::access::Permission;
use domain::case::{Offer, OfferState, Pairing, Seat, Step, View};
use domain::clock::{Counted, counted};
use domain::id::{CaseId, MessageId};
use domain::message::{Body, Kind};
use domain::reason::Reason;
use domain::time::{Date, UnixMillis};
use store::Store;
use store::cases::{CaseRow, OURS, THEIRS};
use store::tables::{CASE, CASE_TURN, CASE_WAITING};

use super::opening::Rows as _;
use super::{case, opening, result};
use crate::app::{AppError, Ctx, Refusal, applications, page_size};

/// A case as an office sees it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The case.
    pub id: CaseId,
    /// Version of this page.
    pub version: u64,
    /// How it stands.
    pub view: View,
    /// Side of this office; none when it holds neither.
    pub ours: Option<Seat>,
    /// What came of looking for the person here.
    pub pairing: Option<Pairing>,
    /// Whether the facts were checked here.
    pub verified: bool,
    /// The latest offer to hand a side over.
    pub offer: Option<(Offer, OfferState)>,
    /// Its steps, in order.
    pub steps: Vec<Step>,
    /// Cases that belong together with this one, without itself.
    pub together: Vec<CaseId>,
    /// When this node first heard of it.
    pub since: UnixMillis,
    /// Whether the answer is late.
    pub is_late: bool,
    /// Whether the content that opened it was deleted here: nothing more can be done.
    pub is_deleted: bool,
    /// Steps whose kind this caller is not told, or nobody any more because what they said was deleted.
    pub unnamed: Vec<MessageId>,
    /// How the days to its due day were counted.
    pub counted: Option<Counted>,
    /// Of a birth registration: when both papers were at the office that asks, as it says.
    pub papers_on: Option<Date>,
    /// By when it had to ask, and whether it was late.
    pub asked: Option<(UnixMillis, bool)>,
    /// By when this office has to tell the origin what became of it, and whether it is or was late.
    pub result: Option<(UnixMillis, bool)>,
}

/// Which cases a list is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Where it is this office's turn.
    Ours,
    /// Where it is another office's turn.
    Theirs,
    /// Whose first message is not here yet.
    Waiting,
    /// All, in the order of their ids.
    All,
}

/// A page of cases, and where the next one begins.
#[derive(Debug)]
pub struct Page {
    /// The cases.
    pub cases: Vec<Shown>,
    /// Key of the last case looked at; none at the end.
    pub next: Option<Vec<u8>>,
}

/// One case.
///
/// # Errors
/// `ROLE_REQUIRED`, `UNKNOWN_CASE`, or when rows cannot be read.
pub fn show(ctx: &Ctx, store: &Store, id: CaseId) -> Result<Shown, AppError> {
    ctx.must(Permission::FollowDelivery)?;
    shown(ctx, store, case(store, id)?)
}

/// A page of cases: by due time where somebody has to act, by id otherwise.
///
/// # Errors
/// `ROLE_REQUIRED`, `INVALID_FIELD` for a page token that is none of ours, or when rows cannot be read.
pub fn list(
    ctx: &Ctx,
    store: &Store,
    which: Which,
    size: usize,
    token: &[u8],
) -> Result<Page, AppError> {
    ctx.must(Permission::FollowDelivery)?;
    let size = page_size(size);
    let keys = keys(store, which, size, token)?;
    let next = keys.last().filter(|_| keys.len() == size).map(|(token, _)| token.clone());
    let mut cases = Vec::with_capacity(keys.len());
    for (_, id) in keys {
        if let Some(row) = store.get(&CASE, &id)? {
            cases.push(shown(ctx, store, row)?);
        }
    }
    Ok(Page { cases, next })
}

type Keyed = (Vec<u8>, [u8; 16]);

fn keys(store: &Store, which: Which, size: usize, token: &[u8]) -> Result<Vec<Keyed>, AppError> {
    let turn = |whose: u8| -> Result<Vec<Keyed>, AppError> {
        let after = match token {
            [] => Bound::Included((whose, 0, [0; 16])),
            token => {
                let (at, id) = timed(token)?;
                Bound::Excluded((whose, at, id))
            }
        };
        let until = Bound::Included((whose, u64::MAX, [0xFF; 16]));
        let rows = store.scan(&CASE_TURN, (after, until), size)?;
        Ok(rows.into_iter().map(|((_, at, id), ())| (token_of(at, &id), id)).collect())
    };
    match which {
        Which::Ours => turn(OURS),
        Which::Theirs => turn(THEIRS),
        Which::Waiting => {
            let after = match token {
                [] => Bound::Unbounded,
                token => Bound::Excluded(timed(token)?),
            };
            let rows = store.scan(&CASE_WAITING, (after, Bound::Unbounded), size)?;
            Ok(rows.into_iter().map(|((at, id), ())| (token_of(at, &id), id)).collect())
        }
        Which::All => {
            let after = match token {
                [] => Bound::Unbounded,
                token => Bound::Excluded(<[u8; 16]>::try_from(token).map_err(|_| wrong())?),
            };
            let rows = store.scan(&CASE, (after, Bound::Unbounded), size)?;
            Ok(rows.into_iter().map(|(id, _)| (id.to_vec(), id)).collect())
        }
    }
}

fn token_of(at: u64, id: &[u8; 16]) -> Vec<u8> {
    [&at.to_be_bytes()[..], id].concat()
}

fn timed(token: &[u8]) -> Result<(u64, [u8; 16]), AppError> {
    let (at, id) = token.split_first_chunk::<8>().ok_or_else(wrong)?;
    Ok((u64::from_be_bytes(*at), id.try_into().map_err(|_| wrong())?))
}

fn wrong() -> AppError {
    Refusal::new(Reason::InvalidField).field("page_token").into()
}

fn shown(ctx: &Ctx, store: &Store, row: CaseRow) -> Result<Shown, AppError> {
    let (own, now) = (ctx.county(), ctx.now);
    let mut view = row.case.view();
    let id = row.case.id();
    let together = store.together(&row)?.into_iter().filter(|case| *case != id).collect();
    let first = opening::opening(store, id)?;
    let basis = first.as_ref().map(|first| first.basis);
    view.kind = view.kind.filter(|kind| ctx.is_told(*kind, basis));
    let mut unnamed = Vec::new();
    for step in row.case.steps() {
        if !ctx.is_told(step.deed.kind(), basis) || opening::is_deleted(store, step.id)? {
            unnamed.push(step.id);
        }
    }
    let is_deleted = opening::is_deleted(store, id.opening_message())?;
    let is_late = view.turn() == Some(Seat::Answering) && view.due.is_some_and(|due| due <= now);
    let papers_on = match (view.kind, first) {
        (Some(Kind::BirthRegistrationInquiry), Some(first)) => match first.body {
            Body::BirthRegistrationInquiry(body) => body.papers_on,
            _ => None,
        },
        _ => None,
    };
    let opened = row.case.steps().into_iter().find(|step| step.id == id.opening_message());
    let counted = opened.and_then(|step| {
        let due = view.due?.saturating_sub(Duration::from_millis(1));
        counted(view.kind?, step.created.date(), due.date())
    });
    let asked = papers_on.zip(opened.map(|step| step.created)).map(|(papers_on, at)| {
        let due = applications::due(papers_on);
        (due, at >= due)
    });
    let told = result::clock(store, &row, own)?;
    let result = told.map(|it| (it.due, it.told.unwrap_or(now) >= it.due));
    Ok(Shown {
        counted: counted.filter(|_| !is_deleted),
        papers_on,
        asked,
        result,
        id,
        version: row.version,
        ours: Seat::ALL.iter().copied().find(|seat| view.sits(own, *seat)),
        pairing: row.pairing,
        verified: row.verified,
        offer: row.case.offer(now),
        steps: row.case.steps().into_iter().cloned().collect(),
        together,
        since: row.since,
        is_late: is_late && !is_deleted,
        is_deleted,
        unnamed,
        view,
    })
}
