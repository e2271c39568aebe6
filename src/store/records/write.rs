//! What a unit of work writes about persons: each function keeps a record with its indexes.

use domain::certificate::Certificate;
use domain::consent::Consent;
use domain::id::{OperatorName, PersonId};
use domain::person::{IdentityDocument, Person};
use domain::record::Version;
use domain::registration::Registration;

use super::{
    CertificateRow, ConsentRow, EndorsementRow, IDEMPOTENCY_CONTEXT, IdempotencyRow,
    KeptEndorsement, KeptServiceRequest, PersonRow, RECORDS_OF_PERSON_MAX, ReadRecords,
    RegistrationRow, ServiceRequestRow, number_key,
};
use crate::error::StoreError;
use crate::subject::{PersonHash, Subject};
use crate::tables::{
    CERTIFICATE, CERTIFICATE_OF_PERSON, CERTIFICATE_SERIAL, CONSENT, CONSENT_OF_PERSON,
    ENDORSEMENT, ENDORSEMENT_OF_PERSON, IDEMPOTENCY, PERSON, PERSON_COUNT, REGISTRATION,
    REGISTRATION_OF_PERSON, SERVICE_REQUEST, SERVICE_REQUEST_OF_PERSON,
};
use crate::unit::Unit;

impl Unit<'_> {
    /// Keeps a version of a person; the first one counts her.
    ///
    /// # Errors
    /// When a row cannot be read or written.
    pub fn keep_person(&mut self, subject: &Subject, person: &Person) -> Result<(), StoreError> {
        if person.version() == Version::FIRST {
            let count = self.get(&PERSON_COUNT, &())?.unwrap_or_default();
            self.put(&PERSON_COUNT, &(), &count.saturating_add(1))?;
        }
        self.put_personal(&PERSON, subject, &person.id(), &PersonRow(person.clone()))
    }

    /// Keeps a version of a registration.
    ///
    /// # Errors
    /// When a row cannot be read or written.
    pub fn keep_registration(
        &mut self,
        subject: &Subject,
        registration: &Registration,
    ) -> Result<(), StoreError> {
        let (id, row) = (registration.id(), RegistrationRow(registration.clone()));
        self.put(&REGISTRATION_OF_PERSON, &(subject.person(), id), &())?;
        self.put_personal(&REGISTRATION, subject, &id, &row)
    }

    /// Keeps a version of a certificate.
    ///
    /// # Errors
    /// When a row cannot be read or written.
    pub fn keep_certificate(
        &mut self,
        subject: &Subject,
        certificate: &Certificate,
    ) -> Result<(), StoreError> {
        let key = number_key(&certificate.number());
        self.put(&CERTIFICATE_OF_PERSON, &(subject.person(), key), &())?;
        self.put_personal(&CERTIFICATE, subject, &key, &CertificateRow(certificate.clone()))
    }

    /// Keeps a check of a certificate.
    ///
    /// # Errors
    /// When a row cannot be written.
    pub fn keep_endorsement(
        &mut self,
        subject: &Subject,
        endorsement: &KeptEndorsement,
    ) -> Result<(), StoreError> {
        let id = endorsement.endorsement.id;
        self.put(&ENDORSEMENT_OF_PERSON, &(subject.person(), id), &())?;
        self.put_personal(&ENDORSEMENT, subject, &id, &EndorsementRow(endorsement.clone()))
    }

    /// Keeps a consent, or its withdrawal.
    ///
    /// # Errors
    /// When a row cannot be written.
    pub fn keep_consent(&mut self, subject: &Subject, consent: &Consent) -> Result<(), StoreError> {
        let id = consent.id();
        self.put(&CONSENT_OF_PERSON, &(subject.person(), id), &())?;
        self.put_personal(&CONSENT, subject, &id, &ConsentRow(consent.clone()))
    }

    /// Keeps a request for a service.
    ///
    /// # Errors
    /// When a row cannot be written.
    pub fn keep_service_request(
        &mut self,
        subject: &Subject,
        kept: &KeptServiceRequest,
    ) -> Result<(), StoreError> {
        let id = kept.request.id;
        self.put(&SERVICE_REQUEST_OF_PERSON, &(subject.person(), id), &())?;
        self.put_personal(&SERVICE_REQUEST, subject, &id, &ServiceRequestRow(kept.clone()))
    }

    /// A person's registrations here, oldest first, at most [`RECORDS_OF_PERSON_MAX`].
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn registrations_of(&self, person: PersonId) -> Result<Vec<Registration>, StoreError> {
        let limit = RECORDS_OF_PERSON_MAX;
        let rows = self.scan_under(&REGISTRATION_OF_PERSON, &(person,), None, limit)?;
        rows.into_iter().filter_map(|((_, id), ())| self.registration(id).transpose()).collect()
    }

    /// A person's certificates from here, oldest first, at most [`RECORDS_OF_PERSON_MAX`].
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn certificates_of(&self, person: PersonId) -> Result<Vec<Certificate>, StoreError> {
        let limit = RECORDS_OF_PERSON_MAX;
        let rows = self.scan_under(&CERTIFICATE_OF_PERSON, &(person,), None, limit)?;
        let read = |key| Ok(self.record(&CERTIFICATE, &key)?.map(|row| row.0));
        rows.into_iter().filter_map(|((_, key), ())| read(key).transpose()).collect()
    }

    /// A person's consents, oldest first, at most [`RECORDS_OF_PERSON_MAX`].
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn consents_of(&self, person: PersonId) -> Result<Vec<Consent>, StoreError> {
        let rows = self.scan_under(&CONSENT_OF_PERSON, &(person,), None, RECORDS_OF_PERSON_MAX)?;
        rows.into_iter().filter_map(|((_, id), ())| self.consent(id).transpose()).collect()
    }

    /// A person's requests for services, oldest first, at most [`RECORDS_OF_PERSON_MAX`].
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn service_requests_of(
        &self,
        person: PersonId,
    ) -> Result<Vec<KeptServiceRequest>, StoreError> {
        let limit = RECORDS_OF_PERSON_MAX;
        let rows = self.scan_under(&SERVICE_REQUEST_OF_PERSON, &(person,), None, limit)?;
        rows.into_iter().filter_map(|((_, id), ())| self.service_request(id).transpose()).collect()
    }

    /// The next serial of certificates in a year, from 1. A unit that is refused gives it back, so
    /// that numbers have no gaps.
    ///
    /// # Errors
    /// When the counter cannot be read.
    pub fn next_certificate_serial(&mut self, year: u16) -> Result<u64, StoreError> {
        let last = self.get(&CERTIFICATE_SERIAL, &year)?.unwrap_or_default();
        let next = last.saturating_add(1);
        self.put(&CERTIFICATE_SERIAL, &year, &next)?;
        Ok(next)
    }

    /// The keyed hash under which a document leads to its person.
    #[must_use]
    pub fn document_hash(&self, document: &IdentityDocument) -> PersonHash {
        self.person_hash(&document.lookup_bytes())
    }

    /// What came of an earlier call of the same operator under the same idempotency key.
    ///
    /// # Errors
    /// When the row cannot be read.
    pub fn first_outcome(
        &self,
        operator: &OperatorName,
        key: &str,
    ) -> Result<Option<IdempotencyRow>, StoreError> {
        self.get(&IDEMPOTENCY, &self.idempotency_hash(operator, key))
    }

    /// Keeps what came of a call under an idempotency key.
    ///
    /// # Errors
    /// When the row cannot be written.
    pub fn keep_outcome(
        &mut self,
        operator: &OperatorName,
        key: &str,
        row: &IdempotencyRow,
    ) -> Result<(), StoreError> {
        let hash = self.idempotency_hash(operator, key);
        self.put(&IDEMPOTENCY, &hash, row)
    }

    /// Keyed hash of what a call asks for: tells two calls apart and says nothing else.
    #[must_use]
    pub fn content_hash(&self, content: &[u8]) -> [u8; 16] {
        let bytes = [IDEMPOTENCY_CONTEXT, b"content\0", content].concat();
        *self.person_hash(&bytes).as_bytes()
    }

    /// Keys may be anything a program makes up, perhaps an identity number: so they are hashed like one.
    fn idempotency_hash(&self, operator: &OperatorName, key: &str) -> PersonHash {
        let operator = operator.as_str().as_bytes();
        self.person_hash(&[IDEMPOTENCY_CONTEXT, b"key\0", operator, b"\0", key.as_bytes()].concat())
    }
}
