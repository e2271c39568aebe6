//! The directory without a network: what is believed, kept, served and in force.

mod net;

use std::time::Duration;

use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::card::AreaChange;
use exchange::directory::DirectoryQuestion;
use store::network::{AreaChangeRow, WindowRow};
use store::origin::{OriginRow, RestoredRow};
use store::tables::{DIRECTORY_LOG, RESTORED};
use trust::authority::RevocationReason;
use trust::refused::Refused;

use self::net::{Net, area, now};
use super::*;
use crate::delivery::peers::CardState;

fn taken(news: usize, faults: usize) -> Taken {
    Taken { news, faults }
}

/// The list and the authority of the other province, which the node has never met.
fn of_the_other(net: &Net) -> Said {
    Said { lists: vec![net.list("440000")], authorities: vec![net.ca("440000")], ..Said::default() }
}

#[tokio::test]
async fn a_county_it_never_heard_of_becomes_a_peer_for_good() {
    let net = Net::new();
    let node = net.node("410522");
    let card = net.card("440305", |_| {});
    // Without the list of its authority nobody can say that it was not revoked: the card waits.
    assert_eq!(node.hears_cards(vec![card]).await, taken(0, 0));
    assert_eq!(node.destination("440305").unwrap_err().reason, Reason::PeerCardMissing);
    // With the list, card and list are in force at once.
    assert_eq!(node.hears(of_the_other(&net)).await, taken(2, 0));
    assert_eq!(
        (node.destination("440305").unwrap(), node.state("440305")),
        (area("440305"), CardState::Good)
    );
    assert_eq!(node.peers().get(area("440305")).unwrap().endpoints(), ["node.example:1"]);
    let node = node.restart();
    assert_eq!(node.state("440305"), CardState::Good);
    node.directory.look_again();
    assert_eq!(node.state("440305"), CardState::Good);
    assert_eq!(node.directory.lists(now()).unwrap().len(), 1);
}

#[tokio::test]
async fn only_what_proves_itself_is_taken_and_one_fault_stops_nothing_else() {
    let net = Net::new();
    let node = net.node("410522");
    let good = |code: &str, version: u64| net.card(code, |card| card.version = version);
    let mut altered = good("410523", 5);
    altered.signature = good("410523", 5).signature;
    let mut foreign = good("410526", 5);
    foreign.chain = good("410527", 5).chain;
    let mut rubbish = good("410502", 5);
    rubbish.card_bytes = Bytes::from_static(b"\xFF\xFF");
    let said = vec![altered, foreign, good("410503", 2), rubbish, good("410505", 2)];
    assert_eq!(node.hears_cards(said).await, taken(2, 3));
    assert_eq!((node.version("410523"), node.version("410526"), node.version("410503")), (0, 0, 2));
    // Older ones and the same again are no news and no fault; a newer one is.
    assert_eq!(node.hears_cards(vec![good("410503", 1), good("410503", 2)]).await, taken(0, 0));
    assert_eq!(node.hears_cards(vec![good("410503", 9), good("410503", 3)]).await, taken(1, 0));
    assert_eq!(node.version("410503"), 9);
    // Nobody tells us who we are.
    assert_eq!(node.hears_cards(vec![good("410522", u64::MAX)]).await, taken(0, 0));
    assert!(node.peers().get(area("410522")).is_none());
    // A card that ended long ago is nothing, one that ended lately is used in grace, with an alarm.
    let ended = |code: &str, days: u64| {
        let until = now().saturating_sub(Duration::from_secs(days * 86_400));
        net.card(code, move |card| {
            card.valid_until = until;
            card.valid_from = until.saturating_sub(Duration::from_secs(1));
        })
    };
    assert_eq!(node.hears_cards(vec![ended("410506", 31), ended("410527", 29)]).await, taken(1, 0));
    assert_eq!(
        (node.state("410506"), node.state("410527")),
        (CardState::Missing, CardState::InGrace)
    );
}

#[tokio::test]
async fn a_neighbour_that_lies_costs_little_and_changes_nothing() {
    let net = Net::new();
    let node = net.node("410522");
    let mut lie = net.card("410523", |card| card.version = 7);
    lie.signature = Bytes::from_static(&[0x30, 0]);
    let lists = vec![vec![0x30; 100]; 40];
    let said =
        Said { cards: vec![lie; 200], lists, authorities: vec![vec![1, 2, 3]], cursor: None };
    assert_eq!(node.hears(said).await, taken(0, FAULTS_MAX));
    // Cards of areas that nobody knows wait, at most one an area, and for nothing.
    let codes: Vec<String> = (10..14).map(|n| format!("4199{n}")).collect();
    let twice =
        [1, 2].into_iter().flat_map(|version| codes.iter().map(move |code| (code, version)));
    let cards = twice.map(|(code, version)| net.card(code, |card| card.version = version));
    let cards = cards.collect();
    assert_eq!(node.hears_cards(cards).await, taken(0, 0));
    assert_eq!(node.directory.known().waiting.len(), 4);
    let log = node.directory.0.parts.store.scan(&DIRECTORY_LOG, .., 100).unwrap();
    assert!(log.is_empty(), "{log:?}");
}

#[tokio::test]
async fn everything_is_told_once_and_newest() {
    let net = Net::new();
    let node = net.node("410000");
    node.directory.publish().await.unwrap();
    node.hears(of_the_other(&net)).await;
    let counties = ["410522", "410523", "440305"];
    for version in 1..4 {
        let cards = counties.iter().map(|code| net.card(code, |card| card.version = version));
        assert_eq!(node.hears_cards(cards.collect()).await, taken(3, 0));
    }
    let log = node.directory.0.parts.store.scan(&DIRECTORY_LOG, .., 100).unwrap();
    assert_eq!(log.len(), 5, "one entry about each thing: {log:?}");
    let (cards, lists, cursor) = node.tells("440000", &[]).await;
    let areas: Vec<_> =
        cards.iter().map(|(area, version)| (area.as_str(), (*version).min(4))).collect();
    assert_eq!(areas, [("410000", 4), ("410522", 3), ("410523", 3), ("440305", 3)]);
    assert_eq!(lists, 1);
    // From the cursor on there is nothing, also after a restart; then what is new.
    assert_eq!(node.tells("440000", &cursor).await, (vec![], 0, cursor.clone()));
    let node = node.restart();
    assert_eq!(node.tells("440000", &cursor).await, (vec![], 0, cursor.clone()));
    node.hears_cards(vec![net.card("410523", |card| card.version = 8)]).await;
    let (cards, lists, next) = node.tells("440000", &cursor).await;
    assert_eq!((cards, lists), (vec![("410523".to_owned(), 8)], 0));
    // Nobody is told of himself.
    assert_eq!(node.tells("410523", &cursor).await, (vec![], 0, next));
    // A cursor that means nothing here starts over.
    for strange in [&b"x"[..], &[0xFF; 12], &[0; 12], &[0; 64]] {
        assert_eq!(node.tells("440000", strange).await.0.len(), 4);
    }
}

#[tokio::test]
async fn pages_are_bounded_and_lead_to_the_end() {
    let net = Net::new();
    let node = net.node("410000");
    let table = domain::area::AreaTable::builtin();
    let counties: Vec<_> = table.counties_of(&area("410000")).iter().map(|a| a.code).collect();
    // One certificate signs for all: only who holds it may, but here the store is asked, not the signature.
    let (home, _) = net.certify("410522");
    for county in &counties {
        let signed = net.sign(&home, "410522", |card| card.name = "x".repeat(90));
        let row = rows::card_row(signed, 1, now());
        let (inner, heard) = (node.directory.0.clone(), Heard { from: *county, at: now() });
        let county = *county;
        let store = node.directory.0.parts.store.clone();
        store
            .commit_blocking(move |unit| keep_card(unit, &inner.numbers, county, row, heard))
            .unwrap();
    }
    let (mut pages, mut cards, mut cursor) = (0, 0, Bytes::new());
    loop {
        let question = DirectoryQuestion { cursor, own_card: None, revocation_lists: Vec::new() };
        let answer = node.directory.answer(area("440000"), question).await.unwrap();
        let bytes: usize =
            answer.cards.iter().map(|c| wire::card::encode_signed_card(c.clone()).len()).sum();
        assert!(bytes < exchange::directory::DIRECTORY_BYTES_FULL + 64 * 1024, "{bytes}");
        pages += 1;
        cards += answer.cards.len();
        cursor = answer.cursor;
        if !answer.more {
            break;
        }
    }
    assert_eq!(cards, counties.len());
    assert!((1..20).contains(&pages), "{pages}");
}

#[tokio::test]
async fn a_revocation_that_the_directory_brings_is_in_force_at_once_and_for_good() {
    let net = Net::new();
    let node = net.node("410522");
    let (home, serial) = net.certify("440305");
    let card = net.sign(&home, "440305", |_| {});
    let chain = card.chain.clone();
    node.hears(Said { cards: vec![card], ..of_the_other(&net) }).await;
    let old = of_the_other(&net);
    let identity = node.directory.0.parts.identity.clone();
    let holds = |identity: &NodeIdentity| {
        let material = identity.material();
        material.chains().verify(&chain, trust::verify::Purpose::Node, now()).map(drop)
    };
    let mut looked = identity.looked();
    looked.mark_unchanged();
    assert_eq!(holds(&identity), Ok(()));
    net.authority(area("440000")).revoke(&serial, RevocationReason::KeyCompromise, now()).unwrap();
    assert_eq!(node.hears(of_the_other(&net)).await, taken(1, 0));
    assert_eq!(holds(&identity), Err(Refused::Revoked));
    assert!(looked.has_changed().unwrap(), "open connections are looked at");
    // Nothing is sealed for it any more, and an older list takes nothing back.
    node.directory.look_again();
    assert_eq!(node.state("440305"), CardState::Disbelieved);
    assert_eq!(node.hears(old).await, taken(0, 0));
    identity.reload(now()).unwrap();
    assert_eq!(holds(&identity), Err(Refused::Revoked));
    let node = node.restart();
    assert_eq!(holds(&node.directory.0.parts.identity), Err(Refused::Revoked));
    node.directory.look_again();
    assert_eq!(node.state("440305"), CardState::Disbelieved);
    // A new certificate signs a newer card.
    assert_eq!(
        node.hears_cards(vec![net.card("440305", |card| card.version = 2)]).await,
        taken(1, 0)
    );
    assert_eq!(node.state("440305"), CardState::Good);
}

#[tokio::test]
async fn mail_goes_where_the_province_says() {
    let net = Net::new();
    let node = net.node("440305");
    let card = |code: &str, version: u64, changes: &[(&str, &[&str])]| {
        let changes: Vec<_> = changes
            .iter()
            .map(|(ended, successors)| AreaChange {
                area: area(ended),
                successors: successors.iter().map(|code| area(code)).collect(),
                from: now(),
            })
            .collect();
        net.card(code, move |card| {
            card.version = version;
            card.area_changes = changes;
        })
    };
    let said = Said {
        lists: vec![net.list("410000")],
        authorities: vec![net.ca("410000")],
        // The last one has a code that is younger than the table of this program.
        cards: vec![card("410522", 1, &[]), card("410523", 1, &[]), card("419999", 1, &[])],
        cursor: None,
    };
    assert_eq!(node.hears(said).await, taken(3, 0));
    assert_eq!(node.destination("410522").unwrap(), area("410522"));
    assert_eq!(node.destination("419999").unwrap_err().reason, Reason::UnknownArea);
    // The province has the last word, and with it the new area is known.
    let merged = card("410000", 1, &[("410522", &["410523"]), ("410526", &["419999", "410523"])]);
    node.hears_cards(vec![merged]).await;
    for node in [&node.restart()] {
        assert_eq!(node.destination("410522").unwrap(), area("410523"));
        let refusal = node.destination("410526").unwrap_err();
        assert_eq!(refusal.reason, Reason::AreaSplit);
        let text = refusal.detail.unwrap();
        assert!(text.contains("419999") && text.contains("410523 河南省"), "{text}");
        // A county cannot say so, not even of its neighbour.
        let usurper = card("410502", 1, &[("410503", &["410502"])]);
        assert_eq!(node.hears_cards(vec![usurper]).await, taken(0, 1));
        assert_eq!(node.destination("410503").unwrap_err().reason, Reason::PeerCardMissing);
        // Taken back.
        node.hears_cards(vec![card("410000", 2, &[])]).await;
        assert_eq!(node.destination("410522").unwrap(), area("410522"));
    }
}

#[tokio::test]
async fn nobody_writes_to_a_node_that_has_retired_or_from_one_that_is_about_to() {
    let net = Net::new();
    let node = net.node("410522");
    node.hears_cards(vec![net.card("410523", |card| card.retired = Some(now()))]).await;
    assert_eq!(node.destination("410523").unwrap_err().reason, Reason::AreaRetired);
    let retire = |at: Option<UnixMillis>| {
        node.directory.announce(move |row| {
            row.retiring = at;
            Ok(())
        })
    };
    node.hears_cards(vec![net.card("410526", |_| {})]).await;
    assert!(node.destination("410526").is_ok());
    retire(Some(now())).await.unwrap();
    assert_eq!(node.destination("410526").unwrap_err().reason, Reason::NodeRetiring);
    retire(None).await.unwrap();
    assert!(node.destination("410526").is_ok());
}

#[tokio::test]
async fn our_own_card_is_signed_anew_only_when_it_says_something_else() {
    let net = Net::new();
    let node = net.node("410000");
    node.directory.renew().await.unwrap();
    let first = node.directory.own_card().card();
    node.directory.renew().await.unwrap();
    let node = node.restart();
    node.directory.renew().await.unwrap();
    assert_eq!(node.directory.own_card().card(), first, "also after a restart");
    assert_eq!(first.ledger_head, None, "there is nothing in it");
    // A head alone makes no newer card.
    let entry = |unit: &mut Unit<'_>| unit.append_ledger(b"an entry");
    node.directory.0.parts.store.commit_blocking(entry).unwrap();
    let own = node.directory.own_card();
    assert!(!own.renew(now().saturating_add(Duration::from_secs(9 * 86_400))).unwrap());
    assert!(own.renew(now().saturating_add(Duration::from_secs(11 * 86_400))).unwrap());
    let in_an_hour = now().saturating_add(Duration::from_secs(3_600));
    let window = WindowRow { from: now(), until: in_an_hour, note: "升级".to_owned() };
    let change =
        AreaChangeRow { area: area("410522"), successors: vec![area("410523")], from: now() };
    node.directory
        .announce(move |row| {
            row.windows.push(window);
            row.area_changes.push(change);
            Ok(())
        })
        .await
        .unwrap();
    let second = node.directory.own_card().card();
    assert!(second.version > first.version);
    assert_eq!(second.ledger_head.map(|seen| seen.head.size), Some(1));
    assert_eq!(node.directory.own_card().maintenance_until(now()), Some(in_an_hour));
    // Our own word counts for us as well, and everybody can have it.
    assert_eq!(node.destination("410522").unwrap_err().reason, Reason::PeerCardMissing);
    let (cards, _, _) = node.tells("440000", &[]).await;
    assert_eq!(cards, [("410000".to_owned(), second.version)]);
    // A new certificate signs a new card.
    net.certify("410000");
    node.directory.0.parts.identity.reload(now()).unwrap();
    assert!(own.renew(now()).unwrap() && !own.renew(now()).unwrap());
    // What cannot stand in a card is not announced.
    let long = WindowRow { from: now(), until: in_an_hour, note: "x".repeat(101) };
    let refused = node.directory.announce(move |row| {
        row.windows.push(long);
        Ok(())
    });
    assert!(refused.await.is_err());
}

#[tokio::test]
async fn a_key_that_is_old_enough_is_superseded_by_itself() {
    let net = Net::new();
    let node = net.node("410522");
    node.directory.look_after_ourselves(Duration::from_secs(3_600)).await;
    assert_eq!(node.directory.own_card().card().sealing_keys.len(), 1);
    node.directory.look_after_ourselves(Duration::ZERO).await;
    assert_eq!(node.directory.own_card().card().sealing_keys.len(), 2);
    // The lists of its files are in its directory now, for those who have none.
    assert_eq!(node.directory.lists(now()).unwrap().len(), 2);
}

#[tokio::test]
async fn what_comes_to_its_end_is_told_in_time() {
    use store::letters::NoticeKind;

    let net = Net::new();
    let node = net.node("410522");
    node.hears_cards(vec![net.card("410523", |_| {})]).await;
    node.hears(of_the_other(&net)).await;
    let after = |days: u64| now().saturating_add(Duration::from_secs(days * 86_400));
    let alarms = |days: u64| node.directory.alarms(after(days));
    assert_eq!(alarms(0), []);
    // The card of the test holds for a day, a list for seven, and a certificate for ninety.
    assert_eq!(alarms(2), [NoticeKind::CardsOld]);
    let old = alarms(4);
    assert!(matches!(old[0], NoticeKind::ListOld { authority: Some(_), .. }), "{old:?}");
    assert!(alarms(61).iter().any(|alarm| matches!(alarm, NoticeKind::CertificateEnds { .. })));
    let store = &node.directory.0.parts.store;
    for _ in 0..2 {
        alarms::tell(store, alarms(4), now()).await.unwrap();
    }
    assert_eq!(crate::app::notices::open(store, 10).unwrap(), 2, "each is told once");
}

#[tokio::test]
async fn whoever_asks_starts_over_after_each_restore_also_from_one_backup() {
    let net = Net::new();
    let mut node = net.node("410522");
    node.directory.publish().await.unwrap();
    let mut cursor = bytes::Bytes::new();
    for seconds in [10, 20, 30] {
        // Its numbers begin again where the backup was made: what was told since is counted anew.
        let restored = now().saturating_add(Duration::from_secs(seconds));
        let origin = Some(OriginRow { backup: Some(now()), group: 7, restored });
        let row = RestoredRow { incarnation: 2, origin };
        let write = move |unit: &mut store::Unit<'_>| unit.put(&RESTORED, &(), &row);
        node.directory.0.parts.store.commit(write).await.unwrap();
        node = node.restart();
        let (cards, _, next) = node.tells("440000", &cursor).await;
        assert_eq!(cards.len(), 1, "its own card, once more: {seconds}");
        assert_eq!(node.tells("440000", &next).await.0, vec![]);
        cursor = next;
    }
}
