//! What the committer has done so far, for metrics, the bench and the tests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of the group size histogram: bucket `i` counts groups of up to 2^i units.
pub const GROUP_SIZE_BUCKETS: usize = 13;

#[derive(Debug, Default)]
pub(crate) struct Counters {
    groups: AtomicU64,
    units: AtomicU64,
    refused: AtomicU64,
    syncs: AtomicU64,
    rows: AtomicU64,
    bytes: AtomicU64,
    run_nanos: AtomicU64,
    apply_nanos: AtomicU64,
    sync_nanos: AtomicU64,
    sizes: [AtomicU64; GROUP_SIZE_BUCKETS],
}

/// Figures since the store was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Groups that were written; each was flushed and synced once.
    pub groups: u64,
    /// Units that were run, with those that only read and those that were refused.
    pub units: u64,
    /// Units whose writes were discarded.
    pub refused: u64,
    /// Times the disk was waited for.
    pub syncs: u64,
    /// Rows written or deleted.
    pub rows: u64,
    /// Bytes of keys and values written.
    pub bytes: u64,
    /// Time spent in units of work.
    pub running: Duration,
    /// Time spent handing rows to the engine.
    pub applying: Duration,
    /// Time spent in flush and sync.
    pub syncing: Duration,
    /// Groups by size: entry `i` counts groups of more than 2^(i-1) and up to 2^i units.
    pub group_sizes: [u64; GROUP_SIZE_BUCKETS],
}

impl Counters {
    pub(crate) fn unit(&self, kept: bool) {
        add(&self.units, 1);
        add(&self.refused, u64::from(!kept));
    }

    pub(crate) fn running(&self, time: Duration) {
        add(&self.run_nanos, nanos(time));
    }

    pub(crate) fn applied(&self, units: usize, rows: usize, bytes: usize, time: Duration) {
        add(&self.groups, 1);
        add(&self.rows, rows.try_into().unwrap_or_default());
        add(&self.bytes, bytes.try_into().unwrap_or_default());
        add(&self.apply_nanos, nanos(time));
        let bucket = units.next_power_of_two().trailing_zeros();
        let last = GROUP_SIZE_BUCKETS - 1;
        let bucket = usize::try_from(bucket).map_or(last, |bucket| bucket.min(last));
        if let Some(count) = self.sizes.get(bucket) {
            add(count, 1);
        }
    }

    pub(crate) fn synced(&self, time: Duration) {
        add(&self.syncs, 1);
        add(&self.sync_nanos, nanos(time));
    }

    pub(crate) fn read(&self) -> Statistics {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let time = |counter: &AtomicU64| Duration::from_nanos(get(counter));
        let mut group_sizes = [0; GROUP_SIZE_BUCKETS];
        for (to, from) in group_sizes.iter_mut().zip(&self.sizes) {
            *to = get(from);
        }
        Statistics {
            groups: get(&self.groups),
            units: get(&self.units),
            refused: get(&self.refused),
            syncs: get(&self.syncs),
            rows: get(&self.rows),
            bytes: get(&self.bytes),
            running: time(&self.run_nanos),
            applying: time(&self.apply_nanos),
            syncing: time(&self.sync_nanos),
            group_sizes,
        }
    }
}

impl Statistics {
    /// Upper bound of the size of the median group, in units.
    pub fn median_group(&self) -> u64 {
        let mut seen = 0;
        for (bucket, count) in self.group_sizes.iter().enumerate() {
            seen += count;
            if seen * 2 >= self.groups.max(1) {
                return 1 << bucket;
            }
        }
        0
    }
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

fn nanos(time: Duration) -> u64 {
    time.as_nanos().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_fall_into_their_buckets() {
        let counters = Counters::default();
        for size in [1, 2, 3, 4, 5, 512, 1_000_000] {
            counters.applied(size, 1, 1, Duration::ZERO);
        }
        let sizes = counters.read().group_sizes;
        assert_eq!(sizes[..4], [1, 1, 2, 1]);
        assert_eq!((sizes[9], sizes[12]), (1, 1));
        assert_eq!(counters.read().median_group(), 4);
    }
}
