//! Large sets in parts, each in a thread of its own: what comes of it does not depend on how many there are.

use std::thread;

/// Threads of one piece of work at most.
const PARTS_MAX: usize = 4;
/// A part with fewer items than this is not worth a thread.
const PART_MIN: usize = 65_536;

/// Items of one part.
pub(super) fn size(items: usize) -> usize {
    items.div_ceil(PARTS_MAX).max(PART_MIN)
}

/// Does the work for each part; gives what came of them, in their order.
pub(super) fn each<P: Send, R: Send>(parts: Vec<P>, work: impl Fn(P) -> R + Sync) -> Vec<R> {
    if parts.len() <= 1 {
        return parts.into_iter().map(work).collect();
    }
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> =
            parts.into_iter().map(|part| scope.spawn(move || work(part))).collect();
        let done = threads.into_iter().map(|thread| thread.join());
        done.map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}
