//! Values of the tables about the network: what the directory told, what this node says of itself, and when each
//! peer was last heard.

mod v1;

use domain::area::AreaCode;
use domain::time::UnixMillis;
use exchange::ledger::SeenHead;
use serde::{Deserialize, Serialize};

use crate::messages::{Blob, Signed};
use crate::value::{Versioned, first_layouts};

/// Largest revocation list that fits a row, in bytes of DER; about 2,400 revoked certificates.
pub const REVOCATION_LIST_BYTES_MAX: usize = 90 * 1024;

/// Names an authority: SHA-256 of its public key.
pub type AuthorityKey = [u8; 32];

/// A signed card: a peer's, or our own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardRow {
    /// Serialised card and its signature.
    pub card: Signed,
    /// The signer's chain, leaf first, DER.
    pub chain: Vec<Blob>,
    /// Version of the card.
    pub version: u64,
    /// Number of the entry of the directory's log that tells of it; 0 for one that is not in the log yet.
    pub logged: u64,
    /// When it was checked and written here; at this time its signature held.
    pub received: UnixMillis,
}

impl Versioned for CardRow {
    const VERSION: u8 = 2;
    type Older = v1::CardRow;
    fn upgrade(older: v1::CardRow) -> Self {
        let v1::CardRow { card, chain } = older;
        Self { card, chain, version: 0, logged: 0, received: UnixMillis::new(0) }
    }
}

/// What the directory has learned, in the order it was learned; the newest entry about one thing counts, older ones are
/// deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DirectoryChange {
    /// A newer card, in [`crate::tables::CARD`].
    Card {
        /// Whose.
        area: AreaCode,
        /// Its version.
        version: u64,
    },
    /// A newer revocation list, in [`crate::tables::REVOCATION_LIST`].
    RevocationList {
        /// Of which authority.
        authority: AuthorityKey,
    },
}

/// An entry of the directory's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryLogRow {
    /// What changed.
    pub change: DirectoryChange,
    /// Neighbour that told it; our own area for what came from files or from the node itself.
    pub heard_from: AreaCode,
    /// When it was written here.
    pub at: UnixMillis,
}

/// The newest revocation list of one authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationListRow {
    /// The list, DER; at most [`REVOCATION_LIST_BYTES_MAX`].
    pub list: Blob,
    /// Certificate of the authority, DER, so that the list can be checked by itself.
    pub authority: Blob,
    /// When it was issued.
    pub issued: UnixMillis,
    /// Number of the entry of the directory's log that tells of it.
    pub logged: u64,
    /// When it was written here.
    pub received: UnixMillis,
}

/// How far this node and a neighbour have told each other what is new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryCursorRow {
    /// Where to go on in the neighbour's directory, in its own words.
    pub theirs: Blob,
    /// When it last answered.
    pub synced: UnixMillis,
}

/// A time in which this node is out of service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowRow {
    /// From when.
    pub from: UnixMillis,
    /// Until when.
    pub until: UnixMillis,
    /// Why, as everybody may read it in the card.
    pub note: String,
}

/// An area under this one that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AreaChangeRow {
    /// The area.
    pub area: AreaCode,
    /// The areas that took over.
    pub successors: Vec<AreaCode>,
    /// From when.
    pub from: UnixMillis,
}

/// What this node announces in its card beyond the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnCardRow {
    /// Times out of service that were announced.
    pub windows: Vec<WindowRow>,
    /// Areas under this one that have ended.
    pub area_changes: Vec<AreaChangeRow>,
    /// Since when nothing new is sent, because the office is about to end its service.
    pub retiring: Option<UnixMillis>,
    /// When the office ended its service.
    pub retired: Option<UnixMillis>,
    /// When an operator last changed something of this.
    pub changed: Option<UnixMillis>,
}

/// A message that went to the area which took over from the one it was addressed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedirectedRow {
    /// The area it was addressed to.
    pub addressed_to: AreaCode,
}

/// The newest head of its ledger that a peer has signed in a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerHeadRow {
    /// The head, and when it was signed.
    pub seen: SeenHead,
}

/// When a peer was last heard, in three senses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerHeardRow {
    /// When a link to or from it last stood.
    pub contact: Option<UnixMillis>,
    /// When a message from it was last stored here, whoever carried it.
    pub mail: Option<UnixMillis>,
    /// When a receipt signed by it was last written here.
    pub receipt: Option<UnixMillis>,
    /// When its silence was last noticed.
    pub noticed: Option<UnixMillis>,
}

first_layouts!(
    DirectoryLogRow,
    RevocationListRow,
    DirectoryCursorRow,
    OwnCardRow,
    PeerHeadRow,
    PeerHeardRow,
    RedirectedRow
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    #[test]
    fn a_card_of_the_first_layout_is_read() {
        let signed = Signed { manifest: Blob(b"card".to_vec()), signature: Blob(vec![7]) };
        // Layout 1, then postcard: three strings of bytes, the last in a list of one.
        let bytes = [&[1, 4][..], b"card", &[1, 7, 1, 3], b"der"].concat();
        let row = CardRow::decode(&bytes).unwrap();
        assert_eq!((&row.card, row.logged), (&signed, 0));
        assert_eq!(row.chain, [Blob(b"der".to_vec())]);
        let mut again = Vec::new();
        row.encode(&mut again).unwrap();
        assert_eq!((again[0], CardRow::decode(&again).unwrap()), (2, row));
    }
}
