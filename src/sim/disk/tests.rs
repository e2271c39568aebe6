//! The simulated disk: what is told when, and what a crash takes away.
