//! What the tests share: a network of node processes, operators, a peer that keeps no rules, and patience.

pub mod agreement;
pub mod desk;
pub mod network;
pub mod node;
pub mod office;
pub mod proxy;
pub mod rogue;
pub mod rogue_node;
pub mod secrets;

use std::fmt::Debug;
use std::time::{Duration, Instant};

use domain::area::AreaCode;
use domain::time::UnixMillis;
use liangdi::time::SystemClock;

/// How long a test waits for what must come, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub fn now() -> UnixMillis {
    SystemClock.now()
}

pub fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

/// A machine that lacks what a test needs passes it over, and says so; where all checks are to run, that is a failure.
pub fn skipped(why: &str) {
    let must = std::env::var_os("CI").is_some() && std::env::var_os("LIANGDI_MAY_SKIP").is_none();
    assert!(!must, "{why}; LIANGDI_MAY_SKIP=1 passes it over");
    println!("SKIPPED: {why}");
}

/// Looks until `look` sees it; fails after [`PATIENCE`].
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < until, "did not come in {PATIENCE:?}: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The same for what has to be asked for over a connection.
pub async fn eventually_async<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < until, "did not come in {PATIENCE:?}: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Fails rather than waiting for ever.
pub async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => panic!("did not end in {PATIENCE:?}: {what}"),
    }
}

/// The seed of a test: from the environment, to repeat a run, or from the clock; printed in any case.
pub fn seed(test: &str) -> u64 {
    let given = std::env::var("LIANGDI_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| now().get());
    println!("{test}: LIANGDI_SEED={seed}");
    seed
}

/// A number from the environment, for runs by hand that are longer than those of the suite.
pub fn setting<T: std::str::FromStr<Err: Debug>>(name: &str, otherwise: T) -> T {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}
