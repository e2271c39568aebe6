//! Tests of records and of the access log: what is kept is found again, and what was changed is noticed.

use domain::access::{AccessAction, AccessEntry, ChainBreak, PersonKey, Role};
use domain::area::AreaCode;
use domain::certificate::{Certificate, CertificateFacts};
use domain::consent::{Consent, ConsentScope, ConsentTerms, Given};
use domain::person::{Birth, DocumentKind, MaritalStatus, PersonDetails, PersonName, Sex, Spouse};
use domain::purpose::{LawfulBasis, Purpose};
use domain::record::{Author, Edit};
use domain::registration::RegistrationDetails;
use domain::synthetic::People;
use domain::text::Note;
use tempfile::TempDir;

use super::*;
use crate::access::{AccessLogError, AccessRow, access_hash, person_key};
use crate::error::CommitError;
use crate::options::Options;
use crate::seal::DataKey;
use crate::tables::ACCESS;

/// 2026-03-01T00:00:00Z.
const NOW: UnixMillis = UnixMillis::new(1_772_323_200_000);

fn open() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new("440305", DataKey::from_bytes([7; 32]), NOW);
    let (store, _) = Store::open(dir.path(), options).unwrap();
    (dir, store)
}

fn area() -> AreaCode {
    "440305".parse().unwrap()
}

fn details() -> PersonDetails {
    People::new(1, vec!["410522".parse().unwrap()], NOW.date()).next().unwrap()
}

fn author() -> Author {
    let why = Note::new("登记").unwrap();
    Author { operator: "alice".parse().unwrap(), at: NOW, why }
}

fn entry(at: UnixMillis, person: Option<PersonKey>) -> AccessEntry {
    AccessEntry {
        number: 0,
        previous: [0; 32],
        at,
        operator: "alice".parse().unwrap(),
        area: area(),
        role: Role::Clerk,
        action: AccessAction::View,
        purpose: Purpose::Certificate,
        basis: LawfulBasis::OwnApplication,
        person,
        message: None,
    }
}

fn commit<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&mut Unit<'_>) -> Result<T, StoreError> + Send + 'static,
) -> T {
    store.commit_blocking(work).unwrap()
}

fn keep_person(store: &Store) -> Person {
    commit(store, |unit| {
        let details = details();
        let document = unit.document_hash(&details.document);
        let subject = unit.subject(document, PersonId::from_bytes([1; 16]))?;
        let person = Person::new(subject.person(), area(), details, author()).unwrap();
        unit.keep_person(&subject, &person)?;
        Ok(person)
    })
}

#[test]
fn a_person_is_found_by_her_document_with_all_versions_and_counted_once() {
    let (_dir, store) = open();
    let person = keep_person(&store);
    let hash = store.document_hash(&details().document);
    assert_eq!(store.find_subject(hash).unwrap().unwrap().person(), person.id());
    let edit = Edit { seen: person.version(), area: area(), author: author() };
    let later = person.revise(edit, PersonDetails { at_risk: true, ..details() }).unwrap();
    let kept = later.clone();
    commit(&store, move |unit| {
        let subject = unit.subject_of(kept.id())?.unwrap();
        unit.keep_person(&subject, &kept)
    });
    assert_eq!(store.person(person.id()).unwrap(), Some(later.clone()));
    assert_eq!(later.history().iter().count(), 2);
    assert_eq!(store.person_count().unwrap(), 1);
}

#[test]
fn records_of_a_person_come_newest_first_and_go_with_her_key() {
    let (_dir, store) = open();
    let person = keep_person(&store);
    let id = person.id();
    let details_of_holder = details();
    let numbers = commit(&store, move |unit| {
        let subject = unit.subject_of(id)?.unwrap();
        let mut numbers = Vec::new();
        for at in 0..3_u8 {
            let registration = RegistrationId::from_bytes([at; 16]);
            let details = RegistrationDetails {
                arrived_on: NOW.date(),
                residence_area: area(),
                address: None,
                origin_area: "410522".parse().unwrap(),
                reason: None,
                certificate: None,
            };
            let kept = Registration::arrive(registration, id, area(), details, author()).unwrap();
            unit.keep_registration(&subject, &kept)?;
            let serial = u32::try_from(unit.next_certificate_serial(2026)?).unwrap();
            let number = CertificateNumber::new(area(), 2026, serial).unwrap();
            let facts = CertificateFacts::of(&details_of_holder);
            let kept = Certificate::issue(number, id, area(), facts, author()).unwrap();
            unit.keep_certificate(&subject, &kept)?;
            numbers.push(number);
        }
        assert_eq!(unit.registrations_of(id)?.len(), 3, "a unit sees what it has written");
        Ok(numbers)
    });
    let newest_first: Vec<_> = numbers.iter().rev().copied().collect();
    let certificates = store.certificates_of(id).unwrap();
    assert_eq!(certificates.iter().map(Certificate::number).collect::<Vec<_>>(), newest_first);
    let registrations = store.registrations_of(id).unwrap();
    assert_eq!(registrations[0].id(), RegistrationId::from_bytes([2; 16]));
    assert!(store.registrations_of(PersonId::from_bytes([9; 16])).unwrap().is_empty());
    commit(&store, move |unit| unit.erase_subject(id));
    assert_eq!(store.person(id).unwrap(), None);
    assert!(store.certificates_of(id).unwrap().is_empty(), "erased with her key");
    assert_eq!(store.certificate(&numbers[0]).unwrap(), None);
}

#[test]
fn a_refused_unit_gives_its_serial_back() {
    let (_dir, store) = open();
    let refused = store.commit_blocking(|unit| {
        unit.next_certificate_serial(2026)?;
        Err::<(), _>(StoreError::NoSuchPerson)
    });
    assert!(matches!(refused, Err(CommitError::Refused(_))));
    assert_eq!(commit(&store, |unit| unit.next_certificate_serial(2026)), 1);
    assert_eq!(commit(&store, |unit| unit.next_certificate_serial(2026)), 2);
    assert_eq!(commit(&store, |unit| unit.next_certificate_serial(2027)), 1);
}

#[test]
fn outcomes_are_kept_by_operator_and_key_and_keys_are_not_readable() {
    let (dir, store) = open();
    commit(&store, |unit| {
        let content = unit.content_hash(b"what");
        let row = IdempotencyRow { at: NOW, content, result: vec![1, 2] };
        unit.keep_outcome(&"alice".parse().unwrap(), "410522199003078888", &row)
    });
    let find = |operator: &'static str, key: &'static str| {
        commit(&store, move |unit| unit.first_outcome(&operator.parse().unwrap(), key))
    };
    assert_eq!(find("alice", "410522199003078888").unwrap().result, [1, 2]);
    assert_eq!(find("bob", "410522199003078888"), None);
    assert_eq!(find("alice", "other"), None);
    store.close().unwrap();
    let found = std::fs::read(dir.path().join("db")).unwrap();
    assert!(!found.windows(18).any(|part| part == b"410522199003078888"));
}

#[test]
fn the_access_log_is_a_chain_and_lists_one_person() {
    let (_dir, store) = open();
    let hash = store.document_hash(&details().document);
    let person = person_key(hash);
    assert_eq!(store.check_access().unwrap().number, 0);
    for at in 0..5_u64 {
        // The clock goes back; the log does not.
        let at = UnixMillis::new(NOW.get() - at);
        let person = at.get().is_multiple_of(2).then_some(person);
        commit(&store, move |unit| unit.append_access(entry(at, person)).map(drop));
    }
    let head = store.check_access().unwrap();
    let entries = store.access_after(0, 10).unwrap();
    assert_eq!((head.number, entries.len()), (5, 5));
    assert_eq!(head.hash, access_hash(&entries[4]));
    assert_eq!(store.access_after(3, 10).unwrap().len(), 2);
    let of_person = store.access_of_person(person, 0, 10).unwrap();
    assert_eq!(of_person.iter().map(|e| e.number).collect::<Vec<_>>(), [1, 3, 5]);
    assert_eq!(store.access_of_person(person, 1, 1).unwrap()[0].number, 3);
    assert_ne!(&person.0[..16], hash.as_bytes(), "an exported log leads nobody to the index");
}

#[test]
fn a_forged_entry_of_the_access_log_is_found() {
    let (_dir, store) = open();
    commit(&store, |unit| unit.append_access(entry(NOW, None)).map(drop));
    let mut forged = AccessRow(AccessEntry { number: 2, ..entry(NOW, None) });
    forged.0.previous = [9; 32];
    let mut bytes = Vec::new();
    forged.encode(&mut bytes).unwrap();
    commit(&store, move |unit| unit.append(&ACCESS, &(), &bytes).map(drop));
    let found = store.check_access().unwrap_err();
    assert!(matches!(found, AccessLogError::Broken(ChainBreak::Hash { number: 2 })), "{found:?}");
}

fn hex(row: &impl Value) -> String {
    let mut bytes = Vec::new();
    row.encode(&mut bytes).unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A person with every field filled in.
fn full_details() -> PersonDetails {
    let name = |text| PersonName::parse(text).unwrap();
    let day = |text: &str| text.parse().unwrap();
    PersonDetails {
        document: IdentityDocument::new(DocumentKind::Passport, "E12345678", false).unwrap(),
        name: name("王〇"),
        sex: Sex::Female,
        birth_date: day("1990-03-07"),
        marital_status: Some(MaritalStatus::Married),
        spouse: Some(Spouse {
            name: name("李〇"),
            document: None,
            married_on: Some(day("2015-05-01")),
        }),
        births: vec![Birth { born_on: day("2016-06-01") }],
        at_risk: true,
    }
}

/// Rows that are on disks already have to stay readable: a change of these bytes needs a new layout, and a
/// module for the old one.
#[test]
fn stored_layouts_do_not_change() {
    let person = PersonId::from_bytes([2; 16]);
    let terms = ConsentTerms {
        scopes: [ConsentScope::Pregnancy].into(),
        recipient: "410522".parse().unwrap(),
        given_on: NOW.date(),
        valid_until: NOW.date(),
        given: Given::InWriting,
    };
    let consent = Consent::record(ConsentId::from_bytes([1; 16]), person, terms, author());
    let consent = ConsentRow(consent.unwrap());
    assert_eq!(hex(&consent), CONSENT_BYTES);
    let registration = RegistrationDetails {
        arrived_on: NOW.date(),
        residence_area: "440305003".parse().unwrap(),
        address: Note::optional("路1号").unwrap(),
        origin_area: "410522".parse().unwrap(),
        reason: Some(domain::message::ResidenceReason::Work),
        certificate: CertificateNumber::new("410522".parse().unwrap(), 2026, 1).ok(),
    };
    let id = RegistrationId::from_bytes([3; 16]);
    let kept = Registration::arrive(id, person, area(), registration, author()).unwrap();
    assert_eq!(hex(&RegistrationRow(kept)), REGISTRATION_BYTES);
    let kept = Person::new(person, area(), full_details(), author()).unwrap();
    assert_eq!(hex(&PersonRow(kept)), PERSON_BYTES);
    let number = CertificateNumber::new(area(), 2026, 1).unwrap();
    let facts = CertificateFacts::of(&full_details());
    let kept = Certificate::issue(number, person, area(), facts, author()).unwrap();
    assert_eq!(hex(&CertificateRow(kept)), CERTIFICATE_BYTES);
}

const CONSENT_BYTES: &str = concat!(
    "01010101010101010101010101010101010202020202020202020202020202020201010634313035",
    "3232c2c002c2c0020205616c69636580b8c7b5ca3306e799bbe8aeb000",
);
const REGISTRATION_BYTES: &str = concat!(
    "01030303030303030303030303030303030202020202020202020202020202020206343430333035",
    "01c2c002093434303330353030330107e8b7af31e58fb70634313035323201010111343130353232",
    "32303236303030303031370005616c69636580b8c7b5ca3306e799bbe8aeb000",
);
const PERSON_BYTES: &str = concat!(
    "010202020202020202020202020202020206343430333035010945313233343536373806e78e8be3",
    "808702947301140106e69d8ee380870001d8820201f288020105616c69636580b8c7b5ca3306e799",
    "bbe8aeb000",
);
const CERTIFICATE_BYTES: &str = concat!(
    "01113434303330353230323630303030303139020202020202020202020202020202020634343033",
    "3035010945313233343536373806e78e8be3808702947301140106e69d8ee3808701f288020001c2",
    "c002d0d1020005616c69636580b8c7b5ca3306e799bbe8aeb000",
);
