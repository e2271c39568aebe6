//! Coded symbols: item `x` is in symbol `i` with probability 1 / (1 + i / 2), decided by its keyed hash alone.

use super::Item;
use super::key::SessionKey;
use super::key::check_of;

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
    pub const fn advance(&mut self) {
        self.state = self.state.wrapping_mul(0xDA94_2042_E4DD_58B5);
        let root = self.state.isqrt() + 1;
        let reach = widen(self.next) * 2 + 3;
        let step = (reach * ((1 << 32) - root)).div_ceil(2 * root);
        self.next = if step >= widen(SYMBOLS_MAX) {
            u32::MAX
        } else {
            self.next.saturating_add(narrow(if step == 0 { 1 } else { step }))
        };
    }
}

#[expect(clippy::as_conversions, reason = "u64::from is not const; it only widens")]
const fn widen(place: u32) -> u64 {
    place as u64
}

#[expect(clippy::as_conversions, reason = "below SYMBOLS_MAX, as the caller has checked")]
const fn narrow(step: u64) -> u32 {
    step as u32
}

/// Makes the symbols of a set, one stretch after the other.
///
/// Each item keeps where it goes next; a stretch looks at all of them once. So memory is bounded by the set (44 bytes an
/// item), and a stretch should grow with what was made before it.
#[derive(Clone, Debug)]
pub struct Encoder {
    key: SessionKey,
    items: Vec<Item>,
    places: Vec<Places>,
    made: u32,
}

impl Encoder {
    /// Of these items, none of them twice.
    #[must_use]
    pub fn new(key: SessionKey, items: Vec<Item>) -> Self {
        let places = items.iter().map(|item| Places::of(key.hash(item))).collect();
        Self { key, items, places, made: 0 }
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

    /// The next `count` symbols.
    pub fn next(&mut self, count: u32) -> Vec<Symbol> {
        let until = self.made.saturating_add(count).min(SYMBOLS_MAX);
        let length = usize::try_from(until.saturating_sub(self.made)).unwrap_or_default();
        let mut symbols = vec![Symbol::default(); length];
        for (item, places) in self.items.iter().zip(&mut self.places) {
            if places.peek() < until {
                let check = check_of(self.key.hash(item));
                put(item, check, 1, places, (self.made, until), &mut symbols);
            }
        }
        self.made = until;
        symbols
    }
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
