//! A recipient that holds something else under a message's number: the sender tells its office, opens a new epoch and
//! sends the message again under the same id.

use std::collections::BTreeSet;

use domain::access::Role;
use domain::message::Kind;
use domain::reason::Reason;
use exchange::envelope::Header;
use exchange::lane::LaneSeq;
use exchange::parcel::{Parcel, ParcelManifest};
use exchange::receipt::Outcome;
use wire::frame::Frame;
use wire::pb::office::{ListNoticesRequest, Stage};

use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::office;
use crate::support::rogue_node::{RogueNode, refused};
use crate::support::{area, eventually_async};

const HERE: &str = "410522";
const THERE: &str = "440305";

fn headers(rogue: &RogueNode) -> Vec<Header> {
    let parcels = rogue.parcels.lock().unwrap();
    let envelopes = parcels.iter().flat_map(|parcel| &parcel.envelopes);
    envelopes.map(|envelope| wire::decode_header(&envelope.header_bytes).unwrap()).collect()
}

/// A node with one peer, which answers every envelope of a parcel with what `outcome` says of its first header.
async fn with_peer(
    network: &Network,
    mut outcome: impl FnMut(&Header) -> Outcome + Send + 'static,
) -> (Node, RogueNode) {
    let answering = move |rogue: &RogueNode, _, manifest: &ParcelManifest, parcel: &Parcel| {
        let header = wire::decode_header(&parcel.envelopes[0].header_bytes).unwrap();
        let receipt = rogue.receipt(manifest, parcel, &outcome(&header));
        vec![Frame::Receipt(receipt)]
    };
    let rogue = RogueNode::serve(network, THERE, Box::new(answering)).await;
    let mut node = network.node(HERE, &[THERE]);
    node.start();
    (node, rogue)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_is_told_and_healed_by_a_new_epoch() {
    let network = Network::new();
    // Everything in the first epoch is in the way of something else.
    let mut first = None;
    let outcome = move |header: &Header| {
        let first = *first.get_or_insert(header.epoch);
        if header.epoch == first { refused(Reason::Conflict) } else { Outcome::Stored }
    };
    let (node, rogue) = with_peer(&network, outcome).await;
    let office = office::connect(&network.operator("hua", HERE, Role::Clerk)).await;
    let mut messages = office::messages(1, HERE, THERE);
    let content = messages.next(Kind::DepartureNotice).unwrap();
    let sent = office::send_when_known(&office, THERE, &content).await;
    let track = office::reaches(&office, &sent.message_id, Stage::Stored).await;

    let headers = headers(&rogue);
    assert_eq!(headers.len(), 2, "{headers:?}");
    assert_eq!(headers[0].message_id, headers[1].message_id);
    assert_ne!(headers[0].epoch, headers[1].epoch);
    assert_eq!(headers[1].sequence, LaneSeq::FIRST);
    assert_eq!(track.lane_sequence, 1);
    // Both envelopes are in the ledger, which forgets nothing.
    assert_eq!(office::status(&office).await.ledger_size, 2);
    let notices = eventually_async("the office is told", || async {
        let request = ListNoticesRequest::default();
        let notices = office.delivery().list_notices(request).await.unwrap().into_inner().notices;
        (!notices.is_empty()).then_some(notices)
    })
    .await;
    assert!(notices.iter().any(|notice| notice.area == THERE), "{notices:?}");

    // The next message goes into the new epoch at once.
    let content = messages.next(Kind::DepartureNotice).unwrap();
    let next = office::send(&office, THERE, &content, "").await.unwrap();
    let track = office::reaches(&office, &next.message_id, Stage::Stored).await;
    assert_eq!(track.lane_sequence, 2);
    node.never_panicked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_finds_a_conflict_in_everything_gets_one_new_epoch() {
    let network = Network::new();
    let (node, rogue) = with_peer(&network, |_| refused(Reason::Conflict)).await;
    let office = office::connect(&network.operator("hua", HERE, Role::Clerk)).await;
    let mut messages = office::messages(2, HERE, THERE);
    for number in 0..5 {
        let content = messages.next(Kind::DepartureNotice).unwrap();
        let sent = office::send_when_known(&office, THERE, &content).await;
        let track = office::reaches(&office, &sent.message_id, Stage::Refused).await;
        assert_eq!(track.reason, "CONFLICT", "message {number}");
    }
    // Whatever went on behind the scenes would have come before this one.
    let content = messages.next(Kind::DepartureNotice).unwrap();
    let last = office::send_when_known(&office, THERE, &content).await;
    office::reaches(&office, &last.message_id, Stage::Refused).await;
    let headers = headers(&rogue);
    let epochs: BTreeSet<_> = headers.iter().map(|header| header.epoch).collect();
    assert_eq!(epochs.len(), 2, "{headers:?}");
    assert!(headers.len() <= 7, "{headers:?}");
    assert!(headers.iter().all(|header| header.to == area(THERE)));
    node.never_panicked();
}
