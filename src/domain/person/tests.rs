//! Tests of documents, names and the record of a person.

use super::*;
use crate::purpose::Purpose;
use crate::text::Note;
use proptest::prelude::*;

const WHY: Purpose = Purpose::Certificate;

#[test]
fn the_examples_of_the_standard_check_out() {
    for (text, sex, born) in [
        ("11010519491231002X", Sex::Female, "1949-12-31"),
        ("440524188001010014", Sex::Male, "1880-01-01"),
    ] {
        let id = ResidentId::parse(text).unwrap();
        assert!(id.check_ok());
        assert_eq!(id.sex(), sex);
        assert_eq!(id.birth_date().to_string(), born);
        assert_eq!(id.expose(&WHY), text);
    }
}

#[test]
fn folds_what_clerks_type() {
    let id = ResidentId::parse("11010519491231002X").unwrap();
    for text in [" 11010519491231002x ", "１１０１０５１９４９１２３１００２Ｘ", "110105491231002"]
    {
        assert_eq!(ResidentId::parse(text).unwrap(), id, "{text}");
    }
}

#[test]
fn a_failing_check_is_a_flag_that_a_clerk_confirms() {
    let id = ResidentId::parse("110105194912310021").unwrap();
    assert!(!id.check_ok());
    assert_eq!(
        IdentityDocument::from_resident_id(id.clone(), false),
        Err(DocumentError::CheckNotConfirmed)
    );
    assert!(IdentityDocument::from_resident_id(id, true).unwrap().check_confirmed());
    let good = IdentityDocument::new(DocumentKind::ResidentId, "11010519491231002X", true).unwrap();
    assert!(!good.check_confirmed(), "nothing to confirm where the check fits");
}

#[test]
fn refuses_what_is_no_number() {
    for (text, error) in [
        ("", IdError::Length),
        ("1101051949123100", IdError::Length),
        ("11010519491331002X", IdError::BirthDate),
        ("1101051949123100XX", IdError::Characters),
        ("010105194912310021", IdError::Characters),
        ("一一010519491231002X", IdError::Characters),
    ] {
        assert_eq!(ResidentId::parse(text), Err(error), "{text}");
    }
}

#[test]
fn debug_is_masked() {
    let id = ResidentId::parse("11010519491231002X").unwrap();
    assert_eq!(format!("{id:?}"), "1101**********002X");
    let name = PersonName::parse("王小丽").unwrap();
    assert_eq!(format!("{name:?}"), "王**");
    let passport = IdentityDocument::new(DocumentKind::Passport, "e12345678", false).unwrap();
    assert_eq!(format!("{passport:?}"), "PASSPORT E1******");
    let person = PersonReference { document: passport, name };
    let shown = format!("{person:?}");
    assert!(!shown.contains("12345678") && !shown.contains("小丽"), "{shown}");
}

#[test]
fn names_are_bounded() {
    assert_eq!(PersonName::parse(" \u{3000}"), Err(NameError::Empty));
    assert_eq!(PersonName::parse("·"), Err(NameError::Empty));
    assert_eq!(PersonName::parse(&"王".repeat(51)), Err(NameError::TooLong));
    assert_eq!(PersonName::parse("王\u{202e}丽"), Err(NameError::Control));
    assert_eq!(PersonName::parse("王\n丽"), Err(NameError::Control));
    assert!(PersonName::parse("阿依古丽·买买提").is_ok());
    assert!(PersonName::parse("Maria O'Neill").is_ok());
}

fn details() -> PersonDetails {
    let id = ResidentId::parse("110105199001010025").unwrap();
    PersonDetails::from_resident_id(id, true, PersonName::parse("王丽").unwrap()).unwrap()
}

fn author() -> Author {
    let at = "2026-03-01".parse::<Date>().unwrap().begins();
    Author { operator: "alice".parse().unwrap(), at, why: Note::new("登记").unwrap() }
}

#[test]
fn a_stale_page_cannot_overwrite_newer_work() {
    let owner = "410522".parse().unwrap();
    let edit = |seen, area: &str| Edit { seen, area: area.parse().unwrap(), author: author() };
    let first = Person::new(PersonId::from_bytes([1; 16]), owner, details(), author()).unwrap();
    let second = first.revise(edit(Version::FIRST, "410522003"), details()).unwrap();
    assert_eq!(second.version(), Version::new(2));
    let stale = second.revise(edit(Version::FIRST, "410522"), details()).unwrap_err();
    assert!(matches!(stale, PersonError::Edit(EditError::Stale(_))));
    let other = second.revise(edit(Version::new(2), "440305"), details()).unwrap_err();
    assert_eq!(other, PersonError::Edit(EditError::NotOwner { owner }));
}

#[test]
fn fields_must_fit_each_other() {
    let check = |change: fn(&mut PersonDetails)| {
        let mut details = details();
        change(&mut details);
        details.check("2026-03-01".parse().unwrap())
    };
    assert_eq!(check(|_| ()), Ok(()));
    assert_eq!(
        check(|d| d.births.push(Birth { born_on: "2027-01-01".parse().unwrap() })),
        Err(PersonError::DateInFuture)
    );
    assert_eq!(
        check(|d| d.births.push(Birth { born_on: "1980-01-01".parse().unwrap() })),
        Err(PersonError::BeforeOwnBirth)
    );
    assert_eq!(
        check(|d| {
            d.marital_status = Some(MaritalStatus::NeverMarried);
            let name = PersonName::parse("李强").unwrap();
            d.spouse = Some(Spouse { name, document: None, married_on: None });
        }),
        Err(PersonError::SpouseNotMarried)
    );
}

proptest! {
    #[test]
    fn the_right_check_character_is_unique(body in "[1-9][0-9]{5}(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|1[0-9]|2[0-8])[0-9]{3}") {
        let fitting = "0123456789X".chars().filter(|check| {
            ResidentId::parse(&format!("{body}{check}")).unwrap().check_ok()
        });
        prop_assert_eq!(fitting.count(), 1);
    }

    #[test]
    fn every_single_wrong_digit_is_found(body in "[1-9][0-9]{5}199[0-9]0[1-9]1[0-9][0-9]{3}", at in 14usize..17, by in 1u8..10) {
        let check = char::from(resident_id::check_character(body.as_bytes()).unwrap());
        let mut wrong = body.into_bytes();
        wrong[at] = b'0' + (wrong[at] - b'0' + by) % 10;
        let text = format!("{}{check}", String::from_utf8(wrong).unwrap());
        prop_assert!(!ResidentId::parse(&text).unwrap().check_ok());
    }

    #[test]
    fn nothing_panics_and_nothing_leaks(text: String) {
        ResidentId::parse(&text).ok();
        PersonName::parse(&text).ok();
        for kind in DocumentKind::ALL {
            IdentityDocument::new(*kind, &text, true).ok();
        }
    }

    #[test]
    fn masked_ids_hide_the_birth_date(body in "[1-9][0-9]{5}199[0-9]0[1-9]1[0-9][0-9]{4}") {
        let id = ResidentId::parse(&body).unwrap();
        let shown = format!("{id:?}");
        prop_assert!(!shown.contains(&body[4..14]) && shown.len() == 18);
    }
}
