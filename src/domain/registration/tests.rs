//! Tests of registrations: legal steps, ownership, stale pages.

use super::*;
use crate::text::Note;
use proptest::prelude::*;

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn area(text: &str) -> AreaCode {
    text.parse().unwrap()
}

fn author(on: Date) -> Author {
    Author {
        operator: "alice".parse().unwrap(),
        at: on.begins(),
        why: Note::new("本人申报").unwrap(),
    }
}

fn edit(seen: u32) -> Edit {
    let author = author(day("2026-06-01"));
    Edit { seen: Version::new(seen), area: area("440305"), author }
}

fn details() -> RegistrationDetails {
    RegistrationDetails {
        arrived_on: day("2026-03-01"),
        residence_area: area("440305003"),
        address: Note::optional("科技园路 1 号").unwrap(),
        origin_area: area("410522"),
        reason: Some(ResidenceReason::Work),
        certificate: None,
    }
}

fn arrived() -> Registration {
    let (id, person) = (RegistrationId::from_bytes([1; 16]), PersonId::from_bytes([2; 16]));
    Registration::arrive(id, person, area("440305"), details(), author(day("2026-03-02"))).unwrap()
}

#[test]
fn a_stay_from_arrival_to_departure_keeps_its_history() {
    let moved = RegistrationDetails { residence_area: area("440305005"), ..details() };
    let left = arrived()
        .change(edit(1), moved)
        .and_then(|r| r.depart(edit(2), day("2026-05-31")))
        .and_then(|r| r.resume(edit(3)))
        .and_then(|r| r.move_on(edit(4), day("2026-06-01"), area("330106")))
        .unwrap();
    let steps: Vec<_> = left.history().iter().map(|written| written.value.step).collect();
    assert_eq!(steps, [Step::Arrive, Step::Change, Step::Depart, Step::Resume, Step::MoveOn]);
    assert_eq!(left.version(), Version::new(5));
    assert_eq!(left.current().stay.ended_on(), Some(day("2026-06-01")));
}

#[test]
fn only_the_owner_side_changes_it_and_only_what_it_has_seen() {
    let stale = arrived().depart(edit(2), day("2026-05-31")).unwrap_err();
    assert!(matches!(stale, RegistrationError::Edit(EditError::Stale(_))));
    let other = Edit { area: area("410522"), ..edit(1) };
    let refused = arrived().depart(other, day("2026-05-31")).unwrap_err();
    assert!(matches!(refused, RegistrationError::Edit(EditError::NotOwner { .. })));
}

#[test]
fn days_and_areas_must_fit() {
    use RegistrationError as E;
    let at = arrived();
    assert_eq!(at.depart(edit(1), day("2026-06-02")), Err(E::DateInFuture));
    assert_eq!(at.depart(edit(1), day("2026-02-28")), Err(E::DepartureBeforeArrival));
    assert_eq!(at.resume(edit(1)), Err(E::StillPresent));
    assert_eq!(
        at.move_on(edit(1), day("2026-05-01"), area("440305009")),
        Err(E::DestinationInside)
    );
    let left = at.depart(edit(1), day("2026-05-31")).unwrap();
    assert_eq!(left.depart(edit(2), day("2026-05-31")), Err(E::NotPresent));
    let late = RegistrationDetails { arrived_on: day("2026-06-01"), ..details() };
    assert_eq!(left.change(edit(2), late), Err(E::DepartureBeforeArrival));
    let check = |details: RegistrationDetails| details.check(area("440305"), day("2026-03-02"));
    assert_eq!(
        check(RegistrationDetails { residence_area: area("440306"), ..details() }),
        Err(E::ResidenceOutside)
    );
    assert_eq!(
        check(RegistrationDetails { origin_area: area("440305003"), ..details() }),
        Err(E::SameCounty)
    );
    assert_eq!(
        check(RegistrationDetails { arrived_on: day("2026-03-03"), ..details() }),
        Err(E::DateInFuture)
    );
}

#[test]
fn compact_bytes_bring_it_back_and_readable_formats_refuse_the_reasons() {
    let registration = arrived();
    let bytes = postcard::to_stdvec(&registration).unwrap();
    assert_eq!(postcard::from_bytes::<Registration>(&bytes).unwrap(), registration);
    assert!(
        serde_json::to_string(&registration).is_err(),
        "free text stays out of readable formats"
    );
}

proptest! {
    /// Whatever is tried in whatever order, an accepted step adds one version, a refused one changes
    /// nothing, and a person is never left before she arrived.
    #[test]
    fn steps_keep_the_invariants(steps in prop::collection::vec((0u8..4, -40i32..200, 0u32..4), 0..40)) {
        let mut registration = arrived();
        for (step, days, behind) in steps {
            let on = day("2026-03-01").plus_days(days);
            let version = registration.version().get();
            let edit = Edit { author: author(day("2026-07-01")), ..edit(version.saturating_sub(behind)) };
            let next = match step {
                0 => registration.change(edit, RegistrationDetails { arrived_on: on, ..details() }),
                1 => registration.depart(edit, on),
                2 => registration.move_on(edit, on, area("330106")),
                _ => registration.resume(edit),
            };
            let Ok(next) = next else { continue };
            prop_assert_eq!(behind, 0);
            prop_assert_eq!(next.version().get(), version + 1);
            prop_assert_eq!(next.history().iter().count(), registration.history().iter().count() + 1);
            let state = next.current();
            prop_assert!(state.stay.ended_on().is_none_or(|on| on >= state.details.arrived_on));
            registration = next;
        }
    }
}
