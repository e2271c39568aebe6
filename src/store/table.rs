//! Descriptors of tables: a name, a prefix, a key, a value and how it is protected at rest.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use domain::id::PersonId;

use crate::error::{Corrupt, StoreError};
use crate::key::{Key, KeyBuf, StartsWith};
use crate::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::seal::Keys;
use crate::value::Value;

/// Values lie in clear: nothing in them is about a person or secret.
#[derive(Debug, Clone, Copy)]
pub enum Plain {}

/// Values are sealed with the key of the table: secret, but not one person's.
#[derive(Debug, Clone, Copy)]
pub enum Sealed {}

/// Values are sealed with the key of one person in this table and die with it. Layout: person id
/// (16) ‖ nonce (12) ‖ ciphertext ‖ tag (16).
#[derive(Debug, Clone, Copy)]
pub enum Personal {}

/// How values lie on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// See [`Plain`].
    Plain,
    /// See [`Sealed`].
    Sealed,
    /// See [`Personal`].
    Personal,
}

/// [`Plain`], [`Sealed`] or [`Personal`].
pub trait Protected {
    /// Which of the three.
    const PROTECTION: Protection;
}
impl Protected for Plain {
    const PROTECTION: Protection = Protection::Plain;
}
impl Protected for Sealed {
    const PROTECTION: Protection = Protection::Sealed;
}
impl Protected for Personal {
    const PROTECTION: Protection = Protection::Personal;
}

/// [`Plain`] or [`Sealed`]: read and written without naming a person.
pub trait Direct: Protected {}
impl Direct for Plain {}
impl Direct for Sealed {}

/// Types that a table is about but does not hold.
type About<K, V, P> = PhantomData<fn() -> (K, V, P)>;

/// A table: all rows whose key begins with its prefix.
pub struct Table<K, V, P = Plain> {
    name: &'static str,
    prefix: u8,
    packed: bool,
    types: About<K, V, P>,
}

impl<K, V, P> Clone for Table<K, V, P> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V, P> Copy for Table<K, V, P> {}

impl<K, V, P> std::fmt::Debug for Table<K, V, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({}, {:#04x})", self.name, self.prefix)
    }
}

impl<K: Key, V: Value, P: Protected> Table<K, V, P> {
    /// Declares a table. The name carries the version of the table's key; both name and prefix are
    /// written on disk (the name goes into the keys of sealed values) and never change.
    ///
    /// # Panics
    /// At compile time, when the key is too wide or the prefix is 0xFF.
    pub const fn new(name: &'static str, prefix: u8) -> Self {
        assert!(K::WIDTH < KEY_BYTES_MAX, "the key is wider than KEY_BYTES_MAX");
        assert!(prefix < 0xFF, "0xFF has no upper neighbour to end a scan at");
        Self { name, prefix, packed: false, types: PhantomData }
    }

    /// The same for a table whose rows stay and seldom change: they are packed, see [`Options::pack_after_rows`].
    ///
    /// [`Options::pack_after_rows`]: crate::Options::pack_after_rows
    #[must_use]
    pub const fn packed(self) -> Self {
        Self { packed: true, ..self }
    }

    /// The name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The first byte of every key.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Its line in the catalogue.
    pub const fn info(&self) -> TableInfo {
        TableInfo {
            name: self.name,
            prefix: self.prefix,
            protection: P::PROTECTION,
            packed: self.packed,
            content: Content::Rows { key_width: K::WIDTH, check: check_row::<K, V> },
        }
    }

    pub(crate) fn key(&self, key: &K) -> KeyBuf {
        let mut buf = KeyBuf::new(self.prefix);
        key.write(&mut buf);
        buf
    }

    pub(crate) fn read_key(&self, row_key: &[u8]) -> Result<K, StoreError> {
        let rest = row_key.get(1..).ok_or(Corrupt::Key);
        rest.and_then(K::read).map_err(StoreError::corrupt(self.name))
    }

    /// Byte bounds of a range of keys; open ends stop at the ends of the table.
    pub(crate) fn bounds(&self, range: &impl RangeBounds<K>) -> (Bound<KeyBuf>, Bound<KeyBuf>) {
        let lo = match range.start_bound() {
            Bound::Included(key) => Bound::Included(self.key(key)),
            Bound::Excluded(key) => Bound::Excluded(self.key(key)),
            Bound::Unbounded => Bound::Included(KeyBuf::new(self.prefix)),
        };
        let hi = match range.end_bound() {
            Bound::Included(key) => Bound::Included(self.key(key)),
            Bound::Excluded(key) => Bound::Excluded(self.key(key)),
            Bound::Unbounded => Bound::Excluded(KeyBuf::new(self.prefix.saturating_add(1))),
        };
        (lo, hi)
    }

    /// Byte bounds of the rows under the first fields of a key, after `after`.
    pub(crate) fn bounds_under<H: Key>(
        &self,
        head: &H,
        after: Option<&K>,
    ) -> (Bound<KeyBuf>, Bound<KeyBuf>)
    where
        K: StartsWith<H>,
    {
        let mut first = KeyBuf::new(self.prefix);
        head.write(&mut first);
        let lo = after.map_or(Bound::Included(first), |key| Bound::Excluded(self.key(key)));
        (lo, Bound::Excluded(next_prefix(first)))
    }

    /// Appends the stored form of a value, before it is sealed.
    pub(crate) fn encode(&self, value: &V, out: &mut Vec<u8>) -> Result<(), StoreError> {
        value.encode(out).map_err(|_| StoreError::Encode(self.name))?;
        if out.len() > VALUE_BYTES_MAX - 64 {
            let (bytes, limit) = (out.len(), VALUE_BYTES_MAX - 64);
            return Err(StoreError::TooLarge { table: self.name, bytes, limit });
        }
        Ok(())
    }
}

impl<K: Key, V: Value, P: Direct> Table<K, V, P> {
    pub(crate) fn wrap(
        &self,
        keys: &Keys,
        row_key: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        if P::PROTECTION == Protection::Plain {
            return Ok(());
        }
        let key = keys.table(self.name, self.prefix);
        key.and_then(|key| key.seal(row_key, out, 0)).map_err(StoreError::corrupt(self.name))
    }

    pub(crate) fn read(&self, keys: &Keys, row_key: &[u8], bytes: &[u8]) -> Result<V, StoreError> {
        let plain = match P::PROTECTION {
            Protection::Plain | Protection::Personal => Ok(Cow::Borrowed(bytes)),
            Protection::Sealed => {
                let key = keys.table(self.name, self.prefix);
                key.and_then(|key| key.open(row_key, bytes)).map(Cow::Owned)
            }
        };
        plain.and_then(|plain| V::decode(&plain)).map_err(StoreError::corrupt(self.name))
    }
}

/// The person whom a personal value belongs to, and the sealed rest.
pub(crate) fn split_personal(bytes: &[u8]) -> Result<(PersonId, &[u8]), Corrupt> {
    let (person, sealed) = bytes.split_first_chunk::<16>().ok_or(Corrupt::Sealed)?;
    Ok((PersonId::from_bytes(*person), sealed))
}

/// The smallest key after all keys that begin with `key`.
pub(crate) fn next_prefix(key: KeyBuf) -> KeyBuf {
    let bytes = key.as_slice();
    let keep = bytes.iter().rposition(|byte| *byte != 0xFF).unwrap_or_default();
    let mut next = KeyBuf::empty();
    next.push(bytes.get(..keep).unwrap_or_default());
    next.push(&[bytes.get(keep).copied().unwrap_or_default().saturating_add(1)]);
    next
}

/// One line of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct TableInfo {
    /// Name, with the version of its key.
    pub name: &'static str,
    /// First byte of every key.
    pub prefix: u8,
    /// How values lie on the disk.
    pub protection: Protection,
    /// Whether its rows are packed into blocks when they are at rest.
    pub packed: bool,
    /// What is in it.
    pub content: Content,
}

/// What the rows of a prefix are.
#[derive(Debug, Clone, Copy)]
pub enum Content {
    /// One value a key.
    Rows {
        /// Bytes of a key, without the prefix.
        key_width: usize,
        /// Whether a key and an opened value decode.
        check: fn(&[u8], &[u8]) -> Result<(), Corrupt>,
    },
    /// Pages of append-only journals.
    Journal {
        /// Bytes of a journal's key, without prefix and position.
        key_width: usize,
        /// Position of the first entry of every journal.
        first: u64,
    },
    /// A table that older versions wrote. Its prefix is never given to another.
    Retired,
}

fn check_row<K: Key, V: Value>(key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
    K::read(key)?;
    V::decode(value).map(drop)
}
