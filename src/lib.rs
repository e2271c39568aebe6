//! Modules of the node, in reading order.

pub mod app;
pub mod time;
