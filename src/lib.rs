//! Modules of the node, in reading order.

pub mod config;
pub mod errors;
pub mod tasks;
pub mod time;

pub mod app;
pub mod delivery;

pub mod api;

pub mod node;

pub mod cli;
pub mod ops;
pub mod demo;
pub mod bench;
