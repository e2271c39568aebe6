//! Lanes that are on disks stay readable.

use domain::area::AreaCode;
use exchange::lane::{LaneOut, Mark};

use super::*;
use crate::value::Value;

/// Epoch 7; numbers given up to 9; settled 1 to 3 and 5; 4 put off until 1,000.
const LANE_OUT_1: &str = "01070a020103050501 04e807";
/// The same, and 7 to 9 in custody until 2,000.
const LANE_OUT_2: &str = "02070a020103050501 04e807 01d00f010709";
/// Epoch 7, no other; seen up to 3, and 5.
const LANE_IN_1: &str = "0107000301 20";
/// The same; the newest message is `LARGEST`.
const LANE_IN_2: &str = "0207000301 20 01019000000001700080000000000 6439a";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    let byte = |pair: &[u32]| u8::try_from(pair[0] * 16 + pair[1]).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn stored(row: &impl Value) -> Vec<u8> {
    let mut stored = Vec::new();
    row.encode(&mut stored).unwrap();
    stored
}

#[test]
fn outbound_lanes_of_both_layouts_are_read() {
    let mut lane = LaneOut::new(LaneEpoch::new(7));
    lane.assigned_through(LaneSeq::new(9));
    lane.apply([1, 2, 3, 5].map(|n| Mark::Settled(LaneSeq::new(n))));
    lane.apply([Mark::Deferred(LaneSeq::new(4), UnixMillis::new(1000))]);
    let older = LaneOutRow::decode(&bytes(LANE_OUT_1)).unwrap();
    assert_eq!(older, LaneOutRow { lane: lane.clone() });
    lane.apply([7, 8, 9].map(|n| Mark::InCustody(LaneSeq::new(n), UnixMillis::new(2000))));
    assert_eq!(stored(&LaneOutRow { lane: lane.clone() }), bytes(LANE_OUT_2));
    assert_eq!(LaneOutRow::decode(&bytes(LANE_OUT_2)), Ok(LaneOutRow { lane }));
}

#[test]
fn inbound_lanes_of_both_layouts_are_read() {
    let county: AreaCode = "410522".parse().unwrap();
    let largest = domain::id::MessageIds::of(county).next(UnixMillis::new(0x0190_0000_0001), 0);
    let mut lane = LaneIn::open(LaneEpoch::new(7), None);
    for sequence in [1, 2, 3, 5] {
        assert!(lane.mark(LaneSeq::new(sequence), largest));
    }
    let older = LaneInRow::decode(&bytes(LANE_IN_1)).unwrap().lane;
    assert_eq!(
        (older.high_water(), older.seen_above(), older.newest()),
        (LaneSeq::new(3), 1, None)
    );
    assert!(older.has_seen(LaneSeq::new(5)));
    assert_eq!(stored(&LaneInRow { lane: lane.clone() }), bytes(LANE_IN_2));
    assert_eq!(LaneInRow::decode(&bytes(LANE_IN_2)), Ok(LaneInRow { lane }));
}
