//! To protobuf: records as their office sees them. Every function that shows a person names what for.

use domain::area::AreaCode;
use domain::certificate::{Certificate, CertificateVersion, CheckResult, Endorsement, Standing};
use domain::consent::{Consent, ServiceRequest};
use domain::id::RegistrationId;
use domain::message::CertificateState;
use domain::numbered::Numbered;
use domain::person::{IdentityDocument, Person, Sex};
use domain::purpose::Purpose;
use domain::record::{Author, Written};
use domain::registration::{Registration, RegistrationState, Stay};
use domain::time::{Date, UnixMillis};

use crate::pb::{message, office};

fn number<T: Numbered>(value: T) -> i32 {
    i32::from(value.number())
}

fn maybe_number<T: Numbered>(value: Option<T>) -> i32 {
    value.map_or(0, number)
}

fn maybe_text<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn change(version: u32, author: &Author, why: Purpose) -> Option<office::Change> {
    Some(office::Change {
        version,
        operator: author.operator.to_string(),
        at_ms: author.at.get(),
        reason: author.why.expose(&why).to_owned(),
    })
}

fn document(document: &IdentityDocument, why: Purpose) -> message::IdentityDocument {
    message::IdentityDocument {
        kind: number(document.kind()),
        number: document.expose(&why).to_owned(),
        check_confirmed: document.check_confirmed(),
    }
}

/// A person, the present version.
#[must_use]
pub fn person_to_pb(person: &Person, why: Purpose) -> office::Person {
    let details = person.details();
    let sex = match details.sex {
        Sex::Male => office::Sex::Male,
        Sex::Female => office::Sex::Female,
        Sex::NotStated => office::Sex::Unspecified,
    };
    let spouse = details.spouse.as_ref();
    office::Person {
        person_id: person.id().to_string(),
        document: Some(document(&details.document, why)),
        name: details.name.expose(&why).to_owned(),
        sex: sex.into(),
        born_on: details.birth_date.to_string(),
        marital_status: maybe_number(details.marital_status),
        married_on: maybe_text(spouse.and_then(|spouse| spouse.married_on)),
        children_born_on: details.births.iter().map(|birth| birth.born_on.to_string()).collect(),
        change: change(person.version().get(), &person.history().current().author, why),
        at_risk: details.at_risk,
        spouse_name: spouse.map(|spouse| spouse.name.expose(&why).to_owned()).unwrap_or_default(),
    }
}

/// A registration, the present version.
#[must_use]
pub fn registration_to_pb(registration: &Registration, why: Purpose) -> office::Registration {
    let version = registration.version().get();
    registration_version(registration, version, registration.history().current(), why)
}

/// All versions of a registration, newest first.
#[must_use]
pub fn registration_versions_to_pb(
    registration: &Registration,
    why: Purpose,
) -> Vec<office::Registration> {
    let versions = (1..).zip(registration.history().iter());
    let versions = versions.map(|(n, written)| registration_version(registration, n, written, why));
    let mut versions: Vec<_> = versions.collect();
    versions.reverse();
    versions
}

fn registration_version(
    registration: &Registration,
    version: u32,
    written: &Written<RegistrationState>,
    why: Purpose,
) -> office::Registration {
    let RegistrationState { step: _, details, stay } = &written.value;
    let (state, to) = match stay {
        Stay::Present => (office::RegistrationState::Present, None),
        Stay::MovedOn { on: _, to } => (office::RegistrationState::MovedOn, Some(to)),
        Stay::Departed { on: _ } => (office::RegistrationState::Departed, None),
    };
    let address = details.address.as_ref();
    office::Registration {
        registration_id: registration.id().to_string(),
        person_id: registration.person().to_string(),
        origin_area: details.origin_area.to_string(),
        residence_area: details.residence_area.to_string(),
        address: address.map(|address| address.expose(&why).to_owned()).unwrap_or_default(),
        arrived_on: details.arrived_on.to_string(),
        reason: maybe_number(details.reason),
        state: state.into(),
        since: stay.ended_on().unwrap_or(details.arrived_on).to_string(),
        destination_area: maybe_text(to),
        change: change(version, &written.author, why),
        certificate_number: maybe_text(details.certificate),
    }
}

/// A certificate as it stands on a day, the present version.
#[must_use]
pub fn certificate_to_pb(
    certificate: &Certificate,
    today: Date,
    why: Purpose,
) -> office::Certificate {
    let (version, written) = (certificate.version().get(), certificate.history().current());
    certificate_version(certificate, version, written, today, why)
}

/// All versions of a certificate, newest first.
#[must_use]
pub fn certificate_versions_to_pb(
    certificate: &Certificate,
    today: Date,
    why: Purpose,
) -> Vec<office::Certificate> {
    let versions = (1..).zip(certificate.history().iter());
    let versions =
        versions.map(|(n, written)| certificate_version(certificate, n, written, today, why));
    let mut versions: Vec<_> = versions.collect();
    versions.reverse();
    versions
}

fn certificate_version(
    certificate: &Certificate,
    version: u32,
    written: &Written<CertificateVersion>,
    today: Date,
    why: Purpose,
) -> office::Certificate {
    let CertificateVersion { event: _, valid_from, valid_until, standing } = &written.value;
    let (state, replaced_by, revocation_reason) = match standing {
        Standing::Replaced { by, .. } => (CertificateState::Replaced, Some(by), String::new()),
        Standing::Revoked { reason, .. } => {
            (CertificateState::Revoked, None, reason.expose(&why).to_owned())
        }
        Standing::InForce if today > *valid_until => {
            (CertificateState::Expired, None, String::new())
        }
        Standing::InForce => (CertificateState::Valid, None, String::new()),
    };
    let facts = certificate.facts();
    office::Certificate {
        certificate_number: certificate.number().to_string(),
        person_id: certificate.person().to_string(),
        state: number(state),
        issued_on: valid_from.to_string(),
        valid_until: valid_until.to_string(),
        marital_status: maybe_number(facts.marital_status),
        children: u32::try_from(facts.births.len()).unwrap_or(u32::MAX),
        replaces: maybe_text(certificate.replaces()),
        replaced_by: maybe_text(replaced_by),
        change: change(version, &written.author, why),
        revocation_reason,
    }
}

/// A check of a certificate, made for a registration.
#[must_use]
pub fn endorsement_to_pb(
    endorsement: &Endorsement,
    registration: RegistrationId,
    revocation_list: Option<UnixMillis>,
    why: Purpose,
) -> office::Endorsement {
    let (result, reason) = match &endorsement.result {
        CheckResult::InOrder => (office::EndorsementResult::Valid, None),
        CheckResult::Doubtful { reason } => (office::EndorsementResult::Doubtful, Some(reason)),
        CheckResult::NotChecked { reason } => (office::EndorsementResult::NotChecked, Some(reason)),
    };
    office::Endorsement {
        certificate_number: endorsement.certificate_number.to_string(),
        person_id: endorsement.person.to_string(),
        checked_on: endorsement.at.date().to_string(),
        result: result.into(),
        revocation_list_ms: revocation_list.map_or(0, UnixMillis::get),
        change: Some(office::Change {
            version: 1,
            operator: endorsement.checked_by.to_string(),
            at_ms: endorsement.at.get(),
            reason: String::new(),
        }),
        reason: reason.map(|reason| reason.expose(&why).to_owned()).unwrap_or_default(),
        endorsement_id: endorsement.id.to_string(),
        registration_id: registration.to_string(),
    }
}

/// A consent; version 2 is its withdrawal.
#[must_use]
pub fn consent_to_pb(consent: &Consent, why: Purpose) -> office::Consent {
    let (terms, withdrawal) = (consent.terms(), consent.withdrawal());
    let author = withdrawal.map_or(consent.author(), |withdrawal| &withdrawal.author);
    office::Consent {
        consent_id: consent.id().to_string(),
        person_id: consent.person().to_string(),
        scopes: terms.scopes.iter().copied().map(number).collect(),
        recipient: terms.recipient.to_string(),
        given_on: terms.given_on.to_string(),
        valid_until: terms.valid_until.to_string(),
        form: number(terms.given),
        withdrawn_ms: consent.withdrawn_at().map_or(0, UnixMillis::get),
        change: change(if withdrawal.is_some() { 2 } else { 1 }, author, why),
    }
}

/// A person's own request for a service.
#[must_use]
pub fn service_request_to_pb(
    request: &ServiceRequest,
    recipient: AreaCode,
    why: Purpose,
) -> office::ServiceRequest {
    office::ServiceRequest {
        request_id: request.id.to_string(),
        person_id: request.person.to_string(),
        service: number(request.service),
        requested_on: request.requested_on.to_string(),
        recipient: recipient.to_string(),
        change: change(1, &request.author, why),
        form: number(request.given),
        withdrawn_ms: request.withdrawal.as_ref().map_or(0, |it| it.author.at.get()),
    }
}
