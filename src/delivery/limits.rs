//! What a peer may ask of this node at one time, and what happens beyond that: it is put off with a time, nothing
//! that was accepted is lost, and nobody else waits for it.
//!
//! | what | bound | beyond it |
//! |---|---|---|
//! | messages, bytes a second of one peer | `limits.messages_per_second`, `limits.bytes_per_second` | its parcels are `DEFERRED` with `RATE_LIMITED`; a peer that does not wait is read ever more slowly |
//! | parcels of one peer that are opened and stored | [`TURNS`] | the next waits in its own stream |
//! | streams of mail of one peer | [`STREAMS`] | the call ends with `RATE_LIMITED` |
//! | connections of one peer | `limits.connections_per_peer` | the oldest is cut off |
//! | room on the disk | `limits.disk_free_min_mb` | parcels are `DEFERRED`, new messages refused, with `DISK_NEARLY_FULL` |
//! | a time out of service that we have announced | none of it | parcels are `DEFERRED` with `MAINTENANCE` |
//!
//! # Memory
//!
//! What one peer can make a node hold is bounded by its connections and streams. Each connection holds at most the
//! window of HTTP/2 (8 MiB) of bytes that were not read yet. Each stream holds the frame that is being read
//! ([`FRAME_BYTES_MAX`](exchange::parcel::FRAME_BYTES_MAX)), one parcel that is being opened, and those that wait for
//! the disk: of these at most [`TURNS`] with their contents over all of the peer's streams, and for each stream one
//! more that waits for its turn. With the defaults that is 8 × 8 MiB + 8 × 3 × 1.25 MiB + 2 × 2 MiB, below 100 MiB for a
//! peer that tries, and below 4 MiB for one that has one stream and nothing to send.

pub(super) mod answer;
pub mod disk;
pub mod rate;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::UnixMillis;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::disk::DiskGuard;
use self::rate::{ComeBack, Rate, RateSettings};
use super::directory::Directory;

/// Parcels of one peer that are opened, in the committer's hands or being signed for at one time.
pub const TURNS: usize = 2;
/// Streams of mail that one peer may have open; one is used, the others are those whose end was not noticed yet.
pub const STREAMS: usize = 8;
/// How long a stream is not read after a parcel that is put off because we take nothing at all just now.
pub const CLOSED_PAUSE: Duration = Duration::from_millis(50);
/// How long a node whose disk is nearly full puts its peers off.
pub const DISK_RETRY: Duration = Duration::from_secs(60);

/// What is put off, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutOff {
    /// Why, as the catalogue has it.
    pub reason: Reason,
    /// Not before this time.
    pub until: UnixMillis,
    /// The stream it came by is not to be read for so long.
    pub pause: Duration,
}

/// The bounds of one node towards its peers. Clones share what they count.
#[derive(Clone, Debug)]
pub struct Limits(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    rate: RateSettings,
    disk: DiskGuard,
    /// Knows when we are out of service.
    directory: OnceLock<Directory>,
    // One entry for each area that ever came with a good certificate; never locked across an await.
    peers: Mutex<HashMap<AreaCode, Arc<Peer>>>,
}

/// What is counted for one peer.
#[derive(Debug)]
struct Peer {
    rate: Mutex<Rate>,
    turns: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

/// A peer's turn to have a parcel opened and stored; ends when dropped.
#[derive(Debug)]
pub struct Turn(
    #[expect(dead_code, reason = "held, never looked at")] Option<OwnedSemaphorePermit>,
);

/// One of the streams a peer may have; given back when dropped.
#[derive(Debug)]
pub struct StreamSlot(#[expect(dead_code, reason = "held, never looked at")] OwnedSemaphorePermit);

impl Limits {
    /// Bounds for each peer, and the guard of the disk.
    #[must_use]
    pub fn new(rate: RateSettings, disk: DiskGuard) -> Self {
        let directory = OnceLock::new();
        Self(Arc::new(Counted { rate, disk, directory, peers: Mutex::default() }))
    }

    /// Puts everybody off while we are out of service as our card says. Only the first directory counts.
    pub(crate) fn mind(&self, directory: Directory) {
        let _already = self.0.directory.set(directory).is_err();
    }

    /// The guard of the disk.
    #[must_use]
    pub fn disk(&self) -> &DiskGuard {
        &self.0.disk
    }

    /// Asks whether a parcel of so many messages and bytes may be taken from whoever hands it over.
    ///
    /// # Errors
    /// [`PutOff`]: the whole parcel is to be answered so, and nothing of it stored.
    pub fn admit(
        &self,
        peer: AreaCode,
        messages: usize,
        bytes: usize,
        now: UnixMillis,
    ) -> Result<(), PutOff> {
        self.open(now)?;
        let peer = self.peer(peer, now);
        let mut rate = peer.rate.lock().unwrap_or_else(PoisonError::into_inner);
        rate.take(messages, bytes, now).map_err(|ComeBack { until, pause }| PutOff {
            reason: Reason::RateLimited,
            until,
            pause,
        })
    }

    /// Asks whether parcels are taken at all.
    fn open(&self, now: UnixMillis) -> Result<(), PutOff> {
        let put_off = |reason, until| Err(PutOff { reason, until, pause: CLOSED_PAUSE });
        let directory = self.0.directory.get();
        if let Some(until) = directory.and_then(|d| d.own_card().maintenance_until(now)) {
            return put_off(Reason::Maintenance, until);
        }
        if self.0.disk.is_nearly_full() {
            return put_off(Reason::DiskNearlyFull, now.saturating_add(DISK_RETRY));
        }
        Ok(())
    }

    /// Waits for a peer's turn to have a parcel opened and stored. Those of one peer come in the order in which they asked.
    pub async fn turn(&self, peer: AreaCode, now: UnixMillis) -> Turn {
        let turns = self.peer(peer, now).turns.clone();
        // Never closed, so it never fails.
        Turn(turns.acquire_owned().await.ok())
    }

    /// One of the streams of mail that a peer may have open; none when it has them all.
    #[must_use]
    pub fn stream(&self, peer: AreaCode, now: UnixMillis) -> Option<StreamSlot> {
        let streams = self.peer(peer, now).streams.clone();
        streams.try_acquire_owned().ok().map(StreamSlot)
    }

    fn peer(&self, area: AreaCode, now: UnixMillis) -> Arc<Peer> {
        let mut peers = self.0.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            Arc::new(Peer {
                rate: Mutex::new(Rate::new(self.0.rate, now)),
                turns: Arc::new(Semaphore::new(TURNS)),
                streams: Arc::new(Semaphore::new(STREAMS)),
            })
        };
        peers.entry(area).or_insert_with(new).clone()
    }
}
