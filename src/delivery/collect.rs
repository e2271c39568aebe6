//! A node that cannot be called collects its mail: it keeps a session open with its province and with every peer it sends
//! to, so that they can send to it.

use std::collections::BTreeSet;

use domain::area::AreaCode;
use exchange::backoff::Backoff;

use super::hub::Hub;
use super::peers::Peer;
use crate::time::random;

/// Keeps sessions open, one task a neighbour, until the node stops.
pub(super) fn follow(hub: &Hub, backoff: Backoff) {
    let hub = hub.clone();
    let shared = hub.shared().clone();
    shared.tasks.clone().spawn("collecting", async move {
        let (mut joined, mut stopping) = (shared.peers.joined(), shared.tasks.stopping());
        let mut kept = BTreeSet::new();
        loop {
            joined.mark_unchanged();
            for peer in shared.peers.all() {
                if holds_mail(shared.own, &peer) && kept.insert(peer.area) {
                    let (hub, area) = (hub.clone(), peer.area);
                    shared.tasks.spawn("collect", keep(hub, area, backoff));
                }
            }
            tokio::select! {
                () = stopping.stopped() => return,
                Ok(()) = joined.changed() => {}
            }
        }
    });
}

/// Whether mail for us may lie at this peer: at the relays above us, and at whoever we have to do with.
fn holds_mail(own: AreaCode, peer: &Peer) -> bool {
    let is_above = peer.area.contains(&own);
    is_above || peer.is_configured() || peer.mail_now().is_some()
}

async fn keep(hub: Hub, area: AreaCode, backoff: Backoff) {
    let mut stopping = hub.shared().tasks.stopping();
    let mut failures = 0_u32;
    loop {
        let ended = async {
            match hub.session(area).await {
                Ok(session) => {
                    session.ended().await;
                    true
                }
                Err(_) => false,
            }
        };
        tokio::select! {
            () = stopping.stopped() => return,
            stood = ended => failures = if stood { 1 } else { failures.saturating_add(1) },
        }
        let wait = backoff.delay(failures, u64::from_be_bytes(random()));
        tokio::select! {
            () = stopping.stopped() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}
