//! Numbers for messages: each greater than the one before, and each naming the county that gave it.

use super::MessageId;
use crate::area::AreaCode;
use crate::time::UnixMillis;

/// Bits of an id that name the county: its six digits as a number.
const COUNTY_BITS: u32 = 20;
/// Random bits above them, below the version's and the variant's: 12 and 42.
const RANDOM_BITS: u32 = 54;
const LOW_BITS: u32 = 42;

/// Gives ids to the messages of one county, each greater than all before, whatever the clock does.
///
/// A recipient that has seen a lane up to some id knows that a greater one from the same sender is new, and
/// that nobody else may give it, so it need not look for it. An id is still a UUID of version 7 (RFC 9562):
/// 48 bits of time, 54 random bits, and in the last 20 bits the county's six digits as a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageIds {
    county: u32,
    /// Time and random bits of the last id.
    last: u128,
}

impl MessageIds {
    /// For the messages of that county.
    #[must_use]
    pub fn of(county: AreaCode) -> Self {
        Self { county: number(county), last: 0 }
    }

    /// The same, but greater than an id that was given by an earlier run of the program.
    #[must_use]
    pub fn after(self, given: MessageId) -> Self {
        Self { last: self.last.max(ordered(given)), ..self }
    }

    /// The next id. `random` is any uniform number; a clock that stands still or goes back gives ids of the
    /// latest time there was.
    pub fn next(&mut self, now: UnixMillis, random: u64) -> MessageId {
        let random = u128::from(random >> (u64::BITS - RANDOM_BITS));
        let wish = (u128::from(now.get()) << RANDOM_BITS) | random;
        self.last = wish.max(self.last.saturating_add(1));
        laid_out(self.last, self.county)
    }
}

impl MessageId {
    /// Whether the id is one that this county may give, by its last bits; see [`MessageIds`].
    #[must_use]
    pub fn names(&self, county: AreaCode) -> bool {
        u128::from_be_bytes(self.0) & low_bits(COUNTY_BITS) == u128::from(number(county))
    }
}

/// The six digits of the county as a number.
fn number(county: AreaCode) -> u32 {
    county.as_str().bytes().take(6).fold(0, |sum, digit| sum * 10 + u32::from(digit & 0x0F))
}

const fn low_bits(count: u32) -> u128 {
    (1 << count) - 1
}

/// Time and random bits of an id, which order as the ids of one county do.
fn ordered(id: MessageId) -> u128 {
    let bits = u128::from_be_bytes(id.0) >> COUNTY_BITS;
    let (time, high, low) = (bits >> 60, (bits >> 44) & low_bits(12), bits & low_bits(LOW_BITS));
    (time << RANDOM_BITS) | (high << LOW_BITS) | low
}

fn laid_out(ordered: u128, county: u32) -> MessageId {
    let time = ordered >> RANDOM_BITS;
    let high = (ordered >> LOW_BITS) & low_bits(12);
    let low = ordered & low_bits(LOW_BITS);
    let bits = (time << 80) | (0x7 << 76) | (high << 64) | (0x2 << 62) | (low << COUNTY_BITS);
    MessageId((bits | u128::from(county)).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn area(code: &str) -> AreaCode {
        code.parse().unwrap()
    }

    #[test]
    fn the_layout_is_that_of_the_protocol() {
        let mut ids = MessageIds::of(area("410522"));
        let id = ids.next(UnixMillis::new(0x0190_0000_0001), u64::MAX);
        assert_eq!(id.to_string(), "01900000-0001-7fff-bfff-fffffff6439a");
        assert_eq!(0x6_439a, 410_522);
        assert!(id.names(area("410522")) && id.names(area("410522003")));
        assert!(!id.names(area("440305")));
        // The clock stands still: the next one has no room left in this millisecond.
        let next = ids.next(UnixMillis::new(0), 0);
        assert_eq!(next.to_string(), "01900000-0002-7000-8000-00000006439a");
        let mut restarted = MessageIds::of(area("410522")).after(next);
        assert!(restarted.next(UnixMillis::new(0), 0) > next);
    }

    proptest! {
        #[test]
        fn ids_grow_and_keep_their_time(calls in prop::collection::vec((0..1u64 << 47, any::<u64>()), 1..40)) {
            let mut ids = MessageIds::of(area("659009"));
            let mut last: Option<MessageId> = None;
            for (now, random) in calls {
                let id = ids.next(UnixMillis::new(now), random);
                prop_assert!(last.is_none_or(|last| last < id));
                prop_assert!(id.timestamp() >= UnixMillis::new(now));
                prop_assert!(id.names(area("659009")));
                prop_assert_eq!(laid_out(ordered(id), 659_009), id);
                last = Some(id);
            }
        }
    }
}
