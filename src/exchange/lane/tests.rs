//! Both memories of a lane behave like plain sets, and stay small.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use domain::time::UnixMillis;
use proptest::prelude::*;

use super::*;
use crate::samples;

fn seen_numbers(lane: &LaneIn) -> Vec<u64> {
    (1..=lane.highest().get()).filter(|n| lane.has_seen(LaneSeq::new(*n))).collect()
}

#[test]
fn in_order_nothing_is_kept_but_a_number() {
    let mut lane = LaneIn::open(LaneEpoch::new(7), None);
    for n in 1..=100_000 {
        assert!(lane.mark(LaneSeq::new(n)));
    }
    assert_eq!(lane.high_water().get(), 100_000);
    assert!(postcard::to_allocvec(&lane).unwrap().len() < 10);
}

#[test]
fn the_window_is_bounded() {
    let mut lane = LaneIn::open(LaneEpoch::new(7), None);
    let highest = LaneSeq::new(LANE_WINDOW);
    assert!(lane.mark(highest));
    assert!(!lane.mark(highest.next()));
    assert_eq!(lane.admit(&samples::header(4097)), Admission::TooFarAhead { highest });
    assert_eq!(lane.admit(&samples::header(4096)), Admission::Seen);
    assert_eq!(lane.admit(&samples::header(4095)), Admission::Fresh);
    assert_eq!(lane.admit(&samples::header(u64::MAX)), Admission::TooFarAhead { highest });
    (2..LANE_WINDOW).for_each(|n| assert!(lane.mark(LaneSeq::new(n))));
    assert_eq!(lane.seen_above(), 4095);
    assert!(postcard::to_allocvec(&lane).unwrap().len() < 1000);
    assert!(lane.mark(LaneSeq::FIRST));
    assert_eq!((lane.high_water(), lane.seen_above()), (highest, 0));
    assert_eq!(lane.admit(&samples::header(4097)), Admission::Fresh);
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

proptest! {
    #[test]
    fn lane_in_is_a_set(sequences in prop::collection::vec(prop_oneof![1..300_u64, 1..9000_u64], 0..400)) {
        let mut lane = LaneIn::open(LaneEpoch::new(7), None);
        let mut set = BTreeSet::new();
        for n in sequences {
            let fits = n <= lane.highest().get();
            prop_assert_eq!(lane.mark(LaneSeq::new(n)), fits && set.insert(n));
        }
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
            order.iter().for_each(|n| assert!(lane.mark(LaneSeq::new(*n))));
            lane
        };
        let mut sorted = shuffled.clone();
        sorted.sort_unstable();
        prop_assert_eq!(lane_of(&shuffled), lane_of(&sorted));
    }
}
