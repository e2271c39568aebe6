//! Values of the tables about the network: what the directory told, what this node says of itself, and when each
//! peer was last heard.

use domain::area::AreaCode;
use domain::time::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::messages::Blob;
use crate::value::first_layouts;

/// Largest revocation list that fits a row, in bytes of DER; about 2,400 revoked certificates.
pub const REVOCATION_LIST_BYTES_MAX: usize = 90 * 1024;

/// Names an authority: SHA-256 of the authority key identifier in its lists.
pub type AuthorityKey = [u8; 32];

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
    /// When the office ended its service.
    pub retired: Option<UnixMillis>,
    /// When an operator last changed something of this.
    pub changed: Option<UnixMillis>,
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

first_layouts!(DirectoryLogRow, RevocationListRow, DirectoryCursorRow, OwnCardRow, PeerHeardRow);
