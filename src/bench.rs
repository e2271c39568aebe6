//! Measurements of the whole promise: real sockets, mutual TLS, disks that are waited for, signed receipts.

mod exchange;
mod floor;
mod process;
mod reconcile;
mod report;
mod soak;
mod trial;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use serde::Serialize;

pub use reconcile::Reconciled;
pub use report::Report;
pub use soak::Soak;

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
    /// Two nodes exchange messages at a steady rate for long: lateness minute by minute, drift, memory
    Soak(SoakArgs),
    /// Two ledgers are compared: bytes, rounds, time, memory
    Reconcile(ReconcileArgs),
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

/// Options of `bench soak`.
#[derive(Clone, Debug, Parser)]
pub struct SoakArgs {
    /// Minutes it runs
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1_440))]
    pub minutes: u64,
    /// Messages a second
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub rate: u64,
    /// Folder for the nodes' data; a temporary one when not given
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

/// Options of `bench reconcile`.
#[derive(Clone, Debug, Parser)]
pub struct ReconcileArgs {
    /// Entries that both sides have
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(..=10_000_000))]
    pub entries: u64,
    /// Entries that only one side has, half of them each
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    pub differences: u64,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Measured {
    /// By `bench exchange`.
    Exchange(Report),
    /// By `bench soak`.
    Soak(Soak),
    /// By `bench reconcile`.
    Reconcile(Reconciled),
}

impl Measured {
    /// Lines for people: name, figure, unit.
    #[must_use]
    pub fn lines(&self) -> Vec<[String; 2]> {
        match self {
            Self::Exchange(report) => report.lines(),
            Self::Soak(soak) => soak.lines(),
            Self::Reconcile(reconciled) => reconciled.lines(),
        }
    }

    /// Whether it was within its bounds, where it has some.
    #[must_use]
    pub const fn held(&self) -> bool {
        match self {
            Self::Exchange(_) | Self::Reconcile(_) => true,
            Self::Soak(soak) => soak.held,
        }
    }
}

/// Runs a measurement.
///
/// # Errors
/// When the nodes do not start or something they promised did not hold.
pub async fn run(args: Args) -> anyhow::Result<Measured> {
    match args.what {
        What::Exchange(args) => exchange::run(&args).await.map(Measured::Exchange),
        What::Soak(args) => soak::run(&args).await.map(Measured::Soak),
        What::Reconcile(args) => reconcile::run(&args).map(Measured::Reconcile),
    }
}
