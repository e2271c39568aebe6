//! The async shells of the protocol: one courier a peer, the stream that takes mail in, cards.
//!
//! Shells perform, they do not remember: what must survive a crash is in the store before an effect
//! is performed.

pub mod cards;
pub mod identity;
pub mod inbound;
pub mod limits;
pub mod link;
pub mod outbound;
mod parcels;
pub mod peers;
pub mod receipts;
