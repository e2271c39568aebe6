//! What operators need around the node; no personal data anywhere.

pub mod panics;
pub mod telemetry;
