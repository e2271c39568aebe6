//! A peer made of the library's parts that speaks the stream itself, and need not keep the rules.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::message::{Content, Kind};
use exchange::card::SignedCard;
use exchange::custody::CustodyManifest;
use exchange::envelope::{Header, SealedEnvelope, pad};
use exchange::keys::{Sealer as _, SignContext, Signer as _};
use exchange::lane::{LaneEpoch, LaneSeq};
use exchange::parcel::{Parcel, ParcelId, ParcelManifest, bodiless, envelopes_root};
use exchange::receipt::{Disposition, Offered, Outcome, Receipt};
use liangdi::delivery::link::dial;
use liangdi::time::random;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use trust::leaf::Identity;
use trust::seal::{Sealer, SealingKeyPair, SealingPublicKey};
use trust::tls::TlsMaterial;
use trust::verify::Purpose;
use wire::client::{CallError, Frames, NodeClient};
use wire::frame::{Frame, Hello};

use super::network::Network;
use super::node::Node;
use super::{area, in_time, now, office};

/// A rogue and its open stream to one node.
pub struct Rogue {
    pub own: AreaCode,
    pub to: AreaCode,
    pub identity: Arc<Identity>,
    pub epoch: u64,
    /// The node's card, as it came.
    pub card: SignedCard,
    /// The last receipt that came.
    pub receipt: Option<Receipt>,
    material: TlsMaterial,
    sealer: Sealer,
    pub next: u64,
    people: u64,
    out: mpsc::Sender<Frame>,
    frames: Frames,
    chain: Vec<Vec<u8>>,
}

/// What a node said to a parcel.
#[derive(Debug)]
pub enum Answer {
    /// A receipt that holds in every respect.
    Receipt(Vec<Disposition>),
    /// The word of a relay.
    Custody(CustodyManifest),
    /// The stream ended with this code.
    Ended(String),
}

impl Rogue {
    /// Connects as the node of `own`, with a good certificate.
    pub async fn connect(network: &Network, own: &str, node: &Node) -> Self {
        let identity = network.node_certificate(area(own)).identity;
        Self::connect_as(network, identity, node).await
    }

    pub async fn connect_as(network: &Network, identity: Arc<Identity>, node: &Node) -> Self {
        let material = network.material(identity.clone());
        let channel = dial(node.area, &node.endpoint(), &material).await.unwrap();
        let mut client = NodeClient::new(channel);
        let card = client.card().await.unwrap();
        let keys = wire::decode_card(&card.card_bytes).unwrap().sealing_keys;
        let key = SealingPublicKey::from_bytes(&keys[0].public_key).unwrap();
        let sealer = Sealer::new(&key, &mut rand::rng(), now()).unwrap();
        let (out, frames) = open(&mut client).await;
        Self {
            own: identity.area(),
            to: node.area,
            identity,
            epoch: u64::from_be_bytes(random()),
            card,
            receipt: None,
            material,
            sealer,
            next: 1,
            people: 1,
            out,
            frames,
            chain: Vec::new(),
        }
    }

    /// A new stream after a node has ended the old one.
    pub async fn reconnect(&mut self, node: &Node) {
        let channel = dial(node.area, &node.endpoint(), &self.material).await.unwrap();
        (self.out, self.frames) = open(&mut NodeClient::new(channel)).await;
        self.chain.clear();
    }

    /// Seals for a key that nobody has.
    pub fn seal_for_nobody(&mut self) {
        let pair = SealingKeyPair::generate(&mut rand::rng());
        self.sealer = Sealer::new(pair.public(), &mut rand::rng(), now()).unwrap();
    }

    /// A message that keeps every rule.
    pub fn content(&mut self, kind: Kind) -> Content {
        self.people += 1;
        office::message(self.people, self.own.as_str(), self.to.as_str(), kind)
    }

    /// A header for the next place in the lane.
    pub fn header(&mut self) -> Header {
        let sequence = LaneSeq::new(self.next);
        self.next += 1;
        Header {
            message_id: MessageId::new(now(), random()),
            from: self.own,
            to: self.to,
            epoch: LaneEpoch::new(self.epoch),
            sequence,
            created: now(),
            expires: now().saturating_add(Duration::from_secs(3_600)),
            due: None,
            seal: self.sealer.next_seal().unwrap(),
        }
    }

    /// The header again, under a counter of its own.
    pub fn again(&self, header: &Header) -> Header {
        Header { seal: self.sealer.next_seal().unwrap(), ..*header }
    }

    pub fn seal(&self, header: &Header, content: &Content) -> SealedEnvelope {
        self.seal_bytes(header, &wire::content::encode_content(content))
    }

    pub fn seal_bytes(&self, header: &Header, body: &[u8]) -> SealedEnvelope {
        self.seal_padded(header, pad(body).unwrap())
    }

    pub fn seal_padded(&self, header: &Header, padded: Vec<u8>) -> SealedEnvelope {
        let bytes = wire::encode_header(header);
        let sealed = self.sealer.seal(header.seal.counter, &bytes, padded).unwrap();
        SealedEnvelope::new(bytes, sealed)
    }

    /// A good envelope in the next place.
    pub fn letter(&mut self) -> (Header, SealedEnvelope) {
        let content = self.content(Kind::ArrivalNotice);
        let header = self.header();
        let envelope = self.seal(&header, &content);
        (header, envelope)
    }

    /// The manifest that fits these envelopes.
    pub fn manifest(&self, envelopes: &[SealedEnvelope]) -> ParcelManifest {
        let digests: Vec<_> = envelopes.iter().map(SealedEnvelope::digest).collect();
        ParcelManifest {
            parcel_id: ParcelId::from_bytes(random()),
            from: self.own,
            to: self.to,
            count: u32::try_from(envelopes.len()).unwrap(),
            root: envelopes_root(&digests),
            signed: now(),
            signer: self.identity.signer_id(),
            withdrawn: bodiless(envelopes),
        }
    }

    /// A parcel signed over whatever the manifest says.
    pub fn parcel(&self, manifest: &ParcelManifest, envelopes: Vec<SealedEnvelope>) -> Parcel {
        let bytes = wire::encode_manifest(manifest);
        let signature = self.identity.sign(SignContext::Parcel, &bytes).unwrap();
        Parcel {
            manifest_bytes: Bytes::from(bytes),
            signature: Bytes::from(signature),
            envelopes,
            chain: self.identity.chain_der().to_vec(),
            custody: Vec::new(),
        }
    }

    /// Sends envelopes in a good parcel; the dispositions of a receipt that was checked.
    pub async fn deliver(&mut self, envelopes: Vec<SealedEnvelope>) -> Vec<Disposition> {
        match self.offer(envelopes).await {
            Answer::Receipt(dispositions) => dispositions,
            Answer::Custody(word) => panic!("a relay's word: {word:?}"),
            Answer::Ended(code) => panic!("the stream ended with {code}"),
        }
    }

    /// Sends envelopes in a good parcel.
    pub async fn offer(&mut self, envelopes: Vec<SealedEnvelope>) -> Answer {
        let manifest = self.manifest(&envelopes);
        let parcel = self.parcel(&manifest, envelopes);
        self.send(parcel).await
    }

    /// Sends a parcel as it is and waits for what comes of it.
    pub async fn send(&mut self, parcel: Parcel) -> Answer {
        let sent = parcel.clone();
        // A stream that the node has ended takes nothing; its last item says why.
        let _ended = self.out.send(Frame::Parcel(parcel)).await.is_err();
        let frame = in_time("an answer comes", self.frames.next()).await;
        match frame.expect("the stream ends with a status") {
            Ok(Frame::Receipt(receipt)) => {
                if !receipt.chain.is_empty() {
                    self.chain.clone_from(&receipt.chain);
                }
                let answer = Answer::Receipt(self.check(&sent, &receipt));
                self.receipt = Some(receipt);
                answer
            }
            Ok(Frame::Custody(word)) => {
                Answer::Custody(wire::decode_custody_manifest(&word.manifest_bytes).unwrap())
            }
            Ok(other) => panic!("not an answer: {other:?}"),
            Err(CallError::Status(status)) => Answer::Ended(office::code(&status)),
            Err(error) => panic!("not the protocol: {error}"),
        }
    }

    /// Waits until the node has ended the stream.
    pub async fn ended(&mut self) {
        while let Some(Ok(_)) = self.frames.next().await {}
    }

    /// Checks a receipt as docs/protocol.md says, and gives its dispositions.
    fn check(&self, parcel: &Parcel, receipt: &Receipt) -> Vec<Disposition> {
        let manifest = wire::decode_receipt_manifest(&receipt.manifest_bytes).unwrap();
        let chain = self.material.chains().verify(&self.chain, Purpose::Node, now()).unwrap();
        assert_eq!(chain.identity.area(), self.to);
        assert_eq!(chain.leaf.fingerprint, manifest.signer.into_bytes());
        chain.verify(SignContext::Receipt, &receipt.manifest_bytes, &receipt.signature).unwrap();
        let dispositions = wire::receipt::decode_dispositions(receipt).unwrap();
        let offered: Vec<_> = parcel
            .envelopes
            .iter()
            .zip(&dispositions)
            .map(|(envelope, said)| {
                let header = wire::decode_header(&envelope.header_bytes).ok();
                let message_id = header.map_or(said.message_id, |header| header.message_id);
                Offered { message_id, digest: envelope.digest() }
            })
            .collect();
        let sent = wire::decode_manifest(&parcel.manifest_bytes).unwrap();
        manifest.check_answers(&sent, &offered, &receipt.dispositions, &dispositions).unwrap();
        dispositions
    }
}

async fn open(client: &mut NodeClient) -> (mpsc::Sender<Frame>, Frames) {
    let (out, frames) = mpsc::channel(16);
    let hello = Hello {
        version: "rogue".to_owned(),
        features: Vec::new(),
        now: now(),
        window_parcels: 0,
        collects: false,
    };
    out.send(Frame::Hello(hello)).await.unwrap();
    let mut frames = client.exchange(ReceiverStream::new(frames)).await.unwrap();
    let first = in_time("the node introduces itself", frames.next()).await;
    assert!(matches!(first, Some(Ok(Frame::Hello(_)))), "{first:?}");
    (out, frames)
}

/// One word for an outcome, with `DUPLICATE ` in front where it is repeated.
pub fn word(said: &Disposition) -> String {
    let outcome = match &said.outcome {
        Outcome::Stored => "STORED".to_owned(),
        Outcome::Refused { reason, .. } => format!("REFUSED {}", reason.code()),
        Outcome::Deferred { reason, .. } => format!("DEFERRED {}", reason.code()),
    };
    if said.duplicate { format!("DUPLICATE {outcome}") } else { outcome }
}

/// The same for a parcel.
pub fn words(said: &[Disposition]) -> Vec<String> {
    said.iter().map(word).collect()
}
