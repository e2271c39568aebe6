//! Logs: lines for people or JSON for programs, on standard error; never personal data.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// Environment variable that chooses what is logged, such as `info,liangdi=debug`.
const FILTER_VARIABLE: &str = "LIANGDI_LOG";
/// Sled tells its own story at `info` on every start; clerks and operators do not need it.
const FILTER_DEFAULT: &str = "info,sled=warn";

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
    let started = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|_| LogError::Started)
}
