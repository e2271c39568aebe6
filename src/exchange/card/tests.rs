//! Each fault of a card has a name, and what a card says of times is read one way.

use super::*;
use crate::samples;
use crate::samples::NOW;

fn key(first: u8, use_until: u64) -> SealingKey {
    SealingKey {
        profile: AlgorithmProfile::International,
        public_key: [first; 32],
        use_until: UnixMillis::new(NOW.get() + use_until),
    }
}

fn card() -> NodeCard {
    NodeCard {
        area: samples::area("410522"),
        name: "安阳县卫生健康委员会".to_owned(),
        endpoints: vec!["node.example:7443".parse().unwrap()],
        sealing_keys: vec![key(1, 10), key(2, 20)],
        version: 3,
        valid_from: NOW,
        valid_until: UnixMillis::new(NOW.get() + 100),
        maintenance: Vec::new(),
        area_changes: Vec::new(),
        collects: false,
        retired: None,
        ledger_head: None,
    }
}

#[test]
fn each_fault_of_a_card_has_a_name() {
    assert_eq!(card().check(), Ok(()));
    assert_eq!(NodeCard { name: String::new(), ..card() }.check(), Err(InvalidCard::Name));
    assert_eq!(NodeCard { name: "a\nb".into(), ..card() }.check(), Err(InvalidCard::Name));
    let endpoints = vec!["h:1".parse().unwrap(); 9];
    let found = 9;
    assert_eq!(NodeCard { endpoints, ..card() }.check(), Err(InvalidCard::Endpoints { found }));
    let found = 0;
    assert_eq!(
        NodeCard { sealing_keys: vec![], ..card() }.check(),
        Err(InvalidCard::Keys { found })
    );
    assert_eq!(NodeCard { valid_until: NOW, ..card() }.check(), Err(InvalidCard::Validity));
}

#[test]
fn the_first_usable_key_seals() {
    let at = |millis: u64| {
        let now = UnixMillis::new(NOW.get() + millis);
        let card = card();
        card.sealing_key_at(now, AlgorithmProfile::International).map(|key| key.public_key[0])
    };
    assert_eq!([at(9), at(10), at(20)], [Some(1), Some(2), None]);
    assert_eq!(card().sealing_key_at(NOW, AlgorithmProfile::Shangmi), None);
    assert_eq!(key(1, 1).key_id(), Digest::of(&[1; 32]).as_bytes()[..8]);
}

#[test]
fn validity_and_version_order_cards() {
    let later = |millis: u64| UnixMillis::new(NOW.get() + millis);
    assert!(card().holds_at(NOW) && card().holds_at(later(99)) && !card().holds_at(later(100)));
    let newer = NodeCard { version: 4, ..card() };
    assert!(newer.replaces(&card()) && !card().replaces(&newer) && !card().replaces(&card()));
    assert!(!NodeCard { area: samples::area("330106"), ..newer }.replaces(&card()));
}

#[test]
fn endpoints_are_host_and_port() {
    for good in ["a.b-c.example:7443", "10.0.0.1:1", "[2001:db8::1]:65535"] {
        assert_eq!(good.parse::<Endpoint>().unwrap().as_str(), good);
    }
    let endpoint: Endpoint = "[2001:db8::1]:7443".parse().unwrap();
    assert_eq!((endpoint.host(), endpoint.port()), ("2001:db8::1", 7443));
    for bad in [
        "",
        "host",
        ":1",
        "host:",
        "host:0",
        "host:65536",
        "host:+1",
        "h st:1",
        "h/x:1",
        "2001:db8::1:1",
        "[x]:1",
    ] {
        assert_eq!(bad.parse::<Endpoint>(), Err(InvalidEndpoint), "{bad}");
    }
}

fn window(from: u64, until: u64) -> MaintenanceWindow {
    let at = |seconds: u64| UnixMillis::new(NOW.get() + 1000 * seconds);
    MaintenanceWindow { from: at(from), until: at(until), note: "升级".to_owned() }
}

#[test]
fn maintenance_ends_and_has_a_short_note() {
    let fault = |windows: Vec<MaintenanceWindow>| {
        NodeCard { maintenance: windows, ..card() }.check().unwrap_err()
    };
    let week = 7 * 86_400;
    assert_eq!(NodeCard { maintenance: vec![window(5, 5 + week)], ..card() }.check(), Ok(()));
    assert_eq!(fault(vec![window(5, 6 + week)]), InvalidCard::Window);
    assert_eq!(fault(vec![window(5, 5)]), InvalidCard::Window);
    let note = "x".repeat(101);
    assert_eq!(fault(vec![MaintenanceWindow { note, ..window(1, 2) }]), InvalidCard::WindowNote);
    let note = "a\u{7}".to_owned();
    assert_eq!(fault(vec![MaintenanceWindow { note, ..window(1, 2) }]), InvalidCard::WindowNote);
    assert_eq!(fault(vec![window(1, 2); 9]), InvalidCard::Windows { found: 9 });
}

#[test]
fn windows_that_touch_are_one() {
    let maintenance = vec![window(40, 50), window(10, 20), window(20, 30), window(15, 18)];
    let card = NodeCard { maintenance, ..card() };
    let until = |second: u64| {
        let end = card.maintenance_at(UnixMillis::new(NOW.get() + 1000 * second));
        end.map(|end| (end.get() - NOW.get()) / 1000)
    };
    let ends = [9, 10, 16, 20, 29, 30, 40, 50].map(until);
    assert_eq!(ends, [None, Some(30), Some(30), Some(30), Some(30), None, Some(50), None]);
}

#[test]
fn only_an_area_above_tells_what_became_of_another() {
    let area = samples::area;
    let change = |ended: &str, successors: &[&str]| AreaChange {
        area: area(ended),
        successors: successors.iter().map(|code| area(code)).collect(),
        from: NOW,
    };
    let check = |by: &str, changes: Vec<AreaChange>| {
        NodeCard { area: area(by), area_changes: changes, ..card() }.check()
    };
    assert_eq!(check("410000", vec![change("410522", &["410523"])]), Ok(()));
    assert_eq!(check("410500", vec![change("410522", &["330106", "410523"])]), Ok(()));
    let foreign = |code: &str| Err(InvalidCard::ChangedArea { area: area(code) });
    assert_eq!(check("410000", vec![change("330106", &["410523"])]), foreign("330106"));
    assert_eq!(check("410000", vec![change("410000", &["410523"])]), foreign("410000"));
    assert_eq!(check("410522", vec![change("410523", &["410522"])]), foreign("410523"));
    assert_eq!(check("410000", vec![change("410522", &["410523"]); 2]), foreign("410522"));
    let successors = Err(InvalidCard::Successors { area: area("410522") });
    assert_eq!(check("410000", vec![change("410522", &[])]), successors);
    assert_eq!(check("410000", vec![change("410522", &["410522"])]), successors);
    assert_eq!(check("410000", vec![change("410522", &["410523", "410523"])]), successors);
    let many = vec![change("410522", &["410523"]); 65];
    assert_eq!(check("410000", many), Err(InvalidCard::Changes { found: 65 }));
}

#[test]
fn a_retired_office_is_retired_from_its_day_on() {
    let card = NodeCard { retired: Some(UnixMillis::new(NOW.get() + 5)), ..card() };
    let at = |millis: u64| card.retired_at(UnixMillis::new(NOW.get() + millis));
    assert_eq!([at(4), at(5), at(6)], [false, true, true]);
}
