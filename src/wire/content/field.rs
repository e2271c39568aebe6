//! Single fields: text, lists and identifiers, each with the name that errors give it.

use std::collections::BTreeSet;
use std::str::FromStr;

use domain::numbered::Numbered;
use domain::rule::{Rule, Violation};

use super::MalformedContent;

/// The wire number of a listed value.
pub(super) fn number<T: Numbered>(value: T) -> i32 {
    i32::from(value.number())
}

/// The wire number of a listed value that may be left out.
pub(super) fn maybe_number<T: Numbered>(value: Option<T>) -> i32 {
    value.map_or(0, number)
}

/// The wire numbers of a set.
pub(super) fn numbers<T: Numbered>(values: &BTreeSet<T>) -> Vec<i32> {
    values.iter().copied().map(number).collect()
}

/// A listed value; "not stated" is missing.
pub(super) fn listed<T: Numbered>(field: &'static str, number: i32) -> Result<T, MalformedContent> {
    maybe_listed(field, number)?.ok_or(MalformedContent::Missing(field))
}

/// A listed value that may be left out.
pub(super) fn maybe_listed<T: Numbered>(
    field: &'static str,
    number: i32,
) -> Result<Option<T>, MalformedContent> {
    if number == 0 {
        return Ok(None);
    }
    let known = u8::try_from(number).ok().and_then(T::from_number);
    let number = u32::from_ne_bytes(number.to_ne_bytes());
    known.map(Some).ok_or(MalformedContent::NotListed { field, number })
}

/// A set of listed values, each once; so it is never longer than the list.
pub(super) fn set<T: Numbered + Ord>(
    field: &'static str,
    numbers: &[i32],
) -> Result<BTreeSet<T>, MalformedContent> {
    let mut set = BTreeSet::new();
    for number in numbers {
        if !set.insert(listed(field, *number)?) {
            return Err(MalformedContent::Repeated(field));
        }
    }
    Ok(set)
}

/// A text read by its type's own reader; empty is missing.
pub(super) fn read<T, E: Violation>(
    field: &'static str,
    text: &str,
    reader: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, MalformedContent> {
    maybe_read(field, text, reader)?.ok_or(MalformedContent::Missing(field))
}

/// A text that may be left out, read by its type's own reader.
pub(super) fn maybe_read<T, E: Violation>(
    field: &'static str,
    text: &str,
    reader: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, MalformedContent> {
    if text.is_empty() {
        return Ok(None);
    }
    let read = reader(text).map(Some);
    read.map_err(|error| MalformedContent::Invalid { field, rule: error.rule() })
}

/// A text with `FromStr`; empty is missing.
pub(super) fn parsed<T: FromStr<Err: Violation>>(
    field: &'static str,
    text: &str,
) -> Result<T, MalformedContent> {
    read(field, text, str::parse)
}

/// A text with `FromStr` that may be left out.
pub(super) fn maybe_parsed<T: FromStr<Err: Violation>>(
    field: &'static str,
    text: &str,
) -> Result<Option<T>, MalformedContent> {
    maybe_read(field, text, str::parse)
}

/// The text of a value that may be left out; empty when it is.
pub(super) fn maybe_text<T: ToString>(value: Option<&T>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

/// Sixteen bytes; empty is missing.
pub(super) fn id<T>(field: &'static str, bytes: &[u8]) -> Result<T, MalformedContent>
where
    T: for<'a> TryFrom<&'a [u8]>,
{
    maybe_id(field, bytes)?.ok_or(MalformedContent::Missing(field))
}

/// Sixteen bytes that may be left out.
pub(super) fn maybe_id<T>(field: &'static str, bytes: &[u8]) -> Result<Option<T>, MalformedContent>
where
    T: for<'a> TryFrom<&'a [u8]>,
{
    if bytes.is_empty() {
        return Ok(None);
    }
    let invalid = MalformedContent::Invalid { field, rule: Rule::Identifier };
    T::try_from(bytes).map(Some).map_err(|_| invalid)
}

/// The bytes of an identifier that may be left out.
pub(super) fn id_bytes(bytes: Option<&[u8; 16]>) -> Vec<u8> {
    bytes.map(|bytes| bytes.to_vec()).unwrap_or_default()
}

/// A count of children.
pub(super) fn children(
    field: &'static str,
    count: u32,
) -> Result<domain::message::Children, MalformedContent> {
    let known = u8::try_from(count).ok().and_then(|count| count.try_into().ok());
    known.ok_or(MalformedContent::Invalid { field, rule: Rule::ChildrenTooMany })
}
