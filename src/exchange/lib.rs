//! How messages travel between offices: sealed envelopes in signed parcels, answered by signed receipts.
//!
//! Everything here is a value or a function: no socket, no disk, no clock, no randomness, and nothing
//! that knows what is inside a body. Time comes in as `now`, dice come in as a number. The shells around
//! it (`delivery`, `store`) feed events and perform effects; the model checker, the simulator and the
//! running node execute the same lines.

pub mod digest;
pub mod envelope;

pub mod tree;

pub mod custody;
pub mod parcel;
pub mod receipt;

pub mod keys;

pub mod backoff;
pub mod courier;
pub mod lane;
pub mod receiver;
pub mod relay;
pub mod route;
pub mod runs;

pub mod bundle;
pub mod card;
pub mod directory;
pub mod evidence;
pub mod ledger;
pub mod reconcile;

#[cfg(test)]
mod samples;
