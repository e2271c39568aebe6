//! Persons as the store knows them: found by a keyed hash, read with a key of their own.
//!
//! Whoever is in the records has a random salt; the key of each of their values is derived from the
//! data key, that salt and the name of the table. Destroying the salt erases the person: every value
//! under it is noise from then on, whatever table it is in.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;

use domain::id::PersonId;
use serde::{Deserialize, Serialize};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::error::Corrupt;
use crate::key::{Key, KeyBuf};
use crate::limits::SUBJECTS_CACHED_MAX;
use crate::seal::{KEY_BYTES, Keys, SealingKey};
use crate::value::{NoOlder, Versioned};

/// A keyed hash of an identity document (128 bits): the same for the same document on this node,
/// meaningless anywhere else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonHash([u8; 16]);

impl PersonHash {
    pub(crate) fn new(keys: &Keys, document: &[u8]) -> Self {
        Self(keys.document_hash(document))
    }

    /// The bytes, as they stand in keys of tables.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for PersonHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonHash(..)")
    }
}

impl Key for PersonHash {
    const WIDTH: usize = 16;
    fn write(&self, out: &mut KeyBuf) {
        out.push(&self.0);
    }
    fn read(bytes: &[u8]) -> Result<Self, Corrupt> {
        <[u8; 16]>::read(bytes).map(Self)
    }
}

/// One person and what opens their values. Kept no longer than the work at hand.
#[derive(Clone)]
pub struct Subject {
    person: PersonId,
    salt: Zeroizing<[u8; KEY_BYTES]>,
}

impl Subject {
    pub(crate) fn new(person: PersonId, salt: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self { person, salt }
    }

    /// Who it is.
    pub const fn person(&self) -> PersonId {
        self.person
    }

    /// Replaces the value in `out` by person ‖ nonce ‖ ciphertext ‖ tag.
    pub(crate) fn seal(
        &self,
        keys: &Keys,
        table: &'static str,
        row_key: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Corrupt> {
        self.key(keys, table)?.seal(row_key, out, 0)?;
        out.splice(..0, *self.person.as_bytes());
        Ok(())
    }

    pub(crate) fn key(&self, keys: &Keys, table: &'static str) -> Result<SealingKey, Corrupt> {
        keys.personal(table, &*self.salt)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({})", self.person)
    }
}

/// Row of the table of persons' keys; itself sealed with the key of that table.
#[derive(Serialize, Deserialize, ZeroizeOnDrop)]
pub struct SubjectKey {
    pub(crate) salt: [u8; KEY_BYTES],
    /// Documents that lead to this person, to forget them together.
    pub(crate) documents: Vec<[u8; 16]>,
}

impl SubjectKey {
    pub(crate) fn documents(&self) -> impl Iterator<Item = PersonHash> {
        self.documents.iter().map(|hash| PersonHash(*hash))
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectKey({} documents)", self.documents.len())
    }
}

impl Versioned for SubjectKey {
    const VERSION: u8 = 1;
    type Older = NoOlder;
    fn upgrade(older: NoOlder) -> Self {
        match older {}
    }
}

/// A value of a personal table as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept<V> {
    /// It can be read.
    Value {
        /// Whose it is.
        person: PersonId,
        /// What it says.
        value: V,
    },
    /// The person was erased; only the row remains.
    Erased,
}

impl<V> Kept<V> {
    /// The value, unless its person was erased.
    pub fn value(self) -> Option<V> {
        match self {
            Self::Value { value, .. } => Some(value),
            Self::Erased => None,
        }
    }
}

/// Persons' keys that were used lately. Shared by readers on any thread and the committer, each for
/// the length of one look-up.
#[derive(Default)]
pub(crate) struct SubjectCache(Mutex<Generations>);

/// Two halves: when the young one is full it becomes the old one, and what nobody asked for is gone.
#[derive(Default)]
struct Generations {
    young: HashMap<PersonId, Subject>,
    old: HashMap<PersonId, Subject>,
    /// Counts erasures, so that a reader who looked before one cannot put the key back after it.
    erasures: u64,
}

impl SubjectCache {
    /// The key, or what to hand to [`keep`](Self::keep) after having looked it up.
    pub(crate) fn find(&self, person: PersonId) -> Result<Subject, u64> {
        let mut cache = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(subject) = cache.young.get(&person) {
            return Ok(subject.clone());
        }
        let Some(subject) = cache.old.remove(&person) else { return Err(cache.erasures) };
        cache.insert(subject.clone());
        Ok(subject)
    }

    pub(crate) fn keep(&self, subject: Subject, looked_at: u64) {
        let mut cache = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if cache.erasures == looked_at {
            cache.insert(subject);
        }
    }

    pub(crate) fn forget(&self, person: PersonId) {
        let mut cache = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        cache.erasures += 1;
        cache.young.remove(&person);
        cache.old.remove(&person);
    }
}

impl Generations {
    fn insert(&mut self, subject: Subject) {
        if self.young.len() >= SUBJECTS_CACHED_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(subject.person, subject);
    }
}

impl fmt::Debug for SubjectCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectCache(..)")
    }
}
