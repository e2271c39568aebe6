//! From protobuf: the parts of records that clerks enter.

use std::collections::BTreeSet;

use domain::consent::{ConsentScope, ConsentTerms, Given};
use domain::numbered::Numbered;
use domain::person::{
    BIRTHS_MAX, Birth, DocumentKind, IdentityDocument, PersonDetails, PersonName, Sex, Spouse,
};
use domain::purpose::{LawfulBasis, Purpose};
use domain::registration::RegistrationDetails;
use domain::rule::Rule;

use super::form::Form;
use crate::pb::{message, office};

impl Form {
    /// An identity document.
    pub fn document(
        &mut self,
        field: &str,
        document: Option<message::IdentityDocument>,
    ) -> Option<IdentityDocument> {
        let document = self.there(field.to_owned(), document)?;
        let message::IdentityDocument { kind, number, check_confirmed } = document;
        let kind: Option<DocumentKind> = self.chosen(format!("{field}.kind"), kind);
        let number_field = format!("{field}.number");
        if number.trim().is_empty() {
            self.broken(Rule::FieldRequired, number_field);
            return None;
        }
        let kind = kind?;
        self.read(number_field, &number, |number| {
            IdentityDocument::new(kind, number, check_confirmed)
        })
    }

    /// What is stated of a person. What a resident ID says of sex and birth need not be said twice.
    pub fn person(&mut self, field: &str, person: Option<office::Person>) -> Option<PersonDetails> {
        let person = self.there(field.to_owned(), person)?;
        let office::Person {
            person_id: _,
            document,
            name,
            sex,
            born_on,
            marital_status,
            married_on,
            children_born_on,
            change: _,
            at_risk,
            spouse_name,
        } = person;
        let at = |name: &str| format!("{field}.{name}");
        let document = self.document(&at("document"), document);
        let name = self.read(at("name"), &name, PersonName::parse);
        let id = document.as_ref().and_then(IdentityDocument::resident_id);
        let of_id = id.map(|id| (id.sex(), id.birth_date()));
        let sex: Option<Sex> = self.maybe_chosen(at("sex"), sex);
        let sex = sex.or(of_id.map(|(sex, _)| sex)).unwrap_or(Sex::NotStated);
        let birth_date = match of_id {
            Some((_, born)) if born_on.trim().is_empty() => Some(born),
            Some(_) | None => self.parsed(at("born_on"), &born_on),
        };
        let marital_status = self.maybe_chosen(at("marital_status"), marital_status);
        let spouse_name = self.maybe_read(at("spouse_name"), &spouse_name, PersonName::parse);
        let married_on = self.maybe_parsed(at("married_on"), &married_on);
        if married_on.is_some() && spouse_name.is_none() {
            self.broken(Rule::FieldRequired, at("spouse_name"));
        }
        let births = self.births(&at("children_born_on"), &children_born_on);
        Some(PersonDetails {
            document: document?,
            name: name?,
            sex,
            birth_date: birth_date?,
            marital_status,
            spouse: spouse_name.map(|name| Spouse { name, document: None, married_on }),
            births,
            at_risk,
        })
    }

    fn births(&mut self, field: &str, days: &[String]) -> Vec<Birth> {
        if days.len() > BIRTHS_MAX {
            self.broken(Rule::ChildrenTooMany, field.to_owned());
            return Vec::new();
        }
        let read = |(at, day): (usize, &String)| {
            let born_on = self.parsed(format!("{field}[{at}]"), day)?;
            Some(Birth { born_on })
        };
        days.iter().enumerate().filter_map(read).collect()
    }

    /// What is stated of a stay.
    pub fn registration(
        &mut self,
        field: &str,
        registration: Option<office::Registration>,
    ) -> Option<RegistrationDetails> {
        let registration = self.there(field.to_owned(), registration)?;
        let office::Registration {
            registration_id: _,
            person_id: _,
            origin_area,
            residence_area,
            address,
            arrived_on,
            reason,
            state: _,
            since: _,
            destination_area: _,
            change: _,
            certificate_number,
        } = registration;
        let at = |name: &str| format!("{field}.{name}");
        let origin_area = self.area(at("origin_area"), &origin_area);
        let residence_area = self.area(at("residence_area"), &residence_area);
        let address = self.maybe_note(at("address"), &address);
        let arrived_on = self.parsed(at("arrived_on"), &arrived_on);
        let reason = self.maybe_chosen(at("reason"), reason);
        let certificate = self.maybe_parsed(at("certificate_number"), &certificate_number);
        Some(RegistrationDetails {
            arrived_on: arrived_on?,
            residence_area: residence_area?,
            address,
            origin_area: origin_area?,
            reason,
            certificate,
        })
    }

    /// What a consent says.
    pub fn consent(
        &mut self,
        field: &str,
        consent: Option<office::Consent>,
    ) -> Option<ConsentTerms> {
        let consent = self.there(field.to_owned(), consent)?;
        let office::Consent {
            consent_id: _,
            person_id: _,
            scopes,
            recipient,
            given_on,
            valid_until,
            form,
            withdrawn_ms: _,
            change: _,
        } = consent;
        let at = |name: &str| format!("{field}.{name}");
        let scopes: BTreeSet<ConsentScope> = self.set(&at("scopes"), &scopes);
        let recipient = self.area(at("recipient"), &recipient);
        let given_on = self.parsed(at("given_on"), &given_on);
        let valid_until = self.parsed(at("valid_until"), &valid_until);
        let given: Option<Given> = self.chosen(at("form"), form);
        Some(ConsentTerms {
            scopes,
            recipient: recipient?,
            given_on: given_on?,
            valid_until: valid_until?,
            given: given?,
        })
    }

    fn set<T: Numbered + Ord>(&mut self, field: &str, numbers: &[i32]) -> BTreeSet<T> {
        if !self.bounded(field.to_owned(), numbers) {
            return BTreeSet::new();
        }
        let chosen = numbers.iter().filter_map(|number| self.chosen(field.to_owned(), *number));
        chosen.collect()
    }

    /// How somebody said so; in person when not stated.
    pub fn given(&mut self, field: &'static str, form: i32) -> Given {
        self.maybe_chosen(field, form).unwrap_or(Given::InPerson)
    }

    /// Why a record is read; whether that is enough is for the use case to say.
    pub fn access(
        &mut self,
        access: Option<office::Access>,
    ) -> (Option<LawfulBasis>, Option<Purpose>) {
        let office::Access { basis, purpose } = access.unwrap_or_default();
        let basis = self.maybe_chosen("access.basis", basis);
        (basis, self.maybe_chosen("access.purpose", purpose))
    }
}
