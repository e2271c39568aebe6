//! Health that tells the truth: a node that cannot write or cannot sign is not serving.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use store::Store;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::delivery::identity::NodeIdentity;
use crate::tasks::Tasks;
use crate::time::SystemClock;

/// How often the truth is looked up.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A group of writes that takes longer hangs at the disk: nothing can be promised until it ends.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// Whether the node serves.
#[derive(Clone)]
pub struct Health {
    store: Store,
    identity: Arc<NodeIdentity>,
    reporter: HealthReporter,
    service: HealthServer<HealthService>,
}

impl Health {
    /// Health of a node with this store and identity.
    #[must_use]
    pub fn new(store: Store, identity: Arc<NodeIdentity>) -> Self {
        let reporter = HealthReporter::new();
        let service = HealthServer::new(HealthService::from_health_reporter(reporter.clone()));
        Self { store, identity, reporter, service }
    }

    /// Why the node does not serve; none when it does.
    #[must_use]
    pub fn trouble(store: &Store, identity: &NodeIdentity) -> Option<&'static str> {
        if store.failure().is_some() || store.busy_for() > STUCK_AFTER {
            return Some("cannot write");
        }
        let material = identity.material();
        let now = SystemClock.now();
        let leaf = material.identity().leaf();
        (now < leaf.not_before || now > leaf.not_after).then_some("cannot sign")
    }

    pub(super) fn service(&self) -> HealthServer<HealthService> {
        self.service.clone()
    }

    /// Keeps the answer true until the node stops.
    pub fn follow(self, tasks: &Tasks) {
        let mut stopping = tasks.stopping();
        tasks.spawn("health", async move {
            let mut known = None;
            loop {
                let trouble = Self::trouble(&self.store, &self.identity);
                let status = match trouble {
                    None if !stopping.is_stopped() => ServingStatus::Serving,
                    _ => ServingStatus::NotServing,
                };
                if known != Some(status) {
                    self.reporter.set_service_status("", status).await;
                    known = Some(status);
                }
                if stopping.is_stopped() {
                    return;
                }
                tokio::select! {
                    () = stopping.stopped() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
            }
        });
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Health")
    }
}
