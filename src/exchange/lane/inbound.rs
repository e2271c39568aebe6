//! What the receiver remembers of a lane: a high-water mark, a window of bits above it, and the newest message.

use std::collections::VecDeque;
use std::time::Duration;

use domain::id::MessageId;
use domain::time::UnixMillis;
use serde::Deserialize;
use serde::Serialize;

use super::LANE_WINDOW;
use super::LaneEpoch;
use super::LaneSeq;
use super::v1;
use crate::envelope::Header;

/// Allowance for a sender's fast clock when an id is compared with the time its lane opened: messages
/// made up to a day later by their own time stamp are still looked up by id.
const CLOCK_ALLOWANCE: Duration = Duration::from_secs(86_400);
const WORD_BITS: u64 = 64;

/// What the lane says about an envelope, before anything else is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Admission {
    /// Never seen here, and its message id cannot be known: it is newer than any in this lane, was made
    /// after any other lane could have brought it, and no other sender may give it.
    Fresh,
    /// Never seen here, but its message may have come in another place or epoch: look the message id up.
    CheckId,
    /// Seen here: look up what became of it.
    Seen,
    /// Further ahead than the window reaches; earlier ones are missing.
    TooFarAhead {
        /// The highest sequence that would be taken now.
        highest: LaneSeq,
    },
    /// Of another epoch than this lane: it was looked up under the wrong key, or the epoch is not open.
    OtherEpoch,
}

/// What the receiver remembers of one epoch of a lane. Stored under sender and epoch.
///
/// Invariant: the bit of a sequence is set only above the high-water mark and inside the window, and
/// the sequence right above the mark is never set; so equal memories are equal values.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LaneIn {
    epoch: LaneEpoch,
    /// When the last epoch beside the first of this sender was first seen here; `None` while there is one only.
    opened: Option<UnixMillis>,
    /// Everything up to here has been seen.
    high_water: LaneSeq,
    /// Bits of what was seen above. With `next = high_water + 1`, bit n of word w stands for sequence
    /// `64 * (next / 64 + w) + n`. Empty as long as everything comes in order.
    above: VecDeque<u64>,
    /// The greatest message id of all that was seen; `None` while that is not known.
    newest: Option<MessageId>,
}

impl LaneIn {
    /// A lane of which nothing has been seen.
    ///
    /// `opened` is the time now if this receiver has known another epoch of the same sender (which then has
    /// to be told by [`LaneIn::another_opened`]), and `None` if this is the first: as long as there is one
    /// epoch only, no message can have come in another, and no id needs a lookup.
    #[must_use]
    pub const fn open(epoch: LaneEpoch, opened: Option<UnixMillis>) -> Self {
        Self {
            epoch,
            opened,
            high_water: LaneSeq::BEFORE_FIRST,
            above: VecDeque::new(),
            newest: None,
        }
    }

    /// The epoch.
    #[must_use]
    pub const fn epoch(&self) -> LaneEpoch {
        self.epoch
    }

    /// When the last epoch beside the first of this sender was first seen; `None` while there is one only.
    #[must_use]
    pub const fn opened(&self) -> Option<UnixMillis> {
        self.opened
    }

    /// Notes that another epoch of the same sender was seen for the first time. To be called on every other
    /// lane of that sender in the unit that opens the new one.
    ///
    /// An envelope of the old epoch may still be on its way, in a relay or in a file, while its message has
    /// already been stored from the new epoch: so the old lane has to look ids up as well.
    pub fn another_opened(&mut self, at: UnixMillis) {
        self.opened = self.opened.max(Some(at));
    }

    /// Everything up to here has been seen.
    #[must_use]
    pub const fn high_water(&self) -> LaneSeq {
        self.high_water
    }

    /// The highest sequence that would be taken now.
    #[must_use]
    pub const fn highest(&self) -> LaneSeq {
        self.high_water.plus(LANE_WINDOW)
    }

    /// The greatest message id of all that was seen; `None` while that is not known.
    #[must_use]
    pub const fn newest(&self) -> Option<MessageId> {
        self.newest
    }

    /// How many have been seen above the high-water mark; 0 when nothing is missing.
    #[must_use]
    pub fn seen_above(&self) -> u32 {
        self.above.iter().map(|word| word.count_ones()).sum()
    }

    /// What the lane says about an envelope with this header. Changes nothing: see [`LaneIn::mark`].
    #[must_use]
    pub fn admit(&self, header: &Header) -> Admission {
        if header.epoch != self.epoch {
            return Admission::OtherEpoch;
        }
        if self.has_seen(header.sequence) {
            return Admission::Seen;
        }
        if header.sequence > self.highest() {
            return Admission::TooFarAhead { highest: self.highest() };
        }
        if self.is_new_message(header) { Admission::Fresh } else { Admission::CheckId }
    }

    /// Whether nothing that was stored can have this message's id, so that it need not be looked for.
    ///
    /// Ids grow within a lane, so one above all seen here is new to this lane; what was made after the
    /// newest lane opened is new to the other lanes of its sender; and an id names the county that gave it,
    /// so another sender's message cannot have it.
    fn is_new_message(&self, header: &Header) -> bool {
        let id = header.message_id;
        let newest_here = match self.newest {
            Some(newest) => id > newest,
            None => self.high_water == LaneSeq::BEFORE_FIRST && self.above.is_empty(),
        };
        let after_the_others =
            |opened: UnixMillis| id.timestamp() > opened.saturating_add(CLOCK_ALLOWANCE);
        newest_here && self.opened.is_none_or(after_the_others) && id.names(header.from)
    }

    /// Whether the sequence has been seen.
    #[must_use]
    pub fn has_seen(&self, sequence: LaneSeq) -> bool {
        if sequence <= self.high_water {
            return true;
        }
        let (word, bit) = self.position(sequence);
        self.above.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Remembers that the sequence has got its final answer, and which message was in it. To be stored in
    /// the unit that stores the answer.
    ///
    /// Returns whether the lane has changed: `false` for what was seen before and for what the window
    /// does not reach.
    pub fn mark(&mut self, sequence: LaneSeq, id: MessageId) -> bool {
        if self.has_seen(sequence) || sequence > self.highest() {
            return false;
        }
        self.newest = self.newest.max(Some(id));
        if sequence == self.high_water.next() && self.above.is_empty() {
            self.high_water = sequence;
            return true;
        }
        let (word, bit) = self.position(sequence);
        if self.above.len() <= word {
            self.above.resize(word + 1, 0);
        }
        if let Some(word) = self.above.get_mut(word) {
            *word |= bit;
        }
        self.advance();
        true
    }

    /// Moves the mark over everything that is now seen without a gap, and forgets the bits below it.
    fn advance(&mut self) {
        loop {
            let next = self.high_water.next();
            let (_, bit) = self.position(next);
            let Some(word) = self.above.front_mut().filter(|word| **word & bit != 0) else { break };
            *word &= !bit;
            self.high_water = next;
            if next.next().get().is_multiple_of(WORD_BITS) {
                self.above.pop_front();
            }
        }
        while self.above.back() == Some(&0) {
            self.above.pop_back();
        }
    }

    /// Word and bit of a sequence above the mark.
    fn position(&self, sequence: LaneSeq) -> (usize, u64) {
        let words = sequence.get() / WORD_BITS - self.high_water.next().get() / WORD_BITS;
        // Beyond the window there are no words, so the largest index simply finds nothing.
        (usize::try_from(words).unwrap_or(usize::MAX), 1 << (sequence.get() % WORD_BITS))
    }
}

impl From<v1::LaneIn> for LaneIn {
    /// Which message was the newest is not known, so the next one is looked up.
    fn from(older: v1::LaneIn) -> Self {
        let v1::LaneIn { epoch, opened, high_water, above } = older;
        Self { epoch, opened, high_water, above, newest: None }
    }
}
