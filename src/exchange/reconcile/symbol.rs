//! Coded symbols: item `x` is in symbol `i` with probability 1 / (1 + i / 2), decided by its keyed hash alone.

use std::collections::VecDeque;

use super::Item;
use super::key::SessionKey;
use super::key::Sum;
use super::key::check_of;
use super::parts;

/// Symbols of one session at most; nothing that is worth peeling needs more.
pub const SYMBOLS_MAX: u32 = 1 << 28;

/// Sum of the items that are in one symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Symbol {
    /// Exclusive or of the items.
    pub items: Item,
    /// Exclusive or of their checksums, 48 bits.
    pub check: u64,
    /// How many there are; of a difference, ours less theirs.
    pub count: i64,
}

impl Symbol {
    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds an item (`by` 1) or takes it out (`by` -1).
    pub fn apply(&mut self, item: &Item, check: u64, by: i64) {
        self.items.iter_mut().zip(item).for_each(|(to, from)| *to ^= from);
        self.check ^= check;
        self.count = self.count.wrapping_add(by);
    }

    /// The same symbol of both sets together.
    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        self.apply(&other.items, other.check, other.count);
        self
    }

    /// What is left when the same symbol of another set is taken out.
    #[must_use]
    pub fn without(mut self, other: &Self) -> Self {
        self.apply(&other.items, other.check, other.count.wrapping_neg());
        self
    }
}

/// What a state is multiplied by from one place to the next.
const STEP: u64 = 0xDA94_2042_E4DD_58B5;

/// Where one item goes: symbol 0, and then ever fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    next: u32,
    state: u64,
}

impl Places {
    /// The places of an item with this hash.
    #[must_use]
    pub const fn of(hash: u64) -> Self {
        Self { next: 0, state: hash }
    }

    /// The next place, without leaving it.
    #[must_use]
    pub const fn peek(&self) -> u32 {
        self.next
    }

    /// Goes on to the place after: with `state = state * 0xDA942042E4DD58B5 mod 2^64` and `s` the whole part of the
    /// square root of `state`, plus one, it is `ceil((2 * place + 3) * (2^32 - s) / (2 * s))` further, and at least one.
    #[inline]
    pub fn advance(&mut self) {
        self.state = self.state.wrapping_mul(STEP);
        let root = above_root(self.state);
        let reach = u64::from(self.next) * 2 + 3;
        let step = (reach * ((1 << 32) - root)).div_ceil(2 * root);
        self.next = match u32::try_from(step) {
            Ok(step) if step < SYMBOLS_MAX => self.next.saturating_add(step.max(1)),
            Ok(_) | Err(_) => u32::MAX,
        };
    }
}

/// The whole part of a square root, plus one: `u64::isqrt`, in a quarter of the time. A comparison does this two dozen times
/// an item.
fn above_root(value: u64) -> u64 {
    let root = about_root(value).min(0xFFFF_FFFF);
    let square = root * root;
    if square > value {
        return root;
    }
    // Whether the square of the next number is no larger either.
    if value - square > 2 * root { root + 2 } else { root + 1 }
}

/// Off by one at most: the number has 53 bits where it is not exact, and its root has 32 before the point. A number with a
/// sign is what a machine converts at once, so the lowest bit is left out.
#[expect(
    clippy::as_conversions,
    reason = "a root of 64 bits is below 2^33, and no integer has a root otherwise"
)]
#[expect(clippy::cast_precision_loss, reason = "the caller puts it right")]
#[expect(clippy::cast_possible_truncation, reason = "it is small")]
fn about_root(value: u64) -> u64 {
    let half = (value >> 1).cast_signed() as f64;
    ((half * 2.0).sqrt() as i64).cast_unsigned()
}

/// Symbols that are made in one stretch at most: they are 40 bytes each in each part of the set, and what is placed in them
/// falls anywhere, so they are to lie near the processor.
const STRETCH_MAX: u32 = 1 << 14;

/// Makes the symbols of a set, one stretch after the other.
///
/// Each item keeps where it goes next; a stretch looks at all of them once. So memory is bounded by the set (37 bytes an item)
/// and by [`STRETCH_MAX`], and a stretch should be as long as what is asked for ([`Encoder::expect`]), however few symbols are
/// taken at a time. Large sets are worked on in parts, at one time.
#[derive(Clone, Debug)]
pub struct Encoder {
    items: Vec<Item>,
    /// Of each item where it goes next; apart, because most are only asked whether it is their turn.
    next: Vec<u32>,
    hashes: Vec<u64>,
    /// Of each item how often it went on; with its hash that gives the state of its places.
    turns: Vec<u8>,
    sum: Sum,
    /// How many were taken.
    taken: u32,
    /// Those that were made and not taken.
    ahead: VecDeque<Symbol>,
    /// How many are asked for in all.
    expected: u32,
}

/// A part of the items, with their hashes; and where they go next, and how often they went on.
type Part<'a> = ((&'a [Item], &'a [u64]), (&'a mut [u32], &'a mut [u8]));

impl Encoder {
    /// Of these items, none of them twice, under the key of the session.
    #[must_use]
    pub fn new(key: SessionKey, items: Vec<Item>) -> Self {
        let (next, turns, mut hashes) =
            (vec![0; items.len()], vec![0; items.len()], vec![0; items.len()]);
        let size = parts::size(items.len());
        let each = items.chunks(size).zip(hashes.chunks_mut(size)).collect();
        let sums = parts::each(each, |(items, hashes): (&[Item], &mut [u64])| {
            let mut sum = Sum::default();
            for (item, hash) in items.iter().zip(hashes) {
                *hash = key.hash(item);
                sum.add(item, *hash);
            }
            sum
        });
        let sum = sums.into_iter().fold(Sum::default(), Sum::with);
        let (taken, ahead, expected) = (0, VecDeque::new(), 0);
        Self { items, hashes, next, turns, sum, taken, ahead, expected }
    }

    /// How many symbols were taken.
    #[must_use]
    pub const fn taken(&self) -> u32 {
        self.taken
    }

    /// Says how many symbols will be taken in all, as far as is known: they are made in one go then.
    pub fn expect(&mut self, through: u32) {
        self.expected = through;
    }

    /// The items.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Their number and keyed digest.
    #[must_use]
    pub const fn sum(&self) -> Sum {
        self.sum
    }

    /// The next `count` symbols.
    pub fn next(&mut self, count: u32) -> Vec<Symbol> {
        let until = self.taken.saturating_add(count).min(SYMBOLS_MAX);
        let count = length((self.taken, until));
        while self.ahead.len() < count {
            let made = u32::try_from(self.ahead.len()).unwrap_or(u32::MAX);
            let made = self.taken.saturating_add(made);
            let most = made.saturating_add(STRETCH_MAX);
            self.stretch((made, self.expected.max(until).min(most).min(SYMBOLS_MAX)));
        }
        self.taken = until;
        self.ahead.drain(..count).collect()
    }

    fn stretch(&mut self, stretch: (u32, u32)) {
        let size = parts::size(self.items.len());
        let items = self.items.chunks(size).zip(self.hashes.chunks(size));
        let places = self.next.chunks_mut(size).zip(self.turns.chunks_mut(size));
        let made = parts::each(items.zip(places).collect(), |part| one_part(part, stretch));
        let mut made = made.into_iter();
        let mut symbols = made.next().unwrap_or_else(|| empty(stretch));
        for part in made {
            symbols.iter_mut().zip(part).for_each(|(to, from)| *to = to.with(&from));
        }
        self.ahead.extend(symbols);
    }
}

fn length((from, until): (u32, u32)) -> usize {
    usize::try_from(until.saturating_sub(from)).unwrap_or_default()
}

fn empty(stretch: (u32, u32)) -> Vec<Symbol> {
    vec![Symbol::default(); length(stretch)]
}

/// What a part of the items gives to the symbols of a stretch.
fn one_part(((items, hashes), (next, turns)): Part<'_>, stretch: (u32, u32)) -> Vec<Symbol> {
    let mut symbols = empty(stretch);
    // Of each number of turns, by what the state has grown from the hash.
    let factors = std::iter::successors(Some(1_u64), |factor| Some(factor.wrapping_mul(STEP)));
    let factors: Vec<u64> = factors.take(usize::from(u8::MAX) + 1).collect();
    let places = next.iter_mut().zip(turns);
    for ((item, hash), (next, turns)) in items.iter().zip(hashes).zip(places) {
        if *next < stretch.1 {
            let factor = factors.get(usize::from(*turns)).copied().unwrap_or(1);
            let mut places = Places { next: *next, state: hash.wrapping_mul(factor) };
            let more = put(item, check_of(*hash), 1, &mut places, stretch, &mut symbols);
            *next = places.next;
            *turns = turns.saturating_add(more);
        }
    }
    symbols
}

/// Applies an item to every symbol of a stretch that it is in; says in how many it was. No item comes near 255: it is in
/// about `2 ln(n)` of `n` symbols.
pub(super) fn put(
    item: &Item,
    check: u64,
    by: i64,
    places: &mut Places,
    (from, until): (u32, u32),
    symbols: &mut [Symbol],
) -> u8 {
    let mut turns = 0_u8;
    while places.peek() < until {
        let at = usize::try_from(places.peek().saturating_sub(from)).unwrap_or(usize::MAX);
        if let Some(symbol) = symbols.get_mut(at) {
            symbol.apply(item, check, by);
        }
        places.advance();
        turns = turns.saturating_add(1);
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_root_is_exact_where_numbers_of_a_machine_are_not() {
        let squares = (0..=32).map(|bit| 1_u64 << bit).chain([3, 94_906_267, 3_037_000_500]);
        let near = squares.flat_map(|root| {
            let square = root.wrapping_mul(root);
            [square.wrapping_sub(1), square, square.wrapping_add(1)]
        });
        let spread = (0..100_000_u64).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let high = (0..1_000).map(|n| u64::MAX - n * 4_294_967_291);
        for value in near.chain(spread).chain(high) {
            assert_eq!(above_root(value), value.isqrt() + 1, "{value}");
        }
    }
}
