//! Work that many ask for at once and that is not to be done for each of them.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// Work that is done once at a time, not more often than each so much, and for all who have asked for it before it began.
///
/// Who asks gets what came of work that began after that, never of what was under way: whatever it is to see is there.
#[derive(Debug)]
pub(super) struct Paced<T> {
    every: Duration,
    last: Mutex<Option<Last<T>>>,
}

#[derive(Debug)]
struct Last<T> {
    begun: Instant,
    /// Nothing while it is under way, or when whoever did it went away.
    came: Option<T>,
}

impl<T: Clone> Paced<T> {
    /// Nothing was done yet.
    pub(super) fn new(every: Duration) -> Self {
        Self { every, last: Mutex::default() }
    }

    /// Does the work, or shares what came of it.
    pub(super) async fn share(&self, work: impl Future<Output = T>) -> T {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        if let Some(last) = last.as_ref() {
            let shared = last.came.as_ref().filter(|_| last.begun > asked);
            if let Some(came) = shared {
                return came.clone();
            }
            tokio::time::sleep_until(last.begun + self.every).await;
        }
        // Noted before it is done, so that whoever begins and goes away makes nobody do it more often.
        *last = Some(Last { begun: Instant::now(), came: None });
        let came = work.await;
        if let Some(last) = last.as_mut() {
            last.came = Some(came.clone());
        }
        came
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;

    use super::*;

    const EVERY: Duration = Duration::from_millis(40);

    async fn count(times: &AtomicU32) -> u32 {
        let number = times.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::task::yield_now().await;
        number
    }

    #[tokio::test]
    async fn who_asks_while_it_is_done_waits_for_the_next_time_and_shares_that() {
        let (times, paced) = (AtomicU32::new(0), Paced::new(EVERY));
        let begun = Instant::now();
        let mut came = join_all((0..100).map(|_| paced.share(count(&times)))).await;
        // The first begins at once; all others have asked after that, and share the second.
        assert_eq!(came.remove(0), 1);
        assert_eq!(came, [2; 99]);
        assert_eq!(times.load(Ordering::SeqCst), 2);
        assert!(begun.elapsed() >= EVERY);
        // One after the other, each has its own.
        assert_eq!(paced.share(count(&times)).await, 3);
        assert_eq!(paced.share(count(&times)).await, 4);
        assert!(begun.elapsed() >= 3 * EVERY);
    }

    #[tokio::test]
    async fn who_begins_and_goes_away_makes_nobody_do_it_more_often() {
        let (times, paced) = (AtomicU32::new(0), Paced::new(EVERY));
        let begun = Instant::now();
        for _ in 0..3 {
            let never = async {
                count(&times).await;
                std::future::pending::<u32>().await
            };
            let gone = tokio::time::timeout(2 * EVERY, paced.share(never)).await;
            assert!(gone.is_err());
        }
        assert_eq!(paced.share(count(&times)).await, 4);
        assert!(begun.elapsed() >= 3 * EVERY);
    }
}
