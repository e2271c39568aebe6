//! Logs: lines for people or JSON for programs, on standard error; never personal data.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing::Subscriber;
use tracing_log::{AsLog as _, LogTracer};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Environment variable that chooses what is logged, such as `info,liangdi=debug`.
const FILTER_VARIABLE: &str = "LIANGDI_LOG";
const FILTER_DEFAULT: &str = "info";
/// The crate whose lines are never taken: it prints whole rows, and it goes on printing while threads end, when nothing can
/// be written any more and the attempt ends the process. Its errors come as results.
const SILENT: &str = "sled";

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter in the environment makes no sense.
    #[error("{FILTER_VARIABLE} is not a log filter; write it like info,liangdi=debug")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// This process logs already.
    #[error("the log has been started before")]
    Started,
}

/// Starts the log of this process; once.
///
/// # Errors
/// The filter in the environment makes no sense, or a log is running.
pub fn start(format: LogFormat) -> Result<(), LogError> {
    let written = std::env::var(FILTER_VARIABLE).ok().filter(|text| !text.is_empty());
    let filter = EnvFilter::try_new(written.as_deref().unwrap_or(FILTER_DEFAULT))
        .map_err(LogError::Filter)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => install(log.finish()),
        LogFormat::Json => install(log.json().flatten_event(true).finish()),
    }
}

fn install(log: impl Subscriber + Send + Sync) -> Result<(), LogError> {
    tracing::subscriber::set_global_default(log).map_err(|_| LogError::Started)?;
    let others = LogTracer::builder().ignore_crate(SILENT);
    let others = others.with_max_level(LevelFilter::current().as_log());
    others.init().map_err(|_| LogError::Started)
}
