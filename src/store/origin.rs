//! Where the data of a store came from, when they did not simply grow here, and when its clock was last believed.

use domain::time::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::value::first_layouts;

/// The last thing that made these data another incarnation. Written by whatever restores or rebuilds a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginRow {
    /// When the backup was made; none for a store rebuilt from damaged files.
    pub backup: Option<UnixMillis>,
    /// Last group of writes in it.
    pub group: u64,
    /// When it was put in place.
    pub restored: UnixMillis,
}

/// Which incarnation of the data the lanes belong to, and since when data may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredRow {
    /// Incarnation for which new lane epochs are open.
    pub incarnation: u32,
    /// What made it; none while the data simply grew here.
    pub origin: Option<OriginRow>,
}

/// When the clock of this node was last believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeKnownRow {
    /// The newest time that was believed.
    pub believed: UnixMillis,
    /// While it is not: when that was first noticed, and when it was last looked at, by that clock.
    pub doubted: Option<(UnixMillis, UnixMillis)>,
}

first_layouts!(OriginRow, RestoredRow, TimeKnownRow);
