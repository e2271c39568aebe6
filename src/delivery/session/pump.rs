//! Reads a session: mail and words go to those who take them in, answers to those who wait for them.

use std::sync::Arc;

use domain::reason::Reason;
use exchange::custody::CustodyReceipt;
use exchange::receipt::Receipt;
use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt as _};
use wire::frame::Frame;
use wire::{decode_custody_manifest, decode_receipt_manifest};

use super::intake::{Intake, Taken};
use super::{Answer, Incoming, Outgoing, Session, WINDOW_PARCELS, WORDS_IN_FLIGHT};
use crate::delivery::handover::Correspondent;
use crate::delivery::inbound::NoReceipt;
use crate::tasks::Tasks;

/// Why a stream yields no more frames.
#[derive(Debug)]
pub enum Fault {
    /// What came is not the protocol.
    Malformed(String),
    /// The other end ended it, or the line broke.
    Gone(String),
}

/// What reads one session. One task reads and checks; another waits for the disk and signs, so that the next
/// parcel is opened while the last one is being flushed.
pub(in crate::delivery) struct Pump {
    pub(in crate::delivery) session: Arc<Session>,
    pub(in crate::delivery) intake: Arc<Intake>,
    pub(in crate::delivery) out: mpsc::Sender<Outgoing>,
    pub(in crate::delivery) tasks: Tasks,
}

impl Pump {
    /// Reads until the stream ends, one way or the other, and says why.
    pub(in crate::delivery) async fn run(
        self,
        mut incoming: impl Stream<Item = Result<Frame, Fault>> + Send + Unpin,
    ) -> String {
        let room = usize::try_from(WINDOW_PARCELS).unwrap_or(1) + WORDS_IN_FLIGHT;
        let (taken, waiting) = mpsc::channel(room);
        let (intake, session, out) = (self.intake.clone(), self.session.clone(), self.out.clone());
        self.tasks.spawn("answers", Answers { intake, session, out }.run(waiting));
        let mut peer = Correspondent { area: self.session.neighbour(), chain: Vec::new() };
        // The chain that the neighbour signs receipts with, from the first that carried it.
        let mut chain = Vec::new();
        loop {
            let frame = tokio::select! {
                why = self.session.ended() => return why,
                frame = incoming.next() => frame,
            };
            let frame = match frame {
                Some(Ok(frame)) => frame,
                // The other end went away, or was cut off.
                Some(Err(Fault::Gone(why))) => return why,
                Some(Err(Fault::Malformed(fault))) => {
                    return self.end(&NoReceipt::malformed(&fault)).await;
                }
                None => return "the peer ended the stream".to_owned(),
            };
            let took = match frame {
                Frame::Parcel(parcel) => self.intake.take(&mut peer, parcel).await,
                Frame::Returned(word) => Ok(Taken::Word(Box::new(word))),
                Frame::Receipt(receipt) => {
                    if let Err(error) = self.receipt(receipt, &mut chain).await {
                        return self.end(&error).await;
                    }
                    continue;
                }
                Frame::Custody(word) => {
                    if let Err(error) = self.custody(word).await {
                        return self.end(&error).await;
                    }
                    continue;
                }
                Frame::ReturnTaken(id) => {
                    self.session.word_taken(id);
                    continue;
                }
                // A later introduction says nothing new.
                Frame::Hello(_) => continue,
            };
            match took {
                Ok(took) => {
                    if taken.send(took).await.is_err() {
                        return "nothing more can be answered".to_owned();
                    }
                }
                Err(error) => return self.end(&error).await,
            }
        }
    }

    /// A receipt goes to who sent its parcel. None waits for it when its parcel is on its way again already.
    async fn receipt(
        &self,
        mut receipt: Receipt,
        chain: &mut Vec<Vec<u8>>,
    ) -> Result<(), NoReceipt> {
        let manifest = decode_receipt_manifest(&receipt.manifest_bytes);
        let manifest = manifest.map_err(|fault| NoReceipt::malformed(&fault))?;
        if receipt.chain.is_empty() {
            receipt.chain.clone_from(chain);
        } else {
            chain.clone_from(&receipt.chain);
        }
        let parcel = manifest.parcel_id;
        if let Some(reply) = self.session.answered(parcel) {
            let answer = Answer::Receipt(Box::new(manifest), receipt);
            // Whoever sent it may be gone; then nobody waits.
            let _gone = reply.send(Incoming::Answer { parcel, answer }).await.is_err();
        }
        Ok(())
    }

    /// The same for the word of a relay.
    async fn custody(&self, word: CustodyReceipt) -> Result<(), NoReceipt> {
        let manifest = decode_custody_manifest(&word.manifest_bytes);
        let manifest = manifest.map_err(|fault| NoReceipt::malformed(&fault))?;
        let parcel = manifest.parcel_id;
        if let Some(reply) = self.session.answered(parcel) {
            let answer = Answer::Custody(Box::new(manifest), word);
            let _gone = reply.send(Incoming::Answer { parcel, answer }).await.is_err();
        }
        Ok(())
    }

    async fn end(&self, error: &NoReceipt) -> String {
        end(&self.session, &self.out, error).await
    }
}

/// Ends the stream with the reason; the neighbour keeps everything.
async fn end(session: &Session, out: &mpsc::Sender<Outgoing>, error: &NoReceipt) -> String {
    let reason: Reason = error.reason();
    let peer = session.neighbour();
    tracing::warn!(%peer, code = reason.code(), %error, "a parcel got no receipt");
    let _gone = out.send(Err(reason)).await.is_err();
    error.to_string()
}

struct Answers {
    intake: Arc<Intake>,
    session: Arc<Session>,
    out: mpsc::Sender<Outgoing>,
}

impl Answers {
    /// Answers until nothing more waits. What was taken is brought to its end also when nobody hears the answer any
    /// more: a parcel that is on disk has to be handed on.
    async fn run(self, mut waiting: mpsc::Receiver<Taken>) {
        let mut chain_sent = None;
        while let Some(taken) = waiting.recv().await {
            match self.intake.answer(&mut chain_sent, taken).await {
                Ok(frame) => {
                    if self.out.send(Ok(frame)).await.is_err() {
                        self.session.close("the stream has ended");
                    }
                }
                Err(error) => {
                    let why = end(&self.session, &self.out, &error).await;
                    self.session.close(why);
                }
            }
        }
    }
}
