//! Notices: what this office has to know about mail, peers and the node, and would not see by itself.
//!
//! They name offices and messages, never persons. What happens to many messages of one area on one day is
//! one notice, so that a county that is cut off for a month does not bury everything else.

mod words;

use std::ops::Bound;

use domain::access::{Permission, Role};
use domain::area::AreaCode;
use domain::id::{MessageId, OperatorName};
use domain::reason::Reason;
use domain::time::UnixMillis;
use store::letters::{NOTICE_MESSAGES_MAX, NoticeKind, NoticeRow, NoticeTopic};
use store::tables::{NOTICE, NOTICE_TOPIC};
use store::{Store, Unit};

pub(crate) use words::figures;
pub use words::{Words, words};

use super::{AppError, Ctx, Refusal, page_size};

/// Notices that are kept; the oldest go first.
pub const NOTICES_KEPT: u64 = 10_000;
/// Rows that are looked at for one page before it is handed out short.
const SCAN_AT_MOST: usize = 5_000;
/// Under this topic stands how many notices there were.
const COUNT: NoticeTopic = (0, [0; 6], 0);

/// A notice with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its number, from 1.
    pub number: u64,
    /// What it says.
    pub row: NoticeRow,
}

impl Notice {
    /// What operators look at is the business of those who watch over it.
    fn is_for(&self, ctx: &Ctx) -> bool {
        let watched = matches!(self.row.what, NoticeKind::UnusualReads { .. });
        !watched || matches!(ctx.caller.role, Role::Supervisor | Role::Auditor)
    }

    /// The area it is about; none when it is about this node.
    #[must_use]
    pub const fn area(&self) -> Option<AreaCode> {
        match self.row.what {
            NoticeKind::NotDelivered { to, .. }
            | NoticeKind::NotOpened { to, .. }
            | NoticeKind::NotAnswered { to, .. }
            | NoticeKind::NotHandedOver { to, .. }
            | NoticeKind::NotPassedOn { to, .. }
            | NoticeKind::ResultToTell { to }
            | NoticeKind::ResultSoon { to, .. }
            | NoticeKind::DeadLetter { to } => Some(to),
            NoticeKind::ToAnswer { from, .. }
            | NoticeKind::BackOnWord { from }
            | NoticeKind::CaseWaits { from } => Some(from),
            NoticeKind::Unopened { at, .. } => Some(at),
            NoticeKind::Silent { area, .. }
            | NoticeKind::CertificateEnds { area, .. }
            | NoticeKind::Retired { area } => Some(area),
            NoticeKind::ContentDiffers { peer }
            | NoticeKind::WithdrawalRefused { peer }
            | NoticeKind::AgreementEnds { peer, .. } => Some(peer),
            NoticeKind::NotReconciled { with } => Some(with),
            NoticeKind::GrowthUnproven { peer, .. } => Some(peer),
            NoticeKind::Conflict { peer } | NoticeKind::RolledBack { peer, .. } => Some(peer),
            NoticeKind::ListOld { authority, .. } => authority,
            NoticeKind::Restored { .. }
            | NoticeKind::Lost { .. }
            | NoticeKind::CardsOld
            | NoticeKind::ClockDoubted { .. }
            | NoticeKind::HidingCutShort
            | NoticeKind::OriginsToAsk
            | NoticeKind::OriginsSoon { .. }
            | NoticeKind::UnusualReads { .. } => None,
        }
    }
}

/// Notes something an office has to be told, in the unit that notices it. The same about the same area on the
/// same day is added to the notice that is there; where no message is named, an open notice is brought up to date.
///
/// # Errors
/// When rows cannot be read or written.
pub fn raise(
    unit: &mut Unit<'_>,
    now: UnixMillis,
    what: NoticeKind,
    messages: &[MessageId],
) -> Result<(), AppError> {
    let topic = what.topic();
    if let Some((number, row)) = latest(unit, &topic)? {
        let same_day = row.at.date() == now.date();
        if row.done.is_none() && (same_day || messages.is_empty()) {
            unit.put(&NOTICE, &number, &added(row, what, messages, now))?;
            return Ok(());
        }
    }
    let number = unit.get(&NOTICE_TOPIC, &COUNT)?.unwrap_or_default().saturating_add(1);
    let row = NoticeRow { at: now, last: now, what, count: 0, messages: Vec::new(), done: None };
    unit.put(&NOTICE, &number, &added(row, what, messages, now))?;
    unit.put(&NOTICE_TOPIC, &topic, &number)?;
    unit.put(&NOTICE_TOPIC, &COUNT, &number)?;
    if let Some(oldest) = number.checked_sub(NOTICES_KEPT) {
        unit.delete(&NOTICE, &oldest);
    }
    Ok(())
}

fn added(row: NoticeRow, what: NoticeKind, more: &[MessageId], now: UnixMillis) -> NoticeRow {
    let NoticeRow { at, count, mut messages, done, .. } = row;
    let room = NOTICE_MESSAGES_MAX.saturating_sub(messages.len());
    messages.extend(more.iter().take(room));
    let count = count.saturating_add(u32::try_from(more.len()).unwrap_or(u32::MAX));
    NoticeRow { at, last: now, what, count, messages, done }
}

/// Takes the newest notice of a kind off the list, in the name of the node, because what it tells is over.
///
/// # Errors
/// When rows cannot be read or written.
pub fn take_back(unit: &mut Unit<'_>, what: &NoticeKind, now: UnixMillis) -> Result<(), AppError> {
    if let Some((number, row)) = latest(unit, &what.topic())?.filter(|(_, row)| row.done.is_none())
    {
        let done = Some((OperatorName::node(), now));
        unit.put(&NOTICE, &number, &NoticeRow { done, ..row })?;
    }
    Ok(())
}

/// The newest notice about a topic, with its number.
///
/// # Errors
/// When rows cannot be read.
pub fn latest(unit: &Unit<'_>, topic: &NoticeTopic) -> Result<Option<(u64, NoticeRow)>, AppError> {
    let Some(number) = unit.get(&NOTICE_TOPIC, topic)? else { return Ok(None) };
    Ok(unit.get(&NOTICE, &number)?.map(|row| (number, row)))
}

/// Which notices a list is to hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Also those that somebody has taken off the list.
    pub all: bool,
    /// Only about this area.
    pub area: Option<AreaCode>,
}

/// A page of notices, and where the next one begins.
#[derive(Debug)]
pub struct Page {
    /// The notices, newest first.
    pub notices: Vec<Notice>,
    /// Number of the last notice looked at; none at the end.
    pub next: Option<u64>,
}

/// A page of notices, newest first.
///
/// # Errors
/// `ROLE_REQUIRED`, or when rows cannot be read.
pub fn list(
    ctx: &Ctx,
    store: &Store,
    filter: Filter,
    size: usize,
    before: Option<u64>,
) -> Result<Page, AppError> {
    ctx.must(Permission::FollowDelivery)?;
    let size = page_size(size);
    let mut until = before.map_or(Bound::Unbounded, Bound::Excluded);
    let mut page = Page { notices: Vec::new(), next: None };
    let mut seen = 0;
    while page.notices.len() < size && seen < SCAN_AT_MOST {
        let rows = store.scan_back(&NOTICE, (Bound::Unbounded, until), size)?;
        if rows.is_empty() {
            return Ok(Page { next: None, ..page });
        }
        for (number, row) in rows {
            if page.notices.len() == size {
                break;
            }
            (until, seen) = (Bound::Excluded(number), seen + 1);
            let notice = Notice { number, row };
            let open = filter.all || notice.row.done.is_none();
            let wanted = open && notice.is_for(ctx);
            if wanted && filter.area.is_none_or(|area| notice.area() == Some(area)) {
                page.notices.push(notice);
            }
        }
    }
    if let Bound::Excluded(number) = until {
        page.next = Some(number);
    }
    Ok(page)
}

/// Takes a notice off the list. Doing it again changes nothing.
///
/// # Errors
/// `ROLE_REQUIRED`, `NOT_FOUND`, or when rows cannot be written.
pub async fn done(ctx: &Ctx, store: &Store, number: u64) -> Result<Notice, AppError> {
    ctx.must(Permission::TendDelivery)?;
    let caller = ctx.clone();
    let done = store.commit(move |unit| {
        let mut row = unit.get(&NOTICE, &number)?.ok_or(AppError::from(Reason::NotFound))?;
        if row.done.is_none() {
            row.done = Some((caller.caller.operator.clone(), caller.now));
            unit.put(&NOTICE, &number, &row)?;
        }
        Ok::<_, AppError>(Notice { number, row })
    });
    done.await.map_err(AppError::from)
}

/// How many notices are open, counted up to `most`.
///
/// # Errors
/// When rows cannot be read.
pub fn open(store: &Store, most: usize) -> Result<usize, AppError> {
    let mut until: Bound<u64> = Bound::Unbounded;
    let (mut open, mut seen) = (0, 0);
    while open < most && seen < SCAN_AT_MOST {
        let rows = store.scan_back(&NOTICE, (Bound::Unbounded, until), most)?;
        let Some((last, _)) = rows.last() else { break };
        until = Bound::Excluded(*last);
        seen += rows.len();
        open += rows.iter().filter(|(_, row)| row.done.is_none()).count();
    }
    Ok(open.min(most))
}

/// The number in a page token.
///
/// # Errors
/// `INVALID_FIELD` for a token that is none of ours.
pub fn token(token: &[u8]) -> Result<Option<u64>, AppError> {
    if token.is_empty() {
        return Ok(None);
    }
    let wrong = || Refusal::new(Reason::InvalidField).field("page_token");
    let bytes: [u8; 8] = token.try_into().map_err(|_| wrong())?;
    Ok(Some(u64::from_be_bytes(bytes)))
}
