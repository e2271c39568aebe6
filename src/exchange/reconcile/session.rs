//! The conversation of two sides about one scope: pure machines for the one that asks and the one that answers.
//!
//! ```text
//! asker                                             answerer
//! Open: scope, nonce, number, hint and sketch ──►
//!       ◄────────── Opened: nonce, number, keyed digest; unless the hints agree with as many symbols as the sketches tell
//! More: how many symbols may come, if those were too few ──►
//!       ◄────────── Symbols …
//! Enough: messages that only you have ──────────►
//!       ◄────────── Entries: those
//! Found: every difference by its name ──────────►
//!       ◄────────── Taken
//! ```
//!
//! Equal sets end after `Opened`. When most differs, whoever sees it switches to the sorted list, in pages. Work and
//! memory are bounded by the own set, and by what the other side may say of the size of its own ([`claims_max`]); what does
//! not hold has a name. Where one side has far more than the other, their days are compared in portions
//! ([`super::portions`]).

mod answerer;
mod asker;

pub use answerer::Answerer;
pub use asker::Asker;
pub use asker::Measured;
pub use asker::Pairing;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::time::Date;

use super::difference::Difference;
use super::key::NONCE_BYTES;
use super::key::Sum;
use super::sample::Sample;
use super::set::Scope;
use super::set::Told;

/// Symbols that the answerer sends unasked at least.
pub const SYMBOLS_FIRST: u32 = 24;
/// Symbols beyond the number of the answerer's entries: small sets need more than their number.
const SYMBOLS_SPARE: u64 = 1_024;
/// Entries that a side may say it has where the other has none, unless somebody wants more.
pub const UNMATCHED_MAX: u64 = 1_000_000;
/// Items in a page of the sorted list.
pub const ITEMS_AT_ONCE: usize = 8_192;
/// Messages, entries or differences in one message.
pub const ENTRIES_AT_ONCE: usize = 1_024;
/// Counties that are told to be incomplete, or silent, at most.
pub const INCOMPLETE_MAX: usize = 4_096;

/// A county whose entries are not all there, and the first day of the scope of which that is so; it is so of all days
/// after it.
pub type Incomplete = (AreaCode, Date);

/// What a party does not know of the counties for which it speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lacks {
    /// Counties of which not everything was ever reported, and since when; at most [`INCOMPLETE_MAX`].
    pub incomplete: Vec<Incomplete>,
    /// Counties that could not be asked what is new since the comparison began: what they had sealed anew before may not be
    /// known yet. At most [`INCOMPLETE_MAX`].
    pub silent: Vec<AreaCode>,
}

impl Lacks {
    const fn is_bounded(&self) -> bool {
        self.incomplete.len() <= INCOMPLETE_MAX && self.silent.len() <= INCOMPLETE_MAX
    }
}

/// What the asker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Begins.
    Open {
        /// What the comparison is about.
        scope: Scope,
        /// The asker's part of the key.
        nonce: [u8; NONCE_BYTES],
        /// What it tells of its entries beforehand; it decides only what is sent first.
        sample: Box<Sample>,
        /// What it lacks.
        incomplete: Vec<Incomplete>,
    },
    /// So many symbols in all may come.
    More {
        /// Symbols since the beginning.
        through: u32,
    },
    /// The sorted list instead, from the beginning.
    List,
    /// The next page of the list.
    NextPage,
    /// Everything is found; asks for entries that only the answerer has.
    Enough {
        /// Their messages, at most [`ENTRIES_AT_ONCE`].
        wanted: Vec<MessageId>,
    },
    /// Differences by name, at most [`ENTRIES_AT_ONCE`].
    Found {
        /// The differences.
        differences: Vec<Difference>,
        /// How many were told before these: what was lost or comes twice does not pass for all.
        before: u64,
        /// Whether these were the last.
        last: bool,
    },
}

/// What the answerer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its part of the key, and the keyed digest of its set.
    Opened {
        /// The answerer's part of the key.
        nonce: [u8; NONCE_BYTES],
        /// Number and keyed digest of its entries.
        sum: Sum,
        /// What comes next unasked.
        follows: Follows,
        /// What it lacks.
        lacks: Lacks,
    },
    /// The next symbols, packed.
    Symbols {
        /// See [`super::packed::pack`].
        packed: Vec<u8>,
    },
    /// A page of the sorted list.
    Items {
        /// Items in ascending order, one after the other.
        packed: Vec<u8>,
        /// Whether it is the last.
        last: bool,
    },
    /// The entries that were asked for.
    Entries {
        /// The entries, in the order they were asked for.
        told: Vec<Told>,
    },
    /// What was asked for takes long, and is being worked on: asking counties at the beginning, curing at the end.
    Working,
    /// The differences were taken.
    Taken {
        /// Messages that the answerer's side should have brought back and cannot, at most [`ENTRIES_AT_ONCE`].
        lost: Vec<MessageId>,
    },
}

/// What comes after [`Answer::Opened`] unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Follows {
    /// Nothing: the hints agree.
    Nothing,
    /// So many symbols, as the samples tell.
    Symbols(u32),
    /// The first page of the sorted list, because most differs.
    List,
}

/// Why a comparison ended without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The scope is not one between the two, or its days are none.
    #[error("the scope is not one between these two")]
    Scope,
    /// A message that has no place here.
    #[error("the message has no place at this point")]
    OutOfTurn,
    /// A message that is larger than it may be, or cannot be read.
    #[error("the message cannot be read")]
    Malformed,
    /// One side has more entries than one comparison may be about. Fewer days have fewer.
    #[error("one side has {entries} entries there, and at most {most} can be compared at once")]
    TooLarge {
        /// Entries of the side that has more.
        entries: u64,
        /// What would do.
        most: u64,
    },
    /// The other side asks for more, or tells more, than there can be.
    #[error("more is asked for, or told, than there can be")]
    TooMany,
    /// What was sent is no sketch, no list and no entries of the set that was announced.
    #[error("what the other side sends is not the set that it announced")]
    Inconsistent,
}

/// Symbols of a set of this size that are worth sending: its list, at 24 bytes an item, costs less than three quarters as
/// many of them. So an answerer's work is bounded by its own set, whatever the asker says of its own.
fn symbols_limit(answerers: u64) -> u32 {
    let limit = answerers.saturating_add(SYMBOLS_SPARE);
    u32::try_from(limit).unwrap_or(u32::MAX).min(super::symbol::SYMBOLS_MAX)
}

/// Entries that the other side may say it has: a side may have lost all it had, or know nothing yet of what is there, and
/// what is far from that is compared in portions. What is kept of the other side's differences is bounded by it.
fn claims_max(own: u64, unmatched_max: u64) -> u64 {
    own.saturating_mul(4).saturating_add(unmatched_max).min(super::ENTRIES_MAX)
}

/// Whether the list costs less than the symbols for so many differences: an item is 24 bytes, a symbol about 32, and a
/// difference takes 1.35 of them.
fn list_is_shorter(differences: u64, entries: u64) -> bool {
    differences.saturating_mul(43) >= entries.saturating_mul(24)
}

/// Differences up to which the samples tell how many there are: of more their counters have gone round.
const TOLD_MAX: u64 = 16_384;
/// Symbols that come first when they do not: their counts tell it to a few hundredths, and should the list be shorter, little
/// has come in vain.
const SYMBOLS_TO_TELL: u32 = 4_096;

/// Symbols to begin with for about so many differences: 1.35 for each, and a sixth more, because the samples may tell too
/// few. So nearly every comparison is over after one question.
fn symbols_first(differences: u64) -> u32 {
    if differences > TOLD_MAX {
        return SYMBOLS_TO_TELL;
    }
    let symbols = (differences.saturating_mul(25) / 16).saturating_add(u64::from(SYMBOLS_FIRST));
    u32::try_from(symbols).unwrap_or(u32::MAX)
}
