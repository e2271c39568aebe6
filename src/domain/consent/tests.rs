//! Tests of consents and requests.

use super::*;
use crate::text::Note;

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn author(on: &str) -> Author {
    Author {
        operator: "alice".parse().unwrap(),
        at: day(on).begins(),
        why: Note::new("本人到场办理").unwrap(),
    }
}

fn terms() -> ConsentTerms {
    ConsentTerms {
        scopes: [ConsentScope::Pregnancy].into(),
        recipient: "440305003".parse().unwrap(),
        given_on: day("2026-03-01"),
        valid_until: day("2026-12-31"),
        given: Given::InWriting,
    }
}

fn recorded(terms: ConsentTerms) -> Result<Consent, ConsentError> {
    let id = ConsentId::from_bytes([1; 16]);
    Consent::record(id, PersonId::from_bytes([2; 16]), terms, author("2026-03-02"))
}

#[test]
fn covers_what_it_says_and_nothing_else() {
    let consent = recorded(terms()).unwrap();
    let to = "440305".parse().unwrap();
    assert!(consent.covers(ConsentScope::Pregnancy, to, day("2026-03-01")));
    assert!(consent.covers(ConsentScope::Pregnancy, to, day("2026-12-31")));
    assert!(!consent.covers(ConsentScope::Contraception, to, day("2026-06-01")));
    assert!(!consent.covers(ConsentScope::Pregnancy, "440306".parse().unwrap(), day("2026-06-01")));
    assert!(!consent.covers(ConsentScope::Pregnancy, to, day("2026-02-28")));
    assert!(!consent.covers(ConsentScope::Pregnancy, to, day("2027-01-01")));
}

#[test]
fn withdrawal_ends_it_at_once_and_only_once() {
    let consent = recorded(terms()).unwrap();
    let withdrawal = Withdrawal { given: Given::InPerson, author: author("2026-04-01") };
    let withdrawn = consent.withdraw(withdrawal.clone()).unwrap();
    assert!(!withdrawn.covers(
        ConsentScope::Pregnancy,
        "440305".parse().unwrap(),
        day("2026-04-01")
    ));
    assert_eq!(withdrawn.withdrawn_at(), Some(day("2026-04-01").begins()));
    assert_eq!(withdrawn.withdraw(withdrawal), Err(ConsentError::AlreadyWithdrawn));
}

#[test]
fn terms_are_checked() {
    let change = |change: fn(&mut ConsentTerms)| {
        let mut terms = terms();
        change(&mut terms);
        recorded(terms).unwrap_err()
    };
    assert_eq!(change(|t| t.scopes.clear()), ConsentError::NoScope);
    assert_eq!(change(|t| t.given_on = "2026-03-03".parse().unwrap()), ConsentError::GivenInFuture);
    assert_eq!(change(|t| t.valid_until = "2026-02-01".parse().unwrap()), ConsentError::Period);
    assert_eq!(change(|t| t.valid_until = "2029-03-02".parse().unwrap()), ConsentError::Period);
}

#[test]
fn a_request_covers_its_own_service_for_a_year() {
    let request = ServiceRequestReference {
        request_id: RequestId::from_bytes([3; 16]),
        requested_on: day("2026-03-01"),
        service: Service::AntenatalCare,
    };
    assert!(request.covers(ConsentScope::Pregnancy, day("2026-03-01")));
    assert!(!request.covers(ConsentScope::Contraception, day("2026-03-01")));
    assert!(!request.covers(ConsentScope::Pregnancy, day("2026-02-28")));
    assert!(!request.covers(ConsentScope::Pregnancy, day("2027-03-02")));
}
