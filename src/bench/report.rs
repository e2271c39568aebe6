//! What was measured, for people and for programs.

use serde::Serialize;

/// Result of `bench exchange`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Accepted here, stored there, receipt stored here.
    pub messages_per_second: f64,
    /// From the call to the peer's signed receipt in hand, at the low rate; median.
    pub p50_ms: f64,
    /// 95 of 100.
    pub p95_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
    /// Processor time of both nodes and the submitters, at full speed.
    pub cpu_seconds_per_10k: f64,
    /// The same at the low rate.
    pub cpu_seconds_per_10k_low_rate: f64,
    /// Syncs of both stores a message, at full speed.
    pub flushes_per_message: f64,
    /// Bytes of keys and values that the sender's store wrote a message, at full speed.
    pub bytes_per_message: f64,
    /// Median number of use cases that shared one sync at the sender, at full speed.
    pub group_p50: u64,
    /// Most memory of the two nodes together.
    pub peak_rss_mb: f64,
    /// Raw limit measured in the same run: append and fdatasync at both ends, mutual TLS between, same bytes and groups.
    pub floor_per_second: f64,
    /// Messages a second over the raw limit.
    pub ratio_to_floor: f64,
    /// Median of one append and fdatasync on this disk, milliseconds.
    pub disk_flush_p50_ms: f64,
    /// Messages at full speed.
    pub messages: u64,
    /// Bytes of a message before it was sealed.
    pub body_bytes: u64,
    /// Submitters at one time.
    pub submitters: u64,
    /// Messages a second while latency was measured.
    pub rate: u64,
}

impl Report {
    /// Lines for people: name, figure, unit.
    #[must_use]
    pub fn lines(&self) -> Vec<[String; 2]> {
        let line = |name: &str, value: String| [name.to_owned(), value];
        vec![
            line("end to end", format!("{:.0} messages/s", self.messages_per_second)),
            line(
                "raw limit, same run",
                format!(
                    "{:.0} messages/s; ratio {:.1} %",
                    self.floor_per_second,
                    self.ratio_to_floor * 100.0
                ),
            ),
            line(
                &format!("latency to the receipt at {}/s", self.rate),
                format!(
                    "p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms; one disk flush {:.2} ms",
                    self.p50_ms, self.p95_ms, self.p99_ms, self.disk_flush_p50_ms
                ),
            ),
            line(
                "processor time per 10,000",
                format!(
                    "{:.2} s at full speed, {:.2} s at {}/s",
                    self.cpu_seconds_per_10k, self.cpu_seconds_per_10k_low_rate, self.rate
                ),
            ),
            line(
                "flushes per message, both nodes",
                format!("{:.4}; median group {}", self.flushes_per_message, self.group_p50),
            ),
            line("bytes per message, sender's store", format!("{:.0}", self.bytes_per_message)),
            line("peak memory, both nodes", format!("{:.0} MB", self.peak_rss_mb)),
            line(
                "measured with",
                format!(
                    "{} messages of {} bytes, {} submitters",
                    self.messages, self.body_bytes, self.submitters
                ),
            ),
        ]
    }
}
