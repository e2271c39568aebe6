//! Modules of the node, in reading order.

pub mod config;
pub mod conformance;
pub mod errors;
pub mod tasks;
pub mod time;

pub mod access_file;
pub mod agreement_file;
pub mod app;
pub mod delivery;
pub mod draw;

pub mod api;

pub mod node;

pub mod bench;
pub mod cli;
pub mod demo;
pub mod ops;
