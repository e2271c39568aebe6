//! The directory: offices that name nothing but their province find each other, and hear what becomes of each other.
//!
//! Neighbours are asked every five minutes here, as usual: whatever arrives sooner was told.

use domain::access::Role;
use domain::message::Kind;
use exchange::card::SignedCard;
use exchange::directory::DirectoryQuestion;
use exchange::keys::{SignContext, Signer as _};
use liangdi::cli::connect::Office;
use liangdi::delivery::link::dial;
use tonic::Status;
use wire::client::NodeClient;
use wire::pb::office as pb;

use crate::support::desk::Desk;
use crate::support::network::Network;
use crate::support::node::Node;
use crate::support::office::{self, message};
use crate::support::rogue::{Rogue, words};
use crate::support::{area, eventually, eventually_async, in_time, now};

const HOME: &str = "410522";
const AWAY: &str = "440305";
const NEXT: &str = "440306";
const HOME_PROVINCE: &str = "410000";
const AWAY_PROVINCE: &str = "440000";

/// Two provinces that know each other, and counties that know nothing but their province: neither another county nor
/// the revocation list of another province.
struct Country {
    network: Network,
    home_province: Node,
    away_province: Node,
    home: Node,
    away: Node,
}

impl Country {
    fn new() -> Self {
        let network = Network::new();
        let home_province = network.node(HOME_PROVINCE, &[AWAY_PROVINCE]);
        let away_province = network.node(AWAY_PROVINCE, &[HOME_PROVINCE]);
        for province in [&home_province, &away_province] {
            lists(&network, province, &[HOME_PROVINCE, AWAY_PROVINCE]);
        }
        let home = county(&network, HOME);
        let away = county(&network, AWAY);
        Self { network, home_province, away_province, home, away }
    }

    fn start(&mut self) {
        let Self { home_province, away_province, home, away, .. } = self;
        for node in [home_province, away_province, home, away] {
            node.start();
        }
    }

    async fn clerk(&self, code: &str) -> Office {
        office::connect(&self.network.operator("clerk", code, Role::Clerk)).await
    }

    async fn administrator(&self, code: &str) -> Office {
        office::connect(&self.network.operator("root", code, Role::Administrator)).await
    }

    /// The nodes are killed when the test is over; this is what they have to say before.
    fn ends_well(&self) {
        for node in [&self.home, &self.away, &self.home_province, &self.away_province] {
            node.never_panicked();
        }
    }
}

/// A county that names its province and has the lists of the root and of its own authority.
fn county(network: &Network, code: &str) -> Node {
    let province = area(code).province();
    let node = network.node(code, &[province.as_str()]);
    lists(network, &node, &[province.as_str()]);
    node
}

/// Gives a node files with the lists of these authorities and the root, as they are now.
fn lists(network: &Network, node: &Node, provinces: &[&str]) {
    let mut text = network.root.revocation_list(now()).unwrap().pem();
    for province in provinces {
        text += &network.province(area(province)).revocation_list(now()).unwrap().pem();
    }
    crate::support::network::replace(&node.dir.join("lists.pem"), text.as_bytes());
    node.configure(|text| text.replace("[\"../lists.pem\"]", "[\"lists.pem\"]"));
}

async fn show(office: &Office, of: &str) -> pb::GetAreaResponse {
    let request = pb::GetAreaRequest { area: of.to_owned() };
    office.directory().get_area(request).await.unwrap().into_inner()
}

/// Waits until the directory of an office has a card of an area that is as wanted.
async fn knows(
    office: &Office,
    of: &str,
    wanted: impl Fn(&pb::DirectoryCard) -> bool,
) -> pb::DirectoryCard {
    eventually_async(&format!("the card of {of}"), || async {
        show(office, of).await.card.filter(|card| wanted(card))
    })
    .await
}

async fn try_send(
    office: &Office,
    from: &str,
    to: &str,
) -> Result<pb::SendMessageResponse, Status> {
    office::send(office, to, &message(3, from, to, Kind::DepartureNotice), "").await
}

/// Sends a message and waits until it is stored there.
async fn arrives(office: &Office, from: &str, to: &str) -> pb::Track {
    let sent =
        office::send_when_known(office, to, &message(3, from, to, Kind::DepartureNotice)).await;
    office::reaches(office, &sent.message_id, pb::Stage::Stored).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counties_that_name_nothing_but_their_province_find_each_other() {
    let mut country = Country::new();
    country.start();
    let (home, away) = (country.clerk(HOME).await, country.clerk(AWAY).await);
    arrives(&home, HOME, AWAY).await;
    arrives(&away, AWAY, HOME).await;

    // A county that is not there yet has no card; the moment it is, it has, and nobody has touched the others.
    let refused = try_send(&home, HOME, NEXT).await.unwrap_err();
    assert_eq!(office::code(&refused), "PEER_CARD_MISSING");
    let refused = try_send(&home, HOME, "449999").await.unwrap_err();
    assert_eq!(office::code(&refused), "UNKNOWN_AREA");
    let mut new = county(&country.network, NEXT);
    new.start();
    arrives(&home, HOME, NEXT).await;

    // What it knows is its own: with both provinces gone, and after a restart, mail goes on.
    assert!(country.home_province.stop().success());
    assert!(country.away_province.stop().success());
    assert!(country.home.stop().success());
    country.home.start();
    let home = country.clerk(HOME).await;
    arrives(&home, HOME, AWAY).await;

    // It moves: its card says where it is now, and that is where it is called.
    assert!(country.away.stop().success());
    let moved = country.network.ports(area("419999")).node;
    let (before, after) = (country.away.endpoint(), format!("127.0.0.1:{moved}"));
    country.away.configure(|text| text.replace(&before, &after));
    country.home_province.start();
    country.away_province.start();
    country.away.start();
    knows(&home, AWAY, |card| card.endpoints == [after.clone()]).await;
    arrives(&home, HOME, AWAY).await;
    country.ends_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_sealing_key_is_used_and_the_old_one_still_opens() {
    let mut country = Country::new();
    country.start();
    let home = country.clerk(HOME).await;
    arrives(&home, HOME, AWAY).await;
    // Somebody who has the card of before, and does not hear of another.
    let mut behind = Rogue::connect(&country.network, HOME_PROVINCE, &country.home).await;
    let of_home = country.clerk(AWAY).await;
    arrives(&of_home, AWAY, HOME).await;
    let before = knows(&of_home, HOME, |_| true).await;

    let administrator = country.administrator(HOME).await;
    let request = pb::RotateSealingKeyRequest {};
    let keys =
        administrator.directory().rotate_sealing_key(request).await.unwrap().into_inner().keys;
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[1].key_id, before.keys[0].key_id);
    let refused = home.directory().rotate_sealing_key(pb::RotateSealingKeyRequest {}).await;
    assert_eq!(office::code(&refused.unwrap_err()), "ROLE_REQUIRED");

    let after = knows(&of_home, HOME, |card| card.version > before.version).await;
    assert_eq!(after.keys[0].key_id, keys[0].key_id);
    arrives(&of_home, AWAY, HOME).await;
    // Also after a restart.
    assert!(country.home.stop().success());
    country.home.start();
    behind.reconnect(&country.home).await;
    let (_, letter) = behind.letter();
    assert_eq!(words(&behind.deliver(vec![letter]).await), ["STORED"]);
    country.ends_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_spreads_and_cuts_open_connections() {
    let mut country = Country::new();
    country.start();
    let home = country.clerk(HOME).await;
    arrives(&home, HOME, AWAY).await;
    // A thief has the key of a county of the other province, and is connected here.
    let stolen = country.network.node_certificate(area(NEXT));
    let mut thief =
        Rogue::connect_as(&country.network, stolen.identity.clone(), &country.home).await;
    let (_, letter) = thief.letter();
    assert_eq!(words(&thief.deliver(vec![letter]).await), ["STORED"]);

    // Its province revokes it, and puts the list where its own node reads it; nowhere else.
    country.network.revoke(area(NEXT), &stolen.serial);
    lists(&country.network, &country.away_province, &[HOME_PROVINCE, AWAY_PROVINCE]);
    in_time("the thief is cut off", thief.ended()).await;
    country.home.logged("SENDER_REVOKED", None);
    let material = country.network.material(stolen.identity);
    let again = dial(area(HOME), &country.home.endpoint(), &material).await;
    let refused = match again {
        Ok(channel) => in_time("he is refused", NodeClient::new(channel).card()).await.is_err(),
        Err(_) => true,
    };
    assert!(refused);

    // It stays in force without any province, and after a restart.
    assert!(country.home_province.stop().success());
    assert!(country.home.stop().success());
    country.home.start();
    country.home_province.start();
    let administrator = country.administrator(HOME).await;
    let request = pb::ListRevocationListsRequest {};
    let lists =
        administrator.directory().list_revocation_lists(request).await.unwrap().into_inner().lists;
    assert_eq!(lists.len(), 3, "{lists:?}");
    let theirs = lists.iter().find(|list| list.heard_from == HOME_PROVINCE).unwrap();
    assert_eq!(theirs.state(), pb::ListState::Fresh);
    arrives(&country.clerk(HOME).await, HOME, AWAY).await;
    country.ends_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_follows_a_county_that_was_merged_and_stops_at_one_that_retired() {
    let mut country = Country::new();
    country.start();
    let mut next = county(&country.network, NEXT);
    next.start();
    let home = country.clerk(HOME).await;
    for there in [AWAY, NEXT] {
        arrives(&home, HOME, there).await;
    }
    let province = country.administrator(AWAY_PROVINCE).await;
    let ended = |ended: &str, successors: &[&str]| {
        let successors = successors.iter().map(|code| (*code).to_owned()).collect();
        let request = pb::RetireAreaRequest { area: ended.to_owned(), successors, from_ms: 0 };
        let province = province.clone();
        async move { province.directory().retire_area(request).await }
    };
    // Only the province of a county says so.
    let of_another = ended(HOME, &[AWAY]).await.unwrap_err();
    assert_eq!(office::code(&of_another), "NOT_OWNER");

    ended(AWAY, &[NEXT]).await.unwrap();
    eventually_async("the merger is known", || async {
        (show(&home, AWAY).await.destination == NEXT).then_some(())
    })
    .await;
    let sent = try_send(&home, HOME, AWAY).await.unwrap();
    let track = office::reaches(&home, &sent.message_id, pb::Stage::Stored).await;
    assert_eq!((track.to.as_str(), track.addressed_to.as_str()), (NEXT, AWAY));
    assert_eq!(sent.track.unwrap().addressed_to, AWAY);

    ended(AWAY, &[NEXT, "440307"]).await.unwrap();
    let refused = eventually_async("the split is known", || async {
        try_send(&home, HOME, AWAY).await.err()
    })
    .await;
    assert_eq!(office::code(&refused), "AREA_SPLIT");
    assert!(show(&home, AWAY).await.detail.contains("440307"));

    // Taken back, and the county itself ends its service: nothing is left to be settled.
    let request = pb::ReinstateAreaRequest { area: AWAY.to_owned() };
    province.directory().reinstate_area(request).await.unwrap();
    eventually_async("it is there again", || async {
        (show(&home, AWAY).await.destination == AWAY).then_some(())
    })
    .await;
    arrives(&home, HOME, AWAY).await;
    let administrator = country.administrator(AWAY).await;
    let request = pb::RetireNodeRequest::default();
    let state = administrator.directory().retire_node(request).await.unwrap().into_inner();
    assert!(state.retired_ms != 0 && state.left.is_empty(), "{state:?}");
    let refused = try_send(&country.clerk(AWAY).await, AWAY, HOME).await.unwrap_err();
    assert_eq!(office::code(&refused), "NODE_RETIRING");
    let refused =
        eventually_async("its end is known", || async { try_send(&home, HOME, AWAY).await.err() })
            .await;
    assert_eq!(office::code(&refused), "AREA_RETIRED");
    country.ends_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_not_retired_while_something_is_left() {
    let mut country = Country::new();
    country.start();
    let home = country.clerk(HOME).await;
    arrives(&home, HOME, AWAY).await;
    // Its last message finds nobody.
    assert!(country.away.stop().success());
    assert!(country.home_province.stop().success());
    let sent = try_send(&home, HOME, AWAY).await.unwrap();
    let administrator = country.administrator(HOME).await;
    let retire = |cancel: bool| {
        let (request, office) =
            (pb::RetireNodeRequest { cancel, look: false }, administrator.clone());
        async move { office.directory().retire_node(request).await.unwrap().into_inner() }
    };
    let state = retire(false).await;
    assert_eq!((state.retired_ms, state.left.len()), (0, 1), "{state:?}");
    assert_eq!((state.left[0].area.as_str(), state.left[0].messages), (AWAY, 1));
    assert!(state.retiring_ms != 0);
    let refused = try_send(&home, HOME, AWAY).await.unwrap_err();
    assert_eq!(office::code(&refused), "NODE_RETIRING");
    // It is remembered, and can be taken back.
    assert!(country.home.stop().success());
    country.home.start();
    let (home, administrator) = (country.clerk(HOME).await, country.administrator(HOME).await);
    assert_eq!(office::code(&try_send(&home, HOME, AWAY).await.unwrap_err()), "NODE_RETIRING");
    let request = pb::RetireNodeRequest { cancel: true, look: false };
    administrator.directory().retire_node(request).await.unwrap();
    country.away.start();
    country.home_province.start();
    office::reaches(&home, &sent.message_id, pb::Stage::Stored).await;
    arrives(&home, HOME, AWAY).await;
    let request = pb::RetireNodeRequest::default();
    eventually_async("everything is settled", || async {
        let state = administrator.directory().retire_node(request).await.unwrap().into_inner();
        (state.retired_ms != 0).then_some(())
    })
    .await;
    country.ends_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_waits_for_the_end_of_announced_maintenance() {
    let mut country = Country::new();
    country.start();
    let home = country.clerk(HOME).await;
    arrives(&home, HOME, AWAY).await;
    let administrator = country.administrator(AWAY).await;
    let until_ms = now().get() + 3_600_000;
    let request =
        pb::AnnounceMaintenanceRequest { from_ms: 0, until_ms, note: "升级".to_owned() };
    let announced = administrator.directory().announce_maintenance(request).await.unwrap();
    assert_eq!(announced.into_inner().maintenance[0].until_ms, until_ms);
    knows(&home, AWAY, |card| card.maintenance.len() == 1).await;

    // The sender holds its mail; whoever does not is put off, and nothing is refused for good.
    let sent = try_send(&home, HOME, AWAY).await.unwrap();
    let mut deaf = Rogue::connect(&country.network, NEXT, &country.away).await;
    let (_, letter) = deaf.letter();
    assert_eq!(words(&deaf.deliver(vec![letter.clone()]).await), ["DEFERRED MAINTENANCE"]);
    let track = office::track(&home, &sent.message_id).await;
    assert!([pb::Stage::Queued, pb::Stage::Deferred].contains(&track.stage()), "{track:?}");
    let request = pb::CancelMaintenanceRequest { from_ms: 0 };
    administrator.directory().cancel_maintenance(request).await.unwrap();
    office::reaches(&home, &sent.message_id, pb::Stage::Stored).await;
    assert_eq!(words(&deaf.deliver(vec![letter]).await), ["STORED"]);
    country.ends_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbour_that_lies_is_not_believed() {
    let mut country = Country::new();
    country.start();
    let home = country.clerk(HOME).await;
    arrives(&home, HOME, AWAY).await;
    let before = knows(&home, AWAY, |_| true).await;
    let liar = country.network.node_certificate(area("410523")).identity;
    let forged = |of: &str, by: &trust::leaf::Identity| {
        let text = show_bytes(&country, of);
        let mut card = wire::decode_card(&text).unwrap();
        card.version = u64::MAX;
        card.endpoints = vec!["evil.example:1".parse().unwrap()];
        let bytes = wire::encode_card(&card);
        let signature = by.sign(SignContext::Card, &bytes).unwrap();
        SignedCard {
            card_bytes: bytes.into(),
            signature: signature.into(),
            chain: by.chain_der().to_vec(),
        }
    };
    let material = country.network.material(liar.clone());
    for node in [&country.home, &country.home_province] {
        let channel = dial(node.area, &node.endpoint(), &material).await.unwrap();
        let mut client = NodeClient::new(channel);
        for own_card in [forged(AWAY, &liar), forged(HOME, &liar), forged(HOME_PROVINCE, &liar)] {
            let question = DirectoryQuestion {
                cursor: vec![0xFF; 64].into(),
                own_card: Some(own_card),
                revocation_lists: vec![vec![0x30; 1_000]; 60],
            };
            // He is answered as anybody is, from the beginning.
            let answer = in_time("an answer", client.sync_directory(question)).await.unwrap();
            assert!(!answer.cards.is_empty());
        }
    }
    assert_eq!(knows(&home, AWAY, |_| true).await, before);
    arrives(&home, HOME, AWAY).await;
    country.ends_well();
}

/// The bytes of an area's card, as its node has it.
fn show_bytes(country: &Country, of: &str) -> Vec<u8> {
    let nodes = [&country.home, &country.away, &country.home_province, &country.away_province];
    let node = nodes.into_iter().find(|node| node.area == area(of)).unwrap();
    let identity = country.network.node_certificate(area("410526")).identity;
    let material = country.network.material(identity);
    let endpoint = node.endpoint();
    let card = async {
        let channel = dial(node.area, &endpoint, &material).await.unwrap();
        NodeClient::new(channel).card().await.unwrap().card_bytes.to_vec()
    };
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(card))
}

#[test]
fn an_administrator_types_what_the_others_are_told() {
    let mut country = Country::new();
    country.start();
    let at =
        |code: &str| Desk { connect: country.network.operator("root", code, Role::Administrator) };
    let (home, away, province) = (at(HOME), at(AWAY), at(AWAY_PROVINCE));
    let listed = eventually("all four are listed, also the last one as good", || {
        let listed = home.json("directory list");
        (listed["cards"][3]["state"] == "GOOD").then_some(listed)
    });
    assert_eq!(listed["cards"].as_array().unwrap().len(), 4);
    assert_eq!(listed["cards"][1]["area"], HOME);
    assert_eq!(listed["cards"][1]["heard_from"], HOME);
    assert_eq!(listed["revocation_lists"].as_array().unwrap().len(), 3);
    let text = home.text("directory list");
    assert!(text.contains("广东省深圳市南山区") && text.contains("签发"), "{text}");

    let keys = away.json("node rotate-key");
    assert_eq!(keys.as_array().unwrap().len(), 2);
    away.json("maintenance announce --until +2h --note 升级");
    away.json("maintenance announce --from 2030-01-01 --until 2030-01-02");
    assert_eq!(away.json("maintenance list").as_array().unwrap().len(), 2);
    away.json("maintenance cancel --from 2030-01-01");
    province.json(&format!("area retire 440307 --successor {AWAY} --from 2026-11-01"));
    let told = eventually("it is told", || {
        let shown = home.json(&format!("directory show {AWAY}"));
        let card = &shown["card"];
        let told = card["maintenance"][0]["note"] == "升级"
            && card["keys"].as_array()?.len() == 2
            && card["maintenance"].as_array()?.len() == 1
            && home.json("directory show 440307")["destination"] == AWAY;
        told.then(|| shown.clone())
    });
    assert_eq!(told["destination"], AWAY);
    province.json("area reinstate 440307");
    away.json("maintenance cancel");
    assert!(away.text("maintenance list").contains("(none)"));

    let left = home.json("node retire --look");
    assert_eq!((&left["retiring_ms"], &left["retired_ms"]), (&0.into(), &0.into()));
    assert_ne!(home.json("node retire")["retired_ms"], 0);
    assert_eq!(home.json("node retire --cancel")["retired_ms"], 0);
    let clerk = Desk { connect: country.network.operator("clerk", HOME, Role::Clerk) };
    for verb in ["node rotate-key", "maintenance cancel", "node retire"] {
        assert_eq!(clerk.refused(verb, 3)["code"], "ROLE_REQUIRED", "{verb}");
    }
    let over = away.refused("maintenance announce --from 2020-01-01 --until 2020-01-02", 3);
    assert_eq!(over["code"], "INVALID_FIELD");
    assert_eq!(home.refused("area retire 440307 --successor 440305", 3)["code"], "NOT_OWNER");
    country.ends_well();
}
