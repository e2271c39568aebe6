//! Values of the tables about reconciliation: what counties have reported, runs, what was found, statements.
//!
//! Nothing here names a person or a kind of message, except perhaps the words in which somebody has decided something.

mod v1;

use std::fmt;

use domain::area::AreaCode;
use domain::id::OperatorName;
use domain::text::Note;
use domain::time::{Date, Month, UnixMillis};
use exchange::digest::Digest;
use exchange::ledger::{Direction, LedgerHead, SeenHead};
use exchange::reconcile::Entry;
use exchange::reconcile::difference::Difference;
use exchange::reconcile::set::Scope;
use serde::{Deserialize, Serialize};

use crate::messages::{Blob, PeerKey};
use crate::value::{Versioned, first_layouts};

/// Names a book: county, month as YYYYMM, and the incarnation of the county's data that it is about. A node's book of
/// its own has incarnation 0.
pub type BookKey = (PeerKey, u32, u32);

/// The number of a month in a key: YYYYMM.
#[must_use]
pub fn month_key(month: Month) -> u32 {
    u32::from(month.year()) * 100 + u32::from(month.number())
}

/// How far the ledger and the changes after it were taken into the own book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookCursorRow {
    /// Entries of the ledger that are in it.
    pub ledger: u64,
    /// Position of the last change that is in it; 0 for none.
    pub change: u64,
}

/// What changes an entry that is in a book, or will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// The dispositions of this parcel.
    Parcel(crate::messages::ParcelKey),
    /// This word about a message, on this side of it.
    Word(Direction, Entry),
}

/// What a county has last reported to the node above it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedRow {
    /// Incarnation of its data.
    pub incarnation: u32,
    /// Its ledger at that time.
    pub head: LedgerHead,
    /// Everything that it had accepted or received before this is in its books here.
    pub through: UnixMillis,
    /// When that was written here.
    pub received: UnixMillis,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RunState {
    /// It goes on, or was interrupted and goes on after the next start.
    Running,
    /// Both sides are equal.
    Equal,
    /// What is left needs a person.
    Decisions,
    /// It was given up with differences left; it can be resumed.
    Left,
    /// It could not compare; it can be resumed.
    Failed,
}

/// A reconciliation that was begun here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRow {
    /// The other side.
    pub with: AreaCode,
    /// First day.
    pub first: Date,
    /// Last day.
    pub last: Date,
    /// Messages made before this count.
    pub until: UnixMillis,
    /// Whether it is to find what was lost since a backup.
    pub after_restore: bool,
    /// How it stands.
    pub state: RunState,
    /// When it was begun.
    pub started: UnixMillis,
    /// When it last came further.
    pub touched: UnixMillis,
    /// Comparisons so far.
    pub comparisons: u32,
    /// Bytes of sketches and lists that came for them.
    pub bytes: u64,
    /// Entries of ours and of theirs, at the last comparison.
    pub entries: (u64, u64),
    /// Differences found, by name in the order of `DifferenceName::ALL`.
    pub found: [u32; 6],
    /// Of these, cured.
    pub cured: [u32; 6],
    /// Why it does not come further, for people; empty for nothing.
    pub trouble: String,
    /// Digest of the statement that came of it.
    pub statement: Option<Digest>,
    /// Messages of which it found that nobody has them any more.
    pub lost: u32,
    /// After a restore, in the run that names what is lost: when that was entered.
    pub window: Option<LostWindow>,
}

/// Counties of the other side of a run that had not reported everything when it ended, with the first day of which that is
/// so; at most 4,096.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunLacksRow {
    /// By their codes.
    pub counties: Vec<(AreaCode, Date)>,
}

/// When that was entered which may have been lost with a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostWindow {
    /// The backup was made then; none after a rebuild from damaged files.
    pub from: Option<UnixMillis>,
    /// What was entered before this had been told to the node above: of it all that is lost is named. None when nothing
    /// was told.
    pub named: Option<UnixMillis>,
    /// The node works again since then.
    pub until: UnixMillis,
}

impl Versioned for RunRow {
    const VERSION: u8 = 2;
    type Older = v1::RunRow;
    fn upgrade(older: v1::RunRow) -> Self {
        older.into()
    }
}

impl RunRow {
    /// Whether it is with that side, over these very days.
    #[must_use]
    pub fn is_about(&self, with: AreaCode, (first, last): (Date, Date)) -> bool {
        (self.with, self.first, self.last) == (with, first, last)
    }
}

/// What became of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DifferenceState {
    /// It is there.
    Open,
    /// It is gone.
    Cured,
    /// Nobody has the message any more, or its person was erased: it cannot be cured.
    Lost,
    /// A person has decided what holds, see [`DecidedRow`].
    Decided,
}

/// What a person has decided about a message of which two sides hold something else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidedRow {
    /// Who.
    pub by: OperatorName,
    /// When.
    pub at: UnixMillis,
    /// In her words.
    pub reason: Note,
}

impl fmt::Debug for DecidedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DecidedRow(..)")
    }
}

/// What the recipient of a message of ours holds under its id, where that is something else, for the person who decides.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRow {
    /// Names its envelope.
    pub digest: Digest,
    /// When it was made, by its header.
    pub created: UnixMillis,
    /// When it is due, by its header.
    pub due: Option<UnixMillis>,
    /// SHA-256 of the certificate of ours that has signed its parcel; none when no such signature holds.
    pub signer: Option<Digest>,
    /// When its parcel was signed, by the manifest.
    pub signed: UnixMillis,
    /// When its recipient has signed that it is stored there.
    pub stored: UnixMillis,
    /// When it came here.
    pub shown: UnixMillis,
    /// The serialised content; empty where the recipient has deleted it, or it is our own version once more.
    pub content: Blob,
}

impl fmt::Debug for VersionRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VersionRow(..)")
    }
}

/// A difference that a run has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DifferenceRow {
    /// The difference, as it was first seen.
    pub difference: Difference,
    /// What became of it.
    pub state: DifferenceState,
    /// When it was first seen.
    pub found: UnixMillis,
    /// When it was cured or given up.
    pub ended: Option<UnixMillis>,
}

/// One side's signature under a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureRow {
    /// The signature, ASN.1 DER.
    pub signature: Blob,
    /// The signer's chain, leaf first, DER.
    pub chain: Vec<Blob>,
}

/// Names a statement: the other side, first day and last day (days since 1970), and when it was made in milliseconds, or
/// the next one that is free.
pub type StatementKey = (PeerKey, u32, u32, u64);

/// What two sides have signed about a time. The signed bytes lie in parts under their digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementRow {
    /// SHA-256 of its bytes, by which others refer to it.
    pub digest: Digest,
    /// What it is about.
    pub scope: Scope,
    /// When it was made.
    pub made: UnixMillis,
    /// Messages in its totals.
    pub messages: u64,
    /// Differences that it names as left.
    pub left: u32,
    /// The signature of the side that asked.
    pub asker: SignatureRow,
    /// The signature of the side that answered.
    pub answerer: SignatureRow,
    /// When it was written here.
    pub kept: UnixMillis,
    /// Whether it closes its days.
    pub closes: bool,
}

/// A part of the signed bytes of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementPartRow {
    /// The bytes.
    pub bytes: Blob,
}

/// Days that two sides have closed. No two of one side have a day in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedRow {
    /// The first of them.
    pub first: Date,
    /// The time in the key of the statement that has closed them.
    pub made: u64,
    /// Its digest.
    pub digest: Digest,
}

/// How far it is proven that a peer's ledger only grew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenRow {
    /// The head that was proven last, or the first that was seen.
    pub known: SeenHead,
    /// Two heads that it has signed and that are not of one history, as last found.
    pub broken: Option<(SeenHead, SeenHead)>,
    /// A longer head, and a shorter one that bears a later time: set back, or signed by a clock that was ahead. To be asked.
    pub doubt: Option<(SeenHead, SeenHead)>,
    /// Since when there is something to be asked that it has not answered.
    pub unanswered: Option<UnixMillis>,
}

impl Versioned for ProvenRow {
    const VERSION: u8 = 2;
    type Older = v1::ProvenRow;
    fn upgrade(older: v1::ProvenRow) -> Self {
        older.into()
    }
}

/// Where the receipt is that refuses a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRow {
    /// The parcel it came in.
    pub parcel: crate::messages::ParcelKey,
}

first_layouts!(
    BookCursorRow,
    ClosedRow,
    DecidedRow,
    RefusedRow,
    ReportedRow,
    RunLacksRow,
    DifferenceRow,
    StatementPartRow,
    StatementRow,
    VersionRow,
);
