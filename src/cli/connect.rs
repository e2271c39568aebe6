//! The office API of a node, called over mutual TLS with an operator's certificate.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use domain::area::AreaCode;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;
use trust::crl::GRACE_DEFAULT;
use trust::name::Suffix;
use trust::tls::{ConfigError, TlsMaterial, TlsPaths};
pub(super) use wire::pb::{message, office};

use super::exit::{Failure, not_connected};
use super::given::text_file;
use super::trusted::Trust;
use crate::errors::chain;
use crate::time::SystemClock;

/// A node that does not take the call for so long counts as unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A clerk does not wait longer for an answer; what was accepted by then is on disk all the same.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the office API is and who calls it; each may come from the command line, the environment or a profile, in
/// this order.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Office API (each may stand in the profile)")]
pub struct ConnectArgs {
    /// Address of the node's office API
    #[arg(long, global = true, env = "LIANGDI_OFFICE", value_name = "HOST:PORT")]
    pub office: Option<String>,
    /// The operator's certificate chain, PEM
    #[arg(long, global = true, env = "LIANGDI_CERT", value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// The operator's private key, PEM
    #[arg(long, global = true, env = "LIANGDI_KEY", value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Root certificate of the network, PEM
    #[arg(long, global = true, env = "LIANGDI_ROOT", value_name = "FILE")]
    pub root: Option<PathBuf>,
    /// Revocation list, PEM; may be given several times
    #[arg(long, global = true, value_name = "FILE")]
    pub crl: Vec<PathBuf>,
    /// Area whose node has to answer; the operator's own when left out
    #[arg(long, global = true, env = "LIANGDI_AREA", value_name = "CODE")]
    pub area: Option<AreaCode>,
    /// Suffix of all names of this network
    #[arg(long, global = true, env = "LIANGDI_SUFFIX", value_name = "NAME")]
    pub suffix: Option<String>,
    /// TOML file with any of: office, cert, key, root, crl, area, suffix; paths relative to it
    #[arg(long, global = true, env = "LIANGDI_PROFILE", value_name = "FILE")]
    pub profile: Option<PathBuf>,
}

/// What a profile may hold; the same names as the options.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    office: Option<String>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    root: Option<PathBuf>,
    #[serde(default)]
    crl: Vec<PathBuf>,
    area: Option<AreaCode>,
    suffix: Option<String>,
}

impl Profile {
    fn read(path: &Path) -> Result<Self, Failure> {
        let mut profile: Self = toml::from_str(&text_file(path)?).map_err(|e| {
            Failure::usage(format!("{} is not a profile: {}", path.display(), e.message()))
        })?;
        let base = path.parent().unwrap_or(Path::new(""));
        let paths = [&mut profile.cert, &mut profile.key, &mut profile.root];
        let paths = paths.into_iter().flatten().chain(&mut profile.crl);
        paths.for_each(|path| *path = base.join(&*path));
        Ok(profile)
    }
}

/// A node that answers, and the services it offers to clerks.
#[derive(Clone, Debug)]
pub struct Office {
    channel: Channel,
}

impl ConnectArgs {
    fn profile(&self) -> Result<Profile, Failure> {
        Ok(self.profile.as_deref().map(Profile::read).transpose()?.unwrap_or_default())
    }

    /// What signatures in an answer of the node are checked with.
    ///
    /// # Errors
    /// No root is given, or it cannot be read.
    pub(super) fn trust(&self) -> Result<Trust, Failure> {
        let profile = self.profile()?;
        let root = self.root.clone().or(profile.root).ok_or_else(|| missing("root"))?;
        Trust::of_root(&root, suffix(self.suffix.clone().or(profile.suffix))?)
    }

    /// Calls the node; it has to prove that it is the node of the expected area.
    ///
    /// # Errors
    /// Something is not given or not usable (usage), the node does not answer (unreachable), or one of the two
    /// certificates is not accepted (refused).
    pub async fn open(&self) -> Result<Office, Failure> {
        let profile = self.profile()?;
        let pick = |typed: &Option<PathBuf>, kept: Option<PathBuf>, option: &str| {
            typed.clone().or(kept).ok_or_else(|| missing(option))
        };
        let office = self.office.clone().or(profile.office).ok_or_else(|| missing("office"))?;
        let paths = TlsPaths {
            chain: pick(&self.cert, profile.cert, "cert")?,
            key: pick(&self.key, profile.key, "key")?,
            root: pick(&self.root, profile.root, "root")?,
            lists: if self.crl.is_empty() { profile.crl } else { self.crl.clone() },
        };
        let suffix = suffix(self.suffix.clone().or(profile.suffix))?;
        dial(&office, &paths, &suffix, self.area.or(profile.area)).await
    }
}

fn missing(option: &str) -> Failure {
    let option_in_capitals = option.to_uppercase();
    Failure::usage(format!("--{option} is missing")).zh(format!("缺少 --{option}")).advise(format!(
        "give it on the command line, in LIANGDI_{option_in_capitals}, or in a file named with --profile"
    ))
}

fn suffix(given: Option<String>) -> Result<Suffix, Failure> {
    match given {
        Some(text) => text.parse().map_err(|e| Failure::usage(chain(&e))),
        None => Ok(Suffix::default()),
    }
}

async fn dial(
    office: &str,
    paths: &TlsPaths,
    suffix: &Suffix,
    area: Option<AreaCode>,
) -> Result<Office, Failure> {
    let now = SystemClock.now();
    let material = TlsMaterial::load(paths, suffix, GRACE_DEFAULT, now)
        .map_err(|e| Failure::usage(chain(&e)))?;
    let area = area.unwrap_or_else(|| material.identity().area()).county();
    let unfit = |e: ConfigError| Failure::usage(chain(&e));
    let name = material.server_name(area).map_err(unfit)?;
    let tls = match paths.lists.is_empty() {
        true => material.client_config_without_lists(area),
        false => material.client_config(area),
    };
    let tls = tls.map_err(unfit)?;
    let endpoint = Endpoint::from_shared(format!("http://{office}"))
        .map_err(|_| Failure::usage(format!("{office} is not HOST:PORT")))?;
    let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(CALL_TIMEOUT);
    let connector = service_fn(move |uri: Uri| shake(uri, name.clone(), tls.clone()));
    let channel = endpoint.connect_with_connector(connector).await;
    Ok(Office { channel: channel.map_err(|e| not_connected(&e))? })
}

type TlsStream = TokioIo<tokio_rustls::client::TlsStream<TcpStream>>;

/// The name in the certificate is that of the area, whatever the address is.
async fn shake(
    uri: Uri,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
) -> io::Result<TlsStream> {
    let address = uri.authority().map(ToString::to_string).unwrap_or_default();
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    Ok(TokioIo::new(TlsConnector::from(tls).connect(name, tcp).await?))
}

impl Office {
    /// The line to the node, for calls that no client here makes.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }
}

/// A client of one service on a channel.
macro_rules! client {
    ($(#[$doc:meta])* $name:ident, $module:ident :: $client:ident) => {
        $(#[$doc])*
        #[must_use]
        pub fn $name(&self) -> office::$module::$client<Channel> {
            office::$module::$client::new(self.channel.clone())
        }
    };
}

impl Office {
    client!(
        /// The access log.
        audit, audit_service_client::AuditServiceClient
    );
    client!(
        /// Agreements, and what became of withdrawals.
        agreements, agreement_service_client::AgreementServiceClient
    );
    client!(
        /// Imports.
        imports, import_service_client::ImportServiceClient
    );
    client!(
        /// Indicators.
        indicators, indicator_service_client::IndicatorServiceClient
    );
    client!(
        /// Random re-checks.
        draws, draw_service_client::DrawServiceClient
    );
    client!(
        /// Hand-overs of many cases.
        bulk_hand_overs, bulk_hand_over_service_client::BulkHandOverServiceClient
    );
    client!(
        /// Mail and cards by file.
        bundles, bundle_service_client::BundleServiceClient
    );
    client!(
        /// Persons and registrations.
        registrations, registration_service_client::RegistrationServiceClient
    );
    client!(
        /// Cases.
        cases, case_service_client::CaseServiceClient
    );
    client!(
        /// Certificates.
        certificates, certificate_service_client::CertificateServiceClient
    );
    client!(
        /// Consents and service requests.
        consents, consent_service_client::ConsentServiceClient
    );
    client!(
        /// What the node knows of the others and says of itself.
        directory, directory_service_client::DirectoryServiceClient
    );
    client!(
        /// Messages.
        messages, message_service_client::MessageServiceClient
    );
    client!(
        /// Dead letters, notices, the way to a peer.
        delivery, delivery_service_client::DeliveryServiceClient
    );
    client!(
        /// Node and peers.
        status, status_service_client::StatusServiceClient
    );
    client!(
        /// Reconciliation, statements and the ledger.
        reconcile, reconcile_service_client::ReconcileServiceClient
    );
    client!(
        /// Backups.
        upkeep, upkeep_service_client::UpkeepServiceClient
    );
}
