//! `liangdi bench`: measurements, for people and for programs.

use super::exit::Failure;
use super::output::Answer;
use crate::bench::{self, Args};
use crate::ops::telemetry::{self, LogFormat};

/// Runs the command.
pub(super) fn run(args: Args) -> Result<Answer, Failure> {
    telemetry::start(LogFormat::Text).map_err(|e| Failure::usage(e.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::failed(format!("no runtime: {e}")))?;
    let report =
        runtime.block_on(bench::run(args)).map_err(|e| Failure::failed(format!("{e:#}")))?;
    let lines = report.lines();
    let width = lines.iter().map(|[name, _]| name.chars().count()).max().unwrap_or_default();
    let text: Vec<_> =
        lines.iter().map(|[name, value]| format!("{name:width$}  {value}")).collect();
    let value = serde_json::to_value(&report);
    let value = value.map_err(|e| Failure::failed(format!("no report: {e}")))?;
    let text = text.join("\n");
    if report.held() {
        return Ok(Answer::new(value, text));
    }
    Err(Failure::failed("what was measured is outside of its bounds").zh("超出范围").detail(text))
}
