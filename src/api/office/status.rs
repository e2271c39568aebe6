//! The status service: the node itself and its peers; no records.

use std::sync::Arc;

use domain::access::Permission;
use domain::area::AreaTable;
use domain::time::UnixMillis;
use exchange::courier::Link;
use store::Store;
use tonic::{Request, Response, Status};
use wire::pb::office as pb;
use wire::pb::office::status_service_server::StatusService;

use super::Parts;
use super::message::hex;
use crate::api::caller::operator;
use crate::api::health::Health;
use crate::config::Settings;
use crate::delivery::identity::NodeIdentity;
use crate::delivery::limits::disk::DiskGuard;
use crate::delivery::peers::{Peer, Peers};

pub(super) struct NodeStatus {
    settings: Arc<Settings>,
    store: Store,
    identity: Arc<NodeIdentity>,
    peers: Peers,
    disk: DiskGuard,
}

impl NodeStatus {
    pub(super) fn new(parts: &Parts) -> Self {
        Self {
            settings: parts.settings.clone(),
            store: parts.store.clone(),
            identity: parts.identity.clone(),
            peers: parts.peers.clone(),
            disk: parts.disk.clone(),
        }
    }

    fn may<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let ctx = operator(request.extensions(), self.settings.area)?;
        // State without content: for everybody who works with the node, but not for collectors.
        if ctx.caller.may(Permission::OperateNode) || ctx.caller.may(Permission::ReadNumbers) {
            return Ok(());
        }
        ctx.must(Permission::ExchangeMessages).map_err(Status::from)
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
            ..pb::GetStatusResponse::default()
        }))
    }

    async fn list_peers(
        &self,
        request: Request<pb::ListPeersRequest>,
    ) -> Result<Response<pb::ListPeersResponse>, Status> {
        self.may(&request)?;
        let peers = self.peers.all().iter().map(|peer| peer_to_pb(peer)).collect();
        Ok(Response::new(pb::ListPeersResponse { peers }))
    }
}

fn peer_to_pb(peer: &Peer) -> pb::Peer {
    let state = peer.state();
    let courier = state.courier;
    let millis = |at: Option<UnixMillis>| at.map_or(0, UnixMillis::get);
    let connected = courier.is_some_and(|courier| matches!(courier.link, Link::Up { .. }));
    pb::Peer {
        area: peer.area.to_string(),
        name: AreaTable::builtin().full_name(&peer.area),
        endpoint: peer.endpoints().into_iter().next().unwrap_or_default(),
        connected,
        waiting: courier.map_or(0, |courier| courier.unsettled),
        in_flight: courier.map_or(0, |courier| courier.in_flight),
        next_try_ms: if connected { 0 } else { millis(courier.and_then(|c| c.next_try)) },
        trouble: state.trouble.unwrap_or_default(),
        clock_skew_ms: state.skew_ms,
        last_receipt_ms: millis(state.last_receipt),
        card_known: peer.card().is_some(),
        version: state.version,
        ..pb::Peer::default()
    }
}
