//! Cards come back as they went, and nonsense does not.

use exchange::card::InvalidCard;
use exchange::envelope::AlgorithmProfile;
use proptest::prelude::*;

use super::*;
use crate::arbitrary;

proptest! {
    #[test]
    fn a_card_comes_back(card in arbitrary::card()) {
        prop_assert_eq!(decode_card(&encode_card(&card)), Ok(card));
    }

    #[test]
    fn a_signed_card_comes_back(card in arbitrary::card(), signature in arbitrary::bytes(1..80), chain in arbitrary::chain(1)) {
        let signed = SignedCard { card_bytes: encode_card(&card).into(), signature, chain };
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
    }
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
}
