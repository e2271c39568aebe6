//! The access log: a journal whose entries are chained by hash, and an index by person.
//!
//! What an entry says and which of its bytes are hashed is `domain::access`'s business. Pages are
//! sealed with the key of the table: who looked at whom is nobody's business who has only the disk.

use domain::access::{AccessAction, AccessEntry, ChainBreak, PersonKey};
use exchange::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::error::{Corrupt, StoreError};
use crate::store::Store;
use crate::subject::PersonHash;
use crate::tables::{ACCESS, ACCESS_OF_PERSON};
use crate::unit::Unit;
use crate::value::{NoOlder, Value, Versioned};

/// Most entries one page of the log returns.
pub const ACCESS_PAGE_MAX: usize = 500;
/// Entries that a check of the chain holds in memory at one time, and their bytes.
const CHECK_STEP: (usize, usize) = (1_000, 1 << 20);
/// Says what is hashed, so that the result cannot pass for something else.
const PERSON_CONTEXT: &[u8] = b"liangdi/v1/access/person\0";

/// An entry of the log as it lies on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccessRow(pub AccessEntry);

impl Versioned for AccessRow {
    const VERSION: u8 = 1;
    type Older = NoOlder;
    fn upgrade(older: NoOlder) -> Self {
        match older {}
    }
}

/// Where a check of the log ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessHead {
    /// Number of the last entry; 0 when there is none.
    pub number: u64,
    /// Its hash; zeros when there is none.
    pub hash: [u8; 32],
}

/// Why the log is not what was written.
#[derive(Debug, thiserror::Error)]
pub enum AccessLogError {
    /// An entry cannot be read.
    #[error("the access log cannot be read")]
    Store(#[from] StoreError),
    /// An entry does not follow the one before.
    #[error("the access log was changed")]
    Broken(#[source] ChainBreak),
}

/// How the log names the person behind a document: a hash of the keyed hash, so that an exported log
/// leads nobody back to the index.
#[must_use]
pub fn person_key(document: PersonHash) -> PersonKey {
    PersonKey(*Digest::of_parts(&[PERSON_CONTEXT, document.as_bytes()]).as_bytes())
}

/// Hash of an entry, as the next one carries it.
#[must_use]
pub fn access_hash(entry: &AccessEntry) -> [u8; 32] {
    *Digest::of(&entry.chain_bytes()).as_bytes()
}

impl Unit<'_> {
    /// Appends an entry to the access log. Number, predecessor's hash and, if the clock went back,
    /// the time are set here; says which number it got.
    ///
    /// # Errors
    /// When the last entry cannot be read.
    pub fn append_access(&mut self, mut entry: AccessEntry) -> Result<u64, StoreError> {
        let number = self.next_position(&ACCESS, &())?;
        (entry.number, entry.previous) = (number, [0; 32]);
        if let Some(last) = number.checked_sub(1).filter(|last| *last > 0) {
            let bytes = self.read(&ACCESS, &(), last)?;
            let last = decode(&bytes.unwrap_or_default())?;
            entry.previous = access_hash(&last);
            entry.at = entry.at.max(last.at);
        }
        // Sendings are many, and the message itself leads to them: they pay for no row of the index.
        let person = entry.person.filter(|_| entry.action != AccessAction::Send);
        let row = AccessRow(entry);
        let mut bytes = Vec::new();
        row.encode(&mut bytes).map_err(|_| StoreError::Encode(ACCESS.name()))?;
        self.append_at(&ACCESS, &(), number, &bytes)?;
        if let Some(person) = person {
            self.put(&ACCESS_OF_PERSON, &(person.0, number), &())?;
        }
        Ok(number)
    }
}

impl Store {
    /// Entries after number `after`, oldest first, at most `limit` and [`ACCESS_PAGE_MAX`].
    ///
    /// # Errors
    /// When an entry cannot be read.
    pub fn access_after(&self, after: u64, limit: usize) -> Result<Vec<AccessEntry>, StoreError> {
        let limit = limit.min(ACCESS_PAGE_MAX);
        let entries = self.read_from(&ACCESS, &(), after.saturating_add(1), limit, usize::MAX)?;
        entries.iter().map(|(_, bytes)| decode(bytes)).collect()
    }

    /// Who looked at one person: entries after number `after`, oldest first, at most `limit` and
    /// [`ACCESS_PAGE_MAX`].
    ///
    /// # Errors
    /// When an entry cannot be read.
    pub fn access_of_person(
        &self,
        person: PersonKey,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AccessEntry>, StoreError> {
        let after = (person.0, after);
        let limit = limit.min(ACCESS_PAGE_MAX);
        let rows = self.scan_under(&ACCESS_OF_PERSON, &(person.0,), Some(&after), limit)?;
        let entries = rows.into_iter().map(|((_, number), ())| self.read(&ACCESS, &(), number));
        let entries = entries.filter_map(Result::transpose);
        entries.map(|bytes| decode(&bytes?)).collect()
    }

    /// Follows the chain from the first entry to the last and says where it ends. The head is what
    /// a third party keeps: a later log that does not contain it was cut or written anew.
    ///
    /// # Errors
    /// [`AccessLogError`] at the first entry that does not follow.
    pub fn check_access(&self) -> Result<AccessHead, AccessLogError> {
        let mut head = AccessHead { number: 0, hash: [0; 32] };
        let mut before: Option<AccessEntry> = None;
        loop {
            let from = head.number.saturating_add(1);
            let rows = self.read_from(&ACCESS, &(), from, CHECK_STEP.0, CHECK_STEP.1)?;
            if rows.is_empty() {
                return Ok(head);
            }
            for (_, bytes) in rows {
                let entry = decode(&bytes)?;
                follows(before.as_ref(), &entry, &head).map_err(AccessLogError::Broken)?;
                head = AccessHead { number: entry.number, hash: access_hash(&entry) };
                before = Some(entry);
            }
        }
    }
}

fn follows(
    before: Option<&AccessEntry>,
    entry: &AccessEntry,
    head: &AccessHead,
) -> Result<(), ChainBreak> {
    match before {
        Some(before) => entry.follows(before, &head.hash),
        None if entry.number != 1 => Err(ChainBreak::Number { expected: 1, found: entry.number }),
        None if entry.previous != [0; 32] => Err(ChainBreak::Hash { number: 1 }),
        None => Ok(()),
    }
}

fn decode(bytes: &[u8]) -> Result<AccessEntry, StoreError> {
    let row = AccessRow::decode(bytes)
        .map_err(|source: Corrupt| StoreError::Corrupt { table: ACCESS.name(), source })?;
    Ok(row.0)
}
