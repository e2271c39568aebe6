//! Signed words on their way back: those that come in are kept or queued, those that wait are handed over until they
//! are taken.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::area::AreaCode;
use exchange::backoff::Backoff;
use exchange::custody::{CustodyReceipt, Returned};
use exchange::parcel::ParcelId;
use exchange::receipt::Receipt;
use exchange::relay::next_hop;
use futures_util::StreamExt as _;
use futures_util::stream;
use store::transit::ReturnKey;
use tokio::sync::Notify;
use wire::{decode_custody_manifest, decode_receipt_manifest};

use super::hub::Hub;
use super::outbound::Outbound;
use super::proof;
use super::relay::Relay;
use super::session::WORDS_IN_FLIGHT;
use crate::app::AppError;
use crate::app::messages::{consign, settle};
use crate::app::relay::{self as units, ReturnedReceipt, Said, SignedWord};
use crate::time::{SystemClock, random};

/// A neighbour that could not be reached so often is reached around: by the node above it.
const AROUND_AFTER: u32 = 2;
/// Words that are read in one go.
const WORDS_AT_ONCE: usize = 64;

/// Hands words back, one task a neighbour that has some. Clones share them.
#[derive(Clone)]
pub struct Returns(Arc<Inner>);

struct Inner {
    hub: Hub,
    backoff: Backoff,
    // Touched when words come and when all are handed over; never across an await.
    running: Mutex<BTreeMap<AreaCode, Arc<Notify>>>,
}

impl Returns {
    /// Nothing is handed back yet.
    #[must_use]
    pub fn new(hub: Hub, backoff: Backoff) -> Self {
        Self(Arc::new(Inner { hub, backoff, running: Mutex::default() }))
    }

    /// Goes on with what is on disk.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn follow(&self) -> Result<(), AppError> {
        let waiting = units::neighbours_with_words(&self.0.hub.shared().store)?;
        waiting.into_iter().for_each(|toward| self.wake(toward));
        Ok(())
    }

    /// There are words for this neighbour.
    pub fn wake(&self, toward: AreaCode) {
        let mut running = self.running();
        if let Some(task) = running.get(&toward) {
            task.notify_one();
            return;
        }
        let news = Arc::new(Notify::new());
        running.insert(toward, news.clone());
        drop(running);
        let (returns, mut stopping) = (self.clone(), self.0.hub.shared().tasks.stopping());
        self.0.hub.shared().tasks.spawn("returns", async move {
            tokio::select! {
                () = stopping.stopped() => {}
                () = returns.hand_back(toward, &news) => {}
            }
        });
    }

    /// Hands everything back that waits for a neighbour, and ends when nothing is left.
    async fn hand_back(&self, toward: AreaCode, news: &Notify) {
        let mut failures = 0_u32;
        let mut changes = self.0.hub.changes(toward);
        loop {
            changes.mark_unchanged();
            match self.pass(toward, self.way(toward, failures)).await {
                Ok(0) => {
                    // Whoever adds a word wakes us after it is on disk; with the lock held, nobody does.
                    let mut running = self.running();
                    let empty =
                        units::words_for(&self.0.hub.shared().store, toward, None, WORDS_AT_ONCE);
                    if empty.is_ok_and(|words| words.is_empty()) {
                        running.remove(&toward);
                        return;
                    }
                    continue;
                }
                Ok(_) => {
                    failures = 0;
                    continue;
                }
                Err(why) => {
                    tracing::debug!(peer = %toward, why, "words wait to be handed back");
                    failures = failures.saturating_add(1);
                }
            }
            let wait = self.0.backoff.delay(failures, u64::from_be_bytes(random()));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // The neighbour has called, or is gone. Not quite at once: it may do nothing else.
                Ok(()) = changes.changed() => tokio::time::sleep(self.0.backoff.bound(1)).await,
            }
            // More words change nothing for those that could not be handed over.
            let _more = futures_util::FutureExt::now_or_never(news.notified()).is_some();
        }
    }

    /// Who takes the next words for a neighbour: itself or, in turn with it while it cannot be reached, the node above
    /// it. A county that sends by the province of its recipient may not be one that this province can call.
    fn way(&self, toward: AreaCode, failures: u32) -> AreaCode {
        let own = self.0.hub.shared().own;
        let around = next_hop(own, toward);
        let takes_turn = failures >= AROUND_AFTER && failures.is_multiple_of(2) && around != own;
        if takes_turn { around } else { toward }
    }

    /// Hands over by `way` what waits now for a neighbour. Says how many words were taken.
    async fn pass(&self, toward: AreaCode, way: AreaCode) -> Result<usize, String> {
        let shared = self.0.hub.shared();
        let read = |after: Option<&ReturnKey>| {
            units::words_for(&shared.store, toward, after, WORDS_AT_ONCE)
                .map_err(|error| error.to_string())
        };
        let mut words = read(None)?;
        if words.is_empty() {
            return Ok(0);
        }
        let session = self.0.hub.word_session(way).await?;
        let mut count = 0;
        while let Some((last, _)) = words.last() {
            let after = *last;
            let handing = words.into_iter().map(|(key, word)| {
                let session = session.clone();
                async move { session.hand_back(word).await.map(|()| key) }
            });
            let handed: Vec<_> =
                stream::iter(handing).buffer_unordered(WORDS_IN_FLIGHT).collect().await;
            let lost = handed.iter().any(Result::is_err);
            let taken: Vec<ReturnKey> = handed.into_iter().filter_map(Result::ok).collect();
            count += taken.len();
            let gone = shared.store.commit(move |unit| units::returned(unit, &taken)).await;
            gone.map_err(|error| AppError::from(error).to_string())?;
            if lost {
                return Err("the session ended".to_owned());
            }
            words = read(Some(&after))?;
        }
        Ok(count)
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<AreaCode, Arc<Notify>>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Returns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Returns").finish_non_exhaustive()
    }
}

/// Takes in words that come back: ours settle, those for others go on.
#[derive(Clone, Debug)]
pub struct Words {
    pub(super) hub: Hub,
    pub(super) outbound: Outbound,
    pub(super) relay: Option<Relay>,
    pub(super) returns: Returns,
}

impl Words {
    /// Keeps or queues a word; when this returns it is on disk, or of no use here.
    ///
    /// # Errors
    /// When the store fails; then the word has to be handed over again.
    pub async fn take(&self, word: Returned) -> Result<(), AppError> {
        match word {
            Returned::Receipt(receipt) => self.receipt(receipt).await,
            Returned::Custody(word) => self.custody(word).await,
        }
    }

    async fn receipt(&self, receipt: Receipt) -> Result<(), AppError> {
        let Ok(manifest) = decode_receipt_manifest(&receipt.manifest_bytes) else {
            return Ok(());
        };
        let shared = self.hub.shared();
        let now = SystemClock.now();
        let claim = proof::of_receipt(&manifest, &receipt);
        if let Err(unproven) = proof::check_evidence(&shared.identity, &claim, now) {
            useless(manifest.parcel_id, &unproven);
            return Ok(());
        }
        if manifest.to != shared.own {
            let said = Said::Receipt(Box::new(ReturnedReceipt::of(&receipt, manifest.signer)));
            return self.carried(manifest.to, manifest.parcel_id, said).await;
        }
        // A courier that is about to write that a relay holds the parcel comes first.
        self.outbound.let_go(manifest.parcel_id).await;
        let checked = settle::check_returned(&shared.store, &manifest, receipt);
        let returned = match checked? {
            Ok(returned) => returned,
            Err(why) => {
                tracing::debug!(parcel = %manifest.parcel_id, why, "a returned receipt is of no use here");
                return Ok(());
            }
        };
        self.outbound.settle(returned).await
    }

    async fn custody(&self, word: CustodyReceipt) -> Result<(), AppError> {
        let Ok(manifest) = decode_custody_manifest(&word.manifest_bytes) else { return Ok(()) };
        let shared = self.hub.shared();
        let (parcel, now) = (manifest.parcel_id, SystemClock.now());
        let claim = proof::of_custody(&manifest, &word);
        if let Err(unproven) = proof::check_evidence(&shared.identity, &claim, now) {
            useless(parcel, &unproven);
            return Ok(());
        }
        let signed = SignedWord::of_custody(&word, manifest.signer);
        if manifest.from != shared.own {
            use exchange::custody::CustodyOutcome::{Deferred, Held, Refused};
            return match manifest.outcome {
                Held { .. } | Refused { .. } => {
                    self.carried(manifest.from, parcel, Said::Further(signed)).await
                }
                // Between two relays; nobody hands it on.
                Deferred { .. } => Ok(()),
            };
        }
        self.outbound.let_go(parcel).await;
        let settings = *self.outbound.settings();
        let kept = shared
            .store
            .commit(move |unit| consign::keep_word(unit, &manifest, &signed, &settings, now));
        if let Some(turned_back) = kept.await.map_err(AppError::from)? {
            self.outbound.turned_back(turned_back).await;
        }
        Ok(())
    }

    /// A word about a parcel that we carry, or have carried, or that went another way to or from an area under ours.
    async fn carried(
        &self,
        addressee: AreaCode,
        parcel: ParcelId,
        said: Said,
    ) -> Result<(), AppError> {
        match &self.relay {
            Some(relay) => relay.hear(addressee, parcel, said).await,
            None => Ok(()),
        }
    }
}

fn useless(parcel: ParcelId, unproven: &proof::Unproven) {
    let code = unproven.reason().code();
    tracing::warn!(%parcel, code, "a returned word does not hold: {unproven}");
}
