//! What the tests share: options, tables of their own, and numbers from a seed.

use std::path::Path;

use domain::time::UnixMillis;
use store::{Content, DataKey, Journal, Options, Raw, Store, Table, TableInfo};

pub(crate) const AREA: &str = "410522";

/// Key: client (2) ‖ number (8).
pub(crate) const ROWS: Table<(u16, u64), Raw> = Table::new("rows-1", 0xE0).packed();
/// Key: a hash of the number (8) ‖ client (2) ‖ number (8).
pub(crate) const INDEX: Table<(u64, u16, u64), ()> = Table::new("index-1", 0xE1).packed();
/// Key: client (2). Value: its last number.
pub(crate) const LAST: Table<u16, u64> = Table::new("last-1", 0xE2);
/// One journal a client.
pub(crate) const LANE: Journal<u16> = Journal::new("lane-1", 0xE3).packed();
/// The same, sealed.
pub(crate) const SECRET: Journal<u16> = Journal::new("secret-1", 0xE4).sealed().packed();
/// Journals that come and go.
pub(crate) const PASSING: Journal<(u8, u8)> = Journal::new("passing-1", 0xEF).removable();

const OWN: [TableInfo; 6] =
    [ROWS.info(), INDEX.info(), LAST.info(), LANE.info(), SECRET.info(), PASSING.info()];

/// The real tables and those of the tests.
pub(crate) fn catalogue() -> &'static [TableInfo] {
    static ALL: std::sync::LazyLock<Vec<TableInfo>> = std::sync::LazyLock::new(|| {
        let mut all = store::CATALOGUE.to_vec();
        all.extend(OWN);
        assert!(all.iter().all(|table| !matches!(table.content, Content::Retired)));
        all
    });
    &ALL
}

pub(crate) fn options() -> Options {
    let mut options = Options::new(AREA, key(), UnixMillis::new(1_700_000_000_000));
    options.cache_bytes = 16 * 1024 * 1024;
    options.catalogue = catalogue();
    // Rows move while everything else goes on.
    options.pack_after_rows = 100;
    options
}

pub(crate) fn key() -> DataKey {
    DataKey::from_bytes([42; 32])
}

pub(crate) fn open(dir: &Path) -> Store {
    Store::open(dir, options()).unwrap().0
}

/// SplitMix64: the same numbers for the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    /// From `LIANGDI_SEED`, or from the process id; printed either way.
    pub(crate) fn new(what: &str) -> Self {
        let seed = env_number("LIANGDI_SEED").unwrap_or_else(|| mix(u64::from(std::process::id())));
        println!("{what}: LIANGDI_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0) % limit
    }
}

pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

pub(crate) fn env_number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

/// A machine that lacks what a test needs passes it over, and says so; where all checks are to run, that is a failure.
pub(crate) fn skipped(why: &str) {
    let must = std::env::var_os("CI").is_some() && std::env::var_os("LIANGDI_MAY_SKIP").is_none();
    assert!(!must, "{why}; LIANGDI_MAY_SKIP=1 passes it over");
    println!("SKIPPED: {why}");
}
