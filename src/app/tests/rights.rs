//! Rights: which role may do what, and that every look is in the log before the answer.

use domain::access::AccessAction;
use domain::certificate::{ReplacementCause, RevocationCause};
use domain::consent::{ConsentTerms, Given};
use domain::id::{CertificateNumber, ConsentId, PersonId, RegistrationId};
use domain::message::{ArrivalNotice, Body, Content};
use domain::person::PersonReference;
use domain::record::Version;
use domain::service::Service;
use domain::text::WrittenReason;

use super::*;
use crate::app::certificates::check::{self, Check};
use crate::app::certificates::{self, Application, Replace, Revoke};
use crate::app::consents::{self, Request};
use crate::app::persons::Correction;
use crate::app::registrations::{Change, End};
use crate::app::{access, at_risk};

/// Every use case of records, asked for things that need not exist: it is refused for the role or for anything else.
async fn outcomes(office: &Office, ctx: &Ctx, net: &Net) -> Vec<(&'static str, Option<Reason>)> {
    let store = &office.store;
    let (id, number) = (RegistrationId::from_bytes([9; 16]), number());
    let seen = Version::new(1);
    let why = || Note::new("测试").unwrap();
    let change = Change { id, seen, details: stay(), why: why() };
    let end = End { id, seen, on: today(), to: None, why: None };
    let person_id = PersonId::from_bytes([9; 16]);
    let correction = Correction { id: person_id, seen, details: person(3), why: why() };
    let application = Application { person: person(4), idempotency_key: String::new() };
    let cause = ReplacementCause::Lost;
    let replace = Replace { number, seen, cause, why: why(), person: None };
    let reason = WrittenReason::new("签发有误").unwrap();
    let revoke = Revoke { number, seen, cause: RevocationCause::IssuedInError, reason };
    let material = net.material(HERE);
    let check = Check { registration: id, code: String::new(), idempotency_key: String::new() };
    let document = person(5).document;
    let terms = ConsentTerms {
        scopes: [domain::consent::ConsentScope::Pregnancy].into(),
        recipient: ORIGIN.parse().unwrap(),
        given_on: today(),
        valid_until: today(),
        given: Given::InPerson,
    };
    let request = Request {
        service: Service::Counselling,
        requested_on: today(),
        given: Given::InPerson,
        recipient: ORIGIN.parse().unwrap(),
    };
    let consent = ConsentId::from_bytes([9; 16]);
    let code = "LD1:".to_owned();
    vec![
        ("arrive", reason_of(registrations::arrive(ctx, store, arrival(person(3))).await)),
        ("change", reason_of(registrations::change(ctx, store, change).await)),
        ("end", reason_of(registrations::end(ctx, store, end).await)),
        ("get registration", reason_of(registrations::get(ctx, store, id, LOOKING).await)),
        ("find", reason_of(persons::find(ctx, store, &document, LOOKING).await)),
        ("correct", reason_of(persons::correct(ctx, store, correction).await)),
        ("issue", reason_of(certificates::issue(ctx, store, application).await)),
        ("renew", reason_of(certificates::renew(ctx, store, number, seen).await)),
        ("replace", reason_of(certificates::replace(ctx, store, replace).await)),
        ("revoke", reason_of(certificates::revoke(ctx, store, revoke).await)),
        ("get certificate", reason_of(certificates::get(ctx, store, number, LOOKING).await)),
        ("verify", reason_of(check::verify(ctx, store, material.clone(), code, None).await)),
        ("endorse", reason_of(check::endorse(ctx, store, material, check).await)),
        ("consent", reason_of(consents::record(ctx, store, document.clone(), terms).await)),
        ("withdraw", reason_of(consents::withdraw(ctx, store, consent, Given::Online).await)),
        ("request", reason_of(consents::request(ctx, store, document.clone(), request).await)),
        ("list", reason_of(consents::list(ctx, store, &document, LOOKING).await)),
        ("log", reason_of(access::log(ctx, store, 0, 0))),
        ("check log", reason_of(access::check_log(ctx, store))),
    ]
}

fn number() -> CertificateNumber {
    CertificateNumber::new(HERE.parse().unwrap(), 2026, 999).unwrap()
}

fn reason_of<T>(result: Result<T, AppError>) -> Option<Reason> {
    result.err().map(|error| error.reason())
}

/// Cell by cell: what each role gets through to. Everything not named is refused with `ROLE_REQUIRED`.
#[tokio::test]
async fn each_role_does_its_own_work_and_no_more() {
    let net = Net::new();
    let all: &[&str] = &[
        "arrive",
        "change",
        "end",
        "get registration",
        "find",
        "correct",
        "issue",
        "renew",
        "replace",
        "revoke",
        "get certificate",
        "verify",
        "endorse",
        "consent",
        "withdraw",
        "request",
        "list",
    ];
    let table: [(Role, &[&str]); 5] = [
        (Role::Clerk, all),
        (Role::Supervisor, &[]),
        (Role::Administrator, &[]),
        (Role::Auditor, &["log", "check log"]),
        (Role::Collector, &["arrive", "verify"]),
    ];
    assert_eq!(table.len(), Role::ALL.len());
    for (role, allowed) in table {
        let office = Office::here();
        let ctx = office.operator("somebody", role);
        for (name, reason) in outcomes(&office, &ctx, &net).await {
            let may = allowed.contains(&name);
            assert_eq!(reason != Some(Reason::RoleRequired), may, "{role:?}: {name}: {reason:?}");
        }
        // Who may not, leaves no trace in the records.
        let persons =
            u64::from(allowed.contains(&"arrive")) + u64::from(allowed.contains(&"issue"));
        assert_eq!(office.store.person_count().unwrap(), persons, "{role:?}");
    }
}

#[tokio::test]
async fn every_look_is_in_the_log_with_its_reason_also_one_that_finds_nobody() {
    let office = Office::here();
    let done = office.arrive(person(0)).await;
    let clerk = office.operator("bob", Role::Clerk);
    let why = Why { basis: LawfulBasis::OwnApplication, purpose: Purpose::PersonRights };
    persons::find(&clerk, &office.store, &person(0).document, why).await.unwrap();
    let id = done.registration.id();
    registrations::get(&clerk, &office.store, id, why).await.unwrap();
    let nobody = persons::find(&clerk, &office.store, &person(1).document, why).await;
    assert_eq!(refused(nobody).0, Reason::NotFound);

    let auditor = office.operator("dora", Role::Auditor);
    let log = access::log(&auditor, &office.store, 0, 0).unwrap();
    let actions: Vec<_> = log.iter().map(|entry| entry.action).collect();
    use AccessAction as A;
    assert_eq!(actions, [A::Create, A::Search, A::View, A::Search]);
    for entry in &log[1..] {
        assert_eq!((entry.operator.as_str(), entry.role), ("bob", Role::Clerk));
        assert_eq!((entry.basis, entry.purpose, entry.at), (why.basis, why.purpose, NOW));
    }
    assert_eq!(log[0].person, log[1].person);
    assert_eq!(log[0].person, log[2].person, "the same person, however she was found");
    assert_ne!(log[0].person, log[3].person);
    assert_eq!(access::log(&auditor, &office.store, 2, 1).unwrap(), log[2..3]);
    let head = access::check_log(&auditor, &office.store).unwrap();
    assert_eq!(head.number, 4);
    let hers = office.store.access_of_person(log[0].person.unwrap(), 0, 10).unwrap();
    assert_eq!(hers, log[..3]);
}

#[tokio::test]
async fn a_store_that_cannot_log_shows_nothing() {
    let office = Office::here();
    office.arrive(person(0)).await;
    office.store.close().unwrap();
    let blind = office.find(&person(0)).await;
    assert_eq!(refused(blind).0, Reason::StoreUnavailable);
}

#[test]
fn a_read_names_a_basis_and_a_purpose_that_are_about_a_person() {
    let stated = |basis, purpose| Why::stated(basis, purpose);
    let (basis, purpose) = (LawfulBasis::Consent, Purpose::HealthService);
    assert_eq!(stated(Some(basis), Some(purpose)).unwrap(), Why { basis, purpose });
    assert_eq!(refused(stated(None, Some(purpose))).0, Reason::BasisRequired);
    assert_eq!(refused(stated(Some(basis), None)).0, Reason::PurposeRequired);
    let office = LawfulBasis::OfficeAgreement;
    assert_eq!(refused(stated(Some(office), Some(purpose))).0, Reason::BasisRequired);
    let office = Purpose::OfficeAgreement;
    assert_eq!(refused(stated(Some(basis), Some(office))).1, "access.purpose");
}

#[tokio::test]
async fn no_error_and_no_debug_output_names_a_person() {
    let office = Office::here();
    let her = woman();
    let done = office.arrive(her.clone()).await;
    let again = registrations::arrive(&office.clerk(), &office.store, arrival(her.clone())).await;
    let error = again.unwrap_err();
    let printed = format!("{error} {error:?} {done:?} {:?}", office.find(&her).await.unwrap());
    let why = Purpose::PersonRights;
    for secret in [her.document.expose(&why), her.name.expose(&why), "科技园"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[tokio::test]
async fn where_a_person_at_risk_lives_is_not_told() {
    let office = Office::here();
    let (mut hidden, open) = (person(0), person(1));
    hidden.at_risk = true;
    office.arrive(hidden.clone()).await;
    office.arrive(open.clone()).await;
    let notice = |person: &PersonDetails, residence_area| Content {
        case: None,
        in_reply_to: None,
        basis: LawfulBasis::OwnApplication,
        purpose: Purpose::ResidenceRegistration,
        consent: None,
        service_request: None,
        person: Some(PersonReference {
            document: person.document.clone(),
            name: person.name.clone(),
        }),
        replaces: None,
        step: 0,
        answered_from: None,
        asked_again: None,
        body: Body::ArrivalNotice(ArrivalNotice {
            registration_id: RegistrationId::from_bytes([1; 16]),
            arrived_on: today(),
            residence_area,
            reason: None,
            certificate_number: None,
        }),
    };
    let told = |content: Content| {
        let areas = (HERE.parse().unwrap(), ORIGIN.parse().unwrap());
        let asked =
            office.store.commit(move |unit| at_risk::keep_hidden(unit, &content, areas, NOW));
        async { asked.await.map_err(AppError::from) }
    };
    let place: Option<AreaCode> = "440305003".parse().ok();
    let refusal = refused(told(notice(&hidden, place)).await);
    assert_eq!(refusal, (Reason::ResidenceHidden, "residence_area".to_owned()));
    let unasked = Content { basis: LawfulBasis::StatutoryDuty, ..notice(&hidden, None) };
    let refusal = refused(told(unasked).await);
    assert_eq!(refusal, (Reason::ResidenceHidden, "basis".to_owned()));
    told(notice(&hidden, None)).await.unwrap();
    let open_duty = Content { basis: LawfulBasis::StatutoryDuty, ..notice(&open, place) };
    told(open_duty).await.unwrap();
    told(notice(&person(2), place)).await.unwrap();
}
