//! Certificates: issued once, renewed, replaced, revoked; printed, checked offline, and noted.

use domain::access::AccessAction;
use domain::certificate::{CheckResult, ReplacementCause, RevocationCause};
use domain::id::CertificateNumber;
use domain::message::{CertificateState, Kind};
use domain::person::{Birth, MaritalStatus};
use domain::record::Version;
use domain::text::WrittenReason;
use store::access::person_key;
use store::messages::{Side, peer_key};
use store::tables::REPORT_OF_PERSON;

use super::*;
use crate::app::certificates::check::{self, Check};
use crate::app::certificates::{self, Application, Replace, Revoke, print};
use crate::app::registrations::End;

const DAY: Duration = Duration::from_secs(86_400);

fn application(person: PersonDetails) -> Application {
    Application { person, idempotency_key: String::new() }
}

fn replacement(number: CertificateNumber, cause: ReplacementCause) -> Replace {
    let why = Note::new("本人申请").unwrap();
    Replace { number, seen: Version::FIRST, cause, why, person: None }
}

fn revocation(number: CertificateNumber, seen: u32) -> Revoke {
    let reason = WrittenReason::new("签发时核对有误").unwrap();
    Revoke { number, seen: Version::new(seen), cause: RevocationCause::IssuedInError, reason }
}

fn check_of(registration: &Registered, code: &str) -> Check {
    Check {
        registration: registration.registration.id(),
        code: code.to_owned(),
        idempotency_key: String::new(),
    }
}

/// A certificate of the origin county and its code.
async fn printed(net: &Net, person: PersonDetails) -> (Office, CertificateNumber, String) {
    let origin = Office::of(ORIGIN);
    let clerk = origin.clerk();
    let issued = certificates::issue(&clerk, &origin.store, application(person)).await.unwrap();
    let code = print::code(&clerk, net.material(ORIGIN), &issued).await.unwrap().unwrap();
    assert!(code.svg.starts_with("<?xml") && code.svg.contains("<svg"));
    (origin, issued.number(), code.text)
}

#[tokio::test]
async fn a_certificate_is_this_countys_valid_three_years_and_one_at_a_time() {
    let office = Office::of(ORIGIN);
    let (clerk, store) = (office.clerk(), &office.store);
    let issued = certificates::issue(&clerk, store, application(person(0))).await.unwrap();
    assert_eq!(issued.number(), CertificateNumber::new(office.area, 2026, 1).unwrap());
    assert_eq!(issued.current().valid_until, "2029-02-28".parse().unwrap());
    let error = certificates::issue(&clerk, store, application(person(0))).await.unwrap_err();
    assert_eq!(error.reason(), Reason::AlreadyExists);
    assert_eq!(error.refusal().unwrap().existing, Some(issued.number().to_string()));
    let next = certificates::issue(&clerk, store, application(person(1))).await.unwrap();
    assert_eq!(next.number().serial(), 2, "a refusal uses no number up");

    let after = later(&clerk, DAY * (3 * 366));
    let anew = certificates::issue(&after, store, application(person(0))).await.unwrap();
    assert_eq!((anew.number().year(), anew.number().serial()), (2029, 1), "each year counts anew");
    assert_eq!(office.find(&person(0)).await.unwrap().certificates.len(), 2);
}

#[tokio::test]
async fn whoever_changes_a_certificate_sees_and_prints_it_as_the_log_says() {
    let office = Office::of(ORIGIN);
    let (clerk, store) = (office.clerk(), &office.store);
    let issued = certificates::issue(&clerk, store, application(person(0))).await.unwrap();
    certificates::renew(&clerk, store, issued.number(), issued.version()).await.unwrap();
    let revoked = certificates::revoke(&clerk, store, revocation(issued.number(), 2)).await;
    revoked.unwrap();
    let actions: Vec<_> =
        store.access_after(0, 100).unwrap().into_iter().map(|entry| entry.action).collect();
    let expected = [
        [AccessAction::Create, AccessAction::Print],
        [AccessAction::Change, AccessAction::Print],
        [AccessAction::Change, AccessAction::View],
    ];
    assert_eq!(actions[actions.len() - 6..], *expected.as_flattened());
    assert!(actions[..].iter().filter(|action| action.is_read()).count() >= 3, "counted as reads");
}

#[tokio::test]
async fn a_repeated_application_gives_the_same_certificate() {
    let office = Office::of(ORIGIN);
    let (clerk, store) = (office.clerk(), &office.store);
    let keyed = |n| Application { person: person(n), idempotency_key: "a".to_owned() };
    let first = certificates::issue(&clerk, store, keyed(0)).await.unwrap();
    assert_eq!(certificates::issue(&clerk, store, keyed(0)).await.unwrap(), first);
    let other = certificates::issue(&clerk, store, keyed(1)).await;
    assert_eq!(refused(other), (Reason::Conflict, "idempotency_key".to_owned()));
}

#[tokio::test]
async fn renewal_counts_from_today_and_needs_a_valid_one() {
    let office = Office::of(ORIGIN);
    let (clerk, store) = (office.clerk(), &office.store);
    let issued = certificates::issue(&clerk, store, application(person(0))).await.unwrap();
    let number = issued.number();
    let after = later(&clerk, DAY * 100);
    let stale = certificates::renew(&after, store, number, Version::new(2)).await;
    assert_eq!(refused(stale), (Reason::StaleVersion, "seen_version".to_owned()));
    let renewed = certificates::renew(&after, store, number, Version::FIRST).await.unwrap();
    assert!(renewed.current().valid_until > issued.current().valid_until);
    let too_late = later(&clerk, DAY * (4 * 366));
    let late = certificates::renew(&too_late, store, number, Version::new(2)).await;
    assert_eq!(refused(late).1, "certificate_number");
    let unknown = CertificateNumber::new(office.area, 2026, 77).unwrap();
    let unknown = certificates::renew(&clerk, store, unknown, Version::FIRST).await;
    assert_eq!(refused(unknown).0, Reason::NotFound);
}

#[tokio::test]
async fn a_replacement_ends_the_old_one_in_the_same_step() {
    let office = Office::of(ORIGIN);
    let (clerk, store) = (office.clerk(), &office.store);
    let issued = certificates::issue(&clerk, store, application(person(0))).await.unwrap();
    let lost = replacement(issued.number(), ReplacementCause::Lost);
    let new = certificates::replace(&clerk, store, lost.clone()).await.unwrap();
    assert_eq!(new.replaces(), Some(issued.number()));
    assert_eq!(new.current().valid_until, issued.current().valid_until);
    let old = certificates::get(&clerk, store, issued.number(), LOOKING).await.unwrap();
    assert_eq!(old.state_on(today()), CertificateState::Replaced);
    let twice = Replace { seen: Version::new(2), ..lost };
    assert_eq!(refused(certificates::replace(&clerk, store, twice).await).1, "certificate_number");

    let changed = replacement(new.number(), ReplacementCause::Changed);
    let missing = certificates::replace(&clerk, store, changed.clone()).await;
    assert_eq!(refused(missing), (Reason::FieldRequired, "person".to_owned()));
    let foreign = Replace { person: Some(person(1)), ..changed.clone() };
    let foreign = certificates::replace(&clerk, store, foreign).await;
    assert_eq!(refused(foreign).1, "person.document.number");
    assert_eq!(refused(office.find(&person(1)).await).0, Reason::NotFound, "nothing is left of it");
    let mut facts = person(0);
    facts.marital_status = Some(MaritalStatus::Divorced);
    facts.spouse = None;
    facts.births = vec![Birth { born_on: "2026-01-05".parse().unwrap() }];
    let changed = Replace { person: Some(facts), ..changed };
    let third = certificates::replace(&clerk, store, changed).await.unwrap();
    assert_eq!(third.facts().marital_status, Some(MaritalStatus::Divorced));
    assert_eq!(third.facts().births.len(), 1);
    assert_eq!(office.find(&person(0)).await.unwrap().person.details().births.len(), 1);
}

#[tokio::test]
async fn a_revoked_certificate_has_a_reason_and_no_code() {
    let (net, office) = (Net::new(), Office::of(ORIGIN));
    let (clerk, store) = (office.clerk(), &office.store);
    let issued = certificates::issue(&clerk, store, application(person(0))).await.unwrap();
    let peer = peer_key(HERE.parse().unwrap());
    let person = issued.person();
    let reported = move |kind: Kind| (person, peer, kind.number(), [kind.number(); 16]);
    let reports = [Kind::CertificateStatement, Kind::InquiryAnswer];
    let noted = store.commit(move |unit| {
        for key in reports.map(reported) {
            unit.put(&REPORT_OF_PERSON, &key, &u64::from(Side::Sent.byte()))?;
        }
        Ok::<_, AppError>(())
    });
    noted.await.map_err(AppError::from).unwrap();
    let gone = certificates::revoke(&clerk, store, revocation(issued.number(), 1)).await.unwrap();
    assert_eq!(gone.state_on(today()), CertificateState::Revoked);
    let answers = reports.map(|kind| store.get(&REPORT_OF_PERSON, &reported(kind)).unwrap());
    assert_eq!(answers.map(|it| it.is_some()), [false, true], "what was said of it is out of date");
    assert_eq!(print::code(&clerk, net.material(ORIGIN), &gone).await.unwrap(), None);
    let twice = certificates::revoke(&clerk, store, revocation(issued.number(), 2)).await;
    assert_eq!(refused(twice).1, "certificate_number");
}

#[tokio::test]
async fn without_the_list_of_its_own_authority_a_node_prints_nothing() {
    let net = Net::new();
    let material = net.material_with(ORIGIN, RevocationLists::new(vec![], GRACE_DEFAULT));
    assert_eq!(refused(print::ready(&material)).0, Reason::RevocationListTooOld);
    assert!(print::ready(&net.material(ORIGIN)).is_ok());
}

#[tokio::test]
async fn another_county_checks_a_code_offline_against_the_document_shown() {
    let net = Net::new();
    let (_origin, number, code) = printed(&net, person(0)).await;
    let here = Office::here();
    let (clerk, material) = (here.clerk(), net.material(HERE));
    let check = |code: &str, shown: Option<usize>, ctx: Ctx| {
        let shown = shown.map(|n| person(n).document);
        let (store, material) = (here.store.clone(), material.clone());
        let code = code.to_owned();
        async move { check::verify(&ctx, &store, material, code, shown).await.unwrap() }
    };
    let found = check(&code, Some(0), clerk.clone()).await;
    let checked = found.checked.unwrap();
    assert_eq!((checked.claims.number, checked.issuer.as_str()), (number, ORIGIN));
    assert_eq!((found.in_force, found.matches, found.reason), (true, Some(true), None));
    assert_eq!(found.revocation_list, Some(NOW));
    assert_eq!(check(&code, Some(1), clerk.clone()).await.matches, Some(false));
    assert_eq!(check(&code, None, clerk.clone()).await.matches, None);
    let expired = check(&code, None, later(&clerk, DAY * (3 * 366))).await;
    assert_eq!((expired.in_force, expired.reason), (false, Some(Reason::Expired)));
    for garbage in ["", "LD1:", "LD1:AB", &code[..code.len() - 9], "HC1:XYZ"] {
        let found = check(garbage, None, clerk.clone()).await;
        assert!(found.checked.is_none() && !found.in_force, "{garbage}");
        assert_eq!(found.reason, Some(Reason::Malformed), "{garbage}");
    }
    assert_eq!(here.logged(), 4, "whoever a genuine code names was looked at, and nobody else");
    let shown = person_key(here.store.document_hash(&person(0).document));
    let entries = here.store.access_after(0, 4).unwrap();
    let persons: Vec<_> = entries.iter().map(|entry| entry.person == Some(shown)).collect();
    assert_eq!(persons, [true, false, false, false], "by the document that was shown");
}

#[tokio::test]
async fn the_issuing_county_asks_its_own_record_as_well() {
    let net = Net::new();
    let (origin, number, code) = printed(&net, person(0)).await;
    let (clerk, store) = (origin.clerk(), &origin.store);
    let verify = || check::verify(&clerk, store, net.material(ORIGIN), code.clone(), None);
    let logged = origin.logged();
    assert!(verify().await.unwrap().in_force);
    assert_eq!(origin.logged(), logged + 1, "a look at the record is logged");
    certificates::revoke(&clerk, store, revocation(number, 1)).await.unwrap();
    let found = verify().await.unwrap();
    assert_eq!((found.in_force, found.reason), (false, Some(Reason::StateForbids)));
}

#[tokio::test]
async fn a_check_is_noted_with_what_it_found() {
    let net = Net::new();
    let (_origin, number, code) = printed(&net, person(0)).await;
    let here = Office::here();
    let (clerk, store, material) = (here.clerk(), &here.store, net.material(HERE));
    let hers = here.arrive(person(0)).await;
    let other = here.arrive(person(1)).await;

    let keyed = Check { idempotency_key: "e".to_owned(), ..check_of(&hers, &code) };
    let noted = check::endorse(&clerk, store, material.clone(), keyed.clone()).await.unwrap();
    assert_eq!(noted.endorsement.result, CheckResult::InOrder);
    assert_eq!(noted.endorsement.certificate_number, number);
    assert_eq!(noted.registration, hers.registration.id());
    assert_eq!(noted.revocation_list, Some(NOW));
    let again = check::endorse(&clerk, store, material.clone(), keyed).await.unwrap();
    assert_eq!(again, noted);
    assert_eq!(here.find(&person(0)).await.unwrap().endorsements, [noted]);

    let doubtful = check::endorse(&clerk, store, material.clone(), check_of(&other, &code));
    let doubtful = doubtful.await.unwrap().endorsement.result;
    assert!(matches!(doubtful, CheckResult::Doubtful { .. }), "another person's");
    let after = later(&clerk, DAY * (3 * 366));
    let expired = check::endorse(&after, store, material.clone(), check_of(&hers, &code));
    let expired = expired.await.unwrap().endorsement.result;
    assert!(matches!(expired, CheckResult::Doubtful { .. }), "no longer valid");
    let blind = net.material_with(HERE, RevocationLists::new(vec![], GRACE_DEFAULT));
    let blind = check::endorse(&clerk, store, blind, check_of(&hers, &code)).await.unwrap();
    assert!(matches!(blind.endorsement.result, CheckResult::NotChecked { .. }), "no list at hand");
}

#[tokio::test]
async fn a_forged_code_is_refused_and_not_noted() {
    let net = Net::new();
    let (_origin, _, code) = printed(&net, person(0)).await;
    let here = Office::here();
    let (clerk, store) = (here.clerk(), &here.store);
    let hers = here.arrive(person(0)).await;
    let cut = check_of(&hers, &code[..code.len() - 6]);
    let told = check::endorse(&clerk, store, net.material(HERE), cut).await;
    assert_eq!(refused(told), (Reason::Malformed, "credential".to_owned()));
    let other_network = Net::new().material(HERE);
    let told = check::endorse(&clerk, store, other_network, check_of(&hers, &code)).await;
    assert_eq!(refused(told), (Reason::SenderUnknown, "credential".to_owned()));

    let id = hers.registration.id();
    let left = End { id, seen: Version::FIRST, on: today(), to: None, why: None };
    registrations::end(&clerk, store, left).await.unwrap();
    let told = check::endorse(&clerk, store, net.material(HERE), check_of(&hers, &code)).await;
    assert_eq!(refused(told), (Reason::StateForbids, "registration_id".to_owned()));
    assert!(here.find(&person(0)).await.unwrap().endorsements.is_empty());
}
