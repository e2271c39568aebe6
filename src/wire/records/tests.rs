//! Tests of the conversion of records: what was written comes back, and every fault of a form is found.

use domain::certificate::{Certificate, CertificateFacts, RevocationCause};
use domain::consent::{Consent, ConsentTerms, Given};
use domain::id::{CertificateNumber, ConsentId, PersonId, RegistrationId};
use domain::person::{Person, PersonDetails};
use domain::purpose::Purpose;
use domain::record::{Author, Edit, Version};
use domain::registration::{Registration, RegistrationDetails};
use domain::rule::{Finding, Rule};
use domain::synthetic::People;
use domain::text::{Note, WrittenReason};
use domain::time::{Date, UnixMillis};
use proptest::prelude::*;

use super::*;
use crate::pb::{message, office};

const WHY: Purpose = Purpose::ResidenceRegistration;
/// 2026-03-01T00:00:00Z.
const NOW: UnixMillis = UnixMillis::new(1_772_323_200_000);

fn author() -> Author {
    let why = Note::new("登记").unwrap();
    Author { operator: "alice".parse().unwrap(), at: NOW, why }
}

fn edit(seen: u32) -> Edit {
    Edit { seen: Version::new(seen), area: "440305".parse().unwrap(), author: author() }
}

fn details(seed: u64) -> PersonDetails {
    let counties = vec!["410522".parse().unwrap()];
    People::new(seed, counties, NOW.date()).next().unwrap()
}

fn person(seed: u64) -> Person {
    let id = PersonId::from_bytes([1; 16]);
    Person::new(id, "440305".parse().unwrap(), details(seed), author()).unwrap()
}

fn stay() -> RegistrationDetails {
    RegistrationDetails {
        arrived_on: "2026-02-20".parse().unwrap(),
        residence_area: "440305003".parse().unwrap(),
        address: Note::optional("科技园路1号").unwrap(),
        origin_area: "410522".parse().unwrap(),
        reason: Some(domain::message::ResidenceReason::Family),
        certificate: CertificateNumber::new("410522".parse().unwrap(), 2026, 7).ok(),
    }
}

fn arrived() -> Registration {
    let (id, person) = (RegistrationId::from_bytes([3; 16]), PersonId::from_bytes([1; 16]));
    Registration::arrive(id, person, "440305".parse().unwrap(), stay(), author()).unwrap()
}

/// What a form says of one part of a request.
fn told<T>(read: impl FnOnce(&mut Form) -> Option<T>) -> Vec<(Rule, String)> {
    let mut form = Form::new();
    let read = read(&mut form);
    let findings = form.finish(read).err().unwrap_or_default();
    findings.into_iter().map(|Finding { rule, field }| (rule, field.into_owned())).collect()
}

#[test]
fn a_person_comes_back_as_she_was_written() {
    for seed in 0..200 {
        let written = person_to_pb(&person(seed), WHY);
        assert_eq!(written.change.as_ref().unwrap().version, 1);
        let mut form = Form::new();
        let read = form.person("person", Some(written));
        let read = form.finish(read).unwrap();
        let mut expected = details(seed);
        // The document of a spouse stays with the office that saw it.
        expected.spouse =
            expected.spouse.map(|spouse| domain::person::Spouse { document: None, ..spouse });
        assert_eq!(read, expected);
    }
}

#[test]
fn a_resident_id_says_sex_and_birth_by_itself() {
    let mut written = person_to_pb(&person(1), WHY);
    (written.sex, written.born_on) = (0, String::new());
    let mut form = Form::new();
    let read = form.person("person", Some(written)).unwrap();
    assert_eq!((read.sex, read.birth_date), (details(1).sex, details(1).birth_date));

    let mut passport = person_to_pb(&person(1), WHY);
    let kind = i32::from(domain::person::DocumentKind::Passport.number());
    let number = "E12345678".to_owned();
    passport.document = Some(message::IdentityDocument { kind, number, check_confirmed: false });
    passport.born_on = String::new();
    let found = told(|form| form.person("person", Some(passport)));
    assert_eq!(found, [(Rule::FieldRequired, "person.born_on".to_owned())]);
}

#[test]
fn every_fault_of_a_person_is_found_at_once() {
    let wrong = office::Person {
        document: Some(message::IdentityDocument {
            kind: 1,
            number: "41052219900307888".to_owned(),
            check_confirmed: false,
        }),
        name: " ".to_owned(),
        sex: 7,
        born_on: "1990-02-30".to_owned(),
        marital_status: 11,
        married_on: "2015-5-1".to_owned(),
        children_born_on: vec!["2016-06-01".to_owned(), "soon".to_owned()],
        spouse_name: "a\u{202e}b".to_owned(),
        ..office::Person::default()
    };
    let found = told(|form| form.person("person", Some(wrong)));
    let expected = [
        (Rule::ResidentIdLength, "person.document.number"),
        (Rule::FieldRequired, "person.name"),
        (Rule::NoSuchChoice, "person.sex"),
        (Rule::DateExists, "person.born_on"),
        (Rule::NoSuchChoice, "person.marital_status"),
        (Rule::ControlCharacters, "person.spouse_name"),
        (Rule::DateFormat, "person.married_on"),
        (Rule::DateFormat, "person.children_born_on[1]"),
    ];
    assert_eq!(found, expected.map(|(rule, field)| (rule, field.to_owned())));
}

#[test]
fn what_is_missing_or_too_much_is_named() {
    let field = |found: Vec<(Rule, String)>| found;
    assert_eq!(
        field(told(|form| form.person("person", None))),
        [(Rule::FieldRequired, "person".to_owned())]
    );
    let mut many = person_to_pb(&person(1), WHY);
    many.children_born_on = vec!["2016-06-01".to_owned(); 21];
    let found = told(|form| form.person("person", Some(many)));
    assert_eq!(found, [(Rule::ChildrenTooMany, "person.children_born_on".to_owned())]);
    let mut alone = person_to_pb(&person(1), WHY);
    (alone.spouse_name, alone.married_on) = (String::new(), "2015-05-01".to_owned());
    let found = told(|form| form.person("person", Some(alone)));
    assert_eq!(found, [(Rule::FieldRequired, "person.spouse_name".to_owned())]);
    let scopes = office::Consent { scopes: vec![1; LIST_MAX + 1], ..office::Consent::default() };
    let found = told(|form| form.consent("consent", Some(scopes)));
    assert!(found.iter().any(|(_, field)| field == "consent.scopes"), "{found:?}");
}

#[test]
fn a_registration_comes_back_and_keeps_its_history() {
    let registration = arrived();
    let written = registration_to_pb(&registration, WHY);
    assert_eq!(written.state(), office::RegistrationState::Present);
    assert_eq!(written.since, "2026-02-20");
    let mut form = Form::new();
    let read = form.registration("registration", Some(written));
    assert_eq!(form.finish(read).unwrap(), stay());

    let left: Date = NOW.date();
    let moved = registration.move_on(edit(1), left, "330106".parse().unwrap()).unwrap();
    let versions = registration_versions_to_pb(&moved, WHY);
    assert_eq!(versions.len(), 2);
    assert_eq!(versions[0], registration_to_pb(&moved, WHY), "newest first");
    assert_eq!(versions[0].state(), office::RegistrationState::MovedOn);
    assert_eq!(
        (versions[0].since.as_str(), versions[0].destination_area.as_str()),
        ("2026-03-01", "330106")
    );
    assert_eq!(versions[1].state(), office::RegistrationState::Present);
    let numbers: Vec<_> = versions.iter().map(|v| v.change.as_ref().unwrap().version).collect();
    assert_eq!(numbers, [2, 1]);
}

#[test]
fn an_area_has_to_be_in_the_table() {
    let mut wrong = registration_to_pb(&arrived(), WHY);
    wrong.origin_area = "999999".to_owned();
    wrong.residence_area = "4403".to_owned();
    let found = told(|form| form.registration("registration", Some(wrong)));
    let expected = [
        (Rule::AreaUnknown, "registration.origin_area".to_owned()),
        (Rule::AreaCode, "registration.residence_area".to_owned()),
    ];
    assert_eq!(found, expected);
    assert!(Form::new().area("x", "440305003001").is_some(), "below the county the digits count");
}

#[test]
fn a_certificate_says_where_it_stands() {
    let county = "440305".parse().unwrap();
    let number = CertificateNumber::new(county, 2026, 1).unwrap();
    let facts = CertificateFacts::of(&details(1));
    let holder = PersonId::from_bytes([1; 16]);
    let issued = Certificate::issue(number, holder, county, facts, author()).unwrap();
    let today = certificate_to_pb(&issued, NOW.date(), WHY);
    assert_eq!(today.state(), message::CertificateState::Valid);
    assert_eq!(
        (today.issued_on.as_str(), today.valid_until.as_str()),
        ("2026-03-01", "2029-02-28")
    );
    let after = certificate_to_pb(&issued, "2029-03-01".parse().unwrap(), WHY);
    assert_eq!(after.state(), message::CertificateState::Expired);
    let reason = WrittenReason::new("签发有误").unwrap();
    let gone = issued.revoke(edit(1), RevocationCause::IssuedInError, reason).unwrap();
    let versions = certificate_versions_to_pb(&gone, NOW.date(), WHY);
    assert_eq!(versions[0].state(), message::CertificateState::Revoked);
    assert_eq!(versions[0].revocation_reason, "签发有误");
    assert_eq!(versions[1], today);
}

#[test]
fn a_consent_comes_back_and_shows_its_withdrawal() {
    let terms = ConsentTerms {
        scopes: [domain::consent::ConsentScope::Contraception].into(),
        recipient: "410522".parse().unwrap(),
        given_on: NOW.date(),
        valid_until: NOW.date().plus_years(1),
        given: Given::InWriting,
    };
    let ids = (ConsentId::from_bytes([4; 16]), PersonId::from_bytes([1; 16]));
    let consent = Consent::record(ids.0, ids.1, terms.clone(), author()).unwrap();
    let written = consent_to_pb(&consent, WHY);
    assert_eq!(written.withdrawn_ms, 0);
    let mut form = Form::new();
    let read = form.consent("consent", Some(written));
    assert_eq!(form.finish(read).unwrap(), terms);
    let withdrawal = domain::consent::Withdrawal { given: Given::Online, author: author() };
    let gone = consent_to_pb(&consent.withdraw(withdrawal).unwrap(), WHY);
    assert_eq!((gone.withdrawn_ms, gone.change.unwrap().version), (NOW.get(), 2));
}

#[test]
fn an_access_is_read_and_a_value_of_no_list_is_a_fault() {
    let mut form = Form::new();
    let access = office::Access { basis: 1, purpose: 2 };
    let (basis, purpose) = form.access(Some(access));
    assert!(basis.is_some() && purpose.is_some());
    assert_eq!(Form::new().access(None), (None, None));
    let access = office::Access { basis: 99, purpose: -1 };
    let found = told(|form| {
        form.access(Some(access));
        Some(())
    });
    let expected = [
        (Rule::NoSuchChoice, "access.basis".to_owned()),
        (Rule::NoSuchChoice, "access.purpose".to_owned()),
    ];
    assert_eq!(found, expected);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_or_gets_through_half(
        texts in prop::collection::vec(".{0,80}", 6),
        numbers in prop::collection::vec(any::<i32>(), 4),
    ) {
        let [number, name, born_on, married_on, child, spouse_name] = texts.try_into().unwrap();
        let [kind, sex, marital_status, _] = numbers.try_into().unwrap();
        let document = message::IdentityDocument { kind, number, check_confirmed: true };
        let person = office::Person {
            document: Some(document),
            name,
            sex,
            born_on,
            marital_status,
            married_on,
            children_born_on: vec![child],
            spouse_name,
            ..office::Person::default()
        };
        let mut form = Form::new();
        let read = form.person("person", Some(person));
        if let Err(findings) = form.finish(read) {
            prop_assert!(!findings.is_empty());
            prop_assert!(findings.iter().all(|finding| finding.field.starts_with("person")));
        }
    }
}
