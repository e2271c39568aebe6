//! Registrations: arrive once, change what was seen, leave; and what happens to everything else.

use domain::access::Role;
use domain::id::RegistrationId;
use domain::person::{MaritalStatus, PersonName};
use domain::record::Version;
use domain::registration::{RegistrationDetails, Stay, Step};

use super::*;
use crate::app::persons::Correction;
use crate::app::registrations::{Change, End};

fn change(registered: &Registered, seen: u32, residence: &str) -> Change {
    let residence_area = residence.parse().unwrap();
    Change {
        id: registered.registration.id(),
        seen: Version::new(seen),
        details: RegistrationDetails { residence_area, ..stay() },
        why: Note::new("搬家").unwrap(),
    }
}

fn end(id: RegistrationId, seen: u32, to: Option<&str>) -> End {
    End {
        id,
        seen: Version::new(seen),
        on: today(),
        to: to.map(|to| to.parse().unwrap()),
        why: None,
    }
}

#[tokio::test]
async fn an_arrival_keeps_person_and_registration_in_one_step() {
    let office = Office::here();
    let done = office.arrive(person(0)).await;
    assert_eq!(done.registration.person(), done.person.id());
    assert_eq!(done.registration.current().step, Step::Arrive);
    assert_eq!(done.registration.current().details, stay());
    let found = office.find(&person(0)).await.unwrap();
    assert_eq!((found.person, found.registrations), (done.person, vec![done.registration]));
    assert_eq!(office.store.person_count().unwrap(), 1);
}

#[tokio::test]
async fn whoever_is_present_is_not_registered_twice() {
    let office = Office::here();
    let first = office.arrive(person(0)).await;
    let again = registrations::arrive(&office.clerk(), &office.store, arrival(person(0))).await;
    let error = again.unwrap_err();
    assert_eq!(error.reason(), Reason::AlreadyExists);
    let existing = error.refusal().unwrap().existing.clone();
    assert_eq!(existing, Some(first.registration.id().to_string()));
    assert_eq!(office.find(&person(0)).await.unwrap().registrations.len(), 1);

    let collector = office.operator("carol", Role::Collector);
    let theirs = registrations::arrive(&collector, &office.store, arrival(person(0))).await;
    assert_eq!(theirs.unwrap_err().refusal().unwrap().existing, None, "she cannot read back");

    let left = end(first.registration.id(), 1, None);
    registrations::end(&office.clerk(), &office.store, left).await.unwrap();
    // In one millisecond the order of two ids would be a matter of chance.
    let next_day = later(&office.clerk(), Duration::from_secs(86_400));
    let back = registrations::arrive(&next_day, &office.store, arrival(person(0))).await.unwrap();
    assert_eq!(back.person.id(), first.person.id(), "the same person");
    let found = office.find(&person(0)).await.unwrap();
    assert_eq!(found.registrations.len(), 2);
    assert_eq!(found.registrations[0].id(), back.registration.id(), "newest first");
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once_and_nothing_is_kept() {
    let office = Office::here();
    let mut wrong = arrival(person(0));
    wrong.person.birth_date = "2026-03-02".parse().unwrap();
    wrong.details.residence_area = "440306".parse().unwrap();
    let error = registrations::arrive(&office.clerk(), &office.store, wrong).await.unwrap_err();
    let findings = &error.refusal().unwrap().findings;
    let fields: Vec<_> = findings.iter().map(|finding| finding.field.as_ref()).collect();
    assert_eq!(fields, ["person.born_on", "registration.residence_area"]);
    assert_eq!(error.reason(), Reason::DateInFuture, "that of the first");

    for (origin, field) in
        [(HERE, "registration.origin_area"), ("440305003", "registration.origin_area")]
    {
        let mut wrong = arrival(person(0));
        wrong.details.origin_area = origin.parse().unwrap();
        let told = registrations::arrive(&office.clerk(), &office.store, wrong).await;
        assert_eq!(refused(told), (Reason::InvalidField, field.to_owned()));
    }
    assert_eq!(refused(office.find(&person(0)).await).0, Reason::NotFound);
    assert_eq!(office.store.person_count().unwrap(), 0);
}

#[tokio::test]
async fn a_repeated_call_does_nothing_and_says_the_same() {
    let office = Office::here();
    let keyed = |number| Arrival { idempotency_key: "k1".to_owned(), ..arrival(person(number)) };
    let clerk = office.clerk();
    let first = registrations::arrive(&clerk, &office.store, keyed(0)).await.unwrap();
    let logged = office.logged();
    let again = registrations::arrive(&clerk, &office.store, keyed(0)).await.unwrap();
    assert_eq!(again, first);
    assert_eq!(office.logged(), logged, "nothing was done, nothing is logged");

    let other = registrations::arrive(&clerk, &office.store, keyed(1)).await;
    assert_eq!(refused(other), (Reason::Conflict, "idempotency_key".to_owned()));
    let bob = office.operator("bob", Role::Clerk);
    registrations::arrive(&bob, &office.store, keyed(1)).await.unwrap();
    let long = Arrival { idempotency_key: "k".repeat(65), ..arrival(person(2)) };
    let long = registrations::arrive(&clerk, &office.store, long).await;
    assert_eq!(refused(long), (Reason::TooLarge, "idempotency_key".to_owned()));
}

#[tokio::test]
async fn a_refused_call_can_be_repeated_with_the_same_key() {
    let office = Office::here();
    let first = office.arrive(person(0)).await;
    let keyed = Arrival { idempotency_key: "k1".to_owned(), ..arrival(person(0)) };
    let told = registrations::arrive(&office.clerk(), &office.store, keyed.clone()).await;
    assert_eq!(refused(told).0, Reason::AlreadyExists);
    let left = end(first.registration.id(), 1, None);
    registrations::end(&office.clerk(), &office.store, left).await.unwrap();
    registrations::arrive(&office.clerk(), &office.store, keyed).await.unwrap();
}

#[tokio::test]
async fn a_stale_page_cannot_overwrite_newer_work() {
    let office = Office::here();
    let done = office.arrive(person(0)).await;
    let (clerk, store) = (office.clerk(), &office.store);
    let second = registrations::change(&clerk, store, change(&done, 1, "440305005")).await.unwrap();
    assert_eq!(second.version(), Version::new(2));
    let stale = registrations::change(&clerk, store, change(&done, 1, "440305007")).await;
    assert_eq!(refused(stale), (Reason::StaleVersion, "seen_version".to_owned()));
    let stale = registrations::end(&clerk, store, end(done.registration.id(), 1, None)).await;
    assert_eq!(refused(stale).0, Reason::StaleVersion);
    let kept = registrations::get(&clerk, store, done.registration.id(), LOOKING).await.unwrap();
    assert_eq!(kept, second);
    let author = &kept.history().current().author;
    assert_eq!((author.operator.as_str(), author.at), ("alice", NOW));
    assert_eq!(author.why, Note::new("搬家").unwrap());
}

#[tokio::test]
async fn of_many_who_saw_the_same_version_one_wins() {
    let office = Office::here();
    let done = office.arrive(person(0)).await;
    let clerk = office.clerk();
    let tries = (0..8).map(|n| {
        let change = change(&done, 1, &format!("44030500{n}"));
        registrations::change(&clerk, &office.store, change)
    });
    let outcomes = futures_util::future::join_all(tries).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let stale = |outcome: &Result<_, AppError>| {
        outcome.as_ref().err().is_some_and(|error| error.reason() == Reason::StaleVersion)
    };
    assert_eq!(outcomes.iter().filter(|outcome| stale(outcome)).count(), 7);
}

#[tokio::test]
async fn a_stay_ends_once_and_says_where_to() {
    let office = Office::here();
    let (clerk, store) = (office.clerk(), &office.store);
    let one = office.arrive(person(0)).await.registration;
    let moved = registrations::end(&clerk, store, end(one.id(), 1, Some("330106"))).await.unwrap();
    let to = "330106".parse().unwrap();
    assert_eq!(moved.current().stay, Stay::MovedOn { on: today(), to });
    let twice = registrations::end(&clerk, store, end(one.id(), 2, None)).await;
    assert_eq!(refused(twice).0, Reason::StateForbids);

    let two = office.arrive(person(1)).await.registration;
    let inside = registrations::end(&clerk, store, end(two.id(), 1, Some("440305007"))).await;
    assert_eq!(refused(inside).1, "destination_area");
    let mut early = end(two.id(), 1, None);
    early.on = "2026-02-19".parse().unwrap();
    let early = registrations::end(&clerk, store, early).await;
    assert_eq!(refused(early).1, "ended_on");
    let mut future = end(two.id(), 1, None);
    future.on = "2026-03-02".parse().unwrap();
    let future = registrations::end(&clerk, store, future).await;
    assert_eq!(refused(future), (Reason::DateInFuture, "ended_on".to_owned()));
    let unknown = end(RegistrationId::from_bytes([9; 16]), 1, None);
    assert_eq!(refused(registrations::end(&clerk, store, unknown).await).0, Reason::NotFound);
}

#[tokio::test]
async fn what_is_stated_again_is_a_new_version_and_what_is_not_stays() {
    let office = Office::here();
    let mut first = person(0);
    first.marital_status = Some(MaritalStatus::Divorced);
    first.spouse = None;
    first.at_risk = true;
    let one = office.arrive(first.clone()).await;
    let left = end(one.registration.id(), 1, None);
    registrations::end(&office.clerk(), &office.store, left).await.unwrap();
    let mut second = first.clone();
    second.marital_status = None;
    second.births = Vec::new();
    second.at_risk = false;
    let two = office.arrive(second).await;
    assert_eq!(two.person, one.person, "nothing new was said; protection is not taken away");

    let mut other = first;
    other.name = PersonName::parse("别〇人").unwrap();
    let left = end(two.registration.id(), 1, None);
    registrations::end(&office.clerk(), &office.store, left).await.unwrap();
    let told = registrations::arrive(&office.clerk(), &office.store, arrival(other)).await;
    assert_eq!(
        refused(told),
        (Reason::AlreadyExists, "person.name".to_owned()),
        "nothing merges by itself"
    );
}

#[tokio::test]
async fn a_correction_keeps_the_version_before_and_leads_from_both_documents() {
    let office = Office::here();
    let (clerk, store) = (office.clerk(), &office.store);
    let one = office.arrive(person(0)).await.person;
    let two = office.arrive(person(1)).await.person;
    let correction = |seen, details| Correction {
        id: one.id(),
        seen: Version::new(seen),
        details,
        why: Note::new("姓名录入有误").unwrap(),
    };
    let mut right = person(0);
    right.name = PersonName::parse("改〇名").unwrap();
    right.document = person(5).document;
    right.birth_date = person(5).birth_date;
    right.births = Vec::new();
    right.spouse = None;
    let fixed = persons::correct(&clerk, store, correction(1, right.clone())).await.unwrap();
    assert_eq!(fixed.history().iter().count(), 2);
    for document in [person(0).document, right.document.clone()] {
        let found = persons::find(&clerk, store, &document, LOOKING).await.unwrap();
        assert_eq!(found.person, fixed);
    }
    let stale = persons::correct(&clerk, store, correction(1, right.clone())).await;
    assert_eq!(refused(stale).0, Reason::StaleVersion);
    let mut taken = right;
    taken.document = person(1).document;
    taken.birth_date = person(1).birth_date;
    let error = persons::correct(&clerk, store, correction(2, taken)).await.unwrap_err();
    assert_eq!(error.refusal().unwrap().existing, Some(two.id().to_string()));
}

#[tokio::test]
async fn a_collector_sees_what_she_entered_and_nothing_else() {
    let office = Office::here();
    let mut known = person(0);
    known.marital_status = Some(MaritalStatus::Widowed);
    known.spouse = None;
    let first = office.arrive(known.clone()).await;
    let left = end(first.registration.id(), 1, None);
    registrations::end(&office.clerk(), &office.store, left).await.unwrap();
    let mut entered = known;
    entered.marital_status = None;
    entered.births = Vec::new();
    let collector = office.operator("carol", Role::Collector);
    let keyed = Arrival { idempotency_key: "c".to_owned(), ..arrival(entered.clone()) };
    for _ in 0..2 {
        let seen = registrations::arrive(&collector, &office.store, keyed.clone()).await.unwrap();
        assert_eq!(seen.person.details(), &entered);
    }
    let found = office.find(&entered).await.unwrap();
    assert_eq!(found.person.details().marital_status, Some(MaritalStatus::Widowed));
}
