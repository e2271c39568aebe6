//! Rows as they were in layout 1.

use exchange::lane::v1::{LaneIn, LaneOut};
use serde::{Deserialize, Serialize};

use crate::value::first_layouts;

/// The state of an outbound lane, before there were relays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneOutRow {
    pub(super) lane: LaneOut,
}

/// The state of an inbound lane, before it knew its newest message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneInRow {
    pub(super) lane: LaneIn,
}

first_layouts!(LaneOutRow, LaneInRow);
