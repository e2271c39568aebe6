//! The configuration file as it is typed; nothing here is checked yet.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) area: Spanned<String>,
    pub(super) name: String,
    pub(super) data_dir: PathBuf,
    pub(super) listen: RawListen,
    pub(super) tls: RawTls,
    pub(super) store: RawStore,
    #[serde(default)]
    pub(super) delivery: RawDelivery,
    #[serde(default)]
    pub(super) directory: RawDirectory,
    #[serde(default)]
    pub(super) limits: RawLimits,
    #[serde(default)]
    pub(super) alarms: RawAlarms,
    #[serde(default)]
    pub(super) backup: RawBackup,
    #[serde(default)]
    pub(super) reconcile: RawReconcile,
    #[serde(default)]
    pub(super) peer: Vec<RawPeer>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawListen {
    pub(super) node: Spanned<String>,
    pub(super) office: Spanned<String>,
    pub(super) advertise: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) root: PathBuf,
    #[serde(default)]
    pub(super) revocation_lists: Vec<PathBuf>,
    #[serde(default = "default_suffix")]
    pub(super) suffix: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStore {
    pub(super) key_file: Option<PathBuf>,
    pub(super) key_environment: Option<String>,
    pub(super) key_credential: Option<String>,
    #[serde(default = "default_cache_mb")]
    pub(super) cache_mb: Spanned<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDelivery {
    pub(super) window_parcels: Spanned<u32>,
    pub(super) backoff_min_ms: Spanned<u32>,
    pub(super) backoff_max_ms: Spanned<u32>,
    pub(super) receipt_timeout_ms: Spanned<u32>,
    pub(super) route_patience_ms: Spanned<u32>,
    pub(super) custody_patience_ms: Spanned<u32>,
    pub(super) progress_every_s: Spanned<u32>,
    pub(super) collects: bool,
}

impl Default for RawDelivery {
    fn default() -> Self {
        Self {
            window_parcels: unwritten(4),
            backoff_min_ms: unwritten(200),
            backoff_max_ms: unwritten(60_000),
            receipt_timeout_ms: unwritten(30_000),
            route_patience_ms: unwritten(10_000),
            custody_patience_ms: unwritten(3_600_000),
            progress_every_s: unwritten(60),
            collects: false,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDirectory {
    pub(super) refresh_s: Spanned<u32>,
    pub(super) rotate_keys_days: Spanned<u32>,
}

impl Default for RawDirectory {
    fn default() -> Self {
        Self { refresh_s: unwritten(300), rotate_keys_days: unwritten(60) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLimits {
    pub(super) messages_per_second: Spanned<u32>,
    pub(super) bytes_per_second: Spanned<u32>,
    pub(super) connections_per_peer: Spanned<u32>,
    pub(super) disk_free_min_mb: Spanned<u32>,
    pub(super) reads_per_hour: Spanned<u32>,
    pub(super) reads_per_day: Spanned<u32>,
    pub(super) reads_unusual_times: Spanned<u32>,
    pub(super) reads_usual_least: Spanned<u32>,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            messages_per_second: unwritten(200_000),
            bytes_per_second: unwritten(256 * 1024 * 1024),
            connections_per_peer: unwritten(8),
            disk_free_min_mb: unwritten(256),
            reads_per_hour: unwritten(200),
            reads_per_day: unwritten(1_000),
            reads_unusual_times: unwritten(3),
            reads_usual_least: unwritten(20),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAlarms {
    pub(super) silent_days: Spanned<u32>,
    pub(super) unopened_days: Spanned<u32>,
    pub(super) look_every_s: Spanned<u32>,
}

impl Default for RawAlarms {
    fn default() -> Self {
        Self { silent_days: unwritten(3), unopened_days: unwritten(5), look_every_s: unwritten(60) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawBackup {
    pub(super) dir: Option<PathBuf>,
    pub(super) keep: Spanned<u32>,
}

impl Default for RawBackup {
    fn default() -> Self {
        Self { dir: None, keep: unwritten(7) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawReconcile {
    pub(super) report_every_s: Spanned<u32>,
    pub(super) with: Vec<Spanned<String>>,
    pub(super) every: Spanned<String>,
    pub(super) on_day: Spanned<u32>,
    pub(super) retry_s: Spanned<u32>,
    pub(super) unmatched_max: Spanned<u32>,
    pub(super) patience_s: Spanned<u32>,
}

impl Default for RawReconcile {
    fn default() -> Self {
        Self {
            report_every_s: unwritten(300),
            with: Vec::new(),
            every: unwritten("month".to_owned()),
            on_day: unwritten(5),
            retry_s: unwritten(3_600),
            unmatched_max: unwritten(1_000_000),
            patience_s: unwritten(900),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPeer {
    pub(super) area: Spanned<String>,
    pub(super) endpoint: Spanned<String>,
}

fn default_suffix() -> Spanned<String> {
    unwritten("liangdi.internal".to_owned())
}

fn default_cache_mb() -> Spanned<u32> {
    unwritten(32)
}

/// A default has no place in the file; a problem with it points at the first line.
fn unwritten<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}
