//! Tests of printed certificates: what they say, what they hide, and that no change passes.

use std::{sync::LazyLock, time::Instant};

use domain::{
    access::Role,
    hex::hex,
    person::{DocumentKind, IdentityDocument, MaritalStatus, PersonName},
    time::Date,
};
use proptest::prelude::*;

use super::*;
use crate::{
    authority::RevocationReason,
    crl::GRACE_DEFAULT,
    samples::{NOW, Net, area, days_later},
};

/// Made up for these tests.
const ID: &str = "410522199003078888";

fn document(number: &str) -> IdentityDocument {
    IdentityDocument::new(DocumentKind::ResidentId, number, true).unwrap()
}

/// Made once: it is slow on purpose.
static ID_CHECK: LazyLock<IdCheck> = LazyLock::new(|| IdCheck::new(&document(ID), [7; 16]));

fn claims() -> CredentialClaims {
    CredentialClaims {
        kind: CredentialKind::MarriageAndBirth,
        number: CertificateNumber::new(area("410522"), 2026, 123).unwrap(),
        holder: PersonName::parse("王小明").unwrap(),
        born: (1990, 3),
        id_check: *ID_CHECK,
        marital_status: Some(MaritalStatus::Married),
        children: Some(1),
        valid_from: Date::new(2026, 3, 1).unwrap(),
        valid_until: Date::new(2029, 2, 28).unwrap(),
        issued: NOW,
        list_date: Date::new(2026, 3, 1).unwrap(),
    }
}

fn empty() -> RevocationLists {
    RevocationLists::new(vec![], GRACE_DEFAULT)
}

#[test]
fn a_code_is_checked_with_the_root_alone_years_later() {
    let net = Net::new();
    let text = issue(&net.node("410522"), &claims()).unwrap();
    let checked = check(&text, &net.chains(empty())).unwrap();
    assert_eq!(checked.claims, claims());
    assert_eq!(checked.issuer, area("410522"));
    assert!(!checked.revocation_checked, "said, because no list was at hand");
    let with_lists = check(&text, &net.chains(net.lists(days_later(900)))).unwrap();
    assert!(with_lists.revocation_checked);
    assert_eq!(check(&format!(" {text}\n"), &net.chains(empty())).unwrap().claims, claims());
}

#[test]
fn a_code_fits_a_readable_qr_code() {
    let net = Net::new();
    let mut longest = claims();
    longest.holder = PersonName::parse(&"欧".repeat(50)).unwrap();
    for (claims, chars_max) in [(claims(), 1_600), (longest, 1_900)] {
        let text = issue(&net.node("410522"), &claims).unwrap();
        assert!(text.len() <= chars_max, "{} characters", text.len());
        // QR codes have a compact mode for exactly these characters.
        assert!(text.bytes().all(|byte| {
            byte.is_ascii_uppercase() || byte.is_ascii_digit() || b" $%*+-./:".contains(&byte)
        }));
    }
}

#[test]
fn what_it_hides_is_not_in_it() {
    let net = Net::new();
    let text = issue(&net.node("410522"), &claims()).unwrap();
    let content = unpack(&text).unwrap();
    let holds = |needle: &str| content.windows(needle.len()).any(|part| part == needle.as_bytes());
    assert!(holds("王小明"));
    for secret in [ID, &ID[6..14], &ID[12..]] {
        assert!(!holds(secret), "{secret}");
    }
    let printed = format!("{:?}", claims());
    assert!(!printed.contains("王小明") && printed.contains("IdCheck(..)"), "{printed}");
}

#[test]
fn questions_are_answered_with_yes_or_no() {
    let claims = claims();
    let day = |year, month, day| Question::ValidOn(Date::new(year, month, day).unwrap());
    assert_eq!(claims.answer(&day(2026, 3, 1)), Some(true));
    assert_eq!(claims.answer(&day(2029, 2, 28)), Some(true));
    assert_eq!(claims.answer(&day(2029, 3, 1)), Some(false));
    assert_eq!(claims.answer(&day(2026, 2, 28)), Some(false));
    assert_eq!(claims.answer(&Question::Married), Some(true));
    assert_eq!(claims.answer(&Question::HasChildren), Some(true));
    assert_eq!(claims.answer(&Question::HeldBy(document(ID))), Some(true));
    let other = document("410522199003078889");
    assert_eq!(claims.answer(&Question::HeldBy(other)), Some(false));
    let passport = IdentityDocument::new(DocumentKind::Passport, ID, false).unwrap();
    assert_eq!(claims.answer(&Question::HeldBy(passport)), Some(false));
}

#[test]
fn comparing_a_number_is_slow_on_purpose_but_not_for_one() {
    let check = IdCheck::new(&document(ID), [1; 16]);
    let begun = Instant::now();
    assert!(check.fits(&document(ID)));
    assert!(begun.elapsed().as_millis() >= 2, "too cheap to try all numbers");
    assert_ne!(check, IdCheck::new(&document(ID), [2; 16]));
}

#[test]
fn a_service_card_says_less() {
    let net = Net::new();
    let card = CredentialClaims {
        kind: CredentialKind::ServiceCard,
        marital_status: None,
        children: None,
        ..claims()
    };
    let text = issue(&net.node("410522"), &card).unwrap();
    let checked = check(&text, &net.chains(empty())).unwrap();
    assert_eq!(checked.claims, card);
    assert_eq!(checked.claims.answer(&Question::Married), None);
    assert_eq!(checked.claims.answer(&Question::HasChildren), None);
}

#[test]
fn only_the_node_of_the_county_in_the_number_issues() {
    let net = Net::new();
    let other = issue(&net.node("410523"), &claims()).unwrap_err();
    assert!(matches!(other, IssueError::OtherArea { .. }), "{other}");
    let alice = net.operator("alice", "410522", Role::Administrator);
    assert!(matches!(issue(&alice, &claims()), Err(IssueError::NotANode)));
    // A node that leaves the check out is caught by whoever looks at the code.
    let payload = claims().to_cbor().unwrap();
    let signed = cose::sign(&net.node("410523"), payload.clone()).unwrap();
    assert_eq!(check(&pack(&signed), &net.chains(empty())).unwrap_err(), Invalid::OtherArea);
    let signed = cose::sign(&alice, payload).unwrap();
    let refused = check(&pack(&signed), &net.chains(empty())).unwrap_err();
    assert_eq!(refused, Invalid::Issuer(Refused::OperatorNotNode));
}

fn pack(signed: &[u8]) -> String {
    let packed = miniz_oxide::deflate::compress_to_vec(signed, 10);
    format!("{PREFIX}{}", base45::encode(packed))
}

#[test]
fn forgeries_are_refused_for_their_reason() {
    let net = Net::new();
    let node = net.node("410522");
    let text = issue(&node, &claims()).unwrap();
    let chains = net.chains(empty());
    let why = |text: &str| check(text, &chains).unwrap_err();
    assert_eq!(why("HC1:6BF"), Invalid::NotACode);
    assert_eq!(why(""), Invalid::NotACode);
    assert_eq!(why(PREFIX), Invalid::Malformed);
    assert_eq!(why(&text[..text.len() - 40]), Invalid::Malformed);
    assert_eq!(why(&format!("{PREFIX}{}", "A".repeat(TEXT_CHARS_MAX))), Invalid::Malformed);
    let bomb = pack(&vec![0; 10 * CONTENT_BYTES_MAX]);
    assert_eq!(why(&bomb), Invalid::Malformed);

    let mut changed = claims();
    changed.children = Some(0);
    let content = unpack(&text).unwrap();
    let (old, new) = (claims().to_cbor().unwrap(), changed.to_cbor().unwrap());
    let at = content.windows(old.len()).position(|part| part == old).unwrap();
    let forged = [&content[..at], &new, &content[at + old.len()..]].concat();
    assert_eq!(why(&pack(&forged)), Invalid::SignatureInvalid);

    let stranger = issue(&Net::new().node("410522"), &claims()).unwrap();
    assert_eq!(why(&stranger), Invalid::Issuer(Refused::WrongAuthority));
    let late = CredentialClaims { issued: days_later(91), ..claims() };
    let late = issue(&node, &late).unwrap();
    assert_eq!(why(&late), Invalid::Issuer(Refused::Expired));
}

#[test]
fn a_key_known_to_be_in_other_hands_issues_nothing() {
    let net = Net::new();
    let node = net.node("410522");
    let before = issue(&node, &claims()).unwrap();
    let after = issue(&node, &CredentialClaims { issued: days_later(10), ..claims() }).unwrap();
    let reason = RevocationReason::KeyCompromise;
    net.henan.revoke(&hex(&node.leaf().serial), reason, days_later(5)).unwrap();
    let chains = net.chains(net.lists(days_later(400)));
    assert!(check(&before, &chains).is_ok());
    let refused = check(&after, &chains).unwrap_err();
    assert_eq!(refused, Invalid::Issuer(Refused::Revoked));
}

#[test]
fn a_chain_left_out_is_found_in_a_directory() {
    let net = Net::new();
    let node = net.node("410522");
    let signed = cose::sign_without_chain(&node, claims().to_cbor().unwrap()).unwrap();
    let text = pack(&signed);
    assert!(text.len() < 700, "{} characters", text.len());
    let chains = net.chains(empty());
    assert_eq!(check(&text, &chains).unwrap_err(), Invalid::IssuerUnknown);
    let other = net.node("410522");
    let wrong = check_with(&text, &chains, |_| Some(other.chain().to_vec())).unwrap_err();
    assert_eq!(wrong, Invalid::IssuerUnknown);
    let found = check_with(&text, &chains, |leaf| {
        (*leaf == node.leaf_fingerprint()).then(|| node.chain().to_vec())
    });
    assert_eq!(found.unwrap().claims, claims());
}

#[test]
fn the_list_it_was_checked_against_is_that_of_its_own_ca() {
    let net = Net::new();
    let node = net.node("410522");
    assert_eq!(list_date(&node, &net.lists(days_later(2))), Some(days_later(2)));
    assert_eq!(list_date(&node, &empty()), None);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "LD1:[0-9A-Z $%*+./:-]{0,300}") {
        let net = NET.with(|net| net.chains(empty()));
        prop_assert!(check(&text, &net).is_err());
    }

    #[test]
    fn no_changed_byte_passes(at in 0..2_000_usize, bit in 0..8_u32) {
        let chains = NET.with(|net| net.chains(empty()));
        let mut content = CONTENT.with(Vec::clone);
        let at = at % content.len();
        content[at] ^= 1 << bit;
        if let Ok(checked) = check(&pack(&content), &chains) {
            // The tag of COSE and the unprotected header say nothing that counts.
            prop_assert_eq!(checked.claims, claims());
        }
    }
}

thread_local! {
    static NET: Net = Net::new();
    static CONTENT: Vec<u8> = NET.with(|net| {
        unpack(&issue(&net.node("410522"), &claims()).unwrap()).unwrap()
    });
}
