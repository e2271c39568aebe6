//! Indicators: counts of what offices did in a period, and the very cases behind each count, by the same walk.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::time::Duration;

use domain::access::Permission;
use domain::area::AreaCode;
use domain::id::{MessageId, PersonId, RegistrationId};
use domain::indicator::{Count, Indicator, MessageFact, Period, RegistrationFact, SUBMISSION_DAYS};
use domain::message::Kind;
use domain::reason::Reason;
use domain::time::UnixMillis;
use store::messages::{MessageKey, MessageRow, Side};
use store::records::RegistrationRow;
use store::tables::{ENDORSEMENT, MESSAGE, REGISTRATION};
use store::{Kept, Store};

use super::messages::track::last_word;
use super::{AppError, Ctx, Refusal};

/// Rows that are read at one time.
const ROWS: usize = 500;
/// Cases of one page.
pub const CASES_MAX: usize = 500;
/// A message may be answered, and its clock may end, so long after it was sent.
const LONGEST: Duration = Duration::from_secs(400 * 86_400);
/// A registration is followed so long, for what has to follow it.
const FOLLOWED: Duration = Duration::from_secs(86_400 * 60);

/// What a number is about: indicator, county whose office is measured, kind of message if it counts messages.
pub type Key = (u8, AreaCode, Option<Kind>);

/// One number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// What is measured.
    pub indicator: Indicator,
    /// Whose office.
    pub area: AreaCode,
    /// Of which kind of message; none for registrations.
    pub kind: Option<Kind>,
    /// The counts; none when they are too small to be told.
    pub count: Option<Count>,
}

/// The numbers of a period, by indicator, area and kind. For a paper that leaves the node (`leaving`) small counts are
/// left out. Reads every message of the time: not for a thread that must not block.
///
/// # Errors
/// `ROLE_REQUIRED`; `INVALID_FIELD` for a period outside the calendar; rows that cannot be read.
pub fn show(
    ctx: &Ctx,
    store: &Store,
    period: Period,
    leaving: bool,
) -> Result<Vec<Number>, AppError> {
    ctx.must(Permission::ReadNumbers)?;
    let mut counts: BTreeMap<(u8, String, u8), (Key, Count)> = BTreeMap::new();
    walk(ctx, store, period, &mut |key, _, counted| {
        let place = (key.0, key.1.to_string(), key.2.map_or(0, Kind::number));
        counts.entry(place).or_insert((key, Count::default())).1.add(counted);
    })?;
    let numbers = counts.into_values().filter_map(|((indicator, area, kind), count)| {
        let indicator = Indicator::from_number(indicator)?;
        let count = if leaving { count.outside() } else { Some(count) };
        Some(Number { indicator, area, kind, count })
    });
    Ok(numbers.collect())
}

/// What one number counts, in the order of ids after `after`, each with whether it is in the numerator.
///
/// # Errors
/// As for [`show`].
pub fn cases(
    ctx: &Ctx,
    store: &Store,
    period: Period,
    wanted: Key,
    after: Option<[u8; 16]>,
) -> Result<Vec<([u8; 16], bool)>, AppError> {
    ctx.must(Permission::ReadNumbers)?;
    let mut cases = BTreeMap::new();
    walk(ctx, store, period, &mut |key, id, counted| {
        if key == wanted && after.is_none_or(|after| id > after) {
            cases.insert(id, counted);
            // Only the first page of what is left is kept.
            if cases.len() > CASES_MAX {
                cases.pop_last();
            }
        }
    })?;
    Ok(cases.into_iter().collect())
}

/// Everything that is counted in a period, once for each indicator that counts it.
fn walk(
    ctx: &Ctx,
    store: &Store,
    period: Period,
    count: &mut dyn FnMut(Key, [u8; 16], bool),
) -> Result<(), AppError> {
    let outside = |_| Refusal::new(Reason::InvalidField).field("period");
    let bounds = period.bounds().map_err(outside)?;
    let mut told: HashMap<PersonId, Vec<(UnixMillis, AreaCode)>> = HashMap::new();
    let until = bounds.1.saturating_add(FOLLOWED);
    messages(store, bounds.0.saturating_sub(LONGEST), until, &mut |key, person, row| {
        let Some(side) = Side::from_byte(key.1) else { return Ok(()) };
        let Some(kind) = row.kind().filter(|kind| !kind.is_sent_by_nodes()) else { return Ok(()) };
        if side == Side::Sent && kind == Kind::ArrivalNotice {
            told.entry(person).or_default().push((row.created, row.peer));
        }
        let fact = message(store, side, row)?;
        let measured = if side == Side::Sent { row.peer } else { ctx.county() };
        for indicator in Indicator::ALL {
            if let Some(counted) = indicator.of_message(&fact, bounds) {
                count((indicator.number(), measured, Some(kind)), key.0, counted);
            }
        }
        Ok(())
    })?;
    let checked = checks(store, bounds.0, until)?;
    registrations(store, bounds, &mut |id, row| {
        let first = row.0.history().iter().next();
        let origin = row.0.current().details.origin_area.county();
        let entered = id.timestamp();
        let fact = RegistrationFact {
            entered: first.map_or(entered, |first| first.author.at),
            told: told_at(&told, row.0.person(), origin, entered),
            shown: row.0.current().details.certificate.is_some() || checked.contains_key(&id),
            checked: checked.get(&id).copied(),
        };
        for indicator in Indicator::ALL {
            // Whoever comes from this very county has nobody to be told.
            let told = *indicator != Indicator::Submission || origin != ctx.county();
            if let Some(counted) = indicator.of_registration(&fact, bounds).filter(|_| told) {
                count((indicator.number(), ctx.county(), None), *id.as_bytes(), counted);
            }
        }
    })
}

fn told_at(
    told: &HashMap<PersonId, Vec<(UnixMillis, AreaCode)>>,
    person: PersonId,
    origin: AreaCode,
    entered: UnixMillis,
) -> Option<UnixMillis> {
    let latest = entered.saturating_add(Duration::from_secs(86_400 * u64::from(SUBMISSION_DAYS)));
    let notices = told.get(&person)?.iter();
    let fits = |(at, to): &&(UnixMillis, AreaCode)| *to == origin && *at <= latest;
    notices.filter(fits).map(|(at, _)| *at).max()
}

fn message(store: &Store, side: Side, row: &MessageRow) -> Result<MessageFact, AppError> {
    let stored = match side {
        Side::Received => Some(row.stored),
        Side::Sent => last_word(store, row, side)?
            .filter(|word| word.disposition.outcome.is_final())
            .map(|word| word.disposition.decided),
    };
    Ok(MessageFact {
        sent: side == Side::Sent,
        created: row.created,
        stored,
        opened: row.opened,
        answered: row.answered.map(|(_, at)| at),
        due: row.due,
    })
}

/// The lowest id of a time.
fn lowest(at: UnixMillis) -> [u8; 16] {
    let [_, _, a, b, c, d, e, f] = at.get().to_be_bytes();
    [a, b, c, d, e, f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

type OnMessage<'a> = dyn FnMut(MessageKey, PersonId, &MessageRow) -> Result<(), AppError> + 'a;

/// Messages of a time, by the time in their ids; those of erased persons are gone.
fn messages(
    store: &Store,
    from: UnixMillis,
    until: UnixMillis,
    each: &mut OnMessage<'_>,
) -> Result<(), AppError> {
    let mut lower = Bound::Included((lowest(from), 0));
    let upper = Bound::Excluded((lowest(until), 0));
    loop {
        let rows = store.scan_personal(&MESSAGE, (lower, upper), ROWS)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        lower = Bound::Excluded(*last);
        for (key, kept) in rows {
            if let Kept::Value { person, value } = kept {
                each(key, person, &value)?;
            }
        }
    }
}

fn registrations(
    store: &Store,
    (from, until): (UnixMillis, UnixMillis),
    each: &mut dyn FnMut(RegistrationId, &RegistrationRow),
) -> Result<(), AppError> {
    let mut lower = Bound::Included(RegistrationId::from_bytes(lowest(from)));
    let upper = Bound::Excluded(RegistrationId::from_bytes(lowest(until)));
    loop {
        let rows = store.scan_personal(&REGISTRATION, (lower, upper), ROWS)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        lower = Bound::Excluded(*last);
        for (id, kept) in rows {
            if let Some(row) = kept.value() {
                each(id, &row);
            }
        }
    }
}

/// When the certificate of each registration was first checked, in a time.
fn checks(
    store: &Store,
    from: UnixMillis,
    until: UnixMillis,
) -> Result<HashMap<RegistrationId, UnixMillis>, AppError> {
    let id = |at| domain::id::EndorsementId::from_bytes(lowest(at));
    let (mut lower, upper) = (Bound::Included(id(from)), Bound::Excluded(id(until)));
    let mut checked = HashMap::new();
    loop {
        let rows = store.scan_personal(&ENDORSEMENT, (lower, upper), ROWS)?;
        let Some((last, _)) = rows.last() else { return Ok(checked) };
        lower = Bound::Excluded(*last);
        for (id, kept) in rows {
            if let Some(row) = kept.value() {
                checked.entry(row.0.registration).or_insert_with(|| id.timestamp());
            }
        }
    }
}

/// The id of a case, as it is written.
#[must_use]
pub fn case_id(id: [u8; 16]) -> String {
    MessageId::from_bytes(id).to_string()
}
