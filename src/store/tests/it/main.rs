//! The store from outside: what it promises, and what is left of it after a crash.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "clippy excuses test functions, but not their helpers"
)]

mod backup;
mod backup_busy;
mod conformance;
mod crash;
mod damage;
mod durability;
mod erasure;
mod gates;
mod maintenance;
mod packing;
mod power;
mod support;
mod workload;
