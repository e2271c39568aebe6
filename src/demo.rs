//! The demonstration: a whole network on this machine plays a day's work through its public interfaces.

pub mod network;
