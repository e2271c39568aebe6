//! Sides of which one has far more than the other: what is found in portions is what there is.

use domain::time::UnixMillis;

use super::*;
use crate::reconcile::portions::Portions;
use crate::reconcile::totals::Held;
use crate::reconcile::totals::Holding;

/// A message of a day, so many days after the first.
fn of_day(day: i32, number: u8) -> Entry {
    let made = NOW.date().plus_days(day).begins().saturating_add(std::time::Duration::from_secs(1));
    let id = MessageId::new(made, [number; 10]);
    Entry { id, digest: Digest::of(id.as_bytes()), ..entry(0, EntryState::Stored) }
}

fn part_of(all: &[Entry], scope: &Scope) -> EntrySet {
    set(all.iter().filter(|it| scope.holds(it.id, it.from, it.to)).copied())
}

/// Compares in portions; gives the differences, what we hold, and how many portions there were.
fn compare(
    ours: &[Entry],
    theirs: &[Entry],
    days: i32,
    bears: [u64; 2],
) -> Result<(Vec<Difference>, Held, u32), Date> {
    let (first, until) = (NOW.date(), UnixMillis::new(u64::MAX));
    let whole = Scope { first, last: first.plus_days(days - 1), until, ..scope() };
    let mut portions = Portions::of(whole);
    let (mut found, mut holding) = (Vec::new(), Holding::default());
    while let Some(scope) = portions.next() {
        let sets = [ours, theirs].map(|all| part_of(all, &scope));
        let count = u64::try_from(sets[0].len()).unwrap();
        let [own, other] = sets;
        match differences_of(&own, &other, &scope, bears) {
            Err((entries, most)) => {
                // What the answerer refuses, it refuses for what we have.
                let entries = if entries == 0 { count } else { entries };
                if !portions.split(entries, most) {
                    return Err(scope.first);
                }
            }
            Ok(differences) => {
                portions.compared();
                found.extend(differences);
                holding.take(&own);
            }
        }
    }
    Ok((found, holding.end(), portions.done()))
}

type Outcome = Result<Vec<Difference>, (u64, u64)>;

/// One portion; or how many entries one side has, and how many would do. None where the answerer refuses: it only says so.
fn differences_of(own: &EntrySet, other: &EntrySet, scope: &Scope, bears: [u64; 2]) -> Outcome {
    let size = |fault| match fault {
        SessionError::TooLarge { entries, most } => (entries, most),
        fault => panic!("{fault}"),
    };
    let begun = Asker::new(*scope, own.clone(), NONCES[0], Vec::new(), bears[0]);
    let (mut asker, open) = begun.map_err(size)?;
    let begun = Answerer::open(open, other.clone(), NONCES[1], Lacks::default(), bears[1]);
    let (mut answerer, answers) = begun.map_err(|fault| (0, size(fault).1))?;
    let mut answers: std::collections::VecDeque<_> = answers.into();
    while !asker.is_known() {
        let answer = answers.pop_front().or_else(|| answerer.next_symbols()).unwrap();
        for ask in asker.step(answer).map_err(size)? {
            answers.extend(answerer.step(ask).unwrap());
        }
    }
    Ok(asker.differences(&Lacks::default()))
}

fn month(each: u8) -> Vec<Entry> {
    (0..30).flat_map(|day| (0..each).map(move |number| of_day(day, number))).collect()
}

#[test]
fn a_side_that_has_nothing_is_told_everything_in_portions_whoever_asks() {
    let all = month(10);
    for (ours, theirs) in [(&all[..0], &all[..]), (&all[..], &all[..0])] {
        let (found, held, portions) = compare(ours, theirs, 30, [60, 60]).unwrap();
        assert_eq!(found.len(), all.len());
        let ids: std::collections::BTreeSet<_> = found.iter().filter_map(Difference::id).collect();
        assert_eq!(ids.len(), all.len());
        assert_eq!(held, Held::of(&set(ours.iter().copied())));
        assert!((5..=8).contains(&portions), "{portions}");
        // A day has ten.
        assert_eq!(compare(ours, theirs, 30, [9, 9]), Err(NOW.date()));
        assert_eq!(compare(ours, theirs, 30, [300, 300]).unwrap().2, 1);
    }
    // The number of the side that has fewer is what counts.
    assert_eq!(compare(&[], &all, 30, [300, 0]).unwrap().2, 1);
    assert_eq!(compare(&all, &[], 30, [0, 300]).unwrap().2, 1);
}

proptest! {
    #[test]
    fn what_is_found_in_portions_is_what_is_found_at_once(
        ours in proptest::collection::btree_set((0_i32..12, 0_u8..20), 0..60),
        theirs in proptest::collection::btree_set((0_i32..12, 0_u8..20), 0..200),
        bears in 20_u64..60,
    ) {
        let [ours, theirs] = [ours, theirs].map(|numbers| {
            numbers.into_iter().map(|(day, number)| of_day(day, number)).collect::<Vec<_>>()
        });
        let sort = |(mut found, held, _): (Vec<Difference>, Held, u32)| {
            found.sort_by_key(Difference::id);
            (found, held)
        };
        let at_once = compare(&ours, &theirs, 12, [1_000, 1_000]).map(sort);
        let in_portions = compare(&ours, &theirs, 12, [bears, bears]).map(sort);
        prop_assert_eq!(at_once, in_portions);
    }
}
