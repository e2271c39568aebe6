//! Indicators: counts of what offices did in a period, and the very cases behind each count, by the same walk.

pub mod facts;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::time::Duration;

use domain::access::Permission;
use domain::area::AreaCode;
use domain::clock::table::{Duty, of_duty};
use domain::id::{MessageId, PersonId, RequestId};
use domain::indicator::{Count, Indicator, Period, RegistrationFact};
use domain::message::Kind;
use domain::reason::Reason;
use domain::time::UnixMillis;
use store::Store;

use super::{AppError, Ctx, Refusal, applications};

/// Cases of one page.
pub const CASES_MAX: usize = 500;
/// A message may be answered, and its clock may end, so long after it was sent.
const LONGEST: Duration = Duration::from_secs(400 * 86_400);
/// A day, milliseconds.
const DAY_MS: u64 = 86_400_000;
/// A registration is followed so long, for what has to follow it.
const FOLLOWED: Duration = Duration::from_secs(86_400 * 60);

/// Who was told of an arrival, and when, by person.
type Told = HashMap<PersonId, Vec<(UnixMillis, AreaCode)>>;
/// The first moment of a period and the first after it.
type Bounds = (UnixMillis, UnixMillis);
/// Counts one case under one number.
type Counting<'a> = dyn FnMut(Key, [u8; 16], bool) + 'a;

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
/// left out, and those from which they could be worked out. Reads every message of the time: not for a thread that must not block.
///
/// # Errors
/// `ROLE_REQUIRED`; `INVALID_FIELD` for a period outside the calendar; when rows cannot be read.
pub fn show(
    ctx: &Ctx,
    store: &Store,
    period: Period,
    leaving: bool,
) -> Result<Vec<Number>, AppError> {
    ctx.must(Permission::ReadNumbers)?;
    let counts = counts(ctx, store, period)?;
    let hidden = if leaving { hidden(ctx, store, period, &counts)? } else { BTreeSet::new() };
    let numbers = counts.into_iter().filter_map(|(place, ((indicator, area, kind), count))| {
        let indicator = Indicator::from_number(indicator)?;
        let count = Some(count).filter(|_| !hidden.contains(&place));
        Some(Number { indicator, area, kind, count })
    });
    Ok(numbers.collect())
}

/// Where a number stands in a table: indicator, area, kind.
type Place = (u8, String, u8);
type Counts = BTreeMap<Place, (Key, Count)>;

fn counts(ctx: &Ctx, store: &Store, period: Period) -> Result<Counts, AppError> {
    let mut counts = Counts::new();
    walk(ctx, store, period, &mut |key, _, counted| {
        let place = (key.0, key.1.to_string(), key.2.map_or(0, Kind::number));
        counts.entry(place).or_insert((key, Count::default())).1.add(counted);
    })?;
    Ok(counts)
}

/// What does not leave the node: small counts, and what would tell them by subtraction, a quarter of its months or all that
/// was exchanged of what came and went.
fn hidden(
    ctx: &Ctx,
    store: &Store,
    period: Period,
    counts: &Counts,
) -> Result<BTreeSet<Place>, AppError> {
    let mut hidden = small(counts);
    for month in period.months() {
        hidden.extend(small(&self::counts(ctx, store, month)?));
    }
    let parts = [Indicator::Reception, Indicator::Opening].map(Indicator::number);
    let whole: Vec<Place> = hidden
        .iter()
        .filter(|(indicator, ..)| parts.contains(indicator))
        .map(|(_, area, kind)| (Indicator::Gap.number(), area.clone(), *kind))
        .collect();
    hidden.extend(whole);
    Ok(hidden)
}

fn small(counts: &Counts) -> BTreeSet<Place> {
    let small = counts.iter().filter(|(_, (_, count))| count.outside().is_none());
    small.map(|(place, _)| place.clone()).collect()
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
    if wanted.2.is_some_and(|kind| !ctx.is_told(kind, None)) {
        // The numbers are told; which messages they are would say of whom.
        return Err(Refusal::new(Reason::RoleRequired).field("message_kind").into());
    }
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
    count: &mut Counting<'_>,
) -> Result<(), AppError> {
    let outside = |_| Refusal::new(Reason::InvalidField).field("period");
    let bounds = period.bounds().map_err(outside)?;
    let told = of_messages(ctx, store, bounds, count)?;
    of_registrations(ctx, store, bounds, (&told, &mut *count))?;
    let mut add = |id: RequestId, fact| {
        for indicator in Indicator::ALL {
            if let Some(counted) = indicator.of_application(&fact, bounds) {
                count((indicator.number(), ctx.county(), None), *id.as_bytes(), counted);
            }
        }
    };
    facts::applications(store, ctx.county(), bounds, &mut add)?;
    // Of a clock that runs yet nobody can say that it was missed.
    for waiting in applications::waiting(store)?.into_iter().filter(|it| it.due <= ctx.now) {
        if let Some(counted) = Indicator::Asking.of_asking((waiting.papers_on, None), bounds) {
            let kind = Some(Kind::BirthRegistrationInquiry);
            let key = (Indicator::Asking.number(), ctx.county(), kind);
            count(key, *waiting.request.as_bytes(), counted);
        }
    }
    for (id, (kind, right)) in facts::rechecked(store)? {
        if (bounds.0..bounds.1).contains(&facts::time_of(id)) {
            count((Indicator::Accuracy.number(), ctx.county(), kind), id, right);
        }
    }
    Ok(())
}

/// Counts messages; gives back which origin areas were told of whom, and when.
fn of_messages(
    ctx: &Ctx,
    store: &Store,
    bounds: Bounds,
    count: &mut Counting<'_>,
) -> Result<Told, AppError> {
    let mut told = Told::new();
    let mut differing = facts::differing(store, ctx.county())?;
    let until = bounds.1.saturating_add(FOLLOWED);
    let mut counted_before = BTreeSet::new();
    let time = (bounds.0.saturating_sub(LONGEST), until);
    facts::messages(store, time, &mut |key, person, row| {
        let differs = differing.remove(&key.0).is_some();
        let Some(kind) = row.kind().filter(|kind| !kind.is_sent_by_nodes()) else {
            return Ok(ControlFlow::Continue(()));
        };
        if let Some(asking) = facts::asking(ctx.county(), key, row)?
            && let Some(counted) =
                Indicator::Asking.of_asking((asking.papers_on, Some(row.created)), bounds)
        {
            count((Indicator::Asking.number(), asking.by, Some(kind)), key.0, counted);
        }
        for owed in facts::owed(store, ctx.county(), key, row)? {
            if !counted_before.insert((owed.id, owed.by, owed.kind.number())) {
                continue;
            }
            for indicator in [Indicator::Feedback, Indicator::Timeliness] {
                if let Some(counted) = indicator.of_message(&owed.fact, bounds) {
                    count((indicator.number(), owed.by, Some(owed.kind)), owed.id, counted);
                }
            }
        }
        // What was deleted is counted, and nobody is told any more of which kind it was.
        let named = (!row.is_deleted()).then_some(kind);
        let fact = facts::message(store, key, row, differs)?;
        if fact.sent && kind == Kind::ArrivalNotice {
            told.entry(person).or_default().push((row.created, row.peer));
        }
        for indicator in Indicator::ALL {
            // What two offices exchanged is counted under the other's name, whoever sent it.
            let theirs = fact.sent || *indicator == Indicator::Gap;
            let measured = if theirs { row.peer.county() } else { ctx.county() };
            if let Some(counted) = indicator.of_message(&fact, bounds) {
                count((indicator.number(), measured, named), key.0, counted);
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    // What only the other side has: its kind is not known here.
    for (id, other) in differing {
        if (bounds.0..bounds.1).contains(&facts::time_of(id)) {
            count((Indicator::Gap.number(), other, None), id, true);
        }
    }
    Ok(told)
}

fn of_registrations(
    ctx: &Ctx,
    store: &Store,
    bounds: Bounds,
    (told, count): (&Told, &mut Counting<'_>),
) -> Result<(), AppError> {
    let checked = facts::checks(store, (bounds.0, bounds.1.saturating_add(FOLLOWED)))?;
    facts::registrations(store, bounds, &mut |id, row| {
        let first = row.0.history().iter().next();
        let origin = row.0.current().details.origin_area.county();
        let entered = first.map_or(id.timestamp(), |first| first.author.at);
        let fact = RegistrationFact {
            entered,
            told: told_at(told, row.0.person(), origin, entered),
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
        Ok(ControlFlow::Continue(()))
    })
}

fn told_at(
    told: &Told,
    person: PersonId,
    origin: AreaCode,
    entered: UnixMillis,
) -> Option<UnixMillis> {
    let latest = of_duty(Duty::TellArrival).due(entered).at();
    let notices = told.get(&person)?.iter();
    // Not of an earlier stay; a day for whoever enters what has just been told.
    let earliest = UnixMillis::new(entered.get().saturating_sub(DAY_MS));
    let time = earliest..latest;
    let fits = |(at, to): &&(UnixMillis, AreaCode)| *to == origin && time.contains(at);
    notices.filter(fits).map(|(at, _)| *at).max()
}

/// The id of a case, as it is written.
#[must_use]
pub fn case_id(id: [u8; 16]) -> String {
    MessageId::from_bytes(id).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_of_an_earlier_stay_tells_nobody_of_this_one() {
        let day = |number: u64| UnixMillis::new(1_780_000_000_000 + number * DAY_MS);
        let (her, origin): (PersonId, AreaCode) =
            (PersonId::from_bytes([1; 16]), "410522".parse().unwrap());
        let told = |at: u64| Told::from([(her, vec![(day(at), origin)])]);
        let seen = |at: u64, entered: u64| told_at(&told(at), her, origin, day(entered));
        assert_eq!(seen(0, 100), None, "that was another stay");
        assert_eq!(seen(100, 100), Some(day(100)));
        assert_eq!(seen(99, 100), Some(day(99)), "entered on the day after");
        assert_eq!(seen(190, 100), None, "far too late");
    }
}
