//! What comes in over a session: mail for us, mail for others, words on their way back; and what is answered.

use domain::area::AreaCode;
use domain::reason::Reason;
use exchange::custody::{CustodyOutcome, Returned};
use exchange::digest::Digest;
use exchange::parcel::{Parcel, ParcelManifest};
use exchange::relay::Task;
use wire::frame::Frame;

use crate::delivery::handover::{self, Correspondent, Unfit};
use crate::delivery::hub::Hub;
use crate::delivery::inbound::{self, Inbound, NoReceipt};
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
    /// Mail for us.
    Mail(Box<inbound::Taken>),
    /// Mail for somebody else.
    Carried(Box<relay::Taken>),
    /// Mail for us that a relay has handed over and that is not taken, for this reason.
    Refused(Box<ParcelManifest>, AreaCode, Reason),
    /// A word on its way back.
    Word(Box<Returned>),
}

impl Intake {
    /// Checks a parcel and hands it to the committer. Waits only for room in its queue.
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
            Ok(checked) => match (checked.task, &self.relay) {
                (Task::Receive, _) => {
                    self.inbound.take(checked).await.map(|taken| Taken::Mail(Box::new(taken)))
                }
                (Task::Carry { next }, Some(relay)) => {
                    let taken = relay.take(checked, next).await?;
                    Ok(Taken::Carried(Box::new(taken)))
                }
                (Task::Carry { .. }, None) => {
                    Err(NoReceipt::parcel(Reason::NotForUs, "this node carries nothing"))
                }
            },
            Err(unfit) => self.refuse(peer.area, unfit),
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
        Ok(Taken::Refused(Box::new(manifest), handed_by, *reason))
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
            Taken::Mail(taken) => self.inbound.answer(chain_sent, *taken).await.map(Frame::Receipt),
            Taken::Carried(taken) => match &self.relay {
                Some(relay) => relay.answer(*taken).await.map(Frame::Custody),
                None => Err(NoReceipt::parcel(Reason::NotForUs, "this node carries nothing")),
            },
            Taken::Refused(manifest, handed_by, reason) => {
                let material = self.hub.shared().identity.material();
                let (own, outcome) = (self.inbound.own, CustodyOutcome::Refused { reason });
                let word =
                    sign_word(own, material.identity().as_ref(), &manifest, handed_by, outcome);
                Ok(Frame::Custody(word?))
            }
            Taken::Word(word) => {
                let id = word.id();
                self.words.take(*word).await?;
                Ok(Frame::ReturnTaken(id))
            }
        }
    }
}
