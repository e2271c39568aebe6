//! Counties that cannot reach each other, and what their provinces carry for them.

mod kills;

use std::collections::BTreeMap;
use std::time::Duration;

use domain::access::Role;
use domain::id::MessageId;
use domain::message::{ArrivalFeedback, ArrivalOutcome, Body, Kind};
use exchange::custody::{CustodyManifest, CustodyOutcome};
use exchange::envelope::SealedEnvelope;
use exchange::keys::{SignContext, Signer as _};
use exchange::parcel::{Parcel, ParcelManifest};
use exchange::receipt::Outcome;
use liangdi::cli::connect::Office;
use wire::frame::Frame;
use wire::pb::office::{Direction, ExportEvidenceRequest, Stage};

use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::office::{self, message};
use crate::support::proxy::{Line, Proxy};
use crate::support::rogue::{Answer, Rogue};
use crate::support::rogue_node::{self, RogueNode};
use crate::support::{area, eventually_async, now, seed};

const HOME: &str = "410522";
const HOME_PROVINCE: &str = "410000";
const AWAY: &str = "440305";
const AWAY_PROVINCE: &str = "440000";

/// Two counties in two provinces. Each county has a line to its province alone; the provinces have one to each
/// other. Whoever learns a county's address from the directory learns that of a line that can be cut.
struct Country {
    home: Node,
    away: Node,
    home_province: Node,
    away_province: Node,
    home_line: Proxy,
    _away_line: Proxy,
    network: Network,
}

impl Country {
    /// Set up, with both lines between the counties cut; nothing runs yet.
    async fn new(delivery: &str) -> Self {
        let network = Network::new();
        let home = network.node(HOME, &[HOME_PROVINCE]);
        let away = network.node(AWAY, &[AWAY_PROVINCE]);
        let home_province = network.node(HOME_PROVINCE, &[HOME, AWAY_PROVINCE]);
        let away_province = network.node(AWAY_PROVINCE, &[AWAY, HOME_PROVINCE]);
        let home_line = Proxy::to(home.ports.node).await;
        let away_line = Proxy::to(away.ports.node).await;
        for (node, line) in [(&home, &home_line), (&away, &away_line)] {
            line.set(Line::Cut);
            node.advertise(line.port);
        }
        let country = Self {
            network,
            home,
            away,
            home_province,
            away_province,
            home_line,
            _away_line: away_line,
        };
        for node in country.nodes() {
            tune(node, delivery);
        }
        country
    }

    fn nodes(&self) -> [&Node; 4] {
        [&self.home, &self.away, &self.home_province, &self.away_province]
    }

    fn start(&mut self) {
        for node in
            [&mut self.home_province, &mut self.away_province, &mut self.home, &mut self.away]
        {
            node.start();
        }
    }

    async fn clerks(&self) -> (Office, Office) {
        let home = office::connect(&self.network.operator("hua", HOME, Role::Clerk)).await;
        let away = office::connect(&self.network.operator("ai", AWAY, Role::Clerk)).await;
        (home, away)
    }

    async fn proven(&self, office: &Office, id: &str) -> Vec<String> {
        proven(&self.network, office, id).await
    }

    fn stop(&mut self) {
        let Self { home, away, home_province, away_province, .. } = self;
        for node in [home, away, home_province, away_province] {
            assert!(node.stop().success());
            node.never_panicked();
        }
    }
}

/// The evidence of a message holds with nothing but the root; the relays that it names, in order.
async fn proven(network: &Network, office: &Office, id: &str) -> Vec<String> {
    let request = ExportEvidenceRequest { message_id: id.to_owned() };
    let answer = office.messages().export_evidence(request).await.unwrap();
    let evidence = wire::decode_evidence(answer.into_inner().evidence.into()).unwrap();
    let proven = evidence.verify(&network.chains()).unwrap();
    assert_eq!(proven.message_id.to_string(), id);
    assert_eq!(proven.answered.unwrap().outcome, Outcome::Stored);
    proven.carried.iter().map(|carried| carried.by.area.to_string()).collect()
}

/// More lines for the delivery of a node.
fn tune(node: &Node, delivery: &str) {
    node.configure(|text| text.replace("[delivery]\n", &format!("[delivery]\n{delivery}\n")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_goes_through_both_provinces_and_the_answer_comes_back() {
    let mut country = Country::new("route_patience_ms = 500").await;
    country.start();
    let (at_home, at_away) = country.clerks().await;

    let notice = message(1, AWAY, HOME, Kind::ArrivalNotice);
    let sent = office::send_when_known(&at_away, HOME, &notice).await;
    let id = sent.message_id;
    office::reaches(&at_away, &id, Stage::Stored).await;
    let asked: MessageId = id.parse().unwrap();
    let answer = domain::message::Content {
        in_reply_to: Some(asked),
        body: Body::ArrivalFeedback(ArrivalFeedback {
            outcome: ArrivalOutcome::Confirmed,
            corrected_name: None,
            moved_to_area: None,
            note: None,
        }),
        ..notice.clone()
    };
    let back = office::send_when_known(&at_home, AWAY, &answer).await.message_id;
    office::reaches(&at_home, &back, Stage::Stored).await;
    office::reaches(&at_away, &id, Stage::Answered).await;

    // Both ends can prove the way.
    let way = [AWAY_PROVINCE, HOME_PROVINCE];
    for office in [&at_home, &at_away] {
        assert_eq!(country.proven(office, &id).await, way);
        assert_eq!(country.proven(office, &back).await, [HOME_PROVINCE, AWAY_PROVINCE]);
        assert_eq!(office::status(office).await.ledger_size, 2);
        assert_eq!(office::list(office, Direction::Received).await.len(), 1);
    }
    country.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_direct_line_is_taken_again_when_it_stands() {
    let mut country = Country::new("route_patience_ms = 500").await;
    country.home_line.set(Line::Good);
    country.start();
    let (_, at_away) = country.clerks().await;
    let mut messages = office::messages(3, AWAY, HOME);
    let mut next = || messages.next(Kind::DepartureNotice).unwrap();

    let direct = office::send_when_known(&at_away, HOME, &next()).await.message_id;
    office::reaches(&at_away, &direct, Stage::Stored).await;
    assert_eq!(country.proven(&at_away, &direct).await, [""; 0]);

    country.home_line.set(Line::Cut);
    let carried = office::send(&at_away, HOME, &next(), "").await.unwrap().message_id;
    office::reaches(&at_away, &carried, Stage::Stored).await;
    assert_eq!(country.proven(&at_away, &carried).await, [AWAY_PROVINCE, HOME_PROVINCE]);

    country.home_line.set(Line::Good);
    let link = country.away.log().matches("link to the peer stands").count();
    eventually_async("mail goes directly again", || async {
        let again = office::send(&at_away, HOME, &next_of(&country), "").await.unwrap();
        office::reaches(&at_away, &again.message_id, Stage::Stored).await;
        let way = country.proven(&at_away, &again.message_id).await;
        way.is_empty().then_some(())
    })
    .await;
    assert!(country.away.log().matches("link to the peer stands").count() > link);
    country.stop();
}

/// A message of a person of its own each time.
fn next_of(_country: &Country) -> domain::message::Content {
    let seed = now().get();
    message(seed, AWAY, HOME, Kind::DepartureNotice)
}

/// A county that sends, a relay of its own province that keeps no rules, and the other province and county, which do.
struct Betrayed {
    relay: RogueNode,
    home: Node,
    home_province: Node,
    away: Node,
    home_line: Proxy,
    network: Network,
}

impl Betrayed {
    async fn new(answering: rogue_node::Answering) -> Self {
        let network = Network::new();
        let relay = RogueNode::serve(&network, AWAY_PROVINCE, answering).await;
        let home = network.node(HOME, &[HOME_PROVINCE]);
        let home_line = Proxy::to(home.ports.node).await;
        home.advertise(home_line.port);
        let mut betrayed = Self {
            home_province: network.node(HOME_PROVINCE, &[HOME]),
            away: network.node(AWAY, &[AWAY_PROVINCE, HOME_PROVINCE, HOME]),
            network,
            relay,
            home,
            home_line,
        };
        betrayed.away.call_through(&betrayed.home, betrayed.home_line.port);
        tune(&betrayed.away, "route_patience_ms = 500\ncustody_patience_ms = 3000");
        for node in [&mut betrayed.home_province, &mut betrayed.home, &mut betrayed.away] {
            node.start();
        }
        betrayed
    }

    /// Sends a message while there is no line to its recipient; it arrives, and this is who carried it.
    async fn arrives_by(&self) -> Vec<String> {
        let at_away = office::connect(&self.network.operator("ai", AWAY, Role::Clerk)).await;
        let mut messages = office::messages(4, AWAY, HOME);
        let mut next = || messages.next(Kind::DepartureNotice).unwrap();
        let first = office::send_when_known(&at_away, HOME, &next()).await.message_id;
        office::reaches(&at_away, &first, Stage::Stored).await;
        self.home_line.set(Line::Cut);
        let sent = office::send(&at_away, HOME, &next(), "").await.unwrap().message_id;
        let track = office::reaches(&at_away, &sent, Stage::AtRelay).await;
        assert_eq!(track.carrier, AWAY_PROVINCE);
        office::reaches(&at_away, &sent, Stage::Stored).await;
        let at_home = office::connect(&self.network.operator("hua", HOME, Role::Clerk)).await;
        assert_eq!(office::list(&at_home, Direction::Received).await.len(), 2);
        assert!(!self.relay.parcels.lock().unwrap().is_empty());
        proven(&self.network, &at_away, &sent).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_drops_what_it_holds_is_noticed_and_gone_around() {
    let holds = |relay: &RogueNode, by, manifest: &ParcelManifest, _: &Parcel| {
        let held = CustodyOutcome::Held { next: area(HOME_PROVINCE) };
        vec![Frame::Custody(relay.word(by, manifest, held))]
    };
    let betrayed = Betrayed::new(Box::new(holds)).await;
    assert_eq!(betrayed.arrives_by().await, [HOME_PROVINCE]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_cannot_alter_what_it_carries() {
    let holds = |relay: &RogueNode, by, manifest: &ParcelManifest, _: &Parcel| {
        let held = CustodyOutcome::Held { next: area(HOME_PROVINCE) };
        vec![Frame::Custody(relay.word(by, manifest, held))]
    };
    let betrayed = Betrayed::new(Box::new(holds)).await;
    assert_eq!(betrayed.arrives_by().await, [HOME_PROVINCE]);

    // What it held it hands on, but not as it was.
    let good = betrayed.relay.parcels.lock().unwrap()[0].clone();
    let manifest = wire::decode_manifest(&good.manifest_bytes).unwrap();
    let held = CustodyOutcome::Held { next: area(HOME_PROVINCE) };
    let word = betrayed.relay.word(area(AWAY), &manifest, held);
    let good = Parcel { custody: vec![word.clone()], chain: chain_of(&betrayed, &good), ..good };
    let identity = betrayed.relay.identity.clone();
    let mut rogue = Rogue::connect_as(&betrayed.network, identity, &betrayed.home_province).await;
    let mut altered = Vec::new();
    let mut parcel = good.clone();
    let mut sealed = parcel.envelopes[0].sealed().unwrap().to_vec();
    sealed[40] ^= 1;
    parcel.envelopes[0] = SealedEnvelope::new(parcel.envelopes[0].header_bytes.clone(), sealed);
    altered.push(("MALFORMED", parcel));
    let mut parcel = good.clone();
    parcel.envelopes.push(parcel.envelopes[0].clone());
    altered.push(("MALFORMED", parcel));
    let mut parcel = good.clone();
    parcel.envelopes[0] = parcel.envelopes[0].clone().without_body();
    altered.push(("MALFORMED", parcel));
    let mut parcel = good.clone();
    parcel.signature =
        betrayed.relay.identity.sign(SignContext::Parcel, &parcel.manifest_bytes).unwrap().into();
    altered.push(("SIGNATURE_INVALID", parcel));
    let mut parcel = good.clone();
    parcel.chain = betrayed.relay.identity.chain_der().to_vec();
    altered.push(("SENDER_MISMATCH", parcel));
    let mut parcel = good.clone();
    parcel.custody[0].signature = good.signature.clone();
    altered.push(("SIGNATURE_INVALID", parcel));
    let mut parcel = good.clone();
    parcel.custody.clear();
    altered.push(("SENDER_MISMATCH", parcel));
    let mut parcel = good.clone();
    let astray = CustodyOutcome::Held { next: area("330000") };
    parcel.custody = vec![betrayed.relay.word(area(AWAY), &manifest, astray)];
    altered.push(("NOT_FOR_US", parcel));
    for (number, (reason, parcel)) in altered.into_iter().enumerate() {
        match rogue.send(parcel).await {
            Answer::Custody(CustodyManifest {
                outcome: CustodyOutcome::Refused { reason: why },
                ..
            }) => {
                assert_eq!(why.code(), reason, "parcel {number}");
            }
            other => panic!("parcel {number}: {other:?}"),
        }
    }
    // As it was it is taken, and the recipient knows what is in it already.
    for _ in 0..2 {
        match rogue.send(good.clone()).await {
            Answer::Custody(CustodyManifest { outcome: CustodyOutcome::Held { next }, .. }) => {
                assert_eq!(next, area(HOME));
            }
            other => panic!("{other:?}"),
        }
    }
    let at_home = office::connect(&betrayed.network.operator("hu", HOME, Role::Clerk)).await;
    assert_eq!(office::list(&at_home, Direction::Received).await.len(), 2);
    betrayed.home_province.never_panicked();
}

/// The chain of the sender, which it sends with its first parcel only.
fn chain_of(betrayed: &Betrayed, _parcel: &Parcel) -> Vec<Vec<u8>> {
    let parcels = betrayed.relay.parcels.lock().unwrap();
    parcels.iter().find(|parcel| !parcel.chain.is_empty()).unwrap().chain.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_county_that_only_dials_out_collects_its_mail_and_sends() {
    let mut country = Country::new("route_patience_ms = 500").await;
    tune(&country.away, "collects = true");
    // Nobody knows where it could be called.
    country.away_province.configure(|text| without_peer(&text, AWAY));
    country.start();
    let (at_home, at_away) = country.clerks().await;
    let mut to_away = office::messages(5, HOME, AWAY);
    let first = to_away.next(Kind::DepartureNotice).unwrap();
    let first = office::send_when_known(&at_home, AWAY, &first).await.message_id;
    office::reaches(&at_home, &first, Stage::Stored).await;
    assert_eq!(country.proven(&at_home, &first).await, [HOME_PROVINCE, AWAY_PROVINCE]);

    // While it is away its mail waits at its province, and is there at once when it is back.
    country.away.kill();
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let content = to_away.next(Kind::DepartureNotice).unwrap();
        let id = office::send(&at_home, AWAY, &content, "").await.unwrap().message_id;
        let there = eventually_async("it lies at the last relay", || async {
            let track = office::track(&at_home, &id).await;
            (track.carrier == AWAY_PROVINCE).then_some(track)
        });
        let track = there.await;
        assert_eq!(track.stage(), Stage::AtRelay);
        let hops: Vec<_> = track.hops.iter().map(|hop| hop.area.as_str()).collect();
        assert_eq!(hops, [HOME_PROVINCE, AWAY_PROVINCE], "{track:?}");
        waiting.push(id);
    }
    drop(at_away);
    country.away.start();
    let (_, at_away) = country.clerks().await;
    for id in &waiting {
        office::reaches(&at_home, id, Stage::Stored).await;
    }
    assert_eq!(office::list(&at_away, Direction::Received).await.len(), 6);

    // The other way, too: with a line of its own making when the other county can be called.
    let mut to_home = office::messages(6, AWAY, HOME);
    let carried = to_home.next(Kind::DepartureNotice).unwrap();
    let carried = office::send_when_known(&at_away, HOME, &carried).await.message_id;
    office::reaches(&at_away, &carried, Stage::Stored).await;
    assert_eq!(country.proven(&at_away, &carried).await, [AWAY_PROVINCE, HOME_PROVINCE]);
    country.home_line.set(Line::Good);
    eventually_async("what is sent to it goes over the line it keeps", || async {
        let content = message(now().get(), HOME, AWAY, Kind::DepartureNotice);
        let id = office::send(&at_home, AWAY, &content, "").await.unwrap().message_id;
        office::reaches(&at_home, &id, Stage::Stored).await;
        country.proven(&at_home, &id).await.is_empty().then_some(())
    })
    .await;
    country.stop();
}

/// A configuration that does not name a peer.
fn without_peer(text: &str, code: &str) -> String {
    let (head, peers) = text.split_once("[[peer]]").unwrap();
    let kept = peers.split("[[peer]]").filter(|peer| !peer.contains(&format!("\"{code}\"")));
    std::iter::once(head).chain(kept).collect::<Vec<_>>().join("[[peer]]")
}

/// Thirty days' work lies at the relay of a county that has been away; it comes in the order in which it is due.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_at_a_relay_is_handed_on_most_urgent_first() {
    const SENDERS: [&str; 3] = ["410522", "410523", "411528"];
    const PARCELS: usize = 20;
    let network = Network::new();
    let mut away = network.node(AWAY, &[AWAY_PROVINCE]);
    let mut province = network.node(AWAY_PROVINCE, &[]);
    tune(&away, "collects = true");
    province.start();
    away.start();
    // Until the province has its card, and has seen that it collects.
    let at_away = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let mut rogues = Vec::new();
    for code in SENDERS {
        let identity = network.node_certificate(area(code)).identity;
        let mut rogue = Rogue::connect_as(&network, identity, &away).await;
        rogue.reconnect(&province).await;
        rogues.push(rogue);
    }
    away.kill();
    drop(at_away);

    let mut dice = domain::synthetic::Seeded::new(seed("backlog"));
    let mut dues = Vec::new();
    for number in 0..SENDERS.len() * PARCELS {
        let rogue = &mut rogues[number % SENDERS.len()];
        let (content, mut header) = (rogue.content(Kind::ArrivalNotice), rogue.header());
        let due = now().saturating_add(Duration::from_secs(3_600 * u64::from(1 + dice.below(700))));
        // Some are due at no time; they have thirty days like everything else.
        header.due = dice.chance(90).then_some(due);
        let envelope = rogue.seal(&header, &content);
        match rogue.offer(vec![envelope]).await {
            Answer::Custody(CustodyManifest { outcome: CustodyOutcome::Held { next }, .. }) => {
                assert_eq!(next, area(AWAY));
            }
            other => panic!("{other:?}"),
        }
        let latest = now().saturating_add(Duration::from_secs(30 * 86_400));
        dues.push((header.due.unwrap_or(latest), header.message_id.to_string()));
    }

    away.start();
    let at_away = office::connect(&network.operator("ai", AWAY, Role::Clerk)).await;
    let there = eventually_async("everything is there", || async {
        let there = office::list(&at_away, Direction::Received).await;
        (there.len() == dues.len()).then_some(there)
    })
    .await;
    dues.sort();
    let stored: BTreeMap<_, _> =
        there.iter().map(|track| (track.message_id.as_str(), track.stored_ms)).collect();
    let order: Vec<_> = dues.iter().map(|(_, id)| stored[id.as_str()]).collect();
    assert!(order.is_sorted(), "stored in another order than they are due: {order:?}");
    assert!(order.first() < order.last(), "all at one time tell nothing");
    province.never_panicked();
    away.never_panicked();
}
