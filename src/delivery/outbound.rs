//! The couriers of a node: one task for each peer and epoch that has mail.

mod answers;
pub(super) mod journal;
mod run;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::area::AreaCode;
use domain::time::UnixMillis;
use exchange::courier::CourierSettings;
use exchange::lane::{LaneEpoch, Mark};
use exchange::parcel::ParcelId;
use exchange::route::{Route, Routes};
use store::messages::{peer_area, peer_key};
use store::tables::LANE_EPOCH;
use store::transit::Carrier;
use tokio::sync::{mpsc, watch};

use self::run::{Run, neighbour};
use super::hub::{Hub, Shared};
use super::peers::Peer;
use super::session::Incoming;
use crate::app::AppError;
use crate::app::heard::{self, Sense};
use crate::app::messages::heal::{Healed, Healing};
use crate::app::messages::send::Outlet as _;
use crate::app::messages::settle::{self, Returned};
use crate::app::messages::turned_back::TurnedBack;
use crate::time::{SystemClock, random};

/// Events of links and the store that wait for one courier.
const EVENTS_QUEUE: usize = 64;
/// Peers that are looked at in one go.
const PEERS_AT_ONCE: usize = 1_000;
/// Another epoch is opened for a peer at most this often, whatever it says: a peer that finds a conflict in everything
/// must not make us open one for each message.
const HEAL_EVERY: Duration = Duration::from_secs(3_600);
/// The longest that a returned word waits for a courier that has its parcel in hand.
const LET_GO_WITHIN: Duration = Duration::from_secs(5);

/// The couriers of a node. Clones share them.
#[derive(Clone)]
pub struct Outbound(Arc<Inner>);

struct Inner {
    hub: Hub,
    settings: CourierSettings,
    // Touched when a courier starts or ends and to find one; never across an await.
    running: Mutex<BTreeMap<(AreaCode, LaneEpoch), mpsc::Sender<Incoming>>>,
    /// Parcels that were handed to a relay whose word is not on disk yet.
    in_hand: Mutex<HashMap<ParcelId, watch::Sender<()>>>,
    /// When an epoch was last opened for a peer because of a conflict.
    opened: Mutex<BTreeMap<AreaCode, UnixMillis>>,
}

impl Outbound {
    /// No courier runs yet.
    #[must_use]
    pub fn new(hub: Hub, settings: CourierSettings) -> Self {
        let (running, in_hand, opened) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { hub, settings, running, in_hand, opened }))
    }

    fn hub(&self) -> &Hub {
        &self.0.hub
    }

    fn shared(&self) -> &Shared {
        self.0.hub.shared()
    }

    /// How couriers behave.
    #[must_use]
    pub fn settings(&self) -> &CourierSettings {
        &self.0.settings
    }

    /// Starts a courier for every lane with mail that is not settled, and for those that get mail later.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn follow(&self) -> Result<(), AppError> {
        let shared = self.shared();
        let mut from = None;
        loop {
            let rows = shared.store.scan_under(&LANE_EPOCH, &(), from.as_ref(), PEERS_AT_ONCE)?;
            let Some((last, _)) = rows.last() else { break };
            from = Some(*last);
            for (key, epoch) in &rows {
                if let Some(area) = peer_area(key) {
                    self.ensure(area, LaneEpoch::new(*epoch), true);
                }
            }
        }
        for (area, epoch) in settle::older_lanes(&shared.store)? {
            self.ensure(area, epoch, false);
        }
        let (outbound, mut stopping) = (self.clone(), shared.tasks.stopping());
        let mut joined = shared.peers.joined();
        shared.tasks.spawn("couriers", async move {
            loop {
                joined.mark_unchanged();
                outbound.look_for_mail();
                tokio::select! {
                    () = stopping.stopped() => return,
                    Ok(()) = joined.changed() => {}
                }
            }
        });
        Ok(())
    }

    /// Starts the couriers of peers that have mail and none.
    fn look_for_mail(&self) {
        for peer in self.shared().peers.all() {
            if let Some((epoch, _)) = peer.mail_now() {
                self.ensure(peer.area, epoch, true);
            }
        }
    }

    /// Starts the courier of a lane, unless it runs.
    fn ensure(&self, area: AreaCode, epoch: LaneEpoch, is_current: bool) {
        let (events, incoming) = mpsc::channel(EVENTS_QUEUE);
        let key = (area, epoch);
        {
            let mut running = self.running();
            if running.contains_key(&key) {
                return;
            }
            running.insert(key, events.clone());
        }
        let shared = self.shared();
        let peer = shared.peers.join(area);
        let (outbound, mut stopping) = (self.clone(), shared.tasks.stopping());
        shared.tasks.spawn("courier", async move {
            match Run::new(outbound.clone(), peer.clone(), epoch, is_current, events) {
                Ok(mut run) => run.until_done(incoming, &mut stopping).await,
                Err(error) => {
                    tracing::error!(peer = %area, %error, "cannot read the lane to a peer");
                }
            }
            outbound.running().remove(&key);
            // Whoever told of mail in a new lane while this one came to its end was heard by nobody else.
            if let Some((newer, _)) = peer.mail_now().filter(|(newer, _)| *newer != epoch)
                && !stopping.is_stopped()
            {
                outbound.ensure(area, newer, true);
            }
        });
    }

    /// Something about a lane came to disk by another way than its courier: a file, a person's decision. The
    /// courier takes it over.
    pub async fn marked(&self, area: AreaCode, epoch: LaneEpoch, marks: Vec<Mark>) {
        let courier = self.running().get(&(area, epoch)).cloned();
        if let Some(courier) = courier {
            // One that ends just now has nothing left to do; the next one reads what is on disk.
            let _gone = courier.send(Incoming::Marked(marks)).await.is_err();
        }
    }

    /// What somebody carried comes no further: the courier offers it again by another way, and people are told why.
    pub(super) async fn turned_back(&self, turned_back: TurnedBack) {
        let TurnedBack { peer, epoch, carrier, refusal, marks } = turned_back;
        if marks.is_empty() {
            return;
        }
        let count = marks.len();
        tracing::warn!(%peer, by = %refusal.by, count, code = refusal.reason.code(), "mail for a peer comes no further");
        if let Some(peer) = self.shared().peers.get(peer) {
            peer.note(|state| state.refusal = Some(refusal));
        }
        let relay = match carrier {
            Carrier::Relay(relay) => Some(relay),
            Carrier::File(_) => None,
        };
        let courier = self.running().get(&(peer, epoch)).cloned();
        if let Some(courier) = courier {
            // One that ends just now has nothing left to do; the next one reads what is on disk.
            let _gone = courier.send(Incoming::TurnedBack { relay, marks }).await.is_err();
        }
    }

    /// Writes a receipt that came back by another way than the stream its parcel went out on, and tells the courier.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn settle(&self, returned: Returned) -> Result<(), AppError> {
        let (settings, now) = (self.0.settings, SystemClock.now());
        let healing = self.healing(returned.peer());
        let shared = self.shared();
        let count = returned.count();
        let peer = returned.peer();
        let note = shared.heard.is_due(peer, Sense::Receipt, now);
        let kept = shared.store.commit(move |unit| {
            if note {
                heard::note(unit, peer, Sense::Receipt, now)?;
            }
            settle::keep_returned(unit, &returned, &healing, &settings, now)
        });
        let Some(settled) = kept.await.map_err(AppError::from)? else { return Ok(()) };
        if let Some(peer) = shared.peers.get(settled.peer) {
            peer.advance(|progress| {
                progress.answered += count;
                progress.kept += count;
            });
            peer.note(|state| (state.last_receipt, state.refusal) = (Some(now), None));
        }
        // Its marks have what is settled by that.
        let _known = self.healed(settled.peer, settled.healed);
        self.marked(settled.peer, settled.epoch, settled.marks).await;
        Ok(())
    }

    /// Waits until no courier is about to write that a relay holds this parcel.
    pub(super) async fn let_go(&self, parcel: ParcelId) {
        let hand = self.in_hand().get(&parcel).map(watch::Sender::subscribe);
        let Some(mut hand) = hand else { return };
        // Nothing is ever sent; the sender goes when the parcel is out of hand.
        let gone = async { while hand.changed().await.is_ok() {} };
        let _elapsed = tokio::time::timeout(LET_GO_WITHIN, gone).await.is_err();
    }

    /// Whether new mail for a peer goes into the lane of this epoch.
    pub(super) fn is_present(&self, area: AreaCode, epoch: LaneEpoch) -> Result<bool, AppError> {
        let present = self.shared().store.get(&LANE_EPOCH, &peer_key(area))?;
        Ok(present == Some(epoch.get()))
    }

    fn take_in_hand(&self, parcel: ParcelId) {
        self.in_hand().insert(parcel, watch::Sender::new(()));
    }

    fn out_of_hand(&self, parcel: ParcelId) {
        self.in_hand().remove(&parcel);
    }

    /// The ways that lead to a peer now: to itself unless it collects and has not called, and to the relays that
    /// know it, as far as we know them.
    fn routes(&self, peer: &Peer) -> Routes {
        let (own, hub) = (self.shared().own, self.hub());
        let can_be_called = |peer: &Peer| {
            let collects = peer.card().is_some_and(|card| card.collects);
            !collects && !peer.endpoints().is_empty()
        };
        let leads = |route: Route| {
            let neighbour = neighbour(own, peer.area, route);
            let is_relay = route != Route::Direct;
            let is_a_way = match route {
                Route::Direct => true,
                Route::OwnRelay => neighbour != own && neighbour != peer.area,
                Route::PeerRelay => ![own, own.province(), peer.area].contains(&neighbour),
            };
            let known = match is_relay {
                true => {
                    self.shared().peers.get(neighbour).is_some_and(|relay| can_be_called(&relay))
                }
                false => can_be_called(peer),
            };
            is_a_way && (known || hub.stands(neighbour))
        };
        Route::ALL.into_iter().filter(|route| leads(*route)).collect()
    }

    /// What it takes to send messages again that cannot go on in their lane.
    pub(super) fn healing(&self, peer: AreaCode) -> Healing {
        let now = SystemClock.now();
        let last = self.opened().get(&peer).copied();
        Healing {
            own: self.shared().own,
            sealer: self.shared().peers.sealer(peer).ok(),
            new_epoch: LaneEpoch::new(u64::from_be_bytes(random())),
            may_open: last.is_none_or(|last| now.since(last) >= HEAL_EVERY),
            now,
        }
    }

    /// What could not go on in its lane is on its way again. Says what is settled in the lane by that.
    fn healed(&self, peer: AreaCode, healed: Option<Healed>) -> Vec<Mark> {
        let Some(Healed { epoch, through, opened, messages, settled }) = healed else {
            return Vec::new();
        };
        let count = messages.len();
        tracing::error!(%peer, count, opened, "a peer holds something else under our names, or has lost its memory; mail goes on in another epoch");
        if opened {
            self.opened().insert(peer, SystemClock.now());
        }
        self.shared().peers.nudge(peer, epoch, through);
        settled
    }

    fn opened(&self) -> MutexGuard<'_, BTreeMap<AreaCode, UnixMillis>> {
        self.0.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<(AreaCode, LaneEpoch), mpsc::Sender<Incoming>>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_hand(&self) -> MutexGuard<'_, HashMap<ParcelId, watch::Sender<()>>> {
        self.0.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").finish_non_exhaustive()
    }
}
