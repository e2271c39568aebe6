//! A node of the network made of the library's parts that others call, and that need not keep the rules.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use domain::area::AreaCode;
use domain::reason::Reason;
use exchange::card::{NodeCard, SealingKey, SignedCard};
use exchange::custody::{CustodyManifest, CustodyOutcome, CustodyReceipt};
use exchange::directory::DirectoryAnswer;
use exchange::envelope::AlgorithmProfile;
use exchange::keys::{SignContext, Signer as _};
use exchange::ledger::SeenHead;
use exchange::parcel::{Parcel, ParcelManifest};
use exchange::receipt::{Disposition, LedgerHead, Outcome, Receipt, ReceiptManifest};
use exchange::tree;
use liangdi::api::connection::Remote;
use liangdi::api::listener::Listener;
use liangdi::tasks::Tasks;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};
use trust::leaf::Identity;
use trust::seal::SealingKeyPair;
use trust::tls::Api;
use wire::frame::{Frame, Hello};
use wire::pb::exchange as pb;
use wire::pb::exchange::node_service_server::{NodeService, NodeServiceServer};

use super::network::Network;
use super::{area, now};

/// What it answers to a parcel that a neighbour hands over.
pub type Answering =
    Box<dyn FnMut(&RogueNode, AreaCode, &ParcelManifest, &Parcel) -> Vec<Frame> + Send>;

/// A node that answers as it likes. Clones are one node.
#[derive(Clone)]
pub struct RogueNode {
    pub own: AreaCode,
    pub identity: Arc<Identity>,
    card: SignedCard,
    port: u16,
    /// Cards that it shows to some.
    cards: Arc<Mutex<BTreeMap<AreaCode, SignedCard>>>,
    answering: Arc<Mutex<Option<Answering>>>,
    /// Parcels that were handed over, in that order.
    pub parcels: Arc<Mutex<Vec<Parcel>>>,
    tasks: Tasks,
}

impl RogueNode {
    /// Serves at the port that the network gives to the node of `code`, with a good certificate and card.
    pub async fn serve(network: &Network, code: &str, answering: Answering) -> Self {
        let own = area(code);
        let identity = network.node_certificate(own).identity;
        let material = network.material(identity.clone());
        let tls = Arc::new(ArcSwap::new(material.server_config(Api::Node).unwrap()));
        let port = network.ports(own).node;
        let address = ([127, 0, 0, 1], port).into();
        let suffix = trust::name::Suffix::default();
        let listener = Listener::bind(address, Api::Node, tls, suffix).await.unwrap();
        let node = Self {
            own,
            card: card((own, port), &identity, None),
            port,
            cards: Arc::default(),
            identity,
            answering: Arc::new(Mutex::new(Some(answering))),
            parcels: Arc::default(),
            tasks: Tasks::default(),
        };
        let incoming = listener.accept(&node.tasks);
        let service = NodeServiceServer::new(node.clone());
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        node
    }

    /// Its signed word about a parcel.
    pub fn word(
        &self,
        handed_by: AreaCode,
        parcel: &ParcelManifest,
        outcome: CustodyOutcome,
    ) -> CustodyReceipt {
        let manifest = CustodyManifest {
            parcel_id: parcel.parcel_id,
            parcel_root: parcel.root,
            relay: self.own,
            handed_by,
            from: parcel.from,
            to: parcel.to,
            outcome,
            signed: now(),
            signer: self.identity.signer_id(),
        };
        let bytes = wire::encode_custody_manifest(&manifest);
        let signature = self.identity.sign(SignContext::Custody, &bytes).unwrap();
        CustodyReceipt {
            manifest_bytes: Bytes::from(bytes),
            signature: Bytes::from(signature),
            chain: self.identity.chain_der().to_vec(),
        }
    }

    /// Shows somebody, from now on, a newer card with this head of its ledger.
    pub fn show_head(&self, to: AreaCode, head: LedgerHead) {
        let seen = SeenHead { head, signed: now() };
        let card = card((self.own, self.port), &self.identity, Some(seen));
        self.cards.lock().unwrap().insert(to, card);
    }

    fn card_for(&self, caller: AreaCode) -> SignedCard {
        self.cards.lock().unwrap().get(&caller).unwrap_or(&self.card).clone()
    }

    /// Its receipt for a parcel that is for itself, with the same outcome for every envelope.
    pub fn receipt(
        &self,
        manifest: &ParcelManifest,
        parcel: &Parcel,
        outcome: &Outcome,
    ) -> Receipt {
        let empty = LedgerHead { size: 0, root: tree::root(&[]) };
        self.receipt_under(manifest, parcel, outcome, empty)
    }

    /// The same with a head of a ledger.
    pub fn receipt_under(
        &self,
        manifest: &ParcelManifest,
        parcel: &Parcel,
        outcome: &Outcome,
        ledger_head: LedgerHead,
    ) -> Receipt {
        let said = parcel.envelopes.iter().map(|envelope| Disposition {
            message_id: wire::decode_header(&envelope.header_bytes).unwrap().message_id,
            digest: envelope.digest(),
            outcome: outcome.clone(),
            duplicate: false,
            decided: now(),
        });
        let dispositions: Vec<_> =
            said.map(|said| Bytes::from(wire::encode_disposition(&said))).collect();
        let leaves: Vec<_> = dispositions.iter().map(|bytes| tree::leaf_hash(bytes)).collect();
        let receipt = ReceiptManifest {
            parcel_id: manifest.parcel_id,
            parcel_root: manifest.root,
            from: self.own,
            to: manifest.from,
            count: manifest.count,
            root: tree::root(&leaves),
            ledger_head,
            signed: now(),
            signer: self.identity.signer_id(),
        };
        let bytes = wire::encode_receipt_manifest(&receipt);
        let signature = self.identity.sign(SignContext::Receipt, &bytes).unwrap();
        Receipt {
            manifest_bytes: Bytes::from(bytes),
            signature: Bytes::from(signature),
            dispositions,
            chain: self.identity.chain_der().to_vec(),
        }
    }

    fn answer(&self, handed_by: AreaCode, parcel: &Parcel) -> Vec<Frame> {
        let manifest = wire::decode_manifest(&parcel.manifest_bytes).unwrap();
        self.parcels.lock().unwrap().push(parcel.clone());
        // Taken out while it answers, since it looks at the node.
        let mut answering = self.answering.lock().unwrap().take().unwrap();
        let frames = answering(self, handed_by, &manifest, parcel);
        *self.answering.lock().unwrap() = Some(answering);
        frames
    }
}

/// A refusal for this reason.
pub fn refused(reason: Reason) -> Outcome {
    Outcome::Refused { reason, field: None }
}

fn card(
    (own, port): (AreaCode, u16),
    identity: &Identity,
    ledger_head: Option<SeenHead>,
) -> SignedCard {
    let key = SealingKeyPair::generate(&mut rand::rng());
    let later = now().saturating_add(Duration::from_secs(86_400));
    let card = NodeCard {
        area: own,
        name: "rogue".to_owned(),
        endpoints: vec![format!("127.0.0.1:{port}").parse().unwrap()],
        sealing_keys: vec![SealingKey {
            profile: AlgorithmProfile::International,
            public_key: *key.public().as_bytes(),
            use_until: later,
        }],
        version: now().get(),
        valid_from: now(),
        valid_until: later,
        maintenance: Vec::new(),
        area_changes: Vec::new(),
        collects: false,
        retired: None,
        ledger_head,
    };
    let bytes = wire::encode_card(&card);
    let signature = identity.sign(SignContext::Card, &bytes).unwrap();
    SignedCard {
        card_bytes: Bytes::from(bytes),
        signature: Bytes::from(signature),
        chain: identity.chain_der().to_vec(),
    }
}

fn caller<T>(request: &Request<T>) -> AreaCode {
    request.extensions().get::<Remote>().unwrap().identity.area()
}

type Frames = Pin<Box<dyn Stream<Item = Result<pb::ExchangeResponse, Status>> + Send>>;

#[tonic::async_trait]
impl NodeService for RogueNode {
    type ExchangeStream = Frames;

    async fn exchange(
        &self,
        request: Request<Streaming<pb::ExchangeRequest>>,
    ) -> Result<Response<Frames>, Status> {
        let caller = caller(&request);
        let mut incoming = request.into_inner();
        let (out, frames) = mpsc::channel(64);
        let hello = Hello {
            version: "rogue".to_owned(),
            features: wire::frame::feature::ALL.map(str::to_owned).to_vec(),
            now: now(),
            window_parcels: 8,
            collects: false,
        };
        out.send(Frame::Hello(hello)).await.unwrap();
        let node = self.clone();
        tokio::spawn(async move {
            while let Some(Ok(request)) = incoming.next().await {
                let Ok(Frame::Parcel(parcel)) = Frame::from_request(request) else { continue };
                for frame in node.answer(caller, &parcel) {
                    let _gone = out.send(frame).await.is_err();
                }
            }
        });
        let frames = ReceiverStream::new(frames).map(|frame| Ok(frame.into_response()));
        Ok(Response::new(Box::pin(frames)))
    }

    async fn get_node_card(
        &self,
        request: Request<pb::GetNodeCardRequest>,
    ) -> Result<Response<pb::GetNodeCardResponse>, Status> {
        let card = self.card_for(caller(&request));
        let card = wire::card::signed_card_to_pb(card);
        Ok(Response::new(pb::GetNodeCardResponse { card: Some(card) }))
    }

    async fn sync_directory(
        &self,
        request: Request<pb::SyncDirectoryRequest>,
    ) -> Result<Response<pb::SyncDirectoryResponse>, Status> {
        let answer = DirectoryAnswer {
            cards: vec![self.card_for(caller(&request))],
            revocation_lists: Vec::new(),
            authorities: Vec::new(),
            cursor: Bytes::new(),
            more: false,
        };
        Ok(Response::new(wire::directory::answer_to_pb(answer)))
    }
}
