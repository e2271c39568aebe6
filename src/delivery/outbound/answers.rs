//! What is said about parcels of ours: checked against what was sent, kept with what it changes, and healed where the
//! other side holds something else under our name.

use std::sync::Arc;

use exchange::courier::{self, CustodyAnswer, Event, ParcelNo};
use exchange::custody::{CustodyManifest, CustodyOutcome, CustodyReceipt};
use exchange::lane::Mark;
use exchange::ledger::SeenHead;
use exchange::parcel::ParcelId;
use exchange::receipt::{Receipt, ReceiptManifest};
use store::transit::Carrier;
use wire::decode_disposition;

use super::run::{Run, neighbour};
use crate::app::AppError;
use crate::app::heard::{self, Sense};
use crate::app::messages::consign::{self, Consigned};
use crate::app::messages::settle;
use crate::app::messages::turned_back::Refusal;
use crate::app::relay::SignedWord;
use crate::delivery::parcels::Answered;
use crate::delivery::proof;
use crate::delivery::session::{Answer, Incoming};
use crate::time::SystemClock;

impl Run {
    /// Somebody says something about a parcel of ours. None of ours is on its way under that name when it has
    /// been offered anew already.
    pub(super) fn answer(&mut self, id: ParcelId, answer: Answer) {
        let Some(parcel) = self.by_id.get(&id).copied() else { return };
        let Some(route) = self.offered.get(&parcel).map(|sent| sent.route) else { return };
        let checked = match answer {
            Answer::Receipt(manifest, receipt) => self.receipt(parcel, &manifest, receipt),
            Answer::Custody(manifest, word) => self.custody(parcel, &manifest, &word),
        };
        match checked {
            Ok(event) => self.step(event),
            Err(fault) => {
                let code = "SIGNATURE_INVALID";
                tracing::warn!(peer = %self.peer.area, fault, code, "an answer does not hold");
                self.peer.note(|state| state.trouble = Some(fault.clone()));
                self.close(route, &fault);
                self.step(Event::PeerMisbehaved);
            }
        }
    }

    /// Checks a receipt in every respect and notes it with its parcel.
    fn receipt(
        &mut self,
        parcel: ParcelNo,
        manifest: &ReceiptManifest,
        receipt: Receipt,
    ) -> Result<Event, String> {
        let (peer, epoch) = (self.peer.area, self.epoch);
        let identity = self.shared().identity.clone();
        let sent = self.offered.get_mut(&parcel).ok_or("no such parcel")?;
        if manifest.from != peer {
            return Err("the receipt is signed by somebody else".to_owned());
        }
        let claim = proof::of_receipt(manifest, &receipt);
        proof::check_evidence(&identity, &claim, SystemClock.now())
            .map_err(|unproven| unproven.to_string())?;
        let dispositions = receipt.dispositions.iter().map(|bytes| decode_disposition(bytes));
        let dispositions: Vec<_> =
            dispositions.collect::<Result<_, _>>().map_err(|e| e.to_string())?;
        manifest
            .check_answers(&sent.manifest, &sent.offered, &receipt.dispositions, &dispositions)
            .map_err(|fault| fault.to_string())?;
        let answers: Vec<_> =
            dispositions.iter().map(|d| courier::Answer::from(&d.outcome)).collect();
        let count = u64::try_from(answers.len()).unwrap_or_default();
        sent.answered = Some(Answered::Receipt(Arc::new(settle::Answered {
            peer,
            epoch,
            parcel_id: manifest.parcel_id,
            parcel: sent.signed.clone(),
            parcel_signer: sent.manifest.signer,
            parcel_chain: sent.chain.clone(),
            sequences: sent.sequences.clone(),
            said: dispositions,
            receipt_signer: manifest.signer,
            head: SeenHead { head: manifest.ledger_head, signed: manifest.signed },
            receipt,
        })));
        self.peer.advance(|progress| progress.answered += count);
        Ok(Event::ReceiptArrived { parcel, answers })
    }

    /// The same for the word of a relay.
    fn custody(
        &mut self,
        parcel: ParcelNo,
        manifest: &CustodyManifest,
        word: &CustodyReceipt,
    ) -> Result<Event, String> {
        let (own, peer, epoch) = (self.shared().own, self.peer.area, self.epoch);
        let identity = self.shared().identity.clone();
        let sent = self.offered.get_mut(&parcel).ok_or("no such parcel")?;
        let relay = neighbour(own, peer, sent.route);
        manifest.check_answers(&sent.manifest, relay, own).map_err(|fault| fault.to_string())?;
        let now = SystemClock.now();
        let claim = proof::of_custody(manifest, word);
        proof::check_evidence(&identity, &claim, now).map_err(|unproven| unproven.to_string())?;
        let answer = match manifest.outcome {
            CustodyOutcome::Held { .. } => {
                sent.answered = Some(Answered::Held(Arc::new(Consigned {
                    peer,
                    epoch,
                    parcel_id: manifest.parcel_id,
                    parcel: sent.signed_word(),
                    sequences: sent.sequences.clone(),
                    carrier: Carrier::Relay(relay),
                    word: Some(SignedWord::of_custody(word, manifest.signer)),
                    handed: now,
                })));
                CustodyAnswer::Held
            }
            CustodyOutcome::Refused { reason } => {
                let code = reason.code();
                tracing::warn!(%peer, %relay, code, "a relay does not take mail for a peer");
                let refusal = Refusal { by: relay, reason, at: manifest.signed };
                self.peer.note(|state| state.refusal = Some(refusal));
                CustodyAnswer::Refused
            }
            CustodyOutcome::Deferred { reason, until } => {
                tracing::info!(%peer, %relay, code = reason.code(), "a relay puts mail for a peer off");
                CustodyAnswer::Deferred { until }
            }
        };
        if answer != CustodyAnswer::Held {
            self.forget(|sent| sent.manifest.parcel_id == manifest.parcel_id);
        }
        Ok(Event::CustodyArrived { parcel, answer })
    }

    /// Writes a receipt with what it settles.
    pub(super) fn keep(&mut self, parcel: ParcelNo, marks: Vec<Mark>) {
        let answered = self.offered.get(&parcel).and_then(|sent| sent.answered.clone());
        let Some(Answered::Receipt(answered)) = answered else { return };
        let healing = self.outbound.healing(self.peer.area);
        let (outbound, events) = (self.outbound.clone(), self.events.clone());
        let (store, id) = (self.shared().store.clone(), answered.parcel_id);
        let (peer, now) = (self.peer.area, SystemClock.now());
        let note = self.shared().heard.is_due(peer, Sense::Receipt, now);
        self.shared().tasks.spawn("keep", async move {
            let kept = store.commit(move |unit| {
                if note {
                    heard::note(unit, peer, Sense::Receipt, now)?;
                }
                settle::keep(unit, &answered, &marks, &healing, now)
            });
            let (kept, settled) = match kept.await.map_err(AppError::from) {
                Ok(healed) => (Ok(()), outbound.healed(peer, healed)),
                Err(error) => (Err(error), Vec::new()),
            };
            // The courier is gone when nobody listens, and finds the receipt on disk at its next start.
            let _gone = events.send(Incoming::Kept { parcel: id, kept }).await.is_err();
            if !settled.is_empty() {
                let _gone = events.send(Incoming::Marked(settled)).await.is_err();
            }
        });
    }

    /// Writes that a relay holds a parcel.
    pub(super) fn keep_custody(&mut self, parcel: ParcelNo, marks: Vec<Mark>) {
        let answered = self.offered.get(&parcel).and_then(|sent| sent.answered.clone());
        let Some(Answered::Held(consigned)) = answered else { return };
        let (store, events) = (self.shared().store.clone(), self.events.clone());
        let id = consigned.parcel_id;
        let base = self.outbound.settings().custody_patience;
        self.shared().tasks.spawn("keep", async move {
            let kept = store.commit(move |unit| consign::keep(unit, &consigned, &marks, base));
            let kept = kept.await.map_err(AppError::from);
            // What was handed over before and forgotten is waited for longer, and the courier has to know.
            let (kept, longer) = match kept {
                Ok(longer) => (Ok(()), longer),
                Err(error) => (Err(error), Vec::new()),
            };
            let _gone = events.send(Incoming::Kept { parcel: id, kept }).await.is_err();
            if !longer.is_empty() {
                let _gone = events.send(Incoming::Marked(longer)).await.is_err();
            }
        });
    }

    /// What was said about a parcel is on disk, or could not be written.
    pub(super) fn kept(&mut self, id: ParcelId, kept: Result<(), AppError>) {
        let Some(parcel) = self.by_id.get(&id).copied() else { return };
        let answered = self.offered.get(&parcel).and_then(|sent| sent.answered.clone());
        let count = self.forget(|sent| sent.manifest.parcel_id == id);
        match kept {
            Ok(()) => {
                if matches!(answered, Some(Answered::Receipt(_))) {
                    self.peer.advance(|progress| progress.kept += count);
                    let now = SystemClock.now();
                    self.peer.note(|state| (state.last_receipt, state.refusal) = (Some(now), None));
                }
                self.step(Event::Kept { parcel });
            }
            Err(error) => {
                // Nothing is settled that is not on disk.
                tracing::error!(peer = %self.peer.area, ?parcel, %error, "an answer could not be kept");
                self.step(Event::NotKept { parcel });
            }
        }
    }
}
