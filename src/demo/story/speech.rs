//! Small things that several steps say.

use domain::time::UnixMillis;
use serde_json::Value;

use super::super::step::Broken;

/// Milliseconds between two times of nodes; 0 when the second is before the first, as clocks may have it.
pub(super) fn between(from_ms: u64, to_ms: u64) -> u128 {
    UnixMillis::new(to_ms).since(UnixMillis::new(from_ms)).as_millis()
}

/// The beginning of a long id or digest, enough to recognise it.
pub(super) fn short(text: &str) -> &str {
    text.get(..16).unwrap_or(text)
}

/// A text in what the program answered.
pub(super) fn text<'a>(answer: &'a Value, field: &str) -> Result<&'a str, Broken> {
    let found = answer.get(field).and_then(Value::as_str);
    found.ok_or_else(|| Broken::NotSo(format!("no {field} in the answer")))
}

/// A number in what the program answered; 0 when there is none.
pub(super) fn number(answer: &Value, field: &str) -> u64 {
    answer.get(field).and_then(Value::as_u64).unwrap_or_default()
}
