//! The catalogue: every table there is, with its key, its value and who writes it.
//!
//! To add a table, add one line with a comment above it. A table that is no longer written keeps
//! its line as `retired`, so that its prefix is never given to another. Names end in the version
//! of the key; a value carries its own version. Prefixes 0xE0 to 0xFE are for tests.

use domain::id::PersonId;

use crate::gate::{Gate, RunState};
use crate::journal::Journal;
use crate::ledger::StoredFrontier;
use crate::subject::{PersonHash, SubjectKey};
use crate::table::{Sealed, Table, TableInfo};

macro_rules! catalogue {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $descriptor:expr;)*) => {
        $($(#[$doc])* pub const $name: $type = $descriptor;)*

        /// Every table of this version, in the order of the file.
        pub static CATALOGUE: &[TableInfo] = &[$($name.info()),*];
    };
}

catalogue! {
    /// What kind of data this is and whose: one row.
    /// Key: nothing. Value: [`Gate`]. Written at the first start and by migrations.
    GATE: Table<(), Gate> = Table::new("gate-1", 0x00);

    /// Whether the last run ended well: one row.
    /// Key: nothing. Value: [`RunState`]. Written at every start and every stop.
    RUN: Table<(), RunState> = Table::new("run-1", 0x01);

    /// Persons by a keyed hash of an identity document; several may lead to one person.
    /// Key: hash (16). Value: person id (16). Written by `Unit::subject`.
    SUBJECT: Table<PersonHash, [u8; 16]> = Table::new("subject-1", 0x02);

    /// What opens a person's values; deleting the row erases the person.
    /// Key: person id (16). Value: [`SubjectKey`], sealed. Written by `Unit::subject`.
    SUBJECT_KEY: Table<PersonId, SubjectKey, Sealed> = Table::new("subject-key-1", 0x03);

    /// The ledger: what a third party may see of every envelope sent or received.
    /// Key: nothing; positions from 0. Entries: canonical bytes of `exchange::ledger::LedgerEntry`.
    /// Written by `Unit::append_ledger`.
    LEDGER: Journal<()> = Journal::new("ledger-1", 0x04).starting_at(0);

    /// The hash tree over the ledger, before and after the last group that wrote to it: one row.
    /// Key: nothing. Value: [`StoredFrontier`]. Written by the committer with every such group.
    FRONTIER: Table<(), StoredFrontier> = Table::new("frontier-1", 0x05);
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_and_prefixes_are_given_once() {
        let mut seen = HashSet::new();
        for table in CATALOGUE {
            assert!(seen.insert(table.name.to_owned()), "{} twice", table.name);
            assert!(seen.insert(format!("{:#04x}", table.prefix)), "{:#04x} twice", table.prefix);
            assert!(table.prefix < 0xE0, "{}: reserved for tests", table.name);
            let version = table.name.rsplit('-').next().and_then(|v| v.parse::<u8>().ok());
            assert!(version.is_some(), "{}: the name ends in a version", table.name);
        }
    }
}
