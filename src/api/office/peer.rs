//! Peers and the way to them, as the office API says them.

use domain::area::AreaTable;
use domain::time::UnixMillis;
use exchange::card::MaintenanceWindow;
use exchange::courier::Breaker;
use exchange::route::Route;
use store::Store;
use store::messages::peer_key;
use store::network::PeerHeardRow;
use store::tables::PEER_HEARD;
use wire::pb::office as pb;

use super::track::{fault_to_pb, millis};
use crate::app::clocks::alarms::silent_days;
use crate::app::{AppError, heard};
use crate::config::Settings;
use crate::delivery::hub::Hub;
use crate::delivery::peers::Peer;
use crate::delivery::probe::{Probe, Step, StepName};
use crate::delivery::trouble;
use crate::time::SystemClock;

/// A peer, with everything that is known of the way to it.
pub(super) fn to_pb(
    peer: &Peer,
    hub: &Hub,
    store: &Store,
    settings: &Settings,
) -> Result<pb::Peer, AppError> {
    let now = SystemClock.now();
    let (state, card) = (peer.state(), peer.card());
    let courier = state.courier;
    let connected = hub.stands(peer.area);
    let (breaker, breaker_until) = breaker(courier.map(|courier| courier.breaker));
    let heard_row = store.get(&PEER_HEARD, &peer_key(peer.area))?.unwrap_or_default();
    let window = card.as_ref().and_then(|card| window(&card.maintenance, now));
    // Old trouble is no trouble while the link stands; what was refused on the way is.
    let trouble = state.trouble.filter(|_| !connected);
    let refused = state.refusal.map(|refusal| trouble::refused_on_the_way(&refusal, peer.area));
    let (trouble, explained) = match (refused, trouble) {
        (Some((text, explained)), _) => (Some(text), Some(explained)),
        (None, Some(text)) => {
            let explained = trouble::explain(&text);
            (Some(text), Some(explained))
        }
        (None, None) => (None, None),
    };
    let count = |of: fn(&exchange::courier::CourierStatus) -> u64| courier.as_ref().map_or(0, of);
    Ok(pb::Peer {
        area: peer.area.to_string(),
        name: AreaTable::builtin().full_name(&peer.area),
        endpoint: peer.endpoints().into_iter().next().unwrap_or_default(),
        connected,
        waiting: count(|courier| courier.unsettled),
        in_flight: count(|courier| courier.in_flight),
        next_try_ms: if connected { 0 } else { millis(courier.and_then(|c| c.next_try)) },
        trouble: trouble.unwrap_or_default(),
        clock_skew_ms: state.skew_ms,
        last_receipt_ms: millis(heard_row.receipt.max(state.last_receipt)),
        card_known: card.is_some(),
        version: state.version,
        route: route_to_pb(courier.and_then(|courier| courier.route)),
        breaker,
        breaker_until_ms: millis(breaker_until),
        at_relay: count(|courier| courier.in_custody),
        put_off: count(|courier| courier.deferred),
        last_heard_ms: millis(last_heard(&heard_row, connected, now)),
        silent_days: silence(&heard_row, connected, settings, now),
        certificate_until_ms: millis(state.certificate_until),
        maintenance_from_ms: window.map_or(0, |window| window.from.get()),
        maintenance_until_ms: window.map_or(0, |window| window.until.get()),
        maintenance_note: window.map(|window| window.note.to_string()).unwrap_or_default(),
        collects: card.as_ref().is_some_and(|card| card.collects),
        retired_ms: millis(card.as_ref().and_then(|card| card.retired)),
        fault: fault_to_pb(explained.as_ref().and_then(|explained| explained.fault)),
        trouble_zh: explained.as_ref().map(|e| e.zh.to_owned()).unwrap_or_default(),
        trouble_en: explained.as_ref().map(|e| e.en.to_owned()).unwrap_or_default(),
        card_until_ms: millis(card.as_ref().map(|card| card.valid_until)),
    })
}

fn last_heard(row: &PeerHeardRow, connected: bool, now: UnixMillis) -> Option<UnixMillis> {
    if connected { Some(now) } else { heard::last(row) }
}

fn silence(row: &PeerHeardRow, connected: bool, settings: &Settings, now: UnixMillis) -> u32 {
    let days = silent_days(row, settings.alarms.silent_after, now);
    days.filter(|_| !connected).map_or(0, u32::from)
}

/// The time out of service that is now, or the next one.
fn window(windows: &[MaintenanceWindow], now: UnixMillis) -> Option<&MaintenanceWindow> {
    windows.iter().filter(|window| window.until > now).min_by_key(|window| window.from)
}

fn route_to_pb(route: Option<Route>) -> i32 {
    let route = route.map(|route| match route {
        Route::Direct => pb::Route::Direct,
        Route::OwnRelay => pb::Route::OwnRelay,
        Route::PeerRelay => pb::Route::PeerRelay,
    });
    route.unwrap_or(pb::Route::Unspecified).into()
}

fn breaker(breaker: Option<Breaker>) -> (i32, Option<UnixMillis>) {
    let (breaker, until) = match breaker {
        None => (pb::Breaker::Unspecified, None),
        Some(Breaker::Closed) => (pb::Breaker::Closed, None),
        Some(Breaker::HalfOpen) => (pb::Breaker::HalfOpen, None),
        Some(Breaker::Open { until }) => (pb::Breaker::Open, Some(until)),
    };
    (breaker.into(), until)
}

/// A walk to a peer.
pub(super) fn probe_to_pb(probe: &Probe) -> pb::TestPeerResponse {
    let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let step = |step: &Step| {
        let explained = step.outcome.as_ref().err().map(|failed| &failed.explained);
        let text = |text: fn(&trouble::Explained) -> &'static str| {
            explained.map(text).unwrap_or_default().to_owned()
        };
        pb::LinkStep {
            name: name_to_pb(step.name).into(),
            ok: step.outcome.is_ok(),
            took_us: micros(step.took),
            detail: match &step.outcome {
                Ok(found) => found.clone(),
                Err(failed) => failed.detail.clone(),
            },
            reason: text(|explained| explained.code),
            reason_zh: text(|explained| explained.zh),
            reason_en: text(|explained| explained.en),
            fault: fault_to_pb(explained.and_then(|explained| explained.fault)),
            advice_zh: text(|explained| explained.advice_zh),
            advice_en: text(|explained| explained.advice_en),
        }
    };
    pb::TestPeerResponse {
        steps: probe.steps.iter().map(step).collect(),
        reachable: probe.is_reachable(),
        round_trip_us: probe.round_trip.map_or(0, micros),
        clock_skew_ms: probe.skew_ms,
        version: probe.version.clone(),
        features: probe.features.clone(),
        certificate_until_ms: millis(probe.certificate_until),
        card_version: probe.card_version,
    }
}

const fn name_to_pb(name: StepName) -> pb::LinkStepName {
    match name {
        StepName::Endpoint => pb::LinkStepName::Endpoint,
        StepName::Address => pb::LinkStepName::Address,
        StepName::Connection => pb::LinkStepName::Connection,
        StepName::Certificates => pb::LinkStepName::Certificates,
        StepName::Card => pb::LinkStepName::Card,
        StepName::Introduction => pb::LinkStepName::Introduction,
        StepName::Clock => pb::LinkStepName::Clock,
    }
}
