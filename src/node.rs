//! The composition root: builds every part from the settings, starts them, and stops them in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use domain::area::AreaTable;
use exchange::backoff::Backoff;
use exchange::courier::CourierSettings;
use store::{DataKey, DataKeyError, OpenStoreError, Options, Store, StoreFailure};
use tokio::sync::watch;
use trust::tls::Api;

use crate::api::health::Health;
use crate::api::listener::Listener;
use crate::api::{node as node_api, office as office_api, serve};
use crate::app::heard::Heard;
use crate::app::{AppError, access, restore};
use crate::config::{DeliverySettings, Settings};
use crate::delivery::bundles::Bundles;
use crate::delivery::directory::keys::SealingKeys;
use crate::delivery::directory::own_card::OwnCard;
use crate::delivery::directory::{self, Directory};
use crate::delivery::hub::{Hub, Shared};
use crate::delivery::identity::{IdentityError, NodeIdentity};
use crate::delivery::inbound::Inbound;
use crate::delivery::limits::Limits;
use crate::delivery::limits::disk::DiskGuard;
use crate::delivery::peers::Peers;
use crate::delivery::receipts::Receipts;
use crate::delivery::reconcile::{self, Reconcile};
use crate::delivery::watch::Watch;
use crate::errors::chain;
use crate::tasks::Tasks;
use crate::time::SystemClock;

/// Calls in progress get this long to end when the node stops.
const DRAIN: Duration = Duration::from_secs(10);
/// Connections of one operator at one time: people have a few, programs a pool.
const CONNECTIONS_PER_OPERATOR: usize = 256;

/// A node that could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The data key is not to be had.
    #[error("the data key cannot be used")]
    DataKey(#[source] DataKeyError),
    /// The store does not open.
    #[error("the store in {dir} does not open")]
    Store {
        /// Where it lies.
        dir: String,
        /// Why.
        #[source]
        source: Box<OpenStoreError>,
    },
    /// Certificate, key, root or revocation lists cannot be used.
    #[error("the node's certificate cannot be used")]
    Identity(#[source] IdentityError),
    /// The certificate is that of another area than the configuration.
    #[error("the certificate is that of {certificate}, the configuration says {configuration}")]
    OtherArea {
        /// Area in the certificate.
        certificate: String,
        /// Area in the configuration.
        configuration: String,
    },
    /// An address cannot be listened on.
    #[error("cannot listen")]
    Listen(#[source] std::io::Error),
    /// A part of the node could not be made.
    #[error("the node cannot start")]
    App(#[source] AppError),
    /// The store failed while the node ran.
    #[error("the store has failed; the node stops so that it can start again from disk")]
    StoreFailed(#[source] StoreFailure),
}

/// A node that runs.
#[derive(Debug)]
pub struct Running {
    /// Its store.
    pub store: Store,
    /// Its peers.
    pub peers: Peers,
    /// Its settings.
    pub settings: Arc<Settings>,
    /// Where the node API listens.
    pub node_address: SocketAddr,
    /// Where the office API listens.
    pub office_address: SocketAddr,
    tasks: Tasks,
    failed: watch::Receiver<Option<StoreFailure>>,
}

/// Runs a node until it is told to stop: by a signal, by `told` resolving, or because its store failed.
///
/// # Errors
/// [`NodeError`].
pub async fn run(settings: Settings, told: impl Future<Output = ()>) -> Result<(), NodeError> {
    let mut running = start(settings).await?;
    let outcome = tokio::select! {
        () = stop_signal() => Ok(()),
        () = told => Ok(()),
        failure = running.failed() => Err(NodeError::StoreFailed(failure)),
    };
    running.stop().await;
    outcome
}

/// Starts a node; it serves when this returns.
///
/// # Errors
/// [`NodeError`]; nothing listens then.
pub async fn start(settings: Settings) -> Result<Running, NodeError> {
    let settings = Arc::new(settings);
    let now = SystemClock.now();
    let identity = NodeIdentity::load(&settings.tls, now).map_err(NodeError::Identity)?;
    let identity = Arc::new(identity);
    let certified = identity.material().identity().area();
    if certified != settings.area {
        let (certificate, configuration) = (certified.to_string(), settings.area.to_string());
        return Err(NodeError::OtherArea { certificate, configuration });
    }
    let (failed_sender, failed) = watch::channel(None);
    let (store, incarnation) = open_store(&settings, failed_sender)?;
    restore::begin(&store, incarnation, now).map_err(NodeError::App)?;
    let limits = access::set_limits(&store, settings.limits.reads);
    limits.await.map_err(NodeError::App)?;
    let tasks = Tasks::default();
    let node_door = listen(&settings, &identity, Api::Node).await?;
    let office_door = listen(&settings, &identity, Api::Office).await?;
    let addresses = (node_door.address(), office_door.address());
    let node_address = addresses.0.map_err(NodeError::Listen)?;
    let office_address = addresses.1.map_err(NodeError::Listen)?;

    let keys = Arc::new(SealingKeys::open(&store, now).map_err(NodeError::App)?);
    let peers = Peers::new(settings.area, &settings.peers);
    let disk = DiskGuard::new(settings.data_dir.clone(), settings.limits.disk_free_min);
    disk.follow(&tasks);
    peers.mind(disk.clone());
    let own = OwnCard::open(settings.clone(), store.clone(), identity.clone(), keys.clone(), now);
    let directory = Directory::open(directory::Parts {
        store: store.clone(),
        identity: identity.clone(),
        peers: peers.clone(),
        card: Arc::new(own.map_err(NodeError::App)?),
    });
    let directory = directory.map_err(NodeError::App)?;
    let limits = Limits::new(settings.limits.rate, disk.clone());
    limits.mind(directory.clone());

    let doors = vec![(Api::Node, node_door.open()), (Api::Office, office_door.open())];
    identity.watch(&tasks, doors);
    let hub = Hub::new(Shared {
        own: settings.area,
        store: store.clone(),
        identity: identity.clone(),
        tasks: tasks.clone(),
        peers: peers.clone(),
        heard: Heard::default(),
        redial_after: settings.delivery.backoff_min,
        collects: settings.delivery.collects,
        limits,
    });
    let health = Health::new(store.clone(), identity.clone());
    let receipts = Receipts::new(store.clone());
    receipts.follow(&tasks);
    let inbound = Inbound {
        own: settings.area,
        store: store.clone(),
        identity: identity.clone(),
        opener: keys.clone(),
        receipts,
        heard: hub.shared().heard.clone(),
        peers: peers.clone(),
    };
    let (intake, outbound) =
        crate::delivery::start(&hub, inbound, courier_settings(&settings.delivery))
            .map_err(NodeError::App)?;
    directory.follow(&tasks, outbound.settings().backoff, &settings.directory);

    let reconcile = Reconcile::new(reconcile::Parts {
        own: settings.area,
        store: store.clone(),
        identity: identity.clone(),
        peers: peers.clone(),
        outbound,
        opener: keys,
        collects: settings.delivery.collects,
        settings: settings.reconcile.clone(),
        tasks: tasks.clone(),
    });
    reconcile.follow().map_err(NodeError::App)?;
    let bundles = Bundles::new(intake.clone(), directory.clone());
    let node_routes = node_api::routes(hub.clone(), intake, directory.clone(), reconcile.clone());
    serve(&tasks, node_door, node_routes, health.clone());
    let parts = office_api::Parts {
        settings: settings.clone(),
        store: store.clone(),
        identity,
        peers: peers.clone(),
        directory,
        bundles,
        reconcile,
        hub,
        disk,
        tasks: tasks.clone(),
    };
    serve(&tasks, office_door, office_api::routes(parts), health.clone());
    health.follow(&tasks);
    let watch = Watch::new(&settings, store.clone(), peers.clone());
    watch.follow(&tasks);
    watch.do_duties(&tasks);
    tracing::info!(
        area = %settings.area,
        name = AreaTable::builtin().full_name(&settings.area),
        node = %node_address,
        office = %office_address,
        "the node serves"
    );
    Ok(Running { store, peers, settings, node_address, office_address, tasks, failed })
}

impl Running {
    /// Resolves when the store has failed; then the node must stop and start again from disk.
    pub async fn failed(&mut self) -> StoreFailure {
        loop {
            if let Some(failure) = self.failed.borrow_and_update().clone() {
                return failure;
            }
            if self.failed.changed().await.is_err() {
                // The store was closed in order; it cannot fail any more.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Stops in order: no new work, work in progress ends, the store is flushed and closed.
    pub async fn stop(self) {
        self.tasks.stop();
        let left = self.tasks.drain(DRAIN).await;
        if left > 0 {
            tracing::warn!(left, "work was still going on when the node stopped");
        }
        let store = self.store;
        let closed = tokio::task::spawn_blocking(move || store.close()).await;
        match closed {
            Ok(Ok(())) => tracing::info!("the node has stopped"),
            Ok(Err(failure)) => {
                tracing::error!(error = %failure, "the store did not close in order")
            }
            Err(error) => tracing::error!(%error, "the store did not close in order"),
        }
    }
}

fn open_store(
    settings: &Settings,
    failed: watch::Sender<Option<StoreFailure>>,
) -> Result<(Store, u32), NodeError> {
    let key = DataKey::load(&settings.store.data_key).map_err(NodeError::DataKey)?;
    let mut options = Options::new(settings.area.as_str(), key, SystemClock.now());
    options.cache_bytes = settings.store.cache_bytes;
    options.queue_depth = settings.store.queue_depth;
    options.on_failure = Some(Box::new(move |failure| {
        tracing::error!(
            error = chain(failure),
            code = "STORE_UNAVAILABLE",
            "the store has failed and takes nothing any more"
        );
        failed.send_replace(Some(failure.clone()));
    }));
    let dir = settings.store_dir();
    let (store, report) = Store::open(&dir, options).map_err(|source| NodeError::Store {
        dir: dir.display().to_string(),
        source: Box::new(source),
    })?;
    for finding in report.check.iter().flat_map(|check| &check.findings) {
        tracing::error!(
            ?finding,
            "the check of the store after an unclean stop found something wrong"
        );
    }
    Ok((store, report.incarnation))
}

async fn listen(
    settings: &Settings,
    identity: &NodeIdentity,
    api: Api,
) -> Result<Listener, NodeError> {
    let (address, per_caller) = match api {
        Api::Node => (settings.listen_node, settings.limits.connections_per_peer),
        Api::Office => (settings.listen_office, CONNECTIONS_PER_OPERATOR),
    };
    let suffix = identity.material().chains().suffix().clone();
    Listener::bind(address, api, identity.server_config(api), suffix)
        .await
        .map(|listener| listener.with_connections_per_caller(per_caller))
        .map_err(NodeError::Listen)
}

fn courier_settings(settings: &DeliverySettings) -> CourierSettings {
    // The configuration has checked that the bounds are in order.
    let backoff = Backoff::new(settings.backoff_min, settings.backoff_max);
    CourierSettings {
        window_parcels: settings.window_parcels,
        receipt_timeout: settings.receipt_timeout,
        route_patience: settings.route_patience,
        custody_patience: settings.custody_patience,
        backoff: backoff.unwrap_or(Backoff::PROTOCOL),
        ..CourierSettings::default()
    }
}

/// Resolves at Ctrl-C or at the stop of a service manager.
pub(crate) async fn stop_signal() {
    let interrupted = tokio::signal::ctrl_c();
    let Ok(mut terminated) =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
    else {
        let _heard = interrupted.await.is_ok();
        return;
    };
    tokio::select! {
        _ = interrupted => {}
        _ = terminated.recv() => {}
    }
}
