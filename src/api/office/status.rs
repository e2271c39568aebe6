//! The status service: the node itself and its peers; no records.

use std::sync::Arc;

use domain::access::Permission;
use domain::area::AreaTable;
use domain::hex::hex;
use store::Store;
use tonic::{Request, Response, Status};
use wire::pb::office as pb;
use wire::pb::office::status_service_server::StatusService;

use super::track::millis;
use super::{Parts, peer};
use crate::api::caller::operator;
use crate::api::health::Health;
use crate::app::reconcile::figures;
use crate::app::{AppError, backup, letters, notices, restore};
use crate::config::Settings;
use crate::delivery::hub::Hub;
use crate::delivery::identity::NodeIdentity;
use crate::delivery::limits::disk::DiskGuard;
use crate::delivery::peers::Peers;
use crate::delivery::reconcile::Reconcile;
use crate::time::SystemClock;

/// Letters and notices are counted so far.
const COUNTED_MAX: usize = 1_000;

pub(super) struct NodeStatus {
    settings: Arc<Settings>,
    store: Store,
    identity: Arc<NodeIdentity>,
    peers: Peers,
    hub: Hub,
    disk: DiskGuard,
    reconcile: Reconcile,
}

impl NodeStatus {
    pub(super) fn new(parts: &Parts) -> Self {
        Self {
            settings: parts.settings.clone(),
            store: parts.store.clone(),
            identity: parts.identity.clone(),
            peers: parts.peers.clone(),
            hub: parts.hub.clone(),
            disk: parts.disk.clone(),
            reconcile: parts.reconcile.clone(),
        }
    }

    fn may<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let ctx = operator(request.extensions(), self.settings.area)?;
        // State without content: for everybody who works with the node, but not for collectors.
        ctx.must(Permission::FollowDelivery).map_err(Status::from)
    }
}

#[tonic::async_trait]
impl StatusService for NodeStatus {
    async fn get_status(
        &self,
        request: Request<pb::GetStatusRequest>,
    ) -> Result<Response<pb::GetStatusResponse>, Status> {
        self.may(&request)?;
        let head = self.store.ledger_head();
        let statistics = self.store.statistics();
        let material = self.identity.material();
        let origin = restore::origin(&self.store).map_err(Status::from)?;
        Ok(Response::new(pb::GetStatusResponse {
            area: self.settings.area.to_string(),
            area_name: AreaTable::builtin().full_name(&self.settings.area),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            serving: Health::trouble(&self.store, &self.identity).is_none(),
            ledger_size: head.size,
            ledger_root: hex(head.root.as_bytes()),
            groups: statistics.groups,
            units: statistics.units,
            syncs: statistics.syncs,
            disk_free_bytes: self.disk.free_bytes().unwrap_or(0),
            disk_nearly_full: self.disk.is_nearly_full(),
            certificate_until_ms: material.identity().leaf().not_after.get(),
            restored_ms: origin.map_or(0, |origin| origin.restored.get()),
            restored_backup_ms: millis(origin.and_then(|origin| origin.backup)),
            last_backup_ms: millis(backup::newest(&self.settings.backup, self.settings.area)),
            dead_letters: count(letters::open(&self.store, COUNTED_MAX)?),
            notices: count(notices::open(&self.store, COUNTED_MAX)?),
            reconciling: Some(self.reconciling()?),
        }))
    }

    async fn list_peers(
        &self,
        request: Request<pb::ListPeersRequest>,
    ) -> Result<Response<pb::ListPeersResponse>, Status> {
        self.may(&request)?;
        let peers = self.peers.all();
        let peers =
            peers.iter().map(|peer| peer::to_pb(peer, &self.hub, &self.store, &self.settings));
        let peers = peers.collect::<Result<_, _>>()?;
        Ok(Response::new(pb::ListPeersResponse { peers }))
    }
}

impl NodeStatus {
    fn reconciling(&self) -> Result<pb::Reconciling, AppError> {
        let settings = &self.settings.reconcile;
        let told = figures::figures(&self.store, settings, SystemClock.now())?;
        let closed = told.closed.iter().map(|(with, (last, made))| pb::ClosedWith {
            with: with.to_string(),
            with_name: AreaTable::builtin().full_name(with),
            last_day: last.to_string(),
            made_ms: made.get(),
        });
        Ok(pb::Reconciling {
            runs: told.runs,
            running: told.running,
            given_up: told.left.saturating_add(told.failed),
            found: told.found,
            cured: told.cured,
            unclosed: told.overdue.iter().map(ToString::to_string).collect(),
            closed: closed.collect(),
            equal: told.equal,
            with_decisions: told.with_decisions,
            left: told.left,
            failed: told.failed,
            compared_bytes: told.bytes,
            cures_waiting: u64::try_from(self.reconcile.cures_waiting()).unwrap_or(u64::MAX),
            periods_open: count(told.periods_open),
            lost: told.lost,
            decisions: told.decisions,
            set_back: told.set_back.iter().map(ToString::to_string).collect(),
            unproven: told.unproven.iter().map(ToString::to_string).collect(),
        })
    }
}

fn count(open: usize) -> u32 {
    u32::try_from(open).unwrap_or(u32::MAX)
}
