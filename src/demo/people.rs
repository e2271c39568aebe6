//! Made-up people as a clerk's program hands them to the office API.

use domain::person::{PersonDetails, Sex};
use domain::purpose::Purpose;
use wire::pb::{message, office};

/// Her document, as it is typed in.
pub(super) fn document(of: &PersonDetails, why: Purpose) -> message::IdentityDocument {
    message::IdentityDocument {
        kind: i32::from(of.document.kind().number()),
        number: of.document.expose(&why).to_owned(),
        check_confirmed: of.document.check_confirmed(),
    }
}

/// Whom a message is about.
pub(super) fn reference(of: &PersonDetails, why: Purpose) -> message::PersonReference {
    let name = of.name.expose(&why).to_owned();
    message::PersonReference { document: Some(document(of, why)), name }
}

/// Everything that she states.
pub(super) fn person(of: &PersonDetails, why: Purpose) -> office::Person {
    let sex = match of.sex {
        Sex::Male => office::Sex::Male,
        Sex::Female => office::Sex::Female,
        Sex::NotStated => office::Sex::Unspecified,
    };
    let spouse = of.spouse.as_ref();
    let married_on = spouse.and_then(|spouse| spouse.married_on);
    office::Person {
        person_id: String::new(),
        document: Some(document(of, why)),
        name: of.name.expose(&why).to_owned(),
        sex: i32::from(sex),
        born_on: of.birth_date.to_string(),
        marital_status: of.marital_status.map_or(0, |status| i32::from(status.number())),
        married_on: married_on.map(|day| day.to_string()).unwrap_or_default(),
        children_born_on: of.births.iter().map(|birth| birth.born_on.to_string()).collect(),
        change: None,
        at_risk: of.at_risk,
        spouse_name: spouse.map(|spouse| spouse.name.expose(&why).to_owned()).unwrap_or_default(),
    }
}
