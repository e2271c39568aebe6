//! The section `[directory]`: how cards, keys and revocation lists are kept up to date.

use std::time::Duration;

use super::Check;
use super::raw::RawDirectory;

/// How the directory and our own keys are kept up to date.
#[derive(Clone, Copy, Debug)]
pub struct DirectorySettings {
    /// How often neighbours are asked for news, besides when they say that there is some.
    pub refresh: Duration,
    /// Age at which a sealing key is superseded by a new one.
    pub rotate_keys_after: Duration,
}

impl Check<'_> {
    pub(super) fn directory(&mut self, raw: &RawDirectory) -> Option<DirectorySettings> {
        let before = self.problems.len();
        self.range("directory.refresh_s", &raw.refresh_s, 1..86_401);
        // Eight keys are kept, each for 180 days after it was superseded.
        self.range("directory.rotate_keys_days", &raw.rotate_keys_days, 26..731);
        let seconds = |value: u32, unit: u64| Duration::from_secs(u64::from(value) * unit);
        (self.problems.len() == before).then(|| DirectorySettings {
            refresh: seconds(*raw.refresh_s.get_ref(), 1),
            rotate_keys_after: seconds(*raw.rotate_keys_days.get_ref(), 86_400),
        })
    }
}
