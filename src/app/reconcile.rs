//! Reconciliation: what this node and the counties below it say of their messages, and what is done where the other
//! side says something else.

pub mod books;
pub mod corrections;
pub mod cures;
pub mod decisions;
pub mod figures;
pub mod former;
pub mod old;
pub mod periods;
pub mod reports;
pub mod runs;
pub mod standing;
pub mod statements;
pub mod versions;
