//! What lies at a node for the counties below it that cannot be called: differences that they are to cure, and cures of
//! others. A county collects it.
//!
//! It lies in memory. A restart loses nothing for good: whoever compares again finds the same differences, and leaves the
//! same cures.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::UnixMillis;

use super::calls::CARRY_OUT_AT_ONCE;
use super::calls::LEFT_AT_ONCE;
use super::difference::Difference;

/// Differences that lie for one county at most; what is more is found again.
const DIFFERENCES_MAX: usize = 16_384;
/// Cures that one county may leave for another.
const LEFT_BY_ONE: usize = 128;
/// Bytes of all cures that lie here.
const LEFT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What nobody collects for so long is let go of; it is found again.
const LEFT_FOR: Duration = Duration::from_secs(86_400);

/// Too much lies here already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too much lies here for counties that have not collected it")]
pub struct Full;

/// What lies for the counties below, with cures of the kind `L`.
#[derive(Debug)]
pub struct Waiting<L>(BTreeMap<AreaCode, Lying<L>>);

/// What lies for one county.
#[derive(Debug)]
struct Lying<L> {
    differences: BTreeMap<MessageId, Difference>,
    /// By who has left it, and what it is about.
    left: BTreeMap<(AreaCode, MessageId), Brought<L>>,
    report: bool,
}

/// A cure that another county has left.
#[derive(Debug)]
struct Brought<L> {
    left: L,
    bytes: usize,
    at: UnixMillis,
}

/// What a county collects in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lot<L> {
    /// Differences that it is to cure, at most [`CARRY_OUT_AT_ONCE`].
    pub differences: Vec<Difference>,
    /// Cures of others, at most [`LEFT_AT_ONCE`].
    pub left: Vec<L>,
    /// Whether the node above wants to know what is new.
    pub report: bool,
}

impl<L> Default for Waiting<L> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<L> Default for Lying<L> {
    fn default() -> Self {
        Self { differences: BTreeMap::new(), left: BTreeMap::new(), report: false }
    }
}

impl<L> Default for Lot<L> {
    fn default() -> Self {
        Self { differences: Vec::new(), left: Vec::new(), report: false }
    }
}

impl<L> Lot<L> {
    /// Whether nothing lay there.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.differences.is_empty() && self.left.is_empty() && !self.report
    }
}

impl<L> Waiting<L> {
    /// Notes what a county is to cure; without differences, that it is to report.
    pub fn lay_down(&mut self, county: AreaCode, differences: &[Difference]) {
        let lying = self.0.entry(county).or_default();
        lying.report = true;
        for difference in differences {
            if let Some(id) = difference.id()
                && lying.differences.len() < DIFFERENCES_MAX
            {
                lying.differences.insert(id, difference.clone());
            }
        }
    }

    /// Takes a cure of so many bytes for a county, about the message `id`, from `caller`. It takes the place of one before
    /// about the same message.
    ///
    /// # Errors
    /// [`Full`].
    pub fn leave(
        &mut self,
        county: AreaCode,
        (caller, id): (AreaCode, MessageId),
        (left, bytes): (L, usize),
        now: UnixMillis,
    ) -> Result<(), Full> {
        if self.bytes().saturating_add(bytes) > LEFT_BYTES_MAX {
            let fresh = |brought: &Brought<L>| now.since(brought.at) < LEFT_FOR;
            self.0.values_mut().for_each(|lying| lying.left.retain(|_, it| fresh(it)));
            if self.bytes().saturating_add(bytes) > LEFT_BYTES_MAX {
                return Err(Full);
            }
        }
        let lying = &mut self.0.entry(county).or_default().left;
        let by_it = lying.keys().filter(|(by, other)| *by == caller && *other != id).count();
        if by_it >= LEFT_BY_ONE {
            return Err(Full);
        }
        lying.insert((caller, id), Brought { left, bytes, at: now });
        Ok(())
    }

    /// Differences and cures that lie here.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.values().map(|lying| lying.differences.len() + lying.left.len()).sum()
    }

    fn bytes(&self) -> usize {
        self.0.values().flat_map(|lying| lying.left.values()).map(|it| it.bytes).sum()
    }

    /// Gives a county what lies for it; it is gone from here then. What is too much for one go lies on.
    pub fn collect(&mut self, county: AreaCode) -> Lot<L> {
        let Some(mut lying) = self.0.remove(&county) else { return Lot::default() };
        let some: Vec<_> = lying.left.keys().take(LEFT_AT_ONCE).copied().collect();
        let left = some.iter().filter_map(|key| lying.left.remove(key)).map(|it| it.left).collect();
        let rest = lying.differences.keys().nth(CARRY_OUT_AT_ONCE).copied();
        let rest = rest.map(|id| lying.differences.split_off(&id)).unwrap_or_default();
        let differences = std::mem::replace(&mut lying.differences, rest);
        let report = std::mem::take(&mut lying.report);
        if !lying.left.is_empty() || !lying.differences.is_empty() {
            self.0.insert(county, lying);
        }
        Lot { differences: differences.into_values().collect(), left, report }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::NOW;
    use crate::samples::area;
    use crate::samples::message_id;

    #[test]
    fn what_lies_is_collected_once_and_a_cure_takes_the_place_of_the_one_before() {
        let (county, by) = (area("410522"), area("440305"));
        let mut waiting = Waiting::<u8>::default();
        assert_eq!(waiting.collect(county), Lot::default());
        waiting.lay_down(county, &[]);
        for left in [1, 2] {
            waiting.leave(county, (by, message_id(7)), (left, 10), NOW).unwrap();
        }
        assert_eq!(waiting.count(), 1);
        let lot = waiting.collect(county);
        assert_eq!((lot.left, lot.report, waiting.count()), (vec![2], true, 0));
        assert_eq!(waiting.collect(county), Lot::default());
    }

    #[test]
    fn nobody_fills_it_for_long() {
        let (county, by) = (area("410522"), area("440305"));
        let mut waiting = Waiting::<usize>::default();
        for number in 0..LEFT_BY_ONE {
            let id = message_id(u64::try_from(number).unwrap());
            waiting.leave(county, (by, id), (number, 1), NOW).unwrap();
        }
        let one_more = (by, message_id(1_000));
        assert_eq!(waiting.leave(county, one_more, (0, 1), NOW), Err(Full));
        let other = (area("440306"), message_id(1_000));
        assert_eq!(waiting.leave(county, other, (0, LEFT_BYTES_MAX), NOW), Err(Full));
        let later = NOW.saturating_add(LEFT_FOR);
        let room = LEFT_BYTES_MAX - 1;
        waiting.leave(county, other, (0, room), later).unwrap();
        assert_eq!(waiting.collect(county).left, [0]);
    }

    #[test]
    fn more_than_one_go_is_collected_in_several() {
        let (county, by) = (area("410522"), area("440305"));
        let mut waiting = Waiting::<u64>::default();
        for number in 0..20 {
            waiting.leave(county, (by, message_id(number)), (number, 1), NOW).unwrap();
        }
        let all: Vec<_> = std::iter::repeat_with(|| waiting.collect(county).left)
            .take_while(|left| !left.is_empty())
            .collect();
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [8, 8, 4]);
        let mut all = all.concat();
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<_>>());
    }
}
