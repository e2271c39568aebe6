//! Dice: everything that is left to chance in a world comes from its seed, through here.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore as _, SeedableRng as _};

/// What a set of dice is for. Each has a stream of its own, so that one more message does not change the weather.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Who there is, what goes wrong and when.
    Plan,
    /// What clerks write.
    Traffic,
    /// Delays of frames, connections that break.
    Network,
    /// Times of a sync, what a crash takes away.
    Disk,
    /// Random numbers that a node draws: jitter, names of parcels, epochs.
    Node,
    /// What a relay that cannot be trusted does.
    Rogue,
    /// What goes wrong while ledgers are compared, and what a story adds to its plan.
    Reconcile,
}

/// A stream of random numbers that is the same for the same seed, on every machine.
#[derive(Debug)]
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream of that purpose.
    pub(crate) fn new(seed: u64, purpose: Purpose) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        dice.set_stream(match purpose {
            Purpose::Plan => 1,
            Purpose::Traffic => 2,
            Purpose::Network => 3,
            Purpose::Disk => 4,
            Purpose::Node => 5,
            Purpose::Rogue => 6,
            Purpose::Reconcile => 7,
        });
        Self(dice)
    }

    /// Any number.
    pub(crate) fn any(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`; 0 when there is none.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product is uniform enough for bounds far below 2^64.
        let product = u128::from(self.any()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or_default()
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// Whether something happens that happens so often in a thousand cases.
    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// A time that is short as a rule and long at times: between `low` and `high`, each doubling equally likely.
    pub(crate) fn stretch(&mut self, low: u64, high: u64) -> u64 {
        let doublings = (high / low.max(1)).max(1).ilog2();
        let top = (low << self.below(u64::from(doublings) + 1)).saturating_mul(2).min(high);
        self.between(low, top)
    }

    /// One of them; nothing when there is none.
    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let at = self.below(u64::try_from(of.len()).unwrap_or(u64::MAX));
        of.get(usize::try_from(at).unwrap_or(usize::MAX))
    }

    /// Random bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_each_purpose_its_own() {
        let draw = |seed, purpose| {
            let mut dice = Dice::new(seed, purpose);
            [dice.any(), dice.below(1000), dice.between(7, 9), dice.stretch(10, 100_000)]
        };
        assert_eq!(draw(7, Purpose::Plan), draw(7, Purpose::Plan));
        assert_ne!(draw(7, Purpose::Plan), draw(7, Purpose::Traffic));
        assert_ne!(draw(7, Purpose::Plan), draw(8, Purpose::Plan));
    }

    #[test]
    fn numbers_stay_within_their_bounds() {
        let mut dice = Dice::new(1, Purpose::Plan);
        for _ in 0..10_000 {
            assert!(dice.below(3) < 3);
            assert!((5..=6).contains(&dice.between(5, 6)));
            assert!((100..=90_000).contains(&dice.stretch(100, 90_000)));
            assert!(dice.pick(&[1, 2, 3]).is_some());
        }
        assert_eq!((dice.below(0), dice.pick::<u8>(&[])), (0, None));
        assert!(!dice.chance(0) && dice.chance(1000));
    }
}
