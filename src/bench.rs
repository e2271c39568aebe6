//! Measurements of the whole promise: real sockets, mutual TLS, disks that are waited for, signed receipts.

mod exchange;
mod floor;
mod process;
mod report;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use report::Report;

/// What to measure.
#[derive(Debug, Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Two nodes exchange messages: throughput, latency, processor time, flushes, memory, and a raw limit
    Exchange(ExchangeArgs),
}

/// Options of `bench exchange`.
#[derive(Clone, Debug, Parser)]
pub struct ExchangeArgs {
    /// Messages at full speed
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub messages: u64,
    /// Submitters at one time, each waiting until its message is on disk
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub submitters: u64,
    /// Messages a second while latency is measured
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub rate: u64,
    /// Messages over which latency is measured
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    pub latency_messages: u64,
    /// Bytes of a message before it is sealed
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(200..=1_500))]
    pub body_bytes: u64,
    /// Folder for the nodes' data; a temporary one when not given
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

/// Runs a measurement.
///
/// # Errors
/// When the nodes do not start or something they promised did not hold.
pub async fn run(args: Args) -> anyhow::Result<Report> {
    match args.what {
        What::Exchange(args) => exchange::run(&args).await,
    }
}
