//! Reading messages: one with its content, logged and marked as opened; lists without content.

use std::ops::Bound;

use domain::access::{AccessAction, Permission};
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::message::{Content, Kind};
use domain::reason::Reason;
use store::messages::{MessageRow, Side, message_key};
use store::tables::{MESSAGE, TODO};
use store::{Kept, Store};

use super::track::{self, Track};
use crate::app::access::{self, Act, Why};
use crate::app::{AppError, Ctx, Refusal, at_risk, page_size, progress};

/// Rows that are looked at for one page before it is handed out short.
const SCAN_AT_MOST: usize = 5_000;

/// A page of tracks, and where the next one begins.
#[derive(Debug)]
pub struct Page {
    /// The tracks.
    pub tracks: Vec<Track>,
    /// Key of the last row looked at; none at the end.
    pub next: Option<Vec<u8>>,
}

/// One message with its content. The read is in the access log, and a received message marked as
/// opened, before it returns.
///
/// # Errors
/// A refusal, or that the message is not kept here.
pub async fn get(
    ctx: &Ctx,
    store: &Store,
    id: MessageId,
    why: Why,
) -> Result<(Track, Content), AppError> {
    ctx.must(Permission::ExchangeMessages)?;
    let (side, row) = super::find(store, id)?;
    let content = super::content_of(store, id, &row)?;
    let act = Act::with(AccessAction::View, store, &content)?;
    let act = Act { why, message: Some(id), ..act };
    let caller = ctx.clone();
    let first = side == Side::Received && row.opened.is_none();
    let (peer, is_report) = (row.peer, row.kind().is_some_and(Kind::is_sent_by_nodes));
    let read = content.clone();
    store
        .commit(move |unit| {
            access::note(&caller, unit, act)?;
            if first {
                let mut newly = false;
                super::send::update(unit, id, side, |row| {
                    newly = row.opened.is_none();
                    row.opened.get_or_insert(caller.now);
                })?;
                if newly && !is_report && !at_risk::is_about_one(unit, &read)? {
                    progress::opened(unit, peer, id, caller.now)?;
                }
            }
            Ok::<_, AppError>(())
        })
        .await
        .map_err(AppError::from)?;
    Ok((whole_track(ctx, store, id)?, content))
}

/// Where one message is.
///
/// # Errors
/// A refusal, or that the message is not kept here.
pub fn track(ctx: &Ctx, store: &Store, id: MessageId) -> Result<Track, AppError> {
    ctx.must(Permission::FollowDelivery)?;
    whole_track(ctx, store, id)
}

/// A track with the way that the message came.
fn whole_track(ctx: &Ctx, store: &Store, id: MessageId) -> Result<Track, AppError> {
    let (side, row) = super::find(store, id)?;
    let mut track = track::of(ctx, store, id, side, &row)?;
    track::add_way(store, side, &row, &mut track)?;
    Ok(track)
}

/// Which messages a list is to hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Only this side.
    pub side: Option<Side>,
    /// Only with this county.
    pub peer: Option<AreaCode>,
    /// Also what nodes send by themselves.
    pub by_nodes: bool,
}

/// A page of messages, newest first.
///
/// # Errors
/// A refusal, or a page token that is none of ours.
pub fn list(
    ctx: &Ctx,
    store: &Store,
    filter: Filter,
    size: usize,
    token: &[u8],
) -> Result<Page, AppError> {
    ctx.must(Permission::FollowDelivery)?;
    let mut until = match token {
        [] => Bound::Unbounded,
        token => Bound::Excluded(message_token(token)?),
    };
    let size = page_size(size);
    let mut page = Page { tracks: Vec::new(), next: None };
    let mut seen = 0;
    while page.tracks.len() < size && seen < SCAN_AT_MOST {
        let batch = store.scan_personal_back(&MESSAGE, (Bound::Unbounded, until), size)?;
        let Some((last, _)) = batch.last() else { return Ok(Page { next: None, ..page }) };
        until = Bound::Excluded(*last);
        seen += batch.len();
        for (key, kept) in batch {
            if page.tracks.len() == size {
                break;
            }
            until = Bound::Excluded(key);
            let (Some(side), Some(row)) = (Side::from_byte(key.1), kept.value()) else { continue };
            if filter.matches(side, &row) {
                let id = MessageId::from_bytes(key.0);
                page.tracks.push(track::of(ctx, store, id, side, &row)?);
            }
        }
    }
    if let Bound::Excluded((id, side)) = until {
        page.next = Some([&id[..], &[side]].concat());
    }
    Ok(page)
}

impl Filter {
    fn matches(&self, side: Side, row: &MessageRow) -> bool {
        let wanted = self.by_nodes || !row.kind().is_some_and(Kind::is_sent_by_nodes);
        wanted && self.side.is_none_or(|s| s == side) && self.peer.is_none_or(|p| p == row.peer)
    }
}

fn message_token(token: &[u8]) -> Result<store::messages::MessageKey, AppError> {
    let wrong = || Refusal::new(Reason::InvalidField).field("page_token");
    let (id, side) = token.split_first_chunk::<16>().ok_or_else(wrong)?;
    match side {
        [side] => Ok((*id, *side)),
        _ => Err(wrong().into()),
    }
}

/// A page of what this office has to answer, earliest due date first.
///
/// # Errors
/// A refusal, or a page token that is none of ours.
pub fn todo(ctx: &Ctx, store: &Store, size: usize, token: &[u8]) -> Result<Page, AppError> {
    ctx.must(Permission::FollowDelivery)?;
    let from = match token {
        [] => Bound::Unbounded,
        token => Bound::Excluded(todo_token(token)?),
    };
    let size = page_size(size);
    let rows = store.scan(&TODO, (from, Bound::Unbounded), size)?;
    let full = rows.len() == size;
    let next =
        rows.last().filter(|_| full).map(|((due, id), ())| [&due.to_be_bytes()[..], id].concat());
    let mut tracks = Vec::with_capacity(rows.len());
    for ((_, id), ()) in rows {
        let id = MessageId::from_bytes(id);
        let key = message_key(id, Side::Received);
        if let Some(Kept::Value { value, .. }) = store.get_personal(&MESSAGE, &key)? {
            tracks.push(track::of(ctx, store, id, Side::Received, &value)?);
        }
    }
    Ok(Page { tracks, next })
}

fn todo_token(token: &[u8]) -> Result<(u64, [u8; 16]), AppError> {
    let wrong = || AppError::from(Refusal::new(Reason::InvalidField).field("page_token"));
    let (due, id) = token.split_first_chunk::<8>().ok_or_else(wrong)?;
    Ok((u64::from_be_bytes(*due), id.try_into().map_err(|_| wrong())?))
}
