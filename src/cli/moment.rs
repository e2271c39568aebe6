//! Times on the command line, as people write them.

use std::str::FromStr;
use std::time::Duration;

use domain::time::{Date, UnixMillis};

/// A time as it was typed: a day, a day and a time of China, or so long from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// A point in time.
    At(UnixMillis),
    /// So long from now.
    In(Duration),
}

/// The text is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a time is written 2026-11-30, \"2026-11-30 22:00\" (China time), or +90m, +2h, +3d from now"
)]
pub(super) struct NotATime;

impl Moment {
    /// The point in time.
    pub(super) fn from(self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::At(at) => at,
            Self::In(after) => now.saturating_add(after),
        }
    }
}

impl FromStr for Moment {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        if let Some(after) = text.strip_prefix('+') {
            let (count, unit) =
                after.split_at_checked(after.len().saturating_sub(1)).ok_or(NotATime)?;
            let seconds = match unit {
                "m" => 60,
                "h" => 3_600,
                "d" => 86_400,
                _ => return Err(NotATime),
            };
            let count: u32 = count.parse().map_err(|_| NotATime)?;
            return Ok(Self::In(Duration::from_secs(u64::from(count) * seconds)));
        }
        let (day, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00"));
        let day: Date = day.parse().map_err(|_| NotATime)?;
        let numbers: Result<Vec<u32>, _> = time.split(':').map(str::parse).collect();
        let (hours, minutes) = match numbers.as_deref() {
            Ok([hours @ 0..24, minutes @ 0..60] | [hours @ 0..24, minutes @ 0..60, 0]) => {
                (*hours, *minutes)
            }
            _ => return Err(NotATime),
        };
        let after = Duration::from_secs(u64::from(hours * 3_600 + minutes * 60));
        Ok(Self::At(day.begins().saturating_add(after)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_of_china_or_from_now() {
        let at =
            |text: &str| text.parse::<Moment>().map(|m| m.from(UnixMillis::new(0)).to_string());
        assert_eq!(at("2026-11-30").unwrap(), "2026-11-29T16:00:00.000Z");
        for same in ["2026-11-30 22:05", "2026-11-30T22:05", "2026-11-30 22:05:00"] {
            assert_eq!(at(same).unwrap(), "2026-11-30T14:05:00.000Z");
        }
        assert_eq!(at("+90m").unwrap(), "1970-01-01T01:30:00.000Z");
        assert_eq!(at("+2d").unwrap(), "1970-01-03T00:00:00.000Z");
        for bad in [
            "",
            "+",
            "+h",
            "+-1h",
            "+1y",
            "tomorrow",
            "2026-11-31",
            "2026-11-30 24:00",
            "2026-11-30 1",
        ] {
            assert_eq!(at(bad), Err(NotATime), "{bad}");
        }
    }
}
