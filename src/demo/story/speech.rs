//! Small things that several steps say.

use domain::time::UnixMillis;

/// Milliseconds between two times of nodes; 0 when the second is before the first, as clocks may have it.
pub(super) fn between(from_ms: u64, to_ms: u64) -> u128 {
    UnixMillis::new(to_ms).since(UnixMillis::new(from_ms)).as_millis()
}

/// The beginning of a long id or digest, enough to recognise it.
pub(super) fn short(text: &str) -> &str {
    text.get(..16).unwrap_or(text)
}
