//! The catalogue: every table there is, with its key, its value and who writes it.
//!
//! To add a table, add one line with a comment above it. A table that is no longer written keeps
//! its line as `retired`, so that its prefix is never given to another. Names end in the version
//! of the key; a value carries its own version. Prefixes 0xE0 to 0xFE are for tests.

use domain::id::PersonId;

use crate::gate::{Gate, RunState};
use crate::journal::Journal;
use crate::ledger::StoredFrontier;
use crate::messages::{
    CardRow, ChainRow, LaneInRow, LaneKey, LaneOutRow, MessageKey, MessageRow, ParcelKey,
    ParcelRow, PeerKey, SealingKeyRow, Signed,
};
use crate::subject::{PersonHash, SubjectKey};
use crate::table::{Personal, Sealed, Table, TableInfo};

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

    /// Envelopes as they travelled, by lane.
    /// Key: side (1), peer (6), epoch (8). Positions of sent ones are the lane's sequences; received
    /// ones lie in the order they were stored. Entries: header length (4), header, sealed body.
    /// Written with [`MESSAGE`].
    ENVELOPE: Journal<LaneKey> = Journal::new("envelope-1", 0x20);

    /// Messages, sent and received; content under the key of the person.
    /// Key: message id (16), side (1). Value: [`MessageRow`]. Written when a message is accepted,
    /// stored, opened or answered.
    MESSAGE: Table<MessageKey, MessageRow, Personal> = Table::new("message-1", 0x21);

    /// What this office has to answer, by due time.
    /// Key: due ms (8), message id (16). Value: nothing. Written with [`MESSAGE`].
    TODO: Table<(u64, [u8; 16]), ()> = Table::new("todo-1", 0x22);

    /// The epoch in which this node sends to a peer now.
    /// Key: peer (6). Value: epoch (8). Written with the first message, and after a restore.
    LANE_EPOCH: Table<PeerKey, u64> = Table::new("lane-epoch-1", 0x23);

    /// What is settled of an outbound lane.
    /// Key: side (1), peer (6), epoch (8). Value: [`LaneOutRow`]. Written with every kept receipt.
    LANE_OUT: Table<LaneKey, LaneOutRow> = Table::new("lane-out-1", 0x24);

    /// What has been seen of an inbound lane.
    /// Key: side (1), peer (6), epoch (8). Value: [`LaneInRow`]. Written with every parcel.
    LANE_IN: Table<LaneKey, LaneInRow> = Table::new("lane-in-1", 0x25);

    /// Parcels with the dispositions of their envelopes.
    /// Key: side (1), peer (6), epoch (8), lowest sequence (8), parcel id (16). Value: [`ParcelRow`].
    /// Written by the receiver with what it stores, by the sender with the receipt.
    PARCEL: Table<ParcelKey, ParcelRow> = Table::new("parcel-1", 0x26);

    /// Receipts: manifest and signature. Key: as of [`PARCEL`]. Value: [`Signed`].
    /// Written by the receiver after it was signed, by the sender with [`PARCEL`].
    RECEIPT: Table<ParcelKey, Signed> = Table::new("receipt-1", 0x27);

    /// Certificate chains that signed something kept here.
    /// Key: SHA-256 of the leaf (32). Value: [`ChainRow`]. Written with [`PARCEL`] and [`RECEIPT`].
    CHAIN: Table<[u8; 32], ChainRow> = Table::new("chain-1", 0x28);

    /// Cards of peers. Key: peer (6). Value: [`CardRow`]. Written when a newer card was checked.
    CARD: Table<PeerKey, CardRow> = Table::new("card-1", 0x29);

    /// Our sealing keys, newest last.
    /// Key: when it was made, ms (8). Value: [`SealingKeyRow`], sealed. Written at the first start.
    SEALING_KEY: Table<u64, SealingKeyRow, Sealed> = Table::new("sealing-key-1", 0x2A);
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
