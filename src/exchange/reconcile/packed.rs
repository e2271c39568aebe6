//! Symbols as they travel: 32 bytes of items, 6 of the checksum, and the count as a number of few bytes.
//!
//! Of a set of n items about `2n / (i + 2)` are in symbol i. What travels is how far the count is from that, zigzag and
//! varint: one or two bytes.

use super::ITEM_BYTES;
use super::Item;
use super::symbol::Symbol;

/// Symbols in one message at most.
pub const SYMBOLS_AT_ONCE: u32 = 8_192;
/// Bytes of a symbol at most.
pub const SYMBOL_BYTES_MAX: usize = ITEM_BYTES + CHECK_BYTES + VARINT_BYTES_MAX;

const CHECK_BYTES: usize = 6;
const VARINT_BYTES_MAX: usize = 10;

/// The bytes are not symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not symbols")]
pub struct NotSymbols;

/// Packs symbols `from` and after of a set of `count` items.
#[must_use]
pub fn pack(symbols: &[Symbol], from: u32, count: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(symbols.len() * (ITEM_BYTES + CHECK_BYTES + 2));
    for (place, symbol) in (u64::from(from)..).zip(symbols) {
        bytes.extend_from_slice(&symbol.items);
        let [_, _, check @ ..] = symbol.check.to_be_bytes();
        bytes.extend_from_slice(&check);
        put_varint(&mut bytes, zigzag(symbol.count.wrapping_sub(expected(count, place))));
    }
    bytes
}

/// Reads what [`pack`] has written, at most [`SYMBOLS_AT_ONCE`] symbols.
///
/// # Errors
/// [`NotSymbols`].
pub fn unpack(mut bytes: &[u8], from: u32, count: u64) -> Result<Vec<Symbol>, NotSymbols> {
    let mut symbols = Vec::new();
    let mut place = u64::from(from);
    while !bytes.is_empty() {
        if symbols.len() >= usize::try_from(SYMBOLS_AT_ONCE).unwrap_or_default() {
            return Err(NotSymbols);
        }
        let (items, rest) = bytes.split_first_chunk::<ITEM_BYTES>().ok_or(NotSymbols)?;
        let (check, rest) = rest.split_first_chunk::<CHECK_BYTES>().ok_or(NotSymbols)?;
        let [a, b, c, d, e, f] = *check;
        let check = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        let (offset, rest) = take_varint(rest).ok_or(NotSymbols)?;
        let count = expected(count, place).wrapping_add(unzigzag(offset));
        symbols.push(Symbol { items: *items, check, count });
        (bytes, place) = (rest, place.saturating_add(1));
    }
    Ok(symbols)
}

/// Packs items as they are.
#[must_use]
pub fn pack_items(items: &[Item]) -> Vec<u8> {
    items.concat()
}

/// Reads what [`pack_items`] has written.
///
/// # Errors
/// [`NotSymbols`] when bytes are left over.
pub fn unpack_items(bytes: &[u8]) -> Result<Vec<Item>, NotSymbols> {
    let (items, rest) = bytes.as_chunks::<ITEM_BYTES>();
    if rest.is_empty() { Ok(items.to_vec()) } else { Err(NotSymbols) }
}

fn expected(count: u64, place: u64) -> i64 {
    let expected = count.saturating_mul(2) / place.saturating_add(2);
    i64::try_from(expected).unwrap_or(i64::MAX)
}

const fn zigzag(value: i64) -> u64 {
    (value.wrapping_shl(1) ^ value.wrapping_shr(63)).cast_unsigned()
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ (value & 1).cast_signed().wrapping_neg()
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            bytes.push(low & 0x7F);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn take_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(VARINT_BYTES_MAX).enumerate() {
        let shift = u32::try_from(index * 7).ok()?;
        let bits = u64::from(byte & 0x7F);
        value |= bits.checked_shl(shift).filter(|shifted| *shifted >> shift == bits)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}
