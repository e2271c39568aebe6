//! The node's certificate and what others are checked against; read again when the files change, and put in force anew
//! when the directory brings revocation lists.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use domain::time::UnixMillis;
use rustls::ServerConfig;
use tokio::sync::watch;
use trust::crl::{Freshness, VerifiedList};
use trust::name::Suffix;
use trust::tls::{Api, ConfigError, LoadError, TlsMaterial, TlsPaths};

use crate::api::connection::Open;
use crate::config::TlsSettings;
use crate::errors::chain;
use crate::tasks::Tasks;
use crate::time::SystemClock;

/// A revocation list still decides for so long after its end; with an alarm.
pub const LIST_GRACE: Duration = Duration::from_secs(7 * 86_400);
/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often expiries are looked at.
const WARN_EVERY: Duration = Duration::from_secs(3_600);

/// The node's identity as it is at this moment.
#[derive(Debug)]
pub struct NodeIdentity {
    material: ArcSwap<TlsMaterial>,
    node_api: Arc<ArcSwap<ServerConfig>>,
    office_api: Arc<ArcSwap<ServerConfig>>,
    /// Told whenever the other ends of open connections have to be looked at again.
    looked: watch::Sender<()>,
    // What the directory has brought, the newest list of each authority. Held while lists and files are put together,
    // so that neither a reload nor the directory takes back what the other has just put in force.
    carried: Mutex<Vec<VerifiedList>>,
    /// The connections that others have opened to us.
    doors: OnceLock<Vec<(Api, Open)>>,
    paths: TlsPaths,
    suffix: Suffix,
    /// When the files were changed that were read at the start.
    first: Stamps,
}

/// An identity that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The suffix is no DNS suffix.
    #[error("the suffix {0} cannot be used in certificates")]
    Suffix(String),
    /// A file cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The TLS library does not take it.
    #[error(transparent)]
    Tls(#[from] ConfigError),
}

impl NodeIdentity {
    /// Loads the identity from its files.
    ///
    /// # Errors
    /// [`IdentityError`] names the file and what to do.
    pub fn load(settings: &TlsSettings, now: UnixMillis) -> Result<Self, IdentityError> {
        let suffix: Suffix =
            settings.suffix.parse().map_err(|_| IdentityError::Suffix(settings.suffix.clone()))?;
        let paths = TlsPaths {
            chain: settings.certificate.clone(),
            key: settings.key.clone(),
            root: settings.root.clone(),
            lists: settings.revocation_lists.clone(),
        };
        let first = stamps(&paths);
        let material = TlsMaterial::load(&paths, &suffix, LIST_GRACE, now)?;
        Ok(Self {
            node_api: Arc::new(ArcSwap::new(material.server_config(Api::Node)?)),
            office_api: Arc::new(ArcSwap::new(material.server_config(Api::Office)?)),
            material: ArcSwap::from_pointee(material),
            looked: watch::Sender::new(()),
            carried: Mutex::default(),
            doors: OnceLock::new(),
            paths,
            suffix,
            first,
        })
    }

    /// The certificate, key, root and lists of this moment.
    #[must_use]
    pub fn material(&self) -> Arc<TlsMaterial> {
        self.material.load_full()
    }

    /// The TLS configuration that a listener of `api` uses for each new connection.
    #[must_use]
    pub fn server_config(&self, api: Api) -> Arc<ArcSwap<ServerConfig>> {
        match api {
            Api::Node => self.node_api.clone(),
            Api::Office => self.office_api.clone(),
        }
    }

    /// Reads the files again and puts the result in force: new connections use it, open ones whose
    /// certificate no longer holds are cut off.
    ///
    /// # Errors
    /// [`IdentityError`]; the identity of before stays in force then.
    pub fn reload(&self, now: UnixMillis) -> Result<(), IdentityError> {
        let material = TlsMaterial::load(&self.paths, &self.suffix, LIST_GRACE, now)?;
        let carried = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        self.put(&material, &carried, now)
    }

    /// Puts revocation lists in force that the directory has brought, beside those of the files: the newest of each
    /// authority counts, wherever it came from. Open connections whose certificate no longer holds are cut off.
    ///
    /// # Errors
    /// [`IdentityError`]; the lists of before stay in force then.
    pub fn carry(&self, lists: Vec<VerifiedList>, now: UnixMillis) -> Result<(), IdentityError> {
        let mut carried = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        for list in lists {
            let same = |known: &&mut VerifiedList| known.authority_id() == list.authority_id();
            match carried.iter_mut().find(same) {
                Some(known) if list.list().is_newer_than(known.list()) => *known = list,
                Some(_) => {}
                None => carried.push(list),
            }
        }
        self.put(&self.material(), &carried, now)
    }

    fn put(
        &self,
        material: &TlsMaterial,
        carried: &[VerifiedList],
        now: UnixMillis,
    ) -> Result<(), IdentityError> {
        let material = material.with_lists(material.chains().lists().joined(carried));
        let (node, office) =
            (material.server_config(Api::Node)?, material.server_config(Api::Office)?);
        self.node_api.store(node);
        self.office_api.store(office);
        self.material.store(Arc::new(material));
        self.cut_off(now);
        Ok(())
    }

    /// Hears when the other end of a connection that we opened has to be looked at again.
    pub(crate) fn looked(&self) -> watch::Receiver<()> {
        self.looked.subscribe()
    }

    /// Cuts off open connections whose certificate no longer holds.
    fn cut_off(&self, now: UnixMillis) {
        self.looked.send_replace(());
        let material = self.material();
        for (api, open) in self.doors.get().into_iter().flatten() {
            let cut = open.cut_off(|chain| material.still_holds(chain, *api, now).is_ok());
            if cut > 0 {
                tracing::warn!(%api, cut, code = "SENDER_REVOKED", "cut off open connections whose certificate no longer holds");
            }
        }
    }

    /// Watches the files and reloads when one of them changes; `doors` are the connections to cut off then. To be
    /// called once.
    pub fn watch(self: &Arc<Self>, tasks: &Tasks, doors: Vec<(Api, Open)>) {
        // A second call changes nothing.
        let _known = self.doors.set(doors).is_err();
        let identity = self.clone();
        let mut stopping = tasks.stopping();
        tasks.spawn("identity", async move {
            let mut seen = identity.first.clone();
            let mut warned = None;
            loop {
                let now = SystemClock.now();
                if warned.is_none_or(|at: UnixMillis| now.since(at) >= WARN_EVERY) {
                    identity.warn(now);
                    identity.cut_off(now);
                    warned = Some(now);
                }
                tokio::select! {
                    () = stopping.stopped() => return,
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
                let stamps = stamps(&identity.paths);
                if stamps == seen {
                    continue;
                }
                match identity.reload(SystemClock.now()) {
                    Ok(()) => tracing::info!("certificates and revocation lists were read again"),
                    // Files are replaced one by one; the next look may find them all.
                    Err(error) => tracing::warn!(
                        error = chain(&error),
                        "new certificate files cannot be used; the old ones stay in force"
                    ),
                }
                seen = stamps;
                warned = None;
            }
        });
    }

    /// Says what is about to expire.
    fn warn(&self, now: UnixMillis) {
        let material = self.material();
        if let Some(left) = material.identity().expiry_warning(now) {
            let days = left.as_secs() / 86_400;
            tracing::warn!(
                days,
                "the node's certificate ends soon: request a new one with `liangdi pki node request`"
            );
        }
        for list in material.chains().lists().iter() {
            match list.freshness(now, LIST_GRACE) {
                Freshness::Fresh => {}
                Freshness::HalfSpent => tracing::warn!(
                    issuer = list.issuer(),
                    "half of the life of a revocation list is over and no new one has come"
                ),
                Freshness::InGrace => tracing::error!(
                    issuer = list.issuer(),
                    "a revocation list has ended; it decides in grace"
                ),
                Freshness::TooOld => tracing::error!(
                    issuer = list.issuer(),
                    code = "REVOCATION_LIST_TOO_OLD",
                    "a revocation list is too old: everyone it is about is refused"
                ),
            }
        }
    }
}

type Stamps = Vec<(PathBuf, Option<SystemTime>)>;

/// When each file was last changed.
fn stamps(paths: &TlsPaths) -> Stamps {
    let TlsPaths { chain, key, root, lists } = paths;
    let stamp = |path: &PathBuf| {
        let changed = std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
        (path.clone(), changed)
    };
    [chain, key, root].into_iter().chain(lists).map(stamp).collect()
}
