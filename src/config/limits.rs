//! The section `[limits]`: what peers may ask of this node at one time, and what operators may look at.

use domain::access::ReadLimits;

use crate::delivery::limits::rate::RateSettings;

use super::Check;
use super::raw::RawLimits;

/// What peers may ask of this node at one time.
#[derive(Clone, Copy, Debug)]
pub struct LimitSettings {
    /// Messages and bytes a second of one peer.
    pub rate: RateSettings,
    /// Connections of one peer at one time.
    pub connections_per_peer: usize,
    /// Bytes of the disk that have to stay free; 0 when nobody cares.
    pub disk_free_min: u64,
    /// Records of persons that one operator may look at, and from when others are told.
    pub reads: ReadLimits,
}

impl Check<'_> {
    pub(super) fn limits(&mut self, raw: &RawLimits) -> Option<LimitSettings> {
        let before = self.problems.len();
        self.range("limits.messages_per_second", &raw.messages_per_second, 10..10_000_001);
        // A full parcel is a mebibyte; at less than this it would take a peer off for long.
        self.range("limits.bytes_per_second", &raw.bytes_per_second, 65_536..u32::MAX);
        self.range("limits.connections_per_peer", &raw.connections_per_peer, 2..1_001);
        self.range("limits.disk_free_min_mb", &raw.disk_free_min_mb, 0..1_073_741_825);
        self.range("limits.reads_per_hour", &raw.reads_per_hour, 1..100_001);
        self.range("limits.reads_per_day", &raw.reads_per_day, 1..1_000_001);
        self.range("limits.reads_unusual_times", &raw.reads_unusual_times, 2..101);
        self.range("limits.reads_usual_least", &raw.reads_usual_least, 1..10_001);
        (self.problems.len() == before).then(|| LimitSettings {
            rate: RateSettings {
                messages_per_second: *raw.messages_per_second.get_ref(),
                bytes_per_second: *raw.bytes_per_second.get_ref(),
            },
            connections_per_peer: usize::try_from(*raw.connections_per_peer.get_ref()).unwrap_or(2),
            disk_free_min: u64::from(*raw.disk_free_min_mb.get_ref()) * 1024 * 1024,
            reads: ReadLimits {
                per_hour: *raw.reads_per_hour.get_ref(),
                per_day: *raw.reads_per_day.get_ref(),
                unusual_times: *raw.reads_unusual_times.get_ref(),
                usual_least: *raw.reads_usual_least.get_ref(),
            },
        })
    }
}
