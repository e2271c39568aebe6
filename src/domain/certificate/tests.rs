//! Tests of certificates: legal steps, validity, replacement.

use super::*;
use crate::text::Note;
use proptest::prelude::*;

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn owner() -> AreaCode {
    "410522".parse().unwrap()
}

fn number(serial: u32) -> CertificateNumber {
    CertificateNumber::new(owner(), 2026, serial).unwrap()
}

fn author(on: Date) -> Author {
    Author {
        operator: "bob".parse().unwrap(),
        at: on.begins(),
        why: Note::new("本人申请").unwrap(),
    }
}

fn edit(seen: u32, on: &str) -> Edit {
    Edit { seen: Version::new(seen), area: owner(), author: author(day(on)) }
}

fn facts() -> CertificateFacts {
    let id = crate::person::ResidentId::parse("11010519491231002X").unwrap();
    let name = PersonName::parse("王丽").unwrap();
    CertificateFacts::of(&PersonDetails::from_resident_id(id, false, name).unwrap())
}

fn issued() -> Certificate {
    let person = PersonId::from_bytes([2; 16]);
    Certificate::issue(number(1), person, owner(), facts(), author(day("2026-03-01"))).unwrap()
}

fn why() -> WrittenReason {
    WrittenReason::new("签发时姓名有误").unwrap()
}

#[test]
fn is_valid_for_three_years() {
    let certificate = issued();
    assert_eq!(certificate.current().valid_until, day("2029-02-28"));
    assert_eq!(certificate.state_on(day("2029-02-28")), CertificateState::Valid);
    assert_eq!(certificate.state_on(day("2029-03-01")), CertificateState::Expired);
}

#[test]
fn renews_until_its_last_day_and_not_after() {
    let renewed = issued().renew(edit(1, "2029-02-28")).unwrap();
    assert_eq!(renewed.current().valid_until, day("2032-02-27"));
    assert_eq!(renewed.current().valid_from, day("2026-03-01"));
    assert_eq!(issued().renew(edit(1, "2029-03-01")), Err(CertificateError::Expired));
}

#[test]
fn a_replacement_points_both_ways() {
    for (cause, until) in [
        (ReplacementCause::Lost, "2029-02-28"),
        (ReplacementCause::Damaged, "2029-02-28"),
        (ReplacementCause::Changed, "2030-04-30"),
    ] {
        let Replacement { old, new } =
            issued().replace(edit(1, "2027-05-01"), number(2), cause, facts()).unwrap();
        assert_eq!(old.state_on(day("2027-05-01")), CertificateState::Replaced);
        assert!(matches!(old.current().standing, Standing::Replaced { by, .. } if by == number(2)));
        assert_eq!(new.replaces(), Some(number(1)));
        assert_eq!(new.current().valid_until, day(until), "{cause:?}");
        assert_eq!((new.version(), old.version()), (Version::FIRST, Version::new(2)));
        assert_eq!(old.renew(edit(2, "2027-05-02")), Err(CertificateError::Replaced));
    }
}

#[test]
fn refuses_what_makes_no_sense() {
    let lost = ReplacementCause::Lost;
    let same = issued().replace(edit(1, "2027-05-01"), number(1), lost, facts());
    assert_eq!(same, Err(CertificateError::SameNumber));
    let foreign = CertificateNumber::new("440305".parse().unwrap(), 2026, 1).unwrap();
    let other = issued().replace(edit(1, "2027-05-01"), foreign, lost, facts());
    assert_eq!(other, Err(CertificateError::ForeignNumber));
    let person = PersonId::from_bytes([2; 16]);
    let issue = Certificate::issue(foreign, person, owner(), facts(), author(day("2026-03-01")));
    assert_eq!(issue, Err(CertificateError::ForeignNumber));
    let residence = Edit { area: "440305".parse().unwrap(), ..edit(1, "2027-05-01") };
    assert!(matches!(
        issued().renew(residence),
        Err(CertificateError::Edit(EditError::NotOwner { .. }))
    ));
    let stale = issued().renew(edit(0, "2027-05-01"));
    assert!(matches!(stale, Err(CertificateError::Edit(EditError::Stale(_)))));
}

#[test]
fn a_revocation_is_final_and_says_why() {
    let revoked =
        issued().revoke(edit(1, "2026-04-01"), RevocationCause::IssuedInError, why()).unwrap();
    assert_eq!(revoked.state_on(day("2030-01-01")), CertificateState::Revoked);
    let cause = RevocationCause::AtHoldersWish;
    assert_eq!(revoked.revoke(edit(2, "2026-05-01"), cause, why()), Err(CertificateError::Revoked));
    assert_eq!(revoked.renew(edit(2, "2026-05-01")), Err(CertificateError::Revoked));
}

#[test]
fn compact_bytes_bring_it_back() {
    let certificate = issued();
    let bytes = postcard::to_stdvec(&certificate).unwrap();
    assert_eq!(postcard::from_bytes::<Certificate>(&bytes).unwrap(), certificate);
    assert!(
        serde_json::to_string(&certificate).is_err(),
        "personal data stays out of readable formats"
    );
    let shown = format!("{certificate:?}");
    assert!(!shown.contains("王丽") && !shown.contains("19491231"), "{shown}");
    assert!(!shown.contains("1949-12-31"), "{shown}");
}

proptest! {
    /// Whatever is tried: a standing once left never comes back, and validity never shrinks.
    #[test]
    fn steps_keep_the_invariants(steps in prop::collection::vec((0u8..3, 0i32..400), 0..20)) {
        let mut certificate = issued();
        let mut today = day("2026-03-01");
        for (serial, (step, days)) in (2u32..).zip(steps) {
            today = today.plus_days(days);
            let edit = Edit { seen: certificate.version(), area: owner(), author: author(today) };
            let before = certificate.state_on(today);
            let next = match step {
                0 => certificate.renew(edit),
                1 => certificate.replace(edit, number(serial), ReplacementCause::Changed, facts()).map(|both| both.old),
                _ => certificate.revoke(edit, RevocationCause::AtHoldersWish, why()),
            };
            match next {
                Ok(next) => {
                    prop_assert!(matches!(before, CertificateState::Valid | CertificateState::Expired));
                    prop_assert!(next.current().valid_until >= certificate.current().valid_until);
                    certificate = next;
                }
                Err(_) => prop_assert_ne!(before, CertificateState::Valid),
            }
        }
    }
}
