//! Both memories of a lane behave like plain sets, and stay small.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

use domain::time::UnixMillis;
use proptest::prelude::*;

use super::*;
use crate::envelope::Header;
use crate::runs::SeqRuns;
use crate::samples;

fn seen_numbers(lane: &LaneIn) -> Vec<u64> {
    (1..=lane.highest().get()).filter(|n| lane.has_seen(LaneSeq::new(*n))).collect()
}

#[test]
fn in_order_nothing_is_kept_but_a_number() {
    let mut lane = LaneIn::open(LaneEpoch::new(7), None);
    for n in 1..=100_000 {
        assert!(lane.mark(LaneSeq::new(n), samples::message_id(n)));
    }
    assert_eq!(lane.high_water().get(), 100_000);
    assert!(postcard::to_allocvec(&lane).unwrap().len() < 30);
}

#[test]
fn the_window_is_bounded() {
    let mut lane = LaneIn::open(LaneEpoch::new(7), None);
    let highest = LaneSeq::new(LANE_WINDOW);
    let id = samples::message_id;
    assert!(lane.mark(highest, id(1)));
    assert!(!lane.mark(highest.next(), id(9000)));
    assert_eq!(lane.newest(), Some(id(1)));
    assert_eq!(lane.admit(&samples::header(4097)), Admission::TooFarAhead { highest });
    assert_eq!(lane.admit(&samples::header(4096)), Admission::Seen);
    assert_eq!(lane.admit(&samples::header(4095)), Admission::Fresh);
    assert_eq!(lane.admit(&samples::header(u64::MAX)), Admission::TooFarAhead { highest });
    (2..LANE_WINDOW).for_each(|n| assert!(lane.mark(LaneSeq::new(n), id(n))));
    assert_eq!(lane.seen_above(), 4095);
    assert!(postcard::to_allocvec(&lane).unwrap().len() < 1000);
    assert!(lane.mark(LaneSeq::FIRST, id(1)));
    assert_eq!((lane.high_water(), lane.seen_above()), (highest, 0));
    assert_eq!(lane.admit(&samples::header(4097)), Admission::Fresh);
}

#[test]
fn what_a_carrier_turns_back_is_released_unless_somebody_else_has_it() {
    let at = |seconds: u64| UnixMillis::new(1_000 * seconds);
    let mut lane = LaneOut::new(LaneEpoch::new(7));
    lane.assigned_through(LaneSeq::new(5));
    lane.apply((1..=4).map(|n| Mark::InCustody(LaneSeq::new(n), at(60))));
    // One was settled by another way, one was handed to another carrier, one the recipient has put off.
    lane.apply([Mark::Settled(LaneSeq::new(2)), Mark::InCustody(LaneSeq::new(3), at(90))]);
    lane.apply([Mark::Deferred(LaneSeq::new(4), at(70))]);
    let all = || (1..=5).map(LaneSeq::new);
    let marks = lane.turned_back(all(), at(60), at(10));
    assert_eq!(marks, [Mark::Deferred(LaneSeq::FIRST, at(10))]);
    lane.apply(marks);
    assert_eq!(lane.rests_until(LaneSeq::FIRST), Some(at(10)));
    assert!(lane.turned_back(all(), at(60), at(10)).is_empty(), "once");
}

#[test]
fn ids_are_looked_up_only_where_they_may_have_come_in_another_epoch() {
    let header = samples::header(1);
    let opened_after = |millis: i64| {
        let opened = UnixMillis::new(samples::NOW.get().checked_add_signed(millis).unwrap());
        LaneIn::open(header.epoch, Some(opened)).admit(&header)
    };
    assert_eq!(LaneIn::open(header.epoch, None).admit(&header), Admission::Fresh);
    assert_eq!(opened_after(1), Admission::CheckId);
    assert_eq!(opened_after(-3_600_000), Admission::CheckId);
    assert_eq!(opened_after(-86_400_000), Admission::CheckId);
    assert_eq!(opened_after(-86_400_001), Admission::Fresh);
    assert_eq!(LaneIn::open(LaneEpoch::new(8), None).admit(&header), Admission::OtherEpoch);
    // What was on its way in the old epoch when a new one was opened is looked up as well.
    let mut old = LaneIn::open(header.epoch, None);
    old.another_opened(samples::NOW);
    assert_eq!(old.admit(&header), Admission::CheckId);
    old.another_opened(UnixMillis::new(0));
    assert_eq!(old.opened(), Some(samples::NOW));
}

#[test]
fn only_an_id_that_nothing_stored_can_have_is_not_looked_up() {
    let mut lane = LaneIn::open(LaneEpoch::new(7), None);
    let admitted = |lane: &LaneIn, sequence: u64, id: u64| {
        lane.admit(&Header { message_id: samples::message_id(id), ..samples::header(sequence) })
    };
    assert_eq!(admitted(&lane, 1, 5), Admission::Fresh);
    lane.mark(LaneSeq::new(3), samples::message_id(5));
    for (id, admission) in [(4, Admission::CheckId), (5, Admission::CheckId), (6, Admission::Fresh)]
    {
        assert_eq!(admitted(&lane, 4, id), admission);
    }
    // Another county's id may be that of another county's message.
    let mut header = samples::header(4);
    header.message_id = samples::message_id(6);
    header.from = samples::area("440305");
    assert_eq!(lane.admit(&header), Admission::CheckId);
    // What came late does not make the newest older.
    lane.mark(LaneSeq::new(2), samples::message_id(2));
    assert_eq!(admitted(&lane, 4, 4), Admission::CheckId);
}

#[test]
fn lanes_of_the_first_layout_are_read() {
    let older = v1::LaneIn {
        epoch: LaneEpoch::new(7),
        opened: None,
        high_water: LaneSeq::new(4),
        above: VecDeque::new(),
    };
    let mut lane = LaneIn::from(older);
    // Which message was the newest is not known until the next one has come.
    assert_eq!(lane.admit(&samples::header(5)), Admission::CheckId);
    assert!(lane.mark(LaneSeq::new(5), samples::message_id(5)));
    assert_eq!(lane.admit(&samples::header(6)), Admission::Fresh);
    let mut lane = LaneOut::new(LaneEpoch::new(7));
    lane.assigned_through(LaneSeq::new(3));
    lane.apply([Mark::Settled(LaneSeq::new(1)), Mark::Deferred(LaneSeq::new(2), samples::NOW)]);
    let older = v1::LaneOut {
        epoch: lane.epoch(),
        next: lane.next_sequence(),
        settled: lane.settled().clone(),
        deferred: lane.deferred().clone(),
    };
    assert_eq!(LaneOut::from(older), lane);
}

#[test]
fn a_lane_out_gives_numbers_and_forgets_what_is_settled() {
    let mut lane = LaneOut::new(LaneEpoch::new(7));
    let given: Vec<_> = (0..5).map(|_| lane.assign().get()).collect();
    assert_eq!(given, [1, 2, 3, 4, 5]);
    let until = UnixMillis::new(9);
    lane.apply([1, 2, 4].map(|n| Mark::Settled(LaneSeq::new(n))));
    lane.apply([Mark::Deferred(LaneSeq::new(3), until), Mark::Deferred(LaneSeq::new(4), until)]);
    assert_eq!(lane.settled_through().get(), 2);
    assert_eq!(lane.deferred(), &BTreeMap::from([(LaneSeq::new(3), until)]));
    assert_eq!(lane.unsettled().iter().map(LaneSeq::get).collect::<Vec<_>>(), [5]);
    assert_eq!(lane.waiting(), 2);
    // Late and nonsensical marks change nothing.
    let before = lane.clone();
    lane.apply([Mark::Deferred(LaneSeq::new(3), UnixMillis::new(8))]);
    lane.apply([0, 6].map(|n| Mark::Settled(LaneSeq::new(n))));
    assert_eq!(lane, before);
    lane.apply([3, 5].map(|n| Mark::Settled(LaneSeq::new(n))));
    assert_eq!((lane.settled_through().get(), lane.waiting()), (5, 0));
    assert!(lane.deferred().is_empty() && lane.unsettled().is_empty());
    assert!(postcard::to_allocvec(&lane).unwrap().len() < 10);
}

#[test]
fn what_a_relay_holds_is_kept_by_the_parcel() {
    let mut lane = LaneOut::new(LaneEpoch::new(7));
    lane.assigned_through(LaneSeq::new(1000));
    let (early, late) = (UnixMillis::new(50), UnixMillis::new(90));
    lane.apply((1..=512).map(|n| Mark::InCustody(LaneSeq::new(n), early)));
    lane.apply((513..=900).map(|n| Mark::InCustody(LaneSeq::new(n), late)));
    assert_eq!(lane.in_custody().len(), 2);
    assert!(postcard::to_allocvec(&lane).unwrap().len() < 30);
    assert_eq!(lane.unsettled().count(), 100);
    assert_eq!(lane.rests_until(LaneSeq::new(513)), Some(late));
    // A word that is repeated late brings nothing forward; a longer patience holds.
    lane.apply([600, 1].map(|n| Mark::InCustody(LaneSeq::new(n), UnixMillis::new(60))));
    assert_eq!(lane.rests_until(LaneSeq::new(600)), Some(late));
    assert_eq!(lane.rests_until(LaneSeq::FIRST), Some(UnixMillis::new(60)));
    // The recipient's word is more than the relay's, until it is handed over again.
    lane.apply([Mark::Deferred(LaneSeq::new(600), UnixMillis::new(70))]);
    assert_eq!(lane.rests_until(LaneSeq::new(600)), Some(UnixMillis::new(70)));
    lane.apply([Mark::InCustody(LaneSeq::new(600), early)]);
    assert_eq!((lane.rests_until(LaneSeq::new(600)), lane.deferred().len()), (Some(early), 0));
    lane.apply((1..=900).map(|n| Mark::Settled(LaneSeq::new(n))));
    assert!(lane.in_custody().is_empty());
    lane.apply([Mark::InCustody(LaneSeq::FIRST, late), Mark::InCustody(LaneSeq::new(1001), late)]);
    assert!(lane.in_custody().is_empty());
}

fn any_mark() -> impl Strategy<Value = Mark> {
    let of = |mark: fn(LaneSeq, UnixMillis) -> Mark| {
        (0..14_u64, 0..9_u64).prop_map(move |(n, at)| mark(LaneSeq::new(n), UnixMillis::new(at)))
    };
    prop_oneof![of(|sequence, _| Mark::Settled(sequence)), of(Mark::Deferred), of(Mark::InCustody)]
}

proptest! {
    #[test]
    fn each_sequence_of_a_lane_out_is_in_one_state(marks in prop::collection::vec(any_mark(), 0..60)) {
        let mut lane = LaneOut::new(LaneEpoch::new(7));
        lane.assigned_through(LaneSeq::new(12));
        for mark in marks {
            lane.apply([mark]);
            let held: Vec<_> = lane.in_custody().values().flat_map(SeqRuns::iter).collect();
            prop_assert!(lane.in_custody().values().all(|held| !held.is_empty()));
            let all: Vec<_> = lane.settled().iter().chain(lane.deferred().keys().copied())
                .chain(held.iter().copied()).chain(lane.unsettled().iter()).collect();
            prop_assert_eq!(all.len(), 12);
            prop_assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), 12);
            for sequence in (1..=12).map(LaneSeq::new) {
                let rests = lane.deferred().contains_key(&sequence) || held.contains(&sequence);
                prop_assert_eq!(lane.rests_until(sequence).is_some(), rests);
            }
        }
        let stored = postcard::to_allocvec(&lane).unwrap();
        prop_assert_eq!(postcard::from_bytes::<LaneOut>(&stored).unwrap(), lane);
    }

    #[test]
    fn lane_in_is_a_set(sequences in prop::collection::vec(prop_oneof![1..300_u64, 1..9000_u64], 0..400)) {
        let mut lane = LaneIn::open(LaneEpoch::new(7), None);
        let mut set = BTreeSet::new();
        for n in sequences {
            let fits = n <= lane.highest().get();
            prop_assert_eq!(lane.mark(LaneSeq::new(n), samples::message_id(n)), fits && set.insert(n));
        }
        prop_assert_eq!(lane.newest(), set.last().map(|n| samples::message_id(*n)));
        prop_assert_eq!(seen_numbers(&lane), set.iter().copied().collect::<Vec<_>>());
        let missing = (1..).find(|n| !set.contains(n)).unwrap();
        prop_assert_eq!(lane.high_water().get(), missing - 1);
        let stored = postcard::to_allocvec(&lane).unwrap();
        prop_assert_eq!(postcard::from_bytes::<LaneIn>(&stored).unwrap(), lane);
    }

    #[test]
    fn the_order_of_arrival_leaves_no_trace(count in 1..300_u64, seed in any::<u64>(), gap in 1..300_u64) {
        let mut shuffled: Vec<u64> = (1..=count).filter(|n| *n != gap).collect();
        shuffled.sort_by_key(|n| n.wrapping_mul(seed | 1).rotate_left(17));
        let lane_of = |order: &[u64]| {
            let mut lane = LaneIn::open(LaneEpoch::new(7), None);
            order.iter().for_each(|n| assert!(lane.mark(LaneSeq::new(*n), samples::message_id(*n))));
            lane
        };
        let mut sorted = shuffled.clone();
        sorted.sort_unstable();
        prop_assert_eq!(lane_of(&shuffled), lane_of(&sorted));
    }
}
