//! What comes in over a session: mail for us, mail for others, words on their way back; and what is answered.

use bytes::Bytes;
use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::custody::{CustodyOutcome, Returned};
use exchange::digest::Digest;
use exchange::envelope::SealedEnvelope;
use exchange::parcel::{Parcel, ParcelManifest};
use exchange::relay::Task;
use wire::frame::Frame;

use crate::delivery::handover::{self, Checked, Correspondent, Unfit};
use crate::delivery::hub::Hub;
use crate::delivery::inbound::{self, Inbound, NoReceipt};
use crate::delivery::limits::{PutOff, Turn, answer};
use crate::delivery::relay::{self, Relay, sign_word};
use crate::delivery::returns::Words;
use crate::time::SystemClock;

/// Takes in what comes over the sessions of a node.
#[derive(Debug)]
pub struct Intake {
    /// The neighbours.
    pub hub: Hub,
    /// Takes mail for us.
    pub inbound: Inbound,
    /// Takes mail for others, at a node that does.
    pub relay: Option<Relay>,
    /// Takes words on their way back.
    pub words: Words,
}

/// Something that waits for the disk, to be answered in its turn.
#[derive(Debug)]
pub(in crate::delivery) enum Taken {
    /// Mail for us; the neighbour's turn ends when it is signed for.
    Mail(Box<inbound::Taken>, Turn),
    /// Mail for somebody else; likewise.
    Carried(Box<relay::Taken>, Turn),
    /// Mail for us that is put off: what is said of each envelope.
    PutOff(Box<ParcelManifest>, Vec<Bytes>),
    /// Mail that is not taken: what is said of it, and who handed it over.
    Not(Box<ParcelManifest>, AreaCode, CustodyOutcome),
    /// A word on its way back.
    Word(Box<Returned>),
}

impl Intake {
    /// Checks a parcel and hands it to the committer. Waits for the neighbour's turn, and for room in the queue.
    ///
    /// # Errors
    /// [`NoReceipt`] when the stream has to end.
    pub(super) async fn take(
        &self,
        peer: &mut Correspondent,
        parcel: Parcel,
    ) -> Result<Taken, NoReceipt> {
        let shared = self.hub.shared();
        let now = SystemClock.now();
        match handover::check(&shared.identity, shared.own, peer, parcel, now) {
            Ok(checked) => self.take_checked(peer.area, checked, now).await,
            Err(unfit) => self.refuse(peer.area, unfit),
        }
    }

    async fn take_checked(
        &self,
        neighbour: AreaCode,
        checked: Checked,
        now: UnixMillis,
    ) -> Result<Taken, NoReceipt> {
        let limits = &self.hub.shared().limits;
        let envelopes = &checked.parcel.envelopes;
        let bytes = envelopes.iter().map(SealedEnvelope::wire_bytes).sum();
        if let Err(put_off) = limits.admit(neighbour, envelopes.len(), bytes, now) {
            // Nothing more of this stream is read meanwhile; the answer is in no hurry either.
            tokio::time::sleep(put_off.pause).await;
            return Ok(put_off_with(checked, &put_off, now));
        }
        let turn = limits.turn(neighbour, now).await;
        match (checked.task, &self.relay) {
            (Task::Receive, _) => {
                let taken = self.inbound.take(checked).await?;
                Ok(Taken::Mail(Box::new(taken), turn))
            }
            (Task::Carry { next }, Some(relay)) => {
                let taken = relay.take(checked, next).await?;
                Ok(Taken::Carried(Box::new(taken), turn))
            }
            (Task::Carry { .. }, None) => {
                Err(NoReceipt::parcel(Reason::NotForUs, "this node carries nothing"))
            }
        }
    }

    /// What one sender does wrong must not stop the mail of all that its relay carries, nor that of a neighbour that
    /// takes this node for another relay than it is: such a parcel is refused by itself.
    fn refuse(&self, handed_by: AreaCode, unfit: Unfit) -> Result<Taken, NoReceipt> {
        let Unfit { manifest, error } = unfit;
        let NoReceipt::Parcel { reason, detail } = &error else { return Err(error) };
        let Some(manifest) = manifest else { return Err(error) };
        let by_a_relay = relay::carries(handed_by) && handed_by != manifest.from;
        let to_a_relay = self.relay.is_some() && *reason == Reason::NotForUs;
        if !by_a_relay && !to_a_relay {
            return Err(error);
        }
        let (peer, from, code) = (handed_by, manifest.from, reason.code());
        tracing::warn!(%peer, %from, code, detail, "a parcel is refused");
        let outcome = CustodyOutcome::Refused { reason: *reason };
        Ok(Taken::Not(Box::new(manifest), handed_by, outcome))
    }

    /// Waits for the disk, signs, and says what goes back.
    ///
    /// # Errors
    /// [`NoReceipt`] when nothing can be promised; then the stream has to end.
    pub(super) async fn answer(
        &self,
        chain_sent: &mut Option<Digest>,
        taken: Taken,
    ) -> Result<Frame, NoReceipt> {
        match taken {
            Taken::Mail(taken, _turn) => {
                self.inbound.answer(chain_sent, *taken).await.map(Frame::Receipt)
            }
            Taken::PutOff(manifest, dispositions) => {
                self.inbound.put_off(chain_sent, &manifest, dispositions).map(Frame::Receipt)
            }
            Taken::Carried(taken, _turn) => match &self.relay {
                Some(relay) => relay.answer(*taken).await.map(Frame::Custody),
                None => Err(NoReceipt::parcel(Reason::NotForUs, "this node carries nothing")),
            },
            Taken::Not(manifest, handed_by, outcome) => {
                let material = self.hub.shared().identity.material();
                let (own, signer) = (self.inbound.own, material.identity().as_ref());
                Ok(Frame::Custody(sign_word(own, signer, &manifest, handed_by, outcome)?))
            }
            Taken::Word(word) => {
                let id = word.id();
                self.words.take(*word).await?;
                Ok(Frame::ReturnTaken(id))
            }
        }
    }
}

/// What a parcel that is not taken now is answered with: by whom it is for, or by a relay.
fn put_off_with(checked: Checked, put_off: &PutOff, now: UnixMillis) -> Taken {
    let Checked { manifest, handed_by, task, digests, parcel, .. } = checked;
    match task {
        Task::Receive => {
            let dispositions = answer::dispositions(&parcel, &digests, put_off, now);
            Taken::PutOff(Box::new(manifest), dispositions)
        }
        Task::Carry { .. } => {
            let (reason, until) = (put_off.reason, put_off.until);
            let outcome = CustodyOutcome::Deferred { reason, until };
            Taken::Not(Box::new(manifest), handed_by, outcome)
        }
    }
}
