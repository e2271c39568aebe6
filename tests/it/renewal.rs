//! Certificates that are renewed while mail flows.

use domain::access::Role;
use domain::message::Kind;
use exchange::keys::Signer as _;
use wire::pb::office::Stage;

use crate::support::network::{Certified, Network, replace};
use crate::support::node::Node;
use crate::support::office;
use crate::support::rogue::Rogue;
use crate::support::{eventually, eventually_async};

const HOME: &str = "410522";
const AWAY: &str = "440305";

/// Puts a new certificate with a new key in the place of the old one, and waits until it is in force.
fn renew(network: &Network, node: &Node) -> Certified {
    let certified = network.node_certificate(node.area);
    let beside = node.dir.join("next.key");
    certified.key.save(&beside).unwrap();
    std::fs::rename(&beside, node.dir.join("node.key")).unwrap();
    replace(&node.dir.join("node.pem"), certified.chain_pem.as_bytes());
    eventually("the certificate is in force", || {
        node.log().contains("certificates and revocation lists were read again").then_some(())
    });
    certified
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_goes_on_when_both_ends_renew_their_certificates() {
    let network = Network::new();
    let (mut home, mut away) = (network.node(HOME, &[AWAY]), network.node(AWAY, &[HOME]));
    home.start();
    away.start();
    let at_home = office::connect(&network.operator("hua", HOME, Role::Clerk)).await;
    let mut messages = office::messages(5, HOME, AWAY);
    let mut next = || messages.next(Kind::DepartureNotice).unwrap();
    let sent = office::send_when_known(&at_home, AWAY, &next()).await;
    office::reaches(&at_home, &sent.message_id, Stage::Stored).await;

    // The signer of parcels, then that of receipts; the other end has to learn each of them.
    for node in [&home, &away] {
        let certified = renew(&network, node);
        let sent = office::send(&at_home, AWAY, &next(), "").await.unwrap();
        office::reaches(&at_home, &sent.message_id, Stage::Stored).await;
        // What others seal with is signed anew as well: the old certificate may be revoked next.
        let leaf = certified.identity.chain_der()[0].clone();
        eventually_async("the card is signed anew", || async {
            let rogue = Rogue::connect(&network, "440306", node).await;
            (rogue.card.chain[0] == leaf).then_some(())
        })
        .await;
    }
    for node in [&home, &away] {
        assert!(!node.log().contains("SIGNATURE_INVALID"), "{}", node.log());
        node.never_panicked();
    }
    assert_eq!(home.log().matches("link to the peer stands").count(), 1, "{}", home.log());
}
