//! Panics that are caught on purpose: sled's answer to damage, and units of work that go wrong.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Databases that are being opened; sled reads ahead on threads of its own then.
static OPENING: AtomicUsize = AtomicUsize::new(0);

/// Names of sled's own threads begin like this.
const SLED_THREADS: &str = "sled-io-";

/// Whether a panic on this thread, at this moment, is caught by the store and turned into an error. A
/// panic hook that ends the process has to let such a panic pass.
#[must_use]
pub fn panics_are_caught() -> bool {
    let opening = || OPENING.load(Ordering::Relaxed) > 0;
    let of_sled = || thread::current().name().is_some_and(|name| name.starts_with(SLED_THREADS));
    DEPTH.get() > 0 || (opening() && of_sled())
}

/// Runs `work` and catches its panic. Whoever calls this has nothing half done when it panics.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> thread::Result<T> {
    DEPTH.set(DEPTH.get() + 1);
    let done = catch_unwind(AssertUnwindSafe(work));
    DEPTH.set(DEPTH.get() - 1);
    done
}

/// The same for the opening of a database, with all that sled starts for it.
pub(crate) fn caught_opening<T>(work: impl FnOnce() -> T) -> thread::Result<T> {
    OPENING.fetch_add(1, Ordering::Relaxed);
    let done = caught(work);
    OPENING.fetch_sub(1, Ordering::Relaxed);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_caught_is_known_and_nothing_else() {
        assert!(!panics_are_caught());
        assert!(caught(|| assert!(panics_are_caught())).is_ok());
        assert!(caught(|| caught(|| panic!("inner")).is_err() && panics_are_caught()).unwrap());
        assert!(!panics_are_caught());
        let reads_ahead = || {
            let thread = thread::Builder::new().name("sled-io-0".to_owned());
            thread.spawn(panics_are_caught).unwrap().join().unwrap()
        };
        assert!(caught_opening(reads_ahead).unwrap());
    }
}
