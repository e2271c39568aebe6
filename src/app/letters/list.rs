//! Looking at dead letters: lists without content, one with it.

use std::ops::Bound;

use domain::access::{AccessAction, Permission};
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::message::Content;
use domain::reason::Reason;
use domain::text::Note;
use store::letters::{DeadLetterRow, DeadState};
use store::messages::{MessageRow, Side, message_key};
use store::tables::{DEAD_LETTER, DISCARD_REASON, MESSAGE};
use store::{Kept, Store};

use crate::app::access::{self, Act, Why};
use crate::app::messages::content_of;
use crate::app::messages::send::permission;
use crate::app::messages::track::{self, Track};
use crate::app::{AppError, Ctx, Refusal, page_size};

/// Rows that are looked at for one page before it is handed out short.
const SCAN_AT_MOST: usize = 5_000;

/// A dead letter as somebody sees it.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Where the message stands.
    pub track: Track,
    /// What is kept of the letter.
    pub row: DeadLetterRow,
    /// Why it was given up; only where the content is shown as well.
    pub discard_reason: Option<Note>,
}

/// Which letters a list is to hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Also those about which something was done.
    pub all: bool,
    /// Only for this county.
    pub to: Option<AreaCode>,
}

impl Filter {
    fn matches(&self, row: &DeadLetterRow) -> bool {
        let open = self.all || row.state == DeadState::Open;
        open && self.to.is_none_or(|to| to == row.to)
    }
}

/// A page of letters, and where the next one begins.
#[derive(Debug)]
pub struct Page {
    /// The letters, newest message first.
    pub letters: Vec<Letter>,
    /// Id of the last message looked at; none at the end.
    pub next: Option<MessageId>,
}

/// A page of letters, newest message first, without content.
///
/// # Errors
/// `ROLE_REQUIRED`, or when rows cannot be read.
pub fn list(
    ctx: &Ctx,
    store: &Store,
    filter: Filter,
    size: usize,
    before: Option<MessageId>,
) -> Result<Page, AppError> {
    ctx.must(Permission::FollowDelivery)?;
    let size = page_size(size);
    let mut until = before.map_or(Bound::Unbounded, |id| Bound::Excluded(*id.as_bytes()));
    let mut page = Page { letters: Vec::new(), next: None };
    let mut seen = 0;
    while page.letters.len() < size && seen < SCAN_AT_MOST {
        let rows = store.scan_back(&DEAD_LETTER, (Bound::Unbounded, until), size)?;
        if rows.is_empty() {
            return Ok(Page { next: None, ..page });
        }
        for (key, row) in rows {
            if page.letters.len() == size {
                break;
            }
            (until, seen) = (Bound::Excluded(key), seen + 1);
            let id = MessageId::from_bytes(key);
            // The message of an erased person is gone, and with it what could be done about it.
            if filter.matches(&row)
                && let Some(message) = message(store, id)?
            {
                let track = track::of(ctx, store, id, Side::Sent, &message)?;
                page.letters.push(Letter { track, row, discard_reason: None });
            }
        }
    }
    if let Bound::Excluded(id) = until {
        page.next = Some(MessageId::from_bytes(id));
    }
    Ok(page)
}

/// One letter with the content of its message. The look is in the access log before it returns.
///
/// # Errors
/// `ROLE_REQUIRED` for who may not send such a message, `NOT_FOUND` for what is not on the list.
pub async fn show(
    ctx: &Ctx,
    store: &Store,
    id: MessageId,
    why: Why,
) -> Result<(Letter, Content), AppError> {
    let (row, message) = letter(store, id)?;
    let content = content_of(store, id, &message)?;
    let act = Act::with(AccessAction::View, store, &content)?;
    let act = Act { why, message: Some(id), ..act };
    let found = || {
        let discard_reason = discard_reason(store, id)?;
        let track = track::of(ctx, store, id, Side::Sent, &message)?;
        Ok((act, Some((Letter { track, row, discard_reason }, content))))
    };
    let permission = message.kind().map_or(Permission::ExchangeMessages, permission);
    access::read(ctx, store, permission, found).await
}

/// How many letters wait for somebody, counted up to `most`.
///
/// # Errors
/// When rows cannot be read.
pub fn open(store: &Store, most: usize) -> Result<usize, AppError> {
    let mut until: Bound<[u8; 16]> = Bound::Unbounded;
    let (mut open, mut seen) = (0, 0);
    while open < most && seen < SCAN_AT_MOST {
        let rows = store.scan_back(&DEAD_LETTER, (Bound::Unbounded, until), most)?;
        let Some((last, _)) = rows.last() else { break };
        until = Bound::Excluded(*last);
        seen += rows.len();
        open += rows.iter().filter(|(_, row)| row.state == DeadState::Open).count();
    }
    Ok(open.min(most))
}

/// A letter that is kept, with its message.
pub(super) fn letter(
    store: &Store,
    id: MessageId,
) -> Result<(DeadLetterRow, MessageRow), AppError> {
    let missing = || AppError::from(Reason::NotFound);
    let row = store.get(&DEAD_LETTER, id.as_bytes())?.ok_or_else(missing)?;
    let message = message(store, id)?.ok_or_else(missing)?;
    Ok((row, message))
}

/// A message of ours, unless its person was erased.
pub(super) fn message(store: &Store, id: MessageId) -> Result<Option<MessageRow>, AppError> {
    Ok(store.get_personal(&MESSAGE, &message_key(id, Side::Sent))?.and_then(Kept::value))
}

fn discard_reason(store: &Store, id: MessageId) -> Result<Option<Note>, AppError> {
    let kept = store.get_personal(&DISCARD_REASON, id.as_bytes())?.and_then(Kept::value);
    Ok(kept.map(|row| row.text))
}

/// The message in a page token.
///
/// # Errors
/// `INVALID_FIELD` for a token that is none of ours.
pub fn token(token: &[u8]) -> Result<Option<MessageId>, AppError> {
    if token.is_empty() {
        return Ok(None);
    }
    let id = MessageId::try_from(token);
    id.map(Some).map_err(|_| Refusal::new(Reason::InvalidField).field("page_token").into())
}
