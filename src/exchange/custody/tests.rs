//! A word fits its parcel and its bearer, and words in order tell of one way.

use super::*;
use crate::samples;
use crate::samples::NOW;
use crate::samples::area;

fn parcel() -> ParcelManifest {
    samples::parcel_manifest(&[Digest::of(b"a")])
}

/// A word that `relay` had the parcel of 410522 for 330106 from `handed_by` and hands it to `next`.
fn word(handed_by: &str, relay: &str, next: &str) -> CustodyManifest {
    samples::custody_manifest(&parcel(), area(handed_by), area(relay), area(next))
}

#[test]
fn signing_input_is_the_hash_the_proto_file_describes() {
    let by_hand = Digest::of(b"liangdi/v1/custody\0manifest");
    assert_eq!(custody_signing_input(b"manifest"), by_hand.into_bytes());
}

#[test]
fn a_word_answers_the_parcel_that_was_handed_over_and_no_other() {
    let (own, relay) = (area("410522"), area("410000"));
    let good = word("410522", "410000", "330000");
    assert_eq!(good.check_answers(&parcel(), relay, own), Ok(()));
    let fault = |change: fn(&mut CustodyManifest)| {
        let mut word = good.clone();
        change(&mut word);
        word.check_answers(&parcel(), area("410000"), area("410522")).unwrap_err()
    };
    assert_eq!(fault(|w| w.parcel_id = ParcelId::from_bytes([9; 16])), CustodyFault::OtherParcel);
    assert_eq!(fault(|w| w.parcel_root = Digest::of(b"b")), CustodyFault::ParcelRoot);
    assert_eq!(fault(|w| w.from = area("110101")), CustodyFault::OtherAddress);
    assert_eq!(fault(|w| w.to = area("110101")), CustodyFault::OtherAddress);
    let (expected, found) = (relay, area("330000"));
    assert_eq!(fault(|w| w.relay = area("330000")), CustodyFault::Way);
    let elsewhere = word("410522", "330000", "330106");
    assert_eq!(
        elsewhere.check_answers(&parcel(), relay, own),
        Err(CustodyFault::Relay { expected, found })
    );
    let (expected, found) = (own, area("330000"));
    let handed = word("330000", "410000", "330106");
    assert_eq!(
        handed.check_answers(&parcel(), relay, own),
        Err(CustodyFault::HandedBy { expected, found })
    );
}

#[test]
fn a_word_that_cannot_be_is_not_believed_whoever_brings_it() {
    let senseless = |word: CustodyManifest| {
        assert_eq!(word.check_about(&parcel()), Err(CustodyFault::Way), "{word:?}");
    };
    // The sender or the recipient as a relay.
    senseless(word("410522", "330106", "330000"));
    senseless(word("410000", "410522", "330000"));
    // To itself, from itself, back, and from the recipient.
    senseless(word("410522", "410000", "410000"));
    senseless(word("410000", "410000", "330000"));
    senseless(word("330000", "410000", "330000"));
    senseless(word("330000", "410000", "410522"));
    senseless(word("330106", "410000", "330000"));
    let refused = CustodyOutcome::Refused { reason: Reason::NotForUs };
    let refused = CustodyManifest { outcome: refused, ..word("410522", "410000", "330000") };
    assert_eq!(refused.check_about(&parcel()), Ok(()));
    // The recipient does not take what a relay hands over.
    let (handed_by, relay) = (area("330000"), area("330106"));
    let refused = CustodyManifest { handed_by, relay, ..refused };
    assert_eq!(refused.check_about(&parcel()), Ok(()));
    senseless(CustodyManifest { relay: area("410522"), ..refused.clone() });
    senseless(CustodyManifest { handed_by: relay, relay: handed_by, ..refused });
}

#[test]
fn words_in_order_tell_of_one_way() {
    let way = |words: &[CustodyManifest]| check_way(words.iter(), &parcel());
    let (own, peers) = (word("410522", "410000", "330000"), word("410000", "330000", "330106"));
    assert_eq!(way(&[]), Ok(Way { last: area("410522"), next: None }));
    let once = Way { last: area("410000"), next: Some(area("330000")) };
    assert_eq!(way(std::slice::from_ref(&own)), Ok(once));
    let twice = Way { last: area("330000"), next: Some(area("330106")) };
    assert_eq!(way(&[own.clone(), peers.clone()]), Ok(twice));

    // A word is missing at the beginning, or the next is not the one that was named.
    let (expected, found) = (area("410522"), area("410000"));
    let fault = Err(CustodyFault::HandedBy { expected, found });
    assert_eq!(way(std::slice::from_ref(&peers)), fault);
    let (expected, found) = (area("330000"), area("330100"));
    let fault = Err(CustodyFault::Relay { expected, found });
    assert_eq!(way(&[own.clone(), word("410000", "330100", "330106")]), fault);
    // A relay that did not take it.
    let outcome = CustodyOutcome::Deferred { reason: Reason::Busy, until: NOW };
    let deferred = CustodyManifest { outcome, ..own.clone() };
    assert_eq!(way(&[deferred, peers.clone()]), Err(CustodyFault::NotHeld));
    // In a circle.
    let round = [
        word("410522", "410500", "410000"),
        word("410500", "410000", "330000"),
        word("410000", "330000", "410500"),
    ];
    assert_eq!(way(&round), Err(CustodyFault::Circle));
    let found = CUSTODY_WORDS_MAX + 1;
    assert_eq!(way(&vec![own; found]), Err(CustodyFault::TooMany { found }));
}

#[test]
fn words_that_came_back_in_any_order_tell_the_way() {
    let (own, peers) = (word("410522", "410000", "330000"), word("410000", "330000", "330106"));
    let refused = CustodyOutcome::Refused { reason: Reason::NotForUs };
    let no = CustodyManifest { outcome: refused, ..word("330000", "330106", "330000") };
    let other = CustodyManifest { parcel_root: Digest::of(b"x"), ..own.clone() };
    let way = |words: &[&CustodyManifest]| {
        let words: Vec<_> = words.iter().map(|word| (*word).clone()).collect();
        in_order_of_way(words, |word| word, &parcel())
    };
    assert_eq!(way(&[]), []);
    assert_eq!(way(&[&no, &peers, &other, &own]), [own.clone(), peers.clone()]);
    assert_eq!(way(&[&own, &own]), std::slice::from_ref(&own));
    // Without the first, nobody can tell how it came to the second.
    assert_eq!(way(&[&peers]), []);
    // A circle ends where it closes.
    let back = word("330000", "330100", "410000");
    let to_back = word("410000", "330000", "330100");
    assert_eq!(way(&[&own, &to_back, &back]), [own, to_back]);
}

#[test]
fn a_returned_word_is_named_by_its_manifest() {
    let word = CustodyReceipt {
        manifest_bytes: Bytes::from_static(b"manifest"),
        signature: Bytes::from_static(b"signature"),
        chain: Vec::new(),
    };
    assert_eq!(Returned::Custody(word).id(), Digest::of(b"manifest"));
}
