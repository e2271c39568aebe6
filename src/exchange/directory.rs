//! What nodes tell each other of the directory: cards and revocation lists, each with its own proof.
//!
//! Whoever has the root can check all of it, wherever it came from; a node that passes something on vouches
//! for nothing.

use bytes::Bytes;

use crate::card::SignedCard;

/// Longest cursor, in bytes.
pub const CURSOR_BYTES_MAX: usize = 64;
/// Most cards in one answer.
pub const DIRECTORY_CARDS_MAX: usize = 256;
/// Most revocation lists in one answer or request: those of all provinces, the Corps and the root.
pub const DIRECTORY_LISTS_MAX: usize = 64;
/// Most certificates of authorities in one answer.
pub const DIRECTORY_AUTHORITIES_MAX: usize = 64;
/// Largest revocation list, in bytes.
pub const REVOCATION_LIST_BYTES_MAX: usize = 512 * 1024;
/// Bytes of cards, lists and authorities after which an answer is full; it may be over by its last item.
pub const DIRECTORY_BYTES_FULL: usize = 512 * 1024;

/// What the caller asks and tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryQuestion {
    /// Cursor of the callee's last answer; empty at first.
    pub cursor: Bytes,
    /// The caller's own card.
    pub own_card: Option<SignedCard>,
    /// Revocation lists the caller has, DER: its own authority's, and the root's.
    pub revocation_lists: Vec<Vec<u8>>,
}

/// What is new in the callee's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryAnswer {
    /// Node cards.
    pub cards: Vec<SignedCard>,
    /// Revocation lists, DER.
    pub revocation_lists: Vec<Vec<u8>>,
    /// Certificates of the authorities that signed the lists, DER.
    pub authorities: Vec<Vec<u8>>,
    /// Where to go on next time.
    pub cursor: Bytes,
    /// There is more; to be asked again at once.
    pub more: bool,
}
