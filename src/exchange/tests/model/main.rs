//! The real courier, lanes, receiver and forwarder in a small world in which everything may go wrong: every
//! order of events is looked at within bounds, and longer ones are drawn by lot.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking and say what they have looked at"
)]

mod actions;
mod checks;
mod letters;
mod network;
mod recipient;
mod relay;
mod sender;
mod setup;
mod truth;
mod walks;
mod world;
