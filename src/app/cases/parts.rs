//! Half and four fifths of the clocks that no message's own clock speaks of: of a side that was handed over, and of a result
//! that is to be told. The office that waits and the one that has to act are told as of any other clock; persons never are.
//!
//! When a case has such a clock, both times are noted in a journal. A look decides anew: a clock that has ended or was
//! moved meanwhile is passed over.

use std::collections::BTreeSet;

use domain::area::AreaCode;
use domain::case::{Seat, Stage, View};
use domain::clock::Notice;
use domain::id::CaseId;
use domain::time::UnixMillis;
use store::cases::CaseRow;
use store::letters::NoticeKind;
use store::messages::Side;
use store::tables::{CASE, CASE_CLOCK};
use store::{Store, Unit};

use super::opening::Rows;
use super::result;
use crate::app::each::{First, each};
use crate::app::{AppError, notices};

/// Parts of a clock that are told of here; that it is over is told by [`super::alarms`].
const PARTS: [Notice; 2] = [Notice::Half, Notice::Most];
/// Seconds, and entries of one, that are looked at in one go.
const SECONDS_AT_ONCE: usize = 1_024;
const ENTRIES_AT_ONCE: usize = 512;
/// Bytes of an entry: case, end of the clock, percent.
const ENTRY_BYTES: usize = 25;

/// What stands in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    case: [u8; 16],
    end: u64,
    percent: u8,
}

impl Entry {
    fn bytes(self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        let parts = self.case.into_iter().chain(self.end.to_be_bytes()).chain([self.percent]);
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (case, rest) = bytes.split_first_chunk::<16>()?;
        let (end, rest) = rest.split_first_chunk::<8>()?;
        let [percent] = rest else { return None };
        Some(Self { case: *case, end: u64::from_be_bytes(*end), percent: *percent })
    }
}

/// A clock that runs, and what is told of a part of it.
struct Running {
    start: UnixMillis,
    end: UnixMillis,
    whom: Whom,
}

/// Who has not done what.
enum Whom {
    /// This office has not told that origin what became of a birth registration.
    OursToTell(AreaCode),
    /// This office, which has taken a question of that office over, has not answered it.
    OursToAnswer(AreaCode),
    /// That office, which has taken a question over, has not answered it.
    TheirsToAnswer(AreaCode),
}

impl Whom {
    const fn told(&self, percent: u8) -> NoticeKind {
        match *self {
            Self::OursToTell(to) => NoticeKind::ResultSoon { to, percent },
            Self::OursToAnswer(from) => NoticeKind::ToAnswer { from, percent },
            Self::TheirsToAnswer(to) => NoticeKind::NotAnswered { to, percent },
        }
    }
}

/// The clock of a case, unless it is that of a message that is here.
fn running(
    rows: &impl Rows,
    row: &CaseRow,
    view: &View,
    own: AreaCode,
) -> Result<Option<Running>, AppError> {
    let (Some(asking), Some(answering)) = (view.asking, view.answering) else { return Ok(None) };
    if view.stage == Stage::Answered {
        let telling = result::clock(rows, row, own)?.filter(|telling| telling.told.is_none());
        let whom = Whom::OursToTell(answering.area);
        return Ok(telling.map(|it| Running { start: it.since, end: it.due, whom }));
    }
    let Some(end) = view.due.filter(|_| view.stage == Stage::Asked && !view.moves.is_empty())
    else {
        return Ok(None);
    };
    let whom = match () {
        () if view.sits(own, Seat::Answering) => Whom::OursToAnswer(asking.area),
        () if view.sits(own, Seat::Asking) => Whom::TheirsToAnswer(answering.area),
        () => return Ok(None),
    };
    let opening = row.case.id().opening_message();
    for side in [Side::Sent, Side::Received] {
        if rows.message(opening, side)?.is_some_and(|message| message.due.is_some()) {
            return Ok(None);
        }
    }
    // Whoever took the answering side over has what was left from then on.
    let taken = view.moves.iter().rev().find(|moved| moved.seat == Seat::Answering);
    let steps = row.case.steps();
    let opened = steps.iter().find(|step| step.id == opening).map(|step| step.created);
    let start = taken.map(|moved| moved.at).or(opened);
    Ok(start.map(|start| Running { start, end, whom }))
}

/// Notes when parts of the clock of a case will have run, in the unit that writes it.
///
/// # Errors
/// When rows cannot be read or written.
pub(super) fn note(
    unit: &mut Unit<'_>,
    row: &CaseRow,
    view: &View,
    own: AreaCode,
    now: UnixMillis,
) -> Result<(), AppError> {
    let Some(Running { start, end, .. }) = running(&*unit, row, view, own)? else { return Ok(()) };
    for part in PARTS {
        let at = part.between(start, end);
        if at > now {
            let (case, percent) = (*row.case.id().as_bytes(), part.percent());
            let entry = Entry { case, end: end.get(), percent };
            unit.append(&CASE_CLOCK, &at.get().div_ceil(1_000), &entry.bytes())?;
        }
    }
    Ok(())
}

/// Looks at the cases of which a part of the clock has run. Says of how many something was told.
///
/// # Errors
/// When rows cannot be read or written; what was not looked at is due at the next look.
pub async fn look(own: AreaCode, store: &Store, now: UnixMillis) -> Result<usize, AppError> {
    let (mut told, mut first) = (0, First::default());
    for second in store.journals_under(&CASE_CLOCK, &(), SECONDS_AT_ONCE)? {
        if second.saturating_mul(1_000) > now.get() {
            break;
        }
        told += first.take(look_at(own, store, second, now).await).unwrap_or_default();
    }
    first.end().map(|()| told)
}

async fn look_at(
    own: AreaCode,
    store: &Store,
    second: u64,
    now: UnixMillis,
) -> Result<usize, AppError> {
    let (mut told, mut next) = (0, 1);
    loop {
        let entries = store.read_from(&CASE_CLOCK, &second, next, ENTRIES_AT_ONCE, usize::MAX)?;
        let Some((last, _)) = entries.last() else { break };
        next = last.saturating_add(1);
        // A case that was written several times stands there as often.
        let due: BTreeSet<Entry> =
            entries.iter().filter_map(|(_, bytes)| Entry::from_bytes(bytes)).collect();
        let done =
            each(store, due.into_iter().collect(), move |unit, entry| tell(unit, *entry, own, now));
        let done = done.await?;
        for (Entry { case, .. }, error) in &done.failed {
            let case = CaseId::from_bytes(*case);
            tracing::error!(%case, %error, "the clock of a case cannot be looked at; others go on");
        }
        told += done.done;
    }
    let removed = store.commit(move |unit| {
        // What was noted meanwhile is not to be lost.
        if unit.next_position(&CASE_CLOCK, &second)? == next {
            unit.remove_journal(&CASE_CLOCK, &second)?;
        }
        Ok::<_, AppError>(())
    });
    removed.await.map_err(AppError::from)?;
    Ok(told)
}

fn tell(
    unit: &mut Unit<'_>,
    entry: Entry,
    own: AreaCode,
    now: UnixMillis,
) -> Result<usize, AppError> {
    let Some(row) = unit.get(&CASE, &entry.case)? else { return Ok(0) };
    if row.turn.is_none() {
        // Deleted, or nothing that this office follows any more.
        return Ok(0);
    }
    let Some(clock) = running(&*unit, &row, &row.case.view(), own)? else { return Ok(0) };
    let reached = Notice::reached_between(clock.start, clock.end, now).map(Notice::percent);
    if clock.end.get() != entry.end || reached != Some(entry.percent) {
        return Ok(0);
    }
    let (what, id) = (clock.whom.told(entry.percent), row.case.id().opening_message());
    let latest = notices::latest(unit, &what.topic())?;
    if latest.is_some_and(|(_, row)| row.done.is_none() && row.messages.contains(&id)) {
        // The power went after it was told, before it was taken off the journal.
        return Ok(0);
    }
    notices::raise(unit, now, what, &[id])?;
    Ok(1)
}
