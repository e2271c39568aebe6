//! Records about persons: the present version of each, the earlier ones behind it, and what belongs
//! to whom.
//!
//! Every value is sealed with the key of its person and goes with it. A new version moves the one
//! before to the table of earlier versions in the same unit, so nothing is ever written over.

use domain::certificate::{Certificate, Endorsement};
use domain::consent::{Consent, ServiceRequest};
use domain::id::{CertificateNumber, ConsentId, EndorsementId, PersonId, RegistrationId, RequestId};
use domain::person::Person;
use domain::record::Version;
use domain::registration::Registration;
use domain::time::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::key::{Key, StartsWith};
use crate::store::Store;
use crate::subject::{Kept, PersonHash, Subject};
use crate::table::{Personal, Table};
use crate::tables::*;
use crate::unit::Unit;
use crate::value::{NoOlder, Value, Versioned};

/// Most records of one kind that are read for one person.
pub const RECORDS_OF_PERSON_MAX: usize = 200;
/// Most versions of one record that are read.
pub const VERSIONS_MAX: usize = 200;
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
    EndorsementRow(Endorsement);
    /// A consent.
    ConsentRow(Consent);
    /// A request for a service.
    ServiceRequestRow(ServiceRequest);
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
    fn service_request(&self, id: RequestId) -> Result<Option<ServiceRequest>, StoreError> {
        Ok(self.record(&SERVICE_REQUEST, &id)?.map(|row| row.0))
    }

    /// A check of a certificate.
    ///
    /// # Errors
    /// When the row cannot be read.
    fn endorsement(&self, id: EndorsementId) -> Result<Option<Endorsement>, StoreError> {
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
