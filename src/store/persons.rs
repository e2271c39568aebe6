//! Persons in a unit of work: found, created, given a further document, erased.

use domain::id::PersonId;
use rand::RngCore;
use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::key::Key;
use crate::seal::{KEY_BYTES, Keys};
use crate::subject::{Kept, PersonHash, Subject, SubjectKey};
use crate::table::{Personal, Table};
use crate::tables::{ERASED, SUBJECT, SUBJECT_KEY};
use crate::unit::Unit;
use crate::value::Value;

impl Unit<'_> {
    /// The keyed hash under which a person with this document is found. The document comes in its
    /// canonical form (kind and number), so that the same document is the same bytes.
    pub fn person_hash(&self, document: &[u8]) -> PersonHash {
        PersonHash::new(&self.core().keys, document)
    }

    /// The person whom a document leads to, unless there is none or they were erased.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn find_subject(&self, document: PersonHash) -> Result<Option<Subject>, StoreError> {
        match self.get(&SUBJECT, &document)? {
            Some(person) => self.subject_of(PersonId::from_bytes(person)),
            None => Ok(None),
        }
    }

    /// The person whom a document leads to; made under the id `new` with a fresh random key when
    /// there is none yet.
    ///
    /// # Errors
    /// When a row cannot be read or written.
    pub fn subject(&mut self, document: PersonHash, new: PersonId) -> Result<Subject, StoreError> {
        if let Some(known) = self.find_subject(document)? {
            return Ok(known);
        }
        if self.contains(&SUBJECT, &document)? {
            // She was erased after these data were backed up; from now on nothing else would tell.
            self.put(&ERASED, &document, &())?;
        }
        let mut salt = Zeroizing::new([0; KEY_BYTES]);
        rand::rng().fill_bytes(&mut *salt);
        let row = SubjectKey { salt: *salt, documents: vec![*document.as_bytes()] };
        self.put(&SUBJECT_KEY, &new, &row)?;
        self.put(&SUBJECT, &document, new.as_bytes())?;
        Ok(Subject::new(new, salt))
    }

    /// What opens the values of a person, unless they were erased or never existed.
    ///
    /// # Errors
    /// When the row cannot be read.
    pub fn subject_of(&self, person: PersonId) -> Result<Option<Subject>, StoreError> {
        let key = SUBJECT_KEY.key(&person);
        match self.pending(key.as_slice()) {
            None => self.core().subject(person),
            Some(None) => Ok(None),
            Some(Some(bytes)) => {
                let row = SUBJECT_KEY.read(&self.core().keys, key.as_slice(), bytes)?;
                Ok(Some(Subject::new(person, Zeroizing::new(row.salt))))
            }
        }
    }

    /// Whether a person with this document was ever erased, also after these data were backed up.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn was_erased(&self, document: PersonHash) -> Result<bool, StoreError> {
        if self.contains(&ERASED, &document)? {
            return Ok(true);
        }
        Ok(self.contains(&SUBJECT, &document)? && self.find_subject(document)?.is_none())
    }

    /// Notes that what this hash stands for was about a person who was erased.
    ///
    /// # Errors
    /// When the row cannot be written.
    pub fn note_erased(&mut self, hash: PersonHash) -> Result<(), StoreError> {
        self.put(&ERASED, &hash, &())
    }

    /// Lets a further document (a passport, a corrected number) lead to a person.
    ///
    /// # Errors
    /// [`StoreError::NoSuchPerson`] when the person was erased or never existed.
    pub fn add_document(
        &mut self,
        person: PersonId,
        document: PersonHash,
    ) -> Result<(), StoreError> {
        let row = self.get(&SUBJECT_KEY, &person)?;
        let mut row = row.ok_or(StoreError::NoSuchPerson)?;
        if !row.documents.contains(document.as_bytes()) {
            row.documents.push(*document.as_bytes());
        }
        self.put(&SUBJECT_KEY, &person, &row)?;
        self.put(&SUBJECT, &document, person.as_bytes())
    }

    /// Erases a person: destroys the key of everything that is stored under it and forgets the
    /// documents that lead to it. Says whether there was such a person.
    ///
    /// The rows themselves stay as noise until their tables drop them. Bytes that sled has already
    /// written stay in its file until the segment is used again or the store is compacted.
    ///
    /// # Errors
    /// When the row cannot be read.
    pub fn erase_subject(&mut self, person: PersonId) -> Result<bool, StoreError> {
        let Some(row) = self.get(&SUBJECT_KEY, &person)? else { return Ok(false) };
        for document in row.documents() {
            if self.get(&SUBJECT, &document)? == Some(*person.as_bytes()) {
                self.delete(&SUBJECT, &document);
            }
            self.put(&ERASED, &document, &())?;
        }
        self.delete(&SUBJECT_KEY, &person);
        self.erase_key_of(person);
        Ok(true)
    }
}

impl Subject {
    /// Opens what [`Subject::seal`] made.
    pub(crate) fn open<K: Key, V: Value>(
        &self,
        keys: &Keys,
        table: &Table<K, V, Personal>,
        row_key: &[u8],
        sealed: &[u8],
    ) -> Result<Kept<V>, StoreError> {
        let opened = self.key(keys, table.name()).and_then(|key| key.open(row_key, sealed));
        let value = opened.and_then(|plain| V::decode(&plain));
        let value = value.map_err(StoreError::corrupt(table.name()))?;
        Ok(Kept::Value { person: self.person(), value })
    }
}
