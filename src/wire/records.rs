//! Records of the office API: what clerks' programs write is read field by field, and every fault is found at once.

mod form;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub use form::{Form, LIST_MAX};
pub use write::{
    certificate_to_pb, certificate_versions_to_pb, consent_to_pb, endorsement_to_pb, person_to_pb,
    registration_to_pb, registration_versions_to_pb, service_request_to_pb,
};
