//! The stream to the peer on trial; every receipt is checked in every respect before a rule sees it.

use std::time::Duration;

use domain::area::AreaCode;
use exchange::custody::{CustodyReceipt, Returned};
use exchange::digest::Digest;
use exchange::envelope::SealedEnvelope;
use exchange::keys::SignContext;
use exchange::ledger::LedgerHead;
use exchange::parcel::Parcel;
use exchange::receipt::{Disposition, Offered, Outcome, Receipt};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;
use trust::seal::SealingPublicKey;
use trust::verify::Purpose;
use wire::client::{CallError, Frames, NodeClient};
use wire::frame::{Frame, Hello};

use super::letters::{Letters, parcel};
use super::{Deviation, Subject, ensure};
use crate::time::SystemClock;

/// A peer has so long to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Frames that may wait for the peer.
const OUT_QUEUE: usize = 64;

/// What a peer said to a parcel.
pub(super) enum Answer {
    /// One disposition an envelope, and the head of its ledger.
    Receipt(Vec<Disposition>, LedgerHead),
    /// The word of a relay, not checked yet.
    Custody(CustodyReceipt),
    /// The stream ended with this code of the catalogue.
    Ended(String),
}

/// An open stream.
pub(super) struct Line {
    pub(super) client: NodeClient,
    pub(super) hello: Hello,
    pub(super) letters: Letters,
    area: AreaCode,
    out: mpsc::Sender<Frame>,
    frames: Frames,
    chain: Vec<Vec<u8>>,
}

impl Line {
    /// Introduces the caller and hears the peer.
    pub(super) async fn open(subject: &Subject, channel: Channel) -> Result<Self, Deviation> {
        let mut client = NodeClient::new(channel);
        let signed = in_time(client.card()).await?.map_err(ended)?;
        let card = wire::decode_card(&signed.card_bytes).map_err(not_protocol)?;
        let key = card.sealing_keys.first().ok_or_else(|| Deviation::new("no sealing key"))?;
        let key = SealingPublicKey::from_bytes(&key.public_key)
            .map_err(|_| Deviation::new("the sealing key on the card is none"))?;
        let own = subject.identity().area();
        let (out, outgoing) = mpsc::channel(OUT_QUEUE);
        let hello = Hello {
            version: concat!("conformance ", env!("CARGO_PKG_VERSION")).to_owned(),
            features: wire::frame::feature::ALL.map(str::to_owned).to_vec(),
            now: SystemClock.now(),
            window_parcels: 0,
            collects: false,
        };
        let _full = out.try_send(Frame::Hello(hello)).is_err();
        let outgoing = ReceiverStream::new(outgoing);
        let mut frames = in_time(client.exchange(outgoing)).await?.map_err(ended)?;
        let hello = match in_time(frames.next()).await? {
            Some(Ok(Frame::Hello(hello))) => hello,
            Some(Ok(_)) => return Err(Deviation::new("the first frame is not a Hello")),
            Some(Err(error)) => return Err(ended(error)),
            None => return Err(Deviation::new("the stream ends before a Hello")),
        };
        let letters = Letters::new(own, subject.area, &key)?;
        Ok(Self { client, hello, letters, area: subject.area, out, frames, chain: Vec::new() })
    }

    /// Names of what the peer understands.
    pub(super) fn features(&self) -> &[String] {
        &self.hello.features
    }

    /// Offers envelopes in a good parcel.
    pub(super) async fn offer(
        &mut self,
        subject: &Subject,
        envelopes: Vec<SealedEnvelope>,
    ) -> Result<Vec<Disposition>, Deviation> {
        self.offer_and_see(subject, envelopes).await.map(|(said, _)| said)
    }

    /// The same, with the head of the peer's ledger.
    pub(super) async fn offer_and_see(
        &mut self,
        subject: &Subject,
        envelopes: Vec<SealedEnvelope>,
    ) -> Result<(Vec<Disposition>, LedgerHead), Deviation> {
        let manifest = self.letters.manifest(&envelopes, subject.identity())?;
        let parcel = parcel(&manifest, envelopes, subject.identity())?;
        match self.send(subject, parcel).await? {
            Answer::Receipt(dispositions, head) => Ok((dispositions, head)),
            Answer::Custody(_) => Err(Deviation::new("a relay's word instead of a receipt")),
            Answer::Ended(code) => Err(Deviation::new(format!("the stream ended with {code}"))),
        }
    }

    /// Sends a parcel and does not wait.
    pub(super) fn put(&self, parcel: Parcel) {
        // A stream that the peer has ended takes nothing; its last item says why.
        let _ended = self.out.try_send(Frame::Parcel(parcel)).is_err();
    }

    /// Hands a word back.
    pub(super) fn hand_back(&self, word: Returned) {
        // As in `put`.
        let _ended = self.out.try_send(Frame::Returned(word)).is_err();
    }

    /// Waits until the peer has taken this word; false when the stream ends before.
    pub(super) async fn taken(&mut self, word: Digest) -> Result<bool, Deviation> {
        loop {
            match self.next().await? {
                Heard::Taken(id) if id == word => return Ok(true),
                Heard::Ended(_) => return Ok(false),
                Heard::Taken(_) | Heard::Receipt(_) | Heard::Custody(_) => {}
            }
        }
    }

    /// Sends a parcel as it is and waits for what comes of it.
    pub(super) async fn send(
        &mut self,
        subject: &Subject,
        parcel: Parcel,
    ) -> Result<Answer, Deviation> {
        self.put(parcel.clone());
        match self.next().await? {
            Heard::Receipt(receipt) => {
                let (dispositions, head) = self.check(subject, &parcel, &receipt)?;
                Ok(Answer::Receipt(dispositions, head))
            }
            Heard::Custody(word) => Ok(Answer::Custody(word)),
            Heard::Taken(_) => Err(Deviation::new("a word is taken that was not handed over")),
            Heard::Ended(code) => Ok(Answer::Ended(code)),
        }
    }

    /// The next answer on the stream.
    pub(super) async fn next(&mut self) -> Result<Heard, Deviation> {
        loop {
            return match in_time(self.frames.next()).await? {
                Some(Ok(Frame::Receipt(receipt))) => {
                    if !receipt.chain.is_empty() {
                        self.chain.clone_from(&receipt.chain);
                    }
                    Ok(Heard::Receipt(receipt))
                }
                Some(Ok(Frame::Custody(word))) => Ok(Heard::Custody(word)),
                Some(Ok(Frame::ReturnTaken(id))) => Ok(Heard::Taken(id)),
                // Not about our parcel.
                Some(Ok(_)) => continue,
                Some(Err(CallError::Status(status))) => {
                    let info = status.get_details_error_info();
                    let code = info.map_or_else(|| format!("{:?}", status.code()), |i| i.reason);
                    Ok(Heard::Ended(code))
                }
                Some(Err(error)) => Err(ended(error)),
                None => Ok(Heard::Ended("OK".to_owned())),
            };
        }
    }

    /// Checks a receipt as section 6 says.
    pub(super) fn check(
        &self,
        subject: &Subject,
        parcel: &Parcel,
        receipt: &Receipt,
    ) -> Result<(Vec<Disposition>, LedgerHead), Deviation> {
        let manifest =
            wire::decode_receipt_manifest(&receipt.manifest_bytes).map_err(not_protocol)?;
        let chains = subject.material.chains();
        let chain = chains
            .verify(&self.chain, Purpose::Node, SystemClock.now())
            .map_err(|e| Deviation::new(format!("the receipt's chain: {e}")))?;
        ensure(chain.identity.area() == self.area, || "signed by another area".to_owned())?;
        ensure(chain.leaf.fingerprint == manifest.signer.into_bytes(), || {
            "the receipt names another certificate than the one that was sent".to_owned()
        })?;
        chain
            .verify(SignContext::Receipt, &receipt.manifest_bytes, &receipt.signature)
            .map_err(|_| Deviation::new("the signature of the receipt does not hold"))?;
        let dispositions = wire::receipt::decode_dispositions(receipt).map_err(not_protocol)?;
        let offered: Vec<_> =
            parcel.envelopes.iter().zip(&dispositions).map(|(e, said)| offered(e, said)).collect();
        let sent = wire::decode_manifest(&parcel.manifest_bytes).map_err(not_protocol)?;
        manifest
            .check_answers(&sent, &offered, &receipt.dispositions, &dispositions)
            .map_err(|fault| Deviation::new(fault.to_string()))?;
        Ok((dispositions, manifest.ledger_head))
    }
}

/// What came on the stream.
pub(super) enum Heard {
    /// A receipt, not checked yet.
    Receipt(Receipt),
    /// The word of a relay, not checked yet.
    Custody(CustodyReceipt),
    /// Words that came back are written, or of no use there.
    Taken(Digest),
    /// The end, with its code.
    Ended(String),
}

/// What was offered; where the header cannot be read the answer's own id stands in.
fn offered(envelope: &SealedEnvelope, said: &Disposition) -> Offered {
    let header = wire::decode_header(&envelope.header_bytes).ok();
    let message_id = header.map_or(said.message_id, |header| header.message_id);
    Offered { message_id, digest: envelope.digest() }
}

/// One word for a disposition, with `DUPLICATE ` in front where it is repeated.
pub(super) fn word(said: &Disposition) -> String {
    let outcome = match &said.outcome {
        Outcome::Stored => "STORED".to_owned(),
        Outcome::Refused { reason, .. } => format!("REFUSED {}", reason.code()),
        Outcome::Deferred { reason, .. } => format!("DEFERRED {}", reason.code()),
    };
    if said.duplicate { format!("DUPLICATE {outcome}") } else { outcome }
}

fn ended(error: CallError) -> Deviation {
    Deviation::new(crate::errors::chain(&error))
}

fn not_protocol(error: impl std::fmt::Display) -> Deviation {
    Deviation::new(format!("not the protocol: {error}"))
}

/// Waits no longer than a peer has.
pub(super) async fn in_time<T>(work: impl Future<Output = T>) -> Result<T, Deviation> {
    let waited = tokio::time::timeout(PATIENCE, work).await;
    waited.map_err(|_| Deviation::new(format!("no answer in {} seconds", PATIENCE.as_secs())))
}
