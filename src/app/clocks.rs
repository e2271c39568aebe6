//! Clocks: which messages are to be looked at when, and what their offices are then told.
//!
//! A look takes no input but the time: it reads what is there, does a bounded piece of work, and says whether
//! there is more. A start, a minute that has passed and a clock that was wrong for a week run the same code.

pub(crate) mod alarms;
mod promises;

use std::time::Duration;

use domain::area::AreaCode;
use domain::clock::Notice;
use domain::id::MessageId;
use domain::message::Kind;
use domain::time::UnixMillis;
use domain::watch::{Look, Standing, Tell, Told, Watch};
use store::letters::{DeadReason, NoticeKind};
use store::messages::{EnvelopeKey, LaneKey, MessageRow, Side, message_key};
use store::tables::{CLOCK, DEAD_LETTER, LANE_OUT, MESSAGE};
use store::{Kept, Store, StoreError, Unit};

use super::messages::track;
use super::{AppError, letters, notices};

/// The first look comes no later: most messages are done by then and need no other.
const FIRST_LOOK: Duration = Duration::from_secs(86_400);
/// A message whose state changed between the look and the unit is looked at once more so soon.
const AGAIN: Duration = Duration::from_secs(1);
/// Seconds whose messages are looked at in one go.
const SECONDS_AT_ONCE: usize = 64;
/// Messages that are looked at in one go, before others get their turn.
const MESSAGES_AT_ONCE: usize = 2_048;
/// Bytes of an entry: message id, side, what was told.
const ENTRY_BYTES: usize = 18;

/// Has a message looked at in time, in the unit that writes it.
///
/// # Errors
/// When the entry cannot be written.
pub fn watch(
    unit: &mut Unit<'_>,
    id: MessageId,
    side: Side,
    row: &MessageRow,
    now: UnixMillis,
) -> Result<(), AppError> {
    if row.kind().is_some_and(Kind::is_sent_by_nodes) {
        return Ok(());
    }
    let standing = match side {
        Side::Sent => Standing::Undelivered,
        Side::Received => Standing::Ours { unopened_since: Some(now) },
    };
    let look = watch_of(row, FIRST_LOOK).look(standing, Told::default(), now);
    let first = look.next.unwrap_or(now).min(now.saturating_add(FIRST_LOOK));
    enter(unit, Entry { id, side, told: Told::default() }, first)
}

fn watch_of(row: &MessageRow, unopened_after: Duration) -> Watch {
    Watch { start: row.created, due: row.due, expires: row.expires, unopened_after }
}

/// What stands in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    id: MessageId,
    side: Side,
    told: Told,
}

impl Entry {
    fn bytes(self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        let parts = self.id.as_bytes().iter().copied().chain([self.side.byte(), self.told.byte()]);
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        let [side, told] = rest else { return None };
        let side = Side::from_byte(*side)?;
        Some(Self { id: MessageId::from_bytes(*id), side, told: Told::from_byte(*told) })
    }
}

fn enter(unit: &mut Unit<'_>, entry: Entry, at: UnixMillis) -> Result<(), AppError> {
    unit.append(&CLOCK, &at.get().div_ceil(1_000), &entry.bytes())?;
    Ok(())
}

/// Looks at what is due. Clones share the store.
#[derive(Clone, Debug)]
pub struct Clocks {
    /// Our area.
    pub own: AreaCode,
    /// The store.
    pub store: Store,
    /// A message that nobody has opened for so long is told of.
    pub unopened_after: Duration,
    /// A peer with which there was mail lately and that has been silent for so long is told of.
    pub silent_after: Duration,
}

/// What a look came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Messages that were looked at.
    pub looked: usize,
    /// Notices that were made or added to.
    pub told: usize,
    /// More was due than was looked at: look again at once.
    pub more: bool,
    /// When the next message is to be looked at, as far as it is known.
    pub next: Option<UnixMillis>,
}

/// One message at a look.
struct Found {
    entry: Entry,
    peer: AreaCode,
    standing: Standing,
    look: Look,
}

impl Clocks {
    /// Looks at the messages whose time has come, a bounded number of them.
    ///
    /// # Errors
    /// When rows cannot be read or written; what was not done is due at the next look.
    pub async fn scan(&self, now: UnixMillis) -> Result<Scanned, AppError> {
        let mut scanned = Scanned::default();
        let seconds = self.store.journals_under(&CLOCK, &(), SECONDS_AT_ONCE)?;
        for second in &seconds {
            let at = UnixMillis::new(second.saturating_mul(1_000));
            if at > now {
                scanned.next = Some(at);
                return Ok(scanned);
            }
            if scanned.looked >= MESSAGES_AT_ONCE {
                break;
            }
            self.look_at_second(*second, now, &mut scanned).await?;
        }
        scanned.more = !seconds.is_empty();
        Ok(scanned)
    }

    async fn look_at_second(
        &self,
        second: u64,
        now: UnixMillis,
        scanned: &mut Scanned,
    ) -> Result<(), AppError> {
        let entries = self.store.read_from(&CLOCK, &second, 1, usize::MAX, usize::MAX)?;
        let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let mut found = Vec::with_capacity(entries.len());
        for (_, bytes) in &entries {
            found.extend(self.look(bytes, now)?);
            tokio::task::consume_budget().await;
        }
        scanned.looked += entries.len();
        let unopened_after = self.unopened_after;
        let own = self.own;
        let told = self.store.commit(move |unit| {
            // Somebody may have entered a message meanwhile; it must not be removed unseen.
            if unit.next_position(&CLOCK, &second)? != count.saturating_add(1) {
                return Ok(0);
            }
            unit.remove_journal(&CLOCK, &second)?;
            let days = days_of(unopened_after);
            let told = found.iter().map(|found| settle(unit, own, days, found, now));
            told.sum::<Result<usize, AppError>>()
        });
        scanned.told += told.await.map_err(AppError::from)?;
        Ok(())
    }

    /// One message as it stands; none when it is gone or was erased.
    fn look(&self, bytes: &[u8], now: UnixMillis) -> Result<Option<Found>, AppError> {
        let Some(entry) = Entry::from_bytes(bytes) else { return Ok(None) };
        let Some((row, standing)) = stands(&self.store, entry)? else { return Ok(None) };
        let standing = match standing {
            Standing::Unopened { .. } => Standing::Unopened { since: self.arrived(&row, now)? },
            other => other,
        };
        let look = watch_of(&row, self.unopened_after).look(standing, entry.told, now);
        Ok(Some(Found { entry, peer: row.peer, standing, look }))
    }

    /// When the recipient stored a message of ours, by its own word.
    fn arrived(&self, row: &MessageRow, now: UnixMillis) -> Result<UnixMillis, AppError> {
        let word = track::last_word(&self.store, row, Side::Sent)?;
        Ok(word.map_or(now, |word| word.disposition.decided.min(now)))
    }
}

/// Does what a look came to, in the unit that takes the message off this second of the index. Says how much was
/// told.
fn settle(
    unit: &mut Unit<'_>,
    own: AreaCode,
    days: u16,
    found: &Found,
    now: UnixMillis,
) -> Result<usize, AppError> {
    let Found { entry, peer, standing, look } = found;
    if !look.tell.is_empty() {
        let stands = stands(&*unit, *entry)?;
        let same = |(_, now): (MessageRow, Standing)| is_same(now, *standing);
        if !stands.is_some_and(same) {
            enter(unit, *entry, now.saturating_add(AGAIN))?;
            return Ok(0);
        }
    }
    for tell in &look.tell {
        let Some(what) = notice(*tell, own, *peer, *standing, days) else {
            letters::lose(unit, entry.id, DeadReason::Expired, now)?;
            continue;
        };
        notices::raise(unit, now, what, &[entry.id])?;
    }
    if let Some(next) = look.next {
        enter(unit, Entry { told: look.told, ..*entry }, next)?;
    }
    Ok(look.tell.len())
}

/// Whether a message stands as it did, whatever the times in it.
fn is_same(one: Standing, other: Standing) -> bool {
    std::mem::discriminant(&one) == std::mem::discriminant(&other)
}

/// What an office is told; none for a message that has expired, which becomes a dead letter.
fn notice(
    tell: Tell,
    own: AreaCode,
    peer: AreaCode,
    standing: Standing,
    days: u16,
) -> Option<NoticeKind> {
    let percent = Notice::percent;
    Some(match tell {
        Tell::NotDelivered(part) => NoticeKind::NotDelivered { to: peer, percent: percent(part) },
        Tell::NotOpened(part) => NoticeKind::NotOpened { to: peer, percent: percent(part) },
        Tell::NotAnswered(part) => NoticeKind::NotAnswered { to: peer, percent: percent(part) },
        Tell::ToAnswer(part) => NoticeKind::ToAnswer { from: peer, percent: percent(part) },
        Tell::Unopened => {
            let ours = matches!(standing, Standing::Ours { .. });
            NoticeKind::Unopened { at: if ours { own } else { peer }, days }
        }
        Tell::Expired => return None,
    })
}

/// Whole days of a time.
fn days_of(time: Duration) -> u16 {
    u16::try_from(time.as_secs() / 86_400).unwrap_or(u16::MAX)
}

/// What is read of a message, from the store or in a unit.
trait Rows {
    fn message(&self, id: MessageId, side: Side) -> Result<Option<MessageRow>, StoreError>;
    fn is_letter(&self, id: MessageId) -> Result<bool, StoreError>;
    fn is_settled(&self, lane: &LaneKey, row: &MessageRow) -> Result<bool, StoreError>;
}

macro_rules! rows {
    ($($reader:ty),*) => {$(
        impl Rows for $reader {
            fn message(&self, id: MessageId, side: Side) -> Result<Option<MessageRow>, StoreError> {
                Ok(self.get_personal(&MESSAGE, &message_key(id, side))?.and_then(Kept::value))
            }
            fn is_letter(&self, id: MessageId) -> Result<bool, StoreError> {
                Ok(self.get(&DEAD_LETTER, id.as_bytes())?.is_some())
            }
            fn is_settled(&self, lane: &LaneKey, row: &MessageRow) -> Result<bool, StoreError> {
                let kept = self.get(&LANE_OUT, lane)?;
                Ok(kept.is_some_and(|kept| kept.lane.is_settled(row.sequence)))
            }
        }
    )*};
}
rows!(Store, Unit<'_>);

/// How a message stands; none when it is gone or its person was erased. Since when it lies unopened at its
/// recipient is not looked up.
fn stands(rows: &impl Rows, entry: Entry) -> Result<Option<(MessageRow, Standing)>, AppError> {
    let Some(row) = rows.message(entry.id, entry.side)? else { return Ok(None) };
    let done = row.answered.is_some() || (row.due.is_none() && row.opened.is_some());
    let standing = match entry.side {
        _ if done => Standing::Settled,
        Side::Received => {
            Standing::Ours { unopened_since: row.opened.is_none().then_some(row.stored) }
        }
        Side::Sent if rows.is_letter(entry.id)? => Standing::Settled,
        Side::Sent => {
            let lane = EnvelopeKey::of(Side::Sent, row.peer, row.epoch).key();
            match (rows.is_settled(&lane, &row)?, row.opened) {
                (false, _) => Standing::Undelivered,
                (true, None) => Standing::Unopened { since: row.stored },
                (true, Some(_)) => Standing::Opened,
            }
        }
    };
    Ok(Some((row, standing)))
}
