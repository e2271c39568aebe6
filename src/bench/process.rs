//! Processor time and memory of processes, as the kernel counts them.

use std::fs;

use anyhow::Context as _;

/// Ticks of processor time a second; fixed by the kernel's interface.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time a process has used, seconds.
pub(super) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("no such process")?;
    // The name in the second field may hold spaces; everything after its last bracket does not.
    let rest = stat.rsplit_once(')').context("not a stat file")?.1;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |index: usize| -> anyhow::Result<f64> {
        Ok(fields.get(index).context("a short stat file")?.parse::<f64>()?)
    };
    // Fields 14 and 15 of proc(5): user and system time.
    Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

/// The most memory a process has held, megabytes.
pub(super) fn peak_rss_mb(pid: u32) -> anyhow::Result<f64> {
    memory_mb(pid, "VmHWM:")
}

/// The memory a process holds now, megabytes.
pub(super) fn rss_mb(pid: u32) -> anyhow::Result<f64> {
    memory_mb(pid, "VmRSS:")
}

fn memory_mb(pid: u32, field: &str) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("no such process")?;
    let line = status.lines().find(|line| line.starts_with(field));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    let kilobytes = kilobytes.with_context(|| format!("no {field}"))?;
    Ok(kilobytes.parse::<f64>()? / 1024.0)
}
