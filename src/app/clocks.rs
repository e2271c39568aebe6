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
use store::tables::{CLOCK, CLOCK_DONE, DEAD_LETTER, LANE_OUT, MESSAGE};
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
/// Entries of one second that are settled in one unit: tens of thousands can fall on one midnight, and others wait for
/// the committer meanwhile.
const ENTRIES_AT_ONCE: usize = 512;
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

/// What a look at one entry came to.
#[derive(Clone, Debug)]
enum Looked {
    /// There is no such message any more.
    Gone,
    /// It is there.
    Found(Found),
    /// It cannot be read, or not be told of: another day.
    Unread(Entry),
}

/// One message at a look.
#[derive(Clone, Debug)]
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

    /// Looks at messages of one second, until it is done or enough were looked at.
    async fn look_at_second(
        &self,
        second: u64,
        now: UnixMillis,
        scanned: &mut Scanned,
    ) -> Result<(), AppError> {
        while scanned.looked < MESSAGES_AT_ONCE {
            let done = self.store.get(&CLOCK_DONE, &second)?.unwrap_or_default();
            let from = done.saturating_add(1);
            let count = ENTRIES_AT_ONCE.min(MESSAGES_AT_ONCE.saturating_sub(scanned.looked));
            let entries = self.store.read_from(&CLOCK, &second, from, count, usize::MAX)?;
            if entries.is_empty() {
                break;
            }
            let mut looked = Vec::with_capacity(entries.len());
            for (place, bytes) in &entries {
                looked.push((*place, self.look(bytes, now)?));
                tokio::task::consume_budget().await;
            }
            scanned.looked += entries.len();
            scanned.told += self.settle_all(second, looked, now).await?;
        }
        Ok(())
    }

    /// Settles what was looked at in one unit; when one message stands in the way, in a unit each. That one is looked at
    /// again another day.
    async fn settle_all(
        &self,
        second: u64,
        looked: Vec<(u64, Looked)>,
        now: UnixMillis,
    ) -> Result<usize, AppError> {
        match self.settle_some(second, looked.clone(), now).await {
            Err(error) if error.is_of_one() => {}
            settled => return settled,
        }
        let mut told = 0;
        for (place, looked) in looked {
            match self.settle_some(second, vec![(place, looked.clone())], now).await {
                Ok(some) => told += some,
                Err(error) if error.is_of_one() => {
                    let unsettled = match looked {
                        Looked::Found(Found { entry, .. }) => unread(entry, &error),
                        other => other,
                    };
                    self.settle_some(second, vec![(place, unsettled)], now).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(told)
    }

    async fn settle_some(
        &self,
        second: u64,
        looked: Vec<(u64, Looked)>,
        now: UnixMillis,
    ) -> Result<usize, AppError> {
        let days = days_of(self.unopened_after);
        let own = self.own;
        let told = self.store.commit(move |unit| {
            let places = looked.iter().map(|(place, _)| *place);
            let (Some(first), Some(last)) = (places.clone().min(), places.max()) else {
                return Ok(0);
            };
            if !pass_over(unit, second, first, last)? {
                return Ok(0);
            }
            let told = looked.iter().map(|(_, looked)| match looked {
                Looked::Gone => Ok(0),
                Looked::Found(found) => settle(unit, own, days, found, now),
                Looked::Unread(entry) => {
                    enter(unit, *entry, now.saturating_add(FIRST_LOOK)).map(|()| 0)
                }
            });
            told.sum::<Result<usize, AppError>>()
        });
        told.await.map_err(AppError::from)
    }

    /// One message as it stands. Others do not wait for one that cannot be read.
    fn look(&self, bytes: &[u8], now: UnixMillis) -> Result<Looked, AppError> {
        let Some(entry) = Entry::from_bytes(bytes) else { return Ok(Looked::Gone) };
        match self.find(entry, now) {
            Ok(found) => Ok(found.map_or(Looked::Gone, Looked::Found)),
            Err(error) if error.is_of_one() => Ok(unread(entry, &error)),
            Err(error) => Err(error),
        }
    }

    /// None when it is gone or was erased.
    fn find(&self, entry: Entry, now: UnixMillis) -> Result<Option<Found>, AppError> {
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

fn unread(entry: Entry, error: &AppError) -> Looked {
    tracing::error!(message = %entry.id, %error, "the clock of a message cannot be looked at; others go on");
    Looked::Unread(entry)
}

/// Takes places of a second off the index, in the unit that settles them: what is left stays where it is. Says whether
/// nobody else has done so.
fn pass_over(unit: &mut Unit<'_>, second: u64, first: u64, last: u64) -> Result<bool, AppError> {
    let done = unit.get(&CLOCK_DONE, &second)?.unwrap_or_default();
    if done.saturating_add(1) != first {
        return Ok(false);
    }
    // Somebody may have entered a message meanwhile; it must not be removed unseen.
    if unit.next_position(&CLOCK, &second)? == last.saturating_add(1) {
        unit.remove_journal(&CLOCK, &second)?;
        unit.delete(&CLOCK_DONE, &second);
    } else {
        unit.put(&CLOCK_DONE, &second, &last)?;
    }
    Ok(true)
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
