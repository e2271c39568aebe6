//! Both versions of a message of which two sides hold something else come together at its sender, where a person looks at
//! them ([`crate::app::reconcile::versions`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use exchange::digest::Digest;
use exchange::reconcile::calls::{HandedBack, Left};
use exchange::reconcile::difference::Difference;
use tokio::time::Instant;

use super::carrying::{Lines, strike};
use super::{Reconcile, SHORT_TIMEOUT, not_for_us, within};
use crate::app::each::First;
use crate::app::messages::send::Outlet as _;
use crate::app::reconcile::cures::{self, Keys};
use crate::app::reconcile::decisions;
use crate::app::reconcile::versions::{self, Shown};
use crate::app::{AppError, blocking};
use crate::time::SystemClock;

/// What was shown is shown again after so long, as long as it is open: the sender may have lost its disk since.
const SHOWN_AGAIN: Duration = Duration::from_secs(7 * 86_400);
/// What was not taken, or lies at the node above the sender.
const TRIED_AGAIN: Duration = Duration::from_secs(3_600);

/// A message, and the version of it that a comparison has found here.
pub(super) type About = (MessageId, Option<Digest>);

impl Reconcile {
    /// Shows the sender of a message that came here what we hold under its id, where that is something else and nobody has
    /// decided yet.
    pub(super) async fn show_version(
        &self,
        lines: &mut Lines,
        difference: &Difference,
    ) -> Result<(), AppError> {
        let (own, parts) = (self.own(), &self.0.parts);
        let Some((id, (sender, to))) = difference.id().zip(difference.pair()) else {
            return Ok(());
        };
        let differs = difference.sender != difference.recipient;
        if to != own || !differs || !decisions::is_open(self.store(), id)? {
            return Ok(());
        }
        let about = (id, difference.recipient.map(|entry| entry.digest));
        if self.shown().get(&about).is_some_and(|next| *next > Instant::now()) {
            return Ok(());
        }
        let (material, now) = (parts.identity.material(), SystemClock.now());
        let Ok(sealer) = parts.peers.sealer(sender) else {
            tracing::debug!(message = %id, %sender, "what is held here of a message waits for the card of its sender");
            return Ok(());
        };
        let signing = self.signing(&material);
        let with = Keys { signing, sealer: sealer.as_ref(), opener: parts.opener.as_ref() };
        let version = cures::hand_back(self.store(), with, sender, (id, false), now)?;
        // What was refused, or erased, there is nothing to show of.
        let Some(version) = version else { return Ok(()) };
        let again = match self.line(lines, sender).await {
            Some(client) => {
                let shown = within(SHORT_TIMEOUT, sender, client.show_version(version)).await;
                match strike(lines, shown) {
                    Ok(()) => Some(SHOWN_AGAIN),
                    Err(trouble) => {
                        tracing::warn!(message = %id, %trouble, "what is held here of a message was not shown to its sender");
                        Some(TRIED_AGAIN)
                    }
                }
            }
            // It lies there in memory.
            None if self.leave(sender, Left::ShowVersion(Box::new(version))).await => {
                Some(TRIED_AGAIN)
            }
            None => None,
        };
        if let Some(again) = again {
            self.shown().insert(about, Instant::now() + again);
        }
        Ok(())
    }

    /// Shows what nobody has decided yet, where that has not come about: a person waits for it.
    pub(super) async fn show_versions(&self) -> Result<(), AppError> {
        let (store, own) = (self.store().clone(), self.own());
        let open = blocking(move || decisions::open_of_recipient(&store, own)).await?;
        let about = |it: &Difference| Some((it.id()?, it.recipient.map(|entry| entry.digest)));
        let known: BTreeSet<_> = open.iter().filter_map(about).collect();
        self.shown().retain(|about, _| known.contains(about));
        let (mut lines, mut first) = (Lines::new(), First::default());
        for difference in &open {
            first.take(self.show_version(&mut lines, difference).await);
        }
        first.end()
    }

    fn shown(&self) -> MutexGuard<'_, BTreeMap<About, Instant>> {
        self.0.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the recipient of a message of ours holds under its id, for the person who decides. That it holds it the
    /// recipient has signed; whether we have signed it before is told to whoever looks.
    ///
    /// # Errors
    /// `SIGNATURE_INVALID`, `NOT_FOR_US`, `MALFORMED`, `NOT_FOUND`, `BUSY`; when rows cannot be written.
    pub async fn take_version(
        &self,
        caller: AreaCode,
        version: HandedBack,
    ) -> Result<(), AppError> {
        let (own, now) = (self.own(), SystemClock.now());
        let HandedBack { envelope, proof, secret, .. } = version;
        let (checked, is_sent) = self.check_word((own, caller), proof, now)?;
        let malformed = || AppError::from(Reason::Malformed);
        let header = wire::decode_header(&envelope.header_bytes).map_err(|_| malformed())?;
        if header.from != own || header.to != caller {
            return Err(not_for_us());
        }
        let content = match &secret {
            Some(secret) => Some(self.open_again(&header, &envelope, secret)?),
            None if envelope.is_withdrawn() => None,
            None => return Err(malformed()),
        };
        if let Err(fault) = &is_sent {
            tracing::warn!(peer = %caller, message = %header.message_id, %fault, "a version was shown that we have not signed");
        }
        let (digest, is_ours) = (envelope.digest(), is_sent.is_ok());
        let shown = Shown { header, digest, content, checked, is_ours };
        let store = self.store().clone();
        let write = move |unit: &mut store::Unit<'_>| versions::keep(unit, &store, &shown, now);
        self.store().commit(write).await.map_err(AppError::from)
    }
}
