//! The peers of a node: any area with a card or a configured endpoint. New ones join while the node runs.

mod peer;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::area::AreaCode;
use domain::reason::Reason;
use exchange::lane::{LaneEpoch, LaneSeq};
use tokio::sync::watch;

pub(crate) use self::peer::Mail;
pub use self::peer::{Peer, PeerState, Progress};
use crate::app::messages::send::Outlet;
use crate::config::PeerSettings;
use crate::time::SystemClock;

/// All peers, by county. Clones share them.
#[derive(Clone, Debug)]
pub struct Peers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    // Swapped whole when a peer joins, which is rare; read for every message.
    all: ArcSwap<BTreeMap<AreaCode, Arc<Peer>>>,
    joined: watch::Sender<usize>,
}

impl Peers {
    /// The peers of a configuration; no card is known yet.
    #[must_use]
    pub fn new(settings: &[PeerSettings]) -> Self {
        let peer = |s: &PeerSettings| (s.area, Arc::new(Peer::new(s.area, Some(&s.endpoint))));
        let all: BTreeMap<_, _> = settings.iter().map(peer).collect();
        let joined = watch::Sender::new(all.len());
        Self(Arc::new(Inner { all: ArcSwap::from_pointee(all), joined }))
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
        let new = Arc::new(Peer::new(area, None));
        self.0.all.rcu(|all| {
            let mut all = BTreeMap::clone(all);
            // Somebody else may have been quicker; then his is the one.
            all.entry(area).or_insert_with(|| new.clone());
            all
        });
        self.0.joined.send_replace(self.0.all.load().len());
        self.get(area).unwrap_or(new)
    }

    /// Hears when peers join: the number of all. Peers never leave while the node runs.
    #[must_use]
    pub fn joined(&self) -> watch::Receiver<usize> {
        self.0.joined.subscribe()
    }
}

impl Outlet for Peers {
    fn sealer(&self, to: AreaCode) -> Result<Arc<dyn exchange::keys::Sealer>, Reason> {
        let peer = self.get(to).ok_or(Reason::UnknownArea)?;
        Ok(peer.sealer(SystemClock.now())?)
    }

    fn nudge(&self, to: AreaCode, epoch: LaneEpoch, through: LaneSeq) {
        if let Some(peer) = self.get(to) {
            peer.nudge(epoch, through);
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
        let peers = Peers::new(&[configured]);
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
        let peers = Peers::new(&[]);
        let codes: Vec<_> = (0..64).map(|n| area(&format!("4101{n:02}"))).collect();
        std::thread::scope(|scope| {
            for part in codes.chunks(16) {
                scope.spawn(|| part.iter().for_each(|code| drop(peers.join(*code))));
            }
        });
        assert_eq!(peers.all().len(), codes.len());
    }
}
