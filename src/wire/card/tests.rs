//! Cards come back as they went, and nonsense does not.

use exchange::card::CARD_ENDPOINT_BYTES_MAX;
use exchange::card::CARD_NAME_CHARS_MAX;
use exchange::card::InvalidCard;
use exchange::card::WINDOW_NOTE_CHARS_MAX;
use exchange::envelope::AlgorithmProfile;
use proptest::prelude::*;

use super::*;
use crate::arbitrary;

/// The latest time that is taken.
const LATE: UnixMillis = UnixMillis::new(253_402_300_799_999);

proptest! {
    #[test]
    fn a_card_comes_back(card in arbitrary::card()) {
        prop_assert_eq!(decode_card(&encode_card(&card)), Ok(card));
    }

    #[test]
    fn a_signed_card_comes_back(signed in arbitrary::signed_card()) {
        prop_assert_eq!(decode_signed_card(encode_signed_card(signed.clone()).into()), Ok(signed));
    }

    #[test]
    fn anything_can_be_offered(bytes in arbitrary::damaged(arbitrary::card().prop_map(|card| encode_card(&card)))) {
        if let Ok(card) = decode_card(&bytes) {
            prop_assert_eq!(decode_card(&encode_card(&card)), Ok(card));
        }
        if let Ok(signed) = decode_signed_card(bytes.into()) {
            prop_assert_eq!(decode_signed_card(encode_signed_card(signed.clone()).into()), Ok(signed));
        }
    }
}

fn sample() -> pb::exchange::NodeCard {
    pb::exchange::NodeCard {
        area: "410522".to_owned(),
        name: "office".to_owned(),
        endpoints: vec!["node.example:7443".to_owned()],
        sealing_keys: vec![
            pb::exchange::SealingKey { profile: 99, public_key: vec![1; 57], use_until_ms: 9 },
            pb::exchange::SealingKey { profile: 1, public_key: vec![2; 32], use_until_ms: 9 },
        ],
        version: 1,
        valid_from_ms: 1,
        valid_until_ms: 2,
        maintenance: Vec::new(),
        area_changes: Vec::new(),
        collects: false,
        retired_ms: 0,
        ledger_head: None,
        ledger_head_ms: 0,
    }
}

#[test]
fn the_largest_card_that_makes_sense_fits() {
    let area = |number: usize| format!("41{number:04}").parse().unwrap();
    let key = SealingKey {
        profile: AlgorithmProfile::International,
        public_key: [1; 32],
        use_until: LATE,
    };
    let window = MaintenanceWindow {
        from: UnixMillis::new(LATE.get() - 604_800_000),
        until: LATE,
        note: "护".repeat(WINDOW_NOTE_CHARS_MAX),
    };
    let change = |number: usize| AreaChange {
        area: area(number),
        successors: (0..SUCCESSORS_MAX).map(|more| area(5000 + more)).collect(),
        from: LATE,
    };
    let host = "x".repeat(CARD_ENDPOINT_BYTES_MAX - 5);
    let root = exchange::digest::Digest::new([7; 32]);
    let head = exchange::ledger::LedgerHead { size: u64::MAX, root };
    let card = NodeCard {
        area: "410000".parse().unwrap(),
        name: "省".repeat(CARD_NAME_CHARS_MAX),
        endpoints: vec![format!("{host}:7443").parse().unwrap(); CARD_ENDPOINTS_MAX],
        sealing_keys: vec![key; CARD_KEYS_MAX],
        version: u64::MAX,
        valid_from: UnixMillis::new(LATE.get() - 1),
        valid_until: LATE,
        maintenance: vec![window; CARD_WINDOWS_MAX],
        area_changes: (1..=CARD_CHANGES_MAX).map(change).collect(),
        collects: true,
        retired: Some(LATE),
        ledger_head: Some(SeenHead { head, signed: LATE }),
    };
    assert_eq!(card.check(), Ok(()));
    assert_eq!(decode_card(&encode_card(&card)), Ok(card));
}

#[test]
fn keys_of_a_newer_profile_are_left_out() {
    let card = decode_card(&sample().encode_to_vec()).unwrap();
    assert_eq!(card.sealing_keys.len(), 1);
    assert_eq!(card.sealing_keys[0].profile, AlgorithmProfile::International);
    let mut only_newer = sample();
    only_newer.sealing_keys.pop();
    let none = Err(Malformed::Card(InvalidCard::Keys { found: 0 }));
    assert_eq!(decode_card(&only_newer.encode_to_vec()), none);
}

#[test]
fn each_fault_names_its_field() {
    let fault = |change: fn(&mut pb::exchange::NodeCard)| {
        let mut card = sample();
        change(&mut card);
        decode_card(&card.encode_to_vec()).unwrap_err()
    };
    assert_eq!(fault(|c| c.area.clear()), Malformed::Missing { field: "card.area" });
    assert_eq!(
        fault(|c| c.sealing_keys[1].public_key = vec![1; 31]),
        Malformed::Length { field: "card.sealing_keys.public_key", expected: 32, found: 31 }
    );
    assert!(matches!(fault(|c| c.endpoints[0] = "x".to_owned()), Malformed::Endpoint(_)));
    assert!(matches!(
        fault(|c| c.endpoints = vec!["h:1".to_owned(); 9]),
        Malformed::TooMuch { field: "card.endpoints", .. }
    ));
    assert_eq!(fault(|c| c.valid_until_ms = 1), Malformed::Card(InvalidCard::Validity));
    assert_eq!(fault(|c| c.name = "x".repeat(101)), Malformed::Card(InvalidCard::Name));
    assert_eq!(
        fault(|c| c.maintenance = vec![Default::default()]),
        Malformed::Card(InvalidCard::Window)
    );
    let of_itself = |c: &mut pb::exchange::NodeCard| {
        let (area, successors) = ("410522".to_owned(), vec!["410523".to_owned()]);
        c.area_changes = vec![pb::exchange::AreaChange { area, successors, from_ms: 1 }];
    };
    let area = "410522".parse().unwrap();
    assert_eq!(fault(of_itself), Malformed::Card(InvalidCard::ChangedArea { area }));
}
