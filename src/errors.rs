//! Errors with everything under them, on one line; printed once, at the edge.

use std::error::Error;

/// An error and what it rests on, joined by colons.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |e| (*e).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
