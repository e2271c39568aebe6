//! The peers of a node: any area with a card or a configured endpoint. New ones join while the node runs.

mod peer;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use domain::area::{AreaCode, AreaLevel, AreaTable};
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::lane::{LaneEpoch, LaneSeq};
use tokio::sync::{Notify, watch};

pub(crate) use self::peer::Mail;
pub use self::peer::{CARD_GRACE, CardState, Peer, PeerState, Progress};
use super::directory::areas::{AreaChanges, Destination};
use super::limits::disk::DiskGuard;
use crate::app::Refusal;
use crate::app::messages::send::{EXPIRES_AFTER, Outlet};
use crate::config::PeerSettings;
use crate::time::SystemClock;

/// All peers, by county. Clones share them.
#[derive(Clone, Debug)]
pub struct Peers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    own: AreaCode,
    // Swapped whole when a peer joins, which is rare; read for every message.
    all: ArcSwap<BTreeMap<AreaCode, Arc<Peer>>>,
    joined: watch::Sender<usize>,
    // What became of areas, swapped when the node of an area above says so.
    changes: ArcSwap<AreaChanges>,
    /// This node is about to end its service.
    retiring: AtomicBool,
    /// Nothing new is taken on while it says so.
    disk: OnceLock<DiskGuard>,
    /// Somebody wanted to send where no card is known.
    missed: Notify,
    /// Rung when the node has something to send by itself.
    duties: Notify,
}

impl Peers {
    /// The peers that the configuration of the node of `own` names; no card is known yet.
    #[must_use]
    pub fn new(own: AreaCode, settings: &[PeerSettings]) -> Self {
        let peer = |s: &PeerSettings| (s.area, Arc::new(Peer::new(s.area, Some(&s.endpoint))));
        let all: BTreeMap<_, _> = settings.iter().map(peer).collect();
        let joined = watch::Sender::new(all.len());
        Self(Arc::new(Inner {
            own,
            all: ArcSwap::from_pointee(all),
            joined,
            changes: ArcSwap::default(),
            retiring: AtomicBool::new(false),
            disk: OnceLock::new(),
            duties: Notify::new(),
            missed: Notify::new(),
        }))
    }

    /// The node has something to send by itself.
    pub fn ring(&self) {
        self.0.duties.notify_one();
    }

    /// Waits until there is something to send.
    pub async fn rung(&self) {
        self.0.duties.notified().await;
    }

    /// Our own area.
    #[must_use]
    pub fn own(&self) -> AreaCode {
        self.0.own
    }

    /// One peer.
    #[must_use]
    pub fn get(&self, area: AreaCode) -> Option<Arc<Peer>> {
        self.0.all.load().get(&area.county()).cloned()
    }

    /// All of this moment, in the order of their codes.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Peer>> {
        self.0.all.load().values().cloned().collect()
    }

    /// The peer of an area, which joins now if it was none before.
    pub(crate) fn join(&self, area: AreaCode) -> Arc<Peer> {
        let area = area.county();
        if let Some(peer) = self.get(area) {
            return peer;
        }
        self.join_all([area]);
        self.get(area).unwrap_or_else(|| Arc::new(Peer::new(area, None)))
    }

    /// The same for many areas at a time.
    pub(super) fn join_all(&self, areas: impl IntoIterator<Item = AreaCode>) {
        let is_new = |area: &AreaCode| self.get(*area).is_none();
        let new: Vec<_> = areas.into_iter().map(|area| area.county()).filter(is_new).collect();
        if new.is_empty() {
            return;
        }
        self.0.all.rcu(|all| {
            let mut all = BTreeMap::clone(all);
            for area in &new {
                // Somebody else may have been quicker; then his is the one.
                all.entry(*area).or_insert_with(|| Arc::new(Peer::new(*area, None)));
            }
            all
        });
        self.0.joined.send_replace(self.0.all.load().len());
    }

    /// What became of areas, as the nodes above them say.
    #[must_use]
    pub fn changes(&self) -> Arc<AreaChanges> {
        self.0.changes.load_full()
    }

    /// When an area's service ends or has ended, as it says itself or as its province says: nothing is sent or received
    /// there from then on.
    #[must_use]
    pub fn ends(&self, area: AreaCode) -> Option<UnixMillis> {
        let retired = self.get(area).and_then(|peer| peer.card()).and_then(|card| card.retired);
        retired.into_iter().chain(self.changes().ends(area)).min()
    }

    /// Whether nobody will take anything for an area any more: its node has retired; or the area has ended so long ago that
    /// nothing can be under way to the node that it had.
    #[must_use]
    pub fn is_gone(&self, area: AreaCode, now: UnixMillis) -> bool {
        let card = self.get(area).and_then(|peer| peer.card());
        let ended = self.changes().ends(area);
        card.is_some_and(|card| card.retired_at(now))
            || ended.is_some_and(|ended| now.since(ended) > EXPIRES_AFTER)
    }

    pub(super) fn put_changes(&self, changes: AreaChanges) {
        self.0.changes.store(Arc::new(changes));
    }

    /// Lets nothing new be sent any more, or again.
    pub(super) fn close_sends(&self, closed: bool) {
        self.0.retiring.store(closed, Ordering::Relaxed);
    }

    /// Lets nothing new be sent while this disk is nearly full. Only the first guard counts.
    pub(crate) fn mind(&self, disk: DiskGuard) {
        let _already = self.0.disk.set(disk).is_err();
    }

    /// Where mail for an area goes at that time: to itself, or to whoever took over from it.
    ///
    /// # Errors
    /// `AREA_SPLIT` names the areas to choose from; `AREA_ENDED`, `AREA_RETIRED` and `UNKNOWN_AREA` where nobody takes
    /// it; `PEER_CARD_MISSING` for an area that the directory may still tell of; `NODE_RETIRING` when we are about to
    /// end our own service.
    pub fn destination_at(&self, to: AreaCode, now: UnixMillis) -> Result<AreaCode, Refusal> {
        let refuse = |reason| Err(Refusal::new(reason).field("to"));
        if self.0.retiring.load(Ordering::Relaxed) {
            return refuse(Reason::NodeRetiring);
        }
        let retired = |peer: &Peer| peer.card().is_some_and(|card| card.retired_at(now));
        let serves = |area| self.get(area).is_some_and(|peer| peer.is_known() && !retired(&peer));
        match self.changes().destination(to, now, AreaTable::builtin(), serves) {
            Destination::Area(area) if area == self.0.own => Ok(area),
            Destination::Area(area) => match self.get(area) {
                Some(peer) if retired(&peer) => refuse(Reason::AreaRetired),
                Some(_) => Ok(area),
                // The directory may tell of it yet.
                None if self.has_directory() => refuse(Reason::PeerCardMissing),
                None => refuse(Reason::UnknownArea),
            },
            Destination::Split(areas) => {
                let name =
                    |area: &AreaCode| format!("{area} {}", AreaTable::builtin().full_name(area));
                let names: Vec<_> = areas.iter().map(name).collect();
                let refusal = Refusal::new(Reason::AreaSplit).field("to");
                Err(refusal.detail(names.join(", ")))
            }
            Destination::Ended => refuse(Reason::AreaEnded),
            Destination::Unknown => refuse(Reason::UnknownArea),
        }
    }

    /// Whether somebody tells us of areas that nobody has configured: the node of an area above, or other provinces.
    fn has_directory(&self) -> bool {
        let own = self.0.own;
        let above = [own.prefecture(), own.province()];
        own.level() == AreaLevel::Province || above.iter().any(|area| self.get(*area).is_some())
    }

    /// Ends when somebody has wanted to send to where no card is known, since it last ended.
    pub(super) async fn missed(&self) {
        self.0.missed.notified().await;
    }

    /// Lets the directory be asked at once for what it may still tell.
    fn ask_for(&self, reason: Reason) {
        if reason == Reason::PeerCardMissing {
            self.0.missed.notify_one();
        }
    }

    /// Hears when peers join: the number of all. Peers never leave while the node runs.
    #[must_use]
    pub fn joined(&self) -> watch::Receiver<usize> {
        self.0.joined.subscribe()
    }
}

impl Outlet for Peers {
    fn destination(&self, to: AreaCode) -> Result<AreaCode, Refusal> {
        if self.0.disk.get().is_some_and(DiskGuard::is_nearly_full) {
            return Err(Refusal::new(Reason::DiskNearlyFull));
        }
        let destination = self.destination_at(to, SystemClock.now());
        destination.inspect_err(|refusal| self.ask_for(refusal.reason))
    }

    fn sealer(&self, to: AreaCode) -> Result<Arc<dyn exchange::keys::Sealer>, Reason> {
        let peer = self.get(to).ok_or(Reason::UnknownArea)?;
        let sealer = peer.sealer(SystemClock.now()).inspect_err(|reason| self.ask_for(*reason))?;
        Ok(sealer)
    }

    fn nudge(&self, to: AreaCode, epoch: LaneEpoch, through: LaneSeq) {
        if let Some(peer) = self.get(to) {
            peer.nudge(epoch, through);
            if !peer.has_courier() {
                // Whoever starts couriers looks at all peers then.
                self.0.joined.send_modify(|_| {});
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(code: &str) -> AreaCode {
        code.parse().unwrap()
    }

    #[test]
    fn a_peer_joins_once_and_everybody_hears_it() {
        let configured = PeerSettings { area: area("410000"), endpoint: "a.example:1".to_owned() };
        let peers = Peers::new(area("410522"), &[configured]);
        let joined = peers.joined();
        assert!(peers.get(area("440305")).is_none());
        let first = peers.join(area("440305001"));
        assert!(joined.has_changed().unwrap());
        assert!(Arc::ptr_eq(&first, &peers.clone().join(area("440305"))));
        assert!(Arc::ptr_eq(&first, &peers.get(area("440305")).unwrap()));
        let all: Vec<_> = peers.all().iter().map(|peer| peer.area).collect();
        assert_eq!(all, [area("410000"), area("440305")]);
        assert_eq!(peers.join(area("410000")).endpoints(), ["a.example:1"]);
    }

    #[test]
    fn two_that_join_at_once_are_both_there() {
        let peers = Peers::new(area("410522"), &[]);
        let codes: Vec<_> = (0..64).map(|n| area(&format!("4101{n:02}"))).collect();
        std::thread::scope(|scope| {
            for part in codes.chunks(16) {
                scope.spawn(|| part.iter().for_each(|code| drop(peers.join(*code))));
            }
        });
        assert_eq!(peers.all().len(), codes.len());
    }
}
