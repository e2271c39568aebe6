//! What the asker tells of its set beforehand, so that the answerer knows about how much differs and can send that many
//! symbols at once: number, a sum by which equal sets are seen, and a sketch of counters.
//!
//! The sketch is after Charikar, Chen and Farach-Colton ("Finding frequent items in data streams", 2002): each entry adds one
//! to a counter, or takes one off. Of two sets the squares of what the counters differ by add up to about the number of
//! differences, with an error of about a sixteenth. None of it is under a secret: it decides what is sent first, and
//! nothing else.

use super::key::NONCE_BYTES;
use super::key::Sum;
use super::told::PackedEntry;

/// Counters of a sketch.
pub const COUNTERS: usize = 512;
/// Bytes of a sketch as it travels: five bits a counter.
pub const SKETCH_BYTES: usize = COUNTERS * BITS / 8;

const BITS: usize = 5;
/// Counters are told modulo this.
const MODULUS: i32 = 1 << BITS;

/// Mixes the states of a message apart.
const OF_STATE: u64 = 0x9E37_79B9_7F4A_7C15;
/// Spreads what is mixed over the high bits.
const SPREAD: u64 = 0xDA94_2042_E4DD_58B5;

/// What is told of a set before it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Number of the entries; sum, modulo 2^128, of the second halves of their digests, as little-endian numbers, each times
    /// `2 state + 1`.
    pub hint: Sum,
    /// The counters modulo 32, five bits each, the first in the lowest bits of the first byte.
    pub sketch: [u8; SKETCH_BYTES],
}

/// Takes entries in, and tells of them.
#[derive(Clone, Debug)]
pub(super) struct Sampler {
    salt: u64,
    hint: Sum,
    counters: [i32; COUNTERS],
}

impl Sampler {
    /// Of no entry. The asker's nonce decides which counter an entry goes to.
    pub(super) fn new(nonce: &[u8; NONCE_BYTES]) -> Self {
        let salt = u64::from_le_bytes(nonce.first_chunk().copied().unwrap_or_default());
        Self { salt, hint: Sum::default(), counters: [0; COUNTERS] }
    }

    /// With one entry more. With `x` the first 8 bytes of its digest as a little-endian number, exclusive or the first 8 of
    /// the nonce, and `h = (x + state * 0x9E3779B97F4A7C15) * 0xDA942042E4DD58B5 mod 2^64`, the highest nine bits of `h`
    /// name its counter, and the next one whether one is added (1) or taken off (0).
    pub(super) fn add(&mut self, entry: &PackedEntry) {
        let [state, rest @ ..] = entry;
        let digest = rest.split_at(16).1;
        let (first, second) = digest.split_at(16);
        let half = u128::from_le_bytes(second.first_chunk().copied().unwrap_or_default());
        self.hint.count = self.hint.count.wrapping_add(1);
        let factor = u128::from(*state) * 2 + 1;
        self.hint.digest = self.hint.digest.wrapping_add(half.wrapping_mul(factor));
        let x = u64::from_le_bytes(first.first_chunk().copied().unwrap_or_default()) ^ self.salt;
        let of_state = u64::from(*state).wrapping_mul(OF_STATE);
        let h = x.wrapping_add(of_state).wrapping_mul(SPREAD);
        let at = usize::try_from(h >> 55).unwrap_or_default();
        if let Some(counter) = self.counters.get_mut(at) {
            let sign = if (h >> 54) & 1 == 1 { 1 } else { -1 };
            *counter = counter.wrapping_add(sign);
        }
    }

    /// Of both together.
    pub(super) fn with(mut self, other: &Self) -> Self {
        self.hint = self.hint.with(other.hint);
        let counters = self.counters.iter_mut().zip(other.counters);
        counters.for_each(|(to, from)| *to = to.wrapping_add(from));
        self
    }

    /// What is told.
    pub(super) fn sample(&self) -> Sample {
        let mut sketch = [0; SKETCH_BYTES];
        // Eight counters are forty bits, five bytes.
        for (bytes, counters) in sketch.chunks_mut(BITS).zip(self.counters.chunks(8)) {
            let bits = counters.iter().rev().fold(0_u64, |bits, counter| {
                (bits << BITS) | u64::try_from(counter.rem_euclid(MODULUS)).unwrap_or_default()
            });
            bytes.iter_mut().zip(bits.to_le_bytes()).for_each(|(to, from)| *to = from);
        }
        Sample { hint: self.hint, sketch }
    }
}

impl Sample {
    /// About how many entries only one of two sets has. Of more than ten thousand it tells too few.
    #[must_use]
    pub fn differences(&self, other: &Self) -> u64 {
        let pairs = self.sketch.chunks(BITS).zip(other.sketch.chunks(BITS));
        let squares = pairs.map(|(ours, theirs)| {
            let (ours, theirs) = (bits_of(ours), bits_of(theirs));
            (0..8).map(|n| square_apart(ours >> (BITS * n), theirs >> (BITS * n))).sum::<u64>()
        });
        let numbers = self.hint.count.abs_diff(other.hint.count);
        squares.sum::<u64>().max(numbers)
    }
}

fn bits_of(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |bits, byte| (bits << 8) | u64::from(*byte))
}

/// The square of what two counters differ by, as the nearest way round says.
fn square_apart(one: u64, other: u64) -> u64 {
    let apart = one.wrapping_sub(other) & 0x1F;
    let apart = apart.min(32 - apart);
    apart * apart
}
