//! The async shells of the protocol: one courier a peer, the stream that takes mail in, the
//! directory.
//!
//! Shells perform, they do not remember: what must survive a crash is in the store before an effect
//! is performed.

pub mod bundles;
pub mod collect;
pub mod directory;
pub mod handover;
pub mod hub;
pub mod identity;
pub mod inbound;
pub mod limits;
pub mod link;
pub mod outbound;
mod parcels;
pub mod peers;
pub mod probe;
mod proof;
pub mod receipts;
pub mod reconcile;
pub mod relay;
pub mod returns;
pub mod session;
pub mod trouble;
pub mod watch;

use std::sync::Arc;

use exchange::courier::CourierSettings;
use exchange::relay::ForwarderSettings;

use self::hub::Hub;
use self::inbound::Inbound;
use self::outbound::Outbound;
use self::relay::Relay;
use self::returns::{Returns, Words};
use self::session::intake::Intake;
use crate::app::AppError;

/// Starts everything that carries mail: couriers, the relay of a province or prefecture, what hands words back, and the
/// sessions of a node that collects. The first of the two takes in what comes; it has to be kept.
///
/// # Errors
/// When the store cannot be read.
pub fn start(
    hub: &Hub,
    inbound: Inbound,
    settings: CourierSettings,
) -> Result<(Arc<Intake>, Outbound), AppError> {
    let outbound = Outbound::new(hub.clone(), settings);
    let returns = Returns::new(hub.clone(), settings.backoff);
    let relay = match relay::carries(hub.shared().own) {
        true => Some(Relay::start(hub.clone(), returns.clone(), forwarder_settings(&settings))?),
        false => None,
    };
    let words = Words {
        hub: hub.clone(),
        outbound: outbound.clone(),
        relay: relay.clone(),
        returns: returns.clone(),
    };
    let intake = Arc::new(Intake { hub: hub.clone(), inbound, relay, words });
    hub.takes_in(&intake);
    returns.follow()?;
    outbound.follow()?;
    hub.follow_contacts();
    if hub.shared().collects {
        collect::follow(hub, settings.backoff);
    }
    Ok((intake, outbound))
}

/// A relay is to its next hop what a courier is to its peer.
fn forwarder_settings(settings: &CourierSettings) -> ForwarderSettings {
    ForwarderSettings {
        window_parcels: settings.window_parcels,
        answer_timeout: settings.receipt_timeout,
        backoff: settings.backoff,
        defer_min: settings.defer_min,
        defer_max: settings.defer_max,
        hold_max: settings.hold_max,
    }
}
