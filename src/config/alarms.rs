//! The section `[alarms]`: when somebody is told that something does not happen.

use std::time::Duration;

use super::Check;
use super::raw::RawAlarms;

/// When somebody is told that something does not happen.
#[derive(Clone, Copy, Debug)]
pub struct AlarmSettings {
    /// A peer with which there was mail lately and that says nothing for so long.
    pub silent_after: Duration,
    /// A message that nobody opens for so long.
    pub unopened_after: Duration,
    /// How often clocks are looked at.
    pub look_every: Duration,
}

impl Check<'_> {
    pub(super) fn alarms(&mut self, raw: &RawAlarms) -> Option<AlarmSettings> {
        let before = self.problems.len();
        self.range("alarms.silent_days", &raw.silent_days, 1..91);
        self.range("alarms.unopened_days", &raw.unopened_days, 1..91);
        self.range("alarms.look_every_s", &raw.look_every_s, 1..3_601);
        let days = |days: u32| Duration::from_secs(u64::from(days) * 86_400);
        (self.problems.len() == before).then(|| AlarmSettings {
            silent_after: days(*raw.silent_days.get_ref()),
            unopened_after: days(*raw.unopened_days.get_ref()),
            look_every: Duration::from_secs(u64::from(*raw.look_every_s.get_ref())),
        })
    }
}
