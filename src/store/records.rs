//! Records about persons, and what belongs to whom.
//!
//! Every value is sealed with the key of its person and goes with it. Persons, registrations and
//! certificates hold all their versions, so nothing that was said is ever lost by a change.

mod write;

#[cfg(test)]
mod tests;

use domain::area::AreaCode;
use domain::certificate::{Certificate, Endorsement};
use domain::consent::{Consent, ServiceRequest};
use domain::id::{
    CertificateNumber, ConsentId, EndorsementId, PersonId, RegistrationId, RequestId,
};
use domain::person::{IdentityDocument, Person};
use domain::registration::Registration;
use domain::time::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::key::Key;
use crate::store::Store;
use crate::subject::{Kept, PersonHash};
use crate::table::{Personal, Table};
use crate::tables::{
    CERTIFICATE, CERTIFICATE_OF_PERSON, CONSENT, CONSENT_OF_PERSON, ENDORSEMENT,
    ENDORSEMENT_OF_PERSON, PERSON, PERSON_COUNT, REGISTRATION, REGISTRATION_OF_PERSON,
    SERVICE_REQUEST, SERVICE_REQUEST_OF_PERSON,
};
use crate::unit::Unit;
use crate::value::{NoOlder, Value, Versioned};

/// Most records of one kind that are read for one person.
pub const RECORDS_OF_PERSON_MAX: usize = 200;
/// Says what the keyed hash is taken over; no document begins with this byte.
const IDEMPOTENCY_CONTEXT: &[u8] = b"\xFFidempotency\0";

/// Digits of a certificate number, as they stand in keys.
pub type NumberKey = [u8; 17];

/// The key of a certificate.
#[must_use]
pub fn number_key(number: &CertificateNumber) -> NumberKey {
    let mut key = [0; 17];
    for (to, from) in key.iter_mut().zip(number.as_str().bytes()) {
        *to = from;
    }
    key
}

/// Declares how a record of the domain lies on the disk. Layout 1 of each is postcard of the record
/// itself; golden bytes in the tests hold it fast.
macro_rules! rows {
    ($($(#[$doc:meta])* $row:ident($record:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $row(pub $record);

        impl Versioned for $row {
            const VERSION: u8 = 1;
            type Older = NoOlder;
            fn upgrade(older: NoOlder) -> Self {
                match older {}
            }
        }
    )*};
}
rows! {
    /// A person.
    PersonRow(Person);
    /// A registration.
    RegistrationRow(Registration);
    /// A certificate.
    CertificateRow(Certificate);
    /// A check of a certificate.
    EndorsementRow(KeptEndorsement);
    /// A consent.
    ConsentRow(Consent);
    /// A request for a service.
    ServiceRequestRow(KeptServiceRequest);
}

/// A check of a certificate, with the stay it was made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptEndorsement {
    /// Registration of the person who showed it.
    pub registration: RegistrationId,
    /// Date of the revocation list the check relied on; nothing when none was at hand.
    pub revocation_list: Option<UnixMillis>,
    /// The check.
    pub endorsement: Endorsement,
}

/// A person's own request, with the county that may be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptServiceRequest {
    /// County that is asked to give the service or to be told.
    pub recipient: AreaCode,
    /// The request.
    pub request: ServiceRequest,
}

/// What came of a call that named an idempotency key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyRow {
    /// When it was first called.
    pub at: UnixMillis,
    /// Keyed hash of what was asked for.
    pub content: [u8; 16],
    /// What came of it, in the words of the use case.
    pub result: Vec<u8>,
}

impl std::fmt::Debug for IdempotencyRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdempotencyRow").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Versioned for IdempotencyRow {
    const VERSION: u8 = 1;
    type Older = NoOlder;
    fn upgrade(older: NoOlder) -> Self {
        match older {}
    }
}

/// What reads the present version of a record: the store, or a unit with what it has written.
pub trait ReadRecords {
    /// A value of a person's table; nothing when there is none or its person was erased.
    ///
    /// # Errors
    /// When the row cannot be read.
    fn record<K: Key, V: Value>(
        &self,
        table: &Table<K, V, Personal>,
        key: &K,
    ) -> Result<Option<V>, StoreError>;

    /// A person.
    ///
    /// # Errors
    /// When the row cannot be read.
    fn person(&self, id: PersonId) -> Result<Option<Person>, StoreError> {
        Ok(self.record(&PERSON, &id)?.map(|row| row.0))
    }

    /// A registration.
    ///
    /// # Errors
    /// When the row cannot be read.
    fn registration(&self, id: RegistrationId) -> Result<Option<Registration>, StoreError> {
        Ok(self.record(&REGISTRATION, &id)?.map(|row| row.0))
    }

    /// A certificate.
    ///
    /// # Errors
    /// When the row cannot be read.
    fn certificate(&self, number: &CertificateNumber) -> Result<Option<Certificate>, StoreError> {
        Ok(self.record(&CERTIFICATE, &number_key(number))?.map(|row| row.0))
    }

    /// A consent.
    ///
    /// # Errors
    /// When the row cannot be read.
    fn consent(&self, id: ConsentId) -> Result<Option<Consent>, StoreError> {
        Ok(self.record(&CONSENT, &id)?.map(|row| row.0))
    }

    /// A request for a service.
    ///
    /// # Errors
    /// When the row cannot be read.
    fn service_request(&self, id: RequestId) -> Result<Option<KeptServiceRequest>, StoreError> {
        Ok(self.record(&SERVICE_REQUEST, &id)?.map(|row| row.0))
    }

    /// A check of a certificate.
    ///
    /// # Errors
    /// When the row cannot be read.
    fn endorsement(&self, id: EndorsementId) -> Result<Option<KeptEndorsement>, StoreError> {
        Ok(self.record(&ENDORSEMENT, &id)?.map(|row| row.0))
    }
}

impl ReadRecords for Store {
    fn record<K: Key, V: Value>(
        &self,
        table: &Table<K, V, Personal>,
        key: &K,
    ) -> Result<Option<V>, StoreError> {
        Ok(self.get_personal(table, key)?.and_then(Kept::value))
    }
}

impl ReadRecords for Unit<'_> {
    fn record<K: Key, V: Value>(
        &self,
        table: &Table<K, V, Personal>,
        key: &K,
    ) -> Result<Option<V>, StoreError> {
        Ok(self.get_personal(table, key)?.and_then(Kept::value))
    }
}

impl Store {
    /// The keyed hash under which a document leads to its person.
    #[must_use]
    pub fn document_hash(&self, document: &IdentityDocument) -> PersonHash {
        self.person_hash(&document.lookup_bytes())
    }

    /// Persons on record since the store began; erased ones count.
    ///
    /// # Errors
    /// When the counter cannot be read.
    pub fn person_count(&self) -> Result<u64, StoreError> {
        Ok(self.get(&PERSON_COUNT, &())?.unwrap_or_default())
    }

    /// A person's registrations here, newest first, at most [`RECORDS_OF_PERSON_MAX`].
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn registrations_of(&self, person: PersonId) -> Result<Vec<Registration>, StoreError> {
        let ids = self.of_person(&REGISTRATION_OF_PERSON, person)?;
        self.all(ids, |id| self.registration(id))
    }

    /// A person's certificates from here, newest first, at most [`RECORDS_OF_PERSON_MAX`].
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn certificates_of(&self, person: PersonId) -> Result<Vec<Certificate>, StoreError> {
        let keys = self.of_person(&CERTIFICATE_OF_PERSON, person)?;
        self.all(keys, |key| Ok(self.record(&CERTIFICATE, &key)?.map(|row| row.0)))
    }

    /// Checks made here of certificates a person showed, newest first, at most
    /// [`RECORDS_OF_PERSON_MAX`].
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn endorsements_of(&self, person: PersonId) -> Result<Vec<KeptEndorsement>, StoreError> {
        let ids = self.of_person(&ENDORSEMENT_OF_PERSON, person)?;
        self.all(ids, |id| self.endorsement(id))
    }

    /// A person's consents, newest first, at most [`RECORDS_OF_PERSON_MAX`].
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn consents_of(&self, person: PersonId) -> Result<Vec<Consent>, StoreError> {
        let ids = self.of_person(&CONSENT_OF_PERSON, person)?;
        self.all(ids, |id| self.consent(id))
    }

    /// A person's requests for services, newest first, at most [`RECORDS_OF_PERSON_MAX`].
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn service_requests_of(
        &self,
        person: PersonId,
    ) -> Result<Vec<KeptServiceRequest>, StoreError> {
        let ids = self.of_person(&SERVICE_REQUEST_OF_PERSON, person)?;
        self.all(ids, |id| self.service_request(id))
    }

    /// Keys of an index by person, last one first: ids and numbers grow with time.
    fn of_person<K: Key + OrderedEnds>(
        &self,
        index: &Table<(PersonId, K), ()>,
        person: PersonId,
    ) -> Result<Vec<K>, StoreError> {
        let range = (person, K::FIRST)..=(person, K::LAST);
        let rows = self.scan_back(index, range, RECORDS_OF_PERSON_MAX)?;
        Ok(rows.into_iter().map(|((_, key), ())| key).collect())
    }

    fn all<K, T>(
        &self,
        keys: Vec<K>,
        read: impl Fn(K) -> Result<Option<T>, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        keys.into_iter().filter_map(|key| read(key).transpose()).collect()
    }
}

/// The ends of an index under one person.
trait OrderedEnds {
    const FIRST: Self;
    const LAST: Self;
}

macro_rules! ends {
    ($($id:ty),*) => {$(
        impl OrderedEnds for $id {
            const FIRST: Self = Self::from_bytes([0; 16]);
            const LAST: Self = Self::from_bytes([0xFF; 16]);
        }
    )*};
}
ends!(RegistrationId, EndorsementId, ConsentId, RequestId);

impl OrderedEnds for NumberKey {
    const FIRST: Self = [0; 17];
    const LAST: Self = [0xFF; 17];
}
