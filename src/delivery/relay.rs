//! Carries parcels for others: checks them, puts them on disk, gives a signed word for them, and hands them on.
//!
//! A relay is trusted for nothing but time. It cannot open what it carries, and what it says settles nothing.

mod forward;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use domain::area::{AreaCode, AreaLevel};
use domain::reason::Reason;
use exchange::custody::{CustodyManifest, CustodyOutcome, CustodyReceipt};
use exchange::keys::{SignContext, Signer};
use exchange::parcel::{ParcelId, ParcelManifest};
use exchange::receipt::ReceiptManifest;
use exchange::relay::{ForwarderSettings, may_speak, parcel_deadline};
use exchange::tree;
use store::Pending;
use store::tables::TRANSIT;
use wire::{decode_custody_manifest, decode_header, decode_manifest, encode_custody_manifest};

use self::forward::Forwarding;
use super::handover::Checked;
use super::hub::Hub;
use super::inbound::NoReceipt;
use super::returns::Returns;
use crate::app::AppError;
use crate::app::each::First;
use crate::app::relay::{self as units, Change, Handed, Said, SignedWord};
use crate::time::SystemClock;

/// Bytes of envelopes that a relay holds for one sender; beyond it the sender waits.
const CUSTODY_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// When a sender for which too much is held may offer more.
const FULL_RETRY: std::time::Duration = std::time::Duration::from_secs(60);

/// Whether the node of this area carries parcels for others: provinces and prefectures do.
#[must_use]
pub fn carries(own: AreaCode) -> bool {
    match own.level() {
        AreaLevel::Province | AreaLevel::Prefecture => true,
        AreaLevel::County | AreaLevel::Town | AreaLevel::Village | AreaLevel::Extension => false,
    }
}

/// Carries parcels for others. Clones share what they know.
#[derive(Clone)]
pub struct Relay(Arc<Inner>);

struct Inner {
    hub: Hub,
    returns: Returns,
    forwarding: Forwarding,
    settings: ForwarderSettings,
    /// Bytes of content held, by sender. What is on disk counts; touched for each parcel, never across an await.
    held: Mutex<BTreeMap<AreaCode, u64>>,
}

/// What is old is looked for this often.
const AGE_EVERY: Duration = Duration::from_secs(86_400);

/// A parcel that waits for the disk, or for our signature.
#[derive(Debug)]
pub(super) struct Taken {
    manifest: ParcelManifest,
    handed_by: AreaCode,
    next: AreaCode,
    what: What,
}

#[derive(Debug)]
enum What {
    /// It is being written.
    Writing { pending: Pending<units::Taken, AppError>, bytes: u64 },
    /// It is not taken.
    Not(CustodyOutcome),
}

impl Relay {
    /// A relay that goes on with what is on disk.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn start(
        hub: Hub,
        returns: Returns,
        settings: ForwarderSettings,
    ) -> Result<Self, AppError> {
        let found = units::find(&hub.shared().store)?;
        let forwarding = Forwarding::new(hub.clone(), settings);
        let held = Mutex::new(found.bytes);
        let inner = Inner { hub, returns, forwarding, settings, held };
        let relay = Self(Arc::new(inner));
        for (next, count) in found.waiting {
            tracing::info!(%next, count, "parcels in transit wait");
            relay.0.forwarding.wake(&relay, next);
        }
        relay.follow_age();
        Ok(relay)
    }

    /// Lets go of what nobody can be brought, and of what became of parcels years ago, once a day.
    fn follow_age(&self) {
        let shared = self.0.hub.shared();
        let (relay, mut stopping) = (self.clone(), shared.tasks.stopping());
        shared.tasks.spawn("age-of-transit", async move {
            loop {
                if let Err(error) = relay.let_go_of_old().await {
                    tracing::warn!(%error, "what is old in transit could not be let go of");
                }
                tokio::select! {
                    () = stopping.stopped() => return,
                    () = tokio::time::sleep(AGE_EVERY) => {}
                }
            }
        });
    }

    async fn let_go_of_old(&self) -> Result<(), AppError> {
        let store = &self.0.hub.shared().store;
        let mut first = First::default();
        for parcel in units::age::forget_transit(store, SystemClock.now()).await? {
            tracing::warn!(%parcel, code = "EXPIRED", "a parcel could not be handed on in time and is let go of");
            first.take(self.note(parcel, Said::Refused(Reason::Expired, None)).await);
        }
        first.end()
    }

    /// Hands a parcel for somebody else to the committer.
    ///
    /// # Errors
    /// [`NoReceipt`] when the store takes nothing.
    pub(super) async fn take(&self, checked: Checked, next: AreaCode) -> Result<Taken, NoReceipt> {
        let now = SystemClock.now();
        let Checked { manifest, handed_by, chain, words, parcel, .. } = checked;
        let headers = parcel.envelopes.iter().filter_map(|e| decode_header(&e.header_bytes).ok());
        // What cannot be read is the recipient's to refuse.
        let headers: Vec<_> = headers.collect();
        let (bytes, sign) = (&parcel.manifest_bytes, &parcel.signature);
        let handed = Handed {
            parcel_id: manifest.parcel_id,
            from: manifest.from,
            to: manifest.to,
            handed_by,
            next,
            parcel: SignedWord::new(bytes, sign, manifest.signer, &chain),
            root: manifest.root,
            deadline: parcel_deadline(&headers, now),
            words,
            envelopes: parcel.envelopes,
        };
        let bytes = handed.bytes();
        if !self.hold(manifest.from, bytes) {
            let (reason, until) = (Reason::RateLimited, now.saturating_add(FULL_RETRY));
            let what = What::Not(CustodyOutcome::Deferred { reason, until });
            return Ok(Taken { manifest, handed_by, next, what });
        }
        let store = &self.0.hub.shared().store;
        let queued = store.enqueue(move |unit| units::take_in(unit, &handed, now)).await;
        let pending = queued.map_err(AppError::from)?;
        Ok(Taken { manifest, handed_by, next, what: What::Writing { pending, bytes } })
    }

    /// Waits for the disk, then signs our word.
    ///
    /// # Errors
    /// [`NoReceipt`] when the parcel was not written or the word not signed; then nothing was promised.
    pub(super) async fn answer(&self, taken: Taken) -> Result<CustodyReceipt, NoReceipt> {
        let Taken { manifest, handed_by, next, what } = taken;
        let held = CustodyOutcome::Held { next };
        let (pending, bytes) = match what {
            What::Not(outcome) => return Ok(self.sign(&manifest, handed_by, outcome)?),
            What::Writing { pending, bytes } => (pending, bytes),
        };
        let taken = pending.await.map_err(AppError::from);
        if !matches!(taken, Ok(units::Taken::New)) {
            self.let_go(manifest.from, bytes);
        }
        match taken? {
            units::Taken::New => {
                let word = self.sign(&manifest, handed_by, held)?;
                self.keep_own(&manifest, &word, Some(next)).await?;
                Ok(word)
            }
            units::Taken::Known(row) => {
                use store::transit::TransitState::GivenUp;
                if let GivenUp { reason, .. } = row.state {
                    let refused = CustodyOutcome::Refused { reason };
                    return Ok(self.sign(&manifest, handed_by, refused)?);
                }
                match row.own_word.filter(|_| row.handed_by == handed_by) {
                    Some(word) => {
                        let chain = units::chain_of(&self.0.hub.shared().store, word.signer)?;
                        Ok(SignedWord { word, chain }.custody())
                    }
                    None => {
                        let word = self.sign(&manifest, handed_by, held)?;
                        self.keep_own(&manifest, &word, None).await?;
                        Ok(word)
                    }
                }
            }
        }
    }

    /// How forwarders behave.
    fn settings(&self) -> &ForwarderSettings {
        &self.0.settings
    }

    /// Signs what we do with a parcel. To be called after what it says is on disk.
    fn sign(
        &self,
        parcel: &ParcelManifest,
        handed_by: AreaCode,
        outcome: CustodyOutcome,
    ) -> Result<CustodyReceipt, AppError> {
        let (shared, material) = (self.0.hub.shared(), self.0.hub.shared().identity.material());
        sign_word(shared.own, material.identity().as_ref(), parcel, handed_by, outcome)
    }

    /// Keeps our own word; it is on disk before the parcel goes on, since it travels with it.
    async fn keep_own(
        &self,
        parcel: &ParcelManifest,
        word: &CustodyReceipt,
        next: Option<AreaCode>,
    ) -> Result<(), AppError> {
        let shared = self.0.hub.shared();
        let signer = shared.identity.material().identity().signer_id();
        let (id, signed) = (parcel.parcel_id, SignedWord::of_custody(word, signer));
        let queued = shared.store.enqueue(move |unit| units::keep_own_word(unit, id, &signed));
        let pending = queued.await.map_err(AppError::from)?;
        let relay = self.clone();
        shared.tasks.spawn("own-word", async move {
            if let Err(error) = pending.await.map_err(AppError::from) {
                // The parcel is on disk; its word is signed again when it goes on.
                tracing::warn!(%error, "our own word about a parcel could not be kept");
            }
            if let Some(next) = next {
                relay.0.forwarding.wake(&relay, next);
            }
        });
        Ok(())
    }

    /// Takes a word that came back: about a parcel that we carry, or for an area under ours about one that went another
    /// way. Any other is of no use here.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn hear(
        &self,
        addressee: AreaCode,
        parcel: ParcelId,
        said: Said,
    ) -> Result<(), AppError> {
        let shared = self.0.hub.shared();
        let (store, own) = (&shared.store, shared.own);
        if store.get(&TRANSIT, parcel.as_bytes())?.is_some() {
            return self.note(parcel, said).await.map(drop);
        }
        if addressee != own && own.contains(&addressee) {
            let now = SystemClock.now();
            let passed =
                store.commit(move |unit| units::pass_on(unit, addressee, parcel, &said, now));
            passed.await.map_err(AppError::from)?;
            self.0.returns.wake(addressee);
        }
        Ok(())
    }

    /// Writes what was said about a parcel that we carry. A receipt counts whoever brings it; a word of a relay is
    /// believed about what is no longer here.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn note(&self, parcel: ParcelId, said: Said) -> Result<Change, AppError> {
        let (store, now) = (&self.0.hub.shared().store, SystemClock.now());
        let Some(row) = store.get(&TRANSIT, parcel.as_bytes())? else {
            return Ok(Change::default());
        };
        let about = decode_manifest(&row.parcel.signed.manifest.0);
        let about = about.map_err(|_| AppError::Internal("a manifest in transit is unreadable"))?;
        if let Err(why) = fits(&about, &said) {
            tracing::warn!(%parcel, why, "a word does not fit the parcel in transit");
            return Ok(Change::default());
        }
        let noted = store.commit(move |unit| units::note(unit, parcel, &said, now)).await;
        let change = noted.map_err(AppError::from)?;
        if let Some((sender, bytes)) = change.let_go {
            self.let_go(sender, bytes);
        }
        if let Some(toward) = change.hand_back_to {
            self.0.returns.wake(toward);
        }
        Ok(change)
    }

    /// Counts what is to be held for a sender, unless that is too much.
    fn hold(&self, sender: AreaCode, bytes: u64) -> bool {
        let mut held = self.held();
        let sum = held.entry(sender).or_default();
        let more = sum.saturating_add(bytes);
        if more > CUSTODY_BYTES_MAX {
            return false;
        }
        *sum = more;
        true
    }

    fn let_go(&self, sender: AreaCode, bytes: u64) {
        if let Some(sum) = self.held().get_mut(&sender) {
            *sum = sum.saturating_sub(bytes);
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<AreaCode, u64>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Signs a word about a parcel.
///
/// # Errors
/// When the node's key does not sign.
pub(super) fn sign_word(
    own: AreaCode,
    signer: &dyn Signer,
    parcel: &ParcelManifest,
    handed_by: AreaCode,
    outcome: CustodyOutcome,
) -> Result<CustodyReceipt, AppError> {
    let manifest = CustodyManifest {
        parcel_id: parcel.parcel_id,
        parcel_root: parcel.root,
        relay: own,
        handed_by,
        from: parcel.from,
        to: parcel.to,
        outcome,
        signed: SystemClock.now(),
        signer: signer.signer_id(),
    };
    let bytes = encode_custody_manifest(&manifest);
    let signature = signer
        .sign(SignContext::Custody, &bytes)
        .map_err(|error| AppError::Signing(error.to_string()))?;
    let chain = signer.chain_der().to_vec();
    Ok(CustodyReceipt {
        manifest_bytes: Bytes::from(bytes),
        signature: Bytes::from(signature),
        chain,
    })
}

/// Whether something that was said, and whose signature holds, is about this parcel.
fn fits(parcel: &ParcelManifest, said: &Said) -> Result<(), String> {
    let word = match said {
        Said::Receipt(receipt) => {
            let manifest = wire::decode_receipt_manifest(&receipt.word.word.signed.manifest.0);
            let manifest = manifest.map_err(|fault| fault.to_string())?;
            let right = answers(parcel, &manifest, &receipt.dispositions);
            return if right {
                Ok(())
            } else {
                Err("the receipt answers another parcel".to_owned())
            };
        }
        Said::Held(word) | Said::Further(word) | Said::Refused(_, Some(word)) => word,
        Said::Refused(_, None) => return Ok(()),
    };
    let manifest = decode_custody_manifest(&word.word.signed.manifest.0);
    let manifest = manifest.map_err(|fault| fault.to_string())?;
    if matches!(said, Said::Further(_)) && !may_speak(&manifest) {
        return Err(format!("{} has nothing to do with it", manifest.relay));
    }
    manifest.check_about(parcel).map_err(|fault| fault.to_string())
}

/// Whether a receipt is the recipient's answer to this parcel, as far as one can tell who cannot see what is in it.
pub(super) fn answers(
    parcel: &ParcelManifest,
    receipt: &ReceiptManifest,
    dispositions: &[Bytes],
) -> bool {
    let leaves: Vec<_> = dispositions.iter().map(|bytes| tree::leaf_hash(bytes)).collect();
    receipt.parcel_id == parcel.parcel_id
        && receipt.parcel_root == parcel.root
        && receipt.from == parcel.to
        && receipt.to == parcel.from
        && receipt.count == parcel.count
        && u32::try_from(dispositions.len()) == Ok(parcel.count)
        && receipt.root == tree::root(&leaves)
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").finish_non_exhaustive()
    }
}
