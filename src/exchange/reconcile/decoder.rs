//! Peeling: from the difference of two sets' symbols to the items in it.

use super::Item;
use super::key::SessionKey;
use super::key::Sum;
use super::key::check_of;
use super::symbol::Encoder;
use super::symbol::Places;
use super::symbol::Symbol;
use super::symbol::put;

/// The symbols cannot be those of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More came out than went in: what was sent is no sketch of a set.
    #[error("the symbols are not those of a set")]
    Inconsistent,
}

/// An item that was found, and where it is in symbols to come.
#[derive(Clone, Copy, Debug)]
struct Found {
    item: Item,
    check: u64,
    /// 1: only we have it; -1: only they.
    by: i64,
    places: Places,
}

/// Compares our set with symbols of theirs.
#[derive(Clone, Debug)]
pub struct Decoder {
    ours: Encoder,
    key: SessionKey,
    /// Differences of symbols, as far as nothing was found in them.
    symbols: Vec<Symbol>,
    found: Vec<Found>,
    /// Symbols that may hold one item alone.
    look: Vec<u32>,
    /// Symbols that are not empty yet.
    open: usize,
}

impl Decoder {
    /// Compares this set, whose items are hashed under that key and of which no symbol was made.
    #[must_use]
    pub fn new(key: SessionKey, ours: Encoder) -> Self {
        let (symbols, found, look) = (Vec::new(), Vec::new(), Vec::new());
        Self { ours, key, symbols, found, look, open: 0 }
    }

    /// How many symbols were taken.
    #[must_use]
    pub fn taken(&self) -> u32 {
        u32::try_from(self.symbols.len()).unwrap_or(u32::MAX)
    }

    /// Whether everything is found: the first symbol holds every item, so when it is empty nothing is left.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.open == 0 && !self.symbols.is_empty()
    }

    /// Items that only we have, and items that only they have.
    #[must_use]
    pub fn differences(&self) -> (Vec<Item>, Vec<Item>) {
        let of = |by| self.found.iter().filter(move |found| found.by == by).map(|found| found.item);
        (of(1).collect(), of(-1).collect())
    }

    /// How many differences the symbols tell of before any was found in them, roughly.
    ///
    /// In symbol i the counts of two sets differ by a sum of signs that are there with probability `p = 2 / (i + 2)`. With
    /// `d` differences, `s` of them more on one side, its square is about `d p (1 - p) + s^2 p^2`; the first symbol tells
    /// `s`.
    #[must_use]
    pub fn estimate(&self) -> u64 {
        let square = |count: i64| i128::from(count) * i128::from(count);
        let Some((first, rest)) = self.symbols.split_first() else { return 0 };
        let surplus = square(first.count).saturating_mul(4);
        let (mut sum, mut terms) = (0_i128, 0_i128);
        for (place, symbol) in (1_i128..).zip(rest) {
            let spread = square(symbol.count).saturating_mul((place + 2) * (place + 2));
            sum = sum.saturating_add(spread.saturating_sub(surplus) / (2 * place));
            terms += 1;
        }
        let mean = u64::try_from(sum / terms.max(1)).unwrap_or_default();
        mean.max(first.count.unsigned_abs())
    }

    /// Number and keyed digest of our own items.
    #[must_use]
    pub const fn sum(&self) -> Sum {
        self.ours.sum()
    }

    /// Says how many symbols of theirs will be taken in all, as far as is known.
    pub fn expect(&mut self, through: u32) {
        self.ours.expect(through);
    }

    /// Takes the next symbols of theirs, in order; says whether everything is found.
    ///
    /// Work and memory are bounded by the number of symbols taken and our own set, whatever the symbols say.
    ///
    /// # Errors
    /// [`DecodeError`] when they are not those of a set.
    pub fn take(&mut self, theirs: &[Symbol]) -> Result<bool, DecodeError> {
        let from = self.taken();
        let count = u32::try_from(theirs.len()).unwrap_or(u32::MAX);
        let mut fresh = self.ours.next(count);
        let until = from.saturating_add(count);
        for (symbol, theirs) in fresh.iter_mut().zip(theirs) {
            *symbol = symbol.without(theirs);
        }
        for found in &mut self.found {
            let Found { item, check, by, places } = found;
            put(item, *check, by.wrapping_neg(), places, (from, until), &mut fresh);
        }
        self.open += fresh.iter().filter(|symbol| !symbol.is_empty()).count();
        self.symbols.append(&mut fresh);
        self.look.extend(from..until);
        self.peel()?;
        Ok(self.is_done())
    }

    fn peel(&mut self) -> Result<(), DecodeError> {
        while let Some(place) = self.look.pop() {
            let Some(symbol) = self.symbol(place).copied() else { continue };
            let by = symbol.count;
            if by.unsigned_abs() != 1 {
                continue;
            }
            let hash = self.key.hash(&symbol.items);
            if check_of(hash) != symbol.check {
                continue;
            }
            if self.found.len() >= self.symbols.len() {
                return Err(DecodeError::Inconsistent);
            }
            self.take_out(symbol.items, hash, by);
        }
        Ok(())
    }

    /// Takes an item out of every symbol that it is in.
    fn take_out(&mut self, item: Item, hash: u64, by: i64) {
        let (check, until) = (check_of(hash), self.taken());
        let mut places = Places::of(hash);
        while places.peek() < until {
            let place = places.peek();
            let at = usize::try_from(place).unwrap_or(usize::MAX);
            if let Some(symbol) = self.symbols.get_mut(at) {
                let was_empty = symbol.is_empty();
                symbol.apply(&item, check, by.wrapping_neg());
                match (was_empty, symbol.is_empty()) {
                    (false, true) => self.open = self.open.saturating_sub(1),
                    (true, false) => self.open += 1,
                    _ => {}
                }
                if symbol.count.unsigned_abs() == 1 {
                    self.look.push(place);
                }
            }
            places.advance();
        }
        self.found.push(Found { item, check, by, places });
    }

    fn symbol(&self, place: u32) -> Option<&Symbol> {
        self.symbols.get(usize::try_from(place).ok()?)
    }
}
