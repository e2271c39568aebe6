//! Coded symbols: item `x` is in symbol `i` with probability 1 / (1 + i / 2), decided by its keyed hash alone.

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
        self.state = self.state.wrapping_mul(0xDA94_2042_E4DD_58B5);
        let root = whole_root(self.state) + 1;
        let reach = u64::from(self.next) * 2 + 3;
        let step = (reach * ((1 << 32) - root)).div_ceil(2 * root);
        self.next = match u32::try_from(step) {
            Ok(step) if step < SYMBOLS_MAX => self.next.saturating_add(step.max(1)),
            Ok(_) | Err(_) => u32::MAX,
        };
    }
}

/// The whole part of a square root: `u64::isqrt`, in less than half the time. A comparison does this a dozen times an item.
fn whole_root(value: u64) -> u64 {
    let root = about_root(value).min(0xFFFF_FFFF);
    if root * root > value {
        return root - 1;
    }
    let above = root + 1;
    // The square of 2^32 is no number of 64 bits, and above every one of them.
    let is_low = above.checked_mul(above).is_some_and(|square| square <= value);
    if is_low { above } else { root }
}

/// Off by one at most: the number has 53 bits where it is not exact, and its root has 32 before the point.
#[expect(
    clippy::as_conversions,
    reason = "a root of 64 bits is below 2^33, and no integer has a root otherwise"
)]
#[expect(clippy::cast_precision_loss, reason = "the caller puts it right")]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is positive and small"
)]
fn about_root(value: u64) -> u64 {
    (value as f64).sqrt() as u64
}

/// Makes the symbols of a set, one stretch after the other.
///
/// Each item keeps where it goes next; a stretch looks at all of them once. So memory is bounded by the set (36 bytes an
/// item), and a stretch should grow with what was made before it. Large sets are worked on in parts, at one time.
#[derive(Clone, Debug)]
pub struct Encoder {
    key: SessionKey,
    items: Vec<Item>,
    /// Of each item where it goes next; apart, because most are only asked whether it is their turn.
    next: Vec<u32>,
    states: Vec<u64>,
    sum: Sum,
    made: u32,
}

/// A part of the items, and where they go next.
type Part<'a> = ((&'a [Item], &'a mut [u32]), &'a mut [u64]);

impl Encoder {
    /// Of these items, none of them twice, under the key of the session.
    #[must_use]
    pub fn new(key: SessionKey, items: Vec<Item>) -> Self {
        let (next, mut states) = (vec![0; items.len()], vec![0; items.len()]);
        let size = parts::size(items.len());
        let each = items.chunks(size).zip(states.chunks_mut(size)).collect();
        let sums = parts::each(each, |(items, states): (&[Item], &mut [u64])| {
            let mut sum = Sum::default();
            for (item, state) in items.iter().zip(states) {
                *state = key.hash(item);
                sum.add(item, *state);
            }
            sum
        });
        let sum = sums.into_iter().fold(Sum::default(), Sum::with);
        Self { key, items, next, states, sum, made: 0 }
    }

    /// How many symbols were made.
    #[must_use]
    pub const fn made(&self) -> u32 {
        self.made
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
        let stretch = (self.made, self.made.saturating_add(count).min(SYMBOLS_MAX));
        let size = parts::size(self.items.len());
        let items = self.items.chunks(size).zip(self.next.chunks_mut(size));
        let (key, each) = (self.key, items.zip(self.states.chunks_mut(size)));
        let made = parts::each(each.collect(), |part| one_part(&key, part, stretch));
        let mut made = made.into_iter();
        let mut symbols = made.next().unwrap_or_else(|| empty(stretch));
        for part in made {
            symbols.iter_mut().zip(part).for_each(|(to, from)| *to = to.with(&from));
        }
        self.made = stretch.1;
        symbols
    }
}

fn empty((from, until): (u32, u32)) -> Vec<Symbol> {
    let length = usize::try_from(until.saturating_sub(from)).unwrap_or_default();
    vec![Symbol::default(); length]
}

/// What a part of the items gives to the symbols of a stretch.
fn one_part(
    key: &SessionKey,
    ((items, next), states): Part<'_>,
    stretch: (u32, u32),
) -> Vec<Symbol> {
    let mut symbols = empty(stretch);
    for (item, (next, state)) in items.iter().zip(next.iter_mut().zip(states)) {
        if *next < stretch.1 {
            // Where it has not gone anywhere yet, the state is the hash.
            let hash = if *next == 0 { *state } else { key.hash(item) };
            let mut places = Places { next: *next, state: *state };
            put(item, check_of(hash), 1, &mut places, stretch, &mut symbols);
            (*next, *state) = (places.next, places.state);
        }
    }
    symbols
}

/// Applies an item to every symbol of a stretch that it is in.
pub(super) fn put(
    item: &Item,
    check: u64,
    by: i64,
    places: &mut Places,
    (from, until): (u32, u32),
    symbols: &mut [Symbol],
) {
    while places.peek() < until {
        let at = usize::try_from(places.peek().saturating_sub(from)).unwrap_or(usize::MAX);
        if let Some(symbol) = symbols.get_mut(at) {
            symbol.apply(item, check, by);
        }
        places.advance();
    }
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
            assert_eq!(whole_root(value), value.isqrt(), "{value}");
        }
    }
}
