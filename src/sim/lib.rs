//! The whole protocol in one process: many nodes under a seeded scheduler, with a simulated network, clocks and disks.
//!
//! A world follows from its seed alone. Its nodes run the state machines of the real node ([`exchange`]) in a thin
//! shell of their own, everything goes wrong that a plan drawn from the seed says, and in the end things are left alone to
//! come to rest. Then a checker that knows nothing of the nodes' insides looks at what was promised and what is on the
//! disks. What is not simulated: certificates (a signature is a value that only its signer can make), the directory of
//! cards, the bytes of the wire and of the store.

mod checker;
mod clock;
mod coming;
mod dice;
mod disk;
mod ends;
mod history;
mod mail;
mod network;
mod node;
mod outcome;
mod plan;
mod run;
mod timeline;

#[cfg(test)]
mod tests;

pub use checker::{Broken, Promise};
pub use history::{Entry, Fact, History, ParcelName, Release, Sort, Word, Written};
pub use mail::MessageNo;
pub use node::Peaks;
pub use outcome::{Outcome, Sizes, Summary};
pub use plan::{NODES_MAX, NodeNo, Options, Story};
pub use run::run;
pub use timeline::Moment;
