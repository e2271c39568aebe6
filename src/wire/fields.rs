//! The few pieces that all conversions need: reading protobuf without allocating, writing it, and limits.
//!
//! Headers and dispositions are read for every message, at 60,000 a second and more; generated types
//! would allocate five times each. A test holds the two readers against each other.

use domain::area::AreaCode;
use domain::time::UnixMillis;
use exchange::envelope::AlgorithmProfile;
use exchange::parcel::CERTIFICATE_BYTES_MAX;
use exchange::parcel::CHAIN_CERTIFICATES_MAX;

use crate::malformed::Malformed;
use crate::pb;

/// Latest time that is taken: the end of the year 9999.
const TIME_MAX: u64 = 253_402_300_799_999;

/// A field as it lies in the bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    Bytes(&'a [u8]),
}

/// The fields of a serialised message, in the order they come.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) const fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for at in 0..10_u32 {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if at == 9 && bits > 1 {
                return None;
            }
            value |= bits << (7 * at);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let key = u32::try_from(self.varint()?).ok()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                let bytes = self.take(8)?.first_chunk()?;
                Value::Fixed64(u64::from_le_bytes(*bytes))
            }
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed32)?,
            // Groups are older than this protocol.
            _ => return None,
        };
        let number = key >> 3;
        (number != 0).then_some((number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(Malformed::Protobuf))
    }
}

impl<'a> Value<'a> {
    pub(crate) fn varint(self) -> Result<u64, Malformed> {
        match self {
            Self::Varint(number) => Ok(number),
            Self::Fixed64(_) | Self::Fixed32 | Self::Bytes(_) => Err(Malformed::Protobuf),
        }
    }

    pub(crate) fn fixed64(self) -> Result<u64, Malformed> {
        match self {
            Self::Fixed64(number) => Ok(number),
            Self::Varint(_) | Self::Fixed32 | Self::Bytes(_) => Err(Malformed::Protobuf),
        }
    }

    pub(crate) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed64(_) | Self::Fixed32 => Err(Malformed::Protobuf),
        }
    }

    /// Protobuf keeps the low 32 bits of an enum.
    pub(crate) fn number(self) -> Result<i32, Malformed> {
        let [a, b, c, d, ..] = self.varint()?.to_le_bytes();
        Ok(i32::from_le_bytes([a, b, c, d]))
    }
}

/// Appends a varint field; 0 is left out, as proto3 wants it.
pub(crate) fn put_varint(out: &mut Vec<u8>, number: u32, value: u64) {
    if value != 0 {
        push_varint(out, u64::from(number << 3));
        push_varint(out, value);
    }
}

/// Appends a fixed64 field; 0 is left out.
pub(crate) fn put_fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    if value != 0 {
        push_varint(out, u64::from(number << 3 | 1));
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Appends a field of bytes or text; an empty one is left out.
pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    if !value.is_empty() {
        put_message(out, number, value);
    }
}

/// Appends an embedded message, also an empty one.
pub(crate) fn put_message(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    push_varint(out, u64::from(number << 3 | 2));
    push_varint(out, u64::try_from(value.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(value);
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Bytes of fixed length.
pub(crate) fn array<const N: usize>(
    field: &'static str,
    bytes: &[u8],
) -> Result<[u8; N], Malformed> {
    if bytes.is_empty() {
        return Err(Malformed::Missing { field });
    }
    bytes.try_into().map_err(|_| Malformed::Length { field, expected: N, found: bytes.len() })
}

/// Checks a length or a number of items against its limit.
pub(crate) const fn at_most(
    field: &'static str,
    found: usize,
    most: usize,
) -> Result<(), Malformed> {
    if found > most { Err(Malformed::TooMuch { field, most, found }) } else { Ok(()) }
}

/// Like [`at_most`], and at least one.
pub(crate) const fn some(field: &'static str, found: usize, most: usize) -> Result<(), Malformed> {
    if found == 0 { Err(Malformed::Missing { field }) } else { at_most(field, found, most) }
}

/// Area of a node: six digits.
pub(crate) fn node_area(field: &'static str, text: &[u8]) -> Result<AreaCode, Malformed> {
    if text.is_empty() {
        return Err(Malformed::Missing { field });
    }
    let text = std::str::from_utf8(text).map_err(|_| Malformed::Text { field })?;
    let area: AreaCode = text.parse().map_err(|source| Malformed::Area { field, source })?;
    if text.len() == 6 { Ok(area) } else { Err(Malformed::NotSixDigits { field }) }
}

/// A time that the calendar still knows.
pub(crate) const fn time(field: &'static str, millis: u64) -> Result<UnixMillis, Malformed> {
    if millis > TIME_MAX { Err(Malformed::Range { field }) } else { Ok(UnixMillis::new(millis)) }
}

/// A profile of the list.
pub(crate) fn profile(field: &'static str, number: i32) -> Result<AlgorithmProfile, Malformed> {
    match pb::exchange::AlgorithmProfile::try_from(number) {
        Ok(pb::exchange::AlgorithmProfile::International) => Ok(AlgorithmProfile::International),
        Ok(pb::exchange::AlgorithmProfile::Shangmi) => Ok(AlgorithmProfile::Shangmi),
        Ok(pb::exchange::AlgorithmProfile::Unspecified) | Err(_) => {
            Err(Malformed::Unknown { field, number: i64::from(number) })
        }
    }
}

/// Its number.
pub(crate) const fn profile_number(profile: AlgorithmProfile) -> pb::exchange::AlgorithmProfile {
    match profile {
        AlgorithmProfile::International => pb::exchange::AlgorithmProfile::International,
        AlgorithmProfile::Shangmi => pb::exchange::AlgorithmProfile::Shangmi,
    }
}

/// Checks number and size of certificates or revocation lists in DER.
pub(crate) fn check_ders(
    field: &'static str,
    ders: &[Vec<u8>],
    most: usize,
    bytes_max: usize,
) -> Result<(), Malformed> {
    at_most(field, ders.len(), most)?;
    ders.iter().try_for_each(|der| some(field, der.len(), bytes_max))
}

/// Checks a signer's chain that has to be there: in what goes further than the stream of its signer.
pub(crate) fn check_chain(field: &'static str, chain: &[Vec<u8>]) -> Result<(), Malformed> {
    some(field, chain.len(), CHAIN_CERTIFICATES_MAX)?;
    check_ders(field, chain, CHAIN_CERTIFICATES_MAX, CERTIFICATE_BYTES_MAX)
}
