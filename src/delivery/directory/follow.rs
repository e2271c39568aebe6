//! The tasks that keep the directory alive: asking neighbours, telling them of news, and looking after what is held.
//!
//! A county asks the node above it; provinces ask each other. Each does so now and then, when a session begins, and at
//! once when the other has asked for its card: that is how a province says that it has news. So nothing is asked in a
//! circle, and nobody has to wait for the next turn to hear of a revocation.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use domain::area::{AreaCode, AreaLevel};
use exchange::backoff::Backoff;
use exchange::digest::Digest;
use exchange::directory::{DIRECTORY_LISTS_MAX, DirectoryQuestion};
use exchange::keys::Signer as _;
use store::messages::peer_key;
use store::tables::DIRECTORY_CURSOR;
use tokio::sync::Notify;
use tokio::time::Instant;
use tonic::Code;
use tonic::transport::Channel;
use wire::client::{CallError, NodeClient};

use super::{Directory, FAULTS_MAX, Said, alarms};
use crate::config::DirectorySettings;
use crate::delivery::link;
use crate::delivery::peers::Peer;
use crate::errors::chain;
use crate::tasks::{Stopping, Tasks};
use crate::time::{SystemClock, random};

/// Pages of one neighbour that are read in one go; more than a nation's cards fill.
const PAGES_MAX: usize = 256;
/// An answer that does not come for so long does not come.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// A neighbour is not asked more often, whatever it says.
const ASKED_EVERY: Duration = Duration::from_secs(1);
/// How often what we hold and say is looked at, besides when something changes.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);

/// What a neighbour is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Neighbour {
    /// The node of an area above: asked, and told of our own card at once.
    Above,
    /// Likewise, and called when we have news from below.
    AboveUs,
    /// A province, as we are: asked, and called when we have news.
    Equal,
    /// A node below that may have others below itself: asked, and called when there is news.
    Middle,
    /// The node of a county below: called when there is news; it then asks us.
    Below,
    /// Anybody else that the configuration names: asked for its card alone.
    Other,
}

impl Neighbour {
    fn of(own: AreaCode, area: AreaCode, configured: bool) -> Option<Self> {
        let is_province = |area: AreaCode| area.level() == AreaLevel::Province;
        let is_county = |area: AreaCode| area.level() >= AreaLevel::County;
        if area != own && area.contains(&own) {
            Some(if is_county(own) { Self::Above } else { Self::AboveUs })
        } else if is_province(own) && is_province(area) {
            Some(Self::Equal)
        } else if own.contains(&area) {
            Some(if is_county(area) { Self::Below } else { Self::Middle })
        } else {
            configured.then_some(Self::Other)
        }
    }

    /// Whether it is asked for its directory, and not for its card alone.
    const fn keeps_directory(self) -> bool {
        match self {
            Self::Above | Self::AboveUs | Self::Equal | Self::Middle => true,
            Self::Below | Self::Other => false,
        }
    }
}

impl Directory {
    /// Starts the tasks.
    pub fn follow(&self, tasks: &Tasks, backoff: Backoff, settings: &DirectorySettings) {
        self.follow_ourselves(tasks, settings.rotate_keys_after);
        let (directory, all) = (self.clone(), tasks.clone());
        let pace = Pace { refresh: settings.refresh, backoff };
        tasks.spawn("directory", async move {
            let peers = &directory.0.parts.peers;
            let (mut joined, mut stopping) = (peers.joined(), all.stopping());
            let mut followed = BTreeSet::new();
            loop {
                joined.mark_unchanged();
                for peer in peers.all() {
                    let kind = Neighbour::of(peers.own(), peer.area, peer.is_configured());
                    if let Some(kind) = kind
                        && followed.insert(peer.area)
                    {
                        let talk = Talk::new(directory.clone(), peer, kind);
                        all.spawn("neighbour", talk.run(pace, all.stopping()));
                    }
                }
                tokio::select! {
                    () = stopping.stopped() => return,
                    Ok(()) = joined.changed() => {}
                    () = peers.missed() => followed.iter().for_each(|area| directory.met(*area)),
                }
            }
        });
    }

    /// Somebody has begun a session with us, has asked for our card, or may know a card that is wanted: whom we ask is
    /// asked now.
    pub fn met(&self, area: AreaCode) {
        let own = self.0.parts.peers.own();
        if Neighbour::of(own, area, false).is_some_and(Neighbour::keeps_directory) {
            self.asking(area).notify_one();
        }
    }

    /// Tells the node of an area above at once what we say of ourselves. Says whether it has it.
    pub async fn tell(&self, area: AreaCode) -> bool {
        let Some(peer) = self.0.parts.peers.get(area) else { return false };
        let mut talk = Talk::new(self.clone(), peer, Neighbour::Above);
        let told = talk.ask().await;
        if let Err(why) = &told {
            tracing::warn!(%area, why, "a node above was not told what this one says of itself");
        }
        told.is_ok()
    }

    fn asking(&self, area: AreaCode) -> Arc<Notify> {
        let mut asking = self.0.asking.lock().unwrap_or_else(PoisonError::into_inner);
        asking.entry(area).or_default().clone()
    }

    /// Looks after what we say and hold: our card and keys, the lists of our files, the cards of others.
    fn follow_ourselves(&self, tasks: &Tasks, rotate_after: Duration) {
        let (directory, mut stopping) = (self.clone(), tasks.stopping());
        let mut looked = self.0.parts.identity.looked();
        looked.mark_changed();
        tasks.spawn("own-card", async move {
            loop {
                tokio::select! {
                    () = stopping.stopped() => return,
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    Ok(()) = looked.changed() => {}
                }
                directory.look_after_ourselves(rotate_after).await;
                let again = directory.clone();
                // It panics only if the program is at fault; then the process ends anyway.
                let _done = tokio::task::spawn_blocking(move || again.look_again()).await.is_ok();
                let now = SystemClock.now();
                let told = alarms::tell(&directory.0.parts.store, directory.alarms(now), now);
                if let Err(error) = told.await {
                    tracing::error!(error = chain(&error), "alarms cannot be kept");
                }
            }
        });
    }

    pub(super) async fn look_after_ourselves(&self, rotate_after: Duration) {
        let (now, keys) = (SystemClock.now(), self.own_card().keys());
        if now.since(keys.newest()) >= rotate_after {
            match keys.rotate(now).await {
                Ok(()) => tracing::info!("a new sealing key is in use; the others still open"),
                Err(error) => {
                    tracing::error!(error = chain(&error), "there is no new sealing key");
                }
            }
        }
        if let Err(error) = self.renew().await {
            tracing::error!(error = chain(&error), "the node's card could not be signed anew");
        }
        // Also what the files hold goes into the directory, so that others need no files.
        let material = self.0.parts.identity.material();
        let lists = material.chains().lists().iter().map(|list| list.der().to_vec()).collect();
        let authorities = material.identity().chain_der().iter().skip(1).cloned().collect();
        let said = Said { lists, authorities, ..Said::default() };
        if let Err(error) = self.take(self.0.parts.peers.own(), said).await {
            tracing::error!(error = chain(&error), "revocation lists cannot be kept");
        }
    }
}

/// How often a neighbour is asked.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// After an answer.
    refresh: Duration,
    /// After none.
    backoff: Backoff,
}

/// The talk with one neighbour.
struct Talk {
    directory: Directory,
    peer: Arc<Peer>,
    kind: Neighbour,
    /// Where we are in its directory; none before the first answer of this run.
    cursor: Option<Bytes>,
    /// Digests of the lists that it has from us.
    told: Vec<Digest>,
    failures: u32,
    /// The trouble that its status shows is ours.
    noted: bool,
}

impl Talk {
    fn new(directory: Directory, peer: Arc<Peer>, kind: Neighbour) -> Self {
        let (cursor, told, failures, noted) = (None, Vec::new(), 0, false);
        Self { directory, peer, kind, cursor, told, failures, noted }
    }

    async fn run(mut self, pace: Pace, mut stopping: Stopping) {
        use Neighbour::{Above, AboveUs, Below, Equal, Middle, Other};
        let inner = &self.directory.0;
        let asked = self.directory.asking(self.peer.area);
        let mut news = match self.kind {
            Below | Middle => inner.news.subscribe(),
            Above | AboveUs | Equal | Other => inner.own_news.subscribe(),
        };
        let mut card = self.peer.card_changes();
        let regularly = self.kind != Below || self.peer.is_configured();
        let mut call = regularly;
        let mut due = Instant::now();
        loop {
            if std::mem::take(&mut call) {
                let outcome = tokio::select! {
                    () = stopping.stopped() => return,
                    outcome = self.ask() => outcome,
                };
                due = Instant::now() + self.note(outcome, pace);
            }
            let (pause, mut tell) = (tokio::time::sleep(ASKED_EVERY), false);
            tokio::select! {
                () = stopping.stopped() => return,
                () = tokio::time::sleep_until(due), if regularly => call = true,
                () = asked.notified() => call = true,
                Ok(()) = news.changed(), if self.kind != Other => {
                    call = matches!(self.kind, Above | AboveUs);
                    tell = matches!(self.kind, AboveUs | Equal | Middle | Below);
                }
                // It can be called now, or at another address.
                Ok(()) = card.changed(), if self.failures > 0 => call = true,
            }
            let rest = async {
                if tell {
                    self.tell().await;
                }
                pause.await;
            };
            tokio::select! {
                () = stopping.stopped() => return,
                () = rest => {}
            }
        }
    }

    /// Notes how it went; says how long to wait for the next time.
    fn note(&mut self, outcome: Result<(), String>, pace: Pace) -> Duration {
        match outcome {
            Ok(()) => {
                self.failures = 0;
                // Only our own trouble is over; the courier's is its own to clear.
                if std::mem::take(&mut self.noted) {
                    self.peer.note(|state| state.trouble = None);
                }
                pace.refresh
            }
            Err(why) => {
                tracing::debug!(peer = %self.peer.area, why, "no news from the directory of a neighbour");
                if self.peer.card().is_none() {
                    self.peer.note(|state| state.trouble = Some(why));
                    self.noted = true;
                }
                self.failures = self.failures.saturating_add(1);
                let delay = pace.backoff.delay(self.failures, u64::from_be_bytes(random()));
                delay.min(pace.refresh)
            }
        }
    }

    async fn ask(&mut self) -> Result<(), String> {
        let channel = self.dial().await?;
        if !self.kind.keeps_directory() {
            return self.card(channel).await;
        }
        let synced = self.sync(channel).await;
        if synced.is_err() {
            self.told.clear();
        }
        synced
    }

    /// Asks for its card, by which it knows that there is news; it asks us then. A node that collects asks by itself.
    async fn tell(&self) {
        if self.peer.card().is_some_and(|card| card.collects || card.retired.is_some()) {
            return;
        }
        let told = async { self.card(self.dial().await?).await };
        if let Err(why) = told.await {
            tracing::debug!(peer = %self.peer.area, why, "a neighbour was not told of news");
        }
    }

    /// Calls it where the configuration or its card says, whichever answers first in this order.
    async fn dial(&self) -> Result<Channel, String> {
        let material = self.directory.0.parts.identity.material();
        let mut why = "nobody has told where it can be called".to_owned();
        for endpoint in self.peer.endpoints() {
            match link::dial(self.peer.area, &endpoint, &material).await {
                Ok(channel) => return Ok(channel),
                Err(error) => why = chain(&error),
            }
        }
        Err(why)
    }

    async fn card(&self, channel: Channel) -> Result<(), String> {
        let mut client = NodeClient::new(channel);
        let card = in_time(client.card()).await?.map_err(|error| chain(&error))?;
        let said = Said { cards: vec![card], ..Said::default() };
        self.directory.take(self.peer.area, said).await.map_err(|error| chain(&error))?;
        Ok(())
    }

    async fn sync(&mut self, channel: Channel) -> Result<(), String> {
        let mut client = NodeClient::new(channel.clone());
        let mut cursor = match self.cursor.take() {
            Some(cursor) => cursor,
            None => self.kept_cursor()?,
        };
        for _ in 0..PAGES_MAX {
            let question = DirectoryQuestion {
                cursor: cursor.clone(),
                own_card: Some(self.directory.own_card().signed()),
                revocation_lists: self.lists_to_tell(),
            };
            let answer = match in_time(client.sync_directory(question)).await? {
                Ok(answer) => answer,
                // It is of a version that keeps no directory.
                Err(CallError::Status(status)) if status.code() == Code::Unimplemented => {
                    return self.card(channel).await;
                }
                Err(error) => return Err(chain(&error)),
            };
            let (more, next) = (answer.more, answer.cursor.clone());
            let taken = self.directory.take(self.peer.area, answer.into()).await;
            let taken = taken.map_err(|error| chain(&error))?;
            if taken.faults >= FAULTS_MAX {
                return Err("what it says of the directory does not hold".to_owned());
            }
            if !more || next == cursor {
                self.cursor = Some(next);
                return Ok(());
            }
            cursor = next;
        }
        Err("its directory has no end".to_owned())
    }

    fn kept_cursor(&self) -> Result<Bytes, String> {
        let key = peer_key(self.peer.area);
        let row = self.directory.0.parts.store.get(&DIRECTORY_CURSOR, &key);
        let row = row.map_err(|error| chain(&error))?;
        Ok(row.map_or(Bytes::new(), |row| Bytes::from(row.theirs.0)))
    }

    /// The lists of our own authority and of the root, as far as it does not have them from us already.
    fn lists_to_tell(&mut self) -> Vec<Vec<u8>> {
        let material = self.directory.0.parts.identity.material();
        let mut ours: Vec<Vec<u8>> =
            material.identity().chain_der().iter().skip(1).cloned().collect();
        let roots = material.chains().roots().certificates();
        ours.extend(roots.iter().map(|root| root.to_vec()));
        let lists: Vec<_> = {
            let known = self.directory.known();
            let own = |list: &&trust::crl::VerifiedList| {
                ours.iter().any(|authority| authority == list.authority())
            };
            known.lists.values().filter(own).map(|list| list.list().der().to_vec()).collect()
        };
        let digests: Vec<_> = lists.iter().map(|list| Digest::of(list)).collect();
        let told = std::mem::replace(&mut self.told, digests.clone());
        let news = lists.into_iter().zip(digests).filter(|(_, digest)| !told.contains(digest));
        news.map(|(list, _)| list).take(DIRECTORY_LISTS_MAX).collect()
    }
}

async fn in_time<T>(call: impl Future<Output = T>) -> Result<T, String> {
    let answered = tokio::time::timeout(ANSWER_TIMEOUT, call).await;
    answered.map_err(|_| "it does not answer in time".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked_for_what() {
        let kind = |own: &str, other: &str, configured| {
            Neighbour::of(own.parse().unwrap(), other.parse().unwrap(), configured)
        };
        assert_eq!(kind("410522", "410000", false), Some(Neighbour::Above));
        assert_eq!(kind("410522", "410500", false), Some(Neighbour::Above));
        assert_eq!(kind("410522", "440000", true), Some(Neighbour::Other));
        assert_eq!(kind("410522", "410523", false), None);
        assert_eq!(kind("410522", "410523", true), Some(Neighbour::Other));
        assert_eq!(kind("410000", "440000", false), Some(Neighbour::Equal));
        assert_eq!(kind("410000", "410522", false), Some(Neighbour::Below));
        assert_eq!(kind("410500", "410522", false), Some(Neighbour::Below));
        assert_eq!(kind("410500", "410000", false), Some(Neighbour::AboveUs));
        assert_eq!(kind("410000", "410500", false), Some(Neighbour::Middle));
        assert_eq!(kind("410500", "440000", false), None);
        assert_eq!(kind("410000", "440305", false), None);
    }
}
