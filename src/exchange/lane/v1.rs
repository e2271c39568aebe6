//! Lanes as earlier versions stored them (layout 1), and what they are now.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use domain::time::UnixMillis;
use serde::Deserialize;
use serde::Serialize;

use super::LaneEpoch;
use super::LaneSeq;
use crate::runs::SeqRuns;

/// What a sender remembered before there were relays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneOut {
    pub(super) epoch: LaneEpoch,
    pub(super) next: LaneSeq,
    pub(super) settled: SeqRuns,
    pub(super) deferred: BTreeMap<LaneSeq, UnixMillis>,
}

/// What a receiver remembered before it knew the newest message of a lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneIn {
    pub(super) epoch: LaneEpoch,
    pub(super) opened: Option<UnixMillis>,
    pub(super) high_water: LaneSeq,
    pub(super) above: VecDeque<u64>,
}
