//! What a county had told the node above it before its data were lost. By that it learns which messages it had, and of
//! which of them nobody has anything any more.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::{Date, UnixMillis};
use exchange::ledger::Direction;
use exchange::reconcile::Entry;
use exchange::reconcile::calls::{FormerPart, FormerPlace, RECORDS_AT_ONCE};
use exchange::reconcile::difference::{Difference, DifferenceName};
use exchange::reconcile::set::Scope;
use exchange::reconcile::told::read_record;
use store::messages::peer_key;
use store::reconcile::{BookKey, DifferenceState, LostWindow, RunRow, RunState, month_key};
use store::tables::{BOOK, FORMER, GATE, REPORTED, UNDER_WAY};
use store::{Store, Unit};

use super::runs::Asked;
use super::{books, reports};
use crate::app::{AppError, Refusal, restore};

/// Messages that are missed at most; what is beyond is not named, and the run says so.
pub const MISSED_MAX: usize = 100_000;
/// Of how many messages it is noted in one unit that a relay holds them.
const CARRIED_AT_ONCE: usize = 1_000;
/// Mail may have been on its way for so long before the backup: as long as a message keeps its purpose, and a day.
const BEFORE_BACKUP_DAYS: i32 = 91;

/// A part of what earlier incarnations of a county's data have told, at the node above it.
///
/// # Errors
/// `STATE_FORBIDS` while the present incarnation has not reported to the end; when rows cannot be read.
pub fn part(
    store: &Store,
    county: AreaCode,
    incarnation: u32,
    from: FormerPlace,
) -> Result<FormerPart, AppError> {
    let county = peer_key(county);
    let present = store.get(&REPORTED, &county)?.map(|row| row.incarnation);
    if present != Some(incarnation) {
        let detail = "the present data have not been reported yet";
        return Err(Refusal::new(Reason::StateForbids).detail(detail).into());
    }
    let former = store.scan_under(&FORMER, &(county,), None, usize::MAX)?;
    let former = former.into_iter().filter(|((_, of), _)| *of != incarnation);
    let through = former.map(|(_, row)| row.through).max();
    let wanted = |(_, month, of): &BookKey| {
        *of != incarnation && (*month, *of) >= (from.month, from.incarnation)
    };
    let mut keys = store.journals_under(&BOOK, &(county,), usize::MAX)?;
    keys.retain(wanted);
    keys.sort_by_key(|(_, month, of)| (*month, *of));
    let mut keys = keys.into_iter().peekable();
    while let Some(key) = keys.next() {
        let (_, month, of) = key;
        let is_first = (month, of) == (from.month, from.incarnation);
        let start = if is_first { from.position.max(1) } else { 1 };
        let records = store.read_from(&BOOK, &key, start, RECORDS_AT_ONCE, usize::MAX)?;
        let Some((last, _)) = records.last() else { continue };
        let next = match records.len() < RECORDS_AT_ONCE {
            true => keys.peek().map(|(_, month, of)| (*month, *of, 1)),
            false => Some((month, of, last.saturating_add(1))),
        };
        let next =
            next.map(|(month, incarnation, position)| FormerPlace { month, incarnation, position });
        let records = records.into_iter().map(|(_, record)| record).collect();
        return Ok(FormerPart { records, next, through });
    }
    Ok(FormerPart { records: Vec::new(), next: None, through })
}

/// When that was entered which may be lost. None for a node that was never restored.
///
/// # Errors
/// When the row cannot be read.
pub fn window(store: &Store, named: Option<UnixMillis>) -> Result<Option<LostWindow>, AppError> {
    let origin = restore::origin(store)?;
    Ok(origin.map(|origin| LostWindow { from: origin.backup, named, until: origin.restored }))
}

/// First and last day of what may be lost. Before the first day, all that was told is in the backup; after a rebuild from
/// damaged files anything may be missing since the data were first begun.
///
/// # Errors
/// When the row cannot be read.
pub fn days(store: &Store, window: &LostWindow) -> Result<(Date, Date), AppError> {
    let since = match window.from {
        Some(backup) => backup,
        None => begun(store, window.until)?,
    };
    let first = since.date().plus_days(-BEFORE_BACKUP_DAYS).max(UnixMillis::new(0).date());
    Ok((first, window.until.date()))
}

/// When the data were first begun; the beginning of time where that is lost as well.
fn begun(store: &Store, restored: UnixMillis) -> Result<UnixMillis, AppError> {
    let created = store.get(&GATE, &())?.map(|gate| UnixMillis::new(gate.created));
    // A rebuild that has not found it writes when it ran.
    Ok(created.filter(|created| *created < restored).unwrap_or(UnixMillis::new(0)))
}

/// Where to begin to ask: at the first month of these days; after a rebuild at the first of all.
///
/// # Errors
/// When the row cannot be read.
pub fn beginning(store: &Store, window: &LostWindow) -> Result<FormerPlace, AppError> {
    let month = match window.from {
        Some(_) => month_key(days(store, window)?.0.month()),
        None => 0,
    };
    Ok(FormerPlace { month, ..FormerPlace::default() })
}

/// Messages that were told once and are not here now, with what was last said of each.
#[derive(Clone, Debug, Default)]
pub struct Missed {
    messages: BTreeMap<MessageId, (Direction, Entry)>,
    /// Side and id of everything in our own book, by month.
    here: BTreeMap<u32, HashSet<(Direction, MessageId)>>,
    /// Records that were looked at.
    pub looked: u64,
    /// There are more than [`MISSED_MAX`].
    pub is_cut: bool,
}

impl Missed {
    /// Takes a part of what was told.
    ///
    /// # Errors
    /// `MALFORMED` when a record is none of ours; when rows cannot be read.
    pub fn take(
        &mut self,
        store: &Store,
        own: AreaCode,
        records: &[Vec<u8>],
    ) -> Result<(), AppError> {
        for bytes in records {
            let malformed = || AppError::from(Refusal::new(Reason::Malformed).field("recall"));
            let (direction, entry) = read_record(bytes).ok_or_else(malformed)?;
            if !reports::is_of(own, direction, &entry) {
                return Err(malformed());
            }
            self.looked = self.looked.saturating_add(1);
            if self.is_here(store, own, direction, &entry)? {
                continue;
            }
            if self.messages.len() >= MISSED_MAX && !self.messages.contains_key(&entry.id) {
                self.is_cut = true;
                continue;
            }
            self.messages.insert(entry.id, (direction, entry));
        }
        Ok(())
    }

    /// Looks again which of them are here by now. The own book was brought up.
    ///
    /// # Errors
    /// When rows cannot be read.
    pub fn look_again(&mut self, store: &Store, own: AreaCode) -> Result<(), AppError> {
        self.here.clear();
        let mut missed = BTreeMap::new();
        for (id, (direction, entry)) in std::mem::take(&mut self.messages) {
            if !self.is_here(store, own, direction, &entry)? {
                missed.insert(id, (direction, entry));
            }
        }
        self.messages = missed;
        self.here.clear();
        Ok(())
    }

    fn is_here(
        &mut self,
        store: &Store,
        own: AreaCode,
        direction: Direction,
        entry: &Entry,
    ) -> Result<bool, AppError> {
        let month = month_key(entry.day().month());
        if !self.here.contains_key(&month) {
            // What was told comes month by month: one of them is held at a time.
            self.here.clear();
            let mut here = HashSet::new();
            books::read_book(store, &(peer_key(own), month, 0), |direction, entry| {
                here.insert((direction, entry.id));
            })?;
            self.here.insert(month, here);
        }
        let here = self.here.get(&month);
        Ok(here.is_some_and(|here| here.contains(&(direction, entry.id))))
    }

    /// Whether nothing is missed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Provinces that may carry messages of ours which are missed: ours, and those of their recipients.
    #[must_use]
    pub fn relays(&self, own: AreaCode) -> BTreeSet<AreaCode> {
        let sent = self.messages.values().filter(|(direction, _)| *direction == Direction::Sent);
        sent.flat_map(|(_, entry)| [own.province(), entry.to.province()]).collect()
    }

    /// What is missed, by name, and whether that is the end of it: it is lost when the other county's ledger was compared
    /// with ours since, over its time, and ended equal or with what no program cures; and, of what we had sent, when no
    /// relay had it since then. `runs` are those of this restore.
    #[must_use]
    pub fn named(
        &self,
        own: AreaCode,
        runs: &[Asked],
        carried: &Carried,
    ) -> Vec<(Difference, DifferenceState)> {
        let each = self.messages.values().map(|(direction, entry)| {
            let (name, sender, recipient) = match direction {
                Direction::Sent => (DifferenceName::MissingAtSender, Some(*entry), None),
                Direction::Received => (DifferenceName::MissingAtRecipient, None, Some(*entry)),
            };
            let may_come = |run: &Asked| {
                *direction == Direction::Sent && carried.may_bring(own, entry, run.run.started)
            };
            let is_lost = runs.iter().any(|run| has_settled(own, run, entry) && !may_come(run));
            let state = if is_lost { DifferenceState::Lost } else { DifferenceState::Open };
            (Difference { name, sender, recipient }, state)
        });
        each.collect()
    }
}

/// What relays say of messages of ours that are missed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// When a relay last said that it holds a message.
    pub seen: BTreeMap<MessageId, UnixMillis>,
    /// Relays that have not said everything.
    pub unasked: BTreeSet<AreaCode>,
}

impl Carried {
    /// Whether a message may have come to its recipient after a comparison that was begun then, or may come yet.
    fn may_bring(&self, own: AreaCode, entry: &Entry, compared: UnixMillis) -> bool {
        let relays = [own.province(), entry.to.province()];
        self.seen.get(&entry.id).is_some_and(|seen| *seen >= compared)
            || relays.iter().any(|relay| self.unasked.contains(relay))
    }
}

/// Notes which of the missed messages relays hold now; gives when that was last said of each.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn carried(
    store: &Store,
    missed: &Missed,
    held: BTreeSet<MessageId>,
    now: UnixMillis,
) -> Result<BTreeMap<MessageId, UnixMillis>, AppError> {
    let held: Vec<_> = held.into_iter().filter(|id| missed.messages.contains_key(id)).collect();
    for part in held.chunks(CARRIED_AT_ONCE) {
        let part = part.to_vec();
        let write = move |unit: &mut Unit<'_>| {
            part.iter().try_for_each(|id| unit.put(&UNDER_WAY, id.as_bytes(), &now.get()))?;
            Ok::<_, AppError>(())
        };
        store.commit(write).await.map_err(AppError::from)?;
    }
    let mut seen = BTreeMap::new();
    for id in missed.messages.keys() {
        let at = store.get(&UNDER_WAY, id.as_bytes())?;
        seen.extend(at.map(|at| (*id, UnixMillis::new(at))));
    }
    Ok(seen)
}

/// Whether a run has come to an end that says that its other side does not have a message which is not here. A province
/// says that of a county of its own which had reported that day to it.
fn has_settled(own: AreaCode, Asked { run, lacks }: &Asked, entry: &Entry) -> bool {
    let other = if entry.from == own { entry.to } else { entry.from };
    let RunRow { with: answerer, first, last, until, state, .. } = *run;
    let scope = Scope { asker: own, answerer, first, last, until };
    let is_settled = matches!(state, RunState::Equal | RunState::Decisions);
    let is_told = || {
        // A run that was only left because of other counties has compared everything else.
        let ended = lacks.as_ref().filter(|_| is_settled || state == RunState::Left);
        ended.is_some_and(|lacks| lacks.get(&other).is_none_or(|since| entry.day() < *since))
    };
    let says = match answerer {
        with if with == other => is_settled,
        with => with == other.province() && is_told(),
    };
    says && scope.holds(entry.id, entry.from, entry.to)
}

#[cfg(test)]
mod tests {
    use exchange::digest::Digest;
    use exchange::reconcile::EntryState;

    use super::*;

    const OWN: &str = "410522";

    fn entry(made: UnixMillis, to: &str) -> Entry {
        let id = MessageId::new(made, [7; 10]);
        let digest = Digest::of(id.as_bytes());
        let (from, to) = (OWN.parse().unwrap(), to.parse().unwrap());
        Entry { id, digest, from, to, state: EntryState::Waiting }
    }

    fn run(with: &str, on: Date, state: RunState) -> RunRow {
        RunRow {
            with: with.parse().unwrap(),
            first: on,
            last: on,
            until: on.ends(),
            after_restore: true,
            state,
            started: on.begins(),
            touched: on.begins(),
            comparisons: 1,
            bytes: 0,
            entries: (0, 0),
            found: [0; 6],
            cured: [0; 6],
            trouble: String::new(),
            statement: None,
            lost: 0,
            window: None,
        }
    }

    #[test]
    fn mail_that_was_on_its_way_at_the_backup_is_looked_for() {
        let long = crate::app::messages::send::EXPIRES_AFTER.as_secs() / 86_400;
        assert!(u64::try_from(BEFORE_BACKUP_DAYS).unwrap() > long);
    }

    #[test]
    fn only_a_county_that_was_compared_with_to_the_end_can_say_that_a_message_is_lost() {
        let own: AreaCode = OWN.parse().unwrap();
        let day = Date::new(2026, 10, 5).unwrap();
        let entry = entry(day.begins(), "440305");
        let mut missed = Missed::default();
        missed.messages.insert(entry.id, (Direction::Sent, entry));
        let named = |runs: &[RunRow]| {
            let ended = |run: &RunRow| Asked { run: run.clone(), lacks: Some(BTreeMap::new()) };
            let runs: Vec<_> = runs.iter().map(ended).collect();
            missed.named(own, &runs, &Carried::default())
        };
        let state = |runs: &[RunRow]| named(runs).first().map(|(_, state)| *state);
        let lost = Some(DifferenceState::Lost);
        let open = Some(DifferenceState::Open);
        assert_eq!(state(&[]), open, "nobody was asked");
        assert_eq!(state(&[run("440305", day, RunState::Equal)]), lost);
        assert_eq!(state(&[run("440305", day, RunState::Decisions)]), lost);
        for state_of_run in [RunState::Running, RunState::Left, RunState::Failed] {
            assert_eq!(state(&[run("440305", day, state_of_run)]), open, "{state_of_run:?}");
        }
        let other_day = run("440305", day.plus_days(1), RunState::Equal);
        let other_county = run("440306", day, RunState::Equal);
        assert_eq!(state(&[other_day, other_county]), open, "they say nothing of it");
        let named = named(&[]);
        assert_eq!(named[0].0.name, DifferenceName::MissingAtSender);
        assert_eq!(named[0].0.pair(), Some((entry.from, entry.to)));
    }

    #[test]
    fn a_province_says_what_is_lost_of_the_counties_that_had_reported_that_day() {
        let own: AreaCode = OWN.parse().unwrap();
        let day = Date::new(2026, 10, 5).unwrap();
        let entry = entry(day.begins(), "440305");
        let mut missed = Missed::default();
        missed.messages.insert(entry.id, (Direction::Sent, entry));
        let state = |with: &str, state, lacks: Option<&[(&str, Date)]>| {
            let lacks = lacks.map(|lacks| {
                lacks.iter().map(|(county, since)| (county.parse().unwrap(), *since)).collect()
            });
            let asked = Asked { run: run(with, day, state), lacks };
            missed.named(own, &[asked], &Carried::default()).first().map(|(_, state)| *state)
        };
        let (lost, open) = (Some(DifferenceState::Lost), Some(DifferenceState::Open));
        assert_eq!(state("440000", RunState::Equal, Some(&[])), lost);
        assert_eq!(
            state("440000", RunState::Equal, None),
            open,
            "it does not say who had reported"
        );
        assert_eq!(state("440000", RunState::Left, None), open, "differences were left");
        assert_eq!(state("440000", RunState::Failed, Some(&[])), open);
        let other = [("440306", day)];
        assert_eq!(state("440000", RunState::Left, Some(&other)), lost, "left for another county");
        let that_day = [("440305", day)];
        assert_eq!(state("440000", RunState::Left, Some(&that_day)), open);
        let later = [("440305", day.plus_days(1))];
        assert_eq!(state("440000", RunState::Left, Some(&later)), lost, "of that day it had");
        assert_eq!(state("450000", RunState::Equal, Some(&[])), open, "another province");
    }

    #[test]
    fn what_a_relay_holds_or_held_since_the_comparison_is_not_lost() {
        let own: AreaCode = OWN.parse().unwrap();
        let day = Date::new(2026, 10, 5).unwrap();
        let entry = entry(day.begins(), "440305");
        let mut missed = Missed::default();
        missed.messages.insert(entry.id, (Direction::Sent, entry));
        let asked = Asked { run: run("440305", day, RunState::Equal), lacks: None };
        let begun = asked.run.started;
        let runs = [asked];
        let state = |missed: &Missed, carried: &Carried| {
            missed.named(own, &runs, carried).first().map(|(_, state)| *state)
        };
        let (lost, open) = (Some(DifferenceState::Lost), Some(DifferenceState::Open));
        let seen = |at: UnixMillis| Carried {
            seen: BTreeMap::from([(entry.id, at)]),
            unasked: BTreeSet::new(),
        };
        let long = std::time::Duration::from_secs(60);
        assert_eq!(state(&missed, &Carried::default()), lost);
        assert_eq!(
            state(&missed, &seen(begun.saturating_add(long))),
            open,
            "it may have come since"
        );
        assert_eq!(state(&missed, &seen(begun.saturating_sub(long))), lost, "it did not come");
        let unasked = |relay: &str| Carried {
            seen: BTreeMap::new(),
            unasked: BTreeSet::from([relay.parse().unwrap()]),
        };
        assert_eq!(state(&missed, &unasked("440000")), open);
        assert_eq!(state(&missed, &unasked("410000")), open);
        assert_eq!(state(&missed, &unasked("450000")), lost, "it carries nothing there");
        let relays = BTreeSet::from(["410000", "440000"].map(|code| code.parse().unwrap()));
        assert_eq!(missed.relays(own), relays);
        // What was sent to us lay on another's disk.
        let mut received = Missed::default();
        received.messages.insert(entry.id, (Direction::Received, entry));
        assert_eq!(state(&received, &unasked("440000")), lost);
        assert_eq!(received.relays(own), BTreeSet::new());
    }
}
