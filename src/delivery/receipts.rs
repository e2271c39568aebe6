//! Our own receipts on their way to the disk: they ride with the next parcel, or go by themselves after a second.
//!
//! What a receipt says is on disk before it is signed, and it can be signed again at any time, so nothing
//! is promised by it that a crash could take back; a sync for each would be paid for nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use exchange::digest::Digest;
use store::Store;
use store::messages::{ParcelKey, Signed};
use store::tables::RECEIPT;

use crate::app::AppError;
use crate::app::messages::receive::keep_chain;
use crate::tasks::Tasks;

/// The longest that a receipt waits for company.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// Receipts that wait at most; the next one takes them along.
const WAITING_MAX: usize = 64;

/// One of our receipts.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) key: ParcelKey,
    pub(super) signed: Signed,
    pub(super) signer: Digest,
    pub(super) chain: Vec<Vec<u8>>,
}

/// Receipts that wait for the disk. Clones share them.
#[derive(Clone, Debug)]
pub struct Receipts {
    store: Store,
    // Touched to add one or to take all; never across an await.
    waiting: Arc<Mutex<Vec<Issued>>>,
}

impl Receipts {
    /// None wait yet.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, waiting: Arc::default() }
    }

    /// Takes a receipt along.
    pub(super) async fn add(&self, issued: Issued) -> Result<(), AppError> {
        let many = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push(issued);
            waiting.len() >= WAITING_MAX
        };
        if many { self.send().await } else { Ok(()) }
    }

    /// Hands everything that waits to the committer; only the place in its queue is waited for.
    pub(super) async fn send(&self) -> Result<(), AppError> {
        let waiting =
            std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if waiting.is_empty() {
            return Ok(());
        }
        let queued = self.store.enqueue(move |unit| {
            for issued in &waiting {
                unit.put(&RECEIPT, &issued.key, &issued.signed)?;
                keep_chain(unit, issued.signer, &issued.chain)?;
            }
            Ok::<_, AppError>(())
        });
        queued.await.map(drop).map_err(AppError::from)
    }

    /// Sends what finds no company in time, until the node stops, and then what is left.
    pub fn follow(&self, tasks: &Tasks) {
        let (receipts, mut stopping) = (self.clone(), tasks.stopping());
        tasks.spawn("receipts", async move {
            while !stopping.is_stopped() {
                tokio::select! {
                    () = stopping.stopped() => {}
                    () = tokio::time::sleep(WAIT_MAX) => {}
                }
                if let Err(error) = receipts.send().await {
                    tracing::warn!(%error, "receipts could not be kept; they can be signed again");
                }
            }
        });
    }
}
