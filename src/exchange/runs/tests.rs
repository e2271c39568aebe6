//! Runs behave like an ordinary set of numbers.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Change {
    Insert(u64),
    InsertRun(u64, u64),
    Remove(u64),
    Take(u64, u64),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (1..60_u64).prop_map(Change::Insert),
        (1..60_u64, 0..20_u64).prop_map(|(a, n)| Change::InsertRun(a, a + n)),
        (1..60_u64).prop_map(Change::Remove),
        (0..10_u64, 1..60_u64).prop_map(|(most, limit)| Change::Take(most, limit)),
    ]
}

fn number(of: usize) -> u64 {
    u64::try_from(of).unwrap()
}

fn numbers(runs: &SeqRuns) -> Vec<u64> {
    runs.iter().map(LaneSeq::get).collect()
}

proptest! {
    #[test]
    fn like_a_set(changes in prop::collection::vec(change(), 0..60)) {
        let (mut runs, mut set) = (SeqRuns::new(), BTreeSet::new());
        for change in changes {
            match change {
                Change::Insert(n) => { runs.insert(LaneSeq::new(n)); set.insert(n); }
                Change::InsertRun(first, last) => {
                    runs.insert_run(Run { first: LaneSeq::new(first), last: LaneSeq::new(last) });
                    set.extend(first..=last);
                }
                Change::Remove(n) => prop_assert_eq!(runs.remove(LaneSeq::new(n)), set.remove(&n)),
                Change::Take(most, limit) => {
                    let expected: Vec<_> = set.iter().copied().filter(|n| *n <= limit).take(usize::try_from(most).unwrap()).collect();
                    prop_assert_eq!(runs.count_up_to(most, LaneSeq::new(limit)), number(expected.len()));
                    let taken = runs.take_first(most, LaneSeq::new(limit));
                    prop_assert_eq!(numbers(&taken), expected.clone());
                    expected.iter().for_each(|n| { set.remove(n); });
                    prop_assert!(SeqRuns::try_from(taken.0).is_ok());
                }
            }
            prop_assert_eq!(numbers(&runs), set.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(runs.count(), number(set.len()));
            prop_assert_eq!(runs.first().map(LaneSeq::get), set.first().copied());
            (1..80).for_each(|n| assert_eq!(runs.contains(LaneSeq::new(n)), set.contains(&n)));
            // Sorted and apart after every change; that makes equal sets equal values.
            prop_assert!(SeqRuns::try_from(runs.0.clone()).is_ok());
        }
    }

    #[test]
    fn merging_is_union(a in prop::collection::btree_set(1..60_u64, 0..30), b in prop::collection::btree_set(1..60_u64, 0..30)) {
        let runs = |set: &BTreeSet<u64>| set.iter().copied().map(LaneSeq::new).collect::<SeqRuns>();
        let mut merged = runs(&a);
        merged.merge(runs(&b));
        prop_assert_eq!(merged, runs(&a.union(&b).copied().collect()));
    }

    #[test]
    fn without_is_difference_and_up_to_is_a_cut(
        a in prop::collection::btree_set(1..60_u64, 0..40), b in prop::collection::btree_set(1..60_u64, 0..40), limit in 0..70_u64,
    ) {
        let runs = |set: &BTreeSet<u64>| set.iter().copied().map(LaneSeq::new).collect::<SeqRuns>();
        prop_assert_eq!(runs(&a).without(&runs(&b)), runs(&a.difference(&b).copied().collect()));
        let cut = a.iter().copied().filter(|n| *n <= limit).collect();
        prop_assert_eq!(runs(&a).up_to(LaneSeq::new(limit)), runs(&cut));
    }
}

#[test]
fn stored_runs_must_be_sorted_and_apart() {
    let stored = |runs: &[(u64, u64)]| {
        postcard::from_bytes::<SeqRuns>(&postcard::to_allocvec(runs).unwrap())
    };
    assert_eq!(numbers(&stored(&[(1, 2), (4, 4)]).unwrap()), [1, 2, 4]);
    assert!(stored(&[(1, 2), (3, 4)]).is_err());
    assert!(stored(&[(4, 4), (1, 2)]).is_err());
    assert!(stored(&[(2, 1)]).is_err());
}

#[test]
fn the_end_of_the_numbers_is_no_trap() {
    let end = LaneSeq::new(u64::MAX);
    let mut runs = SeqRuns::new();
    runs.insert(end);
    runs.insert_run(Run { first: LaneSeq::new(u64::MAX - 1), last: end });
    assert_eq!(runs.count(), 2);
    assert!(runs.without(&SeqRuns::from_iter([end])).count() == 1 && runs.up_to(end) == runs);
    assert!(runs.without(&runs).is_empty());
    assert!(runs.remove(end));
    assert_eq!(runs.take_first(u64::MAX, end).count(), 1);
}
