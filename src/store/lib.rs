//! The store of a node: typed tables, journals and the ledger over one embedded database.
//!
//! # Units of work
//!
//! Everything is written by closures that run one after the other on one thread, the committer.
//! Those that wait together share one batch, one flush and one sync; each is answered after the
//! sync, and is on disk as a whole or not at all.
//!
//! ```ignore
//! let stored = store.commit(move |unit| {
//!     let subject = unit.subject(unit.person_hash(&document), PersonId::new(now, random))?;
//!     unit.put_personal(&REGISTRATION, &subject, &id, &registration)?;
//!     unit.put(&DUE, &(due, id), &())?;
//!     unit.append(&LANE, &lane, &envelope)?;
//!     unit.append_ledger(&entry.to_bytes())?;
//!     Ok::<_, StoreError>(id)
//! }).await?;
//! ```
//!
//! * [`Store::commit`] waits for the disk, [`Store::enqueue`] and [`Store::try_commit`] hand back a
//!   [`Pending`] future, [`Store::commit_blocking`] is for plain threads.
//! * A unit that returns an error leaves no trace; the others of its group go on.
//! * A failed write, flush or sync is final: every waiting and later unit is answered with
//!   [`CommitError::StoreFailed`], [`Store::failure`] says why, and only a new process may go on.
//!
//! # Tables
//!
//! A table is one line in [`tables`]: name, prefix, key type, value type. Keys ([`Key`]) have a
//! fixed width and sort as their values do; values ([`Value`]) name their layout, and old layouts
//! stay readable ([`Versioned`]). [`Table`]`<K, V>` lies in clear, `Table<K, V, `[`Sealed`]`>` is
//! sealed with a key of the table, `Table<K, V, `[`Personal`]`>` with a key of one person in that
//! table; [`Unit::erase_subject`] destroys the person's key and so every value under it.
//!
//! # Journals
//!
//! [`Journal`]`<K>` is a family of append-only lists of byte strings, positions without a gap,
//! packed into pages: a lane, the access log. Readers see an entry only when it is on disk. The
//! [`tables::LEDGER`] is such a journal with an RFC 9162 hash tree: [`Unit::append_ledger`],
//! [`Store::ledger_head`].
//!
//! # Invariant
//!
//! No type of the database below leaves this crate; no rule, no clock and no runtime enters it.

pub mod limits;

mod error;

mod domain_keys;
mod key;
mod value;

mod table;
pub mod tables;

pub mod agreements;
pub mod bulk;
pub mod cases;
pub mod draws;
pub mod erasures;
pub mod letters;
pub mod messages;
pub mod network;
pub mod old_cases;
pub mod origin;
pub mod oversight;
pub mod transit;

pub mod access;
pub mod reconcile;
pub mod records;

mod journal;
mod ledger;

mod data_key;
mod seal;
mod subject;

mod persons;
mod redact;
mod unit;

mod committer;
mod counters;
mod pending;

mod caught;
mod core;
mod engine;

mod pages;
mod store;

mod directory;
mod mark;

mod gate;
mod migrate;
mod open;
mod options;

mod backup;
mod check;
mod compact;
mod rebuild;

pub use backup::{
    BackupError, BackupHeader, BackupReport, KEYS_SUFFIX, Progress, RestoreReport, Restoring,
    SUFFIX, VerifyReport, Watch, newest_backup, newest_keys, restore, verify,
};
pub use caught::panics_are_caught;
pub use check::{CheckReport, Finding, Problem, TableCount};
pub use committer::OnFailure;
pub use compact::{CompactReport, MaintenanceError, compact};
pub use counters::{GROUP_SIZE_BUCKETS, Statistics};
pub use data_key::{DataKeyError, DataKeySource};
pub use engine::{DatabaseFile, Disk, WrapDisk};
pub use error::{CommitError, Corrupt, EngineError, StoreError, StoreFailure};
pub use gate::{FORMAT, Gate, GateError, RunState, SCHEMA};
pub use journal::Journal;
pub use key::{Key, KeyBuf, StartsWith, TextKey};
pub use ledger::{LedgerHead, StoredFrontier};
pub use migrate::{MIGRATIONS, Migrated, Migration};
pub use open::{OpenReport, OpenStoreError};
pub use options::Options;
pub use pages::Pages;
pub use pending::Pending;
pub use rebuild::{Missing, RebuildReport, rebuild};
pub use seal::DataKey;
pub use store::{Entry, Store};
pub use subject::{Kept, PersonHash, Subject, SubjectKey};
pub use table::{
    Content, Direct, Personal, Plain, Protected, Protection, Sealed, Table, TableInfo,
};
pub use tables::CATALOGUE;
pub use unit::Unit;
pub use value::{EncodeFailed, NoOlder, Raw, Value, Versioned};
