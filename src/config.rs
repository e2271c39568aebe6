//! TOML configuration: what was typed ([`raw`]) and what it means ([`Settings`]); opens nothing.

mod alarms;
mod backup;
mod directory;
mod limits;
mod raw;
mod reconcile;

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::area::{AreaCode, AreaTable};
use serde::Serialize;
use store::DataKeySource;
use toml::Spanned;

pub use self::alarms::AlarmSettings;
pub use self::backup::BackupSettings;
pub use self::directory::DirectorySettings;
pub use self::limits::LimitSettings;
use self::raw::{RawConfig, RawPeer};
pub use self::reconcile::{Every, ReconcileSettings};

/// Envelopes a clerk's program may hand in while the committer is busy, before it is told to wait.
const QUEUE_DEPTH: usize = 4_096;

/// The configuration of one node, checked: every value can be used as it is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// County or province the node speaks for, six digits.
    pub area: AreaCode,
    /// Name of the office, for people.
    pub office_name: String,
    /// Where the store and the sealing keys live.
    pub data_dir: PathBuf,
    /// Address of the node API.
    pub listen_node: SocketAddr,
    /// Address of the office API.
    pub listen_office: SocketAddr,
    /// Where the node API is reached from outside, "host:port"; goes into the node card.
    pub advertise: String,
    /// The node's certificate, key, root and revocation lists.
    pub tls: TlsSettings,
    /// The store.
    pub store: StoreSettings,
    /// Delivery to peers.
    pub delivery: DeliverySettings,
    /// Cards, keys and revocation lists.
    pub directory: DirectorySettings,
    /// What peers may ask of this node at one time.
    pub limits: LimitSettings,
    /// When somebody is told that something does not happen.
    pub alarms: AlarmSettings,
    /// Where backups go.
    pub backup: BackupSettings,
    /// When a county reports, and which reconciliations begin by themselves.
    pub reconcile: ReconcileSettings,
    /// Peers this node calls.
    pub peers: Vec<PeerSettings>,
}

/// Files of the node's identity.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// Certificate chain of the node, PEM, leaf first.
    pub certificate: PathBuf,
    /// Private key of the node, PEM.
    pub key: PathBuf,
    /// Root certificate, PEM.
    pub root: PathBuf,
    /// Revocation lists, PEM; read again when they change.
    pub revocation_lists: Vec<PathBuf>,
    /// Suffix of all names of this network.
    pub suffix: String,
}

/// Where the data key comes from, and how much memory the store may use.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Source of the key that wraps all others.
    pub data_key: DataKeySource,
    /// Memory for sled's cache, bytes.
    pub cache_bytes: u64,
    /// Use cases that may wait for the committer.
    pub queue_depth: usize,
}

/// How mail is carried to peers.
#[derive(Clone, Debug)]
pub struct DeliverySettings {
    /// Parcels in flight to one peer.
    pub window_parcels: u32,
    /// Shortest upper bound of a wait between two tries.
    pub backoff_min: Duration,
    /// Longest upper bound of a wait between two tries.
    pub backoff_max: Duration,
    /// A parcel without a receipt for so long takes the link down.
    pub receipt_timeout: Duration,
    /// After so long without a link to a peer its mail goes by a relay.
    pub route_patience: Duration,
    /// What a relay holds is offered by another way when no receipt of the recipient has come for so long; longer each
    /// time that the same mail was handed over.
    pub custody_patience: Duration,
    /// How often peers are told which of their messages were opened here.
    pub progress_every: Duration,
    /// The node cannot be called: it collects its mail over streams that it opens.
    pub collects: bool,
}

/// A peer this node calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSettings {
    /// Area of the peer; its certificate has to name it.
    pub area: AreaCode,
    /// Where its node API is called, "host:port".
    pub endpoint: String,
}

/// One thing that is wrong in a configuration file, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Line of the file, from 1.
    pub line: usize,
    /// Name of the setting, such as `listen.node`; empty when the file is not TOML.
    pub setting: String,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub fix: String,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {file}; give its path with --config")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file was read, but something in it is wrong; every problem found is listed.
    #[error("{}", Listing(file, problems))]
    Wrong {
        /// The file.
        file: PathBuf,
        /// What is wrong, in the order of the file.
        problems: Vec<Problem>,
    },
}

struct Listing<'a>(&'a Path, &'a [Problem]);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(file, problems) = self;
        for (index, p) in problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            let name = if p.setting.is_empty() { "" } else { ": " };
            let (setting, problem, fix) = (&p.setting, &p.problem, &p.fix);
            write!(f, "{separator}{}:{}{name}{setting}: {problem}. {fix}", file.display(), p.line)?;
        }
        Ok(())
    }
}

impl Settings {
    /// Reads and checks a configuration file. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// [`ConfigError`] names the file, every line that is wrong and what to write instead.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file)
            .map_err(|source| ConfigError::Unreadable { file: file.to_path_buf(), source })?;
        let base = file.parent().unwrap_or(Path::new("."));
        Self::parse(&text, base)
            .map_err(|problems| ConfigError::Wrong { file: file.to_path_buf(), problems })
    }

    /// Where the store lies.
    #[must_use]
    pub fn store_dir(&self) -> PathBuf {
        self.data_dir.join("store")
    }

    /// Checks the text of a configuration; `base` is the folder that relative paths start from.
    ///
    /// # Errors
    /// Every problem found, in the order of the file.
    pub fn parse(text: &str, base: &Path) -> Result<Self, Vec<Problem>> {
        let raw: RawConfig = toml::from_str(text).map_err(|e| vec![not_toml(text, &e)])?;
        let mut check = Check { text, base, problems: Vec::new() };
        let settings = check.settings(&raw);
        check.problems.sort_by_key(|p| p.line);
        match settings {
            Some(settings) if check.problems.is_empty() => Ok(settings),
            _ => Err(check.problems),
        }
    }
}

/// Collects problems, so that one run names all of them.
struct Check<'a> {
    text: &'a str,
    base: &'a Path,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn settings(&mut self, raw: &RawConfig) -> Option<Settings> {
        let area = self.area("area", &raw.area);
        let listen_node = self.address("listen.node", &raw.listen.node);
        let listen_office = self.address("listen.office", &raw.listen.office);
        if let (Some(a), Some(b)) = (listen_node, listen_office)
            && a == b
            && a.port() != 0
        {
            let problem = format!("both APIs would listen on {a}");
            self.problem("listen.office", raw.listen.office.span(), problem, "Choose two ports.");
        }
        let suffix = self.suffix(&raw.tls.suffix);
        let data_key = self.key_source(raw);
        let delivery = self.delivery(raw);
        let directory = self.directory(&raw.directory);
        let limits = self.limits(&raw.limits);
        let alarms = self.alarms(&raw.alarms);
        let backup = self.backup(&raw.backup, &raw.data_dir);
        let reconcile = self.reconcile(&raw.reconcile);
        let peers = self.peers(&raw.peer, area);
        let listen_node = listen_node?;
        Some(Settings {
            area: area?,
            office_name: raw.name.clone(),
            data_dir: self.path(&raw.data_dir),
            listen_node,
            listen_office: listen_office?,
            advertise: raw.listen.advertise.clone().unwrap_or_else(|| listen_node.to_string()),
            tls: TlsSettings {
                certificate: self.path(&raw.tls.certificate),
                key: self.path(&raw.tls.key),
                root: self.path(&raw.tls.root),
                revocation_lists: raw.tls.revocation_lists.iter().map(|p| self.path(p)).collect(),
                suffix: suffix?,
            },
            store: StoreSettings {
                data_key: data_key?,
                cache_bytes: u64::from(*raw.store.cache_mb.get_ref()) * 1024 * 1024,
                queue_depth: QUEUE_DEPTH,
            },
            delivery: delivery?,
            directory: directory?,
            limits: limits?,
            alarms: alarms?,
            backup: backup?,
            reconcile: reconcile?,
            peers,
        })
    }

    fn area(&mut self, setting: &str, raw: &Spanned<String>) -> Option<AreaCode> {
        let written = raw.get_ref();
        let parsed = written.parse::<AreaCode>().ok().filter(|a| *a == a.county());
        match parsed {
            Some(area) if AreaTable::builtin().lookup(&area).is_some() => Some(area),
            Some(_) => {
                let problem = format!("no area {written} in the table of area codes");
                self.problem(setting, raw.span(), problem, "Look it up: liangdi area find NAME.");
                None
            }
            None => {
                let problem = format!("\"{written}\" is not an area code");
                self.problem(setting, raw.span(), problem, "Write six digits, such as \"410522\".");
                None
            }
        }
    }

    fn address(&mut self, setting: &str, raw: &Spanned<String>) -> Option<SocketAddr> {
        let parsed = raw.get_ref().parse();
        if parsed.is_err() {
            let problem = format!("\"{}\" is not an address and port", raw.get_ref());
            self.problem(setting, raw.span(), problem, "Write it as \"127.0.0.1:7401\".");
        }
        parsed.ok()
    }

    fn suffix(&mut self, raw: &Spanned<String>) -> Option<String> {
        let label_ok = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let suffix = raw.get_ref();
        if suffix.split('.').all(label_ok) {
            return Some(suffix.clone());
        }
        let problem = format!("\"{suffix}\" is not a DNS suffix");
        self.problem("tls.suffix", raw.span(), problem, "Write it as \"liangdi.internal\".");
        None
    }

    fn key_source(&mut self, raw: &RawConfig) -> Option<DataKeySource> {
        let store = &raw.store;
        match (&store.key_file, &store.key_environment, &store.key_credential) {
            (Some(file), None, None) => Some(DataKeySource::File(self.path(file))),
            (None, Some(name), None) => Some(DataKeySource::Environment(name.clone())),
            (None, None, Some(name)) => Some(DataKeySource::Credential(name.clone())),
            _ => {
                self.problem(
                    "store",
                    store.cache_mb.span(),
                    "the data key needs exactly one source".to_owned(),
                    "Give one of key_file, key_environment, key_credential in [store].",
                );
                None
            }
        }
    }

    fn delivery(&mut self, raw: &RawConfig) -> Option<DeliverySettings> {
        let d = &raw.delivery;
        let before = self.problems.len();
        self.range("delivery.window_parcels", &d.window_parcels, 1..65);
        self.range("delivery.backoff_min_ms", &d.backoff_min_ms, 10..60_001);
        self.range("delivery.backoff_max_ms", &d.backoff_max_ms, 100..3_600_001);
        self.range("delivery.receipt_timeout_ms", &d.receipt_timeout_ms, 1_000..600_001);
        self.range("delivery.route_patience_ms", &d.route_patience_ms, 100..3_600_001);
        self.range("delivery.custody_patience_ms", &d.custody_patience_ms, 1_000..259_200_001);
        self.range("delivery.progress_every_s", &d.progress_every_s, 1..86_401);
        self.range("store.cache_mb", &raw.store.cache_mb, 4..1_048_577);
        if d.backoff_min_ms.get_ref() > d.backoff_max_ms.get_ref() {
            let problem = "the shortest wait is longer than the longest".to_owned();
            let span = d.backoff_min_ms.span();
            self.problem("delivery.backoff_min_ms", span, problem, "Lower it.");
        }
        let millis = |v: &Spanned<u32>| Duration::from_millis(u64::from(*v.get_ref()));
        (self.problems.len() == before).then(|| DeliverySettings {
            window_parcels: *d.window_parcels.get_ref(),
            backoff_min: millis(&d.backoff_min_ms),
            backoff_max: millis(&d.backoff_max_ms),
            receipt_timeout: millis(&d.receipt_timeout_ms),
            route_patience: millis(&d.route_patience_ms),
            custody_patience: millis(&d.custody_patience_ms),
            progress_every: Duration::from_secs(u64::from(*d.progress_every_s.get_ref())),
            collects: d.collects,
        })
    }

    fn peers(&mut self, raw: &[RawPeer], own: Option<AreaCode>) -> Vec<PeerSettings> {
        let mut seen = BTreeSet::new();
        let mut peers = Vec::with_capacity(raw.len());
        for peer in raw {
            let Some(area) = self.area("peer.area", &peer.area) else { continue };
            if Some(area) == own {
                let problem = "a node is not its own peer".to_owned();
                self.problem("peer.area", peer.area.span(), problem, "Remove this [[peer]].");
            } else if !seen.insert(area) {
                let problem = format!("{area} is listed twice");
                self.problem("peer.area", peer.area.span(), problem, "Keep one of the two.");
            } else if !is_host_and_port(peer.endpoint.get_ref()) {
                let problem = format!("\"{}\" is not a host and port", peer.endpoint.get_ref());
                let fix = "Write it as \"node.example:7401\".";
                self.problem("peer.endpoint", peer.endpoint.span(), problem, fix);
            } else {
                peers.push(PeerSettings { area, endpoint: peer.endpoint.get_ref().clone() });
            }
        }
        peers
    }

    fn range(&mut self, setting: &str, value: &Spanned<u32>, allowed: Range<u32>) {
        if !allowed.contains(value.get_ref()) {
            let problem = format!("{} is out of range", value.get_ref());
            let fix = format!("Choose {} to {}.", allowed.start, allowed.end - 1);
            self.problem(setting, value.span(), problem, &fix);
        }
    }

    fn path(&self, written: &Path) -> PathBuf {
        self.base.join(written)
    }

    fn problem(&mut self, setting: &str, span: Range<usize>, problem: String, fix: &str) {
        let line = line_of(self.text, span.start);
        let (setting, fix) = (setting.to_owned(), fix.to_owned());
        self.problems.push(Problem { line, setting, problem, fix });
    }
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && !host.contains(char::is_whitespace)
            && !host.contains('/')
            && port.parse::<u16>().is_ok_and(|p| p > 0)
    })
}

fn not_toml(text: &str, error: &toml::de::Error) -> Problem {
    Problem {
        line: error.span().map_or(1, |span| line_of(text, span.start)),
        setting: String::new(),
        problem: error.message().trim().replace('\n', " "),
        fix: "See deploy/liangdi.example.toml for every setting.".to_owned(),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}

#[cfg(test)]
mod tests;
